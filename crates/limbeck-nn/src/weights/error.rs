//! What can go wrong with weights.

use std::path::PathBuf;

use limbeck_pickle::PickleError;

use super::LoadReport;
use crate::NnError;

/// Errors of reading and writing weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Not a weights file that is read.
    #[error("`{}` is {found}; safetensors files and PyTorch state dicts (.pth, .pt) are read: {advice}", path.display())]
    WrongFormat {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
        /// What to do.
        advice: &'static str,
    },
    /// Not a file of arrays that is read.
    #[error("`{}` is {found}; arrays are read from safetensors files, from NumPy's .npz and .npy, and from what torch.save writes", path.display())]
    NoArrays {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// A weights file with something wrong in it.
    #[error("`{}` is damaged or not whole: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A pickle in the file cannot be read.
    #[error("`{}`: {part}: {source}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Which pickle of the file.
        part: String,
        /// What is wrong with it.
        source: PickleError,
    },
    /// A pickle in the file would run code if Python loaded it.
    #[error("`{}` is refused: loading it in Python would call `{global}`, which is no part of a state dict but of programs. Nothing of it was run here; do not load it in Python either", path.display())]
    RunsCode {
        /// The file.
        path: PathBuf,
        /// What it would call.
        global: String,
    },
    /// The state dict holds an object of a kind that is not read.
    #[error("`{}`: `{name}` is an object of `{global}`, which is not read; plain tensors are. In Python, where its code can be imported, save `model.state_dict()`: `network = torch.load(FILE, weights_only=False)`, then `torch.save(network.state_dict(), \"weights.pt\")`, of a checkpoint that of its \"model\"", path.display())]
    UnknownObject {
        /// The file.
        path: PathBuf,
        /// Key of the object.
        name: String,
        /// Its class or the function that rebuilds it.
        global: String,
    },
    /// One tensor is not as it should be.
    #[error("`{}`: tensor `{name}`: {reason}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// Name of the tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// The file holds no state dict where one is looked for.
    #[error("`{}` holds no state dict{}; it holds {found}", path.display(), key.as_ref().map(|key| format!(" under `{key}`")).unwrap_or_default())]
    NoStateDict {
        /// The file.
        path: PathBuf,
        /// The key that was asked for.
        key: Option<String>,
        /// What it holds instead.
        found: String,
    },
    /// The file holds several state dicts and none under a usual key.
    #[error("`{}` holds several state dicts, under {}: name the key of the one to read (--weights-key; of a teacher, --teacher-weights-key)", path.display(), keys.join(", "))]
    SeveralStateDicts {
        /// The file.
        path: PathBuf,
        /// Their keys.
        keys: Vec<String>,
    },
    /// Names or shapes do not fit the network.
    #[error("{0}")]
    Mismatch(Box<LoadReport>),
    /// A network that does not tell its backbone from its head.
    #[error(
        "`{network}` does not tell a backbone from a head: start all of it from a file (student.weights, --weights)"
    )]
    NoBackbone {
        /// The network.
        network: String,
    },
    /// Weights of another body than the backbone.
    #[error("`{}` has {percent}% of the numbers of the backbone of `{network}`, it must have half of them: it is of another network, or of another width{mismatch}", path.display())]
    OtherBackbone {
        /// The file.
        path: PathBuf,
        /// The network.
        network: String,
        /// How much of the backbone's trained numbers fits, in percent.
        percent: usize,
        /// The first name that is there with another shape, if one is.
        mismatch: String,
    },
    /// A safetensors file that does not say which network it is for.
    #[error("`{}` does not say which network it is for ({reason}): name the model", path.display())]
    NoMetadata {
        /// The file.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// Folded weights cannot be saved: their batch norms are gone.
    #[error(
        "the weights have their batch norms folded into the convolutions: save the weights that they were folded from"
    )]
    Folded,
    /// The network cannot be built.
    #[error(transparent)]
    Network(#[from] NnError),
}
