//! Writing TinyViT's files.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use limbeck_kernels::all_finite;

use super::{Description, record};
use crate::{CacheError, files, sparse};

/// Says in a folder that classes take four bytes; the file's name and content.
pub(super) const WIDE_MARK: (&str, &[u8]) = ("indices-u32", b"LIMBECK indices u32\n");

/// The two files of one process (rank) for one epoch. They are written in a folder of their own
/// and moved to their place when they are whole; dropped before, they are not there.
#[derive(Debug)]
pub struct Writer {
    root: PathBuf,
    description: Description,
    rank: u64,
    place: PathBuf,
    keys: BufWriter<File>,
    values: BufWriter<File>,
    written: HashSet<String>,
    room: sparse::Room,
    record: Vec<u8>,
}

/// Names of the two files of a rank: keys, values.
fn names(rank: u64) -> [String; 2] {
    [
        format!("rank{rank}-keys.txt"),
        format!("rank{rank}-values.bin"),
    ]
}

impl Writer {
    /// Begins the files of a rank below `root`, which is made where it is missing.
    ///
    /// # Errors
    /// K that is 0 or not below C, an epoch that was written from something else, a rank that is
    /// there, and what the operating system refuses.
    pub fn create(root: &Path, description: &Description, rank: u64) -> Result<Self, CacheError> {
        description.check()?;
        description.compare(root)?;
        let folder = description.folder(root);
        for name in names(rank) {
            let path = folder.join(name);
            if path.exists() {
                return Err(CacheError::BadTinyVit {
                    path,
                    reason: "it exists and is never overwritten; choose another rank or folder"
                        .to_owned(),
                });
            }
        }
        let place = root.join(format!(".{}.rank{rank}.partial", description.name()));
        fs::create_dir_all(&place).map_err(files::failed("make the folder", &place))?;
        let create = |name: &str| {
            let path = place.join(name);
            let file = File::create(&path).map_err(files::failed("write", &path))?;
            Ok::<_, CacheError>(BufWriter::new(file))
        };
        let [keys, values] = names(rank);
        Ok(Self {
            keys: create(&keys)?,
            values: create(&values)?,
            root: root.to_owned(),
            description: description.clone(),
            rank,
            place,
            written: HashSet::new(),
            room: sparse::Room::default(),
            record: Vec::new(),
        })
    }

    /// Appends the record of a sample: its key (its name, or its number where samples have none),
    /// the seed of its view, and the teacher's logits, `[C]`. A key that was written before is
    /// left as it is (samplers fill up the last batch with samples they gave out before); whether
    /// it was written now is told.
    ///
    /// # Errors
    /// A key that is empty or more than a line, a seed of 2³¹ or more, other logits than C finite
    /// ones, a full disk.
    pub fn push(&mut self, key: &str, seed: u32, logits: &[f32]) -> Result<bool, CacheError> {
        let bad = |reason: String| CacheError::Plan(format!("sample `{key}`: {reason}"));
        if key.is_empty() || key.contains(['\n', '\r']) {
            return Err(bad("a key is one line that is not empty".to_owned()));
        }
        if seed > i32::MAX as u32 {
            return Err(bad(format!("the seed {seed} is not below 2³¹")));
        }
        if logits.len() != self.description.classes || !all_finite(logits) {
            return Err(bad(format!(
                "{} logits; expected {}, all finite",
                logits.len(),
                self.description.classes
            )));
        }
        if !self.written.insert(key.to_owned()) {
            return Ok(false);
        }
        let (k, wide) = (self.description.topk, self.description.is_wide());
        self.record.clear();
        record::encode(seed, logits, k, wide, &mut self.room, &mut self.record);
        let written =
            (self.values.write_all(&self.record)).and_then(|()| writeln!(self.keys, "{key}"));
        written.map_err(files::failed("write", &self.place))?;
        Ok(true)
    }

    /// Syncs both files and moves them to their place.
    ///
    /// # Errors
    /// A full disk, a description that another process wrote meanwhile and that differs, what else
    /// the operating system refuses.
    pub fn finish(mut self) -> Result<(), CacheError> {
        for file in [&mut self.keys, &mut self.values] {
            (file.flush())
                .and_then(|()| file.get_ref().sync_all())
                .map_err(files::failed("write", &self.place))?;
        }
        self.description.compare(&self.root)?;
        self.description.write(&self.root)?;
        let folder = self.description.folder(&self.root);
        fs::create_dir_all(&folder).map_err(files::failed("make the folder", &folder))?;
        if self.description.is_wide() {
            files::write_whole(&folder, WIDE_MARK.0, WIDE_MARK.1)?;
        }
        // A reader looks for keys, so these come last.
        let [keys, values] = names(self.rank);
        for name in [values, keys] {
            let path = folder.join(&name);
            fs::rename(self.place.join(&name), &path).map_err(files::failed("name", &path))?;
        }
        files::sync_names(&folder);
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}
