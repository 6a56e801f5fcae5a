//! Reads NumPy's `.npy`, as `numpy.save` writes it: a magic, a version, the text of a Python
//! dictionary that tells type, order and shape, and the numbers. The format is described at
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::sync::Arc;

use super::stored_tensor::Storage;
use super::{ElementType, StoredTensor};

/// What every file begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Longest header that is read, in bytes.
const MAX_HEADER: usize = 1 << 20;

/// The array of a file. The reason comes back where it cannot be read.
pub(super) fn read(file: Arc<Vec<u8>>) -> Result<StoredTensor, String> {
    let (header, start) = split(&file)?;
    let Header {
        descr,
        fortran_order,
        shape,
    } = Header::parse(header).ok_or_else(|| format!("its header is not NumPy's: {header:.80}"))?;
    let (element, big_endian) = element(&descr)?;
    let too_large = || format!("its shape {shape:?} is too large");
    let count = shape
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(size));
    let needed = count.and_then(|count| count.checked_mul(element.size()));
    let needed = needed.ok_or_else(too_large)?;
    let held = file.len() - start;
    if needed != held {
        return Err(format!(
            "shape {shape:?} of {descr} takes {needed} bytes, the file has {held}: it is cut or damaged"
        ));
    }
    let mut strides = vec![1usize; shape.len()];
    let steps = shape.len().saturating_sub(1);
    for step in 0..steps {
        match fortran_order {
            true => strides[step + 1] = strides[step].saturating_mul(shape[step]),
            false => {
                let at = steps - step;
                strides[at - 1] = strides[at].saturating_mul(shape[at]);
            }
        }
    }
    let storage = Storage {
        range: start..file.len(),
        file,
        big_endian,
    };
    StoredTensor::new(element, shape, strides, 0, storage)
}

/// The header's text, and where the numbers begin.
fn split(file: &[u8]) -> Result<(&str, usize), String> {
    let cut = || "it ends within its header".to_owned();
    let (&major, _) = file
        .get(MAGIC.len()..MAGIC.len() + 2)
        .and_then(<[u8]>::split_first)
        .ok_or_else(cut)?;
    let from = MAGIC.len() + 2;
    let (length, start) = match major {
        1 => {
            let bytes = file.get(from..).and_then(<[u8]>::first_chunk::<2>);
            (
                usize::from(u16::from_le_bytes(*bytes.ok_or_else(cut)?)),
                from + 2,
            )
        }
        2 | 3 => {
            let bytes = file.get(from..).and_then(<[u8]>::first_chunk::<4>);
            (
                u32::from_le_bytes(*bytes.ok_or_else(cut)?) as usize,
                from + 4,
            )
        }
        other => return Err(format!("version {other} of NumPy's format is not read")),
    };
    if length > MAX_HEADER {
        return Err(format!("its header should be {length} bytes long"));
    }
    let header = file.get(start..start + length).ok_or_else(cut)?;
    let text = std::str::from_utf8(header).map_err(|_| "its header is no text".to_owned())?;
    Ok((text, start + length))
}

/// Element type and byte order behind a `descr` such as `<f4`.
fn element(descr: &str) -> Result<(ElementType, bool), String> {
    let (order, kind) = match descr.split_at_checked(1) {
        Some((order @ ("<" | ">" | "|" | "="), kind)) => (order, kind),
        _ => ("<", descr),
    };
    let element = match kind {
        "?" | "b1" => ElementType::Bool,
        "u1" => ElementType::U8,
        "i1" => ElementType::I8,
        "u2" => ElementType::U16,
        "i2" => ElementType::I16,
        "u4" => ElementType::U32,
        "i4" => ElementType::I32,
        "u8" => ElementType::U64,
        "i8" => ElementType::I64,
        "f2" => ElementType::F16,
        "f4" => ElementType::F32,
        "f8" => ElementType::F64,
        "O" => {
            return Err(
                "it holds Python objects, which are not read; save numbers with numpy.save"
                    .to_owned(),
            );
        }
        _ => return Err(format!("element type `{descr}` is not read; numbers are")),
    };
    Ok((element, order == ">"))
}

/// What the dictionary tells.
struct Header {
    descr: String,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?;
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        loop {
            rest = rest.trim_start();
            if let Some(behind) = rest.strip_prefix('}') {
                return behind.is_empty().then_some(Self {
                    descr: descr?,
                    fortran_order: fortran_order?,
                    shape: shape?,
                });
            }
            let (key, behind) = quoted(rest)?;
            rest = behind.trim_start().strip_prefix(':')?.trim_start();
            rest = match key {
                "descr" => {
                    let (value, behind) = quoted(rest)?;
                    descr = Some(value.to_owned());
                    behind
                }
                "fortran_order" => {
                    let (value, behind) = match rest.strip_prefix("True") {
                        Some(behind) => (true, behind),
                        None => (false, rest.strip_prefix("False")?),
                    };
                    fortran_order = Some(value);
                    behind
                }
                "shape" => {
                    let (inside, behind) = rest.strip_prefix('(')?.split_once(')')?;
                    let sizes = inside.split(',').map(str::trim);
                    let sizes = sizes.filter(|size| !size.is_empty());
                    shape = Some(sizes.map(|size| size.parse().ok()).collect::<Option<_>>()?);
                    behind
                }
                _ => return None,
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
    }
}

/// The text between quotes at the beginning, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};
    use std::path::Path;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::super::{ArrayFile, ONLY_ARRAY};
    use super::*;

    /// A file of version 1 as NumPy pads it.
    fn npy(descr: &str, fortran: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
        let mut header =
            format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}");
        while (header.len() + 11) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = [MAGIC, &[1, 0], &(header.len() as u16).to_le_bytes()].concat();
        bytes.extend(header.as_bytes());
        bytes.extend(numbers);
        bytes
    }

    fn floats(numbers: impl IntoIterator<Item = f32>) -> Vec<u8> {
        numbers.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    fn numbers(bytes: Vec<u8>) -> Vec<f64> {
        read(Arc::new(bytes)).unwrap().to_f64()
    }

    fn refused(bytes: Vec<u8>) -> String {
        read(Arc::new(bytes)).unwrap_err()
    }

    #[test]
    fn arrays_of_both_orders_are_read_row_by_row() {
        let data = floats((0..6).map(|i| i as f32));
        let rows = numbers(npy("<f4", "False", "(2, 3)", &data));
        assert_eq!(rows, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        let columns = numbers(npy("<f4", "True", "(2, 3)", &data));
        assert_eq!(columns, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    }

    #[test]
    fn labels_of_several_types_are_read() {
        let wide: Vec<u8> = [3i64, -1].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(numbers(npy("<i8", "False", "(2,)", &wide)), [3.0, -1.0]);
        assert_eq!(numbers(npy("|u1", "False", "(2,)", &[7, 9])), [7.0, 9.0]);
        assert_eq!(numbers(npy(">i2", "False", "(1,)", &[1, 2])), [258.0]);
        assert_eq!(numbers(npy("<f4", "False", "()", &floats([2.5]))), [2.5]);
    }

    #[test]
    fn odd_and_cut_files_are_refused() {
        let data = floats([1.0, 2.0]);
        let good = npy("<f4", "False", "(2,)", &data);
        for length in 0..good.len() {
            if good[..length].starts_with(MAGIC) {
                refused(good[..length].to_vec());
            }
        }
        assert!(refused(good[..good.len() - 1].to_vec()).contains("cut or damaged"));
        assert!(refused(npy("|O", "False", "(2,)", &data)).contains("Python objects"));
        assert!(refused(npy("<U4", "False", "(2,)", &data)).contains("`<U4`"));
        assert!(refused(npy("<f4", "False", "(-2,)", &data)).contains("header"));
        let huge = format!("({}, {})", usize::MAX, 2);
        assert!(refused(npy("<f4", "False", &huge, &data)).contains("too large"));
    }

    #[test]
    fn archives_are_read_packed_or_not_by_name() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let deflated =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        let stored = deflated.compression_method(zip::CompressionMethod::Stored);
        for (name, options) in [("features.npy", deflated), ("labels.npy", stored)] {
            zip.start_file(name, options).unwrap();
            zip.write_all(&npy("<f4", "False", "(1, 2)", &floats([1.0, 2.0])))
                .unwrap();
        }
        let bytes = zip.finish().unwrap().into_inner();
        let file = ArrayFile::from_bytes(Path::new("x.npz"), bytes.clone()).unwrap();
        assert_eq!(file.iter().count(), 2);
        assert_eq!(file.get("features").unwrap().shape(), [1, 2]);
        assert_eq!(file.get("labels").unwrap().to_f64(), [1.0, 2.0]);
        for length in 0..bytes.len() {
            assert!(ArrayFile::from_bytes(Path::new("x.npz"), bytes[..length].to_vec()).is_err());
        }
    }

    #[test]
    fn an_archive_that_would_fill_the_memory_is_refused() {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let deflated =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        zip.start_file("features.npy", deflated).unwrap();
        zip.write_all(&npy("|u1", "False", "(9000000,)", &vec![0; 9_000_000]))
            .unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        let error = ArrayFile::from_bytes(Path::new("x.npz"), bytes).unwrap_err();
        assert!(error.to_string().contains("unfolds"), "{error}");
    }

    #[test]
    fn one_array_alone_and_files_of_other_kinds() {
        let path = Path::new("x.npy");
        let alone = npy("<f4", "False", "(1,)", &floats([4.0]));
        let file = ArrayFile::from_bytes(path, alone).unwrap();
        assert_eq!(file.get(ONLY_ARRAY).unwrap().to_f64(), [4.0]);
        let error = ArrayFile::from_bytes(path, b"a,b\n1,2\n".to_vec()).unwrap_err();
        assert!(error.to_string().contains(".npz"), "{error}");
    }
}
