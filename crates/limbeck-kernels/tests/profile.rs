//! What a profile tells of operations that ran while it watched.

use std::time::Duration;

use burn::tensor::{Device, Tensor};
use limbeck_kernels::{
    Conv2dOptions, Operation, Profile, attention, conv2d, linear, profile, relu,
};

fn ones<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::ones(shape, &Device::flex())
}

fn find<'a>(profile: &'a Profile, name: &str) -> &'a Operation {
    let mut found = profile.operations.iter().filter(|one| one.name == name);
    let first = found
        .next()
        .unwrap_or_else(|| panic!("no {name} in {profile:?}"));
    assert!(found.next().is_none(), "{name} has several shapes");
    first
}

#[test]
fn operations_are_told_with_shapes_calls_and_work() {
    let ((), found) = profile(|| {
        for _ in 0..3 {
            let _ = relu(linear(ones([2, 5, 7]), ones([3, 7]), None));
        }
        let _ = attention(ones([2, 4, 6]), ones([2, 3, 12]), 2);
    });
    let product = find(&found, "linear");
    assert_eq!(product.shapes, [vec![2, 5, 7], vec![3, 7]]);
    assert_eq!(product.calls, 3);
    assert_eq!(product.multiply_adds, 3 * 2 * 5 * 7 * 3);
    assert_eq!(product.bytes, 3 * 4 * (2 * 5 * 7 + 3 * 7 + 2 * 5 * 3));
    assert_eq!(find(&found, "relu").multiply_adds, 0);
    // Scores, and their product with the values.
    assert_eq!(find(&found, "attention").multiply_adds, 2 * 2 * 4 * 3 * 6);
    assert_eq!(found.operations.len(), 3);
}

#[test]
fn gradients_and_all_that_passes_between_are_told() {
    let ((), found) = profile(|| {
        let x = ones([2, 3, 8, 8]).autodiff().require_grad();
        let weight = ones([4, 3, 3, 3]).autodiff().require_grad();
        let options = Conv2dOptions {
            stride: [1, 1],
            padding: [1, 1],
            dilation: [1, 1],
            groups: 1,
        };
        let _ = relu(conv2d(x, weight, None, options)).sum().backward();
    });
    let multiply_adds = 2 * 4 * 64 * 27;
    for name in ["conv2d", "conv2d input gradient", "conv2d weight gradient"] {
        assert_eq!(find(&found, name).multiply_adds, multiply_adds, "{name}");
    }
    let places: Vec<_> = (found.between.iter())
        .map(|between| (between.after, between.before))
        .collect();
    assert!(places.contains(&("", "conv2d")), "{places:?}");
    assert!(places.contains(&("conv2d", "relu")), "{places:?}");
    let told: Duration = (found.operations.iter().map(|one| one.time))
        .chain(found.between.iter().map(|one| one.time))
        .sum();
    assert!(told <= found.time, "{found:?}");
}

#[test]
fn nothing_is_told_of_other_threads_or_of_what_came_before() {
    let _ = relu(ones([4]));
    let ((), found) = profile(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| relu(ones([4])));
        });
    });
    assert_eq!(found.operations, []);
}

#[test]
fn a_profile_in_a_profile_keeps_its_operations_to_itself() {
    let (inner, outer) = profile(|| {
        let _ = relu(ones([4]));
        let ((), inner) = profile(|| {
            let _ = linear(ones([1, 2]), ones([3, 2]), None);
        });
        inner
    });
    assert_eq!(find(&inner, "linear").calls, 1);
    assert_eq!(find(&outer, "relu").calls, 1);
    assert_eq!((inner.operations.len(), outer.operations.len()), (1, 1));
}
