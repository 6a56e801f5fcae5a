//! The loss of segmentation against its definition, pixel by pixel in double precision.

use burn::tensor::{DType, Device};

use super::*;
use crate::testing::{assert_close, gradient, leaf, number, numbers, random};

const VOID_ID: i64 = VOID as i64;

fn masks(ids: &[i64], shape: [usize; 3]) -> Tensor<3, Int> {
    Tensor::from_data(TensorData::new(ids.to_vec(), shape), &Device::flex())
}

fn outputs(logits: Tensor<4>) -> Outputs {
    Outputs {
        prediction: Feature::Map(logits),
        features: Default::default(),
    }
}

/// The loss of `[B, K, H, W]` in the masks' size and its gradient, by the definition.
fn by_definition(
    task: &Segmentation,
    logits: &[f64],
    [batch, classes, pixels]: [usize; 3],
    ids: &[i64],
) -> (f64, Vec<f64>) {
    let weight = |class: usize| task.class_weights.get(class).copied().unwrap_or(1.0);
    let at = |image: usize, class: usize, pixel: usize| {
        logits[(image * classes + class) * pixels + pixel]
    };
    let log_p = |image: usize, class: usize, pixel: usize| {
        let sum: f64 = (0..classes).map(|k| at(image, k, pixel).exp()).sum();
        at(image, class, pixel) - sum.ln()
    };
    let mut places: Vec<(usize, usize, usize)> = Vec::new();
    for image in 0..batch {
        for pixel in 0..pixels {
            let id = ids[image * pixels + pixel];
            if id != VOID_ID {
                places.push((image, pixel, id as usize));
            }
        }
    }
    if let Some(ohem) = task.ohem {
        let mut sorted: Vec<f64> = places
            .iter()
            .map(|&(i, p, y)| log_p(i, y, p).exp())
            .collect();
        sorted.sort_by(f64::total_cmp);
        let least = (ohem.least * sorted.len() as f64).ceil() as usize;
        let limit = sorted[least.max(1) - 1].max(ohem.threshold);
        places.retain(|&(i, p, y)| log_p(i, y, p).exp() <= limit * (1.0 + 1e-12));
    }
    let whole: f64 = places.iter().map(|&(_, _, y)| weight(y)).sum();
    let share = task.label_smoothing / classes as f64;
    let target = |class: usize, y: usize| {
        let hard = (1.0 - task.label_smoothing) * weight(y) * f64::from(u8::from(class == y));
        hard + share * weight(class)
    };
    let (mut value, mut slope) = (0.0, vec![0.0; logits.len()]);
    for &(image, pixel, y) in &places {
        let sum: f64 = (0..classes).map(|class| target(class, y)).sum();
        for class in 0..classes {
            let log_p = log_p(image, class, pixel);
            value -= target(class, y) * log_p / whole;
            slope[(image * classes + class) * pixels + pixel] =
                (sum * log_p.exp() - target(class, y)) / whole;
        }
    }
    (value, slope)
}

#[test]
fn value_and_gradient_are_those_of_the_definition() {
    let shape = [2, 3, 4, 5];
    let ids: Vec<i64> = (0..40)
        .map(|i| match i % 7 {
            0 => VOID_ID,
            i => i % 3,
        })
        .collect();
    let weights = vec![0.5, 2.0, 1.25];
    let hard = Some(Ohem {
        threshold: 0.3,
        least: 0.4,
    });
    for (class_weights, label_smoothing, ohem) in [
        (vec![], 0.0, None),
        (weights.clone(), 0.0, None),
        (vec![], 0.1, None),
        (weights.clone(), 0.1, None),
        (vec![], 0.0, Some(Ohem::default())),
        (weights.clone(), 0.0, hard),
        (weights, 0.2, hard),
    ] {
        let task = Segmentation {
            label_smoothing,
            class_weights,
            ohem,
            ..Segmentation::default()
        };
        let logits = leaf(random("z", shape));
        let target = Target::Masks(masks(&ids, [2, 4, 5]));
        let terms = task.terms(&outputs(logits.clone()), &target).unwrap();
        let [term] = &terms[..] else {
            panic!("one term")
        };
        let flat = numbers(&logits.clone().inner());
        let (value, slope) = by_definition(&task, &flat, [2, 3, 20], &ids);
        assert_close(&[number(&term.value)], &[value]);
        let gradients = term.value.backward();
        assert_close(&gradient(&logits, &gradients).unwrap(), &slope);
    }
}

#[test]
fn logits_are_brought_to_the_masks_size_either_way() {
    for align_corners in [false, true] {
        let task = Segmentation {
            align_corners,
            ..Segmentation::default()
        };
        let small = random("z", [1, 2, 2, 3]);
        let large = resize_bilinear(small.clone(), [5, 7], align_corners);
        let target = Target::Masks(masks(&[0, 1, 1, VOID_ID, 0].repeat(7), [1, 5, 7]));
        let value = |logits| number(&task.terms(&outputs(logits), &target).unwrap()[0].value);
        assert_close(&[value(small)], &[value(large)]);
    }
}

#[test]
fn void_alone_gives_a_loss_of_zero_and_no_gradient() {
    let ohem = Some(Ohem::default());
    for ohem in [None, ohem] {
        let task = Segmentation {
            ohem,
            ..Segmentation::default()
        };
        let logits = leaf(random("z", [1, 3, 2, 2]));
        let target = Target::Masks(masks(&[VOID_ID; 16], [1, 4, 4]));
        let terms = task.terms(&outputs(logits.clone()), &target).unwrap();
        assert_eq!(number(&terms[0].value), 0.0);
        let gradients = terms[0].value.backward();
        let found = gradient(&logits, &gradients).unwrap();
        assert!(found.iter().all(|&slope| slope == 0.0));
        let counted = task.count_right(&Feature::Map(logits), &target);
        assert_eq!(counted, Some([0, 0]));
    }
}

#[test]
fn an_auxiliary_head_is_a_term_of_its_own_where_it_weighs_something() {
    let mut found = outputs(random("z", [1, 2, 2, 2]));
    let head = random("a", [1, 2, 1, 1]);
    found
        .features
        .insert(AUXILIARY.to_owned(), Feature::Map(head.clone()));
    let target = Target::Masks(masks(&[0, 1, 1, 0], [1, 2, 2]));
    let task = Segmentation {
        auxiliary_weight: 0.4,
        ..Segmentation::default()
    };
    assert!(task.taps().wants(AUXILIARY));
    let terms = task.terms(&found, &target).unwrap();
    assert_eq!((terms[1].name.as_str(), terms[1].weight), (AUXILIARY, 0.4));
    let alone = Segmentation::default();
    let expected = &alone.terms(&outputs(head), &target).unwrap()[0].value;
    assert_close(&[number(&terms[1].value)], &[number(expected)]);
    assert!(!alone.taps().wants(AUXILIARY));
    assert_eq!(alone.terms(&found, &target).unwrap().len(), 1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let target = Target::Masks(masks(&[0, 1, 4, 0], [1, 2, 2]));
    let told = |task: &Segmentation, logits| {
        let error = task.terms(&outputs(logits), &target).unwrap_err();
        error.to_string()
    };
    let plain = Segmentation::default();
    let error = told(&plain, random("z", [1, 3, 2, 2]));
    assert!(
        error.contains("5 classes") && error.contains('3'),
        "{error}"
    );
    let error = told(&plain, random("z", [2, 5, 2, 2]));
    assert!(error.contains("2 images"), "{error}");
    let weighted = Segmentation {
        class_weights: vec![1.0; 4],
        ..Segmentation::default()
    };
    let error = told(&weighted, random("z", [1, 5, 2, 2]));
    assert!(error.contains("4 classes"), "{error}");
    let vectors = Outputs::from_logits(random("z", [1, 3]));
    let error = plain.terms(&vectors, &target).unwrap_err().to_string();
    assert!(error.contains("map of logits"), "{error}");
}

#[test]
fn single_precision_agrees() {
    let logits = random("z", [1, 3, 6, 6]);
    let target = Target::Masks(masks(&[0, 1, 2, VOID_ID, 1, 0].repeat(6), [1, 6, 6]));
    let task = Segmentation {
        label_smoothing: 0.1,
        ohem: Some(Ohem::default()),
        ..Segmentation::default()
    };
    let value = |logits| number(&task.terms(&outputs(logits), &target).unwrap()[0].value);
    let (single, double) = (value(logits.clone().cast(DType::F32)), value(logits));
    assert!((single - double).abs() < 1e-5, "{single} {double}");
}
