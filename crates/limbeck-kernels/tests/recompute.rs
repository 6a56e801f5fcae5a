//! Units that the backward pass runs once more.
#![allow(clippy::unwrap_used, reason = "all of this file is tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Tensor, TensorData};
use limbeck_kernels::{apart, recomputed, relu};

fn ramp<const D: usize>(shape: [usize; D], from: f32) -> Tensor<D> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37 + from).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// `relu(x · w) + x · b`, which reads its input twice.
fn unit(x: Tensor<2>, leaves: Vec<Tensor<1>>) -> Tensor<2> {
    let weight = leaves[0].clone().reshape([4, 4]);
    let scale = leaves[1].clone().reshape([1, 4]);
    relu(x.clone().matmul(weight)) + x * scale
}

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    let data = tensor.inner().into_data();
    data.iter::<f32>().map(f32::to_bits).collect()
}

/// Gradients of two units after each other, the map between them being read outside of them as well.
fn gradients(again: bool, x_tracked: bool) -> (Vec<Option<Vec<u32>>>, usize) {
    let runs = Arc::new(AtomicUsize::new(0));
    let leaf = |tensor: Tensor<1>| tensor.autodiff().require_grad();
    let x = ramp([3, 4], 0.1);
    let x = match x_tracked {
        true => x.autodiff().require_grad(),
        false => x,
    };
    let first = vec![leaf(ramp([16], 0.5)), leaf(ramp([4], 0.7))];
    let second = vec![leaf(ramp([16], 0.9)), first[1].clone()];
    let run = |x: Tensor<2>, leaves: &[Tensor<1>]| {
        if !again {
            return unit(apart(x), leaves.to_vec());
        }
        let plain = leaves.iter().map(|leaf| leaf.clone().inner()).collect();
        let output = unit(x.clone().inner(), plain);
        let runs = runs.clone();
        let recorded = recomputed(&x, leaves, output, move |x, leaves| {
            runs.fetch_add(1, Ordering::Relaxed);
            unit(x, leaves)
        });
        recorded.unwrap()
    };
    let between = run(x.clone(), &first);
    let outside = between.clone().powi_scalar(2).sum() + between.clone().exp().sum();
    let loss = run(between, &second).powi_scalar(2).sum() + outside;
    let mut found = loss.backward();
    let mut all = vec![x.grad_remove(&mut found).map(bits)];
    for leaf in first.iter().chain(&second[..1]) {
        all.push(leaf.grad_remove(&mut found).map(bits));
    }
    (all, runs.load(Ordering::Relaxed))
}

#[test]
fn gradients_are_those_of_a_unit_that_is_kept_to_the_last_bit() {
    for x_tracked in [true, false] {
        let (kept, _) = gradients(false, x_tracked);
        let (again, runs) = gradients(true, x_tracked);
        assert_eq!(kept, again);
        assert_eq!(again[0].is_some(), x_tracked);
        assert!(again[1..].iter().all(Option::is_some));
        assert_eq!(runs, 2, "each unit runs once in the backward pass");
    }
}

#[test]
fn what_records_no_gradients_is_not_recomputed() {
    let x = ramp([3, 4], 0.1);
    let again = |x: Tensor<2>, _: Vec<Tensor<1>>| x;
    assert!(recomputed(&x, &[], x.clone(), again).is_none());
    let leaf = ramp([4], 0.0);
    assert!(recomputed(&x, &[leaf], x.clone(), again).is_none());
    assert!(!apart(x).is_tracked());
}
