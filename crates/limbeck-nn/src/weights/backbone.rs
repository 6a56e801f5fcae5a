//! Starts a network's backbone from the weights of a classifier.

use std::collections::HashMap;
use std::fmt::{Display, Formatter};
use std::path::PathBuf;

use super::names::in_network_names;
use super::prefix::common_prefix;
use super::{StateDict, StoredTensor, WeightsError};
use crate::{Network, Role};

/// Least share of the backbone's trained numbers that a file must have. Below it the file is of
/// another network, of which a few tensors fit by chance: ResNet-18's of ResNet-50, say.
const LEAST: f64 = 0.5;

/// Most names in a message; the list itself is whole.
const SHOWN: usize = 8;

/// What came of starting a backbone from a file. Names are the network's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackboneReport {
    /// The file.
    pub path: PathBuf,
    /// How many tensors of the backbone were taken from the file.
    pub taken: usize,
    /// What of the backbone stays as it was drawn: not in the file, or of another shape there.
    /// Counters of batch norms are not listed.
    pub drawn: Vec<String>,
    /// How many tensors of the file are not the backbone's: its classifier's, say.
    pub left_out: usize,
}

/// How many tensors of which file, and what is drawn anew.
impl Display for BackboneReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} tensors of `{}`; drawn from the seed: its head",
            self.taken,
            self.path.display()
        )?;
        if !self.drawn.is_empty() {
            write!(
                formatter,
                ", and {} of the backbone that are not there in the same shape: {}",
                self.drawn.len(),
                self.drawn[..self.drawn.len().min(SHOWN)].join(", ")
            )?;
            if let more @ 1.. = self.drawn.len().saturating_sub(SHOWN) {
                write!(formatter, " and {more} more")?;
            }
        }
        if self.left_out > 0 {
            write!(formatter, "; {} of the file are not used", self.left_out)?;
        }
        Ok(())
    }
}

/// Puts the numbers that `state` has for the backbone of `network` into place: those of a classifier
/// with the same body, under the classifier's names, or those of a network that has the same
/// backbone. Everything else stays as it was drawn. On an error the network is as before.
///
/// # Errors
/// [`WeightsError::NoBackbone`] of a network that tells no backbone from a head;
/// [`WeightsError::OtherBackbone`] where less than half of the backbone fits;
/// [`WeightsError::Tensor`] for numbers that are not finite; [`WeightsError::Folded`].
pub fn load_backbone(
    network: &mut Network,
    state: &StateDict,
) -> Result<BackboneReport, WeightsError> {
    if network.is_backbone("").is_none() {
        return Err(WeightsError::NoBackbone {
            network: network.name().to_owned(),
        });
    }
    // A classifier's backbone has no name of its own, all but its last linear map, and a detector's the
    // names of its layers.
    let backbone = network.backbone_prefix().unwrap_or_default().to_owned();
    if network.store.is_folded() {
        return Err(WeightsError::Folded);
    }
    let state = &*in_network_names(state, &network.store);
    // A network with the same backbone has its very names, a classifier those after the prefix.
    let known = |name: &str| network.store.find(&format!("{backbone}{name}")).is_some();
    let own: Vec<(&str, &StoredTensor)> = state
        .iter()
        .map(|(name, tensor)| (name.strip_prefix(backbone.as_str()).unwrap_or(name), tensor))
        .collect();
    let prefix = common_prefix(own.iter().map(|(name, _)| *name), known);
    let in_file: HashMap<&str, &StoredTensor> = own
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?, *tensor)))
        .collect();
    let mut store = network.store.clone();
    let (mut taken, mut numbers, mut all) = (0, 0, 0);
    let mut drawn = Vec::new();
    let mut other = None;
    for id in network.store.ids() {
        let entry = network.store.entry(id);
        let Some(short) = entry.name.strip_prefix(backbone.as_str()) else {
            continue;
        };
        if network.is_backbone(&entry.name) == Some(false) {
            continue;
        }
        let count = entry.shape.iter().product::<usize>();
        if entry.role.is_trained() {
            all += count;
        }
        let tensor = in_file.get(short);
        let is_counter = entry.role == Role::Counter;
        let fitting = tensor
            .filter(|tensor| tensor.shape() == entry.shape || (is_counter && tensor.count() == 1));
        let Some(tensor) = fitting else {
            if let Some(tensor) = tensor {
                other.get_or_insert_with(|| (entry.name.clone(), tensor.shape().to_vec()));
            }
            if !is_counter {
                drawn.push(entry.name.clone());
            }
            continue;
        };
        let values = tensor.to_f64();
        if !values.iter().all(|value| value.is_finite()) {
            return Err(WeightsError::Tensor {
                path: state.path().to_owned(),
                name: short.to_owned(),
                reason: "it holds numbers that are not finite".to_owned(),
            });
        }
        store.set_values(id, values);
        taken += 1;
        if entry.role.is_trained() {
            numbers += count;
        }
    }
    if (numbers as f64) < LEAST * all as f64 || taken == 0 {
        let mismatch = other.map(|(name, found)| {
            let shape = network.store.find(&name);
            let shape = shape.map(|id| network.store.entry(id).shape.clone());
            format!(
                "; `{name}` has the shape {:?}, in the file {found:?}",
                shape.unwrap_or_default()
            )
        });
        return Err(WeightsError::OtherBackbone {
            path: state.path().to_owned(),
            network: network.name().to_owned(),
            percent: (100.0 * numbers as f64 / all.max(1) as f64) as usize,
            mismatch: mismatch.unwrap_or_default(),
        });
    }
    network.store = store;
    Ok(BackboneReport {
        path: state.path().to_owned(),
        taken,
        drawn,
        left_out: state.len() - taken.min(state.len()),
    })
}
