//! One run from its flags to what it has found.

use std::io::{Write, stdout};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use limbeck::methods::BASELINE;
use limbeck::report::{AGREEMENT, Results, SeedResult};
use limbeck::train::TrainError;
use limbeck::train::cache::stored_fit;
use limbeck::train::experiment::{
    Plan, RunEnd, Stock, TrainingMemory, arrange, execute, memory_in_words,
};
use limbeck::train::named_model::told_fit;
use limbeck::train::observer::Observer;
use limbeck::train::recipe::{Layers, Recipe, put};
use limbeck::train::run_folder::{self, RunFolder};
use serde_json::{Map, Value, json};

use super::{interrupt, threads};
use crate::arguments::{RunArguments, TaskName, TeacherFileArguments};
use crate::exit::{Interrupted, Usage};
use crate::progress::Progress;

/// What the first Ctrl-C brings about.
pub const STOPPING: &str = "stopping after this step, with a checkpoint";

/// Goes on with the run in `path` by the plan that `plan` gives, or says what it found where it is
/// finished. The compute threads have been set.
pub fn go_on(
    path: &Path,
    plan: impl FnOnce(&RunFolder) -> Result<Plan, TrainError>,
    quiet: bool,
    interrupt: &AtomicBool,
) -> anyhow::Result<Results> {
    let folder = RunFolder::open(path)?;
    if let Some(results) = run_folder::finished(folder.path())? {
        if !quiet {
            eprintln!(
                "the run {} is finished; nothing was changed",
                folder.path().display()
            );
        }
        conclude(&results, &folder, quiet);
        return Ok(results);
    }
    let plan = plan(&folder)?;
    carry_out(&plan, &folder, quiet, interrupt)
}

/// What was asked for by flags, as the tables of a recipe.
#[derive(Clone, Default)]
pub struct Flags(toml::Table);

impl Flags {
    /// A value that was given, if any.
    pub fn put(&mut self, section: &str, key: &str, value: Option<impl Into<toml::Value>>) {
        if let Some(value) = value {
            // Flags put values in sections alone.
            let _ = put(&mut self.0, &[section, key], value);
        }
    }

    /// The same for a path.
    pub fn path(&mut self, section: &str, key: &str, value: Option<&Path>) {
        let text = value.map(|path| path.to_string_lossy().into_owned());
        self.put(section, key, text);
    }

    /// What was said of the teacher's weights file.
    pub fn teacher_file(&mut self, file: &TeacherFileArguments) {
        self.put("teacher", "model", file.teacher_model.as_deref());
        let normalisation = file.teacher_normalisation.as_deref();
        self.put("teacher", "normalisation", normalisation);
        self.path("teacher", "classes", file.teacher_classes.as_deref());
        self.put(
            "teacher",
            "weights_key",
            file.teacher_weights_key.as_deref(),
        );
        self.number("teacher", "size", file.teacher_size);
    }

    /// The same for a number.
    pub fn number(&mut self, section: &str, key: &str, value: Option<usize>) {
        self.put(section, key, value.map(|value| value as i64));
    }

    /// Lays defaults, the recipe file, these flags and the assignments over each other.
    pub fn over(&self, recipe: Option<&Path>, assignments: &[String]) -> anyhow::Result<Layers> {
        let mut layers = Layers::new();
        if let Some(path) = recipe {
            layers.read(path)?;
        }
        layers.merge(&self.0, "command line");
        for assignment in assignments {
            layers.set(assignment)?;
        }
        Ok(layers)
    }
}

/// What DATA is, where it is missing.
pub const DATA: &str = "DATA (a folder of images, or `shapes` or `scenes` for the generated sets)";

/// Refuses a recipe that says nothing of `key`, which `flag` would have given.
pub fn require(layers: &Layers, key: &str, flag: &str) -> anyhow::Result<()> {
    match layers.asks_for(key) {
        true => Ok(()),
        false => {
            let text = format!("{flag} is missing: give it, or a recipe that has `{key}`");
            Err(Usage(text).into())
        }
    }
}

/// Lays defaults, recipe file, flags and assignments over each other, and checks that data and
/// network are named; `model` is the flag that names the latter.
pub fn resolve(mut flags: Flags, arguments: &RunArguments, model: &str) -> anyhow::Result<Recipe> {
    flags.put("task", "kind", arguments.task.map(TaskName::key));
    flags.number("train", "epochs", arguments.epochs);
    flags.number("train", "seeds", arguments.seeds);
    flags.put("train", "seed", arguments.seed.map(|seed| seed as i64));
    flags.number("train", "threads", arguments.threads);
    flags.put(
        "train",
        "side_by_side",
        arguments.side_by_side.map(|it| it.to_string()),
    );
    flags.number("data", "batch", arguments.batch);
    flags.number("data", "limit", arguments.limit);
    flags.number("data", "shots", arguments.shots);
    flags.number("data", "workers", arguments.workers);
    let layers = flags.over(arguments.recipe.as_deref(), &arguments.set)?;
    let mut recipe = layers.resolve()?;
    require(&layers, "data.path", DATA)?;
    require(&layers, "student.model", model)?;
    fit_as_teacher(&layers, &mut recipe);
    Ok(recipe)
}

/// Where nothing is said of how images are brought to their size, they are as the teacher's were.
pub fn fit_as_teacher(layers: &Layers, recipe: &mut Recipe) {
    let is_open = ["augment.fit", "augment.fit_share"]
        .iter()
        .all(|key| !layers.asks_for(key));
    if is_open
        && let Some(source) = &recipe.teacher.source
        && let Some((fit, share)) = stored_fit(source).or_else(|| told_fit(source))
    {
        recipe.augment.fit = fit;
        recipe.augment.fit_share = share;
    }
}

/// Checks a recipe whole, with what is in `stock` already, and runs it in a new folder.
pub fn start(
    recipe: Recipe,
    stock: &mut Stock,
    arguments: &RunArguments,
    quiet: bool,
) -> anyhow::Result<()> {
    threads::set(recipe.train.threads)?;
    let mut plan = Plan::of(recipe, stock)?;
    arrange(std::slice::from_mut(&mut plan))?;
    let out = arguments.out.as_deref();
    if arguments.dry_run {
        refuse_existing(out)?;
        return describe(&plan, arguments.json, quiet);
    }
    let stem = format!("{}-{}", plan.recipe.method.name, plan.recipe.student.model);
    let folder = RunFolder::create(out, &stem)?;
    folder.write_recipe(&plan.recipe)?;
    let interrupt = interrupt::watch(STOPPING)?;
    let results = carry_out(&plan, &folder, quiet, &interrupt)?;
    if arguments.json {
        print_json(&as_json(&results, folder.path()))?;
    }
    Ok(())
}

/// An output that exists, and is not an empty folder, is not overwritten.
pub fn refuse_existing(out: Option<&Path>) -> anyhow::Result<()> {
    match out.filter(|out| run_folder::is_taken(out)) {
        Some(out) => Err(Usage(format!("the output `{}` exists", out.display())).into()),
        None => Ok(()),
    }
}

/// The recipe goes to standard output, so that it can be kept; the rest to standard error.
pub fn describe(plan: &Plan, json: bool, quiet: bool) -> anyhow::Result<()> {
    let memory = threads::compute(|| plan.memory())?;
    let (note, warning) = memory_in_words(&memory);
    let warnings: Vec<&String> = plan.warnings.iter().chain(&warning).collect();
    if json {
        let memory: Vec<Value> = memory.iter().map(memory_as_json).collect();
        return print_json(&json!({
            "notes": plan.notes,
            "warnings": warnings,
            "memory": memory,
            "recipe": plan.recipe.to_toml()?,
        }));
    }
    if !quiet {
        for note in plan.notes.iter().chain(&note) {
            eprintln!("{note}");
        }
    }
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    write!(stdout().lock(), "{}", plan.recipe.to_toml()?)?;
    Ok(())
}

/// What a training needs, for machines.
fn memory_as_json(memory: &TrainingMemory) -> Value {
    let mut object = Map::new();
    object.insert("training".to_owned(), json!(memory.training));
    let (key, value) = match &memory.bytes {
        Ok(bytes) => ("bytes", json!(bytes)),
        Err(reason) => ("not_known", json!(reason)),
    };
    object.insert(key.to_owned(), value);
    Value::Object(object)
}

/// Prints one value on standard output.
pub fn print_json(value: &Value) -> anyhow::Result<()> {
    Ok(writeln!(stdout().lock(), "{value:#}")?)
}

/// Runs a plan in its folder and says what was found.
fn carry_out(
    plan: &Plan,
    folder: &RunFolder,
    quiet: bool,
    interrupt: &AtomicBool,
) -> anyhow::Result<Results> {
    let mut progress = Progress::new(quiet);
    progress.note(&format!("run: {}", folder.path().display()));
    let verb = match plan.recipe.method.name.as_str() {
        BASELINE => "train",
        _ => "distill",
    };
    let command = format!(
        "limbeck {verb} --recipe {}/recipe.toml",
        folder.path().display()
    );
    let end = threads::compute(|| execute(plan, folder, &command, &mut progress, interrupt))?;
    drop(progress);
    match end {
        RunEnd::Interrupted => Err(Interrupted(format!(
            "interrupted; go on with: limbeck resume {}",
            folder.path().display()
        ))
        .into()),
        RunEnd::Finished(results) => {
            conclude(&results, folder, quiet);
            Ok(*results)
        }
    }
}

/// Says what was found, and where it is.
fn conclude(results: &Results, folder: &RunFolder, quiet: bool) {
    if !quiet {
        eprintln!("\n{}", headline(results));
        eprintln!("student: {}", folder.student().display());
        eprintln!("report:  {}", folder.report().display());
    }
}

/// The run in one object, for machines.
pub fn as_json(results: &Results, path: &Path) -> Value {
    let agreement: Vec<f64> = results
        .students
        .iter()
        .filter_map(|seed| seed.test.value(AGREEMENT))
        .collect();
    let mean_agreement =
        (!agreement.is_empty()).then(|| agreement.iter().sum::<f64>() / agreement.len() as f64);
    let mut student = by_seed(&results.students);
    student.insert("model".to_owned(), json!(results.student.name));
    let mut report = json!({
        "run": path.display().to_string(),
        "method": results.method,
        "data": results.data.name,
        "student": student,
        "seeds": results.students.iter().map(|seed| seed.seed).collect::<Vec<u64>>(),
        "agreement": mean_agreement,
        "params": results.student.params,
        "macs": results.student.macs,
        "seconds": results.seconds,
    });
    if let Some(few) = &results.student.few_bits {
        report["few_bits"] = json!(few);
    }
    if let Some(teacher) = &results.teacher {
        let measures = teacher.test.iter().flat_map(|test| &test.measures);
        let mut object: Map<String, Value> = measures
            .map(|measure| (measure.name.clone(), json!(measure.value)))
            .collect();
        object.insert("model".to_owned(), json!(teacher.name));
        object.insert("params".to_owned(), json!(teacher.params));
        object.insert("macs".to_owned(), json!(teacher.macs));
        if !teacher.other_classes.is_empty() {
            object.insert("other_classes".to_owned(), json!(teacher.other_classes));
        }
        report["teacher"] = Value::Object(object);
    }
    if !results.baselines.is_empty() {
        report["baseline"] = Value::Object(by_seed(&results.baselines));
    }
    if !results.bounds.is_empty() {
        report["bound"] = Value::Object(by_seed(&results.bounds));
    }
    if let Some(gain) = &results.gain {
        report["gain"] = json!({ "mean": gain.mean, "ci95": gain.ci95 });
    }
    if !results.warnings.is_empty() {
        report["warnings"] = json!(results.warnings);
    }
    report
}

/// Each measure by its name, with the value of each seed.
fn by_seed(all: &[SeedResult]) -> Map<String, Value> {
    let names = all.first().map_or(&[][..], |seed| &seed.test.measures);
    names
        .iter()
        .map(|measure| {
            let values = all.iter().map(|seed| seed.test.value(&measure.name));
            (measure.name.clone(), json!(values.collect::<Vec<_>>()))
        })
        .collect()
}

/// What was found, in a few lines.
fn headline(results: &Results) -> String {
    let Some(measure) = results.compared_by() else {
        return "nothing was measured".to_owned();
    };
    let write = |value: f64| format!("{:>6} {}", measure.bare(value, 2), measure.unit);
    let mean = |all: &[SeedResult]| {
        let values = all.iter().filter_map(|seed| seed.test.value(&measure.name));
        write(values.sum::<f64>() / all.len().max(1) as f64)
    };
    let mut lines = Vec::new();
    let title = &measure.title;
    let teacher = results
        .teacher
        .as_ref()
        .and_then(|teacher| teacher.test.as_ref());
    if let Some(value) = teacher.and_then(|test| test.value(&measure.name)) {
        lines.push(format!(
            "teacher   {} {title} on the test part",
            write(value)
        ));
    }
    let named = !lines.is_empty();
    let others = results
        .teacher
        .as_ref()
        .map(|teacher| teacher.other_classes.len());
    if let Some(count) = others.filter(|count| *count > 0) {
        lines.push(format!(
            "teacher   knows {count} other classes, not measured"
        ));
    }
    let seeds = results.students.len();
    lines.push(format!(
        "student   {}{}{}",
        mean(&results.students),
        match !named {
            true => format!(" {title} on the test part"),
            false => String::new(),
        },
        if seeds > 1 {
            format!(" (mean of {seeds} seeds)")
        } else {
            String::new()
        }
    ));
    if !results.baselines.is_empty() {
        lines.push(format!("baseline  {}", mean(&results.baselines)));
    }
    if !results.bounds.is_empty() {
        let bound = mean(&results.bounds);
        lines.push(format!("bound     {bound} trained on the target's labels"));
    }
    if let Some(gain) = &results.gain {
        let unit = measure.difference_unit();
        lines.push(match gain.ci95 {
            Some([low, high]) => format!(
                "gain      {:+6.2} {unit}, 95 % interval {low:+.2} to {high:+.2}",
                gain.mean
            ),
            None => format!(
                "gain      {:+6.2} {unit} with one seed; use --seeds 3 or more for an interval",
                gain.mean
            ),
        });
    }
    lines.join("\n")
}
