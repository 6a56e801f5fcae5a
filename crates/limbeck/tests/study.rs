//! Studies: many trainings of one recipe, in shares, killed, gone on with, added to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use std::process::Child;
use std::time::Duration;

use serde_json::Value;
use support::{Place, bytes};

/// Two methods and a teacher that is trained first, over two seeds.
const STUDY: [&str; 17] = [
    "study",
    "shapes:120",
    "--teacher",
    "resnet14",
    "--student",
    "resnet8",
    "--method",
    "kd,at",
    "--seeds",
    "2",
    "--epochs",
    "1",
    "--batch",
    "20",
    "--threads",
    "1",
    "--quiet",
];

fn study<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&STUDY[..], more].concat()
}

fn results(place: &Place, folder: &str) -> Value {
    serde_json::from_slice(&bytes(&place.path(&format!("{folder}/results.json")))).unwrap()
}

/// What decides: all measures of all runs, by cell and seed.
fn measures(results: &Value) -> Vec<(String, u64, Value)> {
    let cells = results["cells"].as_array().unwrap();
    let runs = cells.iter().flat_map(|cell| {
        let name = cell["name"].as_str().unwrap().to_owned();
        let runs = cell["runs"].as_array().unwrap().iter();
        runs.map(move |run| {
            (
                name.clone(),
                run["seed"].as_u64().unwrap(),
                run["measures"].clone(),
            )
        })
    });
    runs.collect()
}

#[test]
fn methods_are_paired_with_baselines_by_seed_and_the_page_says_what_they_are_worth() {
    let place = Place::new();
    place.succeed(&study(&["--out", "s"]));
    let found = results(&place, "s");
    let names: Vec<&str> = found["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| cell["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["none-resnet8", "kd-resnet8", "at-resnet8"]);
    for cell in found["cells"].as_array().unwrap() {
        assert_eq!(cell["runs"].as_array().unwrap().len(), 2);
        let is_baseline = cell["method"] == "none";
        assert_eq!(cell["compared_with"].is_null(), is_baseline);
        assert_eq!(cell["over_both"].is_null(), is_baseline);
    }
    assert_eq!(found["teachers"][0]["network"], "resnet14");
    let page = String::from_utf8(bytes(&place.path("s/study.html"))).unwrap();
    assert!(page.contains("6 of 6 trainings are done"));
    let table = String::from_utf8(bytes(&place.path("s/results.md"))).unwrap();
    assert!(
        table.contains("| kd | 2 |") && table.contains("| at | 2 |"),
        "{table}"
    );
    let csv = String::from_utf8(bytes(&place.path("s/results.csv"))).unwrap();
    assert!(
        csv.lines().count() == 3 && csv.contains("\nkd-resnet8,kd,resnet8,resnet14,"),
        "{csv}"
    );
    // Each is a run of its own.
    let run = place.path("s/runs/kd-resnet8/seed-1");
    assert!(run.join("report.html").is_file() && run.join("student/model.safetensors").is_file());
    // A cell is made again by the command that the tables have, to the same numbers.
    let command = format!("{} --cell at-resnet8", found["command"].as_str().unwrap());
    assert!(table.contains(&command), "{command} in\n{table}");
    let words = command.replace("NEW_FOLDER", "again --threads 1 --quiet");
    place.succeed(&words.split(' ').skip(1).collect::<Vec<_>>());
    let again = results(&place, "again");
    let names: Vec<&str> = again["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| cell["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["none-resnet8", "at-resnet8"]);
    let (all, few) = (measures(&found), measures(&again));
    assert!(few.len() == 4 && few.iter().all(|run| all.contains(run)));
    place.fail(
        &study(&["--out", "t", "--cell", "kd-resnet9"]),
        2,
        &["no cell `kd-resnet9`", "kd-resnet8, at-resnet8"],
    );

    let status = place.succeed(&["study", "status", "s"]);
    assert!(status.starts_with("6 of 6 trainings are done"), "{status}");
    std::fs::remove_file(place.path("s/study.html")).unwrap();
    place.succeed(&["study", "page", "s"]);
    assert!(
        bytes(&place.path("s/study.html")) == page.as_bytes(),
        "the same page from the same runs"
    );
    // So do results without their runs.
    place.write("kept/results.json", bytes(&place.path("s/results.json")));
    place.succeed(&["study", "page", "kept"]);
    for name in ["study.html", "results.md", "results.csv"] {
        let [kept, made] =
            ["kept", "s"].map(|folder| bytes(&place.path(&format!("{folder}/{name}"))));
        assert!(kept == made, "{name}");
    }
}

/// Times that a share is killed in [`shares_that_are_killed_at_random_find_what_an_undisturbed_study_finds`].
const KILLS: usize = 20;

#[test]
fn shares_that_are_killed_at_random_find_what_an_undisturbed_study_finds() {
    let place = Place::new();
    let study = |more: &[&str]| {
        let mut command = place.command(&["study", "shapes:120", "--teacher", "resnet14"]);
        command.args([
            "--student",
            "resnet8,wrn_16_1",
            "--method",
            "kd,at,rkd,tfkd",
        ]);
        command.args(["--seeds", "3", "--epochs", "1", "--batch", "20"]);
        command.args(["--threads", "1", "--quiet"]).args(more);
        command
    };
    assert!(study(&["--out", "whole"]).status().unwrap().success());
    let begin = |number: usize| -> Child {
        let share = format!("{}/3", number + 1);
        study(&["--out", "shared", "--shard", &share])
            .spawn()
            .unwrap()
    };
    // Three go on at once; one of them is killed every half second or so and begun again: while it plans, in the
    // teacher, in a run, between runs.
    let mut children = [0, 1, 2].map(begin);
    let mut chance = 1u64;
    let mut draw = |below: u64| {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % below
    };
    let mut kills = 0;
    while kills < KILLS {
        std::thread::sleep(Duration::from_millis(100 + draw(800)));
        let number = draw(3) as usize;
        let child = &mut children[number];
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        children[number] = begin(number);
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    place.succeed(&["study", "page", "shared", "--quiet"]);
    let [shared, whole] = ["shared", "whole"].map(|folder| measures(&results(&place, folder)));
    assert_eq!(whole.len(), 30);
    assert_eq!(shared, whole);
}

#[test]
fn seeds_are_added_until_intervals_are_as_narrow_as_was_asked_for() {
    let place = Place::new();
    let seeds = |folder: &str| -> Vec<usize> {
        let found = results(&place, folder);
        let cells = found["cells"].as_array().unwrap().iter();
        cells
            .map(|cell| cell["runs"].as_array().unwrap().len())
            .collect()
    };
    let with = |more: &[&'static str]| study(&[&["--precision"], more].concat());
    place.succeed(&with(&["1000", "--out", "wide"]));
    assert_eq!(seeds("wide"), [2, 2, 2]);
    // Shares wait for each other before they decide.
    let shares: Vec<Child> = ["1/2", "2/2"]
        .iter()
        .map(|share| {
            let arguments = [
                "0.01",
                "--most-seeds",
                "4",
                "--out",
                "narrow",
                "--shard",
                share,
            ];
            place.command(&with(&arguments)).spawn().unwrap()
        })
        .collect();
    for share in shares {
        let output = share.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    place.succeed(&["resume", "narrow", "--threads", "1", "--quiet"]);
    assert_eq!(seeds("narrow"), [4, 4, 4]);
    let asked = String::from_utf8(bytes(&place.path("narrow/study.toml"))).unwrap();
    assert!(asked.contains("seeds = 2\n"), "{asked}");
    for (arguments, word) in [
        (&["0"][..], "half width"),
        (&["0.5", "--most-seeds", "1"], "most_seeds"),
        (&["0.5", "--set", "study.seeds=1"], "no interval"),
    ] {
        place.fail(&study(&[&["--precision"], arguments].concat()), 2, &[word]);
    }
}

#[test]
fn more_methods_and_seeds_are_added_and_nothing_is_trained_twice() {
    let place = Place::new();
    place.succeed(&study(&["--out", "s"]));
    let before = results(&place, "s");
    let old = place.path("s/runs/kd-resnet8/seed-0/results.json");
    let written = std::fs::metadata(&old).unwrap().modified().unwrap();
    place.succeed(&[
        "study",
        "add",
        "s",
        "--method",
        "dkd",
        "--seeds",
        "3",
        "--threads",
        "1",
        "--quiet",
    ]);
    let after = results(&place, "s");
    assert_eq!(measures(&after).len(), 4 * 3);
    let kept = measures(&after);
    assert!(measures(&before).iter().all(|run| kept.contains(run)));
    assert_eq!(
        std::fs::metadata(&old).unwrap().modified().unwrap(),
        written
    );
    place.fail(
        &["study", "add", "s", "--seeds", "2"],
        2,
        &["--seeds 2 is less than the 3"],
    );
}

#[test]
fn a_study_is_planned_before_anything_is_trained() {
    let place = Place::new();
    let planned = place.run(
        &study(&["--dry-run"])[..]
            .iter()
            .copied()
            .filter(|word| *word != "--quiet")
            .collect::<Vec<_>>(),
    );
    assert_eq!(planned.code, 0, "{}", planned.stderr);
    for word in [
        "3 cells of 2 seeds: 6 trainings, after a teacher",
        "2 seeds show a gain of 11.5 standard deviations",
        "about ",
    ] {
        assert!(
            planned.stderr.contains(word),
            "no `{word}` in\n{}",
            planned.stderr
        );
    }
    // What is printed is a recipe that asks for the same.
    place.write("same.toml", &planned.stdout);
    let same = place.succeed(&[
        "study",
        "same.toml",
        "--dry-run",
        "--threads",
        "1",
        "--json",
    ]);
    let same: Value = serde_json::from_str(&same).unwrap();
    assert_eq!(same["trainings"], 6);
    assert_eq!(same["cells"].as_array().unwrap().len(), 3);
    assert!(same["hours"].as_f64().unwrap() > 0.0);
    assert!(!place.path("studies").exists());
}

#[test]
fn cells_are_crossed_left_out_and_set_apart() {
    let place = Place::new();
    let recipe = "[data]\npath = \"shapes:120\"\nbatch = 20\n\n[method.kd]\ntemperature = 3.0\n\n\
                  [study]\nteachers = [\"resnet14\"]\nstudents = [\"resnet8\", \"wrn_16_1\"]\n\
                  methods = [\"kd\", \"at\"]\nshots = [2, 4]\nepochs = [1]\nseeds = 3\n\
                  skip = [{ method = \"at\", student = \"wrn_16_1\" }]\n\n\
                  [[study.set]]\nonly = { method = \"kd\", shots = 4 }\nwith.method.kd.temperature = 7.0\n\n\
                  [study.teacher.train]\nepochs = 2\n";
    place.write("crossed.toml", recipe);
    let found = place.succeed(&[
        "study",
        "crossed.toml",
        "--dry-run",
        "--threads",
        "1",
        "--json",
    ]);
    let found: Value = serde_json::from_str(&found).unwrap();
    let mut names: Vec<&str> = found["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| cell["cell"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "at-resnet8-2shots",
            "at-resnet8-4shots",
            "kd-resnet8-2shots",
            "kd-resnet8-4shots",
            "kd-wrn_16_1-2shots",
            "kd-wrn_16_1-4shots",
            "none-resnet8-2shots",
            "none-resnet8-4shots",
            "none-wrn_16_1-2shots",
            "none-wrn_16_1-4shots",
        ]
    );
    place.write(
        "none.toml",
        recipe.replace("student = \"wrn_16_1\" }]", "student = \"vgg8\" }]"),
    );
    place.fail(
        &["study", "none.toml", "--dry-run"],
        2,
        &["study.skip: no cell is meant by entry 1"],
    );
}

#[test]
fn what_cannot_run_is_said_at_once_and_a_changed_study_is_refused() {
    let place = Place::new();
    let wrong = [
        "study",
        "shapes:120",
        "--teacher",
        "resnet14",
        "--student",
        "resnet8",
        "--method",
        "kd,cwd,cirkd",
        "--epochs",
        "1",
        "--batch",
        "20",
        "--out",
        "s",
    ];
    let told = place.fail(
        &wrong,
        2,
        &["cells of the study cannot run", "cirkd-resnet8: "],
    );
    assert!(
        !told.contains("  kd-resnet8:") && !place.path("s").exists(),
        "{told}"
    );
    let unknown = [
        "study",
        "shapes:120",
        "--student",
        "resnet8",
        "--method",
        "kdd",
        "--out",
        "s",
    ];
    place.fail(&unknown, 2, &["kdd"]);
    place.fail(&["study", "missing.toml"], 2, &["missing.toml"]);
    place.fail(&["study", "status", "."], 2, &["no study's folder"]);
    place.fail(&study(&["--out", "s", "--shard", "4/3"]), 2, &["1/3"]);
    place.fail(&study(&["--shard", "1/3"]), 2, &["--out"]);
    place.fail(&study(&["--seeds", "0"]), 2, &["seeds"]);

    place.write("small.toml", "[data]\npath = \"shapes:60\"\nbatch = 20\n[study]\nstudents = [\"resnet8\"]\nmethods = [\"none\"]\nepochs = [1]\nseeds = 1\n");
    place.succeed(&[
        "study",
        "small.toml",
        "--out",
        "t",
        "--threads",
        "1",
        "--quiet",
    ]);
    place.fail(
        &["study", "small.toml", "--seeds", "2", "--out", "t"],
        2,
        &["another study", "study add"],
    );
    let page = String::from_utf8(bytes(&place.path("t/study.html"))).unwrap();
    assert!(page.contains("One seed proves nothing"));
    // A run that is damaged is made again, one whose recipe was changed is refused.
    place.write("t/runs/none-resnet8/seed-0/results.json", "{");
    place.succeed(&["resume", "t", "--threads", "1", "--quiet"]);
    assert_eq!(measures(&results(&place, "t")).len(), 1);
}

#[test]
fn job_scripts_name_every_share() {
    let place = Place::new();
    let slurm = place.succeed(&["study", "script", "slurm", "some/study", "--shards", "3"]);
    assert!(
        slurm.contains("#SBATCH --array=1-3")
            && slurm.contains("limbeck resume 'some/study' --shard"),
        "{slurm}"
    );
    let parallel = place.succeed(&["study", "script", "parallel", "some/study"]);
    assert!(parallel.contains("seq 4 | parallel"), "{parallel}");
}
