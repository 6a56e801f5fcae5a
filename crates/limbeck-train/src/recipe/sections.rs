//! The typed sections of a recipe and their defaults.
//!
//! "CIFAR protocol" below is the common CIFAR-100 protocol of RepDistiller and mdistiller: 240
//! epochs, batch 64, SGD with momentum 0.9, weight decay 5e-4, learning rate 0.05, divided by ten
//! at epochs 150, 180 and 210.

use std::collections::BTreeMap;
use std::path::PathBuf;

use limbeck_data::{Augment, PadCrop, StyleMap};
use serde::{Deserialize, Serialize};

use super::{EvaluateRecipe, ProbeRecipe, QuantiseRecipe, QuantiserName, SideBySide, TaskRecipe};
use crate::model_facts::ModelFacts;

/// Everything that decides what a run does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Recipe {
    /// What is to be learnt.
    pub task: TaskRecipe,
    /// What is trained and tested on.
    pub data: DataRecipe,
    /// What is done to images on their way to the networks. By default they are padded by 4
    /// pixels and cropped (CIFAR protocol); mirroring, which the protocol has too, is left out
    /// because mirrored digits and letters are other ones: set `flip = 0.5` for photographs, and
    /// `pad_crop.pixels = 0` for no crop. `size` and `channels` are 0 by default: the data's own,
    /// or the student's own size where images have no common one.
    ///
    /// Detectors learn, by default, from mosaics of four images, scaled by 0.5 to 1.5 and moved by up to a
    /// tenth, in other hues, saturations and values, mirrored half the time; `size` is then the side of a square.
    ///
    /// Networks that segment learn, by default, from crops of images that are scaled by 0.5 to 2
    /// (`random_scale.range = [0, 0]` for neither) and mirrored half the time; `size` is then that of
    /// the crop, at most 512 a side where it is left out. Networks that are pre-trained learn from
    /// parts of 20 to 100 % of the area instead (`random_resized_crop.scale = [0, 0]` for whole images),
    /// mirrored half the time and, unless they are transformers, in changed colours (`colour_jitter`
    /// with 0 for all four numbers for none).
    pub augment: Augment,
    /// Whom the student learns from.
    pub teacher: TeacherRecipe,
    /// Who learns.
    pub student: StudentRecipe,
    /// How the student learns from the teacher.
    pub method: MethodRecipe,
    /// How gradients change weights.
    pub optimizer: OptimizerRecipe,
    /// The learning rate over the run.
    pub schedule: ScheduleRecipe,
    /// Length and repetition of training.
    pub train: TrainRecipe,
    /// How networks that segment are measured.
    pub evaluate: EvaluateRecipe,
    /// How networks that are pre-trained are measured.
    pub probe: ProbeRecipe,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            task: TaskRecipe::default(),
            data: DataRecipe::default(),
            augment: Augment {
                size: [0, 0],
                channels: 0,
                pad_crop: Some(PadCrop::default()),
                ..Augment::default()
            },
            teacher: TeacherRecipe::default(),
            student: StudentRecipe::default(),
            method: MethodRecipe::default(),
            optimizer: OptimizerRecipe::default(),
            schedule: ScheduleRecipe::default(),
            train: TrainRecipe::default(),
            evaluate: EvaluateRecipe::default(),
            probe: ProbeRecipe::default(),
        }
    }
}

/// `[data]`: what is trained and tested on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataRecipe {
    /// A folder that is recognised by its content, or `shapes` or `shapes:N` for the generated
    /// set. Default `shapes`: the one set that is always there.
    pub path: String,
    /// Share of the training images that is kept apart to choose by, 0..1. Default 0.1: enough to
    /// rank epochs, little enough not to starve the training.
    pub validation: f64,
    /// Decides which images are kept apart, and which are tested on where the data set has no
    /// test part of its own. Default 0. Its own setting, so that another `train.seed` never
    /// trains on images that an earlier run, such as the teacher's, kept apart.
    pub split_seed: u64,
    /// Train on at most this many images, balanced over the classes; on all where missing. What
    /// epochs are chosen by and what is tested on stay whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Train on this many images of each class, drawn anew for each seed of training, so that intervals
    /// over seeds are intervals over draws; student and baseline of a seed have the same ones. On all
    /// where missing. What is tested on stays whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shots: Option<usize>,
    /// Factor by which both sides of images are reduced when they are read, above 0 and at most 1, and
    /// of masks to learn from. What networks say of reduced images is measured against masks in their
    /// own size. As they are where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f64>,
    /// Which test images belong together and are no independent samples, such as the frames of a film:
    /// a pattern of their names such as `{block}_{frame}`. Intervals are then taken over blocks. Every
    /// image stands for itself where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// Seed of what augmentation draws for the images that the student sees; the seed of training
    /// where missing. With it, the students of all seeds see the same views, in orders of their
    /// own; stored outputs of a teacher need that and bring theirs along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub view_seed: Option<u64>,
    /// How many views of each image there are: epoch `e`, counted from 0, shows view `e mod views`.
    /// A new one in every epoch where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub views: Option<usize>,
    /// Another domain, for methods that adapt to it: what is tested on is then its test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetRecipe>,
    /// Images of one forward pass. Default 64, as in the CIFAR protocol; 8 of networks that
    /// segment, 16 of detectors. The last images of an epoch that fill no batch are left out, others in each
    /// epoch.
    pub batch: usize,
    /// Threads that decode and augment; with 0 the trainer does it itself. Default 1: small
    /// images are cheap to prepare and training takes the other cores. Results are the same bits
    /// with any number.
    pub workers: usize,
}

impl Default for DataRecipe {
    fn default() -> Self {
        Self {
            path: "shapes".to_owned(),
            validation: 0.1,
            split_seed: 0,
            limit: None,
            shots: None,
            scale: None,
            block: None,
            view_seed: None,
            views: None,
            target: None,
            batch: 64,
            workers: 1,
        }
    }
}

/// `data.target`: images of another domain, on which the student is to work. It does not learn their labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetRecipe {
    /// A folder, as `data.path`.
    pub path: String,
    /// How images are drawn in the style of the other domain where no folder has them: `fourier` (default)
    /// or `statistics`.
    pub style: StyleMap,
    /// Read by `fourier`: reach of the frequencies whose amplitudes are taken, as a share of a side. Default
    /// 0.05 (Yang and Soatto: 0.01 to 0.09).
    pub share: f64,
    /// Whether a run with baselines (`train.baseline`) trains the student once more for each seed, on the
    /// labels of these images: the upper bound of what adapting to them can reach. Student and baseline see
    /// none of those labels. Default true; images without labels have no upper bound.
    pub upper_bound: bool,
    /// Folder with the images of the source in the style of the target, under their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_drawings: Option<String>,
    /// Folder with the images of the target in the style of the source, under their names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_drawings: Option<String>,
}

impl Default for TargetRecipe {
    fn default() -> Self {
        Self {
            path: String::new(),
            style: StyleMap::default(),
            share: 0.05,
            upper_bound: true,
            source_drawings: None,
            target_drawings: None,
        }
    }
}

/// `[teacher]`: whom the student learns from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TeacherRecipe {
    /// A run folder, a weights file, a zoo name, or `cache:DIR` with what `limbeck cache build`
    /// stored; no teacher where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Zoo name of the network that a weights file belongs to; a run folder knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How the images of a weights file that does not tell it were normalised: `imagenet`,
    /// `cifar10`, `cifar100`, `half`, `none`, or mean and deviation such as `0.5/0.5` or
    /// `0.485,0.456,0.406/0.229,0.224,0.225`. The student's normalisation where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<String>,
    /// A file with the class names of such a weights file, one a line, or JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<String>,
    /// Which state dict of a weights file is read, such as `state_dict_ema` or `student`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_key: Option<String>,
    /// Height and width of the images that a weights file was trained on; where missing, what its
    /// weights tell or what its model is meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// What the backbone of a teacher that is trained first starts from: see `student.backbone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backbone: Option<String>,
    /// Outputs of the teacher, such as `["logits"]`, that are kept for all students of a run or a
    /// series, so that the teacher runs once over each view; `[]` lets it run for each student.
    /// Where missing, `limbeck distill` decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<Vec<String>>,
}

impl TeacherRecipe {
    /// What the recipe says of a weights file that does not tell it itself.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts {
            model: self.model.clone(),
            normalisation: self.normalisation.clone(),
            classes: self.classes.as_ref().map(PathBuf::from),
            weights_key: self.weights_key.clone(),
            size: self.size,
        }
    }
}

/// `[student]`: who learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StudentRecipe {
    /// Zoo name. Default `resnet8`: the smallest of the zoo, trained in minutes on two cores.
    pub model: String,
    /// A weights file to start from; drawn from the seed where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// A weights file or the run folder of a classifier with the same body, from which the backbone
    /// of a network that segments or detects starts; its head is drawn from the seed. Drawn too where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backbone: Option<String>,
    /// Which state dict of that file is read; see `teacher.weights_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_key: Option<String>,
    /// Bits of its weights and of what its layers are given, 1 to 8, or `hybrid`: as many in each layer as
    /// its trained weights need. The layer that gives out the logits keeps 32, and the image has 8 at
    /// least. Training sees what few bits make of the weights, its baseline's too, and the file of the
    /// student holds codes. A teacher that is the same network, in full precision, gives both their first
    /// weights, unless `weights` or `backbone` does. Full precision where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantise: Option<QuantiseRecipe>,
    /// Read with `quantise`: `range`, for any network, or `dorefa`, GHOST's, for networks whose layers are
    /// all followed by a batch norm. `range` where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantiser: Option<QuantiserName>,
    /// Read with `quantise = "hybrid"`: mean squared distance of weights from the nearest of 2^bits
    /// cluster centres, in millionths, below which the bits are enough. 0.1 where missing (GHOST's code);
    /// networks of large weights, such as those for small images, need more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hybrid_threshold: Option<f64>,
}

impl Default for StudentRecipe {
    fn default() -> Self {
        Self {
            model: "resnet8".to_owned(),
            weights: None,
            backbone: None,
            weights_key: None,
            quantise: None,
            quantiser: None,
            hybrid_threshold: None,
        }
    }
}

/// `[method]`: how the student learns from the teacher. Tables `[method.<name>]` hold the
/// settings of single methods.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MethodRecipe {
    /// A name of the catalogue; several joined by `+` have their terms added. Default `kd`: works
    /// for any two networks that tell the same classes apart.
    pub name: String,
    /// `[student tap, teacher tap]` to compare; left to the method where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pairs: Option<Vec<(String, String)>>,
    /// Settings by method name.
    #[serde(flatten)]
    pub settings: BTreeMap<String, toml::Table>,
}

impl Default for MethodRecipe {
    fn default() -> Self {
        Self {
            name: "kd".to_owned(),
            pairs: None,
            settings: BTreeMap::new(),
        }
    }
}

impl MethodRecipe {
    /// The settings by method, as [`limbeck_methods::build`] takes them.
    pub fn values(&self) -> BTreeMap<String, serde_json::Value> {
        let value = |table| serde_json::to_value(table).unwrap_or_default();
        let tables = self.settings.iter();
        tables
            .map(|(id, table)| (id.clone(), value(table)))
            .collect()
    }

    /// The values of settings that name a trained network, by its run or its file.
    pub(crate) fn networks_mut(&mut self) -> impl Iterator<Item = &mut toml::Value> {
        self.settings.iter_mut().filter_map(|(id, table)| {
            let setting = limbeck_methods::find(id).ok()?.network?;
            table.get_mut(setting)
        })
    }
}

/// Which optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerName {
    /// Stochastic gradient descent with momentum.
    #[default]
    Sgd,
    /// Adam with decoupled weight decay.
    AdamW,
    /// Of detectors: one of both, by the steps of the run. A plan says which before anything is trained.
    Auto,
}

/// `[optimizer]`: how gradients change weights. Semantics and, for AdamW, defaults are
/// PyTorch's; SGD's are the CIFAR protocol's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerRecipe {
    /// `sgd` (default: the CIFAR protocol's) or `adamw` (default of SegFormer and of transformers that are
    /// pre-trained), or `auto` (default of detectors: `adamw` in runs of fewer than 10,000 steps, in which
    /// SGD gets nowhere from no trained weights, else `sgd`; Ultralytics' rule).
    pub name: OptimizerName,
    /// Peak learning rate. Default 0.05 for SGD (CIFAR protocol; 0.01 for MobileNetV2 and
    /// ShuffleNets), 0.001 for AdamW (PyTorch). Of networks that segment 0.01 for SGD
    /// (mmsegmentation); of SegFormer 6e-5 from trained weights (section 4.1), 5e-4 from none. Of detectors
    /// 0.01 for SGD (YOLOv5), 0.01 / (4 + classes) where `auto` takes AdamW (Ultralytics).
    pub learning_rate: f64,
    /// Read by SGD. Default 0.9 (CIFAR protocol).
    pub momentum: f64,
    /// Read by SGD: step along the momentum to come. Default false (CIFAR protocol).
    pub nesterov: bool,
    /// Read by SGD: share of a gradient kept out of the momentum. Default 0 (PyTorch).
    pub dampening: f64,
    /// Pull of weights towards zero: added to the gradient by SGD, decoupled in AdamW. Default
    /// 5e-4 for SGD (CIFAR protocol), 0.01 for AdamW (PyTorch), 0.05 of transformers that are pre-trained
    /// (MAE).
    pub weight_decay: f64,
    /// Whether biases, scales and shifts of normalisations and tokens decay too. Default true
    /// (CIFAR protocol, PyTorch); false of SegFormer (its code) and of transformers that are pre-trained
    /// (MAE).
    pub decay_norms: bool,
    /// Read by AdamW: decay of the mean of gradients. Default 0.9 (PyTorch).
    pub beta1: f64,
    /// Read by AdamW: decay of the mean of squared gradients. Default 0.999 (PyTorch); 0.95 of
    /// transformers that are pre-trained (MAE).
    pub beta2: f64,
    /// Read by AdamW: added to the root of the squared mean. Default 1e-8 (PyTorch).
    pub epsilon: f64,
    /// Factor of the learning rate of everything that is not the backbone, of networks that have one.
    /// Default 1; 10 where a backbone starts from trained weights and a new head is put on it
    /// (SegFormer, section 4.1; DeepLab).
    pub head_factor: f64,
    /// Factor of the learning rate from each block of a vision transformer to the one before it, the
    /// head's being 1. Default 1; 0.65 to 0.75 where a pre-trained one is fine-tuned (Bao et al.,
    /// "BEiT", ICLR 2022, appendix; He et al., "Masked Autoencoders", CVPR 2022, table 9).
    pub layer_decay: f64,
}

impl OptimizerRecipe {
    /// The defaults of one optimiser.
    pub fn of(name: OptimizerName) -> Self {
        let (learning_rate, weight_decay) = match name {
            OptimizerName::Sgd | OptimizerName::Auto => (0.05, 5e-4),
            OptimizerName::AdamW => (1e-3, 0.01),
        };
        Self {
            name,
            learning_rate,
            momentum: 0.9,
            nesterov: false,
            dampening: 0.0,
            weight_decay,
            decay_norms: true,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            head_factor: 1.0,
            layer_decay: 1.0,
        }
    }
}

impl Default for OptimizerRecipe {
    fn default() -> Self {
        Self::of(OptimizerName::Sgd)
    }
}

/// Shape of the learning rate over the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// The peak all along.
    Constant,
    /// Multiplied by `gamma` at each milestone.
    MultiStep,
    /// Half a cosine from the peak to the minimum.
    #[default]
    Cosine,
    /// A power of the share of the run that is left.
    Polynomial,
}

/// `[schedule]`: the learning rate over the run; see [`crate::schedule`] for the formulas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleRecipe {
    /// `constant`, `multi-step`, `cosine` or `polynomial`. Default `cosine`: needs no milestones
    /// and serves short and long runs alike; `polynomial` of networks that segment.
    pub name: ScheduleName,
    /// Read by `multi-step`: shares of the run, 0..1, rising. Default 0.625, 0.75, 0.875: epochs
    /// 150, 180 and 210 of the CIFAR protocol's 240.
    pub milestones: Vec<f64>,
    /// Read by `multi-step`: factor at each milestone. Default 0.1 (CIFAR protocol).
    pub gamma: f64,
    /// Read by `polynomial`. Default 0.9 (DeepLab); 1 of SegFormer.
    pub power: f64,
    /// Read by `cosine` and `polynomial`: learning rate at the end. Default 0.
    pub minimum: f64,
    /// Epochs over which the learning rate rises linearly to its peak. Default 0 (CIFAR
    /// protocol); 1 of transformers that are pre-trained, and of SegFormer, whose 1,500 steps are a
    /// hundredth of its run.
    pub warmup_epochs: f64,
    /// The same in steps instead, such as the 1,500 of SegFormer; read in the place of
    /// `warmup_epochs` where it is given. 1,000 of detectors (YOLOv5), at most a fifth of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_iterations: Option<usize>,
    /// Learning rate that this rise starts from. Default 0.
    pub warmup_start: f64,
    /// Learning rate of biases and of shifts of norms that theirs starts from, meanwhile; that of all
    /// others where missing. 0.1 of detectors (YOLOv5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_biases: Option<f64>,
    /// Read by SGD: momentum that rises to its own, meanwhile; its own all along where missing. 0.8 of
    /// detectors (YOLOv5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_momentum: Option<f64>,
}

impl Default for ScheduleRecipe {
    fn default() -> Self {
        Self {
            name: ScheduleName::Cosine,
            milestones: vec![0.625, 0.75, 0.875],
            gamma: 0.1,
            power: 0.9,
            minimum: 0.0,
            warmup_epochs: 0.0,
            warmup_iterations: None,
            warmup_start: 0.0,
            warmup_biases: None,
            warmup_momentum: None,
        }
    }
}

/// `[train]`: length and repetition of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainRecipe {
    /// Passes over the training images. Default 30: a first result in minutes on small data;
    /// published numbers take 240 on CIFAR-100.
    pub epochs: usize,
    /// Steps instead of epochs, as segmentation counts them: `epochs` is then as many as they take,
    /// and the last one ends with the last step. `epochs` alone counts where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
    /// Seed of the first student; the others count up from it. Default 0.
    pub seed: u64,
    /// Number of students, one for each seed. Default 1; an interval needs two or more.
    pub seeds: usize,
    /// Whether the same students are trained on labels alone too, for comparison. Default false:
    /// it doubles the time.
    pub baseline: bool,
    /// Share of each label that is spread over all classes. Default 0 (CIFAR protocol).
    pub label_smoothing: f64,
    /// Greatest norm of all gradients together; unlimited where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Decay of a moving average of the weights, such as 0.999, which is then what is tested and
    /// saved; none where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average: Option<f64>,
    /// Read with `average`: steps τ over which its decay d rises, as d · (1 − exp(−n/τ)) at the n-th
    /// update; d all along where missing. 2,000 of detectors (YOLOv5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_ramp: Option<f64>,
    /// Batches whose gradients are averaged into one step. Default 1.
    pub accumulate: usize,
    /// Whether each unit of the networks in training (a residual block, a transformer block, a stage of
    /// convolutions) keeps its input alone, and is computed once more in the backward pass: for large images
    /// and small machines. Default false. Results are the same bits; steps take longer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recompute: bool,
    /// What the best epoch is chosen by on the validation part: `accuracy`, or `recall` for
    /// embeddings, which then is measured of all networks on the test part too. Default
    /// `accuracy`.
    pub choose_by: ChooseBy,
    /// Whose weights are tested and deployed: `best` for the epoch that was best on the validation
    /// part (of equal ones that with the lower validation loss, then the later), `last` for the
    /// last epoch, `average` for the mean of the last epochs' weights and batch-norm statistics.
    /// Where missing, `best` if the validation part has 1,000 images or more, so that it can tell
    /// epochs apart, else `last`. Student and baseline go by the same rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choose: Option<Choose>,
    /// Read by `choose = "average"`: number of epochs that are averaged; all of a shorter run.
    /// Default 5.
    pub choose_epochs: usize,
    /// Threads that compute; the number of cores where missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// How many trainings of the run (students and baselines of all seeds) go on at the same time, with the
    /// threads divided among them: `auto`, or a number, 1 for one after the other. Default `auto`: as many
    /// as there are threads, or trainings left, where a few steps of the run are measured to be faster that
    /// way and the memory suffices, else one after the other. Results are the same bits in any case.
    pub side_by_side: SideBySide,
}

/// Whose weights are tested and deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choose {
    /// Those of the epoch that was best on the validation part.
    Best,
    /// Those of the last epoch.
    Last,
    /// The mean of the last epochs'.
    Average,
}

/// What the best epoch is chosen by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChooseBy {
    /// Top-1 of the logits.
    #[default]
    Accuracy,
    /// Recall@1 of the embeddings.
    Recall,
}

impl Default for TrainRecipe {
    fn default() -> Self {
        Self {
            epochs: 30,
            iterations: None,
            seed: 0,
            seeds: 1,
            baseline: false,
            label_smoothing: 0.0,
            clip_norm: None,
            average: None,
            average_ramp: None,
            accumulate: 1,
            recompute: false,
            choose_by: ChooseBy::Accuracy,
            choose: None,
            choose_epochs: 5,
            threads: None,
            side_by_side: SideBySide::Auto,
        }
    }
}
