//! What a stage leaves in the job's folder.

use std::collections::BTreeSet;
use std::path::Path;

use burn::tensor::DType;
use safetensors::tensor::{Dtype, TensorView};

use crate::{TrainError, files, step::Learner};

/// Name of a stage's product in a job's folder.
pub fn file_name(stage: &str) -> String {
    format!("stage-{stage}.safetensors")
}

/// Writes the numbers of all members that the stage trains, as `<member>.<state-dict name>`.
///
/// # Errors
/// A file system that refuses.
pub fn write_members(learner: &Learner, path: &Path) -> Result<(), TrainError> {
    let members: BTreeSet<&str> = learner
        .stage()
        .acts
        .iter()
        .flat_map(|act| &act.trains)
        .map(|trained| trained.member.as_str())
        .collect();
    let mut tensors = Vec::new();
    for member in members {
        for entry in learner.cast.store(member)?.entries() {
            let (bytes, _, dtype) = entry.value.to_data().into_parts();
            let dtype = match dtype {
                DType::F64 => Dtype::F64,
                _ => Dtype::F32,
            };
            let name = format!("{member}.{}", entry.name);
            tensors.push((name, dtype, entry.shape.clone(), bytes));
        }
    }
    let refused = |error: safetensors::SafeTensorError| {
        TrainError::Setting(format!("`{}`: {error}", path.display()))
    };
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes)?;
            Ok((name, view))
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(refused)?;
    let file = safetensors::serialize(views, None).map_err(refused)?;
    files::write_whole(path, &file)?;
    Ok(())
}
