//! What a cache is to hold.

use limbeck_cache::{Encoding, Output};
use limbeck_nn::{Feature, Network, Outputs, Tap, TapKind, TaskKind, layer::adaptive_avg_pool2d};

use crate::TrainError;

/// What a cache is to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheContents {
    /// Views of each training image.
    pub views: usize,
    /// How logits are stored.
    pub logits: Encoding,
    /// Taps that are stored besides the logits.
    pub taps: Vec<String>,
    /// How they are stored.
    pub features: Encoding,
    /// Of networks that segment: rows and columns of the image for each of the stored map of logits,
    /// which is then averaged; as the teacher gives it out where missing.
    pub stride: Option<usize>,
}

impl CacheContents {
    /// The outputs of a teacher with `taps` for images of `size` `[height, width]`, in its order.
    ///
    /// # Errors
    /// A tap that the teacher does not have; logits that are finer than the teacher gives them out.
    pub(crate) fn outputs(
        &self,
        taps: &[Tap],
        size: [usize; 2],
    ) -> Result<Vec<Output>, TrainError> {
        let has = |name: &String| taps.iter().any(|tap| tap.name == *name);
        if let Some(unknown) = self.taps.iter().find(|name| !has(name)) {
            let known: Vec<&str> = taps.iter().map(|tap| tap.name.as_str()).collect();
            return Err(TrainError::Setting(format!(
                "the teacher has no tap `{unknown}` to store; it has: {}",
                known.join(", ")
            )));
        }
        // The teacher's order, whatever the user's, so that equal contents make equal caches.
        let outputs = taps.iter().filter_map(|tap| match tap.name.as_str() {
            LOGITS => Some(self.logits_of(tap, size)),
            name if self.taps.iter().any(|wanted| wanted == name) => {
                Some(Ok(output(tap, self.features)))
            }
            _ => None,
        });
        outputs.collect()
    }

    /// How the logits are stored.
    fn logits_of(&self, tap: &Tap, size: [usize; 2]) -> Result<Output, TrainError> {
        if let (TapKind::Cells { .. }, Encoding::TopK(_)) = (&tap.kind, self.logits) {
            return Err(TrainError::Setting(
                "the most probable classes alone are asked for, and the teacher finds objects: of its cells all \
                 numbers are read; store them as f32, f16 or i8"
                    .to_owned(),
            ));
        }
        let whole = output(tap, self.logits);
        let Some(stride) = self.stride else {
            return Ok(whole);
        };
        let TapKind::Map([classes, height, width]) = tap.kind else {
            return Err(TrainError::Setting(
                "a smaller map of logits is asked for, and the teacher classifies: it gives out none; \
                 leave --at out"
                    .to_owned(),
            ));
        };
        let [rows, columns] = size.map(|side| side.div_ceil(stride.max(1)));
        if rows > height || columns > width {
            let own = size[0]
                .div_ceil(height.max(1))
                .max(size[1].div_ceil(width.max(1)));
            return Err(TrainError::Setting(format!(
                "at 1/{stride} of images of {}×{} pixels there are {rows}×{columns} positions, and the \
                 teacher gives out {height}×{width}; leave --at out, or set it to {own} or more",
                size[0], size[1]
            )));
        }
        Ok(Output {
            shape: vec![classes, rows, columns],
            stride: Some(stride),
            ..whole
        })
    }

    /// The numbers of a batch's outputs, in the order of `stored`, each `[B, …]` flat.
    ///
    /// # Errors
    /// An output that the teacher did not give out.
    pub(crate) fn numbers(
        stored: &[Output],
        outputs: &Outputs,
    ) -> Result<Vec<Vec<f32>>, TrainError> {
        let flat = |output: &Output| {
            let feature = match output.name.as_str() {
                LOGITS => &outputs.prediction,
                name => outputs.feature(name)?,
            };
            Some(match (feature, output.stride, output.shape.as_slice()) {
                (Feature::Map(map), Some(_), &[_, rows, columns])
                    if map.dims()[2..] != [rows, columns] =>
                {
                    adaptive_avg_pool2d(map.clone(), [rows, columns]).to_data()
                }
                (Feature::Map(map) | Feature::Attention(map), ..) => map.to_data(),
                (Feature::Tokens { tokens, .. }, ..) => tokens.to_data(),
                (Feature::Cells { cells, .. }, ..) => cells.to_data(),
                (Feature::Vector(vector), ..) => vector.to_data(),
            })
        };
        let numbers = stored.iter().map(|output| {
            let data = flat(output).ok_or_else(|| {
                TrainError::Setting(format!("the teacher gave out no `{}`", output.name))
            })?;
            Ok(data.iter::<f32>().collect())
        });
        numbers.collect()
    }
}

/// Name of the logits among taps and outputs.
pub(crate) const LOGITS: &str = "logits";

fn output(tap: &Tap, encoding: Encoding) -> Output {
    let kind = match tap.kind {
        TapKind::Map(_) => "map",
        TapKind::Tokens { .. } => "tokens",
        TapKind::Vector(_) => "vector",
        TapKind::Attention(_) => "attention",
        TapKind::Cells { .. } => "cells",
    };
    Output {
        name: tap.name.clone(),
        kind: kind.to_owned(),
        shape: shape_of(&tap.kind),
        encoding,
        stride: None,
    }
}

/// What `network` gives out, with the shapes that it has for a student's images of `size` `[height,
/// width]`: a classifier sees them in its own size.
pub(crate) fn taps_for(network: &Network, size: [usize; 2]) -> Vec<Tap> {
    match network.task() {
        Some(TaskKind::Segmentation) => network.taps_at(size),
        _ => network.taps(),
    }
}

/// How many images a batch's outputs are of.
pub(super) fn images_of(outputs: &Outputs) -> usize {
    match &outputs.prediction {
        Feature::Map(map) | Feature::Attention(map) => map.dims()[0],
        Feature::Tokens { tokens, .. } => tokens.dims()[0],
        Feature::Cells { cells, .. } => cells.dims()[0],
        Feature::Vector(vector) => vector.dims()[0],
    }
}

/// Shape of a tap's numbers, without the batch.
pub(super) fn shape_of(kind: &TapKind) -> Vec<usize> {
    match kind {
        TapKind::Map(shape) | TapKind::Attention(shape) => shape.to_vec(),
        TapKind::Tokens { shape, .. } | TapKind::Cells { shape, .. } => shape.to_vec(),
        TapKind::Vector(length) => vec![*length],
    }
}
