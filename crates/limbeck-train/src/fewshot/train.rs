//! Training of `sgva` on the shots of one draw.

use std::f64::consts::PI;

use burn::tensor::Tensor;
use limbeck_data::{Purpose, Stream};
use limbeck_methods::{
    Episode, FeatureAdapter, LearnedTexts, MethodError, Sgva, VisualProjection, prototypes,
    unit_rows,
};
use limbeck_nn::{Builder, Mode, Pass, Store, Taps};

use crate::optimizer::{Optimizer, Sgd, SgdConfig};

/// Images of which scores are made at once.
const BLOCK: usize = 4096;

/// Shots of the classes of a draw.
pub(super) struct Shots {
    /// Frozen features `[way · shots, d]`, the shots of a class together.
    pub features: Tensor<2>,
    /// Number of classes.
    pub way: usize,
    /// Images of each class.
    pub shots: usize,
}

impl Shots {
    fn labels(&self) -> Vec<usize> {
        let classes = 0..self.way;
        classes.flat_map(|class| vec![class; self.shots]).collect()
    }

    /// The shots from `from` up to `to` of each class.
    pub fn part(&self, from: usize, to: usize) -> Self {
        let [_, width] = self.features.dims();
        let whole = self.features.clone().reshape([self.way, self.shots, width]);
        let kept = whole.slice([0..self.way, from..to, 0..width]);
        Self {
            features: kept.reshape([self.way * (to - from), width]),
            way: self.way,
            shots: to - from,
        }
    }
}

/// Scores `[N, way]` of images by the two kinds of comparison.
pub(super) struct Scores {
    /// s·z·c.
    pub images: Tensor<2>,
    /// s·v·t.
    pub texts: Tensor<2>,
}

/// An adapter and text vectors that have learned.
pub(super) struct Trained {
    adapter: FeatureAdapter,
    numbers: Store,
    /// `[way, d]`.
    texts: Tensor<2>,
    /// `[way, D]`.
    prototypes: Tensor<2>,
    scale: f64,
}

/// Trains on `shots` from the text vectors `texts` `[way, d]`; `seed` decides on what is drawn.
pub(super) fn train(
    method: &Sgva,
    shots: &Shots,
    texts: &Tensor<2>,
    projection: Option<&VisualProjection>,
    seed: u64,
) -> Result<Trained, MethodError> {
    let config = method.config();
    let (device, dtype) = (texts.device(), texts.dtype());
    let [_, width] = shots.features.dims();
    let mut numbers = Store::new(&device, dtype);
    let mut builder = Builder::new(&mut numbers, seed);
    let adapter = FeatureAdapter::new(
        config,
        &mut builder.sub("adapter"),
        width,
        projection.cloned(),
    );
    let mut text_numbers = Store::new(&device, dtype);
    let mut builder = Builder::new(&mut text_numbers, seed);
    let learned = LearnedTexts::new(&mut builder, texts.clone());

    let images = unit_rows(shots.features.clone());
    let lifted = adapter.lift(shots.features.clone());
    let sgd = || {
        Sgd::new(SgdConfig {
            momentum: config.momentum,
            dampening: 0.0,
            nesterov: true,
            weight_decay: config.weight_decay,
            decay_norms: true,
        })
    };
    let (mut optimizer, mut text_optimizer) = (sgd(), sgd());
    let groups = shots.way.div_ceil(method.way(shots.way)?);
    let rates = method.learning_rates(shots.shots);
    let warmup = config.warmup_epochs * groups;
    let steps = config.epochs * groups;
    for epoch in 0..config.epochs {
        for (group, classes) in episodes(shots.way, groups, epoch, seed).iter().enumerate() {
            let step = epoch * groups + group;
            let tracked = numbers.tracked();
            let tracked_texts = text_numbers.tracked();
            let rows = rows_of(classes, shots.shots);
            let pick = |of: &Tensor<2>| of.clone().select(0, indices(&rows, &of.device()));
            let mut pass = training_pass(&tracked);
            let adapted = adapter.forward(&mut pass, pick(&lifted));
            let places = 0..classes.len();
            let places: Vec<usize> = places.flat_map(|place| vec![place; shots.shots]).collect();
            let of_all: Vec<usize> = rows.iter().map(|row| row / shots.shots).collect();
            // The shots are support and query at once.
            let episode = Episode {
                query: pick(&images),
                texts: learned.vectors(&training_pass(&tracked_texts)),
                adapted_query: adapted.clone(),
                adapted_support: adapted,
                support_labels: &places,
                query_labels: &places,
                query_classes: &of_all,
                way: classes.len(),
            };
            let total = episode.terms(config, &adapter)?.total(config);
            let mut gradients = total.backward();
            let own = tracked.gradients(&mut gradients);
            let of_texts = tracked_texts.gradients(&mut gradients);
            drop((tracked, tracked_texts));
            let rate = |base: f64| match step < warmup {
                true => config.warmup_learning_rate,
                false => {
                    let passed = (step - warmup) as f64 / (steps - warmup) as f64;
                    base * (1.0 + (PI * passed).cos()) / 2.0
                }
            };
            if config.i2t_weight > 0.0 {
                text_optimizer.step(&mut text_numbers, of_texts, rate(rates[1]));
            }
            optimizer.step(&mut numbers, own, rate(rates[0]));
        }
    }
    let texts = learned.vectors(&Pass::new(&text_numbers, Mode::Evaluate, Taps::none(), 0));
    let mut trained = Trained {
        prototypes: lifted.clone(),
        adapter,
        numbers,
        texts,
        scale: config.logit_scale,
    };
    trained.prototypes = prototypes(trained.adapted(lifted), &shots.labels(), shots.way)?;
    Ok(trained)
}

fn training_pass(store: &Store) -> Pass<'_> {
    Pass::new(store, Mode::Train, Taps::none(), 0)
}

/// The classes of each episode of an epoch: all classes once, in groups of sizes that differ by at most
/// one, in a random order where there are several groups.
fn episodes(way: usize, groups: usize, epoch: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut classes: Vec<usize> = (0..way).collect();
    if groups > 1 {
        Stream::new(seed, Purpose::Order, epoch as u64, 0, 0).shuffle(&mut classes);
    }
    let bounds = |group: usize| group * way / groups;
    let group = |group: usize| classes[bounds(group)..bounds(group + 1)].to_vec();
    (0..groups).map(group).collect()
}

/// Rows of the shots of these classes.
fn rows_of(classes: &[usize], shots: usize) -> Vec<usize> {
    let classes = classes.iter();
    classes
        .flat_map(|class| (class * shots)..((class + 1) * shots))
        .collect()
}

fn indices(rows: &[usize], device: &burn::tensor::Device) -> Tensor<1, burn::tensor::Int> {
    let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
    let count = rows.len();
    Tensor::from_data(burn::tensor::TensorData::new(rows, [count]), device)
}

impl Trained {
    /// z, `[N, D]`, of what the adapter reads.
    fn adapted(&self, lifted: Tensor<2>) -> Tensor<2> {
        let mut pass = Pass::new(&self.numbers, Mode::Evaluate, Taps::none(), 0);
        self.adapter.forward(&mut pass, lifted)
    }

    /// Scores of frozen features `[N, d]`.
    pub fn scores(&self, features: &Tensor<2>) -> Scores {
        let [count, width] = features.dims();
        let mut blocks = (Vec::new(), Vec::new());
        for start in (0..count).step_by(BLOCK) {
            let end = count.min(start + BLOCK);
            let block = features.clone().slice([start..end, 0..width]);
            let adapted = self.adapted(self.adapter.lift(block.clone()));
            let scored = |rows: Tensor<2>, others: &Tensor<2>| {
                rows.matmul(others.clone().transpose())
                    .mul_scalar(self.scale)
            };
            blocks.0.push(scored(adapted, &self.prototypes));
            blocks.1.push(scored(unit_rows(block), &self.texts));
        }
        Scores {
            images: Tensor::cat(blocks.0, 0),
            texts: Tensor::cat(blocks.1, 0),
        }
    }

    /// What the share of the two linear maps has become.
    pub fn alpha(&self) -> f64 {
        let pass = Pass::new(&self.numbers, Mode::Evaluate, Taps::none(), 0);
        let alpha = self.adapter.alpha(&pass).into_data().iter::<f64>().next();
        alpha.unwrap_or(f64::NAN)
    }
}
