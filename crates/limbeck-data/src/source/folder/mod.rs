//! Image files in folders, one folder for each class (torchvision's `ImageFolder`), or without
//! labels.

mod class_names;
mod layout;
mod left_out;
mod role;
mod tree;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::kept::Room;
use super::{Annotation, Labelling, Source};
use crate::decode::{IMAGE_EXTENSIONS, decode_file, dimensions};
use crate::{DataError, Image};
pub(super) use layout::find_folder;
pub(super) use left_out::{LeftOut, Reason};
pub(super) use role::Role;
pub(super) use tree::Tree;

/// Name of a folder whose images are masks of saliency, and so no part of a data set.
pub(crate) const SALIENCY_FOLDER: &str = "saliency";

/// Images that are looked at to see whether all have the same shape.
const LOOKED_AT: usize = 16;

/// Image files whose folder is their class, or that have none. All images are given in colour.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// Empty where images have no classes.
    classes: Vec<String>,
    files: Vec<File>,
    shape: Option<[usize; 3]>,
    room: Room,
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
        let tree = Tree::read(root)?;
        let classes = class_names::class_names(root, &tree)?;
        Self::of_classes(root, &tree, classes, Room::new())
    }

    /// The images at any depth below `root`, without labels, in the order of their names.
    ///
    /// # Errors
    /// No images; a folder that cannot be read.
    pub fn pictures(root: &Path) -> Result<Self, DataError> {
        Self::without_labels(root, &Tree::read(root)?, Room::new())
    }

    /// The images in the folders of `tree` that are called as `classes`.
    fn of_classes(
        root: &Path,
        tree: &Tree,
        classes: Vec<String>,
        room: Room,
    ) -> Result<Self, DataError> {
        let mut files = Vec::new();
        for (label, class) in classes.iter().enumerate() {
            let folders = tree.folders.iter();
            let folder = folders.filter(|folder| folder.name.to_str() == Some(class));
            files.extend(
                folder.flat_map(|folder| {
                    files_of(folder, Path::new(class), Annotation::Class(label))
                }),
            );
        }
        Self::of_files(root, classes, files, room)
    }

    /// All images of `tree`.
    fn without_labels(root: &Path, tree: &Tree, room: Room) -> Result<Self, DataError> {
        let files = files_of(tree, Path::new(""), Annotation::None);
        Self::of_files(root, Vec::new(), files, room)
    }

    fn of_files(
        root: &Path,
        classes: Vec<String>,
        files: Vec<File>,
        room: Room,
    ) -> Result<Self, DataError> {
        if files.is_empty() {
            return Err(no_images(root));
        }
        let shape = common_shape(files.len(), |index| root.join(&files[index].path));
        Ok(Self {
            root: root.to_owned(),
            classes,
            files,
            shape,
            room,
        })
    }
}

/// The images below `tree`, which lies at `place`, in the order of their paths.
fn files_of(tree: &Tree, place: &Path, annotation: Annotation) -> Vec<File> {
    let mut paths = Vec::new();
    tree.collect(place, &mut paths);
    paths.sort();
    let file = |path| File {
        annotation: annotation.clone(),
        path,
        kept: OnceLock::new(),
    };
    paths.into_iter().map(file).collect()
}

fn no_images(folder: &Path) -> DataError {
    DataError::EmptyFolder {
        path: folder.to_owned(),
        wanted: format!("images ({})", IMAGE_EXTENSIONS.join(", ")),
    }
}

impl Folder {
    /// Takes a file's place below the root and its length into `hash`.
    fn hash_file(&self, file: &File, hash: &mut Sha256) {
        let length = std::fs::metadata(self.root.join(&file.path)).map_or(0, |m| m.len());
        let path = file.path.to_string_lossy();
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path.as_bytes());
        hash.update(length.to_le_bytes());
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
        Ok(self.files[index].annotation.clone())
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        self.shared_image(index).map(Arc::unwrap_or_clone)
    }

    fn shared_image(&self, index: usize) -> Result<Arc<Image>, DataError> {
        let file = &self.files[index];
        if let Some(image) = file.kept.get() {
            return Ok(Arc::clone(image));
        }
        let image = Arc::new(decode_file(&self.root.join(&file.path))?.with_channels(3));
        self.room.keep(&file.kept, &image, image.pixels.len());
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

    fn file(&self, index: usize) -> Option<PathBuf> {
        Some(self.root.join(&self.files[index].path))
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = self.labels_digest();
        for file in &self.files {
            self.hash_file(file, &mut hash);
        }
        hash.finalize().into()
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        self.hash_file(&self.files[index], hash);
    }
}

/// The shape of all of `count` images, as far as the headers of a few tell.
pub(super) fn common_shape(count: usize, path: impl Fn(usize) -> PathBuf) -> Option<[usize; 3]> {
    let step = count.div_ceil(LOOKED_AT).max(1);
    let mut shapes = (0..count)
        .step_by(step)
        .map(|index| dimensions(&path(index)));
    let first = shapes.next()??;
    shapes
        .all(|shape| shape == Some(first))
        .then_some([3, first[1], first[0]])
}
