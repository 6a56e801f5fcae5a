//! # cirkd — Cross-Image Relational Knowledge Distillation for Semantic Segmentation
//!
//! How alike a pixel is to the pixels of all images of the batch, and to pixels and regions that the
//! teacher has shown earlier, should be the same in both networks.
//!
//! ## Definition
//! L = CE(z, y) + kd_weight · KD(z, u) + minibatch_weight · M + pixel_weight · Q(pixels)
//! + region_weight · Q(regions)
//!
//! s_ip, t_ip: unit vectors of the feature at position p of image i; u is the teacher's, detached.
//! KL(a ‖ b) is of the distributions softmax(a) and softmax(b), τ = `temperature`:
//! KD: mean over positions of KL(u_p ‖ z_p).
//! M = 1/(B²·N) Σ_i Σ_p Σ_j KL((⟨t_ip, t_jq⟩/τ)_q ‖ (⟨s_ip, s_jq⟩/τ)_q), N positions, also i = j.
//! Q(keys) = T²/|P| Σ_p∈P KL((⟨t_p, k⟩/(τ·T))_k ‖ (⟨h(s)_p, k⟩/(τ·T))_k), T: `memory_temperature`,
//! P: positions that are not void, h: 1×1 convolution to the teacher's width, batch norm, ReLU,
//! 1×1 convolution, made unit vectors. Keys are drawn from queues, the same places of every class.
//! Each image adds, for each of its classes, the mean vector of its positions to the regions and at
//! the most `pixel_update` of its positions to the pixels; then keys are drawn.
//!
//! ## Inputs and shapes
//! Logits `[B, K, h, w]`, masks `[B, H, W]`, and one pair of maps, by default what the last
//! classifiers read. Logits of the teacher are brought to the student's size, of the features the
//! larger is averaged over adaptive windows to the smaller size, along each axis.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `kd_weight` | 1 | ≥ 0 | authors' code |
//! | `minibatch_weight` | 1 | ≥ 0 | same |
//! | `pixel_weight` | 0.1 | ≥ 0 | same; VOC 0.01 |
//! | `region_weight` | 0.1 | ≥ 0 | same; VOC 0.01 |
//! | `temperature` | 0.1 | > 0 | same |
//! | `memory_temperature` | 1 | > 0 | same |
//! | `pixel_memory` | 20000 | ≥ 1 | same: pixels of each class that are kept |
//! | `region_memory` | 2000 | ≥ 1 | same: regions of each class |
//! | `pixel_contrast` | 4096 | ≥ 1 | same: keys drawn, ⌊n/K⌋ + 1 of each class |
//! | `region_contrast` | 1024 | ≥ 1 | same |
//! | `pixel_update` | 16 | ≥ 1 | same: at most `pixel_memory` |
//! | `enqueued` | `class_pixels` | or `first_positions` | positions of the class; the code's own come from anywhere in the image, see notes |
//! | `pool` | none | ≥ 1 | side of the windows over which features are averaged for M; none is 4 for maps of 256×256 and more, else 1, as in the code |
//!
//! ## Notes
//! The code draws positions out of as many as the class has, but from the whole map, so that a
//! class's queue holds pixels of others: `first_positions`; `class_pixels` is what the paper says.
//! Both weights of the memory at 0 leave queues and labels out. A batch of void pixels alone has
//! nothing to say to the memory, whose terms are 0. Queues start as random directions. They take
//! K · (`pixel_memory` + `region_memory`) · C_t numbers, 4 bytes each, and go into checkpoints:
//! make them smaller for small experiments. Similarities are never held: blocks of them become
//! gradients at once. Cost: 4·B²·N²·(C_s + C_t/2) and 3·|P|·keys·C_t multiply-accumulates.
//!
//! ## Reference
//! Yang, Zhou, An, Jiang, Xu, Zhang. "Cross-Image Relational Knowledge Distillation for Semantic
//! Segmentation". CVPR 2022. <https://arxiv.org/abs/2204.06986>
//! Authors' code: <https://github.com/winycg/CIRKD> (dab64dbb5e41).

#[cfg(test)]
pub mod golden;
mod queues;
#[cfg(test)]
mod tests;

use burn::tensor::{Int, Tensor, TensorData, activation::relu};
use limbeck_data::Stream;
use limbeck_nn::{
    Builder, Feature, Pass, Taps,
    layer::{Conv2d, Conv2dConfig, ConvNorm, divergence},
};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, State, Step, Term,
    connector::pool_map,
    criterion::{require_at_least, require_positive, require_teacher, require_weight},
    dense::{labels_at, last_features, logit_maps, on_one_grid, require_logit_maps},
    pairs::{Pair, resolve_pair},
    relations::{Related, relate, with_gradient},
};
pub use queues::{Queues, Sizes, unit};

/// Side from which on maps are averaged over windows of 4×4, as in the authors' code.
const LARGE: usize = 256;

/// Which positions of an image go into the queue of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enqueued {
    /// Those of the class.
    #[default]
    ClassPixels,
    /// Any among the first of the image, as many as the class has: the authors' code.
    FirstPositions,
}

/// Settings of [`Cirkd`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CirkdConfig {
    /// Factor of the logits' divergence.
    pub kd_weight: f64,
    /// Factor of the relations within the batch.
    pub minibatch_weight: f64,
    /// Factor of the relations to remembered pixels.
    pub pixel_weight: f64,
    /// Factor of the relations to remembered regions.
    pub region_weight: f64,
    /// Products are divided by it.
    pub temperature: f64,
    /// The same once more for the relations to what is remembered.
    pub memory_temperature: f64,
    /// Remembered pixels of each class.
    pub pixel_memory: usize,
    /// Remembered regions of each class.
    pub region_memory: usize,
    /// Pixels that are drawn as keys, over all classes.
    pub pixel_contrast: usize,
    /// Regions that are drawn as keys, over all classes.
    pub region_contrast: usize,
    /// Pixels of a class that each image adds at the most.
    pub pixel_update: usize,
    /// Which positions those are.
    pub enqueued: Enqueued,
    /// Side of the windows over which features are averaged for the relations within the batch.
    pub pool: Option<usize>,
}

impl CirkdConfig {
    /// Whether what is remembered is sorted by class.
    pub(crate) fn reads_labels(&self) -> bool {
        self.pixel_weight + self.region_weight > 0.0
    }
}

impl Default for CirkdConfig {
    fn default() -> Self {
        Self {
            kd_weight: 1.0,
            minibatch_weight: 1.0,
            pixel_weight: 0.1,
            region_weight: 0.1,
            temperature: 0.1,
            memory_temperature: 1.0,
            pixel_memory: 20_000,
            region_memory: 2_000,
            pixel_contrast: 4_096,
            region_contrast: 1_024,
            pixel_update: 16,
            enqueued: Enqueued::ClassPixels,
            pool: None,
        }
    }
}

/// Relations between pixels of all images.
#[derive(Debug)]
pub struct Cirkd {
    config: CirkdConfig,
    /// `None` where features are not compared.
    pair: Option<Pair>,
    memory: Option<Memory>,
}

/// Relations to what the teacher has shown earlier.
#[derive(Debug)]
struct Memory {
    head: ConvNorm,
    output: Conv2d,
    queues: Queues,
    classes: usize,
}

/// Places of the queues that are drawn as keys.
#[derive(Clone, Debug)]
pub struct Places {
    /// Of the pixels of each class.
    pub pixels: Vec<usize>,
    /// Of its regions.
    pub regions: Vec<usize>,
}

impl Cirkd {
    const ID: &'static str = "cirkd";

    /// Makes `project_head.0`, `.1` and `.3`, and the queues, where a weight of the memory is above
    /// 0.
    ///
    /// # Errors
    /// A setting out of range, no teacher, other classes, layers that are not there, more keys than
    /// the queues hold.
    pub fn new(
        config: CirkdConfig,
        probe: &Probe,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        for (key, weight) in [
            ("kd_weight", config.kd_weight),
            ("minibatch_weight", config.minibatch_weight),
            ("pixel_weight", config.pixel_weight),
            ("region_weight", config.region_weight),
        ] {
            require_weight(Self::ID, key, weight)?;
        }
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_positive(Self::ID, "memory_temperature", config.memory_temperature)?;
        for (key, count) in [
            ("pixel_memory", config.pixel_memory),
            ("region_memory", config.region_memory),
            ("pixel_contrast", config.pixel_contrast),
            ("region_contrast", config.region_contrast),
            ("pixel_update", config.pixel_update),
            ("pool", config.pool.unwrap_or(1)),
        ] {
            require_at_least(Self::ID, key, count, 1)?;
        }
        require_teacher(Self::ID, probe)?;
        let [classes, ..] = require_logit_maps(Self::ID, probe)?;
        let remembers = config.reads_labels();
        let compares = remembers || config.minibatch_weight > 0.0;
        if !compares && config.kd_weight == 0.0 {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "minibatch_weight",
                expected: "above 0 where all other weights are 0".to_owned(),
                found: "0".to_owned(),
            });
        }
        let pair = match compares {
            true => Some(resolve_pair(Self::ID, probe, last_features)?),
            false => None,
        };
        let memory = match &pair {
            Some(pair) if remembers => Some(Memory::new(&config, probe, pair, classes, builder)?),
            _ => None,
        };
        Ok(Self {
            config,
            pair,
            memory,
        })
    }

    /// M `[1]` of maps `[B, C_s, h, w]` and `[B, C_t, h, w]`.
    pub fn minibatch(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        let [batch, _, height, width] = student.dims();
        let window = match self.config.pool {
            Some(side) => side,
            None if height >= LARGE && width >= LARGE => 4,
            None => 1,
        };
        let size = [height.div_ceil(window), width.div_ceil(window)];
        let positions = size[0] * size[1];
        let rows = |map| Feature::Map(unit(pool_map(map, size), 1)).to_rows();
        let (student, teacher) = (rows(student), rows(teacher));
        // The keys are the rows of each image.
        let related = |rows: Tensor<2>| {
            let [_, width] = rows.dims();
            let keys = (0..batch).map(|image| {
                let start = image * positions;
                rows.clone().slice([start..start + positions, 0..width])
            });
            Related {
                keys: keys.collect(),
                rows,
            }
        };
        let found = relate(
            &related(student.clone().inner()),
            &related(teacher),
            1.0 / self.config.temperature,
            true,
        );
        let share = 1.0 / (batch * batch * positions) as f64;
        let gradient = found.rows + Tensor::cat(found.keys, 0);
        with_gradient(
            found.value.mul_scalar(share),
            student,
            gradient.mul_scalar(share),
        )
    }

    /// Q `[1]` of unit vectors of student and teacher `[P, C_t]` and keys `[n, C_t]`.
    fn recall(&self, student: Tensor<2>, teacher: Tensor<2>, keys: Tensor<2>) -> Tensor<1> {
        let temperature = self.config.memory_temperature;
        let [positions, _] = student.dims();
        let related = |rows: Tensor<2>| Related {
            rows,
            keys: vec![keys.clone()],
        };
        let found = relate(
            &related(student.clone().inner()),
            &related(teacher),
            1.0 / (self.config.temperature * temperature),
            false,
        );
        let share = temperature * temperature / positions as f64;
        with_gradient(
            found.value.mul_scalar(share),
            student,
            found.rows.mul_scalar(share),
        )
    }
}

impl Memory {
    fn new(
        config: &CirkdConfig,
        probe: &Probe,
        pair: &Pair,
        classes: usize,
        builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        for (key, least, memory) in [
            (
                "pixel_memory",
                keys(config.pixel_contrast, classes),
                config.pixel_memory,
            ),
            ("pixel_memory", config.pixel_update, config.pixel_memory),
            (
                "region_memory",
                keys(config.region_contrast, classes),
                config.region_memory,
            ),
        ] {
            if memory < least {
                return Err(MethodError::Setting {
                    method: Cirkd::ID,
                    key,
                    expected: format!(
                        "at least {least}, which are drawn from it or added to it at once for each \
                         of {classes} classes; set it or `pixel_contrast`, `region_contrast` and \
                         `pixel_update` in [method.cirkd]"
                    ),
                    found: memory.to_string(),
                });
            }
        }
        let (input, output) = (pair.student_shape[0], pair.teacher_shape[0]);
        let mut level = builder.sub("project_head");
        let sizes = Sizes {
            classes,
            pixels: config.pixel_memory,
            regions: config.region_memory,
            width: output,
            update: config.pixel_update,
        };
        Ok(Self {
            head: ConvNorm::new(&mut level, 0, 1, Conv2dConfig::new(input, output, 1)),
            output: Conv2d::new(level.sub(3), Conv2dConfig::new(output, output, 1)),
            queues: Queues::new(
                sizes,
                config.enqueued,
                probe.seed,
                (&probe.device, probe.dtype),
            ),
            classes,
        })
    }

    /// h(s) of the student's map: `[B, C_s, h, w]` → `[B, C_t, h, w]`, unit vectors.
    fn project(&self, pass: &mut Pass<'_>, student: Tensor<4>) -> Tensor<4> {
        let hidden = relu(self.head.forward(pass, student));
        unit(self.output.forward(pass, hidden), 1)
    }

    /// Draws places of every class.
    fn places(&self, config: &CirkdConfig, random: &mut Stream) -> Places {
        let mut draw = |size: usize, contrast: usize| {
            let mut places: Vec<usize> = (0..size).collect();
            random.shuffle(&mut places);
            places.truncate(keys(contrast, self.classes));
            places
        };
        Places {
            pixels: draw(config.pixel_memory, config.pixel_contrast),
            regions: draw(config.region_memory, config.region_contrast),
        }
    }

    /// Class of each position of maps of `size`, image by image, −1 for void.
    fn labels(&self, step: &Step<'_>, size: [usize; 2]) -> Result<Vec<i64>, MethodError> {
        let labels = labels_at(Cirkd::ID, step, size)?;
        match labels.iter().find(|&&label| label >= self.classes as i64) {
            Some(label) => Err(MethodError::Batch {
                method: Cirkd::ID,
                reason: format!(
                    "a mask has class {label}, and there are queues for {} classes",
                    self.classes
                ),
            }),
            None => Ok(labels),
        }
    }
}

/// Keys of each class where `contrast` are drawn over all, as in the authors' code.
fn keys(contrast: usize, classes: usize) -> usize {
    contrast / classes.max(1) + 1
}

/// Numbers of the rows that have a label.
fn known(labels: &[i64]) -> Vec<i64> {
    let rows = (0_i64..).zip(labels);
    rows.filter(|&(_, &label)| label >= 0)
        .map(|(row, _)| row)
        .collect()
}

impl Cirkd {
    /// Both Q, `[1]` each, of maps `[B, C_s, h, w]` and `[B, C_t, h, w]` with the class of each
    /// position. `order` is [`Queues::remember`]'s.
    pub fn memory(
        &mut self,
        pass: &mut Pass<'_>,
        [student, teacher]: [Tensor<4>; 2],
        labels: &[i64],
        order: impl FnMut(usize, usize, usize) -> Vec<usize>,
        places: Option<Places>,
    ) -> Result<[Tensor<1>; 2], MethodError> {
        let Some(memory) = &mut self.memory else {
            let reason = "it was made without a memory".to_owned();
            return Err(MethodError::Batch {
                method: Self::ID,
                reason,
            });
        };
        let teacher = unit(teacher, 1);
        memory.queues.remember(&teacher, labels, order);
        let student = memory.project(pass, student);
        let known = known(labels);
        if known.is_empty() {
            let nothing = student.sum().mul_scalar(0.0);
            return Ok([nothing.clone(), nothing]);
        }
        let places = places
            .unwrap_or_else(|| memory.places(&self.config, &mut Stream::of_seed(pass.next_seed())));
        let pixels = memory.queues.pixels(&places.pixels);
        let regions = memory.queues.regions(&places.regions);
        let data = TensorData::new(known.clone(), [known.len()]);
        let known = Tensor::<1, Int>::from_data(data, &teacher.device());
        let rows = |map| Feature::Map(map).to_rows().select(0, known.clone());
        let (student, teacher) = (rows(student), rows(teacher));
        Ok([
            self.recall(student.clone(), teacher.clone(), pixels),
            self.recall(student, teacher, regions),
        ])
    }
}

impl Criterion for Cirkd {
    fn needs(&self) -> Needs {
        let pair = &self.pair;
        Needs {
            student: Taps::from_iter(pair.iter().map(|pair| &pair.student.name)),
            teacher: Taps::from_iter(pair.iter().map(|pair| &pair.teacher.name)),
            logits: self.config.kd_weight > 0.0,
        }
    }

    fn terms(&mut self, step: &Step<'_>, pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let mut terms = Vec::new();
        if self.config.kd_weight > 0.0 {
            let (student, teacher) = logit_maps(Self::ID, step)?;
            let rows = |map| Feature::Map(map).to_rows();
            let (student, teacher) = (rows(student), rows(teacher));
            let share = 1.0 / student.dims()[0] as f64;
            let value = divergence(student, teacher, 1.0).mul_scalar(share);
            terms.push(Term::new("kd", value, self.config.kd_weight));
        }
        let Some(pair) = &self.pair else {
            return Ok(terms);
        };
        let student = pair.student_map(Self::ID, step.student)?;
        let teacher = pair.teacher_map(Self::ID, &step.teacher(Self::ID)?)?;
        let (student, teacher) = on_one_grid(student, teacher);
        let [_, _, height, width] = student.dims();
        if self.config.minibatch_weight > 0.0 {
            let value = self.minibatch(student.clone(), teacher.clone());
            terms.push(Term::new("minibatch", value, self.config.minibatch_weight));
        }
        if let Some(memory) = &self.memory {
            let labels = memory.labels(step, [height, width])?;
            let seed = pass.next_seed();
            let mut random = Stream::of_seed(seed);
            let order = move |_, _, count: usize| {
                let mut order: Vec<usize> = (0..count).collect();
                random.shuffle(&mut order);
                order
            };
            let [pixels, regions] = self.memory(pass, [student, teacher], &labels, order, None)?;
            terms.push(Term::new("pixel_memory", pixels, self.config.pixel_weight));
            terms.push(Term::new(
                "region_memory",
                regions,
                self.config.region_weight,
            ));
        }
        Ok(terms)
    }

    fn state(&self) -> State {
        let memory = self.memory.as_ref();
        memory.map_or_else(State::new, |memory| memory.queues.state())
    }

    fn load_state(&mut self, state: State) -> Result<(), MethodError> {
        match &mut self.memory {
            Some(memory) => memory.queues.load(state),
            None => Ok(()),
        }
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pair.iter().map(Pair::names).collect()
    }
}
