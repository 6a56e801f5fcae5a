//! CIFAR-10 and CIFAR-100, the binary version and the version of Python pickles, as
//! <https://www.cs.toronto.edu/~kriz/cifar.html> describes and packs them.

mod binary;
mod numpy;
mod pickle;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Packed;
use crate::{DataError, Found};

/// Channels, height and width of every image.
const SHAPE: [usize; 3] = [3, 32, 32];

/// Bytes of an image.
const IMAGE: usize = 3 * 32 * 32;

/// Most bytes of a file: three times the training part of CIFAR-100.
const MAX_FILE: u64 = 512 << 20;

/// Names of the classes of CIFAR-10, for copies without the file that lists them.
const CLASSES_10: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// One of the four versions that are packed.
#[derive(Debug)]
struct Version {
    /// For people.
    name: &'static str,
    /// The folder that its archive unpacks to.
    folder: &'static str,
    train: &'static [&'static str],
    test: &'static str,
    /// The file that lists class names.
    meta: &'static str,
    classes: usize,
    format: Format,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Binary,
    Pickle,
}

/// Labels and images `[N, C, H, W]`, flat.
#[derive(Debug, Default)]
struct Content {
    labels: Vec<u8>,
    pixels: Vec<u8>,
}

const VERSIONS: [Version; 4] = [
    Version {
        name: "CIFAR-10, binary",
        folder: "cifar-10-batches-bin",
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        meta: "batches.meta.txt",
        classes: 10,
        format: Format::Binary,
    },
    Version {
        name: "CIFAR-10, Python",
        folder: "cifar-10-batches-py",
        train: &[
            "data_batch_1",
            "data_batch_2",
            "data_batch_3",
            "data_batch_4",
            "data_batch_5",
        ],
        test: "test_batch",
        meta: "batches.meta",
        classes: 10,
        format: Format::Pickle,
    },
    Version {
        name: "CIFAR-100, binary",
        folder: "cifar-100-binary",
        train: &["train.bin"],
        test: "test.bin",
        meta: "fine_label_names.txt",
        classes: 100,
        format: Format::Binary,
    },
    Version {
        name: "CIFAR-100, Python",
        folder: "cifar-100-python",
        train: &["train"],
        test: "test",
        meta: "meta",
        classes: 100,
        format: Format::Pickle,
    },
];

/// Looks for the files of any version in the folder, or in the folder of its archive's name below
/// it. Of CIFAR-100, the fine labels are taken.
pub(crate) fn find_cifar(folder: &Path) -> Result<Option<Found>, DataError> {
    let mut found: Vec<(&Version, PathBuf)> = Vec::new();
    for version in &VERSIONS {
        let places = [folder.to_owned(), folder.join(version.folder)];
        let here = |place: &PathBuf| place.join(version.train[0]).is_file();
        if let Some(place) = places.into_iter().find(here) {
            found.push((version, place));
        }
    }
    let Some((version, place)) = found.first() else {
        return Ok(None);
    };
    if let Some((other, _)) = found.iter().find(|(v, _)| v.classes != version.classes) {
        return Err(DataError::Layout {
            path: folder.to_owned(),
            reason: format!(
                "it holds both {} and {}; give the folder of one of them",
                version.name, other.name
            ),
        });
    }
    version.open(folder, place).map(Some)
}

impl Version {
    fn open(&self, folder: &Path, place: &Path) -> Result<Found, DataError> {
        let mut train = Content::default();
        for name in self.train {
            self.read(place, name, &mut train)?;
        }
        let mut test = Content::default();
        self.read(place, self.test, &mut test)?;
        let classes = self.class_names(place)?;
        let part = |content: Content| -> Result<Arc<Packed>, DataError> {
            let packed = Packed::new(classes.clone(), SHAPE, content.labels, content.pixels);
            Ok(Arc::new(packed?))
        };
        Ok(Found {
            name: format!("{} ({})", crate::open::folder_name(folder), self.name),
            train: Some(part(train)?),
            validation: None,
            test: Some(part(test)?),
            notes: Vec::new(),
        })
    }

    /// Appends the content of a file.
    fn read(&self, place: &Path, name: &str, content: &mut Content) -> Result<(), DataError> {
        let path = place.join(name);
        if !path.is_file() {
            return Err(DataError::Layout {
                path: place.to_owned(),
                reason: format!("{} is incomplete: {name} is missing", self.name),
            });
        }
        let bytes = read_bounded(&path)?;
        let before = content.labels.len();
        match self.format {
            Format::Binary => binary::read(&bytes, self.classes, content, &path)?,
            Format::Pickle => pickle::read(&bytes, self.classes, content, &path)?,
        }
        let labels = &content.labels[before..];
        if labels.is_empty() {
            return Err(DataError::corrupt(&path, "it holds no images"));
        }
        match labels.iter().position(|&l| usize::from(l) >= self.classes) {
            None => Ok(()),
            Some(index) => Err(DataError::Label {
                path,
                index,
                label: usize::from(labels[index]),
                first: 0,
                classes: self.classes,
            }),
        }
    }

    /// The names in the file that lists them; where there is none, those that are known.
    fn class_names(&self, place: &Path) -> Result<Vec<String>, DataError> {
        let path = place.join(self.meta);
        if !path.is_file() {
            return Ok(if self.classes == CLASSES_10.len() {
                CLASSES_10.map(str::to_owned).to_vec()
            } else {
                (0..self.classes).map(|class| class.to_string()).collect()
            });
        }
        let bytes = read_bounded(&path)?;
        let names = match self.format {
            Format::Binary => binary::class_names(&bytes),
            Format::Pickle => pickle::class_names(&bytes, &path)?,
        };
        if names.len() != self.classes {
            return Err(DataError::corrupt(
                &path,
                format!(
                    "it names {} classes, expected {}",
                    names.len(),
                    self.classes
                ),
            ));
        }
        Ok(names)
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|e| DataError::io(path, e))?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(DataError::corrupt(
            path,
            format!("it has more than {MAX_FILE} bytes"),
        ));
    }
    Ok(bytes)
}
