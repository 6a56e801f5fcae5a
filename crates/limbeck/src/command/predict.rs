//! `limbeck predict`: images in; of a model that classifies labels and probabilities out, of one that
//! segments masks, of a detector boxes.

use std::io::{BufWriter, Write, stdout};
use std::path::PathBuf;

use anyhow::bail;
use burn::tensor::{Tensor, TensorData, activation::softmax};
use limbeck::data::{IMAGE_EXTENSIONS, decode_file, images_below};
use limbeck::nn::{Taps, TaskKind};
use limbeck::train::TrainError;
use limbeck::train::model_facts::ModelFacts;
use limbeck::train::model_source::{self, LoadedModel};
use limbeck::train::named_model::ModelSource;
use serde_json::{Value, json};

use super::{boxes, masks, threads};
use crate::arguments::{PredictArguments, PredictFormat, Top};
use crate::exit::Usage;

/// Images of one forward pass.
const BATCH: usize = 32;

/// An image to look at.
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// The same from the folder that was named, or its name alone where it was named itself.
    pub below: PathBuf,
}

/// The most probable classes of an image, the first the most probable.
struct Labelled {
    image: PathBuf,
    labels: Vec<Label>,
}

/// A class of an image.
struct Label {
    name: String,
    probability: f64,
    logit: f64,
}

/// Labels and prints, or writes to a file.
pub fn run(arguments: &PredictArguments, quiet: bool) -> anyhow::Result<()> {
    threads::set(arguments.threads)?;
    let model = load_model(&arguments.model, &arguments.file.facts(), None, quiet)?;
    let images = collect(&arguments.images, quiet)?;
    if model.network.task() == Some(TaskKind::Segmentation) {
        return masks::run(&model, &images, arguments, quiet);
    }
    if model.network.task() == Some(TaskKind::Detection) {
        return boxes::run(&model, &images, arguments, quiet);
    }
    let of_boxes = [PredictFormat::Coco, PredictFormat::Yolo].contains(&arguments.format);
    if of_boxes
        || arguments.confidence.is_some()
        || arguments.overlap.is_some()
        || arguments.coco.is_some()
    {
        return Err(Usage(format!(
            "--confidence, --overlap, --coco and the formats coco and yolo are for detectors, and `{}` is none",
            arguments.model
        ))
        .into());
    }
    if let Some(path) = arguments.out.as_ref().filter(|path| path.exists()) {
        return Err(Usage(format!("`{}` exists; choose another name", path.display())).into());
    }
    match &arguments.out {
        None => print(
            &model,
            &images,
            arguments,
            &mut BufWriter::new(stdout().lock()),
        ),
        Some(path) => {
            let mut bytes = Vec::new();
            let printed = print(&model, &images, arguments, &mut bytes);
            limbeck::train::files::write_whole(path, &bytes).map_err(TrainError::from)?;
            printed
        }
    }
}

/// The model that `text` names; `facts` and `images` as for [`model_source::load`]. Says what was
/// chosen for the user, unless `quiet`.
pub fn load_model(
    text: &str,
    facts: &ModelFacts,
    images: Option<[usize; 2]>,
    quiet: bool,
) -> anyhow::Result<LoadedModel> {
    match ModelSource::recognise(text)? {
        ModelSource::File(file) => {
            let model = model_source::load(&file, facts, images)?;
            for note in model.notes.iter().filter(|_| !quiet) {
                eprintln!("{note}");
            }
            Ok(model)
        }
        ModelSource::Zoo(name) => Err(Usage(format!(
            "`{name}` is a model of the zoo without trained weights; name a run folder or a weights file"
        ))
        .into()),
    }
}

fn print(
    model: &LoadedModel,
    images: &[Found],
    arguments: &PredictArguments,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let top = match arguments.top {
        None => 1,
        Some(Top::Some(count)) => count,
        Some(Top::All) => model.network.input().classes,
    };
    let (labelled, damaged) = threads::compute(|| label(model, images, top))?;
    let format = match arguments.json {
        true => PredictFormat::Json,
        false => arguments.format,
    };
    let with_logits = arguments.logits;
    match format {
        PredictFormat::Csv => {
            let logit = if with_logits { ",logit" } else { "" };
            writeln!(out, "image,rank,label,probability{logit}")?;
            for Labelled { image, labels } in labelled {
                for (rank, label) in labels.iter().enumerate() {
                    write!(
                        out,
                        "{},{},{},{:.6}",
                        quoted(&image.display().to_string()),
                        rank + 1,
                        quoted(&label.name),
                        label.probability
                    )?;
                    match with_logits {
                        true => writeln!(out, ",{:.6}", label.logit)?,
                        false => writeln!(out)?,
                    }
                }
            }
        }
        PredictFormat::Json | PredictFormat::Coco | PredictFormat::Yolo => {
            let all: Vec<Value> = labelled
                .iter()
                .map(|Labelled { image, labels }| {
                    let labels: Vec<Value> = labels
                        .iter()
                        .map(|label| {
                            let Label {
                                name,
                                probability,
                                logit,
                            } = label;
                            let mut row = json!({ "label": name, "probability": probability });
                            if with_logits {
                                row["logit"] = json!(logit);
                            }
                            row
                        })
                        .collect();
                    json!({ "image": image.display().to_string(), "labels": labels })
                })
                .collect();
            writeln!(out, "{:#}", Value::Array(all))?;
        }
    }
    out.flush()?;
    if damaged > 0 {
        bail!("{damaged} of {} images could not be read", images.len());
    }
    Ok(())
}

/// The labels of all images that can be read, and the number of those that cannot.
fn label(
    model: &LoadedModel,
    images: &[Found],
    top: usize,
) -> anyhow::Result<(Vec<Labelled>, usize)> {
    let network = model.network.deployed();
    let input = network.input();
    let augment = model.augment()?;
    let mut labelled = Vec::new();
    let mut damaged = 0;
    for files in images.chunks(BATCH) {
        let mut decoded = Vec::new();
        for file in files {
            match decode_file(&file.path) {
                Ok(image) => decoded.push((&file.path, image)),
                Err(error) => {
                    damaged += 1;
                    eprintln!("error: {error}");
                }
            }
        }
        if decoded.is_empty() {
            continue;
        }
        let files: Vec<&PathBuf> = decoded.iter().map(|(file, _)| *file).collect();
        let mut numbers = vec![0.0; files.len() * augment.numbers()];
        for ((_, image), out) in decoded
            .into_iter()
            .zip(numbers.chunks_mut(augment.numbers()))
        {
            augment.apply(image, None, out);
        }
        let shape = [files.len(), input.channels, input.height, input.width];
        let batch = Tensor::<4>::from_data(
            TensorData::new(numbers, shape),
            (network.store.device(), network.store.dtype()),
        );
        let logits = network.evaluate(batch, &Taps::none()).logits();
        let probabilities = softmax(logits.clone(), 1);
        let probabilities: Vec<f64> = probabilities.into_data().iter::<f64>().collect();
        let logits: Vec<f64> = logits.into_data().iter::<f64>().collect();
        let rows = probabilities.chunks(input.classes);
        let rows = rows.zip(logits.chunks(input.classes));
        for (file, (row, logits)) in files.into_iter().zip(rows) {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
            let name = |class: usize| match &model.class_names {
                Some(names) => names[class].clone(),
                None => class.to_string(),
            };
            labelled.push(Labelled {
                image: file.clone(),
                labels: order
                    .into_iter()
                    .take(top)
                    .map(|class| Label {
                        name: name(class),
                        probability: row[class],
                        logit: logits[class],
                    })
                    .collect(),
            });
        }
    }
    Ok((labelled, damaged))
}

/// The files named, and the images in the folders named, at any depth, in order of their names. Says
/// what is left out of folders, unless `quiet`.
fn collect(paths: &[PathBuf], quiet: bool) -> anyhow::Result<Vec<Found>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let (images, left_out) = images_below(path).map_err(TrainError::from)?;
            for line in left_out.iter().filter(|_| !quiet) {
                eprintln!("{line}");
            }
            if images.is_empty() {
                bail!(
                    "`{}` holds no images ({})",
                    path.display(),
                    IMAGE_EXTENSIONS.join(", ")
                );
            }
            files.extend(images.into_iter().map(|image| Found {
                below: image.strip_prefix(path).unwrap_or(&image).to_owned(),
                path: image,
            }));
        } else if path.is_file() {
            files.push(Found {
                path: path.clone(),
                below: path.file_name().unwrap_or_default().into(),
            });
        } else if path.exists() {
            bail!(
                "`{}` is neither a file nor a folder; name an image or a folder of images",
                path.display()
            );
        } else {
            bail!(
                "`{}` does not exist; name an image or a folder of images",
                path.display()
            );
        }
    }
    Ok(files)
}

/// A field of a CSV row (RFC 4180).
pub fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn fields_with_commas_and_quotes_are_quoted() {
        assert_eq!(quoted("cat"), "cat");
        assert_eq!(quoted("cat, big"), "\"cat, big\"");
        assert_eq!(quoted("a \"cat\""), "\"a \"\"cat\"\"\"");
    }
}
