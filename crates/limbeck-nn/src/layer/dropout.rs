//! Random omissions in training.
//!
//! What is kept is divided by the share that is kept, so that expectations stay as they are.
//! Draws come from [`Pass::next_seed`] alone: a repeated step repeats them.

use burn::tensor::{Tensor, TensorData};

use crate::{Pass, init::RandomStream, seed::Purpose};

/// Omits each element with probability `rate` (in `[0, 1)`) in training. Any shape.
///
/// Srivastava et al. "Dropout: A Simple Way to Prevent Neural Networks from Overfitting".
/// JMLR 2014.
pub fn dropout<const D: usize>(pass: &mut Pass<'_>, x: Tensor<D>, rate: f64) -> Tensor<D> {
    let shape = x.dims();
    omit(pass, x, shape, rate)
}

/// Omits each channel of each sample with probability `rate` (in `[0, 1)`) in training.
/// `[B, C, H, W]` → the same shape.
///
/// Tompson et al. "Efficient Object Localization Using Convolutional Networks". CVPR 2015,
/// section 3.2 (PyTorch's `Dropout2d`).
pub fn dropout_channels(pass: &mut Pass<'_>, x: Tensor<4>, rate: f64) -> Tensor<4> {
    let [batch, channels, _, _] = x.dims();
    omit(pass, x, [batch, channels, 1, 1], rate)
}

/// Omits a residual branch for each sample with probability `rate` (in `[0, 1)`) in training.
/// `[B, …]` → the same shape.
///
/// Huang et al. "Deep Networks with Stochastic Depth". ECCV 2016.
pub fn drop_path<const D: usize>(pass: &mut Pass<'_>, x: Tensor<D>, rate: f64) -> Tensor<D> {
    if pass.keeps_branches() {
        return x;
    }
    let mut shape = [1; D];
    shape[0] = x.dims()[0];
    omit(pass, x, shape, rate)
}

/// What [`drop_path`] multiplies the branches of `batch` samples by, `[B]`; `None` where it leaves them.
pub(super) fn branch_shares(pass: &mut Pass<'_>, batch: usize, rate: f64) -> Option<Tensor<1>> {
    if pass.keeps_branches() {
        return None;
    }
    let shares = drawn(pass, batch, rate)?;
    let data = TensorData::new(shares, [batch]);
    Some(Tensor::from_data(data, (pass.device(), pass.dtype())))
}

/// One draw per element of `shape`, which broadcasts to the shape of `x`.
fn omit<const D: usize>(
    pass: &mut Pass<'_>,
    x: Tensor<D>,
    shape: [usize; D],
    rate: f64,
) -> Tensor<D> {
    let Some(factors) = drawn(pass, shape.iter().product(), rate) else {
        return x;
    };
    let factors = Tensor::from_data(TensorData::new(factors, shape), (&x.device(), x.dtype()));
    x * factors
}

/// What `count` elements are multiplied by; `None` where none is omitted.
fn drawn(pass: &mut Pass<'_>, count: usize, rate: f64) -> Option<Vec<f64>> {
    if rate == 0.0 || !pass.is_training() {
        return None;
    }
    let mut stream = RandomStream::new(pass.next_seed(), Purpose::Dropout, 0);
    let kept = 1.0 / (1.0 - rate);
    let factor = |_| if stream.unit() < rate { 0.0 } else { kept };
    Some((0..count).map(factor).collect())
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};

    use super::*;
    use crate::{Mode, Store, Taps};

    fn run(mode: Mode, seed: u64, layer: fn(&mut Pass<'_>, Tensor<2>) -> Tensor<2>) -> Vec<f64> {
        let store = Store::new(&Device::flex(), DType::F64);
        let mut pass = Pass::new(&store, mode, Taps::none(), seed);
        let ones = Tensor::ones([100, 50], (&Device::flex(), DType::F64));
        layer(&mut pass, ones).into_data().iter::<f64>().collect()
    }

    #[test]
    fn dropout_omits_its_share_of_the_elements_and_raises_the_others() {
        let values = run(Mode::Train, 1, |pass, x| dropout(pass, x, 0.2));
        assert!(values.iter().all(|&x| x == 0.0 || x == 1.25));
        let omitted = values.iter().filter(|&&x| x == 0.0).count();
        // 5000 draws: four standard deviations are 113.
        assert!((887..=1113).contains(&omitted), "{omitted}");
    }

    #[test]
    fn drop_path_omits_whole_samples() {
        let values = run(Mode::Train, 1, |pass, x| drop_path(pass, x, 0.5));
        for sample in values.chunks(50) {
            assert!(sample.iter().all(|&x| x == sample[0]));
            assert!(sample[0] == 0.0 || sample[0] == 2.0);
        }
        let omitted = values.iter().step_by(50).filter(|&&x| x == 0.0).count();
        // 100 draws: four standard deviations are 20.
        assert!((30..=70).contains(&omitted), "{omitted}");
    }

    #[test]
    fn drop_path_can_rest() {
        let values = run(Mode::Train, 1, |pass, x| {
            pass.keep_branches();
            drop_path(pass, x, 0.5)
        });
        assert!(values.iter().all(|&x| x == 1.0));
    }

    #[test]
    fn draws_follow_the_seed_and_differ_within_a_pass() {
        let twice = |pass: &mut Pass<'_>, x: Tensor<2>| {
            let first = dropout(pass, x.clone(), 0.5);
            Tensor::cat(vec![first, dropout(pass, x, 0.5)], 0)
        };
        let values = run(Mode::Train, 1, twice);
        assert_ne!(values[..5000], values[5000..]);
        assert_eq!(values, run(Mode::Train, 1, twice));
        assert_ne!(values, run(Mode::Train, 2, twice));
    }

    #[test]
    fn evaluation_omits_nothing() {
        for layer in [
            |pass: &mut Pass<'_>, x| dropout(pass, x, 0.5),
            |pass: &mut Pass<'_>, x| drop_path(pass, x, 0.5),
        ] {
            assert!(run(Mode::Evaluate, 1, layer).iter().all(|&x| x == 1.0));
        }
    }
}
