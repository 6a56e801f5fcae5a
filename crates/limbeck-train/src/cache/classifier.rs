//! The teacher's last linear map, kept beside its outputs for methods that use it.

use std::path::Path;

use burn::tensor::TensorData;
use limbeck_methods::Classifier;
use limbeck_nn::{Network, ParameterId};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};

use crate::{TrainError, files, model_source::hex};

/// Name of the file in a cache's folder.
const FILE: &str = "classifier.safetensors";
/// Key of the metadata that holds the hash of teacher and numbers.
const HASH: &str = "sha256";
/// Bytes of the file besides the numbers, at the most.
const HEADER: u64 = 1 << 16;

/// Writes the classifier of `network`, whose weights' file has this hash, into a cache's folder,
/// unless it is there. A network without one leaves nothing.
///
/// # Errors
/// A file system that refuses.
pub(super) fn write(
    folder: &Path,
    network: &Network,
    weights_sha256: &str,
) -> Result<(), TrainError> {
    let path = folder.join(FILE);
    let numbers: Vec<(String, Vec<usize>, Vec<u8>)> = entries(network)
        .into_iter()
        .map(|id| {
            let entry = network.store.entry(id);
            let values = entry.value.to_data();
            let bytes = values.iter::<f32>().flat_map(f32::to_le_bytes).collect();
            (entry.name.clone(), entry.shape.clone(), bytes)
        })
        .collect();
    if numbers.is_empty() {
        return Ok(());
    }
    let hash = hash(
        weights_sha256,
        numbers.iter().map(|(_, _, bytes)| &bytes[..]),
    );
    let mut views = Vec::new();
    for (name, shape, bytes) in &numbers {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        let view = view.map_err(|error| refused(&path, &error.to_string()))?;
        views.push((name.as_str(), view));
    }
    // Another process may be at work on the same cache.
    let _lock = limbeck_cache::lock(folder)?;
    let metadata = [(HASH.to_owned(), hash)].into();
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|error| refused(&path, &error.to_string()))?;
    if std::fs::read(&path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    Ok(files::write_whole(&path, &bytes)?)
}

/// Puts the classifier that is kept in `folder` into `network`, whose numbers are blank. A network
/// without one needs none.
///
/// # Errors
/// A file that is missing or damaged, or another teacher's.
pub(super) fn read(
    folder: &Path,
    network: &mut Network,
    weights_sha256: &str,
) -> Result<(), TrainError> {
    let wanted = entries(network);
    if wanted.is_empty() {
        return Ok(());
    }
    let path = folder.join(FILE);
    let numbers = |id: &ParameterId| network.store.entry(*id).shape.iter().product::<usize>();
    let most = HEADER + 4 * wanted.iter().map(numbers).sum::<usize>() as u64;
    let length = std::fs::metadata(&path).map_err(|error| refused(&path, &error.to_string()))?;
    if length.len() > most {
        let reason = format!("it has {} bytes, at most {most} are expected", length.len());
        return Err(refused(&path, &reason));
    }
    let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
    let damaged = |error: safetensors::SafeTensorError| refused(&path, &error.to_string());
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let mut found = Vec::new();
    for &id in &wanted {
        let entry = network.store.entry(id);
        let tensor = file.tensor(&entry.name).map_err(damaged)?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != entry.shape {
            let reason = format!("`{}` has another shape than {:?}", entry.name, entry.shape);
            return Err(refused(&path, &reason));
        }
        found.push(tensor.data().to_vec());
    }
    let said = header.metadata().as_ref().and_then(|all| all.get(HASH));
    if said != Some(&hash(weights_sha256, found.iter().map(|bytes| &bytes[..]))) {
        return Err(refused(&path, "it was changed, or is another teacher's"));
    }
    for (id, bytes) in wanted.into_iter().zip(found) {
        let values = bytes
            .as_chunks()
            .0
            .iter()
            .map(|four| f32::from_le_bytes(*four));
        let values: Vec<f32> = values.collect();
        let count = values.len();
        let options = (network.store.device(), network.store.dtype());
        let value = burn::tensor::Tensor::from_data(TensorData::new(values, [count]), options);
        network.store.set(id, value);
    }
    Ok(())
}

/// Copies the file from one cache's folder to another's, where there is one.
///
/// # Errors
/// A file system that refuses.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), TrainError> {
    let (from, to) = (from.join(FILE), to.join(FILE));
    if to.exists() || !from.exists() {
        return Ok(());
    }
    let bytes = std::fs::read(&from).map_err(TrainError::io(&from))?;
    Ok(files::write_whole(&to, &bytes)?)
}

/// Weight and, where there is one, bias.
fn entries(network: &Network) -> Vec<ParameterId> {
    let ids = Classifier::ids(network).into_iter();
    ids.flat_map(|(weight, bias)| [weight].into_iter().chain(bias))
        .collect()
}

fn hash<'a>(weights_sha256: &str, numbers: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    hash.update(weights_sha256);
    numbers.for_each(|bytes| hash.update(bytes));
    hex(&hash.finalize())
}

fn refused(path: &Path, reason: &str) -> TrainError {
    TrainError::CacheFile {
        path: path.to_owned(),
        reason: format!(
            "{reason}; `limbeck cache verify --repair` writes it again with the teacher"
        ),
    }
}
