//! COCO's instances (Lin et al., 2014): a JSON file for each part, with its images, the boxes on them and
//! the categories.

mod json;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::FoundBoxes;
use super::files::{images_called, locate, start_of};
use super::problem::{BoxPosition, BoxProblem};
use super::raw::{RawPart, RawSet};
use super::settle::{RawBox, RawImage, header_or_problem};
use crate::DataError;
use crate::source::folder::{Role, Tree};
use json::{Category, Id, Instances};

/// Beginnings of the names of COCO's files for other tasks, which list the same images.
const OTHER_TASKS: [&str; 5] = [
    "person_keypoints",
    "captions",
    "panoptic",
    "stuff",
    "image_info",
];

/// What is known of a file before its boxes are settled.
#[derive(Debug)]
struct Part {
    file: PathBuf,
    role: Option<Role>,
    instances: Instances,
}

/// Looks for COCO's files anywhere in the folder.
pub(super) fn find(folder: &Path, tree: &Tree) -> Result<Option<FoundBoxes>, DataError> {
    let mut files = Vec::new();
    tree.collect_others(folder, "json", &mut files);
    files.sort();
    files.retain(|file| may_be_coco(file));
    let is_named = |file: &PathBuf, names: &[&str]| {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        names.iter().any(|name| stem.starts_with(name))
    };
    if files.iter().any(|file| is_named(file, &["instances"])) {
        files.retain(|file| is_named(file, &["instances"]));
    } else {
        files.retain(|file| !is_named(file, &OTHER_TASKS));
    }
    let mut parts = Vec::new();
    for file in files {
        if let Some(instances) = json::read(&file)? {
            let role = role_of(folder, &file);
            parts.push(Part {
                file,
                role,
                instances,
            });
        }
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let mut notes = Vec::new();
    if parts.iter().any(|part| part.role.is_some()) {
        parts.retain(|part| {
            if part.role.is_none() {
                let file = part.file.display();
                notes.push(format!("left out: {file}, whose name is that of no part"));
            }
            part.role.is_some()
        });
    }
    parts.sort_by_key(|part| part.role);
    if let Some(pair) = parts.windows(2).find(|pair| pair[0].role == pair[1].role) {
        return Err(DataError::Layout {
            path: folder.to_owned(),
            reason: format!(
                "two files of boxes are for the same part: {} and {}; give one of them itself, or \
                 call them train, val and test",
                pair[0].file.display(),
                pair[1].file.display()
            ),
        });
    }
    assemble(folder, parts, notes).map(Some)
}

/// Reads one file, all of whose images are for training.
pub(super) fn read(file: &Path) -> Result<FoundBoxes, DataError> {
    let Some(instances) = json::read(file)? else {
        return Err(DataError::Layout {
            path: file.to_owned(),
            reason:
                "it is no COCO file of boxes: it lacks one of the lists images, annotations and \
                     categories"
                    .to_owned(),
        });
    };
    let folder = file.parent().unwrap_or(Path::new("."));
    let part = Part {
        file: file.to_owned(),
        role: None,
        instances,
    };
    assemble(folder, vec![part], Vec::new())
}

/// Whether a JSON file may be COCO's, as far as its name and its beginning tell.
fn may_be_coco(file: &Path) -> bool {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    if file
        .parent()
        .is_some_and(|folder| !images_called(folder, &stem).is_empty())
    {
        // One of LabelMe's.
        return false;
    }
    let start = start_of(file);
    let has = |key: &str| start.contains(&format!("\"{key}\""));
    has("bbox")
        || has("images") && (has("file_name") || has("annotations"))
        || has("categories") && has("id") && has("name")
}

/// What a file's name says that its images are for, or else the names of the folders that it lies in.
fn role_of(folder: &Path, file: &Path) -> Option<Role> {
    let stem = file.file_stem()?.to_str()?;
    let of_word = |text: &str| {
        let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
        words.find_map(Role::named)
    };
    of_word(stem).or_else(|| {
        let below = file.parent()?.strip_prefix(folder).ok()?;
        let steps = below.components().rev();
        steps
            .into_iter()
            .find_map(|step| of_word(step.as_os_str().to_str()?))
    })
}

fn assemble(
    folder: &Path,
    parts: Vec<Part>,
    mut notes: Vec<String>,
) -> Result<FoundBoxes, DataError> {
    let mut categories: Vec<Category> = Vec::new();
    let mut raw = Vec::new();
    for part in parts {
        let own = sorted(&part.file, part.instances.categories.clone())?;
        if categories.is_empty() {
            categories.clone_from(&own);
        }
        let classes = by_id(&part, own, &categories, &mut notes)?;
        raw.push((part.role, images(folder, part, &classes)?));
    }
    let ids = categories.iter().map(|category| match category.id {
        Id::Number(id) => Some(id),
        Id::Text(_) => None,
    });
    let set = RawSet {
        folder: folder.to_owned(),
        format: "COCO",
        category_ids: ids.collect(),
        classes: categories
            .into_iter()
            .map(|category| category.name)
            .collect(),
        parts: raw,
        notes,
    };
    set.finish()
}

/// The categories in the order of their ids, each of another name.
fn sorted(file: &Path, mut categories: Vec<Category>) -> Result<Vec<Category>, DataError> {
    categories.sort_by(|a, b| a.id.cmp(&b.id));
    let mut names: BTreeMap<&str, &Id> = BTreeMap::new();
    for (place, category) in categories.iter().enumerate() {
        if place > 0 && categories[place - 1].id == category.id {
            let reason = format!(
                "two categories have the id {}: `{}` and `{}`",
                category.id,
                categories[place - 1].name,
                category.name
            );
            return Err(DataError::corrupt(file, reason));
        }
        if let Some(other) = names.insert(&category.name, &category.id) {
            let reason = format!(
                "two categories are called `{}`, with the ids {other} and {}; give one another name",
                category.name, category.id
            );
            return Err(DataError::corrupt(file, reason));
        }
    }
    Ok(categories)
}

/// The class of each id in a part. Classes are those of the first part, known by their names: files of
/// the same data set may number them otherwise.
fn by_id(
    part: &Part,
    own: Vec<Category>,
    classes: &[Category],
    notes: &mut Vec<String>,
) -> Result<BTreeMap<Id, usize>, DataError> {
    let used: BTreeSet<&Id> = part
        .instances
        .annotations
        .iter()
        .filter_map(|annotation| annotation.category_id.as_ref())
        .collect();
    let mut by_id = BTreeMap::new();
    let mut moved = 0;
    for category in own {
        match classes.iter().position(|class| class.name == category.name) {
            Some(class) => {
                moved += usize::from(classes[class].id != category.id);
                by_id.insert(category.id, class);
            }
            None if !used.contains(&category.id) => {}
            None => {
                return Err(DataError::Layout {
                    path: part.file.clone(),
                    reason: format!(
                        "it has boxes of the category `{}`, which the file of the images to train on \
                         does not have",
                        category.name
                    ),
                });
            }
        }
    }
    if moved > 0 {
        notes.push(format!(
            "{} numbers {moved} categories otherwise than the file of the images to train on does; \
             they are told apart by their names",
            part.file.display()
        ));
    }
    Ok(by_id)
}

/// Where the images of a file may lie.
fn roots(folder: &Path, file: &Path, role: Option<Role>) -> Vec<PathBuf> {
    let own = file.parent().unwrap_or(folder);
    let mut places = vec![own.to_owned()];
    if own != folder {
        places.extend(own.parent().map(Path::to_owned));
        places.push(folder.to_owned());
    } else if own.file_name().is_some_and(|name| name == "annotations") {
        // The file itself was given.
        places.extend(own.parent().map(Path::to_owned));
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let word = stem.rsplit('_').next().unwrap_or_default().to_owned();
    let mut names = vec![word];
    names.extend(
        role.into_iter()
            .flat_map(|role| role.names().iter().map(|name| (*name).to_owned())),
    );
    let mut roots = Vec::new();
    for place in &places {
        for images in ["", "images", "data"] {
            let place = place.join(images);
            roots.push(place.clone());
            roots.extend(
                names
                    .iter()
                    .flat_map(|name| [place.join(name), place.join(name).join("images")]),
            );
        }
    }
    let mut seen = BTreeSet::new();
    roots.retain(|root| root.is_dir() && seen.insert(root.clone()));
    roots
}

/// The images of a part with their boxes.
fn images(folder: &Path, part: Part, classes: &BTreeMap<Id, usize>) -> Result<RawPart, DataError> {
    let Part {
        file,
        role,
        instances,
    } = part;
    let mut raw = RawPart::default();
    let mut boxes: BTreeMap<Id, Vec<RawBox>> = BTreeMap::new();
    let mut ids: BTreeSet<&Id> = BTreeSet::new();
    let listed: BTreeSet<&Id> = instances.images.iter().map(|image| &image.id).collect();
    for (number, annotation) in (1..).zip(&instances.annotations) {
        let position = BoxPosition::Object(number);
        let mut problem = |problem| raw.problems.add(problem, &file, position);
        if annotation.id.as_ref().is_some_and(|id| !ids.insert(id)) {
            problem(BoxProblem::RepeatedId);
        }
        if !listed.contains(&annotation.image_id) {
            problem(BoxProblem::UnlistedImage);
            continue;
        }
        let Some(&[left, top, width, height]) = annotation.bbox.as_deref() else {
            problem(BoxProblem::NoBox);
            continue;
        };
        let class = annotation
            .category_id
            .as_ref()
            .and_then(|id| classes.get(id));
        let Some(&class) = class else {
            problem(BoxProblem::UnknownClass);
            continue;
        };
        let corners = [left, top, left + width, top + height];
        boxes
            .entry(annotation.image_id.clone())
            .or_default()
            .push(RawBox {
                area: annotation.area,
                crowd: annotation.crowd,
                ..RawBox::new(class, corners, position)
            });
    }
    let roots = roots(folder, &file, role);
    let mut names: BTreeMap<&Id, &str> = BTreeMap::new();
    for (number, image) in (1..).zip(&instances.images) {
        let position = BoxPosition::Object(number);
        if let Some(other) = names.insert(&image.id, &image.file_name) {
            let reason = format!(
                "two images have the id {}: {other} and {}",
                image.id, image.file_name
            );
            return Err(DataError::corrupt(&file, reason));
        }
        let Some((path, by_end)) = locate(&roots, &image.file_name) else {
            raw.problems.add(BoxProblem::MissingImage, &file, position);
            continue;
        };
        if by_end {
            raw.problems.add(BoxProblem::OtherPlace, &file, position);
        }
        let Some(header) = header_or_problem(&path, &mut raw.problems) else {
            continue;
        };
        raw.images.push(RawImage {
            image: path,
            header,
            from: file.clone(),
            position,
            declared: image.size,
            id: match image.id {
                Id::Number(id) => Some(id),
                Id::Text(_) => None,
            },
            boxes: boxes.remove(&image.id).unwrap_or_default(),
        });
    }
    if raw.images.is_empty()
        && let Some(first) = instances.images.first()
    {
        let places: Vec<String> = roots
            .iter()
            .map(|root| root.display().to_string())
            .collect();
        return Err(DataError::Layout {
            reason: format!(
                "none of its {} images can be read, such as {}; they were looked for in {}",
                instances.images.len(),
                first.file_name,
                places.join(", ")
            ),
            path: file,
        });
    }
    Ok(raw)
}
