//! COCO's AP over images that are there any number of times: what intervals over images are taken of.

use super::{
    Detection, DetectionError, GroundTruth,
    coco::{Class, Mark, Marked},
    envelope, groups, mean,
};

/// Detections of objects of all sizes, matched once: which is right depends on its own image alone.
#[derive(Clone, Debug)]
pub struct ResampledPrecision {
    classes: Vec<Ranking>,
}

/// A class.
#[derive(Clone, Debug)]
struct Ranking {
    /// By descending score: number of the image, and what the detection is at each threshold.
    marks: Vec<(usize, [Mark; 10])>,
    /// Number of an image and its objects that are to be found.
    objects: Vec<(usize, u64)>,
}

impl ResampledPrecision {
    /// Matches the detections `found` where `truth` is there, of classes 0..`classes`.
    ///
    /// # Errors
    /// Those of [`coco`](super::coco).
    pub fn new(
        truth: &[GroundTruth],
        found: &[Detection],
        classes: usize,
    ) -> Result<Self, DetectionError> {
        let classes = groups(truth, found, classes)?;
        let ranking = |images: &Vec<super::Group<'_>>| {
            let [(all, _), ..] = Class::new(images).sizes;
            let mut marks: Vec<&Marked> = all.iter().collect();
            marks.sort_by(|a, b| b.score.total_cmp(&a.score));
            let counted = |group: &super::Group<'_>| {
                let objects = group.truth.iter().filter(|truth| !truth.crowd).count();
                (group.image, objects as u64)
            };
            Ranking {
                marks: marks.iter().map(|m| (m.image, m.marks)).collect(),
                objects: images.iter().map(counted).filter(|it| it.1 > 0).collect(),
            }
        };
        Ok(Self {
            classes: classes.iter().map(ranking).collect(),
        })
    }

    /// AP, 0 to 1, of each class where image i is there `times[i]` times (images beyond, never); none of a
    /// class that is nowhere.
    pub fn classes(&self, times: &[u64]) -> Vec<Option<f64>> {
        let of = |ranking: &Ranking| ranking.precision(times);
        self.classes.iter().map(of).collect()
    }

    /// The mean over the classes that are somewhere.
    pub fn mean(&self, times: &[u64]) -> Option<f64> {
        mean(self.classes(times).into_iter().flatten())
    }
}

impl Ranking {
    fn precision(&self, times: &[u64]) -> Option<f64> {
        let of = |image: usize| times.get(image).copied().unwrap_or(0);
        let objects = self.objects.iter().map(|&(image, count)| count * of(image));
        let objects: u64 = objects.sum();
        if objects == 0 {
            return None;
        }
        let there = self.marks.iter().map(|(image, marks)| (of(*image), marks));
        let there: Vec<(u64, &[Mark; 10])> = there.filter(|(times, _)| *times > 0).collect();
        let of_threshold = |t: usize| {
            let (mut right, mut wrong) = (0, 0);
            let (mut precision, mut found) = (Vec::new(), Vec::new());
            for (times, marks) in &there {
                match marks[t] {
                    Mark::Right => right += times,
                    Mark::Wrong => wrong += times,
                    Mark::Ignored => continue,
                }
                precision.push(right as f64 / (right + wrong) as f64);
                found.push(right);
            }
            envelope(&mut precision);
            // Recalls rise with the places, so that one walk finds all of them.
            let mut place = 0;
            let at = |i: i32| {
                let wanted = if i == 100 { 1.0 } else { f64::from(i) * 0.01 };
                while found
                    .get(place)
                    .is_some_and(|&n| (n as f64 / objects as f64) < wanted)
                {
                    place += 1;
                }
                precision.get(place).copied().unwrap_or(0.0)
            };
            (0..=100).map(at).sum::<f64>() / 101.0
        };
        mean((0..10).map(of_threshold))
    }
}

#[cfg(test)]
mod tests {
    use super::super::coco;
    use super::*;

    /// Boxes in three images of two classes, and what was found of them.
    fn boxes(images: &[usize]) -> (Vec<GroundTruth>, Vec<Detection>) {
        let square = |at: f64, side: f64| [at, at, at + side, at + side];
        let (mut truth, mut found) = (Vec::new(), Vec::new());
        for (number, &image) in images.iter().enumerate() {
            let shift = image as f64;
            truth.push(GroundTruth::new(number, 0, square(0.0, 20.0)));
            truth.push(GroundTruth::new(number, image % 2, square(40.0, 10.0)));
            let mut find = |class, score, bounds| {
                found.push(Detection {
                    image: number,
                    class,
                    score,
                    bounds,
                });
            };
            find(0, 0.9 - 0.1 * shift, square(shift, 20.0));
            find(0, 0.5 + 0.01 * shift, square(30.0, 9.0));
            find(1, 0.7 - 0.02 * shift, square(40.5, 10.0));
        }
        (truth, found)
    }

    #[test]
    fn an_image_that_is_there_twice_counts_as_two() {
        let (truth, found) = boxes(&[0, 1, 2]);
        let resampled = ResampledPrecision::new(&truth, &found, 2).unwrap();
        for (times, images) in [
            ([1, 1, 1], vec![0, 1, 2]),
            ([2, 0, 1], vec![0, 0, 2]),
            ([0, 3, 0], vec![1, 1, 1]),
        ] {
            let (truth, found) = boxes(&images);
            let whole = coco(&truth, &found, 2).unwrap();
            let [a, b] = [resampled.mean(&times).unwrap(), whole.precision.unwrap()];
            assert!((a - b).abs() < 1e-12, "{times:?}: {a} {b}");
            let of = |ap: &Option<[f64; 10]>| ap.map(|ap| ap.iter().sum::<f64>() / 10.0);
            for (a, b) in resampled.classes(&times).iter().zip(&whole.classes) {
                match (a, of(b)) {
                    (Some(a), Some(b)) => assert!((a - b).abs() < 1e-12),
                    (a, b) => assert_eq!(*a, b),
                }
            }
        }
        assert_eq!(resampled.mean(&[0, 0, 0]), None);
    }
}
