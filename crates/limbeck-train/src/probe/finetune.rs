//! Fine-tuning: an ordinary training on labels that starts from a network's weights.

use std::path::Path;

use crate::{
    TrainError,
    experiment::{self, Stock},
    observer::Observer,
    recipe::Recipe,
};

/// Trains the network of `recipe` on labels, its backbone starting from the weights in `file`, in a run
/// in `out` that a second call goes on with, and gives its top-1 accuracy in percent on the test part for
/// each of the recipe's seeds.
///
/// # Errors
/// Whatever is wrong with recipe, data or weights.
pub fn finetune(
    recipe: &Recipe,
    file: &Path,
    stock: &mut Stock,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, TrainError> {
    let mut recipe = recipe.clone();
    recipe.student.backbone = Some(file.to_string_lossy().into_owned());
    let results = experiment::run(recipe, stock, out, observer)?;
    let accuracies = results
        .students
        .iter()
        .map(|seed| seed.test.first().map_or(f64::NAN, |measure| measure.value));
    Ok(accuracies.collect())
}
