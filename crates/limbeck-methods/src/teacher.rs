//! The source of knowledge: outputs for a batch that nothing can train.

use burn::tensor::Tensor;
use limbeck_nn::{Network, Outputs, ParameterId, Tap, Taps};

/// A source of outputs for a batch of the student's images.
pub trait Teacher: Send + Sync {
    /// Zoo name, or what it is made of.
    fn name(&self) -> &str;

    /// Taps with their shapes, in forward order, `logits` last.
    fn taps(&self) -> Vec<Tap>;

    /// Outputs for `images` `[B, C, H, W]`, normalised as the student sees them. They carry no
    /// gradient.
    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Outputs;

    /// The same with gradients that flow back to `images`, and never into the teacher's numbers.
    /// `None` where outputs do not depend on the images at hand, such as stored ones.
    fn outputs_through(&self, _images: Tensor<4>, _taps: &Taps) -> Option<Outputs> {
        None
    }
}

/// The last linear map of a network: logits = embedding · weightᵀ + bias.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// `[K, D]`.
    pub weight: Tensor<2>,
    /// `[K]`.
    pub bias: Option<Tensor<1>>,
}

impl Classifier {
    /// The classifier of `network`: its last weight with a row for each class and a column for
    /// each number of the embedding. `None` where there is none.
    pub fn of(network: &Network) -> Option<Self> {
        let (weight, bias) = Self::ids(network)?;
        Some(Self {
            weight: network.store.get(weight),
            bias: bias.map(|id| network.store.get(id)),
        })
    }

    /// Where weight and bias are in the network's store.
    pub fn ids(network: &Network) -> Option<(ParameterId, Option<ParameterId>)> {
        let classes = network.input().classes;
        let store = &network.store;
        let weight = store
            .ids()
            .filter(|&id| matches!(store.entry(id).shape[..], [rows, _] if rows == classes))
            .last()?;
        let name = &store.entry(weight).name;
        let bias = store.find(&format!("{}bias", name.strip_suffix("weight")?));
        Some((weight, bias))
    }

    /// Length D of the embedding.
    pub fn width(&self) -> usize {
        self.weight.dims()[1]
    }

    /// Embeddings `[N, D]` → logits `[N, K]`; the classifier's numbers take part as they are.
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        let logits = embeddings.matmul(self.weight.clone().transpose());
        match &self.bias {
            Some(bias) => logits + bias.clone().unsqueeze::<2>(),
            None => logits,
        }
    }
}
