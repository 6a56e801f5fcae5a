//! Whether a teacher's maps are worth storing: what it takes to ask for them again, next to what it takes to write them
//! once and to read them for every student, measured on the spot.

use std::{
    fs::File,
    hint::black_box,
    io::{Read, Write},
    path::Path,
    time::Instant,
};

use burn::tensor::Tensor;
use limbeck_nn::{Network, Taps};

use crate::TrainError;

/// Pixels of the batch that is asked for, at the most.
const PIXELS: usize = 1 << 18;
/// Images of it, at the most.
const IMAGES: usize = 64;
/// Times that each is measured; the least time counts.
const ROUNDS: usize = 3;
/// Bytes that are written and read at the least: fewer measure how long the disk takes to say that it is done.
const BYTES: u64 = 16 << 20;
/// Where they are, in the folder of the run.
const FILE: &str = ".measured-storage";

/// Seconds that one image takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StorageCosts {
    /// The teacher's forward pass.
    pub asking: f64,
    /// To write what it gives out, until it is on the disk.
    pub writing: f64,
    /// To read that.
    pub reading: f64,
}

impl StorageCosts {
    /// Measures all three for outputs of `bytes` an image, on the disk of `folder`.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn measure(
        teacher: &Network,
        outputs: &[String],
        size: [usize; 2],
        bytes: u64,
        folder: &Path,
    ) -> Result<Self, TrainError> {
        let (writing, reading) = of_disk(&folder.join(FILE), bytes)?;
        Ok(Self {
            asking: of_teacher(teacher, outputs, size),
            writing,
            reading,
        })
    }

    /// Whether to store is quicker than to ask for each of `students`.
    pub fn pays(&self, students: usize) -> bool {
        let students = students as f64;
        self.asking + self.writing + students * self.reading < students * self.asking
    }
}

fn of_teacher(teacher: &Network, outputs: &[String], size: [usize; 2]) -> f64 {
    let [height, width] = size;
    let images = (PIXELS / (height * width).max(1)).clamp(1, IMAGES);
    let store = &teacher.store;
    let shape = [images, teacher.input().channels, height, width];
    let batch: Tensor<4> = Tensor::zeros(shape, (store.device(), store.dtype()));
    let taps = Taps::from_iter(outputs);
    let least = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            black_box(teacher.evaluate(batch.clone(), &taps));
            begun.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    least / images as f64
}

/// Seconds to write and to read `bytes`.
fn of_disk(file: &Path, bytes: u64) -> Result<(f64, f64), TrainError> {
    let all = bytes.max(BYTES);
    let share = bytes as f64 / all as f64;
    let written = vec![1u8; all as usize];
    let mut read = Vec::with_capacity(written.len());
    let (mut writing, mut reading) = (f64::INFINITY, f64::INFINITY);
    let failed = || TrainError::io(file);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut out = File::create(file).map_err(failed())?;
        out.write_all(&written).map_err(failed())?;
        out.sync_all().map_err(failed())?;
        writing = writing.min(begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        read.clear();
        let mut back = File::open(file).map_err(failed())?;
        back.read_to_end(&mut read).map_err(failed())?;
        black_box(&read);
        reading = reading.min(begun.elapsed().as_secs_f64());
    }
    std::fs::remove_file(file).map_err(failed())?;
    Ok((writing * share, reading * share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_store_pays_where_asking_takes_longer_than_reading_for_enough_students() {
        let costs = StorageCosts {
            asking: 1.0,
            writing: 2.0,
            reading: 0.5,
        };
        assert!(!costs.pays(1) && !costs.pays(6));
        assert!(costs.pays(7));
        let dear = StorageCosts {
            reading: 1.1,
            ..costs
        };
        assert!(!dear.pays(1000));
    }

    #[test]
    fn what_is_measured_leaves_nothing_behind_and_grows_with_the_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        let (writing, reading) = of_disk(&file, 1000).unwrap();
        let (much, back) = of_disk(&file, 64 << 20).unwrap();
        assert!(0.0 < writing && writing < much && 0.0 < reading && reading < back);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        assert!(of_disk(&folder.path().join("none/file"), 1000).is_err());
    }
}
