//! # none — the baseline
//!
//! The student trained on labels alone, with the same data order, initial weights and budget as
//! the distilled one: what every gain is measured against.
//!
//! ## Definition
//! L = CE(z, y)
//!
//! z: student logits. No teacher is read.
//!
//! ## Inputs and shapes
//! Student logits `[B, K]`, labels `[B]`.
//!
//! ## Parameters
//! None.
//!
//! ## Notes
//! `limbeck distill --baseline` trains it next to any method. Cost: none.
//!
//! ## Reference
//! Bouthillier et al. "Accounting for Variance in Machine Learning Benchmarks". MLSys 2021, on why
//! the two are compared over several paired seeds. <https://arxiv.org/abs/2103.03098>

use limbeck_nn::{Builder, Pass};
use serde::{Deserialize, Serialize};

use crate::{Criterion, MethodError, Needs, Probe, Step, Term};

/// Name of the method that learns from labels alone, which every other one is compared with.
pub const BASELINE: &str = "none";

/// The baseline has no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaselineConfig {}

/// The supervised loss alone.
#[derive(Clone, Debug)]
pub struct Baseline;

impl Baseline {
    /// Nothing can be wrong with it.
    ///
    /// # Errors
    /// None.
    pub fn new(
        _config: BaselineConfig,
        _probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        Ok(Self)
    }
}

impl Criterion for Baseline {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn terms(&mut self, _step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        Ok(Vec::new())
    }
}
