//! CIFAR in both versions, from files written here byte by byte.

#![allow(clippy::unwrap_used)]

use limbeck_data::{OpenOptions, open};
use proptest::prelude::*;
use tempfile::TempDir;

const IMAGE: usize = 3 * 32 * 32;

/// Images per file of the fixtures.
const COUNT: usize = 20;

/// The planes of an image: red is its number, green 100, blue 200.
fn planes(number: usize) -> Vec<u8> {
    [number as u8, 100, 200]
        .iter()
        .flat_map(|&value| [value; 1024])
        .collect()
}

fn binary_file(label_bytes: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    (0..COUNT)
        .flat_map(|number| [label_bytes(number), planes(number)].concat())
        .collect()
}

fn folder(files: &[(String, Vec<u8>)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    root
}

fn batch_names(end: &str) -> Vec<String> {
    (1..=5)
        .map(|number| format!("data_batch_{number}{end}"))
        .chain([format!("test_batch{end}")])
        .collect()
}

fn binary_10() -> Vec<(String, Vec<u8>)> {
    let file = binary_file(|number| vec![(number % 10) as u8]);
    let names = batch_names(".bin").into_iter();
    names.map(|name| (name, file.clone())).collect()
}

/// Protocol 2, as Python 2 wrote the files of the archive: text is `str`.
mod pickle {
    pub fn text(text: &[u8]) -> Vec<u8> {
        let length = (text.len() as u32).to_le_bytes();
        [b"T", length.as_slice(), text].concat()
    }

    pub fn int(value: i32) -> Vec<u8> {
        [b"J", value.to_le_bytes().as_slice()].concat()
    }

    pub fn list(items: &[Vec<u8>]) -> Vec<u8> {
        [b"](", items.concat().as_slice(), b"e"].concat()
    }

    pub fn dictionary(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let items: Vec<u8> = pairs
            .iter()
            .flat_map(|(key, value)| [text(key.as_bytes()), value.clone()].concat())
            .collect();
        [b"}(", items.as_slice(), b"u"].concat()
    }

    pub fn array(dtype: &str, rows: usize, columns: usize, elements: &[u8]) -> Vec<u8> {
        let new = [
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n".to_vec(),
            int(0),
            b"\x85".to_vec(),
            text(b"b"),
            b"\x87R".to_vec(),
        ];
        let dtype = [
            b"cnumpy\ndtype\n".to_vec(),
            text(dtype.as_bytes()),
            int(0),
            int(1),
            b"\x87R(".to_vec(),
            int(3),
            text(b"|"),
            b"NNN".to_vec(),
            int(-1),
            int(-1),
            int(0),
            b"tb".to_vec(),
        ];
        let state = [
            b"(".to_vec(),
            int(1),
            int(rows as i32),
            int(columns as i32),
            b"\x86".to_vec(),
            dtype.concat(),
            b"\x89".to_vec(),
            text(elements),
            b"tb".to_vec(),
        ];
        [new.concat(), state.concat()].concat()
    }

    pub fn file(value: Vec<u8>) -> Vec<u8> {
        [b"\x80\x02", value.as_slice(), b"."].concat()
    }
}

fn images() -> Vec<u8> {
    pickle::array(
        "u1",
        COUNT,
        IMAGE,
        &(0..COUNT).flat_map(planes).collect::<Vec<u8>>(),
    )
}

fn labels(label: impl Fn(usize) -> usize) -> Vec<u8> {
    let items: Vec<_> = (0..COUNT).map(|n| pickle::int(label(n) as i32)).collect();
    pickle::list(&items)
}

fn pickle_10() -> Vec<(String, Vec<u8>)> {
    let value = pickle::dictionary(&[
        ("batch_label", pickle::text(b"training batch 1 of 5")),
        ("labels", labels(|n| n % 10)),
        ("data", images()),
    ]);
    let file = pickle::file(value);
    let names = batch_names("").into_iter();
    names.map(|name| (name, file.clone())).collect()
}

fn error(files: &[(String, Vec<u8>)]) -> String {
    open(folder(files).path(), &OpenOptions::default())
        .unwrap_err()
        .to_string()
}

/// The files with one of them replaced.
fn with(mut files: Vec<(String, Vec<u8>)>, name: &str, bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    files.iter_mut().find(|(n, _)| n == name).unwrap().1 = bytes;
    files
}

fn check_10(files: &[(String, Vec<u8>)], name: &str) {
    let root = folder(files);
    let options = OpenOptions {
        validation: 0.0,
        ..OpenOptions::default()
    };
    let dataset = open(root.path(), &options).unwrap();
    assert!(dataset.name.ends_with(name), "{}", dataset.name);
    assert_eq!((dataset.train.len(), dataset.test.len()), (100, 20));
    assert_eq!(dataset.shape, Some([3, 32, 32]));
    assert_eq!(dataset.classes[3], "cat");
    assert_eq!(dataset.train.class(COUNT + 13), Some(3));
    let image = dataset.train.image(COUNT + 13).unwrap();
    assert_eq!((image.width, image.height, image.channels), (32, 32, 3));
    assert!(image.pixels.chunks(3).all(|rgb| rgb == [13, 100, 200]));
}

#[test]
fn both_versions_of_cifar_10_are_read_here_and_in_their_archives_folder() {
    check_10(&binary_10(), "(CIFAR-10, binary)");
    check_10(&pickle_10(), "(CIFAR-10, Python)");
    let below = |files: Vec<(String, Vec<u8>)>, folder: &str| -> Vec<_> {
        let files = files.into_iter();
        files
            .map(|(name, bytes)| (format!("{folder}/{name}"), bytes))
            .collect()
    };
    check_10(&below(binary_10(), "cifar-10-batches-bin"), "binary)");
    check_10(&below(pickle_10(), "cifar-10-batches-py"), "Python)");
}

#[test]
fn cifar_100_gives_fine_labels_and_the_names_it_lists() {
    let file = binary_file(|number| vec![99, number as u8 * 5]);
    let names: String = (0..100).map(|class| format!("class {class}\n")).collect();
    let binary = [
        ("train.bin".to_owned(), file.clone()),
        ("test.bin".to_owned(), file),
        ("fine_label_names.txt".to_owned(), names.into_bytes()),
    ];
    let file = pickle::file(pickle::dictionary(&[
        ("coarse_labels", labels(|_| 1)),
        ("fine_labels", labels(|n| n * 5)),
        ("data", images()),
    ]));
    let names: Vec<_> = (0..100)
        .map(|class| pickle::text(format!("class {class}").as_bytes()))
        .collect();
    let meta = pickle::dictionary(&[("fine_label_names", pickle::list(&names))]);
    let python = [
        ("train".to_owned(), file.clone()),
        ("test".to_owned(), file),
        ("meta".to_owned(), pickle::file(meta)),
    ];
    for files in [&binary, &python] {
        let root = folder(files);
        let options = OpenOptions {
            validation: 0.0,
            ..OpenOptions::default()
        };
        let dataset = open(root.path(), &options).unwrap();
        assert_eq!(dataset.classes.len(), 100);
        assert_eq!(dataset.train.class(7), Some(35));
        assert_eq!(dataset.classes[35], "class 35");
        assert_eq!(dataset.train.image(7).unwrap().pixel(31, 31), [7, 100, 200]);
    }
}

#[test]
fn incomplete_copies_are_refused_with_what_is_missing() {
    let mut files = binary_10();
    files.remove(2);
    assert!(error(&files).contains("data_batch_3.bin is missing"));
    let cut = binary_10()[0].1[..5_000].to_vec();
    let cut = error(&with(binary_10(), "data_batch_4.bin", cut));
    assert!(
        cut.contains("data_batch_4.bin is damaged") && cut.contains("cut short"),
        "{cut}"
    );
    let cut = pickle_10()[0].1[..5_000].to_vec();
    let cut = error(&with(pickle_10(), "test_batch", cut));
    assert!(
        cut.contains("test_batch is damaged") && cut.contains("truncated"),
        "{cut}"
    );
    let empty = error(&with(binary_10(), "test_batch.bin", Vec::new()));
    assert!(
        empty.contains("test_batch.bin is damaged: it holds no images"),
        "{empty}"
    );
}

#[test]
fn labels_outside_the_range_are_refused_with_their_place() {
    let file = binary_file(|number| vec![if number == 4 { 10 } else { 0 }]);
    let binary = error(&with(binary_10(), "data_batch_2.bin", file));
    assert!(binary.contains("data_batch_2.bin: image 4 has label 10, but labels must be 0 to 9"));
    for label in [10, 300] {
        let file = pickle::file(pickle::dictionary(&[
            ("labels", labels(|n| if n == 7 { label } else { 0 })),
            ("data", images()),
        ]));
        let python = error(&with(pickle_10(), "data_batch_2", file));
        assert!(
            python.contains(&format!("image 7 has label {label}")),
            "{python}"
        );
    }
}

#[test]
fn a_pickle_that_would_run_code_is_refused_and_runs_nothing() {
    let elsewhere = tempfile::tempdir().unwrap();
    let trace = elsewhere.path().join("was-called");
    let command = format!("touch {}", trace.display());
    let arguments = pickle::text(command.as_bytes());
    let call = [b"cposix\nsystem\n(".to_vec(), arguments, b"tR".to_vec()].concat();
    let file = pickle::file(pickle::dictionary(&[
        ("labels", labels(|_| 0)),
        ("data", images()),
        ("extra", call),
    ]));
    let error = error(&with(pickle_10(), "data_batch_1", file));
    assert!(
        error.contains("names `posix.system`") && error.contains("nothing was run"),
        "{error}"
    );
    assert!(!trace.exists());
}

#[test]
fn pickles_of_another_shape_are_refused_with_what_is_wrong() {
    let whole = |key: &'static str, images: Vec<u8>| vec![(key, labels(|_| 0)), ("data", images)];
    let few = pickle::array("u1", 2, IMAGE, &[0; 2 * IMAGE]);
    let narrow = pickle::array("u1", COUNT, 5, &[0; 5 * COUNT]);
    let lying = pickle::array("u1", COUNT, IMAGE, &[0; 10]);
    let floats = pickle::array("f4", COUNT, IMAGE, &[0; 10]);
    let cases = [
        (whole("label", images()), "no entry `labels`"),
        (whole("labels", few), "2 images, but 20 labels"),
        (whole("labels", narrow), "5 bytes, expected 3072"),
        (whole("labels", lying), "10 bytes, expected 20 times 3072"),
        (whole("labels", floats), "not unsigned bytes"),
        (
            whole("labels", pickle::text(b"x")),
            "expected a numpy array",
        ),
    ];
    for (pairs, message) in cases {
        let file = pickle::file(pickle::dictionary(&pairs));
        let error = error(&with(pickle_10(), "data_batch_1", file));
        assert!(
            error.contains("data_batch_1 is damaged") && error.contains(message),
            "{error}"
        );
    }
}

#[test]
fn two_data_sets_in_one_folder_are_refused() {
    let mut files = binary_10();
    files.push(("cifar-100-binary/train.bin".to_owned(), Vec::new()));
    assert!(error(&files).contains("both CIFAR-10, binary and CIFAR-100, binary"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changed_bytes_never_panic(
        changes in proptest::collection::vec((0usize..900, any::<u8>()), 1..6),
        cut in 0usize..2_000,
    ) {
        let value = pickle::dictionary(&[
            ("labels", pickle::list(&[pickle::int(1)])),
            ("data", pickle::array("u1", 1, 8, &[0; 8])),
        ]);
        let mut bytes = pickle::file(value);
        for (place, value) in changes {
            let len = bytes.len();
            bytes[place % len] = value;
        }
        bytes.truncate(cut.max(1));
        let root = folder(&[("train".to_owned(), bytes), ("test".to_owned(), Vec::new())]);
        prop_assert!(open(root.path(), &OpenOptions::default()).is_err());
    }
}
