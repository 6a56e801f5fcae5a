//! YOLOv5's classifiers, whose backbones start its detectors.
//!
//! Jocher et al. "YOLOv5", github.com/ultralytics/yolov5, release 6.2. 2022, without a paper. The layers 0 to 8
//! of the detectors of the same letter, a 1×1 convolution to 1,280 channels at any width, the mean over positions
//! and a linear map. State-dict names are the official ones: `model.0` to `model.8` are the detector's, and
//! `model.9.conv.{conv,bn}.*` and `model.9.linear.*` have the place of its pooling; so `--backbone` with a file of
//! these starts a detector of the same width and depth. The norms of the backbone have ε 1e-3 and momentum 0.03, that
//! of the last convolution PyTorch's 1e-5 and 0.1, as the official code makes them. Taps: `stem`, the stages,
//! all outputs as `layer0` to `layer8`, `layer9` (what is averaged) and `pooled`. Suffixes change width and depth as
//! those of the detectors do: `yolov5n_cls_x0.5`, `yolov5n_cls_d2`.

use burn::tensor::Tensor;
use limbeck_kernels::Activation;

use super::{
    ImageSizes, ModelEntry,
    averaged::averaged,
    yolov5::{L, Layer, M, N, S, X, Yolov5Config, Yolov5Graph, layers, tap_names},
};
use crate::{
    Architecture, Builder, Feature, InputShape, NnError, Pass, TaskKind,
    layer::{ClassHead, Conv2dConfig, ConvNorm, global_avg_pool2d},
};

const SIZES: ImageSizes = ImageSizes::AtLeast(17);

/// Layers of the detector that it has.
const LAYERS: usize = 9;

/// Channels of the last convolution (`Classify` in `models/common.py` of the official code).
const LAST_CHANNELS: usize = 1280;

macro_rules! entry {
    ($name:literal, $letter:expr) => {
        ModelEntry {
            name: $name,
            aliases: &[],
            family: "yolov5_cls",
            task: TaskKind::Classification,
            size: 224,
            classes: 1000,
            sizes: SIZES,
            build: |builder, input| {
                let config = Yolov5Config::new(Yolov5Graph::Release6, $letter.0, $letter.1);
                Ok(Box::new(Yolov5Classifier::new(builder, input, config)?))
            },
        }
    };
}

/// The family's models.
pub static MODELS: &[ModelEntry] = &[
    entry!("yolov5n_cls", N),
    entry!("yolov5s_cls", S),
    entry!("yolov5m_cls", M),
    entry!("yolov5l_cls", L),
    entry!("yolov5x_cls", X),
];

/// A detector's backbone with a classifier.
#[derive(Debug)]
pub struct Yolov5Classifier {
    layers: Vec<Layer>,
    last: ConvNorm,
    linear: ClassHead,
}

impl Yolov5Classifier {
    /// Makes the parameters, all drawn by PyTorch's defaults.
    ///
    /// # Errors
    /// Images that are too small.
    pub fn new(
        builder: &mut Builder<'_>,
        input: InputShape,
        config: Yolov5Config,
    ) -> Result<Self, NnError> {
        SIZES.check("yolov5_cls", input)?;
        let plans = config.graph.backbone().into_iter().take(LAYERS);
        let (layers, widths) = layers(builder, input.channels, config, plans);
        let width = widths.last().copied().unwrap_or(input.channels);
        let mut head = builder.sub(format!("model.{LAYERS}"));
        let shape = Conv2dConfig::new(width, LAST_CHANNELS, 1);
        let last = ConvNorm::new(&mut head.sub("conv"), "conv", "bn", shape);
        let linear = ClassHead::new(head.sub("linear"), LAST_CHANNELS, input.classes);
        Ok(Self {
            layers,
            last,
            linear,
        })
    }
}

/// What a layer's output is called besides `layer<number>`.
fn tap_of(layer: usize) -> Option<&'static str> {
    match layer {
        0 => Some("stem"),
        2 => Some("stage1"),
        4 => Some("stage2"),
        6 => Some("stage3"),
        8 => Some("stage4"),
        _ => None,
    }
}

impl Architecture for Yolov5Classifier {
    fn tap_names(&self) -> Vec<String> {
        let end = [format!("layer{LAYERS}"), "pooled".to_owned()];
        tap_names(LAYERS, tap_of).chain(end).collect()
    }

    fn head_names(&self) -> &[&str] {
        &["model.9.linear."]
    }

    fn forward(&self, pass: &mut Pass<'_>, images: Tensor<4>) -> Feature {
        let mut x = images;
        for (number, layer) in self.layers.iter().enumerate() {
            x = layer.forward_tapped(pass, x, (number, tap_of), None);
        }
        let x = self.last.forward_with(pass, x, None, Activation::Silu);
        pass.tap_map(&format!("layer{LAYERS}"), &x);
        let pooled = global_avg_pool2d(x);
        pass.tap("pooled", || Feature::Vector(pooled.clone()));
        Feature::Vector(self.linear.forward(pass, pooled))
    }

    fn head_tap(&self) -> Option<String> {
        Some(format!("layer{LAYERS}"))
    }

    fn head(&self, pass: &mut Pass<'_>, feature: Feature) -> Option<Feature> {
        let logits = self.linear.forward(pass, averaged(feature)?);
        Some(Feature::Vector(logits))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{
        Role, TapKind,
        model::{blank, find, outline},
    };

    fn input(side: usize, classes: usize) -> InputShape {
        InputShape {
            channels: 3,
            height: side,
            width: side,
            classes,
        }
    }

    #[test]
    fn parameters_are_the_published_ones() {
        // Published in millions, and of `s` exactly, for norms that are folded into convolutions: a shift takes the
        // place of a norm's two numbers.
        for (name, millions, digit) in [
            ("yolov5n_cls", 2.49, 0.01),
            ("yolov5s-cls", 5.447_688, 1e-6),
            ("yolov5m_cls", 12.95, 0.01),
            ("yolov5l_cls", 26.54, 0.01),
            ("yolov5x_cls", 48.1, 0.1),
        ] {
            let network = blank(name, input(32, 1000), &Device::flex(), DType::F32).unwrap();
            let scales = network.store.entries().iter();
            let scales = scales.filter(|entry| entry.role == Role::NormScale);
            let channels: usize = scales.map(|entry| entry.shape[0]).sum();
            let found = (network.store.trained_count() - channels) as f64 / 1e6;
            assert!((found - millions).abs() < digit / 2.0, "{name}: {found}");
        }
    }

    #[test]
    fn its_layers_are_those_of_the_detector() {
        for suffix in ["", "_x0.5", "_d2", "_d3_x0.25"] {
            let of = |name: &str| {
                let name = format!("{name}{suffix}");
                blank(&name, input(64, 3), &Device::flex(), DType::F32).unwrap()
            };
            let (classifier, detector) = (of("yolov5n_cls"), of("yolov5n"));
            assert_eq!(classifier.name(), format!("yolov5n_cls{suffix}"));
            let mut shared = 0;
            for entry in classifier.store.entries() {
                if entry.name.starts_with("model.9.") {
                    continue;
                }
                let id = detector.store.find(&entry.name).unwrap();
                assert_eq!(detector.store.entry(id).shape, entry.shape);
                shared += 1;
            }
            assert!(shared > 100, "{shared}");
        }
        assert!(find("yolov5n_cls_d0").is_err());
        assert!(find("yolov5s_focus_cls").is_err());
    }

    #[test]
    fn taps_are_the_stages_and_the_embedding() {
        let taps = outline("yolov5n_cls_x0.5", input(64, 7)).unwrap().taps;
        let kind = |name: &str| {
            let tap = taps.iter().find(|tap| tap.name == name);
            tap.unwrap().kind.clone()
        };
        for (name, shape) in [
            ("stem", [8, 32, 32]),
            ("stage1", [16, 16, 16]),
            ("stage2", [32, 8, 8]),
            ("stage3", [64, 4, 4]),
            ("stage4", [128, 2, 2]),
            ("stage4.preact", [128, 2, 2]),
        ] {
            assert_eq!(kind(name), TapKind::Map(shape), "{name}");
        }
        assert_eq!(kind("pooled"), TapKind::Vector(LAST_CHANNELS));
        assert_eq!(kind("logits"), TapKind::Vector(7));
    }
}
