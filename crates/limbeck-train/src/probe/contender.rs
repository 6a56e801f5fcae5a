//! The networks of a run that are judged.

use std::path::{Path, PathBuf};

use limbeck_methods::{TaskKind, pretrains};
use limbeck_report::Results;

use crate::{
    TrainError,
    job::{Choice, weights_name},
    run_folder::{self, RunFolder},
};

/// Networks that were trained alike, from several seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    /// `teacher`, `student` or `baseline`.
    pub name: String,
    /// Seed and file of each.
    pub files: Vec<(u64, PathBuf)>,
}

/// The networks of the finished run in `path`: its students, their baselines where there are any, and
/// the teacher where it was trained there.
///
/// # Errors
/// A folder that is not a finished run's; weights that are gone.
pub fn contenders(path: &Path) -> Result<Vec<Contender>, TrainError> {
    let results: Results = run_folder::results_of(path)?;
    let folder = RunFolder::open(path)?;
    let recipe = folder.recipe()?;
    let task = match pretrains(&recipe.method.name) {
        Ok(true) => TaskKind::Pretraining,
        _ => TaskKind::Classification,
    };
    let choice = Choice::of(&recipe, results.data.validation, task);
    let weights = weights_name(&choice);
    let file = |job: &str| folder.job(job).join(weights);
    let mut found = Vec::new();
    if folder.job("teacher").is_dir() {
        found.push(Contender {
            name: "teacher".to_owned(),
            files: vec![(recipe.train.seed, file("teacher"))],
        });
    }
    for (name, seeds) in [
        ("student", &results.students),
        ("baseline", &results.baselines),
    ] {
        if seeds.is_empty() {
            continue;
        }
        let of = |seed: u64| (seed, file(&format!("{name}-{seed}")));
        found.push(Contender {
            name: name.to_owned(),
            files: seeds.iter().map(|seed| of(seed.seed)).collect(),
        });
    }
    let files = found.iter().flat_map(|contender| &contender.files);
    if let Some((_, gone)) = files.into_iter().find(|(_, file)| !file.is_file()) {
        return Err(TrainError::RunFolder {
            path: path.to_owned(),
            reason: format!(
                "`{}` is not there, and the run's networks are what is judged",
                gone.display()
            ),
        });
    }
    Ok(found)
}
