//! Trained networks from and to their files.

use std::path::Path;

use burn::tensor::{DType, Device};
use limbeck_data::{Augment, Fit, Normalisation};
use limbeck_nn::weights::{
    self, ImageFit, LoadOptions, ModelFile, ModelMetadata, SegmentationFacts, StateDict,
};
use limbeck_nn::{InputShape, Network, TaskKind, model};
use sha2::{Digest, Sha256};

use crate::{
    TrainError,
    blueprint::Blueprint,
    model_facts::{ModelFacts, parse_normalisation, read_classes},
    recipe::Recipe,
};

/// A trained network with what its file, or its user, says about it.
#[derive(Clone, Debug)]
pub struct LoadedModel {
    /// The network.
    pub network: Network,
    /// How its images were normalised, where that is known.
    pub normalisation: Option<Normalisation>,
    /// How its images were brought to the size of its input.
    pub fit: Fit,
    /// Which share of the scaled image was kept then.
    pub fit_share: f64,
    /// How pictures are shown to it, of a network that segments.
    pub segmentation: SegmentationFacts,
    /// Names of its classes, where they are known.
    pub class_names: Option<Vec<String>>,
    /// Hash of its file, in hexadecimal.
    pub sha256: String,
    /// Choices that were made for the user, a line each.
    pub notes: Vec<String>,
}

impl LoadedModel {
    /// What is done to images that it is measured on or labels: as in its training, without chance.
    ///
    /// # Errors
    /// A normalisation that is not known.
    pub fn augment(&self) -> Result<Augment, TrainError> {
        let input = self.network.input();
        let Some(normalisation) = self.normalisation.clone() else {
            return Err(TrainError::ModelSource(format!(
                "the weights of `{}` do not say how images were normalised; say it with \
                 --normalisation imagenet, cifar10, cifar100, half, none or MEAN/STD, such as \
                 0.485,0.456,0.406/0.229,0.224,0.225",
                self.network.name()
            )));
        };
        Ok(Augment {
            size: [input.height, input.width],
            channels: input.channels,
            fit: self.fit,
            fit_share: self.fit_share,
            normalisation: Some(normalisation),
            ..Augment::default()
        })
    }
}

/// Pictures in their own size, and what current PyTorch code makes of logits: what is meant where a
/// file does not tell.
const UNTOLD: SegmentationFacts = SegmentationFacts {
    scale: 1.0,
    align_corners: false,
};

/// What a file is to tell of a network that `recipe` trained for `task`.
pub(crate) fn segmentation_facts(recipe: &Recipe, task: TaskKind) -> Option<SegmentationFacts> {
    (task == TaskKind::Segmentation).then(|| SegmentationFacts {
        scale: recipe.data.scale.unwrap_or(1.0),
        align_corners: recipe.task.align_corners,
    })
}

/// Hash of `file`, in hexadecimal, as [`load`] gives it.
///
/// # Errors
/// A file that cannot be read.
pub fn sha256(file: &Path) -> Result<String, TrainError> {
    let bytes = std::fs::read(file).map_err(TrainError::io(file))?;
    Ok(hex(&Sha256::digest(&bytes)))
}

/// Networks whose published numbers are for images of at most this side are trained on data sets of
/// small images in the size that these have, whatever it is.
const SMALL: usize = 64;

/// Reads the model in `file`. What a file of another tool does not tell is in `facts`, and taken
/// from the shapes of its weights: channels, classes and, of transformers, the size of the images.
/// Convolutional networks do not tell that: those for small images are built for `images` (height
/// and width) where these are known, all others for the size of their published numbers.
///
/// # Errors
/// A file that is damaged, or says less than is needed, or other things than `facts`, or does not
/// fit the network.
pub fn load(
    file: &Path,
    facts: &ModelFacts,
    images: Option<[usize; 2]>,
) -> Result<LoadedModel, TrainError> {
    let bytes = std::fs::read(file).map_err(TrainError::io(file))?;
    let sha256 = hex(&Sha256::digest(&bytes));
    let state = StateDict::from_bytes(file, bytes, facts.weights_key.as_deref())?;
    let mut model = match state.metadata().contains_key(weights::MODEL_KEY) {
        true => load_told(ModelFile::of(state)?, facts)?,
        false => load_untold(file, &state, facts, images)?,
    };
    model.sha256 = sha256;
    let input = model.network.input();
    if let Some(text) = &facts.normalisation {
        let given = parse_normalisation(text, input.channels)?;
        if model.normalisation.get_or_insert(given.clone()) != &given {
            return Err(contradicts(file, "normalisation"));
        }
    }
    if let Some(path) = &facts.classes {
        let given = read_classes(path)?;
        if given.len() != input.classes {
            return Err(TrainError::Setting(format!(
                "`{}` names {} classes, the model in `{}` has {}",
                path.display(),
                given.len(),
                file.display(),
                input.classes
            )));
        }
        if model.class_names.get_or_insert(given.clone()) != &given {
            return Err(contradicts(file, "class names"));
        }
    }
    Ok(model)
}

/// A model whose file says which network it is for.
fn load_told(file: ModelFile, facts: &ModelFacts) -> Result<LoadedModel, TrainError> {
    let path = file.state.path().to_owned();
    let metadata = &file.metadata;
    if let Some(named) = &facts.model
        && model::find(named)?.name != metadata.model
    {
        return Err(TrainError::ModelSource(format!(
            "`{}` is a `{}`, not a `{named}`; leave the name out",
            path.display(),
            metadata.model
        )));
    }
    let input = metadata.input;
    if facts
        .size
        .is_some_and(|size| [size, size] != [input.height, input.width])
    {
        return Err(contradicts(&path, "image size"));
    }
    let network = file.network(&Device::flex(), DType::F32)?;
    with_facts(network, file)
}

/// Reads the model that a run has written for a network of one's own, which `blueprint` builds.
///
/// # Errors
/// A file that is damaged, that is for another network, or that limbeck did not write.
pub fn load_own(file: &Path, blueprint: &Blueprint) -> Result<LoadedModel, TrainError> {
    let found = ModelFile::read(file)?;
    if found.metadata.model != blueprint.name() {
        return Err(TrainError::ModelSource(format!(
            "`{}` is a `{}`, not a `{}`",
            file.display(),
            found.metadata.model,
            blueprint.name()
        )));
    }
    let mut network = blueprint.network(found.metadata.input, 0)?;
    found.fill(&mut network)?;
    Ok(LoadedModel {
        sha256: sha256(file)?,
        ..with_facts(network, found)?
    })
}

/// `network`, which has the weights of `file`, with what the file says of its images and classes.
fn with_facts(network: Network, file: ModelFile) -> Result<LoadedModel, TrainError> {
    let (fit, fit_share) = match &file.metadata.fit {
        None => (Augment::default().fit, Augment::default().fit_share),
        Some(fit) => (fit_of(file.state.path(), fit)?, fit.share),
    };
    let ModelMetadata {
        normalisation,
        segmentation,
        class_names,
        ..
    } = file.metadata;
    Ok(LoadedModel {
        network,
        normalisation: normalisation.as_ref().map(from_file),
        fit,
        fit_share,
        segmentation: segmentation.unwrap_or(UNTOLD),
        class_names: (!class_names.is_empty()).then_some(class_names),
        sha256: String::new(),
        notes: Vec::new(),
    })
}

/// A model whose file holds numbers alone.
fn load_untold(
    file: &Path,
    state: &StateDict,
    facts: &ModelFacts,
    images: Option<[usize; 2]>,
) -> Result<LoadedModel, TrainError> {
    let told = weights::told_model(state);
    let Some(model) = facts.model.as_ref().or(told.as_ref()) else {
        return Err(TrainError::ModelSource(format!(
            "`{}` does not say which network it is for; name it with --model-name (of a teacher, --teacher-model)",
            file.display()
        )));
    };
    let entry = model::find(model)?;
    let told = weights::told_input(&entry, state)?;
    let small = images.filter(|_| entry.size <= SMALL);
    let published = [entry.size, entry.size];
    let ([height, width], why) = match (facts.size, told.size, small) {
        (Some(size), ..) => ([size, size], None),
        (None, Some(size), _) => (size, Some("as its positional embedding tells")),
        (None, None, Some(size)) => (size, Some("as the data has them; it does not tell")),
        (None, None, None) => (
            published,
            Some("as its model is meant for; it does not tell"),
        ),
    };
    let input = InputShape {
        channels: told.channels.unwrap_or(3),
        height,
        width,
        classes: told.classes.unwrap_or(entry.classes),
    };
    let mut network = model::build(&entry.name, input, 0, &Device::flex(), DType::F32)?;
    weights::load_network(&mut network, state, LoadOptions::default())?;
    let mut notes: Vec<String> = choice_of_weights(state).into_iter().collect();
    if facts.model.is_none() {
        notes.push(format!(
            "`{}` is a `{}`, by its names and shapes (another: --model-name, of a teacher --teacher-model)",
            file.display(),
            entry.name
        ));
    }
    if let Some(why) = why {
        notes.push(format!(
            "`{}` sees images of {height}×{width} pixels, {why} (another: --size, of a teacher --teacher-size)",
            file.display()
        ));
    }
    let Augment { fit, fit_share, .. } = Augment::default();
    // The official code of the zoo's detectors divides pixels by 255 and does nothing else.
    let detects = entry.task == TaskKind::Detection;
    let names = state.class_names();
    Ok(LoadedModel {
        network,
        normalisation: detects.then(|| Normalisation::identity(input.channels)),
        fit,
        fit_share,
        segmentation: UNTOLD,
        class_names: (names.len() == input.classes).then(|| names.to_vec()),
        sha256: String::new(),
        notes,
    })
}

/// Which of several state dicts was read, for the user; nothing where there is one alone.
fn choice_of_weights(state: &StateDict) -> Option<String> {
    let under = state.under()?;
    if state.others().is_empty() {
        return None;
    }
    Some(format!(
        "`{}`: the weights under `{under}` were read; {} there too: choose with --weights-key (of a teacher, --teacher-weights-key)",
        state.path().display(),
        match state.others() {
            [one] => format!("`{one}` is"),
            all => format!("{} are", all.join(", ")),
        }
    ))
}

fn contradicts(file: &Path, what: &str) -> TrainError {
    TrainError::ModelSource(format!(
        "`{}` tells its own {what}, which is another than the given one; leave that out",
        file.display()
    ))
}

/// The way of fitting that a file names.
pub(crate) fn fit_of(file: &Path, fit: &ImageFit) -> Result<Fit, TrainError> {
    serde_json::from_value(fit.name.as_str().into()).map_err(|_| {
        TrainError::ModelSource(format!(
            "`{}` fits its images by `{}`, which is not known; it was written by another version",
            file.display(),
            fit.name
        ))
    })
}

/// Puts the weights of `file`, those under `key` if one is named, into `network`, leaving the
/// classifier as it was drawn where the file's is for other classes. Gives what the user should
/// know of that, a line each.
///
/// # Errors
/// A file that is damaged or does not fit.
pub fn load_start(
    network: &mut Network,
    file: &Path,
    key: Option<&str>,
) -> Result<Vec<String>, TrainError> {
    let state = StateDict::read_under(file, key)?;
    let options = LoadOptions {
        strict: true,
        fresh_head: true,
    };
    let report = weights::load_network(network, &state, options)?;
    let mut notes: Vec<String> = choice_of_weights(&state).into_iter().collect();
    let mut changes = Vec::new();
    if !report.fresh.is_empty() {
        let why = match report.classes {
            Some([file, student]) => format!("it knows {file} classes, the student {student}"),
            None => "it has none".to_owned(),
        };
        changes.push(format!(
            "{} of the classifier are freshly drawn ({}): {why}",
            report.fresh.len(),
            report.fresh.join(", ")
        ));
    }
    if !report.resized.is_empty() {
        let names: Vec<String> = report.resized.iter().map(ToString::to_string).collect();
        changes.push(format!("{} resized: {}", names.len(), names.join(", ")));
    }
    let input = network.input();
    if let Ok(metadata) = weights::read_metadata(file)
        && [metadata.input.height, metadata.input.width] != [input.height, input.width]
    {
        changes.push(format!(
            "it was trained on images of {}×{} pixels, the student sees {}×{}",
            metadata.input.height, metadata.input.width, input.height, input.width
        ));
    }
    if let Some(quantisation) = state.quantisation() {
        changes.push(format!(
            "its weights have {}: the student starts from these levels, in full precision",
            quantisation.plan
        ));
    }
    if !changes.is_empty() {
        notes.push(format!(
            "start: {} tensors from `{}`; {}",
            report.loaded,
            file.display(),
            changes.join("; ")
        ));
    }
    Ok(notes)
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

/// Writes `network` with all that is needed to use it; `augment` is how its images were prepared, and
/// `segmentation` how pictures are shown to one that segments. Weights of few bits are written as codes
/// where `packed` says so, else in single precision, as training has them.
///
/// # Errors
/// A file system that refuses.
pub fn save(
    network: &Network,
    augment: &Augment,
    segmentation: Option<SegmentationFacts>,
    class_names: &[String],
    packed: bool,
    file: &Path,
) -> Result<(), TrainError> {
    let given = augment.normalisation.as_ref();
    let normalisation = given.map(|normalisation| weights::Normalisation {
        mean: normalisation.mean.clone(),
        std: normalisation.std.clone(),
    });
    let name = serde_json::to_value(augment.fit).unwrap_or_default();
    let fit = ImageFit {
        name: name.as_str().unwrap_or_default().to_owned(),
        share: augment.fit_share,
    };
    ModelFile::save(
        network,
        normalisation,
        Some(fit),
        segmentation,
        class_names.to_vec(),
        packed,
        file,
    )?;
    Ok(())
}

fn from_file(normalisation: &weights::Normalisation) -> Normalisation {
    Normalisation::new(&normalisation.mean, &normalisation.std)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
