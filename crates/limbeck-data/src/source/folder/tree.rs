//! What lies in a folder at any depth: images, further folders, and what is left out.

use std::ffi::{OsStr, OsString};
use std::fs::DirEntry;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::SALIENCY_FOLDER;
use super::left_out::{LeftOut, Reason};
use crate::DataError;
use crate::decode::{IMAGE_EXTENSIONS, is_image};

/// How deep folders are looked into: eight levels below a class, which may lie in a part, which may
/// lie in the folder of an archive.
const MAX_DEPTH: usize = 12;

/// What Windows adds to folders of pictures.
const WINDOWS: [&str; 3] = ["Thumbs.db", "desktop.ini", "ehthumbs.db"];

/// What archive programs of macOS add.
const MACOS: &str = "__MACOSX";

/// A folder with all that is below it, in the order of names. Links are followed.
#[derive(Debug, Default)]
pub(in crate::source) struct Tree {
    pub name: OsString,
    /// Names of the images that lie directly in it.
    pub images: Vec<OsString>,
    pub folders: Vec<Tree>,
    /// True of a folder that limbeck wrote: a run, several runs, stored outputs. Nothing in it is
    /// looked at.
    pub run: bool,
    left_out: Vec<(Reason, OsString)>,
}

impl Tree {
    /// Reads all that is below `root`.
    pub fn read(root: &Path) -> Result<Self, DataError> {
        let real = root.canonicalize().map_err(|e| DataError::io(root, e))?;
        let name = root.file_name().unwrap_or_default().to_owned();
        Self::read_below(root, name, &mut vec![real])
    }

    /// Reads `folder`; `way` are the real paths of all folders from the root to it.
    fn read_below(
        folder: &Path,
        name: OsString,
        way: &mut Vec<PathBuf>,
    ) -> Result<Self, DataError> {
        let mut tree = Self {
            name,
            ..Self::default()
        };
        let entries = sorted(folder)?;
        if is_written_by_limbeck(&entries) {
            tree.run = true;
            return Ok(tree);
        }
        for entry in entries {
            let (name, path) = (entry.file_name(), entry.path());
            let hidden = name.as_encoded_bytes().starts_with(b".");
            let kind = entry.file_type().map_err(|e| DataError::io(&path, e))?;
            let Ok(followed) = std::fs::metadata(&path) else {
                if !hidden {
                    tree.left_out.push((Reason::Dangling, name));
                }
                continue;
            };
            if followed.is_dir() {
                if name == SALIENCY_FOLDER {
                    tree.left_out.push((Reason::Saliency, name));
                } else if hidden || name == MACOS {
                    tree.left_out.push((Reason::Hidden, name));
                } else if way.len() > MAX_DEPTH {
                    tree.left_out.push((Reason::Deep, name));
                } else if let Some(real) = real_path(&path, kind.is_symlink(), way) {
                    way.push(real);
                    tree.folders.push(Self::read_below(&path, name, way)?);
                    way.pop();
                } else {
                    tree.left_out.push((Reason::Circle, name));
                }
            } else if !followed.is_file() {
                tree.left_out.push((Reason::Special, name));
            } else if hidden {
                if has_image_ending(&path) {
                    tree.left_out.push((Reason::Hidden, name));
                }
            } else if has_image_ending(&path) || has_no_ending(&path) && starts_as_image(&path) {
                tree.images.push(name);
            } else if !WINDOWS.iter().any(|added| name == *added) {
                tree.left_out.push((Reason::NoImage, name));
            }
        }
        let runs = tree.folders.iter().filter(|folder| folder.run).count();
        tree.run = tree.images.is_empty()
            && (runs > 0 && runs == tree.folders.len()
                || tree.name == "runs" && !tree.holds_images());
        Ok(tree)
    }

    /// True if there is an image at any depth.
    pub fn holds_images(&self) -> bool {
        !self.images.is_empty() || self.folders.iter().any(Self::holds_images)
    }

    /// True if there is a file at any depth that is no image and whose name ends so.
    pub fn holds_ending(&self, ending: &str) -> bool {
        let here = |(reason, name): &(Reason, OsString)| {
            *reason == Reason::NoImage && Path::new(name).extension() == Some(OsStr::new(ending))
        };
        self.left_out.iter().any(here)
            || self
                .folders
                .iter()
                .any(|folder| folder.holds_ending(ending))
    }

    /// Adds the paths of all files at any depth that are no images and whose names end so, in no order;
    /// `place` is the path of this folder.
    pub fn collect_others(&self, place: &Path, ending: &str, files: &mut Vec<PathBuf>) {
        let others = self.left_out.iter().filter(|(reason, name)| {
            let end = Path::new(name).extension().and_then(OsStr::to_str);
            *reason == Reason::NoImage && end.is_some_and(|end| end.eq_ignore_ascii_case(ending))
        });
        files.extend(others.map(|(_, name)| place.join(name)));
        for folder in &self.folders {
            folder.collect_others(&place.join(&folder.name), ending, files);
        }
    }

    /// The folders directly in it that hold images at any depth.
    pub fn folders_with_images(&self) -> impl Iterator<Item = &Self> {
        self.folders.iter().filter(|folder| folder.holds_images())
    }

    /// Adds the paths of all images, in no order; `place` is the path of this folder.
    pub fn collect(&self, place: &Path, images: &mut Vec<PathBuf>) {
        images.extend(self.images.iter().map(|name| place.join(name)));
        for folder in &self.folders {
            folder.collect(&place.join(&folder.name), images);
        }
    }

    /// Adds what was left out directly in this folder; `place` is the path of this folder.
    pub fn tell_left_out_here(&self, place: &Path, left_out: &mut LeftOut) {
        for (reason, name) in &self.left_out {
            left_out.add(*reason, &place.join(name));
        }
    }

    /// Adds what was left out at any depth; `place` is the path of this folder.
    pub fn tell_left_out(&self, place: &Path, left_out: &mut LeftOut) {
        self.tell_left_out_here(place, left_out);
        for folder in &self.folders {
            folder.tell_left_out_as_inner(&place.join(&folder.name), left_out);
        }
    }

    /// Adds what was left out at any depth of a folder in another one.
    fn tell_left_out_as_inner(&self, place: &Path, left_out: &mut LeftOut) {
        match self.run {
            true => left_out.add(Reason::Run, place),
            false => self.tell_left_out(place, left_out),
        }
    }

    /// Adds what was left out of this folder and of those in it that lie around `inner`, the only one
    /// with images; `place` is the path of this folder.
    pub fn tell_left_out_around(&self, inner: &Self, place: &Path, left_out: &mut LeftOut) {
        if std::ptr::eq(self, inner) {
            return;
        }
        self.tell_left_out_here(place, left_out);
        for folder in &self.folders {
            let place = place.join(&folder.name);
            match folder.holds_images() {
                true => folder.tell_left_out_around(inner, &place, left_out),
                false => folder.tell_left_out_as_inner(&place, left_out),
            }
        }
    }
}

/// What is in a folder, in the order of names.
fn sorted(folder: &Path) -> Result<Vec<DirEntry>, DataError> {
    let entries = std::fs::read_dir(folder).map_err(|e| DataError::io(folder, e))?;
    let mut entries = entries
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| DataError::io(folder, e))?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// Where a folder really is; `None` if it is on the way to itself.
fn real_path(path: &Path, linked: bool, way: &[PathBuf]) -> Option<PathBuf> {
    if !linked {
        return Some(way.last()?.join(path.file_name()?));
    }
    let real = path.canonicalize().ok()?;
    let above_root = way.first().is_some_and(|root| root.starts_with(&real));
    (!above_root && !way.contains(&real)).then_some(real)
}

/// A run's folder, one of several runs, or one of a teacher's stored outputs.
fn is_written_by_limbeck(entries: &[DirEntry]) -> bool {
    let has = |name: &str| entries.iter().any(|entry| entry.file_name() == name);
    has("recipe.toml") && has("environment.json")
        || has("series.json")
        || has("manifest.json") && has("shards")
}

fn has_image_ending(path: &Path) -> bool {
    path.extension()
        .and_then(OsStr::to_str)
        .is_some_and(|end| IMAGE_EXTENSIONS.contains(&end.to_lowercase().as_str()))
}

fn has_no_ending(path: &Path) -> bool {
    path.extension().is_none()
}

/// Whether a file's first bytes are those of an image.
fn starts_as_image(path: &Path) -> bool {
    let mut start = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(32).read_to_end(&mut start))
        .is_ok()
        && is_image(&start)
}
