//! Files that say which network they are for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::tensor::{DType, Device};

use super::packed::{FileQuantisation, QUANTISATION_KEY};
use super::recognise::recognise;
use super::safetensors_file::{header_length, parse_header};
use super::save::save_packed;
use super::{FileFormat, LoadOptions, StateDict, WeightsError, load_network, save_safetensors};
use crate::{InputShape, Network, model, quantise::QuantiseError};

/// What images have subtracted and are divided by, channel by channel, after their values were
/// brought to 0 … 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalisation {
    /// Subtracted.
    pub mean: Vec<f64>,
    /// Divided by afterwards.
    pub std: Vec<f64>,
}

/// How images of another shape were brought to the network's size.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageFit {
    /// The way, such as `cover` or `stretch`; what they mean is the data's matter.
    pub name: String,
    /// Side of the part that is kept, in sides of the scaled image; above 0 and at most 1.
    pub share: f64,
}

/// How pictures are shown to a network that segments, and what is made of its logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentationFacts {
    /// Factor by which both sides of pictures were reduced, above 0 and at most 1.
    pub scale: f64,
    /// Whether corner pixels keep their places where logits are resized.
    pub align_corners: bool,
}

/// What a file says of the network that it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelMetadata {
    /// Zoo name.
    pub model: String,
    /// Shape of the images and number of classes.
    pub input: InputShape,
    /// How images are normalised; `None` where they are not.
    pub normalisation: Option<Normalisation>,
    /// How images are brought to the size of the input; `None` in files that do not tell.
    pub fit: Option<ImageFit>,
    /// How pictures are shown to a network that segments; `None` of others, and in files that do not
    /// tell.
    pub segmentation: Option<SegmentationFacts>,
    /// Names of the classes in the order of the logits; empty where they have none.
    pub class_names: Vec<String>,
    /// Bits of its layers; `None` in full precision.
    pub quantisation: Option<FileQuantisation>,
}

/// The key under which a file names its model; files that have it tell the rest too.
pub const MODEL_KEY: &str = "limbeck.model";

/// Key of [`SegmentationFacts::scale`].
const SCALE: &str = "limbeck.scale";
/// Key of [`SegmentationFacts::align_corners`].
const ALIGN_CORNERS: &str = "limbeck.align_corners";

/// Most channels, rows or columns of an image that a file may ask for.
const MAX_SIDE: usize = 1 << 13;

impl ModelMetadata {
    /// Key-value pairs for a safetensors file. `format` is `pt`, as PyTorch's tools expect.
    pub fn to_pairs(&self) -> BTreeMap<String, String> {
        let InputShape {
            channels,
            height,
            width,
            classes,
        } = self.input;
        let mut pairs = BTreeMap::from([
            ("format".to_owned(), "pt".to_owned()),
            (MODEL_KEY.to_owned(), self.model.clone()),
            (
                "limbeck.input".to_owned(),
                format!("{channels}x{height}x{width}"),
            ),
            ("limbeck.classes".to_owned(), classes.to_string()),
        ]);
        if let Some(Normalisation { mean, std }) = &self.normalisation {
            pairs.insert("limbeck.mean".to_owned(), numbers_to_text(mean));
            pairs.insert("limbeck.std".to_owned(), numbers_to_text(std));
        }
        if let Some(ImageFit { name, share }) = &self.fit {
            pairs.insert("limbeck.fit".to_owned(), name.clone());
            pairs.insert("limbeck.fit_share".to_owned(), share.to_string());
        }
        if let Some(SegmentationFacts {
            scale,
            align_corners,
        }) = self.segmentation
        {
            pairs.insert(SCALE.to_owned(), scale.to_string());
            pairs.insert(ALIGN_CORNERS.to_owned(), align_corners.to_string());
        }
        if let Some(quantisation) = &self.quantisation {
            pairs.insert(QUANTISATION_KEY.to_owned(), quantisation.to_text());
        }
        if !self.class_names.is_empty() {
            let names = serde_json::json!(self.class_names).to_string();
            pairs.insert("limbeck.class_names".to_owned(), names);
        }
        pairs
    }

    /// Understands the pairs of a file; the reason comes back where they are not all there or
    /// contradict each other.
    fn from_pairs(pairs: &BTreeMap<String, String>) -> Result<Self, String> {
        let get = |key: &str| pairs.get(key).map(String::as_str);
        let need = |key: &str| get(key).ok_or_else(|| format!("it has no `{key}`"));
        let model = need(MODEL_KEY)?.to_owned();
        let input = need("limbeck.input")?;
        let sizes: Option<Vec<usize>> = input.split('x').map(|size| size.parse().ok()).collect();
        let sizes = sizes.filter(|sizes| sizes.iter().all(|size| (1..=MAX_SIDE).contains(size)));
        let Some(&[channels, height, width]) = sizes.as_deref() else {
            return Err(format!(
                "`limbeck.input` should be channels, height and width such as `3x32x32`, found `{input}`"
            ));
        };
        let classes = need("limbeck.classes")?;
        let classes: usize = classes.parse().map_err(|_| {
            format!("`limbeck.classes` should be a number of classes, found `{classes}`")
        })?;
        let list = |key: &str| -> Result<Option<Vec<f64>>, String> {
            let Some(text) = get(key) else {
                return Ok(None);
            };
            let numbers = text
                .split(',')
                .map(|number| {
                    number
                        .parse()
                        .ok()
                        .filter(|number: &f64| number.is_finite())
                })
                .collect::<Option<Vec<f64>>>()
                .filter(|numbers| numbers.len() == channels);
            numbers.map(Some).ok_or_else(|| {
                format!("`{key}` should be {channels} numbers joined by commas, found `{text}`")
            })
        };
        let normalisation = match (list("limbeck.mean")?, list("limbeck.std")?) {
            (Some(mean), Some(std)) if std.iter().all(|deviation| *deviation > 0.0) => {
                Some(Normalisation { mean, std })
            }
            (None, None) => None,
            _ => {
                return Err(
                    "`limbeck.mean` and `limbeck.std` go together, the latter above 0".to_owned(),
                );
            }
        };
        let fit = match (get("limbeck.fit"), get("limbeck.fit_share")) {
            (Some(name), Some(share)) => {
                let number = share.parse().ok();
                let share = number
                    .filter(|share| *share > 0.0 && *share <= 1.0)
                    .ok_or_else(|| {
                        format!(
                            "`limbeck.fit_share` should be above 0 and at most 1, found `{share}`"
                        )
                    })?;
                Some(ImageFit {
                    name: name.to_owned(),
                    share,
                })
            }
            (None, None) => None,
            _ => return Err("`limbeck.fit` and `limbeck.fit_share` go together".to_owned()),
        };
        let segmentation = match (get(SCALE), get(ALIGN_CORNERS)) {
            (None, None) => None,
            (Some(scale), Some(align_corners)) => {
                let number: Option<f64> = scale.parse().ok();
                let number = number.filter(|scale| *scale > 0.0 && *scale <= 1.0);
                let (Some(scale), Ok(align_corners)) = (number, align_corners.parse()) else {
                    return Err(format!(
                        "`{SCALE}` should be above 0 and at most 1 and `{ALIGN_CORNERS}` true or \
                         false, found `{scale}` and `{align_corners}`"
                    ));
                };
                Some(SegmentationFacts {
                    scale,
                    align_corners,
                })
            }
            _ => return Err(format!("`{SCALE}` and `{ALIGN_CORNERS}` go together")),
        };
        let class_names = match get("limbeck.class_names") {
            None => Vec::new(),
            Some(text) => serde_json::from_str::<Vec<String>>(text)
                .ok()
                .filter(|names| names.len() == classes)
                .ok_or_else(|| {
                    format!("`limbeck.class_names` should be a JSON list of {classes} names")
                })?,
        };
        Ok(Self {
            model,
            input: InputShape {
                channels,
                height,
                width,
                classes,
            },
            normalisation,
            fit,
            segmentation,
            class_names,
            quantisation: FileQuantisation::from_pairs(pairs)?,
        })
    }
}

/// Shortest decimal numbers that read back as the same, joined by commas.
fn numbers_to_text(numbers: &[f64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
    numbers.join(",")
}

/// Reads what the safetensors file `path` says of its network, without its numbers.
///
/// # Errors
/// A file that cannot be read or is damaged; [`WeightsError::NoMetadata`] where it does not say.
pub fn read_metadata(path: &Path) -> Result<ModelMetadata, WeightsError> {
    let failed = |source| WeightsError::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut first = Vec::new();
    file.by_ref()
        .take(512)
        .read_to_end(&mut first)
        .map_err(failed)?;
    if recognise(path, &first)? != FileFormat::Safetensors {
        return Err(WeightsError::NoMetadata {
            path: path.to_owned(),
            reason: "PyTorch files never do".to_owned(),
        });
    }
    let mut header_size = [0; 8];
    header_size.copy_from_slice(&first[..8]);
    let header_size = header_length(path, header_size, length)?;
    let mut header = first.split_off(8);
    if header.len() < header_size {
        let rest = (header_size - header.len()) as u64;
        file.take(rest).read_to_end(&mut header).map_err(failed)?;
    }
    header.truncate(header_size);
    understand(path, &parse_header(path, &header, length)?.metadata)
}

fn understand(
    path: &Path,
    pairs: &BTreeMap<String, String>,
) -> Result<ModelMetadata, WeightsError> {
    ModelMetadata::from_pairs(pairs).map_err(|reason| WeightsError::NoMetadata {
        path: path.to_owned(),
        reason,
    })
}

/// A network's weights in a file that says which network they are for.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// Which network, which images, which classes.
    pub metadata: ModelMetadata,
    /// The tensors.
    pub state: StateDict,
}

impl ModelFile {
    /// Reads a file that [`ModelFile::save`] wrote.
    ///
    /// # Errors
    /// As [`StateDict::read`]; [`WeightsError::NoMetadata`] where it does not say which network it
    /// is for.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        Self::of(StateDict::read(path)?)
    }

    /// The same of a file that was read.
    ///
    /// # Errors
    /// [`WeightsError::NoMetadata`] where it does not say which network it is for.
    pub fn of(state: StateDict) -> Result<Self, WeightsError> {
        let metadata = understand(state.path(), state.metadata())?;
        Ok(Self { metadata, state })
    }

    /// Writes `network` with what is to be known of its images and classes. Weights of few bits are
    /// written as codes where `packed` says so, else in single precision, as training
    /// has them.
    ///
    /// # Errors
    /// As [`save_safetensors`].
    pub fn save(
        network: &Network,
        normalisation: Option<Normalisation>,
        fit: Option<ImageFit>,
        segmentation: Option<SegmentationFacts>,
        class_names: Vec<String>,
        packed: bool,
        path: &Path,
    ) -> Result<(), WeightsError> {
        let metadata = ModelMetadata {
            model: network.name().to_owned(),
            input: network.input(),
            normalisation,
            fit,
            segmentation,
            class_names,
            quantisation: FileQuantisation::of(network, packed),
        };
        let pairs = metadata.to_pairs();
        match packed && metadata.quantisation.is_some() {
            true => save_packed(network, path, &pairs),
            false => save_safetensors(&network.store, path, &pairs),
        }
    }

    /// Puts the file's weights into `network`, which is of its model, and has passes see them in the bits
    /// that the file tells. Of a packed file the weights are levels: real inference in whole numbers, where
    /// there are kernels for it, has all that it needs in [`Network::quantisation`], these levels and
    /// [`crate::Store::input_range`].
    ///
    /// # Errors
    /// Names, shapes or bits that do not fit.
    pub fn fill(&self, network: &mut Network) -> Result<(), WeightsError> {
        if let Some(quantisation) = &self.metadata.quantisation {
            let refuse = |error: QuantiseError| WeightsError::Damaged {
                path: self.state.path().to_owned(),
                reason: error.to_string(),
            };
            // Of blank weights, the quantiser may refuse what those of the file allow.
            load_network(network, &self.state, LoadOptions::default())?;
            network.quantise(&quantisation.plan).map_err(refuse)?;
        }
        load_network(network, &self.state, LoadOptions::default())?;
        if self
            .metadata
            .quantisation
            .as_ref()
            .is_some_and(|it| it.packed)
        {
            network.store.hold_levels();
        }
        Ok(())
    }

    /// Builds the network and puts the weights into it.
    ///
    /// # Errors
    /// A model that is not in the zoo or does not take such images; names or shapes that do not
    /// fit.
    pub fn network(&self, device: &Device, dtype: DType) -> Result<Network, WeightsError> {
        let ModelMetadata {
            model: name, input, ..
        } = &self.metadata;
        // Every class has numbers of its own: more classes than numbers cannot be true, and must
        // not make anything large.
        let numbers: usize = self.state.iter().map(|(_, tensor)| tensor.count()).sum();
        if input.classes > numbers {
            return Err(WeightsError::NoMetadata {
                path: self.state.path().to_owned(),
                reason: format!("{} classes for {numbers} numbers", input.classes),
            });
        }
        let mut network = model::build(name, *input, 0, device, dtype)?;
        self.fill(&mut network)?;
        Ok(network)
    }
}
