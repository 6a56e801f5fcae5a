//! What the tests of procedures share: a small student, and acts played on a made-up batch.

use burn::tensor::{DType, Device, Gradients, Int, Tensor};
use limbeck_nn::{Mode, Network, Outputs, Pass, Tap, Taps, model};

use crate::{
    Act, Batch, Cast, Classification, MethodError, Played, Pretraining, Procedure, Progress, Scene,
    Setting, Stage, Teacher, Term,
    testing::{INPUT, POSITIONS, network, random, target},
};

/// Images of the made-up batch.
pub const BATCH: usize = 4;

/// A small student, `resnet8`.
pub fn cast() -> Cast {
    Cast::new(network("resnet8", 1))
}

/// A batch with further views.
pub fn batch(views: usize) -> Batch {
    let images = |view: usize| {
        let shape = [BATCH, INPUT.channels, INPUT.height, INPUT.width];
        random(&format!("view {view}"), shape)
    };
    Batch {
        views: (1..views).map(images).collect(),
        ..Batch::new(
            images(0),
            target(&[0, 1, 2, 3]),
            POSITIONS[..BATCH].to_vec(),
        )
    }
}

/// Plays the first act of the first stage in epoch `epoch` (counted from 0).
pub fn play(
    procedure: &mut dyn Procedure,
    cast: &Cast,
    epoch: usize,
) -> Result<(Stage, Vec<Term>, Played), MethodError> {
    let stage = procedure.stages(10).remove(0);
    let batch = batch(stage.images.views);
    let progress = Progress {
        epoch,
        epochs: 10,
        step: 0,
        steps: 10,
    };
    let mut scene = Scene::new(Setting {
        cast,
        act: &stage.acts[0],
        batch: &batch,
        teacher: None,
        stage: progress,
        run: progress,
        task: &Classification::PLAIN,
        seed: 7,
    });
    let terms = procedure.play(0, 0, &mut scene)?;
    let played = scene.finish();
    Ok((stage, terms, played))
}

/// Plays the first act and goes back from its loss: the names of its terms, and how many tensors
/// of each member have got a gradient.
pub fn learners(procedure: &mut dyn Procedure, cast: &Cast) -> (Vec<String>, Vec<(String, usize)>) {
    let (_, terms, played) = play(procedure, cast, 9).unwrap();
    let mut gradients: Gradients = total(&terms).backward();
    let arrived = played.tracked.iter().map(|(member, store)| {
        let count = store.gradients(&mut gradients).iter().flatten().count();
        (member.clone(), count)
    });
    let arrived = arrived.collect();
    (terms.into_iter().map(|term| term.name).collect(), arrived)
}

/// A scene of pre-training: the first step of a run.
pub fn setting<'a>(
    cast: &'a Cast,
    act: &'a Act,
    batch: &'a Batch,
    teacher: Option<&'a dyn Teacher>,
) -> Setting<'a> {
    let progress = Progress {
        epoch: 0,
        epochs: 1,
        step: 0,
        steps: 1,
    };
    Setting {
        cast,
        act,
        batch,
        teacher,
        stage: progress,
        run: progress,
        task: &Pretraining,
        seed: 7,
    }
}

/// A network of the zoo without a head.
pub fn headless(model: &str, seed: u64) -> Network {
    let (input, device) = (INPUT.headless(), Device::flex());
    model::build(model, input, seed, &device, DType::F64).unwrap()
}

/// How many tensors of a member are trained.
pub fn trained(cast: &Cast, member: &str) -> usize {
    let entries = cast.store(member).unwrap().entries().iter();
    entries.filter(|entry| entry.role.is_trained()).count()
}

/// Sum of the terms with their weights.
pub fn total(terms: &[Term]) -> Tensor<1> {
    let weighted = terms.iter().map(|t| t.value.clone().mul_scalar(t.weight));
    weighted.reduce(|sum, term| sum + term).unwrap()
}

/// A vision transformer as the teacher, which is asked about patches alone.
pub struct PatchTeacher(pub Network);

impl Teacher for PatchTeacher {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn taps(&self) -> Vec<Tap> {
        self.0.taps()
    }

    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, MethodError> {
        Ok(self.0.evaluate(images.inner(), taps))
    }

    fn tokens_of_patches(
        &self,
        images: Tensor<4>,
        visible: &Tensor<2, Int>,
        block: usize,
    ) -> Option<Tensor<3>> {
        let transformer = self.0.transformer()?;
        let mut pass = Pass::new(&self.0.store, Mode::Evaluate, Taps::none(), 0);
        let tokens = transformer.visible_tokens(&mut pass, images.inner(), visible);
        let grid = [1, visible.dims()[1]];
        Some(transformer.run_blocks(&mut pass, tokens, 0..block + 1, grid))
    }
}
