//! What a finished run found: the content of `results.json`, and all that the report shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evaluation::Evaluation;
use crate::measure::{self, Measure};
use crate::pretraining::Pretrained;
use crate::prototypes::Prototype;
use crate::version::Version;

/// Name of the method that learns from labels alone, which every other one is compared with.
pub const BASELINE: &str = "none";

/// Everything that a run found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Version of the format.
    pub version: Version,
    /// Run folder's name.
    pub run: String,
    /// Method's name; [`BASELINE`] for a plain training run.
    pub method: String,
    /// What was trained and tested on.
    pub data: DataSummary,
    /// The teacher; `None` where the method has none.
    pub teacher: Option<NetworkSummary>,
    /// The student's network.
    pub student: NetworkSummary,
    /// The distilled students, one for each seed. Of a plain training run: the trained networks.
    pub students: Vec<SeedResult>,
    /// The same students trained on labels alone, or by the method that theirs adds to, same seeds in
    /// the same order; empty if none were asked for.
    pub baselines: Vec<SeedResult>,
    /// Of a run that adapts to another domain: the same students trained on that domain's labels, the upper
    /// bound of what adapting can reach, same seeds in the same order; empty if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<SeedResult>,
    /// The method that the baselines are trained by; `None` of labels alone. A run of that method has
    /// no baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// What the students are better by than the baselines.
    pub gain: Option<Gain>,
    /// Layer pairs `(student tap, teacher tap)` that the method compared.
    pub pairs: Vec<(String, String)>,
    /// Pictures on which student (first seed) and teacher disagree, the most confident first.
    pub disagreements: Vec<Disagreement>,
    /// Of a segmentation run: pictures on which student and baseline (without one: student and
    /// teacher) of the first seed differ most, the most different first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segmented: Vec<SegmentedPicture>,
    /// Of a detection run: pictures on which student and baseline (without one: student and teacher) of
    /// the first seed differ most, the most different first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub detected: Vec<DetectedPicture>,
    /// Of a run that pre-trains: what its first seed's networks make of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<Pretrained>,
    /// The first seed's prototypes, of a method that learns some: those with the largest shares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prototypes: Vec<Prototype>,
    /// What went wrong though the run went on, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Some of the images that the method has made for the first seed, in the order in which they were
    /// made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generated: Vec<GeneratedImage>,
    /// Wall time of the whole run.
    pub seconds: f64,
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// How to run it again.
    pub command: String,
    /// Processor, cores, threads, versions: name → value.
    pub environment: BTreeMap<String, String>,
}

impl Results {
    /// What networks are compared by, as it was measured of one of them; `None` where nothing was
    /// tested.
    pub fn compared_by(&self) -> Option<&Measure> {
        let teacher = self.teacher.iter().flat_map(|teacher| &teacher.test);
        let students = self.students.iter().map(|seed| &seed.test);
        students.chain(teacher).find_map(Evaluation::first)
    }

    /// Whether there is no method but the baseline's.
    pub fn learns_from_labels_alone(&self) -> bool {
        self.method == BASELINE
    }

    /// Whether the method is the one that others are compared with.
    pub fn is_baseline(&self) -> bool {
        self.method == self.beside.as_deref().unwrap_or(BASELINE)
    }
}

/// A data set and its parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DataSummary {
    /// Such as `fashion-mnist (IDX)`.
    pub name: String,
    /// Class names; where the data has no labels, those of the teacher, if it tells them.
    pub classes: Vec<String>,
    /// Images to train on.
    pub train: usize,
    /// Images to choose by.
    pub validation: usize,
    /// Images touched once, at the end.
    pub test: usize,
    /// Channels, height and width of what the student sees.
    pub shape: [usize; 3],
}

impl DataSummary {
    /// A class's name; its number where the data set has no name for it.
    pub fn class_name(&self, class: usize) -> String {
        match self.classes.get(class) {
            Some(name) if !name.trim().is_empty() => name.clone(),
            _ => format!("class {class}"),
        }
    }
}

/// A network and what it costs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkSummary {
    /// Zoo name.
    pub name: String,
    /// Trained numbers.
    pub params: u64,
    /// Multiply-accumulates of one image.
    pub macs: u64,
    /// Numbers that layers write for one image.
    pub activations: u64,
    /// Size of its weights file.
    pub bytes: u64,
    /// Milliseconds for one image, median, batch 1, batch norm folded.
    pub latency_ms: f64,
    /// Measured on the test part; `None` where it was not tested on its own (student: see seeds).
    pub test: Option<Evaluation>,
    /// Names of its classes, of a teacher that knows others than those that are learnt, or has another
    /// task: it is not tested. Empty of every other network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_classes: Vec<String>,
    /// What few bits save, of a student that has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub few_bits: Option<FewBits>,
}

/// What few bits save.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FewBits {
    /// Such as `4 bits`, or `2 to 8 bits`.
    pub bits: String,
    /// Bytes of its numbers, weights as codes.
    pub bytes: u64,
    /// The same in single precision.
    pub full_bytes: u64,
    /// For one image: multiply-accumulates times the bits of both factors.
    pub bit_operations: u64,
    /// What networks are compared by, of the deployed student as it was trained and read from its file.
    pub read_back: Option<[f64; 2]>,
    /// The same read from its file and run in whole numbers, as it is deployed; `None` where it runs in
    /// single precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_whole_numbers: Option<f64>,
}

/// Bits of both factors of a multiplication in single precision.
const FULL_PRECISION: u64 = 32 * 32;

/// Most classes of a teacher that are named in a sentence.
const NAMED: usize = 10;

impl NetworkSummary {
    /// Bit operations for one image.
    pub fn bit_operations(&self) -> u64 {
        match &self.few_bits {
            Some(few) => few.bit_operations,
            None => self.macs.saturating_mul(FULL_PRECISION),
        }
    }

    /// Of a teacher that knows other classes than those that are learnt: that it is not measured.
    pub fn of_other_classes(&self) -> Option<String> {
        let count = self.other_classes.len();
        let named: Vec<&str> = self
            .other_classes
            .iter()
            .take(NAMED)
            .map(String::as_str)
            .collect();
        let more = if count > NAMED { ", …" } else { "" };
        (count > 0).then(|| {
            format!(
                "Its teacher knows other classes ({count}: {}{more}), so it is neither measured here nor \
                 agreed with.",
                named.join(", ")
            )
        })
    }
}

/// One trained student.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeedResult {
    /// Its seed.
    pub seed: u64,
    /// On the test part, once, with the weights that were chosen.
    pub test: Evaluation,
    /// The epoch that was best on validation, counted from 1.
    pub best_epoch: usize,
    /// The epoch whose weights were chosen, counted from 1, or the last of those whose mean was.
    pub chosen_epoch: usize,
    /// Whose weights were chosen and why: a sentence without its stop.
    pub choice: String,
    /// One row an epoch.
    pub epochs: Vec<EpochRow>,
    /// Wall time of this student's training.
    pub seconds: f64,
    /// The most bytes of buffers that were held during its training, images and teacher included; `None`
    /// of one that others were trained beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Which test images a classifier gets right, as hexadecimal digits of four images each, the first
    /// image in the highest bit; empty of other networks.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub right: String,
}

/// One epoch of training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochRow {
    /// Counted from 1 over all stages.
    pub epoch: usize,
    /// Stage that it belongs to; empty where the run has one alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Mean total loss.
    #[serde(deserialize_with = "measure::number")]
    pub loss: f64,
    /// Mean of each term before its weight, `task` among them.
    #[serde(deserialize_with = "numbers")]
    pub terms: BTreeMap<String, f64>,
    /// Mean of each term's weight in the total loss.
    #[serde(default, deserialize_with = "numbers")]
    pub weights: BTreeMap<String, f64>,
    /// Mean share of each term in the loss that it is part of: |weight · value|, in percent of
    /// their sum. (Not the share of its gradient, which would take a backward pass for each term.)
    #[serde(default, deserialize_with = "numbers")]
    pub shares: BTreeMap<String, f64>,
    /// What was measured, by [`TRAIN`] or [`VALIDATION`] and the measure's name, such as
    /// `validation_top1`: on the training images as the student saw them, and on the validation
    /// part.
    #[serde(deserialize_with = "numbers")]
    pub measures: BTreeMap<String, f64>,
    /// Training speed.
    pub images_per_second: f64,
    /// Share of the time that the trainer waited for data, in percent.
    pub data_wait: f64,
}

/// What the training images' measures begin with in [`EpochRow::measures`].
pub const TRAIN: &str = "train_";
/// What the validation part's measures begin with in [`EpochRow::measures`].
pub const VALIDATION: &str = "validation_";

impl EpochRow {
    /// Notes what was measured on the training images ([`TRAIN`]) or the validation part
    /// ([`VALIDATION`]).
    pub fn note<'a>(&mut self, part: &str, measures: impl IntoIterator<Item = &'a Measure>) {
        for measure in measures {
            let key = format!("{part}{}", measure.name);
            self.measures.insert(key, measure.value);
        }
    }

    /// The measure called `name` on the training images.
    pub fn train(&self, name: &str) -> Option<f64> {
        self.measures.get(&format!("{TRAIN}{name}")).copied()
    }

    /// The measure called `name` on the validation part.
    pub fn validation(&self, name: &str) -> Option<f64> {
        self.measures.get(&format!("{VALIDATION}{name}")).copied()
    }
}

/// Reads numbers by name; `null` is NaN.
fn numbers<'de, D>(reader: D) -> Result<BTreeMap<String, f64>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let read = BTreeMap::<String, Option<f64>>::deserialize(reader)?;
    let known = |value: Option<f64>| value.unwrap_or(f64::NAN);
    Ok(read
        .into_iter()
        .map(|(name, value)| (name, known(value)))
        .collect())
}

/// What students are better by than their baselines, paired by seed, in what the first measure is
/// measured in: positive is better, also of a measure of which less is better.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Mean over seeds.
    pub mean: f64,
    /// 95 % interval of the mean by Student's t over the paired differences; `None` for one seed.
    pub ci95: Option<[f64; 2]>,
    /// Its interval over what was measured on, the trained networks being what they are; `None`
    /// where it was not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resampled: Option<Resampled>,
}

/// The interval of a gain over the images that it was measured on, or over blocks of images that
/// belong together: how much it would move with other images of the same kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resampled {
    /// What is drawn: `image` or `block`.
    pub unit: String,
    /// How many of them there are.
    pub units: usize,
    /// 95 % interval of the mean gain over seeds.
    pub ci95: [f64; 2],
}

/// A picture on which student and teacher choose different classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// Index in the test part.
    pub index: usize,
    /// Right class; `None` where the data has no labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<usize>,
    /// Student's class and its probability.
    pub student: (usize, f64),
    /// Teacher's class and its probability.
    pub teacher: (usize, f64),
    /// The picture as a PNG file, base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub png: String,
}

/// An image that a method has made, with the one that guided it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratedImage {
    /// Class of its guide.
    pub label: usize,
    /// Class that it was made for.
    pub made_for: usize,
    /// What the network that it was made with sees in it: a class and its probability.
    pub chosen: (usize, f64),
    /// The guide as a PNG file, base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub guide: String,
    /// The image as a PNG file, base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub png: String,
}

/// A picture of the test part with its mask and those that networks give it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SegmentedPicture {
    /// Index in the test part.
    pub index: usize,
    /// Name of its file.
    pub name: String,
    /// Height and width of what is shown, which may be less than the image's own.
    pub size: [usize; 2],
    /// The picture as a PNG file, base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub png: String,
    /// The right mask; `None` where the data has no labels.
    pub truth: Option<DrawnMask>,
    /// The teacher's.
    pub teacher: Option<DrawnMask>,
    /// The student's, of the first seed.
    pub student: Option<DrawnMask>,
    /// The baseline's, of the first seed.
    pub baseline: Option<DrawnMask>,
}

/// A mask to be shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrawnMask {
    /// Mean IoU in this picture over the classes that occur in it, in percent; `None` for the right
    /// mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miou: Option<f64>,
    /// The mask as [`mask_png`](crate::mask_png) writes it, base64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub png: String,
}

/// A picture of the test part with its boxes and those that networks find in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DetectedPicture {
    /// Index in the test part.
    pub index: usize,
    /// Name of its file.
    pub name: String,
    /// Height and width of what is shown, which may be less than the image's own.
    pub size: [usize; 2],
    /// The right boxes.
    pub truth: Vec<DrawnBox>,
    /// Those that the teacher finds with a score of 0.25 or more, surest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Vec<DrawnBox>>,
    /// The student's, of the first seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub student: Option<Vec<DrawnBox>>,
    /// The baseline's, of the first seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Vec<DrawnBox>>,
    /// The picture as a PNG file, base64.
    pub png: String,
}

/// A box to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DrawnBox {
    /// Its class.
    pub class: usize,
    /// Left, top, right and lower border, in pixels of what is shown.
    pub bounds: [f64; 4],
    /// How sure the network is, 0 to 1; `None` of a right box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What it is.
    pub kind: BoxKind,
}

/// What a box is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoxKind {
    /// That of an object, or found on one of its class with an overlap (IoU) above 0.5, once.
    #[default]
    Right,
    /// Found where no object of its class is, or where it was found already.
    Wrong,
    /// That of a crowd or a difficult object, or found on one: it counts nowhere.
    Aside,
}
