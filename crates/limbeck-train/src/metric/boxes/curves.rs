//! How precision falls while recall rises, at an overlap of a half.

use limbeck_data::BoxLabel;
use limbeck_methods::detection::Kept;

use super::judged::{Judged, judged};

/// Points that a curve keeps.
const POINTS: usize = 101;

/// Detections of each class, right or wrong, and the objects that are to be found.
#[derive(Clone, Debug)]
pub struct Curves {
    marks: Vec<Vec<(f64, bool)>>,
    objects: Vec<u64>,
}

impl Curves {
    /// Of so many classes.
    pub fn new(classes: usize) -> Self {
        Self {
            marks: vec![Vec::new(); classes],
            objects: vec![0; classes],
        }
    }

    /// Takes in what is in an image and what was found, surest first.
    pub fn add(&mut self, truth: &[BoxLabel], found: &[Kept]) {
        for label in truth
            .iter()
            .filter(|label| !label.crowd && !label.difficult)
        {
            if let Some(objects) = self.objects.get_mut(label.class) {
                *objects += 1;
            }
        }
        for (kept, judged) in found.iter().zip(judged(truth, found.iter())) {
            if let Some(marks) = self.marks.get_mut(kept.class)
                && judged != Judged::Aside
            {
                marks.push((kept.score, judged == Judged::Right));
            }
        }
    }

    /// Of each class recall and the greatest precision at any recall as high, both 0 to 1, at recalls of
    /// 0, 0.01, … as far as they go; empty for a class that is nowhere.
    pub fn finish(self) -> Vec<Vec<[f64; 2]>> {
        let classes = self.marks.into_iter().zip(self.objects);
        classes
            .map(|(mut marks, objects)| {
                if objects == 0 {
                    return Vec::new();
                }
                marks.sort_by(|a, b| b.0.total_cmp(&a.0));
                let (mut right, mut points) = (0u64, Vec::new());
                for (count, (_, is_right)) in marks.into_iter().enumerate() {
                    right += u64::from(is_right);
                    let recall = right as f64 / objects as f64;
                    points.push([recall, right as f64 / (count + 1) as f64]);
                }
                let mut greatest: f64 = 0.0;
                for point in points.iter_mut().rev() {
                    greatest = greatest.max(point[1]);
                    point[1] = greatest;
                }
                let last = points.last().map_or(0.0, |point| point[0]);
                let wanted = (0..POINTS).map(|i| i as f64 / (POINTS - 1) as f64);
                wanted
                    .take_while(|recall| *recall <= last)
                    .filter_map(|recall| {
                        let place = points.partition_point(|point| point[0] < recall);
                        Some([recall, points.get(place)?[1]])
                    })
                    .collect()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_the_greatest_at_any_recall_as_high() {
        let mut curves = Curves::new(2);
        let label = |left: f32| BoxLabel::new(0, [left, 0.0, left + 10.0, 10.0]);
        let kept = |left: f64, score| Kept {
            bounds: [left, 0.0, left + 10.0, 10.0],
            score,
            class: 0,
        };
        curves.add(
            &[label(0.0), label(50.0)],
            &[kept(0.0, 0.9), kept(25.0, 0.8)],
        );
        curves.add(&[label(0.0)], &[kept(1.0, 0.7)]);
        let found = curves.finish();
        assert!(found[1].is_empty());
        // Right, wrong, right of three objects: precision 1, then 2/3 up to a recall of 2/3.
        assert_eq!(found[0].len(), 67);
        assert_eq!(found[0][0], [0.0, 1.0]);
        assert_eq!(found[0][33], [0.33, 1.0]);
        assert_eq!(found[0][34], [0.34, 2.0 / 3.0]);
    }
}
