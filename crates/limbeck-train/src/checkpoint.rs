//! Everything that a run needs to go on to the same bits, in one file.
//!
//! A checkpoint is a safetensors file: named tensors of `f32`, `f64` and `i64`, kept bit for bit,
//! and in its header one metadata entry, `limbeck.checkpoint`, a JSON object of
//! - `version`: of this format, now 3;
//! - `recipe`: fingerprint of what decides the run's bits: hashes of the recipe, of the images to
//!   learn from and to choose by, and of the teacher, joined by `-`;
//! - `progress`: TOML text of the caller, in which numbers keep all their bits;
//! - `sha256`: of all that is above and of every tensor's name, type, shape and numbers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device, Element, Tensor, TensorData};
use limbeck_nn::Store;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::files::{FileError, write_whole};

const VERSION: u32 = 3;
const METADATA: &str = "limbeck.checkpoint";
/// No run on one machine keeps as much; a bigger file is something else.
const MOST_BYTES: u64 = 64 << 30;

/// Errors of checkpoints.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read.
    #[error("cannot read the checkpoint {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
    /// The file is no checkpoint or was damaged.
    #[error(
        "{} is no whole checkpoint: {reason}; remove it and resume the run: this network is then trained again from its first epoch, to the same bits, and what is finished stays",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The checkpoint was written by another version of the program.
    #[error(
        "{} has checkpoint format {found}, this program reads format {VERSION}; go on with the program that wrote it, or train again in a new folder",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Format found.
        found: u32,
    },
    /// The checkpoint belongs to another recipe, other data or another teacher.
    #[error("{} {}", path.display(), difference(found, expected))]
    Differs {
        /// The file.
        path: PathBuf,
        /// Fingerprint in the file.
        found: String,
        /// Fingerprint of the run.
        expected: String,
    },
    /// Something that a checkpoint must hold is missing or has another form.
    #[error("the checkpoint's `{name}` {reason}")]
    Content {
        /// Tensor or key.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Which part of a fingerprint is another one, and what to do.
fn difference(found: &str, expected: &str) -> String {
    let mut parts = found.split('-').zip(expected.split('-'));
    let differs = parts.position(|(found, expected)| found != expected);
    match differs {
        Some(1) => "was made from other images: the training or validation part of the data has \
                    changed since (images added, removed, renamed or of another length); bring \
                    the old ones back, or start a new run"
            .to_owned(),
        Some(2) => "was made with another teacher, whose weights have changed since; bring the \
                    old ones back, or start a new run"
            .to_owned(),
        _ => format!(
            "belongs to another recipe (fingerprint {}, this run's is {}); go on with the recipe \
             in its own run folder, or start a new run",
            short(found),
            short(expected)
        ),
    }
}

fn short(fingerprint: &str) -> String {
    fingerprint.chars().take(12).collect()
}

/// Everything that a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Fingerprint of recipe, data and teacher.
    pub recipe: String,
    /// TOML text; see [`Checkpoint::progress`].
    progress: String,
    /// Numbers by name: `f32`, `f64` or `i64`.
    pub tensors: BTreeMap<String, TensorData>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    recipe: String,
    progress: String,
    sha256: String,
}

impl Checkpoint {
    /// A checkpoint without tensors. `progress` is any structure that TOML can hold: `None` is
    /// left out, whole numbers go up to 2⁶³ − 1, and floating-point numbers keep all their bits
    /// (which JSON readers do not promise).
    ///
    /// # Errors
    /// A structure that TOML cannot hold.
    pub fn new(recipe: &str, progress: &impl Serialize) -> Result<Self, CheckpointError> {
        let progress = toml::to_string(progress).map_err(|error| content("progress", error))?;
        Ok(Self {
            recipe: recipe.to_owned(),
            progress,
            tensors: BTreeMap::new(),
        })
    }

    /// What [`Checkpoint::new`] was given.
    ///
    /// # Errors
    /// Progress of another form.
    pub fn progress<T: DeserializeOwned>(&self) -> Result<T, CheckpointError> {
        toml::from_str(&self.progress).map_err(|error| content("progress", error.message()))
    }

    /// Adds tensors under `group/name`.
    pub fn insert(&mut self, group: &str, tensors: BTreeMap<String, Tensor<1>>) {
        for (name, tensor) in tensors {
            let data = tensor.into_data();
            self.tensors.insert(format!("{group}/{name}"), data);
        }
    }

    /// The tensors that were added under `group/`, on `device`, with the bits they had.
    pub fn group(&self, group: &str, device: &Device) -> BTreeMap<String, Tensor<1>> {
        self.in_group(group)
            .map(|(name, data)| {
                let flat = TensorData::clone(data);
                let count = flat.num_elements();
                let dtype = flat.dtype();
                let (bytes, ..) = flat.into_parts();
                let flat = TensorData::from_bytes(bytes, [count], dtype);
                (name.to_owned(), Tensor::from_data(flat, (device, dtype)))
            })
            .collect()
    }

    /// Adds every entry of `store` under `group/`, in its shape.
    pub fn insert_store(&mut self, group: &str, store: &Store) {
        for entry in store.entries() {
            let (bytes, _, dtype) = entry.value.to_data().into_parts();
            let data = TensorData::from_bytes(bytes, entry.shape.clone(), dtype);
            self.tensors.insert(format!("{group}/{}", entry.name), data);
        }
    }

    /// Fills `store` with the numbers that were added under `group/`.
    ///
    /// # Errors
    /// An entry that is missing, that is one too many, or of another shape or type; the store is
    /// then unchanged.
    pub fn load_store(&self, group: &str, store: &mut Store) -> Result<(), CheckpointError> {
        let mut filled = store.clone();
        for id in store.ids() {
            let entry = store.entry(id);
            let name = format!("{group}/{}", entry.name);
            let data = self
                .tensors
                .get(&name)
                .ok_or_else(|| content(&name, "is missing"))?;
            let expected = (&entry.shape[..], store.dtype());
            let found = (&data.shape()[..], data.dtype());
            if expected != found {
                let reason = format!("should be {expected:?}, found {found:?}");
                return Err(content(&name, reason));
            }
            let (bytes, _, dtype) = data.clone().into_parts();
            let flat = TensorData::from_bytes(bytes, [data.num_elements()], dtype);
            filled.set(id, Tensor::from_data(flat, (store.device(), dtype)));
        }
        if let Some((name, _)) = self
            .in_group(group)
            .find(|(name, _)| store.find(name).is_none())
        {
            return Err(content(
                &format!("{group}/{name}"),
                "is not part of the network",
            ));
        }
        *store = filled;
        Ok(())
    }

    fn in_group(&self, group: &str) -> impl Iterator<Item = (&str, &TensorData)> {
        self.tensors.iter().filter_map(move |(name, data)| {
            let name = name.strip_prefix(group)?.strip_prefix('/')?;
            Some((name, data))
        })
    }

    fn digest(&self) -> Result<String, CheckpointError> {
        let mut hash = Sha256::new();
        let text = |hash: &mut Sha256, text: &str| {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        };
        hash.update(VERSION.to_le_bytes());
        text(&mut hash, &self.recipe);
        text(&mut hash, &self.progress);
        for (name, data) in &self.tensors {
            text(&mut hash, name);
            text(&mut hash, &dtype_of(name, data)?.to_string());
            hash.update((data.rank() as u64).to_le_bytes());
            for &size in data.shape().iter() {
                hash.update((size as u64).to_le_bytes());
            }
            hash.update(encoded(data));
        }
        let digest = hash.finalize();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn encode(&self) -> Result<Vec<u8>, CheckpointError> {
        let header = Header {
            version: VERSION,
            recipe: self.recipe.clone(),
            progress: self.progress.clone(),
            sha256: self.digest()?,
        };
        let header = serde_json::to_string(&header).map_err(|error| content(METADATA, error))?;
        let bytes: Vec<Vec<u8>> = self.tensors.values().map(encoded).collect();
        let views = self
            .tensors
            .iter()
            .zip(&bytes)
            .map(|((name, data), bytes)| {
                let dtype = dtype_of(name, data)?;
                TensorView::new(dtype, data.shape().to_vec(), bytes)
                    .map(|view| (name, view))
                    .map_err(|error| content(name, error))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let metadata = [(METADATA.to_owned(), header)].into();
        safetensors::serialize(views, Some(metadata)).map_err(|error| content(METADATA, error))
    }
}

fn content(name: &str, reason: impl ToString) -> CheckpointError {
    CheckpointError::Content {
        name: name.to_owned(),
        reason: reason.to_string(),
    }
}

fn dtype_of(name: &str, data: &TensorData) -> Result<Dtype, CheckpointError> {
    match data.dtype() {
        DType::F32 => Ok(Dtype::F32),
        DType::F64 => Ok(Dtype::F64),
        DType::I64 => Ok(Dtype::I64),
        other => Err(content(name, format!("has elements of type {other:?}"))),
    }
}

/// The numbers, row-major, little end first.
fn encoded(data: &TensorData) -> Vec<u8> {
    match data.dtype() {
        DType::F32 => bytes_of(data, f32::to_le_bytes),
        DType::F64 => bytes_of(data, f64::to_le_bytes),
        _ => bytes_of(data, i64::to_le_bytes),
    }
}

fn bytes_of<E: Element, const N: usize>(data: &TensorData, bytes: fn(E) -> [u8; N]) -> Vec<u8> {
    let values = data.as_slice::<E>().unwrap_or_default();
    values.iter().flat_map(|&value| bytes(value)).collect()
}

fn decoded(view: &TensorView<'_>) -> Option<TensorData> {
    match view.dtype() {
        Dtype::F32 => data_of(view, f32::from_le_bytes),
        Dtype::F64 => data_of(view, f64::from_le_bytes),
        Dtype::I64 => data_of(view, i64::from_le_bytes),
        _ => None,
    }
}

fn data_of<E: Element, const N: usize>(
    view: &TensorView<'_>,
    value: fn([u8; N]) -> E,
) -> Option<TensorData> {
    let (values, rest) = view.data().as_chunks::<N>();
    let values: Vec<E> = values.iter().map(|&bytes| value(bytes)).collect();
    let count = view
        .shape()
        .iter()
        .try_fold(1_usize, |count, &size| count.checked_mul(size))?;
    (rest.is_empty() && count == values.len())
        .then(|| TensorData::new(values, view.shape().to_vec()))
}

/// Writes `checkpoint` to `path`: whole or not at all, and what was there stays until then.
///
/// # Errors
/// What the operating system refuses; element types other than `f32`, `f64` and `i64`.
pub fn write(path: &Path, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
    Ok(write_whole(path, &checkpoint.encode()?)?)
}

/// Reads the checkpoint at `path`, whatever recipe it belongs to.
///
/// # Errors
/// A file that cannot be read, is no checkpoint, was damaged, or has another format.
pub fn read(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let failed = |source| CheckpointError::Read {
        path: path.to_owned(),
        source,
    };
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return Err(CheckpointError::Damaged {
            path: path.to_owned(),
            reason: format!("expected a file of at most {MOST_BYTES} bytes"),
        });
    }
    decode(&fs::read(path).map_err(failed)?, path)
}

/// Reads the checkpoint at `path` for the run that has the fingerprint `recipe`.
///
/// # Errors
/// As [`read`], and a checkpoint of another recipe, other data or another teacher.
pub fn read_for(path: &Path, recipe: &str) -> Result<Checkpoint, CheckpointError> {
    let checkpoint = read(path)?;
    if checkpoint.recipe != recipe {
        return Err(CheckpointError::Differs {
            path: path.to_owned(),
            found: checkpoint.recipe,
            expected: recipe.to_owned(),
        });
    }
    Ok(checkpoint)
}

fn decode(bytes: &[u8], path: &Path) -> Result<Checkpoint, CheckpointError> {
    let damaged = |reason: String| CheckpointError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
    let header = metadata
        .metadata()
        .as_ref()
        .and_then(|metadata| metadata.get(METADATA))
        .ok_or_else(|| damaged(format!("it has no `{METADATA}` in its header")))?;
    let version = serde_json::from_str::<serde_json::Value>(header)
        .ok()
        .and_then(|header| header.get("version")?.as_u64())
        .and_then(|version| u32::try_from(version).ok());
    if let Some(found) = version.filter(|&version| version != VERSION) {
        return Err(CheckpointError::Version {
            path: path.to_owned(),
            found,
        });
    }
    let header: Header =
        serde_json::from_str(header).map_err(|error| damaged(error.to_string()))?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        let data = decoded(&view)
            .ok_or_else(|| damaged(format!("`{name}` has elements of type {}", view.dtype())))?;
        tensors.insert(name.to_owned(), data);
    }
    let checkpoint = Checkpoint {
        recipe: header.recipe,
        progress: header.progress,
        tensors,
    };
    if checkpoint.digest()? != header.sha256 {
        return Err(damaged("its SHA-256 does not fit its content".to_owned()));
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests;
