//! Files that PyTorch wrote (`weights/make_fixtures.py`) are read as what they hold, or refused
//! with the reason.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use limbeck_nn::weights::{ElementType, FileFormat, StateDict, WeightsError};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/weights")
        .join(name)
}

fn read(name: &str) -> StateDict {
    StateDict::read(&fixture(name)).unwrap()
}

fn refused(name: &str) -> String {
    let error = StateDict::read(&fixture(name)).unwrap_err().to_string();
    assert!(error.contains(name), "no file name in: {error}");
    error
}

fn values(state: &StateDict, name: &str) -> Vec<f64> {
    state.get(name).unwrap().to_f64()
}

#[test]
fn every_element_type_and_layout_is_read_from_both_formats() {
    for (file, format) in [
        ("types_zip.pth", FileFormat::TorchZip),
        ("types_legacy.pth", FileFormat::TorchLegacy),
    ] {
        let state = read(file);
        assert_eq!(state.format(), format);
        assert_eq!(state.under(), None);
        let names: Vec<_> = state.iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "float64",
                "float32",
                "float16",
                "bfloat16",
                "int64",
                "int32",
                "int16",
                "int8",
                "uint8",
                "bool",
                "parameter",
                "scalar",
                "empty",
                "transposed",
                "slice",
                "row",
                "expanded"
            ]
        );
        // The ramp -1, -0.5, … 1.5, doubled.
        let doubled = [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0];
        for (name, element) in [
            ("float64", ElementType::F64),
            ("float32", ElementType::F32),
            ("float16", ElementType::F16),
            ("bfloat16", ElementType::BF16),
            ("int64", ElementType::I64),
            ("int32", ElementType::I32),
            ("int16", ElementType::I16),
            ("int8", ElementType::I8),
        ] {
            let tensor = state.get(name).unwrap();
            assert_eq!(tensor.element(), element);
            assert_eq!(tensor.shape(), [2, 3]);
            assert_eq!(tensor.to_f64(), doubled, "{file}: {name}");
        }
        assert_eq!(values(&state, "uint8"), [254.0, 255.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(values(&state, "bool"), [1.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(
            values(&state, "parameter"),
            [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5]
        );
        assert_eq!(state.get("scalar").unwrap().shape(), [0; 0]);
        assert_eq!(values(&state, "scalar"), [7.0]);
        assert_eq!(state.get("empty").unwrap().shape(), [0, 3]);
        assert_eq!(values(&state, "empty"), [0.0; 0]);
        // arange(24) as [2, 3, 4], its last axis first: element [k, i, j] is 12i + 4j + k.
        let transposed = state.get("transposed").unwrap();
        assert_eq!(transposed.shape(), [4, 2, 3]);
        let expected: Vec<f64> = (0..24)
            .map(|n| f64::from(n / 6 + 12 * (n / 3 % 2) + 4 * (n % 3)))
            .collect();
        assert_eq!(transposed.to_f64(), expected);
        // grid[1, 1:, ::2] and grid[1, 2]
        assert_eq!(values(&state, "slice"), [16.0, 18.0, 20.0, 22.0]);
        assert_eq!(values(&state, "row"), [20.0, 21.0, 22.0, 23.0]);
        assert_eq!(values(&state, "expanded"), [3.0, 4.0, 3.0, 4.0, 3.0, 4.0]);
    }
}

#[test]
fn the_weights_are_found_in_a_training_checkpoint() {
    for file in ["checkpoint_zip.pth", "checkpoint_legacy.pth"] {
        let state = read(file);
        // Averaged weights come first.
        assert_eq!(state.under(), Some("model_ema"));
        assert_eq!(state.others(), ["model"]);
        assert_eq!(values(&state, "bias"), [9.0; 3]);
        let plain = StateDict::read_under(&fixture(file), Some("model")).unwrap();
        assert_eq!(values(&plain, "module.bias").len(), 3);
        let part = StateDict::read_under(&fixture(file), Some("model.module")).unwrap_err();
        assert!(part.to_string().contains("`model.module`"), "{part}");
        let missing = StateDict::read_under(&fixture(file), Some("student")).unwrap_err();
        assert!(missing.to_string().contains("under `student`"), "{missing}");
        assert!(missing.to_string().contains("model_ema"), "{missing}");
    }
}

#[test]
fn numbers_of_a_big_endian_machine_are_swapped() {
    let state = read("big_endian.pth");
    assert_eq!(values(&state, "a"), [1.5, -2.25]);
    assert_eq!(values(&state, "b"), [300.0, -1.0]);
}

#[test]
fn an_archive_is_read_whatever_the_length_of_its_first_name() {
    let state = read("twenty_one_characters.pth");
    assert_eq!(values(&state, "a"), [1.5, -2.25]);
}

#[test]
fn tensors_that_take_other_ways_are_read() {
    let state = read("rebuilt.pth");
    assert_eq!(values(&state, "marked"), [1.0, 2.0]);
    assert_eq!(state.get("wide").unwrap().element(), ElementType::U16);
    assert_eq!(values(&state, "wide"), [65_535.0, 1.0]);
}

#[test]
fn attacks_are_refused_by_name() {
    for file in ["attack_zip.pth", "attack_legacy.pth"] {
        let error = StateDict::read(&fixture(file)).unwrap_err();
        assert!(
            matches!(&error, WeightsError::RunsCode { global, .. } if global == "posix.system"),
            "{error}"
        );
    }
}

#[test]
fn whole_pickled_networks_are_read_as_their_state_dicts() {
    for (file, under) in [
        ("whole_model.pth", None),
        ("whole_model_inside.pth", Some("net")),
    ] {
        let state = read(file);
        assert_eq!(state.under(), under);
        let names: Vec<_> = state.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["weight", "bias"]);
        assert_eq!(state.get("weight").unwrap().shape(), [1, 2]);
        assert!(state.class_names().is_empty());
    }
}

#[test]
fn objects_that_are_no_networks_are_refused_with_advice() {
    let error = refused("whole_object.pth");
    assert!(error.contains("`the whole file`"), "{error}");
    assert!(error.contains("argparse.Namespace"), "{error}");
    assert!(error.contains("model.state_dict()"), "{error}");
}

#[test]
fn other_formats_are_told_apart() {
    assert!(refused("script.pt").contains("TorchScript"));
    assert!(refused("plain_pickle.pth").contains("plain Python pickle"));
    assert!(refused("compressed.pth").contains("compressed"));
    assert!(refused("complex.pth").contains("ComplexFloatStorage"));
    assert!(refused("several.pth").contains("under a, b"));
    assert!(refused("no_tensors.pth").contains("the keys epoch, losses"));
    let named = StateDict::read_under(&fixture("several.pth"), Some("b")).unwrap();
    assert_eq!(values(&named, "y"), [1.0]);
}

#[test]
fn files_of_other_programs_are_told_by_their_first_bytes() {
    let cases: [(&[u8], &str); 10] = [
        (b"", "empty"),
        (b"\x08\x07\x12\x07pytorch\x1a\x032.0", "an ONNX model"),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file"),
        (b"\x1c\0\0\0TFL3\0\0\0\0", "a TensorFlow Lite model"),
        (b"GGUF\x03\0\0\0", "a GGUF file"),
        (b"\x93NUMPY\x01\0v\0", "a NumPy array"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0", "compressed with gzip"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer",
        ),
        (b"<!DOCTYPE html>\n<html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n", "of no known kind"),
    ];
    for (bytes, found) in cases {
        let error = StateDict::from_bytes(Path::new("w.bin"), bytes.to_vec(), None).unwrap_err();
        assert!(error.to_string().contains(found), "{error}");
    }
    let folder = StateDict::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_err();
    assert!(folder.to_string().contains("a folder"), "{folder}");
    let absent = StateDict::read(Path::new("no/such/file.pth")).unwrap_err();
    assert!(matches!(absent, WeightsError::Io { .. }), "{absent}");
}
