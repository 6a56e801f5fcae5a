//! Attention for keys and values of their own against the definition, in `f32` (the kernels) and in
//! `f64` (burn's own operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

#[path = "support/difference.rs"]
mod difference;
mod support;

use burn::tensor::DType;
use difference::differences;
use limbeck_kernels::{attention, self_attention};
use proptest::prelude::*;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

/// Batch, queries, keys, heads, numbers per head.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    per_head: usize,
}

impl Sizes {
    fn new([batch, queries, keys, heads, per_head]: [usize; 5]) -> Self {
        Self {
            batch,
            queries,
            keys,
            heads,
            per_head,
        }
    }

    fn of_queries(self) -> [usize; 3] {
        [self.batch, self.queries, self.heads * self.per_head]
    }

    fn of_keys(self) -> [usize; 3] {
        [self.batch, self.keys, 2 * self.heads * self.per_head]
    }
}

fn count(shape: [usize; 3]) -> usize {
    shape.iter().product()
}

/// The output, written out.
fn definition(sizes: Sizes, queries: &[f64], keys: &[f64]) -> Vec<f64> {
    let Sizes {
        heads, per_head, ..
    } = sizes;
    let width = heads * per_head;
    let mut output = vec![0.0; count(sizes.of_queries())];
    for image in 0..sizes.batch {
        for head in 0..heads {
            let key = |key: usize, i: usize| {
                keys[(image * sizes.keys + key) * 2 * width + head * per_head + i]
            };
            let value = |key: usize, i: usize| {
                keys[(image * sizes.keys + key) * 2 * width + width + head * per_head + i]
            };
            for query in 0..sizes.queries {
                let at = (image * sizes.queries + query) * width + head * per_head;
                let scores: Vec<f64> = (0..sizes.keys)
                    .map(|k| {
                        let product: f64 = (0..per_head).map(|i| queries[at + i] * key(k, i)).sum();
                        (product / (per_head as f64).sqrt()).exp()
                    })
                    .collect();
                let sum: f64 = scores.iter().sum();
                for i in 0..per_head {
                    output[at + i] = (0..sizes.keys).map(|k| scores[k] / sum * value(k, i)).sum();
                }
            }
        }
    }
    output
}

/// Output, and gradients of queries and of keys and values.
fn run(sizes: Sizes, inputs: &[Vec<f64>; 3], dtype: DType) -> [Vec<f64>; 3] {
    let [queries, keys, gradient] = inputs;
    let queries = tracked(queries, sizes.of_queries(), dtype);
    let keys = tracked(keys, sizes.of_keys(), dtype);
    let y = attention(queries.clone(), keys.clone(), sizes.heads);
    let gradient = plain(gradient, sizes.of_queries(), dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    let of = |tensor: burn::tensor::Tensor<3>| values(tensor.grad(&gradients).expect("tracked"));
    [values(y), of(queries), of(keys)]
}

/// Queries, keys and values from −`most` to `most`, and a gradient.
fn inputs(sizes: Sizes, most: f64, seed: u64) -> [Vec<f64>; 3] {
    let scaled = |shape, seed| -> Vec<f64> {
        let numbers = noise(count(shape), seed);
        numbers.iter().map(|x| 2.0 * most * x).collect()
    };
    [
        scaled(sizes.of_queries(), seed),
        scaled(sizes.of_keys(), seed + 1),
        noise(count(sizes.of_queries()), seed + 2),
    ]
}

fn check(sizes: Sizes, seed: u64) {
    let inputs = inputs(sizes, 1.5, seed);
    let single = run(sizes, &inputs, DType::F32);
    let double = run(sizes, &inputs, DType::F64);
    let expected = definition(sizes, &inputs[0], &inputs[1]);
    assert_close("f64 output", &double[0], &expected, 1e-12);
    assert_close(
        &format!("output at {sizes:?}"),
        &single[0],
        &double[0],
        1e-5,
    );
    // With one key all terms of a query's gradient cancel: what is left is as exact as they were.
    let [single, double] = [single, double].map(|[_, queries, keys]| [queries, keys].concat());
    assert_close(&format!("gradients at {sizes:?}"), &single, &double, 2e-5);
}

#[test]
fn a_small_attention_is_as_worked_by_hand() {
    // Keys 0 and ln 3, values 4 and 8: query 0 takes both alike, query 1 the last with weight 3/4,
    // query −1 with weight 1/4.
    let keys = vec![0.0, 4.0, 3.0f64.ln(), 8.0];
    let inputs = [vec![0.0, 1.0, -1.0], keys, vec![1.0; 3]];
    let [y, ..] = run(Sizes::new([1, 3, 2, 1, 1]), &inputs, DType::F32);
    assert_close("output", &y, &[6.0, 7.0, 5.0], 1e-6);
}

#[test]
fn with_as_many_keys_it_is_self_attention_bit_by_bit() {
    let sizes = Sizes::new([2, 37, 37, 3, 8]);
    let [queries, keys, _] = inputs(sizes, 1.0, 9);
    let joined: Vec<f64> = queries
        .chunks(24)
        .zip(keys.chunks(48))
        .flat_map(|(query, key)| [query, key].concat())
        .collect();
    let joined = self_attention(plain(&joined, [2, 37, 72], DType::F32), 3);
    let apart = attention(
        plain(&queries, sizes.of_queries(), DType::F32),
        plain(&keys, sizes.of_keys(), DType::F32),
        3,
    );
    assert_eq!(bits(joined), bits(apart));
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for sizes in [[1, 2, 3, 1, 1], [2, 4, 1, 2, 3], [1, 3, 5, 1, 4]] {
        let sizes = Sizes::new(sizes);
        let inputs = inputs(sizes, 1.0, 7);
        let [queries, keys, gradient] = &inputs;
        let of_queries = differences(|x| definition(sizes, x, keys), queries, gradient);
        let of_keys = differences(|x| definition(sizes, queries, x), keys, gradient);
        let [_, found_queries, found_keys] = run(sizes, &inputs, DType::F64);
        assert_close("queries", &found_queries, &of_queries, 1e-7);
        assert_close("keys", &found_keys, &of_keys, 1e-7);
    }
}

#[test]
fn usual_sizes_follow_the_definition() {
    for (seed, sizes) in [
        [1, 1024, 16, 1, 32],
        [2, 256, 64, 2, 32],
        [1, 130, 49, 5, 32],
        [1, 49, 130, 8, 32],
        [3, 1, 7, 2, 64],
    ]
    .into_iter()
    .enumerate()
    {
        check(Sizes::new(sizes), seed as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_size_follows_the_definition(
        batch in 1usize..=3,
        queries in 1usize..=140,
        keys in 1usize..=40,
        heads in 1usize..=3,
        per_head in 1usize..=20,
        seed in 1u64..1 << 32,
    ) {
        check(Sizes::new([batch, queries, keys, heads, per_head]), seed);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for sizes in [[1, 197, 31, 2, 16], [7, 21, 50, 3, 5]] {
        let sizes = Sizes::new(sizes);
        let inputs = inputs(sizes, 1.0, 5);
        let one = with_threads(1, || run(sizes, &inputs, DType::F32));
        for threads in [2, 5] {
            let many = with_threads(threads, || run(sizes, &inputs, DType::F32));
            assert!(one == many, "{sizes:?} on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "do not have 2 heads")]
fn keys_of_another_width_are_refused() {
    let queries = plain(&[0.0; 8], [1, 2, 4], DType::F32);
    attention(queries, plain(&[0.0; 12], [1, 2, 6], DType::F32), 2);
}

#[test]
#[should_panic(expected = "do not have 1 heads")]
fn no_keys_are_refused() {
    let queries = plain(&[0.0; 2], [1, 1, 2], DType::F32);
    attention(queries, plain(&[], [1, 0, 4], DType::F32), 1);
}
