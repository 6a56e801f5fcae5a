//! Small files to test with.

use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use limbeck_data::{Annotation, Found, Source, find};
use tempfile::TempDir;

/// Width and height of all images and masks, unless said otherwise.
pub const SIZE: [u32; 2] = [6, 4];

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
    pub fn place(&self, file: &str) -> std::path::PathBuf {
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

    /// A mask whose pixels are the ids in turns.
    pub fn mask(&self, file: &str, ids: &[u8]) -> &Self {
        let [width, height] = SIZE;
        let mask = GrayImage::from_fn(width, height, |x, y| {
            Luma([ids[(y * width + x) as usize % ids.len()]])
        });
        mask.save(self.place(file)).unwrap();
        self
    }

    /// A mask whose pixels are the colours in turns.
    pub fn colours(&self, file: &str, colours: &[[u8; 3]]) -> &Self {
        let [width, height] = SIZE;
        let mask = RgbImage::from_fn(width, height, |x, y| {
            Rgb(colours[(y * width + x) as usize % colours.len()])
        });
        mask.save(self.place(file)).unwrap();
        self
    }

    /// Images and masks `0` to `count`, all masks with the same ids.
    pub fn pairs(&self, images: &str, masks: &str, count: usize, ids: &[u8]) -> &Self {
        for number in 0..count {
            self.image(&format!("{images}/{number}.jpg"));
            self.mask(&format!("{masks}/{number}.png"), ids);
        }
        self
    }

    pub fn found(&self) -> Found {
        find(self.path()).unwrap()
    }

    pub fn error(&self) -> String {
        find(self.path()).unwrap_err().to_string()
    }
}

/// Names and sizes of the parts.
pub fn parts(found: &Found) -> Vec<(&'static str, usize)> {
    let parts = found.parts().into_iter();
    parts.map(|(name, part)| (name, part.len())).collect()
}

pub fn classes(found: &Found) -> Vec<String> {
    found.parts()[0].1.classes().to_vec()
}

pub fn notes(found: &Found) -> String {
    found.notes.join("\n")
}

/// The first ids of the mask of an image.
pub fn ids(source: &dyn Source, index: usize, count: usize) -> Vec<u8> {
    match source.annotation(index).unwrap() {
        Annotation::Mask(mask) => mask.ids[..count].to_vec(),
        other => panic!("no mask: {other:?}"),
    }
}

/// The first ids of the first mask to train on.
pub fn first_ids(found: &Found, count: usize) -> Vec<u8> {
    ids(&**found.train.as_ref().unwrap(), 0, count)
}
