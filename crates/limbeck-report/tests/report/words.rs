//! What the headline says of runs that went differently.

use limbeck_report::{Better, Gain, Headline, Measure, Results, headline};

use crate::sample::{details, distilled, pair, plain, unlabelled, value};

fn with_gain(mean: f64, ci95: Option<[f64; 2]>) -> Headline {
    let mut results = distilled(10, if ci95.is_some() { 3 } else { 1 }, 30);
    results.gain = Some(Gain {
        mean,
        ci95,
        resampled: None,
    });
    headline(&results)
}

fn all(headline: &Headline) -> String {
    let Headline {
        title,
        sentences,
        cautions,
    } = headline;
    format!("{title} {} {}", sentences.join(" "), cautions.join(" "))
}

fn set_students(results: &mut Results, top1: f64) {
    for seed in &mut results.students {
        *value(&mut seed.test, "top1") = top1;
    }
}

#[test]
fn an_interval_above_zero_is_a_gain() {
    let found = with_gain(1.92, Some([0.81, 3.03]));
    assert!(found.title.contains("1.92 points better than"), "{found:?}");
    assert!(all(&found).contains("0.81 to 3.03 points (3 seeds, paired)"));
    assert!(all(&found).contains("distillation closes"));
}

#[test]
fn an_interval_that_holds_zero_is_no_gain() {
    for (mean, interval) in [
        (0.39, [-0.62, 1.40]),
        (-0.2, [-0.9, 0.5]),
        (0.1, [0.0, 0.2]),
    ] {
        let found = with_gain(mean, Some(interval));
        assert!(found.title.contains("no sure difference"), "{found:?}");
        assert!(!found.title.contains("better than"));
        assert!(all(&found).contains("holds zero"));
        assert!(!all(&found).contains("distillation closes"));
    }
    let found = with_gain(0.39, Some([-0.62, 1.40]));
    assert!(all(&found).contains("+0.39 points, and its 95 % interval, −0.62 to +1.40"));
}

#[test]
fn an_interval_below_zero_is_a_loss() {
    let found = with_gain(-1.2, Some([-2.0, -0.4]));
    assert!(found.title.contains("1.20 points worse than"), "{found:?}");
    assert!(all(&found).contains("distillation did harm"));
}

#[test]
fn one_seed_proves_nothing() {
    let found = with_gain(1.92, None);
    assert!(found.title.contains("1.92 points better than"), "{found:?}");
    assert!(found.title.ends_with("with a single seed."));
    assert!(all(&found).contains("cannot tell a gain from luck"));
    assert!(!all(&found).contains("distillation closes"));
}

#[test]
fn without_a_baseline_what_the_method_added_is_unknown() {
    let mut results = distilled(10, 3, 30);
    results.gain = None;
    results.baselines.clear();
    let found = headline(&results);
    assert!(
        found.title.contains("points worse than its teacher"),
        "{found:?}"
    );
    assert!(all(&found).contains("unknown: no baseline was trained"));
}

#[test]
fn a_student_that_reaches_its_teacher_casts_doubt_on_the_teacher() {
    let mut results = distilled(10, 3, 30);
    set_students(&mut results, 92.4);
    let found = all(&headline(&results));
    assert!(
        found.contains("scores 1.00 points better than its teacher's 91.40"),
        "{found}"
    );
    assert!(found.contains("not worse than its teacher"), "{found}");
    set_students(&mut results, 91.4);
    let found = all(&headline(&results));
    assert!(found.contains("scores exactly its teacher's"), "{found}");
    assert!(!all(&headline(&distilled(10, 3, 30))).contains("not worse"));
}

#[test]
fn a_student_that_is_not_smaller_is_not_called_smaller() {
    let mut results = distilled(10, 3, 30);
    results.student.params = 2 * results.teacher.as_ref().unwrap().params;
    assert!(all(&headline(&results)).contains("with 2.00 times as many parameters"));
    results.student.params /= 2;
    assert!(all(&headline(&results)).contains("with about as many parameters"));
}

#[test]
fn accuracies_at_chance_are_named() {
    let mut results = distilled(10, 3, 30);
    let teacher = results.teacher.as_mut().unwrap();
    *value(teacher.test.as_mut().unwrap(), "top1") = 11.2;
    assert!(
        all(&headline(&results))
            .contains("The teacher's 11.20\u{a0}% top-1 accuracy is near chance")
    );
    set_students(&mut results, 10.0);
    assert!(all(&headline(&results)).contains("learnt next to nothing"));
}

#[test]
fn a_student_that_always_chooses_one_class_is_found_out() {
    let mut results = plain();
    for row in &mut details(&mut results.students[0].test).confusion {
        let images = row.values().sum();
        *row = [(3, images)].into();
    }
    assert!(all(&headline(&results)).contains("the same class for every test image: Dress"));
}

#[test]
fn a_baseline_of_another_budget_or_other_seeds_is_no_fair_one() {
    let mut results = distilled(10, 3, 30);
    results.baselines[1].epochs.truncate(20);
    assert!(all(&headline(&results)).contains("their budgets differ"));
    results.baselines[1].seed = 99;
    assert!(all(&headline(&results)).contains("not trained with the same seeds"));
}

#[test]
fn few_test_images_are_said_to_be_few() {
    let mut results = distilled(10, 3, 30);
    assert!(!all(&headline(&results)).contains("test images, chance alone"));
    results.data.test = 400;
    set_students(&mut results, 80.0);
    // 1.96 · √(0.8 · 0.2 / 400) = 3.92 points.
    assert!(all(&headline(&results)).contains(
        "With 400 test images, chance alone moves a top-1 accuracy by about ±3.9 points"
    ));
}

#[test]
fn a_training_that_was_still_improving_is_said_to_be_too_short() {
    let mut results = distilled(10, 3, 30);
    for seed in results.students.iter_mut().chain(&mut results.baselines) {
        seed.best_epoch = 12;
    }
    assert!(!all(&headline(&results)).contains("last epoch was the best"));
    for seed in results
        .students
        .iter_mut()
        .chain(&mut results.baselines)
        .take(4)
    {
        seed.best_epoch = 30;
    }
    assert!(all(&headline(&results)).contains("In 4 of 6 runs the last epoch was the best"));
}

#[test]
fn data_without_labels_is_told_by_agreement_with_the_teacher() {
    let found = headline(&unlabelled());
    assert!(
        found
            .title
            .ends_with("agreement with the teacher on the test images."),
        "{found:?}"
    );
    let found = all(&found);
    assert!(found.contains("The data has no labels"), "{found}");
    assert!(
        found.contains("does this with 6.03 times fewer parameters"),
        "{found}"
    );
    assert!(!found.contains("--baseline"), "{found}");
}

#[test]
fn a_measure_of_which_less_is_better_is_told_the_right_way_round() {
    let mut results = distilled(10, 3, 30);
    let to_loss = |measures: &mut Vec<Measure>, value: f64| {
        measures[0] = Measure::cost("depth", "depth error", "mean", "m", value);
    };
    for (seed, value) in results.students.iter_mut().zip([0.50, 0.52, 0.51]) {
        to_loss(&mut seed.test.measures, value);
    }
    for (seed, value) in results.baselines.iter_mut().zip([0.60, 0.63, 0.62]) {
        to_loss(&mut seed.test.measures, value);
    }
    let teacher = results.teacher.as_mut().unwrap();
    to_loss(&mut teacher.test.as_mut().unwrap().measures, 0.40);
    pair(&mut results);
    assert_eq!(results.compared_by().unwrap().better, Better::Lower);
    let found = headline(&results);
    assert!(
        found
            .title
            .contains("reaches 0.510\u{a0}m depth error on the test images, 0.107 m better than"),
        "{found:?}"
    );
    let found = all(&found);
    assert!(
        found.contains("scores 0.110 m worse than its teacher's 0.400\u{a0}m"),
        "{found}"
    );
    assert!(found.contains("distillation closes 49\u{a0}%"), "{found}");
}

#[test]
fn a_teacher_of_other_classes_is_named_as_one_and_not_compared() {
    let mut results = distilled(10, 3, 30);
    let teacher = results.teacher.as_mut().unwrap();
    teacher.test = None;
    teacher.other_classes = ["ant", "bee"].map(str::to_owned).to_vec();
    results.disagreements.clear();
    let found = all(&headline(&results));
    assert!(
        found.contains("knows other classes (2: ant, bee)"),
        "{found}"
    );
    assert!(!found.contains("its teacher's"), "{found}");
    let text = serde_json::to_string(&results).unwrap();
    let read: Results = serde_json::from_str(&text).unwrap();
    assert_eq!(read.teacher, results.teacher);
}
