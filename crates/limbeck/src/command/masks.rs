//! `limbeck predict` with a model that segments: images in, masks out.

use std::collections::HashSet;
use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use limbeck::data::{Mask, decode_file_upright};
use limbeck::report::{Palette, mask_png, overlay_png};
use limbeck::train::model_source::LoadedModel;
use limbeck::train::segment::PictureSegmenter;
use limbeck::train::{TrainError, files, run_folder};
use serde_json::{Value, json};

use super::eval::shown_as;
use super::predict::{Found, quoted};
use super::threads;
use crate::arguments::{PredictArguments, PredictFormat, Top};
use crate::exit::Usage;

/// Name of the file with all shares in the folder of masks.
const SHARES: &str = "shares.json";

/// The classes of an image, those with most pixels first.
struct Shares {
    image: PathBuf,
    /// Height and width.
    size: [usize; 2],
    /// Name and pixels of each class that occurs.
    classes: Vec<(usize, u64)>,
    /// Where its mask and its overlay are, from the folder that is written.
    files: Option<[PathBuf; 2]>,
}

/// Segments `images`: prints the share of each class, or writes masks, overlays and shares into a new
/// folder.
pub fn run(
    model: &LoadedModel,
    images: &[Found],
    arguments: &PredictArguments,
    quiet: bool,
) -> anyhow::Result<()> {
    if arguments.logits {
        return Err(Usage(
            "--logits is for models that classify; a model that segments has logits for every pixel"
                .to_owned(),
        )
        .into());
    }
    if let Some(out) = &arguments.out {
        if run_folder::is_taken(out) {
            return Err(Usage(format!(
                "the output `{}` exists; --out names a new folder for the masks",
                out.display()
            ))
            .into());
        }
        std::fs::create_dir_all(out).with_context(|| format!("`{}`", out.display()))?;
    }
    let segmenter = PictureSegmenter::new(model, &shown_as(&arguments.model)?)?;
    let (shares, damaged) = threads::compute(|| segment(model, &segmenter, images, arguments))?;
    let name = |class: usize| class_name(model, class);
    let all: Vec<Value> = shares.iter().map(|shares| shares.describe(&name)).collect();
    let all = Value::Array(all);
    match &arguments.out {
        Some(out) => {
            let path = out.join(SHARES);
            files::write_whole(&path, format!("{all:#}\n").as_bytes()).map_err(TrainError::from)?;
            if !quiet {
                eprintln!(
                    "{} masks with their overlays and `{SHARES}` in {}",
                    shares.len(),
                    out.display()
                );
            }
        }
        None if arguments.json || arguments.format == PredictFormat::Json => {
            writeln!(stdout().lock(), "{all:#}")?;
        }
        None => {
            let mut out = BufWriter::new(stdout().lock());
            writeln!(out, "image,rank,label,share")?;
            for shares in &shares {
                let image = quoted(&shares.image.display().to_string());
                for (rank, &(class, pixels)) in shares.classes.iter().enumerate() {
                    let (rank, label) = (rank + 1, quoted(&name(class)));
                    writeln!(out, "{image},{rank},{label},{:.6}", shares.of(pixels))?;
                }
            }
            out.flush()?;
        }
    }
    if damaged > 0 {
        bail!("{damaged} of {} images could not be read", images.len());
    }
    Ok(())
}

/// The shares of all images that can be read, and the number of those that cannot; their files are
/// written on the way.
fn segment(
    model: &LoadedModel,
    segmenter: &PictureSegmenter,
    images: &[Found],
    arguments: &PredictArguments,
) -> anyhow::Result<(Vec<Shares>, usize)> {
    let classes = model.network.input().classes;
    let names: Vec<String> = (0..classes).map(|class| class_name(model, class)).collect();
    let palette = Palette::of(&names);
    let most = match arguments.top {
        Some(Top::Some(count)) => count,
        Some(Top::All) | None => classes,
    };
    let mut names = Names::default();
    let mut all = Vec::new();
    let mut damaged = 0;
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
        let mask = segmenter.mask(&image, &found.path.display().to_string())?;
        let files = match &arguments.out {
            Some(out) => {
                let shown = image.with_channels(3);
                let name = names.of(&found.below);
                let overlay = overlay_png(&shown.pixels, &mask.ids, size, &palette)?;
                let written = [
                    (
                        Path::new("masks").join(&name),
                        mask_png(&mask.ids, size, &palette)?,
                    ),
                    (Path::new("overlays").join(&name), overlay),
                ];
                for (path, bytes) in &written {
                    write_below(out, path, bytes)?;
                }
                Some(written.map(|(path, _)| path))
            }
            None => None,
        };
        let mut classes = counts(&mask, classes);
        classes.truncate(most);
        all.push(Shares {
            image: found.path.clone(),
            size,
            classes,
            files,
        });
    }
    Ok((all, damaged))
}

pub fn class_name(model: &LoadedModel, class: usize) -> String {
    let known = model
        .class_names
        .as_ref()
        .and_then(|names| names.get(class));
    known.cloned().unwrap_or_else(|| class.to_string())
}

pub fn write_below(out: &Path, path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let path = out.join(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
    }
    Ok(files::write_whole(&path, bytes).map_err(TrainError::from)?)
}

/// Classes that occur with their pixels, those with most first.
fn counts(mask: &Mask, classes: usize) -> Vec<(usize, u64)> {
    let mut counts = vec![0; classes];
    for &id in &mask.ids {
        if let Some(count) = counts.get_mut(usize::from(id)) {
            *count += 1;
        }
    }
    let mut found: Vec<(usize, u64)> = counts.into_iter().enumerate().collect();
    found.retain(|(_, pixels)| *pixels > 0);
    found.sort_by_key(|&(class, pixels)| (std::cmp::Reverse(pixels), class));
    found
}

impl Shares {
    /// `pixels` as a share of all, 0 to 1.
    fn of(&self, pixels: u64) -> f64 {
        pixels as f64 / (self.size[0] * self.size[1]).max(1) as f64
    }

    fn describe(&self, name: &dyn Fn(usize) -> String) -> Value {
        let classes: Vec<Value> = self
            .classes
            .iter()
            .map(|&(class, pixels)| {
                json!({
                    "id": class,
                    "label": name(class),
                    "pixels": pixels,
                    "share": self.of(pixels),
                })
            })
            .collect();
        let mut told = json!({
            "image": self.image.display().to_string(),
            "height": self.size[0],
            "width": self.size[1],
            "classes": classes,
        });
        if let Some([mask, overlay]) = &self.files {
            told["mask"] = json!(mask.display().to_string());
            told["overlay"] = json!(overlay.display().to_string());
        }
        told
    }
}

/// Names of PNG files for images, no two the same.
#[derive(Default)]
pub struct Names(HashSet<PathBuf>);

impl Names {
    /// The image's own name with `.png`; where another has that, its ending stays in it, or a number
    /// is added.
    pub fn of(&mut self, image: &Path) -> PathBuf {
        let whole = image.with_file_name(format!(
            "{}.png",
            image.file_name().unwrap_or_default().to_string_lossy()
        ));
        let stem = image.file_stem().unwrap_or_default().to_string_lossy();
        let numbered =
            (2_usize..).map(|number| image.with_file_name(format!("{stem}-{number}.png")));
        let mut proposed = [image.with_extension("png"), whole]
            .into_iter()
            .chain(numbered);
        proposed
            .find(|name| self.0.insert(name.clone()))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_images_have_one_mask_file() {
        let mut names = Names::default();
        let found: Vec<PathBuf> = ["a.jpg", "a.png", "a.jpg", "sub/a.jpg", "b.c.jpg"]
            .iter()
            .map(|name| names.of(Path::new(name)))
            .collect();
        let expected = ["a.png", "a.png.png", "a.jpg.png", "sub/a.png", "b.c.png"];
        assert_eq!(found, expected.map(PathBuf::from));
        assert_eq!(names.of(Path::new("a.jpg")), PathBuf::from("a-2.png"));
    }

    #[test]
    fn classes_are_counted_without_what_is_void() {
        let mask = Mask {
            width: 3,
            height: 2,
            ids: vec![2, 2, 0, 255, 2, 0],
        };
        assert_eq!(counts(&mask, 4), [(2, 3), (0, 2)]);
    }
}
