//! The source of knowledge: outputs for a batch that nothing can train.

use burn::tensor::{Int, Tensor};
use limbeck_data::Normalisation;
use limbeck_nn::{Network, Outputs, ParameterId, Tap, Taps};

use crate::MethodError;

/// A part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What is trained on.
    Train,
    /// What epochs are chosen by.
    Validation,
    /// What is tested on.
    Test,
}

/// Which images of the data a batch shows, and in which view: all that a teacher needs to know
/// whose outputs were stored earlier.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The part that the images are from.
    pub section: Section,
    /// Number of the view of the training images, counted from 0; 0 of images that are not
    /// augmented.
    pub view: u64,
    /// Number of each image in its source, `[B]`.
    pub samples: Vec<usize>,
    /// Share that image `i` keeps of itself where it is mixed with image `B − 1 − i`; `None` where
    /// images are not mixed.
    pub share: Option<f64>,
}

/// What a method asks the teacher about the batch's own images, and whether it asks more than
/// that.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// Taps that it reads; logits are always there.
    pub taps: Taps,
    /// Whether its logits are compared class by class, so that it has to tell the student's classes
    /// apart and no others.
    pub logits: bool,
    /// Which other images it shows the teacher, such as `rotated images`, or what else it wants
    /// that only a network can give; `None` where stored outputs serve.
    pub beyond: Option<&'static str>,
}

/// A source of outputs for a batch of the student's images.
pub trait Teacher: Send + Sync {
    /// Zoo name, or what it is made of.
    fn name(&self) -> &str;

    /// Taps with their shapes, in forward order, `logits` last.
    fn taps(&self) -> Vec<Tap>;

    /// Whether it looks at images, so that it can be asked about any; stored outputs are there for
    /// those of [`Teacher::outputs_of`] alone.
    fn looks_at_images(&self) -> bool {
        true
    }

    /// Outputs for `images` `[B, C, H, W]`, normalised as the student sees them. They carry no
    /// gradient.
    ///
    /// # Errors
    /// A teacher that cannot look at images.
    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, MethodError>;

    /// The same for `images` that are known to be those of `origin`, as the loader made them. A
    /// teacher that looks at images makes no difference.
    ///
    /// # Errors
    /// As [`Teacher::outputs`]; outputs that are not stored, or cannot be read.
    fn outputs_of(
        &self,
        _origin: &Origin,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        self.outputs(images, taps)
    }

    /// The same with gradients that flow back to `images`, and never into the teacher's numbers.
    /// `None` where outputs do not depend on the images at hand, such as stored ones.
    fn outputs_through(&self, _images: Tensor<4>, _taps: &Taps) -> Option<Outputs> {
        None
    }

    /// Tokens `[B, P + n, D]` after block `block`, counted from 0, of a vision transformer that sees
    /// the patches `visible` `[B, n]` of `images` alone, and goes no deeper. They carry no gradient.
    /// `None` where it is none, has no such block, or does not look at images.
    fn tokens_of_patches(
        &self,
        _images: Tensor<4>,
        _visible: &Tensor<2, Int>,
        _block: usize,
    ) -> Option<Tensor<3>> {
        None
    }
}

/// The network behind a teacher, for methods whose students start from its weights.
#[derive(Clone, Debug)]
pub struct TeacherNetwork {
    /// With its numbers.
    pub network: Network,
    /// How the images were normalised that it was trained on.
    pub normalisation: Normalisation,
}

/// The last linear map of a network: logits = embedding · weightᵀ + bias.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// `[K, D]`.
    pub weight: Tensor<2>,
    /// `[K]`.
    pub bias: Option<Tensor<1>>,
}

impl Classifier {
    /// The classifier of `network`: its last weight with a row for each class and a column for
    /// each number of the embedding. `None` where there is none.
    pub fn of(network: &Network) -> Option<Self> {
        let (weight, bias) = Self::ids(network)?;
        Some(Self {
            weight: network.store.get(weight),
            bias: bias.map(|id| network.store.get(id)),
        })
    }

    /// Where weight and bias are in the network's store.
    pub fn ids(network: &Network) -> Option<(ParameterId, Option<ParameterId>)> {
        let classes = network.input().classes;
        let store = &network.store;
        let weight = store
            .ids()
            .filter(|&id| matches!(store.entry(id).shape[..], [rows, _] if rows == classes))
            .last()?;
        let name = &store.entry(weight).name;
        let bias = store.find(&format!("{}bias", name.strip_suffix("weight")?));
        Some((weight, bias))
    }

    /// Length D of the embedding.
    pub fn width(&self) -> usize {
        self.weight.dims()[1]
    }

    /// Embeddings `[N, D]` → logits `[N, K]`; the classifier's numbers take part as they are.
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let logits = embeddings.matmul(self.weight.clone().transpose());
        match &self.bias {
            Some(bias) => logits + bias.clone().unsqueeze::<2>(),
            None => logits,
        }
    }
}
