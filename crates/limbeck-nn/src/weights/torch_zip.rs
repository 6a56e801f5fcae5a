//! Reads what `torch.save` writes since PyTorch 1.6: a zip archive with the pickle `data.pkl`, the
//! numbers of each storage in `data/KEY` and the byte order in `byteorder`.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use limbeck_pickle::{Limits, Value};
use zip::read::{ArchiveOffset, Config};
use zip::{CompressionMethod, ZipArchive};

use super::WeightsError;
use super::recognise::describe_zip;
use super::stored_tensor::Storage;
use super::torch_pickle::StorageReference;

/// An opened archive.
pub(super) struct TorchZip<'a> {
    file: &'a Arc<Vec<u8>>,
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// What all names begin with, such as `archive/`.
    prefix: String,
    big_endian: bool,
    /// Where the entries lie that were asked for before.
    known: HashMap<String, Range<usize>>,
    /// How many bytes may still be checked: at first as many as the file has. Entries that
    /// overlap, so that few bytes pass for many, use it up.
    allowance: usize,
}

impl<'a> TorchZip<'a> {
    /// Opens the archive and reads its pickle.
    pub(super) fn open(path: &Path, file: &'a Arc<Vec<u8>>) -> Result<(Self, Value), WeightsError> {
        let damaged = |reason: String| WeightsError::Damaged {
            path: path.to_owned(),
            reason,
        };
        // The archive starts with the file. A search for its start may take the second header of the
        // directory for the first, since PyTorch writes the records of large archives always.
        let config = Config {
            archive_offset: ArchiveOffset::Known(0),
        };
        let archive = ZipArchive::with_config(config, Cursor::new(file.as_slice()))
            .map_err(|error| damaged(format!("its zip directory cannot be read: {error}")))?;
        let names: Vec<&str> = archive
            .file_names_raw()
            .filter_map(|name| std::str::from_utf8(name).ok())
            .collect();
        let has = |name: &str| names.contains(&name);
        let prefix = names
            .iter()
            .filter_map(|name| name.strip_suffix("data.pkl"))
            .find(|prefix| {
                prefix.is_empty()
                    || prefix
                        .strip_suffix('/')
                        .is_some_and(|folder| !folder.contains('/'))
            })
            .filter(|prefix| !has(&format!("{prefix}constants.pkl")))
            .map(str::to_owned);
        let Some(prefix) = prefix else {
            return Err(WeightsError::WrongFormat {
                path: path.to_owned(),
                found: describe_zip(names.iter().copied()).to_owned(),
                advice: "save `model.state_dict()` with torch.save, or use safetensors",
            });
        };
        let mut zip = Self {
            file,
            archive,
            prefix,
            big_endian: false,
            known: HashMap::new(),
            allowance: file.len(),
        };
        if let Ok(order) = zip.entry("byteorder") {
            zip.big_endian = match file[order].trim_ascii() {
                b"little" => false,
                b"big" => true,
                _ => {
                    return Err(damaged(
                        "its byte order is neither little nor big".to_owned(),
                    ));
                }
            };
        }
        let pickle = zip.entry("data.pkl").map_err(damaged)?;
        let value = limbeck_pickle::parse(&file[pickle], Limits::default()).map_err(|source| {
            WeightsError::Pickle {
                path: path.to_owned(),
                part: format!("{}data.pkl", zip.prefix),
                source,
            }
        })?;
        Ok((zip, value))
    }

    /// The bytes of a storage.
    pub(super) fn find(&mut self, reference: &StorageReference<'_>) -> Result<Storage, String> {
        let range = self.entry(&format!("data/{}", reference.key))?;
        let needed = reference
            .element_size()
            .and_then(|size| size.checked_mul(reference.count));
        if needed.is_none_or(|needed| needed > range.len()) {
            return Err(format!(
                "storage {} should have {} elements of a torch.{} and has {} bytes",
                reference.key,
                reference.count,
                reference.class,
                range.len()
            ));
        }
        Ok(Storage {
            file: self.file.clone(),
            range,
            big_endian: self.big_endian,
        })
    }

    /// Where in the file an entry lies, its checksum checked.
    fn entry(&mut self, name: &str) -> Result<Range<usize>, String> {
        let name = format!("{}{name}", self.prefix);
        if let Some(range) = self.known.get(&name) {
            return Ok(range.clone());
        }
        let failed = |reason: &dyn std::fmt::Display| format!("entry {name}: {reason}");
        let index = self
            .archive
            .index_for_name_raw(name.as_bytes())
            .ok_or_else(|| failed(&"it is not there"))?;
        let mut entry = self
            .archive
            .by_index(index)
            .map_err(|error| failed(&error))?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(failed(
                &"it is compressed or encrypted; torch.save stores plainly",
            ));
        }
        let length = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        let start = entry
            .data_start()
            .and_then(|start| usize::try_from(start).ok());
        let range = start
            .and_then(|start| Some(start..start.checked_add(length)?))
            .filter(|range| range.end <= self.file.len())
            .ok_or_else(|| failed(&"it goes beyond the end of the file"))?;
        self.allowance = self
            .allowance
            .checked_sub(length)
            .ok_or_else(|| failed(&"entries overlap"))?;
        let read =
            std::io::copy(&mut entry, &mut std::io::sink()).map_err(|error| failed(&error))?;
        if read != length as u64 {
            return Err(failed(&"its length is not the stated one"));
        }
        drop(entry);
        self.known.insert(name, range.clone());
        Ok(range)
    }
}
