//! `limbeck fewshot`: what a few stored features of each class are worth.

use std::io::{Write, stdout};

use limbeck::methods::{MethodError, SgvaConfig};
use limbeck::train::TrainError;
use limbeck::train::fewshot::{Request, run as measure};
use limbeck::train::{files, run_folder};
use serde_json::{Map, Value, json};

use super::threads;
use crate::arguments::FewshotArguments;
use crate::exit::Usage;
use crate::progress::Counted;

/// Name of the file with everything that was found.
const RESULTS: &str = "fewshot.json";

/// Episodes where none were asked for.
const EPISODES: usize = 100;

/// Images of each class to test on in an episode: the usual number.
const QUERIES: usize = 15;

/// Measures, prints a table and writes the file.
pub fn run(arguments: &FewshotArguments, quiet: bool) -> anyhow::Result<()> {
    let settings = settings(&arguments.set)?;
    let out = &arguments.out;
    if run_folder::is_taken(out) {
        return Err(Usage(format!(
            "the output `{}` exists; --out names a new folder",
            out.display()
        ))
        .into());
    }
    threads::set(arguments.threads)?;
    let by_way = |number: usize| arguments.way.map(|_| number);
    let draws = by_way(arguments.episodes.unwrap_or(EPISODES)).unwrap_or(arguments.draws);
    let request = Request {
        features: arguments.features.clone(),
        labels: arguments.labels.clone(),
        test: arguments.test.clone(),
        test_labels: arguments.test_labels.clone(),
        texts: arguments.texts.clone(),
        texts_key: arguments.texts_key.clone(),
        projection: arguments.projection.clone(),
        shots: arguments.shots.clone(),
        draws,
        way: arguments.way,
        queries: arguments.queries.or(by_way(QUERIES)),
        seed: arguments.seed,
        settings,
    };
    let mut progress = Counted::new("draws", quiet);
    let results =
        threads::compute(|| measure(&request, |done| progress.show(done as u64, draws as u64)))
            .map_err(TrainError::from)?;
    progress.finish();
    for warning in &results.warnings {
        eprintln!("warning: {warning}");
    }
    let report = json!(results);
    if !out.is_dir() {
        files::create_new_folder(out).map_err(TrainError::from)?;
    }
    let file = out.join(RESULTS);
    files::write_whole(&file, format!("{report:#}\n").as_bytes()).map_err(TrainError::from)?;
    let mut stdout = stdout().lock();
    match arguments.json {
        true => writeln!(stdout, "{report:#}")?,
        false => write!(stdout, "{}", results.table())?,
    }
    if !quiet {
        eprintln!("{}", file.display());
    }
    Ok(())
}

/// The method's settings with these changed, each `KEY=VALUE`.
fn settings(set: &[String]) -> anyhow::Result<SgvaConfig> {
    let mut table = Map::new();
    for assignment in set {
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(Usage(format!(
                "--set {assignment}: expected KEY=VALUE, such as lambda=0.2"
            ))
            .into());
        };
        let value = value.trim();
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        table.insert(key.trim().to_owned(), value);
    }
    serde_json::from_value(Value::Object(table)).map_err(|error| {
        MethodError::Configuration {
            method: "sgva".to_owned(),
            reason: format!("{error} (see `limbeck methods sgva`)"),
        }
        .into()
    })
}
