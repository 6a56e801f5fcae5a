//! Sources of knowledge; the contract is [`limbeck_methods::Teacher`].

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_data::Normalisation;
use limbeck_methods::{MethodError, Teacher};
use limbeck_nn::{Mode, Network, Outputs, Pass, Tap, Taps, TaskKind, layer::resize_bilinear};

/// A network in evaluation mode with its batch norms folded. It has no way to be trained: it is
/// never handed out mutably, and its numbers record no gradients.
#[derive(Debug)]
pub struct FrozenTeacher {
    network: Network,
    adaptation: Option<Adaptation>,
    /// Height and width that images are brought to; `None` of networks that take any.
    size: Option<[usize; 2]>,
}

/// `teacher input = student input · scale + shift`, channel by channel: undoes the student's
/// normalisation and applies the teacher's.
#[derive(Debug)]
struct Adaptation {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl FrozenTeacher {
    /// `own` is the normalisation that the teacher was trained with, `student` the one that
    /// incoming images have. Images of another size than the teacher's are resized bilinearly, unless
    /// it segments: then it sees what the student sees.
    pub fn new(network: &Network, own: &Normalisation, student: &Normalisation) -> Self {
        let input = network.input();
        Self {
            network: network.frozen(),
            adaptation: (own != student).then(|| Adaptation::between(student, own)),
            size: (network.task() != Some(TaskKind::Segmentation))
                .then_some([input.height, input.width]),
        }
    }

    fn run(&self, images: Tensor<4>, taps: &Taps) -> Outputs {
        self.network.evaluate(self.adapted(images), taps)
    }

    /// As it was trained to see them: its normalisation, its size.
    fn adapted(&self, mut images: Tensor<4>) -> Tensor<4> {
        if let Some(adaptation) = &self.adaptation {
            images = adaptation.apply(images);
        }
        if let Some(size) = self.size {
            images = resize_bilinear(images, size, false);
        }
        images
    }
}

impl Adaptation {
    fn between(from: &Normalisation, to: &Normalisation) -> Self {
        let channels = from.mean.len().min(to.mean.len());
        let mut scale = Vec::with_capacity(channels);
        let mut shift = Vec::with_capacity(channels);
        for channel in 0..channels {
            let to_std = to.std[channel];
            scale.push(from.std[channel] / to_std);
            shift.push((from.mean[channel] - to.mean[channel]) / to_std);
        }
        Self { scale, shift }
    }

    fn apply(&self, images: Tensor<4>) -> Tensor<4> {
        let channels = self.scale.len();
        let options = (&images.device(), images.dtype());
        let per_channel = |values: &[f64]| {
            Tensor::<4>::from_data(
                TensorData::new(values.to_vec(), [1, channels, 1, 1]),
                options,
            )
        };
        images * per_channel(&self.scale) + per_channel(&self.shift)
    }
}

impl Teacher for FrozenTeacher {
    fn name(&self) -> &str {
        self.network.name()
    }

    fn taps(&self) -> Vec<Tap> {
        self.network.taps()
    }

    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, MethodError> {
        Ok(self.run(images.inner(), taps))
    }

    fn outputs_through(&self, images: Tensor<4>, taps: &Taps) -> Option<Outputs> {
        Some(self.run(images, taps))
    }

    fn tokens_of_patches(
        &self,
        images: Tensor<4>,
        visible: &Tensor<2, Int>,
        block: usize,
    ) -> Option<Tensor<3>> {
        let transformer = self.network.transformer()?;
        if block >= transformer.config().depth {
            return None;
        }
        let images = self.adapted(images.inner());
        let store = &self.network.store;
        let mut pass = Pass::new(store, Mode::Evaluate, Taps::none(), 0);
        let tokens = transformer.visible_tokens(&mut pass, images, visible);
        let grid = [1, visible.dims()[1]];
        Some(transformer.run_blocks(&mut pass, tokens, 0..block + 1, grid))
    }
}
