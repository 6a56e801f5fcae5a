//! How often two networks choose the same class for a pixel.

use limbeck_data::VOID;
use limbeck_report::{AGREEMENT, Measure};

use crate::metric::percent;

/// Share of the pixels on which student and teacher choose the same class, right or wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct PixelAgreement {
    same: u64,
    pixels: u64,
}

impl PixelAgreement {
    /// Takes in what both choose; where there is a right mask, its void pixels are left out.
    pub fn add(&mut self, student: &[u8], teacher: &[u8], truth: Option<&[u8]>) {
        for (pixel, (student, teacher)) in student.iter().zip(teacher).enumerate() {
            if truth.is_none_or(|truth| truth[pixel] != VOID) {
                self.pixels += 1;
                self.same += u64::from(student == teacher);
            }
        }
    }

    /// In percent; `None` without pixels.
    pub fn measure(&self) -> Option<Measure> {
        let value = percent(self.same, self.pixels);
        let title = "agreement with the teacher";
        let meaning = "pixels of which the same class was chosen";
        (self.pixels > 0).then(|| Measure::percent(AGREEMENT, title, meaning, value))
    }
}
