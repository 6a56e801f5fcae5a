//! `limbeck cache build`: a teacher's outputs for every view that training will see.

use std::io::{Write, stdout};

use limbeck::cache::{Build, Encoding, Manifest, Share};
use limbeck::nn::{TaskKind, model};
use limbeck::train::TrainError;
use limbeck::train::cache::{CacheContents, CachePlan, FillEnd, fill};
use limbeck::train::named_model::told_model;
use limbeck::train::recipe::Recipe;
use serde_json::{Value, json};

use super::super::{
    interrupt,
    runs::{self, Flags},
    threads,
};
use super::size;
use crate::arguments::{CacheBuildArguments, StoredNumbers};
use crate::exit::{Interrupted, Usage};
use crate::progress::{Counted, duration};

/// Builds, or goes on with what was begun.
pub fn run(arguments: &CacheBuildArguments, quiet: bool) -> anyhow::Result<()> {
    let recipe = recipe(arguments)?;
    let share = arguments.shard.as_deref().map_or(Ok(Share::WHOLE), share)?;
    let views = arguments.views.or(arguments.epochs);
    let contents = contents(arguments, views.unwrap_or(recipe.train.epochs))?;
    threads::set(recipe.train.threads)?;
    let plan = CachePlan::new(recipe, &contents)?;
    for warning in &plan.warnings {
        eprintln!("warning: {warning}");
    }
    let report = facts(&plan.manifest)?;
    if !quiet {
        for note in &plan.notes {
            eprintln!("{note}");
        }
        eprintln!("{}", describe(&plan.manifest)?);
    }
    if arguments.dry_run {
        if arguments.json {
            writeln!(stdout().lock(), "{report:#}")?;
        }
        return Ok(());
    }
    let out = &arguments.out;
    let build = Build::begin(out, &plan.manifest, share).map_err(TrainError::from)?;
    let interrupt = interrupt::watch("stopping after this batch; finished shards are kept")?;
    let mut progress = Counted::new("records", quiet);
    let end = threads::compute(|| {
        fill(&plan, out, &build, &interrupt, &mut |moment| {
            progress.show(moment.done, moment.all);
        })
    })?;
    let seconds = progress.finish();
    match end {
        FillEnd::Interrupted => {
            return Err(Interrupted(
                "interrupted; the same command goes on with the cache".to_owned(),
            )
            .into());
        }
        FillEnd::InOtherHands(shards) if !quiet => {
            eprintln!("done here; other processes are at work on {shards} shards");
        }
        FillEnd::InOtherHands(_) => {}
        FillEnd::Whole if !quiet => {
            eprintln!("cache: {} after {}", out.display(), duration(seconds));
            eprintln!("use:   limbeck distill … --teacher cache:{}", out.display());
        }
        FillEnd::Whole => {}
    }
    if arguments.json {
        let mut report = report;
        report["cache"] = json!(out.display().to_string());
        report["whole"] = json!(end == FillEnd::Whole && share == Share::WHOLE);
        report["seconds"] = json!(seconds);
        writeln!(stdout().lock(), "{report:#}")?;
    }
    Ok(())
}

/// Lays defaults, recipe file, flags and assignments over each other.
fn recipe(arguments: &CacheBuildArguments) -> anyhow::Result<Recipe> {
    let mut flags = Flags::default();
    flags.put("data", "path", arguments.data.as_deref());
    flags.put("teacher", "source", arguments.teacher.as_deref());
    flags.teacher_file(&arguments.teacher_file);
    flags.number("data", "limit", arguments.limit);
    flags.number("data", "workers", arguments.workers);
    flags.number("train", "threads", arguments.threads);
    flags.put("train", "seed", arguments.seed.map(|seed| seed as i64));
    let mut layers = flags.over(arguments.recipe.as_deref(), &arguments.set)?;
    runs::require(&layers, "data.path", runs::DATA)?;
    let mut recipe = layers.resolve()?;
    // Students of a teacher that segments, or finds objects, see other views where nothing is said of them.
    if let Some(model) = with_own_views(&recipe)
        && !layers.asks_for("student.model")
    {
        flags.put("student", "model", Some(model));
        layers = flags.over(arguments.recipe.as_deref(), &arguments.set)?;
        recipe = layers.resolve()?;
    }
    runs::fit_as_teacher(&layers, &mut recipe);
    if arguments.seed.is_some() {
        recipe.data.view_seed = arguments.seed;
    }
    Ok(recipe)
}

/// Name of the recipe's teacher, where that is known for one that segments or finds objects.
fn with_own_views(recipe: &Recipe) -> Option<String> {
    let teacher = &recipe.teacher;
    let told = || told_model(teacher.source.as_deref()?);
    let name = teacher.model.clone().or_else(told)?;
    let entry = model::find(&name).ok()?;
    matches!(entry.task, TaskKind::Segmentation | TaskKind::Detection).then_some(name)
}

fn contents(arguments: &CacheBuildArguments, views: usize) -> anyhow::Result<CacheContents> {
    if views == 0 {
        return Err(Usage("--views must be at least 1, found 0".to_owned()).into());
    }
    let numbers = match arguments.dtype {
        StoredNumbers::F32 => Encoding::F32,
        StoredNumbers::F16 => Encoding::F16,
        StoredNumbers::I8 => Encoding::I8,
    };
    Ok(CacheContents {
        views,
        logits: arguments.topk.map_or(numbers, Encoding::TopK),
        taps: arguments.taps.clone(),
        features: numbers,
        stride: arguments.at.map(usize::from),
    })
}

/// `I/N`, counted from 1.
fn share(text: &str) -> Result<Share, Usage> {
    let parsed = text.split_once('/').and_then(|(index, of)| {
        let (index, of): (u64, u64) = (index.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&index).then(|| Share {
            index: index - 1,
            of,
        })
    });
    parsed.ok_or_else(|| {
        Usage(format!(
            "--shard must be I/N, counted from 1, such as 2/3; found {text}"
        ))
    })
}

/// What a cache holds, in a few lines.
pub fn describe(manifest: &Manifest) -> anyhow::Result<String> {
    let mut lines = vec![format!(
        "teacher: {} ({} parameters)",
        manifest.teacher.name, manifest.teacher.params
    )];
    lines.push(format!("data:    {}", manifest.data.name));
    for section in &manifest.sections {
        lines.push(format!(
            "         {:10} {} images, {} views of each",
            section.name, section.samples, section.views
        ));
    }
    for output in &manifest.outputs {
        lines.push(format!(
            "output:  {} {:?} as {}{}",
            output.name,
            output.shape,
            output.encoding,
            output
                .stride
                .map(|stride| format!(", at 1/{stride} of the images"))
                .unwrap_or_default()
        ));
    }
    if manifest.evaluate.is_some() {
        lines.push(
            "besides: what it chooses for the images to choose epochs by and to test on, as runs of \
             pixels; small, and not in the size"
                .to_owned(),
        );
    }
    lines.push(format!("views:   drawn from seed {}", manifest.view_seed));
    let (records, bytes) = (manifest.records()?, manifest.bytes()?);
    lines.push(format!(
        "size:    {records} records in {} shards, {} in all, {:.1} bytes a record",
        manifest.shards()?,
        size(bytes),
        bytes as f64 / records.max(1) as f64,
    ));
    Ok(lines.join("\n"))
}

/// The same for machines.
pub fn facts(manifest: &Manifest) -> anyhow::Result<Value> {
    Ok(json!({
        "teacher": manifest.teacher.name,
        "data": manifest.data.name,
        "sections": manifest.sections,
        "outputs": manifest.outputs,
        "view_seed": manifest.view_seed,
        "records": manifest.records()?,
        "shards": manifest.shards()?,
        "bytes": manifest.bytes()?,
    }))
}
