//! A small classifier that reads the last maps of several networks together.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Pass,
    layer::{Conv2dConfig, ConvNorm, Linear, global_avg_pool2d},
};

use crate::{
    MethodError, Term,
    peers::{Peers, mean_logits, require_alike},
};

/// What the layers of a [`Fusion`] are called.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FusionNames {
    /// The depthwise convolution and its norm.
    pub depthwise: [&'static str; 2],
    /// The 1×1 convolution and its norm.
    pub pointwise: [&'static str; 2],
    /// The linear map.
    pub classifier: &'static str,
}

/// Maps side by side, a depthwise 3×3 convolution, batch norm, ReLU, a 1×1 convolution back to the
/// channels of one map, batch norm, ReLU, the mean over positions, a linear map.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fusion {
    networks: usize,
    depthwise: ConvNorm,
    pointwise: ConvNorm,
    classifier: Linear,
}

/// What several networks' maps say together.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct Fused {
    /// `[B, C, H, W]`.
    pub map: Tensor<4>,
    /// `[B, K]`.
    pub logits: Tensor<2>,
}

impl Fusion {
    /// For this many networks with maps of `channels` channels each. Convolutions are drawn by
    /// Kaiming's normal rule over outgoing connections.
    pub fn new(
        builder: &mut Builder<'_>,
        names: FusionNames,
        networks: usize,
        channels: usize,
        classes: usize,
    ) -> Self {
        let all = networks * channels;
        let [convolution, norm] = names.depthwise;
        let config = Conv2dConfig::new(all, all, 3).padding(1).groups(all);
        let depthwise = ConvNorm::new(builder, convolution, norm, config.kaiming_fan_out());
        let [convolution, norm] = names.pointwise;
        let config = Conv2dConfig::new(all, channels, 1);
        let pointwise = ConvNorm::new(builder, convolution, norm, config.kaiming_fan_out());
        Self {
            networks,
            depthwise,
            pointwise,
            classifier: Linear::new(builder.sub(names.classifier), channels, classes),
        }
    }

    /// Fuses the maps `[B, C, H, W]` of all networks.
    ///
    /// # Errors
    /// Another number of maps, or maps of different shapes.
    pub fn forward(
        &self,
        method: &'static str,
        pass: &mut Pass<'_>,
        maps: &[Tensor<4>],
    ) -> Result<Fused, MethodError> {
        require_alike(method, "maps", maps, self.networks)?;
        let x = self
            .depthwise
            .forward_relu(pass, Tensor::cat(maps.to_vec(), 1));
        let map = self.pointwise.forward_relu(pass, x);
        let logits = self
            .classifier
            .forward(pass, global_avg_pool2d(map.clone()));
        Ok(Fused { map, logits })
    }
}

/// What networks and the classifier of their fused maps learn from each other, all weighed by
/// `weight`: `kd` of each network, from the fused classifier, and `kd.fused`, from the mean of the
/// networks. Logits are `[B, K]` each; `divergence(own, target)` is given constant targets.
///
/// # Errors
/// Another number of networks, or logits of different shapes.
pub(crate) fn mutual_terms(
    method: &'static str,
    peers: &Peers,
    logits: &[Tensor<2>],
    fused: &Tensor<2>,
    weight: f64,
    divergence: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<1>,
) -> Result<Vec<Term>, MethodError> {
    let all: Vec<Tensor<2>> = logits.iter().chain([fused]).cloned().collect();
    require_alike(method, "logits", &all, peers.count() + 1)?;
    let learn = |own: &Tensor<2>, target: Tensor<2>| divergence(own.clone(), target.inner());
    let values = logits.iter().map(|own| learn(own, fused.clone()));
    let mut terms = peers.terms("kd", values, weight);
    let value = learn(fused, mean_logits(logits));
    terms.push(Term::new("kd.fused", value, weight));
    Ok(terms)
}

/// Swaps the two networks' channels in the convolutions of these names, depthwise and 1×1.
#[cfg(test)]
pub(crate) fn swap_halves(store: &mut limbeck_nn::Store, names: [&str; 2]) {
    let [depthwise, pointwise] = names.map(|name| store.find(name).unwrap());
    let swap = |weight: Tensor<4>, axis: usize| {
        let halves = weight.chunk(2, axis);
        let swapped = Tensor::cat(vec![halves[1].clone(), halves[0].clone()], axis);
        let count = swapped.shape().num_elements();
        swapped.reshape([count])
    };
    let weight = swap(store.get(depthwise), 0);
    store.set(depthwise, weight);
    let weight = swap(store.get(pointwise), 1);
    store.set(pointwise, weight);
}
