//! What a careful reader should know before believing a run's numbers.

use super::classification;
use super::detection;
use super::segmentation;
use super::side::{Role, decimals, side, student, teacher_value};
use crate::results::{Results, SeedResult};

/// One sentence for each thing that speaks against the numbers.
pub fn cautions(results: &Results) -> Vec<String> {
    let mut cautions = results.warnings.clone();
    cautions.extend(beside_chance(results));
    cautions.extend(broken_seeds("student", &results.students));
    cautions.extend(broken_seeds("baseline", &results.baselines));
    cautions.extend(broken_seeds("upper bound", &results.bounds));
    cautions.extend(unfair_baseline(results));
    cautions.extend(low_bound(results));
    cautions.extend(few_pseudo_boxes(results));
    cautions.extend(still_improving(results));
    cautions.extend(classification::cautions(results));
    cautions.extend(segmentation::cautions(results));
    cautions.extend(detection::cautions(results));
    cautions.extend(mixed_targets(results));
    cautions
}

fn beside_chance(results: &Results) -> Vec<String> {
    let Some(measure) = results.compared_by() else {
        return Vec::new();
    };
    let digits = decimals(results);
    let student = student(results).mean(&measure.name);
    let mut cautions = Vec::new();
    if let Some(teacher) = teacher_value(results) {
        if measure.is_near_chance(teacher) {
            cautions.push(format!(
                "The teacher's {} {} is near chance. The usual reasons are another normalisation, \
                 another order of classes or weights of another network.",
                measure.write(teacher, digits),
                measure.title
            ));
        }
        if student.is_some_and(|value| measure.turned(value) >= measure.turned(teacher)) {
            cautions.push(
                "The student is not worse than its teacher. That happens with a weak or briefly \
                 trained teacher, and with one that is shown the images in another way than in its \
                 training: what it reaches on its own is worth a check."
                    .into(),
            );
        }
    }
    if student.is_some_and(|value| measure.is_near_chance(value)) {
        let title = &measure.title;
        cautions.push(format!(
            "With a {title} near chance, the student has learnt next to nothing."
        ));
    }
    cautions
}

fn broken_seeds(what: &str, seeds: &[SeedResult]) -> Option<String> {
    let broken: Vec<String> = seeds
        .iter()
        .filter(|seed| {
            let last = seed.epochs.last();
            let measures = &seed.test.measures;
            measures.iter().any(|measure| !measure.value.is_finite())
                || last.is_some_and(|row| !row.loss.is_finite())
        })
        .map(|seed| seed.seed.to_string())
        .collect();
    (!broken.is_empty()).then(|| {
        format!(
            "A result of the {what} was not finite (seed {}); what is not finite is left out of means.",
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

/// An upper bound that the baseline reaches.
fn low_bound(results: &Results) -> Option<String> {
    let measure = results.compared_by()?;
    let of = |role: Role| Some(measure.turned(side(results, role)?.mean(&measure.name)?));
    (of(Role::UpperBound)? <= of(Role::Baseline)?).then(|| {
        "The upper bound is not better than the baseline: there is no gap that adaptation could close. The \
         usual reasons are few images of the target, a brief training, or domains that hardly differ."
            .into()
    })
}

/// Pseudo boxes of an image in the last epoch below which a target was hardly looked at.
const FEWEST_PSEUDO_BOXES: f64 = 0.02;

/// A teacher that was sure of nothing in the pictures of the target.
fn few_pseudo_boxes(results: &Results) -> Option<String> {
    let found: Vec<f64> = results
        .students
        .iter()
        .filter_map(|run| run.epochs.last()?.terms.get("pseudo_boxes").copied())
        .collect();
    let most = found.iter().copied().reduce(f64::max)?;
    (most < FEWEST_PSEUDO_BOXES).then(|| {
        format!(
            "Next to nothing was learnt from the target: the teacher was sure of {most:.3} objects a picture \
             there in the last epoch. Lower method.ssdayolo.confidence, or start from a network that was \
             trained on the source for longer (--weights)."
        )
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
             training, results and their order may change.",
            runs.len()
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
