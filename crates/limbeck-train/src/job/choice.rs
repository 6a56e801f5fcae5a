//! Which of a job's weights are delivered: those of the epoch that was best on the validation
//! part, those of the last epoch, or the mean of the last epochs'.
//!
//! A validation part measures with an error: an accuracy `p` on `n` images has a standard error of
//! √(p(1−p)/n), at most 50/√n points. Taking the best of many epochs takes the luckiest where that
//! error is larger than what the epochs differ by, and late epochs of a run differ by a point or
//! two. So a recipe that does not say takes the best epoch where the part has [`TELLING`] images or
//! more, and the last one elsewhere. The rule knows the number of images alone: it is settled
//! before training, and the same for a student and its baseline. Of segmentation the last epoch is
//! taken whatever the number of images, as its protocols do: what a mean IoU errs by is not known from
//! that number, and the learning rate has come to its end.

use burn::tensor::Tensor;
use limbeck_kernels::moving_average;
use limbeck_methods::TaskKind;
use limbeck_nn::{Role, Store};
use serde::{Deserialize, Serialize};

use crate::recipe::{Choose, Recipe};

/// Images of a validation part that tells epochs apart: the standard error of an accuracy is 1.6
/// points at the most, and that of the difference between two late epochs, which agree on most
/// images, below one.
pub const TELLING: usize = 1_000;

/// Which weights are delivered, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Which.
    pub how: Choose,
    /// How many of the last epochs are averaged; read where `how` is [`Choose::Average`].
    pub epochs: usize,
    /// Images of the validation part.
    images: usize,
    task: TaskKind,
    /// Whether only a few images of each class are trained on.
    few: bool,
    /// Whether the recipe says which.
    asked: bool,
}

impl Choice {
    /// What the recipe says, or the validation part of `images` images allows.
    pub fn of(recipe: &Recipe, images: usize, task: TaskKind) -> Self {
        let few = recipe.data.shots.is_some();
        let recipe = &recipe.train;
        let tells = images >= TELLING && task == TaskKind::Classification;
        let by_rule = match tells && !few {
            true => Choose::Best,
            false => Choose::Last,
        };
        Self {
            how: recipe.choose.unwrap_or(by_rule),
            epochs: recipe.choose_epochs.min(recipe.epochs),
            images,
            task,
            few,
            asked: recipe.choose.is_some(),
        }
    }

    /// Which weights, and why, in a sentence.
    pub fn sentence(&self) -> String {
        let images = self.images;
        let error = 50.0 / (images.max(1) as f64).sqrt();
        if self.task == TaskKind::Pretraining && !self.asked {
            return "the last epoch: what is pre-trained is judged when it is used".to_owned();
        }
        if self.few && !self.asked {
            return "the last epoch: who has a few images of each class has none to choose by"
                .to_owned();
        }
        if self.task != TaskKind::Classification {
            return match (self.how, self.asked) {
                (Choose::Best, _) => {
                    "the epoch that is best on the validation part, as train.choose says".to_owned()
                }
                (Choose::Last, true) => "the last epoch, as train.choose says".to_owned(),
                (Choose::Last, false) => format!(
                    "the last epoch, as is usual for {}: of noisy measures, the best one is the \
                     luckiest",
                    self.task
                ),
                (Choose::Average, _) => format!(
                    "the mean of the weights of the last {} epochs, as train.choose says",
                    self.epochs
                ),
            };
        }
        match (self.how, self.asked) {
            (Choose::Best, _) if images >= TELLING => format!(
                "the epoch that is best on the validation part, whose {images} images tell epochs \
                 apart to {error:.1} points"
            ),
            (Choose::Best, _) => format!(
                "the epoch that is best on the validation part, as train.choose says, though \
                 {images} images tell epochs apart only to {error:.1} points"
            ),
            (Choose::Last, true) => "the last epoch, as train.choose says".to_owned(),
            (Choose::Last, false) => format!(
                "the last epoch, since {images} validation images are too few to choose by: they \
                 tell epochs apart only to {error:.1} points"
            ),
            (Choose::Average, _) => format!(
                "the mean of the weights of the last {} epochs, as train.choose says",
                self.epochs
            ),
        }
    }
}

/// What an epoch reached on the validation part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reached {
    /// What epochs are chosen by; more is better.
    pub score: f64,
    /// What equal epochs are chosen by; less is better, such as a mean cross entropy.
    pub cost: f64,
    /// Counted from 1 over all stages.
    pub epoch: usize,
}

impl Reached {
    /// Whether a later epoch is to be preferred: a higher score; of equal ones the lower cost; of
    /// those the later.
    pub fn gives_way_to(&self, later: &Self) -> bool {
        later.score > self.score || (later.score == self.score && later.cost <= self.cost)
    }
}

/// The file of a job's folder that has the weights that are chosen so.
pub(crate) fn weights_name(choice: &Choice) -> &'static str {
    match choice.how {
        Choose::Best => super::BEST,
        Choose::Last => super::LAST,
        Choose::Average => super::MEAN,
    }
}

/// Takes the numbers of one more epoch into their mean, as the `count`-th, counted from 1. Weights
/// and batch-norm statistics are averaged alike; counters and constants are copied.
pub(super) fn take_into_mean(mean: &mut Option<Store>, numbers: &Store, count: usize) {
    let Some(mean) = mean.as_mut().filter(|_| count > 1) else {
        *mean = Some(numbers.clone());
        return;
    };
    let kept = 1.0 - 1.0 / count as f64;
    for id in numbers.ids() {
        let entry = numbers.entry(id);
        let value: Tensor<1> = entry.value.clone();
        let value = match entry.role {
            Role::Counter | Role::Constant => value,
            _ => moving_average(mean.take(id), value, kept),
        };
        mean.set_taken(id, value);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};
    use limbeck_nn::{Builder, Init};

    use super::*;
    use crate::recipe::TrainRecipe;

    fn choice(choose: Option<Choose>, images: usize) -> Choice {
        let train = TrainRecipe {
            choose,
            ..TrainRecipe::default()
        };
        let recipe = Recipe {
            train,
            ..Recipe::default()
        };
        Choice::of(&recipe, images, TaskKind::Classification)
    }

    #[test]
    fn the_best_epoch_is_taken_where_the_validation_part_can_tell_and_the_last_elsewhere() {
        assert_eq!(choice(None, TELLING).how, Choose::Best);
        assert_eq!(choice(None, TELLING - 1).how, Choose::Last);
        assert!(choice(None, 6).sentence().contains("6 validation images"));
        assert!(choice(None, 6).sentence().contains("20.4 points"));
    }

    #[test]
    fn a_recipe_that_says_is_obeyed_and_told_where_the_images_are_few() {
        let few = choice(Some(Choose::Best), 6);
        assert_eq!(few.how, Choose::Best);
        assert!(few.sentence().contains("though 6 images"));
        for images in [6, 5_000] {
            let last = choice(Some(Choose::Last), images);
            assert_eq!(last.how, Choose::Last);
            assert_eq!(last.sentence(), "the last epoch, as train.choose says");
        }
        assert_eq!(choice(Some(Choose::Average), 6).how, Choose::Average);
    }

    #[test]
    fn a_run_of_few_epochs_averages_those_that_it_has() {
        let train = TrainRecipe {
            choose: Some(Choose::Average),
            choose_epochs: 5,
            epochs: 3,
            ..TrainRecipe::default()
        };
        let recipe = Recipe {
            train,
            ..Recipe::default()
        };
        let choice = Choice::of(&recipe, 6, TaskKind::Classification);
        assert_eq!(choice.epochs, 3);
        assert!(choice.sentence().contains("last 3 epochs"));
    }

    #[test]
    fn ties_go_to_the_lower_loss_and_then_to_the_later_epoch() {
        let reached = |score, cost| Reached {
            score,
            cost,
            epoch: 0,
        };
        let best = reached(90.0, 0.5);
        assert!(best.gives_way_to(&reached(91.0, 9.0)));
        assert!(best.gives_way_to(&reached(90.0, 0.4)));
        assert!(best.gives_way_to(&reached(90.0, 0.5)));
        assert!(!best.gives_way_to(&reached(90.0, 0.6)));
        assert!(!best.gives_way_to(&reached(89.0, 0.1)));
    }

    #[test]
    fn the_mean_is_that_of_weights_and_statistics_and_counters_are_copied() {
        let mut store = Store::new(&Device::flex(), DType::F64);
        let mut builder = Builder::new(&mut store, 0);
        builder.parameter("weight", &[1], Role::Weight, Init::Constant(0.0));
        builder.parameter("mean", &[1], Role::Statistic, Init::Constant(0.0));
        builder.parameter("seen", &[], Role::Counter, Init::Constant(0.0));
        let ids: Vec<_> = store.ids().collect();
        let mut mean = None;
        for (count, values) in [[3.0, 1.0, 7.0], [6.0, 2.0, 8.0], [0.0, 6.0, 9.0]]
            .into_iter()
            .enumerate()
        {
            for (&id, value) in ids.iter().zip(values) {
                store.set_values(id, vec![value]);
            }
            take_into_mean(&mut mean, &store, count + 1);
        }
        let mean = mean.unwrap();
        for (&id, expected) in ids.iter().zip([3.0, 3.0, 9.0]) {
            let found: Vec<f64> = mean.entry(id).value.to_data().iter::<f64>().collect();
            assert!((found[0] - expected).abs() < 1e-12, "{found:?}");
        }
    }
}
