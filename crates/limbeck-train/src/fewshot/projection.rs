//! The last linear map of an image encoder, from a file.

use std::path::Path;

use burn::tensor::{DType, Device};
use limbeck_methods::VisualProjection;
use limbeck_nn::weights::{ArrayFile, ONLY_ARRAY, StoredTensor};

use super::FewshotError;

/// P of a ViT, `[D, d]`: `proj`, and its name in CLIP's files.
const MATRICES: [&str; 3] = ["proj", "visual.proj", ONLY_ARRAY];

/// Weights of linear maps, `[d, D]`, and their biases `[d]`: plain names, those of CLIP's ResNets, and
/// Hugging Face's, which has no bias.
const LINEAR: [(&str, &str); 3] = [
    ("weight", "bias"),
    (
        "visual.attnpool.c_proj.weight",
        "visual.attnpool.c_proj.bias",
    ),
    ("visual_projection.weight", "visual_projection.bias"),
];

/// Reads the projection that made features of `width` numbers; other arrays of the file, such as the
/// rest of a model, are left alone.
///
/// # Errors
/// A file that cannot be read or has no such array; a projection to another width.
pub fn read_projection(
    path: &Path,
    width: usize,
    device: &Device,
    dtype: DType,
) -> Result<VisualProjection, FewshotError> {
    let file = ArrayFile::read(path)?;
    let wrong = |reason: String| FewshotError::content(path, reason);
    let matrix = MATRICES
        .iter()
        .find_map(|name| Some((*name, file.get(name)?)));
    let linear = || {
        let mut names = LINEAR.iter();
        names.find_map(|(weight, bias)| Some((*weight, file.get(weight)?, file.get(bias))))
    };
    let (name, array, bias, turned) = match (matrix, linear()) {
        (Some((name, array)), _) => (name, array, None, false),
        (None, Some((name, weight, bias))) => (name, weight, bias, true),
        (None, None) => {
            return Err(wrong(
                "it holds no projection: `proj` [D, d] of a ViT, or `weight` [d, D] and `bias` [d] of a \
                 linear map"
                    .to_owned(),
            ));
        }
    };
    let &[rows, columns] = array.shape() else {
        return Err(wrong(format!(
            "the projection `{name}` must be a matrix, found {:?}",
            array.shape()
        )));
    };
    let [lifted, found] = if turned {
        [columns, rows]
    } else {
        [rows, columns]
    };
    if found != width {
        let form = if turned { "[d, D]" } else { "[D, d]" };
        return Err(wrong(format!(
            "the projection `{name}` is [{rows}, {columns}], which as {form} leads to {found} numbers, \
             and features have {width}"
        )));
    }
    let numbers = match turned {
        true => transposed(array, rows, columns),
        false => array.to_f64(),
    };
    let bias = bias.map(StoredTensor::to_f64);
    let made = VisualProjection::new(&numbers, [lifted, found], bias.as_deref(), device, dtype);
    made.map_err(|error| wrong(error.to_string()))
}

fn transposed(array: &StoredTensor, rows: usize, columns: usize) -> Vec<f64> {
    let numbers = array.to_f64();
    let at = |position: usize| numbers[(position % rows) * columns + position / rows];
    (0..numbers.len()).map(at).collect()
}
