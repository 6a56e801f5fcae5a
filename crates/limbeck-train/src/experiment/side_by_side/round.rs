//! Trainings from where they are until all are done or stand still, in lanes of their own.

use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use limbeck_report::{EpochRow, Evaluation};

use super::{
    Choice,
    relay::{Event, Relay},
};
use crate::{
    TrainError,
    experiment::trainer::{Conditions, Lessons, Trainer, Training},
    job::Finished,
    lanes::pools,
    observer::{Moment, Observer},
};

/// How long an interrupt may go unnoticed where no step ends meanwhile.
const PATIENCE: Duration = Duration::from_millis(20);

/// What a training gave at its place; `None` where it stands still.
type Ended = (usize, Result<Option<Finished>, TrainError>);

pub(super) struct Round<'a> {
    pub trainer: &'a Trainer<'a>,
    pub trainings: &'a [Training],
    pub lessons: Lessons<'a>,
    /// How many go on at the same time.
    pub lanes: usize,
}

impl Round<'_> {
    /// Carries out the trainings at the places `left` until all of them are done, or stand still because
    /// `choice` wants them arranged anew, one has failed, or the run was interrupted; gives those that are
    /// done, and whether it was.
    pub fn play(
        &self,
        left: &[usize],
        choice: &mut Choice<'_>,
        observer: &mut dyn Observer,
    ) -> Result<(Vec<(usize, Finished)>, bool), TrainError> {
        let stop = AtomicBool::new(false);
        let mut watch = Watch {
            observer,
            choice,
            asked: self.trainer.interrupt(),
            stop: &stop,
            failure: None,
        };
        let ended = match self.lanes {
            1 => self.one_by_one(left, &mut watch),
            _ => self.side_by_side(left, &mut watch)?,
        };
        let interrupted = watch.asked.load(Ordering::Relaxed);
        if let Some(error) = watch.failure {
            return Err(error);
        }
        let mut finished = Vec::new();
        let mut failure: Option<(usize, TrainError)> = None;
        for (place, end) in ended {
            match end {
                Ok(Some(done)) => finished.push((place, done)),
                Ok(None) => {}
                Err(error) if failure.as_ref().is_none_or(|(first, _)| place < *first) => {
                    failure = Some((place, error));
                }
                Err(_) => {}
            }
        }
        match failure {
            Some((_, error)) => Err(error),
            None => Ok((finished, interrupted)),
        }
    }

    /// With all threads, on this one.
    fn one_by_one(&self, left: &[usize], watch: &mut Watch<'_, '_>) -> Vec<Ended> {
        let mut ended = Vec::new();
        for &place in left {
            let conditions = Conditions {
                stop: watch.stop,
                lanes: 1,
            };
            let end = self.carry_out(place, conditions, watch);
            let goes_on = matches!(end, Ok(Some(_)));
            ended.push((place, end));
            if goes_on {
                watch.choice.finished();
            }
            if !goes_on || watch.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        ended
    }

    /// In lanes with threads of their own. What they tell is heard on this thread.
    fn side_by_side(
        &self,
        left: &[usize],
        watch: &mut Watch<'_, '_>,
    ) -> Result<Vec<Ended>, TrainError> {
        let pools = pools(self.lanes, rayon::current_num_threads())?;
        let queue = Mutex::new(left.iter().copied().collect::<VecDeque<usize>>());
        let (sender, receiver) = channel();
        let stop = watch.stop;
        std::thread::scope(|scope| {
            let mut started = Vec::new();
            for (number, pool) in pools.iter().enumerate() {
                let (sender, queue) = (sender.clone(), &queue);
                let lane = std::thread::Builder::new().name(format!("lane-{number}"));
                let lane = lane.spawn_scoped(scope, move || {
                    pool.install(|| self.lane(queue, stop, &sender))
                });
                match lane {
                    Ok(lane) => started.push(lane),
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        return Err(TrainError::Setting(format!(
                            "the threads of {} trainings side by side cannot be started: {error}",
                            self.lanes
                        )));
                    }
                }
            }
            drop(sender);
            loop {
                match receiver.recv_timeout(PATIENCE) {
                    Ok(event) => watch.hear(event),
                    Err(RecvTimeoutError::Timeout) => watch.look(),
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            let ended = started
                .into_iter()
                .map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)));
            Ok(ended.collect::<Vec<_>>().into_iter().flatten().collect())
        })
    }

    /// One training after the other, as long as there are any.
    fn lane(
        &self,
        queue: &Mutex<VecDeque<usize>>,
        stop: &AtomicBool,
        sender: &Sender<Event>,
    ) -> Vec<Ended> {
        let _panic = StopOnPanic(stop);
        let mut ended = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(place) = next else {
                let _ = sender.send(Event::Idle);
                break;
            };
            let conditions = Conditions {
                stop,
                lanes: self.lanes,
            };
            let mut relay = Relay {
                job: self.trainings[place].name(),
                sender,
            };
            let end = self.carry_out(place, conditions, &mut relay);
            if end.is_err() {
                stop.store(true, Ordering::Relaxed);
                let name = relay.job.clone();
                let text =
                    format!("{name} has failed; the trainings beside it stop at a checkpoint");
                relay.note(&text);
            }
            ended.push((place, end));
        }
        ended
    }

    fn carry_out(
        &self,
        place: usize,
        conditions: Conditions<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Finished>, TrainError> {
        let training = &self.trainings[place];
        self.trainer
            .train(place, training, self.lessons, conditions, observer)
    }
}

/// Lets the others stop at a checkpoint where a lane panics.
struct StopOnPanic<'a>(&'a AtomicBool);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Passes on what trainings tell, watches their pace, and stops them where they are to stop.
struct Watch<'a, 'b> {
    observer: &'a mut dyn Observer,
    choice: &'a mut Choice<'b>,
    /// The run's own interrupt.
    asked: &'a AtomicBool,
    /// What the trainings look at.
    stop: &'a AtomicBool,
    failure: Option<TrainError>,
}

impl Watch<'_, '_> {
    fn look(&self) {
        if self.asked.load(Ordering::Relaxed) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Note(text) => self.note(&text),
            Event::Warning(text) => self.warn(&text),
            Event::Job {
                name,
                index,
                count,
                epochs,
            } => self.job(&name, index, count, epochs),
            Event::JobEnd(name) => self.job_end(&name),
            Event::Stage {
                job,
                name,
                index,
                count,
            } => self.stage(&job, &name, index, count),
            Event::Step(moment, at) => self.step_at(&moment, at),
            Event::Epoch {
                job,
                row,
                measured,
                epochs,
            } => self.epoch(&job, &row, &measured, epochs),
            Event::Idle => self.choice.lane_is_idle(),
        }
        self.look();
    }

    fn step_at(&mut self, moment: &Moment, at: Instant) {
        self.observer.step(moment);
        match self.choice.step(moment, at, self.observer) {
            Ok(false) => {}
            Ok(true) => self.stop.store(true, Ordering::Relaxed),
            Err(error) => {
                self.failure.get_or_insert(error);
                self.stop.store(true, Ordering::Relaxed);
            }
        }
        self.look();
    }
}

impl Observer for Watch<'_, '_> {
    fn note(&mut self, text: &str) {
        self.observer.note(text);
    }

    fn warn(&mut self, text: &str) {
        self.observer.warn(text);
    }

    fn teacher(&mut self, done: u64, all: u64) {
        self.observer.teacher(done, all);
    }

    fn job(&mut self, name: &str, index: usize, count: usize, epochs: usize) {
        self.observer.job(name, index, count, epochs);
        self.look();
    }

    fn job_end(&mut self, name: &str) {
        self.choice.job_end(name);
        self.observer.job_end(name);
        self.look();
    }

    fn step(&mut self, moment: &Moment) {
        self.step_at(moment, Instant::now());
    }

    fn stage(&mut self, job: &str, name: &str, index: usize, count: usize) {
        self.observer.stage(job, name, index, count);
        self.look();
    }

    fn epoch(&mut self, job: &str, row: &EpochRow, measured: &Evaluation, epochs: usize) {
        self.observer.epoch(job, row, measured, epochs);
        self.look();
    }
}
