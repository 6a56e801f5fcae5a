//! The numbers of a network for images of another size.

use super::position::{Position, Resize};
use crate::{Network, NnError};

/// Takes over the numbers of `from`, a network of the same architecture for images of another
/// size. The positional embedding of a vision transformer is resized as in
/// [`super::load_network`]. On an error `network` is as before.
///
/// # Errors
/// [`NnError::Unsupported`] where an entry of `network` is not in `from`, or has another shape for
/// another reason than the size of the images.
pub fn adopt(network: &mut Network, from: &Network) -> Result<(), NnError> {
    let mut store = network.store.clone();
    for id in network.store.ids() {
        let entry = network.store.entry(id);
        let given = from
            .store
            .find(&entry.name)
            .map(|id| from.store.entry(id))
            .ok_or_else(|| refuse(network, from, &entry.name, "is not there"))?;
        if given.shape == entry.shape {
            store.set(id, given.value.clone());
            continue;
        }
        let position = Position {
            name: &entry.name,
            shape: &given.shape,
        };
        let in_from = |name: &str| from.store.find(name).is_some();
        let resize = Resize::plan(&position, &network.store, network.input(), in_from)
            .ok_or_else(|| refuse(network, from, &entry.name, "has another shape"))?;
        let values: Vec<f64> = given.value.to_data().iter::<f64>().collect();
        store.set_values(id, resize.apply(&values));
    }
    network.store = store;
    Ok(())
}

fn refuse(network: &Network, from: &Network, name: &str, what: &str) -> NnError {
    NnError::Unsupported {
        model: network.name().to_owned(),
        reason: format!(
            "it cannot start from the numbers of `{}`, where `{name}` {what}",
            from.name()
        ),
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{InputShape, model};

    fn network(name: &str, size: usize, seed: u64) -> Network {
        let input = InputShape {
            channels: 3,
            height: size,
            width: size,
            classes: 4,
        };
        model::build(name, input, seed, &Device::flex(), DType::F64).unwrap()
    }

    fn numbers(network: &Network) -> Vec<Vec<f64>> {
        let entries = network.store.entries().iter();
        entries
            .map(|entry| entry.value.clone().try_into_vec_as().unwrap())
            .collect()
    }

    #[test]
    fn a_cnn_takes_over_every_number() {
        let from = network("resnet8", 32, 1);
        let mut small = network("resnet8", 16, 2);
        adopt(&mut small, &from).unwrap();
        assert_eq!(numbers(&small), numbers(&from));
    }

    #[test]
    fn a_transformer_resizes_its_positions_and_nothing_else() {
        let from = network("vit_nano", 16, 1);
        let mut small = network("vit_nano", 8, 2);
        adopt(&mut small, &from).unwrap();
        let found = small.store.entries().iter().zip(from.store.entries());
        for ((entry, given), (own, theirs)) in
            found.zip(numbers(&small).into_iter().zip(numbers(&from)))
        {
            if entry.name == "pos_embed" {
                assert_ne!(entry.shape, given.shape);
                // The class token's position stays.
                assert_eq!(own[..64], theirs[..64]);
            } else {
                assert_eq!(own, theirs, "{}", entry.name);
            }
        }
    }

    #[test]
    fn another_architecture_is_refused_and_changes_nothing() {
        let mut small = network("resnet8", 16, 2);
        let before = numbers(&small);
        let error = adopt(&mut small, &network("vgg8", 32, 1)).unwrap_err();
        assert!(error.to_string().contains("`vgg8`"), "{error}");
        let error = adopt(&mut small, &network("resnet8x4", 32, 1)).unwrap_err();
        assert!(error.to_string().contains("another shape"), "{error}");
        assert_eq!(numbers(&small), before);
    }
}
