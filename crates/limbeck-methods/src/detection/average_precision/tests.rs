//! Laws of average precision.

use proptest::prelude::*;

use super::*;

/// A few images with boxes of three classes, and detections of most of them beside some of nothing. No two
/// scores are equal.
fn scene(seed: u64) -> (Vec<GroundTruth>, Vec<Detection>) {
    let mut state = seed;
    let mut below = |n: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let (mut truth, mut found) = (Vec::new(), Vec::new());
    for image in 0..6 {
        for _ in 0..below(5) {
            let class = below(3) as usize;
            let [x, y] = [below(150), below(150)].map(|v| v as f64);
            let [w, h] = [5 + below(120), 5 + below(120)].map(|v| v as f64);
            let mut object = GroundTruth::new(image, class, [x, y, x + w, y + h]);
            object.crowd = below(8) == 0;
            object.difficult = below(8) == 0;
            truth.push(object);
            for _ in 0..below(3) {
                let shift = below(20) as f64;
                found.push(Detection {
                    image,
                    class: if below(6) == 0 {
                        below(3) as usize
                    } else {
                        class
                    },
                    score: below(1 << 30) as f64,
                    bounds: [x + shift, y, x + shift + w, y + h],
                });
            }
        }
        for _ in 0..below(3) {
            found.push(Detection {
                image,
                class: below(3) as usize,
                score: below(1 << 30) as f64,
                bounds: [5.0, 5.0, 60.0, 60.0],
            });
        }
    }
    for (i, detection) in found.iter_mut().enumerate() {
        detection.score += i as f64 / 1024.0;
    }
    (truth, found)
}

/// All measures of all three.
fn all(truth: &[GroundTruth], found: &[Detection]) -> Vec<Option<f64>> {
    let coco = coco(truth, found, 4).unwrap();
    let yolov5 = yolov5(truth, found, 4).unwrap();
    let voc = voc(truth, found, 4).unwrap();
    let mut all = coco.twelve().to_vec();
    all.extend([yolov5.precision, yolov5.precision_50]);
    all.extend([voc.eleven_points, voc.all_points]);
    for class in 0..4 {
        let coco = coco.classes[class].iter().flatten().copied();
        let yolov5 = yolov5.classes[class].iter().flatten().copied();
        let voc = voc.classes[class].iter().flatten().copied();
        all.extend(coco.chain(yolov5).chain(voc).map(Some));
    }
    all
}

fn exact(truth: &[GroundTruth]) -> Vec<Detection> {
    let found = truth.iter().enumerate().map(|(i, truth)| Detection {
        image: truth.image,
        class: truth.class,
        score: i as f64,
        bounds: truth.bounds,
    });
    found.collect()
}

proptest! {
    #[test]
    fn measures_lie_between_0_and_1(seed: u64) {
        let (truth, found) = scene(seed);
        for value in all(&truth, &found).into_iter().flatten() {
            prop_assert!((0.0..=1.0 + 1e-12).contains(&value), "{value}");
        }
    }

    #[test]
    fn perfect_detections_give_1_and_none_give_0(seed: u64) {
        let (mut truth, _) = scene(seed);
        for object in &mut truth {
            object.crowd = false;
            object.difficult = false;
        }
        let (mut ones, zeros) = (coco(&truth, &exact(&truth), 4).unwrap(), all(&truth, &[]));
        // One detection an image does not find all objects.
        ones.recall[0] = None;
        for value in ones.twelve().into_iter().flatten() {
            prop_assert!((value - 1.0).abs() < 1e-9, "{value}");
        }
        let yolov5 = yolov5(&truth, &exact(&truth), 4).unwrap();
        let voc = voc(&truth, &exact(&truth), 4).unwrap();
        for value in [yolov5.precision, voc.eleven_points, voc.all_points].into_iter().flatten() {
            prop_assert!((value - 1.0).abs() < 1e-9, "{value}");
        }
        prop_assert!(zeros.into_iter().flatten().all(|value| value == 0.0));
    }

    #[test]
    fn the_order_of_images_and_the_size_of_scores_decide_nothing(seed: u64) {
        let (truth, found) = scene(seed);
        let expected = all(&truth, &found);
        let mut turned = (truth.clone(), found.clone());
        // Another order of images, by number and in the lists; within an image the order stays.
        turned.0.iter_mut().for_each(|truth| truth.image = 5 - truth.image);
        turned.1.iter_mut().for_each(|found| found.image = 5 - found.image);
        turned.0.sort_by_key(|truth| truth.image);
        turned.1.sort_by_key(|found| found.image);
        prop_assert_eq!(&all(&turned.0, &turned.1), &expected);
        let mut scaled = found;
        scaled.iter_mut().for_each(|found| found.score = (found.score * 1e-9).exp() - 7.0);
        prop_assert_eq!(&all(&truth, &scaled), &expected);
    }

    #[test]
    fn a_class_that_nothing_is_of_changes_no_other(seed: u64) {
        let (truth, mut found) = scene(seed);
        let expected = all(&truth, &found);
        found.push(Detection { image: 0, class: 3, score: 1.0, bounds: [0.0, 0.0, 9.0, 9.0] });
        prop_assert_eq!(&all(&truth, &found), &expected);
    }
}

fn one(score: f64, bounds: [f64; 4]) -> Detection {
    Detection {
        image: 0,
        class: 0,
        score,
        bounds,
    }
}

#[test]
fn a_second_hit_is_wrong() {
    let bounds = [0.0, 0.0, 10.0, 10.0];
    let truth = [
        GroundTruth::new(0, 0, bounds),
        GroundTruth::new(0, 0, [50.0, 50.0, 60.0, 60.0]),
    ];
    let found = [
        one(0.9, bounds),
        one(0.8, bounds),
        one(0.7, [50.0, 50.0, 60.0, 60.0]),
    ];
    // Precision 1 up to a recall of ½, then ⅔.
    let voc = voc(&truth, &found, 1).unwrap();
    assert!((voc.all_points.unwrap() - (0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
    assert!((voc.eleven_points.unwrap() - (6.0 + 5.0 * 2.0 / 3.0) / 11.0).abs() < 1e-12);
    let coco = coco(&truth, &found, 1).unwrap();
    assert!((coco.precision.unwrap() - (51.0 + 50.0 * 2.0 / 3.0) / 101.0).abs() < 1e-12);
    assert_eq!(coco.recall, [Some(0.5), Some(1.0), Some(1.0)]);
}

#[test]
fn detections_in_a_crowd_do_not_count() {
    let object = GroundTruth::new(0, 0, [0.0, 0.0, 10.0, 10.0]);
    let mut crowd = GroundTruth::new(0, 0, [100.0, 0.0, 300.0, 200.0]);
    crowd.crowd = true;
    let inside = [110.0, 10.0, 120.0, 20.0];
    let found = [one(0.9, inside), one(0.8, inside), one(0.7, object.bounds)];
    let precision = |truth: &[GroundTruth]| coco(truth, &found, 1).unwrap().precision.unwrap();
    assert!((precision(&[object, crowd]) - 1.0).abs() < 1e-12);
    assert!((precision(&[object]) - 1.0 / 3.0).abs() < 1e-12);
}

#[test]
fn a_difficult_box_counts_neither_way() {
    let object = GroundTruth::new(0, 0, [0.0, 0.0, 10.0, 10.0]);
    let mut difficult = GroundTruth::new(0, 0, [100.0, 0.0, 120.0, 20.0]);
    difficult.difficult = true;
    let truth = [object, difficult];
    let precision = |found: &[Detection]| voc(&truth, found, 1).unwrap().all_points;
    assert_eq!(precision(&[one(0.5, object.bounds)]), Some(1.0));
    let both = [one(0.5, object.bounds), one(0.9, difficult.bounds)];
    assert_eq!(precision(&both), Some(1.0));
    assert_eq!(voc(&[difficult], &both, 1).unwrap().classes, [None]);
}

#[test]
fn what_is_no_box_is_refused() {
    let bounds = [0.0, 0.0, 10.0, 10.0];
    let refused = |truth: &[GroundTruth], found: &[Detection]| {
        coco(truth, found, 1).is_err()
            && yolov5(truth, found, 1).is_err()
            && voc(truth, found, 1).is_err()
    };
    assert!(coco(&[GroundTruth::new(0, 0, bounds)], &[one(0.5, bounds)], 1).is_ok());
    assert!(refused(&[GroundTruth::new(0, 1, bounds)], &[]));
    assert!(refused(
        &[GroundTruth::new(0, 0, [9.0, 0.0, 1.0, 1.0])],
        &[]
    ));
    assert!(refused(&[], &[one(f64::NAN, bounds)]));
    assert!(refused(&[], &[one(0.5, [0.0, f64::INFINITY, 1.0, 1.0])]));
}
