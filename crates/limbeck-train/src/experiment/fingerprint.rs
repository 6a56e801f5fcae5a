//! What decides the bits of a training, as hashes.

use std::path::Path;

use limbeck_methods::BASELINE;
use sha2::{Digest, Sha256};

use super::{Plan, named_network, upper_bound::UpperBound};
use crate::{
    TrainError,
    data::parts_fingerprint,
    model_source,
    recipe::{MethodRecipe, Recipe, StudentRecipe},
};

impl Plan {
    /// Changes with everything that decides the bits of a student: hashes of the recipe (threads,
    /// workers and places left out), of the images to learn from and to choose by, and of the
    /// teacher, joined by `-`. The test part decides nothing.
    ///
    /// # Errors
    /// A recipe that TOML cannot hold.
    pub fn fingerprint(&self) -> Result<String, TrainError> {
        self.fingerprint_of(&self.recipe, self.method.identity(), &self.data_fingerprint)
    }

    /// The same for a baseline, in which the method has no part: runs by several methods may have
    /// it in common.
    ///
    /// # Errors
    /// A recipe that TOML cannot hold.
    pub fn fingerprint_of_baseline(&self) -> Result<String, TrainError> {
        let mut recipe = self.recipe.clone();
        recipe.method = self.baseline_recipe()?;
        self.fingerprint_of(&recipe, "", &self.data_fingerprint)
    }

    /// The same for an upper bound, in which the source's images have no part either.
    ///
    /// # Errors
    /// A recipe that TOML cannot hold.
    pub(super) fn fingerprint_of_bound(&self, bound: &UpperBound) -> Result<String, TrainError> {
        let mut recipe = bound.recipe.clone();
        recipe.method = self.baseline_recipe()?;
        let data = parts_fingerprint([&bound.train, &bound.validation]);
        self.fingerprint_of(&recipe, "", &data)
    }

    /// The same for a teacher that is trained first, in which the student has no part either.
    ///
    /// # Errors
    /// A recipe that TOML cannot hold.
    pub fn fingerprint_of_teacher(&self) -> Result<String, TrainError> {
        let mut recipe = self.recipe.clone();
        recipe.method = self.baseline_recipe()?;
        recipe.student = StudentRecipe::default();
        self.fingerprint_of(&recipe, "", &self.data_fingerprint)
    }

    /// What a recipe says whose method is the baseline.
    fn baseline_recipe(&self) -> Result<MethodRecipe, TrainError> {
        let (name, settings) = self.baseline()?;
        if name == BASELINE {
            return Ok(MethodRecipe::default());
        }
        let mut method = MethodRecipe {
            name: name.to_owned(),
            ..MethodRecipe::default()
        };
        for (id, value) in settings {
            let table = toml::Table::try_from(value).map_err(|error| {
                TrainError::Setting(format!("method.{id} cannot be written: {error}"))
            })?;
            method.settings.insert(id, table);
        }
        Ok(method)
    }

    /// That of a training by `recipe` on images whose fingerprint is `data`.
    fn fingerprint_of(
        &self,
        recipe: &Recipe,
        method: &str,
        data: &str,
    ) -> Result<String, TrainError> {
        let mut recipe = recipe.clone();
        if let Some(weights) = &mut recipe.student.weights {
            *weights = model_source::sha256(Path::new(weights))?;
        }
        named_network::as_hashes(&mut recipe.method)?;
        // The hash of a backbone's file is in the identity of the network that starts from it.
        recipe.student.backbone = None;
        recipe.teacher.backbone = None;
        let mut teacher = Sha256::new();
        for side in self.teacher_augment.size {
            teacher.update(side.to_le_bytes());
        }
        if let Some(found) = &self.teacher {
            if found.is_trained() {
                recipe.teacher.source = None;
            }
            teacher.update(found.identity());
        }
        let mut whole = Sha256::new();
        whole.update(recipe.fingerprint()?);
        whole.update(self.blueprint.identity());
        whole.update(method);
        Ok(format!(
            "{}-{}-{}",
            model_source::hex(&whole.finalize()),
            data,
            model_source::hex(&teacher.finalize())
        ))
    }
}
