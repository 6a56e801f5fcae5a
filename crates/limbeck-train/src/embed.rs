//! Features of images, into a file: what a frozen network gives out before its classifier.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use limbeck_data::Part;
use limbeck_nn::{Feature, TapKind, Taps};
use serde_json::json;

use crate::{
    TrainError,
    files::{write_whole, write_whole_with},
    metric::EMBEDDING,
    model_source::LoadedModel,
    sweep::{BATCH, Sweep},
};

/// The tap that is stored.
pub const POOLED: &str = EMBEDDING;

/// Names of images take no more than so many bytes of the file's header, which readers have whole in
/// memory; longer lists lie in a file beside it.
const MOST_NAMES: usize = 8 << 20;

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// Number of images.
    pub images: usize,
    /// Numbers of a feature.
    pub width: usize,
    /// Whether the images have labels.
    pub labelled: bool,
    /// The file with the images' names, where they did not fit into the header.
    pub names: Option<PathBuf>,
}

/// Where names of images lie that do not fit into the header of `file`.
pub fn names_beside(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".names.json");
    file.with_file_name(name)
}

/// Writes the pooled features of all images of `part`, seen as in training without chance, to the
/// safetensors file `out`: `features` `[N, D]` in single precision, `labels` `[N]` as 64-bit integers
/// where images have classes, and as JSON lists in the metadata `classes` and `names`, besides `about`.
/// Images pass batch by batch. The file appears whole or not at all.
///
/// # Errors
/// A file that exists; a model that has no pooled feature, or does not tell its normalisation; an
/// image that cannot be read; a feature that is not finite.
pub fn embed(
    model: &LoadedModel,
    part: &Part,
    about: &BTreeMap<String, String>,
    out: &Path,
    workers: usize,
) -> Result<Embedded, TrainError> {
    let beside = names_beside(out);
    if let Some(taken) = [out, &beside].into_iter().find(|path| path.exists()) {
        return Err(TrainError::Setting(format!(
            "`{}` exists and is never overwritten; choose another name",
            taken.display()
        )));
    }
    let network = model.network.frozen();
    let taps = network.taps();
    let pooled = taps.iter().find(|tap| tap.name == POOLED);
    let Some(TapKind::Vector(width)) = pooled.map(|tap| tap.kind.clone()) else {
        return Err(TrainError::Setting(format!(
            "`{}` has no feature for an image as a whole; embed with a network that classifies",
            network.name()
        )));
    };
    let count = part.len();
    let labels: Option<Vec<usize>> = (0..count).map(|position| part.class(position)).collect();
    let names: Vec<String> = (0..count).map(|position| part.name(position)).collect();
    let names = json!(names).to_string();
    let inside = names.len() <= MOST_NAMES;
    let mut metadata = about.clone();
    metadata.insert("tap".to_owned(), POOLED.to_owned());
    if labels.is_some() {
        metadata.insert("classes".to_owned(), json!(part.classes()).to_string());
    }
    if inside {
        metadata.insert("names".to_owned(), names.clone());
    }
    let header = header(count, width, labels.is_some(), &metadata);
    let sweep = Sweep::new(part.clone(), &model.augment()?, BATCH, workers)?;
    let batches = sweep.batches(network.store.device(), network.store.dtype());
    // The file's writer speaks of the file alone; what went wrong with an image is told here.
    let mut failure = None;
    if !inside {
        write_whole(&beside, names.as_bytes())?;
    }
    let written = write_whole_with(out, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        for label in labels.iter().flatten() {
            file.write_all(&(*label as i64).to_le_bytes())?;
        }
        let mut first = 0;
        for batch in batches {
            let numbers = batch.map_err(TrainError::from).and_then(|batch| {
                let outputs = network.evaluate(batch.images, &Taps::from_iter([POOLED]));
                let feature = outputs.feature(POOLED).and_then(Feature::to_vector);
                let rows: Vec<f32> = feature
                    .into_iter()
                    .flat_map(|f| f.to_data().iter().collect::<Vec<_>>())
                    .collect();
                match rows.iter().position(|number| !number.is_finite()) {
                    Some(broken) => Err(TrainError::OutputsNotFinite {
                        network: network.name().to_owned(),
                        image: part.name(first + broken / width.max(1)),
                        value: rows[broken],
                    }),
                    None => Ok(rows),
                }
            });
            match numbers {
                Ok(numbers) => {
                    first += numbers.len() / width.max(1);
                    for number in numbers {
                        file.write_all(&number.to_le_bytes())?;
                    }
                }
                Err(error) => {
                    failure = Some(error);
                    return Err(io::Error::other("the features are not whole"));
                }
            }
        }
        Ok(())
    });
    if written.is_err() && !inside {
        let _ = std::fs::remove_file(&beside);
    }
    match failure {
        Some(error) => Err(error),
        None => {
            written?;
            Ok(Embedded {
                images: count,
                width,
                labelled: labels.is_some(),
                names: (!inside).then_some(beside),
            })
        }
    }
}

/// The file's JSON header, padded to a multiple of 8 bytes. Labels come first, so that all numbers are
/// aligned.
fn header(
    count: usize,
    width: usize,
    labelled: bool,
    metadata: &BTreeMap<String, String>,
) -> Vec<u8> {
    let labels = if labelled { 8 * count } else { 0 };
    let mut header = json!({
        "__metadata__": metadata,
        "features": {
            "dtype": "F32",
            "shape": [count, width],
            "data_offsets": [labels, labels + 4 * count * width],
        },
    });
    if labelled {
        header["labels"] = json!({
            "dtype": "I64",
            "shape": [count],
            "data_offsets": [0, labels],
        });
    }
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    header
}
