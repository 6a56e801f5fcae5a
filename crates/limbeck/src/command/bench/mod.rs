//! `limbeck bench`: speed.

mod cache;
mod convolution;
mod data;
mod detection;
mod loss;
mod neighbours;
mod network;
mod profile;
mod report;
mod side;
mod step;

use super::threads;
use crate::arguments::{Bench, BenchArguments};
use crate::exit::Usage;

/// No batch that anyone trains with has more.
const MOST_IMAGES: usize = 65_536;
const MOST_RUNS: usize = 10_000;

/// Measures what was asked for.
pub fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    match &arguments.what {
        Bench::Ap(arguments) => detection::precision(arguments),
        Bench::Cache(arguments) => cache::run(arguments),
        Bench::Conv(arguments) => convolution::run(arguments),
        Bench::Data(arguments) => data::run(arguments),
        Bench::Knn(arguments) => neighbours::run(arguments),
        Bench::Loss(arguments) => loss::run(arguments),
        Bench::Net(arguments) => network::run(arguments),
        Bench::Nms(arguments) => detection::suppression(arguments),
        Bench::Side(arguments) => side::run(arguments),
        Bench::Step(arguments) => step::run(arguments),
    }
}

/// Refuses a value of the option `name` that is not 1 to `most`.
fn check(name: &str, value: usize, most: usize) -> Result<(), Usage> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Usage(format!("{name} must be 1 to {most}, found {value}")))
}
