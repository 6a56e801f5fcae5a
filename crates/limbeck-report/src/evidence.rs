//! What studies have found, a row for each method in each setting.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::{
    numbers::{MISSING, count, fixed, signed},
    study::{StudyResults, study_rows},
};

/// What a method was worth in one setting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRow {
    /// Name of the study.
    pub study: String,
    /// What was learnt: classification, segmentation, detection or pre-training.
    pub task: String,
    /// Name of the method.
    pub method: String,
    /// Network of the student.
    pub student: String,
    /// Teacher as the study names it; `None` of a method without one.
    pub teacher: Option<String>,
    /// Name of the data.
    pub data: String,
    /// Images to train on.
    pub images: usize,
    /// Epochs of each training.
    pub epochs: usize,
    /// Trainings, each next to one without the method.
    pub seeds: usize,
    /// What networks are compared by.
    pub measure: String,
    /// Its mean over the seeds.
    pub value: f64,
    /// That of the same student without the method.
    pub baseline: f64,
    /// Method of the latter.
    pub beside: String,
    /// Mean of what it is better by, positive being better.
    pub gain: f64,
    /// 95 % interval of that over seeds; `None` for one seed.
    pub over_seeds: Option<[f64; 2]>,
    /// What that says, with Holm's correction for all rows of the study.
    pub verdict: String,
    /// Time of a training as a multiple of the other's.
    pub cost: Option<f64>,
}

impl EvidenceRow {
    /// Whether the study settled that it is better.
    pub fn is_better(&self) -> bool {
        self.verdict == crate::StudyVerdict::Better.in_words()
    }

    /// The gain with its interval and what it rests on, in a part of a sentence.
    pub fn in_words(&self) -> String {
        let interval = self.over_seeds.map_or(String::new(), |[low, high]| {
            format!(" ({} to {})", signed(low, 1), signed(high, 1))
        });
        let teacher = self.teacher.as_ref();
        format!(
            "{}{interval} of {} over {} seeds in the study {}: {}{} on {} images of {}, {} epochs",
            signed(self.gain, 1),
            self.measure,
            self.seeds,
            self.study,
            teacher.map_or(String::new(), |teacher| format!("{teacher} → ")),
            self.student,
            count(self.images as u64),
            self.data,
            self.epochs
        )
    }
}

/// The rows of a study that have a gain, the largest first.
pub fn evidence_of(results: &StudyResults) -> Vec<EvidenceRow> {
    let Some(measure) = &results.measure else {
        return Vec::new();
    };
    let rows = study_rows(results);
    let rows = rows.iter().filter_map(|row| {
        Some(EvidenceRow {
            study: results.name.clone(),
            task: results.task.clone(),
            method: row.cell.method.clone(),
            student: row.cell.student.clone(),
            teacher: row.cell.teacher.clone(),
            data: row.cell.data.clone(),
            images: row.cell.train,
            epochs: row.cell.epochs,
            seeds: row.seeds.len(),
            measure: measure.title.clone(),
            value: row.value?,
            baseline: row.baseline?,
            beside: row.beside.method.clone(),
            gain: row.gain.filter(|gain| gain.is_finite())?,
            over_seeds: row.over_seeds,
            verdict: row.verdict().in_words().to_owned(),
            cost: row.cost,
        })
    });
    rows.collect()
}

/// Rows as a table in Markdown; `link` gives the address of a study's page.
pub fn evidence_table<'a>(
    rows: impl IntoIterator<Item = &'a EvidenceRow>,
    link: impl Fn(&str) -> Option<String>,
) -> String {
    let mut text = String::from(
        "| study | networks | images, epochs | seeds | with it | without | gain | 95 % over seeds | | time |\n\
         | --- | --- | --- | ---: | ---: | ---: | ---: | --- | --- | ---: |\n",
    );
    for row in rows {
        let study = match link(&row.study) {
            Some(address) => format!("[{}]({address})", row.study),
            None => row.study.clone(),
        };
        let networks = match &row.teacher {
            Some(teacher) => format!("{teacher} → {}", row.student),
            None => row.student.clone(),
        };
        let interval = row.over_seeds.map_or(MISSING.to_owned(), |[low, high]| {
            format!("{} to {}", signed(low, 1), signed(high, 1))
        });
        let _ = writeln!(
            text,
            "| {study} | {networks} | {} of {}, {} | {} | {} | {} | {} | {interval} | {} | {} |",
            count(row.images as u64),
            row.data,
            row.epochs,
            row.seeds,
            fixed(row.value, 1),
            fixed(row.baseline, 1),
            signed(row.gain, 1),
            row.verdict,
            row.cost
                .map_or(MISSING.to_owned(), |cost| format!("×{cost:.1}")),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::testing::study;

    #[test]
    fn rows_say_what_a_study_settled() {
        let mut results = study();
        results.task = "classification".to_owned();
        let rows = evidence_of(&results);
        assert_eq!(rows.len(), 3);
        assert!(rows[0].is_better() && rows[0].method == "kd" && rows[0].beside == "none");
        assert!(rows[1..].iter().all(|row| !row.is_better()));
        let words = rows[0].in_words().replace('\u{a0}', " ");
        assert!(
            words.starts_with("+4.5 (+3.3 to +5.7) of top-1 accuracy over 3 seeds in the study few-labels: resnet20 → resnet8"),
            "{words}"
        );
        let table = evidence_table(&rows[..1], |study| Some(format!("../study/{study}")));
        assert!(table.lines().count() == 3 && table.contains("[few-labels](../study/few-labels)"));
    }
}
