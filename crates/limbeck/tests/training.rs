//! What a training makes of its batches and epochs, and which weights it delivers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use support::{Place, bytes, kill_and_resume, tiny};

/// Trains in the folder `out` with these assignments, and gives standard error.
fn train(place: &Place, out: &str, assignments: &[&str]) -> String {
    let mut arguments = tiny("train", &["--model", "resnet8", "--out", out]);
    arguments.retain(|argument| argument != "--quiet");
    for assignment in assignments {
        arguments.extend(["--set".to_owned(), (*assignment).to_owned()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let finished = place.run(&arguments);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    finished.stderr
}

fn deployed(place: &Place, out: &str) -> Vec<u8> {
    bytes(&place.path(&format!("{out}/student/model.safetensors")))
}

fn kept(place: &Place, out: &str, file: &str) -> Vec<u8> {
    bytes(&place.path(&format!("{out}/jobs/student-0/{file}.safetensors")))
}

#[test]
fn a_group_of_batches_is_the_mean_of_what_it_holds_however_many_were_asked_for() {
    let place = Place::new();
    // 108 images in batches of 20 are 5 batches; a group of 5 and groups cut short are the same.
    for wanted in ["5", "7", "1000"] {
        train(&place, wanted, &[&format!("train.accumulate={wanted}")]);
    }
    train(&place, "single", &[]);
    let whole = kept(&place, "5", "last");
    assert!(whole == kept(&place, "7", "last"));
    assert!(whole == kept(&place, "1000", "last"));
    assert!(whole != kept(&place, "single", "last"));
}

#[test]
fn few_validation_images_deliver_the_last_epoch_and_the_run_says_why() {
    let place = Place::new();
    let told = train(&place, "run", &[]);
    assert!(
        told.contains("the last epoch, since 12 validation images are too few"),
        "{told}"
    );
    assert!(deployed(&place, "run") == kept(&place, "run", "last"));
    let results = std::fs::read_to_string(place.path("run/results.json")).unwrap();
    assert!(results.contains("since 12 validation images are too few"));
    assert!(results.contains("\"chosen_epoch\": 2"));
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    for column in ["Best epoch on validation", "Last epoch on validation"] {
        assert!(page.contains(column), "no `{column}`");
    }
}

#[test]
fn of_epochs_that_are_equally_good_the_one_of_lower_loss_is_the_best() {
    let place = Place::new();
    // 12 validation images: epochs are bound to be equal.
    train(&place, "run", &["train.epochs=12", "train.choose=best"]);
    let read = |file: &str| std::fs::read_to_string(place.path(file)).unwrap();
    let epochs: Vec<(f64, f64)> = read("run/jobs/student-0/metrics.jsonl")
        .lines()
        .map(|line| {
            let epoch: serde_json::Value = serde_json::from_str(line).unwrap();
            let measure = |name: &str| epoch["measures"][name].as_f64().unwrap();
            (measure("validation_top1"), measure("validation_loss"))
        })
        .collect();
    let better = |a: &(f64, f64), b: &(f64, f64)| a.0 > b.0 || a.0 == b.0 && a.1 <= b.1;
    let best = (1..epochs.len()).fold(0, |best, epoch| {
        if better(&epochs[epoch], &epochs[best]) {
            epoch
        } else {
            best
        }
    });
    let equal = epochs.iter().filter(|epoch| epoch.0 == epochs[best].0);
    println!("{} epochs are the best", equal.count());
    let results: serde_json::Value = serde_json::from_str(&read("run/results.json")).unwrap();
    assert_eq!(results["students"][0]["best_epoch"], best + 1, "{epochs:?}");
    assert!(deployed(&place, "run") == kept(&place, "run", "best"));
}

#[test]
fn what_grows_with_the_classes_lies_beside_the_results() {
    let place = Place::new();
    place.class_folders("many", 40, 3);
    let train = ["train", "many", "--model", "resnet8", "--epochs", "1"];
    place.succeed(&[&train[..], &["--threads", "1", "--quiet", "--out", "run"]].concat());
    let read = |file: &str| std::fs::read_to_string(place.path(file)).unwrap();
    let (results, details) = (read("run/results.json"), read("run/details.json"));
    for grows in ["per_class", "confusion"] {
        assert!(!results.contains(grows), "{results}");
        assert!(details.contains(grows), "{details}");
    }
}

#[test]
fn a_recipe_chooses_the_best_epoch_or_the_mean_of_the_last_ones() {
    let place = Place::new();
    // A rate that throws the weights about, so that epochs differ.
    let rate = "optimizer.learning_rate=0.3";
    let epochs = "train.epochs=4";
    train(&place, "best", &[rate, epochs, "train.choose=best"]);
    assert!(deployed(&place, "best") == kept(&place, "best", "best"));
    let mean = [
        rate,
        epochs,
        "train.choose=average",
        "train.choose_epochs=2",
    ];
    let told = train(&place, "mean", &mean);
    assert!(
        told.contains("mean of the weights of the last 2 epochs"),
        "{told}"
    );
    assert!(deployed(&place, "mean") == kept(&place, "mean", "mean"));
    assert!(deployed(&place, "mean") != kept(&place, "mean", "last"));
    assert!(kept(&place, "mean", "last") == kept(&place, "best", "last"));
    place.succeed(&["eval", "shapes:120", "--model", "mean"]);
}

#[test]
fn a_mean_of_epochs_that_is_killed_and_resumed_ends_with_the_same_bits() {
    let place = Place::new();
    let arguments = |out: &str| {
        let mut arguments = tiny("train", &["--model", "resnet8", "--out", out]);
        for assignment in [
            "train.epochs=4",
            "train.choose=average",
            "train.choose_epochs=3",
        ] {
            arguments.extend(["--set".to_owned(), assignment.to_owned()]);
        }
        arguments
    };
    kill_and_resume(&place, arguments, 3);
    assert!(deployed(&place, "undisturbed") == deployed(&place, "killed"));
}

#[test]
fn an_unknown_choice_of_epoch_is_refused_with_what_there_is() {
    let place = Place::new();
    let arguments = tiny(
        "train",
        &["--model", "resnet8", "--set", "train.choose=lucky"],
    );
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    place.fail(&arguments, 2, &["train.choose", "best, last, average"]);
}
