//! More seeds until the intervals are as narrow as was asked for.

use std::path::PathBuf;

use limbeck::report::widest_interval;
use limbeck::train::{run_folder, study::Study};

use super::carry::{self, WAIT, Work};

/// Adds a seed to all cells where an interval is wider than was asked for, and there may be one more; false where
/// the study is done, or other shares are not.
pub fn goes_on(study: &mut Study, work: &Work<'_>) -> anyhow::Result<bool> {
    let Some(precision) = study.recipe().precision else {
        return Ok(false);
    };
    if !others_are_done(study, work)? {
        if !work.quiet {
            eprintln!(
                "other shares have trainings left; once they are done, limbeck resume {} adds seeds where intervals are \
                 wider than ±{precision}",
                work.path.display()
            );
        }
        return Ok(false);
    }
    // Another share may have gone on already.
    let seeds = study.seeds();
    study.take_in_seeds(work.path);
    if study.seeds() > seeds {
        return Ok(true);
    }
    let widest = widest_interval(&carry::write(study, work.path)?);
    if widest.is_some_and(|widest| widest <= precision) {
        return Ok(false);
    }
    let reach = widest.map_or("has no interval yet".to_owned(), |widest| {
        format!("reaches ±{widest:.2}")
    });
    let adds = study.add_seed();
    if !work.quiet {
        let then = match adds {
            true => format!("seed {} is added to all cells", study.seeds()),
            false => "no more seeds may be added (study.most_seeds)".to_owned(),
        };
        eprintln!("after {seeds} seeds the widest interval {reach}, not ±{precision}: {then}");
    }
    Ok(adds)
}

/// Waits while other processes train what is left; false where some is left that nobody trains.
fn others_are_done(study: &Study, work: &Work<'_>) -> anyhow::Result<bool> {
    let mut left: Vec<PathBuf> = (study.trainings())
        .map(|training| study.folder_of(work.path, training))
        .collect();
    let mut idle = 0;
    loop {
        work.check()?;
        let mut still = Vec::new();
        for folder in left {
            if run_folder::finished(&folder)?.is_none() && run_folder::failure_of(&folder).is_none()
            {
                still.push(folder);
            }
        }
        left = still;
        if left.is_empty() {
            return Ok(true);
        }
        let busy = left.iter().any(|folder| run_folder::is_busy(folder));
        // Between two trainings a share is busy with neither.
        idle = if busy { 0 } else { idle + 1 };
        if idle > IDLE {
            return Ok(false);
        }
        std::thread::sleep(WAIT);
    }
}

/// Looks, [`WAIT`] apart, that find nobody busy before nobody is taken to be.
const IDLE: usize = 10;
