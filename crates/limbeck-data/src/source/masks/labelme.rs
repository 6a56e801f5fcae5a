//! LabelMe's files: shapes drawn on an image, in a JSON file beside it.

mod draw;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use base64::Engine;
use serde_json::Value;

use super::encoding::Encoding;
use super::find::assemble;
use super::layout::Paired;
use super::pairing::Pairing;
use super::settle::Settled;
use super::{Reader, class_file};
use crate::decode::{RawMask, RawPixels, decode_mask};
use crate::source::folder::{Role, Tree};
use crate::{DataError, Found, MAX_MASK_CLASSES, VOID};

/// The label of what does not count.
pub(in crate::source) const IGNORE: &str = "__ignore__";

/// The label of everything on which nothing is drawn.
const BACKGROUND: &str = "_background_";

/// Most bytes of a file, which may hold its image as text.
const MAX_BYTES: u64 = 256 << 20;

/// Pixels across a line, and from the centre of a point to its rim, as LabelMe draws them.
const LINE_WIDTH: f64 = 10.0;
const POINT_RADIUS: f64 = 5.0;

/// Most points of a shape.
const MAX_POINTS: usize = 100_000;

/// Greatest width and height, as of images.
const MAX_SIDE: u64 = 65_535;

/// Most pixels of a mask.
const MAX_PIXELS: u64 = (512 << 20) / 3;

/// The ids that labels are drawn with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Labels(HashMap<String, u16>);

/// Looks for images with LabelMe's files beside them: in the folder, or in its parts.
pub(super) fn find(folder: &Path, tree: &Tree) -> Result<Option<Found>, DataError> {
    if !tree.holds_ending("json") {
        return Ok(None);
    }
    let with_roles: Vec<(Role, &Tree)> = tree
        .folders_with_images()
        .filter_map(|folder| Some((Role::of(folder)?, folder)))
        .collect();
    let parts: Vec<(Option<Role>, PathBuf, &Tree)> = match tree.images.is_empty() {
        true if !with_roles.is_empty() => with_roles
            .into_iter()
            .map(|(role, part)| (Some(role), folder.join(&part.name), part))
            .collect(),
        _ => vec![(None, folder.to_owned(), tree)],
    };
    let mut paired = Vec::new();
    for (role, place, part) in parts {
        paired.extend(beside(role, &place, part)?);
    }
    if paired.is_empty() {
        return Ok(None);
    }
    let files = || {
        paired
            .iter()
            .flat_map(|part| part.files.iter().map(|(_, json)| json))
    };
    let mut drawn: BTreeMap<String, usize> = BTreeMap::new();
    for json in files() {
        for label in labels_of(json)? {
            *drawn.entry(label).or_default() += 1;
        }
    }
    let mut notes = Vec::new();
    let list = folder.join("labels.txt");
    let mut classes: Vec<String> = match list.is_file() {
        true => {
            let text = class_file::read_text(&list)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            lines
                .filter(|line| *line != IGNORE)
                .map(str::to_owned)
                .collect()
        }
        false => {
            let named = drawn
                .keys()
                .filter(|label| *label != IGNORE && *label != BACKGROUND);
            let labels: Vec<String> = named.cloned().collect();
            notes.push(format!(
                "the classes are the labels that are drawn, in the order of their names ({}); a file \
                 labels.txt would settle them",
                labels.join(", ")
            ));
            [vec![BACKGROUND.to_owned()], labels].concat()
        }
    };
    if classes.first().map(String::as_str) != Some(BACKGROUND) {
        // What nothing is drawn on has to be something.
        classes.retain(|class| class != BACKGROUND);
        classes.insert(0, BACKGROUND.to_owned());
        notes.push(format!(
            "labels.txt does not begin with {BACKGROUND}, which is class 0 all the same"
        ));
    }
    let unique: BTreeSet<&String> = classes.iter().collect();
    if unique.len() != classes.len() || !(2..=MAX_MASK_CLASSES).contains(&classes.len()) {
        return Err(DataError::Layout {
            path: folder.to_owned(),
            reason: format!(
                "its labels make {} classes, {} of them different; 2 to {MAX_MASK_CLASSES} are \
                 needed",
                classes.len(),
                unique.len()
            ),
        });
    }
    let mut ids: HashMap<String, u16> = (0..)
        .zip(&classes)
        .map(|(id, name)| (name.clone(), id))
        .collect();
    ids.insert(IGNORE.to_owned(), u16::from(VOID));
    if let Some(unknown) = drawn.keys().find(|label| !ids.contains_key(*label)) {
        let alike = classes
            .iter()
            .find(|class| class.trim().eq_ignore_ascii_case(unknown.trim()));
        let first =
            files().find(|json| labels_of(json).is_ok_and(|labels| labels.contains(unknown)));
        return Err(DataError::Layout {
            path: first.cloned().unwrap_or_else(|| folder.to_owned()),
            reason: format!(
                "the label `{unknown}` is not in labels.txt{}; add it there, or change the label",
                alike.map_or_else(String::new, |alike| format!(" (`{alike}` is)"))
            ),
        });
    }
    for part in &paired {
        notes.extend(part.pairing.notes(part.role.map_or("images", Role::name)));
    }
    let hint = "labels.txt says which there are".to_owned();
    let count = classes.len() as u16;
    let settled = Settled {
        classes,
        encoding: Encoding::of_ids((0..count).map(|id| (id, id as u8)), hint),
        notes: Vec::new(),
    };
    let name = format!("{} (LabelMe)", crate::open::folder_name(folder));
    Ok(Some(assemble(
        name,
        paired,
        settled,
        Reader::Shapes(Labels(ids)),
        notes,
    )))
}

/// The images of a folder, at any depth, that have a file of shapes beside them; `None` where none has.
fn beside(role: Option<Role>, place: &Path, tree: &Tree) -> Result<Option<Paired>, DataError> {
    let mut images = Vec::new();
    tree.collect(place, &mut images);
    images.sort();
    let mut part = Paired {
        role,
        files: Vec::new(),
        pairing: Pairing::default(),
    };
    let mut taken: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for image in images {
        let json = image.with_extension("json");
        if !json.is_file() || !holds_shapes(&json) {
            part.pairing.images_without_mask.push(image);
            continue;
        }
        if let Some(other) = taken.insert(json.clone(), image.clone()) {
            return Err(DataError::Layout {
                path: json,
                reason: format!(
                    "two images belong to it by their names: {} and {}; keep one",
                    other.display(),
                    image.display()
                ),
            });
        }
        part.files.push((image, json));
    }
    Ok((!part.files.is_empty()).then_some(part))
}

/// Whether a JSON file is one of LabelMe's, as far as its beginning tells: that of a long one may
/// be its image.
pub(in crate::source) fn holds_shapes(path: &Path) -> bool {
    use std::io::Read;
    let mut start = Vec::new();
    let read = std::fs::File::open(path).map(|file| file.take(4096).read_to_end(&mut start));
    // The end may lie within a letter.
    let start = String::from_utf8_lossy(&start);
    let known = ["\"shapes\"", "\"imageData\"", "\"imagePath\""];
    read.is_ok() && known.iter().any(|key| start.contains(key))
}

fn wrong(path: &Path, reason: impl Into<String>) -> DataError {
    DataError::corrupt(path, reason)
}

/// The content of a file.
pub(in crate::source) fn read(path: &Path) -> Result<Value, DataError> {
    let size = std::fs::metadata(path)
        .map_err(|e| DataError::io(path, e))?
        .len();
    if size > MAX_BYTES {
        return Err(wrong(
            path,
            format!("it has {size} bytes, more than {MAX_BYTES}"),
        ));
    }
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, e))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(path, format!("it is no JSON: {e}")))
}

pub(in crate::source) fn shapes<'a>(
    path: &Path,
    file: &'a Value,
) -> Result<&'a [Value], DataError> {
    let shapes = file.get("shapes").and_then(Value::as_array);
    shapes
        .map(Vec::as_slice)
        .ok_or_else(|| wrong(path, "it has no list `shapes`"))
}

pub(in crate::source) fn label<'a>(path: &Path, shape: &'a Value) -> Result<&'a str, DataError> {
    let label = shape.get("label").and_then(Value::as_str);
    label.ok_or_else(|| wrong(path, "a shape has no `label`"))
}

/// The labels of a file, each once.
fn labels_of(path: &Path) -> Result<BTreeSet<String>, DataError> {
    let file = read(path)?;
    let labels = shapes(path, &file)?
        .iter()
        .map(|shape| label(path, shape).map(str::to_owned));
    labels.collect()
}

/// Draws the shapes of a file over each other, the later ones on top, as ids of `labels`.
///
/// # Errors
/// What is no such file, shapes of an unknown kind, labels that are not known.
pub(super) fn mask_of(path: &Path, labels: &Labels) -> Result<RawMask, DataError> {
    let file = read(path)?;
    let side = |key: &str| {
        let side = file.get(key).and_then(Value::as_u64);
        side.filter(|side| (1..=MAX_SIDE).contains(side))
            .ok_or_else(|| wrong(path, format!("`{key}` is not 1 to {MAX_SIDE}")))
    };
    let (width, height) = (side("imageWidth")?, side("imageHeight")?);
    if width * height > MAX_PIXELS {
        return Err(wrong(path, format!("it announces {width}x{height} pixels")));
    }
    let mut canvas = draw::Canvas::new(width as usize, height as usize);
    for shape in shapes(path, &file)? {
        let name = label(path, shape)?;
        let Some(&id) = labels.0.get(name) else {
            return Err(wrong(path, format!("the label `{name}` is not known")));
        };
        let points = points(path, shape)?;
        // Files of early versions have no kind: all shapes are polygons.
        let kind = shape
            .get("shape_type")
            .and_then(Value::as_str)
            .unwrap_or("polygon");
        match (kind, points.as_slice()) {
            ("polygon", [_, _, _, ..]) => canvas.polygon(&points, id),
            ("rectangle", [a, b]) => canvas.rectangle(*a, *b, id),
            ("circle", [centre, rim]) => canvas.circle(*centre, *rim, id),
            ("mask", [a, b]) => draw_mask(path, shape, &mut canvas, *a, *b, id)?,
            ("line" | "linestrip", [_, _, ..]) => {
                for pair in points.windows(2) {
                    canvas.thick_line(pair[0], pair[1], LINE_WIDTH, id);
                }
            }
            ("point" | "points", points) => {
                for [x, y] in points {
                    canvas.circle([*x, *y], [x + POINT_RADIUS, *y], id);
                }
            }
            // A polygon that was never finished has no area.
            ("polygon", _) => {}
            (kind, points) => {
                let reason = format!("a shape `{kind}` of {} points is not read", points.len());
                return Err(wrong(path, reason));
            }
        }
    }
    Ok(RawMask {
        width: canvas.width,
        height: canvas.height,
        pixels: RawPixels::Ids {
            ids: canvas.ids,
            palette: None,
        },
    })
}

/// Column and row of each point.
pub(in crate::source) fn points(path: &Path, shape: &Value) -> Result<Vec<[f64; 2]>, DataError> {
    let point = |point: &Value| {
        let [x, y] = point.as_array()?.as_slice() else {
            return None;
        };
        let number = |value: &Value| value.as_f64().filter(|number| number.abs() < 1e7);
        Some([number(x)?, number(y)?])
    };
    let points = shape.get("points").and_then(Value::as_array);
    points
        .filter(|points| points.len() <= MAX_POINTS)
        .and_then(|points| points.iter().map(point).collect())
        .ok_or_else(|| wrong(path, "a shape has no `points` [[x, y], …]"))
}

/// Draws a shape that is a picture of its own, which lies in the rectangle of its points.
fn draw_mask(
    path: &Path,
    shape: &Value,
    canvas: &mut draw::Canvas,
    a: [f64; 2],
    b: [f64; 2],
    id: u16,
) -> Result<(), DataError> {
    let text = shape.get("mask").and_then(Value::as_str);
    let text = text.ok_or_else(|| wrong(path, "a shape `mask` has no `mask`"))?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text.trim())
        .map_err(|e| wrong(path, format!("the `mask` of a shape is no base64: {e}")))?;
    let mask = decode_mask(&bytes, path)?;
    let set = mask
        .ids()
        .map_err(|_| wrong(path, "the `mask` of a shape is in colours"))?;
    let (left, top) = (a[0].min(b[0]) as i64, a[1].min(b[1]) as i64);
    canvas.stamp(left, top, mask.width, &set, id);
    Ok(())
}

#[cfg(test)]
mod tests;
