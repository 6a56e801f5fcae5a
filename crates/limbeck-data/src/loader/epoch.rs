//! The batches of one epoch, in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::batch::{Batch, Plan};
use crate::DataError;

/// The batches of one epoch, in order. After an error there are no more. Dropping it ends its
/// threads after the image that each is at.
#[derive(Debug)]
pub struct Epoch {
    plan: Arc<Plan>,
    order: Arc<Vec<usize>>,
    epoch: usize,
    /// Number of the batch that is handed out next.
    next: usize,
    wait: Duration,
    workers: Option<Workers>,
}

/// What a worker hands back: number of the batch, the batch.
type Made = (usize, Result<Batch, DataError>);

#[derive(Debug)]
struct Workers {
    /// Numbers of batches to make; `None` once the workers have to end.
    jobs: Option<Sender<usize>>,
    made: Receiver<Made>,
    /// Made before their turn.
    early: BTreeMap<usize, Result<Batch, DataError>>,
    /// Number of the next batch to ask for.
    asked: usize,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Epoch {
    pub(super) fn start(plan: Arc<Plan>, epoch: usize, start_batch: usize) -> Self {
        let order = Arc::new(plan.order(epoch));
        let workers = Workers::start(&plan, &order, epoch, start_batch);
        Self {
            plan,
            order,
            epoch,
            next: start_batch,
            wait: Duration::ZERO,
            workers,
        }
    }

    /// How long the consumer has been kept waiting for batches so far. Without workers that is
    /// the whole time of loading.
    #[must_use]
    pub fn wait(&self) -> Duration {
        self.wait
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batches = self.plan.batches();
        if self.next >= batches {
            return None;
        }
        let start = Instant::now();
        let batch = match &mut self.workers {
            None => self
                .plan
                .make(&self.order, self.epoch, self.next, || true)?,
            Some(workers) => workers.receive(self.next, batches),
        };
        self.wait += start.elapsed();
        if batch.is_ok() {
            self.next += 1;
        } else {
            self.next = batches;
            self.workers = None;
        }
        Some(batch)
    }
}

impl Workers {
    /// `None` if the plan wants no workers, there is nothing to do, or the system gives no threads;
    /// then the consumer's thread does the work.
    fn start(
        plan: &Arc<Plan>,
        order: &Arc<Vec<usize>>,
        epoch: usize,
        start_batch: usize,
    ) -> Option<Self> {
        let left = plan.batches().saturating_sub(start_batch);
        let ahead = plan.config.prefetch.max(plan.config.workers).min(left);
        let (jobs, todo) = unbounded();
        // Never more on the way than asked for, so that workers can always hand over and end.
        let (hand_over, made) = bounded(ahead);
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..plan.config.workers.min(left))
            .map_while(|number| {
                let (plan, order, stop) = (Arc::clone(plan), Arc::clone(order), Arc::clone(&stop));
                let (todo, hand_over) = (todo.clone(), hand_over.clone());
                Builder::new()
                    .name(format!("loader-{number}"))
                    .spawn(move || work(&plan, &order, epoch, &todo, &hand_over, &stop))
                    .ok()
            })
            .collect();
        if threads.is_empty() {
            return None;
        }
        let asked = start_batch + ahead;
        for number in start_batch..asked {
            // Fails only if all workers have ended, which `receive` reports.
            let _ = jobs.send(number);
        }
        Some(Self {
            jobs: Some(jobs),
            made,
            early: BTreeMap::new(),
            asked,
            stop,
            threads,
        })
    }

    /// Waits for a batch and asks for one more.
    fn receive(&mut self, number: usize, batches: usize) -> Result<Batch, DataError> {
        let batch = loop {
            if let Some(batch) = self.early.remove(&number) {
                break batch;
            }
            match self.made.recv() {
                Ok((made, batch)) => self.early.insert(made, batch),
                Err(_) => {
                    return Err(DataError::Worker {
                        batch: number,
                        reason: "all loading threads have ended".to_owned(),
                    });
                }
            };
        };
        if self.asked < batches
            && let Some(jobs) = &self.jobs
        {
            let _ = jobs.send(self.asked);
            self.asked += 1;
        }
        batch
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A worker turns its panics into errors, so there is nothing to pass on.
            let _ = thread.join();
        }
    }
}

/// A worker's life: make what is asked for until nothing more can be asked.
fn work(
    plan: &Plan,
    order: &[usize],
    epoch: usize,
    todo: &Receiver<usize>,
    hand_over: &Sender<Made>,
    stop: &AtomicBool,
) {
    let go_on = || !stop.load(Ordering::Relaxed);
    for number in todo {
        let Some(batch) = plan.make(order, epoch, number, go_on) else {
            return;
        };
        if hand_over.send((number, batch)).is_err() {
            return;
        }
    }
}
