//! From what was trained and tested to `results.json`.

use std::collections::BTreeMap;
use std::path::Path;

use limbeck_data::Part;
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
        Choice, PartAnswers,
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

/// Networks that were trained alike, one for each seed or none.
pub(super) struct Trained {
    pub jobs: Vec<Finished>,
    /// What they reach on the test part.
    pub tested: Vec<Evaluation>,
    /// What they say of it.
    pub answers: Vec<PartAnswers>,
}

impl Trained {
    /// Measured on `test`, next to the teacher's answers where there is one.
    pub fn tested(
        jobs: Vec<Finished>,
        test: &EvaluationSet,
        teacher: Option<&PartAnswers>,
    ) -> Result<Self, TrainError> {
        let (mut tested, mut answers) = (Vec::new(), Vec::new());
        for finished in &jobs {
            let (evaluation, answer) = test.measure(&finished.network, teacher)?;
            tested.push(evaluation);
            answers.push(answer);
        }
        Ok(Self {
            jobs,
            tested,
            answers,
        })
    }

    fn scores(&self) -> Vec<f64> {
        self.tested.iter().map(Evaluation::score).collect()
    }

    fn both(&mut self) -> impl Iterator<Item = (&mut Evaluation, &PartAnswers)> {
        self.tested.iter_mut().zip(&self.answers)
    }
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
    pub students: Trained,
    pub baselines: Trained,
    /// Upper bounds.
    pub bounds: Trained,
    pub command: &'a str,
    /// Whether trainings went on side by side and why, where there was a choice.
    pub side_by_side: Option<&'a str>,
    pub seconds: f64,
}

/// Puts everything together.
pub(super) fn results(
    plan: &Plan,
    folder: &RunFolder,
    mut outcome: Outcome<'_>,
) -> Result<Results, TrainError> {
    let mut gain = paired_gain(&outcome.students.scores(), &outcome.baselines.scores());
    let mut pictures = Vec::new();
    let mut box_pictures = Vec::new();
    let data = Path::new(&plan.recipe.data.path);
    if plan.task == TaskKind::Segmentation {
        let groups = groups(plan.test().len(), plan.blocks.as_deref());
        if let Some(gain) = &mut gain {
            gain.resampled = gain_over_images(
                &pixels(&outcome.students.answers),
                &pixels(&outcome.baselines.answers),
                &groups,
            );
        }
        let take = |test: &mut Evaluation, answers: &PartAnswers| {
            if let Details::Segmentation(details) = &mut test.details {
                details.intervals = class_intervals(&answers.pixels, plan.classes.len(), &groups);
            }
        };
        let students = outcome.students.both().chain(outcome.baselines.both());
        for (test, answers) in students.chain(outcome.bounds.both()) {
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
        let (students, baselines) = (&outcome.students.answers, &outcome.baselines.answers);
        let bounds = &outcome.bounds.answers;
        let all = students.iter().chain(baselines).chain(bounds);
        let all: Vec<&PartAnswers> = all.chain(taught).collect();
        let found: Vec<&[Vec<Kept>]> = all.iter().map(|answers| &answers.boxes[..]).collect();
        let resampled = ResampledClasses::of(plan.test(), &found, classes, &groups)?;
        if let Some(gain) = &mut gain
            && let Some((of_students, others)) = resampled.split_at_checked(students.len())
            && let Some(of_baselines) = others.get(..baselines.len())
        {
            let images = plan.test().len();
            gain.resampled = boxes::gain_over_images(of_students, of_baselines, &groups, images);
        }
        let students = outcome.students.tested.iter_mut();
        let tests = students.chain(&mut outcome.baselines.tested);
        let tests = tests.chain(&mut outcome.bounds.tested);
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
    let disagreements = match (&outcome.taught, outcome.students.answers.first()) {
        (Some((_, teacher)), Some(student)) => {
            disagreements(plan.test(), &student.choices, &teacher.choices)?
        }
        _ => Vec::new(),
    };
    let first_job = &outcome.students.jobs[0];
    let (student, first) = (&first_job.network, &first_job.exhibits);
    let shown = match outcome.students.answers.first() {
        None => None,
        Some(student) => {
            let seen = Seen {
                teacher: outcome.taught.as_ref().map(|(_, answers)| answers),
                student,
                baseline: outcome.baselines.answers.first(),
            };
            let baseline = outcome.baselines.jobs.first().map(|job| &job.exhibits);
            pretrained(plan, outcome.test, &seen, first, baseline)?
        }
    };
    // Training keeps weights of few bits in single precision.
    let student_file = match student.quantisation() {
        Some(_) => folder.student(),
        None => first_job.weights.clone(),
    };
    let students = named("student", outcome.seeds, &outcome.students.tested);
    let baselines = named("baseline", outcome.seeds, &outcome.baselines.tested);
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
    let seed_results = |trained: &Trained| {
        let tested = trained.jobs.iter().zip(&trained.tested);
        tested
            .zip(&trained.answers)
            .zip(outcome.seeds)
            .map(|(((finished, test), answers), &seed)| SeedResult {
                seed,
                test: test.clone(),
                best_epoch: finished.best_epoch,
                chosen_epoch: finished.chosen_epoch,
                choice: finished.choice.clone(),
                epochs: finished.epochs.clone(),
                seconds: finished.seconds,
                memory: finished.memory.filter(|_| outcome.side_by_side.is_none()),
                right: right(plan.test(), &answers.choices),
            })
            .collect()
    };
    Ok(Results {
        version: Version,
        run: folder.name(),
        method: plan.recipe.method.name.clone(),
        data: DataSummary {
            name: tested_on(plan),
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
        students: seed_results(&outcome.students),
        baselines: seed_results(&outcome.baselines),
        bounds: seed_results(&outcome.bounds),
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
        generated: made_images(&first_job.made),
        seconds: outcome.seconds,
        // As in the run folder, from which a killed run goes on.
        recipe: plan.recipe.with_absolute_paths().to_toml()?,
        command: outcome.command.to_owned(),
        environment: environment(outcome.side_by_side),
    })
}

/// What the run ran on, and whether its trainings went on side by side.
fn environment(side_by_side: Option<&str>) -> BTreeMap<String, String> {
    let mut facts = environment::describe();
    if let Some(told) = side_by_side {
        facts.insert("trainings".to_owned(), told.to_owned());
    }
    facts
}

/// What the first seed's networks made of the test part.
fn made<'a>(outcome: &'a Outcome<'_>) -> Option<Made<'a>> {
    Some(Made {
        student: outcome.students.answers.first()?,
        baseline: outcome.baselines.answers.first(),
        teacher: outcome.taught.as_ref().map(|(_, answers)| answers),
    })
}

/// The data's name; that of the target too, where the student was adapted to it and its test part has labels.
fn tested_on(plan: &Plan) -> String {
    let dataset = &plan.dataset;
    let domains = dataset.domains.as_ref();
    let is_target = domains.is_some_and(|it| it.target.labelling() == dataset.labelling);
    match &plan.recipe.data.target {
        Some(target) if is_target => {
            let folder = Path::new(&target.path).file_name();
            let folder = folder.map_or(target.path.as_str().into(), |it| it.to_string_lossy());
            format!("{folder}, adapted to from {}", dataset.name)
        }
        _ => dataset.name.clone(),
    }
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

/// Which images of the test part `choices` are right of, four to a hexadecimal digit.
fn right(test: &Part, choices: &[Choice]) -> String {
    let right = choices.iter().enumerate();
    let right = right.map(|(index, choice)| test.class(index) == Some(choice.class));
    let right: Vec<bool> = right.collect();
    let digit = |four: &[bool]| {
        let bits =
            (0..4).map(|bit| u32::from(four.get(bit).copied().unwrap_or(false)) << (3 - bit));
        char::from_digit(bits.sum(), 16)
    };
    right.chunks(4).filter_map(digit).collect()
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
