//! What a user can get wrong: one clear sentence, the right exit code, nothing lost.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use support::{Place, bytes, idx_header, text, tiny};

const USAGE: i32 = 2;
const FAILED: i32 = 1;

fn tiny_run(place: &Place, command: &str, extra: &[&str], code: i32, words: &[&str]) -> String {
    let arguments = tiny(command, extra);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.fail(&arguments, code, words)
}

/// A trained model in `NAME/student/model.safetensors`.
fn trained(place: &Place, data: &str, name: &str) {
    place.succeed(&[
        "train",
        data,
        "--model",
        "resnet8",
        "--epochs",
        "1",
        "--threads",
        "1",
        "--quiet",
        "--out",
        name,
    ]);
}

#[test]
fn a_missing_folder_is_named() {
    let place = Place::new();
    place.fail(
        &["train", "nowhere", "--model", "resnet8"],
        FAILED,
        &["nowhere"],
    );
    assert!(
        !place.path("runs").exists(),
        "nothing is written for a run that cannot start"
    );
}

#[test]
fn an_empty_folder_is_named_with_what_was_looked_for() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    place.fail(
        &["train", "empty", "--model", "resnet8"],
        FAILED,
        &["empty"],
    );
}

#[test]
fn a_corrupt_or_truncated_image_is_named() {
    let place = Place::new();
    let data = place.class_folders("pictures", 2, 12);
    let whole = bytes(&data.join("train/class0/0.ppm"));
    for broken in [&whole[..whole.len() / 2], b"not a picture".as_slice()] {
        place.write("pictures/train/class0/0.ppm", broken);
        let run = [
            "train",
            text(&data),
            "--model",
            "resnet8",
            "--epochs",
            "1",
            "--quiet",
        ];
        place.fail(&run, FAILED, &["0.ppm"]);
    }
}

/// A TIFF of one pixel, a 32-bit float.
fn float_tiff() -> Vec<u8> {
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    // Width, height, bits, compression, grey, place, samples, rows, bytes, floats.
    let entries: [(u16, u16, u32); 10] = [
        (256, SHORT, 1),
        (257, SHORT, 1),
        (258, SHORT, 32),
        (259, SHORT, 1),
        (262, SHORT, 1),
        (273, LONG, 134),
        (277, SHORT, 1),
        (278, SHORT, 1),
        (279, LONG, 4),
        (339, SHORT, 3),
    ];
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(1u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes.extend(0.5f32.to_le_bytes());
    bytes
}

#[test]
fn a_tiff_of_floats_is_not_supported_rather_than_damaged() {
    let place = Place::new();
    place.class_folders("pictures", 2, 12);
    place.write("pictures/train/class0/depth.tiff", float_tiff());
    let train = [
        "train", "pictures", "--model", "resnet8", "--epochs", "1", "--quiet",
    ];
    let told = place.fail(
        &train,
        FAILED,
        &["depth.tiff", "not supported", "convert it"],
    );
    assert!(!told.contains("damaged"), "{told}");
}

#[test]
fn a_truncated_idx_file_is_named() {
    let place = Place::new();
    let data = place.idx("digits", 40, |index| (index % 10) as u8);
    let images = data.join("train-images-idx3-ubyte");
    let whole = bytes(&images);
    std::fs::write(&images, &whole[..whole.len() - 100]).unwrap();
    place.fail(
        &["train", text(&data), "--model", "resnet8"],
        FAILED,
        &["train-images-idx3-ubyte"],
    );
    std::fs::write(&images, idx_header(0x0d0e, &[1, 1, 1])).unwrap();
    place.fail(
        &["train", text(&data), "--model", "resnet8"],
        FAILED,
        &["train-images-idx3-ubyte"],
    );
}

#[test]
fn a_damaged_pickle_and_one_that_would_run_code_are_refused() {
    let place = Place::new();
    for name in ["data_batch_1", "test_batch"] {
        place.write(&format!("cifar/{name}"), b"\x80\x04\x95\xff\xff");
    }
    place.fail(
        &["train", "cifar", "--model", "resnet8"],
        FAILED,
        &["_batch"],
    );
    // pickle.dumps of an object whose __reduce__ is (os.system, ("touch ran",)), protocol 0.
    let hostile = b"cposix\nsystem\n(S'touch ran'\ntR.";
    for name in ["data_batch_1", "test_batch"] {
        place.write(&format!("cifar/{name}"), hostile);
    }
    place.fail(
        &["train", "cifar", "--model", "resnet8"],
        FAILED,
        &["_batch"],
    );
    place.write("teacher.pth", hostile);
    tiny_run(
        &place,
        "distill",
        &[
            "--student",
            "resnet8",
            "--teacher",
            "teacher.pth",
            "--teacher-model",
            "resnet8",
        ],
        FAILED,
        &["teacher.pth"],
    );
    assert!(!place.path("ran").exists());
}

#[test]
fn damaged_weights_are_refused_by_name() {
    let place = Place::new();
    trained(&place, "shapes:100", "teacher");
    let whole = bytes(&place.path("teacher/student/model.safetensors"));
    for (name, content) in [
        ("short.safetensors", &whole[..whole.len() / 2]),
        ("empty.safetensors", &[]),
        ("noise.pth", b"PK\x03\x04 and then nothing"),
    ] {
        place.write(name, content);
        tiny_run(
            &place,
            "distill",
            &[
                "--student",
                "resnet8",
                "--teacher",
                name,
                "--teacher-model",
                "resnet8",
            ],
            FAILED,
            &[name],
        );
        place.fail(
            &[
                "eval",
                "shapes:100",
                "--model",
                name,
                "--model-name",
                "resnet8",
            ],
            FAILED,
            &[name],
        );
    }
}

#[test]
fn labels_outside_the_range_are_named() {
    let place = Place::new();
    let data = place.idx("digits", 40, |index| {
        if index == 7 { 200 } else { (index % 10) as u8 }
    });
    place.fail(
        &["train", text(&data), "--model", "resnet8"],
        FAILED,
        &["200"],
    );
}

#[test]
fn teacher_and_data_with_different_class_counts_are_refused() {
    let place = Place::new();
    place.class_folders("pictures", 3, 12);
    trained(&place, "pictures", "teacher");
    tiny_run(
        &place,
        "distill",
        &["--teacher", "teacher", "--student", "resnet8"],
        USAGE,
        &["3 classes", "10"],
    );
}

#[test]
fn a_method_that_needs_a_teacher_says_so() {
    let place = Place::new();
    tiny_run(
        &place,
        "distill",
        &["--student", "resnet8", "--method", "kd"],
        USAGE,
        &["teacher"],
    );
}

#[test]
fn features_that_cannot_be_matched_are_refused_with_the_reason() {
    let place = Place::new();
    tiny_run(
        &place,
        "distill",
        &[
            "--teacher",
            "resnet8",
            "--student",
            "resnet8",
            "--method",
            "fitnet",
            "--set",
            "method.pairs=[[\"stage3\", \"stage1\"]]",
        ],
        USAGE,
        &["stage3", "stage1"],
    );
    tiny_run(
        &place,
        "distill",
        &[
            "--teacher",
            "resnet8",
            "--student",
            "resnet8",
            "--method",
            "fitnet",
            "--set",
            "method.pairs=[[\"stage9\", \"stage1\"]]",
        ],
        USAGE,
        &["stage9"],
    );
}

#[test]
fn an_output_folder_that_exists_is_left_alone() {
    let place = Place::new();
    place.write("mine/notes.txt", "mine");
    tiny_run(
        &place,
        "train",
        &["--model", "resnet8", "--out", "mine"],
        USAGE,
        &["mine", "exists"],
    );
    assert_eq!(bytes(&place.path("mine/notes.txt")), b"mine");
    assert_eq!(std::fs::read_dir(place.path("mine")).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_run_and_loses_nothing() {
    let place = Place::new();
    // No file may grow beyond 64 blocks of 512 bytes: writing weights fails as on a full disk,
    // while smaller files can be written.
    let binary = env!("CARGO_BIN_EXE_limbeck");
    let script = format!(
        "trap '' XFSZ; ulimit -f 64; exec '{binary}' train shapes:100 --model resnet8 --epochs 1 \
         --threads 1 --quiet --out run"
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path("."))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(FAILED), "{stderr}");
    assert!(stderr.contains("safetensors"), "{stderr}");
    let job = place.path("run/jobs/student-0");
    for file in std::fs::read_dir(&job).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            !name.ends_with(".safetensors"),
            "{name} is there though it cannot be whole"
        );
    }
    place.succeed(&["resume", "run", "--quiet"]);
    assert!(place.path("run/student/model.safetensors").is_file());
}

#[test]
fn a_typo_in_a_recipe_is_shown_with_its_line_and_the_nearest_key() {
    let place = Place::new();
    place.write(
        "mine.toml",
        "[data]\npath = \"shapes:100\"\n\n[train]\nepoch = 3\n",
    );
    place.fail(
        &["train", "--recipe", "mine.toml", "--model", "resnet8"],
        USAGE,
        &["mine.toml:5", "epochs"],
    );
    place.write(
        "mine.toml",
        "[method]\nname = \"kd\"\n[method.kd]\ntemprature = 3\n",
    );
    place.fail(
        &[
            "distill",
            "shapes:100",
            "--recipe",
            "mine.toml",
            "--teacher",
            "resnet8",
            "--student",
            "resnet8",
        ],
        USAGE,
        &["mine.toml:4", "temperature"],
    );
    tiny_run(
        &place,
        "train",
        &["--model", "resnet8", "--set", "train.epoch=3"],
        USAGE,
        &["epochs"],
    );
    tiny_run(
        &place,
        "train",
        &["--model", "resnet9"],
        USAGE,
        &["resnet8"],
    );
    tiny_run(
        &place,
        "distill",
        &["--student", "resnet8", "--method", "kdd"],
        USAGE,
        &["kd"],
    );
}

#[test]
fn zero_batch_seeds_threads_and_epochs_are_refused() {
    let place = Place::new();
    for (flag, word) in [
        ("--batch", "batch"),
        ("--seeds", "seeds"),
        ("--threads", "threads"),
        ("--epochs", "epochs"),
        ("--limit", "limit"),
    ] {
        place.fail(
            &["train", "shapes:100", "--model", "resnet8", flag, "0"],
            USAGE,
            &[word],
        );
    }
}

#[test]
fn a_checkpoint_of_another_recipe_is_refused() {
    let place = Place::new();
    let arguments = tiny("train", &["--model", "resnet8", "--out", "run"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    std::fs::remove_file(place.path("run/results.json")).unwrap();
    let recipe = place.path("run/recipe.toml");
    let text = std::fs::read_to_string(&recipe).unwrap();
    let changed = text.replace("learning_rate = 0.05", "learning_rate = 0.07");
    assert_ne!(text, changed);
    std::fs::write(&recipe, changed).unwrap();
    let before = bytes(&place.path("run/jobs/student-0/checkpoint.safetensors"));
    place.fail(&["resume", "run"], FAILED, &["recipe"]);
    assert_eq!(
        before,
        bytes(&place.path("run/jobs/student-0/checkpoint.safetensors"))
    );
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let place = Place::new();
    let arguments = tiny("train", &["--model", "resnet8", "--out", "run"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.succeed(&arguments);
    std::fs::remove_file(place.path("run/results.json")).unwrap();
    let checkpoint = place.path("run/jobs/student-0/checkpoint.safetensors");
    let mut content = bytes(&checkpoint);
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&checkpoint, content).unwrap();
    place.fail(&["resume", "run"], FAILED, &["checkpoint.safetensors"]);
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_names_term_and_step() {
    let place = Place::new();
    tiny_run(
        &place,
        "train",
        &[
            "--model",
            "resnet8",
            "--set",
            "optimizer.learning_rate=1e30",
        ],
        FAILED,
        &["task", "epoch 1", "step"],
    );
}

#[test]
fn a_folder_that_is_no_run_cannot_be_resumed_reported_or_compared() {
    let place = Place::new();
    std::fs::create_dir(place.path("folder")).unwrap();
    for command in ["resume", "report", "compare"] {
        place.fail(&[command, "folder"], FAILED, &["folder"]);
        place.fail(&[command, "nowhere"], FAILED, &["nowhere"]);
    }
}

#[test]
fn unknown_commands_and_flags_are_usage_errors() {
    let place = Place::new();
    place.fail(&["distil"], USAGE, &["distill"]);
    place.fail(&["train", "--modell", "resnet8"], USAGE, &["--model"]);
    place.fail(&["train", "--model", "resnet8"], USAGE, &["DATA"]);
    place.fail(&["train", "shapes:100"], USAGE, &["--model"]);
    place.fail(
        &["distill", "shapes:100", "--teacher", "resnet8"],
        USAGE,
        &["--student"],
    );
}
