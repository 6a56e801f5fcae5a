//! `limbeck cache verify`: does a cache hold what it says?

use std::io::{Write, stdout};
use std::path::Path;

use anyhow::bail;
use limbeck::cache::{Build, Cache, Share};
use limbeck::train::TrainError;
use limbeck::train::cache::{CachePlan, CacheSource, Comparison, FillEnd, compare, damage, fill};
use limbeck::train::recipe::TeacherRecipe;
use limbeck::train::run_folder;
use serde_json::json;

use super::super::{interrupt, threads};
use crate::arguments::CacheVerifyArguments;
use crate::exit::{Interrupted, Usage};
use crate::progress::Counted;

/// Checks, repairs if asked to, and compares.
pub fn run(arguments: &CacheVerifyArguments, quiet: bool) -> anyhow::Result<()> {
    let open = || Cache::open(&arguments.cache).map_err(TrainError::from);
    let cache = open()?;
    let data = data(arguments)?;
    threads::set(arguments.threads)?;
    let file = &arguments.teacher_file;
    let teacher = TeacherRecipe {
        source: Some(arguments.teacher.clone()),
        model: file.teacher_model.clone(),
        normalisation: file.teacher_normalisation.clone(),
        classes: file
            .teacher_classes
            .as_ref()
            .map(|path| path.to_string_lossy().into_owned()),
        weights_key: file.teacher_weights_key.clone(),
        size: file.teacher_size,
        backbone: None,
        shared: None,
    };
    let source = CacheSource {
        teacher: &teacher,
        data: &data,
    };
    let plan = CachePlan::of_cache(&cache, &source)?;
    let mut progress = Counted::new("shards checked", quiet);
    let mut damaged = damage(&cache, &mut |done, all| progress.show(done, all))?;
    progress.finish();
    let mut missing = cache.missing_shards();
    for (number, found) in &damaged {
        let more = match found.len() {
            1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        if let Some(first) = found.first() {
            eprintln!("shard {number} is damaged: {first}{more}");
        }
    }
    if !missing.is_empty() {
        eprintln!("{} of {} shards are missing", missing.len(), cache.shards());
    }
    let mut repaired = 0;
    if arguments.repair {
        repaired = damaged.len() + missing.len();
        let numbers: Vec<u64> = damaged.iter().map(|(number, _)| *number).collect();
        repair(&plan, arguments, &numbers, quiet)?;
        (damaged, missing) = (Vec::new(), Vec::new());
    }
    let whole = damaged.is_empty() && missing.is_empty();
    let mut comparison = None;
    if whole {
        let cache = open()?;
        let found = threads::compute(|| compare(&plan, &cache, arguments.samples))?;
        comparison = Some(found);
    }
    if let Some(comparison) = comparison.as_ref().filter(|_| !quiet) {
        tell(comparison);
    }
    if arguments.json {
        let report = json!({
            "cache": arguments.cache.display().to_string(),
            "damaged_shards": damaged.iter().map(|(number, _)| number).collect::<Vec<_>>(),
            "missing_shards": missing,
            "repaired_shards": repaired,
            "comparison": comparison,
        });
        writeln!(stdout().lock(), "{report:#}")?;
    }
    if !whole {
        bail!(
            "{} shards are damaged, {} missing; add --repair to build them again with the teacher",
            damaged.len(),
            missing.len()
        );
    }
    if comparison.is_some_and(|comparison| !comparison.fits()) {
        bail!("the teacher gives out other numbers than are stored; build the cache anew");
    }
    Ok(())
}

/// Where the images are: as the user says, or as the run that trained the teacher did.
fn data(arguments: &CacheVerifyArguments) -> anyhow::Result<String> {
    if let Some(data) = &arguments.data {
        return Ok(data.clone());
    }
    let recipe = run_folder::recipe_of(Path::new(&arguments.teacher))?;
    match recipe {
        Some(recipe) => Ok(recipe.data.path),
        None => {
            Err(Usage("where the images are is not known; name them with --data".to_owned()).into())
        }
    }
}

/// Builds damaged and missing shards again, in place.
fn repair(
    plan: &CachePlan,
    arguments: &CacheVerifyArguments,
    damaged: &[u64],
    quiet: bool,
) -> anyhow::Result<()> {
    let folder = &arguments.cache;
    let build = Build::begin(folder, &plan.manifest, Share::WHOLE).map_err(TrainError::from)?;
    for &number in damaged {
        build.discard(number).map_err(TrainError::from)?;
    }
    let interrupt = interrupt::watch("stopping after this batch; finished shards are kept")?;
    let mut progress = Counted::new("records", quiet);
    let end = threads::compute(|| {
        fill(plan, folder, &build, &interrupt, &mut |moment| {
            progress.show(moment.done, moment.all);
        })
    })?;
    progress.finish();
    match end {
        FillEnd::Whole => Ok(()),
        FillEnd::Interrupted => {
            Err(Interrupted("interrupted; the same command goes on".to_owned()).into())
        }
        FillEnd::InOtherHands(count) => {
            bail!("other processes are at work on {count} shards; try again when they are done")
        }
    }
}

/// The comparison, a line for each output.
fn tell(comparison: &Comparison) {
    for output in &comparison.outputs {
        eprintln!(
            "{}: mean difference {:.3e}, largest {:.3e} ({:.3e} expected at the most)",
            output.output, output.mean, output.largest, output.expected
        );
    }
    eprintln!(
        "{} records compared; {:.2} % have another most probable class",
        comparison.records,
        100.0 * comparison.other_choice
    );
}
