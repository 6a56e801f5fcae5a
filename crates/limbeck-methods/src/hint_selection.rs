//! Which layers of a teacher are worth learning from: see the page of `hints`.

use limbeck_nn::{Outputs, Tap};

use crate::{
    CentreRule, LayerClusters, LayerSimilarity, MethodError,
    criterion::{require_at_least, require_positive},
    layer_clusters::{USUAL_ROUNDS, cluster_layers},
    layer_similarity::{LayerRepresentation, SimilaritySettings, layer_distances},
    pairs::{blocks, stages, vector_of},
};

const ID: &str = "hints";

/// How hints are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HintSettings {
    /// Number of hints; the student's number of stages where missing.
    pub hints: Option<usize>,
    /// By what layers are compared.
    pub similarity: LayerSimilarity,
    /// Whether R² takes the channels' means off first.
    pub center: bool,
    /// Width of the Gaussian kernel, in roots of the median squared distance.
    pub rbf_threshold: f64,
    /// How a group finds its centre.
    pub centre: CentreRule,
    /// Images that layers are compared over.
    pub images: usize,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct HintSelection {
    /// The groups of the teacher's blocks.
    pub clusters: LayerClusters,
    /// Distances of all blocks, `[L, L]`.
    pub distances: Vec<Vec<f64>>,
    /// `(student tap, teacher tap)`, shallow to deep.
    pub pairs: Vec<(String, String)>,
}

impl HintSettings {
    /// The number of hints for a student with these taps and a teacher with these blocks.
    fn count(&self, student: &[Tap], teacher: &[String]) -> usize {
        let usual = || stages(student).len().clamp(1, teacher.len().max(1));
        self.hints.unwrap_or_else(usual)
    }

    /// Whether they fit both networks.
    ///
    /// # Errors
    /// A setting out of range, or a network without layers to choose from.
    pub fn check(&self, student: &[Tap], teacher: &[String]) -> Result<(), MethodError> {
        require_positive(ID, "rbf_threshold", self.rbf_threshold)?;
        require_at_least(ID, "images", self.images, 2)?;
        let count = self.count(student, teacher);
        if stages(student).is_empty() || teacher.is_empty() {
            return Err(MethodError::Pairs {
                method: ID.to_owned(),
                reason: "a network shows neither stages nor blocks to choose hints from".to_owned(),
            });
        }
        if !(1..=teacher.len()).contains(&count) {
            return Err(MethodError::Setting {
                method: ID,
                key: "hints",
                expected: format!("1 to the {} blocks of the teacher", teacher.len()),
                found: count.to_string(),
            });
        }
        let points = blocks(student).len().max(stages(student).len());
        if count > points {
            return Err(MethodError::Setting {
                method: ID,
                key: "hints",
                expected: format!("at most the {points} layers that the student can learn at"),
                found: count.to_string(),
            });
        }
        Ok(())
    }
}

/// The student's `count` taps that learn, shallow to deep: the ends of its stages, evenly spread
/// where there are more of them; else blocks, evenly spread.
pub(crate) fn hint_points(student: &[Tap], count: usize) -> Vec<String> {
    let ends: Vec<String> = stages(student).iter().map(|tap| tap.name.clone()).collect();
    let from = match ends.len() >= count {
        true => ends,
        false => blocks(student),
    };
    (1..=count)
        .map(|t| from[(t * from.len() / count).max(1) - 1].clone())
        .collect()
}

/// What the teacher's blocks give out, gathered batch by batch.
#[derive(Clone, Debug)]
pub struct HintSurvey {
    blocks: Vec<String>,
    layers: Vec<LayerRepresentation>,
    most: usize,
}

impl HintSurvey {
    /// Of these taps of the teacher, over at most `images` images.
    pub fn new(blocks: &[String], images: usize) -> Self {
        let empty = LayerRepresentation {
            images: 0,
            channels: 0,
            numbers: Vec::new(),
        };
        Self {
            blocks: blocks.to_vec(),
            layers: vec![empty; blocks.len()],
            most: images,
        }
    }

    /// Adds a batch.
    ///
    /// # Errors
    /// Outputs without one of the taps, or with numbers that are not finite.
    pub fn add(&mut self, outputs: &Outputs) -> Result<(), MethodError> {
        for (layer, name) in self.layers.iter_mut().zip(&self.blocks) {
            let vectors = vector_of(ID, "teacher", outputs, name)?;
            let [batch, channels] = vectors.dims();
            let taken = batch.min(self.most - layer.images);
            let numbers = vectors.inner().into_data();
            let before = layer.numbers.len();
            layer
                .numbers
                .extend(numbers.iter::<f64>().take(taken * channels));
            if !layer.numbers[before..].iter().all(|x| x.is_finite()) {
                return Err(MethodError::Batch {
                    method: ID,
                    reason: format!("the teacher's `{name}` gives numbers that are not finite"),
                });
            }
            layer.images += taken;
            layer.channels = channels;
        }
        Ok(())
    }

    /// Chooses the hints for a student with these taps.
    ///
    /// # Errors
    /// Settings that do not fit, or fewer than two images.
    pub fn select(
        &self,
        settings: &HintSettings,
        student: &[Tap],
    ) -> Result<HintSelection, MethodError> {
        settings.check(student, &self.blocks)?;
        let images = self.layers.first().map_or(0, |layer| layer.images);
        if images < 2 {
            return Err(MethodError::Batch {
                method: ID,
                reason: format!("layers are compared over at least 2 images, found {images}"),
            });
        }
        let measured = SimilaritySettings {
            similarity: settings.similarity,
            center: settings.center,
            rbf_threshold: settings.rbf_threshold,
        };
        let distances = layer_distances(&self.layers, measured);
        let count = settings.count(student, &self.blocks);
        let clusters = cluster_layers(&distances, count, settings.centre, USUAL_ROUNDS);
        let mut centres = clusters.centres.clone();
        centres.dedup();
        let teacher = centres.iter().map(|&centre| self.blocks[centre].clone());
        let pairs = hint_points(student, centres.len()).into_iter().zip(teacher);
        Ok(HintSelection {
            pairs: pairs.collect(),
            clusters,
            distances,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{map, outputs};

    const SETTINGS: HintSettings = HintSettings {
        hints: None,
        similarity: LayerSimilarity::R2,
        center: false,
        rbf_threshold: 1.0,
        centre: CentreRule::NearestPlace,
        images: 40,
    };

    fn student() -> Vec<Tap> {
        let names = ["block0", "block1", "stage1", "block2", "block3", "stage2"];
        names.map(|name| map(name, [2, 4, 4])).into()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|i| format!("block{i}")).collect()
    }

    #[test]
    fn hint_points_are_stages_or_evenly_spread_blocks() {
        assert_eq!(hint_points(&student(), 1), ["stage2"]);
        assert_eq!(hint_points(&student(), 2), ["stage1", "stage2"]);
        assert_eq!(hint_points(&student(), 3), ["block0", "block1", "block3"]);
        assert_eq!(hint_points(&student(), 4), names(4));
    }

    #[test]
    fn as_many_images_as_wanted_are_looked_at() {
        let taps: Vec<Tap> = names(3).iter().map(|name| map(name, [2, 2, 2])).collect();
        let mut survey = HintSurvey::new(&names(3), 6);
        survey.add(&outputs("a", 4, &taps)).unwrap();
        survey.add(&outputs("b", 4, &taps)).unwrap();
        survey.add(&outputs("c", 4, &taps)).unwrap();
        assert!(
            survey
                .layers
                .iter()
                .all(|l| (l.images, l.channels) == (6, 2))
        );
        assert!(survey.layers.iter().all(|l| l.numbers.len() == 12));
        let found = survey.select(&SETTINGS, &student()).unwrap();
        assert_eq!(found.pairs.len(), 2);
        assert_eq!(found.distances.len(), 3);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |settings: HintSettings, teacher: usize| {
            let error = settings.check(&student(), &names(teacher)).unwrap_err();
            error.to_string()
        };
        let with = |hints| HintSettings {
            hints: Some(hints),
            ..SETTINGS
        };
        assert!(refused(with(0), 6).contains("1 to the 6 blocks"));
        assert!(refused(with(7), 6).contains("found 7"));
        assert!(refused(with(5), 6).contains("at most the 4 layers"));
        let images = HintSettings {
            images: 1,
            ..SETTINGS
        };
        assert!(refused(images, 6).contains("`images` must be at least 2"));
        let threshold = HintSettings {
            rbf_threshold: 0.0,
            ..SETTINGS
        };
        assert!(refused(threshold, 6).contains("`rbf_threshold`"));
        let empty = HintSurvey::new(&names(3), 6).select(&SETTINGS, &student());
        assert!(empty.unwrap_err().to_string().contains("at least 2 images"));

        let mut survey = HintSurvey::new(&names(1), 6);
        let mut nan = outputs("a", 4, &[map("block0", [2, 2, 2])]);
        let filled = crate::testing::random("x", [4, 2]).mul_scalar(f64::NAN);
        nan.features
            .insert("block0".to_owned(), limbeck_nn::Feature::Vector(filled));
        assert!(
            survey
                .add(&nan)
                .unwrap_err()
                .to_string()
                .contains("not finite")
        );
    }
}
