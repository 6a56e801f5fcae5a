//! `limbeck bench knn`.

use limbeck::train::bench::{Machine, NeighboursBench};
use serde_json::{Map, json};

use super::{
    MOST_RUNS, check,
    report::{Speed, StepBytes, insert, print_json, print_table},
    threads,
};
use crate::arguments::NeighboursArguments;

/// As many embeddings as anyone looks among at once.
const MOST_EMBEDDINGS: usize = 2_000_000;
const MOST_NUMBERS: usize = 16_384;

/// Measures how fast the nearest neighbours vote.
pub fn run(arguments: &NeighboursArguments) -> anyhow::Result<()> {
    let runs = arguments.measure.runs;
    check("--bank", arguments.bank, MOST_EMBEDDINGS)?;
    check("--images", arguments.images, MOST_EMBEDDINGS)?;
    check("--width", arguments.width, MOST_NUMBERS)?;
    check("--neighbours", arguments.neighbours, MOST_EMBEDDINGS)?;
    check("--runs", runs, MOST_RUNS)?;
    threads::set(arguments.measure.threads)?;
    let machine = Machine::measured();
    let bench = NeighboursBench {
        bank: arguments.bank,
        images: arguments.images,
        width: arguments.width,
        neighbours: arguments.neighbours,
        runs,
    };
    let times = threads::compute(|| bench.run())?;
    let speed = |ms| Speed {
        ms,
        flops: times.flops,
    };
    if arguments.measure.json {
        let mut keys = Map::from_iter(
            [
                ("bank", arguments.bank),
                ("images", arguments.images),
                ("width", arguments.width),
                ("neighbours", arguments.neighbours),
            ]
            .map(|(key, value)| (key.to_owned(), json!(value))),
        );
        insert(Some(speed(times.vote_ms)), &mut keys, "vote", &machine);
        insert(
            Some(speed(times.product_ms)),
            &mut keys,
            "product",
            &machine,
        );
        return print_json(keys, runs, &machine);
    }
    let title = format!(
        "{} neighbours of {} embeddings among {}, of {} numbers",
        arguments.neighbours, arguments.images, arguments.bank, arguments.width
    );
    let rows = [
        ("vote".to_owned(), speed(times.vote_ms)),
        ("product alone".to_owned(), speed(times.product_ms)),
    ];
    print_table(&title, runs, &machine, &rows, StepBytes::default())
}
