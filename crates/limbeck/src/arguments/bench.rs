//! What can be typed after `limbeck bench`.

use clap::{Args, Subcommand, ValueEnum};

/// `limbeck bench`.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// What to measure
    #[command(subcommand)]
    pub what: Bench,
}

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Bench {
    /// Convolutions: forward, input gradient and weight gradient, each alone
    #[command(after_long_help = CONVOLUTION_KEYS)]
    Conv(ConvolutionArguments),
    /// One network: frozen forward pass and training step
    #[command(after_long_help = NETWORK_KEYS)]
    Net(NetworkArguments),
    /// Losses of methods: forward and backward, apart from all networks
    #[command(after_long_help = LOSS_KEYS)]
    Loss(LossArguments),
    /// One distillation step: teacher forward, student step, both
    #[command(after_long_help = STEP_KEYS)]
    Step(StepArguments),
    /// Several trainings side by side, next to one after the other
    #[command(after_long_help = SIDE_KEYS)]
    Side(SideArguments),
    /// Stored outputs of a teacher: written, read in random order, opened
    #[command(after_long_help = CACHE_KEYS)]
    Cache(CacheBenchArguments),
    /// Reading and varying of images, with their masks where they have some
    #[command(after_long_help = DATA_KEYS)]
    Data(DataBenchArguments),
    /// Nearest neighbours: the vote on the classes of embeddings, and its product alone
    #[command(after_long_help = NEIGHBOURS_KEYS)]
    Knn(NeighboursArguments),
    /// Non-maximum suppression of a detector's boxes
    #[command(after_long_help = SUPPRESSION_KEYS)]
    Nms(SuppressionArguments),
    /// Average precision of detections, as COCO, YOLOv5 and VOC define it
    #[command(after_long_help = PRECISION_KEYS)]
    Ap(PrecisionArguments),
}

/// What every measurement takes.
#[derive(Debug, Args)]
pub struct MeasureArguments {
    /// Timed runs, of which the median is given; each follows one that is not timed
    #[arg(long, value_name = "N", default_value_t = 11)]
    pub runs: usize,
    /// Compute threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON object on standard output (--help tells its keys)
    #[arg(long)]
    pub json: bool,
}

/// `limbeck bench conv`.
#[derive(Debug, Args)]
pub struct ConvolutionArguments {
    /// Images [default: 64]
    #[arg(long, value_name = "N", conflicts_with = "shape")]
    pub batch: Option<usize>,
    /// Only those of the usual convolutions whose name has this text in it, such as 3x3
    #[arg(long, value_name = "TEXT", conflicts_with = "shape")]
    pub only: Option<String>,
    /// A convolution of your own: its input
    #[arg(long, value_name = "BxCxHxW")]
    pub shape: Option<String>,
    /// Its output channels [default: as many as the input has]
    #[arg(long, value_name = "N", requires = "shape")]
    pub outputs: Option<usize>,
    /// Side of its kernel [default: 3]
    #[arg(long, value_name = "N", requires = "shape")]
    pub kernel: Option<usize>,
    /// Step between its output positions [default: 1]
    #[arg(long, value_name = "N", requires = "shape")]
    pub stride: Option<usize>,
    /// Zeros on every side [default: half the kernel]
    #[arg(long, value_name = "N", requires = "shape")]
    pub padding: Option<usize>,
    /// Its channel groups [default: 1]
    #[arg(long, value_name = "N", requires = "shape")]
    pub groups: Option<usize>,
    /// The rest
    #[command(flatten)]
    pub measure: MeasureArguments,
}

/// `limbeck bench net`.
#[derive(Debug, Args)]
pub struct NetworkArguments {
    /// Network (see `limbeck models`)
    #[arg(value_name = "NAME")]
    pub model: String,
    /// Measure one part alone
    #[arg(long, value_enum)]
    pub only: Option<NetworkPart>,
    /// Measure the forward pass with so many bits too, in whole numbers
    #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u32).range(1..=8))]
    pub quantise: Option<u32>,
    /// Optimiser of the training step
    #[arg(long, value_enum, default_value_t = NetworkOptimizer::Sgd)]
    pub optimizer: NetworkOptimizer,
    /// Compute blocks again in the backward pass, as train.recompute has it
    #[arg(long)]
    pub recompute: bool,
    /// Images per run
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Channels, height and width of the images [default: the model's]
    #[arg(long, value_name = "CxHxW")]
    pub input: Option<String>,
    /// Number of classes [default: the model's]
    #[arg(long, value_name = "N")]
    pub classes: Option<usize>,
    /// Tell where the time goes, by operation and shape
    #[arg(long)]
    pub profile: bool,
    /// The rest
    #[command(flatten)]
    pub measure: MeasureArguments,
}

/// A part of `limbeck bench net`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetworkPart {
    /// The frozen network's forward pass, batch norms folded
    Inference,
    /// Forward and backward pass of the cross entropy, and the update
    Training,
}

/// An optimiser, with its default settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NetworkOptimizer {
    /// SGD with momentum
    Sgd,
    /// Adam with decoupled weight decay
    Adamw,
}

/// `limbeck bench step`.
#[derive(Debug, Args)]
pub struct StepArguments {
    /// Teacher's network
    #[arg(long, value_name = "NAME", default_value = "resnet32x4")]
    pub teacher: String,
    /// Student's network
    #[arg(long, value_name = "NAME", default_value = "resnet8x4")]
    pub student: String,
    /// Method
    #[arg(long, value_name = "NAME", default_value = "kd")]
    pub method: String,
    /// A setting of it, such as method.wtakd.assistants=resnet20, of the optimiser, or train.recompute=true
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Channels, height and width of the images
    #[arg(long, value_name = "CxHxW", default_value = "3x32x32")]
    pub input: String,
    /// Number of classes
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub classes: usize,
    /// Measure the step with the teacher's outputs read from a cache too
    #[arg(long)]
    pub cached: bool,
    /// Store the K most probable classes alone, instead of all logits in half precision
    #[arg(long, value_name = "K", requires = "cached")]
    pub topk: Option<usize>,
    /// Tell where the whole step's time goes, by operation and shape
    #[arg(long)]
    pub profile: bool,
    /// The rest
    #[command(flatten)]
    pub measure: MeasureArguments,
}

/// `limbeck bench side`.
#[derive(Debug, Args)]
pub struct SideArguments {
    /// Network of each training
    #[arg(long, value_name = "NAME", default_value = "resnet8")]
    pub student: String,
    /// Their teacher's network, of a method that has one
    #[arg(long, value_name = "NAME", default_value = "resnet20")]
    pub teacher: String,
    /// Method; none learns from labels alone
    #[arg(long, value_name = "NAME", default_value = "none")]
    pub method: String,
    /// Trainings
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub seeds: usize,
    /// Images per step
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch: usize,
    /// Channels, height and width of the images
    #[arg(long, value_name = "CxHxW", default_value = "3x32x32")]
    pub input: String,
    /// Number of classes
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub classes: usize,
    /// The rest
    #[command(flatten)]
    pub measure: MeasureArguments,
}

/// `limbeck bench cache`.
#[derive(Debug, Args)]
pub struct CacheBenchArguments {
    /// Classes of a record
    #[arg(long, value_name = "K", default_value_t = 10)]
    pub topk: usize,
    /// Number of classes
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub classes: usize,
    /// Records written, and read, in each run
    #[arg(long, value_name = "N", default_value_t = 131_072)]
    pub records: usize,
    /// The rest
    #[command(flatten)]
    pub measure: MeasureArguments,
}

/// `limbeck bench data`.
#[derive(Debug, Args)]
pub struct DataBenchArguments {
    /// A data set, whose training part is read
    #[arg(value_name = "DATA")]
    pub data: String,
    /// What a network would see: images with masks are scaled by 0.5 to 2 and cropped to it, others
    /// cropped and resized
    #[arg(long, value_name = "HxW", default_value = "360x360")]
    pub size: String,
    /// Images of a batch
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub batch: usize,
    /// Threads that load [default: 2]
    #[arg(long, value_name = "N", default_value_t = 2, hide_default_value = true)]
    pub workers: usize,
    /// Timed runs, of which the median is given; each opens the data set anew and reads it twice
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub runs: usize,
    /// Print one JSON object on standard output (--help tells its keys)
    #[arg(long)]
    pub json: bool,
}

/// `limbeck bench knn`.
#[derive(Debug, Args)]
pub struct NeighboursArguments {
    /// Embeddings to look among
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub bank: usize,
    /// Embeddings whose neighbours are looked for
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub images: usize,
    /// Numbers of an embedding
    #[arg(long, value_name = "N", default_value_t = 192)]
    pub width: usize,
    /// Neighbours that vote
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub neighbours: usize,
    /// The rest
    #[command(flatten)]
    pub measure: MeasureArguments,
}

/// `limbeck bench nms`.
#[derive(Debug, Args)]
pub struct SuppressionArguments {
    /// Boxes that a network gives out for an image
    #[arg(long, value_name = "N", default_value_t = 25_200)]
    pub predictions: usize,
    /// Classes, of each of which every box has a score
    #[arg(long, value_name = "N", default_value_t = 80)]
    pub classes: usize,
    /// Longest side of a box, in pixels of an image of 640; the shortest is 3
    #[arg(long, value_name = "PIXELS", default_value_t = 105.0)]
    pub longest: f64,
    /// Make up sure boxes as often as unsure ones; otherwise nearly all are unsure
    #[arg(long)]
    pub crowded: bool,
    /// Objectness and score must be above it
    #[arg(long, value_name = "P", default_value_t = 0.001)]
    pub confidence: f64,
    /// Two boxes are taken for one above this IoU
    #[arg(long, value_name = "IOU", default_value_t = 0.6)]
    pub iou: f64,
    /// Boxes kept, at most
    #[arg(long, value_name = "N", default_value_t = 300)]
    pub detections: usize,
    /// The rest
    #[command(flatten)]
    pub measure: MeasureArguments,
}

/// `limbeck bench ap`.
#[derive(Debug, Args)]
pub struct PrecisionArguments {
    /// Images
    #[arg(long, value_name = "N", default_value_t = 5000)]
    pub images: usize,
    /// Detections of each image
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub detections: usize,
    /// Classes
    #[arg(long, value_name = "N", default_value_t = 80)]
    pub classes: usize,
    /// The rest
    #[command(flatten)]
    pub measure: MeasureArguments,
}

/// `limbeck bench loss`.
#[derive(Debug, Args)]
pub struct LossArguments {
    /// Methods, or several joined by + [default: all of `limbeck methods`]
    #[arg(value_name = "METHOD")]
    pub methods: Vec<String>,
    /// Images per step
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [64, 256])]
    pub batch: Vec<usize>,
    /// Numbers of classes
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [100, 1000])]
    pub classes: Vec<usize>,
    /// Network whose outputs are made up as the teacher's
    #[arg(long, value_name = "NAME", default_value = "resnet32x4")]
    pub teacher: String,
    /// Network whose outputs are made up as the student's
    #[arg(long, value_name = "NAME", default_value = "resnet8x4")]
    pub student: String,
    /// Channels, height and width of the images that would go in
    #[arg(long, value_name = "CxHxW", default_value = "3x32x32")]
    pub input: String,
    /// Tell where the time of each goes, by operation and shape
    #[arg(long)]
    pub profile: bool,
    /// The rest
    #[command(flatten)]
    pub measure: MeasureArguments,
}

/// Keys of every measurement, after those of its own.
macro_rules! keys {
    ($own:literal profile) => {
        concat!(
            keys!($own),
            "\n",
            "A profile is taken in runs of their own, as many as are timed. It has ms, limit_ms (each\n",
            "operation's multiply-adds at the peak or its bytes at the rate of a copy, and no more than it\n",
            "takes) and two lists, the longest first. All numbers are those of one run:\n",
            "  operations          name, shapes (of the tensors that are read), calls, ms, share,\n",
            "                      gflops, peak_share, gigabytes_per_second (tensors read and made)\n",
            "  between             after, before (operations), calls, ms, share: what passed from one\n",
            "                      operation to the next, other operations of the engine, its graph, and\n",
            "                      what surrounds them\n",
        )
    };
    ($own:literal) => {
        concat!(
            "Keys of --json:\n",
            $own,
            "  runs                what was asked for\n",
            "  peak_memory_bytes   most memory that the process has held; null where unknown\n",
            "  machine             processor (null where unknown), cores, instruction_set, system,\n",
            "                      threads, limbeck (version), peak_gflops\n",
            "\n",
            "*_ms are medians in milliseconds; *_gflops are billions of floating point operations\n",
            "per second, those of the definition, a multiply-add counting as two; *_peak_share is\n",
            "the part of peak_gflops that they are, which multiply-adds on registers alone reach on\n",
            "the same threads: more than 1 where a convolution saves multiplications.\n",
        )
    };
}

const CONVOLUTION_KEYS: &str = keys!(
    "  convolutions        a list of objects: name, input [B, C, H, W], outputs, kernel, stride,
                      padding, groups, flops (of each of the three), and for forward,
                      input_gradient and weight_gradient *_ms, *_gflops, *_peak_share
"
);

const NETWORK_KEYS: &str = keys!(
    "  model, batch, input [C, H, W], classes, optimizer
                      what was asked for
  params, macs        trained numbers; multiply-accumulates of one image's forward pass
  inference_*, training_*
                      ms, images_per_second, gflops, peak_share; null where not measured. A
                      training step is counted as three forward passes
  profile             with --profile: an object by part, such as training, of what is listed below
  recompute           what was asked for
  step_memory_bytes   most memory that the process has held for training steps; null where unknown
                      or not measured
  predicted_memory_bytes
                      what steps with few images had foretold of it
"
    profile
);

const LOSS_KEYS: &str = keys!(
    "  teacher, student, input [C, H, W]
                      what was asked for
  losses              a list of objects: method, batch, classes, ms, student_share. ms is the
                      forward and backward pass of the terms on outputs that are there (of `none`
                      the supervised loss); null of a method whose loss is made of forward passes
                      of its own: `limbeck bench step --method NAME` measures those.
                      student_share is ms divided by student_ms
                      profile, with --profile, is what is listed below; null of the others
  student_steps       a list of objects: batch, classes, student_ms: a step of the student on
                      labels alone
"
    profile
);

const STEP_KEYS: &str = keys!(
    "  teacher, student, method, set, batch, input [C, H, W], classes
                      what was asked for. Of a method with several stages the last one that
                      trains the student is measured, with all that happens in its steps
  teacher_*           the frozen teacher's forward pass: ms, gflops, peak_share; null of a
                      method that reads no teacher
  student_*           forward and backward pass and update with the teacher's outputs at hand;
                      counted as three forward passes
  step_*              the whole step
  cached_*            the whole step with the teacher's outputs read from a cache, work as in
                      student_*; left out without --cached
  step_memory_bytes   most memory that the process has held for whole steps, before the teacher's
                      outputs were kept at hand; null where unknown
  profile             with --profile: of the whole step, what is listed below
  predicted_memory_bytes
                      what steps with few images had foretold of it
"
    profile
);

const SIDE_KEYS: &str = keys!(
    "  student, teacher, method, seeds, batch, input [C, H, W], classes
                      what was asked for; teacher is null of a method that reads none
  alone_*             one step of one training with all threads, the trainings one after the
                      other: ms, gflops, peak_share
  side_*              the same of all trainings at the same time, the threads divided among them;
                      their time for a step divided by their number
  gain                alone_ms divided by side_ms
"
);

const CACHE_KEYS: &str = keys!(
    "  topk, classes, records
                      what was asked for
  written_per_second  records encoded from logits, written and synced
  read_per_second     records read in random order, checked, and decoded to all classes
  bytes_per_view      bytes on the disk, headers and manifest included
  open_ms             opening a cache of ten million views and reading one record
"
);

const NEIGHBOURS_KEYS: &str = keys!(
    "  bank, images, width, neighbours
                      what was asked for
  vote_*              from embeddings to classes; ms, gflops (the product's), peak_share
  product_*           the product of the embeddings alone
"
);

const SUPPRESSION_KEYS: &str = keys!(
    "  predictions, classes, longest, crowded, confidence, iou, detections
                      what was asked for
  kept, scores        boxes kept, and the sum of their scores
  suppression_ms      from predictions to the boxes that are kept
"
);

const PRECISION_KEYS: &str = keys!(
    "  images, detections, classes
                      what was asked for
  objects             objects that are there, up to thirteen an image
  coco_ms, yolov5_ms, voc_ms
                      all measures of each
  twelve              COCO's twelve numbers, in pycocotools' order
"
);

const DATA_KEYS: &str = keys!(
    "  images, masks       images of the training part, and whether they have masks
  size, batch, workers
                      what was asked for
  first_per_second    images in a second in the first epoch, in which every file is decoded
  later_per_second    the same in the second epoch, in which decoded images may be at hand
  image_crate_per_second
                      the same on one thread by the crate `image` alone: read, decoded, a part of usual
                      size resized, nothing else; null where images have masks or no files
"
);
