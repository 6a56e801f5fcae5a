//! Carrying out a study: teachers first, then all trainings seed by seed.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::Context;
use limbeck::report::{self, Results, StudyResults};
use limbeck::train::{
    TrainError,
    experiment::{Plan, RunEnd, Stock, execute},
    files,
    observer::Observer,
    recipe::Recipe,
    run_folder::{self, RunFolder},
    study::{LOCK, Study, Training, collect},
};

use super::precision;
use crate::arguments::{CarryArguments, ResumeArguments};
use crate::command::{interrupt, runs, threads};
use crate::exit::{Interrupted, Usage};

/// The page in a study's folder.
pub const PAGE: &str = "study.html";

/// All numbers that page and tables show.
const RESULTS: &str = "results.json";

/// How often page and tables are written meanwhile: all results are read for them.
const BETWEEN_PAGES: Duration = Duration::from_secs(60);

/// How often a process that waits for another one looks.
pub const WAIT: Duration = Duration::from_millis(500);

/// A new folder in `studies/`, named after the time.
pub fn new_folder() -> anyhow::Result<PathBuf> {
    let wanted = Path::new("studies").join(format!("study-{}", run_folder::timestamp()));
    Ok(files::create_numbered_folder(&wanted)?)
}

/// Goes on with a study.
pub fn resume(path: &Path, arguments: &ResumeArguments, quiet: bool) -> anyhow::Result<bool> {
    if !path.join("study.toml").is_file() {
        return Ok(false);
    }
    threads::set(arguments.threads)?;
    let mut stock = Stock::new();
    let study = super::open(path, &mut stock)?;
    let carry = CarryArguments {
        shard: arguments.shard,
        threads: arguments.threads,
        json: arguments.json,
    };
    carry_out(&study, path, &mut stock, &carry, quiet)?;
    Ok(true)
}

/// How one run ended.
enum Ended {
    Done,
    Failed(String),
}

/// Trains what is left of the share, and writes what was found.
pub fn carry_out(
    study: &Study,
    path: &Path,
    stock: &mut Stock,
    arguments: &CarryArguments,
    quiet: bool,
) -> anyhow::Result<()> {
    let interrupt = interrupt::watch(runs::STOPPING)?;
    // Runs name their teacher by its folder, wherever they are gone on with.
    let path = &std::path::absolute(path).context("the study's folder has no path")?;
    let work = Work {
        path,
        quiet,
        interrupt: &interrupt,
        share: arguments.shard,
    };
    let mut failed = Vec::new();
    for teacher in study.teachers() {
        let folder = study.folder_of_teacher(path, teacher);
        let name = format!("teacher {}", teacher.name);
        if !quiet && run_folder::finished(&folder)?.is_none() {
            eprintln!("{name}: {} epochs", teacher.recipe.train.epochs);
        }
        if let Ended::Failed(reason) = work.run(&folder, &name, &teacher.recipe, true, stock)? {
            anyhow::bail!("{name} failed, and nothing can be learnt from it: {reason}");
        }
    }
    let mut study = study.clone();
    study.take_in_seeds(path);
    let mut from = 0;
    loop {
        failed.extend(work.train_share(&study, from, stock)?);
        from = study.seeds();
        if !precision::goes_on(&mut study, &work)? {
            break;
        }
    }
    let found = write(&study, path)?;
    if !quiet {
        eprint!("\n{}", report::study_status(&found));
        eprintln!("page: {}", path.join(PAGE).display());
    }
    if arguments.json {
        print_json(&found)?;
    }
    match failed.len() {
        0 => Ok(()),
        count => anyhow::bail!(
            "{count} of the trainings failed ({}); the page has the reasons, and limbeck resume tries them again",
            failed.join(", ")
        ),
    }
}

/// What all runs of a process have in common.
pub struct Work<'a> {
    /// Folder of the study.
    pub path: &'a Path,
    /// Whether nothing is said.
    pub quiet: bool,
    interrupt: &'a AtomicBool,
    share: Option<[usize; 2]>,
}

impl Work<'_> {
    /// Trains what is left of the share, from the seed `from` on, and gives the names of those that failed.
    fn train_share(
        &self,
        study: &Study,
        from: usize,
        stock: &mut Stock,
    ) -> anyhow::Result<Vec<String>> {
        let [share, shares] = self.share.unwrap_or([1, 1]);
        let all: Vec<Training> = study.trainings().collect();
        // Cells change hands from seed to seed: where their number is a multiple of the shares', one share would
        // have the costly ones alone.
        let own = (all.iter().enumerate()).filter(|(_, training)| {
            let seed = training.seed as usize;
            seed >= from && (training.cell + seed) % shares == share - 1
        });
        let mut failed = Vec::new();
        let mut written = Instant::now();
        for (place, &training) in own {
            if written.elapsed() > BETWEEN_PAGES {
                write(study, self.path)?;
                written = Instant::now();
            }
            let folder = study.folder_of(self.path, training);
            let recipe = study.recipe_of(self.path, training);
            let name = format!(
                "[{}/{}] {} seed {}",
                place + 1,
                all.len(),
                study.cells()[training.cell].name,
                recipe.train.seed
            );
            if let Ended::Failed(reason) =
                self.run(&folder, &name, &recipe, training.seed == 0, stock)?
            {
                eprintln!("{name} failed: {reason}");
                failed.push(name);
            }
        }
        Ok(failed)
    }

    /// Stops where that was asked for.
    pub fn check(&self) -> anyhow::Result<()> {
        match self.interrupt.load(Ordering::Relaxed) {
            true => Err(self.interrupted()),
            false => Ok(()),
        }
    }

    /// Sees to it that a run is done: by this process, or by another one that works on it.
    fn run(
        &self,
        path: &Path,
        name: &str,
        recipe: &Recipe,
        warns: bool,
        stock: &mut Stock,
    ) -> anyhow::Result<Ended> {
        let mut waits = false;
        loop {
            if run_folder::finished(path)?.is_some() {
                return Ok(Ended::Done);
            }
            self.check()?;
            let folder = match RunFolder::create_or_open(path, recipe) {
                Ok(folder) => folder,
                Err(error) => {
                    let others = run_folder::is_busy(path) || run_folder::finished(path)?.is_some();
                    if !others {
                        return Err(error.into());
                    }
                    if !waits && !self.quiet {
                        eprintln!("{name}: another process works on it; waiting");
                    }
                    waits = true;
                    std::thread::sleep(WAIT);
                    continue;
                }
            };
            // It may have been done while this process waited for the lock.
            if run_folder::finished(path)?.is_some() {
                return Ok(Ended::Done);
            }
            return self.train(&folder, name, recipe, warns, stock);
        }
    }

    fn train(
        &self,
        folder: &RunFolder,
        name: &str,
        recipe: &Recipe,
        warns: bool,
        stock: &mut Stock,
    ) -> anyhow::Result<Ended> {
        let began = folder.recipe()?;
        if began.to_toml()? != settled(recipe)? {
            return Err(TrainError::RunFolder {
                path: folder.path().to_owned(),
                reason: "it began with another recipe than the study has now; undo the change of study.toml, or \
                         begin a new study"
                    .to_owned(),
            }
            .into());
        }
        let command = format!(
            "limbeck distill --recipe {}/recipe.toml",
            folder.path().display()
        );
        let mut told = Told {
            name,
            warns: !self.quiet && warns,
        };
        let ended = threads::compute(|| {
            let mut plan = Plan::of(began, stock)?;
            // Others of the same cell need as much.
            plan.foretells_memory = false;
            execute(&plan, folder, &command, &mut told, self.interrupt)
        });
        match ended {
            Ok(RunEnd::Finished(results)) => {
                if !self.quiet {
                    eprintln!("{name}: {}", in_words(&results));
                }
                Ok(Ended::Done)
            }
            Ok(RunEnd::Interrupted) => Err(self.interrupted()),
            // A disk that is full fails every run after this one too.
            Err(error @ TrainError::Io { .. }) => Err(error.into()),
            Err(error) => Ok(Ended::Failed(error.to_string())),
        }
    }

    fn interrupted(&self) -> anyhow::Error {
        let share = self.share.map_or(String::new(), |[share, of]| {
            format!(" --shard {share}/{of}")
        });
        let text = format!(
            "interrupted; go on with: limbeck resume {}{share}",
            self.path.display()
        );
        Interrupted(text).into()
    }
}

/// Hears what looks wrong in a run, and says it once for each cell.
struct Told<'a> {
    name: &'a str,
    warns: bool,
}

impl Observer for Told<'_> {
    fn warn(&mut self, text: &str) {
        if self.warns {
            eprintln!("{}: warning: {text}", self.name);
        }
    }
}

/// What a run reached, and how long it took.
fn in_words(results: &Results) -> String {
    let took = format!("{:.1} s", results.seconds);
    let seed = results.students.first();
    match seed.and_then(|seed| seed.test.first()) {
        Some(measure) => format!(
            "{} {}, {took}",
            measure.write(measure.value, 1),
            measure.title
        ),
        None => took,
    }
}

/// A recipe as a run's folder has it.
fn settled(recipe: &Recipe) -> anyhow::Result<String> {
    let text = recipe.with_absolute_paths().to_toml()?;
    Ok(Recipe::parse(&text, "study.toml")?.to_toml()?)
}

/// Writes page and tables of what is there.
pub fn write(study: &Study, path: &Path) -> anyhow::Result<StudyResults> {
    let path = &std::path::absolute(path).context("the study's folder has no path")?;
    // Shares write one after the other, each all that is there by then.
    let lock = path.join(LOCK);
    let lock =
        File::create(&lock).with_context(|| format!("`{}` cannot be written", lock.display()))?;
    lock.lock().context("the study's folder cannot be locked")?;
    let found = collect(study, path)?;
    let json = serde_json::to_string_pretty(&found)?;
    write_file(&path.join(RESULTS), &json)?;
    write_tables(&found, path)?;
    Ok(found)
}

/// Writes page and tables of a study whose runs are elsewhere from its results alone, to the same bytes; `None`
/// where there are runs, or no results.
pub fn write_again(path: &Path) -> anyhow::Result<Option<StudyResults>> {
    let file = path.join(RESULTS);
    if path.join("runs").exists() || !file.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("`{}` cannot be read", file.display()))?;
    let found = serde_json::from_str(&text).map_err(|error| {
        Usage(format!(
            "`{}` has no results of a study that this program reads: {error}",
            file.display()
        ))
    })?;
    write_tables(&found, path)?;
    Ok(Some(found))
}

fn write_tables(found: &StudyResults, path: &Path) -> anyhow::Result<()> {
    let files = [
        ("results.csv", report::study_csv(found)),
        ("results.md", report::study_document(found)),
        (PAGE, report::study_page(found)),
    ];
    for (name, text) in files {
        write_file(&path.join(name), &text)?;
    }
    Ok(())
}

fn write_file(file: &Path, text: &str) -> anyhow::Result<()> {
    files::write_whole(file, text.as_bytes())
        .with_context(|| format!("`{}` cannot be written", file.display()))
}

/// Prints what was found.
pub fn print_json(found: &StudyResults) -> anyhow::Result<()> {
    runs::print_json(&serde_json::to_value(found)?)
}
