//! What a method is worth in one cell: the numbers that page, table and files show.

use super::{
    found::{StudyCell, StudyResults},
    significance::{LEVEL, holm, p_value},
};
use crate::{
    gain::paired_gain,
    measure::Measure,
    statistics::{interval95, mean},
};

/// A cell next to the one that it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyRow<'a> {
    /// The cell.
    pub cell: &'a StudyCell,
    /// What it is compared with.
    pub beside: &'a StudyCell,
    /// Seeds that both have.
    pub seeds: Vec<u64>,
    /// Mean of what networks are compared by, of all its seeds.
    pub value: Option<f64>,
    /// 95 % interval of that mean.
    pub interval: Option<[f64; 2]>,
    /// The same mean of what it is compared with.
    pub baseline: Option<f64>,
    /// What it is better by for each of the seeds, positive being better.
    pub differences: Vec<f64>,
    /// Their mean.
    pub gain: Option<f64>,
    /// Its 95 % interval by Student's t over the seeds.
    pub over_seeds: Option<[f64; 2]>,
    /// Its 95 % interval over seeds and test images together; of classifiers.
    pub over_both: Option<[f64; 2]>,
    /// Of the paired t-test.
    pub p_value: Option<f64>,
    /// That, corrected for all rows being looked at together.
    pub corrected: Option<f64>,
    /// Mean seconds of a training.
    pub seconds: Option<f64>,
    /// Those divided by the mean of what it is compared with.
    pub cost: Option<f64>,
    /// Mean of the most bytes of buffers that a training held, over the runs that counted them.
    pub memory: Option<f64>,
    /// Those divided by the mean of what it is compared with.
    pub memory_cost: Option<f64>,
}

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StudyVerdict {
    /// Better than chance explains, all rows being looked at together.
    Better,
    /// Worse than chance explains.
    Worse,
    /// Neither.
    Open,
    /// Fewer than two seeds: nothing can be said.
    Unknown,
}

impl StudyVerdict {
    /// In a word or two.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Open => "not settled",
            Self::Unknown => "too few seeds",
        }
    }
}

impl StudyRow<'_> {
    /// Whether it is better or worse once Holm's correction is made.
    pub fn verdict(&self) -> StudyVerdict {
        match (self.corrected, self.gain) {
            (Some(p), Some(gain)) if p <= LEVEL && gain > 0.0 => StudyVerdict::Better,
            (Some(p), Some(gain)) if p <= LEVEL && gain < 0.0 => StudyVerdict::Worse,
            (Some(_), Some(_)) => StudyVerdict::Open,
            _ => StudyVerdict::Unknown,
        }
    }
}

/// A row for each cell that is compared with another, the largest gain first; those that have none yet
/// stand last.
pub fn study_rows(results: &StudyResults) -> Vec<StudyRow<'_>> {
    let Some(measure) = &results.measure else {
        return Vec::new();
    };
    let mut rows: Vec<StudyRow<'_>> = (results.cells.iter())
        .filter_map(|cell| {
            let beside = results.cell(cell.compared_with.as_deref()?)?;
            Some(row(cell, beside, measure))
        })
        .collect();
    let known: Vec<usize> = (0..rows.len())
        .filter(|&row| rows[row].p_value.is_some())
        .collect();
    let p_values: Vec<f64> = known.iter().filter_map(|&row| rows[row].p_value).collect();
    for (&row, corrected) in known.iter().zip(holm(&p_values)) {
        rows[row].corrected = Some(corrected);
    }
    // Those without a gain last, in the order of the cells.
    let by = |row: &StudyRow<'_>| {
        row.gain
            .filter(|gain| gain.is_finite())
            .unwrap_or(f64::NEG_INFINITY)
    };
    rows.sort_by(|a, b| by(b).total_cmp(&by(a)));
    rows
}

/// How far the widest 95 % interval over seeds reaches to either side of its mean; `None` where a row has no
/// interval, or there is no row.
pub fn widest_interval(results: &StudyResults) -> Option<f64> {
    let rows = study_rows(results);
    let reach = rows.iter().map(|row| {
        let [low, high] = row.over_seeds?;
        Some((high - low) / 2.0)
    });
    reach
        .collect::<Option<Vec<f64>>>()?
        .into_iter()
        .reduce(f64::max)
}

fn row<'a>(cell: &'a StudyCell, beside: &'a StudyCell, measure: &Measure) -> StudyRow<'a> {
    let values = |of: &StudyCell| -> Vec<f64> {
        of.runs.iter().map(|run| run.value(&measure.name)).collect()
    };
    let mut seeds = Vec::new();
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for run in &cell.runs {
        let Some(other) = beside.runs.iter().find(|other| other.seed == run.seed) else {
            continue;
        };
        seeds.push(run.seed);
        own.push(measure.turned(run.value(&measure.name)));
        others.push(measure.turned(other.value(&measure.name)));
    }
    let differences: Vec<f64> = own
        .iter()
        .zip(&others)
        .map(|(own, other)| own - other)
        .collect();
    let gain = paired_gain(&own, &others);
    let mean_seconds = |of: &StudyCell| {
        let seconds: Vec<f64> = of.runs.iter().map(|run| run.seconds).collect();
        mean(&seconds)
    };
    let (seconds, of_baseline) = (mean_seconds(cell), mean_seconds(beside));
    let mean_memory = |of: &StudyCell| {
        let counted = of.runs.iter().filter_map(|run| run.memory);
        let bytes: Vec<f64> = counted.map(|bytes| bytes as f64).collect();
        mean(&bytes)
    };
    let (memory, others_memory) = (mean_memory(cell), mean_memory(beside));
    let ratio = |own: Option<f64>, other: Option<f64>| {
        let (own, other) = own.zip(other)?;
        (other > 0.0).then(|| own / other)
    };
    let own_values = values(cell);
    StudyRow {
        cell,
        beside,
        value: mean(&own_values),
        interval: interval95(&own_values),
        baseline: mean(&values(beside)),
        gain: gain.as_ref().map(|gain| gain.mean),
        over_seeds: gain.and_then(|gain| gain.ci95),
        over_both: cell.over_both,
        p_value: p_value(&differences),
        corrected: None,
        seconds,
        cost: ratio(seconds, of_baseline),
        memory,
        memory_cost: ratio(memory, others_memory),
        seeds,
        differences,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::testing::study;

    #[test]
    fn rows_are_paired_by_the_seeds_that_both_have_and_sorted_by_gain() {
        let results = study();
        let rows = study_rows(&results);
        let names: Vec<&str> = rows.iter().map(|row| row.cell.name.as_str()).collect();
        assert_eq!(names, ["kd-resnet8", "at-resnet8", "rkd-resnet8"]);
        let kd = &rows[0];
        assert_eq!(kd.seeds, [0, 1, 2]);
        assert_eq!(kd.differences, [4.0, 5.0, 4.5]);
        assert_eq!(kd.gain, Some(4.5));
        assert_eq!(kd.verdict(), StudyVerdict::Better);
        assert_eq!(kd.cost, Some(1.5));
        // One seed alone.
        assert_eq!(rows[1].verdict(), StudyVerdict::Unknown);
        assert_eq!(rows[2].verdict(), StudyVerdict::Open);
        // One row has no interval.
        assert_eq!(widest_interval(&results), None);
        let mut without = results.clone();
        without.cells.retain(|cell| cell.method != "at");
        let [low, high] = rows[2].over_seeds.unwrap();
        assert_eq!(widest_interval(&without), Some((high - low) / 2.0));
        // Of the three runs with one, 1.5 MB; the baseline's is 1 MB.
        assert_eq!((kd.memory, kd.memory_cost), (Some(1.5e6), Some(1.5)));
        assert_eq!((rows[1].memory, rows[1].memory_cost), (None, None));
        // Two p-values are looked at together.
        let p = kd.p_value.unwrap();
        assert_eq!(kd.corrected, Some(2.0 * p));
    }
}
