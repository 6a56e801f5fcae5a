//! What can be set.

use serde::{Deserialize, Serialize};

use crate::{
    MethodError,
    criterion::{require_at_least, require_positive, require_share, require_weight},
};

use super::{Tst, policy::ALL};

/// Settings of [`Tst`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TstConfig {
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the divergence from the teacher.
    pub weight: f64,
    /// Factor of the teacher's error in the search.
    pub teacher_weight: f64,
    /// Factor of the student's success in the search.
    pub student_weight: f64,
    /// Operators that are drawn for a batch.
    pub operators: usize,
    /// Whether probabilities are logits themselves.
    pub true_logit: bool,
    /// Side of the cutout in pixels; `None` is the images' height, and of detectors a fifth of their longer
    /// side.
    pub cutout: Option<usize>,
    /// Epochs of the prior as a share of the recipe's.
    pub prior_share: f64,
    /// When the first search begins, as a share of the recipe's epochs.
    pub first_search: f64,
    /// When the second search begins.
    pub second_search: f64,
    /// Epochs of each search as a share of the recipe's.
    pub search_share: f64,
    /// Learning rate at the beginning of each search.
    pub search_learning_rate: f64,
}

impl Default for TstConfig {
    fn default() -> Self {
        Self {
            temperature: 4.0,
            weight: 1.0,
            teacher_weight: 1.0,
            student_weight: 1.0,
            operators: 4,
            true_logit: false,
            cutout: None,
            prior_share: 0.0833,
            first_search: 0.125,
            second_search: 0.375,
            search_share: 0.125,
            search_learning_rate: 0.01,
        }
    }
}

impl TstConfig {
    /// Whether every setting is within its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), MethodError> {
        const ID: &str = Tst::ID;
        for (key, value) in [
            ("temperature", self.temperature),
            ("prior_share", self.prior_share),
            ("search_share", self.search_share),
            ("search_learning_rate", self.search_learning_rate),
        ] {
            require_positive(ID, key, value)?;
        }
        for (key, value) in [
            ("weight", self.weight),
            ("teacher_weight", self.teacher_weight),
            ("student_weight", self.student_weight),
        ] {
            require_weight(ID, key, value)?;
        }
        require_share(ID, "first_search", self.first_search)?;
        require_share(ID, "second_search", self.second_search)?;
        require_at_least(ID, "operators", self.operators, 1)?;
        if self.operators > ALL {
            return Err(MethodError::Setting {
                method: ID,
                key: "operators",
                expected: format!("at most {ALL}"),
                found: self.operators.to_string(),
            });
        }
        require_at_least(ID, "cutout", self.cutout.unwrap_or(1), 1)?;
        Ok(())
    }
}
