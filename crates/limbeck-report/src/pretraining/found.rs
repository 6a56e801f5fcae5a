//! What a run that pre-trains has to show of its first seed: pictures, neighbours and a map.

use serde::{Deserialize, Serialize};

/// What the networks of a run make of images, to be looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pretrained {
    /// Names of the classes that images are marked with; empty without labels.
    pub classes: Vec<String>,
    /// Test images with a part hidden and reconstructed; empty of methods that hide nothing.
    pub reconstructions: Vec<Reconstructed>,
    /// Whether the method learns pixels less their patch's mean and over its deviation, so that its
    /// reconstructions have both from the image itself.
    pub standardised: bool,
    /// Test images and the training images whose embeddings are nearest.
    pub neighbourhoods: Vec<Neighbourhood>,
    /// Test images by their embeddings.
    pub map: EmbeddingMap,
}

/// A test image with a part hidden, and what networks make of the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reconstructed {
    /// Index in the test part.
    pub index: usize,
    /// The image as the network sees it, a PNG file, base64.
    pub png: String,
    /// The same with what was hidden in grey.
    pub masked: String,
    /// What the student makes of it.
    pub student: Redrawn,
    /// What the baseline makes of the same, where it reconstructs.
    pub baseline: Option<Redrawn>,
}

/// An image as a network reconstructs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Redrawn {
    /// A PNG file, base64.
    pub png: String,
    /// Square root of the mean squared error of the hidden pixels, in percent of the way from black to
    /// white.
    pub error: f64,
}

/// A test image and the training images that lie nearest to it, the nearest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Neighbourhood {
    /// Index in the test part.
    pub index: usize,
    /// Its class; `None` without labels.
    pub label: Option<usize>,
    /// The image, a PNG file, base64.
    pub png: String,
    /// By the teacher's embeddings; empty without a teacher.
    pub teacher: Vec<Neighbour>,
    /// By the student's.
    pub student: Vec<Neighbour>,
    /// By the baseline's; empty without a baseline.
    pub baseline: Vec<Neighbour>,
}

/// A training image near a test image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its class; `None` without labels.
    pub label: Option<usize>,
    /// Cosine of the angle between both embeddings.
    pub cosine: f64,
    /// The image, a PNG file, base64.
    pub png: String,
}

/// Test images in the plane, by the embeddings of each network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingMap {
    /// Class of each image; empty without labels.
    pub labels: Vec<usize>,
    /// By the teacher's embeddings.
    pub teacher: Option<Plane>,
    /// By the student's.
    pub student: Option<Plane>,
    /// By the baseline's.
    pub baseline: Option<Plane>,
}

/// Embeddings brought to a plane.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plane {
    /// Place of each image, in the order of [`EmbeddingMap::labels`].
    pub points: Vec<[f32; 2]>,
    /// Share of the embeddings' variance that the plane holds, in percent.
    pub share: f64,
}
