//! Reports of runs of every shape.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compare;
mod continual;
mod detected;
mod files;
mod html;
mod pretraining;
mod sample;
mod segmented;
mod studied;
mod words;

use std::path::PathBuf;

use limbeck_report::{Evaluation, Measure, Results, render};
use sample::{details, distilled, pair, plain, self_distilled, unlabelled, value};

/// Where pages are left to be looked at.
fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Checks what holds for every page and leaves it to be looked at.
fn checked(name: &str, page: String) -> String {
    html::check(&page);
    std::fs::write(folder().join(format!("{name}.html")), &page).unwrap();
    page
}

#[test]
fn a_distilled_run_shows_its_gain_its_interval_and_all_sections() {
    let results = distilled(10, 3, 30);
    let page = checked("distilled", render(&results));
    for part in [
        "points better than the same network trained on labels alone",
        "95 % interval",
        "id=\"comparison\"",
        "id=\"seeds\"",
        "id=\"training\"",
        "id=\"disagreements\"",
        "id=\"classes\"",
        "id=\"confusion\"",
        "id=\"calibration\"",
        "id=\"provenance\"",
        "7.43\u{a0}M",
        "6.01× smaller",
        "5.59× faster",
        "Loss term kd",
        "temperature = 4.0",
        "<span>--method</span>",
        "Ankle boot",
        "AMD EPYC 7B13",
        "<code>layer3</code>",
    ] {
        assert!(page.contains(part), "{part} is missing");
    }
    // The best and the last epoch of each student, and which was kept.
    let seed = &results.students[0];
    for epoch in [seed.best_epoch, 30] {
        let value = seed.epochs[epoch - 1].validation("top1").unwrap();
        let cell = format!("{value:.2}\u{a0}%<small>{epoch}");
        assert!(page.contains(&cell), "{cell} is missing");
    }
    assert!(page.contains("Weights that were kept: the epoch that is best"));
    let gain = results.gain.unwrap();
    assert!(page.contains(&format!("+{:.2}", gain.mean)));
    for end in gain.ci95.unwrap() {
        assert!(page.contains(&format!("{end:.2}")));
    }
    for seed in results.students.iter().chain(&results.baselines) {
        assert!(page.contains(&format!("{:.2}\u{a0}%", seed.test.score())));
    }
    assert_eq!(page.matches("<li class=\"picture\">").count(), 12);
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 12);
}

#[test]
fn a_plain_run_has_no_word_of_teacher_student_or_baseline_outside_its_recipe() {
    let mut results = plain();
    results.recipe.clear();
    results.command.clear();
    let page = checked("plain", render(&results));
    let body = page.split("</style>").nth(1).unwrap().to_lowercase();
    let body = body
        .replace("var(--student)", "")
        .replace("student's input", "");
    for word in ["teacher", "student", "baseline", "distil"] {
        let found = body
            .find(word)
            .map(|place| &body[place.saturating_sub(60)..place + 20]);
        assert_eq!(found, None, "{word}");
    }
    assert!(page.contains("id=\"confusion\"") && page.contains("id=\"training\""));
}

#[test]
fn a_self_distilled_run_has_pairs_and_no_teacher() {
    let page = checked("self", render(&self_distilled()));
    assert!(page.contains("Student minus baseline"));
    assert!(!page.contains("Teacher"));
    assert!(!page.contains("id=\"disagreements\""));
    assert!(!page.contains("Agreement with"));
}

#[test]
fn a_hundred_classes_show_the_most_confused_pairs_instead_of_the_matrix() {
    let page = checked("hundred", render(&distilled(100, 1, 5)));
    assert!(!page.contains("Confusion matrix") && page.contains("Confused most"));
    assert!(page.contains("84 classes between"));
    let page = checked("twenty", render(&distilled(20, 2, 8)));
    assert!(page.contains("Confusion matrix") && page.contains("Confused most"));
}

#[test]
fn results_without_anything_in_them_are_a_page() {
    let page = checked("empty", render(&Results::default()));
    assert!(page.contains("There is no test result"));
    let mut results = distilled(10, 0, 0);
    results.disagreements.clear();
    checked("no-seeds", render(&results));
    let mut results = distilled(0, 2, 3);
    results.data.test = 0;
    checked("no-classes", render(&results));
}

#[test]
fn runs_of_no_epoch_and_of_one_epoch_are_pages() {
    let page = checked("no-epochs", render(&distilled(10, 2, 0)));
    assert!(page.contains("No epochs were recorded"));
    checked("one-epoch", render(&distilled(10, 2, 1)));
}

#[test]
fn what_is_not_finite_is_said_and_drawn_nowhere() {
    let mut results = distilled(10, 3, 12);
    let broken = &mut results.students[1];
    for (place, row) in broken.epochs.iter_mut().enumerate().skip(6) {
        row.loss = if place % 2 == 0 {
            f64::NAN
        } else {
            f64::INFINITY
        };
        row.measures.insert("validation_loss".into(), f64::NAN);
        row.measures.insert("validation_top1".into(), 1e300);
        row.terms.insert("kd".into(), f64::NEG_INFINITY);
        row.terms.insert("never".into(), f64::NAN);
    }
    *value(&mut broken.test, "top1") = f64::NAN;
    *value(&mut broken.test, "loss") = f64::NAN;
    details(&mut broken.test).calibration[3] = (7, f64::NAN, f64::INFINITY);
    broken.seconds = f64::NAN;
    results.student.latency_ms = f64::NAN;
    results.disagreements[0].student.1 = f64::NAN;
    pair(&mut results);
    let page = checked("not-finite", render(&results));
    assert!(page.contains("not finite"));
    assert!(page.contains("the gain could not be computed"));
    for seed in &mut results.students {
        seed.test = Evaluation {
            measures: vec![Measure::percent("top1", "top-1 accuracy", "", f64::NAN)],
            ..Evaluation::default()
        };
    }
    checked("nothing-finite", render(&results));
}

#[test]
fn shapes_that_do_not_fit_together_are_a_page() {
    let mut results = distilled(10, 3, 12);
    results.baselines.pop();
    results.data.classes.truncate(4);
    details(&mut results.students[0].test).confusion.truncate(7);
    details(&mut results.students[1].test).confusion[2] = (0..31).map(|class| (class, 5)).collect();
    details(&mut results.students[2].test)
        .calibration
        .truncate(3);
    results.students[0].test.per_class.truncate(2);
    results.students[2].epochs.truncate(5);
    results.students[2].best_epoch = 4_000;
    results.disagreements[0].label = Some(usize::MAX);
    results.disagreements[1].png = "\"><script>alert(1)</script>".into();
    results.disagreements[2].png.clear();
    results.students[0].seed = u64::MAX;
    results.student.params = u64::MAX;
    results.student.macs = 0;
    let page = checked("ragged", render(&results));
    assert!(page.contains("no picture"));
    assert!(page.contains("class 18446744073709551615"));
}

#[test]
fn hostile_names_stay_text() {
    let attack = "</style></text><script>alert('x')</script>\"&amp; onload=\"x";
    let mut results = distilled(10, 2, 4);
    results.run = attack.into();
    results.method = attack.into();
    results.command = attack.into();
    results.recipe = attack.into();
    results.data.name = attack.into();
    results.data.classes = (0..10).map(|class| format!("{attack}{class}")).collect();
    results.student.name = attack.into();
    results.pairs[0] = (attack.into(), attack.into());
    results.environment.insert(attack.into(), attack.into());
    for row in &mut results.students[0].epochs {
        row.terms.insert(attack.into(), 1.0);
    }
    let page = checked("hostile", render(&results));
    assert!(!page.contains("<script"));
    assert!(page.contains("&lt;script&gt;"));
}

#[test]
fn a_long_training_with_many_seeds_stays_a_small_page() {
    let page = checked("long", render(&distilled(10, 40, 1000)));
    assert!(page.len() < 8_000_000, "{} bytes", page.len());
    assert!(page.contains("<small>1000"));
}

#[test]
fn the_same_results_give_the_same_page() {
    let results = distilled(10, 3, 6);
    assert_eq!(render(&results), render(&results.clone()));
}

#[test]
fn data_without_labels_has_a_page_of_what_can_be_told() {
    let page = checked("unlabelled", render(&unlabelled()));
    assert!(page.contains("Agreement with the teacher") && page.contains("Divergence from"));
    assert!(page.contains("Who is right, the data does not tell"));
    assert_eq!(page.matches("<li class=\"picture\">").count(), 12);
    for gone in [
        "right class",
        "✓",
        "✗",
        "id=\"classes\"",
        "id=\"confusion\"",
    ] {
        assert!(!page.contains(gone), "{gone}");
    }
}
