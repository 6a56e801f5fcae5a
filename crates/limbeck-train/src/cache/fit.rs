//! Whether a cache is right for a run, and what the run takes from it.

use std::path::{Path, PathBuf};

use burn::tensor::{DType, Device};
use limbeck_cache::{Cache, Difference, Manifest};
use limbeck_data::{Augment, Dataset, Fit};
use limbeck_nn::{InputShape, Network, TaskKind, model};
use sha2::{Digest, Sha256};

use super::{
    StoredAnswers, StoredTeacher, answers, classifier,
    facts::{self, Parts},
};
use crate::{TrainError, label_space::task_of_labels, model_source::hex, recipe::Recipe};

/// What a teacher's source begins with where its outputs are stored: `cache:DIR`.
pub const CACHE_PREFIX: &str = "cache:";

/// Height and width of a teacher's images at the most, as in weights files.
const MAX_SIDE: usize = 1 << 13;

/// The folder of a teacher's source that names a cache.
pub fn cache_folder(source: &str) -> Option<PathBuf> {
    source.strip_prefix(CACHE_PREFIX).map(PathBuf::from)
}

/// How the images of the cache that `source` names were fitted.
pub fn stored_fit(source: &str) -> Option<(Fit, f64)> {
    let cache = Cache::open(&cache_folder(source)?).ok()?;
    let augment: Augment = serde_json::from_value(cache.manifest().augment.clone()).ok()?;
    Some((augment.fit, augment.fit_share))
}

/// A finished cache whose images are those of a run.
pub struct FittedCache {
    folder: PathBuf,
    cache: Cache,
}

impl FittedCache {
    /// Opens the cache and takes from it what `recipe` leaves open: seed and number of the views,
    /// size, channels and normalisation of the images.
    ///
    /// # Errors
    /// A folder that is no cache or not whole, or a recipe that asks for other views.
    pub fn open(folder: &Path, recipe: &mut Recipe) -> Result<Self, TrainError> {
        let cache = Cache::open(folder)?;
        let fitted = Self {
            folder: folder.to_owned(),
            cache,
        };
        let missing = fitted.cache.missing_shards();
        if !missing.is_empty() {
            return Err(fitted.unusable(format!(
                "{} of its {} shards are not there yet; `limbeck cache build` with the arguments \
                 that began it goes on, and shards built elsewhere are put together by `limbeck \
                 cache merge`",
                missing.len(),
                fitted.cache.shards()
            )));
        }
        let augment = fitted.augment()?;
        let own = &mut recipe.augment;
        if own.size == [0, 0] {
            own.size = augment.size;
        }
        if own.channels == 0 {
            own.channels = augment.channels;
        }
        if own.normalisation.is_none() {
            own.normalisation = augment.normalisation;
        }
        recipe
            .data
            .view_seed
            .get_or_insert(fitted.manifest().view_seed);
        let views = *recipe.data.views.get_or_insert(fitted.views());
        if views > fitted.views() {
            return Err(TrainError::Setting(format!(
                "data.views asks for {views} views of each image, and the cache `{}` has {}; leave \
                 data.views out, or build a cache with --views {views}",
                folder.display(),
                fitted.views()
            )));
        }
        Ok(fitted)
    }

    /// What the cache says of itself.
    pub fn manifest(&self) -> &Manifest {
        self.cache.manifest()
    }

    /// Views of each training image.
    pub fn views(&self) -> usize {
        let train = self.manifest().section("train");
        train.map_or(0, |section| section.views as usize)
    }

    /// Changes with everything that the cache says of itself.
    pub fn sha256(&self) -> String {
        let manifest = serde_json::to_vec(self.manifest()).unwrap_or_default();
        hex(&Sha256::digest(manifest))
    }

    /// What the run takes from the cache, for the user.
    pub fn note(&self, recipe: &Recipe) -> String {
        format!(
            "cache: outputs of {} for {} views of each image; data.views and data.view_seed ({}) \
             are the cache's",
            self.manifest().teacher.name,
            recipe.data.views.unwrap_or_default(),
            self.manifest().view_seed,
        )
    }

    /// Refuses a run whose images are others than those of the cache.
    ///
    /// # Errors
    /// [`TrainError::CacheFit`] with the field that differs and what to do.
    pub fn check(
        &self,
        recipe: &Recipe,
        dataset: &Dataset,
        augment: &Augment,
    ) -> Result<(), TrainError> {
        let cache = self.manifest();
        let run = Manifest {
            limbeck: env!("CARGO_PKG_VERSION").to_owned(),
            data: facts::data(dataset, &recipe.data),
            augment: facts::augment(augment),
            view_seed: recipe.data.view_seed.unwrap_or(recipe.train.seed),
            evaluate: cache.evaluate.as_ref().map(|_| facts::evaluate(recipe)),
            sections: facts::sections(dataset, self.views() as u64, self.parts(dataset)),
            ..cache.clone()
        };
        match cache.difference(&run) {
            None => Ok(()),
            Some(difference) => Err(TrainError::CacheFit {
                path: self.folder.clone(),
                mend: mend(&difference),
                difference,
            }),
        }
    }

    /// Of which images it holds outputs.
    fn parts(&self, dataset: &Dataset) -> Parts {
        let teacher = &self.manifest().teacher;
        let wanted = task_of_labels(dataset.labelling);
        let found = model::find(&teacher.name).map(|entry| entry.task).ok();
        let compared = wanted.is_none_or(|wanted| {
            found.is_none_or(|found| found == wanted)
                && teacher.classes.len() == dataset.classes.len()
        });
        match compared {
            true => Parts::of(self.task()),
            false => Parts::Trained,
        }
    }

    /// What its teacher is for.
    fn task(&self) -> TaskKind {
        match self.manifest().evaluate {
            Some(_) => TaskKind::Segmentation,
            None => TaskKind::Classification,
        }
    }

    /// What its teacher chose for the pictures of `dataset` that are measured on; `None` of a
    /// classifier, whose outputs for these are stored as all are.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn answers(&self, dataset: &Dataset) -> Result<Option<StoredAnswers>, TrainError> {
        match self.task() {
            TaskKind::Classification | TaskKind::Detection | TaskKind::Pretraining => Ok(None),
            TaskKind::Segmentation => {
                answers::read(&self.folder, self.manifest(), dataset).map(Some)
            }
        }
    }

    /// The teacher's network without its numbers, those of its classifier excepted, and what
    /// answers in its place for the images of `dataset`.
    ///
    /// # Errors
    /// A cache of a network that is not known, or that says other things than its network.
    pub fn teacher(self, dataset: &Dataset) -> Result<(Network, StoredTeacher), TrainError> {
        let size = self.augment()?.size;
        if size.iter().any(|side| *side == 0 || *side > MAX_SIDE) {
            return Err(self.unusable(format!("its views have {}×{} pixels", size[0], size[1])));
        }
        let facts = &self.manifest().teacher;
        let [channels, height, width] = facts.input;
        if [height, width].iter().any(|side| *side > MAX_SIDE) || channels > 3 {
            return Err(self.unusable(format!("its teacher takes images of {:?}", facts.input)));
        }
        let input = InputShape {
            channels,
            height,
            width,
            classes: facts.classes.len(),
        };
        let mut network = model::blank(&facts.name, input, &Device::flex(), DType::F32)?;
        if let Some(anchors) = &facts.anchors {
            network.set_anchor_sizes(anchors)?;
        }
        classifier::read(&self.folder, &mut network, &facts.weights_sha256)?;
        let teacher = StoredTeacher::new(self.cache, &network, size, dataset)?;
        Ok((network, teacher))
    }

    /// The augmentation that its views were made with.
    fn augment(&self) -> Result<Augment, TrainError> {
        serde_json::from_value(self.manifest().augment.clone())
            .map_err(|error| self.unusable(format!("its augmentation is not known: {error}")))
    }

    fn unusable(&self, reason: String) -> TrainError {
        TrainError::CacheFile {
            path: self.folder.clone(),
            reason,
        }
    }
}

/// What to do about a difference.
fn mend(difference: &Difference) -> String {
    const ANEW: &str = "or build a cache for this run with `limbeck cache build`";
    let field = &difference.field;
    let setting = match field.strip_prefix("data.split.") {
        Some(split) => Some(format!("data.{split}")),
        None if field == "evaluate.align_corners" => Some("task.align_corners".to_owned()),
        None if field.starts_with("augment.") || field.starts_with("evaluate.") => {
            Some(field.clone())
        }
        None => None,
    };
    match setting {
        Some(setting) if difference.cache == "null" => {
            format!("leave {setting} out, {ANEW}")
        }
        Some(setting) => format!("set {setting} as in the cache, {ANEW}"),
        None if field == "view_seed" => format!("leave data.view_seed out, {ANEW}"),
        None if field.starts_with("data.") || field.starts_with("sections") => {
            format!("name the data that it was built from, {ANEW}")
        }
        None => "build it anew with `limbeck cache build`".to_owned(),
    }
}
