//! Weights of few bits in a file: codes one after the other, without gaps, and the distances of levels.
//!
//! A layer called `conv1.weight` of `k` bits has two tensors, `conv1.weight.codes`, bytes that hold
//! its codes row by row, the first in the lowest bits, and `conv1.weight.step`, single precision. A code
//! `u`, from 0 on, stands for
//! - `(u − (2^(k−1) − 1)) · step` of its output channel with the quantiser `range` (`± step` with 1 bit),
//! - `2u / (2^k − 1) − 1` with `dorefa` (`± step`, one for the layer, with 1 bit).
//!
//! Everything else of the file is as in one of single precision. What the layers are called, their
//! shapes and bits and the ranges of what they are given are in its key-value pair [`QUANTISATION_KEY`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use limbeck_kernels::RowCodes;
use serde::{Deserialize, Serialize};

use super::stored_tensor::{Storage, StoredTensor};
use super::{ElementType, WeightsError};
use crate::{
    Network, Store,
    quantise::{Bits, LayerBits, QuantisationPlan, Quantiser, code_bytes, steps_of},
};

/// The key under which a file of a network of few bits tells these, as JSON.
pub const QUANTISATION_KEY: &str = "limbeck.quantisation";

/// Ends of the names of a layer's tensors.
const CODES: &str = ".codes";
const STEP: &str = ".step";

/// What a file tells of a network of few bits.
#[derive(Clone, Debug, PartialEq)]
pub struct FileQuantisation {
    /// Bits of each layer.
    pub plan: QuantisationPlan,
    /// Whether weights are stored as codes; otherwise in single precision, as training has them.
    pub packed: bool,
    /// Shape of each layer's weight, in the plan's order.
    shapes: Vec<Vec<usize>>,
    /// Range of what each layer is given, in the plan's order.
    ranges: Vec<Option<[f64; 2]>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    quantiser: String,
    packed: bool,
    layers: Vec<LayerText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerText {
    name: String,
    shape: Vec<usize>,
    weight: u32,
    activation: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<[f64; 2]>,
}

impl FileQuantisation {
    /// That of `network`; `None` in full precision.
    pub(super) fn of(network: &Network, packed: bool) -> Option<Self> {
        let plan = network.quantisation()?.clone();
        let store = &network.store;
        let ids = || {
            plan.layers
                .iter()
                .filter_map(|layer| store.find(&layer.name))
        };
        let shapes = ids().map(|id| store.entry(id).shape.clone()).collect();
        let ranges = ids().map(|id| store.input_range(id)).collect();
        Some(Self {
            plan,
            packed,
            shapes,
            ranges,
        })
    }

    /// Value of the key [`QUANTISATION_KEY`].
    pub(super) fn to_text(&self) -> String {
        let layers = self.plan.layers.iter().zip(&self.shapes).zip(&self.ranges);
        let layers = layers.map(|((layer, shape), range)| LayerText {
            name: layer.name.clone(),
            shape: shape.clone(),
            weight: layer.weight.count(),
            activation: layer.activation.count(),
            range: *range,
        });
        let text = Text {
            quantiser: self.plan.quantiser.name().to_owned(),
            packed: self.packed,
            layers: layers.collect(),
        };
        serde_json::json!(text).to_string()
    }

    /// What the pairs of a file tell; `None` where they tell nothing of bits.
    pub(super) fn from_pairs(pairs: &BTreeMap<String, String>) -> Result<Option<Self>, String> {
        let Some(text) = pairs.get(QUANTISATION_KEY) else {
            return Ok(None);
        };
        let wrong = |reason: String| format!("`{QUANTISATION_KEY}` cannot be understood: {reason}");
        let text: Text = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let quantiser = Quantiser::named(&text.quantiser)
            .ok_or_else(|| wrong(format!("there is no quantiser `{}`", text.quantiser)))?;
        let mut found = Self {
            plan: QuantisationPlan {
                quantiser,
                layers: Vec::new(),
            },
            packed: text.packed,
            shapes: Vec::new(),
            ranges: Vec::new(),
        };
        for layer in text.layers {
            let bits = |count| Bits::new(count).map_err(|error| wrong(error.to_string()));
            if found.plan.layer(&layer.name).is_some() {
                return Err(wrong(format!("`{}` is there twice", layer.name)));
            }
            let range = layer
                .range
                .filter(|ends| ends.iter().all(|end| end.is_finite()));
            if layer.weight == Bits::FULL.count() || range != layer.range {
                return Err(wrong(format!("`{}` has no levels", layer.name)));
            }
            found.plan.layers.push(LayerBits {
                weight: bits(layer.weight)?,
                activation: bits(layer.activation)?,
                name: layer.name,
            });
            found.shapes.push(layer.shape);
            found.ranges.push(range);
        }
        Ok(Some(found))
    }

    /// Puts the ranges into a store that has such layers.
    pub(super) fn set_ranges(&self, store: &mut Store) {
        for (layer, range) in self.plan.layers.iter().zip(&self.ranges) {
            if let (Some(id), Some(range)) = (store.find(&layer.name), range) {
                store.set_input_range(id, *range);
            }
        }
    }

    /// The tensors of a packed file with the weights of its layers in place of their codes.
    pub(super) fn unpacked(
        &self,
        path: &Path,
        tensors: Vec<(String, StoredTensor)>,
    ) -> Result<Vec<(String, StoredTensor)>, WeightsError> {
        let mut unpacked = Vec::with_capacity(tensors.len());
        let by_name: BTreeMap<&str, &StoredTensor> =
            tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
        let mut of_layers = Vec::new();
        for (layer, shape) in self.plan.layers.iter().zip(&self.shapes) {
            let names = [CODES, STEP].map(|end| format!("{}{end}", layer.name));
            let refuse = |reason: String| WeightsError::Tensor {
                path: path.to_owned(),
                name: layer.name.clone(),
                reason,
            };
            let [codes, steps] = names.each_ref().map(|name| by_name.get(name.as_str()));
            let (Some(codes), Some(steps)) = (codes, steps) else {
                return Err(refuse(format!(
                    "it has {} bits, and `{}` or `{}` is missing",
                    layer.weight, names[0], names[1]
                )));
            };
            let count = (shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n)))
                .filter(|&count| {
                    codes.element() == ElementType::U8
                        && count.checked_mul(8).is_some()
                        && codes.count() == code_bytes(count, layer.weight)
                        && steps.count() == steps_of(self.plan.quantiser, shape)
                        && steps.count() > 0
                })
                .ok_or_else(|| {
                    refuse(format!(
                        "{} bytes of codes and {} distances do not make weights of shape {shape:?} \
                         of {} bits",
                        codes.count(),
                        steps.count(),
                        layer.weight
                    ))
                })?;
            let bytes: Vec<u8> = codes.to_f64().into_iter().map(|byte| byte as u8).collect();
            let steps: Vec<f32> = steps.to_f64().into_iter().map(|step| step as f32).collect();
            let codes = unpack(&bytes, layer.weight, count);
            let values = values(self.plan.quantiser, layer.weight, &codes, &steps);
            let numbers: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
            let storage = Storage {
                range: 0..numbers.len(),
                file: Arc::new(numbers),
                big_endian: false,
            };
            let tensor = StoredTensor::contiguous(ElementType::F32, shape.clone(), storage);
            unpacked.push((layer.name.clone(), tensor.map_err(refuse)?));
            of_layers.extend(names);
        }
        let others = tensors
            .into_iter()
            .filter(|(name, _)| !of_layers.contains(name));
        unpacked.extend(others);
        Ok(unpacked)
    }
}

/// Codes and distances of levels of a layer: with `range` of its weights, with `dorefa` of their levels.
pub(super) fn pack(
    quantiser: Quantiser,
    bits: Bits,
    shape: &[usize],
    weights: &[f32],
) -> (Vec<u8>, Vec<f32>) {
    let count = bits.count();
    let (codes, steps) = match quantiser {
        Quantiser::Range => {
            let rows = shape.first().copied().unwrap_or(1).max(1);
            let columns = (weights.len() / rows).max(1);
            let first = match count {
                1 => 0,
                _ => (1i16 << (count - 1)) - 1,
            };
            let mut codes = Vec::with_capacity(weights.len());
            let mut steps = Vec::with_capacity(rows);
            for row in weights.chunks(columns) {
                let row = RowCodes::new(row, count);
                codes.extend(row.codes.iter().map(|&code| match count {
                    1 => u8::from(code > 0),
                    _ => (i16::from(code) + first) as u8,
                }));
                steps.push(row.step);
            }
            (codes, steps)
        }
        Quantiser::Dorefa if count == 1 => {
            let size = weights
                .iter()
                .fold(0.0f32, |most, level| most.max(level.abs()));
            let signs = weights.iter().map(|&level| u8::from(level >= 0.0));
            (signs.collect(), vec![size])
        }
        Quantiser::Dorefa => {
            let last = ((1u32 << count) - 1) as f32;
            let code = |&level: &f32| ((level + 1.0) / 2.0 * last).round() as u8;
            (weights.iter().map(code).collect(), vec![1.0])
        }
    };
    (packed(&codes, bits), steps)
}

/// What codes stand for.
fn values<'a>(
    quantiser: Quantiser,
    bits: Bits,
    codes: &'a [u8],
    steps: &'a [f32],
) -> impl Iterator<Item = f32> + 'a {
    let count = bits.count();
    let columns = (codes.len() / steps.len().max(1)).max(1);
    let last = ((1u32 << count) - 1) as f32;
    codes.iter().enumerate().map(move |(place, &code)| {
        let step = steps.get(place / columns).copied().unwrap_or_default();
        match (quantiser, count) {
            (_, 1) => {
                if code > 0 {
                    step
                } else {
                    -step
                }
            }
            (Quantiser::Range, _) => (f32::from(code) - ((1u32 << (count - 1)) - 1) as f32) * step,
            (Quantiser::Dorefa, _) => f32::from(code) * ((2.0 / f64::from(last)) as f32) - 1.0,
        }
    })
}

/// Codes of `bits` bits one after the other, the first in the lowest bits.
fn packed(codes: &[u8], bits: Bits) -> Vec<u8> {
    let width = bits.count() as usize;
    let mut bytes = vec![0u8; code_bytes(codes.len(), bits)];
    for (index, &code) in codes.iter().enumerate() {
        let (byte, shift) = (index * width / 8, index * width % 8);
        let spread = u16::from(code) << shift;
        bytes[byte] |= spread as u8;
        if let Some(next) = bytes.get_mut(byte + 1) {
            *next |= (spread >> 8) as u8;
        }
    }
    bytes
}

fn unpack(bytes: &[u8], bits: Bits, count: usize) -> Vec<u8> {
    let width = bits.count() as usize;
    let mask = ((1u16 << width) - 1) as u8;
    let at = |place: usize| u16::from(bytes.get(place).copied().unwrap_or_default());
    let code = |index: usize| {
        let (byte, shift) = (index * width / 8, index * width % 8);
        ((at(byte) | at(byte + 1) << 8) >> shift) as u8 & mask
    };
    (0..count).map(code).collect()
}

/// Names of the tensors that a packed layer has.
pub(super) fn names_of(layer: &str) -> [String; 2] {
    [CODES, STEP].map(|end| format!("{layer}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(count: u32) -> Bits {
        Bits::new(count).unwrap()
    }

    #[test]
    fn codes_of_any_width_come_back() {
        for width in 1..=8 {
            let codes: Vec<u8> = (0..53u32)
                .map(|i| (i.wrapping_mul(0x9E37_79B9) >> 24) as u8 & ((1u16 << width) - 1) as u8)
                .collect();
            let bytes = packed(&codes, bits(width));
            assert_eq!(bytes.len(), (53 * width as usize).div_ceil(8));
            assert_eq!(unpack(&bytes, bits(width), 53), codes, "{width}");
        }
    }

    #[test]
    fn levels_come_back() {
        for quantiser in [Quantiser::Range, Quantiser::Dorefa] {
            for width in 1..=8 {
                let count = bits(width);
                let last = ((1u32 << width) - 1) as f32;
                let levels: Vec<f32> = (0..24u32)
                    .map(|i| {
                        let row =
                            RowCodes::new(&[0.9, -0.31, 0.5, 0.07, 0.8, -1.0, 0.2, 0.4], width);
                        match (quantiser, width) {
                            (Quantiser::Range, _) => row.values().nth(i as usize % 8).unwrap(),
                            (_, 1) => {
                                if i % 3 == 0 {
                                    -0.25
                                } else {
                                    0.25
                                }
                            }
                            _ => {
                                (i % (last as u32 + 1)) as f32 * ((2.0 / f64::from(last)) as f32)
                                    - 1.0
                            }
                        }
                    })
                    .collect();
                let (bytes, steps) = pack(quantiser, count, &[3, 8], &levels);
                let codes = unpack(&bytes, count, levels.len());
                let found: Vec<f32> = values(quantiser, count, &codes, &steps).collect();
                for (found, level) in found.iter().zip(&levels) {
                    assert!(
                        (found - level).abs() <= 1e-6 * level.abs(),
                        "{quantiser:?} {width}"
                    );
                }
            }
        }
    }
}
