//! Pictures and boxes that are moved by one map of each image.

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_nn::Pass;

use crate::{
    Normalisation,
    detection::{MovingBoxes, TargetBox},
};

use super::{
    geometry::{affine_sample, for_each_image, identity},
    policy::{COLOURS, NETWORKS, OperatorNetworks, PolicyDraws, PolicyNumbers, augment},
};

/// Below this determinant a map makes a line of a picture, on which there are no boxes.
const LEAST_DETERMINANT: f64 = 1e-6;

/// [`augment`] for pictures with boxes: what changes colours is blended as there, and what comes of it is moved
/// once, by the map of [`joint_maps`], which is given besides; `None` where no geometric operator is drawn.
pub fn augment_and_move(
    networks: &OperatorNetworks,
    (colour_pass, geometry_pass): (&mut Pass<'_>, &mut Pass<'_>),
    images: Tensor<4>,
    numbers: &PolicyNumbers,
    draws: &PolicyDraws,
    normalisation: &Normalisation,
) -> (Tensor<4>, Option<Tensor<3>>) {
    let [batch, ..] = images.dims();
    let maps = joint_maps(networks, geometry_pass, numbers, draws, batch);
    let moves = |operator: &usize| (COLOURS..NETWORKS).contains(operator);
    let mut colours = draws.clone();
    colours.operators.retain(|operator| !moves(operator));
    let passes = (colour_pass, geometry_pass);
    let images = augment(networks, passes, images, numbers, &colours, normalisation);
    match maps {
        Some(maps) => (affine_sample(images, maps.clone()), Some(maps)),
        None => (images, None),
    }
}

/// I + Σ over drawn geometric operators k of applied_k · (H_k − I), from output to source coordinates:
/// `[B, 2, 3]`; `None` without any.
pub fn joint_maps(
    networks: &OperatorNetworks,
    pass: &mut Pass<'_>,
    numbers: &PolicyNumbers,
    draws: &PolicyDraws,
    batch: usize,
) -> Option<Tensor<3>> {
    let mut sum: Option<Tensor<3>> = None;
    for (index, drawn) in &draws.geometries {
        let operator = COLOURS + index;
        let magnitude = numbers.magnitudes.clone().narrow(0, operator, 1);
        let magnitude = for_each_image(magnitude, batch);
        let map = networks.geometries[*index]
            .maps(pass, magnitude, Some(drawn))
            .gated;
        let applied = numbers.applied.clone().narrow(0, operator, 1);
        let still = identity(&map);
        let before = sum.unwrap_or_else(|| still.clone().expand([batch, 2, 3]));
        sum = Some(before + (map - still) * applied.reshape([1, 1, 1]));
    }
    sum
}

/// Boxes where the content of their pictures lands that are sampled by `maps` `[B, 2, 3]`: the upright boxes
/// around their four corners, cut at the picture's border. Those of which nothing is left are not there.
/// Gradients reach the maps.
pub fn move_boxes(boxes: &[TargetBox], maps: &Tensor<3>) -> MovingBoxes {
    let options = (&maps.device(), maps.dtype());
    let index = |numbers: Vec<i64>| {
        let count = numbers.len();
        Tensor::<1, Int>::from_data(TensorData::new(numbers, [count]), options.0)
    };
    let plain: Vec<f64> = maps.clone().inner().into_data().iter().collect();
    let can_be_turned_round = |target: &&TargetBox| {
        let map = plain.chunks_exact(6).nth(target.image);
        map.is_some_and(|m| (m[0] * m[4] - m[1] * m[3]).abs() > LEAST_DETERMINANT)
    };
    let there: Vec<TargetBox> = boxes.iter().filter(can_be_turned_round).copied().collect();
    if there.is_empty() {
        return MovingBoxes::still(Vec::new());
    }
    let count = there.len();
    let images = there.iter().map(|target| target.image as i64).collect();
    let map = maps.clone().select(0, index(images)).reshape([count, 6]);
    let [a, b, right, c, d, down] = [0, 1, 2, 3, 4, 5].map(|i| map.clone().narrow(1, i, 1));
    let determinant = a.clone() * d.clone() - b.clone() * c.clone();
    // Coordinates from −1 to 1 of the four corners, [n, 4].
    let corners = |axis: usize, ends: [f64; 4]| {
        let of = |target: &TargetBox| {
            ends.map(|end| 2.0 * target.center[axis] + end * target.size[axis] - 1.0)
        };
        let numbers: Vec<f64> = there.iter().flat_map(of).collect();
        Tensor::<2>::from_data(TensorData::new(numbers, [count, 4]), options)
    };
    let x = corners(0, [-1.0, 1.0, -1.0, 1.0]) - right;
    let y = corners(1, [-1.0, -1.0, 1.0, 1.0]) - down;
    let columns = (x.clone() * d - y.clone() * b) / determinant.clone();
    let rows = (y * a - x * c) / determinant;
    let [left, right] = ends(columns);
    let [top, bottom] = ends(rows);
    let middle = |low: &Tensor<2>, high: &Tensor<2>| {
        let sum = low.clone() + high.clone();
        sum.mul_scalar(0.25).add_scalar(0.5)
    };
    let length = |low: Tensor<2>, high: Tensor<2>| (high - low).mul_scalar(0.5);
    let center = [middle(&left, &right), middle(&top, &bottom)];
    let size = [length(left, right), length(top, bottom)];
    let sides = Tensor::cat([center, size].into_iter().flatten().collect(), 1);
    let numbers: Vec<f64> = sides.clone().inner().into_data().iter().collect();
    let moved = there.iter().zip(numbers.chunks_exact(4)).enumerate();
    let left_over = moved.filter(|(_, (_, n))| n[2] > 0.0 && n[3] > 0.0);
    let (places, boxes): (Vec<i64>, Vec<TargetBox>) = left_over
        .map(|(place, (target, n))| {
            let moved = TargetBox {
                center: [n[0], n[1]],
                size: [n[2], n[3]],
                ..*target
            };
            (place as i64, moved)
        })
        .unzip();
    match boxes.is_empty() {
        true => MovingBoxes::still(boxes),
        false => MovingBoxes {
            boxes,
            sides: Some(sides.select(0, index(places))),
        },
    }
}

/// The least and the greatest of each row's four coordinates, not beyond the picture: each `[n, 1]`.
fn ends(coordinates: Tensor<2>) -> [Tensor<2>; 2] {
    let plain = coordinates.clone().inner();
    let (least, greatest) = (plain.clone().argmin(1), plain.argmax(1));
    [least, greatest].map(|index| coordinates.clone().gather(1, index).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests;
