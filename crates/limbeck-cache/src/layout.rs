//! Where the bytes of a record and of a shard are.

use std::{collections::HashSet, ops::Range};

use crate::record::{Output, Section};

/// Bytes of a shard's header:
///
/// | bytes | |
/// |---|---|
/// | 0..8 | what a shard starts with |
/// | 8..12 | version of the format |
/// | 12..16 | number of the shard |
/// | 16..24 | position of its first record |
/// | 24..28 | how many records |
/// | 28..32 | bytes of a record |
/// | 32..64 | SHA-256 of the manifest's file |
/// | 64..68 | CRC-32 of all before |
pub const HEADER_BYTES: usize = 68;
/// Bytes that a record ends with: its checksum.
pub const CHECKSUM_BYTES: usize = 4;
/// Outputs start at multiples of it within a record.
const ALIGNMENT: usize = 4;

/// Bytes that a shard is meant to have: large enough that a file costs nothing beside its records,
/// small enough to be thrown away.
const TARGET_BYTES: u64 = 8 << 20;
/// Records of a shard at the least, so that header and file stay below a thousandth of the records,
/// and the steps of a build long beside the start of one.
const FEWEST_RECORDS: u64 = 256;
/// Bytes up to which a shard is made larger for the sake of the fewest records: maps of logits take
/// megabytes each, of which header and file are nothing, and a kill loses a shard.
const LARGEST_BYTES: u64 = 256 << 20;
/// Records of a shard at the most, as long as there are few shards: a killed build loses the shard
/// in progress, and a large teacher needs minutes for so many images; but a disk takes some
/// milliseconds to sync each shard, in which thousands of small records are encoded.
const MOST_RECORDS: u64 = 16_384;
/// Shards that are aimed for at the most. A reader maps each of them, and Linux allows 65,530
/// mappings by default (`vm.max_map_count`).
const MOST_SHARDS: u64 = 16_384;
/// Shards that are read at the most: half of the mappings.
const MOST_SHARDS_READ: u64 = 2 * MOST_SHARDS;

/// Sections and outputs of a manifest at the most; more than anybody has use for.
const MOST_ENTRIES: usize = 256;
/// Numbers of an output at the most, a gigabyte of `f32`.
const MOST_NUMBERS: usize = 1 << 28;
/// Bytes of a record and of a shard at the most.
const LARGEST_RECORD: usize = 1 << 30;
const LARGEST_SHARD: u64 = 1 << 40;

/// How many records each shard should have, for records of `record_bytes` and `records` in all:
/// about 8 MiB of them, but 256 at the least as long as these take no more than 256 MiB; 16,384 at
/// the most while that makes no more than 16,384 shards.
pub fn shard_records(record_bytes: u64, records: u64) -> u64 {
    let by_size = TARGET_BYTES / record_bytes.max(1);
    let fewest = FEWEST_RECORDS
        .min(LARGEST_BYTES / record_bytes.max(1))
        .max(1);
    by_size
        .clamp(fewest, MOST_RECORDS)
        .max(records.div_ceil(MOST_SHARDS))
}

/// Bytes of a record that holds these outputs, its checksum included. For [`shard_records`].
///
/// Saturates where the outputs are too large to be stored at all.
pub fn record_bytes(outputs: &[Output]) -> u64 {
    let bytes = outputs
        .iter()
        .map(|output| output_bytes(output).map_or(u64::MAX, |bytes| bytes as u64))
        .fold(0_u64, u64::saturating_add);
    bytes.saturating_add(CHECKSUM_BYTES as u64)
}

/// Bytes of an output in a record, with what aligns the next; `None` where that overflows.
fn output_bytes(output: &Output) -> Option<usize> {
    let bytes = output.encoding.bytes(&output.shape)?;
    bytes.checked_next_multiple_of(ALIGNMENT)
}

/// The places of everything, from a manifest that was checked.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Bytes of a record.
    pub record_bytes: usize,
    /// Where each output is in a record, without what aligns the next.
    pub outputs: Vec<Range<usize>>,
    /// Records in all.
    pub records: u64,
    /// Shards in all.
    pub shards: u64,
    /// Records of every shard but the last.
    pub shard_records: u64,
}

impl Layout {
    /// The places of records that hold `outputs`, of all views in `sections`, so many to a shard.
    /// Refuses with what is wrong and what was expected.
    pub fn new(
        sections: &[Section],
        outputs: &[Output],
        shard_records: u64,
    ) -> Result<Self, String> {
        let records = count_records(sections)?;
        let (outputs, record_bytes) = place_outputs(outputs)?;
        if shard_records == 0 || shard_records > u64::from(u32::MAX) {
            return Err(format!(
                "shards of {shard_records} records; expected 1 to {}",
                u32::MAX
            ));
        }
        let shards = records.div_ceil(shard_records);
        if shards > MOST_SHARDS_READ {
            return Err(format!(
                "{records} records in shards of {shard_records} are {shards} shards; there may be \
                 {MOST_SHARDS_READ}"
            ));
        }
        let largest = shard_records.min(records) * record_bytes as u64;
        if largest > LARGEST_SHARD {
            return Err(format!(
                "shards of {largest} bytes; there may be {LARGEST_SHARD}"
            ));
        }
        Ok(Self {
            record_bytes,
            outputs,
            records,
            shards,
            shard_records,
        })
    }

    /// The positions that a shard covers.
    pub fn positions(&self, shard: u64) -> Range<u64> {
        let first = shard.saturating_mul(self.shard_records).min(self.records);
        first..first.saturating_add(self.shard_records).min(self.records)
    }

    /// Bytes of a shard's file.
    pub fn shard_bytes(&self, shard: u64) -> u64 {
        let positions = self.positions(shard);
        HEADER_BYTES as u64 + (positions.end - positions.start) * self.record_bytes as u64
    }

    /// Bytes of all shards.
    pub fn bytes(&self) -> u64 {
        self.shards * HEADER_BYTES as u64 + self.records * self.record_bytes as u64
    }

    /// Where the bytes of the record at `position` are in its shard.
    pub fn record(&self, position: u64) -> Range<usize> {
        // Shards have less than 2⁴⁰ bytes, and a file that was mapped fits the addresses.
        let index = (position % self.shard_records) as usize;
        let start = HEADER_BYTES + index * self.record_bytes;
        start..start + self.record_bytes
    }
}

fn count_records(sections: &[Section]) -> Result<u64, String> {
    all_differ("section", sections.iter().map(|section| &section.name))?;
    let mut records = 0_u64;
    for section in sections {
        records = (section.samples.checked_mul(section.views))
            .and_then(|product| records.checked_add(product))
            .filter(|&records| records <= MOST_SHARDS_READ * u64::from(u32::MAX))
            .ok_or_else(|| {
                format!(
                    "{} views of {} samples in `{}` are too many",
                    section.views, section.samples, section.name
                )
            })?;
    }
    if records == 0 {
        return Err("there is no view of any sample".to_owned());
    }
    Ok(records)
}

fn place_outputs(outputs: &[Output]) -> Result<(Vec<Range<usize>>, usize), String> {
    all_differ("output", outputs.iter().map(|output| &output.name))?;
    let mut places = Vec::with_capacity(outputs.len());
    let mut end = 0_usize;
    for output in outputs {
        (output.shape.iter())
            .try_fold(1_usize, |product, &side| product.checked_mul(side))
            .filter(|numbers| (1..=MOST_NUMBERS).contains(numbers))
            .ok_or_else(|| {
                format!(
                    "`{}` has the shape {:?}; expected 1 to {MOST_NUMBERS} numbers",
                    output.name, output.shape
                )
            })?;
        output
            .encoding
            .check(&output.shape)
            .map_err(|reason| format!("`{}`: {reason}", output.name))?;
        let too_large = || format!("records of more than {LARGEST_RECORD} bytes");
        let bytes = (output.encoding.bytes(&output.shape)).ok_or_else(too_large)?;
        places.push(end..end + bytes);
        end = (end + bytes).next_multiple_of(ALIGNMENT);
        if end > LARGEST_RECORD {
            return Err(too_large());
        }
    }
    Ok((places, end + CHECKSUM_BYTES))
}

fn all_differ<'a>(what: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for name in names {
        if name.is_empty() {
            return Err(format!("an {what} without a name"));
        }
        if !seen.insert(name) {
            return Err(format!("two {what}s are called `{name}`"));
        }
    }
    if seen.is_empty() || seen.len() > MOST_ENTRIES {
        return Err(format!(
            "{} {what}s; expected 1 to {MOST_ENTRIES}",
            seen.len()
        ));
    }
    Ok(())
}
