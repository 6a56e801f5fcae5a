//! Named tensors read from a file.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use limbeck_pickle::Value;

use super::packed::FileQuantisation;
use super::recognise::recognise;
use super::torch_legacy::TorchLegacy;
use super::torch_pickle::{FindStorage, Item, read_item, refuse_programs};
use super::torch_search::find_state_dict;
use super::torch_zip::TorchZip;
use super::{StoredTensor, WeightsError, safetensors_file};

/// A format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Hugging Face's safetensors.
    Safetensors,
    /// `torch.save` since PyTorch 1.6: a zip archive.
    TorchZip,
    /// `torch.save` before: pickles and raw numbers in a row.
    TorchLegacy,
}

/// Named tensors in the order of their file.
#[derive(Clone, Debug)]
pub struct StateDict {
    path: PathBuf,
    format: FileFormat,
    under: Option<String>,
    others: Vec<String>,
    tensors: Vec<(String, StoredTensor)>,
    by_name: HashMap<String, usize>,
    skipped: Vec<String>,
    left_out: Vec<String>,
    metadata: BTreeMap<String, String>,
    class_names: Vec<String>,
    quantisation: Option<FileQuantisation>,
}

impl StateDict {
    /// Reads the state dict of a file: the only one, or the one under a usual key (`state_dict`,
    /// `model`, `net` and others; see [`StateDict::under`]). A network that `torch.save` was given whole
    /// is its state dict, whatever its classes are.
    ///
    /// # Errors
    /// A file that cannot be read, is of another format, is damaged, or holds none or several.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        Self::read_under(path, None)
    }

    /// As [`StateDict::read`], from under the key `key` of a PyTorch file, such as `ema`; keys of
    /// dictionaries in dictionaries are joined by dots. A key that no dictionary has stands for the
    /// tensors whose names begin with it and a dot, such as `student` for `student.conv1.weight`.
    ///
    /// # Errors
    /// As [`StateDict::read`]; a key that is not there.
    pub fn read_under(path: &Path, key: Option<&str>) -> Result<Self, WeightsError> {
        let failed = |source| WeightsError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        };
        // Devices and pipes have no end to check against.
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(WeightsError::WrongFormat {
                path: path.to_owned(),
                found: "a folder or device, not a file".to_owned(),
                advice: "name the file",
            });
        }
        let bytes = std::fs::read(path).map_err(failed)?;
        Self::from_bytes(path, bytes, key)
    }

    /// Reads the bytes of a file; `path` is for messages alone.
    ///
    /// # Errors
    /// As [`StateDict::read_under`].
    pub fn from_bytes(
        path: &Path,
        bytes: Vec<u8>,
        key: Option<&str>,
    ) -> Result<Self, WeightsError> {
        let format = recognise(path, &bytes)?;
        let file = Arc::new(bytes);
        let mut state = Self {
            path: path.to_owned(),
            format,
            under: None,
            others: Vec::new(),
            tensors: Vec::new(),
            by_name: HashMap::new(),
            skipped: Vec::new(),
            left_out: Vec::new(),
            metadata: BTreeMap::new(),
            class_names: Vec::new(),
            quantisation: None,
        };
        match format {
            FileFormat::Safetensors => {
                let (mut tensors, metadata) = safetensors_file::read(path, &file)?;
                let quantisation = FileQuantisation::from_pairs(&metadata).map_err(|reason| {
                    WeightsError::Damaged {
                        path: path.to_owned(),
                        reason,
                    }
                })?;
                if let Some(quantisation) = quantisation {
                    if quantisation.packed {
                        tensors = quantisation.unpacked(path, tensors)?;
                    }
                    state.quantisation = Some(quantisation);
                }
                for (name, tensor) in tensors {
                    state.insert(name, tensor);
                }
                state.metadata = metadata;
                if let Some(key) = key
                    && !state.keep_below(key)
                {
                    return Err(WeightsError::NoStateDict {
                        path: path.to_owned(),
                        key: Some(key.to_owned()),
                        found: format!(
                            "one state dict, as all safetensors files, without names that begin with `{key}.`"
                        ),
                    });
                }
            }
            FileFormat::TorchZip => {
                let (mut zip, object) = TorchZip::open(path, &file)?;
                state.fill(&object, key, &mut |reference| zip.find(reference))?;
            }
            FileFormat::TorchLegacy => {
                let (mut legacy, object) = TorchLegacy::open(path, &file)?;
                state.fill(&object, key, &mut |reference| legacy.find(reference))?;
            }
        }
        Ok(state)
    }

    /// Takes the tensors from what `torch.save` was given.
    fn fill(
        &mut self,
        object: &Value,
        key: Option<&str>,
        find: &mut FindStorage<'_>,
    ) -> Result<(), WeightsError> {
        refuse_programs(&self.path, object)?;
        let (found, part) = match (find_state_dict(&self.path, object, key), key) {
            (Err(error @ WeightsError::NoStateDict { .. }), Some(key)) => {
                match find_state_dict(&self.path, object, None) {
                    Ok(found) => (found, Some((key, error))),
                    Err(_) => return Err(error),
                }
            }
            (found, _) => (found?, None),
        };
        self.under = found.under;
        self.others = found.others;
        self.class_names = found.class_names;
        for (name, value) in found.pairs {
            match read_item(&self.path, &name, value, find)? {
                Item::Tensor(tensor) => self.insert(name, tensor),
                Item::Plain => self.skipped.push(name),
            }
        }
        match part {
            Some((key, error)) if !self.keep_below(key) => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps the tensors whose names begin with `key` and a dot, without these; false, and nothing
    /// changed, where there are none.
    fn keep_below(&mut self, key: &str) -> bool {
        let prefix = format!("{key}.");
        let below = |name: &str| name.strip_prefix(&prefix).map(str::to_owned);
        let kept: Vec<(String, StoredTensor)> = self
            .tensors
            .iter()
            .filter_map(|(name, tensor)| Some((below(name)?, tensor.clone())))
            .collect();
        if kept.is_empty() {
            return false;
        }
        self.tensors.clear();
        self.by_name.clear();
        for (name, tensor) in kept {
            self.insert(name, tensor);
        }
        self.skipped = self.skipped.iter().filter_map(|name| below(name)).collect();
        self.under = Some(match &self.under {
            Some(under) => format!("{under}.{key}"),
            None => key.to_owned(),
        });
        true
    }

    /// A name that comes twice counts the second time, as in Python.
    fn insert(&mut self, name: String, tensor: StoredTensor) {
        match self.by_name.get(&name) {
            Some(&index) => self.tensors[index].1 = tensor,
            None => {
                self.by_name.insert(name.clone(), self.tensors.len());
                self.tensors.push((name, tensor));
            }
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its format.
    pub fn format(&self) -> FileFormat {
        self.format
    }

    /// The key under which the state dict was found; `None` where it is the whole file. Keys of
    /// dictionaries in dictionaries are joined by dots.
    pub fn under(&self) -> Option<&str> {
        self.under.as_deref()
    }

    /// Other keys of the file that hold state dicts, for [`StateDict::read_under`].
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// Names and tensors.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &StoredTensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// How many tensors it has.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&StoredTensor> {
        self.by_name.get(name).map(|&index| &self.tensors[index].1)
    }

    /// Names in the state dict whose values are no tensors.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Names that were left out on purpose, such as a head that nothing reads.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// The same tensors under the names that `rename` gives; without those for which it gives
    /// none.
    pub(super) fn renamed(&self, rename: impl Fn(&str) -> Option<String>) -> Self {
        let mut renamed = Self {
            tensors: Vec::new(),
            by_name: HashMap::new(),
            ..self.clone()
        };
        for (name, tensor) in &self.tensors {
            match rename(name) {
                Some(name) => renamed.insert(name, tensor.clone()),
                None => renamed.left_out.push(name.clone()),
            }
        }
        renamed
    }

    /// Puts the rows of the tensors `first` and `second` together as `joined`, in place of both;
    /// nothing changes where one is missing or their rows differ.
    pub(super) fn join(&mut self, first: &str, second: &str, joined: String) {
        let (Some(one), Some(other)) = (self.get(first), self.get(second)) else {
            return;
        };
        let Some(tensor) = StoredTensor::joined(one, other) else {
            return;
        };
        let tensors = std::mem::take(&mut self.tensors);
        self.by_name.clear();
        for (name, tensor) in tensors {
            if name != first && name != second {
                self.insert(name, tensor);
            }
        }
        self.insert(joined, tensor);
    }

    /// Names of the classes in the order of the outputs, as a network that was saved whole says them;
    /// empty where none does.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Bits of the network whose weights these are; `None` in full precision. Packed weights are there as
    /// the levels that they have.
    pub fn quantisation(&self) -> Option<&FileQuantisation> {
        self.quantisation.as_ref()
    }

    /// The key-value pairs of a safetensors file; empty for others.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}
