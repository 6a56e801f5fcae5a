//! One pass of the teacher for all students: where several learn from the same teacher, they see
//! the same views of the images, and its outputs for them are stored for the time of the run.
//!
//! The students' bits are those of a teacher that runs for each of them, because an image's outputs
//! do not depend on its batch and single precision is stored whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use limbeck_cache::{Build, Cache, Encoding, Share, record_bytes};
use limbeck_nn::TaskKind;

use super::{Plan, series_folder::SeriesFolder, storing::StorageCosts};
use crate::{
    TrainError,
    cache::{CacheContents, CachePlan, FillEnd, LOGITS, Material, StoredTeacher, fill, taps_for},
    label_space::is_comparable,
    observer::Observer,
    run_folder::RunFolder,
    run_teacher::RunTeacher,
};

/// Bytes of stored outputs at the most, unless the recipe asks for them by name.
const MOST_BYTES: u64 = 4 << 30;
/// Name of the folder with the outputs, in that of the run or series.
const FOLDER: &str = "teacher-outputs";

/// Settles for the runs of a series, or for a single one, which outputs of the teacher are stored:
/// `teacher.shared`, where the recipe leaves it open, and with it the seed and number of the views
/// that all students see. Gives the number of students that read them.
///
/// # Errors
/// An output that is asked for and that the teacher does not have.
pub fn arrange(plans: &mut [Plan]) -> Result<usize, TrainError> {
    let Some(asked) = plans.first().map(|plan| plan.recipe.teacher.shared.clone()) else {
        return Ok(0);
    };
    let shared = match asked {
        Some(outputs) => outputs,
        None => decide(plans)?,
    };
    let readers: Vec<&Plan> = plans.iter().filter(|plan| reads(plan, &shared)).collect();
    let students = readers.iter().map(|plan| plan.recipe.train.seeds).sum();
    let bytes = readers
        .iter()
        .map(|plan| stored_bytes(plan, &shared))
        .try_fold(0, |most: u64, bytes| bytes.map(|bytes| most.max(bytes)))?;
    if students == 0 {
        return Ok(0);
    }
    let views = plans.iter().map(|plan| plan.epochs).max().unwrap_or(1);
    for plan in plans.iter_mut() {
        let seed = plan.recipe.train.seed;
        plan.recipe.data.view_seed.get_or_insert(seed);
        plan.recipe.data.views.get_or_insert(views);
        plan.recipe.teacher.shared = Some(shared.clone());
        if reads(plan, &shared) {
            plan.notes.push(format!(
                "teacher: runs once for {students} students, which see the same views \
                 (data.view_seed); its {} are stored meanwhile, {}; teacher.shared=[] lets it run \
                 for each",
                shared.join(", "),
                megabytes(bytes)
            ));
        }
    }
    Ok(students)
}

/// The outputs that are worth storing: all that the methods read, or the logits alone where that
/// is too much; none where fewer than two students read them.
fn decide(plans: &[Plan]) -> Result<Vec<String>, TrainError> {
    let mut all = vec![LOGITS.to_owned()];
    for name in plans
        .iter()
        .filter_map(|plan| plan.storable.as_ref())
        .flatten()
    {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    for outputs in [all, vec![LOGITS.to_owned()]] {
        let readers = || plans.iter().filter(|plan| reads(plan, &outputs));
        let students: usize = readers().map(|plan| plan.recipe.train.seeds).sum();
        let mut fits = true;
        for plan in readers() {
            fits &= stored_bytes(plan, &outputs)? <= MOST_BYTES;
        }
        if students > 1 && fits {
            return Ok(outputs);
        }
    }
    Ok(Vec::new())
}

/// Whether the students of a run read these outputs and nothing else of the teacher.
fn reads(plan: &Plan, outputs: &[String]) -> bool {
    let stored = |name: &String| outputs.contains(name);
    let logits = outputs.iter().any(|name| name == LOGITS);
    logits
        && plan
            .storable
            .as_ref()
            .is_some_and(|taps| taps.iter().all(stored))
}

/// Bytes that the outputs take for all views of a run.
fn stored_bytes(plan: &Plan, outputs: &[String]) -> Result<u64, TrainError> {
    let Some(teacher) = &plan.teacher else {
        return Ok(0);
    };
    let size = plan.augment.size;
    let taps = taps_for(teacher.network(), size);
    let outputs = contents(outputs, 1).outputs(&taps, size)?;
    let views = plan.recipe.data.views.unwrap_or(plan.epochs);
    let data = &plan.dataset;
    let measured = match plan.task {
        TaskKind::Classification | TaskKind::Detection
            if is_comparable(teacher.network(), data) =>
        {
            data.validation.len() + data.test.len()
        }
        TaskKind::Classification
        | TaskKind::Segmentation
        | TaskKind::Detection
        | TaskKind::Pretraining => 0,
    };
    let records = data.train.len() * views + measured;
    Ok(record_bytes(&outputs).saturating_mul(records as u64))
}

fn contents(outputs: &[String], views: usize) -> CacheContents {
    let taps = outputs.iter().filter(|name| *name != LOGITS);
    CacheContents {
        views,
        logits: Encoding::F32,
        taps: taps.cloned().collect(),
        features: Encoding::F32,
        stride: None,
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Stores what `plan` says of the outputs of the trained `teacher`, where that is not done, and gives
/// who answers the students: the teacher itself or what is stored; `None` where the run was
/// interrupted before all was there.
///
/// # Errors
/// Images that cannot be read, a file system that refuses.
pub fn share(
    plan: &Plan,
    folder: &RunFolder,
    teacher: &RunTeacher,
    interrupt: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<Option<RunTeacher>, TrainError> {
    let outputs = plan.recipe.teacher.shared.as_deref().unwrap_or_default();
    if !reads(plan, outputs) {
        return Ok(Some(teacher.clone()));
    }
    let views = plan.recipe.data.views.unwrap_or(plan.epochs);
    let material = Material {
        recipe: plan.recipe.clone(),
        dataset: Arc::clone(&plan.dataset),
        augment: plan.augment.clone(),
        teacher: teacher.clone(),
        task: plan.task,
        measured: false,
    };
    let stored = CachePlan::of(material, &contents(outputs, views))?;
    let (path, students) = place(folder, plan)?;
    // Logits are small; whatever is stored already is read.
    let maps = outputs.iter().any(|name| name != LOGITS);
    if maps && !path.exists() {
        let bytes = record_bytes(&stored.manifest.outputs);
        let size = plan.augment.size;
        let costs = StorageCosts::measure(teacher.network(), outputs, size, bytes, folder.path())?;
        if !costs.pays(students) {
            observer.note(&format!(
                "teacher: asked for each of the {students} students after all: an image takes it {:.2} ms, to write what \
                 it gives out would take {:.2} ms and to read it {:.2} ms for each",
                costs.asking * 1e3,
                costs.writing * 1e3,
                costs.reading * 1e3
            ));
            return Ok(Some(teacher.clone()));
        }
    }
    let build = Build::begin(&path, &stored.manifest, Share::WHOLE)?;
    let begun = Instant::now();
    let missing = build.missing();
    let all: u64 = missing
        .iter()
        .map(|shard| shard.positions.end - shard.positions.start)
        .sum();
    let end = fill(&stored, &path, &build, interrupt, &mut |moment| {
        observer.teacher(moment.done, moment.all);
    })?;
    match end {
        FillEnd::Interrupted => return Ok(None),
        // Another run of the series is at work on them; the teacher gives the same bits.
        FillEnd::InOtherHands(_) => return Ok(Some(teacher.clone())),
        FillEnd::Whole => {}
    }
    let seconds = begun.elapsed().as_secs_f64();
    if all > 0 {
        let saved = seconds * students.saturating_sub(1) as f64;
        observer.note(&format!(
            "teacher: {all} images in {seconds:.1} s, once for {students} students: about \
             {saved:.0} s saved"
        ));
    } else {
        observer.note("teacher: its outputs are stored already");
    }
    let cache = Cache::open(&path)?;
    let network = teacher.network().clone();
    let stored = StoredTeacher::new(cache, &network, plan.augment.size, &plan.dataset)?;
    let answering = RunTeacher::answering(
        network,
        teacher.normalisation().clone(),
        Arc::new(stored),
        teacher.identity().to_owned(),
    );
    Ok(Some(match teacher.knows_others() {
        true => answering.of_other_classes(),
        false => answering,
    }))
}

/// Where the outputs of a run's teacher are, and how many students read them.
fn place(folder: &RunFolder, plan: &Plan) -> Result<(PathBuf, usize), TrainError> {
    Ok(match SeriesFolder::of_run(folder.path())? {
        Some(series) => (stored_in(series.path()), series.students()),
        None => (stored_in(folder.path()), plan.recipe.train.seeds),
    })
}

fn stored_in(folder: &Path) -> PathBuf {
    folder.join(FOLDER)
}

/// Removes the stored outputs of a run or series that is finished.
///
/// # Errors
/// A file system that refuses.
pub fn clear(folder: &Path) -> Result<(), TrainError> {
    let path = stored_in(folder);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::io(&path)(error))
        }
        _ => Ok(()),
    }
}
