//! Asking the teacher again whether a cache holds what it says.

use limbeck_cache::{Cache, Damage, Encoding, Minor};
use limbeck_data::{Purpose, Stream};

use super::{
    CacheContents, CachePlan, answers,
    contents::{LOGITS, images_of},
    fill::Run,
};
use crate::TrainError;

/// How far what is stored is from what the teacher gives out now.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct OutputDifference {
    /// Name of the output. Of logits of which the most probable classes alone are stored,
    /// probabilities are compared.
    pub output: String,
    /// Mean absolute difference.
    pub mean: f64,
    /// Largest absolute difference.
    pub largest: f64,
    /// The largest that the encoding explains.
    pub expected: f64,
}

/// What asking again has shown.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Comparison {
    /// Records that were compared.
    pub records: usize,
    /// Share of them, of maps of their positions, whose most probable class is another one.
    pub other_choice: f64,
    /// One for each output.
    pub outputs: Vec<OutputDifference>,
}

impl Comparison {
    /// Whether every difference is one that the encodings explain.
    pub fn fits(&self) -> bool {
        self.outputs
            .iter()
            .all(|output| output.largest <= output.expected)
    }
}

/// Checks the checksums of all records of the shards that are there, and lists the damage by
/// shard.
///
/// # Errors
/// A file system that refuses.
pub fn damage(
    cache: &Cache,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<(u64, Vec<Damage>)>, TrainError> {
    let missing = cache.missing_shards();
    let mut damaged = Vec::new();
    for number in 0..cache.shards() {
        if missing.binary_search(&number).is_err() {
            let found = cache.check_shard(number)?;
            if !found.is_empty() {
                damaged.push((number, found));
            }
        }
        progress(number + 1, cache.shards());
    }
    Ok(damaged)
}

/// Asks the teacher about `samples` records, drawn at random, and compares.
///
/// # Errors
/// Records that cannot be read, and images likewise.
pub fn compare(plan: &CachePlan, cache: &Cache, samples: usize) -> Result<Comparison, TrainError> {
    if cache.manifest().evaluate.is_some() {
        answers::read(cache.folder(), cache.manifest(), &plan.dataset)?;
    }
    let mut positions = drawn(cache.records(), samples);
    positions.sort_unstable();
    let outputs = &cache.manifest().outputs;
    let mut differences = vec![Difference::default(); outputs.len()];
    let (mut others, mut choices) = (0, 0);
    let mut next = positions.iter();
    for run in runs(plan, &positions)? {
        for answer in run.outputs(plan)? {
            let answer = answer?;
            let batch = images_of(&answer);
            let numbers = CacheContents::numbers(outputs, &answer)?;
            for (row, &position) in next.by_ref().take(batch).enumerate() {
                let record = cache.record(position)?;
                for (index, (output, values)) in outputs.iter().zip(&numbers).enumerate() {
                    let each = output.len();
                    let mut stored = vec![0.0; each];
                    record.decode_with(index, Minor::ClampedAtZero, &mut stored)?;
                    let mut asked = values[row * each..(row + 1) * each].to_vec();
                    if output.name == LOGITS {
                        let positions = each / output.shape.first().copied().unwrap_or(1).max(1);
                        others += other_choices(&asked, &stored, positions);
                        choices += positions as u64;
                        if let Encoding::TopK(k) = output.encoding {
                            keep_most_probable(&mut asked, k, positions);
                        }
                    }
                    differences[index].add(&asked, &stored, output.encoding);
                }
            }
        }
    }
    let found = outputs.iter().zip(differences);
    Ok(Comparison {
        records: positions.len(),
        other_choice: others as f64 / choices.max(1) as f64,
        outputs: found
            .map(|(output, difference)| OutputDifference {
                output: output.name.clone(),
                mean: difference.sum / difference.count.max(1) as f64,
                largest: difference.largest,
                expected: difference.expected,
            })
            .collect(),
    })
}

/// So many positions below `records`, each at most once.
fn drawn(records: u64, samples: usize) -> Vec<u64> {
    let mut stream = Stream::new(0, Purpose::Measure, 0, 0, 0);
    let samples = samples.min(usize::try_from(records).unwrap_or(usize::MAX));
    let mut chosen = std::collections::BTreeSet::new();
    while chosen.len() < samples {
        chosen.insert(stream.below(records as usize) as u64);
    }
    chosen.into_iter().collect()
}

/// The images at `positions`, those of one part and view together.
fn runs(plan: &CachePlan, positions: &[u64]) -> Result<Vec<Run>, TrainError> {
    let mut runs: Vec<Run> = Vec::new();
    for &position in positions {
        let run = Run::at(plan, position, position + 1)?;
        match runs.pop() {
            None => runs.push(run),
            Some(last) => match last.joined(run) {
                Ok(joined) => runs.push(joined),
                Err((last, run)) => runs.extend([last, run]),
            },
        }
    }
    Ok(runs)
}

/// At how many of the positions of two maps `[K, positions]` the largest number is that of another
/// class, the first of equal ones.
fn other_choices(asked: &[f32], stored: &[f32], positions: usize) -> u64 {
    let choice = |values: &[f32], position: usize| {
        let mut best = (0, f32::NEG_INFINITY);
        for (class, &value) in (values.iter().skip(position))
            .step_by(positions.max(1))
            .enumerate()
        {
            if value > best.1 {
                best = (class, value);
            }
        }
        best.0
    };
    let differ = |position: &usize| choice(asked, *position) != choice(stored, *position);
    (0..positions).filter(differ).count() as u64
}

/// Logits `[K, positions]` to what is decoded where the `k` most probable classes of each position alone
/// are stored.
fn keep_most_probable(logits: &mut [f32], k: usize, positions: usize) {
    for position in 0..positions {
        let row = |logits: &mut [f32]| -> Vec<f32> {
            let row = logits.iter().skip(position).step_by(positions.max(1));
            row.copied().collect()
        };
        let mut kept = row(logits);
        keep_of_row(&mut kept, k);
        let places = logits.iter_mut().skip(position).step_by(positions.max(1));
        places.zip(kept).for_each(|(place, value)| *place = value);
    }
}

/// Logits to the probabilities of the `k` most probable classes, and the mean of the others for each of
/// those.
fn keep_of_row(logits: &mut [f32], k: usize) {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f64> = logits
        .iter()
        .map(|logit| f64::from(logit - largest).exp())
        .collect();
    let sum: f64 = exponentials.iter().sum();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| exponentials[b].total_cmp(&exponentials[a]));
    let rest: f64 = order[k..].iter().map(|&index| exponentials[index]).sum();
    let others = (logits.len() - k).max(1) as f64;
    for (rank, index) in order.into_iter().enumerate() {
        let probability = match rank < k {
            true => exponentials[index] / sum,
            false => rest / sum / others,
        };
        logits[index] = probability as f32;
    }
}

/// Differences of one output so far.
#[derive(Clone, Default)]
struct Difference {
    sum: f64,
    largest: f64,
    expected: f64,
    count: u64,
}

impl Difference {
    fn add(&mut self, asked: &[f32], stored: &[f32], encoding: Encoding) {
        let size = asked
            .iter()
            .fold(0.0_f64, |most, value| most.max(f64::from(value.abs())));
        // Kernels of other machines sum in another order: a hundred units in the last place of
        // single precision are no damage. Two numbers that half precision rounds, or the two
        // classes at the border of the most probable ones, may change places.
        let rounding = 1e-5;
        let share = match encoding {
            Encoding::F32 => 0.0,
            Encoding::F16 => 2.0_f64.powi(-11),
            Encoding::I8 => 0.5 / 127.0,
            Encoding::TopK(_) => 2.0_f64.powi(-10),
        };
        self.expected = self.expected.max((rounding + share) * size.max(1e-6));
        for (asked, stored) in asked.iter().zip(stored) {
            let difference = f64::from((asked - stored).abs());
            self.sum += difference;
            self.largest = self.largest.max(difference);
            self.count += 1;
        }
    }
}
