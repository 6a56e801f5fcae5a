//! Comparing maps of two networks of one architecture that see images of different sizes.

use burn::tensor::Tensor;
use limbeck_nn::layer::resize_bilinear;

use crate::{
    MethodError,
    connector::{mean_squared_error, pool_map},
};

/// Guards the norms by which maps are divided (PyTorch's `normalize`).
const NORM_GUARD: f64 = 1e-12;

/// Refuses maps `[B, C, H, W]` whose images or channels differ in number.
fn check(student: &Tensor<4>, assistant: &Tensor<4>) -> Result<(), MethodError> {
    let ([batch, channels, ..], [images, others, ..]) = (student.dims(), assistant.dims());
    if (batch, channels) == (images, others) {
        return Ok(());
    }
    Err(MethodError::Mismatch {
        method: super::Pixeldistill::ID,
        student: format!("map {:?}", student.dims()),
        teacher: format!("map {:?} of the assistant", assistant.dims()),
        reason: "images and channels have to be as many; the assistant is to be a network like \
                 the student"
            .to_owned(),
    })
}

/// ICFUP: the mean squared difference after the student's map has been brought to the
/// assistant's size bilinearly, corners aligned. `[B, C, H, W]` → `[1]`.
///
/// # Errors
/// Maps of different channels or images.
pub fn upsampled_error(student: Tensor<4>, assistant: Tensor<4>) -> Result<Tensor<1>, MethodError> {
    check(&student, &assistant)?;
    let [_, _, height, width] = assistant.dims();
    let student = resize_bilinear(student, [height, width], true);
    Ok(mean_squared_error(student, assistant.inner()))
}

/// AT: the mean squared difference of attention maps, the means over channels of the squares,
/// each of norm one. The larger map is first averaged over adaptive windows to the smaller's size.
/// `[B, C, H, W]` → `[1]`.
///
/// # Errors
/// Maps of different channels or images.
pub fn attention_error(student: Tensor<4>, assistant: Tensor<4>) -> Result<Tensor<1>, MethodError> {
    check(&student, &assistant)?;
    let assistant = assistant.inner();
    let size = |map: &Tensor<4>| {
        let [_, _, height, width] = map.dims();
        [height, width]
    };
    let (own, other) = (size(&student), size(&assistant));
    let smaller = [own[0].min(other[0]), own[1].min(other[1])];
    let attention = |map: Tensor<4>| {
        let map = pool_map(map, smaller).square().mean_dim(1);
        let [batch, ..] = map.dims();
        unit_rows(map.reshape([batch, smaller[0] * smaller[1]]))
    };
    Ok(mean_squared_error(attention(student), attention(assistant)))
}

/// SP: 1/B² of the squared differences of the similarities of images, the products of their
/// flattened maps, each image's row of norm one. `[B, C, H, W]` → `[1]`.
///
/// # Errors
/// Maps of different channels or images.
pub fn similarity_error(
    student: Tensor<4>,
    assistant: Tensor<4>,
) -> Result<Tensor<1>, MethodError> {
    check(&student, &assistant)?;
    let similarities = |map: Tensor<4>| {
        let [batch, channels, height, width] = map.dims();
        let rows = map.reshape([batch, channels * height * width]);
        unit_rows(rows.clone().matmul(rows.transpose()))
    };
    let assistant = similarities(assistant.inner());
    Ok(mean_squared_error(similarities(student), assistant))
}

/// ICKD: the squared differences of the correlations of channels, the products of their maps of
/// norm one, summed and divided by B · C. `[B, C, H, W]` → `[1]`.
///
/// # Errors
/// Maps of different channels or images.
pub fn correlation_error(
    student: Tensor<4>,
    assistant: Tensor<4>,
) -> Result<Tensor<1>, MethodError> {
    check(&student, &assistant)?;
    let [batch, channels, ..] = student.dims();
    let correlations = |map: Tensor<4>| {
        let [_, _, height, width] = map.dims();
        let rows = unit_rows(map.reshape([batch * channels, height * width]));
        let rows = rows.reshape([batch, channels, height * width]);
        rows.clone().matmul(rows.transpose())
    };
    let difference = correlations(student) - correlations(assistant.inner());
    let count = (batch * channels) as f64;
    Ok(difference.square().sum().mul_scalar(1.0 / count))
}

/// Rows divided by their norm, or by 1e-12 where that is greater.
fn unit_rows(rows: Tensor<2>) -> Tensor<2> {
    let norms = rows.clone().square().sum_dim(1).sqrt();
    rows / norms.clamp_min(NORM_GUARD)
}
