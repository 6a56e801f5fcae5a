//! What is made of one network's map before the maps are fused: several receptive fields, then
//! weights of channels and of positions.

use burn::tensor::{Tensor, activation::sigmoid};
use limbeck_nn::Init;
use limbeck_nn::{
    Builder, Pass,
    layer::{Conv2d, Conv2dConfig, ConvNorm, Linear, relu},
};

/// Shape of a [`MultiScaleBranch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchShape {
    /// C.
    pub channels: usize,
    /// Runs of channels with receptive fields of their own; divides the channels.
    pub groups: usize,
    /// By how much the channel attention narrows the channels, to one at least.
    pub reduction: usize,
    /// Side of the spatial attention's kernel; odd.
    pub spatial_kernel: usize,
}

/// Multi-scale extraction and dual attention on a map `[B, C, H, W]`. State-dict names
/// `msfe.convs.{j}.{0,1}.*`, `att.{fc1,fc2,spatial}.weight`.
#[derive(Clone, Debug)]
pub struct MultiScaleBranch {
    shape: BranchShape,
    convolutions: Vec<ConvNorm>,
    narrow: Linear,
    widen: Linear,
    spatial: Conv2d,
}

/// What [`MultiScaleBranch::forward`] makes.
#[derive(Clone, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "golden files hold all of it"))]
pub struct Enriched {
    /// After the multi-scale extraction, `[B, C, H, W]`.
    pub multi_scale: Tensor<4>,
    /// In (0, 1), `[B, C]`.
    pub channel_attention: Tensor<2>,
    /// In (0, 1), `[B, 1, H, W]`.
    pub spatial_attention: Tensor<4>,
    /// Both attentions applied, `[B, C, H, W]`.
    pub map: Tensor<4>,
}

impl MultiScaleBranch {
    /// Makes the layers. Convolutions are drawn by Kaiming's normal rule over outgoing
    /// connections, linear maps by PyTorch's default.
    pub fn new(builder: &mut Builder<'_>, shape: BranchShape) -> Self {
        let BranchShape {
            channels,
            groups,
            reduction,
            spatial_kernel,
        } = shape;
        let width = channels / groups;
        let convolutions = (1..groups)
            .map(|j| {
                let mut level = builder.sub(format!("msfe.convs.{}", j - 1));
                let config = Conv2dConfig::new(width, width, 3).padding(1);
                ConvNorm::new(&mut level, 0, 1, config.kaiming_fan_out())
            })
            .collect();
        let hidden = (channels / reduction).max(1);
        let mut linear = |name: &str, input, output| {
            let init = Init::pytorch_default(input);
            Linear::with_init(builder.sub(name), input, output, init, None)
        };
        let narrow = linear("att.fc1", channels, hidden);
        let widen = linear("att.fc2", hidden, channels);
        let config = Conv2dConfig::new(2, 1, spatial_kernel).padding(spatial_kernel / 2);
        let spatial = Conv2d::new(builder.sub("att.spatial"), config.kaiming_fan_out());
        Self {
            shape,
            convolutions,
            narrow,
            widen,
            spatial,
        }
    }

    /// Enriches a map `[B, C, H, W]`.
    pub fn forward(&self, pass: &mut Pass<'_>, map: Tensor<4>) -> Enriched {
        let multi_scale = self.extract(pass, map);
        let channel_attention = self.weigh_channels(pass, multi_scale.clone());
        let [batch, channels] = channel_attention.dims();
        let weights = channel_attention.clone().reshape([batch, channels, 1, 1]);
        let weighed = multi_scale.clone() * weights;
        let both = vec![weighed.clone().mean_dim(1), weighed.clone().max_dim(1)];
        let spatial_attention = sigmoid(self.spatial.forward(pass, Tensor::cat(both, 1)));
        Enriched {
            map: weighed * spatial_attention.clone(),
            multi_scale,
            channel_attention,
            spatial_attention,
        }
    }

    /// Each run of channels but the first goes through a convolution, from the third on with the
    /// result of the run before added, so that receptive fields grow from run to run.
    fn extract(&self, pass: &mut Pass<'_>, map: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = map.dims();
        let each = self.shape.channels / self.shape.groups;
        let run = |j: usize| {
            let channels = j * each..(j + 1) * each;
            map.clone().slice([0..batch, channels, 0..height, 0..width])
        };
        let mut made = vec![run(0)];
        for (j, convolution) in (1..).zip(&self.convolutions) {
            let input = match j {
                1 => run(1),
                _ => run(j) + made[j - 1].clone(),
            };
            made.push(convolution.forward_relu(pass, input));
        }
        Tensor::cat(made, 1)
    }

    /// `[B, C, H, W]` → `[B, C]`.
    fn weigh_channels(&self, pass: &mut Pass<'_>, map: Tensor<4>) -> Tensor<2> {
        let [batch, channels, height, width] = map.dims();
        let positions = map.reshape([batch, channels, height * width]);
        let mean = positions.clone().mean_dim(2).reshape([batch, channels]);
        let greatest = positions.max_dim(2).reshape([batch, channels]);
        let mut score = |pooled| {
            let hidden = relu(self.narrow.forward(pass, pooled));
            self.widen.forward(pass, hidden)
        };
        sigmoid(score(mean) + score(greatest))
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::Store;

    use super::*;
    use crate::testing::{assert_close, build, gradient, leaf, numbers, pass, probe, random};

    const SHAPE: BranchShape = BranchShape {
        channels: 8,
        groups: 4,
        reduction: 4,
        spatial_kernel: 7,
    };

    fn make() -> (MultiScaleBranch, Store) {
        build(&probe(&[], &[]), |_, builder| {
            Ok(MultiScaleBranch::new(builder, SHAPE))
        })
        .unwrap()
    }

    #[test]
    fn silent_convolutions_leave_the_first_run_alone() {
        let (branch, mut store) = make();
        for j in 0..3 {
            let id = store.find(&format!("msfe.convs.{j}.0.weight")).unwrap();
            store.set_values(id, vec![0.0; 2 * 2 * 9]);
        }
        let map = random("map", [2, 8, 5, 5]);
        let found = branch.forward(&mut pass(&store), map.clone()).multi_scale;
        assert_eq!(found.dims(), [2, 8, 5, 5]);
        let first = |map: Tensor<4>| numbers(&map.slice([0..2, 0..2, 0..5, 0..5]));
        assert_eq!(first(found.clone()), first(map));
        let rest = found.slice([0..2, 2..8, 0..5, 0..5]);
        assert!(numbers(&rest).iter().all(|&x| x == 0.0));
    }

    #[test]
    fn attentions_are_between_0_and_1_and_only_make_smaller() {
        let (branch, store) = make();
        let found = branch.forward(&mut pass(&store), random("map", [2, 8, 5, 5]));
        let inside = |values: Vec<f64>| values.iter().all(|a| *a > 0.0 && *a < 1.0);
        assert!(inside(numbers(&found.channel_attention)));
        assert!(inside(numbers(&found.spatial_attention)));
        let before = numbers(&found.multi_scale);
        for (after, before) in numbers(&found.map).iter().zip(before) {
            assert!(after.abs() <= before.abs());
        }
    }

    #[test]
    fn receptive_fields_grow_from_run_to_run() {
        let (branch, store) = make();
        // Batch norm in training ties all positions together: with the running statistics each
        // position depends on its surroundings alone.
        let mut reach = Vec::new();
        for run in 0..4 {
            let map = leaf(random::<4>("map", [1, 8, 9, 9]));
            let taps = limbeck_nn::Taps::none();
            let mut pass = Pass::new(&store, limbeck_nn::Mode::Evaluate, taps, 0);
            let found = branch.extract(&mut pass, map.clone());
            let centre = found.slice([0..1, 2 * run..2 * run + 2, 4..5, 4..5]);
            let gradient = gradient(&map, &centre.sum().backward()).unwrap();
            let distance = |(i, g): (usize, &f64)| {
                let (row, column) = (i / 9 % 9, i % 9);
                let distance = row.abs_diff(4).max(column.abs_diff(4));
                (*g != 0.0).then_some(distance)
            };
            reach.push(gradient.iter().enumerate().filter_map(distance).max());
        }
        for (run, reach) in reach.into_iter().enumerate() {
            assert!(reach.unwrap_or(0) <= run, "run {run} reaches {reach:?}");
            assert!(run > 1 || reach == Some(run), "run {run} reaches {reach:?}");
        }
    }

    #[test]
    fn one_group_changes_nothing_and_a_reduction_beyond_the_channels_keeps_one() {
        let shape = BranchShape {
            groups: 1,
            reduction: 100,
            ..SHAPE
        };
        let (branch, store) = build(&probe(&[], &[]), |_, builder| {
            Ok(MultiScaleBranch::new(builder, shape))
        })
        .unwrap();
        let map = random("map", [2, 8, 3, 3]);
        let found = branch.forward(&mut pass(&store), map.clone());
        assert_close(&numbers(&found.multi_scale), &numbers(&map));
        let id = store.find("att.fc1.weight").unwrap();
        assert_eq!(store.entry(id).shape, [1, 8]);
    }
}
