//! # moco — Momentum Contrast for Unsupervised Visual Representation Learning
//!
//! "Which of these is the same picture?": the student's embedding of one view of an image is to be
//! nearer to that of another view than to those of thousands of other images, which a slowly following
//! copy of the student has left in a queue. No labels and no teacher are needed: it pre-trains.
//!
//! ## Definition
//! `objective = "moco"`: L = −1/B Σ_b log(exp(⟨q_b, k_b⟩/τ) / (exp(⟨q_b, k_b⟩/τ) + Σ_j exp(⟨q_b, n_j⟩/τ)))
//!
//! q: unit vectors of head(student(first view)); k: those of the key encoder, student and head of its
//! own, on the second view (detached); n: `queue` keys of earlier steps; τ: `temperature`. After the
//! step the keys take the place of the oldest ones in the queue, and the key encoder's numbers become
//! `momentum` · own + (1 − `momentum`) · the student's.
//!
//! `objective = "instdisc"` (instance discrimination): one view, no key encoder; q is told apart from
//! `negatives` rows of a memory that has one unit vector for each training image, by the
//! noise-contrastive estimation that `crd` defines, and its own row becomes the unit vector of
//! `memory_momentum` · row + (1 − `memory_momentum`) · q.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]` in two views (`instdisc`: one), at least 2 a step; the student's embedding
//! `[B, D]`, of any classifier of the zoo. The head is thrown away afterwards.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `objective` | `moco` | or `instdisc` | |
//! | `head` | `linear` | or `mlp` | MoCo v1 (and instance discrimination), v2: linear, ReLU, linear |
//! | `dimensions` | 128 | ≥ 1 | authors' code |
//! | `temperature` | 0.07 | > 0 | v1 and instance discrimination; v2 0.2 |
//! | `momentum` | 0.999 | 0 to 1 | paper; a run of some thousand steps wants 0.99, see below |
//! | `queue` | none | a multiple of the batch, at most the training images | paper 65,536 |
//! | `groups` | 4 | ≥ 1 | see below |
//! | `negatives` | 4096 | ≥ 1 | authors' code of instance discrimination |
//! | `memory_momentum` | 0.5 | 0 to 1 | same |
//!
//! ## Notes
//! Without `queue` it has half as many keys as there are training images, a multiple of the batch and
//! 65,536 at the most: in a longer one most images would meet their own old key as a negative.
//!
//! `momentum` m looks back over 1/(1 − m) steps: with 0.999 the key encoder has hardly left its first
//! draw after a few hundred. `recipes/moco.toml`, for CPUs, has 0.99.
//!
//! A batch norm tells which images were in the batch: the answer could be read off its statistics. The
//! authors put the images of a batch on eight GPUs, each with statistics of its own, and shuffle the
//! keys' before. On one device shuffling alone does nothing, so both passes are made in `groups` parts
//! of the batch, keys in an order that is drawn at each step: a query and its key have been normalised
//! with different images. Networks without batch norms, and `instdisc`, make one pass.
//!
//! The term `accuracy` shows how often the right key is the nearest one and weighs nothing. Queue,
//! memory and key encoder are in checkpoints. A last batch that is not full is left out. Cost: a second
//! forward pass and a second copy of the student, `dimensions` · (D + `queue`) numbers and as many
//! multiply-accumulates for each image; `instdisc`: no second pass, `dimensions` numbers for each
//! training image, 2 · `dimensions` · N multiply-accumulates for each image.
//!
//! ## Reference
//! He, Fan, Wu, Xie, Girshick. "Momentum Contrast for Unsupervised Visual Representation Learning".
//! CVPR 2020. <https://arxiv.org/abs/1911.05722>
//! Chen, Fan, Girshick, He. "Improved Baselines with Momentum Contrastive Learning". 2020.
//! <https://arxiv.org/abs/2003.04297>
//! Wu, Xiong, Yu, Lin. "Unsupervised Feature Learning via Non-Parametric Instance Discrimination".
//! CVPR 2018. <https://arxiv.org/abs/1805.01978>
//! Authors' code: <https://github.com/facebookresearch/moco> (5df3287ecca8, CC-BY-NC 4.0) and
//! <https://github.com/zhirongw/lemniscate.pytorch> (f7cfe298357c); nothing of either was taken over.

#[cfg(test)]
pub mod golden;
mod groups;
mod head;
mod instances;
mod queue;

use burn::tensor::Tensor;
use limbeck_data::Paste;
use limbeck_nn::{Outputs, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, Follower, Images, MethodError, Probe, Procedure, Progress, STUDENT, Scene, Stage,
    State, Term,
    criterion::{require_at_least, require_positive, require_share},
};

use groups::{Shuffled, group_ranges, normalises};
pub use head::{Head, ProjectionHead};
use head::{spread, unit};
use instances::Instances;
use queue::KeyQueue;

/// The student's projection head in the cast.
const HEAD: &str = "head";
/// The network that makes keys, which follows the student.
const KEY: &str = "key";
/// Its projection head.
const KEY_HEAD: &str = "key-head";

/// Longest queue that is chosen: the paper's.
const LONGEST_QUEUE: usize = 65_536;

/// A spread of the queries below this is a collapse: 1 where all directions are taken alike, 0 where
/// all images have one (Chen, He. "Exploring Simple Siamese Representation Learning". CVPR 2021,
/// figure 2: 0 of a collapsed run, near 1 of all others).
const COLLAPSED: f64 = 0.01;

/// What a query is told apart from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Keys of other images in a queue.
    #[default]
    Moco,
    /// Remembered queries of other images.
    Instdisc,
}

/// Settings of [`Moco`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MocoConfig {
    /// What a query is told apart from.
    pub objective: Objective,
    /// What brings embeddings to vectors.
    pub head: Head,
    /// Width of the compared vectors.
    pub dimensions: usize,
    /// Products are divided by it.
    pub temperature: f64,
    /// Share of the key encoder that stays at each step.
    pub momentum: f64,
    /// Keys that are remembered; chosen where missing.
    pub queue: Option<usize>,
    /// Parts of a batch that batch norms see on their own.
    pub groups: usize,
    /// Rows of the memory that a query is told apart from, under `instdisc`.
    pub negatives: usize,
    /// Share of the old row in the new one, under `instdisc`.
    pub memory_momentum: f64,
}

impl Default for MocoConfig {
    fn default() -> Self {
        Self {
            objective: Objective::Moco,
            head: Head::Linear,
            dimensions: 128,
            temperature: 0.07,
            momentum: 0.999,
            queue: None,
            groups: 4,
            negatives: 4096,
            memory_momentum: 0.5,
        }
    }
}

/// Contrast of images with those that were seen before.
#[derive(Debug)]
pub struct Moco {
    id: &'static str,
    config: MocoConfig,
    /// What is pasted, under `dilo`.
    pasted: Option<Paste>,
    head: ProjectionHead,
    /// Passes that each view takes.
    groups: usize,
    memory: Memory,
    /// Of the last step's queries; NaN before the first.
    spread: f64,
    warned: bool,
}

/// What queries are told apart from.
#[derive(Debug)]
enum Memory {
    Queue(Box<KeyQueue>),
    Instances(Box<Instances>),
}

impl Moco {
    const ID: &'static str = "moco";

    /// Adds the head and, for `moco`, the key encoder to the cast.
    ///
    /// # Errors
    /// A setting out of range, a queue that does not go with batch and images, or steps of a single
    /// image.
    pub fn new(config: MocoConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        Self::called(Self::ID, config, None, probe, cast)
    }

    /// The same for a method called `id`, whose views are `pasted`.
    pub(crate) fn called(
        id: &'static str,
        config: MocoConfig,
        pasted: Option<Paste>,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        require_at_least(id, "dimensions", config.dimensions, 1)?;
        require_positive(id, "temperature", config.temperature)?;
        require_share(id, "momentum", config.momentum)?;
        require_at_least(id, "groups", config.groups, 1)?;
        require_at_least(id, "negatives", config.negatives, 1)?;
        require_share(id, "memory_momentum", config.memory_momentum)?;
        let images = probe.training.images;
        if probe.batch < 2 {
            return Err(MethodError::Batch {
                method: id,
                reason:
                    "one image a step has no others to be told apart from; set data.batch to 2 \
                         or more"
                        .to_owned(),
            });
        }
        let queue = queue_length(id, config.queue, probe.batch, images)?;
        let width = embedding_width(id, probe)?;
        let head = cast.add_modules(HEAD, probe.seed, |builder| {
            Ok(ProjectionHead::new(
                builder,
                config.head,
                width,
                config.dimensions,
            ))
        })?;
        let student = cast.network(STUDENT)?.clone();
        let mut groups = 1;
        let like = Tensor::zeros([1], (&probe.device, probe.dtype));
        let memory = match config.objective {
            Objective::Moco => {
                if normalises(&student.store) {
                    groups = config.groups;
                }
                cast.add_network(KEY, student);
                let follower = cast.store(HEAD)?.clone();
                cast.add_store(KEY_HEAD, follower);
                let queue = KeyQueue::drawn(probe.seed, &like, queue, config.dimensions);
                Memory::Queue(Box::new(queue))
            }
            Objective::Instdisc => {
                let instances = Instances::drawn(probe.seed, &like, images, &config);
                Memory::Instances(Box::new(instances))
            }
        };
        Ok(Self {
            id,
            config,
            pasted,
            head,
            groups,
            memory,
            spread: f64::NAN,
            warned: false,
        })
    }

    /// Unit vectors `[B, dimensions]` of images, with gradients for student and head.
    fn queries(&self, scene: &mut Scene<'_>, images: Tensor<4>) -> Result<Tensor<2>, MethodError> {
        let mut parts = Vec::new();
        for rows in group_ranges(images.dims()[0], self.groups) {
            let outputs = scene.train(STUDENT, part(&images, rows), &Taps::none())?;
            let embeddings = embeddings(self.id, &outputs)?;
            let head = &self.head;
            parts.push(scene.modules(HEAD, |pass| head.forward(pass, embeddings))?);
        }
        Ok(unit(Tensor::cat(parts, 0)))
    }

    /// Unit vectors `[B, dimensions]` of images by the key encoder, as constants, in the order of the
    /// images.
    fn keys(&self, scene: &mut Scene<'_>, images: Tensor<4>) -> Result<Tensor<2>, MethodError> {
        let [count, ..] = images.dims();
        let shuffled = match self.groups {
            1 => Shuffled::not_at_all(count),
            _ => Shuffled::drawn(count, &mut scene.stream()),
        };
        let images = shuffled.apply(images);
        let mut parts = Vec::new();
        for rows in group_ranges(count, self.groups) {
            let outputs = scene.train_as_constant(KEY, part(&images, rows), &Taps::none())?;
            let embeddings = embeddings(self.id, &outputs)?.inner();
            let head = &self.head;
            parts.push(scene.evaluate_modules(KEY_HEAD, |pass| head.forward(pass, embeddings))?);
        }
        Ok(unit(shuffled.undo(Tensor::cat(parts, 0))))
    }
}

/// Images `[rows, C, H, W]` of a batch.
fn part(images: &Tensor<4>, rows: std::ops::Range<usize>) -> Tensor<4> {
    let [count, channels, height, width] = images.dims();
    match rows.len() == count {
        true => images.clone(),
        false => images
            .clone()
            .slice([rows, 0..channels, 0..height, 0..width]),
    }
}

/// Numbers of the student's embedding.
fn embedding_width(id: &'static str, probe: &Probe) -> Result<usize, MethodError> {
    let prediction = probe.student.last();
    match prediction.map(|tap| &tap.kind) {
        Some(&limbeck_nn::TapKind::Vector(width)) => Ok(width),
        _ => Err(MethodError::Shape {
            method: id,
            feature: "the student's prediction".to_owned(),
            reason: "images are compared by one vector each; choose a classifier as the student"
                .to_owned(),
        }),
    }
}

/// The embeddings `[B, D]` that a network without classes predicts.
fn embeddings(id: &'static str, outputs: &Outputs) -> Result<Tensor<2>, MethodError> {
    outputs
        .prediction
        .to_vector()
        .ok_or_else(|| MethodError::Batch {
            method: id,
            reason: "the student predicts attention, not an embedding".to_owned(),
        })
}

/// Keys that are remembered: what was asked for, or half of the images.
fn queue_length(
    id: &'static str,
    asked: Option<usize>,
    batch: usize,
    images: usize,
) -> Result<usize, MethodError> {
    let refuse = |expected: String, found: usize| {
        Err(MethodError::Setting {
            method: id,
            key: "queue",
            expected,
            found: found.to_string(),
        })
    };
    let Some(asked) = asked else {
        let longest = LONGEST_QUEUE.min(images / 2);
        return Ok((longest / batch * batch).max(batch));
    };
    if asked == 0 || asked % batch != 0 {
        let expected = format!("a multiple of {batch}, the images of a batch (data.batch)");
        return refuse(expected, asked);
    }
    if asked > images {
        let expected = format!("at most {images}, the number of training images");
        return refuse(expected, asked);
    }
    Ok(asked)
}

impl Procedure for Moco {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let mut stage = Stage::new("contrast", epochs, vec![Act::training([STUDENT, HEAD])]);
        stage.images = Images {
            views: match self.memory {
                Memory::Queue(_) => 2,
                Memory::Instances(_) => 1,
            },
            pasted: self.pasted,
            ..Images::default()
        };
        vec![stage]
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let queries = self.queries(scene, batch.images.clone())?;
        self.spread = spread(&queries);
        let keys = match (&self.memory, batch.views.first()) {
            (Memory::Instances(_), _) => None,
            (Memory::Queue(_), Some(view)) => Some(self.keys(scene, view.clone())?),
            (Memory::Queue(_), None) => {
                return Err(MethodError::Batch {
                    method: self.id,
                    reason: "the batch has no second view to take keys from".to_owned(),
                });
            }
        };
        match (&mut self.memory, keys) {
            (Memory::Queue(queue), Some(keys)) => {
                let found = queue.contrast(queries, &keys, self.config.temperature);
                queue.push(keys);
                Ok(vec![
                    Term::new("contrast", found.loss, 1.0),
                    Term::new("accuracy", found.accuracy, 0.0),
                ])
            }
            (Memory::Instances(instances), _) => {
                let picks = instances.pick(self.id, &batch.indices, &mut scene.stream())?;
                let loss = instances.contrast(queries.clone(), &picks);
                instances.remember(&batch.indices, queries);
                Ok(vec![Term::new("contrast", loss, 1.0)])
            }
            (Memory::Queue(_), None) => Ok(Vec::new()),
        }
    }

    fn followers(&self, _stage: usize, _progress: Progress) -> Vec<Follower> {
        let follower = |member: &str, follows: &str| Follower {
            member: member.to_owned(),
            follows: follows.to_owned(),
            momentum: self.config.momentum,
            statistics: false,
        };
        match self.memory {
            Memory::Queue(_) => vec![follower(KEY, STUDENT), follower(KEY_HEAD, HEAD)],
            Memory::Instances(_) => Vec::new(),
        }
    }

    fn warnings(&mut self) -> Vec<String> {
        if self.warned || self.spread.is_nan() || self.spread >= COLLAPSED {
            return Vec::new();
        }
        self.warned = true;
        vec![format!(
            "method `{}`: the vectors of different images are all alike (spread {:.4} of 1), and \
             nothing more is learnt from telling them apart; a smaller learning rate, a higher \
             temperature or more `groups` may help",
            self.id, self.spread
        )]
    }

    fn state(&self) -> State {
        match &self.memory {
            Memory::Queue(queue) => queue.state(),
            Memory::Instances(instances) => instances.state(),
        }
    }

    fn load_state(&mut self, state: State) -> Result<(), MethodError> {
        let loaded = match &mut self.memory {
            Memory::Queue(queue) => queue.load_state(state),
            Memory::Instances(instances) => instances.load_state(state),
        };
        loaded.map_err(|reason| MethodError::State {
            method: self.id,
            reason,
        })
    }
}

#[cfg(test)]
mod tests;
