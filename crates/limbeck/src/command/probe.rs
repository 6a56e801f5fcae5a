//! `limbeck probe`: what embeddings are worth.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use limbeck::data::{Dataset, Labelling, OpenOptions, open};
use limbeck::report::Gain;
use limbeck::train::TrainError;
use limbeck::train::experiment::Stock;
use limbeck::train::model_source::{self, LoadedModel};
use limbeck::train::named_model::ModelSource;
use limbeck::train::probe::{Contender, Frozen, Probed, contenders, finetune, frozen, gain};
use limbeck::train::run_folder;
use serde_json::json;

use super::runs::Flags;
use super::threads;
use crate::arguments::{ProbeArguments, ProbeName};
use crate::exit::Usage;
use crate::progress::Progress;

/// Judges and prints.
pub fn run(arguments: &ProbeArguments, quiet: bool) -> anyhow::Result<()> {
    refuse_unread(arguments)?;
    threads::set(arguments.threads)?;
    let dataset = open_labelled(arguments, quiet)?;
    let contenders = named(&arguments.model)?;
    let mut probed = Vec::new();
    for contender in &contenders {
        let mut accuracies = Vec::new();
        let mut network = String::new();
        for (seed, file) in &contender.files {
            let model = load(arguments, file, &dataset, quiet)?;
            model.network.name().clone_into(&mut network);
            accuracies.push(judge(
                arguments, contender, *seed, file, &model, &dataset, quiet,
            )?);
        }
        probed.push(Probed::new(&contender.name, &network, accuracies));
    }
    let of = |name: &str| probed.iter().find(|probed| probed.name == name);
    let gained = match (of("student"), of("baseline")) {
        (Some(student), Some(baseline)) => gain(student, baseline),
        _ => None,
    };
    print(arguments, &dataset, &probed, gained.as_ref())
}

/// Refuses what the chosen way does not read.
fn refuse_unread(arguments: &ProbeArguments) -> anyhow::Result<()> {
    let trains = arguments.how == ProbeName::Finetune;
    let of_training = [
        ("--epochs", arguments.epochs.is_some()),
        ("--recipe", arguments.recipe.is_some()),
        ("--set", !arguments.set.is_empty()),
        ("--out", arguments.out.is_some()),
    ];
    match of_training.iter().find(|(_, given)| *given && !trains) {
        Some((flag, _)) => Err(Usage(format!(
            "{flag} is read by --how finetune alone; leave it out"
        ))
        .into()),
        None => Ok(()),
    }
}

/// The data, which has to have a class for each image; split as the run's where it is the same.
fn open_labelled(arguments: &ProbeArguments, quiet: bool) -> anyhow::Result<Dataset> {
    let recipe = run_folder::recipe_of(Path::new(&arguments.model))?;
    let options = recipe.map_or_else(OpenOptions::default, |recipe| OpenOptions {
        seed: recipe.data.split_seed,
        validation: recipe.data.validation,
        limit: None,
        labels: None,
    });
    let dataset = open(Path::new(&arguments.data), &options).map_err(TrainError::from)?;
    for note in dataset.notes.iter().filter(|_| !quiet) {
        eprintln!("{note}");
    }
    match dataset.labelling {
        Labelling::Classes => Ok(dataset),
        Labelling::None | Labelling::Masks | Labelling::Boxes => Err(Usage(format!(
            "`{}` has no class for each image, which is what embeddings are judged by",
            arguments.data
        ))
        .into()),
    }
}

/// The networks of a run, or the model of a file.
fn named(text: &str) -> anyhow::Result<Vec<Contender>> {
    let path = Path::new(text);
    if run_folder::recipe_of(path)?.is_some() {
        return Ok(contenders(path)?);
    }
    match ModelSource::recognise(text)? {
        ModelSource::File(file) => Ok(vec![Contender {
            name: "model".to_owned(),
            files: vec![(0, file)],
        }]),
        ModelSource::Zoo(name) => Err(Usage(format!(
            "`{name}` is a model of the zoo without trained weights; name a run folder or a weights file"
        ))
        .into()),
    }
}

fn load(
    arguments: &ProbeArguments,
    file: &Path,
    dataset: &Dataset,
    quiet: bool,
) -> anyhow::Result<LoadedModel> {
    let images = dataset.shape.map(|[_, height, width]| [height, width]);
    let model = model_source::load(file, &arguments.file.facts(), images)?;
    for note in model.notes.iter().filter(|_| !quiet) {
        eprintln!("{note}");
    }
    Ok(model)
}

/// Accuracies of one network, a number for each draw.
fn judge(
    arguments: &ProbeArguments,
    contender: &Contender,
    seed: u64,
    file: &Path,
    model: &LoadedModel,
    dataset: &Dataset,
    quiet: bool,
) -> anyhow::Result<Vec<f64>> {
    let draws: Vec<u64> = (arguments.seed..).take(arguments.draws as usize).collect();
    let how = match arguments.how {
        ProbeName::Linear => Frozen::Linear,
        ProbeName::Knn => Frozen::Neighbours(arguments.neighbours as usize),
        ProbeName::Finetune => {
            return fine_tuned(arguments, contender, seed, file, model, quiet);
        }
    };
    Ok(threads::compute(|| {
        frozen(model, dataset, how, arguments.shots, &draws)
    })?)
}

fn fine_tuned(
    arguments: &ProbeArguments,
    contender: &Contender,
    seed: u64,
    file: &Path,
    model: &LoadedModel,
    quiet: bool,
) -> anyhow::Result<Vec<f64>> {
    let mut flags = Flags::default();
    flags.put("data", "path", Some(arguments.data.as_str()));
    flags.put("student", "model", Some(model.network.name()));
    flags.put("method", "name", Some(limbeck::methods::BASELINE));
    flags.number("data", "shots", arguments.shots);
    flags.number("train", "epochs", arguments.epochs);
    flags.number("train", "threads", arguments.threads);
    flags.put("train", "seed", Some(arguments.seed as i64));
    flags.number("train", "seeds", Some(arguments.draws as usize));
    let layers = flags.over(arguments.recipe.as_deref(), &arguments.set)?;
    let mut recipe = layers.resolve()?;
    if let Some(normalisation) = &model.normalisation {
        recipe.augment.normalisation = Some(normalisation.clone());
    }
    let out = out(arguments).join(format!("{}-{seed}", contender.name));
    if let Some(parent) = out.parent() {
        std::fs::create_dir_all(parent).map_err(|source| TrainError::io(parent)(source))?;
    }
    let mut progress = Progress::new(quiet);
    Ok(threads::compute(|| {
        finetune(&recipe, file, &mut Stock::new(), &out, &mut progress)
    })?)
}

/// Where fine-tuning runs are: as asked for, or in a folder beside the model.
fn out(arguments: &ProbeArguments) -> PathBuf {
    arguments.out.clone().unwrap_or_else(|| {
        let path = PathBuf::from(&arguments.model);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push("-finetuned");
        path.with_file_name(name)
    })
}

fn print(
    arguments: &ProbeArguments,
    dataset: &Dataset,
    probed: &[Probed],
    gained: Option<&Gain>,
) -> anyhow::Result<()> {
    let how = match arguments.how {
        ProbeName::Linear => "linear",
        ProbeName::Knn => "knn",
        ProbeName::Finetune => "finetune",
    };
    let mut out = stdout().lock();
    if arguments.json {
        let report = json!({
            "how": how,
            "data": dataset.name,
            "images": dataset.test.len(),
            "shots": arguments.shots,
            "draws": arguments.draws,
            "networks": probed,
            "gain": gained,
        });
        writeln!(out, "{report:#}")?;
        return Ok(());
    }
    let title = match arguments.how {
        ProbeName::Linear => "linear probe".to_owned(),
        ProbeName::Knn => format!("{} nearest neighbours", arguments.neighbours),
        ProbeName::Finetune => "fine-tuned".to_owned(),
    };
    let from = match arguments.shots {
        Some(shots) => format!(
            "{shots} images of each class, drawn {} times",
            arguments.draws
        ),
        None => format!("{} images", dataset.train.len()),
    };
    writeln!(
        out,
        "{title} on {}: {from}; accuracy in percent on {} test images",
        dataset.name,
        dataset.test.len()
    )?;
    let width = probed.iter().map(|probed| probed.name.len()).max();
    let width = width.unwrap_or(0);
    for Probed {
        name,
        network,
        accuracy,
        ci95,
        ..
    } in probed
    {
        writeln!(
            out,
            "  {name:<width$}  {accuracy:>6.2}{}  {network}",
            interval(*ci95)
        )?;
    }
    if let Some(gained) = gained {
        writeln!(
            out,
            "  gain of student over baseline: {:+.2}{} points",
            gained.mean,
            interval(gained.ci95)
        )?;
    }
    Ok(())
}

fn interval(ci95: Option<[f64; 2]>) -> String {
    ci95.map_or_else(String::new, |[low, high]| {
        format!(" ({low:.2} to {high:.2})")
    })
}
