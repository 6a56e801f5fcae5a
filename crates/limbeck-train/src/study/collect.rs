//! What the runs of a study have found so far.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use limbeck_report::{
    NullDraw, NullExperiment, Results, SeedResult, StudyCell, StudyResults, StudyRun, StudyTeacher,
    VALIDATION, paired_gain,
};

use super::{Study, Training, resampling::two_level};
use crate::{TrainError, run_folder};

/// What a run's environment tells that its bits depend on.
const DECIDES_BITS: [&str; 3] = ["device", "limbeck", "processor"];

/// Reads the results of all finished runs in the study's folder `path`.
///
/// # Errors
/// Results of a later version, a file system that refuses. Runs that are not finished, or whose results are
/// damaged, are left out: going on with the study makes them again.
pub fn collect(study: &Study, path: &Path) -> Result<StudyResults, TrainError> {
    let name = name_of(path);
    let mut found = StudyResults {
        command: format!("limbeck study {name}/study.toml --out NEW_FOLDER"),
        name,
        recipe: study.to_toml()?,
        task: study.task().to_string(),
        seeds: study.seeds(),
        ..StudyResults::default()
    };
    for teacher in study.teachers() {
        let folder = study.folder_of_teacher(path, teacher);
        if let Some(results) = run_folder::finished(&folder)? {
            let value = results.students.first().map_or(f64::NAN, |seed| {
                seed.test.first().map_or(f64::NAN, |measure| measure.value)
            });
            found.teachers.push(StudyTeacher {
                source: teacher.source.clone(),
                network: results.student.name.clone(),
                data: results.data.name.clone(),
                params: results.student.params,
                macs: results.student.macs,
                value,
            });
        }
    }
    let mut classes: BTreeSet<Vec<String>> = BTreeSet::new();
    let mut ran_on: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    // Which images each training has right, by cell and seed.
    let mut right: Vec<Vec<(u64, Vec<bool>)>> = Vec::new();
    for (number, cell) in study.cells().iter().enumerate() {
        let mut of_cell = StudyCell {
            name: cell.name.clone(),
            teacher: cell.key.teacher.clone(),
            student: cell.key.student.clone(),
            method: cell.key.method.clone(),
            shots: cell.key.shots,
            epochs: cell.key.epochs,
            compared_with: (study.compared_with(number))
                .map(|other| study.cells()[other].name.clone()),
            ..StudyCell::default()
        };
        let mut warnings = BTreeSet::new();
        let mut answers = Vec::new();
        for seed in 0..study.seeds() as u64 {
            let training = Training { cell: number, seed };
            let folder = study.folder_of(path, training);
            let Some(results) = run_folder::finished(&folder)? else {
                let seed = cell.recipe.train.seed + seed;
                let failure = run_folder::failure_of(&folder);
                of_cell
                    .failures
                    .extend(failure.map(|reason| (seed, reason)));
                continue;
            };
            let Some(one) = results.students.first() else {
                continue;
            };
            note(&mut found, &mut of_cell, &results);
            classes.insert(results.data.classes.clone());
            for name in DECIDES_BITS {
                let value = results.environment.get(name).cloned();
                ran_on.entry(name).or_default().extend(value);
            }
            warnings.extend(results.warnings.iter().cloned());
            answers.push((one.seed, bits(one)));
            of_cell.runs.push(run_of(&results, one));
        }
        of_cell.warnings = warnings.into_iter().collect();
        right.push(answers);
        found.cells.push(of_cell);
    }
    for number in 0..found.cells.len() {
        let Some(other) = study.compared_with(number) else {
            continue;
        };
        let pairs = right[number].iter().filter_map(|(seed, own)| {
            let (_, other) = right[other].iter().find(|(other, _)| other == seed)?;
            (own.len() == other.len()).then(|| gains(own, other))
        });
        found.cells[number].over_both = two_level(&pairs.collect::<Vec<_>>());
    }
    let differing = ran_on.into_iter().filter(|(_, values)| values.len() > 1);
    found.differing = differing
        .map(|(name, values)| (name.to_owned(), values.into_iter().collect()))
        .collect();
    if classes.len() == 1 {
        found.classes = classes.pop_first().unwrap_or_default();
    }
    found.null = study.recipe().null.map(|seeds| null(&found, &right, seeds));
    Ok(found)
}

/// Compares groups of trainings of the first cell as a method is compared with its baseline.
fn null(found: &StudyResults, right: &[Vec<(u64, Vec<bool>)>], seeds: usize) -> NullExperiment {
    let mut draws = Vec::new();
    if let (Some(cell), Some(answers), Some(measure)) =
        (found.cells.first(), right.first(), &found.measure)
    {
        let both = cell
            .runs
            .chunks_exact(2 * seeds)
            .zip(answers.chunks_exact(2 * seeds));
        for (runs, answers) in both {
            let scores: Vec<f64> = (runs.iter())
                .map(|run| measure.turned(run.value(&measure.name)))
                .collect();
            let (own, others) = scores.split_at(seeds);
            let Some(gain) = paired_gain(own, others) else {
                continue;
            };
            let Some(over_seeds) = gain.ci95 else {
                continue;
            };
            let (own, others) = answers.split_at(seeds);
            let pairs = own.iter().zip(others);
            let gains = pairs.map(|((_, own), (_, other))| gains(own, other));
            draws.push(NullDraw {
                gain: gain.mean,
                over_seeds,
                over_both: two_level(&gains.collect::<Vec<_>>()),
            });
        }
    }
    NullExperiment { seeds, draws }
}

/// What is right more often than beside it, image by image: 1, 0 or −1.
fn gains(own: &[bool], other: &[bool]) -> Vec<i8> {
    let both = own.iter().zip(other);
    both.map(|(&own, &other)| i8::from(own) - i8::from(other))
        .collect()
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// What every run of a cell, or of the study, has in common.
fn note(found: &mut StudyResults, cell: &mut StudyCell, results: &Results) {
    if found.measure.is_none() {
        found.measure = results.compared_by().cloned();
        found.environment.clone_from(&results.environment);
        if let Some(one) = results.students.first() {
            found.measures.clone_from(&one.test.measures);
        }
    }
    cell.data.clone_from(&results.data.name);
    cell.train = results.data.train;
    cell.test = results.data.test;
    cell.params = results.student.params;
    cell.macs = results.student.macs;
    if let Some(teacher) = &results.teacher
        && let Some(source) = &cell.teacher
        && !(found.teachers.iter())
            .any(|one| one.source == *source && one.data == results.data.name)
        && let Some(value) = teacher.test.as_ref().and_then(|test| test.first())
    {
        found.teachers.push(StudyTeacher {
            source: source.clone(),
            network: teacher.name.clone(),
            data: results.data.name.clone(),
            params: teacher.params,
            macs: teacher.macs,
            value: value.value,
        });
    }
}

fn run_of(results: &Results, one: &SeedResult) -> StudyRun {
    let measures = one.test.measures.iter();
    let chosen = results
        .compared_by()
        .map(|measure| format!("{VALIDATION}{}", measure.name));
    let curve = one
        .epochs
        .iter()
        .filter_map(|row| row.measures.get(chosen.as_ref()?).copied());
    StudyRun {
        seed: one.seed,
        measures: measures
            .map(|measure| (measure.name.clone(), measure.value))
            .collect(),
        per_class: one.test.per_class.clone(),
        curve: curve.collect(),
        seconds: one.seconds,
        memory: one.memory,
    }
}

/// Which test images are answered right; nothing of other networks than classifiers.
fn bits(one: &SeedResult) -> Vec<bool> {
    let digits = one.right.chars().filter_map(|digit| digit.to_digit(16));
    digits
        .flat_map(|digit| (0..4).map(move |bit| digit >> (3 - bit) & 1 == 1))
        .collect()
}
