//! Linear maps against the definition, in `f32` (the kernels) and in `f64` (burn's own product).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests end by panicking"
)]

mod support;

use burn::tensor::{DType, Tensor};
use limbeck_kernels::{linear, product, transposed_product};
use proptest::prelude::*;
use support::{assert_close, bits, noise, plain, tracked, values, with_threads};

/// `x` `[rows, I]`, weight `[O, I]`, bias `[O]`, gradient `[rows, O]`.
#[derive(Clone, Debug)]
struct Inputs {
    rows: usize,
    inputs: usize,
    outputs: usize,
    x: Vec<f64>,
    weight: Vec<f64>,
    bias: Vec<f64>,
    gradient: Vec<f64>,
}

impl Inputs {
    fn new(rows: usize, inputs: usize, outputs: usize, seed: u64) -> Self {
        Self {
            rows,
            inputs,
            outputs,
            x: noise(rows * inputs, seed),
            weight: noise(outputs * inputs, seed + 1),
            bias: noise(outputs, seed + 2),
            gradient: noise(rows * outputs, seed + 3),
        }
    }

    /// Output, and the gradients with respect to x, weight and bias.
    fn definition(&self, with_bias: bool) -> [Vec<f64>; 4] {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let mut y = vec![0.0; self.rows * outputs];
        let mut dx = vec![0.0; self.x.len()];
        let mut dw = vec![0.0; self.weight.len()];
        let mut db = vec![0.0; outputs];
        for row in 0..self.rows {
            for o in 0..outputs {
                let gradient = self.gradient[row * outputs + o];
                db[o] += gradient;
                let y = &mut y[row * outputs + o];
                *y = if with_bias { self.bias[o] } else { 0.0 };
                for i in 0..inputs {
                    *y += self.x[row * inputs + i] * self.weight[o * inputs + i];
                    dx[row * inputs + i] += gradient * self.weight[o * inputs + i];
                    dw[o * inputs + i] += gradient * self.x[row * inputs + i];
                }
            }
        }
        [y, dx, dw, db]
    }

    fn run(&self, with_bias: bool, dtype: DType) -> [Vec<f64>; 4] {
        // Rows over two axes, one of them of size 1.
        let shape = [1, self.rows, self.inputs];
        let x = tracked(&self.x, shape, dtype);
        let weight = tracked(&self.weight, [self.outputs, self.inputs], dtype);
        let bias = tracked(&self.bias, [self.outputs], dtype);
        let y = linear(x.clone(), weight.clone(), with_bias.then(|| bias.clone()));
        let gradient = plain(&self.gradient, [1, self.rows, self.outputs], dtype).autodiff();
        let gradients = (y.clone() * gradient).sum().backward();
        [
            values(y),
            values(x.grad(&gradients).expect("x is tracked")),
            values(weight.grad(&gradients).expect("weight is tracked")),
            bias.grad(&gradients).map_or_else(Vec::new, values),
        ]
    }
}

fn check(inputs: &Inputs) {
    for with_bias in [false, true] {
        let expected = inputs.definition(with_bias);
        for (dtype, tolerance) in [(DType::F32, 1e-5), (DType::F64, 1e-13)] {
            let found = inputs.run(with_bias, dtype);
            let names = ["output", "gradient of x", "gradient of the weight"];
            let Inputs {
                rows,
                inputs,
                outputs,
                ..
            } = inputs;
            for (i, name) in names.iter().enumerate() {
                let what = format!("{dtype:?} {name}, {rows} rows, {inputs} to {outputs}");
                assert_close(&what, &found[i], &expected[i], tolerance);
            }
            if with_bias {
                assert_close("gradient of the bias", &found[3], &expected[3], tolerance);
            }
        }
    }
}

#[test]
fn a_small_map_is_as_worked_by_hand() {
    let inputs = Inputs {
        rows: 1,
        inputs: 2,
        outputs: 3,
        x: vec![2.0, -1.0],
        weight: vec![1.0, 2.0, 0.5, 0.0, -1.0, 3.0],
        bias: vec![0.0, 1.0, 2.0],
        gradient: vec![1.0, 2.0, -1.0],
    };
    let [y, dx, dw, db] = inputs.run(true, DType::F32);
    assert_eq!(y, [0.0, 2.0, -3.0]);
    assert_eq!(dx, [3.0, -1.0]);
    assert_eq!(dw, [2.0, -1.0, 4.0, -2.0, -2.0, 1.0]);
    assert_eq!(db, [1.0, 2.0, -1.0]);
}

#[test]
fn sizes_around_those_of_tiles_and_depths_follow_the_definition() {
    // Rows, inputs and outputs around tiles of 6 by 64, 16 or 8, around the depths of 384 inputs and
    // as many rows that are summed at once, and around the 192 outputs of a task.
    for (seed, (rows, inputs, outputs)) in [
        (1, 1, 1),
        (6, 16, 64),
        (7, 17, 65),
        (48, 383, 15),
        (49, 384, 16),
        (50, 385, 17),
        (383, 5, 191),
        (384, 3, 192),
        (385, 65, 193),
        (769, 13, 200),
        (2, 769, 3),
        (3, 2, 193),
    ]
    .into_iter()
    .enumerate()
    {
        check(&Inputs::new(rows, inputs, outputs, seed as u64));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_size_follows_the_definition(
        rows in 1usize..=80,
        inputs in 1usize..=80,
        outputs in 1usize..=140,
        seed in 1u64..1 << 32,
    ) {
        check(&Inputs::new(rows, inputs, outputs, seed));
    }
}

#[test]
fn products_of_matrices_are_those_of_the_definition() {
    for (rows, inputs, outputs) in [(1, 1, 1), (5, 3, 7), (33, 17, 130), (64, 300, 19)] {
        let case = Inputs::new(rows, inputs, outputs, 9);
        let [_, dx, dw, _] = case.definition(false);
        for (dtype, allowed) in [(DType::F64, 1e-12), (DType::F32, 1e-5)] {
            let gradient = || plain(&case.gradient, [rows, outputs], dtype);
            let found = product(gradient(), plain(&case.weight, [outputs, inputs], dtype));
            assert_close("a·b", &values(found), &dx, allowed);
            let found = transposed_product(gradient(), plain(&case.x, [rows, inputs], dtype));
            assert_close("aᵀ·b", &values(found), &dw, allowed);
        }
    }
    let a = || plain(&[1.0; 6], [2, 3], DType::F32);
    assert!(std::panic::catch_unwind(|| product(a(), a())).is_err());
    let b = || plain(&[1.0; 6], [3, 2], DType::F32);
    assert!(std::panic::catch_unwind(|| transposed_product(a(), b())).is_err());
}

#[test]
fn no_rows_give_no_rows_and_no_gradient() {
    let inputs = Inputs::new(0, 5, 3, 1);
    let [y, dx, dw, db] = inputs.run(true, DType::F32);
    assert!(y.is_empty() && dx.is_empty());
    assert!(dw.iter().chain(&db).all(|&g| g == 0.0));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    for (rows, inputs, outputs) in [
        (401, 70, 130),
        (97, 400, 60),
        (1000, 20, 200),
        (400, 70, 500),
    ] {
        let inputs = Inputs::new(rows, inputs, outputs, 5);
        let one = with_threads(1, || inputs.run(true, DType::F32));
        for threads in [2, 5] {
            let many = with_threads(threads, || inputs.run(true, DType::F32));
            assert!(one == many, "{threads} threads");
        }
    }
}

#[test]
fn a_row_alone_has_the_bits_that_it_has_among_others() {
    let inputs = Inputs::new(50, 70, 33, 1);
    let x = plain(&inputs.x, [50, 70], DType::F32);
    let weight = plain(&inputs.weight, [33, 70], DType::F32);
    let all = bits(linear(x.clone(), weight.clone(), None));
    for row in [0, 7, 49] {
        let one = bits(linear(x.clone().narrow(0, row, 1), weight.clone(), None));
        assert_eq!(one, all[row * 33..(row + 1) * 33]);
    }
}

#[test]
fn a_constant_input_needs_no_gradient() {
    let weight = tracked(&[2.0], [1, 1], DType::F32);
    let x: Tensor<2> = plain(&[3.0], [1, 1], DType::F32);
    let gradients = linear(x, weight.clone(), None).sum().backward();
    assert_eq!(values(weight.grad(&gradients).unwrap()), [3.0]);
}

#[test]
#[should_panic(expected = "does not fit an input of")]
fn an_input_of_another_width_is_refused() {
    let x: Tensor<2> = plain(&[1.0, 2.0], [1, 2], DType::F32);
    linear(x, plain(&[1.0, 2.0, 3.0], [1, 3], DType::F32), None);
}

#[test]
#[should_panic(expected = "does not fit a weight of")]
fn a_bias_of_another_size_is_refused() {
    let x: Tensor<2> = plain(&[1.0], [1, 1], DType::F32);
    let bias = plain(&[1.0, 2.0], [2], DType::F32);
    linear(x, plain(&[1.0], [1, 1], DType::F32), Some(bias));
}
