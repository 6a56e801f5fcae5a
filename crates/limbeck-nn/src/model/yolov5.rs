//! YOLOv5, detectors.
//!
//! Jocher et al. "YOLOv5", github.com/ultralytics/yolov5. 2020, without a paper. Each level of cells
//! (strides 8, 16 and 32) has three anchors, and each anchor predicts a box, whether there is an object,
//! and its class. A backbone of blocks that let half of the channels pass by (C3), pooling at several
//! sizes, a neck that goes up and down the levels again, and a 1×1 convolution for each level.
//! `yolov5n` to `yolov5x` are the graph since release 6.0, which the files of the official repository
//! hold; those with `_focus` that of release 5.0, whose stem takes every other pixel as a channel, as
//! SSDA-YOLO has it (Zhou, Jiang and Lu. CVIU 2023); `yolov5s_stride4` that of 5.0 with a plain stem,
//! and so strides 4, 8 and 16, and ReLU: the net of GHOST (Zhang et al. IEEE TGRS 2023), for small objects.
//! State-dict names are the official ones, `model.<layer>.…`, and the buffer `model.24.anchors` holds the
//! anchors in cells. Batch norms have ε 1e-3 and momentum 0.03. Taps: `stem`, the backbone's stages, all
//! outputs as `layer0` to `layer23`, `p3`, `p4` and `p5` (what the last layer reads), and `logits`, the
//! cells of all levels. The letter is for depth and width together; suffixes change each alone:
//! `yolov5n_x0.5` has half the channels of `yolov5n`, rounded up to multiples of 8, and `yolov5n_d2` two
//! bottlenecks in the shortest blocks, as `m` has, and twice and three times as many in the longer ones.

mod blocks;
mod detect;
mod layers;

use burn::tensor::Tensor;
use limbeck_kernels::Activation;

use super::{ImageSizes, ModelEntry, depth, registry::NamedModel, width, yolov5_cls};
use crate::{Architecture, Builder, Detector, Feature, InputShape, NnError, Pass, TaskKind};
use detect::Detect;

pub(super) use layers::{Layer, layers, tap_names};

/// Which graph: what its stem and its pooling are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yolov5Graph {
    /// Since release 6.0: a 6×6 convolution with stride 2, three poolings in a row.
    Release6,
    /// Release 5.0: every other pixel as a channel, three poolings side by side.
    Release5,
    /// As release 5.0 with a 3×3 convolution of stride 1 for a stem.
    Stride4,
}

impl Yolov5Graph {
    /// Pixels that a cell of each level is wide and high, finest first.
    fn strides(self) -> [usize; 3] {
        match self {
            Self::Release6 | Self::Release5 => [8, 16, 32],
            Self::Stride4 => [4, 8, 16],
        }
    }

    /// Sides are multiples of the largest stride.
    fn sizes(self) -> ImageSizes {
        let [.., step] = self.strides();
        ImageSizes::MultipleOf(step)
    }
}

/// What tells one YOLOv5 from another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yolov5Config {
    /// Stem and pooling.
    pub graph: Yolov5Graph,
    /// Bottlenecks of the shortest blocks; longer ones have two and three times as many. 1 of `n` and
    /// `s`, 2 of `m`, 3 of `l` and 4 of `x`.
    pub depth: usize,
    /// Factor of the channels of `l`; products are rounded up to multiples of 8.
    pub width: f64,
    /// What follows batch norms.
    pub activation: Activation,
}

/// A third of three quarters is a quarter and a bit.
const ROUNDING: f64 = 1e-9;

impl Yolov5Config {
    pub(super) const fn new(graph: Yolov5Graph, depth: usize, width: f64) -> Self {
        let activation = match graph {
            Yolov5Graph::Release6 | Yolov5Graph::Release5 => Activation::Silu,
            Yolov5Graph::Stride4 => Activation::Relu,
        };
        Self {
            graph,
            depth,
            width,
            activation,
        }
    }

    /// Channels of what has `published` of them in `l` (`make_divisible` of the official code).
    fn channels(&self, published: usize) -> usize {
        // What a product is off by its rounding is no reason for eight channels more.
        let eighths = published as f64 * self.width / 8.0 - ROUNDING;
        8 * (eighths.ceil() as usize).max(1)
    }
}

/// A letter's depth and width (`models/yolov5*.yaml`: depth multiples 0.33, 0.33, 0.67, 1 and 1.33 of
/// three).
pub(super) const N: (usize, f64) = (1, 0.25);
pub(super) const S: (usize, f64) = (1, 0.5);
pub(super) const M: (usize, f64) = (2, 0.75);
pub(super) const L: (usize, f64) = (3, 1.0);
pub(super) const X: (usize, f64) = (4, 1.25);

macro_rules! entry {
    ($name:literal, $graph:ident, $letter:expr, $size:literal, $classes:literal, $aliases:expr) => {
        ModelEntry {
            name: $name,
            aliases: $aliases,
            family: "yolov5",
            task: TaskKind::Detection,
            size: $size,
            classes: $classes,
            sizes: match Yolov5Graph::$graph {
                Yolov5Graph::Release6 | Yolov5Graph::Release5 => ImageSizes::MultipleOf(32),
                Yolov5Graph::Stride4 => ImageSizes::MultipleOf(16),
            },
            build: |builder, input| {
                let config = Yolov5Config::new(Yolov5Graph::$graph, $letter.0, $letter.1);
                Ok(Box::new(Yolov5::new(builder, input, config)?))
            },
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!("yolov5n", Release6, N, 640, 80, &[]),
    entry!("yolov5s", Release6, S, 640, 80, &[]),
    entry!("yolov5m", Release6, M, 640, 80, &[]),
    entry!("yolov5l", Release6, L, 640, 80, &[]),
    entry!("yolov5x", Release6, X, 640, 80, &[]),
    entry!("yolov5s_focus", Release5, S, 640, 80, &[]),
    entry!("yolov5m_focus", Release5, M, 640, 80, &[]),
    entry!("yolov5l_focus", Release5, L, 640, 80, &[]),
    entry!("yolov5x_focus", Release5, X, 640, 80, &[]),
    entry!("yolov5s_stride4", Stride4, S, 512, 10, &["ghost_yolov5s"]),
];

/// The configuration of an entry of [`MODELS`] or of the classifiers'.
fn config_of(name: &str) -> Option<Yolov5Config> {
    let rest = name.strip_prefix("yolov5")?;
    let (letter, graph) = match rest.split_once('_') {
        None => (rest, Yolov5Graph::Release6),
        Some((letter, "cls")) => (letter, Yolov5Graph::Release6),
        Some((letter, "focus")) => (letter, Yolov5Graph::Release5),
        Some((letter, "stride4")) => (letter, Yolov5Graph::Stride4),
        Some(_) => return None,
    };
    let (depth, width) = match letter {
        "n" => N,
        "s" => S,
        "m" => M,
        "l" => L,
        "x" => X,
        _ => return None,
    };
    Some(Yolov5Config::new(graph, depth, width))
}

/// What `name`, in lower case and with `_`, stands for where it is of this family or of its classifiers:
/// `yolov5s`, `yolov5s_x0.25`, `yolov5s_d2`, `yolov5s_cls_d2_x0.25`. `None` of other names.
///
/// # Errors
/// A width or depth that is out of range.
pub(super) fn named(name: &str) -> Result<Option<NamedModel>, NnError> {
    let known = |stem: &str| {
        let is_it = |entry: &&ModelEntry| entry.name == stem || entry.aliases.contains(&stem);
        let entry = MODELS.iter().chain(yolov5_cls::MODELS).find(is_it)?;
        Some((entry, config_of(entry.name)?))
    };
    let (deep, factor) = width::split(name)?.unwrap_or((name, 1.0));
    let (stem, blocks) = match known(deep) {
        Some(_) => (deep, None),
        None => match depth::split(deep)? {
            Some((stem, blocks)) => (stem, Some(blocks)),
            None => return Ok(None),
        },
    };
    let Some((entry, published)) = known(stem) else {
        return Ok(None);
    };
    let config = Yolov5Config {
        depth: blocks.unwrap_or(published.depth),
        width: published.width * factor,
        ..published
    };
    let deep = match config.depth == published.depth {
        true => entry.name.to_owned(),
        false => depth::named(entry.name, config.depth),
    };
    let name = width::named(&deep, factor);
    Ok(Some(NamedModel::yolov5(entry, name, config)))
}

/// What names of the backbone's layers begin with.
const BACKBONE: [&str; 10] = [
    "model.0.", "model.1.", "model.2.", "model.3.", "model.4.", "model.5.", "model.6.", "model.7.",
    "model.8.", "model.9.",
];

/// The layers that others read later.
const KEPT: [usize; 7] = [4, 6, 10, 14, 17, 20, 23];

/// Backbone, neck and the last layer.
#[derive(Debug)]
pub struct Yolov5 {
    layers: Vec<Layer>,
    detect: Detect,
}

impl Yolov5 {
    /// Makes the parameters.
    ///
    /// # Errors
    /// Images whose sides are no multiples of the largest stride.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        config: Yolov5Config,
    ) -> Result<Self, NnError> {
        config.graph.sizes().check("yolov5", input)?;
        let plans = config.graph.backbone().into_iter().chain(layers::NECK);
        let (layers, widths) = layers(builder, input.channels, config, plans);
        let read = detect::READ.map(|layer| widths.get(layer).copied().unwrap_or_default());
        let detect = Detect::new(builder, read, input.classes, config.graph.strides());
        Ok(Self { layers, detect })
    }
}

/// What a layer's output is called besides `layer<number>`.
fn tap_of(layer: usize) -> Option<&'static str> {
    match layer {
        0 => Some("stem"),
        2 => Some("stage1"),
        4 => Some("stage2"),
        6 => Some("stage3"),
        9 => Some("stage4"),
        17 => Some("p3"),
        20 => Some("p4"),
        23 => Some("p5"),
        _ => None,
    }
}

impl Architecture for Yolov5 {
    fn tap_names(&self) -> Vec<String> {
        layers::tap_names(self.layers.len(), tap_of).collect()
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let mut kept: [Option<Tensor<4>>; 24] = Default::default();
        let mut x = images;
        for (number, layer) in self.layers.iter().enumerate() {
            let beside = match layer {
                Layer::Join(other) => kept.get_mut(*other).and_then(Option::take),
                _ => None,
            };
            x = layer.forward_tapped(pass, x, (number, tap_of), beside);
            if KEPT.contains(&number) {
                kept[number] = Some(x.clone());
            }
        }
        let read = detect::READ.map(|layer| kept[layer].take());
        self.detect.forward(pass, read.into_iter().flatten())
    }

    fn head_names(&self) -> &[&str] {
        &[detect::NAMES]
    }

    fn backbone_names(&self) -> &[&str] {
        &BACKBONE
    }

    fn detector(&self) -> Option<&Detector> {
        Some(self.detect.detector())
    }
}

#[cfg(test)]
mod tests;
