//! Mean intersection over union.

use limbeck_report::Measure;

use super::ClassPixels;

/// Mean of what is known of the classes; `None` where nothing is of any.
pub fn mean_of(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0usize);
    for value in values.into_iter().flatten() {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

/// Mean over the classes that are there or were chosen of |there ∩ chosen| / |there ∪ chosen|, of the
/// pixels of all pictures together (Everingham et al., "The Pascal Visual Object Classes Challenge",
/// IJCV 2015, section 4.1.3). Chance is what the same class everywhere gives, the best one.
pub fn mean_iou(classes: &[ClassPixels]) -> Measure {
    let value = mean_of(classes.iter().map(ClassPixels::iou)).unwrap_or(f64::NAN);
    let meaning = "intersection over union, mean of the classes that occur";
    let measure = Measure::percent("miou", "mean IoU", meaning, value);
    let all: u64 = classes.iter().map(|pixels| pixels.there).sum();
    let most = classes.iter().map(|pixels| pixels.there).max().unwrap_or(0);
    let there = classes.iter().filter(|pixels| pixels.there > 0).count();
    match all {
        0 => measure,
        all => measure.with_chance(100.0 * most as f64 / all as f64 / there as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_classes_have_no_part_and_chosen_ones_that_are_not_there_count_as_nothing() {
        let of = |class, right, there, chosen| ClassPixels {
            class,
            right,
            there,
            chosen,
        };
        let classes = [of(0, 2, 4, 2), of(1, 0, 0, 5), of(2, 0, 0, 0)];
        let found = mean_iou(&classes);
        assert_eq!(found.value, 25.0);
        assert_eq!(found.chance, Some(100.0));
        assert!(mean_iou(&[of(0, 0, 0, 0)]).value.is_nan());
    }
}
