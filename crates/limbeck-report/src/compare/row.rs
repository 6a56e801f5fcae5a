//! One run of a comparison: the numbers that page and text both show.

use crate::results::{Gain, Results};
use crate::side::{Role, sides, student};
use crate::statistics::{interval95, mean};

/// One run.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its place in the comparison, counted from 1.
    pub number: usize,
    /// All that it found.
    pub results: &'a Results,
    /// Student's top-1 of each seed, in percent.
    pub values: Vec<f64>,
    /// Their mean.
    pub top1: Option<f64>,
    /// 95 % interval of that mean.
    pub interval: Option<[f64; 2]>,
    /// Baseline's mean top-1.
    pub baseline: Option<f64>,
    /// Teacher's top-1.
    pub teacher: Option<f64>,
    /// Share of test images on which the student chooses the teacher's class, in percent.
    pub agreement: Option<f64>,
    /// Difference to the first run, paired by seed.
    pub to_first: Option<Gain>,
}

/// A row for each run.
pub fn rows(runs: &[Results]) -> Vec<Row<'_>> {
    runs.iter()
        .enumerate()
        .map(|(place, results)| row(place, results, runs.first()))
        .collect()
}

fn row<'a>(place: usize, results: &'a Results, first: Option<&Results>) -> Row<'a> {
    let side = student(results);
    let mean_of = |role: Role| {
        let side = sides(results).into_iter().find(|side| side.role == role)?;
        side.mean(|test| test.top1)
    };
    Row {
        number: place + 1,
        results,
        values: side.values(|test| test.top1),
        top1: side.mean(|test| test.top1),
        interval: side.interval(|test| test.top1),
        baseline: mean_of(Role::Baseline),
        teacher: mean_of(Role::Teacher),
        agreement: side.mean(|test| test.agreement.unwrap_or(f64::NAN)),
        to_first: first
            .filter(|_| place > 0)
            .and_then(|first| difference(results, first)),
    }
}

/// Mean of [`pairs`] with its interval; `None` if there are none.
pub fn difference(run: &Results, other: &Results) -> Option<Gain> {
    let pairs = pairs(run, other);
    Some(Gain {
        mean: mean(&pairs)?,
        ci95: interval95(&pairs),
    })
}

/// Top-1 of `run` minus that of `other` for each seed that both have; none if the two were tested
/// on different images.
pub fn pairs(run: &Results, other: &Results) -> Vec<f64> {
    if !same_test(run, other) {
        return Vec::new();
    }
    run.students
        .iter()
        .filter_map(|one| {
            let two = other.students.iter().find(|two| two.seed == one.seed)?;
            Some(one.test.top1 - two.test.top1)
        })
        .collect()
}

/// Whether two runs were tested on the same images, as far as can be told.
pub fn same_test(run: &Results, other: &Results) -> bool {
    let key = |results: &Results| {
        let data = &results.data;
        (data.name.clone(), data.classes.clone(), data.test)
    };
    key(run) == key(other)
}
