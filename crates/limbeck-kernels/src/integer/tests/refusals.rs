//! What does not fit.

use super::scene::Case;
use crate::{
    Activation, Conv2dOptions, Pool2dOptions,
    integer::{Addend, ByteMap, IntegerConvolution, IntegerError, IntegerWeights},
};

#[test]
fn what_does_not_fit_is_refused() {
    let case = Case::new([1, 4, 8, 6, 6, 3, 3, 1, 1, 1, 1], 1);
    let input = case.x.quantisation();
    let make = |change: &dyn Fn(&mut IntegerWeights<'_>, &mut Conv2dOptions)| {
        let mut weights = IntegerWeights {
            weight: &case.weight,
            shape: case.shape,
            scales: &case.scales,
            bias: Some(&case.bias),
        };
        let mut options = case.options;
        change(&mut weights, &mut options);
        IntegerConvolution::new(&weights, options, input, case.output, Activation::Identity)
    };
    assert!(make(&|_, _| ()).is_ok());
    assert!(make(&|weights, _| weights.shape[0] = 7).is_err());
    assert!(make(&|weights, _| weights.scales = &[1.0; 7]).is_err());
    assert!(make(&|weights, _| weights.scales = &[f32::NAN; 8]).is_err());
    assert!(make(&|weights, _| weights.scales = &[0.0; 8]).is_err());
    assert!(make(&|weights, _| weights.bias = Some(&[f32::INFINITY; 8])).is_err());
    assert!(make(&|_, options| options.stride[0] = 0).is_err());
    assert!(make(&|_, options| options.groups = 3).is_err());
    let silu = IntegerConvolution::new(
        &IntegerWeights {
            weight: &case.weight,
            shape: case.shape,
            scales: &case.scales,
            bias: None,
        },
        case.options,
        input,
        case.output,
        Activation::Silu,
    );
    assert!(matches!(silu, Err(IntegerError::Activation { .. })));
    let convolution = case.convolution(Activation::Identity);
    let map = |shape: [usize; 4], quantisation| {
        ByteMap::new(&vec![0; shape.iter().product()], shape, quantisation).unwrap()
    };
    let forward = |x: &ByteMap, residual| convolution.forward(x, residual);
    assert!(forward(&case.x, Some(Addend::Bytes(&case.residual))).is_ok());
    assert!(forward(&map([1, 6, 6, 3], input), None).is_err());
    assert!(forward(&map([0, 6, 6, 4], input), None).is_err());
    assert!(forward(&map([1, 0, 6, 4], input), None).is_err());
    assert!(forward(&map([1, 6, 6, 4], case.output), None).is_err());
    assert!(forward(&case.x, Some(Addend::Bytes(&map([1, 5, 6, 8], input)))).is_err());
    let deep = IntegerWeights {
        weight: &vec![1; 32_769],
        shape: [1, 32_769, 1, 1],
        scales: &[1.0],
        bias: None,
    };
    let found = IntegerConvolution::new(
        &deep,
        case.options,
        input,
        case.output,
        Activation::Identity,
    );
    assert!(matches!(
        found,
        Err(IntegerError::Depth { found: 32_769, .. })
    ));
    let pool = |kernel, padding| {
        case.x.max_pool(Pool2dOptions {
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [padding; 2],
        })
    };
    assert!(
        pool(3, 1).is_ok() && pool(0, 0).is_err() && pool(2, 2).is_err() && pool(9, 1).is_err()
    );
}
