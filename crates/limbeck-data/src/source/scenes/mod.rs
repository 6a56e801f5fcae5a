//! `scenes`: a generated data set of images with masks, nothing to download.
//!
//! Objects of six outlines lie over each other on a textured ground. A kind has a paint that another
//! kind shares: colours, which any network learns soon, halve what an object may be, and outlines,
//! which have to be looked at from far enough away, say the rest. Textures, turns and sizes are drawn
//! at random and say nothing about the class, and crumbs and bars of any colour belong to the ground.
//! Masks are exact, with a rim of void around every object as in VOC.

mod boxed;
mod difficulty;
mod scene;

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use boxed::BoxedScenes;
pub use difficulty::SceneDifficulty;
pub use scene::SceneBox;

use super::shapes::outline::Outline;
use super::{Annotation, Labelling, Source, generated};
use crate::{DataError, Found, Image, Purpose, Stream};
use scene::Scene;

/// Width and height of the images, in pixels.
const SIDE: usize = 64;

/// What objects there are; their classes come after the ground's.
const KINDS: [(Outline, &str); 6] = [
    (Outline::Disc, "disc"),
    (Outline::Square, "square"),
    (Outline::Triangle, "triangle"),
    (Outline::Ring, "ring"),
    (Outline::Cross, "cross"),
    (Outline::Star, "star"),
];

/// Images to train on if no number is given: an epoch of a small network is seconds on a laptop.
const TRAIN: usize = 1_000;

/// What a given number may be: enough to split, at most hours of drawing.
const COUNTS: std::ops::RangeInclusive<usize> = 20..=10_000_000;

/// Key of all images. They never depend on a run's seed, so runs can be compared.
const SEED: u64 = 0;

/// Generated images with masks, each made from its number when asked for.
#[derive(Clone, Debug)]
pub struct Scenes {
    classes: Vec<String>,
    count: usize,
    /// Tells images to train on from images to test on.
    series: u64,
    difficulty: SceneDifficulty,
}

impl Scenes {
    /// The first `count` scenes of a series. No two series share one; the data set `scenes` trains on
    /// series 0 and tests on series 1.
    #[must_use]
    pub fn new(count: usize, series: u64, difficulty: SceneDifficulty) -> Self {
        let kinds = KINDS.map(|(_, name)| name);
        let classes = ["ground"].into_iter().chain(kinds);
        Self {
            classes: classes.map(str::to_owned).collect(),
            count,
            series,
            difficulty,
        }
    }

    /// The objects of a scene that are seen, from back to front, each with a box around what is seen
    /// of it.
    #[must_use]
    pub fn boxes(&self, index: usize) -> Vec<SceneBox> {
        self.scene(index).boxes()
    }

    fn scene(&self, index: usize) -> Scene {
        let stream = Stream::new(SEED, Purpose::Scenes, self.series, index as u64, 0);
        Scene::draw(&self.difficulty, stream)
    }

    fn hash_settings(&self, hash: &mut Sha256) {
        hash.update(self.series.to_le_bytes());
        hash.update(format!("{:?}", self.difficulty));
    }
}

impl Source for Scenes {
    fn labelling(&self) -> Labelling {
        Labelling::Masks
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn len(&self) -> usize {
        self.count
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        Ok(Annotation::Mask(self.scene(index).mask()))
    }

    fn stratum(&self, _index: usize) -> usize {
        0
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        Ok(self.scene(index).image())
    }

    fn shape(&self) -> Option<[usize; 3]> {
        Some([3, SIDE, SIDE])
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        hash.update((index as u64).to_le_bytes());
        self.hash_settings(hash);
    }

    fn is_certain(&self) -> bool {
        true
    }

    fn digest(&self) -> [u8; 32] {
        let mut hash = self.labels_digest();
        self.hash_settings(&mut hash);
        hash.finalize().into()
    }
}

/// The generated set, if the path is `scenes` or `scenes:N`: with boxes where these are wanted, else with
/// masks.
pub(crate) fn find_scenes(
    path: &Path,
    wanted: Option<Labelling>,
) -> Result<Option<Found>, DataError> {
    let Some(count) = generated::count(path, "scenes:N", TRAIN, &COUNTS)? else {
        return Ok(None);
    };
    let part = |count: usize, series: u64| -> Arc<dyn Source> {
        let scenes = Scenes::new(count, series, SceneDifficulty::default());
        match wanted {
            Some(Labelling::Boxes) => Arc::new(BoxedScenes::new(scenes)),
            _ => Arc::new(scenes),
        }
    };
    Ok(Some(Found {
        name: "scenes (generated)".to_owned(),
        train: Some(part(count, 0)),
        validation: None,
        test: Some(part(count / 2, 1)),
        notes: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VOID;

    fn scenes(series: u64) -> Scenes {
        Scenes::new(200, series, SceneDifficulty::default())
    }

    fn mask(source: &Scenes, index: usize) -> crate::Mask {
        match source.annotation(index) {
            Ok(Annotation::Mask(mask)) => mask,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_scene_depends_on_its_number_and_series_alone() {
        let (source, other) = (scenes(0), scenes(1));
        assert_eq!(source.image(17).unwrap(), source.image(17).unwrap());
        assert_eq!(mask(&source, 17), mask(&source, 17));
        assert_ne!(source.image(17).unwrap(), source.image(18).unwrap());
        assert_ne!(source.image(17).unwrap(), other.image(17).unwrap());
        assert_ne!(mask(&source, 17), mask(&other, 17));
        assert_ne!(source.digest(), other.digest());
    }

    #[test]
    fn every_class_has_its_share_and_the_rim_is_thin() {
        let source = scenes(0);
        let (mut counts, total) = ([0usize; 256], (200 * SIDE * SIDE) as f64);
        for index in 0..source.len() {
            for id in mask(&source, index).ids {
                counts[usize::from(id)] += 1;
            }
        }
        let share = |id: usize| counts[id] as f64 / total;
        assert!((0.45..0.7).contains(&share(0)), "{}", share(0));
        for class in 1..=6 {
            assert!(
                (0.02..0.12).contains(&share(class)),
                "{class}: {}",
                share(class)
            );
        }
        let rim = share(usize::from(VOID));
        assert!((0.03..0.15).contains(&rim), "{rim}");
        let known: usize = counts[..7].iter().sum();
        assert_eq!(known + counts[255], 200 * SIDE * SIDE);
    }

    #[test]
    fn masks_lie_on_what_is_painted() {
        // Without textures, noise and clutter, an object has one colour of its own: inside the rim all
        // pixels of one object are alike, and the ground is alike wherever the mask says ground.
        let plain = SceneDifficulty {
            objects: [1, 1],
            texture: 0.0,
            crumbs: [0, 0],
            bars: [0, 0],
            noise: [0.0, 0.0],
            ..SceneDifficulty::default()
        };
        let source = Scenes::new(50, 0, plain);
        for index in 0..source.len() {
            let (image, mask) = (source.image(index).unwrap(), mask(&source, index));
            let colours: std::collections::BTreeSet<&[u8]> = (0..SIDE * SIDE)
                .filter(|&pixel| !matches!(mask.ids[pixel], 0 | VOID))
                .map(|pixel| image.pixel(pixel % SIDE, pixel / SIDE))
                .collect();
            assert!(colours.len() <= 1, "{index}: {colours:?}");
            let Some(object) = colours.first() else {
                continue;
            };
            let ground_like_object = (0..SIDE * SIDE)
                .filter(|&pixel| mask.ids[pixel] == 0)
                .filter(|&pixel| image.pixel(pixel % SIDE, pixel / SIDE) == *object);
            assert_eq!(ground_like_object.count(), 0, "{index}");
        }
    }

    #[test]
    fn boxes_surround_what_is_seen_of_each_object() {
        let alone = SceneDifficulty {
            objects: [1, 1],
            ..SceneDifficulty::default()
        };
        let source = Scenes::new(50, 0, alone);
        for index in 0..source.len() {
            let mask = mask(&source, index);
            let class = mask.ids.iter().find(|id| !matches!(**id, 0 | VOID));
            let Some(&class) = class else { continue };
            let boxes = source.boxes(index);
            let [only] = boxes[..] else {
                panic!("{boxes:?}")
            };
            assert_eq!(only.class, usize::from(class));
            // The box ends in the middle of the rim: a pixel of it on either side.
            let of = |place: fn(usize) -> usize, wanted: &dyn Fn(u8) -> bool| {
                let places = (0..SIDE * SIDE).filter(|&pixel| wanted(mask.ids[pixel]));
                let places: Vec<usize> = places.map(place).collect();
                let least = places.iter().min().copied().unwrap();
                (least, places.iter().max().copied().unwrap())
            };
            for (place, start, len) in [
                (
                    (|pixel| pixel % SIDE) as fn(usize) -> usize,
                    only.left,
                    only.width,
                ),
                (|pixel| pixel / SIDE, only.top, only.height),
            ] {
                let (first, last) = of(place, &|id| id == class);
                let (rim_first, rim_last) = of(place, &|id| id != 0);
                assert!((rim_first..=first).contains(&start), "{index} {only:?}");
                assert!(
                    (last..=rim_last).contains(&(start + len - 1)),
                    "{index} {only:?}"
                );
            }
        }
        // Of many objects some are hidden, and none that is seen is without a box.
        let source = scenes(0);
        for index in 0..50 {
            let mask = mask(&source, index);
            let boxes = source.boxes(index);
            for (pixel, &id) in mask.ids.iter().enumerate() {
                let (x, y) = (pixel % SIDE, pixel / SIDE);
                let inside = |b: &SceneBox| {
                    b.class == usize::from(id)
                        && (b.left..b.left + b.width).contains(&x)
                        && (b.top..b.top + b.height).contains(&y)
                };
                assert!(matches!(id, 0 | VOID) || boxes.iter().any(inside));
            }
        }
    }

    #[test]
    fn scenes_open_by_name_with_the_number_asked_for() {
        let dataset = crate::open(Path::new("scenes:100"), &crate::OpenOptions::default()).unwrap();
        assert_eq!(dataset.labelling, Labelling::Masks);
        assert_eq!(dataset.classes[..3], ["ground", "disc", "square"]);
        let sizes = [&dataset.train, &dataset.validation, &dataset.test].map(|part| part.len());
        assert_eq!(sizes, [90, 10, 50]);
        let error = find_scenes(Path::new("scenes:3"), None)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("`scenes:N` must be a number"), "{error}");
    }
}
