//! `limbeck embed`: features of images, into a file.

use std::collections::BTreeMap;
use std::io::{Write, stdout};
use std::path::Path;

use limbeck::data::{Measured, find};
use limbeck::train::TrainError;
use limbeck::train::embed::{POOLED, embed};
use serde_json::json;

use super::{eval::split_of, predict::load_model, threads};
use crate::arguments::{EmbedArguments, PartName};

/// Embeds and says what was written.
pub fn run(arguments: &EmbedArguments, quiet: bool) -> anyhow::Result<()> {
    threads::set(arguments.threads)?;
    let found = find(Path::new(&arguments.data)).map_err(TrainError::from)?;
    for note in found.notes.iter().filter(|_| !quiet) {
        eprintln!("{note}");
    }
    let name = found.name.clone();
    let which = match arguments.part {
        PartName::Train => Measured::Train,
        PartName::Validation => Measured::Validation,
        PartName::Test => Measured::Test,
        PartName::All => Measured::All,
    };
    let part = found
        .measured(which, &split_of(&arguments.model)?)
        .map_err(TrainError::from)?;
    let images = part
        .source
        .usual_shape()
        .map(|[_, height, width]| [height, width]);
    let model = load_model(&arguments.model, &arguments.file.facts(), images, quiet)?;
    let about = BTreeMap::from(
        [
            ("model", model.network.name()),
            ("model_sha256", &model.sha256),
            ("data", &name),
            ("part", which.name()),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    let out = &arguments.out;
    let embedded = threads::compute(|| embed(&model, &part, &about, out, arguments.workers))?;
    if arguments.json {
        let report = json!({
            "file": out.display().to_string(),
            "names": embedded.names.map(|path| path.display().to_string()),
            "model": model.network.name(),
            "data": name,
            "part": which.name(),
            "tap": POOLED,
            "images": embedded.images,
            "width": embedded.width,
            "labelled": embedded.labelled,
            "classes": part.classes(),
        });
        writeln!(stdout().lock(), "{report:#}")?;
    } else if !quiet {
        let labels = match embedded.labelled {
            true => format!(", labels of {} classes", part.classes().len()),
            false => ", no labels".to_owned(),
        };
        eprintln!(
            "{}: {} features of {} numbers{labels}",
            out.display(),
            embedded.images,
            embedded.width
        );
        if let Some(names) = &embedded.names {
            eprintln!("{}: names of the images", names.display());
        }
    }
    Ok(())
}
