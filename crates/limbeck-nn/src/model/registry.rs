//! Names of the zoo.

use burn::tensor::{DType, Device};

use super::{
    ImageSizes, cifar_mobilenetv2, cifar_resnet, cifar_resnet50, cifar_shufflenet_v1,
    cifar_shufflenet_v2, cifar_vgg, cifar_wrn, deeplabv3, deeplabv3plus, depth, lraspp,
    mobilenet_v1, mobilenet_v2, pspnet, resnet, segformer, swin,
    tinyvit::{self, TinyVit, TinyVitFactors},
    vit::{self, VisionTransformer, VisionTransformerConfig},
    vq_autoencoder::{self, VqAutoencoder, VqAutoencoderConfig},
    width,
    yolov5::{self, Yolov5, Yolov5Config},
    yolov5_cls::{self, Yolov5Classifier},
};
use crate::{Architecture, Builder, Cost, InputShape, Network, NnError, Tap, TaskKind};

/// Makes the parameters of a model and its architecture.
pub type Build = fn(&mut Builder<'_>, InputShape) -> Result<Box<dyn Architecture>, NnError>;

/// A model of the zoo.
#[derive(Clone, Copy, Debug)]
pub struct ModelEntry {
    /// Zoo name, such as `resnet8x4`.
    pub name: &'static str,
    /// Other names that [`find`] understands.
    pub aliases: &'static [&'static str],
    /// Family: the file in `model/` that it is in.
    pub family: &'static str,
    /// Height and width that the published numbers are for.
    pub size: usize,
    /// Class count that the published numbers are for.
    pub classes: usize,
    /// Which images it takes.
    pub sizes: ImageSizes,
    /// What it solves.
    pub task: TaskKind,
    /// Builds it.
    pub build: Build,
}

/// What a name stands for: an entry of the zoo, one of another width or depth, or a net of a family
/// told by its factors.
#[derive(Clone, Debug)]
pub struct NamedModel {
    /// Zoo name, or the name with all factors.
    pub name: String,
    /// Height and width that it is meant for.
    pub size: usize,
    /// Class count that its numbers are counted for.
    pub classes: usize,
    /// What it solves.
    pub task: TaskKind,
    /// Name of its family.
    pub family: &'static str,
    plan: Plan,
}

/// How a named model is built.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Entry {
        build: Build,
        /// Factor of its channel counts: see [`Builder::channels`].
        width: f64,
    },
    TinyVit(TinyVitFactors),
    VisionTransformer(VisionTransformerConfig),
    VqAutoencoder(VqAutoencoderConfig),
    Yolov5(Yolov5Config),
    Yolov5Classifier(Yolov5Config),
}

impl NamedModel {
    fn new(entry: &ModelEntry, width: f64) -> Self {
        Self {
            name: width::named(entry.name, width),
            size: entry.size,
            classes: entry.classes,
            task: entry.task,
            family: entry.family,
            plan: Plan::Entry {
                build: entry.build,
                width,
            },
        }
    }

    /// The net of `entry` with another number of blocks.
    fn at_depth(entry: &ModelEntry, config: VisionTransformerConfig, depth: usize) -> Self {
        if depth == config.depth {
            return Self::new(entry, 1.0);
        }
        Self {
            name: depth::named(entry.name, depth),
            plan: Plan::VisionTransformer(config.at_depth(depth)),
            ..Self::new(entry, 1.0)
        }
    }

    /// A TinyViT is meant for what its windows cover without a rest, the longest side first.
    fn tinyvit(factors: TinyVitFactors) -> Self {
        Self {
            name: factors.to_string(),
            size: factors.size(),
            classes: 1000,
            task: TaskKind::Classification,
            family: "tinyvit",
            plan: Plan::TinyVit(factors),
        }
    }

    /// An autoencoder with these settings.
    fn vq_autoencoder(entry: &ModelEntry, config: VqAutoencoderConfig) -> Self {
        Self {
            name: config.to_string(),
            plan: Plan::VqAutoencoder(config),
            ..Self::new(entry, 1.0)
        }
    }

    /// A detector of this depth and width, or the classifier with its backbone.
    pub(super) fn yolov5(entry: &ModelEntry, name: String, config: Yolov5Config) -> Self {
        Self {
            name,
            plan: match entry.task {
                TaskKind::Detection => Plan::Yolov5(config),
                _ => Plan::Yolov5Classifier(config),
            },
            ..Self::new(entry, 1.0)
        }
    }

    /// Colour images of the size that it is meant for.
    pub fn published_input(&self) -> InputShape {
        InputShape {
            channels: 3,
            height: self.size,
            width: self.size,
            classes: self.classes,
        }
    }

    /// Makes the parameters and the architecture; of a classifier for no classes without its head.
    ///
    /// # Errors
    /// An input that it does not take.
    pub fn build(
        &self,
        builder: &mut Builder<'_>,
        input: InputShape,
    ) -> Result<Box<dyn Architecture>, NnError> {
        let wants_classes = matches!(self.task, TaskKind::Segmentation | TaskKind::Detection);
        if input.classes == 0 && wants_classes {
            return Err(NnError::Unsupported {
                model: self.name.clone(),
                reason: "found 0 classes, it needs at least 1".to_owned(),
            });
        }
        match self.plan {
            Plan::Entry { build, width } => build(&mut builder.at_width(width), input),
            Plan::TinyVit(factors) => {
                let net = TinyVit::new(builder, input, factors.config()?)?;
                Ok(Box::new(net))
            }
            Plan::VisionTransformer(config) => {
                let net = VisionTransformer::new(builder, input, config)?;
                Ok(Box::new(net))
            }
            Plan::VqAutoencoder(config) => {
                let net = VqAutoencoder::new(builder, input, config)?;
                Ok(Box::new(net))
            }
            Plan::Yolov5(config) => Ok(Box::new(Yolov5::new(builder, input, config)?)),
            Plan::Yolov5Classifier(config) => {
                let net = Yolov5Classifier::new(builder, input, config)?;
                Ok(Box::new(net))
            }
        }
    }
}

impl ModelEntry {
    /// Colour images of the published size and class count.
    pub fn published_input(&self) -> InputShape {
        InputShape {
            channels: 3,
            height: self.size,
            width: self.size,
            classes: self.classes,
        }
    }
}

/// All models, family by family.
pub static MODELS: &[&[ModelEntry]] = &[
    cifar_resnet::MODELS,
    cifar_wrn::MODELS,
    cifar_vgg::MODELS,
    cifar_mobilenetv2::MODELS,
    cifar_shufflenet_v1::MODELS,
    cifar_shufflenet_v2::MODELS,
    cifar_resnet50::MODELS,
    resnet::MODELS,
    mobilenet_v2::MODELS,
    mobilenet_v1::MODELS,
    vit::MODELS,
    tinyvit::MODELS,
    swin::MODELS,
    vq_autoencoder::MODELS,
    pspnet::MODELS,
    deeplabv3::MODELS,
    deeplabv3plus::MODELS,
    lraspp::MODELS,
    segformer::MODELS,
    yolov5::MODELS,
    yolov5_cls::MODELS,
];

/// Names closer than this to a zoo name are proposed; 1 is equality (Damerau-Levenshtein).
const CLOSE: f64 = 0.6;

/// The entry called `name`, or one of whose other names it is, or the net whose factors it tells.
/// Case does not count, and `-` is the same as `_`. Models that segment take a suffix with a factor
/// of their channel counts ([`Builder::channels`]): `pspnet_resnet18_x0.25`; plain vision
/// transformers take one with the number of their blocks: `deit_base_patch16_224_d6`; detectors and
/// classifiers with their backbones take both: `yolov5n_d2_x0.5`; autoencoders one with their settings: `vq_autoencoder_f8_d64_k512`.
///
/// # Errors
/// [`NnError::UnknownModel`] with the nearest name; factors that cannot be read; a width or depth of
/// a model that has one alone; an output stride that the network does not have.
pub fn find(name: &str) -> Result<NamedModel, NnError> {
    if tinyvit::tells_factors(name) {
        return Ok(NamedModel::tinyvit(name.parse()?));
    }
    let wanted = name.to_lowercase().replace('-', "_");
    let entries = || MODELS.iter().flat_map(|family| family.iter());
    let names = |entry: &ModelEntry| [&[entry.name], entry.aliases].concat();
    let entry = |name: &str| entries().find(|entry| names(entry).contains(&name));
    if let Some(entry) = entry(&wanted) {
        return Ok(NamedModel::new(entry, 1.0));
    }
    if let Some(model) = yolov5::named(&wanted)? {
        return Ok(model);
    }
    if let Some(entry) = vq_autoencoder::MODELS.first()
        && VqAutoencoderConfig::is_told_by(&wanted)
    {
        return Ok(NamedModel::vq_autoencoder(entry, wanted.parse()?));
    }
    let suffix = width::split(&wanted)?;
    if let Some((entry, width)) = suffix.and_then(|(stem, width)| Some((entry(stem)?, width))) {
        return match entry.task {
            TaskKind::Segmentation => Ok(NamedModel::new(entry, width)),
            TaskKind::Classification | TaskKind::Detection | TaskKind::Pretraining => {
                Err(NnError::Unsupported {
                    model: name.to_owned(),
                    reason: "a suffix for the width is for models that segment and for detectors"
                        .to_owned(),
                })
            }
        };
    }
    let blocks = depth::split(&wanted)?;
    if let Some((entry, depth)) = blocks.and_then(|(stem, depth)| Some((entry(stem)?, depth))) {
        return match vit::shape_of(entry.name) {
            Some(config) => Ok(NamedModel::at_depth(entry, config, depth)),
            None => Err(NnError::Unsupported {
                model: name.to_owned(),
                reason: format!(
                    "a suffix for the depth is for plain vision transformers, whose blocks are all \
                     alike, and for detectors, and `{}` is neither",
                    entry.name
                ),
            }),
        };
    }
    // Strides and what is close are looked for without the suffix.
    let stem = suffix
        .map(|(stem, _)| stem)
        .or(blocks.map(|(stem, _)| stem));
    let wanted = stem.unwrap_or(wanted.as_str());
    // Output strides are entries of their own, and not each network has several.
    let strided = wanted.rsplit_once("_os").and_then(|(stem, stride)| {
        let number = !stride.is_empty() && stride.bytes().all(|byte| byte.is_ascii_digit());
        entry(stem).filter(|entry| number && entry.task == TaskKind::Segmentation)
    });
    if let Some(stem) = strided {
        let other = format!("{}_os", stem.name);
        let others: Vec<&str> = entries()
            .filter(|entry| entry.name.starts_with(&other))
            .map(|entry| entry.name)
            .collect();
        return Err(NnError::Unsupported {
            model: name.to_owned(),
            reason: match others.as_slice() {
                [] => format!(
                    "`{}` has one output stride alone; leave `_os…` out",
                    stem.name
                ),
                others => format!(
                    "it has no such output stride; give `{}` for its own, or {}",
                    stem.name,
                    others.join(", ")
                ),
            },
        });
    }
    let nearest = entries()
        .flat_map(names)
        .map(|known| (strsim::normalized_damerau_levenshtein(known, wanted), known))
        .filter(|&(closeness, _)| closeness >= CLOSE)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let nearest = nearest.map(|(_, known)| {
        let with_depth = blocks.filter(|_| entry(known).is_some_and(|it| it.family == "vit"));
        match with_depth {
            Some((_, depth)) => depth::named(known, depth),
            None => known.to_owned(),
        }
    });
    Err(NnError::UnknownModel {
        name: name.to_owned(),
        nearest,
    })
}

/// Builds the model called `name` with freshly drawn numbers.
///
/// # Errors
/// An unknown name, or an input that the family does not take.
pub fn build(
    name: &str,
    input: InputShape,
    seed: u64,
    device: &Device,
    dtype: DType,
) -> Result<Network, NnError> {
    let model = find(name)?;
    Network::new(&model.name, input, seed, device, dtype, |builder, input| {
        model.build(builder, input)
    })
}

/// The model called `name` with shapes alone: all numbers are zero and take no memory.
///
/// # Errors
/// An unknown name, or an input that the family does not take.
pub fn blank(
    name: &str,
    input: InputShape,
    device: &Device,
    dtype: DType,
) -> Result<Network, NnError> {
    let model = find(name)?;
    Network::blank(&model.name, input, device, dtype, |builder, input| {
        model.build(builder, input)
    })
}

/// What is known of a model without making it.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Number of trained numbers.
    pub parameters: usize,
    /// Work and memory for one image.
    pub cost: Cost,
    /// All taps with their shapes, `logits` last.
    pub taps: Vec<Tap>,
}

/// Size, cost and taps of the model called `name`: in milliseconds, and without its memory,
/// however large it is.
///
/// # Errors
/// An unknown name, or an input that the family does not take.
pub fn outline(name: &str, input: InputShape) -> Result<Outline, NnError> {
    let network = blank(name, input, &Device::flex(), DType::F32)?;
    Ok(Outline {
        parameters: network.store.trained_count(),
        cost: network.cost(),
        taps: network.taps(),
    })
}
