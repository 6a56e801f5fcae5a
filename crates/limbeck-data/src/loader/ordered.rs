//! Work that threads do ahead of time, handed out in order.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::DataError;

/// Makes the piece of a number. It asks its second argument now and then, and gives `None` if that
/// says no.
type Make<T> = dyn Fn(usize, &dyn Fn() -> bool) -> Option<Result<T, DataError>> + Send + Sync;

/// Pieces in the order of their numbers, made ahead of time. After an error there are no more.
/// Dropping it ends its threads at the next place where they ask.
pub(super) struct Ordered<T> {
    make: Arc<Make<T>>,
    /// Number of the piece that is handed out next, and of the first that there is none of.
    numbers: Range<usize>,
    wait: Duration,
    workers: Option<Workers<T>>,
}

impl<T> std::fmt::Debug for Ordered<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ordered")
            .field("numbers", &self.numbers)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// What a worker hands back: number of the piece, the piece.
type Made<T> = (usize, Result<T, DataError>);

struct Workers<T> {
    /// Numbers of pieces to make; `None` once the workers have to end.
    jobs: Option<Sender<usize>>,
    made: Receiver<Made<T>>,
    /// Made before their turn.
    early: BTreeMap<usize, Result<T, DataError>>,
    /// Number of the next piece to ask for.
    asked: usize,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Ordered<T> {
    /// Pieces of these numbers by `workers` threads, `prefetch` ahead but at least one for each
    /// thread. With no threads, or if the system gives none, a piece is made when it is asked for.
    pub fn start(
        numbers: Range<usize>,
        workers: usize,
        prefetch: usize,
        make: impl Fn(usize, &dyn Fn() -> bool) -> Option<Result<T, DataError>> + Send + Sync + 'static,
    ) -> Self {
        let make: Arc<Make<T>> = Arc::new(make);
        Self {
            workers: Workers::start(&make, &numbers, workers, prefetch),
            make,
            numbers,
            wait: Duration::ZERO,
        }
    }

    /// How long the consumer has been kept waiting so far.
    pub fn wait(&self) -> Duration {
        self.wait
    }
}

impl<T: Send + 'static> Iterator for Ordered<T> {
    type Item = Result<T, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.numbers.is_empty() {
            return None;
        }
        let start = Instant::now();
        let number = self.numbers.start;
        let piece = match &mut self.workers {
            None => (self.make)(number, &|| true)?,
            Some(workers) => workers.receive(number, self.numbers.end),
        };
        self.wait += start.elapsed();
        if piece.is_ok() {
            self.numbers.start += 1;
        } else {
            self.numbers.start = self.numbers.end;
            self.workers = None;
        }
        Some(piece)
    }
}

impl<T: Send + 'static> Workers<T> {
    /// `None` if no workers are wanted, there is nothing to do, or the system gives no threads; then
    /// the consumer's thread does the work.
    fn start(
        make: &Arc<Make<T>>,
        numbers: &Range<usize>,
        workers: usize,
        prefetch: usize,
    ) -> Option<Self> {
        let left = numbers.len();
        let ahead = prefetch.max(workers).min(left);
        let (jobs, todo) = unbounded();
        // Never more on the way than asked for, so that workers can always hand over and end.
        let (hand_over, made) = bounded(ahead);
        let stop = Arc::new(AtomicBool::new(false));
        let threads: Vec<_> = (0..workers.min(left))
            .map_while(|number| {
                let (make, stop) = (Arc::clone(make), Arc::clone(&stop));
                let (todo, hand_over) = (todo.clone(), hand_over.clone());
                Builder::new()
                    .name(format!("loader-{number}"))
                    .spawn(move || work(&*make, &todo, &hand_over, &stop))
                    .ok()
            })
            .collect();
        if threads.is_empty() {
            return None;
        }
        let asked = numbers.start + ahead;
        for number in numbers.start..asked {
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

    /// Waits for a piece and asks for one more below `end`.
    fn receive(&mut self, number: usize, end: usize) -> Result<T, DataError> {
        let piece = loop {
            if let Some(piece) = self.early.remove(&number) {
                break piece;
            }
            match self.made.recv() {
                Ok((made, piece)) => self.early.insert(made, piece),
                Err(_) => {
                    return Err(DataError::Worker {
                        batch: number,
                        reason: "all loading threads have ended".to_owned(),
                    });
                }
            };
        };
        if self.asked < end
            && let Some(jobs) = &self.jobs
        {
            let _ = jobs.send(self.asked);
            self.asked += 1;
        }
        piece
    }
}

impl<T> Drop for Workers<T> {
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
fn work<T>(make: &Make<T>, todo: &Receiver<usize>, hand_over: &Sender<Made<T>>, stop: &AtomicBool) {
    let go_on = || !stop.load(Ordering::Relaxed);
    for number in todo {
        let Some(piece) = make(number, &go_on) else {
            return;
        };
        if hand_over.send((number, piece)).is_err() {
            return;
        }
    }
}
