//! Differential evolution over the weights of an ensemble.
//!
//! Storn, Price. "Differential Evolution". Journal of Global Optimization 11, 1997.

use serde::{Deserialize, Serialize};

use limbeck_data::Stream;

use crate::MethodError;

const ID: &str = "wtakd";

/// Added to probabilities before their logarithm is taken (the card's definition).
const GUARD: f64 = 1e-12;
/// The search ends when the fitnesses spread less than this share of their mean.
const SPREAD: f64 = 1e-7;
/// How far from one the probabilities of an image may sum up: single precision over some
/// thousand classes.
const SUM_TOLERANCE: f64 = 1e-3;

/// What is minimised on the held-out images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnsembleObjective {
    /// Share of the images whose most probable class is another than the labelled one.
    #[default]
    Error,
    /// Mean of −log(probability of the labelled class + 1e-12).
    Nll,
}

/// How trial weights are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvolutionStrategy {
    /// Around a random member, with a fixed mutation factor.
    #[default]
    Rand1bin,
    /// Around the best member, with a factor drawn from [0.5, 1] for each generation (SciPy's
    /// default).
    Best1bin,
}

/// What the assistants predict for images that none of them was trained on.
#[derive(Clone, Debug)]
pub struct HeldOutPredictions {
    /// `[M, N, K]`, flat.
    probabilities: Vec<f64>,
    /// `[N]`.
    labels: Vec<usize>,
    assistants: usize,
    classes: usize,
}

impl HeldOutPredictions {
    /// From the probabilities of each assistant, each `[N, K]` flat, and the labels `[N]`.
    ///
    /// # Errors
    /// No assistant, no image, lists of different lengths, labels out of range, or probabilities
    /// of an image that do not sum to one.
    pub fn new(assistants: &[Vec<f64>], labels: &[i64]) -> Result<Self, MethodError> {
        let refuse = |reason: String| Err(MethodError::Batch { method: ID, reason });
        if assistants.is_empty() {
            return refuse("needs the predictions of one assistant or more".to_owned());
        }
        if labels.is_empty() {
            return refuse(
                "needs held-out images to choose the weights by, and there are none; raise \
                 `held_out`"
                    .to_owned(),
            );
        }
        let length = assistants[0].len();
        let classes = length / labels.len();
        let even = assistants.iter().all(|list| list.len() == length);
        if !even || classes == 0 || classes * labels.len() != length {
            let lengths: Vec<usize> = assistants.iter().map(Vec::len).collect();
            return refuse(format!(
                "needs as many probabilities from each assistant, and a row of them for each of \
                 the {} labels; found {lengths:?}",
                labels.len()
            ));
        }
        for (assistant, list) in (1..).zip(assistants) {
            for (image, row) in list.chunks_exact(classes).enumerate() {
                let sum: f64 = row.iter().sum();
                if sum.is_nan() || (sum - 1.0).abs() > SUM_TOLERANCE {
                    return refuse(format!(
                        "probabilities have to sum to 1; those of assistant {assistant} for \
                         held-out image {image} sum to {sum}"
                    ));
                }
            }
        }
        let label = |&label: &i64| usize::try_from(label).ok().filter(|&l| l < classes);
        let Some(labels) = labels.iter().map(label).collect() else {
            return refuse(format!("labels have to be below the {classes} classes"));
        };
        Ok(Self {
            probabilities: assistants.concat(),
            labels,
            assistants: assistants.len(),
            classes,
        })
    }

    /// The objective of the ensemble with these weights, one for each assistant.
    pub fn objective(&self, objective: EnsembleObjective, weights: &[f64]) -> f64 {
        let weights = shares(weights);
        let (images, classes) = (self.labels.len(), self.classes);
        let mut mixed = vec![0.0; classes];
        let (mut right, mut logarithms) = (0_usize, 0.0);
        for (image, &label) in self.labels.iter().enumerate() {
            mixed.fill(0.0);
            for (assistant, weight) in weights.iter().enumerate() {
                let start = (assistant * images + image) * classes;
                let row = &self.probabilities[start..start + classes];
                for (sum, probability) in mixed.iter_mut().zip(row) {
                    *sum += weight * probability;
                }
            }
            match objective {
                EnsembleObjective::Error => right += usize::from(first_greatest(&mixed) == label),
                EnsembleObjective::Nll => logarithms += (mixed[label] + GUARD).ln(),
            }
        }
        match objective {
            EnsembleObjective::Error => 1.0 - right as f64 / images as f64,
            EnsembleObjective::Nll => -logarithms / images as f64,
        }
    }

    /// Number of assistants.
    pub fn assistants(&self) -> usize {
        self.assistants
    }
}

/// Weights divided by their sum; equal ones where that is zero.
fn shares(weights: &[f64]) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    if sum == 0.0 {
        return vec![1.0 / weights.len() as f64; weights.len()];
    }
    weights.iter().map(|weight| weight / sum).collect()
}

fn first_greatest(numbers: &[f64]) -> usize {
    let mut best = 0;
    for (index, &number) in numbers.iter().enumerate() {
        if number > numbers[best] {
            best = index;
        }
    }
    best
}

/// What is drawn for one member's trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Members a, b, c: the mutant is a + factor · (b − c), cut to [0, 1].
    pub members: [usize; 3],
    /// Factor of the difference.
    pub factor: f64,
    /// One number of [0, 1) for each gene: below the crossover rate, the mutant's is taken.
    pub cross: Vec<f64>,
    /// The gene that is the mutant's in any case.
    pub gene: usize,
}

/// A population of weights in [0, 1] with the objective of each, which is to become small.
#[derive(Clone, Debug)]
pub struct Evolution {
    /// Members, each with a gene for each assistant.
    pub members: Vec<Vec<f64>>,
    /// Objective of each member.
    pub fitness: Vec<f64>,
}

impl Evolution {
    /// Measures a first population.
    pub fn new(members: Vec<Vec<f64>>, objective: impl Fn(&[f64]) -> f64) -> Self {
        let fitness = members.iter().map(|member| objective(member)).collect();
        Self { members, fitness }
    }

    /// A generation: a trial for each member from the population as it is; a trial takes its
    /// member's place if it is not worse, after all have been made.
    pub fn advance(&mut self, trials: &[Trial], crossover: f64, objective: impl Fn(&[f64]) -> f64) {
        let made: Vec<Vec<f64>> = self
            .members
            .iter()
            .zip(trials)
            .map(|(member, trial)| self.cross(member, trial, crossover))
            .collect();
        for (index, trial) in made.into_iter().enumerate() {
            let fitness = objective(&trial);
            if fitness <= self.fitness[index] {
                self.members[index] = trial;
                self.fitness[index] = fitness;
            }
        }
    }

    fn cross(&self, member: &[f64], trial: &Trial, crossover: f64) -> Vec<f64> {
        let [a, b, c] = trial.members.map(|index| &self.members[index]);
        let gene = |(index, &own): (usize, &f64)| {
            if trial.cross[index] < crossover || index == trial.gene {
                (a[index] + trial.factor * (b[index] - c[index])).clamp(0.0, 1.0)
            } else {
                own
            }
        };
        member.iter().enumerate().map(gene).collect()
    }

    /// The member with the smallest objective, the first of several.
    pub fn best(&self) -> usize {
        let mut best = 0;
        for (index, &fitness) in self.fitness.iter().enumerate() {
            if fitness < self.fitness[best] {
                best = index;
            }
        }
        best
    }

    /// The best member, divided by its sum.
    pub fn weights(&self) -> Vec<f64> {
        shares(&self.members[self.best()])
    }

    /// Whether all members are as good as each other.
    fn has_converged(&self) -> bool {
        let count = self.fitness.len() as f64;
        let mean = self.fitness.iter().sum::<f64>() / count;
        let squares = self.fitness.iter().map(|fitness| (fitness - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count).sqrt();
        deviation <= SPREAD * mean.abs()
    }
}

/// How the weights are searched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    pub objective: EnsembleObjective,
    pub strategy: EvolutionStrategy,
    pub population: usize,
    pub generations: usize,
    pub mutation: f64,
    pub crossover: f64,
    pub seed_unit_vectors: bool,
    pub seed: u64,
}

impl Search {
    /// The best weights that are found, summing to one.
    pub fn run(&self, predictions: &HeldOutPredictions) -> Vec<f64> {
        let genes = predictions.assistants();
        let objective = |weights: &[f64]| predictions.objective(self.objective, weights);
        let mut random = Stream::of_seed(self.seed);
        let mut members: Vec<Vec<f64>> = (0..self.population)
            .map(|_| (0..genes).map(|_| random.unit()).collect())
            .collect();
        if self.seed_unit_vectors {
            for (index, member) in members.iter_mut().take(genes).enumerate() {
                member.fill(0.0);
                member[index] = 1.0;
            }
        }
        let mut evolution = Evolution::new(members, objective);
        for _ in 0..self.generations {
            if evolution.has_converged() {
                break;
            }
            let trials = self.trials(&evolution, &mut random, genes);
            evolution.advance(&trials, self.crossover, objective);
        }
        evolution.weights()
    }

    fn trials(&self, evolution: &Evolution, random: &mut Stream, genes: usize) -> Vec<Trial> {
        let factor = match self.strategy {
            EvolutionStrategy::Rand1bin => self.mutation,
            EvolutionStrategy::Best1bin => 0.5 + 0.5 * random.unit(),
        };
        (0..self.population)
            .map(|own| {
                let mut members = three_others(random, self.population, own);
                if self.strategy == EvolutionStrategy::Best1bin {
                    members[0] = evolution.best();
                }
                Trial {
                    members,
                    factor,
                    cross: (0..genes).map(|_| random.unit()).collect(),
                    gene: random.below(genes),
                }
            })
            .collect()
    }
}

/// Three different numbers below `count`, which is at least 4, none of them `own`.
fn three_others(random: &mut Stream, count: usize, own: usize) -> [usize; 3] {
    let mut taken = vec![own];
    std::array::from_fn(|_| {
        loop {
            let drawn = random.below(count);
            if !taken.contains(&drawn) {
                taken.push(drawn);
                return drawn;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [i64; 4] = [0, 1, 1, 0];

    fn rows(of_labelled: f64) -> Vec<f64> {
        let row = |&label: &i64| match label {
            0 => [of_labelled, 1.0 - of_labelled],
            _ => [1.0 - of_labelled, of_labelled],
        };
        LABELS.iter().flat_map(row).collect()
    }

    fn search(objective: EnsembleObjective) -> Search {
        Search {
            objective,
            strategy: EvolutionStrategy::Rand1bin,
            population: 30,
            generations: 60,
            mutation: 0.8,
            crossover: 0.7,
            seed_unit_vectors: true,
            seed: 1,
        }
    }

    #[test]
    fn an_assistant_that_knows_nothing_gets_a_small_weight() {
        let predictions = HeldOutPredictions::new(&[rows(0.9), rows(0.5)], &LABELS).unwrap();
        for strategy in [EvolutionStrategy::Rand1bin, EvolutionStrategy::Best1bin] {
            let search = Search {
                strategy,
                ..search(EnsembleObjective::Nll)
            };
            let weights = search.run(&predictions);
            assert!(weights[1] < 0.05, "{strategy:?}: {weights:?}");
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(weights.iter().all(|&weight| weight >= 0.0));
        }
    }

    #[test]
    fn a_single_assistant_gets_all_the_weight() {
        let predictions = HeldOutPredictions::new(&[rows(0.6)], &LABELS).unwrap();
        for objective in [EnsembleObjective::Error, EnsembleObjective::Nll] {
            assert_eq!(search(objective).run(&predictions), [1.0]);
        }
    }

    #[test]
    fn the_ensemble_is_no_worse_than_its_best_assistant_and_never_gets_worse() {
        let mixed = [0.9, 0.1, 0.6, 0.4, 0.2, 0.8, 0.7, 0.3].to_vec();
        let assistants = [rows(0.55), mixed, rows(0.8)];
        let predictions = HeldOutPredictions::new(&assistants, &LABELS).unwrap();
        for objective in [EnsembleObjective::Error, EnsembleObjective::Nll] {
            let of = |weights: &[f64]| predictions.objective(objective, weights);
            let found = of(&search(objective).run(&predictions));
            for single in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] {
                assert!(found <= of(&single) + 1e-12, "{objective:?}");
            }
            let mut random = Stream::of_seed(9);
            let start = (0..8).map(|_| (0..3).map(|_| random.unit()).collect());
            let mut evolution = Evolution::new(start.collect(), of);
            let search = Search {
                population: 8,
                ..search(objective)
            };
            for _ in 0..20 {
                let before = evolution.fitness[evolution.best()];
                let trials = search.trials(&evolution, &mut random, 3);
                evolution.advance(&trials, 0.7, of);
                assert!(evolution.fitness[evolution.best()] <= before);
                let genes = evolution.members.concat();
                assert!(genes.iter().all(|gene| (0.0..=1.0).contains(gene)));
            }
        }
    }

    #[test]
    fn weights_of_zero_count_as_equal_ones() {
        assert_eq!(shares(&[0.0, 0.0]), [0.5, 0.5]);
        assert_eq!(shares(&[1.0, 3.0]), [0.25, 0.75]);
    }

    #[test]
    fn three_others_are_different_and_not_the_own() {
        let mut random = Stream::of_seed(3);
        for round in 0..200 {
            let own = round % 4;
            let mut drawn = three_others(&mut random, 4, own).to_vec();
            drawn.push(own);
            drawn.sort_unstable();
            assert_eq!(drawn, [0, 1, 2, 3]);
        }
    }

    #[test]
    fn unfit_predictions_are_refused() {
        let refused = |assistants: &[Vec<f64>], labels: &[i64]| {
            HeldOutPredictions::new(assistants, labels)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(&[], &LABELS).contains("one assistant or more"));
        assert!(refused(&[Vec::new()], &[]).contains("raise `held_out`"));
        assert!(refused(&[rows(0.6), vec![1.0]], &LABELS).contains("as many probabilities"));
        assert!(refused(&[vec![0.6; 8]], &LABELS).contains("have to sum to 1"));
        assert!(refused(&[vec![f64::NAN; 8]], &LABELS).contains("have to sum to 1"));
        assert!(refused(&[rows(0.6)], &[0, 1, 2, 0]).contains("below the 2 classes"));
    }
}
