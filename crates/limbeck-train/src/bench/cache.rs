//! How fast stored outputs are written and read.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use limbeck_cache::{
    Build, Cache, CacheError, DataFacts, Encoding, FORMAT, Finisher, Manifest, Output, Section,
    ShardWriter, Share, TeacherFacts, record_bytes, shard_records,
};

use crate::latency::median;

/// Views of the large cache, of which only one shard is there.
const LARGE: u64 = 10_000_000;

/// Rows of made-up logits, used again and again.
const ROWS: usize = 64;

/// What is measured: sparse logits, from logits at hand to a cache on the disk, and back in random
/// order to the probabilities of all classes.
#[derive(Clone, Copy, Debug)]
pub struct CacheBench {
    /// K.
    pub topk: usize,
    /// Classes.
    pub classes: usize,
    /// Records of a run.
    pub records: u64,
    /// Runs.
    pub runs: usize,
    /// Threads that encode, each next to one that waits until the disk has its last shard, and
    /// threads that read.
    pub threads: usize,
}

/// Medians of what was found.
#[derive(Clone, Copy, Debug)]
pub struct CacheTimes {
    /// Records written in a second, up to the last one being whole, synced and named.
    pub written_per_second: f64,
    /// Records read and decoded in a second.
    pub read_per_second: f64,
    /// Bytes on the disk for a view, headers and manifest included.
    pub bytes_per_view: f64,
    /// Milliseconds in which a cache of ten million views is opened and its first record read.
    pub open_ms: f64,
}

impl CacheBench {
    /// Measures in new folders below `place`, which are left to whoever made `place`.
    ///
    /// # Errors
    /// What the store refuses, such as K that is not below the number of classes, or a full disk.
    pub fn run(&self, place: &Path) -> Result<CacheTimes, CacheError> {
        let rows = rows(self.classes);
        let mut times: [Vec<f64>; 3] = Default::default();
        let mut bytes = 0;
        for run in 0..self.runs {
            let folder = place.join(format!("run-{run}"));
            let manifest = self.manifest(self.records);
            let written = seconds(|| self.write(&folder, &manifest, &rows))?;
            let read = seconds(|| self.read(&folder))?;
            bytes = manifest.bytes()?;
            let large = place.join(format!("large-{run}"));
            let opened = self.open_large(&large, &rows)?;
            for (times, time) in times.iter_mut().zip([written, read, opened]) {
                times.push(time);
            }
        }
        let [written, read, opened] = times.map(median);
        Ok(CacheTimes {
            written_per_second: self.records as f64 / written,
            read_per_second: self.records as f64 / read,
            bytes_per_view: bytes as f64 / self.records as f64,
            open_ms: opened * 1e3,
        })
    }

    /// Writes all records, each thread one shard after the other; the disk takes one meanwhile.
    fn write(&self, folder: &Path, manifest: &Manifest, rows: &[f32]) -> Result<(), CacheError> {
        let build = Build::begin(folder, manifest, Share::WHOLE)?;
        on_threads(self.threads, || {
            std::thread::scope(|scope| {
                let mut finisher = Finisher::new(scope);
                for plan in build.missing() {
                    if let Some(shard) = filled(&build, plan.number, rows, self.classes)? {
                        finisher.finish(shard)?;
                    }
                }
                finisher.wait()
            })
        })
    }

    /// Reads as many records as there are, each thread in its own random order.
    fn read(&self, folder: &Path) -> Result<(), CacheError> {
        let cache = Cache::open(folder)?;
        let seeds = AtomicU64::new(1);
        on_threads(self.threads, || {
            let mut state = seeds.fetch_add(1, Ordering::Relaxed);
            let mut probabilities = vec![0.0; self.classes];
            for _ in 0..self.records / self.threads as u64 {
                let position = random(&mut state) % self.records;
                cache.record(position)?.decode(0, &mut probabilities)?;
                std::hint::black_box(&probabilities);
            }
            Ok(())
        })
    }

    /// Seconds of opening the large cache and reading a record in its middle.
    fn open_large(&self, folder: &Path, rows: &[f32]) -> Result<f64, CacheError> {
        let manifest = self.manifest(LARGE);
        let build = Build::begin(folder, &manifest, Share::WHOLE)?;
        let shard = manifest.shards()? / 2;
        if let Some(shard) = filled(&build, shard, rows, self.classes)? {
            shard.finish()?;
        }
        let mut probabilities = vec![0.0; self.classes];
        seconds(|| {
            let cache = Cache::open(folder)?;
            let position = shard * manifest.shard_records;
            cache.record(position)?.decode(0, &mut probabilities)
        })
    }

    /// A cache of sparse logits of `records` views.
    fn manifest(&self, records: u64) -> Manifest {
        let classes: Vec<String> = (0..self.classes).map(|c| format!("class {c}")).collect();
        let outputs = vec![Output {
            name: "logits".to_owned(),
            kind: "vector".to_owned(),
            shape: vec![self.classes],
            encoding: Encoding::TopK(self.topk),
            stride: None,
        }];
        Manifest {
            format: FORMAT,
            limbeck: env!("CARGO_PKG_VERSION").to_owned(),
            teacher: TeacherFacts {
                name: "made up".to_owned(),
                weights_sha256: String::new(),
                mean: vec![0.0; 3],
                std: vec![1.0; 3],
                input: [3, 224, 224],
                params: 0,
                macs: 0,
                anchors: None,
                classes: classes.clone(),
            },
            data: DataFacts {
                name: "made up".to_owned(),
                fingerprint: String::new(),
                split: serde_json::Value::Null,
                classes,
            },
            augment: serde_json::Value::Null,
            evaluate: None,
            view_seed: 0,
            sections: vec![Section {
                name: "train".to_owned(),
                samples: records,
                views: 1,
            }],
            shard_records: shard_records(record_bytes(&outputs), records),
            outputs,
        }
    }
}

/// Does the same on so many threads and waits for all.
fn on_threads(
    threads: usize,
    work: impl Fn() -> Result<(), CacheError> + Sync,
) -> Result<(), CacheError> {
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(&work)).collect();
        let mut found = work();
        for thread in others {
            match thread.join() {
                Ok(result) => found = found.and(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    })
}

/// A shard with all its records from the made-up logits, unless it is in another thread's hands.
fn filled<'a>(
    build: &'a Build,
    number: u64,
    rows: &[f32],
    classes: usize,
) -> Result<Option<ShardWriter<'a>>, CacheError> {
    let Some(mut writer) = build.shard(number)? else {
        return Ok(None);
    };
    for position in writer.positions() {
        let row = (position % ROWS as u64) as usize * classes;
        writer.push(&[&rows[row..row + classes]])?;
    }
    Ok(Some(writer))
}

/// Made-up logits, [`ROWS`] times `classes`: sums of three uniform numbers, about normal with a
/// deviation of 3.
fn rows(classes: usize) -> Vec<f32> {
    let mut state = 0;
    let mut uniform = || (random(&mut state) >> 40) as f32 / (1 << 24) as f32 - 0.5;
    (0..ROWS * classes)
        .map(|_| 6.0 * (uniform() + uniform() + uniform()))
        .collect()
}

/// The next of a row of numbers that look random (SplitMix64: Steele, Lea, Flood, "Fast Splittable
/// Pseudorandom Number Generators", OOPSLA 2014).
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

fn seconds(work: impl FnOnce() -> Result<(), CacheError>) -> Result<f64, CacheError> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}
