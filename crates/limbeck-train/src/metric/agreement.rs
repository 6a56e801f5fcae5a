//! How often two networks choose the same class.

use super::percent;

/// Share of images on which student and teacher choose the same class, right or wrong.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    same: u64,
    images: u64,
}

impl Agreement {
    /// Takes in the choices of both for one image.
    pub fn add(&mut self, student: Option<usize>, teacher: usize) {
        self.images += 1;
        self.same += u64::from(student == Some(teacher));
    }

    /// In percent; `None` without images.
    pub fn percent(&self) -> Option<f64> {
        (self.images > 0).then(|| percent(self.same, self.images))
    }
}
