//! `limbeck study`.

mod asked;
mod carry;
mod plan;
mod precision;
mod script;

use std::path::Path;

use limbeck::train::{
    experiment::Stock,
    study::{Study, StudyRecipe, collect},
};

use crate::arguments::{AddArguments, StudyArguments, StudyCommand, StudyFolder};
use crate::command::threads;
use crate::exit::Usage;

pub use carry::resume;

/// Begins a study, or does something with one that is there.
pub fn run(arguments: &StudyArguments, quiet: bool) -> anyhow::Result<()> {
    match &arguments.command {
        None => start(arguments, quiet),
        Some(StudyCommand::Status(folder)) => status(folder),
        Some(StudyCommand::Page(folder)) => page(folder, quiet),
        Some(StudyCommand::Add(arguments)) => add(arguments, quiet),
        Some(StudyCommand::Script(arguments)) => script::print(arguments),
    }
}

fn start(arguments: &StudyArguments, quiet: bool) -> anyhow::Result<()> {
    let (table, origin) = asked::table(arguments)?;
    threads::set(arguments.carry.threads)?;
    let mut stock = Stock::new();
    let study = Study::of(table, &origin, &mut stock)?;
    if arguments.dry_run {
        return plan::describe(&study, &mut stock, arguments.carry.json);
    }
    if arguments.carry.shard.is_some() && arguments.out.is_none() {
        let text = "--shard needs --out: the folder that all shares work in";
        return Err(Usage(text.to_owned()).into());
    }
    let path = match &arguments.out {
        Some(out) => out.clone(),
        None => carry::new_folder()?,
    };
    study.create(&path)?;
    if !quiet {
        plan::tell(&study);
    }
    carry::carry_out(&study, &path, &mut stock, &arguments.carry, quiet)
}

/// The study in a folder.
fn open(path: &Path, stock: &mut Stock) -> anyhow::Result<Study> {
    let found = Study::open(path, stock)?;
    found.ok_or_else(|| {
        let text = format!(
            "`{}` is no study's folder: there is no study.toml in it",
            path.display()
        );
        Usage(text).into()
    })
}

fn status(folder: &StudyFolder) -> anyhow::Result<()> {
    let study = open(&folder.study, &mut Stock::new())?;
    let path = std::path::absolute(&folder.study)?;
    let found = collect(&study, &path)?;
    match folder.json {
        true => carry::print_json(&found),
        false => {
            print!("{}", limbeck::report::study_status(&found));
            Ok(())
        }
    }
}

fn page(folder: &StudyFolder, quiet: bool) -> anyhow::Result<()> {
    let found = match carry::write_again(&folder.study)? {
        Some(found) => found,
        None => {
            let study = open(&folder.study, &mut Stock::new())?;
            carry::write(&study, &folder.study)?
        }
    };
    if !quiet {
        eprintln!("page: {}", folder.study.join(carry::PAGE).display());
    }
    match folder.json {
        true => carry::print_json(&found),
        false => Ok(()),
    }
}

fn add(arguments: &AddArguments, quiet: bool) -> anyhow::Result<()> {
    threads::set(arguments.carry.threads)?;
    let mut stock = Stock::new();
    let study = open(&arguments.study, &mut stock)?;
    let before = study.recipe().seeds;
    if let Some(seeds) = arguments.seeds.filter(|seeds| *seeds < before) {
        let text =
            format!("--seeds {seeds} is less than the {before} that the study has; give more");
        return Err(Usage(text).into());
    }
    let change = |recipe: &mut StudyRecipe| {
        let lists = [
            (&mut recipe.methods, &arguments.method),
            (&mut recipe.students, &arguments.student),
        ];
        for (list, more) in lists {
            for name in more {
                if !list.contains(name) {
                    list.push(name.clone());
                }
            }
        }
        recipe.seeds = arguments.seeds.unwrap_or(recipe.seeds);
    };
    let study = study.changed(change, &mut stock)?;
    study.write(&arguments.study)?;
    if !quiet {
        plan::tell(&study);
    }
    carry::carry_out(
        &study,
        &arguments.study,
        &mut stock,
        &arguments.carry,
        quiet,
    )
}
