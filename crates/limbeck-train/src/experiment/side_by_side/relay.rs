//! What trainings on threads of their own tell, brought to the one thread that shows it.

use std::sync::mpsc::Sender;
use std::time::Instant;

use limbeck_report::{EpochRow, Evaluation};

use crate::observer::{Moment, Observer};

/// What was told, in the words of [`Observer`].
pub(super) enum Event {
    Note(String),
    Warning(String),
    Job {
        name: String,
        index: usize,
        count: usize,
        epochs: usize,
    },
    JobEnd(String),
    Stage {
        job: String,
        name: String,
        index: usize,
        count: usize,
    },
    /// With the time of its end.
    Step(Box<Moment>, Instant),
    Epoch {
        job: String,
        row: Box<EpochRow>,
        measured: Box<Evaluation>,
        epochs: usize,
    },
    /// A lane has nothing left to do.
    Idle,
}

/// The end of a training's thread: hears, and sends. What nobody receives any more is lost.
pub(super) struct Relay<'a> {
    /// Name of the training.
    pub job: String,
    pub sender: &'a Sender<Event>,
}

impl Relay<'_> {
    fn send(&self, event: Event) {
        let _ = self.sender.send(event);
    }
}

impl Observer for Relay<'_> {
    fn note(&mut self, text: &str) {
        self.send(Event::Note(text.to_owned()));
    }

    /// With the name of the training, which would not be known from where the text stands.
    fn warn(&mut self, text: &str) {
        self.send(Event::Warning(match text.contains(&self.job) {
            true => text.to_owned(),
            false => format!("{}: {text}", self.job),
        }));
    }

    fn job(&mut self, name: &str, index: usize, count: usize, epochs: usize) {
        self.send(Event::Job {
            name: name.to_owned(),
            index,
            count,
            epochs,
        });
    }

    fn job_end(&mut self, name: &str) {
        self.send(Event::JobEnd(name.to_owned()));
    }

    fn step(&mut self, moment: &Moment) {
        self.send(Event::Step(Box::new(moment.clone()), Instant::now()));
    }

    fn stage(&mut self, job: &str, name: &str, index: usize, count: usize) {
        self.send(Event::Stage {
            job: job.to_owned(),
            name: name.to_owned(),
            index,
            count,
        });
    }

    fn epoch(&mut self, job: &str, row: &EpochRow, measured: &Evaluation, epochs: usize) {
        self.send(Event::Epoch {
            job: job.to_owned(),
            row: Box::new(row.clone()),
            measured: Box::new(measured.clone()),
            epochs,
        });
    }
}
