//! Which detections are right, at an overlap of a half.

use limbeck_data::BoxLabel;
use limbeck_methods::detection::Kept;

use super::confusion::overlap;

/// Overlap (IoU) above which a detection is right.
const RIGHT: f64 = 0.5;

/// What a detection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It has an object of its class for itself.
    Right,
    /// It has none.
    Wrong,
    /// It lies on a crowd or a difficult object, and counts nowhere.
    Aside,
}

/// What each detection of an image is, surest first. A detection takes the object of its class that it
/// overlaps most of those that are left; any number may lie on a crowd or a difficult object.
pub(crate) fn judged<'a>(truth: &[BoxLabel], found: impl Iterator<Item = &'a Kept>) -> Vec<Judged> {
    let mut taken = vec![false; truth.len()];
    let judge = |kept: &Kept| {
        let fits =
            |(place, label): &(usize, &BoxLabel)| label.class == kept.class && !taken[*place];
        let overlaps = truth.iter().enumerate().filter(fits).map(|(place, label)| {
            let bounds = label.corners.map(f64::from);
            (overlap(&bounds, &kept.bounds), place)
        });
        let best = overlaps.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        match best.filter(|(overlap, _)| *overlap > RIGHT) {
            None => Judged::Wrong,
            Some((_, place)) if truth[place].crowd || truth[place].difficult => Judged::Aside,
            Some((_, place)) => {
                taken[place] = true;
                Judged::Right
            }
        }
    };
    found.map(judge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_once_and_crowds_by_any_number() {
        let label = |left: f32| BoxLabel::new(0, [left, 0.0, left + 10.0, 10.0]);
        let crowd = BoxLabel {
            crowd: true,
            ..label(100.0)
        };
        let kept = |class, left: f64| Kept {
            bounds: [left, 0.0, left + 10.0, 10.0],
            score: 0.5,
            class,
        };
        let found = [
            kept(0, 1.0),
            kept(0, 0.0),
            kept(1, 0.0),
            kept(0, 101.0),
            kept(0, 99.0),
        ];
        let expected = [
            Judged::Right,
            Judged::Wrong,
            Judged::Wrong,
            Judged::Aside,
            Judged::Aside,
        ];
        assert_eq!(judged(&[label(0.0), crowd], found.iter()), expected);
    }
}
