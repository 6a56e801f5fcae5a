//! Which classes are taken for which, for background, or background for which.

use limbeck_data::BoxLabel;
use limbeck_methods::detection::Kept;
use limbeck_report::Confusion;

/// Least score of a detection that is counted (`ConfusionMatrix` of YOLOv5).
pub(crate) const CONFIDENCE: f64 = 0.25;

/// Overlap (IoU) above which a detection is of an object, of whatever class (the same).
const OVERLAP: f64 = 0.45;

/// Objects by their class and the class that was found there, with background as the last class: objects that
/// were not found, and detections where nothing is.
#[derive(Clone, Debug, Default)]
pub struct BoxConfusion {
    classes: usize,
    counts: Confusion,
}

/// IoU of left, top, right and lower borders.
pub(super) fn overlap(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let width = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let height = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |of: &[f64; 4]| (of[2] - of[0]) * (of[3] - of[1]);
    match width * height {
        0.0 => 0.0,
        shared => shared / (area(a) + area(b) - shared),
    }
}

impl BoxConfusion {
    /// Of so many classes, background left out.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![Default::default(); classes + 1],
        }
    }

    /// Takes in what is in an image and what was found. Pairs are made by descending overlap. Crowds and
    /// difficult objects count nowhere, nor does what is found on them.
    pub fn add(&mut self, truth: &[BoxLabel], found: &[Kept]) {
        let found: Vec<&Kept> = found
            .iter()
            .filter(|kept| kept.score >= CONFIDENCE)
            .collect();
        let mut pairs = Vec::new();
        for (object, label) in truth.iter().enumerate() {
            let bounds = label.corners.map(f64::from);
            let overlaps = found.iter().map(|kept| overlap(&bounds, &kept.bounds));
            let enough = overlaps
                .enumerate()
                .filter(|(_, overlap)| *overlap > OVERLAP);
            pairs.extend(enough.map(|(place, overlap)| (overlap, object, place)));
        }
        pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut partner: Vec<Option<usize>> = vec![None; truth.len()];
        let mut taken = vec![false; found.len()];
        for (_, object, place) in pairs {
            if partner[object].is_none() && !taken[place] {
                partner[object] = Some(place);
                taken[place] = true;
            }
        }
        for (label, partner) in truth.iter().zip(partner) {
            if !label.crowd && !label.difficult {
                let chosen = partner.map_or(self.classes, |place| found[place].class);
                self.count(label.class, chosen);
            }
        }
        for (kept, taken) in found.iter().zip(taken) {
            let shared = |label: &&BoxLabel| {
                (label.crowd || label.difficult)
                    && overlap(&label.corners.map(f64::from), &kept.bounds) > 0.0
            };
            if !taken && truth.iter().find(shared).is_none() {
                self.count(self.classes, kept.class);
            }
        }
    }

    fn count(&mut self, right: usize, chosen: usize) {
        if let Some(row) = self.counts.get_mut(right) {
            *row.entry(chosen).or_default() += 1;
        }
    }

    /// Row by row, background last.
    pub fn counts(self) -> Confusion {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_detections_find_their_partners_or_background() {
        let mut confusion = BoxConfusion::new(2);
        let label = |class, left: f32| BoxLabel::new(class, [left, 0.0, left + 10.0, 10.0]);
        let kept = |class, left: f64, score| Kept {
            bounds: [left, 0.0, left + 10.0, 10.0],
            score,
            class,
        };
        let crowd = BoxLabel {
            crowd: true,
            ..label(0, 200.0)
        };
        let truth = [label(0, 0.0), label(1, 50.0), label(1, 100.0), crowd];
        let found = [
            kept(0, 1.0, 0.9),
            kept(0, 2.0, 0.8),
            kept(0, 50.0, 0.7),
            kept(1, 100.0, 0.2),
            kept(0, 203.0, 0.9),
        ];
        confusion.add(&truth, &found);
        let counts = confusion.counts();
        let row = |class: usize| {
            counts[class]
                .iter()
                .map(|(a, b)| (*a, *b))
                .collect::<Vec<_>>()
        };
        assert_eq!(row(0), [(0, 1)]);
        // The second object was called 0, the third was found without being sure.
        assert_eq!(row(1), [(0, 1), (2, 1)]);
        assert_eq!(row(2), [(0, 1)]);
    }
}
