//! Small folders to test with.

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use limbeck_data::{BoxCheck, BoxProblem, BoxedImage, BoxedImages, FoundBoxes, Source, find_boxes};
use tempfile::TempDir;

/// Width and height of all images.
pub const SIZE: [u32; 2] = [40, 20];

/// A folder in which files are made.
pub struct Made(pub TempDir);

impl Made {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A place for a file, its folders made.
    pub fn place(&self, file: &str) -> PathBuf {
        let path = self.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    pub fn text(&self, file: &str, text: &str) -> &Self {
        std::fs::write(self.place(file), text).unwrap();
        self
    }

    /// An image in the format of its ending.
    pub fn image(&self, file: &str) -> &Self {
        let image = RgbImage::from_pixel(SIZE[0], SIZE[1], Rgb([200, 100, 50]));
        image.save(self.place(file)).unwrap();
        self
    }

    /// Images that are called by numbers.
    pub fn images(&self, folder: &str, count: usize) -> &Self {
        (0..count).for_each(|number| _ = self.image(&format!("{folder}/{number}.png")));
        self
    }

    pub fn found(&self) -> FoundBoxes {
        find_boxes(self.path()).unwrap()
    }

    pub fn error(&self) -> String {
        find_boxes(self.path()).unwrap_err().to_string()
    }
}

/// Names and sizes of the parts.
pub fn parts(found: &FoundBoxes) -> Vec<(&'static str, usize)> {
    let parts = found.parts().into_iter();
    parts.map(|(name, part)| (name, part.len())).collect()
}

/// The images to train on.
pub fn train(found: &FoundBoxes) -> &BoxedImages {
    found.train.as_ref().unwrap()
}

/// The image to train on whose file ends so.
pub fn image<'a>(found: &'a FoundBoxes, end: &str) -> &'a BoxedImage {
    let mut images = train(found).all().iter();
    images.find(|image| image.file.ends_with(end)).unwrap()
}

/// Class and corners of each box of an image to train on.
pub fn boxes(found: &FoundBoxes, end: &str) -> Vec<(usize, [f32; 4])> {
    let boxes = image(found, end).boxes.iter();
    boxes.map(|label| (label.class, label.corners)).collect()
}

/// What is wrong with a part, with the number of times and where it is first.
pub fn problems(found: &FoundBoxes, part: &str) -> Vec<(BoxProblem, usize, String)> {
    let check = found.check();
    let (_, part): &(_, BoxCheck) = check.iter().find(|(name, _)| *name == part).unwrap();
    part.problems
        .iter()
        .map(|problem| {
            let first = problem.places.examples[0].to_string();
            let first = first.rsplit('/').next().unwrap().to_owned();
            (problem.problem, problem.places.count, first)
        })
        .collect()
}

pub fn notes(found: &FoundBoxes) -> String {
    found.notes.join("\n")
}
