//! One training step: forward passes, loss terms, gradients, update.

use std::collections::BTreeMap;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use limbeck_data::Batch;
use limbeck_methods::{Method, Needs, Progress, Step};
use limbeck_nn::{Mode, Network, Pass, Taps};

use crate::{
    TrainError,
    average::WeightAverage,
    clip::clip_global_norm,
    loss::{cross_entropy, soft_cross_entropy},
    optimizer::Optimizer,
    recipe::TrainRecipe,
    teacher::Teacher,
};

/// The gradients of a store, in its order.
type Gradients = Vec<Option<Tensor<1>>>;

/// A network in training, with all that changes at a step.
pub struct Learner {
    /// The network that is trained.
    pub network: Network,
    /// The method.
    pub method: Method,
    /// Updates the network.
    pub optimizer: Box<dyn Optimizer>,
    /// Updates the method's modules.
    pub method_optimizer: Box<dyn Optimizer>,
    /// Moving average of the network, if wanted.
    pub average: Option<WeightAverage>,
    label_smoothing: f64,
    clip_norm: Option<f64>,
    accumulate: usize,
    needs: Needs,
    pending: Option<(Gradients, Gradients)>,
    pending_batches: usize,
}

/// What one batch showed.
#[derive(Clone, Debug, Default)]
pub struct StepReport {
    /// Total loss.
    pub loss: f64,
    /// Each term before its weight, `task` among them.
    pub terms: BTreeMap<String, f64>,
    /// Images whose most probable class was the labelled one.
    pub correct: usize,
    /// Images.
    pub images: usize,
}

impl Learner {
    /// Puts a learner together; nothing is pending.
    pub fn new(
        network: Network,
        method: Method,
        optimizer: Box<dyn Optimizer>,
        method_optimizer: Box<dyn Optimizer>,
        train: &TrainRecipe,
    ) -> Self {
        let average = train
            .average
            .map(|decay| WeightAverage::new(decay, &network.store));
        Self {
            needs: method.needs(),
            network,
            method,
            optimizer,
            method_optimizer,
            average,
            label_smoothing: train.label_smoothing,
            clip_norm: train.clip_norm,
            accumulate: train.accumulate,
            pending: None,
            pending_batches: 0,
        }
    }

    /// The network to evaluate: the moving average where there is one.
    pub fn evaluated(&self) -> Network {
        let mut network = self.network.clone();
        if let Some(average) = &self.average {
            network.store = average.store().clone();
        }
        network
    }

    /// Whether an update has just been made, so that a checkpoint is possible here.
    pub fn is_settled(&self) -> bool {
        self.pending_batches == 0
    }

    /// Learns from one batch. `seed` decides what dropout draws; `last` makes the update at the
    /// end of an epoch even if fewer batches than wanted have been gathered.
    ///
    /// # Errors
    /// A loss that is not finite, or a batch that the method cannot use.
    pub fn learn(
        &mut self,
        batch: Batch,
        teacher: Option<&dyn Teacher>,
        progress: Progress,
        learning_rate: f64,
        seed: u64,
        last: bool,
    ) -> Result<StepReport, TrainError> {
        let store = &self.network.store;
        let (device, dtype) = (store.device().clone(), store.dtype());
        let tensors = BatchTensors::new(batch, &device, dtype);
        let knowledge =
            teacher.map(|teacher| teacher.outputs(tensors.images.clone(), &self.needs.teacher));

        let tracked = store.tracked();
        let (outputs, updates) =
            self.network
                .train(&tracked, tensors.images, &self.needs.student, seed);
        let modules = self.method.store().tracked();
        let mut pass = Pass::new(&modules, Mode::Train, Taps::none(), seed ^ 0x5eed);
        let step = Step {
            student: &outputs,
            teacher: knowledge.as_ref(),
            labels: &tensors.labels,
            targets: tensors.targets.as_ref(),
            progress,
        };
        let terms = self.method.terms(&step, &mut pass)?;
        let module_updates = pass.into_updates();

        let logits = outputs.logits.clone();
        let task = match tensors.targets {
            Some(targets) => soft_cross_entropy(logits, targets, self.label_smoothing),
            None => cross_entropy(logits, tensors.labels, self.label_smoothing),
        };
        let mut report = StepReport {
            images: tensors.classes.len(),
            correct: count_correct(&outputs.logits, &tensors.classes),
            ..StepReport::default()
        };
        let mut record = |name: &str, value: &Tensor<1>| {
            let value = value.clone().into_scalar::<f64>();
            report.terms.insert(name.to_owned(), value);
            if value.is_finite() {
                return Ok(());
            }
            Err(TrainError::NotFinite {
                term: name.to_owned(),
                value,
                epoch: progress.epoch + 1,
                step: progress.step + 1,
            })
        };
        record("task", &task)?;
        let mut total = task.mul_scalar(self.method.task_weight());
        for term in terms {
            record(&term.name, &term.value)?;
            total = total + term.value.mul_scalar(term.weight);
        }
        report.loss = total.clone().into_scalar::<f64>();

        let mut gradients = total.div_scalar(self.accumulate as f64).backward();
        let new = (
            tracked.gradients(&mut gradients),
            modules.gradients(&mut gradients),
        );
        drop((tracked, modules, gradients, outputs));
        self.network.store.apply(updates);
        self.method.store_mut().apply(module_updates);
        self.pending = Some(match self.pending.take() {
            Some(old) => (add(old.0, new.0), add(old.1, new.1)),
            None => new,
        });
        self.pending_batches += 1;
        if self.pending_batches == self.accumulate || last {
            self.update(learning_rate);
        }
        Ok(report)
    }

    fn update(&mut self, learning_rate: f64) {
        self.pending_batches = 0;
        let Some((mut gradients, mut module_gradients)) = self.pending.take() else {
            return;
        };
        if let Some(largest) = self.clip_norm {
            let mut both = [gradients, module_gradients];
            clip_global_norm(&mut both, largest);
            [gradients, module_gradients] = both;
        }
        self.optimizer
            .step(&mut self.network.store, gradients, learning_rate);
        self.method_optimizer
            .step(self.method.store_mut(), module_gradients, learning_rate);
        if let Some(average) = &mut self.average {
            average.update(&self.network.store);
        }
    }
}

/// A batch on the device.
struct BatchTensors {
    images: Tensor<4>,
    labels: Tensor<1, Int>,
    targets: Option<Tensor<2>>,
    classes: Vec<i64>,
}

impl BatchTensors {
    fn new(batch: Batch, device: &Device, dtype: DType) -> Self {
        let count = batch.labels.len();
        Self {
            images: Tensor::from_data(TensorData::new(batch.images, batch.shape), (device, dtype)),
            labels: Tensor::from_data(TensorData::new(batch.labels.clone(), [count]), device),
            targets: batch.targets.map(|targets| {
                let classes = targets.len() / count;
                Tensor::from_data(TensorData::new(targets, [count, classes]), (device, dtype))
            }),
            classes: batch.labels,
        }
    }
}

fn count_correct(logits: &Tensor<2>, labels: &[i64]) -> usize {
    let choices = logits.clone().inner().argmax(1).into_data();
    choices
        .iter::<i64>()
        .zip(labels)
        .filter(|(choice, label)| choice == *label)
        .count()
}

fn add(left: Gradients, right: Gradients) -> Gradients {
    left.into_iter()
        .zip(right)
        .map(|pair| match pair {
            (Some(left), Some(right)) => Some(left + right),
            (left, right) => left.or(right),
        })
        .collect()
}
