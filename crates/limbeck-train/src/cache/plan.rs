//! Everything about a cache that can be settled before it is built.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Tensor;

use limbeck_cache::{
    Cache, CacheError, Encoding, FORMAT, Manifest, TeacherFacts, record_bytes, shard_records,
};
use limbeck_data::{Augment, Dataset, Labelling};
use limbeck_nn::{InputShape, Outputs, Taps, TaskKind};

use super::{
    CacheContents,
    contents::{LOGITS, taps_for},
    facts::{self, Parts},
};
use crate::{
    TrainError, augmentation,
    data::{input_shape, open_data},
    experiment::check_teacher,
    label_space,
    model_facts::name_difference,
    model_source,
    named_model::ModelSource,
    recipe::{Recipe, TaskName, TeacherRecipe},
    run_teacher::RunTeacher,
    teacher_file::load_teacher,
};

/// A cache that can be built: data opened, augmentation settled as for a training run, teacher
/// loaded.
pub struct CachePlan {
    /// Resolved.
    pub recipe: Recipe,
    /// The data.
    pub dataset: Arc<Dataset>,
    /// What is done to images.
    pub augment: Augment,
    /// What gives outputs.
    pub teacher: RunTeacher,
    /// What it is for.
    pub task: TaskKind,
    /// What the cache is.
    pub manifest: Manifest,
    /// Choices that were made for the user, a line each.
    pub notes: Vec<String>,
    /// Things that look wrong, a line each.
    pub warnings: Vec<String>,
}

impl CachePlan {
    /// Settles what a cache of `contents` for the data, the augmentation and the teacher of
    /// `recipe` holds. Of the recipe's other sections, `train.seed` is read: the views are drawn
    /// from it where `data.view_seed` is missing, and the normalisation is measured by it.
    ///
    /// # Errors
    /// Whatever is wrong with recipe, data or teacher, and contents that cannot be stored.
    pub fn new(mut recipe: Recipe, contents: &CacheContents) -> Result<Self, TrainError> {
        recipe.check()?;
        let file = teacher_file(&recipe)?;
        let network = model_source::load(&file, &recipe.teacher.facts(), None)?.network;
        let of_teacher = network.task().unwrap_or(TaskKind::Classification);
        if of_teacher == TaskKind::Detection {
            recipe.task.kind.get_or_insert(TaskName::Detection);
        }
        let dataset = Arc::new(open_data(&recipe)?);
        let task = match dataset.labelling {
            Labelling::None => of_teacher,
            Labelling::Classes => TaskKind::Classification,
            Labelling::Masks => TaskKind::Segmentation,
            Labelling::Boxes => TaskKind::Detection,
        };
        // Features alone are of use of a teacher that knows other classes.
        let any_classes = !contents.taps.is_empty() && !network.is_headless();
        if !any_classes {
            check_teacher(network.name(), Some(of_teacher), task)?;
        }
        let size = match dataset.shape {
            Some(_) => 0,
            None => network.input().height,
        };
        let (augment, normalisation) = augmentation::settle(&mut recipe, &dataset, size, task)?;
        let input = input_shape(&augment, &dataset);
        let (mut notes, mut warnings) = (Vec::new(), Vec::new());
        let teacher = load_teacher(
            &recipe,
            &file,
            input,
            dataset.labelling != Labelling::None && !any_classes,
            &normalisation,
            &dataset,
            &mut notes,
            &mut warnings,
        )?;
        let teacher = match label_space::is_comparable(teacher.network(), &dataset) {
            true => {
                let named = teacher.class_names().filter(|_| any_classes);
                let difference = named.filter(|_| dataset.labelling != Labelling::None);
                let difference =
                    difference.and_then(|names| name_difference(names, &dataset.classes));
                warnings.extend(difference);
                teacher
            }
            false => {
                notes.push(format!(
                    "{}; methods that read predictions will refuse the cache",
                    label_space::note(&teacher, &dataset)
                ));
                teacher.of_other_classes()
            }
        };
        let material = Material {
            recipe,
            dataset,
            augment,
            teacher,
            task,
            measured: true,
        };
        let mut plan = Self::of(material, contents)?;
        plan.notes = notes;
        plan.warnings = warnings;
        Ok(plan)
    }

    /// The same where data and teacher are at hand already.
    ///
    /// # Errors
    /// Contents that cannot be stored.
    pub(crate) fn of(material: Material, contents: &CacheContents) -> Result<Self, TrainError> {
        let Material {
            mut recipe,
            dataset,
            augment,
            teacher,
            task,
            measured,
        } = material;
        let view_seed = recipe.data.view_seed.unwrap_or(recipe.train.seed);
        recipe.data.view_seed = Some(view_seed);
        let taps = taps_for(teacher.network(), augment.size);
        let outputs = contents.outputs(&taps, augment.size)?;
        let parts = match label_space::is_comparable(teacher.network(), &dataset) {
            true => Parts::of(task),
            false => Parts::Trained,
        };
        let sections = facts::sections(&dataset, contents.views as u64, parts);
        let measured = measured && task == TaskKind::Segmentation && !teacher.knows_others();
        let records = sections
            .iter()
            .map(|section| section.samples.saturating_mul(section.views))
            .fold(0, u64::saturating_add);
        let manifest = Manifest {
            format: FORMAT,
            limbeck: env!("CARGO_PKG_VERSION").to_owned(),
            teacher: teacher_facts(&teacher, &dataset),
            data: facts::data(&dataset, &recipe.data),
            augment: facts::augment(&augment),
            evaluate: measured.then(|| facts::evaluate(&recipe)),
            view_seed,
            sections,
            shard_records: shard_records(record_bytes(&outputs), records),
            outputs,
        };
        manifest.check()?;
        Ok(Self {
            recipe,
            dataset,
            augment,
            teacher,
            task,
            manifest,
            notes: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// What the teacher gives out for `images` `[B, C, H, W]`, normalised as a student's.
    ///
    /// # Errors
    /// A teacher that is not trained, and whatever it refuses.
    pub(super) fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, TrainError> {
        let Some(teacher) = self.teacher.outputs() else {
            return Err(untrained(self.teacher.network().name(), &self.recipe));
        };
        Ok(teacher.outputs(images, taps)?)
    }

    /// The plan that `cache` was built by, with the teacher and the data of `source`: to ask the
    /// teacher again, and to build what is missing.
    ///
    /// # Errors
    /// As [`CachePlan::new`]; [`CacheError::Differs`] where teacher or data are others than the
    /// cache's.
    pub fn of_cache(cache: &Cache, source: &CacheSource<'_>) -> Result<Self, TrainError> {
        let unusable = |error: serde_json::Error| TrainError::CacheFile {
            path: cache.folder().to_owned(),
            reason: format!("its manifest says what nobody asked for: {error}"),
        };
        let (mut recipe, contents) = asked_for(cache.manifest()).map_err(unusable)?;
        recipe.data.path = source.data.to_owned();
        recipe.teacher = source.teacher.clone();
        let plan = Self::new(recipe, &contents)?;
        match cache.manifest().difference(&plan.manifest) {
            None => Ok(plan),
            Some(difference) => Err(CacheError::Differs {
                path: cache.folder().to_owned(),
                difference,
            }
            .into()),
        }
    }
}

/// What a cache is made from, once it is at hand.
pub(crate) struct Material {
    /// Of which data, seed and number of workers are read.
    pub recipe: Recipe,
    /// The data.
    pub dataset: Arc<Dataset>,
    /// What is done to images.
    pub augment: Augment,
    /// A trained one.
    pub teacher: RunTeacher,
    /// What it is for.
    pub task: TaskKind,
    /// Whether what one that segments chooses for the pictures to measure on is kept too, for runs that
    /// do not have it at hand.
    pub measured: bool,
}

/// Where the teacher and the images of a cache are.
#[derive(Clone, Copy, Debug)]
pub struct CacheSource<'a> {
    /// A run folder or a weights file, and what that does not tell.
    pub teacher: &'a TeacherRecipe,
    /// Where the images are.
    pub data: &'a str,
}

/// Which images of a data set the parts of a cache have.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Split {
    split_seed: u64,
    validation: f64,
    limit: Option<usize>,
    #[serde(default)]
    scale: Option<f64>,
}

/// The recipe under which the cache of `manifest` was built, and what it holds.
fn asked_for(manifest: &Manifest) -> Result<(Recipe, CacheContents), serde_json::Error> {
    let split: Split = serde_json::from_value(manifest.data.split.clone())?;
    let mut recipe = Recipe::default();
    recipe.data.split_seed = split.split_seed;
    recipe.data.validation = split.validation;
    recipe.data.limit = split.limit;
    recipe.data.scale = split.scale;
    recipe.data.view_seed = Some(manifest.view_seed);
    recipe.augment = serde_json::from_value(manifest.augment.clone())?;
    if let Some(evaluate) = &manifest.evaluate {
        facts::take_over_evaluate(evaluate, &mut recipe)?;
    }
    let (logits, taps): (Vec<_>, Vec<_>) = manifest
        .outputs
        .iter()
        .partition(|output| output.name == LOGITS);
    let train = manifest.section("train");
    let contents = CacheContents {
        views: train.map_or(0, |section| section.views as usize),
        logits: logits
            .first()
            .map_or(Encoding::F32, |output| output.encoding),
        features: taps.first().map_or(Encoding::F32, |output| output.encoding),
        taps: taps.into_iter().map(|output| output.name.clone()).collect(),
        stride: logits.first().and_then(|output| output.stride),
    };
    Ok((recipe, contents))
}

/// The file of the recipe's teacher.
fn teacher_file(recipe: &Recipe) -> Result<std::path::PathBuf, TrainError> {
    let Some(source) = &recipe.teacher.source else {
        return Err(TrainError::Setting(
            "a cache needs a trained teacher; name its run folder or weights file with --teacher"
                .to_owned(),
        ));
    };
    match ModelSource::recognise(source)? {
        ModelSource::File(file) => Ok(file),
        ModelSource::Zoo(name) => Err(untrained(&name, recipe)),
    }
}

fn untrained(name: &str, recipe: &Recipe) -> TrainError {
    TrainError::ModelSource(format!(
        "`{name}` is a network without weights; train it first (limbeck train {} --model {name}) \
         and give its run folder as the teacher",
        Path::new(&recipe.data.path).display()
    ))
}

fn teacher_facts(teacher: &RunTeacher, dataset: &Dataset) -> TeacherFacts {
    let (network, own) = (teacher.network(), teacher.normalisation());
    let InputShape {
        channels,
        height,
        width,
        ..
    } = network.input();
    TeacherFacts {
        name: network.name().to_owned(),
        weights_sha256: teacher.identity().to_owned(),
        mean: own.mean.clone(),
        std: own.std.clone(),
        input: [channels, height, width],
        params: network.store.trained_count() as u64,
        macs: network.cost().macs,
        anchors: network.anchor_sizes().map(|levels| {
            let levels = levels.into_iter();
            levels.map(|(_, sizes)| sizes).collect()
        }),
        // Where it does not tell them they are the data's, if there are as many.
        classes: match (teacher.class_names(), dataset.labelling) {
            (None, Labelling::Classes | Labelling::Masks | Labelling::Boxes)
                if label_space::is_comparable(network, dataset) =>
            {
                dataset.classes.clone()
            }
            _ => teacher.classes(),
        },
    }
}
