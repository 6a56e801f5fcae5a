//! Reading TinyViT's files.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use limbeck_kernels::MappedFile;

use super::{Description, Record, record, writer::WIDE_MARK};
use crate::{CacheError, files};

/// Bytes of a key at the most.
const LONGEST_KEY: u64 = 4096;

/// The stored logits of one epoch: records of all ranks by key. Values are mapped, keys held.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    topk: usize,
    epoch: u64,
    classes: usize,
    wide: bool,
    record_bytes: usize,
    values: Vec<MappedFile>,
    /// Rank file and number of the record within it.
    places: HashMap<String, (usize, usize)>,
}

impl Reader {
    /// Opens a folder `logits_top{K}_epoch{e}` with the logits of `classes` classes. A key that
    /// several ranks have (samplers fill up their last batches) is read from the first.
    ///
    /// # Errors
    /// A folder with another name or without records, K that is 0 or not below C, values whose
    /// length is not that of so many records as there are keys, keys twice in one file, more
    /// classes than two bytes hold where they have two.
    pub fn open(folder: &Path, classes: usize) -> Result<Self, CacheError> {
        let bad = |reason: String| bad(folder, reason);
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let (topk, epoch) = Description::of_name(&name)
            .ok_or_else(|| bad("expected a name such as logits_top10_epoch0".to_owned()))?;
        if topk == 0 || topk >= classes {
            return Err(bad(format!(
                "its name says top-{topk}, of {classes} classes; expected at least 1 and fewer \
                 than there are"
            )));
        }
        let wide = is_wide(folder)?;
        if !wide && classes > 1 << 15 {
            return Err(bad(format!(
                "classes take two bytes in it, and of {classes} only 32768 can be told apart"
            )));
        }
        let record_bytes =
            record::bytes(topk, wide).ok_or_else(|| bad(format!("top-{topk} is too large")))?;
        let mut reader = Self {
            folder: folder.to_owned(),
            topk,
            epoch,
            classes,
            wide,
            record_bytes,
            values: Vec::new(),
            places: HashMap::new(),
        };
        for rank in ranks(folder)? {
            reader.add(rank)?;
        }
        if reader.values.is_empty() {
            return Err(bad("it has no rank0-keys.txt".to_owned()));
        }
        Ok(reader)
    }

    /// The same, below `root`, for what `description` says. Refused where the folder's own
    /// description differs; one without is taken for right.
    ///
    /// # Errors
    /// As [`Reader::open`], and [`CacheError::Differs`] with the field.
    pub fn open_described(root: &Path, description: &Description) -> Result<Self, CacheError> {
        description.check()?;
        description.compare(root)?;
        Self::open(&description.folder(root), description.classes)
    }

    /// K.
    pub fn topk(&self) -> usize {
        self.topk
    }

    /// The epoch that the folder is of.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Samples.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The record of a sample.
    ///
    /// # Errors
    /// A key that there is not, and a record that cannot have been written: a negative seed,
    /// classes that there are not or that are there twice, probabilities outside `[0, 1]`.
    pub fn record(&self, key: &str) -> Result<Record<'_>, CacheError> {
        let Some(&(rank, number)) = self.places.get(key) else {
            return Err(CacheError::Unknown {
                what: format!("sample `{key}`"),
                known: format!("{} others", self.places.len()),
            });
        };
        // Checked against the number of keys when the files were opened.
        let start = number * self.record_bytes;
        let bytes = &self.values[rank].bytes()[start..start + self.record_bytes];
        Record::read(bytes, self.topk, self.wide, self.classes).map_err(|reason| {
            bad(
                &self.folder,
                format!("the record of sample `{key}` is damaged: {reason}"),
            )
        })
    }

    fn add(&mut self, rank: u64) -> Result<(), CacheError> {
        let keys_path = self.folder.join(format!("rank{rank}-keys.txt"));
        let values_path = self.folder.join(format!("rank{rank}-values.bin"));
        let [keys, values] = [map(&keys_path)?, map(&values_path)?];
        let records = values.bytes().len() / self.record_bytes;
        let bad_keys = |reason: String| bad(&keys_path, reason);
        if keys.bytes().len() as u64 > (records as u64 + 1) * (LONGEST_KEY + 1) {
            return Err(bad_keys(format!(
                "it is too large for the keys of {records} records"
            )));
        }
        let text = std::str::from_utf8(keys.bytes())
            .map_err(|error| bad_keys(format!("it is no UTF-8 text: {error}")))?;
        let lines = text.lines().count();
        if values.bytes().len() != lines.saturating_mul(self.record_bytes) {
            return Err(bad(
                &values_path,
                format!(
                    "it has {} bytes; {lines} records of {} bytes, as many as there are keys, are \
                     expected",
                    values.bytes().len(),
                    self.record_bytes
                ),
            ));
        }
        let file = self.values.len();
        for (number, key) in text.lines().enumerate() {
            if key.is_empty() {
                return Err(bad_keys(format!("line {} is empty", number + 1)));
            }
            match self.places.get(key) {
                None => {
                    self.places.insert(key.to_owned(), (file, number));
                }
                Some(&(first, _)) if first == file => {
                    return Err(bad_keys(format!("`{key}` is there twice")));
                }
                Some(_) => {}
            }
        }
        self.values.push(values);
        Ok(())
    }
}

fn bad(path: &Path, reason: String) -> CacheError {
    CacheError::BadTinyVit {
        path: path.to_owned(),
        reason,
    }
}

/// Whether the mark of wide indices is there.
fn is_wide(folder: &Path) -> Result<bool, CacheError> {
    let path = folder.join(WIDE_MARK.0);
    match files::read_bounded(&path, 64)? {
        None => Ok(false),
        Some(content) if content == WIDE_MARK.1 => Ok(true),
        Some(_) => Err(bad(
            &path,
            "it is not the mark of four-byte classes".to_owned(),
        )),
    }
}

/// The ranks whose keys are in a folder, ascending.
fn ranks(folder: &Path) -> Result<Vec<u64>, CacheError> {
    let mut ranks = Vec::new();
    for entry in fs::read_dir(folder).map_err(files::failed("read", folder))? {
        let name = entry.map_err(files::failed("read", folder))?.file_name();
        let name = name.to_string_lossy();
        let rank = name
            .strip_prefix("rank")
            .and_then(|n| n.strip_suffix("-keys.txt"));
        ranks.extend(rank.and_then(|rank| rank.parse::<u64>().ok()));
    }
    ranks.sort_unstable();
    ranks.dedup();
    Ok(ranks)
}

fn map(path: &Path) -> Result<MappedFile, CacheError> {
    let file = File::open(path).map_err(files::failed("read", path))?;
    let metadata = file.metadata().map_err(files::failed("read", path))?;
    if !metadata.is_file() {
        return Err(bad(path, "it is no file".to_owned()));
    }
    MappedFile::new(&file).map_err(files::failed("map", path))
}
