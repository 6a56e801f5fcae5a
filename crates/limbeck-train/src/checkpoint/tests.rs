//! What checkpoints keep, and what damaged ones do.

use limbeck_nn::{Builder, Init, Role};
use proptest::prelude::*;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Progress {
    epoch: usize,
    best: Option<f64>,
    rows: Vec<(f64, String)>,
}

fn progress() -> Progress {
    Progress {
        epoch: 3,
        best: Some(0.1 + 0.2),
        rows: vec![
            (1e-300, "a = \"b\"\n[x]".to_owned()),
            (f64::INFINITY, String::new()),
        ],
    }
}

fn checkpoint() -> Checkpoint {
    let mut checkpoint = Checkpoint::new("00ff", &progress()).unwrap();
    for (name, data) in [
        (
            "model/a",
            TensorData::new(vec![1.5_f32, f32::NAN, -0.0], [3]),
        ),
        (
            "model/b",
            TensorData::new(vec![f64::MIN_POSITIVE; 4], [2, 2]),
        ),
        ("order", TensorData::new(vec![i64::MIN, 7], [2])),
        ("empty", TensorData::new(Vec::<f32>::new(), [0])),
        ("scalar", TensorData::new(vec![2.0_f32], [0_usize; 0])),
    ] {
        checkpoint.tensors.insert(name.to_owned(), data);
    }
    checkpoint
}

fn decode(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    super::decode(bytes, Path::new("last.ckpt"))
}

#[test]
fn every_bit_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.ckpt");
    let written = checkpoint();
    write(&path, &written).unwrap();
    let found = read_for(&path, "00ff").unwrap();
    // NaN differs from itself as a number; TensorData compares bytes.
    assert_eq!(found, written);
    assert_eq!(found.progress::<Progress>().unwrap(), progress());
}

#[test]
fn the_same_content_gives_the_same_file() {
    assert_eq!(
        checkpoint().encode().unwrap(),
        checkpoint().encode().unwrap()
    );
}

#[test]
fn a_checkpoint_of_another_recipe_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("last.ckpt");
    write(&path, &checkpoint()).unwrap();
    let error = read_for(&path, "1234").unwrap_err();
    assert!(matches!(error, CheckpointError::Differs { .. }));
    assert!(error.to_string().contains("another recipe"), "{error}");
    for (found, expected, word) in [
        ("a-b-c", "x-b-c", "another recipe"),
        ("a-b-c", "a-x-c", "other images"),
        ("a-b-c", "a-b-x", "another teacher"),
    ] {
        let told = difference(found, expected);
        assert!(told.contains(word), "{told}");
    }
}

#[test]
fn another_format_is_named() {
    let bytes = checkpoint().encode().unwrap();
    let at = bytes
        .windows(10)
        .position(|w| w == b"version\\\":")
        .unwrap()
        + 10;
    let mut newer = bytes.clone();
    newer[at] = b'9';
    let error = decode(&newer).unwrap_err();
    assert!(matches!(error, CheckpointError::Version { found: 9, .. }));
}

#[test]
fn a_missing_file_a_folder_and_a_plain_safetensors_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("last.ckpt");
    let error = read(&missing).unwrap_err();
    assert!(error.to_string().contains("last.ckpt"), "{error}");
    assert!(matches!(
        read(folder.path()),
        Err(CheckpointError::Damaged { .. })
    ));
    let plain = safetensors::serialize(Vec::<(&str, TensorView<'_>)>::new(), None).unwrap();
    let error = decode(&plain).unwrap_err();
    assert!(error.to_string().contains(METADATA), "{error}");
}

#[test]
fn element_types_that_are_not_kept_are_refused() {
    let mut checkpoint = checkpoint();
    let data = TensorData::new(vec![1_u8], [1]);
    checkpoint.tensors.insert("mask".to_owned(), data);
    let error = checkpoint.encode().unwrap_err();
    assert!(error.to_string().contains("`mask` has elements"), "{error}");
}

fn store(value: f64, shape: &[usize]) -> Store {
    let mut store = Store::new(&Device::flex(), DType::F32);
    let mut builder = Builder::new(&mut store, 0);
    builder.parameter("fc.weight", shape, Role::Weight, Init::Constant(value));
    builder.parameter("seen", &[], Role::Counter, Init::Constant(value));
    store
}

fn values(store: &Store) -> Vec<f64> {
    let entries = store.entries().iter();
    entries
        .flat_map(|entry| entry.value.to_data().iter::<f64>().collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_store_is_filled_with_what_was_saved_of_it() {
    let mut checkpoint = checkpoint();
    checkpoint.insert_store("student", &store(0.3, &[2, 3]));
    let mut found = store(0.0, &[2, 3]);
    checkpoint.load_store("student", &mut found).unwrap();
    assert_eq!(values(&found), values(&store(0.3, &[2, 3])));
}

#[test]
fn a_store_of_another_layout_is_refused_and_left_alone() {
    let mut checkpoint = checkpoint();
    checkpoint.insert_store("student", &store(0.3, &[2, 3]));
    let mut other = store(0.0, &[3, 2]);
    let error = checkpoint.load_store("student", &mut other).unwrap_err();
    assert!(error.to_string().contains("student/fc.weight"), "{error}");
    assert!(checkpoint.load_store("teacher", &mut other).is_err());
    assert_eq!(values(&other), values(&store(0.0, &[3, 2])));
    let extra = checkpoint.tensors["order"].clone();
    checkpoint.tensors.insert("student/extra".to_owned(), extra);
    let mut same = store(0.0, &[2, 3]);
    let error = checkpoint.load_store("student", &mut same).unwrap_err();
    assert!(error.to_string().contains("student/extra"), "{error}");
}

#[test]
fn groups_keep_their_tensors_apart() {
    let device = Device::flex();
    let tensor = |value: f64| Tensor::<1>::from_data([value], (&device, DType::F64));
    let mut checkpoint = checkpoint();
    checkpoint.insert("sgd", BTreeMap::from([("b.w".to_owned(), tensor(1.0))]));
    checkpoint.insert("sgd2", BTreeMap::from([("b.w".to_owned(), tensor(2.0))]));
    let group = checkpoint.group("sgd", &device);
    assert_eq!(group.len(), 1);
    assert_eq!(group["b.w"].clone().into_scalar::<f64>(), 1.0);
    assert!(checkpoint.group("none", &device).is_empty());
}

#[test]
fn every_truncated_file_is_refused() {
    let bytes = checkpoint().encode().unwrap();
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{length}");
    }
}

proptest! {
    #[test]
    fn a_changed_byte_is_recognised_or_changes_nothing(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut bytes = checkpoint().encode().unwrap();
        let at = at.index(bytes.len());
        bytes[at] = value;
        if let Ok(found) = decode(&bytes) {
            prop_assert_eq!(found, checkpoint());
        }
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        header in 0_u64..250,
    ) {
        prop_assert!(decode(&bytes).is_err());
        if bytes.len() >= 8 {
            bytes[..8].copy_from_slice(&header.to_le_bytes());
            prop_assert!(decode(&bytes).is_err());
        }
    }

    #[test]
    fn progress_keeps_every_bit_of_its_numbers(bits in any::<u64>(), count in any::<i64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(!number.is_nan());
        let checkpoint = Checkpoint::new("", &BTreeMap::from([("n", number)])).unwrap();
        let found: BTreeMap<String, f64> = checkpoint.progress().unwrap();
        prop_assert_eq!(found["n"].to_bits(), bits);
        let checkpoint = Checkpoint::new("", &BTreeMap::from([("n", count)])).unwrap();
        let found: BTreeMap<String, i64> = checkpoint.progress().unwrap();
        prop_assert_eq!(found["n"], count);
    }
}
