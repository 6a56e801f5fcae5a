//! The checksum of a record.

/// CRC-32 of the position (8 bytes, little-endian) followed by the outputs: the right bytes at the
/// wrong place are as wrong as other bytes.
pub fn of_record(position: u64, outputs: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position.to_le_bytes());
    hasher.update(outputs);
    hasher.finalize()
}
