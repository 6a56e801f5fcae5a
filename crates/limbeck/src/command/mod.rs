//! One file per command.

mod bench;
mod boxes;
mod cache;
mod catalogue;
mod check;
mod check_boxes;
mod classes;
mod compare;
mod completions;
mod continual;
mod contract;
mod costs;
mod data_page;
mod demo;
mod distill;
mod embed;
mod eval;
mod evidence;
mod fewshot;
mod inspect;
mod interrupt;
mod masks;
mod models;
mod network;
mod new;
mod predict;
mod probe;
mod report;
mod resume;
mod runs;
mod series;
mod study;
mod threads;
mod train;

use crate::arguments::{Arguments, Command};

/// Does what was asked for.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let quiet = arguments.quiet;
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments, quiet),
        Command::Train(arguments) => train::run(&arguments, quiet),
        Command::Distill(arguments) => distill::run(&arguments, quiet),
        Command::Resume(arguments) => resume::run(&arguments, quiet),
        Command::Contract(arguments) => contract::run(&arguments, quiet),
        Command::Eval(arguments) => eval::run(&arguments, quiet),
        Command::Embed(arguments) => embed::run(&arguments, quiet),
        Command::Fewshot(arguments) => fewshot::run(&arguments, quiet),
        Command::Predict(arguments) => predict::run(&arguments, quiet),
        Command::Probe(arguments) => probe::run(&arguments, quiet),
        Command::Inspect(arguments) => inspect::run(&arguments, quiet),
        Command::Methods(arguments) => catalogue::methods(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::Study(arguments) => study::run(&arguments, quiet),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Report(arguments) => report::run(&arguments),
        Command::Check(arguments) => check::run(&arguments, quiet),
        Command::New(arguments) => new::run(&arguments, quiet),
        Command::Cache(arguments) => cache::run(&arguments, quiet),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
    }
}
