//! Laws of the terms, the acts and the settings.

use burn::tensor::Device;

use super::*;
use crate::testing::{
    assert_close, gradient, labels, leaf, network, network_probe, number, numbers, random,
};

fn make(config: SskdConfig) -> Result<Sskd, MethodError> {
    let mut cast = Cast::new(network("resnet8", 1));
    Sskd::new(config, &network_probe(), &mut cast)
}

fn rows(name: &str) -> RotatedRows {
    RotatedRows {
        logits: random(&format!("{name}/z"), [16, 5]),
        projection: random(&format!("{name}/h"), [16, 6]),
    }
}

#[test]
fn a_student_that_gives_out_what_the_teacher_does_costs_nothing() {
    let method = make(SskdConfig::default()).unwrap();
    let rows = rows("x");
    let found = method
        .student_terms(&rows, &rows, &labels(&[0, 1, 2, 3]))
        .unwrap();
    for term in found.terms {
        assert_close(&[number(&term.value)], &[0.0]);
    }
}

#[test]
fn the_size_of_head_outputs_does_not_matter() {
    let projection = random("h", [16, 6]);
    let larger = similarity(projection.clone().mul_scalar(7.0));
    assert_close(&numbers(&similarity(projection)), &numbers(&larger));
}

#[test]
fn the_ratio_decides_how_many_wrong_rows_are_kept() {
    let scores = random("u", [12, 5]);
    let right = |row: usize| row % 5;
    let all = select(&scores, right, 1.0);
    assert_eq!(all.kept, (0..12).collect::<Vec<_>>());
    let first = select(&scores, right, 0.0);
    let expected: Vec<usize> = (0..12).filter(|&row| all.ranks[row] == 0).collect();
    assert_eq!(first.kept, expected);
    for ratio in [0.2, 0.5, 0.75] {
        let wrong = 12 - expected.len();
        let kept = select(&scores, right, ratio).kept.len();
        assert_eq!(kept, expected.len() + (wrong as f64 * ratio) as usize);
    }
}

#[test]
fn equal_ranks_keep_the_earlier_rows() {
    let scores = Tensor::from_data(
        [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]],
        &Device::flex(),
    );
    let found = select(&scores, |_| 0, 0.67);
    assert_eq!(found.ranks, [1, 1, 1, 0]);
    assert_eq!(found.kept, [0, 1, 3]);
}

#[test]
fn without_a_kept_row_the_term_is_zero() {
    let value = kept_kl(random("s", [6, 5]), random("t", [6, 5]), &[], 4.0);
    assert_eq!(number(&value), 0.0);
}

#[test]
fn gradients_reach_the_student_and_never_the_teacher() {
    let method = make(SskdConfig::default()).unwrap();
    let tracked = |name: &str| RotatedRows {
        logits: leaf(rows(name).logits),
        projection: leaf(rows(name).projection),
    };
    let (student, teacher) = (tracked("s"), tracked("t"));
    let found = method
        .student_terms(&student, &teacher, &labels(&[0, 1, 2, 3]))
        .unwrap();
    let total = found
        .terms
        .into_iter()
        .map(|term| term.value)
        .reduce(|a, b| a + b);
    let gradients = total.unwrap().backward();
    assert!(gradient(&student.logits, &gradients).is_some());
    assert!(gradient(&student.projection, &gradients).is_some());
    assert!(gradient(&teacher.logits, &gradients).is_none());
    assert!(gradient(&teacher.projection, &gradients).is_none());
}

#[test]
fn the_first_stage_has_a_schedule_of_its_own() {
    let method = make(SskdConfig::default()).unwrap();
    let stages = method.stages(240);
    assert_eq!((stages[0].epochs, stages[1].epochs), (60, 240));
    assert_eq!(method.stages(1)[0].epochs, 1);
    let at = |epoch| {
        let progress = Progress {
            epoch,
            epochs: 60,
            step: 0,
            steps: 1,
        };
        method.learning_rate(0, 0, progress, 1.0)
    };
    assert_close(&[at(0), at(30), at(45)], &[0.05, 0.005, 0.0005]);
}

#[test]
fn unfit_settings_images_and_batches_are_refused() {
    for (config, text) in [
        (
            SskdConfig {
                similarity_temperature: 0.0,
                ..SskdConfig::default()
            },
            "`similarity_temperature` must be a number above 0",
        ),
        (
            SskdConfig {
                transfer_ratio: 1.5,
                ..SskdConfig::default()
            },
            "`transfer_ratio` must be a number from 0 to 1",
        ),
    ] {
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let mut probe = network_probe();
    probe.batch = 1;
    let mut cast = Cast::new(network("resnet8", 1));
    let error = Sskd::new(SskdConfig::default(), &probe, &mut cast).unwrap_err();
    assert!(error.to_string().contains("data.batch"), "{error}");
    let error = require_square("sskd", 32, 24).unwrap_err().to_string();
    assert!(
        error.contains("32×24") && error.contains("square"),
        "{error}"
    );
    let method = make(SskdConfig::default()).unwrap();
    let error = method.student_terms(&rows("s"), &rows("t"), &labels(&[0, 1, 2]));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("3 labels need 12 rows")
    );
}
