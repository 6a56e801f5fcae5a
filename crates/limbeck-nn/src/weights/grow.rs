//! A network for further classes that starts as the one that knows the first of them.

use burn::tensor::Tensor;

use crate::{Role, Store};

/// Takes the numbers of `old`, a network for `classes[0]` classes with background as the class 0, into
/// `new`, the same network for the `classes[1]` classes that begin with them.
///
/// The classifiers, of auxiliary heads too, grow: a new class has the weight of background, and both
/// share what background had: their bias is that of background less ln(1 + number of new classes), so
/// that the probabilities of all old classes but background are what they were and background's is
/// what background and the new classes have together.
///
/// Cermelli, Mancini, Rota Bulò, Ricci, Caputo. "Modeling the Background for Incremental Learning in
/// Semantic Segmentation". CVPR 2020, equations 10 and 11.
///
/// # Errors
/// The names of tensors of `new` that `old` does not have, or has in a shape that no classifier grows
/// from; nothing is taken over then.
pub fn grow_classes(old: &Store, new: &mut Store, classes: [usize; 2]) -> Result<(), Vec<String>> {
    let mut grown = Vec::new();
    let mut unfit = Vec::new();
    for id in new.ids() {
        let entry = new.entry(id);
        let found = old.find(&entry.name).map(|id| old.entry(id));
        let value = found.and_then(|found| {
            if found.shape == entry.shape {
                return Some(found.value.clone());
            }
            let differs_in_classes = found.shape.first() == classes.first()
                && entry.shape.first() == classes.last()
                && found.shape.get(1..) == entry.shape.get(1..);
            let is_classifier = matches!(entry.role, Role::Weight | Role::Bias);
            let grows = differs_in_classes && is_classifier && classes[0] <= classes[1];
            grows.then(|| rows(&found.value, entry.role, classes))
        });
        match value {
            Some(value) => grown.push((id, value)),
            None => unfit.push(entry.name.clone()),
        }
    }
    if !unfit.is_empty() {
        return Err(unfit);
    }
    for (id, value) in grown {
        new.set(id, value);
    }
    Ok(())
}

/// The rows of a classifier, one for each class, flat: the old ones, then one for each new class.
fn rows(old: &Tensor<1>, role: Role, [before, after]: [usize; 2]) -> Tensor<1> {
    let each = old.dims()[0] / before.max(1);
    let new = after - before;
    let background = old.clone().narrow(0, 0, each);
    let rest = old.clone().narrow(0, each, (before - 1) * each);
    let background = match role {
        Role::Bias => background.sub_scalar(((1 + new) as f64).ln()),
        _ => background,
    };
    let mut parts = vec![background.clone(), rest];
    parts.extend(std::iter::repeat_n(background, new));
    Tensor::cat(parts, 0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, activation::softmax};

    use super::*;
    use crate::{Builder, Init};

    /// A layer before and a classifier of 3 inputs.
    fn network(classes: usize, seed: u64) -> Store {
        let mut store = Store::new(&Device::flex(), DType::F64);
        let mut builder = Builder::new(&mut store, seed);
        let normal = Init::Normal(1.0);
        builder.parameter("layer.weight", &[3, 2], Role::Weight, normal);
        builder.parameter("head.weight", &[classes, 3, 1, 1], Role::Weight, normal);
        builder.parameter("head.bias", &[classes], Role::Bias, normal);
        store
    }

    fn numbers(store: &Store, name: &str) -> Vec<f64> {
        let id = store.find(name).unwrap();
        store.entry(id).value.clone().try_into_vec_as().unwrap()
    }

    /// Probabilities of the classes for an input of 3 numbers.
    fn probabilities(store: &Store) -> Vec<f64> {
        let head = |name: &str| store.find(name).unwrap();
        let weight = store.get::<4>(head("head.weight"));
        let [classes, ..] = weight.dims();
        let input = Tensor::<2>::from_data([[0.3], [-1.0], [0.7]], (&Device::flex(), DType::F64));
        let logits = weight
            .reshape([classes, 3])
            .matmul(input)
            .reshape([classes])
            + store.get::<1>(head("head.bias"));
        softmax(logits, 0).try_into_vec_as().unwrap()
    }

    #[test]
    fn background_shares_its_probability_with_the_new_classes_and_no_other_changes() {
        let (old, mut new) = (network(4, 1), network(6, 2));
        grow_classes(&old, &mut new, [4, 6]).unwrap();
        assert_eq!(numbers(&new, "layer.weight"), numbers(&old, "layer.weight"));
        let (before, after) = (probabilities(&old), probabilities(&new));
        for class in 1..4 {
            assert!((before[class] - after[class]).abs() < 1e-12);
        }
        for class in [0, 4, 5] {
            assert!((after[class] - before[0] / 3.0).abs() < 1e-12);
        }
        let mut same = network(4, 3);
        grow_classes(&old, &mut same, [4, 4]).unwrap();
        assert_eq!(probabilities(&same), before);
    }

    #[test]
    fn what_does_not_fit_is_named_and_nothing_is_taken_over() {
        let old = network(4, 1);
        let mut new = network(6, 2);
        let mut builder = Builder::new(&mut new, 0);
        builder.parameter("extra.weight", &[6, 5], Role::Weight, Init::Constant(0.0));
        let before = probabilities(&new);
        let unfit = grow_classes(&old, &mut new, [4, 6]).unwrap_err();
        assert_eq!(unfit, ["extra.weight"]);
        assert_eq!(probabilities(&new), before);
        let mut other = network(5, 2);
        let unfit = grow_classes(&old, &mut other, [4, 6]).unwrap_err();
        assert_eq!(unfit, ["head.weight", "head.bias"]);
        let mut fewer = network(2, 2);
        let unfit = grow_classes(&old, &mut fewer, [4, 2]).unwrap_err();
        assert_eq!(unfit, ["head.weight", "head.bias"]);
    }
}
