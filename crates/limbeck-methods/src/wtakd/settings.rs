//! What can be set.

use serde::{Deserialize, Serialize};

use crate::{
    MethodError,
    criterion::{require_at_least, require_positive, require_share},
};

use super::{EnsembleObjective, EvolutionStrategy, Wtakd};

/// Who learns from whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssistantForm {
    /// Assistants from the teacher, the student from their weighted average (WETA).
    #[default]
    Weighted,
    /// Each from the one before (TAKD).
    Chain,
    /// Each from all before (DGKD).
    Dense,
}

/// What the sum of a divergence is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KlReduction {
    /// The number of images.
    #[default]
    BatchMean,
    /// The number of images times the number of classes.
    Mean,
}

/// What is averaged over assistants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssistantAverage {
    /// Their softened distributions.
    #[default]
    Probabilities,
    /// Their logits.
    Logits,
}

/// Settings of [`Wtakd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WtakdConfig {
    /// Who learns from whom.
    pub form: AssistantForm,
    /// Zoo names of the assistants, joined by `+`, the largest first; two networks like the
    /// student where missing.
    pub assistants: Option<String>,
    /// Epochs of each assistant; the recipe's where missing.
    pub assistant_epochs: Option<usize>,
    /// Softens all distributions.
    pub temperature: f64,
    /// Share of the divergence in the loss.
    pub kd_weight: f64,
    /// What the divergence is divided by.
    pub kl_reduction: KlReduction,
    /// Divergences left out at each step of the dense form.
    pub drop_num: usize,
    /// What is averaged over assistants.
    pub average: AssistantAverage,
    /// What the weights minimise.
    pub objective: EnsembleObjective,
    /// Share of the training images that the weights are chosen by.
    pub held_out: f64,
    /// How trial weights are made.
    pub strategy: EvolutionStrategy,
    /// Number of weights in a generation; 15 for each assistant where missing, 8 at least.
    pub population: Option<usize>,
    /// Generations at the most.
    pub generations: usize,
    /// Factor of the difference of two members.
    pub mutation: f64,
    /// Probability with which a mutant's number is taken.
    pub crossover: f64,
    /// Whether each assistant alone is in the first population.
    pub seed_unit_vectors: bool,
}

impl WtakdConfig {
    /// Whether several assistants are weighed by what they make of labelled images.
    pub(crate) fn reads_labels(&self) -> bool {
        let names = self.assistants.as_deref();
        self.form == AssistantForm::Weighted && names.is_none_or(|names| names.contains('+'))
    }
}

impl Default for WtakdConfig {
    fn default() -> Self {
        Self {
            form: AssistantForm::Weighted,
            assistants: None,
            assistant_epochs: None,
            temperature: 5.0,
            kd_weight: 0.9,
            kl_reduction: KlReduction::BatchMean,
            drop_num: 1,
            average: AssistantAverage::Probabilities,
            objective: EnsembleObjective::Error,
            held_out: 0.1,
            strategy: EvolutionStrategy::Rand1bin,
            population: None,
            generations: 1000,
            mutation: 0.8,
            crossover: 0.7,
            seed_unit_vectors: true,
        }
    }
}

impl WtakdConfig {
    /// Whether every setting is within its range.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), MethodError> {
        require_positive(Wtakd::ID, "temperature", self.temperature)?;
        let within = |key, value: f64, fits: bool, expected: &str| match fits {
            true => Ok(()),
            false => Err(MethodError::Setting {
                method: Wtakd::ID,
                key,
                expected: expected.to_owned(),
                found: value.to_string(),
            }),
        };
        require_share(Wtakd::ID, "kd_weight", self.kd_weight)?;
        require_share(Wtakd::ID, "crossover", self.crossover)?;
        let WtakdConfig {
            mutation, held_out, ..
        } = *self;
        let fits = mutation > 0.0 && mutation <= 2.0;
        within("mutation", mutation, fits, "above 0 and at most 2")?;
        let fits = held_out > 0.0 && held_out < 1.0;
        within("held_out", held_out, fits, "above 0 and below 1")?;
        if let Some(population) = self.population {
            require_at_least(Wtakd::ID, "population", population, 4)?;
        }
        if let Some(epochs) = self.assistant_epochs {
            require_at_least(Wtakd::ID, "assistant_epochs", epochs, 1)?;
        }
        let named = self.assistants.as_deref().unwrap_or("as the student");
        if named.split('+').any(|name| name.trim().is_empty()) {
            return Err(MethodError::Setting {
                method: Wtakd::ID,
                key: "assistants",
                expected: "one name of the zoo or more, joined by `+`".to_owned(),
                found: format!("`{named}`"),
            });
        }
        Ok(())
    }
}
