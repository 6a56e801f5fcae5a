//! The last layer of YOLOv5: a 1×1 convolution for each level.

use burn::tensor::Tensor;

use crate::{
    Builder, Detector, Feature, Pass, Role,
    layer::{Conv2d, Conv2dConfig, map_to_tokens},
};

/// The layers that it reads, finest first.
pub(super) const READ: [usize; 3] = [17, 20, 23];

/// What its names begin with.
pub(super) const NAMES: &str = "model.24.";

/// Width and height of each level's anchors in pixels, for COCO at 640 pixels (`models/yolov5s.yaml`).
const ANCHORS: [[[f64; 2]; 3]; 3] = [
    [[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]],
    [[30.0, 61.0], [62.0, 45.0], [59.0, 119.0]],
    [[116.0, 90.0], [156.0, 198.0], [373.0, 326.0]],
];

/// x, y, w, h and objectness, before the classes.
const BOX_ENTRIES: usize = 5;

/// Objects in an image of [`EXPECTED_SIDE`] pixels that a network expects before it has learnt
/// anything, spread evenly over the cells (`_initialize_biases` of the official code).
const EXPECTED_OBJECTS: f64 = 8.0;
const EXPECTED_SIDE: f64 = 640.0;

#[derive(Debug)]
pub(super) struct Detect {
    convolutions: Vec<Conv2d>,
    /// Entries of a cell's anchor: 5 + K.
    entries: usize,
    detector: Detector,
}

impl Detect {
    /// For maps of `widths` channels.
    pub fn new(
        builder: &mut Builder<'_>,
        widths: [usize; 3],
        classes: usize,
        strides: [usize; 3],
    ) -> Self {
        let mut builder = builder.sub(NAMES.trim_end_matches('.'));
        let anchors = ANCHORS[0].len();
        let entries = BOX_ENTRIES + classes;
        let cells = ANCHORS.iter().zip(strides).flat_map(|(level, stride)| {
            let sides = level.iter().flatten();
            sides.map(move |side| side / stride as f64)
        });
        let cells = cells.collect();
        builder.given(
            "anchors",
            &[ANCHORS.len(), anchors, 2],
            Role::Constant,
            cells,
        );
        let levels = widths.into_iter().zip(strides).enumerate();
        let convolutions = levels.map(|(level, (width, stride))| {
            let config = Conv2dConfig::new(width, anchors * entries, 1).bias();
            let convolution = Conv2d::new(builder.sub(format!("m.{level}")), config);
            if let Some(bias) = convolution.bias() {
                let objectness = EXPECTED_OBJECTS / (EXPECTED_SIDE / stride as f64).powi(2);
                let class = 0.6 / (classes as f64 - 0.99);
                builder.shift(bias, |place| match place % entries {
                    0..4 => 0.0,
                    4 => objectness.ln(),
                    _ => class.ln(),
                });
            }
            convolution
        });
        Self {
            convolutions: convolutions.collect(),
            entries,
            detector: Detector {
                names: NAMES.to_owned(),
                strides: strides.to_vec(),
                anchors,
            },
        }
    }

    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The cells of `maps` `[B, C, H, W]`, finest first.
    pub fn forward(&self, pass: &mut Pass<'_>, maps: impl Iterator<Item = Tensor<4>>) -> Feature {
        let (anchors, entries) = (self.detector.anchors, self.entries);
        let raw = maps.zip(&self.convolutions).map(|(map, convolution)| {
            let [batch, _, height, width] = map.dims();
            let raw = convolution.forward(pass, map);
            // The entries of an anchor stand together, position by position.
            let raw = raw.reshape([batch * anchors, entries, height, width]);
            map_to_tokens(raw).reshape([batch, anchors, height, width, entries])
        });
        Feature::of_levels(raw.collect())
    }
}
