//! A small study.

use std::collections::BTreeMap;

use super::found::{StudyCell, StudyResults, StudyRun, StudyTeacher};
use crate::measure::Measure;

fn run(seed: u64, value: f64, seconds: f64) -> StudyRun {
    StudyRun {
        seed,
        measures: BTreeMap::from([("top1".to_owned(), value), ("agreement".to_owned(), 80.0)]),
        curve: vec![value - 10.0, value - 2.0, value],
        seconds,
        ..StudyRun::default()
    }
}

fn cell(method: &str, values: &[f64], seconds: f64) -> StudyCell {
    let numbered = values.iter().enumerate();
    StudyCell {
        name: format!("{method}-resnet8"),
        data: "shapes".to_owned(),
        train: 100,
        test: 200,
        teacher: (method != "none").then(|| "resnet20".to_owned()),
        student: "resnet8".to_owned(),
        method: method.to_owned(),
        epochs: 4,
        compared_with: (method != "none").then(|| "none-resnet8".to_owned()),
        params: 78_042,
        macs: 12_500_000,
        runs: numbered
            .map(|(seed, &value)| run(seed as u64, value, seconds))
            .collect(),
        ..StudyCell::default()
    }
}

/// One baseline and three methods: a gain, one seed alone, and nothing.
pub fn study() -> StudyResults {
    let mut none = cell("none", &[60.0, 61.0, 62.0], 2.0);
    let mut kd = cell("kd", &[64.0, 66.0, 66.5], 3.0);
    for (of, memory) in [(&mut none, 1_000_000), (&mut kd, 1_500_000)] {
        of.runs.iter_mut().for_each(|run| run.memory = Some(memory));
    }
    let mut rkd = cell("rkd", &[61.0, 60.0, 63.0], 3.0);
    rkd.failures
        .push((3, "the loss is not finite, in <step 7>".to_owned()));
    StudyResults {
        name: "few-labels".to_owned(),
        recipe: "[study]\nseeds = 4\n".to_owned(),
        command: "limbeck study few.toml --out few-labels".to_owned(),
        measure: Some(Measure::percent(
            "top1",
            "top-1 accuracy",
            "most probable class is right",
            0.0,
        )),
        seeds: 4,
        teachers: vec![StudyTeacher {
            source: "resnet20".to_owned(),
            network: "resnet20".to_owned(),
            data: "shapes".to_owned(),
            params: 272_474,
            macs: 40_800_000,
            value: 90.0,
        }],
        cells: vec![none, kd, cell("at", &[61.5], 2.5), rkd],
        ..StudyResults::default()
    }
}
