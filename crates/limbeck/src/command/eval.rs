//! `limbeck eval`: a model on one part of a data set.

use std::io::{Write, stdout};
use std::path::Path;

use limbeck::data::{Labelling, Measured, OpenOptions, find_labelled};
use limbeck::nn::TaskKind;
use limbeck::report::counted;
use limbeck::train::evaluate::EvaluationSet;
use limbeck::train::recipe::EvaluateRecipe;
use limbeck::train::run_folder;
use limbeck::train::{TrainError, data::wanted_labels};
use serde_json::{Map, Value, json};

use super::{classes::by_class_of_model, predict::load_model, threads};
use crate::arguments::{EvalArguments, PartName};
use crate::exit::Usage;

/// How the run in the folder `model` split its data, so that nothing it was trained on is tested;
/// the usual split for a file.
pub fn split_of(model: &str) -> anyhow::Result<OpenOptions> {
    let recipe = run_folder::recipe_of(Path::new(model))?;
    Ok(
        recipe.map_or_else(OpenOptions::default, |recipe| OpenOptions {
            seed: recipe.data.split_seed,
            validation: recipe.data.validation,
            limit: None,
            labels: wanted_labels(&recipe),
        }),
    )
}

/// How the run in the folder `model` measured a network that segments, or a detector; as is usual for a file.
pub fn shown_as(model: &str) -> anyhow::Result<EvaluateRecipe> {
    let recipe = run_folder::recipe_of(Path::new(model))?;
    Ok(recipe.map(|recipe| recipe.evaluate).unwrap_or_default())
}

/// Whether the run in the folder `model` was trained on the data at `data`.
fn was_trained_on(model: &str, data: &Path) -> anyhow::Result<bool> {
    let recipe = run_folder::recipe_of(Path::new(model))?;
    Ok(recipe.is_some_and(|recipe| {
        let trained_on = Path::new(&recipe.data.path);
        match (trained_on.canonicalize(), data.canonicalize()) {
            (Ok(trained_on), Ok(data)) => trained_on == data,
            _ => trained_on == data,
        }
    }))
}

/// Measures and prints.
pub fn run(arguments: &EvalArguments, quiet: bool) -> anyhow::Result<()> {
    threads::set(arguments.threads)?;
    let path = Path::new(&arguments.data);
    let split = split_of(&arguments.model)?;
    let found = find_labelled(path, split.labels).map_err(TrainError::from)?;
    for note in found.notes.iter().filter(|_| !quiet) {
        eprintln!("{note}");
    }
    let name = found.name.clone();
    let which = match arguments.part {
        Some(PartName::Train) => Measured::Train,
        Some(PartName::Validation) => Measured::Validation,
        Some(PartName::Test) => Measured::Test,
        Some(PartName::All) => Measured::All,
        None => found.usually_measured(was_trained_on(&arguments.model, path)?),
    };
    let part = found.measured(which, &split).map_err(TrainError::from)?;
    if part.labelling() == Labelling::None {
        return Err(Usage(format!(
            "`{}` has no labels to measure by; label its images with `limbeck predict`",
            arguments.data
        ))
        .into());
    }
    let images = part
        .source
        .usual_shape()
        .map(|[_, height, width]| [height, width]);
    let model = load_model(&arguments.model, &arguments.file.facts(), images, quiet)?;
    let labels = match part.labelling() {
        Labelling::Masks => TaskKind::Segmentation,
        Labelling::Boxes => TaskKind::Detection,
        Labelling::None | Labelling::Classes => TaskKind::Classification,
    };
    if let Some(task) = model.network.task().filter(|task| *task != labels) {
        return Err(Usage(format!(
            "`{}` is for {task}, and {name} has the labels of {labels}; measure it on other data, or \
             another model on this",
            arguments.model
        ))
        .into());
    }
    let part = by_class_of_model(part, &model, &arguments.model)?;
    let images = part.len();
    let classes = part.classes().to_vec();
    let evaluate = shown_as(&arguments.model)?;
    let set = EvaluationSet::of_model(part, &model, &evaluate, 1)?;
    let deployed = model.network.deployed();
    let (evaluation, _) = threads::compute(|| set.measure(&deployed, None))?;
    let whole_numbers = match deployed.integer_layers() {
        Some(layers) => {
            let (precise, _) = threads::compute(|| set.measure(&model.network, None))?;
            Some((layers, precise))
        }
        None => None,
    };
    let mut out = stdout().lock();
    if arguments.json {
        let mut report = json!({
            "model": model.network.name(),
            "data": name,
            "part": which.name(),
            "images": images,
            "classes": classes,
            "per_class": evaluation.per_class,
            "details": evaluation.details,
            "params": model.network.store.trained_count(),
            "macs": model.network.cost().macs,
        });
        for measure in &evaluation.measures {
            report[&measure.name] = json!(measure.value);
        }
        if let Some((layers, precise)) = &whole_numbers {
            report["whole_numbers"] = json!({
                "layers": layers.layers,
                "maps": layers.maps,
                "byte_maps": layers.byte_maps,
            });
            let precise = precise.measures.iter();
            report["single_precision"] = precise
                .map(|measure| (measure.name.clone(), json!(measure.value)))
                .collect::<Map<String, Value>>()
                .into();
        }
        writeln!(out, "{report:#}")?;
        return Ok(());
    }
    writeln!(
        out,
        "{} on {name} ({})",
        model.network.name(),
        match which {
            Measured::All => format!("all {images} images"),
            part => format!("{} part, {images} images", part.name()),
        }
    )?;
    let titles = evaluation
        .measures
        .iter()
        .map(|measure| measure.title.chars().count());
    let width = titles.max().unwrap_or(0);
    for measure in &evaluation.measures {
        let number = measure.bare(measure.value, 2);
        writeln!(
            out,
            "  {:<width$}  {number:>8} {}",
            measure.title, measure.unit
        )?;
    }
    if let Some((layers, precise)) = &whole_numbers {
        let precise = precise.first().map(|measure| {
            format!(
                "; {} with the same levels in single precision",
                measure.write(measure.value, 2)
            )
        });
        writeln!(
            out,
            "  {} run in whole numbers{}",
            counted(layers.layers, "layer"),
            precise.unwrap_or_default()
        )?;
    } else if model.network.quantisation().is_some() {
        writeln!(
            out,
            "  its levels run in single precision: whole numbers are for those of the range quantiser"
        )?;
    }
    let of_classes = match labels {
        TaskKind::Segmentation => Some("IoU"),
        TaskKind::Detection => Some("AP"),
        TaskKind::Classification | TaskKind::Pretraining => None,
    };
    if let Some(measure) = of_classes {
        print_classes(&mut out, measure, &classes, &evaluation.per_class)?;
    }
    Ok(())
}

/// IoU or AP of each class, those that do not occur by name.
fn print_classes(
    out: &mut impl Write,
    measure: &str,
    classes: &[String],
    per_class: &[Option<f64>],
) -> anyhow::Result<()> {
    let width = classes.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or(0);
    writeln!(out, "\n  {measure} of each class")?;
    for (name, iou) in classes.iter().zip(per_class) {
        match iou {
            Some(iou) => writeln!(out, "  {name:<width$}  {iou:>8.2} %")?,
            None => writeln!(out, "  {name:<width$}    absent")?,
        }
    }
    Ok(())
}
