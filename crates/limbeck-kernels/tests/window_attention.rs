//! Attention in windows against the definition, in `f32` (the kernels) and in `f64` (burn's own
//! operations).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

#[path = "support/difference.rs"]
mod difference;
mod support;

use burn::tensor::{DType, Tensor};
use difference::differences;
use limbeck_kernels::{ProjectionOrder, Windows, self_attention, window_attention};
use proptest::prelude::*;
use support::{assert_close, noise, plain, tracked, values, with_threads};

/// What is attended to how.
#[derive(Clone, Copy, Debug)]
struct Case {
    batch: usize,
    /// Rows and columns that the windows cover.
    grid: [usize; 2],
    side: usize,
    shift: usize,
    heads: usize,
    per_head: usize,
    order: ProjectionOrder,
}

impl Case {
    fn windows(self) -> Windows {
        Windows::new(self.grid, self.side, self.shift)
    }

    fn width(self) -> usize {
        self.heads * self.per_head
    }

    fn of_tokens(self, parts: usize) -> [usize; 3] {
        let tokens = self.grid[0] * self.grid[1];
        [self.batch, tokens, parts * self.width()]
    }

    fn of_bias(self) -> [usize; 3] {
        [self.heads, self.side * self.side, self.side * self.side]
    }

    /// Where a token's query, key or value of a head begins in all tokens'.
    fn place(self, image: usize, token: usize, part: usize, head: usize) -> usize {
        let tokens = self.grid[0] * self.grid[1];
        let start = (image * tokens + token) * 3 * self.width();
        start
            + match self.order {
                ProjectionOrder::ByPart => part * self.width() + head * self.per_head,
                ProjectionOrder::ByHead => (3 * head + part) * self.per_head,
            }
    }
}

fn count(shape: [usize; 3]) -> usize {
    shape.iter().product()
}

/// The output, written out: a token attends to those of its window, which are as many rows and columns
/// from it in the grid as in the window.
fn definition(case: Case, qkv: &[f64], bias: &[f64]) -> Vec<f64> {
    let Case {
        grid: [rows, columns],
        side,
        per_head,
        ..
    } = case;
    // Along an axis with one window there is no shift.
    let [down, right] = case
        .grid
        .map(|length| if length > side { case.shift } else { 0 });
    let inside = |token: usize| {
        let row = (token / columns + rows - down) % rows;
        let column = (token % columns + columns - right) % columns;
        [row / side, column / side, row % side, column % side]
    };
    let mut output = vec![0.0; count(case.of_tokens(1))];
    for (image, head) in
        (0..case.batch).flat_map(|image| (0..case.heads).map(move |head| (image, head)))
    {
        for query in 0..rows * columns {
            let [window_row, window_column, row, column] = inside(query);
            let from = case.place(image, query, 0, head);
            let mut scores = Vec::new();
            for key in 0..rows * columns {
                let [key_window_row, key_window_column, key_row, key_column] = inside(key);
                let apart = |of: usize, by: usize| (of % by) as isize;
                let in_grid = [
                    (query / columns) as isize - (key / columns) as isize,
                    apart(query, columns) - apart(key, columns),
                ];
                let in_window = [
                    row as isize - key_row as isize,
                    column as isize - key_column as isize,
                ];
                let same = [window_row, window_column] == [key_window_row, key_window_column];
                if same && in_grid == in_window {
                    let at = case.place(image, key, 1, head);
                    let product: f64 = (0..per_head).map(|i| qkv[from + i] * qkv[at + i]).sum();
                    let pair = (row * side + column) * side * side + key_row * side + key_column;
                    let added = bias[head * side.pow(4) + pair];
                    scores.push((key, (product / (per_head as f64).sqrt() + added).exp()));
                }
            }
            let sum: f64 = scores.iter().map(|(_, score)| score).sum();
            let to = (image * rows * columns + query) * case.width() + head * per_head;
            for (key, score) in scores {
                let at = case.place(image, key, 2, head);
                for i in 0..per_head {
                    output[to + i] += score / sum * qkv[at + i];
                }
            }
        }
    }
    output
}

/// Output, and gradients of queries, keys and values and of the bias.
fn run(case: Case, inputs: &[Vec<f64>; 3], dtype: DType) -> [Vec<f64>; 3] {
    let [qkv, bias, gradient] = inputs;
    let qkv = tracked(qkv, case.of_tokens(3), dtype);
    let bias = tracked(bias, case.of_bias(), dtype);
    let y = window_attention(qkv.clone(), bias.clone(), case.windows(), case.order);
    let gradient = plain(gradient, case.of_tokens(1), dtype).autodiff();
    let gradients = (y.clone() * gradient).sum().backward();
    let of = |tensor: Tensor<3>| values(tensor.grad(&gradients).expect("tracked"));
    [values(y), of(qkv), of(bias)]
}

/// Queries, keys and values, bias, and a gradient.
fn inputs(case: Case, seed: u64) -> [Vec<f64>; 3] {
    let scaled = |shape, seed| -> Vec<f64> {
        let numbers = noise(count(shape), seed);
        numbers.iter().map(|x| 3.0 * x).collect()
    };
    [
        scaled(case.of_tokens(3), seed),
        scaled(case.of_bias(), seed + 1),
        noise(count(case.of_tokens(1)), seed + 2),
    ]
}

fn check(case: Case, seed: u64) {
    let inputs = inputs(case, seed);
    let single = run(case, &inputs, DType::F32);
    let double = run(case, &inputs, DType::F64);
    let expected = definition(case, &inputs[0], &inputs[1]);
    assert_close("f64 output", &double[0], &expected, 1e-12);
    assert_close(&format!("output of {case:?}"), &single[0], &double[0], 1e-5);
    // With one key all terms of a query's gradient cancel: what is left is as exact as they were.
    let [single, double] = [single, double].map(|[_, qkv, bias]| (qkv, bias));
    assert_close(&format!("gradient of {case:?}"), &single.0, &double.0, 2e-5);
    let name = format!("gradient of the bias of {case:?}");
    assert_close(
        &name,
        &[&single.1[..], &single.0].concat(),
        &[&double.1[..], &double.0].concat(),
        2e-5,
    );
}

const USUAL: Case = Case {
    batch: 2,
    grid: [14, 14],
    side: 7,
    shift: 3,
    heads: 3,
    per_head: 32,
    order: ProjectionOrder::ByPart,
};

#[test]
fn windows_of_usual_networks_follow_the_definition() {
    // Swin's first and last stage, TinyViT's last three, one of Limbeck's own.
    let by_head = Case {
        order: ProjectionOrder::ByHead,
        shift: 0,
        ..USUAL
    };
    for (seed, case) in [
        USUAL,
        Case {
            grid: [7, 7],
            heads: 24,
            ..USUAL
        },
        Case { shift: 0, ..USUAL },
        by_head,
        Case {
            batch: 1,
            side: 14,
            heads: 5,
            ..by_head
        },
        Case {
            grid: [8, 16],
            side: 4,
            shift: 2,
            heads: 1,
            per_head: 16,
            ..USUAL
        },
    ]
    .into_iter()
    .enumerate()
    {
        check(case, seed as u64 + 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_window_follows_the_definition(
        batch in 1usize..=3,
        below in 1usize..=3,
        beside in 1usize..=3,
        side in 1usize..=5,
        shift in 0usize..=4,
        heads in 1usize..=3,
        per_head in 1usize..=20,
        by_head: bool,
        seed in 1u64..1 << 32,
    ) {
        let order = if by_head { ProjectionOrder::ByHead } else { ProjectionOrder::ByPart };
        let grid = [below * side, beside * side];
        let shift = shift % side;
        check(Case { batch, grid, side, shift, heads, per_head, order }, seed);
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (grid, side, shift, order) in [
        ([2, 4], 2, 1, ProjectionOrder::ByPart),
        ([2, 2], 2, 0, ProjectionOrder::ByHead),
        ([3, 1], 1, 0, ProjectionOrder::ByPart),
    ] {
        let case = Case {
            batch: 2,
            grid,
            side,
            shift,
            heads: 2,
            per_head: 2,
            order,
        };
        let inputs = inputs(case, 7);
        let [qkv, bias, gradient] = &inputs;
        let of_qkv = differences(|x| definition(case, x, bias), qkv, gradient);
        let of_bias = differences(|x| definition(case, qkv, x), bias, gradient);
        let [_, found_qkv, found_bias] = run(case, &inputs, DType::F64);
        assert_close("qkv", &found_qkv, &of_qkv, 1e-7);
        assert_close("bias", &found_bias, &of_bias, 1e-7);
    }
}

#[test]
fn without_a_bias_one_window_is_self_attention() {
    let case = Case {
        grid: [6, 6],
        side: 6,
        ..USUAL
    };
    let [qkv, bias, gradient] = inputs(case, 3);
    let [y, of_qkv, _] = run(
        case,
        &[qkv.clone(), vec![0.0; bias.len()], gradient.clone()],
        DType::F32,
    );
    let tokens = tracked(&qkv, case.of_tokens(3), DType::F32);
    let expected = self_attention(tokens.clone(), case.heads);
    let gradient = plain(&gradient, case.of_tokens(1), DType::F32).autodiff();
    let gradients = (expected.clone() * gradient).sum().backward();
    assert_close("output", &y, &values(expected), 1e-6);
    assert_close(
        "gradient",
        &of_qkv,
        &values(tokens.grad(&gradients).unwrap()),
        1e-6,
    );
}

/// What lies on the other side of the grid's end changes no bit of a window over it, nor has it a gradient.
#[test]
fn a_shifted_window_sees_nothing_beyond_the_seam() {
    let case = Case { batch: 1, ..USUAL };
    let [qkv, bias, _] = inputs(case, 5);
    let width = case.width();
    // The gradient of the first token's output alone.
    let mut gradient = vec![0.0; count(case.of_tokens(1))];
    gradient[..width].fill(1.0);
    let [y, of_qkv, _] = run(
        case,
        &[qkv.clone(), bias.clone(), gradient.clone()],
        DType::F32,
    );
    let seen = |token: usize| token / 14 < 3 && token % 14 < 3;
    let mut others = qkv;
    for token in (0..196).filter(|&token| !seen(token)) {
        for number in &mut others[token * 3 * width..(token + 1) * 3 * width] {
            *number = 1000.0 - *number;
        }
    }
    let [changed, _, _] = run(case, &[others, bias, gradient], DType::F32);
    assert_eq!(y[..width], changed[..width]);
    for token in 0..196 {
        let of_token = &of_qkv[token * 3 * width..(token + 1) * 3 * width];
        assert_eq!(of_token.iter().any(|&x| x != 0.0), seen(token), "{token}");
    }
}

#[test]
fn large_scores_and_biases_stay_numbers() {
    let case = Case {
        batch: 1,
        heads: 1,
        ..USUAL
    };
    let [qkv, bias, gradient] = inputs(case, 9);
    let large = |numbers: Vec<f64>, by: f64| numbers.into_iter().map(|x| by * x).collect();
    let inputs = [large(qkv, 30.0), large(bias, 300.0), gradient];
    let single = run(case, &inputs, DType::F32);
    let double = run(case, &inputs, DType::F64);
    for (single, double) in single.iter().zip(&double) {
        assert_close("large", single, double, 1e-2);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for case in [
        Case { batch: 3, ..USUAL },
        Case {
            batch: 70,
            grid: [4, 4],
            side: 2,
            shift: 1,
            ..USUAL
        },
    ] {
        let inputs = inputs(case, 5);
        let one = with_threads(1, || run(case, &inputs, DType::F32));
        for threads in [2, 5] {
            let many = with_threads(threads, || run(case, &inputs, DType::F32));
            assert!(one == many, "{case:?} on {threads} threads");
        }
    }
}

#[test]
#[should_panic(expected = "do not fit")]
fn a_bias_of_other_windows_is_refused() {
    let qkv = plain(&[0.0; 48], [1, 4, 12], DType::F32);
    let bias = plain(&[0.0; 81], [1, 9, 9], DType::F32);
    let windows = Windows::new([2, 2], 2, 0);
    window_attention(qkv, bias, windows, ProjectionOrder::ByPart);
}

#[test]
#[should_panic(expected = "do not fit")]
fn a_grid_that_is_not_filled_up_is_refused() {
    let qkv = plain(&[0.0; 36], [1, 3, 12], DType::F32);
    let bias = plain(&[0.0; 16], [1, 4, 4], DType::F32);
    let windows = Windows::new([1, 3], 2, 0);
    assert_eq!(windows.grid(), [2, 4]);
    window_attention(qkv, bias, windows, ProjectionOrder::ByPart);
}

#[test]
#[should_panic(expected = "has no windows")]
fn a_shift_by_a_whole_window_is_refused() {
    Windows::new([4, 4], 2, 2);
}
