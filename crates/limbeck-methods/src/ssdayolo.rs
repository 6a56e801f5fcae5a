//! # ssdayolo — Semi-supervised domain adaptive YOLO for cross-domain object detection
//!
//! A detector that has learnt from labelled images of one domain (the source) is to work on images of another
//! (the target), of which nothing is known. A mean teacher, which slowly follows the student, looks for objects
//! in target images that are drawn in the style of the source, where it is at home; what it finds the student
//! learns on the target images as they are. Source images are learnt from in both styles, and the student is to
//! be as good on one as on the other.
//!
//! ## Definition
//! L = L_sr + L_sf + λ·L_d + α·(L_sr − L_sf)²
//!
//! L_sr, L_sf: YOLOv5's loss (the task's, times the number of images) of the student on source images and on the
//! same in the target's style, both with their labels. L_d: the same on target images with the teacher's boxes
//! for labels: its objectness times class above `confidence`, suppressed above an overlap of `overlap`, at most
//! `boxes` an image, found in evaluation mode in the target images in the source's style (detached). λ:
//! `pseudo_weight`, α: `consistency_weight`. After each update the teacher's numbers become
//! `momentum`·own + (1 − `momentum`)·the student's.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]` with boxes, their drawings in the target's style, and as many images of the target in
//! both styles (`data.target`, `--target`): all that is drawn at random (mosaic, scale, colours, mirror) is drawn
//! once for both styles, so that boxes lie on both. Any detector of the zoo.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `pseudo_weight` | 0.005 | ≥ 0 | README of the authors' code |
//! | `consistency_weight` | 2.0 | ≥ 0 | same; see below |
//! | `momentum` | 0.99 | 0 to 1 | `teacher_alpha` of its training script |
//! | `confidence` | 0.5 | 0 to 1 | `conf_thres` there |
//! | `overlap` | 0.3 | 0 to 1 | `iou_thres` there |
//! | `boxes` | 20 | ≥ 1 | `max_gt_boxes` there |
//! | `random_box` | false | | true: the authors' box drawn at random where a batch has none |
//! | `teacher_statistics` | true | | false: batch norms of the teacher keep their first statistics, as in the authors' code |
//!
//! ## Notes
//! λ and α were chosen for YOLOv5-L that starts from COCO. A student that starts from nothing has losses of
//! dozens at first, whose squared difference would be all that it learns from: `recipes/ssdayolo.toml` has smaller
//! ones of both and says why.
//!
//! The other style takes no training: `data.target.style` is `fourier` (amplitudes of low frequencies of an image
//! of the other domain), `statistics` (its colours' means and deviations), or folders of drawings that were made
//! elsewhere (the authors': CycleGAN, CUT). What was used is said before the first step.
//!
//! What is tested is the target's test part. The baseline, the source alone, is the lower bound. Where the
//! target's training images have boxes, `--baseline` also trains the upper one for each seed: the same student from
//! the same first weights on the target's labels, for as many steps, chosen by the target's validation part (jobs
//! `bound-SEED`). The page says what it reaches and which share of the gap between both bounds a sure gain closes.
//! `data.target.upper_bound = false` leaves it out.
//!
//! The term `pseudo_precision`, which weighs nothing, is the share of the teacher's boxes, so far in the epoch, that
//! lie on an object of their class (overlap of a half or more), where the target's labels are there to tell; student
//! and baseline learn nothing of these. Teacher and counts are in checkpoints.
//!
//! Deviations: without any box of the teacher's L_d is 0 (see `random_box`); gradients of an accumulated step
//! are all kept, where the authors' loop clears them before each batch; an epoch has as many steps as the source
//! has batches, and images of the target come round in an order of their own. Cost: three forward and backward
//! passes and one forward pass, a second copy of the student.
//!
//! ## Reference
//! Zhou, Jiang, Lu. "SSDA-YOLO: Semi-supervised domain adaptive YOLO for cross-domain object detection".
//! Computer Vision and Image Understanding, 2023. <https://arxiv.org/abs/2211.02213>
//! Authors' code: <https://github.com/hnuzhy/SSDA-YOLO> (3ab1f506ded2, on YOLOv5, GPL-3.0); nothing of it was
//! taken over.

#[cfg(test)]
pub mod golden;

use burn::tensor::{Tensor, TensorData};
use limbeck_nn::{Outputs, Taps};
use serde::{Deserialize, Serialize};

use crate::{
    Act, Cast, Follower, Images, MethodError, Probe, Procedure, Progress, STUDENT, Scene, Stage,
    State, Target, Term,
    criterion::{require_at_least, require_share, require_weight},
    detection::{
        AdaptationConfig, AdaptationMaps, AnchorLevel, Anchors, DetectionLoss, PSEUDO_LABELS,
        SuppressionConfig, TargetBox, adapt, pseudo_labels,
    },
};

/// Name of the counts in a checkpoint.
const COUNTS: &str = "counts";

/// Who follows the student.
const TEACHER: &str = "teacher";

/// Overlap from which on a teacher's box is right.
const RIGHT: f64 = 0.5;

/// Settings of [`SsdaYolo`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SsdaYoloConfig {
    /// λ.
    pub pseudo_weight: f64,
    /// α.
    pub consistency_weight: f64,
    /// Of the teacher.
    pub momentum: f64,
    /// Least score of the teacher's boxes.
    pub confidence: f64,
    /// Above which two boxes of the teacher are one.
    pub overlap: f64,
    /// Boxes of the teacher in an image at the most.
    pub boxes: usize,
    /// Whether a box is drawn at random where the teacher finds none in a batch.
    pub random_box: bool,
    /// Whether the statistics of the teacher's batch norms follow too.
    pub teacher_statistics: bool,
}

impl Default for SsdaYoloConfig {
    fn default() -> Self {
        let weights = AdaptationConfig::default();
        Self {
            pseudo_weight: weights.pseudo_weight,
            consistency_weight: weights.consistency_weight,
            momentum: 0.99,
            confidence: PSEUDO_LABELS.confidence,
            overlap: PSEUDO_LABELS.iou,
            boxes: PSEUDO_LABELS.detections,
            random_box: false,
            teacher_statistics: true,
        }
    }
}

/// A mean teacher between two domains.
#[derive(Debug)]
pub struct SsdaYolo {
    config: SsdaYoloConfig,
    /// Where counts are kept in a checkpoint.
    like: Tensor<1>,
    /// The teacher's boxes so far in the epoch, and those of them that are right.
    found: usize,
    right: usize,
}

impl SsdaYolo {
    const ID: &'static str = "ssdayolo";

    /// Adds the teacher to the cast.
    ///
    /// # Errors
    /// A setting out of range; a student that is no detector.
    pub fn new(
        config: SsdaYoloConfig,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        let id = Self::ID;
        require_weight(id, "pseudo_weight", config.pseudo_weight)?;
        require_weight(id, "consistency_weight", config.consistency_weight)?;
        require_share(id, "momentum", config.momentum)?;
        require_share(id, "confidence", config.confidence)?;
        require_share(id, "overlap", config.overlap)?;
        require_at_least(id, "boxes", config.boxes, 1)?;
        let student = cast.network(STUDENT)?.clone();
        if student.anchor_sizes().is_none() {
            return Err(MethodError::Shape {
                method: id,
                feature: "the student's prediction".to_owned(),
                reason: "it adapts detectors; choose one as the student".to_owned(),
            });
        }
        cast.add_network(TEACHER, student);
        Ok(Self {
            config,
            like: Tensor::zeros([1], (&probe.device, probe.dtype)),
            found: 0,
            right: 0,
        })
    }

    fn weights(&self) -> AdaptationConfig {
        AdaptationConfig {
            pseudo_weight: self.config.pseudo_weight,
            consistency_weight: self.config.consistency_weight,
        }
    }

    /// What the teacher finds in `images`.
    fn pseudo(
        &self,
        scene: &mut Scene<'_>,
        images: Tensor<4>,
    ) -> Result<Vec<TargetBox>, MethodError> {
        let [batch, _, height, width] = images.dims();
        let anchors = anchors(scene.cast())?;
        let outputs = scene.evaluate(TEACHER, images, &Taps::none())?;
        let kept = SuppressionConfig {
            confidence: self.config.confidence,
            iou: self.config.overlap,
            detections: self.config.boxes,
            ..PSEUDO_LABELS
        };
        let found = pseudo_labels(&anchors, &maps(&outputs)?, [height, width], &kept)?;
        if !found.is_empty() || !self.config.random_box || batch == 0 {
            return Ok(found);
        }
        let mut stream = scene.stream();
        Ok(vec![TargetBox {
            image: 0,
            class: 0,
            center: [0.5, 0.5],
            size: [stream.uniform(0.2, 0.8), stream.uniform(0.2, 0.8)],
        }])
    }

    /// Counts which of the teacher's boxes are right.
    fn judge(&mut self, pseudo: &[TargetBox], truth: &[TargetBox]) {
        for found in pseudo {
            let is_it = |there: &&TargetBox| {
                there.image == found.image
                    && there.class == found.class
                    && overlap(there, found) >= RIGHT
            };
            self.found += 1;
            self.right += usize::from(truth.iter().any(|there| is_it(&there)));
        }
    }
}

/// IoU of two boxes on one image, in shares of its sides.
fn overlap(a: &TargetBox, b: &TargetBox) -> f64 {
    let along = |axis: usize| {
        let end = |of: &TargetBox| of.center[axis] + of.size[axis] / 2.0;
        let start = |of: &TargetBox| of.center[axis] - of.size[axis] / 2.0;
        (end(a).min(end(b)) - start(a).max(start(b))).max(0.0)
    };
    let shared = along(0) * along(1);
    let area = |of: &TargetBox| of.size[0] * of.size[1];
    match shared > 0.0 {
        true => shared / (area(a) + area(b) - shared),
        false => 0.0,
    }
}

/// The anchors of student and teacher.
fn anchors(cast: &Cast) -> Result<Anchors, MethodError> {
    let levels = cast.network(TEACHER)?.anchor_sizes().unwrap_or_default();
    let levels = levels.into_iter();
    let levels = levels.map(|(stride, sizes)| AnchorLevel { stride, sizes });
    Ok(Anchors::new(levels.collect())?)
}

/// The raw maps of a detector.
fn maps(outputs: &Outputs) -> Result<Vec<Tensor<5>>, MethodError> {
    outputs
        .prediction
        .level_maps()
        .ok_or_else(|| MethodError::Batch {
            method: SsdaYolo::ID,
            reason: "the student's prediction has no cells".to_owned(),
        })
}

impl Procedure for SsdaYolo {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let mut stage = Stage::new("adapt", epochs, vec![Act::training([STUDENT])]);
        stage.images = Images {
            styled: true,
            ..Images::default()
        };
        vec![stage]
    }

    fn begin_epoch(
        &mut self,
        _stage: usize,
        _interlude: &mut crate::Interlude<'_>,
    ) -> Result<(), MethodError> {
        (self.found, self.right) = (0, 0);
        Ok(())
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let batch = scene.batch();
        let refuse = |reason: &str| MethodError::Batch {
            method: Self::ID,
            reason: reason.to_owned(),
        };
        let Target::Boxes { boxes, .. } = &batch.target else {
            return Err(refuse("its images have no boxes to learn"));
        };
        let Some(styled) = &batch.styled else {
            return Err(refuse("it has no images of a target domain"));
        };
        let loss: DetectionLoss = scene
            .supervision()
            .task
            .detection_loss()
            .cloned()
            .ok_or_else(|| refuse("the task is not detection"))?;
        let pseudo = self.pseudo(scene, styled.target_fake.clone())?;
        let mut look = |images: Tensor<4>| -> Result<Vec<Tensor<5>>, MethodError> {
            maps(&scene.train(STUDENT, images, &Taps::none())?)
        };
        let source_real = look(batch.images.clone())?;
        let source_fake = look(styled.source_fake.clone())?;
        // What the teacher has found nothing in is not looked at: it would be all background.
        let target_real = match pseudo.is_empty() {
            true => source_real.clone(),
            false => look(styled.target.clone())?,
        };
        let maps = AdaptationMaps {
            source_real: &source_real,
            source_fake: &source_fake,
            target_real: &target_real,
        };
        let weights = self.weights();
        let terms = adapt(&loss, maps, boxes, &pseudo, &weights)?;
        let count = |number: f64| {
            let like = &terms.distillation;
            Tensor::<1>::full([1], number, (&like.device(), like.dtype()))
        };
        let images = batch.images.dims()[0] as f64;
        let mut all = vec![Term::new(
            "pseudo_boxes",
            count(pseudo.len() as f64 / images),
            0.0,
        )];
        if let Some(truth) = &styled.target_boxes {
            self.judge(&pseudo, truth);
            let share = self.right as f64 / self.found.max(1) as f64;
            all.push(Term::new("pseudo_precision", count(share), 0.0));
        }
        all.extend([
            Term::new("source", terms.source_real, 1.0),
            Term::new("source_styled", terms.source_fake, 1.0),
            Term::new("pseudo", terms.distillation, weights.pseudo_weight),
            // α is in it already.
            Term::new("consistency", terms.consistency, 1.0),
        ]);
        Ok(all)
    }

    fn followers(&self, _stage: usize, _progress: Progress) -> Vec<Follower> {
        vec![Follower {
            member: TEACHER.to_owned(),
            follows: STUDENT.to_owned(),
            momentum: self.config.momentum,
            statistics: self.config.teacher_statistics,
        }]
    }

    fn state(&self) -> State {
        let counts = TensorData::from([self.found as f64, self.right as f64]);
        let options = (&self.like.device(), self.like.dtype());
        State::from([(
            COUNTS.to_owned(),
            (vec![2], Tensor::from_data(counts, options)),
        )])
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let counts = state.remove(COUNTS).filter(|_| state.is_empty());
        let counts: Vec<f64> = counts.map_or_else(Vec::new, |(_, counts)| {
            counts.into_data().iter::<f64>().collect()
        });
        let [found, right] = counts[..] else {
            return Err(MethodError::State {
                method: Self::ID,
                reason: format!("expected `{COUNTS}`, two numbers, and nothing else"),
            });
        };
        (self.found, self.right) = (found as usize, right as usize);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
