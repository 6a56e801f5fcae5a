//! Choices by made-up measurements, and real trainings arranged in every way.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{limits::Limits, *};
use crate::{
    experiment::{Plan, RunEnd, execute},
    observer::{Moment, Silent},
    recipe::{Recipe, SideBySide},
    run_folder::RunFolder,
};

/// Two trainings and a folder to note the choice in.
struct Scene {
    folder: RunFolder,
    _place: TempDir,
    at: Instant,
}

impl Scene {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        Self {
            folder: RunFolder::create(Some(&place.path().join("run")), "run").unwrap(),
            _place: place,
            at: Instant::now(),
        }
    }

    fn auto(&self, threads: usize) -> Choice<'_> {
        Choice::new(SideBySide::Auto, 2, threads, &self.folder, None)
    }

    /// Lets each of `jobs` make steps of `ms`, at most 300, until all are to stop; whether they are.
    fn go_on(
        choice: &mut Choice<'_>,
        at: &mut Instant,
        from: usize,
        jobs: &[&str],
        ms: u64,
    ) -> bool {
        for step in from..from + 300 {
            *at += Duration::from_millis(ms);
            for &job in jobs {
                let moment = Moment {
                    job: job.to_owned(),
                    epoch: 1,
                    epochs: 10,
                    step: step + 1,
                    steps: 1000,
                    ..Moment::default()
                };
                if choice.step(&moment, *at, &mut Silent).unwrap() {
                    return true;
                }
            }
        }
        false
    }
}

/// What is chosen where a step takes `alone` milliseconds, and `side` next to another one: trainings at a
/// time.
fn chosen(alone: u64, side: u64) -> (usize, String) {
    let scene = Scene::new();
    let mut at = scene.at;
    let mut choice = scene.auto(2);
    assert_eq!(choice.begin(2), 1);
    let stops = Scene::go_on(&mut choice, &mut at, 0, &["a"], alone);
    if stops {
        choice.job_end("a");
        assert_eq!(choice.begin(2), 2);
        let stops = Scene::go_on(&mut choice, &mut at, 300, &["a", "b"], side);
        assert_eq!(stops, choice.at_a_time() == 1);
    }
    let found = (choice.at_a_time(), choice.told().unwrap().to_owned());
    // A run that goes on does as it has done.
    if stops {
        let again = scene.auto(2);
        assert_eq!(again.at_a_time(), found.0);
        assert_eq!(again.told(), Some(&found.1[..]));
        assert_eq!(scene.auto(3).at_a_time(), 1);
        assert!(scene.auto(3).told().is_none());
    }
    found
}

#[test]
fn trainings_go_on_side_by_side_where_that_is_measured_to_be_faster() {
    let (trainings, why) = chosen(20, 28);
    assert_eq!(trainings, 2);
    assert!(why.contains("1.43 times as fast"), "{why}");
    let (trainings, why) = chosen(20, 40);
    assert_eq!(trainings, 1);
    assert!(why.contains("1.00 times as fast"), "{why}");
    let (trainings, why) = chosen(20, 50);
    assert_eq!(trainings, 1);
    assert!(why.contains("0.80 times as fast"), "{why}");
    // Of 10,000 steps each.
    let (trainings, why) = chosen(1, 1);
    assert_eq!(trainings, 1);
    assert!(why.contains("too short"), "{why}");
}

#[test]
fn nothing_is_measured_where_there_is_nothing_to_choose() {
    let scene = Scene::new();
    let new =
        |asked, trainings, threads| Choice::new(asked, trainings, threads, &scene.folder, None);
    for (asked, trainings, threads, expected) in [
        (SideBySide::Auto, 1, 8, 1),
        (SideBySide::Auto, 8, 1, 1),
        (SideBySide::Count(1), 8, 8, 1),
        (SideBySide::Count(3), 8, 8, 3),
    ] {
        let mut choice = new(asked, trainings, threads);
        assert_eq!(choice.begin(trainings), expected);
        let mut at = scene.at;
        assert!(!Scene::go_on(&mut choice, &mut at, 0, &["a"], 20));
        assert_eq!(choice.told().is_some(), expected > 1);
    }
    let mut choice = new(SideBySide::Count(3), 8, 8);
    assert_eq!(choice.begin(2), 2);
}

#[test]
fn what_is_left_of_a_training_gets_the_threads_of_those_that_are_done() {
    let scene = Scene::new();
    let mut at = scene.at;
    let mut choice = Choice::new(SideBySide::Count(2), 2, 2, &scene.folder, None);
    assert_eq!(choice.begin(2), 2);
    assert!(!Scene::go_on(&mut choice, &mut at, 0, &["a", "b"], 20));
    choice.job_end("a");
    assert!(!Scene::go_on(&mut choice, &mut at, 300, &["b"], 20));
    choice.lane_is_idle();
    assert!(Scene::go_on(&mut choice, &mut at, 600, &["b"], 20));
    assert_eq!(choice.begin(1), 1);
}

#[test]
fn a_note_that_cannot_be_read_is_as_good_as_none() {
    let scene = Scene::new();
    let file = scene.folder.path().join("side_by_side.json");
    for text in ["", "{", r#"{"threads": 2, "trainings": 0, "why": ""}"#] {
        std::fs::write(&file, text).unwrap();
        let mut choice = scene.auto(2);
        assert!(choice.told().is_none());
        assert_eq!(choice.begin(2), 1);
    }
}

/// A run of two seeds and their baselines on few images, in a folder of its own; every weights file of it.
fn trained(recipe: &Recipe, limits: Option<Limits>) -> (Vec<Vec<u8>>, Option<String>) {
    let place = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(Some(&place.path().join("run")), "run").unwrap();
    let plan = Plan::new(recipe.clone()).unwrap();
    let never = AtomicBool::new(false);
    let told = match limits {
        None => {
            let end = execute(&plan, &folder, "test", &mut Silent, &never).unwrap();
            assert!(matches!(end, RunEnd::Finished(_)));
            None
        }
        Some(limits) => {
            let trainer = Trainer::new(&plan, &folder, &never).unwrap();
            let trainings = plan.beside_teacher().unwrap();
            let lessons = Lessons {
                teacher: None,
                validation_answers: None,
            };
            let threads = rayon::current_num_threads();
            let choice = Choice::new(SideBySide::Auto, trainings.len(), threads, &folder, Some(0));
            let mut choice = choice.within(limits);
            let done = train_all(&trainer, &trainings, lessons, &mut choice, &mut Silent);
            assert_eq!(done.unwrap().unwrap().len(), trainings.len());
            choice.told().map(str::to_owned)
        }
    };
    let jobs = ["student-0", "baseline-0", "student-1", "baseline-1"];
    let files = jobs.map(|job| std::fs::read(folder.job(job).join("last.safetensors")).unwrap());
    (files.to_vec(), told)
}

#[test]
fn trainings_that_are_measured_and_rearranged_end_with_the_same_bits() {
    let mut recipe = Recipe::default();
    recipe.set("data.path=shapes:120").unwrap();
    recipe.set("data.batch=8").unwrap();
    recipe.set("method.name=dml").unwrap();
    recipe.set("train.epochs=3").unwrap();
    recipe.set("train.seeds=2").unwrap();
    recipe.set("train.baseline=true").unwrap();
    recipe.train.side_by_side = SideBySide::Count(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .unwrap();
    pool.install(|| {
        let (expected, _) = trained(&recipe, None);
        let at_once = Limits {
            warm_up: 1,
            least_steps: 2,
            most_steps: 2,
            seconds: 0.0,
            worth: 0.0,
            long_enough: 0.0,
            rearranged: 0.0,
            least_gain: 0.0,
            memory_share: f64::INFINITY,
        };
        let never_faster = Limits {
            least_gain: f64::INFINITY,
            ..at_once
        };
        let no_memory = Limits {
            memory_share: 0.0,
            ..at_once
        };
        for (limits, word) in [
            (at_once, "2 trainings at a time"),
            (never_faster, "one after the other: 2 at a time"),
            (no_memory, "more memory"),
        ] {
            let (files, told) = trained(&recipe, Some(limits));
            let told = told.unwrap();
            assert!(told.contains(word), "{told}");
            assert!(files == expected, "{word}");
        }
    });
}
