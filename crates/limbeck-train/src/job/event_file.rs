//! A TensorBoard event file: TFRecords of `Event` messages, one an epoch.
//!
//! The format is a few fields that have not changed since 2016, and the crates that write it have
//! had no release for years or bring a protobuf compiler along, so it is written here by hand:
//! - a record: length (u64), checksum of the length (u32), content, checksum of the content (u32),
//!   little end first; a checksum is CRC-32C, turned by 15 bits, plus 0xa282ead8;
//! - `Event` (tensorflow/core/util/event.proto): `wall_time` = 1 (double), `step` = 2 (int64),
//!   `file_version` = 3 (string, in the first record alone), `summary` = 5;
//! - `Summary` (tensorflow/core/framework/summary.proto): `value` = 1, each with `tag` = 1 (string)
//!   and `simple_value` = 2 (float).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const VERSION: &[u8] = b"brain.Event:2";

/// An event file that grows by one record an epoch.
pub(super) struct EventFile {
    file: File,
}

impl EventFile {
    /// Opens the file at `path`, or makes it, and leaves the records of the first `epochs` epochs in
    /// it: what a kill tore, and what was written after the checkpoint that a run goes on from, is
    /// cut off. Gives the number of epochs that are in it.
    pub fn open(path: &Path, epochs: usize) -> io::Result<(Self, usize)> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let ends = record_ends(&content);
        // The first record is the version's.
        let kept = ends.len().min(epochs + 1);
        let end = kept.checked_sub(1).map_or(0, |last| ends[last]);
        if end < content.len() {
            file.set_len(end as u64)?;
            file.seek(SeekFrom::End(0))?;
        }
        let mut events = Self { file };
        if kept == 0 {
            let mut event = Vec::new();
            double(&mut event, 1, now());
            bytes(&mut event, 3, VERSION);
            events.write(&event)?;
        }
        Ok((events, kept.saturating_sub(1)))
    }

    /// Appends the numbers of an epoch, counted from 1, under their tags.
    pub fn epoch(&mut self, epoch: usize, numbers: &[(String, f64)]) -> io::Result<()> {
        let mut summary = Vec::new();
        for (tag, number) in numbers {
            let mut value = Vec::new();
            bytes(&mut value, 1, tag.as_bytes());
            float(&mut value, 2, *number as f32);
            bytes(&mut summary, 1, &value);
        }
        let mut event = Vec::new();
        double(&mut event, 1, now());
        key(&mut event, 2, 0);
        varint(&mut event, epoch as u64);
        bytes(&mut event, 5, &summary);
        self.write(&event)
    }

    /// One write for a whole record, so that a reader seldom meets a part of one; it waits for the
    /// rest where it does.
    fn write(&mut self, content: &[u8]) -> io::Result<()> {
        let length = (content.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(checksum(&length).to_le_bytes());
        record.extend(content);
        record.extend(checksum(content).to_le_bytes());
        self.file.write_all(&record)
    }
}

/// Where the whole records at the beginning of `content` end.
fn record_ends(content: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(end) = record_end(content, at) {
        ends.push(end);
        at = end;
    }
    ends
}

fn record_end(content: &[u8], at: usize) -> Option<usize> {
    let (length, rest) = content.get(at..)?.split_first_chunk::<8>()?;
    let (length_checksum, rest) = rest.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*length_checksum) != checksum(length) {
        return None;
    }
    let size = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (data, rest) = rest.split_at_checked(size)?;
    let (data_checksum, rest) = rest.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*data_checksum) == checksum(data)).then(|| content.len() - rest.len())
}

/// TFRecord's masked CRC-32C.
fn checksum(content: &[u8]) -> u32 {
    crc32c::crc32c(content)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

fn key(out: &mut Vec<u8>, field: u8, wire: u8) {
    out.push(field << 3 | wire);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    key(out, field, 2);
    varint(out, content.len() as u64);
    out.extend(content);
}

fn double(out: &mut Vec<u8>, field: u8, value: f64) {
    key(out, field, 1);
    out.extend(value.to_le_bytes());
}

fn float(out: &mut Vec<u8>, field: u8, value: f32) {
    key(out, field, 5);
    out.extend(value.to_le_bytes());
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(path: &Path) -> usize {
        record_ends(&std::fs::read(path).unwrap()).len() - 1
    }

    #[test]
    fn a_torn_record_and_those_after_the_checkpoint_are_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        let (mut events, found) = EventFile::open(&path, 0).unwrap();
        assert_eq!(found, 0);
        for epoch in 1..=3 {
            events.epoch(epoch, &[("loss".to_owned(), 0.5)]).unwrap();
        }
        assert_eq!(epochs(&path), 3);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
        assert_eq!(EventFile::open(&path, 3).unwrap().1, 2);
        let (mut events, found) = EventFile::open(&path, 1).unwrap();
        assert_eq!(found, 1);
        events.epoch(2, &[]).unwrap();
        assert_eq!(epochs(&path), 2);
    }

    #[test]
    fn checksums_are_those_of_the_format() {
        // CRC-32C of 32 zeros is 0x8a9136aa (RFC 3720, B.4).
        let masked = 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(checksum(&[0; 32]), masked);
    }
}
