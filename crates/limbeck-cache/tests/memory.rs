//! How much memory a reader needs. A test binary of its own: it counts all that the process
//! allocates. What is mapped is the files' own and no memory of the process.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use limbeck_cache::{Build, Cache, Section, Share};
use peak_alloc::PeakAlloc;
use support::{decoded, plain_manifest, write_shard};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Most kilobytes that are held at once to read every record of a cache of so many shards, and to
/// write it.
fn peaks(shards: u64) -> [f32; 2] {
    let folder = tempfile::tempdir().unwrap();
    let mut manifest = plain_manifest();
    manifest.shard_records = 64;
    manifest.sections = vec![Section {
        name: "train".to_owned(),
        samples: 64,
        views: shards,
    }];
    let written = peak(|| {
        let build = Build::begin(folder.path(), &manifest, Share::WHOLE).unwrap();
        for plan in build.missing() {
            write_shard(&build, &plan).unwrap();
        }
    });
    let read = peak(|| {
        let cache = Cache::open(folder.path()).unwrap();
        for position in 0..cache.records() {
            decoded(&cache, position, 0).unwrap();
        }
    });
    [read, written]
}

fn peak(work: impl FnOnce()) -> f32 {
    let before = ALLOCATOR.current_usage_as_kb();
    ALLOCATOR.reset_peak_usage();
    work();
    ALLOCATOR.peak_usage_as_kb() - before
}

#[test]
fn memory_does_not_grow_with_the_number_of_views() {
    let (few, many) = (peaks(4), peaks(256));
    // A reader knows where each shard is mapped, a writer which ones are missing.
    let allowed = 256.0 * 0.1;
    assert!(
        many[0] < few[0] + allowed,
        "reading holds {} kB with 256 views and {} kB with 16,384",
        few[0],
        many[0]
    );
    assert!(
        many[1] < few[1] + allowed,
        "writing holds {} kB with 256 views and {} kB with 16,384",
        few[1],
        many[1]
    );
}
