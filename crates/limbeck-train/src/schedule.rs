//! The learning rate as a function of the step.
//!
//! With S steps in the whole run, W of them warm-up (`warmup_epochs` · steps of an epoch, rounded)
//! and peak p, step s (counted from 0 over the whole run, every step anew) has
//! - s < W: w + (p − w) · (s + 1) / W, with w the rate that the warm-up starts from;
//! - `constant`: p;
//! - `multi-step`: p · gamma^(milestones m with s ≥ round(m · S)); milestones count the warm-up
//!   in, so that they stay where a protocol puts them;
//! - `cosine`: minimum + (p − minimum) · (1 + cos(π t)) / 2 with t = (s − W) / (S − W)
//!   (Loshchilov and Hutter, "SGDR", ICLR 2017, equation 5, without restarts);
//! - `polynomial`: minimum + (p − minimum) · (1 − t)^power.
//!
//! While it warms up, biases may have w_b + (p − w_b) · (s + 1) / W, and momentum m + (μ − m) · (s + 1) / W.
//!
//! t stays below 1: the minimum would be reached by the step after the last.

use std::f64::consts::PI;

use crate::recipe::{Recipe, ScheduleName, ScheduleRecipe};

/// What warms up besides the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// How far it is, above 0; 1 when it is over.
    pub share: f64,
    /// What biases and shifts of norms have their learning rates times.
    pub bias_factor: f64,
    /// Momentum that it starts from.
    pub momentum: Option<f64>,
}

impl Warmup {
    /// The momentum now, of one that will have `own`.
    pub fn momentum(&self, own: f64) -> f64 {
        match self.momentum {
            Some(start) if self.share < 1.0 => start + (own - start) * self.share,
            _ => own,
        }
    }
}

/// The learning rate over a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    peak: f64,
    recipe: ScheduleRecipe,
}

impl Schedule {
    /// Of a peak learning rate and a shape.
    pub fn new(peak: f64, recipe: &ScheduleRecipe) -> Self {
        Self {
            peak,
            recipe: recipe.clone(),
        }
    }

    /// Of a whole recipe.
    pub fn of(recipe: &Recipe) -> Self {
        Self::new(recipe.optimizer.learning_rate, &recipe.schedule)
    }

    /// The learning rate of `step`, counted from 0 over the whole run of `epochs` epochs with
    /// `steps_per_epoch` optimiser steps each. A step beyond the run has the last one's.
    pub fn learning_rate(&self, step: usize, steps_per_epoch: usize, epochs: usize) -> f64 {
        self.of_steps(step, steps_per_epoch, steps_per_epoch * epochs)
    }

    fn warmup_steps(&self, steps_per_epoch: usize) -> f64 {
        match self.recipe.warmup_iterations {
            Some(steps) => steps as f64,
            None => (self.recipe.warmup_epochs * steps_per_epoch as f64).round(),
        }
    }

    /// What else warms up at `step`; `None` where nothing does in this run.
    pub fn warmup(&self, step: usize, steps_per_epoch: usize) -> Option<Warmup> {
        let recipe = &self.recipe;
        if recipe.warmup_biases.is_none() && recipe.warmup_momentum.is_none() {
            return None;
        }
        let (reached, steps) = (step as f64 + 1.0, self.warmup_steps(steps_per_epoch));
        let share = if reached < steps {
            reached / steps
        } else {
            1.0
        };
        let rise = |start: f64| start + (self.peak - start) * share;
        let bias_factor = match recipe.warmup_biases {
            Some(start) if share < 1.0 => rise(start) / rise(recipe.warmup_start),
            _ => 1.0,
        };
        Some(Warmup {
            share,
            bias_factor,
            momentum: recipe.warmup_momentum,
        })
    }

    /// The same of a run of `total` steps, whose last epoch may be a part of one.
    pub fn of_steps(&self, step: usize, steps_per_epoch: usize, total: usize) -> f64 {
        let recipe = &self.recipe;
        let total = total.max(1);
        let step = step.min(total - 1) as f64;
        let total = total as f64;
        let warmup = self.warmup_steps(steps_per_epoch);
        if step < warmup {
            let start = recipe.warmup_start;
            return start + (self.peak - start) * (step + 1.0) / warmup;
        }
        let passed = (step - warmup) / (total - warmup);
        let between = |share: f64| recipe.minimum + (self.peak - recipe.minimum) * share;
        match recipe.name {
            ScheduleName::Constant => self.peak,
            ScheduleName::MultiStep => {
                let reached = |&&at: &&f64| step >= (at * total).round();
                let count = recipe.milestones.iter().filter(reached).count();
                self.peak * recipe.gamma.powi(count as i32)
            }
            ScheduleName::Cosine => between((1.0 + (PI * passed).cos()) / 2.0),
            ScheduleName::Polynomial => between((1.0 - passed).powf(recipe.power)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn biases_and_momentum_have_a_warm_up_of_their_own() {
        let recipe = ScheduleRecipe {
            warmup_epochs: 1.0,
            warmup_biases: Some(0.1),
            warmup_momentum: Some(0.8),
            ..ScheduleRecipe::default()
        };
        let schedule = Schedule::new(0.01, &recipe);
        let at = |step| schedule.warmup(step, 10).unwrap();
        let first = at(0);
        close(schedule.learning_rate(0, 10, 5) * first.bias_factor, 0.091);
        close(first.momentum(0.937), 0.8137);
        let middle = at(4);
        close(schedule.learning_rate(4, 10, 5) * middle.bias_factor, 0.055);
        for step in [9, 10, 40] {
            assert_eq!(
                (at(step).bias_factor, at(step).momentum(0.937)),
                (1.0, 0.937)
            );
        }
        assert_eq!(
            self::schedule(ScheduleName::Cosine, 1.0).warmup(0, 10),
            None
        );
    }

    fn schedule(name: ScheduleName, warmup_epochs: f64) -> Schedule {
        let recipe = ScheduleRecipe {
            name,
            warmup_epochs,
            ..ScheduleRecipe::default()
        };
        Schedule::new(0.05, &recipe)
    }

    fn close(found: f64, expected: f64) {
        assert!(
            (found - expected).abs() < 1e-15,
            "{found} is not {expected}"
        );
    }

    #[test]
    fn the_cifar_protocol_divides_by_ten_at_epochs_150_180_and_210() {
        let schedule = schedule(ScheduleName::MultiStep, 0.0);
        let at = |epoch: usize, step: usize| schedule.learning_rate(epoch * 782 + step, 782, 240);
        for (epoch, expected) in [(149, 0.05), (179, 0.005), (209, 0.0005), (239, 0.00005)] {
            close(at(epoch, 781), expected);
        }
        for (epoch, expected) in [(0, 0.05), (150, 0.005), (180, 0.0005), (210, 0.00005)] {
            close(at(epoch, 0), expected);
        }
    }

    #[test]
    fn warm_up_rises_linearly_and_reaches_the_peak_with_its_last_step() {
        for name in [
            ScheduleName::Constant,
            ScheduleName::MultiStep,
            ScheduleName::Cosine,
            ScheduleName::Polynomial,
        ] {
            let schedule = schedule(name, 0.5);
            for (step, share) in [(0, 0.2), (1, 0.4), (3, 0.8), (4, 1.0), (5, 1.0)] {
                close(schedule.learning_rate(step, 10, 4), 0.05 * share);
            }
        }
    }

    #[test]
    fn cosine_is_at_half_height_half_way_between_warm_up_and_end() {
        let mut schedule = schedule(ScheduleName::Cosine, 2.0);
        schedule.recipe.minimum = 0.01;
        close(schedule.learning_rate(60, 10, 10), 0.03);
        // A quarter of the way: 0.01 + 0.04 · (1 + cos 45°)/2.
        close(
            schedule.learning_rate(40, 10, 10),
            0.01 + 0.02 * (1.0 + 0.5_f64.sqrt()),
        );
    }

    #[test]
    fn polynomial_of_power_one_falls_along_a_line() {
        let mut schedule = schedule(ScheduleName::Polynomial, 0.0);
        schedule.recipe.power = 1.0;
        close(schedule.learning_rate(25, 10, 10), 0.05 * 0.75);
        close(schedule.learning_rate(99, 10, 10), 0.05 * 0.01);
        schedule.recipe.power = 2.0;
        close(schedule.learning_rate(25, 10, 10), 0.05 * 0.5625);
    }

    #[test]
    fn iterations_are_counted_whatever_an_epoch_is() {
        // SegFormer's schedule, shortened: 5 steps of warm-up, then a line down to 0 at step 40.
        let mut schedule = schedule(ScheduleName::Polynomial, 3.0);
        schedule.recipe.power = 1.0;
        schedule.recipe.warmup_iterations = Some(5);
        for steps_per_epoch in [7, 100] {
            let at = |step| schedule.of_steps(step, steps_per_epoch, 40);
            close(at(0), 0.05 / 5.0);
            close(at(4), 0.05);
            close(at(5), 0.05);
            close(at(26), 0.05 * (1.0 - 21.0 / 35.0));
            close(at(39), 0.05 / 35.0);
        }
    }

    #[test]
    fn a_run_that_is_all_warm_up_and_one_without_steps_stay_finite() {
        for name in [ScheduleName::Cosine, ScheduleName::Polynomial] {
            let schedule = schedule(name, 2.0);
            assert_eq!(schedule.learning_rate(19, 10, 2), 0.05);
            assert_eq!(schedule.learning_rate(1000, 10, 2), 0.05);
            assert!(schedule.learning_rate(0, 0, 0).is_finite());
        }
    }
}
