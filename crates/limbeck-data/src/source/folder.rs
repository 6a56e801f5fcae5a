//! Image files in folders, one folder for each class (torchvision's `ImageFolder`), or without
//! labels.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::Digest;

use super::{Annotation, Labelling, Source};
use crate::decode::{IMAGE_EXTENSIONS, decode_file, dimensions};
use crate::{DataError, Found, Image};

/// Decoded images are kept in memory up to this many bytes for a whole data set, which saves
/// decoding small ones again in every epoch.
const KEPT_BYTES: usize = 512 << 20;

/// How deep images may lie below their class's folder.
const MAX_DEPTH: usize = 8;

/// Images that are looked at to see whether all have the same shape.
const LOOKED_AT: usize = 16;

/// How many names a message lists.
const LISTED: usize = 5;

/// Names of folders with images to choose by; the first is the usual one.
const VALIDATION: [&str; 3] = ["val", "valid", "validation"];

/// Image files whose folder is their class, or that have none. All images are given in colour.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    classes: Vec<String>,
    files: Vec<File>,
    shape: Option<[usize; 3]>,
    /// Bytes that may still be kept, shared by the parts of a data set.
    room: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct File {
    annotation: Annotation,
    /// Relative to the root.
    path: PathBuf,
    /// The decoded image, if it is kept.
    kept: OnceLock<Arc<Image>>,
}

impl Folder {
    /// The images below `root`, each class a folder of its own, classes and files in the order of
    /// their names.
    ///
    /// # Errors
    /// Fewer than two classes, a class without images, a folder that cannot be read.
    pub fn open(root: &Path) -> Result<Self, DataError> {
        Self::with_room(root, Arc::new(AtomicUsize::new(KEPT_BYTES)))
    }

    fn with_room(root: &Path, room: Arc<AtomicUsize>) -> Result<Self, DataError> {
        let classes = class_folders(root)?;
        if classes.is_empty() {
            return Err(DataError::EmptyFolder {
                path: root.to_owned(),
                wanted: "folders of images, one for each class".to_owned(),
            });
        }
        if classes.len() == 1 {
            return Err(DataError::Layout {
                path: root.to_owned(),
                reason: format!(
                    "it has one class, `{}`, but telling classes apart takes at least two",
                    classes[0]
                ),
            });
        }
        let mut files = Vec::new();
        for (label, class) in classes.iter().enumerate() {
            let mut paths = Vec::new();
            collect_images(root, Path::new(class), MAX_DEPTH, &mut paths)?;
            if paths.is_empty() {
                return Err(DataError::EmptyFolder {
                    path: root.join(class),
                    wanted: format!("images ({})", IMAGE_EXTENSIONS.join(", ")),
                });
            }
            paths.sort();
            files.extend(paths.into_iter().map(|path| File {
                annotation: Annotation::Class(label),
                path,
                kept: OnceLock::new(),
            }));
        }
        let shape = common_shape(root, &files);
        Ok(Self {
            root: root.to_owned(),
            classes,
            files,
            shape,
            room,
        })
    }

    /// The images at any depth below `root`, without labels, in the order of their names.
    fn unlabelled(root: &Path, room: Arc<AtomicUsize>) -> Result<Self, DataError> {
        let mut paths = Vec::new();
        collect_images(root, Path::new(""), MAX_DEPTH, &mut paths)?;
        paths.sort();
        let file = |path| File {
            annotation: Annotation::None,
            path,
            kept: OnceLock::new(),
        };
        let files: Vec<File> = paths.into_iter().map(file).collect();
        let shape = common_shape(root, &files);
        Ok(Self {
            root: root.to_owned(),
            classes: Vec::new(),
            files,
            shape,
            room,
        })
    }
}

impl Source for Folder {
    fn labelling(&self) -> Labelling {
        match self.classes.is_empty() {
            true => Labelling::None,
            false => Labelling::Classes,
        }
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.files.len()
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(self.files[index].annotation)
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        let file = &self.files[index];
        if let Some(image) = file.kept.get() {
            return Ok(Image::clone(image));
        }
        let image = decode_file(&self.root.join(&file.path))?.with_channels(3);
        let bytes = image.pixels.len();
        let left = |room: usize| room.checked_sub(bytes);
        if self
            .room
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
            .is_ok()
            && file.kept.set(Arc::new(image.clone())).is_err()
        {
            // Another worker has just kept the same image.
            self.room.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(image)
    }

    fn usual_shape(&self) -> Option<[usize; 3]> {
        self.shape
    }

    fn name(&self, index: usize) -> String {
        self.root
            .join(&self.files[index].path)
            .display()
            .to_string()
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = self.labels_digest();
        for file in &self.files {
            let length = std::fs::metadata(self.root.join(&file.path)).map_or(0, |m| m.len());
            let path = file.path.to_string_lossy();
            hash.update((path.len() as u64).to_le_bytes());
            hash.update(path.as_bytes());
            hash.update(length.to_le_bytes());
        }
        hash.finalize().into()
    }
}

/// Looks for `train/CLASS/…` with `val/` and `test/` beside it, or `CLASS/…` alone.
pub(crate) fn find_folder(folder: &Path) -> Result<Option<Found>, DataError> {
    let room = Arc::new(AtomicUsize::new(KEPT_BYTES));
    let open = |path: &Path| Folder::with_room(path, Arc::clone(&room));
    let name = format!("{} (images)", crate::open::folder_name(folder));
    let train = folder.join("train");
    let test = folder.join("test");
    let validations: Vec<PathBuf> = VALIDATION
        .iter()
        .map(|name| folder.join(name))
        .filter(|path| path.is_dir())
        .collect();
    let layout = |reason: String| DataError::Layout {
        path: folder.to_owned(),
        reason,
    };
    if let [first, second, ..] = validations.as_slice() {
        return Err(layout(format!(
            "it has both {} and {}; keep the one with the images to choose by",
            crate::open::folder_name(first),
            crate::open::folder_name(second)
        )));
    }
    let validation = validations.first();
    if !train.is_dir() {
        if let Some(other) = validation.or(Some(&test).filter(|test| test.is_dir())) {
            return Err(layout(format!(
                "it has {}, but no train folder beside it",
                crate::open::folder_name(other)
            )));
        }
        let classes = class_folders(folder)?;
        let mut holding = false;
        for class in &classes {
            let mut images = Vec::new();
            collect_images(folder, Path::new(class), MAX_DEPTH, &mut images)?;
            if !images.is_empty() {
                holding = true;
                break;
            }
        }
        if !holding {
            let loose = entries(folder)?.iter().any(|path| is_image(path));
            return Ok(loose
                .then(|| Folder::unlabelled(folder, room))
                .transpose()?
                .map(|pictures| Found {
                    name: format!(
                        "{} (images without labels)",
                        crate::open::folder_name(folder)
                    ),
                    train: Some(Arc::new(pictures)),
                    validation: None,
                    test: None,
                    notes: Vec::new(),
                }));
        }
        return Ok(Some(Found {
            name,
            train: Some(Arc::new(open(folder)?)),
            validation: None,
            test: None,
            notes: Vec::new(),
        }));
    }
    let train_part = open(&train)?;
    let beside = |path: &Path| -> Result<Arc<dyn Source>, DataError> {
        let part = open(path)?;
        same_classes(&train_part, &part)?;
        Ok(Arc::new(part))
    };
    let test = test.is_dir().then(|| beside(&test)).transpose()?;
    let validation = validation.map(|path| beside(path)).transpose()?;
    // A lone validation folder is what is reported on, so it becomes the test part.
    let (validation, test) = match test {
        Some(test) => (validation, Some(test)),
        None => (None, validation),
    };
    Ok(Some(Found {
        name,
        train: Some(Arc::new(train_part)),
        validation,
        test,
        notes: Vec::new(),
    }))
}

/// Refuses parts that do not have the same classes.
fn same_classes(train: &Folder, other: &Folder) -> Result<(), DataError> {
    let lacking = |a: &Folder, b: &Folder| -> Vec<String> {
        let lacking = b.classes.iter().filter(|class| !a.classes.contains(class));
        lacking.cloned().collect()
    };
    let (missing, extra) = (lacking(other, train), lacking(train, other));
    if missing.is_empty() && extra.is_empty() {
        return Ok(());
    }
    let list = |what: &str, names: &[String]| {
        let more = names.len().saturating_sub(LISTED);
        let listed = names[..names.len() - more].join(", ");
        match (names.len(), more) {
            (0, _) => None,
            (_, 0) => Some(format!("{what} {listed}")),
            _ => Some(format!("{what} {listed} and {more} more")),
        }
    };
    let differences: Vec<String> = [list("missing", &missing), list("unknown", &extra)]
        .into_iter()
        .flatten()
        .collect();
    Err(DataError::ClassesDiffer {
        path: train.root.clone(),
        other: other.root.clone(),
        differences: differences.join("; "),
    })
}

/// What is in a folder, in the order of names; hidden entries are left out.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|e| DataError::io(folder, e))? {
        let path = entry.map_err(|e| DataError::io(folder, e))?.path();
        let hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
        if !path.file_name().is_none_or(hidden) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Names of the folders in a folder.
fn class_folders(root: &Path) -> Result<Vec<String>, DataError> {
    entries(root)?
        .into_iter()
        .filter(|path| path.is_dir())
        .map(|path| {
            let name = path.file_name().and_then(OsStr::to_str);
            name.map(str::to_owned).ok_or_else(|| DataError::Layout {
                path: path.clone(),
                reason: "the name of a class must be valid UTF-8".to_owned(),
            })
        })
        .collect()
}

/// Collects the images at any depth below `root/folder`, relative to `root`.
fn collect_images(
    root: &Path,
    folder: &Path,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), DataError> {
    for path in entries(&root.join(folder))? {
        let Some(name) = path.file_name() else {
            continue;
        };
        // Links to folders are not followed, for they may lead round in circles.
        if path.is_dir() && !path.is_symlink() {
            if depth > 1 {
                collect_images(root, &folder.join(name), depth - 1, found)?;
            }
        } else if is_image(&path) {
            found.push(folder.join(name));
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|end| IMAGE_EXTENSIONS.contains(&end.to_lowercase().as_str()))
        && path.is_file()
}

/// The shape of all images, as far as the headers of a few tell.
fn common_shape(root: &Path, files: &[File]) -> Option<[usize; 3]> {
    let step = files.len().div_ceil(LOOKED_AT).max(1);
    let mut shapes = files
        .iter()
        .step_by(step)
        .map(|file| dimensions(&root.join(&file.path)));
    let first = shapes.next()??;
    shapes
        .all(|shape| shape == Some(first))
        .then_some([3, first[1], first[0]])
}
