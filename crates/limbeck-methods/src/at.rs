//! # at — Paying More Attention to Attention
//!
//! Where a network's activations are strong tells what it looks at: the normalised spatial maps of
//! activation energy of student and teacher are matched at several depths.
//!
//! ## Definition
//! L = CE(z, y) + weight · Σ_l mean (A(F_s,l) − A(F_t,l))²
//!
//! A(F) = a / max(‖a‖₂, 1e-12) with a = mean_c F_c^p, flattened over the H·W positions; F_s:
//! student map, F_t: teacher map (detached), p: `p`. The mean is over images and positions, the
//! sum over the compared stages.
//!
//! ## Inputs and shapes
//! Maps `[B, C, H, W]` of any widths, one of each network per compared stage; tokens are put back
//! on their grid. Default: all stages that `limbeck inspect` pairs. Where sizes differ, the larger
//! map is averaged over adaptive windows to the smaller size before A.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `weight` | 1000 | ≥ 0 | RepDistiller and mdistiller |
//! | `p` | 2 | 1 to 8 | paper, section 3.1; odd powers keep the sign |
//!
//! ## Notes
//! The paper writes (β/2)·‖A_s − A_t‖₂ per image with β = 1000 divided by map size and batch: the
//! same up to scale and the square root. The common code pools a larger map to a square of the
//! smaller height; here each axis goes to the smaller of the two sizes, which is the same for
//! square maps and also serves others. A map of zeros gives a vector of zeros. Cost: B·C·H·W.
//!
//! ## Reference
//! Zagoruyko, Komodakis. "Paying More Attention to Attention: Improving the Performance of
//! Convolutional Neural Networks via Attention Transfer". ICLR 2017.
//! <https://arxiv.org/abs/1612.03928>

#[cfg(test)]
pub mod golden;

use burn::tensor::Tensor;
use limbeck_nn::{Builder, Pass, layer::energy_and_mean};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, Step, Term,
    connector::{mean_squared_error, pool_map},
    criterion::{require_at_least, require_weight},
    pairs::{Pair, propose_pairs, resolve_pairs},
};

/// Smallest norm that a map is divided by, as in PyTorch's `normalize`.
const NORM_FLOOR: f64 = 1e-12;
/// Largest power that is offered: higher ones leave nothing but the greatest activation.
const GREATEST_POWER: usize = 8;

/// Settings of [`At`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AtConfig {
    /// Factor of the sum over stages.
    pub weight: f64,
    /// Power of the activations.
    pub p: usize,
}

impl Default for AtConfig {
    fn default() -> Self {
        Self {
            weight: 1000.0,
            p: 2,
        }
    }
}

/// Maps of activation energy.
#[derive(Debug)]
pub struct At {
    config: AtConfig,
    pairs: Vec<Pair>,
}

impl At {
    const ID: &'static str = "at";

    /// Checks settings and layers.
    ///
    /// # Errors
    /// A negative weight, a power out of range, no teacher, or layers that are not there.
    pub fn new(
        config: AtConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_weight(Self::ID, "weight", config.weight)?;
        require_at_least(Self::ID, "p", config.p, 1)?;
        if config.p > GREATEST_POWER {
            return Err(MethodError::Setting {
                method: Self::ID,
                key: "p",
                expected: format!("at most {GREATEST_POWER}"),
                found: config.p.to_string(),
            });
        }
        let pairs = resolve_pairs(Self::ID, probe, propose_pairs)?;
        Ok(Self { config, pairs })
    }

    /// The loss of one stage, `[1]`, from maps `[B, C, H, W]`.
    pub fn stage(&self, student: Tensor<4>, teacher: Tensor<4>) -> Tensor<1> {
        energy_distance(student, teacher, self.config.p)
    }
}

/// Mean squared difference of A of both maps `[B, C, H, W]`, the larger one averaged to the size
/// of the smaller: `[1]`.
pub(crate) fn energy_distance(student: Tensor<4>, teacher: Tensor<4>, p: usize) -> Tensor<1> {
    let [_, _, height, width] = student.dims();
    let [_, _, other_height, other_width] = teacher.dims();
    let size = [height.min(other_height), width.min(other_width)];
    mean_squared_error(
        energy(pool_map(student, size), p),
        energy(pool_map(teacher, size), p),
    )
}

/// A(F): `[B, C, H, W]` → `[B, H·W]`, rows of length one.
pub(crate) fn energy(map: Tensor<4>, p: usize) -> Tensor<2> {
    if p == 2 {
        return unit_rows(energy_and_mean(map).energy);
    }
    let [batch, channels, height, width] = map.dims();
    let map = map.reshape([batch, channels, height * width]);
    let power = (1..p).fold(map.clone(), |power, _| power * map.clone());
    unit_rows(power.mean_dim(1).reshape([batch, height * width]))
}

/// Energies `[B, H·W]` over their lengths.
pub(crate) fn unit_rows(energy: Tensor<2>) -> Tensor<2> {
    // The floor is put under the square, so that the gradient at zero is zero.
    let square = energy.clone().square().sum_dim(1);
    energy / square.clamp_min(NORM_FLOOR * NORM_FLOOR).sqrt()
}

impl Criterion for At {
    fn needs(&self) -> Needs {
        Needs {
            student: self.pairs.iter().map(|pair| &pair.student.name).collect(),
            teacher: self.pairs.iter().map(|pair| &pair.teacher.name).collect(),
            logits: false,
        }
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let outputs = step.teacher(Self::ID)?;
        let mut stages = Vec::new();
        for pair in &self.pairs {
            let student = pair.student_map(Self::ID, step.student)?;
            let teacher = pair.teacher_map(Self::ID, &outputs)?;
            stages.push(self.stage(student, teacher));
        }
        let value = Tensor::cat(stages, 0).sum();
        Ok(vec![Term::new("at", value, self.config.weight)])
    }

    fn pairs(&self) -> Vec<(String, String)> {
        self.pairs.iter().map(Pair::names).collect()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Int;

    use super::*;
    use crate::testing::{
        assert_close, build, gradient, leaf, map, number, outputs, probe, random, terms, tokens,
    };

    fn make(p: usize) -> At {
        let taps = [map("stage1", [3, 4, 4])];
        let config = AtConfig { p, weight: 1.0 };
        build(&probe(&taps, &taps), |probe, builder| {
            At::new(config, probe, builder)
        })
        .unwrap()
        .0
    }

    #[test]
    fn scale_and_order_of_channels_do_not_matter() {
        let method = make(2);
        let (student, teacher) = (random("s", [2, 3, 4, 4]), random("t", [2, 5, 4, 4]));
        let before = number(&method.stage(student.clone(), teacher.clone()));
        assert!(before > 0.0);
        let scaled = method.stage(student.clone().mul_scalar(-7.0), teacher.clone());
        assert_close(&[number(&scaled)], &[before]);
        let order = Tensor::<1, Int>::from_data([2, 0, 1], &student.device());
        let permuted = method.stage(student.select(1, order), teacher);
        assert_close(&[number(&permuted)], &[before]);
    }

    #[test]
    fn proportional_maps_cost_nothing_and_no_pair_costs_more_than_two_per_position() {
        let method = make(2);
        let map = random("s", [2, 3, 4, 4]);
        let same = method.stage(map.clone(), map.clone().mul_scalar(3.0));
        assert_close(&[number(&same)], &[0.0]);
        let one_hot = |at: usize| {
            let mut numbers = vec![0.0; 16];
            numbers[at] = 1.0;
            crate::testing::tensor(numbers, [1, 1, 4, 4])
        };
        let apart = method.stage(one_hot(0), one_hot(9));
        assert_close(&[number(&apart)], &[2.0 / 16.0]);
    }

    #[test]
    fn odd_powers_keep_the_sign() {
        let map = random("s", [2, 3, 4, 4]);
        let flipped = number(&make(3).stage(map.clone(), map.clone().neg()));
        // Opposite unit vectors are two apart: 4 over 16 positions.
        assert_close(&[flipped], &[4.0 / 16.0]);
    }

    #[test]
    fn a_map_of_zeros_has_a_finite_loss_and_gradient() {
        let method = make(2);
        let zeros = leaf(random("s", [2, 3, 4, 4]).zeros_like());
        let loss = method.stage(zeros.clone(), random("t", [2, 3, 4, 4]));
        // The teacher's unit vector is left over: 1 over 16 positions.
        assert_close(&[number(&loss)], &[1.0 / 16.0]);
        let gradient = gradient(&zeros, &loss.backward()).unwrap();
        assert!(gradient.iter().all(|&g| g == 0.0));
    }

    #[test]
    fn maps_and_grids_of_all_sizes_can_be_compared() {
        let student = [map("stage1", [3, 8, 6]), map("stage2", [3, 4, 9])];
        let teacher = [tokens("stage1", 5, [7, 7]), tokens("stage2", 5, [7, 7])];
        let (mut method, store) = build(&probe(&student, &teacher), |probe, builder| {
            At::new(AtConfig::default(), probe, builder)
        })
        .unwrap();
        assert_eq!(method.pairs().len(), 2);
        let (s, t) = (outputs("s", 4, &student), outputs("t", 4, &teacher));
        let value = number(&terms(&mut method, &store, &s, &t)[0].value);
        assert!(value > 0.0 && value.is_finite());
    }

    #[test]
    fn powers_out_of_range_are_refused() {
        let taps = [map("stage1", [3, 4, 4])];
        for (p, range) in [(0, "at least 1"), (9, "at most 8")] {
            let config = AtConfig { p, weight: 1.0 };
            let error = build(&probe(&taps, &taps), |p, b| At::new(config, p, b)).unwrap_err();
            assert!(error.to_string().contains(range), "{error}");
        }
    }
}
