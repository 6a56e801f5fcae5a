//! The files of one of VOC's years: which image each is for, and which part each is of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::xml::{self, Described};
use crate::DataError;
use crate::source::boxes::files::{read_text, start_of};
use crate::source::boxes::names::Names;
use crate::source::boxes::problem::{BoxPosition, BoxProblem};
use crate::source::boxes::raw::RawPart;
use crate::source::boxes::settle::{RawBox, RawImage, header_or_problem};
use crate::source::folder::{Role, Tree};

/// Files that are looked into to see whether any is VOC's.
const LOOKED_AT: usize = 16;

/// Most bytes of a list of images.
const MAX_LIST: u64 = 64 << 20;

/// Names of folders of images, and of folders of pictures that are none, in lower case.
const IMAGES: [&str; 6] = ["jpegimages", "images", "image", "imgs", "img", "photos"];
const MASKS: [&str; 7] = [
    "segmentationclass",
    "segmentationobject",
    "segmentationclassaug",
    "masks",
    "mask",
    "trimaps",
    "labels",
];

/// The files of one year, or of a data set that has no years.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    pub described: Vec<Described>,
    /// By name without ending.
    images: BTreeMap<String, Vec<PathBuf>>,
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The last step of a path of any machine.
fn last_step(path: &str) -> &str {
    path.trim().rsplit(['/', '\\']).next().unwrap_or_default()
}

/// A file's name without the ending of an image; names may have further dots.
fn without_ending(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, end)) if crate::IMAGE_EXTENSIONS.contains(&end.to_lowercase().as_str()) => stem,
        _ => name,
    }
}

impl Place {
    /// Reads all of VOC's files below `folder`; `None` where there are none.
    pub fn read(folder: PathBuf, tree: &Tree) -> Result<Option<Self>, DataError> {
        let mut files = Vec::new();
        tree.collect_others(&folder, "xml", &mut files);
        files.sort();
        let step = files.len().div_ceil(LOOKED_AT).max(1);
        let is_voc = |file: &PathBuf| start_of(file).contains("<annotation");
        if !files.iter().step_by(step).any(is_voc) {
            return Ok(None);
        }
        let mut described = Vec::new();
        for file in files {
            described.extend(xml::read(&file)?);
        }
        let mut paths = Vec::new();
        tree.collect(&folder, &mut paths);
        paths.sort();
        let mut images: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
        for path in paths {
            let below = path.strip_prefix(&folder).unwrap_or(&path);
            if !lies_in(below, &MASKS) {
                images.entry(stem(&path)).or_default().push(path);
            }
        }
        Ok(Some(Self {
            folder,
            described,
            images,
        }))
    }

    /// What a path says of the part that its file is of.
    fn role(&self, path: &Path) -> Option<Role> {
        let below = path.parent()?.strip_prefix(&self.folder).ok()?;
        let mut steps = below.components();
        steps.find_map(|step| Role::named(step.as_os_str().to_str()?))
    }

    /// The lists of the parts, by the names of the images.
    fn lists(&self) -> Result<Vec<(Role, PathBuf, Vec<String>)>, DataError> {
        let list = |name: &str| self.folder.join("ImageSets/Main").join(name);
        let names = |role| match role {
            // What both have is for training where nothing says which of it is.
            Role::Train if !list("train.txt").is_file() => "trainval.txt",
            Role::Train => "train.txt",
            Role::Validation if !list("train.txt").is_file() && list("trainval.txt").is_file() => {
                ""
            }
            Role::Validation => "val.txt",
            Role::Test => "test.txt",
        };
        let mut lists = Vec::new();
        for role in Role::ALL {
            let path = list(names(role));
            if !path.is_file() {
                continue;
            }
            let text = read_text(&path, MAX_LIST)?;
            lists.push((
                role,
                path,
                text.lines().map(|line| line.trim().to_owned()).collect(),
            ));
        }
        Ok(lists)
    }

    /// The images of each part with their boxes.
    pub fn parts(
        self,
        names: &Names,
        first: f64,
        notes: &mut Vec<String>,
    ) -> Result<Vec<(Option<Role>, RawPart)>, DataError> {
        let lists = self.lists()?;
        let mut parts: BTreeMap<Option<Role>, RawPart> = BTreeMap::new();
        let stems: Vec<String> = self.described.iter().map(|one| stem(&one.file)).collect();
        if lists.is_empty() {
            let mut used = BTreeSet::new();
            for (described, stem) in self.described.iter().zip(&stems) {
                let role = self.role(&described.file);
                let part = parts.entry(role).or_default();
                used.extend(self.add(described, stem, role, names, first, part)?);
            }
            let images = self.images.values().flatten();
            for image in images.filter(|image| !used.contains(*image)) {
                let part = parts.entry(self.role(image)).or_default();
                part.problems
                    .add(BoxProblem::NotAnnotated, image, BoxPosition::Whole);
            }
            return Ok(parts.into_iter().collect());
        }
        let mut used: BTreeSet<&str> = BTreeSet::new();
        let by_stem: BTreeMap<&str, &Described> = stems
            .iter()
            .map(String::as_str)
            .zip(&self.described)
            .rev()
            .collect();
        for (role, list, lines) in &lists {
            let part = parts.entry(Some(*role)).or_default();
            let mut listed = BTreeSet::new();
            for (number, line) in (1..).zip(lines) {
                // A name may have spaces, and a number may follow it.
                let word = line.split_whitespace().next().unwrap_or_default();
                let name = [line.as_str(), word]
                    .map(|name| without_ending(last_step(name)))
                    .into_iter()
                    .find_map(|name| by_stem.get_key_value(name));
                match name {
                    Some((stem, _)) if !listed.insert(*stem) => {
                        part.problems.add(
                            BoxProblem::RepeatedImage,
                            list,
                            BoxPosition::Line(number),
                        );
                    }
                    Some((stem, described)) => {
                        self.add(described, stem, None, names, first, part)?;
                        used.insert(stem);
                    }
                    None if word.is_empty() => {}
                    None => {
                        let known = self.images.contains_key(without_ending(last_step(line)))
                            || self.images.contains_key(without_ending(last_step(word)));
                        let problem = match known {
                            true => BoxProblem::NotAnnotated,
                            false => BoxProblem::MissingImage,
                        };
                        part.problems.add(problem, list, BoxPosition::Line(number));
                    }
                }
            }
        }
        let unlisted = stems.iter().filter(|stem| !used.contains(stem.as_str()));
        let count = unlisted.clone().count();
        if let Some(one) = unlisted.into_iter().next() {
            notes.push(format!(
                "left out: {count} images with boxes that no list of ImageSets/Main names, such as {one}"
            ));
        }
        Ok(parts.into_iter().collect())
    }

    /// Adds an image with its boxes to a part; gives the image's file where it is there.
    fn add(
        &self,
        described: &Described,
        stem: &str,
        role: Option<Role>,
        names: &Names,
        first: f64,
        part: &mut RawPart,
    ) -> Result<Option<PathBuf>, DataError> {
        let file = &described.file;
        let Some((image, other)) = self.image_of(described, stem, role)? else {
            part.problems
                .add(BoxProblem::MissingImage, file, BoxPosition::Whole);
            return Ok(None);
        };
        let Some(header) = header_or_problem(&image, &mut part.problems) else {
            return Ok(Some(image));
        };
        if other {
            part.problems
                .add(BoxProblem::OtherName, file, BoxPosition::Whole);
        }
        let mut boxes = Vec::with_capacity(described.objects.len());
        for object in &described.objects {
            let position = BoxPosition::Line(object.line);
            let Some(corners) = object.corners else {
                part.problems.add(BoxProblem::NoBox, file, position);
                continue;
            };
            let Some((class, otherwise)) = names.class(&object.name) else {
                part.problems.add(BoxProblem::UnknownClass, file, position);
                continue;
            };
            if otherwise {
                part.problems.add(BoxProblem::Spelling, file, position);
            }
            let [left, top, right, bottom] = corners;
            let ordered = [
                left.min(right),
                top.min(bottom),
                left.max(right),
                top.max(bottom),
            ];
            if left > right || top > bottom {
                part.problems
                    .add(BoxProblem::SwappedCorners, file, position);
            }
            let corners = if corners.iter().any(|corner| !corner.is_finite()) {
                corners
            } else if left == right || top == bottom {
                ordered
            } else {
                // The last pixel belongs to the box.
                [
                    ordered[0] - first,
                    ordered[1] - first,
                    ordered[2],
                    ordered[3],
                ]
            };
            boxes.push(RawBox {
                difficult: object.difficult,
                ..RawBox::new(class, corners, position)
            });
        }
        part.images.push(RawImage {
            image: image.clone(),
            header,
            from: file.clone(),
            position: BoxPosition::Whole,
            declared: described.size,
            id: None,
            boxes,
        });
        Ok(Some(image))
    }

    /// The image that a file describes: that of its own name, or else that which it names. `true` where
    /// it names another.
    fn image_of(
        &self,
        described: &Described,
        stem: &str,
        role: Option<Role>,
    ) -> Result<Option<(PathBuf, bool)>, DataError> {
        let named = described
            .image
            .as_deref()
            .map(last_step)
            .unwrap_or_default();
        let named_stem = without_ending(named);
        let other = !named.is_empty() && named_stem != stem && named != stem;
        let candidates = [stem, named_stem, named]
            .into_iter()
            .find_map(|stem| self.images.get(stem));
        let Some(candidates) = candidates else {
            return Ok(None);
        };
        // The likeliest comes first.
        let unlikely = |image: &PathBuf| {
            let beside = image.parent() == described.file.parent();
            let below = image.strip_prefix(&self.folder).unwrap_or(image);
            (
                role.is_some() && self.role(image) != role,
                !beside && !lies_in(below, &IMAGES),
                image.file_name().and_then(|name| name.to_str()) != Some(named),
            )
        };
        let least = candidates.iter().map(unlikely).min();
        let mut likely = candidates
            .iter()
            .filter(|image| Some(unlikely(image)) == least);
        match (likely.next(), likely.next()) {
            (Some(a), Some(b)) => Err(DataError::Layout {
                path: described.file.clone(),
                reason: format!(
                    "two images belong to it by their names: {} and {}; keep one",
                    a.display(),
                    b.display()
                ),
            }),
            (image, _) => Ok(image.map(|image| (image.clone(), other))),
        }
    }
}

/// Whether one of the folders on the way to a file has one of the names, in lower case.
fn lies_in(below: &Path, names: &[&str]) -> bool {
    let folders = below.parent().into_iter().flat_map(Path::components);
    folders.into_iter().any(|step| {
        let name = step.as_os_str().to_string_lossy().to_lowercase();
        names.contains(&name.as_str())
    })
}
