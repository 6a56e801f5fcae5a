//! What can go wrong in this crate.

/// Errors of networks, stores and weights.
#[derive(Debug, thiserror::Error)]
pub enum NnError {
    /// No model of that name is in the zoo.
    #[error("unknown model `{name}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// The closest name in the zoo, if one is close.
        nearest: Option<String>,
    },
    /// The family does not take inputs of this shape or this many classes.
    #[error("model `{model}` cannot be built: {reason}")]
    Unsupported {
        /// Zoo name of the model.
        model: String,
        /// What was found, what is possible.
        reason: String,
    },
    /// Anchors that do not fit a network.
    #[error("the anchors do not fit `{model}`: {reason}")]
    Anchors {
        /// Zoo name of the model.
        model: String,
        /// What was found, what is possible.
        reason: String,
    },
    /// A tap was asked for that the network does not have.
    #[error("`{model}` has no tap `{tap}`; it has: {}", available.join(", "))]
    UnknownTap {
        /// Zoo name of the model.
        model: String,
        /// What was asked for.
        tap: String,
        /// All taps of the network.
        available: Vec<String>,
    },
}
