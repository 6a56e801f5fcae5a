//! Builds that are killed, that run out of space, or that are not alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use limbeck_cache::{Build, Cache, CacheError, Finisher, Manifest, Share};
use support::{build, built, content, manifest, numbers, plain_manifest, write_shard};

const FOLDER: &str = "LIMBECK_TEST_CACHE";
const PAUSE: &str = "LIMBECK_TEST_PAUSE";

/// A cache of 64 shards, each of 8 KiB.
fn larger_manifest() -> Manifest {
    let mut manifest = plain_manifest();
    manifest.outputs[0].shape = vec![252];
    manifest.shard_records = 8;
    manifest.sections.truncate(1);
    manifest.sections[0].samples = 8 * 64;
    manifest.sections[0].views = 1;
    manifest
}

/// What the processes started by the tests do: they build the larger cache, slowly if asked.
#[test]
#[ignore = "started by the other tests as a process of its own"]
fn child_builds() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let pause = std::env::var(PAUSE).map_or(0, |text| text.parse().unwrap());
    let build = Build::begin(Path::new(&folder), &larger_manifest(), Share::WHOLE).unwrap();
    for plan in build.missing() {
        let Some(mut writer) = build.shard(plan.number).unwrap() else {
            continue;
        };
        for position in plan.positions {
            writer
                .push(&[&numbers(build.manifest(), position, 0)])
                .unwrap();
            std::thread::sleep(Duration::from_micros(pause));
        }
        writer.finish().unwrap();
    }
}

/// `script` is what `sh` does before it becomes the child.
fn child(folder: &Path, pause: u32, script: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    Command::new("sh")
        .args(["-c", &format!("{script} exec \"$0\" \"$@\"")])
        .arg(program)
        .args(["--ignored", "--exact", "child_builds"])
        .env(FOLDER, folder)
        .env(PAUSE, pause.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn whole() -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    built(folder.path(), &larger_manifest());
    content(folder.path())
}

#[cfg(unix)]
#[test]
fn a_killed_build_loses_the_shard_in_progress_at_most() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let finished = |folder: &Path| {
            Cache::open(folder).map_or(0, |cache| 64 - cache.missing_shards().len())
        };
        let before = finished(folder.path());
        let mut child = child(folder.path(), 1000, "");
        let start = Instant::now();
        while finished(folder.path()) < before + 3 {
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let missing = cache.missing_shards();
        for shard in (0..64).filter(|shard| !missing.contains(shard)) {
            assert!(cache.check_shard(shard).unwrap().is_empty());
        }
    }
    build(folder.path(), &larger_manifest(), Share::WHOLE).unwrap();
    assert_eq!(content(folder.path()), whole());
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Build::begin(folder.path(), &manifest(), Share::WHOLE).unwrap();
    let before = content(folder.path());
    let mut writer = begun.shard(3).unwrap().unwrap();
    assert_eq!(writer.positions(), 12..16);
    let outputs: Vec<_> = (0..4).map(|o| numbers(&manifest(), 12, o)).collect();
    let outputs: Vec<&[f32]> = outputs.iter().map(Vec::as_slice).collect();
    writer.push(&outputs).unwrap();
    assert!(begun.shard(3).unwrap().is_none(), "it is in other hands");
    let error = writer.finish().unwrap_err();
    assert!(
        matches!(error, CacheError::Unfinished { given: 1, .. }),
        "{error}"
    );
    assert_eq!(content(folder.path()), before);
    assert_eq!(begun.missing().len(), 8);
}

#[test]
fn a_shard_that_cannot_be_finished_beside_the_next_is_an_error_and_neither_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Build::begin(folder.path(), &larger_manifest(), Share::WHOLE).unwrap();
    let filled = |number, records| {
        let mut writer = begun.shard(number).unwrap().unwrap();
        for position in writer.positions().take(records) {
            let numbers = numbers(begun.manifest(), position, 0);
            writer.push(&[&numbers]).unwrap();
        }
        writer
    };
    std::thread::scope(|scope| {
        let mut finisher = Finisher::new(scope);
        finisher.finish(filled(0, 8)).unwrap();
        finisher.finish(filled(1, 7)).unwrap();
        let error = finisher.finish(filled(2, 8)).unwrap_err();
        let expected = matches!(
            error,
            CacheError::Unfinished {
                number: 1,
                given: 7,
                ..
            }
        );
        assert!(expected, "{error}");
        finisher.finish(filled(3, 8)).unwrap();
        finisher.wait().unwrap();
        finisher.wait().unwrap();
    });
    let cache = Cache::open(folder.path()).unwrap();
    let missing = cache.missing_shards();
    assert_eq!(missing[..3], [1, 2, 4]);
    assert_eq!(missing.len(), 62);
    build(folder.path(), &larger_manifest(), Share::WHOLE).unwrap();
    assert_eq!(content(folder.path()), whole());
}

#[test]
fn what_does_not_belong_into_a_record_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Build::begin(folder.path(), &manifest(), Share::WHOLE).unwrap();
    assert!(matches!(
        begun.shard(8).unwrap_err(),
        CacheError::NoShard { .. }
    ));
    let mut writer = begun.shard(7).unwrap().unwrap();
    let good: Vec<_> = (0..4).map(|o| numbers(&manifest(), 28, o)).collect();
    let push = |writer: &mut limbeck_cache::ShardWriter<'_>, outputs: &[Vec<f32>]| {
        let outputs: Vec<&[f32]> = outputs.iter().map(Vec::as_slice).collect();
        writer.push(&outputs)
    };
    let error = push(&mut writer, &good[..3]).unwrap_err();
    assert!(
        matches!(
            error,
            CacheError::Outputs {
                expected: 4,
                found: 3,
                ..
            }
        ),
        "{error}"
    );
    let mut short = good.clone();
    short[1].pop();
    let error = push(&mut writer, &short).unwrap_err();
    assert!(
        matches!(
            error,
            CacheError::Length {
                expected: 6,
                found: 5,
                ..
            }
        ),
        "{error}"
    );
    for (output, value, word) in [
        (0, f32::NAN, "broken"),
        (1, f32::INFINITY, "broken"),
        (2, 70_000.0, "as f32"),
        (3, f32::NEG_INFINITY, "broken"),
    ] {
        let mut bad = good.clone();
        bad[output][1] = value;
        let error = push(&mut writer, &bad).unwrap_err();
        assert!(matches!(error, CacheError::Value { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    push(&mut writer, &good).unwrap();
    let error = push(&mut writer, &good).unwrap_err();
    assert!(
        matches!(error, CacheError::Full { records: 1, .. }),
        "{error}"
    );
    writer.finish().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    assert_eq!(support::decoded(&cache, 28, 1).unwrap(), good[1]);
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_that_says_so_and_leaves_the_finished_shards() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), &larger_manifest(), Share { index: 0, of: 2 }).unwrap();
    let before = content(folder.path());
    // No file may grow beyond 8 blocks of 512 bytes, half a shard.
    let output = child(folder.path(), 0, "trap '' XFSZ; ulimit -f 8;")
        .wait_with_output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(content(folder.path()), before);
    build(folder.path(), &larger_manifest(), Share::WHOLE).unwrap();
    assert_eq!(content(folder.path()), whole());
}

#[cfg(unix)]
#[test]
fn processes_that_build_at_once_share_the_work_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("new/cache");
    let children: Vec<Child> = (0..3).map(|_| child(&place, 100, "")).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    }
    assert_eq!(content(&place), whole());
}

#[test]
fn threads_that_build_at_once_write_every_shard_once() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = larger_manifest();
    let written: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let begun = Build::begin(folder.path(), &manifest, Share::WHOLE).unwrap();
                    let mut written = 0;
                    for plan in begun.missing() {
                        written += usize::from(write_shard(&begun, &plan).unwrap());
                    }
                    written
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(written, 64);
    assert_eq!(content(folder.path()), whole());
}
