//! The search for a smaller TinyViT: step by step the neighbour that learns best within limits.
//!
//! Wu et al. "TinyViT". ECCV 2022, section 3.2. Each step lists the neighbours of the net at hand
//! ([`limbeck_nn::model::tinyvit::neighbours`]), drops those that exceed the step's limits, trains
//! the others for a few epochs on labels, and goes on with the one that is best on the validation
//! part; of equals, the one with fewer multiply-accumulates.
//!
//! A search's folder is that of a run, with `contract.json` (what was asked for), `log.json` (what
//! was found so far) and `jobs/STEP-CANDIDATE/` for each training. A finished training is in the
//! log and is never done again; an interrupted one goes on from its checkpoint.

mod log;
mod measure;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use limbeck_methods::{BASELINE, Section};
use limbeck_nn::model::tinyvit::{Limits, Measures, TinyVitFactors, neighbours};
use limbeck_nn::{InputShape, Network};
use serde::{Deserialize, Serialize};

use crate::{
    TrainError,
    blueprint::build,
    experiment::{Plan, check_images},
    files,
    job::{Finished, JobEnd},
    observer::Observer,
    run_folder::RunFolder,
    step::Learner,
};

pub use log::{ContractLog, LoggedCandidate, LoggedStep};

/// Name of the file that says what was asked for.
const REQUEST: &str = "contract.json";
/// Name of the file that says what was found.
const LOG: &str = "log.json";
/// Most steps of a search.
pub const MOST_STEPS: usize = 100;

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Trained numbers at the most.
    pub max_params: Option<u64>,
    /// Multiply-accumulates for one image at the most.
    pub max_macs: Option<u64>,
    /// Images a second at the least, on this machine.
    pub min_images_per_second: Option<f64>,
    /// Steps on the way there, from 1.
    pub steps: usize,
}

impl Request {
    /// Refuses a search without aim or without steps.
    ///
    /// # Errors
    /// What is missing or out of range.
    pub fn check(&self) -> Result<(), TrainError> {
        let refuse = |reason: &str| Err(TrainError::Setting(reason.to_owned()));
        if self.max_params.is_none()
            && self.max_macs.is_none()
            && self.min_images_per_second.is_none()
        {
            return refuse(
                "the search has no aim; give --max-params, --max-macs or --min-images-per-second",
            );
        }
        if !(1..=MOST_STEPS).contains(&self.steps) {
            return Err(TrainError::Setting(format!(
                "--steps must be 1 to {MOST_STEPS}, found {}",
                self.steps
            )));
        }
        let fast = |speed: f64| speed > 0.0 && speed.is_finite();
        if !self.min_images_per_second.is_none_or(fast) {
            return refuse("--min-images-per-second must be a number above 0");
        }
        if self.max_params == Some(0) || self.max_macs == Some(0) {
            return refuse("--max-params and --max-macs must be at least 1");
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        Limits {
            most_parameters: self.max_params,
            most_macs: self.max_macs,
            least_macs: None,
            least_images_per_second: self.min_images_per_second,
        }
    }

    /// Writes what was asked for into a new search's folder.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn write(&self, folder: &RunFolder) -> Result<(), TrainError> {
        write_json(&folder.path().join(REQUEST), self)
    }

    /// What the search in `folder` was asked for; `None` where it is no search's folder.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, TrainError> {
        read_json(&folder.join(REQUEST))
    }
}

/// How a search ended.
pub enum ContractEnd {
    /// With the net that was found last, or none where no neighbour keeps to the limits.
    Finished(ContractLog),
    /// Stopped after a checkpoint.
    Interrupted,
}

/// Searches from `plan`'s student on; in the folder of an earlier search it goes on where that was.
///
/// # Errors
/// A student that is no TinyViT, limits that no neighbour keeps to, and whatever goes wrong in a
/// training.
pub fn execute(
    plan: &Plan,
    request: &Request,
    folder: &RunFolder,
    observer: &mut dyn Observer,
    interrupt: &AtomicBool,
) -> Result<ContractEnd, TrainError> {
    request.check()?;
    let search = Search {
        plan,
        request,
        folder,
        interrupt,
        validation: plan.evaluation_set(Section::Validation)?,
        fingerprint: plan.fingerprint()?,
    };
    search.run(observer)
}

struct Search<'a> {
    plan: &'a Plan,
    request: &'a Request,
    folder: &'a RunFolder,
    interrupt: &'a AtomicBool,
    validation: crate::evaluate::EvaluationSet,
    fingerprint: String,
}

impl Search<'_> {
    fn run(&self, observer: &mut dyn Observer) -> Result<ContractEnd, TrainError> {
        for note in &self.plan.notes {
            observer.note(note);
        }
        let (dataset, learnt) = (&self.plan.dataset, &self.plan.data_fingerprint);
        self.folder.recognise_data(dataset, learnt)?;
        if !check_images(dataset.parts(), observer, self.interrupt)? {
            return Ok(ContractEnd::Interrupted);
        }
        let base = TinyVitFactors::of(&self.plan.recipe.student.model)?;
        let mut log = match read_json(&self.folder.path().join(LOG))? {
            Some(log) => log,
            None => ContractLog::new(&base, self.measures(&base, true)?),
        };
        let start = log.base.measures();
        let limits = self.request.limits();
        for step in 1..=self.request.steps {
            let current = log.current(step)?;
            if log.steps.len() < step {
                if limits.allow(&log.measures_of(step)) {
                    break;
                }
                let wanted = limits.of_step(&start, step, self.request.steps);
                let candidates = self.list(&current, &wanted)?;
                if candidates.is_empty() {
                    return Err(TrainError::Setting(format!(
                        "no neighbour of `{current}` keeps to the limits of step {step} ({}); \
                         take more steps or wider limits",
                        log::describe(&wanted)
                    )));
                }
                log.steps.push(LoggedStep::new(&wanted, candidates));
                self.write(&log)?;
            }
            if !self.train_step(&mut log, step, observer)? {
                return Ok(ContractEnd::Interrupted);
            }
        }
        Ok(ContractEnd::Finished(log))
    }

    /// The neighbours of `current` within `limits`.
    fn list(
        &self,
        current: &TinyVitFactors,
        limits: &Limits,
    ) -> Result<Vec<LoggedCandidate>, TrainError> {
        let mut failure = None;
        let mut measured = BTreeMap::new();
        let nearest = neighbours(current, |net| match self.measures_within(net, limits) {
            Ok(Some(measures)) => {
                measured.insert(net.to_string(), measures);
                true
            }
            Ok(None) => false,
            Err(error) => {
                failure.get_or_insert(error);
                false
            }
        });
        if let Some(error) = failure {
            return Err(error);
        }
        let logged = |net: &TinyVitFactors| {
            let measures = measured.get(&net.to_string())?;
            Some(LoggedCandidate::new(net, *measures))
        };
        Ok(nearest.iter().filter_map(logged).collect())
    }

    /// What is known of a net that keeps to `limits`; one that cannot be built for these images
    /// keeps to none. Its speed is measured only where the counts are fine.
    fn measures_within(
        &self,
        net: &TinyVitFactors,
        limits: &Limits,
    ) -> Result<Option<Measures>, TrainError> {
        let measures = match self.measures(net, false) {
            Err(TrainError::Network(_)) => return Ok(None),
            measures => measures?,
        };
        if !limits.allow(&measures) {
            return Ok(None);
        }
        let measures = self.measures(net, true)?;
        Ok(limits.allow(&measures).then_some(measures))
    }

    /// Parameters and multiply-accumulates, and the speed where the request asks for one and
    /// `timed`.
    fn measures(&self, net: &TinyVitFactors, timed: bool) -> Result<Measures, TrainError> {
        let outline = limbeck_nn::model::outline(&net.to_string(), self.plan.input)?;
        let timed = timed && self.request.min_images_per_second.is_some();
        let images_per_second = match timed {
            true => Some(measure::images_per_second(&self.network(net)?)?),
            false => None,
        };
        Ok(Measures {
            parameters: outline.parameters as u64,
            macs: outline.cost.macs,
            images_per_second,
        })
    }

    fn network(&self, net: &TinyVitFactors) -> Result<Network, TrainError> {
        let input: InputShape = self.plan.input;
        build(&net.to_string(), input, self.plan.recipe.train.seed)
    }

    /// Trains what is left of a step's candidates and keeps the best; false if interrupted.
    fn train_step(
        &self,
        log: &mut ContractLog,
        step: usize,
        observer: &mut dyn Observer,
    ) -> Result<bool, TrainError> {
        let count = log.steps[step - 1].candidates.len();
        for index in 0..count {
            let candidate = &log.steps[step - 1].candidates[index];
            if candidate.score.is_some() {
                continue;
            }
            let name = format!("step-{step}-candidate-{}", index + 1);
            observer.note(&format!("\n{}", candidate.model));
            let net = candidate.model.parse()?;
            let learner = self.learner(&net)?;
            observer.job(&name, index + 1, count, learner.epochs());
            let Some(finished) = self.train(&name, &net, learner, observer)? else {
                return Ok(false);
            };
            self.keep_if_best(log, step, index, &finished)?;
            self.write(log)?;
        }
        log.steps[step - 1].choose();
        self.write(log)?;
        Ok(true)
    }

    fn learner(&self, net: &TinyVitFactors) -> Result<Learner, TrainError> {
        let seed = self.plan.recipe.train.seed;
        let (procedure, cast) = self.plan.cast(self.network(net)?, seed, BASELINE, None)?;
        Learner::new(
            BASELINE,
            procedure,
            cast,
            self.plan.task()?,
            &self.plan.recipe,
        )
    }

    fn train(
        &self,
        name: &str,
        net: &TinyVitFactors,
        learner: Learner,
        observer: &mut dyn Observer,
    ) -> Result<Option<Finished>, TrainError> {
        let fingerprint = format!("{}-{net}", self.fingerprint);
        let job = self.plan.job(
            name,
            self.plan.recipe.train.seed,
            self.folder,
            &fingerprint,
            &self.validation,
            self.interrupt,
        )?;
        match job.run(learner, observer)? {
            JobEnd::Finished(finished) => Ok(Some(*finished)),
            JobEnd::Interrupted => Ok(None),
        }
    }

    /// Notes what a candidate reached; the best one's weights so far are the folder's model.
    fn keep_if_best(
        &self,
        log: &mut ContractLog,
        step: usize,
        index: usize,
        finished: &Finished,
    ) -> Result<(), TrainError> {
        let logged = &mut log.steps[step - 1];
        logged.candidates[index].score = Some(finished.validation_score);
        if logged.best() != Some(index) {
            return Ok(());
        }
        self.folder.deploy(
            &finished.network,
            &self.plan.augment,
            None,
            &self.plan.classes,
        )
    }

    fn write(&self, log: &ContractLog) -> Result<(), TrainError> {
        write_json(&self.folder.path().join(LOG), log)
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| TrainError::RunFolder {
        path: path.to_owned(),
        reason: format!("it cannot be written as JSON: {error}"),
    })?;
    files::write_whole(path, text.as_bytes())?;
    Ok(())
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, TrainError> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
    let value = serde_json::from_str(&text).map_err(|error| TrainError::RunFolder {
        path: path.to_owned(),
        reason: format!("it is damaged ({error}); start the search anew"),
    })?;
    Ok(Some(value))
}
