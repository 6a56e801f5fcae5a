//! Filling a cache: the teacher is run once over every view.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use limbeck_cache::{Build, Finisher, ShardWriter};
use limbeck_data::Part;
use limbeck_nn::{Outputs, Taps, TaskKind};

use super::{
    CacheContents, CachePlan,
    answers::{self, Written},
    contents::images_of,
};
use crate::{
    TrainError,
    sweep::{BATCH, Sweep},
};

/// Pixels of a forward pass of a network that segments, at the most: its maps stay in memory.
const PIXELS: usize = 1 << 19;

/// How far a build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FillMoment {
    /// Records written by this process.
    pub done: u64,
    /// Records that it set out to write.
    pub all: u64,
}

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillEnd {
    /// All shards of the share are there.
    Whole,
    /// Others are at work on this many of them.
    InOtherHands(usize),
    /// Stopped; finished shards are kept.
    Interrupted,
}

/// Writes the shards that are missing in the share of `build`, which is in `folder`, and tells
/// `progress` after each batch. The disk takes a shard while the teacher works for the next. What a
/// teacher that segments chooses for the pictures to measure on comes last.
///
/// # Errors
/// Images that cannot be read, outputs that cannot be stored, a file system that refuses. Finished
/// shards are kept, and the next build goes on from there.
pub fn fill(
    plan: &CachePlan,
    folder: &Path,
    build: &Build,
    interrupt: &AtomicBool,
    progress: &mut dyn FnMut(FillMoment),
) -> Result<FillEnd, TrainError> {
    super::classifier::write(
        folder,
        plan.teacher.network(),
        &plan.manifest.teacher.weights_sha256,
    )?;
    let missing = build.missing();
    let mut moment = FillMoment {
        done: 0,
        all: missing
            .iter()
            .map(|shard| shard.positions.end - shard.positions.start)
            .sum(),
    };
    std::thread::scope(|scope| {
        let mut finisher = Finisher::new(scope);
        for shard in missing {
            let Some(mut writer) = build.shard(shard.number)? else {
                moment.all -= shard.positions.end - shard.positions.start;
                continue;
            };
            let mut next = shard.positions.start;
            while next < shard.positions.end {
                let run = Run::at(plan, next, shard.positions.end)?;
                next += run.part.len() as u64;
                for outputs in run.outputs(plan)? {
                    if interrupt.load(Ordering::Relaxed) {
                        finisher.wait()?;
                        return Ok(FillEnd::Interrupted);
                    }
                    moment.done += push(&mut writer, plan, outputs?)?;
                    progress(moment);
                }
            }
            finisher.finish(writer)?;
        }
        finisher.wait()?;
        Ok(match build.missing().len() {
            0 => FillEnd::Whole,
            count => FillEnd::InOtherHands(count),
        })
    })
    .and_then(|end| match end {
        FillEnd::Whole => Ok(
            match answers::write(folder, build.manifest(), plan, interrupt)? {
                Written::Whole => end,
                Written::Interrupted => FillEnd::Interrupted,
            },
        ),
        _ => Ok(end),
    })
}

/// Images of a batch of the teacher's.
fn batch_of(plan: &CachePlan) -> usize {
    let [height, width] = plan.augment.size;
    match plan.task {
        TaskKind::Classification | TaskKind::Pretraining => BATCH,
        TaskKind::Segmentation | TaskKind::Detection => {
            (PIXELS / (height * width).max(1)).clamp(1, BATCH)
        }
    }
}

/// Images one after the other in one view: as much of a section as lies within a shard.
pub(super) struct Run {
    pub part: Part,
    view: u64,
    augments: bool,
}

impl Run {
    /// The longest one from `position` on that ends before `end`.
    pub fn at(plan: &CachePlan, position: u64, end: u64) -> Result<Self, TrainError> {
        let beyond = || TrainError::Setting(format!("a cache has no position {position}"));
        let (section, view, sample) = plan.manifest.place(position).ok_or_else(beyond)?;
        let part = match section.name.as_str() {
            "train" => &plan.dataset.train,
            "validation" => &plan.dataset.validation,
            _ => &plan.dataset.test,
        };
        let count = (section.samples - sample).min(end - position) as usize;
        let from = sample as usize;
        let indices = part.indices.get(from..from + count).ok_or_else(beyond)?;
        Ok(Self {
            part: Part {
                source: part.source.clone(),
                indices: indices.to_vec(),
            },
            view,
            augments: section.name == "train",
        })
    }

    /// Takes the images of another one along, if they are of the same part and view.
    pub fn joined(mut self, other: Self) -> Result<Self, (Self, Self)> {
        if self.view != other.view
            || !Arc::ptr_eq(&self.part.source, &other.part.source)
            || self.augments != other.augments
        {
            return Err((self, other));
        }
        self.part.indices.extend(other.part.indices);
        Ok(self)
    }

    /// What the teacher gives out for them, batch by batch.
    pub fn outputs<'a>(
        &self,
        plan: &'a CachePlan,
    ) -> Result<impl Iterator<Item = Result<Outputs, TrainError>> + use<'a>, TrainError> {
        let (part, augment) = (self.part.clone(), &plan.augment);
        let (batch, workers) = (batch_of(plan), plan.recipe.data.workers);
        let sweep = match self.augments {
            true => {
                let seed = plan.manifest.view_seed;
                Sweep::of_view(part, augment, self.view as usize, seed, batch, workers)?
            }
            false => Sweep::new(part, augment, batch, workers)?,
        };
        let taps = Taps::from_iter(plan.manifest.outputs.iter().map(|output| &output.name));
        let store = &plan.teacher.network().store;
        let batches = sweep.batches(store.device(), store.dtype());
        Ok(batches.map(move |batch| plan.outputs(batch?.images, &taps)))
    }
}

/// Writes the records of a batch; gives their number.
fn push(writer: &mut ShardWriter, plan: &CachePlan, outputs: Outputs) -> Result<u64, TrainError> {
    let batch = images_of(&outputs);
    let numbers = CacheContents::numbers(&plan.manifest.outputs, &outputs)?;
    for row in 0..batch {
        let record: Vec<&[f32]> = numbers
            .iter()
            .map(|values| {
                let each = values.len() / batch;
                &values[row * each..(row + 1) * each]
            })
            .collect();
        writer.push(&record)?;
    }
    Ok(batch as u64)
}
