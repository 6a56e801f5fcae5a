//! Puts a state dict into a network.

use std::collections::HashMap;

use super::head::{classes_of, is_auxiliary, is_head};
use super::names::in_network_names;
use super::position::{Position, Resize};
use super::prefix::{networks_below, prefix_of};
use super::{LoadReport, ShapeMismatch, StateDict, StoredTensor, WeightsError};
use crate::{InputShape, Network, ParameterId, Role, Store};

/// What may differ between a file and a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Refuse names that are missing or unexpected. Shapes that differ are refused either way.
    /// Default `true`.
    pub strict: bool,
    /// Leave the classifier as it was drawn where the file's is for another number of classes or
    /// the file has none. Default `false`.
    pub fresh_head: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            strict: true,
            fresh_head: false,
        }
    }
}

/// Puts `state` into `network`.
///
/// Names are the network's or those of another common source, which are translated, after a common
/// prefix such as `module.` is left out. Counters of batch norms may be missing. The positional embedding of a vision transformer is resized where the
/// file's is for another grid. Ranges of activations of a network of few bits come from what the file tells of
/// its bits. On an error the network is as before.
///
/// # Errors
/// [`WeightsError::Mismatch`] with the whole [`LoadReport`] where names or shapes do not fit;
/// [`WeightsError::Tensor`] for numbers that are not finite; [`WeightsError::Folded`].
pub fn load_network(
    network: &mut Network,
    state: &StateDict,
    options: LoadOptions,
) -> Result<LoadReport, WeightsError> {
    let target = Target {
        name: network.name(),
        input: Some(network.input()),
        store: &network.store,
    };
    let (store, report) = target.load(state, options)?;
    network.store = store;
    if let Some(quantisation) = state.quantisation() {
        quantisation.set_ranges(&mut network.store);
    }
    Ok(report)
}

/// Puts `state` into a store that belongs to no network of the zoo, such as a method's module
/// called `name`. All as [`load_network`] does, without classifiers and positional embeddings.
///
/// # Errors
/// As [`load_network`].
pub fn load_store(
    store: &mut Store,
    name: &str,
    state: &StateDict,
    strict: bool,
) -> Result<LoadReport, WeightsError> {
    let target = Target {
        name,
        input: None,
        store,
    };
    let options = LoadOptions {
        strict,
        fresh_head: false,
    };
    let (loaded, report) = target.load(state, options)?;
    *store = loaded;
    Ok(report)
}

/// What a state dict is put into.
struct Target<'a> {
    name: &'a str,
    /// `None` where it is no network.
    input: Option<InputShape>,
    store: &'a Store,
}

impl Target<'_> {
    /// A copy of the store with the file's numbers.
    fn load(
        &self,
        state: &StateDict,
        options: LoadOptions,
    ) -> Result<(Store, LoadReport), WeightsError> {
        if self.store.is_folded() {
            return Err(WeightsError::Folded);
        }
        let state = &*in_network_names(state, self.store);
        let prefix = prefix_of(state, self.store);
        let mut report = LoadReport {
            path: state.path().to_owned(),
            network: self.name.to_owned(),
            under: state.under().map(str::to_owned),
            prefix: prefix.to_owned(),
            skipped: state.skipped().to_vec(),
            left_out: state.left_out().to_vec(),
            ..LoadReport::default()
        };
        let mut in_file: HashMap<&str, &StoredTensor> = HashMap::new();
        for (name, tensor) in state.iter() {
            match name.strip_prefix(prefix) {
                Some(short) if self.store.find(short).is_some() => {
                    in_file.insert(short, tensor);
                }
                _ => report.unexpected.push(name.to_owned()),
            }
        }
        let mut store = self.store.clone();
        for id in self.store.ids() {
            if let Some(values) = self.values(id, &in_file, options, &mut report) {
                if !values.iter().all(|value| value.is_finite()) {
                    return Err(WeightsError::Tensor {
                        path: state.path().to_owned(),
                        name: format!("{prefix}{}", self.store.entry(id).name),
                        reason: "it holds numbers that are not finite".to_owned(),
                    });
                }
                store.set_values(id, values);
                report.loaded += 1;
            }
        }
        report.missing.sort();
        report.unexpected.sort();
        report.fresh.sort();
        report.skipped.sort();
        report.mis_shaped.sort_by(|a, b| a.name.cmp(&b.name));
        report.resized.sort_by(|a, b| a.name.cmp(&b.name));
        let names_fit = report.missing.is_empty() && report.unexpected.is_empty();
        let fits =
            report.mis_shaped.is_empty() && report.loaded > 0 && (names_fit || !options.strict);
        if fits {
            Ok((store, report))
        } else {
            let below = networks_below(state, self.store).into_iter();
            let others = below.filter(|below| *below != prefix);
            report.networks = others
                .map(|below| below.trim_end_matches('.').to_owned())
                .collect();
            Err(WeightsError::Mismatch(Box::new(report)))
        }
    }

    /// The numbers that the file has for one entry; what stands against them goes into `report`.
    fn values(
        &self,
        id: ParameterId,
        in_file: &HashMap<&str, &StoredTensor>,
        options: LoadOptions,
        report: &mut LoadReport,
    ) -> Option<Vec<f64>> {
        let entry = self.store.entry(id);
        let is_head = self
            .input
            .is_some_and(|input| is_head(&entry.name, &entry.shape, input.classes));
        let Some(tensor) = in_file.get(entry.name.as_str()) else {
            if (is_head || is_auxiliary(&entry.name)) && options.fresh_head {
                report.fresh.push(entry.name.clone());
            } else if entry.role != Role::Counter && !self.store.is_range(id) {
                report.missing.push(entry.name.clone());
            }
            return None;
        };
        // PyTorch has counters as scalars; some files have them as vectors of one.
        let is_counter = entry.role == Role::Counter && tensor.count() == 1;
        if tensor.shape() == entry.shape || is_counter {
            return Some(tensor.to_f64());
        }
        let mismatch = ShapeMismatch {
            name: entry.name.clone(),
            file: tensor.shape().to_vec(),
            network: entry.shape.clone(),
        };
        if is_head
            && let (Some((&file, file_rest)), Some((&network, rest))) =
                (tensor.shape().split_first(), entry.shape.split_first())
            && file_rest == rest
        {
            let [of_file, own] = [file, network].map(|rows| classes_of(&entry.name, rows));
            report.classes = of_file.zip(own).map(|(file, network)| [file, network]);
            if options.fresh_head {
                report.fresh.push(mismatch.name);
                return None;
            }
        }
        let position = Position {
            name: &entry.name,
            shape: tensor.shape(),
        };
        let resize = self.input.and_then(|input| {
            Resize::plan(&position, self.store, input, |name| {
                in_file.contains_key(name)
            })
        });
        match resize {
            Some(resize) => {
                report.resized.push(mismatch);
                Some(resize.apply(&tensor.to_f64()))
            }
            None => {
                report.mis_shaped.push(mismatch);
                None
            }
        }
    }
}
