//! `limbeck inspect`: a network from outside.

use std::io::{Write, stdout};
use std::path::Path;

use limbeck::data::open;
use limbeck::methods::{HintSelection, HintSettings, blocks, propose_pairs};
use limbeck::nn::{InputShape, Network, model};
use limbeck::train::TrainError;
use limbeck::train::blueprint::build;
use limbeck::train::hint_pairs::hint_pairs;
use limbeck::train::model_facts::ModelFacts;
use limbeck::train::named_model::ModelSource;
use serde_json::json;

use super::network::{describe, print_network, published};
use super::{eval::split_of, predict::load_model, threads};
use crate::arguments::InspectArguments;
use crate::exit::Usage;

/// No data set has more.
pub const MOST_CLASSES: usize = 1_000_000;

/// Prints one network, or two with the layer pairs proposed for them.
pub fn run(arguments: &InspectArguments, quiet: bool) -> anyhow::Result<()> {
    threads::set(arguments.threads)?;
    let first = network(&arguments.model, arguments, quiet)?;
    let mut out = stdout().lock();
    let Some(student) = &arguments.student else {
        return print_network(&mut out, &first, arguments.json);
    };
    let student = network(student, arguments, quiet)?;
    let selection = match &arguments.data {
        Some(data) => Some(select_hints(data, &student, arguments)?),
        None => None,
    };
    let pairs = match &selection {
        Some(selection) => selection.pairs.clone(),
        None => propose_pairs(&student.taps(), &first.taps()),
    };
    if arguments.json {
        let mut report = json!({
            "teacher": describe(&first),
            "student": describe(&student),
            "pairs": pairs,
        });
        if let Some(HintSelection {
            clusters,
            distances,
            ..
        }) = &selection
        {
            report["hints"] = json!({
                "blocks": blocks(&first.taps()),
                "groups": clusters.assignment,
                "centres": clusters.centres,
                "converged": clusters.converged,
                "distances": distances,
            });
        }
        writeln!(out, "{report:#}")?;
        return Ok(());
    }
    writeln!(out, "teacher")?;
    print_network(&mut out, &first, false)?;
    writeln!(out, "\nstudent")?;
    print_network(&mut out, &student, false)?;
    let ratio = |of: &dyn Fn(&Network) -> u64| of(&first) as f64 / of(&student).max(1) as f64;
    writeln!(
        out,
        "\nthe student has {:.1} times fewer parameters and {:.1} times fewer MACs",
        ratio(&|network| network.store.trained_count() as u64),
        ratio(&|network| network.cost().macs)
    )?;
    if let Some(selection) = &selection {
        print_groups(&mut out, &first, selection)?;
    }
    writeln!(out, "\nproposed layer pairs (student, teacher)")?;
    for (student, teacher) in pairs {
        writeln!(out, "  {student:<16} {teacher}")?;
    }
    Ok(())
}

/// Hints among the blocks of the trained teacher for `student`, over the training images of `data`.
fn select_hints(
    data: &str,
    student: &Network,
    arguments: &InspectArguments,
) -> anyhow::Result<HintSelection> {
    if let ModelSource::Zoo(name) = ModelSource::recognise(&arguments.model)? {
        return Err(Usage(format!(
            "the blocks of an untrained `{name}` tell nothing; give --data together with a \
             teacher that is trained: a run folder or a weights file"
        ))
        .into());
    }
    let split = split_of(&arguments.model)?;
    let data = open(Path::new(data), &split).map_err(TrainError::from)?;
    // What was chosen for the user has been said when the network was shown.
    let model = load_model(&arguments.model, &facts(arguments)?, None, true)?;
    let settings = HintSettings {
        hints: arguments.hints,
        ..HintSettings::default()
    };
    let taps = student.taps();
    let found = hint_pairs(&model, &taps, &data.train, &settings);
    Ok(found?)
}

/// The groups of the teacher's blocks, their centres marked.
fn print_groups(
    out: &mut impl Write,
    teacher: &Network,
    selection: &HintSelection,
) -> anyhow::Result<()> {
    let clusters = &selection.clusters;
    writeln!(out, "\ngroups of the teacher's blocks (* is a centre)")?;
    for (place, name) in blocks(&teacher.taps()).iter().enumerate() {
        let mark = match clusters.centres.contains(&place) {
            true => "*",
            false => " ",
        };
        writeln!(out, "  {mark} {name:<14} {}", clusters.assignment[place])?;
    }
    if !clusters.converged {
        writeln!(out, "  the groups did not settle; these stood at the end")?;
    }
    Ok(())
}

/// What was said of a weights file that does not tell it itself.
fn facts(arguments: &InspectArguments) -> anyhow::Result<ModelFacts> {
    let size = match &arguments.input {
        None => None,
        Some(text) => match parse_input(text)? {
            [_, height, width] if height == width => Some(height),
            _ => {
                return Err(Usage(format!(
                    "--input of a weights file must be a square, such as 3x64x64, found `{text}`"
                ))
                .into());
            }
        },
    };
    Ok(ModelFacts {
        model: arguments.model_name.clone(),
        normalisation: arguments.normalisation.clone(),
        classes: None,
        weights_key: arguments.weights_key.clone(),
        size,
    })
}

fn network(source: &str, arguments: &InspectArguments, quiet: bool) -> anyhow::Result<Network> {
    match ModelSource::recognise(source)? {
        ModelSource::File(_) if arguments.classes.is_some() => Err(Usage(format!(
            "`{source}` is trained for its own classes; leave --classes out"
        ))
        .into()),
        ModelSource::File(_) => Ok(load_model(source, &facts(arguments)?, None, quiet)?.network),
        ModelSource::Zoo(name) => {
            let entry = model::find(&name)?;
            if arguments.input.is_none() && arguments.classes.is_none() {
                return published(&entry);
            }
            let [channels, height, width] = match &arguments.input {
                Some(text) => parse_input(text)?,
                None => [3, entry.size, entry.size],
            };
            let classes = arguments.classes.unwrap_or(entry.classes);
            if !(1..=MOST_CLASSES).contains(&classes) {
                return Err(Usage(format!(
                    "--classes must be 1 to {MOST_CLASSES}, found {classes}"
                ))
                .into());
            }
            let input = InputShape {
                channels,
                height,
                width,
                classes,
            };
            Ok(build(&name, input, 0)?)
        }
    }
}

/// `CxHxW`, each at least 1.
pub fn parse_input(text: &str) -> Result<[usize; 3], Usage> {
    parse_sizes(text).ok_or_else(|| {
        Usage(format!(
            "--input must be channels, height and width, such as 3x32x32, found `{text}`"
        ))
    })
}

/// `N` numbers of 1 to 65,536 with `x` between them.
pub fn parse_sizes<const N: usize>(text: &str) -> Option<[usize; N]> {
    let numbers: Vec<usize> = text
        .split(['x', '×'])
        .map(|part| part.trim().parse().ok())
        .collect::<Option<_>>()?;
    let sizes = <[usize; N]>::try_from(numbers).ok()?;
    sizes
        .iter()
        .all(|size| (1..=65_536).contains(size))
        .then_some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_shapes_are_three_positive_numbers() {
        assert_eq!(parse_input("3x32x32").unwrap(), [3, 32, 32]);
        assert!(parse_input("3x32").is_err());
        assert!(parse_input("3x0x32").is_err());
        assert!(parse_input("3x32x32x").is_err());
        assert!(parse_input("a picture").is_err());
    }
}
