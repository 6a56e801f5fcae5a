//! How far two detectors find the same.

use limbeck_methods::detection::Kept;
use limbeck_report::{AGREEMENT, Measure};

use super::confusion::{CONFIDENCE, overlap};
use crate::metric::percent;

/// Overlap (IoU) from which on two boxes are one.
const SAME: f64 = 0.5;

/// Share of the boxes of student and teacher that the other finds too, right or wrong: of a score of 0.25 or
/// more, of the same class and with an overlap of a half or more; each box has one partner at the most.
#[derive(Clone, Copy, Debug, Default)]
pub struct BoxAgreement {
    shared: u64,
    boxes: u64,
}

impl BoxAgreement {
    /// Takes in what both find in an image, surest first.
    pub fn add(&mut self, student: &[Kept], teacher: &[Kept]) {
        let sure = |kept: &&Kept| kept.score >= CONFIDENCE;
        let theirs: Vec<&Kept> = teacher.iter().filter(sure).collect();
        let mut taken = vec![false; theirs.len()];
        for own in student.iter().filter(sure) {
            self.boxes += 1;
            let fits = |place: &usize| !taken[*place] && theirs[*place].class == own.class;
            let overlaps = (0..theirs.len())
                .filter(fits)
                .map(|place| (overlap(&own.bounds, &theirs[place].bounds), place));
            let best = overlaps.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            if let Some((_, place)) = best.filter(|(overlap, _)| *overlap >= SAME) {
                taken[place] = true;
                self.shared += 2;
            }
        }
        self.boxes += theirs.len() as u64;
    }

    /// Boxes that one finds and the other does not.
    pub(crate) fn apart(&self) -> u64 {
        self.boxes - self.shared
    }

    /// In percent; `None` where neither finds anything.
    pub fn measure(&self) -> Option<Measure> {
        let value = percent(self.shared, self.boxes);
        let title = "agreement with the teacher";
        let meaning = "boxes that the other finds too";
        (self.boxes > 0).then(|| Measure::percent(AGREEMENT, title, meaning, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(class: usize, left: f64, score: f64) -> Kept {
        Kept {
            bounds: [left, 0.0, left + 10.0, 10.0],
            score,
            class,
        }
    }

    #[test]
    fn a_box_has_one_partner_and_unsure_ones_have_none() {
        let mut agreement = BoxAgreement::default();
        let student = [
            kept(0, 0.0, 0.9),
            kept(0, 1.0, 0.8),
            kept(1, 50.0, 0.5),
            kept(0, 0.0, 0.1),
        ];
        let teacher = [kept(0, 1.0, 0.9), kept(0, 50.0, 0.9)];
        agreement.add(&student, &teacher);
        // Of five boxes one pair is shared: the second of the student's finds its partner taken.
        assert_eq!((agreement.shared, agreement.boxes), (2, 5));
        assert!(BoxAgreement::default().measure().is_none());
    }
}
