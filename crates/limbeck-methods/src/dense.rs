//! What methods on maps of predictions share.

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_data::VOID;
use limbeck_nn::{Feature, Tap, TapKind};

use crate::{
    MethodError, Probe, Segmentation, Step, TaskKind,
    connector::{pool_map, resize_map},
    criterion::require_teacher,
};

/// The tap that holds what a segmentation network's last classifier reads.
const FEATURE: &str = "feature";

/// The pair of what the last classifiers read; of networks without such a tap, of their last
/// stages.
pub(crate) fn last_features(student: &[Tap], teacher: &[Tap]) -> Vec<(String, String)> {
    let last = |taps: &[Tap]| {
        let feature = taps.iter().find(|tap| tap.name == FEATURE);
        let tap = feature.or_else(|| crate::pairs::stages(taps).pop())?;
        Some(tap.name.clone())
    };
    last(student).zip(last(teacher)).into_iter().collect()
}

/// `[K, h, w]` of the student's map of logits; the teacher's has as many classes.
///
/// # Errors
/// No teacher, networks that do not segment, or other classes.
pub(crate) fn require_logit_maps(
    method: &'static str,
    probe: &Probe,
) -> Result<[usize; 3], MethodError> {
    let teacher = logit_map("teacher", require_teacher(method, probe)?)?;
    let student = logit_map("student", &probe.student)?;
    if student[0] == teacher[0] {
        return Ok(student);
    }
    Err(MethodError::Mismatch {
        method,
        student: format!("logits of {} classes", student[0]),
        teacher: format!("logits of {}", teacher[0]),
        reason: "predictions are compared class by class; teacher and student must have the same \
                 classes"
            .to_owned(),
    })
}

fn logit_map(side: &str, taps: &[Tap]) -> Result<[usize; 3], MethodError> {
    let logits = taps.iter().find(|tap| tap.name == "logits");
    match logits.map(|tap| &tap.kind) {
        Some(TapKind::Map(shape)) => Ok(*shape),
        found => Err(MethodError::Prediction {
            task: TaskKind::Segmentation,
            expected: format!("a map of logits for each image from the {side}"),
            found: found.map_or("none".to_owned(), |kind| format!("a {kind}")),
        }),
    }
}

/// The maps of logits `[B, K, h, w]` of student and teacher on the student's grid, the teacher's cut
/// off from any gradient graph and brought there by [`resize_map`].
///
/// # Errors
/// No teacher, predictions that are not maps, or other classes.
pub(crate) fn logit_maps(
    method: &'static str,
    step: &Step<'_>,
) -> Result<(Tensor<4>, Tensor<4>), MethodError> {
    let student = prediction(&step.student.prediction)?;
    let teacher = prediction(&step.teacher(method)?.prediction)?;
    let [_, classes, height, width] = student.dims();
    if teacher.dims()[1] != classes {
        return Err(MethodError::Prediction {
            task: TaskKind::Segmentation,
            expected: format!("a teacher of {classes} classes, as the student's"),
            found: teacher.dims()[1].to_string(),
        });
    }
    Ok((student, resize_map(teacher, [height, width])))
}

fn prediction(prediction: &Feature) -> Result<Tensor<4>, MethodError> {
    match prediction {
        Feature::Map(logits) => Ok(logits.clone()),
        other => Err(MethodError::Prediction {
            task: TaskKind::Segmentation,
            expected: "a map of logits for each image".to_owned(),
            found: format!("a {} for each", other.kind()),
        }),
    }
}

/// Two maps `[B, C, H, W]` on one grid: along each axis the larger is averaged over adaptive windows
/// to the smaller size.
pub(crate) fn on_one_grid(student: Tensor<4>, teacher: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let [_, _, height, width] = student.dims();
    let [_, _, other_height, other_width] = teacher.dims();
    let size = [height.min(other_height), width.min(other_width)];
    (pool_map(student, size), pool_map(teacher, size))
}

/// Class of each position of maps of `size`, image by image, −1 for void.
///
/// # Errors
/// Images without masks.
pub(crate) fn labels_at(
    method: &'static str,
    step: &Step<'_>,
    size: [usize; 2],
) -> Result<Vec<i64>, MethodError> {
    let masks = step.supervision.target.masks(method)?;
    let labels = Segmentation::reduced(masks, size).into_data();
    let known = |label| match label == i64::from(VOID) {
        true => -1,
        false => label,
    };
    Ok(labels.iter::<i64>().map(known).collect())
}

/// The mean vector of each class in each image, `[R, C]` of each network: image by image, the
/// classes in order. `None` where nothing but void is known. Maps `[B, C, h, w]` on one grid,
/// `labels` of its positions as [`labels_at`] gives them.
pub(crate) fn regions(
    student: Tensor<4>,
    teacher: Tensor<4>,
    labels: &[i64],
) -> Option<(Tensor<2>, Tensor<2>)> {
    let [batch, _, height, width] = student.dims();
    let positions = height * width;
    let classes = usize::try_from(labels.iter().max()? + 1).ok()?;
    let mut counts = vec![0_usize; batch * classes];
    let region = |position: usize, label: i64| {
        let class = usize::try_from(label).ok()?;
        Some(position / positions * classes + class)
    };
    let known = || {
        let places = labels.iter().enumerate();
        places.filter_map(|(position, &label)| Some((position, region(position, label)?)))
    };
    known().for_each(|(_, region)| counts[region] += 1);
    let present: Vec<i64> = (0_i64..)
        .zip(&counts)
        .filter(|(_, count)| **count > 0)
        .map(|(region, _)| region)
        .collect();
    if present.is_empty() {
        return None;
    }
    let mut shares = vec![0.0; batch * classes * positions];
    for (position, region) in known() {
        shares[region * positions + position % positions] = 1.0 / counts[region] as f64;
    }
    let options = (&student.device(), student.dtype());
    let data = TensorData::new(shares, [batch, classes, positions]);
    let shares = Tensor::<3>::from_data(data, options);
    let data = TensorData::new(present.clone(), [present.len()]);
    let present = Tensor::<1, Int>::from_data(data, options.0);
    let means = |map: Tensor<4>| {
        let [_, channels, ..] = map.dims();
        let vectors = map.reshape([batch, channels, positions]).swap_dims(1, 2);
        let means = shares.clone().matmul(vectors);
        means.flatten::<2>(0, 1).select(0, present.clone())
    };
    Some((means(student), means(teacher)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, numbers, tensor};

    #[test]
    fn regions_are_means_of_classes_in_images_and_void_is_left_out() {
        let student = tensor((0..12).map(f64::from).collect(), [2, 2, 1, 3]);
        let teacher = student.clone().mul_scalar(10.0);
        let labels = [2, 0, 2, -1, 2, -1];
        let (found, other) = regions(student.clone(), teacher.clone(), &labels).unwrap();
        let expected = [1.0, 4.0, 1.0, 4.0, 7.0, 10.0];
        assert_close(&numbers(&found), &expected);
        assert_close(&numbers(&other), &expected.map(|x| 10.0 * x));
        assert!(regions(student, teacher, &[-1; 6]).is_none());
    }
}
