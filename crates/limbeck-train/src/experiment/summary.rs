//! From what was trained and tested to `results.json`.

use std::path::Path;

use limbeck_methods::{BASELINE, detection::Kept};
use limbeck_nn::{Network, TaskKind, quantise::BitCost};
use limbeck_report::{
    DataSummary, Details, Evaluation, FewBits, NetworkSummary, Results, SeedResult, Version,
    paired_gain,
};

use super::{
    Plan,
    detected::detected,
    disagreements::disagreements,
    made_images::made_images,
    pretrained::{Seen, pretrained, prototypes},
    segmented::{Made, segmented},
};
use crate::{
    TrainError, environment,
    evaluate::EvaluationSet,
    job::Finished,
    latency::latency_ms,
    metric::{
        PartAnswers,
        boxes::{self, ResampledClasses},
        pixels::{ClassPixels, class_intervals, gain_over_images},
        resampling::groups,
    },
    represent::collapsed,
    run_folder::RunFolder,
    run_teacher::RunTeacher,
};

/// What networks are compared by, of the deployed student of few bits.
pub(super) struct ReadBack {
    /// As it was trained.
    pub trained: f64,
    /// Read from its file, its levels in single precision.
    pub read: f64,
    /// Read from its file and run in whole numbers, where it can be.
    pub in_whole_numbers: Option<f64>,
}

/// What training and testing gave.
pub(super) struct Outcome<'a> {
    pub seeds: &'a [u64],
    /// Of a student of few bits.
    pub read_back: Option<ReadBack>,
    /// What was tested on.
    pub test: &'a EvaluationSet,
    pub teacher: Option<&'a RunTeacher>,
    /// Its file, where this run has trained it.
    pub teacher_weights: Option<&'a Path>,
    pub taught: Option<(Evaluation, PartAnswers)>,
    pub students: &'a [Finished],
    pub tested: Vec<Evaluation>,
    pub student_answers: &'a [PartAnswers],
    pub baselines: &'a [Finished],
    pub baseline_tested: Vec<Evaluation>,
    pub baseline_answers: &'a [PartAnswers],
    pub command: &'a str,
    pub seconds: f64,
}

/// Puts everything together.
pub(super) fn results(
    plan: &Plan,
    folder: &RunFolder,
    mut outcome: Outcome<'_>,
) -> Result<Results, TrainError> {
    let student = &outcome.students[0].network;
    let scores = |all: &[Evaluation]| all.iter().map(Evaluation::score).collect::<Vec<f64>>();
    let mut gain = paired_gain(&scores(&outcome.tested), &scores(&outcome.baseline_tested));
    let mut pictures = Vec::new();
    let mut box_pictures = Vec::new();
    let data = Path::new(&plan.recipe.data.path);
    if plan.task == TaskKind::Segmentation {
        let groups = groups(plan.test().len(), plan.blocks.as_deref());
        if let Some(gain) = &mut gain {
            gain.resampled = gain_over_images(
                &pixels(outcome.student_answers),
                &pixels(outcome.baseline_answers),
                &groups,
            );
        }
        let take = |test: &mut Evaluation, answers: &PartAnswers| {
            if let Details::Segmentation(details) = &mut test.details {
                details.intervals = class_intervals(&answers.pixels, plan.classes.len(), &groups);
            }
        };
        let students = outcome.tested.iter_mut().zip(outcome.student_answers);
        let baselines = outcome
            .baseline_tested
            .iter_mut()
            .zip(outcome.baseline_answers);
        for (test, answers) in students.chain(baselines) {
            take(test, answers);
        }
        if let Some((test, answers)) = &mut outcome.taught {
            take(test, answers);
        }
        if let Some(made) = made(&outcome) {
            pictures = segmented(plan.test(), data, &made, &plan.classes)?;
        }
    }
    if plan.task == TaskKind::Detection {
        let groups = groups(plan.test().len(), plan.blocks.as_deref());
        let classes = plan.classes.len();
        let taught = outcome.taught.as_ref().map(|(_, answers)| answers);
        let (students, baselines) = (outcome.student_answers, outcome.baseline_answers);
        let all: Vec<&PartAnswers> = students.iter().chain(baselines).chain(taught).collect();
        let found: Vec<&[Vec<Kept>]> = all.iter().map(|answers| &answers.boxes[..]).collect();
        let resampled = ResampledClasses::of(plan.test(), &found, classes, &groups)?;
        if let Some(gain) = &mut gain
            && let Some((of_students, others)) = resampled.split_at_checked(students.len())
            && let Some(of_baselines) = others.get(..baselines.len())
        {
            let images = plan.test().len();
            gain.resampled = boxes::gain_over_images(of_students, of_baselines, &groups, images);
        }
        let tests = outcome
            .tested
            .iter_mut()
            .chain(&mut outcome.baseline_tested);
        let tests = tests.chain(outcome.taught.iter_mut().map(|(test, _)| test));
        for (test, resampled) in tests.zip(&resampled) {
            if let Details::Detection(details) = &mut test.details {
                details.intervals = resampled.intervals();
            }
        }
        if let Some(made) = made(&outcome) {
            box_pictures = detected(plan.test(), data, &made)?;
        }
    }
    let disagreements = match (&outcome.taught, outcome.student_answers.first()) {
        (Some((_, teacher)), Some(student)) => {
            disagreements(plan.test(), &student.choices, &teacher.choices)?
        }
        _ => Vec::new(),
    };
    let first = &outcome.students[0].exhibits;
    let shown = match outcome.student_answers.first() {
        None => None,
        Some(student) => {
            let seen = Seen {
                teacher: outcome.taught.as_ref().map(|(_, answers)| answers),
                student,
                baseline: outcome.baseline_answers.first(),
            };
            let baseline = outcome.baselines.first().map(|job| &job.exhibits);
            pretrained(plan, outcome.test, &seen, first, baseline)?
        }
    };
    // Training keeps weights of few bits in single precision.
    let student_file = match student.quantisation() {
        Some(_) => folder.student(),
        None => outcome.students[0].weights.clone(),
    };
    let students = named("student", outcome.seeds, &outcome.tested);
    let baselines = named("baseline", outcome.seeds, &outcome.baseline_tested);
    let warnings: Vec<String> = collapsed(students.chain(baselines)).into_iter().collect();
    let prototypes = prototypes(first);
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
            other_classes: Vec::new(),
            few_bits: None,
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
            let taught = outcome.taught.as_ref();
            let test = taught.map(|(evaluation, _)| evaluation.clone());
            NetworkSummary {
                other_classes: match teacher.knows_others() {
                    true => teacher.classes(),
                    false => Vec::new(),
                },
                ..network(teacher.network(), outcome.teacher_weights, test)
            }
        }),
        student: NetworkSummary {
            few_bits: few_bits(student, outcome.read_back.as_ref()),
            ..network(student, Some(&student_file), None)
        },
        students: seed_results(outcome.students, outcome.tested),
        baselines: seed_results(outcome.baselines, outcome.baseline_tested),
        beside: Some(plan.baseline()?.0)
            .filter(|&name| name != BASELINE)
            .map(str::to_owned),
        gain,
        pairs: plan.pairs.clone(),
        disagreements,
        segmented: pictures,
        detected: box_pictures,
        pretrained: shown,
        prototypes,
        warnings,
        generated: outcome
            .students
            .first()
            .map(|first| made_images(&first.made))
            .unwrap_or_default(),
        seconds: outcome.seconds,
        // As in the run folder, from which a killed run goes on.
        recipe: plan.recipe.with_absolute_paths().to_toml()?,
        command: outcome.command.to_owned(),
        environment: environment::describe(),
    })
}

/// What the first seed's networks made of the test part.
fn made<'a>(outcome: &'a Outcome<'_>) -> Option<Made<'a>> {
    Some(Made {
        student: outcome.student_answers.first()?,
        baseline: outcome.baseline_answers.first(),
        teacher: outcome.taught.as_ref().map(|(_, answers)| answers),
    })
}

/// What few bits save; `None` in full precision.
fn few_bits(network: &Network, read_back: Option<&ReadBack>) -> Option<FewBits> {
    let plan = network.quantisation()?;
    let cost = BitCost::of(network);
    Some(FewBits {
        bits: plan.to_string(),
        bytes: cost.bytes,
        full_bytes: bytes_of(None, network),
        bit_operations: cost.bit_operations,
        read_back: read_back.map(|back| [back.trained, back.read]),
        in_whole_numbers: read_back.and_then(|back| back.in_whole_numbers),
    })
}

/// What networks reached, with the names of their jobs.
fn named<'a>(
    who: &'static str,
    seeds: &'a [u64],
    tested: &'a [Evaluation],
) -> impl Iterator<Item = (String, &'a Evaluation)> {
    let tested = seeds.iter().zip(tested);
    tested.map(move |(seed, test)| (format!("{who}-{seed}"), test))
}

/// Pixels of each network by picture.
fn pixels(all: &[PartAnswers]) -> Vec<&[Vec<ClassPixels>]> {
    all.iter().map(|answers| &answers.pixels[..]).collect()
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
