//! Reading a cache.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::{CacheError, Damage, Manifest, Minor, files, layout::Layout, shard::Shard};

/// A cache that can be read, from several threads at once and in any order.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    manifest: Manifest,
    manifest_sha256: [u8; 32],
    layout: Layout,
    shards: Box<[OnceLock<Shard>]>,
}

impl Cache {
    /// Opens the cache in `folder`. Only the manifest is read; shards are looked at when their
    /// records are read, and may be missing or come later.
    ///
    /// # Errors
    /// A folder without manifest, or with one that cannot be used.
    pub fn open(folder: &Path) -> Result<Self, CacheError> {
        let (manifest, manifest_sha256) =
            Manifest::read(folder)?.ok_or_else(|| CacheError::NoManifest {
                path: folder.to_owned(),
            })?;
        let layout = manifest.layout()?;
        Ok(Self {
            folder: folder.to_owned(),
            shards: (0..layout.shards).map(|_| OnceLock::new()).collect(),
            manifest,
            manifest_sha256,
            layout,
        })
    }

    /// What is in the cache.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Records in all, those of missing shards among them.
    pub fn records(&self) -> u64 {
        self.layout.records
    }

    /// Shards in all, missing ones among them.
    pub fn shards(&self) -> u64 {
        self.layout.shards
    }

    /// See [`Manifest::position`].
    ///
    /// # Errors
    /// A section, view or sample that the cache does not have.
    pub fn position(&self, section: &str, view: u64, sample: u64) -> Result<u64, CacheError> {
        self.manifest.position(section, view, sample)
    }

    /// The record at a position. Nothing is copied; its checksum is compared.
    ///
    /// # Errors
    /// A position beyond the last, a shard that is missing or damaged, a record that is damaged.
    pub fn record(&self, position: u64) -> Result<Record<'_>, CacheError> {
        if position >= self.layout.records {
            return Err(CacheError::Unknown {
                what: format!("position {position}"),
                known: format!("{} records", self.layout.records),
            });
        }
        let number = position / self.layout.shard_records;
        let shard = self.shard(number)?;
        match shard.outputs(&self.layout, position) {
            Some(bytes) => Ok(Record {
                cache: self,
                position,
                bytes,
            }),
            None => Err(self.damaged(number, Damage::Record { position })),
        }
    }

    /// Numbers of the shards that are not there.
    pub fn missing_shards(&self) -> Vec<u64> {
        (0..self.layout.shards)
            .filter(|&number| !files::shard(&self.folder, number).exists())
            .collect()
    }

    /// Looks at every record of a shard, anew even if it was looked at before, and lists all that
    /// is wrong.
    ///
    /// # Errors
    /// A number beyond the last, a shard that is missing, what the operating system refuses.
    pub fn check_shard(&self, number: u64) -> Result<Vec<Damage>, CacheError> {
        if number >= self.layout.shards {
            return Err(CacheError::NoShard {
                number,
                count: self.layout.shards,
            });
        }
        let opened = Shard::open(&self.folder, &self.layout, &self.manifest_sha256, number);
        let shard = match opened {
            Ok(shard) => shard,
            Err(CacheError::Damaged { damage, .. }) => return Ok(vec![damage]),
            Err(error) => return Err(error),
        };
        Ok((self.layout.positions(number))
            .filter(|&position| shard.outputs(&self.layout, position).is_none())
            .map(|position| Damage::Record { position })
            .collect())
    }

    fn shard(&self, number: u64) -> Result<&Shard, CacheError> {
        // The layout bounds the number of shards.
        let place = &self.shards[number as usize];
        if let Some(shard) = place.get() {
            return Ok(shard);
        }
        let shard = Shard::open(&self.folder, &self.layout, &self.manifest_sha256, number)?;
        // Another thread may have been faster; its mapping is as good.
        Ok(place.get_or_init(|| shard))
    }

    fn damaged(&self, number: u64, damage: Damage) -> CacheError {
        CacheError::Damaged {
            number,
            path: files::shard(&self.folder, number),
            damage,
        }
    }
}

/// What is stored for one view of one sample, as it is in the mapped file.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    cache: &'a Cache,
    position: u64,
    bytes: &'a [u8],
}

impl<'a> Record<'a> {
    /// Where it is.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The bytes of an output (its index in the manifest), as they are stored; `None` where there
    /// is no such output.
    pub fn bytes(&self, output: usize) -> Option<&'a [u8]> {
        let place = self.cache.layout.outputs.get(output)?;
        self.bytes.get(place.clone())
    }

    /// Decodes an output (its index in the manifest) into `into`, which has as many numbers as it.
    /// Sparse logits become the probabilities of all classes, in the output's own shape.
    ///
    /// # Errors
    /// An output that there is not, a room of another length, bytes that nobody can have stored.
    pub fn decode(&self, output: usize, into: &mut [f32]) -> Result<(), CacheError> {
        self.decode_with(output, Minor::Kept, into)
    }

    /// The same with a choice of what sparse logits give to the classes that are not stored.
    ///
    /// # Errors
    /// As [`Record::decode`].
    pub fn decode_with(
        &self,
        output: usize,
        minor: Minor,
        into: &mut [f32],
    ) -> Result<(), CacheError> {
        let (Some(described), Some(bytes)) =
            (self.cache.manifest.outputs.get(output), self.bytes(output))
        else {
            return Err(CacheError::Unknown {
                what: format!("output {output}"),
                known: format!("{} outputs", self.cache.manifest.outputs.len()),
            });
        };
        if into.len() != described.len() {
            return Err(CacheError::Length {
                output: described.name.clone(),
                expected: described.len(),
                found: into.len(),
            });
        }
        (described.encoding)
            .decode(&described.shape, bytes, minor, into)
            .ok_or_else(|| {
                let number = self.position / self.cache.layout.shard_records;
                let position = self.position;
                self.cache.damaged(number, Damage::Record { position })
            })
    }
}
