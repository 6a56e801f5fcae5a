//! The upper bound of a run that adapts to another domain: the student, trained on that domain's labels.
//!
//! It starts from the baseline's weights and learns by the baseline's recipe for as many steps: where the
//! two domains have other numbers of images, epochs are others and steps are the same.

use limbeck_data::{Domains, Labelling, Loader, Part};
use limbeck_methods::{Images, Section, TaskKind};

use super::{Plan, box_content::has_boxes, mask_content::has_pixels, run_length::steps_of};
use crate::{
    TrainError,
    job::loader_config,
    recipe::{Recipe, TargetRecipe},
};

/// What upper bounds are trained on, by what, and how.
pub(crate) struct UpperBound {
    /// The run's, with as many steps as the baseline has.
    pub recipe: Recipe,
    /// The target's images to learn from.
    pub train: Part,
    /// Those to choose by.
    pub validation: Part,
}

impl Plan {
    /// Says whether there will be an upper bound, and why; of a run with one domain nothing.
    pub(super) fn settle_upper_bound(&mut self, notes: &mut Vec<String>) -> Result<(), TrainError> {
        let Some(domains) = &self.dataset.domains else {
            return Ok(());
        };
        if let Some(reason) = self.without_upper_bound(domains)? {
            notes.push(format!("upper bound: none, {reason}"));
            return Ok(());
        }
        let (train, validation) = (domains.target.clone(), domains.target_validation.clone());
        let mut recipe = self.recipe.clone();
        let batch = recipe.data.batch;
        let of_source = steps_of(self.train(recipe.train.seed)?.len(), batch);
        let asked = recipe.train.iterations;
        let all = asked.unwrap_or(recipe.train.epochs * of_source);
        let warmup = (recipe.schedule.warmup_epochs * of_source as f64).round() as usize;
        recipe.schedule.warmup_iterations.get_or_insert(warmup);
        recipe.train.iterations = Some(all);
        recipe.train.epochs = all.div_ceil(steps_of(train.len(), batch));
        let config = loader_config(&recipe, &train, recipe.train.seed, Images::default(), 0);
        Loader::new(train.clone(), self.augment.clone(), true, config)?;
        self.evaluation_set_of(&validation, Section::Validation)?;
        let (images, epochs) = (train.len(), recipe.train.epochs);
        self.upper_bound = Some(UpperBound {
            recipe,
            train,
            validation,
        });
        notes.push(format!(
            "upper bound: for each seed the student is trained on the target's labels too (bound-SEED, \
             {images} images), {all} steps as the baseline, which are {epochs} epochs; {} trainings in all \
             (data.target.upper_bound = false leaves it out)",
            self.trainings()?
        ));
        Ok(())
    }

    /// Why there is no upper bound; `None` where there is one.
    fn without_upper_bound(&self, domains: &Domains) -> Result<Option<&'static str>, TrainError> {
        let labelling = domains.target.labelling();
        let is_labelled = labelling == self.dataset.labelling
            && match labelling {
                Labelling::None => false,
                Labelling::Classes => true,
                Labelling::Masks => has_pixels(&domains.target),
                Labelling::Boxes => has_boxes(&domains.target),
            };
        let target = self.recipe.data.target.as_ref();
        let is_wanted = |target: &TargetRecipe| target.upper_bound;
        Ok(if self.task == TaskKind::Pretraining {
            Some("since what is pre-trained learns from no labels")
        } else if !target.is_none_or(is_wanted) {
            Some("as data.target.upper_bound says")
        } else if !is_labelled {
            Some("since the target's images to learn from have no labels")
        } else if !self.has_baseline()? {
            Some("since it is trained beside a baseline (--baseline)")
        } else {
            None
        })
    }
}
