//! A teacher that answers from a cache.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Tensor, TensorData, activation::softmax};
use limbeck_cache::{Cache, CacheError, Encoding, Minor, Output, Record};
use limbeck_data::Dataset;
use limbeck_methods::{MethodError, Origin, Teacher};
use limbeck_nn::{Feature, Network, Outputs, Tap, TapKind, Taps};
use rayon::prelude::*;

use super::{
    contents::{LOGITS, shape_of, taps_for},
    facts::section_name,
};
use crate::TrainError;

/// The probability that a class has at least before its logarithm is taken, where only the most
/// probable ones are stored: the smallest number above 0 that half precision holds, 2⁻²⁴. Of what
/// is below it nothing was stored.
const LEAST_PROBABILITY: f32 = 5.960_464_5e-8;

/// Outputs that a teacher gave earlier. It knows only the images of its cache, and answers for
/// them by view and number.
#[derive(Debug)]
pub struct StoredTeacher {
    name: String,
    cache: Cache,
    /// What is stored, in the cache's order.
    taps: Vec<Tap>,
    /// Number of each image in its source, ascending, of the three parts.
    samples: [Vec<usize>; 3],
}

impl StoredTeacher {
    /// Answers for the images of `dataset`, which training shows in `size` `[height, width]`, with the
    /// outputs of `network`.
    ///
    /// # Errors
    /// Outputs that the network does not have, or in other shapes.
    pub fn new(
        cache: Cache,
        network: &Network,
        size: [usize; 2],
        dataset: &Dataset,
    ) -> Result<Self, TrainError> {
        let parts = [&dataset.train, &dataset.validation, &dataset.test];
        Self::of(cache, network, size, parts.map(|part| part.indices.clone()))
    }

    /// The same for images with these numbers in their sources, ascending: those to train on, to
    /// choose by and to test on.
    ///
    /// # Errors
    /// As [`StoredTeacher::new`].
    pub fn of(
        cache: Cache,
        network: &Network,
        size: [usize; 2],
        samples: [Vec<usize>; 3],
    ) -> Result<Self, TrainError> {
        let known = taps_for(network, size);
        let mut taps = Vec::new();
        for output in &cache.manifest().outputs {
            let tap = known.iter().find(|tap| tap.name == output.name);
            match tap.and_then(|tap| as_stored(tap, output)) {
                Some(tap) => taps.push(tap),
                None => {
                    return Err(TrainError::CacheFile {
                        path: cache.folder().to_owned(),
                        reason: format!(
                            "it holds an output `{}` of shape {:?}, which `{}` does not have; \
                             build it anew with `limbeck cache build`",
                            output.name,
                            output.shape,
                            network.name()
                        ),
                    });
                }
            }
        }
        if !taps.iter().any(|tap| tap.name == LOGITS) {
            return Err(TrainError::CacheFile {
                path: cache.folder().to_owned(),
                reason: "it holds no logits".to_owned(),
            });
        }
        Ok(Self {
            name: network.name().to_owned(),
            samples,
            cache,
            taps,
        })
    }

    fn refuse(&self, reason: String) -> MethodError {
        MethodError::StoredTeacher {
            teacher: self.name.clone(),
            reason,
        }
    }

    fn failed(&self) -> impl Fn(CacheError) -> MethodError + Sync {
        |error| self.refuse(error.to_string())
    }

    /// The records of all images, in their order.
    fn records(&self, origin: &Origin) -> Result<Vec<Record<'_>>, MethodError> {
        let samples = &self.samples[origin.section as usize];
        let section = section_name(origin.section);
        let record = |sample: &usize| {
            let place = samples.binary_search(sample).map_err(|_| {
                self.refuse(format!(
                    "image {sample} is none of the cache's {section} images"
                ))
            })?;
            let position = self.cache.position(section, origin.view, place as u64);
            position
                .and_then(|position| self.cache.record(position))
                .map_err(self.failed())
        };
        origin.samples.par_iter().map(record).collect()
    }

    /// An output of all `records`, one after the other.
    fn decode(&self, records: &[Record<'_>], output: usize) -> Result<Vec<f32>, MethodError> {
        let numbers = self.cache.manifest().outputs[output].len();
        let mut values = vec![0.0; records.len() * numbers];
        records
            .par_iter()
            .zip(values.par_chunks_mut(numbers))
            .try_for_each(|(record, into)| record.decode_with(output, Minor::ClampedAtZero, into))
            .map_err(self.failed())?;
        if let Encoding::TopK(_) = self.cache.manifest().outputs[output].encoding {
            for value in &mut values {
                *value = value.max(LEAST_PROBABILITY).ln();
            }
        }
        Ok(values)
    }
}

impl Teacher for StoredTeacher {
    fn name(&self) -> &str {
        &self.name
    }

    /// What is stored.
    fn taps(&self) -> Vec<Tap> {
        self.taps.clone()
    }

    fn looks_at_images(&self) -> bool {
        false
    }

    fn outputs(&self, _images: Tensor<4>, _taps: &Taps) -> Result<Outputs, MethodError> {
        Err(self.refuse(
            "it is asked about images that its cache does not know; use the teacher itself"
                .to_owned(),
        ))
    }

    fn outputs_of(
        &self,
        origin: &Origin,
        images: Tensor<4>,
        taps: &Taps,
    ) -> Result<Outputs, MethodError> {
        if let Some(missing) = taps
            .names()
            .find(|name| !self.taps.iter().any(|tap| tap.name == *name))
        {
            return Err(self.refuse(format!("the tap `{missing}` is not stored")));
        }
        let records = self.records(origin)?;
        let options = (&images.device(), images.dtype());
        let empty = Tensor::zeros([records.len(), 0], options);
        let mut prediction = Feature::Vector(empty);
        let mut features = BTreeMap::new();
        for (output, tap) in self.taps.iter().enumerate() {
            let is_logits = tap.name == LOGITS;
            if !is_logits && !taps.wants(&tap.name) {
                continue;
            }
            let values = self.decode(&records, output)?;
            let feature = feature(&tap.kind, values, records.len(), options);
            if is_logits {
                prediction = feature;
            } else {
                features.insert(tap.name.clone(), feature);
            }
        }
        if let Some(share) = origin.share {
            prediction = match prediction {
                Feature::Vector(logits) => Feature::Vector(mixed(logits, share)),
                _ => return Err(self.refuse("its images are mixed, its maps are not".to_owned())),
            };
        }
        Ok(Outputs {
            prediction,
            features,
        })
    }
}

/// `tap` as `output` holds it: in its own shape, or a map of logits that was reduced; `None` where it is
/// another.
fn as_stored(tap: &Tap, output: &Output) -> Option<Tap> {
    if shape_of(&tap.kind) == output.shape {
        return Some(tap.clone());
    }
    let (TapKind::Map([classes, height, width]), Some(_)) = (&tap.kind, output.stride) else {
        return None;
    };
    let &[own, rows, columns] = output.shape.as_slice() else {
        return None;
    };
    let smaller = tap.name == LOGITS && own == *classes && rows <= *height && columns <= *width;
    smaller.then(|| Tap {
        name: tap.name.clone(),
        kind: TapKind::Map([own, rows, columns]),
    })
}

/// Numbers as the value of a tap for a batch.
fn feature(kind: &TapKind, values: Vec<f32>, batch: usize, options: (&Device, DType)) -> Feature {
    match *kind {
        TapKind::Map([c, h, w]) => {
            let data = TensorData::new(values, [batch, c, h, w]);
            Feature::Map(Tensor::from_data(data, options))
        }
        TapKind::Tokens {
            shape: [n, d],
            prefix,
            grid,
        } => Feature::Tokens {
            tokens: Tensor::from_data(TensorData::new(values, [batch, n, d]), options),
            prefix,
            grid,
        },
        TapKind::Vector(d) => Feature::Vector(Tensor::from_data(
            TensorData::new(values, [batch, d]),
            options,
        )),
        TapKind::Attention([h, n, m]) => {
            let data = TensorData::new(values, [batch, h, n, m]);
            Feature::Attention(Tensor::from_data(data, options))
        }
        TapKind::Cells {
            shape: [n, d],
            anchors,
            ref levels,
        } => Feature::Cells {
            cells: Tensor::from_data(TensorData::new(values, [batch, n, d]), options),
            anchors,
            levels: levels.clone(),
        },
    }
}

/// Logits `[B, K]` for images that are mixed: image `i` keeps `share` of itself and takes the rest
/// from image `B − 1 − i`. The logarithm of the probabilities, mixed alike.
fn mixed(logits: Tensor<2>, share: f64) -> Tensor<2> {
    let own = softmax(logits, 1);
    let other = own.clone().flip([0]);
    let both = own.mul_scalar(share) + other.mul_scalar(1.0 - share);
    both.clamp_min(LEAST_PROBABILITY).log()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: [f32; 6]) -> Tensor<2> {
        Tensor::from_data(TensorData::new(values.to_vec(), [2, 3]), &Device::flex())
    }

    #[test]
    fn logits_of_mixed_images_are_those_of_the_mixed_probabilities() {
        let logits = tensor([0.0, 1.0, 2.0, 3.0, -1.0, 0.5]);
        let [one, other] = [0, 1].map(|row| softmax(logits.clone(), 1).narrow(0, row, 1));
        let found = softmax(mixed(logits.clone(), 0.75), 1);
        let expected = Tensor::cat(
            vec![
                one.clone().mul_scalar(0.75) + other.clone().mul_scalar(0.25),
                other.mul_scalar(0.75) + one.mul_scalar(0.25),
            ],
            0,
        );
        let difference = (found - expected).abs().max().into_scalar::<f32>();
        assert!(difference < 1e-6, "{difference}");
        let whole = softmax(mixed(logits.clone(), 1.0), 1) - softmax(logits, 1);
        assert!(whole.abs().max().into_scalar::<f32>() < 1e-6);
    }

    #[test]
    fn probabilities_that_vanish_leave_logits_finite() {
        let logits = tensor([-200.0, 0.0, 200.0, -200.0, 0.0, 200.0]);
        let found: Vec<f32> = mixed(logits, 0.5).into_data().iter().collect();
        assert!(found.iter().all(|logit| logit.is_finite()), "{found:?}");
    }
}
