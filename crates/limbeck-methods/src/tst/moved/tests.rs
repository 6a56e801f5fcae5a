use burn::tensor::{DType, Device};
use limbeck_nn::{Builder, Init, Mode, Pass, Store, Taps};

use super::*;
use crate::{
    testing::{assert_close, gradient, leaf, number, numbers, random, tensor},
    tst::{
        geometry::GeometricNetwork,
        policy::{ALL, GEOMETRIES, GEOMETRY_PATH, Policy},
    },
};

/// A box in pixels of a picture of these rows and columns: left, top, right, bottom.
fn target(image: usize, [height, width]: [usize; 2], edges: [f64; 4]) -> TargetBox {
    let [left, top, right, bottom] = edges;
    let (height, width) = (height as f64, width as f64);
    TargetBox {
        image,
        class: 1,
        center: [(left + right) / 2.0 / width, (top + bottom) / 2.0 / height],
        size: [(right - left) / width, (bottom - top) / height],
    }
}

fn edges(target: &TargetBox, [height, width]: [usize; 2]) -> [f64; 4] {
    let end = |axis: usize, sign: f64, side: usize| {
        (target.center[axis] + sign * target.size[axis] / 2.0) * side as f64
    };
    [
        end(0, -1.0, width),
        end(1, -1.0, height),
        end(0, 1.0, width),
        end(1, 1.0, height),
    ]
}

/// Where the bright pixels of a picture are that is 1 between `edges` and 0 elsewhere, once it is moved.
fn landed(size: [usize; 2], edges: [f64; 4], map: [f64; 6]) -> [f64; 4] {
    let [height, width] = size;
    let bright = |at: usize| {
        let (y, x) = ((at / width) as f64 + 0.5, (at % width) as f64 + 0.5);
        let inside = x > edges[0] && x < edges[2] && y > edges[1] && y < edges[3];
        f64::from(inside)
    };
    let picture = (0..height * width).map(bright).collect();
    let picture = tensor(picture, [1, 1, height, width]);
    let moved = affine_sample(picture, tensor(map.to_vec(), [1, 2, 3]));
    let mut found = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
    for (at, value) in numbers(&moved).iter().enumerate() {
        if *value > 0.5 {
            let (y, x) = ((at / width) as f64, (at % width) as f64);
            found[0] = found[0].min(x);
            found[1] = found[1].min(y);
            found[2] = found[2].max(x + 1.0);
            found[3] = found[3].max(y + 1.0);
        }
    }
    found
}

fn moved(size: [usize; 2], edges: [f64; 4], map: [f64; 6]) -> Vec<[f64; 4]> {
    let found = move_boxes(&[target(0, size, edges)], &tensor(map.to_vec(), [1, 2, 3]));
    let found = found.boxes.iter();
    found.map(|target| self::edges(target, size)).collect()
}

const STILL: [f64; 6] = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

#[test]
fn boxes_land_where_the_content_of_the_picture_lands() {
    let size = [16, 24];
    let edges = [5.0, 4.0, 12.0, 9.0];
    assert_close(&moved(size, edges, STILL)[0], &edges);
    // Three pixels to the right, two up.
    let shift = [1.0, 0.0, -6.0 / 24.0, 0.0, 1.0, 4.0 / 16.0];
    let expected = [8.0, 2.0, 15.0, 7.0];
    assert_close(&landed(size, edges, shift), &expected);
    assert_close(&moved(size, edges, shift)[0], &expected);
    // A quarter turn.
    let (square, turn) = ([16, 16], [0.0, -1.0, 0.0, 1.0, 0.0, 0.0]);
    let expected = landed(square, edges, turn);
    assert!(expected != edges);
    assert_close(&moved(square, edges, turn)[0], &expected);
}

#[test]
fn a_box_is_around_the_corners_of_what_is_turned_or_sheared() {
    let size = [64, 64];
    let edges = [20.0, 24.0, 44.0, 36.0];
    let (sine, cosine) = 25_f64.to_radians().sin_cos();
    for map in [
        [cosine, -sine, 0.1, sine, cosine, -0.1],
        [1.0, 0.4, 0.0, 0.0, 1.0, 0.0],
        [1.0, 0.2, 0.0, 0.3, 1.1, 0.2],
    ] {
        let (content, found) = (landed(size, edges, map), moved(size, edges, map)[0]);
        for i in 0..4 {
            // A pixel at a corner is bright by its middle alone.
            assert!((content[i] - found[i]).abs() < 1.5, "{content:?} {found:?}");
        }
    }
}

#[test]
fn what_leaves_the_picture_is_cut_and_dropped() {
    let size = [16, 16];
    let edges = [5.0, 4.0, 12.0, 9.0];
    let right = |pixels: f64| [1.0, 0.0, -2.0 * pixels / 16.0, 0.0, 1.0, 0.0];
    assert_close(&moved(size, edges, right(6.0))[0], &[11.0, 4.0, 16.0, 9.0]);
    assert!(moved(size, edges, right(11.0)).is_empty());
    assert!(moved(size, edges, right(30.0)).is_empty());
    // A map that makes a line of the picture.
    assert!(moved(size, edges, [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]).is_empty());

    // Of several boxes and pictures, each goes with its own; classes stay.
    let maps = [right(11.0), STILL, right(1.0)].concat();
    let boxes = [2, 0, 1, 2].map(|image| target(image, size, edges));
    let found = move_boxes(&boxes, &tensor(maps, [3, 2, 3]));
    let images: Vec<usize> = found.boxes.iter().map(|target| target.image).collect();
    assert_eq!(images, [2, 1, 2]);
    assert!(found.boxes.iter().all(|target| target.class == 1));
    let first = &found.boxes[0];
    assert_close(&self::edges(first, size), &[6.0, 4.0, 13.0, 9.0]);
    let sides: Vec<f64> = found
        .boxes
        .iter()
        .flat_map(|t| [t.center, t.size].concat())
        .collect();
    assert_close(&numbers(&found.sides.unwrap()), &sides);
    assert!(
        move_boxes(&[], &tensor(STILL.to_vec(), [1, 2, 3]))
            .boxes
            .is_empty()
    );
}

/// Operator networks whose magnitudes count, and a policy that is not all zeros.
struct Module {
    networks: OperatorNetworks,
    colours: Store,
    geometries: Store,
    policy: Policy,
    numbers: Store,
}

impl Module {
    fn new() -> Self {
        let [mut colours, mut geometries, mut numbers] =
            [0; 3].map(|_| Store::new(&Device::flex(), DType::F64));
        let networks = OperatorNetworks {
            colours: OperatorNetworks::colours(&mut Builder::new(&mut colours, 0)),
            geometries: OperatorNetworks::geometries(&mut Builder::new(&mut geometries, 0)),
        };
        for index in 0..GEOMETRIES {
            let path = format!("{GEOMETRY_PATH}.{index}");
            GeometricNetwork::reset(&mut geometries, &path);
            let weight = geometries.find(&format!("{path}.fc.weight")).unwrap();
            let values = Init::Normal(0.03).draw(2, &path, 42);
            geometries.set_values(weight, values);
        }
        let policy = Policy::new(&mut Builder::new(&mut numbers, 0));
        for id in numbers.ids().collect::<Vec<_>>() {
            let count = numbers.entry(id).shape[0];
            let values = Init::Normal(0.3).draw(3, &format!("policy {count}"), count);
            numbers.set_values(id, values);
        }
        Self {
            networks,
            colours,
            geometries,
            policy,
            numbers,
        }
    }

    /// Two images and three boxes augmented by all operators.
    fn augment(&self, numbers: &Store) -> (Tensor<4>, Tensor<3>, MovingBoxes) {
        let pass = |store| Pass::new(store, Mode::Evaluate, Taps::none(), 0);
        let images = random("images", [2, 3, 8, 10]).mul_scalar(0.2);
        let draws = PolicyDraws {
            // Where no gate stands at its end.
            uniform: tensor(vec![0.4; ALL], [ALL]),
            ..PolicyDraws::draw(5, &images, ALL, 3)
        };
        let used = self
            .policy
            .numbers(&pass(numbers), draws.uniform.clone(), false, Some(10.0));
        let (mut colours, mut geometries) = (pass(&self.colours), pass(&self.geometries));
        let normalisation = Normalisation {
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
        };
        let (images, maps) = augment_and_move(
            &self.networks,
            (&mut colours, &mut geometries),
            images,
            &used,
            &draws,
            &normalisation,
        );
        let maps = maps.unwrap();
        let size = [8, 10];
        let boxes = [
            target(0, size, [2.0, 2.0, 7.0, 6.0]),
            target(1, size, [1.0, 3.0, 4.0, 5.0]),
            target(1, size, [5.0, 4.0, 8.0, 7.0]),
        ];
        let boxes = move_boxes(&boxes, &maps);
        (images, maps, boxes)
    }
}

#[test]
fn gradients_of_pictures_and_boxes_reach_the_policy() {
    let module = Module::new();
    let value = |numbers: &Store| {
        let (images, _, boxes) = module.augment(numbers);
        let sides = boxes.sides.unwrap();
        let shares = (images.clone() * random("i", images.dims())).sum();
        shares + (sides.clone() * random("s", sides.dims())).sum()
    };
    let tracked = module.numbers.tracked();
    let mut gradients = value(&tracked).backward();
    let found = tracked.gradients(&mut gradients);
    for (id, found) in module.numbers.ids().zip(found) {
        let found = numbers(&found.unwrap());
        let start = numbers(&module.numbers.entry(id).value);
        for (i, found) in found.iter().enumerate() {
            let moved = |by: f64| {
                let mut store = module.numbers.clone();
                let mut values = start.clone();
                values[i] += by;
                store.set_values(id, values);
                number(&value(&store))
            };
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let name = &module.numbers.entry(id).name;
            assert!(
                (found - expected).abs() < 1e-6 * (1.0 + expected.abs()),
                "{name} {i}: {found}, not {expected}"
            );
        }
        assert!(found.iter().any(|slope| slope.abs() > 1e-4));
    }
}

#[test]
fn numbers_beyond_ten_are_taken_for_ten() {
    let module = Module::new();
    let at = |value: f64| {
        let mut store = module.numbers.clone();
        for id in store.ids().collect::<Vec<_>>() {
            let count = store.entry(id).shape[0];
            store.set_values(id, vec![value; count]);
        }
        let (images, maps, boxes) = module.augment(&store);
        let all = [
            numbers(&images),
            numbers(&maps),
            numbers(&boxes.sides.unwrap()),
        ];
        all.concat()
    };
    assert_eq!(at(10.0), at(400.0));
    assert_eq!(at(-10.0), at(-30.0));
    assert!(at(10.0) != at(9.0));
}

#[test]
fn what_boxes_are_made_of_is_one_map() {
    // The gradient of a box's centre is that of the map's shift, but for its sign, where nothing else moves.
    let maps = leaf(tensor(STILL.to_vec(), [1, 2, 3]));
    let found = move_boxes(&[target(0, [16, 16], [5.0, 4.0, 12.0, 9.0])], &maps);
    let center = found.sides.unwrap().narrow(1, 0, 1).sum();
    let slopes = gradient(&maps, &center.backward()).unwrap();
    assert_close(&[slopes[2]], &[-0.5]);
}
