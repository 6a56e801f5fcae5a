//! One file of records.

use std::{fmt, fs::File, io, path::Path};

use limbeck_kernels::MappedFile;

use crate::{
    CacheError, FORMAT, checksum, files,
    layout::{CHECKSUM_BYTES, HEADER_BYTES, Layout},
};

/// What a shard starts with.
const MAGIC: &[u8; 8] = b"LIMBECK\x1a";

/// What is wrong with a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The file is shorter or longer than it must be.
    Size {
        /// Bytes that it must have.
        expected: u64,
        /// Bytes that it has.
        found: u64,
    },
    /// The header is not what belongs there.
    Header(String),
    /// A record's checksum is not that of its bytes and position.
    Record {
        /// The position.
        position: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { expected, found } => {
                write!(f, "the file has {found} bytes, expected {expected}")
            }
            Self::Header(reason) => write!(f, "{reason}"),
            Self::Record { position } => {
                write!(
                    f,
                    "the checksum of the record at position {position} differs"
                )
            }
        }
    }
}

/// The header of a shard.
pub fn header(layout: &Layout, manifest_sha256: &[u8; 32], number: u64) -> [u8; HEADER_BYTES] {
    let positions = layout.positions(number);
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    // The layout bounds the number of shards, and the records and bytes of each.
    header[12..16].copy_from_slice(&(number as u32).to_le_bytes());
    header[16..24].copy_from_slice(&positions.start.to_le_bytes());
    let records = (positions.end - positions.start) as u32;
    header[24..28].copy_from_slice(&records.to_le_bytes());
    header[28..32].copy_from_slice(&(layout.record_bytes as u32).to_le_bytes());
    header[32..64].copy_from_slice(manifest_sha256);
    let checksum = crc32fast::hash(&header[..64]);
    header[64..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// A shard that can be read.
#[derive(Debug)]
pub struct Shard {
    file: MappedFile,
}

impl Shard {
    /// Maps a shard; its size and header are checked, its records when they are read.
    pub fn open(
        folder: &Path,
        layout: &Layout,
        manifest_sha256: &[u8; 32],
        number: u64,
    ) -> Result<Self, CacheError> {
        let path = files::shard(folder, number);
        let damaged = |damage| CacheError::Damaged {
            number,
            path: path.clone(),
            damage,
        };
        let file = File::open(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CacheError::MissingShard {
                number,
                path: path.clone(),
            },
            _ => files::failed("read", &path)(error),
        })?;
        let metadata = file.metadata().map_err(files::failed("read", &path))?;
        let expected = layout.shard_bytes(number);
        if !metadata.is_file() || metadata.len() != expected {
            return Err(damaged(Damage::Size {
                expected,
                found: metadata.len(),
            }));
        }
        let file = MappedFile::new(&file).map_err(files::failed("map", &path))?;
        let found = file.bytes();
        if found.len() as u64 != expected {
            return Err(damaged(Damage::Size {
                expected,
                found: found.len() as u64,
            }));
        }
        let expected = header(layout, manifest_sha256, number);
        if let Some(reason) = header_difference(&found[..HEADER_BYTES], &expected) {
            return Err(damaged(Damage::Header(reason)));
        }
        Ok(Self { file })
    }

    /// The outputs in the record at `position`, which the shard must have; `None` where the
    /// checksum differs.
    pub fn outputs(&self, layout: &Layout, position: u64) -> Option<&[u8]> {
        let record = self.file.bytes().get(layout.record(position))?;
        let (outputs, stored) = record.split_last_chunk::<CHECKSUM_BYTES>()?;
        let computed = checksum::of_record(position, outputs);
        (u32::from_le_bytes(*stored) == computed).then_some(outputs)
    }
}

/// What a header differs in from the expected one.
fn header_difference(found: &[u8], expected: &[u8; HEADER_BYTES]) -> Option<String> {
    if found == expected {
        return None;
    }
    let differs = |range: std::ops::Range<usize>| found[range.clone()] != expected[range];
    let reason = if differs(0..8) {
        "it does not start as a shard of a cache does"
    } else if crc32fast::hash(&found[..64]).to_le_bytes() != found[64..] {
        "the checksum of its header differs"
    } else if differs(8..12) {
        "its header has a version that is not known"
    } else if differs(32..64) {
        "it belongs to another cache: the manifest that it was built with is not this one"
    } else {
        "its header is that of another shard"
    };
    Some(reason.to_owned())
}
