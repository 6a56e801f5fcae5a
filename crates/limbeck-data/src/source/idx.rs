//! IDX, the format of MNIST and Fashion-MNIST, plain or compressed with gzip.
//!
//! A file is two zero bytes, the element type (8 is an unsigned byte), the number of dimensions,
//! each dimension as a 32-bit big-endian number, then the elements
//! (<http://yann.lecun.com/exdb/mnist/>).

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::{Packed, Source};
use crate::{DataError, Found};

/// Greatest number of elements that a file may announce: 22 times Fashion-MNIST's images, and
/// what a small compressed file made of zeros can make us hold at most.
const MAX_ELEMENTS: usize = 1 << 30;

/// Greatest side of an image, in pixels.
const MAX_SIDE: usize = 1 << 14;

/// Class names of Fashion-MNIST, from its description by Zalando.
const FASHION: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// Looks for the four files of MNIST in the folder, or where torchvision puts them below it.
pub(crate) fn find_idx(folder: &Path) -> Result<Option<Found>, DataError> {
    let places = ["", "raw", "MNIST/raw", "FashionMNIST/raw"];
    let Some((place, train_images)) = places.iter().find_map(|place| {
        let place = folder.join(place);
        find_file(&place, "train-images", 3).map(|file| (place, file))
    }) else {
        return Ok(None);
    };
    let file = |stem: &str, dimensions: usize| {
        find_file(&place, stem, dimensions).ok_or_else(|| DataError::Layout {
            path: place.clone(),
            reason: format!(
                "{} is there, but {stem}-idx{dimensions}-ubyte[.gz] is missing",
                train_images.display()
            ),
        })
    };
    let train_labels = file("train-labels", 1)?;
    let (test_images, test_labels) = (file("t10k-images", 3)?, file("t10k-labels", 1)?);

    let (shape, train_pixels, train_values) = read_pair(&train_images, &train_labels)?;
    let labels = Labels::of(&train_values, &train_labels)?;
    let names = class_names(&place, labels);
    let (test_shape, test_pixels, test_values) = read_pair(&test_images, &test_labels)?;
    labels.check(&test_values, &test_labels)?;
    if test_shape != shape {
        return Err(DataError::corrupt(
            &test_images,
            format!(
                "its images are {}x{}, those of {} are {}x{}",
                test_shape[1],
                test_shape[2],
                train_images.display(),
                shape[1],
                shape[2]
            ),
        ));
    }
    let packed = |values: Vec<u8>, pixels: Vec<u8>| -> Result<Arc<dyn Source>, DataError> {
        let classes = labels.classes_of(values);
        Ok(Arc::new(Packed::new(
            names.clone(),
            shape,
            classes,
            pixels,
        )?))
    };
    Ok(Some(Found {
        name: format!("{} (IDX)", crate::open::folder_name(folder)),
        train: Some(packed(train_values, train_pixels)?),
        validation: None,
        test: Some(packed(test_values, test_pixels)?),
        notes: labels.note().into_iter().collect(),
    }))
}

/// `STEM-idxD-ubyte` or `STEM.idxD-ubyte`, with or without `.gz`.
fn find_file(folder: &Path, stem: &str, dimensions: usize) -> Option<PathBuf> {
    ["-", "."]
        .iter()
        .flat_map(|dash| ["", ".gz"].map(|end| format!("{stem}{dash}idx{dimensions}-ubyte{end}")))
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

/// Reads images and their labels: shape `[1, H, W]`, pixels, labels.
#[allow(clippy::type_complexity)]
fn read_pair(images: &Path, labels: &Path) -> Result<([usize; 3], Vec<u8>, Vec<u8>), DataError> {
    let (sides, pixels) = read_file(images, 3)?;
    let (_, label_values) = read_file(labels, 1)?;
    if let Some(side) = sides[1..].iter().find(|&&s| s == 0 || s > MAX_SIDE) {
        return Err(DataError::corrupt(
            images,
            format!("an image side is {side}, expected 1 to {MAX_SIDE}"),
        ));
    }
    if sides[0] == 0 {
        return Err(DataError::corrupt(images, "it holds no images"));
    }
    if sides[0] != label_values.len() {
        return Err(DataError::corrupt(
            labels,
            format!(
                "it holds {} labels, but {} holds {} images",
                label_values.len(),
                images.display(),
                sides[0]
            ),
        ));
    }
    Ok(([1, sides[1], sides[2]], pixels, label_values))
}

fn read_file(path: &Path, dimensions: usize) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let file = BufReader::new(File::open(path).map_err(|e| DataError::io(path, e))?);
    if path.extension().is_some_and(|end| end == "gz") {
        parse(MultiGzDecoder::new(file), dimensions, path)
    } else {
        parse(file, dimensions, path)
    }
}

/// Reads one IDX stream of unsigned bytes with this many dimensions: its sizes and elements.
/// `path` is for messages.
fn parse(
    mut reader: impl Read,
    dimensions: usize,
    path: &Path,
) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let damaged = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => DataError::corrupt(path, "it is cut short"),
        std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
            DataError::corrupt(path, format!("it is not valid gzip ({e})"))
        }
        _ => DataError::io(path, e),
    };
    let mut magic = [0u8; 4];
    reader.read_exact(&mut magic).map_err(damaged)?;
    if magic != [0, 0, 8, dimensions as u8] {
        return Err(DataError::corrupt(
            path,
            format!(
                "it starts with {magic:02x?}, but an IDX file of bytes with {dimensions} \
                 dimension(s) starts with [00, 00, 08, {dimensions:02x}]"
            ),
        ));
    }
    let mut sizes = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        let mut size = [0u8; 4];
        reader.read_exact(&mut size).map_err(damaged)?;
        sizes.push(u32::from_be_bytes(size) as usize);
    }
    let elements = sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
        .filter(|&elements| elements <= MAX_ELEMENTS)
        .ok_or_else(|| {
            DataError::corrupt(
                path,
                format!("its header announces sizes {sizes:?}, more than {MAX_ELEMENTS} bytes"),
            )
        })?;
    // One byte more than announced, to notice what follows. The vector grows with what is read,
    // so a header that lies cannot make it larger than the file's content.
    let mut content = Vec::new();
    reader
        .take(elements as u64 + 1)
        .read_to_end(&mut content)
        .map_err(damaged)?;
    if content.len() < elements {
        return Err(DataError::corrupt(
            path,
            format!(
                "its header announces {elements} bytes for sizes {sizes:?}, but only {} follow",
                content.len()
            ),
        ));
    }
    if content.len() > elements {
        return Err(DataError::corrupt(
            path,
            format!("more bytes follow than the {elements} that its header announces"),
        ));
    }
    Ok((sizes, content))
}

/// The labels of a training part: K in a row, each at least once.
#[derive(Clone, Copy)]
struct Labels {
    /// The least one: 0, or 1 in sets such as the letters of EMNIST.
    first: u8,
    /// K.
    classes: usize,
}

impl Labels {
    fn of(labels: &[u8], path: &Path) -> Result<Self, DataError> {
        let mut seen = [false; 256];
        for &label in labels {
            seen[usize::from(label)] = true;
        }
        let range = Self {
            first: labels.iter().copied().min().unwrap_or(0),
            classes: seen.iter().filter(|&&s| s).count(),
        };
        range.check(labels, path)?;
        Ok(range)
    }

    fn check(self, labels: &[u8], path: &Path) -> Result<(), DataError> {
        let first = usize::from(self.first);
        let range = first..first + self.classes;
        match labels
            .iter()
            .position(|&l| !range.contains(&usize::from(l)))
        {
            None => Ok(()),
            Some(index) => Err(DataError::Label {
                path: path.to_owned(),
                index,
                label: usize::from(labels[index]),
                first,
                classes: self.classes,
            }),
        }
    }

    /// Classes, counted from 0, of labels that have been checked.
    fn classes_of(self, labels: Vec<u8>) -> Vec<u8> {
        labels.into_iter().map(|label| label - self.first).collect()
    }

    /// What is said of labels that do not start at 0.
    fn note(self) -> Option<String> {
        let first = usize::from(self.first);
        (first > 0).then(|| {
            format!(
                "labels are {first} to {}: label {first} is the first class",
                first + self.classes - 1
            )
        })
    }
}

/// Fashion-MNIST's names if the folder's path says that it is that, numbers otherwise.
fn class_names(folder: &Path, labels: Labels) -> Vec<String> {
    let folder = folder
        .canonicalize()
        .unwrap_or_else(|_| folder.to_owned())
        .to_string_lossy()
        .to_lowercase();
    if labels.first == 0 && labels.classes == FASHION.len() && folder.contains("fashion") {
        return FASHION.map(str::to_owned).to_vec();
    }
    let first = usize::from(labels.first);
    (first..first + labels.classes)
        .map(|label| label.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn idx(sizes: &[u32], content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, sizes.len() as u8];
        for size in sizes {
            bytes.extend(size.to_be_bytes());
        }
        bytes.extend(content);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Four images of 2x3 in two classes to train on, two to test on.
    fn write_set(folder: &Path) {
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
        let pixels: Vec<u8> = (0..24).collect();
        write("train-images-idx3-ubyte", &idx(&[4, 2, 3], &pixels));
        write(
            "train-labels-idx1-ubyte.gz",
            &gzip(&idx(&[4], &[0, 1, 1, 0])),
        );
        write(
            "t10k-images-idx3-ubyte.gz",
            &gzip(&idx(&[2, 2, 3], &pixels[..12])),
        );
        write("t10k-labels-idx1-ubyte", &idx(&[2], &[1, 0]));
    }

    fn error(folder: &Path) -> String {
        find_idx(folder).unwrap_err().to_string()
    }

    #[test]
    fn plain_and_compressed_files_are_read() {
        let folder = tempfile::tempdir().unwrap();
        write_set(folder.path());
        let found = find_idx(folder.path()).unwrap().unwrap();
        let train = found.train.unwrap();
        assert_eq!(train.classes(), ["0", "1"]);
        assert_eq!(train.len(), 4);
        let image = train.image(1).unwrap();
        assert_eq!((image.height, image.width, image.channels), (2, 3, 1));
        assert_eq!(image.pixels, [6, 7, 8, 9, 10, 11]);
        assert_eq!(train.stratum(2), 1);
        let test = found.test.unwrap();
        assert_eq!((test.len(), test.stratum(0)), (2, 1));
    }

    #[test]
    fn a_folder_without_idx_files_is_left_to_others() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find_idx(folder.path()).unwrap().is_none());
    }

    #[test]
    fn a_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        write_set(folder.path());
        std::fs::remove_file(folder.path().join("t10k-labels-idx1-ubyte")).unwrap();
        assert!(error(folder.path()).contains("t10k-labels-idx1-ubyte[.gz] is missing"));
    }

    #[test]
    fn damaged_files_are_named_with_what_is_wrong() {
        let images = "train-images-idx3-ubyte";
        let labels = "train-labels-idx1-ubyte.gz";
        let cut = &gzip(&idx(&[4], &[0, 1, 1, 0]))[..20];
        let cases: &[(&str, Vec<u8>, &str)] = &[
            (images, idx(&[4, 2, 3], &[0; 23]), "only 23 follow"),
            (images, idx(&[4, 2, 3], &[0; 25]), "more bytes follow"),
            (images, idx(&[u32::MAX; 3], &[]), "header announces"),
            (images, idx(&[4, 0, 3], &[]), "image side is 0"),
            (images, idx(&[0, 2, 3], &[]), "no images"),
            (images, vec![0, 0], "cut short"),
            (images, b"PNG not an idx file".to_vec(), "starts with"),
            (labels, gzip(&idx(&[3], &[0, 1, 1])), "3 labels"),
            (labels, cut.to_vec(), "damaged"),
            (labels, b"no gzip at all".to_vec(), "not valid gzip"),
        ];
        for (name, bytes, message) in cases {
            let folder = tempfile::tempdir().unwrap();
            write_set(folder.path());
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let error = error(folder.path());
            assert!(error.contains(message) && error.contains(name), "{error}");
        }
    }

    #[test]
    fn labels_outside_the_range_are_refused_with_their_place() {
        let folder = tempfile::tempdir().unwrap();
        write_set(folder.path());
        let file = folder.path().join("t10k-labels-idx1-ubyte");
        std::fs::write(file, idx(&[2], &[0, 2])).unwrap();
        let test = error(folder.path());
        assert!(
            test.contains("image 1 has label 2, but labels must be 0 to 1"),
            "{test}"
        );
        let file = folder.path().join("train-labels-idx1-ubyte.gz");
        std::fs::write(file, gzip(&idx(&[4], &[0, 1, 200, 0]))).unwrap();
        let train = error(folder.path());
        assert!(
            train.contains("image 2 has label 200, but labels must be 0 to 2"),
            "{train}"
        );
    }

    #[test]
    fn labels_that_start_at_one_are_counted_from_zero_and_told() {
        let folder = tempfile::tempdir().unwrap();
        write_set(folder.path());
        let write = |name: &str, labels: &[u8]| {
            let bytes = idx(&[labels.len() as u32], labels);
            std::fs::write(folder.path().join(name), bytes).unwrap();
        };
        std::fs::remove_file(folder.path().join("train-labels-idx1-ubyte.gz")).unwrap();
        write("train-labels-idx1-ubyte", &[1, 3, 2, 1]);
        write("t10k-labels-idx1-ubyte", &[3, 1]);
        let found = find_idx(folder.path()).unwrap().unwrap();
        assert_eq!(
            found.notes,
            ["labels are 1 to 3: label 1 is the first class"]
        );
        let train = found.train.unwrap();
        assert_eq!(train.classes(), ["1", "2", "3"]);
        assert_eq!([train.stratum(0), train.stratum(1)], [0, 2]);
        assert_eq!(found.test.unwrap().stratum(0), 2);
        write("t10k-labels-idx1-ubyte", &[0, 1]);
        let error = error(folder.path());
        assert!(
            error.contains("has label 0, but labels must be 1 to 3"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_and_never_give_more_than_they_hold(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            sizes in proptest::collection::vec(any::<u32>(), 3),
        ) {
            let path = Path::new("file");
            prop_assert!(parse(bytes.as_slice(), 3, path).is_err() || bytes.len() >= 16);
            let _ = parse(MultiGzDecoder::new(bytes.as_slice()), 1, path);
            if let Ok((_, content)) = parse(idx(&sizes, &bytes).as_slice(), 3, path) {
                prop_assert!(content.len() <= bytes.len());
            }
        }
    }
}
