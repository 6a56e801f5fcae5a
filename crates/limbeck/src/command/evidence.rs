//! What the studies in `docs/study` have found: rows for the pages of methods, and the method where
//! none is named.

use limbeck::methods::BASELINE;
use limbeck::report::EvidenceRow;
use limbeck::train::{
    TrainError,
    experiment::{Plan, Stock},
    recipe::Recipe,
};

use super::threads;

/// Generated from their `results.json`.
const ROWS: &str = include_str!("evidence.json");

/// Asks for the method that the evidence supports.
pub const AUTO: &str = "auto";

/// The method that nothing speaks for but its age and its few needs: it works for any two networks that
/// tell the same classes apart.
const PLAINEST: &str = "kd";

/// All rows, study by study, the largest gain first.
pub fn rows() -> anyhow::Result<Vec<EvidenceRow>> {
    Ok(serde_json::from_str(ROWS)?)
}

/// Those of a method.
pub fn of<'a>(rows: &'a [EvidenceRow], method: &str) -> Vec<&'a EvidenceRow> {
    rows.iter().filter(|row| row.method == method).collect()
}

/// The recipe with the method that the evidence supports, and why, in a sentence. `named` gives the recipe with
/// a method's name in it; what is opened on the way stays in `stock`.
///
/// Methods are tried that a study of the same task has settled to be better than their baseline: those of the
/// study whose training images and epochs are nearest first, then by the lower end of the gain's interval. Where
/// there is a teacher, only those that learn from one. The first that can be used with this data, teacher and
/// student is chosen.
///
/// # Errors
/// A recipe that cannot run with the plainest method either.
pub fn choose(
    named: impl Fn(&str) -> anyhow::Result<Recipe>,
    stock: &mut Stock,
) -> anyhow::Result<(Recipe, String)> {
    let plain = named(PLAINEST)?;
    threads::set(plain.train.threads)?;
    let has_teacher = plain.teacher.source.is_some();
    let plan = match has_teacher {
        true => Plan::of(plain.clone(), stock)?,
        // What is asked for without a teacher is told by what lacks one.
        false => match Plan::of(named(BASELINE)?, stock) {
            Ok(plan) => plan,
            Err(_) => Plan::of(plain.clone(), stock)?,
        },
    };
    let budget = [plan.dataset.train.len(), plan.epochs];
    for row in ranked(rows()?, &plan.task.to_string(), budget, has_teacher) {
        let recipe = named(&row.method)?;
        let usable: Result<Plan, TrainError> = Plan::of(recipe.clone(), stock);
        if usable.is_ok() {
            let far = match distance(&row, budget) > FAR {
                true => ", which says little about so different a budget",
                false => "",
            };
            return Ok((recipe, format!("{}: {}{far}", row.method, row.in_words())));
        }
    }
    let why = format!(
        "{PLAINEST}: no study has settled a method for {} that fits these networks",
        plan.task
    );
    Ok((plain, why))
}

/// Distance from which on a study says little: four times as many images, or epochs, or twice of both.
const FAR: f64 = 1.4;

/// How far a study is from `[images, epochs]`: the logarithms of both ratios, added.
fn distance(row: &EvidenceRow, [images, epochs]: [usize; 2]) -> f64 {
    let ratio = |own: usize, other: usize| (own.max(1) as f64 / other.max(1) as f64).ln().abs();
    ratio(row.images, images) + ratio(row.epochs, epochs)
}

/// The rows that speak for a method, the one to try first in front.
fn ranked(
    rows: Vec<EvidenceRow>,
    task: &str,
    budget: [usize; 2],
    has_teacher: bool,
) -> Vec<EvidenceRow> {
    let mut rows: Vec<EvidenceRow> = rows
        .into_iter()
        .filter(|row| row.task == task && row.is_better() && row.beside == BASELINE)
        .filter(|row| row.teacher.is_some() == has_teacher)
        .collect();
    let low = |row: &EvidenceRow| row.over_seeds.map_or(f64::NEG_INFINITY, |[low, _]| low);
    rows.sort_by(|a, b| {
        let nearer = distance(a, budget).total_cmp(&distance(b, budget));
        nearer.then(low(b).total_cmp(&low(a)))
    });
    let mut known = Vec::new();
    rows.retain(|row| {
        let is_new = !known.contains(&row.method);
        known.push(row.method.clone());
        is_new
    });
    rows
}

#[cfg(test)]
mod tests {
    use limbeck::methods::entries;

    use super::*;

    fn row(study: &str, method: &str, images: usize, low: f64, verdict: &str) -> EvidenceRow {
        EvidenceRow {
            study: study.to_owned(),
            task: "classification".to_owned(),
            method: method.to_owned(),
            teacher: Some("resnet20".to_owned()),
            images,
            epochs: 20,
            beside: BASELINE.to_owned(),
            over_seeds: Some([low, low + 1.0]),
            verdict: verdict.to_owned(),
            ..EvidenceRow::default()
        }
    }

    #[test]
    fn the_nearest_study_comes_first_and_what_is_not_settled_nowhere() {
        let mut alone = row("few", "byot", 2000, 9.0, "better");
        alone.teacher = None;
        let rows = vec![
            row("many", "at", 50_000, 3.0, "better"),
            row("few", "kd", 2000, 1.0, "better"),
            row("few", "dkd", 2000, 2.0, "better"),
            row("few", "crd", 2000, 0.5, "not settled"),
            row("many", "kd", 50_000, 0.5, "better"),
            alone,
        ];
        let order = |images, task: &str, has_teacher| -> Vec<String> {
            let ranked = ranked(rows.clone(), task, [images, 20], has_teacher);
            ranked.into_iter().map(|row| row.method).collect()
        };
        assert_eq!(order(1000, "classification", true), ["dkd", "kd", "at"]);
        assert_eq!(order(40_000, "classification", true), ["at", "kd", "dkd"]);
        assert_eq!(order(1000, "classification", false), ["byot"]);
        assert!(order(1000, "detection", true).is_empty());
    }

    #[test]
    fn every_row_is_of_a_method() {
        for row in rows().unwrap() {
            assert!(entries(&row.method).is_ok(), "{}", row.method);
        }
    }
}
