//! Named arrays of a file that is no model's: features, labels, text vectors.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::ZipArchive;

use super::{StateDict, StoredTensor, WeightsError, numpy};

/// Most bytes that the arrays of a packed archive may unfold to, for each byte of the file: more than
/// deflate gains on numbers, less than it gains on a file that is made to fill the memory.
const MOST_GAIN: u64 = 100;

/// What NumPy's single array is called here; it has no name of its own.
pub const ONLY_ARRAY: &str = "array";

/// Arrays of a file under their names.
#[derive(Clone, Debug)]
pub struct ArrayFile {
    path: PathBuf,
    arrays: BTreeMap<String, StoredTensor>,
    metadata: BTreeMap<String, String>,
}

impl ArrayFile {
    /// Reads a safetensors file, what `torch.save` wrote, or NumPy's `.npz` and `.npy` (whose array is
    /// called [`ONLY_ARRAY`]), recognised by its content.
    ///
    /// # Errors
    /// A file that cannot be read, is of another format, or is damaged.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let failed = |source| WeightsError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let wrong = |found: &str| WeightsError::NoArrays {
            path: path.to_owned(),
            found: found.to_owned(),
        };
        // Devices and pipes have no end to check against.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(wrong("a folder or device, not a file"));
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        Self::from_bytes(path, bytes)
    }

    /// Reads the bytes of a file; `path` is for messages alone.
    ///
    /// # Errors
    /// As [`ArrayFile::read`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        let mut file = Self {
            path: path.to_owned(),
            arrays: BTreeMap::new(),
            metadata: BTreeMap::new(),
        };
        if bytes.starts_with(numpy::MAGIC) {
            let array = numpy::read(Arc::new(bytes));
            let array = array.map_err(|reason| file.damaged(ONLY_ARRAY, reason))?;
            file.arrays.insert(ONLY_ARRAY.to_owned(), array);
            return Ok(file);
        }
        if bytes.starts_with(b"PK") && file.read_npz(&bytes)? {
            return Ok(file);
        }
        match StateDict::from_bytes(path, bytes, None) {
            Ok(state) => {
                file.metadata = state.metadata().clone();
                let tensors = state.iter();
                file.arrays = tensors
                    .map(|(name, tensor)| (name.to_owned(), tensor.clone()))
                    .collect();
                Ok(file)
            }
            Err(WeightsError::WrongFormat { path, found, .. }) => {
                Err(WeightsError::NoArrays { path, found })
            }
            Err(error) => Err(error),
        }
    }

    /// Reads an archive of `.npy` files; false where it is another zip archive.
    fn read_npz(&mut self, bytes: &[u8]) -> Result<bool, WeightsError> {
        let cut = |reason: String| WeightsError::Damaged {
            path: self.path.clone(),
            reason,
        };
        let mut archive = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| cut(format!("its zip directory cannot be read: {error}")))?;
        let names: Vec<String> = archive
            .file_names_raw()
            .filter_map(|name| std::str::from_utf8(name).ok()?.strip_suffix(".npy"))
            .map(str::to_owned)
            .collect();
        if names.is_empty() {
            return Ok(false);
        }
        let mut left = MOST_GAIN * bytes.len() as u64;
        for name in names {
            let mut entry = archive
                .by_name(&format!("{name}.npy"))
                .map_err(|error| self.damaged(&name, error.to_string()))?;
            let mut unpacked = Vec::new();
            // A byte more than is allowed tells that there is more.
            entry
                .by_ref()
                .take(left + 1)
                .read_to_end(&mut unpacked)
                .map_err(|error| self.damaged(&name, error.to_string()))?;
            left = left.checked_sub(unpacked.len() as u64).ok_or_else(|| {
                let reason = format!("it unfolds to more than {MOST_GAIN} times the file");
                self.damaged(&name, reason)
            })?;
            let array = numpy::read(Arc::new(unpacked));
            let array = array.map_err(|reason| self.damaged(&name, reason))?;
            self.arrays.insert(name, array);
        }
        Ok(true)
    }

    fn damaged(&self, name: &str, reason: String) -> WeightsError {
        WeightsError::Tensor {
            path: self.path.clone(),
            name: name.to_owned(),
            reason,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The array called `name`.
    pub fn get(&self, name: &str) -> Option<&StoredTensor> {
        self.arrays.get(name)
    }

    /// All arrays, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &StoredTensor)> {
        let arrays = self.arrays.iter();
        arrays.map(|(name, array)| (name.as_str(), array))
    }

    /// The key-value pairs of a safetensors file; empty for others.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}
