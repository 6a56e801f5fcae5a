//! `limbeck new`: a recipe for the data that is found.

use std::fmt::Write as _;
use std::io::{Write, stdout};
use std::path::Path;

use anyhow::Context;
use limbeck::data::{Dataset, Labelling, OpenOptions, open};
use limbeck::nn::{TaskKind, model};
use limbeck::train::named_model::ModelSource;
use limbeck::train::recipe::Recipe;
use limbeck::train::{TrainError, files};

use crate::arguments::{NewArguments, TaskName};
use crate::exit::Usage;

/// Greatest side of crops of images with masks: mmsegmentation's for ADE20K.
const LARGEST_CROP: usize = 512;

/// Greatest side that detectors see: more takes hours without an accelerator.
const LARGEST_FRAME: usize = 320;

/// What sides of images that detectors see are multiples of: the widest cells of YOLOv5.
const CELL: usize = 32;

/// Images of which the sizes are looked at.
const LOOKED_AT: usize = 32;

/// Looks at the data, and writes a recipe whose every line says why it is as it is.
pub fn run(arguments: &NewArguments, quiet: bool) -> anyhow::Result<()> {
    let out = &arguments.out;
    let to_standard_output = out.as_os_str() == "-";
    if !to_standard_output && out.exists() {
        return Err(Usage(format!(
            "`{}` exists; write to another file with --out",
            out.display()
        ))
        .into());
    }
    let options = OpenOptions {
        labels: arguments.task.and_then(TaskName::labels),
        ..OpenOptions::default()
    };
    let data = open(Path::new(&arguments.data), &options).map_err(TrainError::from)?;
    let facts = Facts::of(&data, arguments)?;
    let text = facts.recipe();
    // What is written is a recipe.
    Recipe::parse(&text, "the new recipe").map_err(TrainError::from)?;
    if to_standard_output {
        stdout().lock().write_all(text.as_bytes())?;
        return Ok(());
    }
    files::write_whole(out, text.as_bytes()).map_err(TrainError::from)?;
    if !quiet {
        eprintln!("{}", facts.found);
        eprintln!("recipe: {}", out.display());
        eprintln!(
            "try it: limbeck distill --recipe {} --dry-run",
            out.display()
        );
        eprintln!("run it: limbeck distill --recipe {}", out.display());
    }
    Ok(())
}

/// What the recipe is made of.
struct Facts {
    /// What was found, in a line.
    found: String,
    path: String,
    labelled: bool,
    /// Whether the labels are masks.
    masks: bool,
    /// Whether they are boxes.
    boxes: bool,
    /// Height and width that detectors see.
    frame: [usize; 2],
    /// Images to train on.
    train: usize,
    /// Height and width if all images have the same.
    common: Option<[usize; 2]>,
    /// Side of the square that the networks see where they do not.
    side: usize,
    /// Whether mirrored images are such as the data might have.
    mirrors: bool,
    teacher: String,
    /// Whether the teacher is a weights file, which may not tell all that is needed.
    teacher_is_file: bool,
    student: String,
}

impl Facts {
    fn of(data: &Dataset, arguments: &NewArguments) -> anyhow::Result<Self> {
        let labelled = data.labelling != Labelling::None;
        let masks = data.labelling == Labelling::Masks;
        let boxes = data.labelling == Labelling::Boxes;
        let common = data.shape.map(|[_, height, width]| [height, width]);
        let usual = match common {
            Some([height, width]) => height.min(width),
            None => usual_side(data)?,
        };
        let side = match usual {
            0..=40 => 32,
            41..=96 => 64,
            _ => 128,
        };
        let is_small = common.map_or(side, |[height, width]| height.max(width)) <= 64;
        let (teacher, student) = match (masks, is_small) {
            _ if boxes => ("yolov5s", "yolov5n"),
            (false, true) => ("resnet56", "resnet20"),
            (false, false) => ("resnet50", "mobilenet_v2"),
            (true, true) => ("pspnet_resnet18_x0.5", "pspnet_resnet18_x0.125"),
            (true, false) => ("pspnet_resnet50", "pspnet_resnet18_x0.5"),
        };
        let (teacher, teacher_is_file) = match &arguments.teacher {
            Some(given) => match ModelSource::recognise(given)? {
                ModelSource::Zoo(name) if labelled => (of_task(&name, data)?, false),
                ModelSource::Zoo(name) => return Err(needs_trained(&name).into()),
                ModelSource::File(_) => (given.clone(), Path::new(given).is_file()),
            },
            None if labelled => (teacher.to_owned(), false),
            None => return Err(needs_trained(teacher).into()),
        };
        let student = match &arguments.student {
            Some(given) if labelled => of_task(given, data)?,
            Some(given) => model::find(given).map_err(TrainError::from)?.name,
            None => student.to_owned(),
        };
        let size = match common {
            Some([height, width]) => format!("all {height}×{width}"),
            None => format!("of several sizes, usually about {usual} pixels"),
        };
        let classes = match data.labelling {
            Labelling::Classes => format!("{} classes", data.classes.len()),
            Labelling::Masks => format!("masks of {} classes", data.classes.len()),
            Labelling::Boxes => format!("boxes of {} classes", data.classes.len()),
            Labelling::None => "no labels".to_owned(),
        };
        Ok(Self {
            found: format!(
                "{}: {classes}, {} images to train, {} to validate, {} to test, {size}",
                data.name,
                data.train.len(),
                data.validation.len(),
                data.test.len()
            ),
            path: arguments.data.clone(),
            labelled,
            masks,
            boxes,
            frame: frame(match common {
                Some(size) => size,
                None => usual_frame(data)?,
            }),
            train: data.train.len(),
            common,
            side,
            mirrors: mirrors(data),
            teacher,
            teacher_is_file,
            student,
        })
    }

    fn recipe(&self) -> String {
        let mut text = String::new();
        for part in [
            self.header(),
            self.data(),
            self.augment(),
            self.networks(),
            self.training(),
        ] {
            let _ = writeln!(text, "{part}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }

    fn header(&self) -> String {
        format!(
            "# {}\n# Run it: limbeck distill --recipe THIS_FILE (--dry-run shows every setting, defaults too).\n",
            self.found
        )
    }

    fn data(&self) -> String {
        let batch = self.batch();
        let why = match batch {
            _ if self.boxes => "images of one step; each is put together from four",
            _ if self.masks => {
                "images of one step; under 4 batch norms have too little to go by (task.frozen_norms helps)"
            }
            64 => "images of one step; the usual number for small images",
            _ => "images of one step; with few images, enough steps an epoch matter more",
        };
        format!(
            "[data]\n\
             path = {}  # relative to where limbeck is started\n\
             validation = 0.1  # kept apart to choose by, if the data has no such part of its own\n\
             batch = {batch}  # {why}\n",
            quoted(&self.path)
        )
    }

    /// As many as leave ten steps an epoch, 8 to 64; of masks 8 and of boxes 16, as is usual.
    fn batch(&self) -> usize {
        if self.masks {
            return 8;
        }
        if self.boxes {
            return 16;
        }
        let most = (self.train / 10).clamp(8, 64);
        1 << most.ilog2()
    }

    /// Of images with masks.
    fn crops(&self) -> String {
        let [height, width] = self.common.unwrap_or([LARGEST_CROP; 2]);
        let [height, width] = [height, width].map(|side| side.min(LARGEST_CROP));
        let flip = match self.mirrors {
            true => "flip = 0.5  # half of the images mirrored, their masks with them",
            false => "flip = 0.0  # not mirrored: mirrored signs and sides are other ones",
        };
        format!(
            "[augment]\n\
             size = [{height}, {width}]  # height and width of the crops that are trained on; tests see images whole\n\
             {flip}\n\
             random_scale = {{ range = [0.5, 2.0] }}  # made smaller or larger before the crop, as usual for masks\n"
        )
    }

    /// Of images with boxes.
    fn frames(&self) -> String {
        let [height, width] = self.frame;
        let flip = match self.mirrors {
            true => "flip = 0.5  # half of the images mirrored, their boxes with them",
            false => "flip = 0.0  # not mirrored: mirrored signs and sides are other ones",
        };
        format!(
            "[augment]\n\
             size = [{height}, {width}]  # height and width that the networks see, multiples of {CELL}; larger costs time and finds smaller objects\n\
             {flip}\n\
             mosaic = 1.0  # every image put together from four: other surroundings, more objects; 0.0 where place tells the class\n"
        )
    }

    fn augment(&self) -> String {
        if self.boxes {
            return self.frames();
        }
        if self.masks {
            return self.crops();
        }
        let mut text = "[augment]\n".to_owned();
        let shown = match self.common {
            Some([height, width]) => {
                let _ = writeln!(
                    text,
                    "# size = [{height}, {width}]  # left out: the images' own"
                );
                height.max(width)
            }
            None => {
                let _ = writeln!(
                    text,
                    "size = [{0}, {0}]  # height and width that the networks see; larger costs time and sees more",
                    self.side
                );
                let _ = writeln!(
                    text,
                    "fit = \"cover\"  # the middle of each image is kept; \"stretch\" keeps all and bends it"
                );
                self.side
            }
        };
        let _ = match self.mirrors {
            true => writeln!(
                text,
                "flip = 0.5  # half of the images mirrored: what photographs show faces either way"
            ),
            false => writeln!(
                text,
                "flip = 0.0  # not mirrored: mirrored digits, letters and signs are other ones; 0.5 for photographs"
            ),
        };
        let _ = match shown {
            0..=64 => writeln!(
                text,
                "pad_crop = {{ pixels = {} }}  # moved about by an eighth of the side, as usual for small images",
                (shown / 8).max(1)
            ),
            _ => writeln!(
                text,
                "pad_crop = {{ pixels = 0 }}  # off: large images are cropped and scaled instead\n\
                 random_resized_crop = {{ scale = [0.35, 1.0] }}  # a part of at least 35 % of the area; ImageNet's usual 8 % needs many images"
            ),
        };
        text
    }

    fn networks(&self) -> String {
        let mut text = String::new();
        let why = match model::find(&self.teacher).is_ok() {
            true => {
                "a larger network, trained first on the same data; a run folder or weights file of a trained one saves that"
            }
            false => "trained already",
        };
        let _ = writeln!(
            text,
            "[teacher]\nsource = {}  # {why}",
            quoted(&self.teacher)
        );
        if self.teacher_is_file {
            text.push_str(
                "# What a weights file of another tool does not tell; take away the # where it applies:\n\
             # model = \"resnet50\"  # its network, see limbeck models\n\
             # normalisation = \"imagenet\"  # or cifar10, cifar100, half, none, MEAN/STD\n\
             # classes = \"classes.txt\"  # its class names, one a line\n",
            );
        }
        let narrower = match self.masks || self.boxes {
            true => "; _x0.25 at the end of a name makes it narrower",
            false => "",
        };
        let _ = writeln!(
            text,
            "\n[student]\nmodel = {}  # what is kept in the end; others: limbeck models{narrower}",
            quoted(&self.student)
        );
        let predictions = match (self.masks, self.boxes) {
            (true, _) => "softened predictions of each pixel",
            (_, true) => "predictions of each cell: boxes, objectness and classes",
            _ => "softened predictions",
        };
        let _ = writeln!(
            text,
            "\n[method]\nname = \"kd\"  # {predictions}, the plainest; others: limbeck methods"
        );
        text
    }

    /// How networks that segment learn from masks.
    fn descent(&self) -> &'static str {
        match self.student.starts_with("segformer") {
            true => {
                "[optimizer]\n\
                 name = \"adamw\"  # transformers learn badly with plain gradients\n\
                 learning_rate = 0.0005  # from no trained weights; a tenth of it from trained ones\n\
                 \n\
                 [schedule]\n\
                 name = \"polynomial\"  # falls to nothing at the end, as usual for masks\n\
                 power = 1.0  # in a straight line\n\
                 warmup_epochs = 1.0  # a rising start keeps the first steps from going astray\n"
            }
            false => {
                "[optimizer]\n\
                 name = \"sgd\"  # with momentum 0.9\n\
                 learning_rate = 0.01  # lower it where the loss becomes NaN\n\
                 \n\
                 [schedule]\n\
                 name = \"polynomial\"  # falls to nothing at the end, as usual for masks\n\
                 power = 0.9  # nearly in a straight line\n"
            }
        }
    }

    fn training(&self) -> String {
        // About as many steps as small sets need to converge and large ones take in hours.
        let epochs = match self.boxes {
            true => (60_000 / self.train.max(1)).clamp(30, 300),
            false => (150_000 / self.train.max(1)).clamp(15, 60),
        };
        let descent = match (self.masks, self.boxes) {
            (true, _) => self.descent(),
            (_, true) => {
                "[optimizer]\n\
                 name = \"auto\"  # AdamW in runs of fewer than 10,000 steps, in which SGD gets nowhere; SGD beyond\n\
                 \n\
                 [schedule]\n\
                 name = \"cosine\"  # falls smoothly to a fifth at the end, after a thousand rising steps or a fifth of the run\n"
            }
            _ => {
                "[optimizer]\n\
                 learning_rate = 0.05  # of SGD with momentum 0.9; lower it where the loss becomes NaN\n\
                 \n\
                 [schedule]\n\
                 name = \"cosine\"  # falls smoothly to nothing at the end, whatever the length\n\
                 warmup_epochs = 1.0  # a rising start keeps the first steps from going astray\n"
            }
        };
        let mut text = format!(
            "{descent}\n\
             [train]\n\
             epochs = {epochs}  # passes over the {} images; a shorter run shows sooner what is wrong\n",
            self.train
        );
        text.push_str(match self.labelled {
            true => {
                "seeds = 3  # repetitions, for an interval; 1 is three times as fast and proves nothing\n\
                 baseline = true  # the same student without a teacher: what the gain is counted from\n"
            }
            false => {
                "seeds = 1  # repetitions\n\
                 baseline = false  # there are no labels to learn without a teacher from\n"
            }
        });
        text
    }
}

/// The name in the zoo of a model that learns from what `data` has.
fn of_task(name: &str, data: &Dataset) -> anyhow::Result<String> {
    let found = model::find(name).map_err(TrainError::from)?;
    let task = match data.labelling {
        Labelling::Masks => TaskKind::Segmentation,
        Labelling::Boxes => TaskKind::Detection,
        Labelling::Classes | Labelling::None => TaskKind::Classification,
    };
    if found.task == task {
        return Ok(found.name);
    }
    Err(Usage(format!(
        "`{}` is for {}, and {} is for {task}; `limbeck models` lists those that fit",
        found.name, found.task, data.name
    ))
    .into())
}

fn needs_trained(name: &str) -> Usage {
    Usage(format!(
        "images without labels can be learnt from a trained teacher alone, and `{name}` cannot be trained on them; name a run folder or a weights file with --teacher"
    ))
}

/// Height and width of what detectors see of images of this size: their shape, in whole cells.
fn frame(image: [usize; 2]) -> [usize; 2] {
    let longest = image[0].max(image[1]).max(1);
    let within = longest.min(LARGEST_FRAME);
    image.map(|side| {
        (side * within)
            .div_ceil(longest)
            .max(1)
            .next_multiple_of(CELL)
    })
}

/// A square of the median of the longer sides of images spread over the training part.
fn usual_frame(data: &Dataset) -> anyhow::Result<[usize; 2]> {
    let sample = data.train.spread(LOOKED_AT);
    let mut sides = Vec::with_capacity(sample.len());
    for position in 0..sample.len() {
        let [height, width] = sample.size(position).map_err(TrainError::from)?;
        sides.push(height.max(width));
    }
    sides.sort_unstable();
    let median = sides.get(sides.len() / 2);
    let side = median.copied().context("there is no image to train on")?;
    Ok([side; 2])
}

/// Median of the shorter sides of images spread over the training part.
fn usual_side(data: &Dataset) -> anyhow::Result<usize> {
    let sample = data.train.spread(LOOKED_AT);
    let mut sides = Vec::with_capacity(sample.len());
    for position in 0..sample.len() {
        let image = sample.image(position).map_err(TrainError::from)?;
        sides.push(image.height.min(image.width));
    }
    sides.sort_unstable();
    let median = sides.get(sides.len() / 2);
    median.copied().context("there is no image to train on")
}

/// Whether a mirrored image is one that the data might have: not so where classes are called by a
/// digit or a letter, or by a side, and not for the generated shapes.
fn mirrors(data: &Dataset) -> bool {
    let is_sign = |class: &String| {
        let class = class.to_lowercase();
        class.chars().count() == 1 || class.contains("left") || class.contains("right")
    };
    let are_numbers = data
        .classes
        .iter()
        .all(|class| class.parse::<u32>().is_ok());
    let is_generated = data.name.starts_with("shapes");
    !is_generated && !data.classes.iter().any(is_sign) && (data.classes.is_empty() || !are_numbers)
}

/// A TOML text.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_images_shape_in_whole_cells() {
        assert_eq!(frame([480, 640]), [256, 320]);
        assert_eq!(frame([100, 90]), [128, 96]);
        assert_eq!(frame([1, 4_000]), [32, 320]);
    }
}
