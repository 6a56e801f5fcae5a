//! Reads safetensors files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::stored_tensor::{Storage, StoredTensor};
use super::{ElementType, WeightsError};

/// Longest header that is read, in bytes: about 100,000 tensors.
const MAX_HEADER: u64 = 16 << 20;

/// The header of a safetensors file.
pub(super) struct Header {
    /// What lies where in the data.
    tensors: Metadata,
    /// First byte of the data, from the start of the file.
    data_start: usize,
    /// The file's own key-value pairs.
    pub metadata: BTreeMap<String, String>,
}

/// Length of the header from the first 8 bytes of a file that is `file_length` bytes long.
pub(super) fn header_length(
    path: &Path,
    first: [u8; 8],
    file_length: u64,
) -> Result<usize, WeightsError> {
    let length = u64::from_le_bytes(first);
    if length > MAX_HEADER || length.saturating_add(8) > file_length {
        return Err(damaged(
            path,
            format!(
                "its header should be {length} bytes long, in a file of {file_length} bytes (at most {MAX_HEADER} are read)"
            ),
        ));
    }
    Ok(length as usize)
}

/// Reads a header (without the 8 bytes of its length) and checks it against the file's length.
pub(super) fn parse_header(
    path: &Path,
    header: &[u8],
    file_length: u64,
) -> Result<Header, WeightsError> {
    let tensors: Metadata = serde_json::from_slice(header)
        .map_err(|error| damaged(path, format!("its header is not valid: {error}")))?;
    let data_start = header.len() + 8;
    let needed = (tensors.data_len() as u64).saturating_add(data_start as u64);
    if needed != file_length {
        return Err(damaged(
            path,
            format!("it should be {needed} bytes long by its header and is {file_length}"),
        ));
    }
    let metadata = tensors
        .metadata()
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Ok(Header {
        tensors,
        data_start,
        metadata,
    })
}

/// All tensors of a file in the order of their data, and the file's key-value pairs.
#[allow(clippy::type_complexity)]
pub(super) fn read(
    path: &Path,
    file: &Arc<Vec<u8>>,
) -> Result<(Vec<(String, StoredTensor)>, BTreeMap<String, String>), WeightsError> {
    let file_length = file.len() as u64;
    let first = file
        .first_chunk::<8>()
        .ok_or_else(|| damaged(path, "it is too short for a header".to_owned()))?;
    let length = header_length(path, *first, file_length)?;
    let header = parse_header(path, &file[8..8 + length], file_length)?;
    let mut tensors = Vec::new();
    for name in header.tensors.offset_keys() {
        let Some(info) = header.tensors.info(&name) else {
            continue;
        };
        let failed = |reason| WeightsError::Tensor {
            path: path.to_owned(),
            name: name.clone(),
            reason,
        };
        let element = element_type(info.dtype)
            .ok_or_else(|| failed(format!("element type {} is not read", info.dtype)))?;
        let (start, end) = info.data_offsets;
        let storage = Storage {
            file: file.clone(),
            range: header.data_start + start..header.data_start + end,
            big_endian: false,
        };
        let tensor =
            StoredTensor::contiguous(element, info.shape.clone(), storage).map_err(failed)?;
        tensors.push((name, tensor));
    }
    Ok((tensors, header.metadata))
}

fn element_type(dtype: Dtype) -> Option<ElementType> {
    Some(match dtype {
        Dtype::BOOL => ElementType::Bool,
        Dtype::U8 => ElementType::U8,
        Dtype::I8 => ElementType::I8,
        Dtype::U16 => ElementType::U16,
        Dtype::I16 => ElementType::I16,
        Dtype::U32 => ElementType::U32,
        Dtype::I32 => ElementType::I32,
        Dtype::U64 => ElementType::U64,
        Dtype::I64 => ElementType::I64,
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::BF16,
        Dtype::F32 => ElementType::F32,
        Dtype::F64 => ElementType::F64,
        _ => return None,
    })
}

fn damaged(path: &Path, reason: String) -> WeightsError {
    WeightsError::Damaged {
        path: path.to_owned(),
        reason,
    }
}
