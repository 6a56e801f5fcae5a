//! Writes safetensors files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::{WeightsError, write_whole};
use crate::{Entry, Role, Store};

/// Writes `store` to `path` under its state-dict names: single precision, counters as 64-bit
/// integers, `metadata` as the file's key-value pairs. Equal stores and metadata give equal bytes.
/// The file appears whole or not at all; one that was there before is replaced.
///
/// The format is described at <https://github.com/huggingface/safetensors>: the length of the
/// header as 64 bits, a JSON header padded to a multiple of 8, the numbers without gaps. Counters
/// come first, so that every tensor is aligned to its element.
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
    let is_counter = |entry: &&Entry| entry.role == Role::Counter;
    let (counters, numbers): (Vec<&Entry>, Vec<&Entry>) =
        store.entries().iter().partition(is_counter);
    let mut header = "{".to_owned();
    if !metadata.is_empty() {
        header += &format!("\"__metadata__\":{},", json!(metadata));
    }
    let mut offset = 0;
    let sized = counters
        .iter()
        .map(|entry| (entry, "I64", 8))
        .chain(numbers.iter().map(|entry| (entry, "F32", 4)));
    for (entry, dtype, size) in sized {
        let Entry { name, shape, .. } = entry;
        let end = offset + shape.iter().product::<usize>() * size;
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
        for entry in counters {
            for value in entry.value.to_data().iter::<f64>() {
                file.write_all(&(value.round() as i64).to_le_bytes())?;
            }
        }
        for entry in numbers {
            for value in entry.value.to_data().iter::<f32>() {
                file.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    };
    write_whole(path, write).map_err(|source| WeightsError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}
