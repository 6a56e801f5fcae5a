//! Where the time of a computation goes, operation by operation.

use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::BTreeMap,
    time::{Duration, Instant},
};

use burn::backend::{TensorMetadata, flex::FlexTensor};

use crate::ByteMap;

/// What ran on one thread while it was watched.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// From beginning to end.
    pub time: Duration,
    /// This crate's operations, the longest first. An operation that is a part of another one is counted
    /// there alone.
    pub operations: Vec<Operation>,
    /// What passed between two operations, the longest first: other operations of the engine, its graph, and
    /// what surrounds them.
    pub between: Vec<Between>,
}

/// One operation on tensors of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Such as `conv2d input gradient`.
    pub name: &'static str,
    /// Of the tensors that it reads.
    pub shapes: Vec<Vec<usize>>,
    /// How often it ran.
    pub calls: usize,
    /// In all calls.
    pub time: Duration,
    /// In all calls, by their definition: a faster algorithm does less. 0 where there are none.
    pub multiply_adds: u64,
    /// Bytes of the tensors that are read and of those that are new, in all calls.
    pub bytes: u64,
}

/// The time from the end of one operation to the beginning of the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Between {
    /// The operation before; empty at the beginning.
    pub after: &'static str,
    /// The operation behind; empty at the end.
    pub before: &'static str,
    /// How often.
    pub calls: usize,
    /// In all.
    pub time: Duration,
}

type Key = (&'static str, Vec<Vec<usize>>);

/// What is known so far.
struct Record {
    operations: BTreeMap<Key, Operation>,
    between: BTreeMap<(&'static str, &'static str), Between>,
    /// The last operation that ended, and when.
    last: (&'static str, Instant),
    /// Operations that have begun and not ended.
    depth: usize,
    /// New bytes of the outermost one.
    written: u64,
}

thread_local! {
    static RECORD: RefCell<Option<Record>> = const { RefCell::new(None) };
}

/// Does `work`, and tells which operations ran on this thread meanwhile and how long. Those that other threads
/// call are not seen; what an operation lets other threads do belongs to it.
///
/// Watching costs less than a microsecond for each operation.
pub fn profile<R>(work: impl FnOnce() -> R) -> (R, Profile) {
    let start = Instant::now();
    let fresh = Record {
        operations: BTreeMap::new(),
        between: BTreeMap::new(),
        last: ("", start),
        depth: 0,
        written: 0,
    };
    let outer = RECORD.replace(Some(fresh));
    let result = work();
    let end = Instant::now();
    let profile = match RECORD.replace(outer) {
        Some(record) => record.finished(start, end),
        None => Profile::default(),
    };
    (result, profile)
}

impl Record {
    fn finished(mut self, start: Instant, end: Instant) -> Profile {
        self.pause("", end);
        let mut operations: Vec<Operation> = self.operations.into_values().collect();
        operations.sort_by_key(|operation| Reverse(operation.time));
        let mut between: Vec<Between> = self.between.into_values().collect();
        between.sort_by_key(|between| Reverse(between.time));
        Profile {
            time: end.duration_since(start),
            operations,
            between,
        }
    }

    fn end(&mut self, begun: Begun) {
        let now = Instant::now();
        let (name, shapes) = begun.key.clone();
        self.last = (name, now);
        let operation = self.operations.entry(begun.key).or_insert(Operation {
            name,
            shapes,
            calls: 0,
            time: Duration::ZERO,
            multiply_adds: 0,
            bytes: 0,
        });
        operation.calls += 1;
        operation.time += now.duration_since(begun.start);
        operation.multiply_adds += begun.multiply_adds;
        operation.bytes += begun.read + self.written;
    }

    /// Counts what has passed since the last operation.
    fn pause(&mut self, before: &'static str, now: Instant) {
        let (after, end) = self.last;
        let between = self.between.entry((after, before)).or_insert(Between {
            after,
            before,
            calls: 0,
            time: Duration::ZERO,
        });
        between.calls += 1;
        between.time += now.duration_since(end);
    }
}

/// An operation that runs until this is dropped.
#[must_use]
pub(crate) struct Span {
    watched: bool,
    /// Nothing where it is a part of another operation.
    whole: Option<Begun>,
}

pub(crate) struct Begun {
    key: Key,
    multiply_adds: u64,
    read: u64,
    start: Instant,
}

/// Begins the operation `name` on `tensors`, which does so many multiply-adds. Costs next to nothing where
/// nobody watches.
pub(crate) fn span<const N: usize>(
    name: &'static str,
    tensors: [&FlexTensor; N],
    multiply_adds: impl FnOnce() -> usize,
) -> Span {
    span_of(name, multiply_adds, || {
        let shapes = tensors.map(|tensor| tensor.shape().to_vec());
        let size = |tensor: &&FlexTensor| tensor.shape().num_elements() * tensor.dtype().size();
        (shapes.to_vec(), tensors.iter().map(size).sum())
    })
}

/// [`span`] of operands that are no tensors: `read` gives their shapes, and their bytes.
pub(crate) fn span_of(
    name: &'static str,
    multiply_adds: impl FnOnce() -> usize,
    read: impl FnOnce() -> (Vec<Vec<usize>>, usize),
) -> Span {
    RECORD.with_borrow_mut(|record| {
        let Some(record) = record else {
            return Span {
                watched: false,
                whole: None,
            };
        };
        record.depth += 1;
        if record.depth > 1 {
            return Span {
                watched: true,
                whole: None,
            };
        }
        let (shapes, read) = read();
        record.written = 0;
        let start = Instant::now();
        record.pause(name, start);
        let begun = Begun {
            key: (name, shapes),
            multiply_adds: multiply_adds() as u64,
            read: read as u64,
            start,
        };
        Span {
            watched: true,
            whole: Some(begun),
        }
    })
}

/// [`span`] of maps of bytes `[B, H, W, C]`.
pub(crate) fn span_of_bytes(
    name: &'static str,
    map: &ByteMap,
    multiply_adds: impl FnOnce() -> usize,
) -> Span {
    span_of(name, multiply_adds, || {
        (vec![map.shape().to_vec()], map.bytes().len())
    })
}

/// Tells that the operation that runs has made a tensor of so many bytes.
pub(crate) fn wrote(bytes: usize) {
    RECORD.with_borrow_mut(|record| {
        if let Some(record) = record {
            record.written += bytes as u64;
        }
    });
}

impl Drop for Span {
    fn drop(&mut self) {
        if !self.watched {
            return;
        }
        RECORD.with_borrow_mut(|record| {
            if let Some(record) = record {
                record.depth = record.depth.saturating_sub(1);
                if let Some(begun) = self.whole.take() {
                    record.end(begun);
                }
            }
        });
    }
}
