//! Whether what training has made of the weights still are numbers.

use burn::tensor::DType;
use limbeck_kernels::all_finite;
use limbeck_nn::{Entry, Store};

use crate::{TrainError, step::Learner};

/// Looks at every number of everybody in training, after the step `step` of the epoch `epoch`, both
/// counted from 1.
///
/// # Errors
/// [`TrainError::WeightsNotFinite`] for the first tensor that holds an infinity or no number.
pub fn check(learner: &Learner, epoch: usize, step: usize) -> Result<(), TrainError> {
    let members = learner
        .cast
        .members()
        .map(|(name, member)| (name, member.store()));
    let average = learner.average.as_ref();
    let average = average.map(|average| ("moving average", average.store()));
    for (member, store) in members.chain(average) {
        if let Some((layer, value)) = broken(store) {
            return Err(TrainError::WeightsNotFinite {
                member: member.to_owned(),
                layer,
                value,
                epoch,
                step,
            });
        }
    }
    Ok(())
}

/// Name of the first entry that holds a number that is not finite, and that number.
fn broken(store: &Store) -> Option<(String, f64)> {
    let first = |entry: &Entry| {
        let data = entry.value.to_data();
        if data.dtype() == DType::F32 && data.as_slice::<f32>().is_ok_and(all_finite) {
            return None;
        }
        let value = data.iter::<f64>().find(|value| !value.is_finite())?;
        Some((entry.name.clone(), value))
    };
    store.entries().iter().find_map(first)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use limbeck_nn::{Builder, Init, Role};

    use super::*;

    #[test]
    fn the_first_broken_layer_is_named_in_either_precision() {
        for dtype in [DType::F32, DType::F64] {
            let mut store = Store::new(&Device::flex(), dtype);
            let mut builder = Builder::new(&mut store, 0);
            builder.parameter("conv.weight", &[3], Role::Weight, Init::Constant(1.0));
            builder.parameter("fc.weight", &[3], Role::Weight, Init::Constant(1.0));
            assert_eq!(broken(&store), None);
            let id = store.find("fc.weight").unwrap();
            store.set_values(id, vec![1.0, f64::INFINITY, f64::NAN]);
            assert_eq!(
                broken(&store),
                Some(("fc.weight".to_owned(), f64::INFINITY))
            );
        }
    }
}
