//! The binary version: records of the label and the planes of an image.

use std::path::Path;

use super::{Content, IMAGE};
use crate::DataError;

/// Appends the records of a file. A record of CIFAR-10 has one label, one of CIFAR-100 the coarse
/// label before the fine one.
pub(super) fn read(
    bytes: &[u8],
    classes: usize,
    content: &mut Content,
    path: &Path,
) -> Result<(), DataError> {
    let labels = if classes == 100 { 2 } else { 1 };
    let record = labels + IMAGE;
    if !bytes.len().is_multiple_of(record) {
        return Err(DataError::corrupt(
            path,
            format!(
                "its {} bytes are not a whole number of records of {record} bytes; it may be cut \
                 short",
                bytes.len()
            ),
        ));
    }
    content.pixels.reserve(bytes.len() / record * IMAGE);
    for record in bytes.chunks_exact(record) {
        content.labels.push(record[labels - 1]);
        content.pixels.extend_from_slice(&record[labels..]);
    }
    Ok(())
}

/// One name a line.
pub(super) fn class_names(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fine_label_of_cifar_100_is_the_second_byte() {
        let mut content = Content::default();
        let record = [&[7, 42][..], &[9; IMAGE]].concat();
        read(&record.repeat(2), 100, &mut content, Path::new("x")).unwrap();
        assert_eq!(content.labels, [42, 42]);
        assert_eq!(content.pixels, [9; 2 * IMAGE]);
    }

    #[test]
    fn incomplete_records_are_refused() {
        let error = read(&[0; IMAGE], 10, &mut Content::default(), Path::new("x")).unwrap_err();
        assert!(error.to_string().contains("not a whole number of records"));
    }

    #[test]
    fn class_names_are_lines() {
        assert_eq!(class_names(b"cat\nbig dog\r\n\n"), ["cat", "big dog"]);
    }
}
