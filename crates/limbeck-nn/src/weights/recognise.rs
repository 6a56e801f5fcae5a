//! What a file is, by its first bytes.

use std::path::Path;

use super::{FileFormat, WeightsError};

/// What `torch.save` begins its legacy files with, pickled under protocol 2:
/// 0x1950a86a20f9469cfc6c (`torch.serialization.MAGIC_NUMBER`).
const LEGACY_MAGIC: &[u8] = &[
    0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19,
];

const CONVERT: &str = "convert it first, in the framework it is from";
const SAVE_STATE_DICT: &str = "save `model.state_dict()` with torch.save, or use safetensors";

/// The format of a file, by its content.
pub(super) fn recognise(path: &Path, bytes: &[u8]) -> Result<FileFormat, WeightsError> {
    let wrong = |found: &str, advice| {
        Err(WeightsError::WrongFormat {
            path: path.to_owned(),
            found: found.to_owned(),
            advice,
        })
    };
    let text = bytes.trim_ascii_start();
    if bytes.is_empty() {
        return wrong("empty", "copy or download it again");
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return Ok(FileFormat::TorchZip);
    }
    if bytes.first() == Some(&0x80) && bytes.get(2..).is_some_and(|b| b.starts_with(LEGACY_MAGIC)) {
        return Ok(FileFormat::TorchLegacy);
    }
    if bytes.get(8) == Some(&b'{') {
        return Ok(FileFormat::Safetensors);
    }
    if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
        return wrong("an HDF5 file (Keras or MATLAB)", CONVERT);
    }
    if bytes.get(4..8) == Some(b"TFL3") {
        return wrong("a TensorFlow Lite model", CONVERT);
    }
    if bytes.starts_with(b"GGUF") {
        return wrong("a GGUF file", CONVERT);
    }
    if bytes.starts_with(b"\x93NUMPY") {
        return wrong("a NumPy array", CONVERT);
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return wrong("compressed with gzip", "unpack it first");
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return wrong(
            "a tar archive",
            "unpack it; files of PyTorch before 0.2 must be saved again by a later one",
        );
    }
    if text.starts_with(b"version https://git-lfs") {
        return wrong(
            "a Git LFS pointer, not the file that it stands for",
            "fetch the file with `git lfs pull`",
        );
    }
    if text.starts_with(b"<") {
        return wrong(
            "a web page (the download may have failed)",
            "download the file again",
        );
    }
    if is_onnx(bytes) {
        return wrong("an ONNX model", CONVERT);
    }
    if is_pickle(bytes) {
        return wrong(
            "a plain Python pickle, not written by torch.save",
            SAVE_STATE_DICT,
        );
    }
    wrong("of no known kind", SAVE_STATE_DICT)
}

/// ONNX's protocol buffer: field 1, the version of the representation, a small number; next the
/// name of the producer (field 2) or the graph (field 7), of some length.
fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, 1..=32, 0x12 | 0x3a, ..])
}

/// Protocol 2 and later announce themselves; earlier ones begin with a container and a memo or a
/// module's name.
fn is_pickle(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80, 2..=5, ..] | [b'(', b'd' | b'l' | b't', ..])
        || (bytes.last() == Some(&b'.') && matches!(bytes, [b'c' | b'}' | b']', ..]))
}

/// What a zip archive without PyTorch's record is, by the names in it.
pub(super) fn describe_zip<'a>(mut names: impl Iterator<Item = &'a str> + Clone) -> &'static str {
    if names
        .clone()
        .any(|name| name.contains("/code/") || name.ends_with("constants.pkl"))
    {
        "a TorchScript program"
    } else if names.clone().any(|name| name.ends_with("model.weights.h5")) {
        "a Keras model"
    } else if names.clone().any(|name| name.ends_with(".npy")) {
        "a NumPy archive (.npz)"
    } else if names
        .any(|name| name.ends_with("serialized_exported_program.json") || name.contains("/models/"))
    {
        "an exported PyTorch program (.pt2)"
    } else {
        "a zip archive that torch.save did not write"
    }
}
