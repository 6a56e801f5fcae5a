//! From what was trained and tested to `results.json`.

use std::path::Path;

use limbeck_nn::Network;
use limbeck_report::{
    DataSummary, Evaluation, NetworkSummary, Results, SeedResult, Version, paired_gain,
};

use super::{Plan, disagreements::disagreements};
use crate::{
    TrainError, environment, job::Finished, latency::latency_ms, metric::PartAnswers,
    run_folder::RunFolder,
};

/// What training and testing gave.
pub(super) struct Outcome<'a> {
    pub seeds: &'a [u64],
    pub teacher: Option<&'a Network>,
    /// Its file, where this run has trained it.
    pub teacher_weights: Option<&'a Path>,
    pub taught: Option<&'a (Evaluation, PartAnswers)>,
    pub students: &'a [Finished],
    pub tested: Vec<Evaluation>,
    pub student_answers: &'a [PartAnswers],
    pub baselines: &'a [Finished],
    pub baseline_tested: Vec<Evaluation>,
    pub command: &'a str,
    pub seconds: f64,
}

/// Puts everything together.
pub(super) fn results(
    plan: &Plan,
    folder: &RunFolder,
    outcome: Outcome<'_>,
) -> Result<Results, TrainError> {
    let student = &outcome.students[0].network;
    let scores = |all: &[Evaluation]| all.iter().map(Evaluation::score).collect::<Vec<f64>>();
    let gain = paired_gain(&scores(&outcome.tested), &scores(&outcome.baseline_tested));
    let disagreements = match (outcome.taught, outcome.student_answers.first()) {
        (Some((_, teacher)), Some(student)) => {
            disagreements(plan.test(), &student.choices, &teacher.choices)?
        }
        _ => Vec::new(),
    };
    let network = |network: &Network, file: Option<&Path>, test: Option<Evaluation>| {
        let cost = network.cost();
        NetworkSummary {
            name: network.name().to_owned(),
            params: network.store.trained_count() as u64,
            macs: cost.macs,
            activations: cost.activations,
            bytes: bytes_of(file, network),
            latency_ms: latency_ms(network),
            test,
        }
    };
    let seed_results = |finished: &[Finished], tested: Vec<Evaluation>| {
        finished
            .iter()
            .zip(tested)
            .zip(outcome.seeds)
            .map(|((finished, test), &seed)| SeedResult {
                seed,
                test,
                best_epoch: finished.best_epoch,
                chosen_epoch: finished.chosen_epoch,
                choice: finished.choice.clone(),
                epochs: finished.epochs.clone(),
                seconds: finished.seconds,
            })
            .collect()
    };
    Ok(Results {
        version: Version,
        run: folder.name(),
        method: plan.recipe.method.name.clone(),
        data: DataSummary {
            name: plan.dataset.name.clone(),
            classes: plan.classes.clone(),
            train: plan.dataset.train.len(),
            validation: plan.dataset.validation.len(),
            test: plan.dataset.test.len(),
            shape: [plan.input.channels, plan.input.height, plan.input.width],
        },
        teacher: outcome.teacher.map(|teacher| {
            let test = outcome.taught.map(|(evaluation, _)| evaluation.clone());
            network(teacher, outcome.teacher_weights, test)
        }),
        student: network(student, Some(&outcome.students[0].weights), None),
        students: seed_results(outcome.students, outcome.tested),
        baselines: seed_results(outcome.baselines, outcome.baseline_tested),
        gain,
        pairs: plan.pairs.clone(),
        disagreements,
        segmented: Vec::new(),
        seconds: outcome.seconds,
        recipe: plan.recipe.to_toml()?,
        command: outcome.command.to_owned(),
        environment: environment::describe(),
    })
}

/// Size of the weights file, or of the bare numbers where the file is elsewhere.
fn bytes_of(file: Option<&Path>, network: &Network) -> u64 {
    let found = file.and_then(|file| std::fs::metadata(file).ok());
    found.map_or_else(
        || {
            let numbers: usize = network
                .store
                .entries()
                .iter()
                .map(|entry| entry.shape.iter().product::<usize>())
                .sum();
            4 * numbers as u64
        },
        |metadata| metadata.len(),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_report_calls_the_baseline_as_the_methods_do() {
        assert_eq!(limbeck_report::BASELINE, limbeck_methods::BASELINE);
    }
}
