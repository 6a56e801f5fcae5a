//! Reads what `torch.save` wrote before PyTorch 1.6: the pickles of a magic number, a protocol
//! version, facts on the machine, the object and the list of storage keys; then, for each key,
//! the number of elements as a 64-bit integer and the elements themselves, little-endian on every
//! machine.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use limbeck_pickle::{Limits, Value};

use super::WeightsError;
use super::stored_tensor::Storage;
use super::torch_pickle::StorageReference;

/// `torch.serialization.PROTOCOL_VERSION`.
const PROTOCOL: i64 = 1001;

/// An opened file.
pub(super) struct TorchLegacy<'a> {
    file: &'a Arc<Vec<u8>>,
    storages: HashMap<String, Range<usize>>,
}

impl<'a> TorchLegacy<'a> {
    /// Reads the pickles and finds the storages.
    pub(super) fn open(path: &Path, file: &'a Arc<Vec<u8>>) -> Result<(Self, Value), WeightsError> {
        let damaged = |reason: String| WeightsError::Damaged {
            path: path.to_owned(),
            reason,
        };
        let mut position = 0;
        let mut next = |part: &str| -> Result<Value, WeightsError> {
            let (value, length) =
                limbeck_pickle::parse_prefix(&file[position..], Limits::default()).map_err(
                    |source| WeightsError::Pickle {
                        path: path.to_owned(),
                        part: format!("{part}, from byte {position} of the file"),
                        source,
                    },
                )?;
            position += length;
            Ok(value)
        };
        next("the magic number")?;
        let protocol = next("the protocol version")?;
        if protocol.as_int() != Some(PROTOCOL) {
            return Err(damaged(format!(
                "torch.save's protocol version should be {PROTOCOL}"
            )));
        }
        next("the facts on the machine")?;
        let object = next("the saved object")?;
        let keys = next("the list of storages")?;
        let keys: Option<Vec<&str>> = keys
            .as_sequence()
            .and_then(|keys| keys.iter().map(Value::as_text).collect());
        let keys = keys.ok_or_else(|| damaged("the list of storages is no list of keys".into()))?;
        let storages = locate(file, position, &object, &keys).map_err(damaged)?;
        Ok((Self { file, storages }, object))
    }

    /// The bytes of a storage or of a view of one.
    pub(super) fn find(&mut self, reference: &StorageReference<'_>) -> Result<Storage, String> {
        let missing = || format!("storage {} is not in the file", reference.key);
        let mut range = self
            .storages
            .get(reference.key)
            .cloned()
            .ok_or_else(missing)?;
        if let Some((offset, count)) = reference.view {
            let size = reference.element_size().ok_or_else(missing)?;
            range = offset
                .checked_mul(size)
                .and_then(|bytes| bytes.checked_add(range.start))
                .and_then(|start| Some(start..start.checked_add(count.checked_mul(size)?)?))
                .filter(|view| view.end <= range.end)
                .ok_or_else(|| format!("a view goes beyond storage {}", reference.key))?;
        }
        Ok(Storage {
            file: self.file.clone(),
            range,
            big_endian: false,
        })
    }
}

/// Where each storage lies; their numbers begin at `position`. Sizes of elements are known from
/// the object, which refers to every storage.
fn locate(
    file: &[u8],
    mut position: usize,
    object: &Value,
    keys: &[&str],
) -> Result<HashMap<String, Range<usize>>, String> {
    let mut references = HashMap::new();
    for value in object.walk() {
        let Value::Persistent(identifier) = value else {
            continue;
        };
        if let Some(reference) = StorageReference::from_identifier(identifier) {
            references.entry(reference.key).or_insert(reference);
        }
    }
    let mut storages = HashMap::new();
    for &key in keys {
        let reference = references
            .get(key)
            .ok_or_else(|| format!("nothing refers to storage {key}"))?;
        let size = reference.element_size().ok_or_else(|| {
            format!(
                "storage {key} is a torch.{}, which is not read",
                reference.class
            )
        })?;
        let count = file
            .get(position..)
            .and_then(|rest| rest.first_chunk())
            .map(|bytes| u64::from_le_bytes(*bytes))
            .ok_or_else(|| format!("it ends before storage {key}"))?;
        if count != reference.count as u64 {
            return Err(format!(
                "storage {key} should have {} elements and has {count}",
                reference.count
            ));
        }
        position += 8;
        let range = reference
            .count
            .checked_mul(size)
            .and_then(|length| Some(position..position.checked_add(length)?))
            .filter(|range| range.end <= file.len())
            .ok_or_else(|| format!("it ends in storage {key}"))?;
        position = range.end;
        storages.insert(key.to_owned(), range);
    }
    Ok(storages)
}
