//! What compares or joins two maps, and what is made of their parts.

use super::noise;
use crate::{
    PyramidLevel, blend,
    pooling::adaptive::{self, Parts},
    squared_error::{self, pieces::Pyramid},
};

pub(super) fn results() -> Vec<(String, Vec<f32>)> {
    let mut results = Vec::new();
    for [height, width] in [[1, 1], [8, 8], [9, 70]] {
        let count = 6 * height * width;
        let [a, b, gradient] = [1, 2, 3].map(|seed| noise(count, seed));
        let shares = noise(6, 4);
        let mut add = |name: &str, values| {
            results.push((format!("{name}, {height} by {width}"), values));
        };
        let levels = [4, 2, 1].map(|side| PyramidLevel { side, weight: 0.5 });
        let pyramid = Pyramid::new([2, 3, height, width], &levels);
        for (name, pyramid) in [("flat", Pyramid::flat(count)), ("pyramid", pyramid)] {
            let (error, slopes) = squared_error::pieces::squared_error(&pyramid, [&a, &b], true);
            add(name, vec![error as f32]);
            add("slopes", slopes.unwrap());
        }
        add("blended", blend::maps::forward([&a, &b], &shares));
        let gradients = blend::maps::backward([&a, &b], &shares, &gradient);
        add("of first", gradients.first);
        add("of second", gradients.second);
        add("of shares", gradients.share);
        let parts = Parts::new([2, 3, height, width], [3, 2]);
        add("parts", adaptive::forward(&parts, &a));
        add("dx of parts", adaptive::backward(&parts, &noise(36, 5)));
        let parts = Parts::new([19, 1, height, width], [3, 2]);
        let x = noise(19 * height * width, 6);
        add("parts of many", adaptive::forward(&parts, &x));
        let of_many = adaptive::backward(&parts, &noise(19 * 6, 7));
        add("dx of parts of many", of_many);
    }
    results
}
