//! How long a network takes for one image.

use std::time::Instant;

use burn::tensor::Tensor;
use limbeck_nn::{InputShape, Network, Taps};

/// Forward passes that are timed, after two that are not.
const RUNS: usize = 15;

/// Median milliseconds for one blank image, batch norms folded and layers of few bits in whole numbers.
pub fn latency_ms(network: &Network) -> f64 {
    let network = network.deployed();
    let InputShape {
        channels,
        height,
        width,
        ..
    } = network.input();
    let blank = Tensor::<4>::zeros(
        [1, channels, height, width],
        (network.store.device(), network.store.dtype()),
    );
    let run = || {
        let start = Instant::now();
        let logits = network.evaluate(blank.clone(), &Taps::none()).logits();
        let _ = logits.into_data();
        start.elapsed().as_secs_f64() * 1e3
    };
    run();
    run();
    median((0..RUNS).map(|_| run()).collect())
}

/// The middle value; the mean of the two middle ones where there is no single one; 0 of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    match count {
        0 => 0.0,
        _ if count % 2 == 1 => values[count / 2],
        _ => (values[count / 2 - 1] + values[count / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_value_or_the_mean_of_the_two_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(vec![]), 0.0);
    }
}
