//! Weights files of other tools, and what a model file says of the images it was trained on.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;
#[path = "support/torch.rs"]
mod torch;

use limbeck::burn::tensor::{DType, Device};
use limbeck::nn::{InputShape, model, weights::save_safetensors};
use serde_json::Value;
use support::{Place, text};
use torch::{Item, Tensors, prefixed, tensors_of, torch_file, zeros};

const USAGE: i32 = 2;
const FAILED: i32 = 1;
/// How the model of [`trained`] saw its images, far from what is measured of them.
const EYES: &str = "0.5/0.05";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A run in `run` that has learnt something, of the network `model` on `pictures`.
fn trained(place: &Place, model: &str, extra: &[&str]) {
    place.class_folders("pictures", 3, 12);
    let train = [
        "train",
        "pictures",
        "--model",
        model,
        "--epochs",
        "2",
        "--batch",
        "8",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "run",
        "--set",
        "augment.normalisation.mean=[0.5,0.5,0.5]",
        "--set",
        "augment.normalisation.std=[0.05,0.05,0.05]",
    ];
    place.succeed(&[&train[..], extra].concat());
}

fn student(place: &Place) -> Tensors {
    tensors_of(&place.path("run/student/model.safetensors"))
}

/// Top-1 and loss on `pictures`.
fn measured(place: &Place, arguments: &[&str]) -> [f64; 2] {
    let eval = [&["eval", "pictures", "--json"][..], arguments].concat();
    let found = json(&place.succeed(&eval));
    ["top1", "loss"].map(|key| found[key].as_f64().unwrap())
}

const PLAIN: [&str; 4] = ["--model-name", "resnet8", "--normalisation", EYES];

fn plain<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--model", file][..], &PLAIN, more].concat()
}

#[test]
fn a_plain_weights_file_does_all_that_its_run_does() {
    let place = Place::new();
    trained(&place, "resnet8", &[]);
    place.write("plain.pth", torch_file(&Item::Tensors(student(&place))));
    let run = measured(&place, &["--model", "run"]);
    assert_eq!(measured(&place, &plain("plain.pth", &[])), run);
    let words = ["--normalisation", "imagenet", "MEAN/STD"];
    place.fail(
        &[
            "eval",
            "pictures",
            "--model",
            "plain.pth",
            "--model-name",
            "resnet8",
        ],
        USAGE,
        &words,
    );
    place.fail(
        &["eval", "pictures", "--model", "plain.pth"],
        USAGE,
        &["--model-name", "--teacher-model"],
    );
    let wrong = ["--model-name", "resnet8", "--normalisation", "0.5,0.5/1"];
    let eval = [&["eval", "pictures", "--model", "plain.pth"][..], &wrong].concat();
    place.fail(&eval, USAGE, &["2 numbers", "3 channel"]);

    // Nothing is known of the data here: the number of classes is the file's.
    place.write("classes.txt", "anna\nberta\nclara\n");
    let label = |arguments: &[&str]| {
        let predict = [
            "predict",
            "pictures/test/class1",
            "--json",
            "--logits",
            "--top",
            "all",
        ];
        json(&place.succeed(&[&predict[..], arguments].concat()))
    };
    let by_run = label(&["--model", "run"]);
    let named = label(&plain(
        "plain.pth",
        &["--size", "8", "--classes", "classes.txt"],
    ));
    let names = ["class0", "class1", "class2"]
        .into_iter()
        .zip(["anna", "berta", "clara"]);
    let text = names.fold(by_run.to_string(), |text, (own, given)| {
        text.replace(&format!("\"{own}\""), &format!("\"{given}\""))
    });
    assert_eq!(named.to_string(), text);
    assert_eq!(by_run[0]["labels"].as_array().unwrap().len(), 3);
    place.write("short.txt", "anna\nberta\n");
    let short = plain("plain.pth", &["--classes", "short.txt"]);
    let predict = [&["predict", "pictures/test/class1"][..], &short].concat();
    place.fail(&predict, USAGE, &["names 2 classes", "has 3"]);

    let inspect = [
        "inspect",
        "plain.pth",
        "resnet8",
        "--data",
        "pictures",
        "--json",
    ];
    let found = json(&place.succeed(&[&inspect[..], &PLAIN].concat()));
    assert!(found["hints"]["groups"].is_array());
    assert_eq!(found["teacher"]["classes"], 3);
}

#[test]
fn a_plain_weights_file_teaches_as_its_run_does() {
    let place = Place::new();
    trained(&place, "resnet8", &[]);
    place.write("plain.pth", torch_file(&Item::Tensors(student(&place))));
    place.write("classes.json", r#"["class0", "class2", "class1"]"#);
    let distill = |out: &str, teacher: &[&str]| {
        let common = [
            "distill",
            "pictures",
            "--student",
            "resnet8",
            "--epochs",
            "1",
            "--batch",
            "8",
            "--threads",
            "1",
            "--json",
            "--out",
            out,
        ];
        let finished = place.run(&[&common[..], teacher].concat());
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        (
            json(&finished.stdout)["teacher"]["top1"].clone(),
            finished.stderr,
        )
    };
    let (right, _) = distill("by-run", &["--teacher", "run"]);
    let flags = [
        "--teacher",
        "plain.pth",
        "--teacher-model",
        "resnet8",
        "--teacher-normalisation",
        EYES,
    ];
    let (same, said) = distill("by-file", &flags);
    assert_eq!(right, same);
    assert!(
        said.contains("8×8 pixels") && said.contains("--teacher-size"),
        "{said}"
    );
    assert!(
        !said.contains("does not tell how its images were normalised"),
        "{said}"
    );
    let bytes = |out: &str| support::bytes(&place.path(out).join("student/model.safetensors"));
    assert!(
        bytes("by-run") == bytes("by-file"),
        "the same teacher gives the same student"
    );
    // The resolved recipe says it all again.
    let recipe = place.path("by-file/recipe.toml");
    let (again, _) = distill("again", &["--recipe", text(&recipe)]);
    assert_eq!(right, again);
    let plain = ["--teacher", "plain.pth", "--teacher-model", "resnet8"];
    let (_, said) = distill("unsaid", &plain);
    assert!(
        said.contains("does not tell how its images were normalised"),
        "{said}"
    );
    assert!(said.contains("--teacher-normalisation"), "{said}");
    let moved = [
        &["distill", "pictures", "--student", "resnet8"][..],
        &plain,
        &["--teacher-classes", "classes.json"],
    ];
    place.fail(
        &moved.concat(),
        USAGE,
        &[
            "the data's classes in another order",
            "`class2` is its class 1 and the data's 2",
        ],
    );
    place.fail(
        &[
            "distill",
            "pictures",
            "--student",
            "resnet8",
            "--teacher",
            "run",
            "--set",
            "teacher.normalisation=half",
        ],
        USAGE,
        &["tells its own normalisation"],
    );
    place.fail(
        &[
            "distill",
            "pictures",
            "--student",
            "resnet8",
            "--teacher",
            "run",
            "--set",
            "teacher.normalisation=imagenett",
        ],
        USAGE,
        &["teacher.normalisation", "imagenett"],
    );
    let cache = [
        "cache",
        "build",
        "pictures",
        "--views",
        "1",
        "--quiet",
        "--out",
        "cache",
        "--threads",
        "1",
    ];
    place.succeed(&[&cache[..], &flags].concat());
    let verify = [
        "cache",
        "verify",
        "cache",
        "--data",
        "pictures",
        "--samples",
        "4",
    ];
    place.succeed(&[&verify[..], &flags].concat());
}

#[test]
fn every_wrapping_of_a_state_dict_is_seen_through() {
    let place = Place::new();
    trained(&place, "resnet8", &[]);
    let own = student(&place);
    let right = measured(&place, &["--model", "run"]);
    let dictionary = Item::Dictionary;
    let tensors = || Item::Tensors(own.clone());
    let junk = || Item::Tensors(zeros(&own));
    let wrapped = |prefix: &str| Item::Tensors(prefixed(&own, prefix));
    let mut uncounted = own.clone();
    uncounted.retain(|(name, ..)| !name.ends_with("num_batches_tracked"));
    let files = [
        ("module.pth", wrapped("module.")),
        ("compiled.pth", wrapped("_orig_mod.")),
        ("both.pth", wrapped("module._orig_mod.")),
        (
            "lightning.pth",
            dictionary(vec![("state_dict", wrapped("model."))]),
        ),
        ("backbone.pth", wrapped("backbone.")),
        ("own_name.pth", wrapped("classifier_net.")),
        ("uncounted.pth", Item::Tensors(uncounted)),
        (
            "checkpoint.pth",
            dictionary(vec![
                ("state_dict", wrapped("module.")),
                ("epoch", Item::Whole(240)),
            ]),
        ),
        (
            "net.pth",
            dictionary(vec![("net", tensors()), ("epoch", Item::Whole(3))]),
        ),
        (
            "msd.pth",
            dictionary(vec![
                ("model_state_dict", tensors()),
                ("epoch", Item::Whole(3)),
            ]),
        ),
        (
            "timm.pth",
            dictionary(vec![("state_dict", junk()), ("state_dict_ema", tensors())]),
        ),
        (
            "model_ema.pth",
            dictionary(vec![("model", junk()), ("model_ema", tensors())]),
        ),
    ];
    for (name, item) in files {
        place.write(name, torch_file(&item));
        assert_eq!(measured(&place, &plain(name, &[])), right, "{name}");
    }
    let eval = |more: &[&str]| {
        place
            .run(&[&["eval", "pictures"][..], &plain("timm.pth", more)].concat())
            .stderr
    };
    let said = eval(&[]);
    assert!(
        said.contains("`state_dict_ema` were read") && said.contains("--weights-key"),
        "{said}"
    );
    assert!(eval(&["--weights-key", "state_dict"]).contains("`state_dict` were read"));
    assert_ne!(
        measured(&place, &plain("timm.pth", &["--weights-key", "state_dict"])),
        right
    );
    place.fail(
        &[
            &["eval", "pictures"][..],
            &plain("timm.pth", &["--weights-key", "ema"]),
        ]
        .concat(),
        FAILED,
        &["under `ema`", "state_dict_ema"],
    );

    let mut pair = prefixed(&own, "student.");
    pair.extend(prefixed(&zeros(&own), "teacher."));
    place.write(
        "pair.pth",
        torch_file(&dictionary(vec![("state_dict", Item::Tensors(pair))])),
    );
    place.fail(
        &[&["eval", "pictures"][..], &plain("pair.pth", &[])].concat(),
        FAILED,
        &["below student, teacher", "--weights-key"],
    );
    assert_eq!(
        measured(&place, &plain("pair.pth", &["--weights-key", "student"])),
        right
    );
}

#[test]
fn a_weights_file_is_built_for_its_own_images() {
    let place = Place::new();
    trained(&place, "vit_nano_patch4", &[]);
    place.write("vit.pth", torch_file(&Item::Tensors(student(&place))));
    let dry = |arguments: &[&str]| {
        let common = [
            "distill",
            "pictures",
            "--student",
            "resnet8",
            "--dry-run",
            "--threads",
            "1",
        ];
        let finished = place.run(&[&common[..], arguments].concat());
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        finished.stderr
    };
    let vit = [
        "--teacher",
        "vit.pth",
        "--teacher-model",
        "vit_nano_patch4",
        "--set",
        "augment.size=[16,16]",
    ];
    let said = dry(&vit);
    assert!(
        said.contains("8×8 pixels, as its positional embedding tells"),
        "{said}"
    );
    // A network for large images is built for those that it is meant for, not for the student's.
    let input = InputShape {
        channels: 3,
        height: 64,
        width: 64,
        classes: 3,
    };
    let large = model::build("mobilenet_v2", input, 0, &Device::flex(), DType::F32).unwrap();
    save_safetensors(
        &large.store,
        &place.path("large.safetensors"),
        &Default::default(),
    )
    .unwrap();
    let large = [
        "--teacher",
        "large.safetensors",
        "--teacher-model",
        "mobilenet_v2",
        "--teacher-normalisation",
        "imagenet",
    ];
    let said = dry(&large);
    assert!(
        said.contains("224×224 pixels, as its model is meant for"),
        "{said}"
    );
    let said = dry(&[&large[..], &["--teacher-size", "96"]].concat());
    assert!(!said.contains("pixels"), "{said}");
    let inspect = [
        "inspect",
        "large.safetensors",
        "--model-name",
        "mobilenet_v2",
        "--json",
    ];
    assert_eq!(json(&place.succeed(&inspect))["input"][1], 224);
    let smaller = json(&place.succeed(&[&inspect[..], &["--input", "3x96x96"]].concat()));
    assert_eq!(smaller["input"][1], 96);
    place.fail(
        &["inspect", "run", "--input", "3x96x96"],
        USAGE,
        &["image size"],
    );
}

/// Wide pictures that tell their class at their edges alone, which a crop of the middle loses.
fn edges(place: &Place) {
    for part in ["train", "test"] {
        for class in 0..2 {
            for image in 0..16 {
                let mut bytes = b"P6\n24 8\n255\n".to_vec();
                for pixel in 0..24 * 8 {
                    let is_edge = !(5..19).contains(&(pixel % 24));
                    let shade = if is_edge && class == 1 { 240 } else { 20 };
                    bytes.extend([shade, (image * 15) as u8, 90]);
                }
                place.write(&format!("edges/{part}/class{class}/{image}.ppm"), bytes);
            }
        }
    }
}

#[test]
fn a_model_is_tested_with_the_eyes_it_was_trained_with() {
    let place = Place::new();
    edges(&place);
    let train = [
        "train",
        "edges",
        "--model",
        "resnet8",
        "--epochs",
        "6",
        "--batch",
        "8",
        "--threads",
        "1",
        "--quiet",
        "--json",
        "--out",
        "run",
        "--set",
        "augment.size=[8,8]",
        "--set",
        "augment.fit=stretch",
        "--set",
        "augment.fit_share=0.9",
    ];
    let run = json(&place.succeed(&train));
    assert_eq!(run["student"]["top1"][0], 100.0);
    let eval = ["eval", "edges", "--model", "run", "--json"];
    assert_eq!(json(&place.succeed(&eval))["top1"], 100.0);
    let predict = ["predict", "edges/test/class1/3.ppm", "--model", "run"];
    assert!(place.succeed(&predict).contains("class1"));
    // A student sees them as its teacher did, unless it is told otherwise.
    let distill = [
        "distill",
        "edges",
        "--teacher",
        "run",
        "--student",
        "resnet8",
        "--dry-run",
        "--set",
        "augment.size=[8,8]",
    ];
    let recipe = place.succeed(&distill);
    assert!(
        recipe.contains("fit = \"stretch\"") && recipe.contains("fit_share = 0.9"),
        "{recipe}"
    );
    place.succeed(&[
        "cache",
        "build",
        "edges",
        "--teacher",
        "run",
        "--views",
        "1",
        "--threads",
        "1",
        "--quiet",
        "--set",
        "augment.size=[8,8]",
        "--out",
        "cache",
    ]);
    let stored = [
        "distill",
        "edges",
        "--teacher",
        "cache:cache",
        "--student",
        "resnet8",
    ];
    let recipe = place.succeed(&[&stored[..], &["--dry-run"]].concat());
    assert!(recipe.contains("fit = \"stretch\""), "{recipe}");
    let other = place.run(&[&distill[..], &["--set", "augment.fit=cover"]].concat());
    assert!(other.stdout.contains("fit = \"cover\""), "{}", other.stdout);
    assert!(
        other.stderr.contains("`stretch` (0.9 of the side)"),
        "{}",
        other.stderr
    );
}

#[test]
fn what_a_start_leaves_fresh_or_resizes_is_said() {
    let place = Place::new();
    trained(&place, "vit_nano_patch4", &[]);
    let start = |data: &str, size: &str| {
        let size = format!("augment.size=[{size},{size}]");
        let train = [
            "train",
            data,
            "--model",
            "vit_nano_patch4",
            "--weights",
            "run/student/model.safetensors",
            "--dry-run",
            "--set",
            &size,
        ];
        let finished = place.run(&train);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        finished.stderr
    };
    let said = start("pictures", "8");
    assert!(!said.contains("start:"), "{said}");
    place.class_folders("more", 5, 12);
    let said = start("more", "16");
    for words in [
        "2 of the classifier are freshly drawn (head.bias, head.weight): it knows 3 classes, the student 5",
        "1 resized: pos_embed",
        "8×8 pixels, the student sees 16×16",
    ] {
        assert!(said.contains(words), "no `{words}` in {said}");
    }
}

#[test]
fn predictions_come_in_the_form_that_is_asked_for() {
    let place = Place::new();
    trained(&place, "resnet8", &[]);
    let predict = ["predict", "pictures/test/class0/1.ppm", "--model", "run"];
    let with = |more: &[&str]| place.succeed(&[&predict[..], more].concat());
    assert_eq!(with(&["--json"]), with(&["--format", "json"]));
    assert!(
        json(&with(&["--json"]))[0]["labels"][0]
            .get("logit")
            .is_none()
    );
    let rows = with(&["--top", "all", "--logits"]);
    let mut lines = rows.lines();
    assert_eq!(lines.next(), Some("image,rank,label,probability,logit"));
    let numbers: Vec<[f64; 2]> = lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            [3, 4].map(|index| fields[index].parse().unwrap())
        })
        .collect();
    assert_eq!(numbers.len(), 3);
    let sum: f64 = numbers.iter().map(|[_, logit]| logit.exp()).sum();
    for [probability, logit] in numbers {
        assert!((probability - logit.exp() / sum).abs() < 1e-4);
    }
    for top in ["0", "some", "-1"] {
        let top = format!("--top={top}");
        place.fail(&[&predict[..], &[&top]].concat(), USAGE, &["--top"]);
    }
}

#[test]
fn a_student_of_a_files_blocks_is_a_plain_file_and_needs_no_labels() {
    let place = Place::new();
    trained(&place, "vit_nano_patch4", &[]);
    let teacher = student(&place);
    place.write("vit.pth", torch_file(&Item::Tensors(teacher.clone())));
    for class in 0..3 {
        for image in 0..12 {
            let picture = format!("pictures/train/class{class}/{image}.ppm");
            let bytes = std::fs::read(place.path(&picture)).unwrap();
            place.write(&format!("unlabelled/{class}-{image}.ppm"), bytes);
        }
    }
    let distill = |student: &'static str, more: &[&'static str]| {
        let all = [
            "distill",
            "unlabelled",
            "--teacher",
            "vit.pth",
            "--teacher-model",
            "vit_nano",
            "--teacher-normalisation",
            EYES,
            "--method",
            "wecolora",
            "--student",
            student,
            "--epochs",
            "2",
            "--batch",
            "8",
            "--threads",
            "1",
            "--quiet",
        ];
        [&all[..], more].concat()
    };
    // Several seeds read what is stored of the teacher, to the bits that it gives itself.
    for (out, shared) in [("stored", None), ("asked", Some("teacher.shared=[]"))] {
        let seen = ["--set", "data.view_seed=0", "--set", "data.views=2"];
        let mut more = vec!["--seeds", "2", "--out", out];
        more.extend(seen);
        more.extend(shared.iter().flat_map(|shared| ["--set", *shared]));
        place.succeed(&distill("vit_nano_d3", &more));
    }
    let left = |run: &str| tensors_of(&place.path(&format!("{run}/student/model.safetensors")));
    let found = left("stored");
    assert!(found == left("asked"));
    let find = |tensors: &Tensors, name: &str| {
        let found = tensors.iter().find(|(found, ..)| found == name);
        found.cloned().unwrap_or_else(|| panic!("no {name}"))
    };
    let expected = teacher.iter().filter(|(name, ..)| {
        let block = name.strip_prefix("blocks.").map(|rest| &rest[..1]);
        block.is_none_or(|block| "012".contains(block))
    });
    assert_eq!(expected.count(), found.len());
    let adapted = |name: &str| name.contains("attn.") || name.contains("mlp.");
    for (name, shape, numbers) in &found {
        let source = match name.strip_prefix("blocks.") {
            None => name.clone(),
            Some(rest) => {
                let block: usize = rest[..1].parse().unwrap();
                format!("blocks.{}{}", 2 * block, &rest[1..])
            }
        };
        let (_, own, copied) = find(&teacher, &source);
        assert_eq!(shape, &own, "{name}");
        // The student's images are normalised by what was measured of them, the teacher's by EYES.
        if name.starts_with("patch_embed") {
            continue;
        }
        let changed = adapted(name) && name.ends_with("weight");
        assert_eq!(numbers != &copied, changed, "{name}");
    }
    let eval = json(&place.succeed(&["eval", "pictures", "--model", "stored", "--json"]));
    assert_eq!(eval["model"], "vit_nano_patch4_d3", "{eval}");

    for (student, more, words) in [
        ("vit_nano", &[][..], &["6 blocks", "vit_nano_patch4_d3"][..]),
        ("resnet8", &[], &["`resnet8` has none such"]),
        (
            "vit_nano_d3",
            &["--weights", "vit.pth"],
            &["vit.pth", "blocks.3"],
        ),
        (
            "vit_nano_d3",
            &["--weights", "stored/student/model.safetensors"],
            &["student.weights"],
        ),
        (
            "vit_nano_d3",
            &["--set", "train.average=0.9"],
            &["train.average", "end of each epoch"],
        ),
        ("vit_nano_d4", &[], &["3, 2, 1"]),
    ] {
        let more = [&["--out", "refused", "--dry-run"][..], more].concat();
        let arguments = distill(student, &more);
        let finished = place.run(&arguments);
        assert_ne!(finished.code, 0, "{arguments:?}");
        for word in words {
            assert!(
                finished.stderr.contains(word),
                "{word}: {}",
                finished.stderr
            );
        }
    }
    let few: Tensors = teacher
        .into_iter()
        .filter(|(name, ..)| !name.contains("fc1"))
        .collect();
    place.write("vit.pth", torch_file(&Item::Tensors(few)));
    let missing = distill("vit_nano_d3", &["--out", "refused"]);
    place.fail(&missing, FAILED, &["blocks.0.mlp.fc1.weight"]);
}

#[test]
fn stored_outputs_give_no_blocks_to_copy() {
    let place = Place::new();
    trained(&place, "vit_nano_patch4", &[]);
    let build = [
        "cache",
        "build",
        "pictures",
        "--teacher",
        "run",
        "--taps",
        "block5",
    ];
    let more = [
        "--epochs",
        "1",
        "--threads",
        "1",
        "--quiet",
        "--out",
        "stored",
    ];
    place.succeed(&[&build[..], &more].concat());
    let distill = [
        "distill",
        "pictures",
        "--teacher",
        "cache:stored",
        "--method",
        "wecolora",
    ];
    let more = ["--student", "vit_nano_d3", "--out", "refused"];
    let arguments = [&distill[..], &more].concat();
    let finished = place.run(&arguments);
    assert_ne!(finished.code, 0);
    let said = "stored outputs hold none of them; give the teacher itself";
    assert!(finished.stderr.contains(said), "{}", finished.stderr);
}

#[test]
fn an_official_checkpoint_of_a_detector_tells_its_network_classes_and_anchors() {
    let place = Place::new();
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../limbeck-nn/tests/weights/yolov5_release6.pt"
    );
    let found = json(&place.succeed(&["inspect", file, "--input", "3x64x64", "--json", "--quiet"]));
    assert_eq!(found["model"], "yolov5n_x0.03125");
    assert_eq!(found["task"], "detection");
    assert_eq!(found["classes"], 2);
    assert_eq!(found["input"], serde_json::json!([3, 64, 64]));
    let finest = serde_json::json!({ "stride": 8, "sizes": [[4.0, 5.0], [6.0, 10.0], [9.0, 7.0]] });
    assert_eq!(found["anchors"][0], finest);
    let said = place.succeed(&["inspect", file]);
    assert!(said.contains("4×5, 6×10, 9×7 pixels"), "{said}");
}
