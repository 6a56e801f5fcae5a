//! Attention against the definition, in `f32` (the kernels) and in `f64` (burn's own operations).

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
use limbeck_kernels::self_attention;
use proptest::prelude::*;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

/// Batch, tokens, heads, numbers per head.
type Sizes = [usize; 4];

fn shape([batch, tokens, heads, per_head]: Sizes, parts: usize) -> [usize; 3] {
    [batch, tokens, parts * heads * per_head]
}

/// The output, written out.
fn definition(sizes: Sizes, qkv: &[f64]) -> Vec<f64> {
    let [batch, tokens, heads, per_head] = sizes;
    let width = heads * per_head;
    let number = |image: usize, token: usize, part: usize, head: usize, i: usize| {
        qkv[(image * tokens + token) * 3 * width + part * width + head * per_head + i]
    };
    let mut output = vec![0.0; batch * tokens * width];
    for image in 0..batch {
        for head in 0..heads {
            for query in 0..tokens {
                let scores: Vec<f64> = (0..tokens)
                    .map(|key| {
                        let product: f64 = (0..per_head)
                            .map(|i| {
                                number(image, query, 0, head, i) * number(image, key, 1, head, i)
                            })
                            .sum();
                        (product / (per_head as f64).sqrt()).exp()
                    })
                    .collect();
                let sum: f64 = scores.iter().sum();
                for i in 0..per_head {
                    output[(image * tokens + query) * width + head * per_head + i] = (0..tokens)
                        .map(|key| scores[key] / sum * number(image, key, 2, head, i))
                        .sum();
                }
            }
        }
    }
    output
}

/// Output and gradient.
fn run(sizes: Sizes, qkv: &[f64], gradient: &[f64], dtype: DType) -> [Vec<f64>; 2] {
    let qkv = tracked(qkv, shape(sizes, 3), dtype);
    let y = self_attention(qkv.clone(), sizes[2]);
    let gradient = plain(gradient, shape(sizes, 1), dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    [
        values(y),
        values(qkv.grad(&gradients).expect("qkv is tracked")),
    ]
}

/// Queries, keys and values from −`most` to `most`, and a gradient.
fn inputs(sizes: Sizes, most: f64, seed: u64) -> [Vec<f64>; 2] {
    let count = sizes.iter().product();
    let qkv = noise(3 * count, seed)
        .iter()
        .map(|x| 2.0 * most * x)
        .collect();
    [qkv, noise(count, seed + 1)]
}

fn check(sizes: Sizes, seed: u64) {
    let [qkv, gradient] = inputs(sizes, 1.5, seed);
    let single = run(sizes, &qkv, &gradient, DType::F32);
    let double = run(sizes, &qkv, &gradient, DType::F64);
    assert_close("f64 output", &double[0], &definition(sizes, &qkv), 1e-12);
    assert_close(
        &format!("output at {sizes:?}"),
        &single[0],
        &double[0],
        1e-5,
    );
    assert_close(
        &format!("gradient at {sizes:?}"),
        &single[1],
        &double[1],
        2e-5,
    );
}

#[test]
fn a_small_attention_is_as_worked_by_hand() {
    // Two tokens of one number: queries 0 and 1, keys 0 and ln 3, values 4 and 8. The first query
    // takes both values alike, the second the last with weight 3/4.
    let key = 3.0f64.ln();
    let qkv = [0.0, 0.0, 4.0, 1.0, key, 8.0];
    let [y, _] = run([1, 2, 1, 1], &qkv, &[1.0, 1.0], DType::F32);
    assert_close("output", &y, &[6.0, 7.0], 1e-6);
}

#[test]
fn one_token_attends_to_itself() {
    let sizes = [2, 1, 3, 5];
    let [qkv, gradient] = inputs(sizes, 1.0, 1);
    let [y, dx] = run(sizes, &qkv, &gradient, DType::F32);
    for image in 0..2 {
        assert_close(
            "output",
            &y[image * 15..][..15],
            &qkv[image * 45 + 30..][..15],
            1e-6,
        );
        assert!(dx[image * 45..][..30].iter().all(|g| g.abs() < 1e-6));
        let of_values = &dx[image * 45 + 30..][..15];
        assert_close("gradient", of_values, &gradient[image * 15..][..15], 1e-6);
    }
}

#[test]
fn the_gradient_is_that_of_finite_differences() {
    for sizes in [[1, 2, 1, 1], [2, 3, 2, 3], [1, 5, 1, 4]] {
        let [qkv, gradient] = inputs(sizes, 1.0, 7);
        let expected = differences(|qkv| definition(sizes, qkv), &qkv, &gradient);
        let [_, found] = run(sizes, &qkv, &gradient, DType::F64);
        assert_close(&format!("gradient at {sizes:?}"), &found, &expected, 1e-7);
    }
}

#[test]
fn usual_sizes_follow_the_definition() {
    for (seed, sizes) in [
        [1, 197, 3, 64],
        [2, 65, 2, 32],
        [3, 50, 4, 32],
        [1, 256, 1, 64],
        [1, 49, 2, 80],
        [1, 401, 1, 16],
    ]
    .into_iter()
    .enumerate()
    {
        check(sizes, seed as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_size_follows_the_definition(
        batch in 1usize..=3,
        tokens in 1usize..=70,
        heads in 1usize..=3,
        per_head in 1usize..=20,
        seed in 1u64..1 << 32,
    ) {
        check([batch, tokens, heads, per_head], seed);
    }
}

#[test]
fn large_scores_stay_finite() {
    let sizes = [1, 20, 2, 8];
    let [qkv, gradient] = inputs(sizes, 60.0, 3);
    let single = run(sizes, &qkv, &gradient, DType::F32);
    let double = run(sizes, &qkv, &gradient, DType::F64);
    assert_close("output", &single[0], &double[0], 1e-3);
    assert!(single[1].iter().all(|g| g.is_finite()));
}

#[test]
fn what_is_not_a_number_stays_so() {
    let qkv = plain(&[0.0, f64::NAN, 4.0, 1.0, 2.0, 8.0], [1, 2, 3], DType::F32);
    assert!(values(self_attention(qkv, 1)).iter().all(|y| y.is_nan()));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for sizes in [[1, 197, 2, 16], [7, 21, 3, 5]] {
        let [qkv, gradient] = inputs(sizes, 1.0, 5);
        let one = with_threads(1, || run(sizes, &qkv, &gradient, DType::F32));
        for threads in [2, 5] {
            let many = with_threads(threads, || run(sizes, &qkv, &gradient, DType::F32));
            assert!(one == many, "{sizes:?} on {threads} threads");
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_recording_of_gradients() {
    let sizes = [2, 33, 2, 7];
    let [qkv, _] = inputs(sizes, 1.0, 5);
    let plainly = self_attention(plain(&qkv, shape(sizes, 3), DType::F32), 2);
    let recorded = self_attention(tracked(&qkv, shape(sizes, 3), DType::F32), 2);
    assert_eq!(bits(plainly), bits(recorded.inner()));
}

#[test]
#[should_panic(expected = "do not have 2 heads")]
fn heads_that_do_not_divide_are_refused() {
    self_attention(plain(&[0.0; 9], [1, 1, 9], DType::F32), 2);
}

#[test]
#[should_panic(expected = "do not have 1 heads")]
fn no_tokens_are_refused() {
    self_attention(plain(&[], [1, 0, 3], DType::F32), 1);
}
