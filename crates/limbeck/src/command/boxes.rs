//! `limbeck predict` with a detector: images in, boxes out.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use limbeck::data::decode_file_upright;
use limbeck::methods::detection::{Kept, SuppressionConfig};
use limbeck::report::{Palette, boxes_png};
use limbeck::train::detect::PictureDetector;
use limbeck::train::model_source::LoadedModel;
use limbeck::train::{TrainError, files, run_folder};
use serde_json::{Value, json};

use super::masks::{Names, class_name, write_below};
use super::predict::{Found, quoted};
use super::threads;
use crate::arguments::{PredictArguments, PredictFormat};
use crate::exit::Usage;

/// Least score and greatest overlap of boxes where nothing is said (`detect.py` of YOLOv5).
const CONFIDENCE: f64 = 0.25;
const OVERLAP: f64 = 0.45;

/// Name of the file with all boxes in the folder that is written.
const BOXES: &str = "boxes.json";

/// What was found in an image.
struct Boxed {
    image: PathBuf,
    below: PathBuf,
    /// Height and width.
    size: [usize; 2],
    boxes: Vec<Kept>,
}

/// Numbers of images and categories in a COCO file.
#[derive(Default)]
struct CocoNumbers {
    images: BTreeMap<String, Value>,
    categories: BTreeMap<String, i64>,
}

/// Finds objects in `images`: prints the boxes, or writes them and the images with boxes drawn on them into a
/// new folder.
pub fn run(
    model: &LoadedModel,
    images: &[Found],
    arguments: &PredictArguments,
    quiet: bool,
) -> anyhow::Result<()> {
    if arguments.logits || arguments.top.is_some() {
        return Err(Usage(
            "--logits and --top are for models that classify; --confidence says which boxes a detector gives"
                .to_owned(),
        )
        .into());
    }
    let format = match arguments.json {
        true => PredictFormat::Json,
        false => arguments.format,
    };
    if format == PredictFormat::Yolo && arguments.out.is_none() {
        return Err(Usage(
            "--format yolo writes a file for each image: name a folder for them with --out"
                .to_owned(),
        )
        .into());
    }
    let numbers = match &arguments.coco {
        Some(path) => CocoNumbers::read(path)?,
        None => CocoNumbers::default(),
    };
    let suppression = SuppressionConfig {
        confidence: arguments.confidence.unwrap_or(CONFIDENCE),
        iou: arguments.overlap.unwrap_or(OVERLAP),
        multi_label: false,
        ..SuppressionConfig::default()
    };
    let shares = [
        ("--confidence", suppression.confidence),
        ("--overlap", suppression.iou),
    ];
    if let Some((flag, value)) = shares
        .iter()
        .find(|(_, value)| !(0.0..=1.0).contains(value))
    {
        return Err(Usage(format!("{flag} is a number from 0 to 1, not {value}")).into());
    }
    let detector = PictureDetector::new(model, suppression)?;
    if let Some(out) = &arguments.out {
        if run_folder::is_taken(out) {
            return Err(Usage(format!(
                "the output `{}` exists; --out names a new folder for the boxes",
                out.display()
            ))
            .into());
        }
        std::fs::create_dir_all(out).with_context(|| format!("`{}`", out.display()))?;
    }
    let (found, damaged) = threads::compute(|| detect(model, &detector, images, arguments))?;
    let name = |class: usize| class_name(model, class);
    match &arguments.out {
        Some(out) => write(out, &found, format, &numbers, &name, quiet)?,
        None => print(&found, format, &numbers, &name)?,
    }
    if damaged > 0 {
        bail!("{damaged} of {} images could not be read", images.len());
    }
    Ok(())
}

/// The boxes of all images that can be read, and the number of those that cannot; pictures are drawn on the way.
fn detect(
    model: &LoadedModel,
    detector: &PictureDetector,
    images: &[Found],
    arguments: &PredictArguments,
) -> anyhow::Result<(Vec<Boxed>, usize)> {
    let classes = model.network.input().classes;
    let classes: Vec<String> = (0..classes).map(|class| class_name(model, class)).collect();
    let palette = Palette::of(&classes);
    let mut names = Names::default();
    let (mut all, mut damaged) = (Vec::new(), 0);
    for found in images {
        let image = match decode_file_upright(&found.path) {
            Ok(image) => image,
            Err(error) => {
                damaged += 1;
                eprintln!("error: {error}");
                continue;
            }
        };
        let size = [image.height, image.width];
        let boxes = detector.boxes(&image, &found.path.display().to_string())?;
        let below = names.of(&found.below);
        if let Some(out) = &arguments.out {
            let drawn: Vec<(usize, [f64; 4])> =
                boxes.iter().map(|kept| (kept.class, kept.bounds)).collect();
            let picture = boxes_png(&image.with_channels(3).pixels, size, &drawn, &palette)?;
            write_below(out, &Path::new("pictures").join(&below), &picture)?;
        }
        all.push(Boxed {
            image: found.path.clone(),
            below,
            size,
            boxes,
        });
    }
    Ok((all, damaged))
}

fn write(
    out: &Path,
    found: &[Boxed],
    format: PredictFormat,
    numbers: &CocoNumbers,
    name: &dyn Fn(usize) -> String,
    quiet: bool,
) -> anyhow::Result<()> {
    let all = match format {
        PredictFormat::Coco => coco(found, numbers, name)?,
        _ => described(found, name),
    };
    files::write_whole(&out.join(BOXES), format!("{all:#}\n").as_bytes())
        .map_err(TrainError::from)?;
    if format == PredictFormat::Yolo {
        for boxed in found {
            let path = Path::new("labels").join(boxed.below.with_extension("txt"));
            write_below(out, &path, boxed.yolo().as_bytes())?;
        }
    }
    if !quiet {
        eprintln!(
            "{} pictures with their boxes and `{BOXES}` in {}",
            found.len(),
            out.display()
        );
    }
    Ok(())
}

fn print(
    found: &[Boxed],
    format: PredictFormat,
    numbers: &CocoNumbers,
    name: &dyn Fn(usize) -> String,
) -> anyhow::Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    match format {
        PredictFormat::Coco => writeln!(out, "{:#}", coco(found, numbers, name)?)?,
        PredictFormat::Json => writeln!(out, "{:#}", described(found, name))?,
        PredictFormat::Csv | PredictFormat::Yolo => {
            writeln!(out, "image,label,score,left,top,right,bottom")?;
            for boxed in found {
                let image = quoted(&boxed.image.display().to_string());
                for kept in &boxed.boxes {
                    let [left, top, right, bottom] = kept.bounds;
                    let (label, score) = (quoted(&name(kept.class)), kept.score);
                    writeln!(
                        out,
                        "{image},{label},{score:.6},{left:.2},{top:.2},{right:.2},{bottom:.2}"
                    )?;
                }
            }
        }
    }
    Ok(out.flush()?)
}

fn described(found: &[Boxed], name: &dyn Fn(usize) -> String) -> Value {
    let describe = |boxed: &Boxed| {
        let boxes: Vec<Value> = boxed
            .boxes
            .iter()
            .map(|kept| {
                json!({
                    "label": name(kept.class),
                    "class": kept.class,
                    "score": kept.score,
                    "box": kept.bounds,
                })
            })
            .collect();
        json!({
            "image": boxed.image.display().to_string(),
            "height": boxed.size[0],
            "width": boxed.size[1],
            "boxes": boxes,
        })
    };
    found.iter().map(describe).collect()
}

/// The results' form of COCO's evaluation.
fn coco(
    found: &[Boxed],
    numbers: &CocoNumbers,
    name: &dyn Fn(usize) -> String,
) -> anyhow::Result<Value> {
    let mut rows = Vec::new();
    for boxed in found {
        let image = numbers.image(&boxed.image)?;
        for kept in &boxed.boxes {
            let [left, top, right, bottom] = kept.bounds;
            rows.push(json!({
                "image_id": image,
                "category_id": numbers.category(&name(kept.class), kept.class)?,
                "bbox": [left, top, right - left, bottom - top],
                "score": kept.score,
            }));
        }
    }
    Ok(Value::Array(rows))
}

impl Boxed {
    /// A row a box: class, centre and size as shares of the sides, score.
    fn yolo(&self) -> String {
        let [height, width] = self.size.map(|side| side as f64);
        let row = |kept: &Kept| {
            let [left, top, right, bottom] = kept.bounds;
            format!(
                "{} {:.6} {:.6} {:.6} {:.6} {:.6}\n",
                kept.class,
                0.5 * (left + right) / width,
                0.5 * (top + bottom) / height,
                (right - left) / width,
                (bottom - top) / height,
                kept.score
            )
        };
        self.boxes.iter().map(row).collect()
    }
}

impl CocoNumbers {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let place = || format!("`{}`", path.display());
        let text = std::fs::read_to_string(path).with_context(place)?;
        let all: Value = serde_json::from_str(&text).with_context(place)?;
        let list = |key: &str| all[key].as_array().cloned().unwrap_or_default();
        let images = list("images").into_iter().filter_map(|image| {
            let name = Path::new(image["file_name"].as_str()?).file_name()?;
            Some((name.to_string_lossy().into_owned(), image["id"].clone()))
        });
        let categories = list("categories").into_iter().filter_map(|category| {
            Some((
                category["name"].as_str()?.to_owned(),
                category["id"].as_i64()?,
            ))
        });
        let numbers = Self {
            images: images.collect(),
            categories: categories.collect(),
        };
        if numbers.images.is_empty() || numbers.categories.is_empty() {
            bail!(
                "`{}` names no images or no categories; --coco is for a file of annotations",
                path.display()
            );
        }
        Ok(numbers)
    }

    /// The number of an image: that of the file, else the number that its name is, else its name.
    fn image(&self, image: &Path) -> anyhow::Result<Value> {
        let name = image.file_name().unwrap_or_default().to_string_lossy();
        if !self.images.is_empty() {
            let known = self.images.get(name.as_ref()).cloned();
            return known
                .with_context(|| format!("`{name}` is none of the images of the COCO file"));
        }
        let stem = image.file_stem().unwrap_or_default().to_string_lossy();
        Ok(stem
            .parse::<i64>()
            .map_or_else(|_| json!(stem), |number| json!(number)))
    }

    /// The number of a class: that of the file, else the class counted from 1.
    fn category(&self, name: &str, class: usize) -> anyhow::Result<i64> {
        if self.categories.is_empty() {
            return Ok(class as i64 + 1);
        }
        let known = self.categories.get(name).copied();
        known.with_context(|| format!("`{name}` is none of the categories of the COCO file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed() -> Boxed {
        Boxed {
            image: PathBuf::from("a/000012.jpg"),
            below: PathBuf::from("000012.png"),
            size: [100, 200],
            boxes: vec![Kept {
                bounds: [20.0, 10.0, 60.0, 30.0],
                score: 0.5,
                class: 1,
            }],
        }
    }

    #[test]
    fn rows_of_yolo_are_shares_of_the_sides() {
        assert_eq!(
            boxed().yolo(),
            "1 0.200000 0.200000 0.200000 0.200000 0.500000\n"
        );
    }

    #[test]
    fn coco_has_its_own_numbers_where_they_are_known() {
        let name = |class: usize| ["cat", "dog"][class].to_owned();
        let plain = coco(&[boxed()], &CocoNumbers::default(), &name).unwrap();
        assert_eq!(plain[0]["image_id"], json!(12));
        assert_eq!(plain[0]["category_id"], json!(2));
        assert_eq!(plain[0]["bbox"], json!([20.0, 10.0, 40.0, 20.0]));
        let numbers = CocoNumbers {
            images: BTreeMap::from([("000012.jpg".to_owned(), json!(7))]),
            categories: BTreeMap::from([("dog".to_owned(), 18)]),
        };
        let told = coco(&[boxed()], &numbers, &name).unwrap();
        assert_eq!(
            (&told[0]["image_id"], &told[0]["category_id"]),
            (&json!(7), &json!(18))
        );
        let other = CocoNumbers {
            images: BTreeMap::from([("b.jpg".to_owned(), json!(7))]),
            ..numbers
        };
        assert!(coco(&[boxed()], &other, &name).is_err());
    }
}
