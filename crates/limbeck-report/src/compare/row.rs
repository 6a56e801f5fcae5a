//! One run of a comparison: the numbers that page and text both show.

use crate::measure::{AGREEMENT, Measure};
use crate::results::{Gain, Results};
use crate::side::{Role, side, student};
use crate::statistics::{interval95, mean};

/// One run.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its place in the comparison, counted from 1.
    pub number: usize,
    /// All that it found.
    pub results: &'a Results,
    /// What the run's networks are compared by; `None` where nothing was tested.
    pub measure: Option<&'a Measure>,
    /// That of the student of each seed.
    pub values: Vec<f64>,
    /// Their mean.
    pub value: Option<f64>,
    /// 95 % interval of that mean.
    pub interval: Option<[f64; 2]>,
    /// The baseline's mean.
    pub baseline: Option<f64>,
    /// That of the teacher.
    pub teacher: Option<f64>,
    /// How often the student gives the teacher's answer, in percent.
    pub agreement: Option<f64>,
    /// What it is better by than the first run, paired by seed.
    pub to_first: Option<Gain>,
}

/// A row for each run.
pub fn rows(runs: &[Results]) -> Vec<Row<'_>> {
    runs.iter()
        .enumerate()
        .map(|(place, results)| row(place, results, runs.first()))
        .collect()
}

/// What all runs are compared by; `None` where they are not compared by one measure.
pub fn common_measure<'a>(rows: &[Row<'a>]) -> Option<&'a Measure> {
    let mut measures = rows.iter().filter_map(|row| row.measure);
    let first = measures.next()?;
    measures
        .all(|other| other.name == first.name)
        .then_some(first)
}

fn row<'a>(place: usize, results: &'a Results, first: Option<&Results>) -> Row<'a> {
    let measure = results.compared_by();
    let student = student(results);
    let name = measure.map_or("", |measure| measure.name.as_str());
    let mean_of = |role: Role| side(results, role)?.mean(name);
    Row {
        number: place + 1,
        results,
        measure,
        values: student.values(name),
        value: student.mean(name),
        interval: student.interval(name),
        baseline: mean_of(Role::Baseline),
        teacher: mean_of(Role::Teacher),
        agreement: student.mean(AGREEMENT),
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
        resampled: None,
    })
}

/// What `run` is better by than `other` for each seed that both have; none if the two were tested on
/// different images or by different measures.
pub fn pairs(run: &Results, other: &Results) -> Vec<f64> {
    if !same_test(run, other) {
        return Vec::new();
    }
    run.students
        .iter()
        .filter_map(|one| {
            let two = other.students.iter().find(|two| two.seed == one.seed)?;
            Some(one.test.score() - two.test.score())
        })
        .collect()
}

/// Whether two runs were tested on the same images and by the same measure, as far as can be told.
pub fn same_test(run: &Results, other: &Results) -> bool {
    let key = |results: &Results| {
        let data = &results.data;
        let measure = results.compared_by().map(|measure| measure.name.clone());
        (data.name.clone(), data.classes.clone(), data.test, measure)
    };
    key(run) == key(other)
}
