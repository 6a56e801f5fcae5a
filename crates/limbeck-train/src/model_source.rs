//! Where a trained network comes from: a run folder, a weights file, or the zoo.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use limbeck_data::Normalisation;
use limbeck_nn::weights::{
    self, FileFormat, LoadOptions, ModelFile, ModelMetadata, StateDict, WeightsError,
};
use limbeck_nn::{InputShape, Network, NnError, model};
use sha2::{Digest, Sha256};

use crate::{TrainError, run_folder};

/// What a user named as a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelSource {
    /// A weights file, of a run folder or by itself.
    File(PathBuf),
    /// A name of the zoo.
    Zoo(String),
}

impl ModelSource {
    /// Looks at what `text` names: a folder, a file, or a model of the zoo, in this order.
    ///
    /// # Errors
    /// None of the three, or a folder that is not a finished run's.
    pub fn recognise(text: &str) -> Result<Self, TrainError> {
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Self::File(run_folder::student_of(path)?));
        }
        if path.is_file() {
            return Ok(Self::File(path.to_owned()));
        }
        match model::find(text) {
            Ok(entry) => Ok(Self::Zoo(entry.name)),
            Err(NnError::UnknownModel { nearest, .. }) => {
                let nearest = nearest.map_or_else(
                    || "see `limbeck models`".to_owned(),
                    |name| format!("did you mean the model `{name}`?"),
                );
                Err(TrainError::ModelSource(format!(
                    "`{text}` is neither a run folder, nor a weights file, nor a model of the zoo; {nearest}"
                )))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// A trained network with what its file says about it.
#[derive(Clone, Debug)]
pub struct LoadedModel {
    /// The network.
    pub network: Network,
    /// How its images were normalised, where the file says so.
    pub normalisation: Option<Normalisation>,
    /// Names of its classes, where the file says so.
    pub class_names: Option<Vec<String>>,
    /// Hash of its file, in hexadecimal.
    pub sha256: String,
}

/// Hash of `file`, in hexadecimal, as [`load`] gives it.
///
/// # Errors
/// A file that cannot be read.
pub fn sha256(file: &Path) -> Result<String, TrainError> {
    let bytes = std::fs::read(file).map_err(TrainError::io(file))?;
    Ok(hex(&Sha256::digest(&bytes)))
}

/// Reads the model in `file`. A file of another tool does not say which network it is for: that is
/// `model`, and `input` is then what it is built for.
///
/// # Errors
/// A file that is damaged, or says less than is needed, or does not fit the network.
pub fn load(
    file: &Path,
    model: Option<&str>,
    input: Option<InputShape>,
) -> Result<LoadedModel, TrainError> {
    let bytes = std::fs::read(file).map_err(TrainError::io(file))?;
    let sha256 = hex(&Sha256::digest(&bytes));
    let state = StateDict::from_bytes(file, bytes, None)?;
    let (device, dtype) = (Device::flex(), DType::F32);
    if state.format() == FileFormat::Safetensors
        && let Ok(metadata) = weights::read_metadata(file)
    {
        if let Some(named) = model
            && model::find(named)?.name != metadata.model
        {
            return Err(TrainError::ModelSource(format!(
                "`{}` is a `{}`, not a `{named}`; leave the name out",
                file.display(),
                metadata.model
            )));
        }
        let file = ModelFile { metadata, state };
        let network = file.network(&device, dtype)?;
        let ModelMetadata {
            normalisation,
            class_names,
            ..
        } = file.metadata;
        return Ok(LoadedModel {
            network,
            normalisation: normalisation.as_ref().map(from_file),
            class_names: (!class_names.is_empty()).then_some(class_names),
            sha256,
        });
    }
    let Some(model) = model else {
        return Err(TrainError::ModelSource(format!(
            "`{}` does not say which network it is for; name it with --teacher-model (distill) or --model-name (eval, predict)",
            file.display()
        )));
    };
    let entry = model::find(model)?;
    let input = input.unwrap_or(InputShape {
        channels: 3,
        height: entry.size,
        width: entry.size,
        classes: entry.classes,
    });
    let mut network = model::build(&entry.name, input, 0, &device, dtype)?;
    match weights::load_network(&mut network, &state, LoadOptions::default()) {
        Ok(_) => {}
        Err(WeightsError::Mismatch(report)) if report.classes.is_some() => {
            let [found, data] = report.classes.unwrap_or_default();
            return Err(TrainError::ClassCount {
                teacher: file.display().to_string(),
                teacher_classes: found,
                data_classes: data,
            });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(LoadedModel {
        network,
        normalisation: None,
        class_names: None,
        sha256,
    })
}

/// As [`load`], for a use that knows the number of classes at the most.
///
/// # Errors
/// As [`load`].
pub fn load_for(
    file: &Path,
    model: Option<&str>,
    classes: Option<usize>,
) -> Result<LoadedModel, TrainError> {
    let input = match model {
        None => None,
        Some(name) => {
            let entry = model::find(name)?;
            Some(InputShape {
                channels: 3,
                height: entry.size,
                width: entry.size,
                classes: classes.unwrap_or(entry.classes),
            })
        }
    };
    load(file, model, input)
}

/// How images are normalised for `model`.
///
/// # Errors
/// A file that does not say.
pub fn normalisation_of(model: &LoadedModel) -> Result<Normalisation, TrainError> {
    model.normalisation.clone().ok_or_else(|| {
        TrainError::ModelSource(format!(
            "the weights of `{}` do not say how images are normalised; use a file that limbeck wrote",
            model.network.name()
        ))
    })
}

/// Puts the weights of `file` into `network`, leaving the classifier as it was drawn where the
/// file's is for other classes.
///
/// # Errors
/// A file that is damaged or does not fit.
pub fn load_start(network: &mut Network, file: &Path) -> Result<(), TrainError> {
    let state = StateDict::read(file)?;
    let options = LoadOptions {
        strict: true,
        fresh_head: true,
    };
    weights::load_network(network, &state, options)?;
    Ok(())
}

/// Puts the weights of `file` into `network`; everything must fit.
///
/// # Errors
/// A file that is damaged or does not fit.
pub fn load_exactly(network: &mut Network, file: &Path) -> Result<(), TrainError> {
    let state = StateDict::read(file)?;
    weights::load_network(network, &state, LoadOptions::default())?;
    Ok(())
}

/// Writes `network` with all that is needed to use it.
///
/// # Errors
/// A file system that refuses.
pub fn save(
    network: &Network,
    normalisation: &Normalisation,
    class_names: &[String],
    file: &Path,
) -> Result<(), TrainError> {
    let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect();
    let normalisation = weights::Normalisation {
        mean: wide(&normalisation.mean),
        std: wide(&normalisation.std),
    };
    ModelFile::save(network, Some(normalisation), class_names.to_vec(), file)?;
    Ok(())
}

fn from_file(normalisation: &weights::Normalisation) -> Normalisation {
    let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
    Normalisation {
        mean: narrow(&normalisation.mean),
        std: narrow(&normalisation.std),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
