//! `limbeck bench data`.

use std::io::{Write, stdout};
use std::path::Path;

use limbeck::train::TrainError;
use limbeck::train::bench::{DataBench, Machine};
use serde_json::{Map, json};

use super::{MOST_IMAGES, MOST_RUNS, check, report::print_json};
use crate::arguments::DataBenchArguments;
use crate::command::inspect::parse_sizes;
use crate::exit::Usage;

/// Reads the training part of a data set as training does, and tells how fast that is.
pub fn run(arguments: &DataBenchArguments) -> anyhow::Result<()> {
    let size: [usize; 2] = parse_sizes(&arguments.size).ok_or_else(|| {
        Usage(format!(
            "--size must be height and width, such as 360x360, found `{}`",
            arguments.size
        ))
    })?;
    check("--runs", arguments.runs, MOST_RUNS)?;
    check("--batch", arguments.batch, MOST_IMAGES)?;
    let bench = DataBench {
        size,
        batch: arguments.batch,
        workers: arguments.workers,
        runs: arguments.runs,
    };
    let rates = bench
        .run(Path::new(&arguments.data))
        .map_err(TrainError::from)?;
    if arguments.json {
        let keys = [
            ("images", json!(rates.images)),
            ("masks", json!(rates.masks)),
            ("size", json!(size)),
            ("batch", json!(arguments.batch)),
            ("workers", json!(arguments.workers)),
            ("first_per_second", json!(rates.first_per_second)),
            ("later_per_second", json!(rates.later_per_second)),
            (
                "image_crate_per_second",
                json!(rates.image_crate_per_second),
            ),
        ];
        let keys = Map::from_iter(keys.map(|(key, value)| (key.to_owned(), value)));
        return print_json(keys, arguments.runs, &Machine::measured());
    }
    let mut out = stdout().lock();
    writeln!(
        out,
        "{} images{} to {}x{}, batch {}, {} workers; median of {}\n",
        rates.images,
        if rates.masks { " with masks" } else { "" },
        size[0],
        size[1],
        arguments.batch,
        arguments.workers,
        arguments.runs
    )?;
    writeln!(out, "first epoch  {:>9.1} images/s", rates.first_per_second)?;
    writeln!(out, "later        {:>9.1} images/s", rates.later_per_second)?;
    if let Some(alone) = rates.image_crate_per_second {
        writeln!(
            out,
            "`image`      {alone:>9.1} images/s on one thread, decoded, cropped and resized by that crate alone"
        )?;
    }
    Ok(())
}
