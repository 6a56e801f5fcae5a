//! A criterion that is not in the catalogue.

use std::fmt;
use std::sync::Arc;

use limbeck_nn::{Builder, Network};

use crate::{Cast, Criterion, Method, MethodError, OneStage, Probe, Procedure};

/// Fits the criterion to two networks; its modules are made at the builder's level.
type Build =
    dyn Fn(&Probe, &mut Builder<'_>) -> Result<Box<dyn Criterion>, MethodError> + Send + Sync;

/// A criterion of one's own, to be used where a recipe would name one of the catalogue.
#[derive(Clone)]
pub struct OwnCriterion {
    name: &'static str,
    identity: String,
    needs_teacher: bool,
    build: Arc<Build>,
}

impl OwnCriterion {
    /// A criterion called `name`. `identity` tells it from others of its name: a checkpoint is
    /// refused where that has changed, since nobody can see whether `build` has. `needs_teacher`
    /// says whether it reads one.
    pub fn new(
        name: &'static str,
        identity: &str,
        needs_teacher: bool,
        build: impl Fn(&Probe, &mut Builder<'_>) -> Result<Box<dyn Criterion>, MethodError>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            name,
            identity: identity.to_owned(),
            needs_teacher,
            build: Arc::new(build),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What tells it from others of its name.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether it reads a teacher.
    pub fn needs_teacher(&self) -> bool {
        self.needs_teacher
    }

    /// Makes it ready to train `student` with, as [`crate::cast`] does for the catalogue.
    ///
    /// # Errors
    /// Whatever its `build` refuses.
    pub fn cast(
        &self,
        probe: &Probe,
        student: Network,
    ) -> Result<(Box<dyn Procedure>, Cast), MethodError> {
        let method = Method::of(self.name, probe, |builder| (self.build)(probe, builder))?;
        let mut cast = Cast::new(student);
        Ok((Box::new(OneStage::new(method, &mut cast)), cast))
    }
}

impl fmt::Debug for OwnCriterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCriterion")
            .field("name", &self.name)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
