//! LabelMe's files: shapes drawn on an image, in a JSON file beside it. Objects are what rectangles and
//! outlines are drawn around.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::FoundBoxes;
use super::files::{images_called, locate};
use super::names::{Names, list_in};
use super::problem::{BoxPosition, BoxProblem};
use super::raw::{RawPart, RawSet};
use super::settle::{RawBox, RawImage, header_or_problem};
use crate::DataError;
use crate::source::folder::{Role, Tree};
use crate::source::masks::labelme::{IGNORE, holds_shapes, label, points, read, shapes};

/// Files that are looked into to see whether any is LabelMe's.
const LOOKED_AT: usize = 16;

/// An object of a file, which may be drawn as several shapes.
#[derive(Debug)]
struct Object {
    label: String,
    /// `None` of what no box can be drawn around.
    corners: Option<[f64; 4]>,
    crowd: bool,
    difficult: bool,
    /// Number of its first shape, counted from 1.
    number: usize,
}

/// A file, with what it says of its image.
#[derive(Debug)]
struct Drawn {
    file: PathBuf,
    image: Option<String>,
    size: Option<[usize; 2]>,
    objects: Vec<Object>,
}

/// Looks for LabelMe's files anywhere in the folder.
pub(super) fn find(folder: &Path, tree: &Tree) -> Result<Option<FoundBoxes>, DataError> {
    let mut files = Vec::new();
    tree.collect_others(folder, "json", &mut files);
    files.sort();
    let step = files.len().div_ceil(LOOKED_AT).max(1);
    if !files.iter().step_by(step).any(|file| holds_shapes(file)) {
        return Ok(None);
    }
    let mut drawn = Vec::new();
    for file in files.into_iter().filter(|file| holds_shapes(file)) {
        drawn.push(Drawn::read(file)?);
    }
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for object in drawn.iter().flat_map(|drawn| &drawn.objects) {
        if object.label != IGNORE {
            *met.entry(object.label.clone()).or_default() += 1;
        }
    }
    let mut notes = Vec::new();
    let names = Names::settle(list_in(&[folder])?, &met, &mut notes)?;
    let mut parts: BTreeMap<Option<Role>, RawPart> = BTreeMap::new();
    let mut used = BTreeSet::new();
    for one in drawn {
        let part = parts.entry(role_of(folder, &one.file)).or_default();
        used.extend(one.add(&names, part));
    }
    let mut images = Vec::new();
    tree.collect(folder, &mut images);
    images.sort();
    for image in images.iter().filter(|image| !used.contains(*image)) {
        let part = parts.entry(role_of(folder, image)).or_default();
        part.problems
            .add(BoxProblem::NotAnnotated, image, BoxPosition::Whole);
    }
    let set = RawSet {
        folder: folder.to_owned(),
        format: "LabelMe",
        classes: names.classes,
        category_ids: None,
        parts: parts.into_iter().collect(),
        notes,
    };
    set.finish().map(Some)
}

/// What the folders that a file lies in say that it is for.
fn role_of(folder: &Path, file: &Path) -> Option<Role> {
    let below = file.parent()?.strip_prefix(folder).ok()?;
    let mut steps = below.components();
    steps.find_map(|step| Role::named(step.as_os_str().to_str()?))
}

impl Drawn {
    fn read(file: PathBuf) -> Result<Self, DataError> {
        let content = read(&file)?;
        let side = |key: &str| {
            let side = content.get(key).and_then(Value::as_u64);
            side.and_then(|side| usize::try_from(side).ok())
                .filter(|side| *side > 0)
        };
        let size = side("imageWidth").zip(side("imageHeight"));
        let mut objects: Vec<Object> = Vec::new();
        let mut groups: BTreeMap<(String, String), usize> = BTreeMap::new();
        for (number, shape) in (1..).zip(shapes(&file, &content)?) {
            let label = label(&file, shape)?.to_owned();
            let flag =
                |name: &str| shape.pointer(&format!("/flags/{name}")) == Some(&Value::Bool(true));
            let object = Object {
                corners: bounds(shape, &points(&file, shape)?),
                crowd: flag("crowd") || flag("iscrowd"),
                difficult: flag("difficult"),
                label,
                number,
            };
            let group = shape.get("group_id").filter(|group| !group.is_null());
            if let (Some(group), Some(corners)) = (group, object.corners) {
                // Shapes of one group are parts of one object.
                let key = (object.label.clone(), group.to_string());
                let place = *groups.entry(key).or_insert(objects.len());
                if let Some(Object {
                    corners: Some(other),
                    ..
                }) = objects.get_mut(place)
                {
                    *other = around([*other, corners]);
                    continue;
                }
            }
            objects.push(object);
        }
        Ok(Self {
            image: content
                .get("imagePath")
                .and_then(Value::as_str)
                .map(str::to_owned),
            size: size.map(|(width, height)| [width, height]),
            objects,
            file,
        })
    }

    /// The image that lies beside the file, or that it names.
    fn image(&self) -> Option<(PathBuf, bool)> {
        let folder = self.file.parent()?;
        let stem = self.file.file_stem()?.to_str()?;
        let beside = images_called(folder, stem);
        let named = self.image.as_deref();
        let file_name = named.and_then(|named| named.rsplit(['/', '\\']).next());
        let same = |path: &&PathBuf| path.file_name().and_then(|name| name.to_str()) == file_name;
        if let Some(image) = beside.iter().find(same).or(beside.first()) {
            // Images are renamed together with their files, and names in them stay.
            let stem_of = |name: &str| {
                Path::new(name)
                    .file_stem()
                    .map(|stem| stem == self.file.file_stem().unwrap_or_default())
            };
            let other = file_name.is_some_and(|name| stem_of(name) == Some(false));
            return Some((image.clone(), other));
        }
        Some((locate(&[folder.to_owned()], named?)?.0, false))
    }

    /// Adds the image with its boxes to a part; gives the image's file where it is there.
    fn add(self, names: &Names, part: &mut RawPart) -> Option<PathBuf> {
        let problems = &mut part.problems;
        let Some((image, other)) = self.image() else {
            problems.add(BoxProblem::MissingImage, &self.file, BoxPosition::Whole);
            return None;
        };
        if other {
            problems.add(BoxProblem::OtherName, &self.file, BoxPosition::Whole);
        }
        let Some(header) = header_or_problem(&image, problems) else {
            return Some(image);
        };
        let mut boxes = Vec::new();
        for object in self.objects {
            let position = BoxPosition::Object(object.number);
            if object.label == IGNORE {
                problems.add(BoxProblem::Ignored, &self.file, position);
                continue;
            }
            let Some(corners) = object.corners else {
                problems.add(BoxProblem::NoBox, &self.file, position);
                continue;
            };
            let Some((class, otherwise)) = names.class(&object.label) else {
                problems.add(BoxProblem::UnknownClass, &self.file, position);
                continue;
            };
            if otherwise {
                problems.add(BoxProblem::Spelling, &self.file, position);
            }
            boxes.push(RawBox {
                crowd: object.crowd,
                difficult: object.difficult,
                ..RawBox::new(class, corners, position)
            });
        }
        part.images.push(RawImage {
            image: image.clone(),
            header,
            from: self.file,
            position: BoxPosition::Whole,
            declared: self.size,
            id: None,
            boxes,
        });
        Some(image)
    }
}

/// The box around a shape; `None` of points and lines, and of an outline that was not finished.
fn bounds(shape: &Value, points: &[[f64; 2]]) -> Option<[f64; 4]> {
    // Files of early versions have no kind: all shapes are polygons.
    let kind = shape
        .get("shape_type")
        .and_then(Value::as_str)
        .unwrap_or("polygon");
    match (kind, points) {
        ("circle", [[x, y], [rim_x, rim_y]]) => {
            let radius = (rim_x - x).hypot(rim_y - y);
            Some([x - radius, y - radius, x + radius, y + radius])
        }
        // The last pixel belongs to the picture of a mask.
        ("mask", [_, _]) => {
            let [left, top, right, bottom] = around_points(points)?;
            Some([left, top, right + 1.0, bottom + 1.0])
        }
        ("polygon", [_, _, _, ..]) => around_points(points),
        ("rectangle" | "oriented_rectangle" | "rotation", [_, _, ..]) => around_points(points),
        _ => None,
    }
}

fn around_points(points: &[[f64; 2]]) -> Option<[f64; 4]> {
    let boxes = points.iter().map(|[x, y]| [*x, *y, *x, *y]);
    boxes.reduce(|a, b| around([a, b]))
}

/// The box around two.
fn around([a, b]: [[f64; 4]; 2]) -> [f64; 4] {
    [
        a[0].min(b[0]),
        a[1].min(b[1]),
        a[2].max(b[2]),
        a[3].max(b[3]),
    ]
}
