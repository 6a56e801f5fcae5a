//! Files whose bytes are read as if they were in memory.

use std::{fs::File, io};

use memmap2::Mmap;

/// A file's bytes, fetched by the system where they are read and given up again when it needs the
/// memory: holding one costs addresses, not memory. Read-only.
///
/// Meant for files that are never changed once they are there. If another program shortens one
/// while it is mapped, reading what is gone ends the process (the system's bus error), and bytes
/// that another program overwrites may be read before or after: what matters has to be checked
/// after it was copied, or carry a checksum.
#[derive(Debug)]
pub struct MappedFile {
    map: Mmap,
}

impl MappedFile {
    /// Maps all of `file`, which must have been opened for reading and can be closed afterwards.
    ///
    /// # Errors
    /// What the system refuses: more mappings or addresses than it allows, or what is no regular
    /// file.
    pub fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the bytes are only lent for reading, as plain bytes, for which every value is
        // valid. That nobody changes them meanwhile is the promise of who uses this type, stated
        // above; Limbeck renames its files into place when they are whole and never writes to
        // them again.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self { map })
    }

    /// All bytes. They start at a multiple of the system's page size.
    pub fn bytes(&self) -> &[u8] {
        &self.map
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_file_after_it_was_closed_and_removed_too() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        file.write_all(&content).unwrap();
        let mapped = MappedFile::new(&File::open(file.path()).unwrap()).unwrap();
        file.close().unwrap();
        assert_eq!(mapped.bytes(), content);
    }

    #[test]
    fn an_empty_file_has_no_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mapped = MappedFile::new(file.as_file()).unwrap();
        assert!(mapped.bytes().is_empty());
    }

    #[test]
    fn several_threads_read_at_once() {
        fn shared<T: Send + Sync>() {}
        shared::<MappedFile>();
    }
}
