//! Writing a cache.

use std::{
    fs::{self, File, TryLockError},
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
};

use crate::{
    CacheError, Manifest, checksum, files,
    layout::{CHECKSUM_BYTES, Layout},
    shard, sparse,
};

/// Bytes of records that are collected before they are written.
const BUFFER: usize = 1 << 18;

/// A part of the shards: those whose number leaves `index` when divided by `of`. Shares of several
/// machines make one cache once their shards are put in one folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// From 0.
    pub index: u64,
    /// How many shares there are.
    pub of: u64,
}

impl Share {
    /// All shards.
    pub const WHOLE: Self = Self { index: 0, of: 1 };
}

/// A shard that is still to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlan {
    /// Its number.
    pub number: u64,
    /// The positions of its records, in the order in which they are pushed; see
    /// [`Manifest::place`].
    pub positions: Range<u64>,
}

/// A cache that is being written. Several threads and processes may write to the same one.
#[derive(Debug)]
pub struct Build {
    folder: PathBuf,
    manifest: Manifest,
    manifest_sha256: [u8; 32],
    layout: Layout,
    share: Share,
}

impl Build {
    /// Begins a cache in `folder`, or goes on with the one that is there. The folder is made where
    /// it is missing. Nothing in it is ever overwritten.
    ///
    /// # Errors
    /// A manifest that cannot be built or read, a share that is none, a folder with something else
    /// in it, a cache that was begun with another manifest ([`CacheError::Differs`] names the
    /// field), and what the operating system refuses.
    pub fn begin(folder: &Path, manifest: &Manifest, share: Share) -> Result<Self, CacheError> {
        if share.index >= share.of {
            return Err(CacheError::Share {
                index: share.index,
                of: share.of,
            });
        }
        manifest.check()?;
        fs::create_dir_all(folder).map_err(files::failed("make the folder", folder))?;
        let (manifest, manifest_sha256) = begin_folder(folder, manifest)?;
        Ok(Self {
            folder: folder.to_owned(),
            layout: manifest.layout()?,
            manifest,
            manifest_sha256,
            share,
        })
    }

    /// The manifest as it is in the folder.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The shards of this share that are not there yet, those among them that others are writing.
    pub fn missing(&self) -> Vec<ShardPlan> {
        (self.share.index..self.layout.shards)
            .step_by(usize::try_from(self.share.of).unwrap_or(usize::MAX))
            .filter(|&number| !files::shard(&self.folder, number).exists())
            .map(|number| ShardPlan {
                number,
                positions: self.layout.positions(number),
            })
            .collect()
    }

    /// Claims a shard for writing. `None` where it is finished or somebody else is writing it.
    ///
    /// # Errors
    /// A number beyond the last shard, and what the operating system refuses.
    pub fn shard(&self, number: u64) -> Result<Option<ShardWriter<'_>>, CacheError> {
        self.known(number)?;
        // Under the folder's lock nobody else opens, names or removes a shard, so the file that is
        // locked here is the one that has the name.
        let _lock = files::lock(&self.folder)?;
        if files::shard(&self.folder, number).exists() {
            return Ok(None);
        }
        let path = files::partial_shard(&self.folder, number);
        let file = files::open_for_writing(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(files::failed("lock", &path)(error)),
        }
        // What a killed process left.
        file.set_len(0).map_err(files::failed("write", &path))?;
        let mut writer = ShardWriter {
            build: self,
            file,
            number,
            next: self.layout.positions(number).start,
            collected: Vec::with_capacity(BUFFER + self.layout.record_bytes),
            room: sparse::Room::default(),
            broken: false,
            named: false,
        };
        let header = shard::header(&self.layout, &self.manifest_sha256, number);
        writer.collected.extend(header);
        Ok(Some(writer))
    }

    /// Removes a shard that is damaged, so that it is missing and can be written again. A
    /// [`crate::Cache`] that has read from it goes on with the old one; opened anew, it reads the
    /// new one.
    ///
    /// # Errors
    /// A number beyond the last shard, and what the operating system refuses.
    pub fn discard(&self, number: u64) -> Result<(), CacheError> {
        self.known(number)?;
        let _lock = files::lock(&self.folder)?;
        let path = files::shard(&self.folder, number);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(files::failed("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    fn known(&self, number: u64) -> Result<(), CacheError> {
        if number < self.layout.shards {
            return Ok(());
        }
        Err(CacheError::NoShard {
            number,
            count: self.layout.shards,
        })
    }
}

/// Writes the manifest, or compares it with the one that is there. Gives what the folder has.
fn begin_folder(folder: &Path, manifest: &Manifest) -> Result<(Manifest, [u8; 32]), CacheError> {
    if let Some(found) = fitting(folder, manifest)? {
        return Ok(found);
    }
    if let Some(found) = files::foreign(folder)? {
        // Somebody else may have begun meanwhile.
        return fitting(folder, manifest)?.ok_or_else(|| CacheError::Foreign {
            path: folder.to_owned(),
            found,
        });
    }
    {
        let _lock = files::lock(folder)?;
        if Manifest::read(folder)?.is_none() {
            files::write_whole(folder, files::MANIFEST, &manifest.to_bytes()?)?;
        }
        let shards = files::shards(folder);
        fs::create_dir_all(&shards).map_err(files::failed("make the folder", &shards))?;
    }
    fitting(folder, manifest)?.ok_or_else(|| CacheError::NoManifest {
        path: folder.to_owned(),
    })
}

/// The manifest in the folder, where there is one; refused where it differs.
fn fitting(folder: &Path, manifest: &Manifest) -> Result<Option<(Manifest, [u8; 32])>, CacheError> {
    let Some((found, hash)) = Manifest::read(folder)? else {
        return Ok(None);
    };
    if let Some(difference) = found.difference(manifest) {
        return Err(CacheError::Differs {
            path: folder.to_owned(),
            difference,
        });
    }
    let shards = files::shards(folder);
    fs::create_dir_all(&shards).map_err(files::failed("make the folder", &shards))?;
    Ok(Some((found, hash)))
}

/// A shard that is being written. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub struct ShardWriter<'a> {
    build: &'a Build,
    file: File,
    number: u64,
    /// Position of the next record.
    next: u64,
    /// The bytes that are not in the file yet.
    collected: Vec<u8>,
    /// See [`sparse::Room`].
    room: sparse::Room,
    /// Whether a write failed, after which nobody knows what is in the file.
    broken: bool,
    /// Whether the file has its final name.
    named: bool,
}

impl ShardWriter<'_> {
    /// The positions of the records, in the order in which they are pushed.
    pub fn positions(&self) -> Range<u64> {
        self.build.layout.positions(self.number)
    }

    /// Appends the record at the next position: all outputs of the manifest, in its order, each of
    /// [`crate::Output::len`] numbers. For [`crate::Encoding::TopK`] these are logits.
    ///
    /// # Errors
    /// Other outputs than the manifest has, a number that the encoding cannot hold, a shard that
    /// is full, a full disk. The shard is then not to be finished.
    pub fn push(&mut self, outputs: &[&[f32]]) -> Result<(), CacheError> {
        let positions = self.positions();
        if self.next >= positions.end {
            return Err(CacheError::Full {
                number: self.number,
                records: positions.end - positions.start,
            });
        }
        if outputs.len() != self.build.manifest.outputs.len() {
            return Err(CacheError::Outputs {
                position: self.next,
                expected: self.build.manifest.outputs.len(),
                found: outputs.len(),
            });
        }
        let start = self.collected.len();
        self.encode(outputs, start)
            .inspect_err(|_| self.collected.truncate(start))?;
        let checksum = checksum::of_record(self.next, &self.collected[start..]);
        self.collected.extend(checksum.to_le_bytes());
        self.next += 1;
        if self.collected.len() < BUFFER {
            return Ok(());
        }
        self.write()
    }

    /// Collects a record but for its checksum; `start` is how much there was before.
    fn encode(&mut self, outputs: &[&[f32]], start: usize) -> Result<(), CacheError> {
        let layout = &self.build.layout;
        let described = self.build.manifest.outputs.iter().zip(&layout.outputs);
        for ((described, place), numbers) in described.zip(outputs) {
            if numbers.len() != described.len() {
                return Err(CacheError::Length {
                    output: described.name.clone(),
                    expected: described.len(),
                    found: numbers.len(),
                });
            }
            self.collected.resize(start + place.start, 0);
            (described.encoding)
                .encode(
                    &described.shape,
                    numbers,
                    &mut self.room,
                    &mut self.collected,
                )
                .map_err(|value| CacheError::Value {
                    output: described.name.clone(),
                    position: self.next,
                    value,
                    encoding: described.encoding.to_string(),
                })?;
        }
        self.collected
            .resize(start + layout.record_bytes - CHECKSUM_BYTES, 0);
        Ok(())
    }

    /// Syncs the shard and gives it its name.
    ///
    /// # Errors
    /// Records that are missing, a full disk, what else the operating system refuses. The shard is
    /// then not there.
    pub fn finish(mut self) -> Result<(), CacheError> {
        let positions = self.positions();
        if self.next != positions.end || self.broken {
            return Err(CacheError::Unfinished {
                number: self.number,
                records: positions.end - positions.start,
                given: self.next - positions.start,
            });
        }
        self.write()?;
        self.file.sync_all().map_err(|error| self.failed(error))?;
        {
            let _lock = files::lock(&self.build.folder)?;
            let path = files::shard(&self.build.folder, self.number);
            fs::rename(files::partial_shard(&self.build.folder, self.number), &path)
                .map_err(files::failed("name", &path))?;
            self.named = true;
        }
        // Others need not wait for the disk.
        files::sync_names(&files::shards(&self.build.folder));
        Ok(())
    }

    /// Writes what is collected.
    fn write(&mut self) -> Result<(), CacheError> {
        let written = self.file.write_all(&self.collected);
        self.collected.clear();
        written
            .inspect_err(|_| self.broken = true)
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> CacheError {
        files::failed("write", &files::shard(&self.build.folder, self.number))(error)
    }
}

impl Drop for ShardWriter<'_> {
    fn drop(&mut self) {
        if self.named {
            return;
        }
        // While the folder's lock is held nobody else can open the file, which is still locked.
        if let Ok(_lock) = files::lock(&self.build.folder) {
            let _ = fs::remove_file(files::partial_shard(&self.build.folder, self.number));
        }
    }
}
