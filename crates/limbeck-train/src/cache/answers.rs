//! What a teacher that segments chose for the pictures that are only measured on, kept beside its
//! outputs. Pictures have sizes of their own, so these are no records: a class of each pixel, as runs.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use limbeck_cache::Manifest;
use limbeck_data::{Dataset, Part};
use limbeck_methods::Section;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};

use super::{CachePlan, facts::section_name};
use crate::{
    TrainError,
    evaluate::EvaluationSet,
    files,
    metric::PartAnswers,
    model_source::hex,
    segment::{RunLengths, Segmenter},
};

/// Name of the file in a cache's folder.
const FILE: &str = "answers.safetensors";
/// Key of the metadata that holds the hash of manifest and numbers.
const HASH: &str = "sha256";
/// Bytes of the file at the most: thousands of large pictures take a fraction of it.
const LARGEST: u64 = 1 << 30;

/// What the teacher chose for the pictures of the parts that are measured on.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAnswers {
    validation: PartAnswers,
    test: PartAnswers,
}

impl StoredAnswers {
    /// Whether the cache in `folder` has them; what is in the file is looked at when it is read.
    pub fn are_in(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    /// For the pictures of a part; `None` of those that are trained on.
    pub fn of(&self, section: Section) -> Option<&PartAnswers> {
        match section {
            Section::Train => None,
            Section::Validation => Some(&self.validation),
            Section::Test => Some(&self.test),
        }
    }
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// They are there.
    Whole,
    /// Stopped; nothing is kept.
    Interrupted,
}

/// Asks the teacher about the pictures and writes what it chose into a cache's folder, unless that is
/// there, or `plan` does not want it. `manifest` is the plan's as it is read from the folder.
///
/// # Errors
/// Pictures that cannot be read, outputs that are not finite, a file system that refuses.
pub(super) fn write(
    folder: &Path,
    manifest: &Manifest,
    plan: &CachePlan,
    interrupt: &AtomicBool,
) -> Result<Written, TrainError> {
    if manifest.evaluate.is_none() || read(folder, manifest, &plan.dataset).is_ok() {
        return Ok(Written::Whole);
    }
    let Some(teacher) = plan.teacher.outputs() else {
        return Ok(Written::Whole);
    };
    let (recipe, network) = (&plan.recipe, plan.teacher.network());
    let mut tensors = Vec::new();
    for section in [Section::Validation, Section::Test] {
        let part = part_of(&plan.dataset, section);
        let set = EvaluationSet::of_pixels(
            part.clone(),
            &plan.augment,
            Segmenter::of(recipe),
            recipe.evaluate.boundary,
            recipe.data.workers,
        )?;
        let stoppable = Stoppable { teacher, interrupt };
        let measured = set.of(section).measure_teacher(&stoppable, network);
        if interrupt.load(Ordering::Relaxed) {
            return Ok(Written::Interrupted);
        }
        tensors.extend(as_tensors(section, &measured?.1));
    }
    let path = folder.join(FILE);
    let mut views = Vec::new();
    for (name, kind, shape, bytes) in &tensors {
        let view = TensorView::new(*kind, shape.clone(), bytes);
        views.push((name.as_str(), view.map_err(|error| refused(&path, &error))?));
    }
    let numbers = tensors.iter().map(|(.., bytes)| bytes.as_slice());
    let metadata = [(HASH.to_owned(), hash(manifest, numbers))].into();
    let bytes = safetensors::serialize(views, Some(metadata));
    let bytes = bytes.map_err(|error| refused(&path, &error))?;
    // Another process may be at work on the same cache.
    let _lock = limbeck_cache::lock(folder)?;
    files::write_whole(&path, &bytes)?;
    Ok(Written::Whole)
}

/// What was chosen for the pictures of `dataset`, from the folder of the cache of `manifest`.
///
/// # Errors
/// A file that is missing or damaged, another cache's, or of other pictures.
pub(super) fn read(
    folder: &Path,
    manifest: &Manifest,
    dataset: &Dataset,
) -> Result<StoredAnswers, TrainError> {
    let path = folder.join(FILE);
    let length = std::fs::metadata(&path).map_err(|error| refused(&path, &error))?;
    if length.len() > LARGEST {
        let found = format!(
            "it has {} bytes, at most {LARGEST} are expected",
            length.len()
        );
        return Err(refused(&path, &found));
    }
    let bytes = std::fs::read(&path).map_err(TrainError::io(&path))?;
    let damaged = |error: safetensors::SafeTensorError| refused(&path, &error);
    let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let mut numbers = Vec::new();
    for section in [Section::Validation, Section::Test] {
        for (field, kind) in FIELDS {
            let tensor = file.tensor(&name_of(section, field)).map_err(damaged)?;
            if tensor.dtype() != kind {
                return Err(refused(&path, &format!("`{field}` has another type")));
            }
            numbers.push(tensor.data());
        }
    }
    let said = header.metadata().as_ref().and_then(|all| all.get(HASH));
    if said != Some(&hash(manifest, numbers.iter().copied())) {
        let reason = "it was changed, or is another cache's";
        return Err(refused(&path, &reason));
    }
    let (validation, test) = numbers.split_at(FIELDS.len());
    let classes = manifest.teacher.classes.len();
    let part = |section, numbers: &[&[u8]]| {
        let expected = part_of(dataset, section).len();
        from_numbers(numbers, expected, classes).ok_or_else(|| {
            let what = format!(
                "it does not tell {expected} {} images",
                section_name(section)
            );
            refused(&path, &what)
        })
    };
    Ok(StoredAnswers {
        validation: part(Section::Validation, validation)?,
        test: part(Section::Test, test)?,
    })
}

/// Copies the file from one cache's folder to another's, where there is one.
///
/// # Errors
/// A file system that refuses.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), TrainError> {
    let (from, to) = (from.join(FILE), to.join(FILE));
    if to.exists() || !from.exists() {
        return Ok(());
    }
    let bytes = std::fs::read(&from).map_err(TrainError::io(&from))?;
    Ok(files::write_whole(&to, &bytes)?)
}

/// The images that are measured on.
fn part_of(dataset: &Dataset, section: Section) -> &Part {
    match section {
        Section::Train => &dataset.train,
        Section::Validation => &dataset.validation,
        Section::Test => &dataset.test,
    }
}

/// The tensors of a part, in their order: height and width of each picture, runs of each, id and
/// length of each run, sum of cross entropies and number of pixels that are not void of each picture.
const FIELDS: [(&str, Dtype); 6] = [
    ("sizes", Dtype::U32),
    ("runs", Dtype::U32),
    ("ids", Dtype::U8),
    ("lengths", Dtype::U32),
    ("losses", Dtype::F64),
    ("known", Dtype::U64),
];

fn name_of(section: Section, field: &str) -> String {
    format!("{}.{field}", section_name(section))
}

/// Name, type, shape and bytes.
type Named = (String, Dtype, Vec<usize>, Vec<u8>);

fn as_tensors(section: Section, answers: &PartAnswers) -> Vec<Named> {
    let masks = &answers.masks;
    let words = |words: &mut dyn Iterator<Item = usize>| -> Vec<u8> {
        words.flat_map(|word| (word as u32).to_le_bytes()).collect()
    };
    let columns: [Vec<u8>; 6] = [
        words(&mut masks.iter().flat_map(RunLengths::size)),
        words(&mut masks.iter().map(|mask| mask.ids().len())),
        masks.iter().flat_map(RunLengths::ids).copied().collect(),
        words(
            &mut masks
                .iter()
                .flat_map(|mask| mask.lengths().iter().map(|&it| it as usize)),
        ),
        (answers.losses.iter())
            .flat_map(|loss| loss.0.to_le_bytes())
            .collect(),
        (answers.losses.iter())
            .flat_map(|loss| loss.1.to_le_bytes())
            .collect(),
    ];
    let described = FIELDS.iter().zip(columns);
    described
        .map(|((field, kind), bytes)| {
            let each = kind.bitsize() / 8;
            let shape = vec![bytes.len() / each];
            (name_of(section, field), *kind, shape, bytes)
        })
        .collect()
}

/// What [`as_tensors`] wrote of `pictures` pictures; `None` where lengths contradict each other, or ids
/// are none of `classes`.
fn from_numbers(numbers: &[&[u8]], pictures: usize, classes: usize) -> Option<PartAnswers> {
    let &[sizes, runs, ids, lengths, losses, known] = numbers else {
        return None;
    };
    let words = |bytes: &[u8]| -> Vec<u32> {
        let words = bytes.as_chunks().0.iter();
        words.map(|word| u32::from_le_bytes(*word)).collect()
    };
    let (sizes, runs, lengths) = (words(sizes), words(runs), words(lengths));
    let all = [
        runs.len(),
        sizes.len() / 2,
        losses.len() / 8,
        known.len() / 8,
    ];
    let unknown = ids.iter().any(|&id| usize::from(id) >= classes);
    if all != [pictures; 4] || ids.len() != lengths.len() || unknown {
        return None;
    }
    let mut answers = PartAnswers::default();
    let (mut ids, mut lengths) = (ids, lengths.as_slice());
    for (size, &count) in sizes.as_chunks::<2>().0.iter().zip(&runs) {
        let count = count as usize;
        let (own_ids, own_lengths);
        (own_ids, ids) = ids.split_at_checked(count)?;
        (own_lengths, lengths) = lengths.split_at_checked(count)?;
        let size = size.map(|side| side as usize);
        let mask = RunLengths::new(size, own_ids.to_vec(), own_lengths.to_vec())?;
        answers.masks.push(mask);
    }
    let losses = losses
        .as_chunks()
        .0
        .iter()
        .map(|loss| f64::from_le_bytes(*loss));
    let known = known
        .as_chunks()
        .0
        .iter()
        .map(|known| u64::from_le_bytes(*known));
    answers.losses = losses.zip(known).collect();
    (ids.is_empty() && lengths.is_empty()).then_some(answers)
}

fn hash<'a>(manifest: &Manifest, numbers: impl Iterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    // Of the manifest, what decides the answers: shards of a cache may be laid out in any way.
    hash.update(&manifest.teacher.weights_sha256);
    hash.update(&manifest.data.fingerprint);
    for value in [Some(&manifest.data.split), manifest.evaluate.as_ref()] {
        hash.update(value.map(ToString::to_string).unwrap_or_default());
    }
    for bytes in numbers {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hex(&hash.finalize())
}

fn refused(path: &Path, reason: &dyn std::fmt::Display) -> TrainError {
    TrainError::CacheFile {
        path: path.to_owned(),
        reason: format!(
            "{reason}; it holds what the teacher chose for the images that are measured on, and the \
             `limbeck cache build` that began the cache, or `limbeck cache verify --repair`, writes it \
             again with the teacher"
        ),
    }
}

/// A teacher that stops answering when it is interrupted.
struct Stoppable<'a> {
    teacher: &'a dyn limbeck_methods::Teacher,
    interrupt: &'a AtomicBool,
}

impl limbeck_methods::Teacher for Stoppable<'_> {
    fn name(&self) -> &str {
        self.teacher.name()
    }

    fn taps(&self) -> Vec<limbeck_nn::Tap> {
        self.teacher.taps()
    }

    fn outputs(
        &self,
        images: burn::tensor::Tensor<4>,
        taps: &limbeck_nn::Taps,
    ) -> Result<limbeck_nn::Outputs, limbeck_methods::MethodError> {
        if self.interrupt.load(Ordering::Relaxed) {
            return Err(limbeck_methods::MethodError::StoredTeacher {
                teacher: self.name().to_owned(),
                reason: "interrupted".to_owned(),
            });
        }
        self.teacher.outputs(images, taps)
    }
}

#[cfg(test)]
mod tests {
    use limbeck_data::Mask;

    use super::*;

    fn answers() -> PartAnswers {
        let mask = |width, height, seed: usize| {
            let ids = (0..width * height).map(|i| ((i / 5 + seed) % 3) as u8);
            RunLengths::of(&Mask {
                width,
                height,
                ids: ids.collect(),
            })
        };
        PartAnswers {
            masks: vec![mask(7, 4, 0), mask(3, 9, 1), mask(1, 1, 2)],
            losses: vec![(1.5, 28), (0.1 + 0.2, 20), (0.0, 0)],
            ..PartAnswers::default()
        }
    }

    #[test]
    fn what_was_chosen_comes_back_as_it_was_and_nothing_else_is_taken_for_it() {
        let tensors = as_tensors(Section::Test, &answers());
        let numbers: Vec<&[u8]> = tensors.iter().map(|(.., bytes)| bytes.as_slice()).collect();
        assert_eq!(from_numbers(&numbers, 3, 3), Some(answers()));
        assert_eq!(from_numbers(&numbers, 2, 3), None);
        assert_eq!(from_numbers(&numbers, 3, 2), None);
        for (field, (name, _)) in FIELDS.iter().enumerate() {
            let mut fewer = numbers.clone();
            let bytes = fewer[field];
            fewer[field] = &bytes[..bytes.len().saturating_sub(8)];
            assert_eq!(from_numbers(&fewer, 3, 3), None, "{name}");
        }
        let mut larger = tensors[0].3.clone();
        larger[0] += 1;
        let mut other = numbers;
        other[0] = &larger;
        assert_eq!(from_numbers(&other, 3, 3), None);
    }
}
