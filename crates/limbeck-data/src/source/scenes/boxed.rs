//! The generated scenes with boxes around their objects instead of masks.

use sha2::Sha256;

use super::Scenes;
use crate::source::{Annotation, BoxLabel, Labelling, Source};
use crate::{DataError, Image};

/// Generated images with a box around what is seen of each object. Its classes are those of the objects;
/// the ground is none.
#[derive(Clone, Debug)]
pub struct BoxedScenes {
    scenes: Scenes,
}

impl BoxedScenes {
    /// The same images.
    #[must_use]
    pub fn new(scenes: Scenes) -> Self {
        Self { scenes }
    }
}

impl Source for BoxedScenes {
    fn labelling(&self) -> Labelling {
        Labelling::Boxes
    }

    fn classes(&self) -> &[String] {
        // The first one is the ground's.
        &self.scenes.classes()[1..]
    }

    fn len(&self) -> usize {
        self.scenes.len()
    }

    fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
        let boxes = self.scenes.boxes(index).into_iter().map(|scene| {
            let (left, top) = (scene.left as f32, scene.top as f32);
            let (width, height) = (scene.width as f32, scene.height as f32);
            BoxLabel::new(scene.class - 1, [left, top, left + width, top + height])
        });
        Ok(Annotation::Boxes(boxes.collect()))
    }

    fn stratum(&self, _index: usize) -> usize {
        0
    }

    fn image(&self, index: usize) -> Result<Image, DataError> {
        self.scenes.image(index)
    }

    fn shape(&self) -> Option<[usize; 3]> {
        self.scenes.shape()
    }

    fn hash_image(&self, index: usize, hash: &mut Sha256) {
        self.scenes.hash_image(index, hash);
    }

    fn is_certain(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SceneDifficulty;

    #[test]
    fn objects_are_classes_and_the_ground_is_none() {
        let source = BoxedScenes::new(Scenes::new(40, 0, SceneDifficulty::default()));
        assert_eq!(source.classes()[0], "disc");
        let mut seen = [0; 6];
        for index in 0..source.len() {
            let Ok(Annotation::Boxes(boxes)) = source.annotation(index) else {
                panic!("scene {index} has no boxes");
            };
            for label in boxes {
                let [width, height] = label.size();
                assert!(width >= 1.0 && height >= 1.0, "{label:?}");
                assert_eq!(label.clipped([64.0, 64.0]), Some(label));
                seen[label.class] += 1;
            }
        }
        assert!(seen.iter().all(|&boxes| boxes > 5), "{seen:?}");
    }
}
