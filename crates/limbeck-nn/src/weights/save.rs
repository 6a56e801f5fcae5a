//! Writes safetensors files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::{
    WeightsError,
    packed::{names_of, pack},
    write_whole,
};
use crate::{Entry, Network, Role, Store};

/// Writes `store` to `path` under its state-dict names: single precision, counters as 64-bit
/// integers, `metadata` as the file's key-value pairs. Equal stores and metadata give equal bytes.
/// The file appears whole or not at all; one that was there before is replaced.
///
/// The format is described at <https://github.com/huggingface/safetensors>: the length of the
/// header as 64 bits, a JSON header padded to a multiple of 8, the numbers without gaps. Counters
/// come first, so that every tensor is aligned to its element. Ranges of activations of a network of few
/// bits are left out: [`super::ModelFile`] tells them with the bits.
///
/// # Errors
/// [`WeightsError::Io`]; [`WeightsError::Folded`] for a store that batch norms were folded in.
pub fn save_safetensors(
    store: &Store,
    path: &Path,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    if store.is_folded() {
        return Err(WeightsError::Folded);
    }
    let kept = store.ids().filter(|id| !store.is_range(*id));
    let parts = kept.map(|id| Part::of(store.entry(id))).collect();
    write_parts(path, metadata, parts)
}

/// Writes `network`, which has few bits, with codes in place of the weights that have levels; all else as
/// [`save_safetensors`] does.
///
/// # Errors
/// As [`save_safetensors`].
pub(super) fn save_packed(
    network: &Network,
    path: &Path,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let store = &network.store;
    if store.is_folded() {
        return Err(WeightsError::Folded);
    }
    let mut parts = Vec::new();
    for id in store.ids().filter(|id| !store.is_range(*id)) {
        let entry = store.entry(id);
        let plan = network.quantisation();
        match plan.and_then(|plan| Some((plan.quantiser, plan.layer(&entry.name)?))) {
            None => parts.push(Part::of(entry)),
            Some((quantiser, layer)) => {
                let weights: Vec<f32> = store.packed_from(id).to_data().iter::<f32>().collect();
                let (codes, steps) = pack(quantiser, layer.weight, &entry.shape, &weights);
                let [of_codes, of_steps] = names_of(&entry.name);
                parts.push(Part {
                    name: of_codes,
                    dtype: "U8",
                    shape: vec![codes.len()],
                    numbers: Numbers::Bytes(codes),
                });
                let bytes = steps.iter().flat_map(|step| step.to_le_bytes());
                parts.push(Part {
                    name: of_steps,
                    dtype: "F32",
                    shape: vec![steps.len()],
                    numbers: Numbers::Bytes(bytes.collect()),
                });
            }
        }
    }
    write_parts(path, metadata, parts)
}

/// One tensor of a file.
struct Part<'a> {
    name: String,
    dtype: &'static str,
    shape: Vec<usize>,
    numbers: Numbers<'a>,
}

enum Numbers<'a> {
    /// Turned into bytes when they are written.
    Of(&'a Entry),
    /// As they are.
    Bytes(Vec<u8>),
}

impl<'a> Part<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            name: entry.name.clone(),
            dtype: match entry.role {
                Role::Counter => "I64",
                _ => "F32",
            },
            shape: entry.shape.clone(),
            numbers: Numbers::Of(entry),
        }
    }

    fn element(&self) -> usize {
        match self.dtype {
            "I64" => 8,
            "F32" => 4,
            _ => 1,
        }
    }

    fn write(&self, file: &mut dyn Write) -> std::io::Result<()> {
        match &self.numbers {
            Numbers::Bytes(bytes) => file.write_all(bytes)?,
            Numbers::Of(entry) if entry.role == Role::Counter => {
                for value in entry.value.to_data().iter::<f64>() {
                    file.write_all(&(value.round() as i64).to_le_bytes())?;
                }
            }
            Numbers::Of(entry) => {
                for value in entry.value.to_data().iter::<f32>() {
                    file.write_all(&value.to_le_bytes())?;
                }
            }
        }
        Ok(())
    }
}

/// Writes the file: tensors of large elements come first, otherwise in this order.
fn write_parts(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    mut parts: Vec<Part<'_>>,
) -> Result<(), WeightsError> {
    parts.sort_by_key(|part| std::cmp::Reverse(part.element()));
    let mut header = "{".to_owned();
    if !metadata.is_empty() {
        header += &format!("\"__metadata__\":{},", json!(metadata));
    }
    let mut offset = 0;
    for part in &parts {
        let Part {
            name, dtype, shape, ..
        } = part;
        let end = offset + shape.iter().product::<usize>() * part.element();
        header += &format!(
            "{}:{{\"dtype\":\"{dtype}\",\"shape\":{},\"data_offsets\":[{offset},{end}]}},",
            json!(name),
            json!(shape)
        );
        offset = end;
    }
    let mut header = header.trim_end_matches(',').to_owned();
    header.push('}');
    let mut header = header.into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let write = |file: &mut dyn Write| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(&header)?;
        parts.iter().try_for_each(|part| part.write(file))
    };
    write_whole(path, write).map_err(|source| WeightsError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}
