//! The method of a run: one of the catalogue, or one's own.

use std::collections::BTreeMap;

use limbeck_methods::{
    BASELINE, Cast, OwnCriterion, Probe, Procedure, TaskKind, check_data, needs_teacher,
    takes_any_classes,
};
use limbeck_nn::Network;
use serde_json::Value;

use crate::TrainError;

/// The method of a run.
#[derive(Clone, Debug)]
pub(crate) struct ChosenMethod {
    /// `None` where it is one of the catalogue, which the recipe names.
    own: Option<OwnCriterion>,
    needs_teacher: bool,
    any_classes: bool,
}

impl ChosenMethod {
    /// The method that the catalogue calls `name`.
    ///
    /// # Errors
    /// An unknown method.
    pub fn of_catalogue(name: &str) -> Result<Self, TrainError> {
        Ok(Self {
            own: None,
            needs_teacher: needs_teacher(name)?,
            any_classes: takes_any_classes(name)?,
        })
    }

    /// One's own.
    pub fn own(criterion: OwnCriterion) -> Self {
        Self {
            needs_teacher: criterion.needs_teacher(),
            any_classes: false,
            own: Some(criterion),
        }
    }

    /// Whether it is not one of the catalogue.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Whether a part of it reads a teacher.
    pub fn needs_teacher(&self) -> bool {
        self.needs_teacher
    }

    /// Whether the teacher's classes and its task may be others than the student's.
    pub fn takes_any_classes(&self) -> bool {
        self.any_classes
    }

    /// What tells it from others of its name; empty for one of the catalogue.
    pub fn identity(&self) -> &str {
        self.own.as_ref().map_or("", OwnCriterion::identity)
    }

    /// Refuses data that it cannot learn from: another task's, or images without the labels that it
    /// needs. Of one's own it is not known; a term that misses its labels says so.
    ///
    /// # Errors
    /// What is missing, and which methods fit.
    pub fn check(
        &self,
        name: &str,
        settings: &BTreeMap<String, Value>,
        task: TaskKind,
        labelled: bool,
    ) -> Result<(), TrainError> {
        match self.own {
            Some(_) => Ok(()),
            None => Ok(check_data(name, settings, task, labelled)?),
        }
    }

    /// The method called `name`, which is this one or the baseline, and everybody that it trains.
    ///
    /// # Errors
    /// Settings out of range, or features that cannot be matched.
    pub fn cast(
        &self,
        name: &str,
        settings: &BTreeMap<String, Value>,
        probe: &Probe,
        student: Network,
    ) -> Result<(Box<dyn Procedure>, Cast), TrainError> {
        if let Some(own) = self.own.as_ref().filter(|_| name != BASELINE) {
            return Ok(own.cast(probe, student)?);
        }
        Ok(limbeck_methods::cast(name, settings, probe, student)?)
    }
}
