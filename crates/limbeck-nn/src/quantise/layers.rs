//! The layers of a network, by running it once.

use crate::{Network, ParameterId, weights::is_logits_layer};

/// A layer that multiplies what it is given by a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Layer {
    /// Its weight.
    pub weight: ParameterId,
    /// Multiply-accumulates for one image, of all its runs in a pass.
    pub macs: u64,
    /// Whether it gives out the logits, or those of an auxiliary classifier.
    pub head: bool,
}

/// The layers in the order in which they first run.
pub(crate) fn layers(network: &Network) -> Vec<Layer> {
    let mut found: Vec<Layer> = Vec::new();
    for (weight, macs) in network.layer_costs() {
        match found.iter_mut().find(|layer| layer.weight == weight) {
            Some(layer) => layer.macs += macs,
            None => {
                let entry = network.store.entry(weight);
                let classes = network.input().classes;
                let head = network.is_of_head(&entry.name)
                    || is_logits_layer(&entry.name, &entry.shape, classes);
                found.push(Layer { weight, macs, head });
            }
        }
    }
    found
}
