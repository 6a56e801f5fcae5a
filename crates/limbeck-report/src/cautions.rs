//! What a careful reader should know before believing a run's numbers.

use super::headline::teacher_score;
use super::numbers::{count, fixed, percent};
use super::side::{Side, class_name, decimals, student};
use crate::results::{Results, SeedResult};

/// One sentence for each thing that speaks against the numbers.
pub fn cautions(results: &Results) -> Vec<String> {
    let mut cautions = Vec::new();
    let side = student(results);
    let classes = results.data.classes.len();
    if let Some(teacher) = teacher_score(results) {
        if near_chance(teacher, classes) {
            cautions.push(format!(
                "The teacher's {} is near chance for {classes} classes. The usual reasons are \
                 another normalisation, another order of classes or weights of another network.",
                percent(teacher, decimals(results))
            ));
        }
        if side
            .mean(|test| test.top1)
            .is_some_and(|top1| top1 >= teacher)
        {
            cautions.push(
                "The student is not worse than its teacher. That happens with a weak or \
                 briefly trained teacher, and with one that is shown the images in another way than \
                 in its training: its own accuracy is worth a check."
                    .into(),
            );
        }
    }
    if side
        .mean(|test| test.top1)
        .is_some_and(|top1| near_chance(top1, classes))
    {
        cautions.push(format!(
            "An accuracy near chance for {classes} classes: the student has learnt next to nothing."
        ));
    }
    cautions.extend(broken_seeds("student", &results.students));
    cautions.extend(broken_seeds("baseline", &results.baselines));
    cautions.extend(unfair_baseline(results));
    cautions.extend(still_improving(results));
    cautions.extend(few_test_images(results, &side));
    cautions.extend(constant_choice(results, &side));
    cautions.extend(mixed_targets(results));
    cautions
}

fn broken_seeds(what: &str, seeds: &[SeedResult]) -> Option<String> {
    let broken: Vec<String> = seeds
        .iter()
        .filter(|seed| {
            let last = seed.epochs.last();
            !seed.test.top1.is_finite()
                || !seed.test.loss.is_finite()
                || last.is_some_and(|row| !row.loss.is_finite())
        })
        .map(|seed| seed.seed.to_string())
        .collect();
    (!broken.is_empty()).then(|| {
        format!(
            "A loss of the {what} was not finite (seed {}); what is not finite is left out of means.",
            broken.join(", ")
        )
    })
}

fn unfair_baseline(results: &Results) -> Option<String> {
    if results.baselines.is_empty() {
        return None;
    }
    let seeds = |runs: &[SeedResult]| runs.iter().map(|run| run.seed).collect::<Vec<_>>();
    if seeds(&results.students) != seeds(&results.baselines) {
        return Some(
            "Student and baseline were not trained with the same seeds, so their runs are not pairs."
                .into(),
        );
    }
    let lengths = |runs: &[SeedResult]| runs.iter().map(|run| run.epochs.len()).collect::<Vec<_>>();
    (lengths(&results.students) != lengths(&results.baselines)).then(|| {
        "Student and baseline were not trained for the same number of epochs: their budgets differ."
            .into()
    })
}

fn still_improving(results: &Results) -> Option<String> {
    let runs: Vec<_> = results
        .students
        .iter()
        .chain(&results.baselines)
        .filter(|run| run.epochs.len() > 1)
        .collect();
    let late = runs.iter().filter(|run| {
        let last = run.epochs.last().map_or(0, |row| row.epoch);
        run.best_epoch >= last
    });
    let late = late.count();
    (late > 0 && 2 * late >= runs.len()).then(|| {
        format!(
            "In {late} of {} runs the last epoch was the best on validation: with a longer \
             training, accuracies and their order may change.",
            runs.len()
        )
    })
}

/// Normal approximation of the binomial: 1.96 standard errors of a share over the test images.
fn few_test_images(results: &Results, side: &Side) -> Option<String> {
    let top1 = side.mean(|test| test.top1)?;
    let share = (top1 / 100.0).clamp(0.0, 1.0);
    let images = results.data.test;
    if images == 0 {
        return None;
    }
    let half = 196.0 * (share * (1.0 - share) / images as f64).sqrt();
    (half > 1.0).then(|| {
        format!(
            "With {} test images, chance alone moves an accuracy by about ±{} points from one test \
             set to another. Intervals here are over seeds, on the same images.",
            count(images as u64),
            fixed(half, 1)
        )
    })
}

/// A student that gives every image the same class.
fn constant_choice(results: &Results, side: &Side) -> Option<String> {
    let confusion = side.confusion();
    let mut chosen = confusion
        .iter()
        .flat_map(|row| row.iter().enumerate())
        .filter(|(_, images)| **images > 0)
        .map(|(class, _)| class);
    let first = chosen.next()?;
    let several_classes = confusion.iter().filter(|row| row.iter().any(|n| *n > 0));
    (several_classes.count() > 1 && chosen.all(|class| class == first)).then(|| {
        format!(
            "The student chooses the same class for every test image: {}.",
            class_name(results, first)
        )
    })
}

/// A cache knows the images by themselves, not their mixtures.
fn mixed_targets(results: &Results) -> Option<String> {
    let recipe = results.recipe.parse::<toml::Table>().ok()?;
    let source = recipe.get("teacher")?.get("source")?.as_str()?;
    let augment = recipe.get("augment")?;
    let mixes = ["mixup_alpha", "cutmix_alpha"].iter().any(|key| {
        let alpha = augment.get(key).and_then(toml::Value::as_float);
        alpha.is_some_and(|alpha| alpha > 0.0)
    });
    (mixes && source.starts_with("cache:")).then(|| {
        "Images were mixed and the teacher was a cache: its targets are mixtures of what it said \
         of the two images. The teacher itself would have looked at the mixed image, so a run with \
         it gives other numbers."
            .into()
    })
}

fn near_chance(top1: f64, classes: usize) -> bool {
    classes > 1 && top1 <= 150.0 / classes as f64 && top1 < 60.0
}
