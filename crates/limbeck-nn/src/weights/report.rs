//! What came of putting a state dict into a network.

use std::fmt::{Display, Formatter, Result};
use std::path::PathBuf;

/// Most names of one kind in a message; the lists themselves are whole.
const SHOWN: usize = 8;

/// A tensor whose shape in the file is not that in the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// State-dict name.
    pub name: String,
    /// Shape in the file.
    pub file: Vec<usize>,
    /// Shape in the network.
    pub network: Vec<usize>,
}

impl Display for ShapeMismatch {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        let Self {
            name,
            file,
            network,
        } = self;
        write!(formatter, "{name} (file {file:?}, network {network:?})")
    }
}

/// What came of putting a state dict into a network. Lists are sorted by name; names are the
/// network's, in `unexpected` and `skipped` the file's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// The file.
    pub path: PathBuf,
    /// Zoo name of the network, or what else the weights are for.
    pub network: String,
    /// Key of the file that the state dict was under; `None` where it is the whole file.
    pub under: Option<String>,
    /// What was left out before the file's names, such as `module.`; empty where nothing was.
    pub prefix: String,
    /// How many tensors fit, resized ones included.
    pub loaded: usize,
    /// In the network and not in the file. Counters of batch norms may be missing and are not
    /// listed.
    pub missing: Vec<String>,
    /// In the file and not in the network.
    pub unexpected: Vec<String>,
    /// In both, with other shapes.
    pub mis_shaped: Vec<ShapeMismatch>,
    /// Of the classifier, left as freshly drawn because the file has another number of classes or
    /// no classifier.
    pub fresh: Vec<String>,
    /// Positional embeddings resized to another grid.
    pub resized: Vec<ShapeMismatch>,
    /// In the state dict without being tensors.
    pub skipped: Vec<String>,
    /// In the file, of parts that the network has no use for, such as the head of a pretraining.
    pub left_out: Vec<String>,
    /// First parts of the file's names below which the network is found too, such as `student` and
    /// `teacher`; where it does not fit.
    pub networks: Vec<String>,
    /// Numbers of classes of the file's and the network's classifier where these differ.
    pub classes: Option<[usize; 2]>,
}

impl LoadReport {
    /// Whether every tensor of the network was in the file in its shape, and nothing else.
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mis_shaped.is_empty()
    }
}

impl Display for LoadReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> Result {
        write!(formatter, "`{}`", self.path.display())?;
        if let Some(under) = &self.under {
            write!(formatter, " (state dict under `{under}`)")?;
        }
        if !self.prefix.is_empty() {
            write!(formatter, ", names without `{}`", self.prefix)?;
        }
        write!(formatter, ": {} tensors fit {}", self.loaded, self.network)?;
        list(formatter, "missing in the file", &self.missing)?;
        list(formatter, "not in the network", &self.unexpected)?;
        list(formatter, "of another shape", &self.mis_shaped)?;
        list(formatter, "classifier left fresh", &self.fresh)?;
        list(formatter, "resized", &self.resized)?;
        list(formatter, "no tensors and skipped", &self.skipped)?;
        list(formatter, "of no use here and left out", &self.left_out)?;
        if let Some([file, network]) = self.classes {
            write!(
                formatter,
                "; the file's classifier is for {file} classes, the network's for {network}"
            )?;
        }
        if !self.networks.is_empty() {
            write!(
                formatter,
                "; the network is there below {}: choose with --weights-key (of a teacher, \
                 --teacher-weights-key)",
                self.networks.join(", ")
            )?;
        } else if self.loaded == 0 {
            write!(formatter, "; no name matches: it is another architecture")?;
        }
        Ok(())
    }
}

fn list<T: Display>(formatter: &mut Formatter<'_>, title: &str, items: &[T]) -> Result {
    if items.is_empty() {
        return Ok(());
    }
    write!(formatter, "; {} {title}: ", items.len())?;
    for (index, item) in items.iter().take(SHOWN).enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(formatter, "{comma}{item}")?;
    }
    match items.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(formatter, " and {more} more"),
    }
}
