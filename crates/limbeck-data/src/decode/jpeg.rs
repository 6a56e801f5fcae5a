//! Whether a JPEG file is all there. Its decoder fills what is missing with grey and says nothing.

/// True if the bytes start like a JPEG file.
pub(super) fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8, 0xff])
}

/// True if the file's segments and scans lead to the mark of its end. Walking them is needed
/// because the same two bytes also end a thumbnail inside the file.
pub(super) fn is_complete(bytes: &[u8]) -> bool {
    // After the mark of the start.
    let mut at = 2;
    while let Some(marker) = next_marker(bytes, &mut at) {
        match marker {
            END => return true,
            // No content: a stuffed zero, a restart, a temporary mark.
            0x00 | 0x01 | 0xd0..=0xd7 => {}
            _ => {
                let Some(length) = bytes.get(at..at + 2) else {
                    return false;
                };
                at += usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
    false
}

/// Mark of the end of an image.
const END: u8 = 0xd9;

/// Moves behind the next marker, wherever it is, and returns it. What lies between markers is a
/// scan, in which stuffed zeros and restarts are the only markers.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    while *bytes.get(*at)? != 0xff {
        *at += 1;
    }
    while *bytes.get(*at)? == 0xff {
        *at += 1;
    }
    *at += 1;
    bytes.get(*at - 1).copied()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A hand-made 8x8 CMYK file as print programs write them (inks inverted): cyan 64, magenta
    /// and yellow 255, black 191, all of one colour.
    pub(crate) fn cmyk() -> Vec<u8> {
        let mut file = vec![0xff, 0xd8];
        let mut segment = |marker: u8, content: &[u8]| {
            file.extend([0xff, marker, 0, content.len() as u8 + 2]);
            file.extend(content);
        };
        segment(0xee, b"Adobe\0\x64\0\0\0\0\0");
        // Quantisation by 1 everywhere.
        segment(0xdb, &[[0].as_slice(), &[1; 64]].concat());
        // Four components, 8 bits, 8x8, not subsampled.
        let mut frame = vec![8, 0, 8, 0, 8, 4];
        (1..=4).for_each(|component| frame.extend([component, 0x11, 0]));
        segment(0xc0, &frame);
        // The constant's codes 00, 01 and 10 mean 0, 9 and 10 bits; for the rest, 0 means no more.
        let counts = |len: usize, codes: u8| (1..=16).map(move |l| u8::from(l == len) * codes);
        let constants: Vec<u8> = [0x00]
            .into_iter()
            .chain(counts(2, 3))
            .chain([0, 9, 10])
            .collect();
        segment(0xc4, &constants);
        let rest: Vec<u8> = [0x10].into_iter().chain(counts(1, 1)).chain([0]).collect();
        segment(0xc4, &rest);
        let mut scan = vec![4];
        (1..=4).for_each(|component| scan.extend([component, 0]));
        scan.extend([0, 63, 0]);
        segment(0xda, &scan);
        // Constants are 8 times the distance from 128: -512, 1016, 1016 and 504. A negative
        // number of n bits is stored plus 2^n - 1.
        let bits = [
            ("10", -512 + 1_023, 10),
            ("10", 1_016, 10),
            ("10", 1_016, 10),
            ("01", 504, 9),
        ];
        let mut stream = String::new();
        for (code, value, width) in bits {
            stream += &format!("{code}{value:0width$b}0");
        }
        while !stream.len().is_multiple_of(8) {
            stream.push('1');
        }
        for byte in stream.as_bytes().chunks(8) {
            let byte = byte.iter().fold(0u8, |sum, bit| sum << 1 | (bit - b'0'));
            file.push(byte);
            if byte == 0xff {
                file.push(0);
            }
        }
        file.extend([0xff, END]);
        file
    }

    #[test]
    fn a_file_is_complete_only_with_its_end() {
        let file = cmyk();
        assert!(is_jpeg(&file) && is_complete(&file));
        for cut in 2..file.len() {
            assert!(!is_complete(&file[..cut]), "{cut}");
        }
    }

    #[test]
    fn the_end_of_a_thumbnail_is_not_the_end_of_the_file() {
        let mut file = vec![0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, END];
        assert!(!is_complete(&file));
        file.extend([0xff, END]);
        assert!(is_complete(&file));
    }

    #[test]
    fn bytes_after_the_end_do_no_harm() {
        let mut file = cmyk();
        file.extend(b"trailer");
        assert!(is_complete(&file));
    }
}
