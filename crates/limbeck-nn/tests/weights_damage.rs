//! Damaged weights files end in an error, whatever is damaged; nothing panics.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use limbeck_nn::weights::{StateDict, WeightsError};
use proptest::prelude::*;

const TYPES_ZIP: &[u8] = include_bytes!("weights/types_zip.pth");
const TYPES_LEGACY: &[u8] = include_bytes!("weights/types_legacy.pth");
const CHECKPOINT: &[u8] = include_bytes!("weights/checkpoint_legacy.pth");

/// A file of the tensors `a` `[2]` (F32) and `n` (I64) with the pairs given.
fn safetensors() -> Vec<u8> {
    with_header(
        r#"{"__metadata__":{"k":"v"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}"#,
        16,
    )
}

fn with_header(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// Reads a file, and all its tensors where it is read.
fn read(bytes: &[u8]) -> Result<StateDict, WeightsError> {
    let state = StateDict::from_bytes(Path::new("w"), bytes.to_vec(), None)?;
    for (_, tensor) in state.iter() {
        assert_eq!(tensor.to_f64().len(), tensor.count());
    }
    Ok(state)
}

#[test]
fn every_truncation_is_an_error() {
    for whole in [TYPES_ZIP, TYPES_LEGACY, &safetensors()] {
        assert!(read(whole).is_ok());
        for length in 0..whole.len() {
            assert!(
                read(&whole[..length]).is_err(),
                "{length} of {}",
                whole.len()
            );
        }
    }
}

#[test]
fn a_flipped_bit_in_the_numbers_of_a_zip_is_noticed() {
    // The storage of the tensor `float64` is the first of 48 bytes: -2.0 comes first.
    let number = (-2.0f64).to_le_bytes();
    let position = TYPES_ZIP
        .windows(8)
        .position(|window| window == number)
        .unwrap();
    let mut damaged = TYPES_ZIP.to_vec();
    damaged[position] ^= 1;
    let error = read(&damaged).unwrap_err().to_string();
    assert!(error.contains("float64"), "{error}");
}

#[test]
fn headers_that_lie_are_refused() {
    let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    // A header longer than the file, and one that is no JSON.
    let mut bytes = safetensors();
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refused(&bytes).contains("its header should be"));
    assert!(refused(&with_header("{not json}", 0)).contains("not valid"));
    // A tensor that needs more than the file has, one that overflows, one that leaves a gap.
    for (shape, offsets) in [
        ("[4]", "[0,16]"),
        ("[4294967296,4294967296]", "[0,8]"),
        ("[18446744073709551615]", "[0,8]"),
        ("[1]", "[4,8]"),
        ("[-1]", "[0,8]"),
    ] {
        let header =
            format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
        assert!(refused(&with_header(&header, 8)).contains("damaged"));
    }
    let odd = r#"{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#;
    let error = refused(&with_header(odd, 8));
    assert!(
        error.contains("tensor `a`: element type F8_E4M3"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damaged_files_never_panic(
        whole in prop::sample::select(vec![
            TYPES_ZIP.to_vec(), TYPES_LEGACY.to_vec(), CHECKPOINT.to_vec(), safetensors(),
        ]),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = whole;
        for (index, byte) in flips {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = read(&bytes);
    }

    #[test]
    fn random_bytes_after_each_beginning_never_panic(
        beginning in prop::sample::select(vec![
            &b"PK\x03\x04"[..],
            b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.",
            b"\x10\0\0\0\0\0\0\0{",
        ]),
        rest in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = read(&[beginning, &rest].concat());
    }
}
