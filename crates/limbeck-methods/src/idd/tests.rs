//! Laws of `idd`.

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_nn::{Feature, Store};

use super::*;
use crate::{
    Target,
    golden::fixture::step,
    testing::{
        assert_close, build, gradient, leaf, map, number, numbers, outputs, pass, probe, random,
        tensor,
    },
};

const SIZE: [usize; 2] = [4, 6];

fn make(config: IddConfig, channels: [usize; 2]) -> (Idd, Store) {
    let [height, width] = SIZE;
    let [student, teacher] = channels.map(|c| map("feature", [c, height, width]));
    build(&probe(&[student], &[teacher]), |probe, builder| {
        Idd::new(config, probe, builder)
    })
    .unwrap()
}

fn distances(normalize: DistanceScale) -> IddConfig {
    IddConfig {
        position_weight: 0.0,
        normalize,
        ..IddConfig::default()
    }
}

/// Masks `[B, 4, 6]`.
fn masks(of: impl Fn(usize) -> i64, batch: usize) -> Tensor<3, Int> {
    let [height, width] = SIZE;
    let ids: Vec<i64> = (0..batch * height * width).map(of).collect();
    let data = TensorData::new(ids, [batch, height, width]);
    Tensor::from_data(data, &burn::tensor::Device::flex())
}

fn terms(
    (method, store): &mut (Idd, Store),
    student: &Tensor<4>,
    teacher: &Tensor<4>,
    masks: Tensor<3, Int>,
) -> Result<Vec<Term>, MethodError> {
    let with = |map: &Tensor<4>| {
        let mut outputs = outputs("x", map.dims()[0], &[]);
        let map = Feature::Map(map.clone());
        outputs.features.insert("feature".to_owned(), map);
        outputs
    };
    let target = Target::Masks(masks);
    let (student, teacher) = (with(student), with(teacher));
    method.terms(&step(&student, &teacher, &target), &mut pass(store))
}

fn value(
    made: &mut (Idd, Store),
    student: &Tensor<4>,
    teacher: &Tensor<4>,
    masks: Tensor<3, Int>,
) -> f64 {
    number(&terms(made, student, teacher, masks).unwrap()[0].value)
}

/// Four classes; a quarter of the second image is void.
fn usual() -> Tensor<3, Int> {
    masks(
        |pixel| {
            if (24..30).contains(&pixel) {
                255
            } else {
                (pixel % 4) as i64
            }
        },
        2,
    )
}

#[test]
fn distances_that_are_kept_cost_nothing_whatever_the_width() {
    let student = random("s", [2, 2, 4, 6]);
    // Two orthonormal directions of four, and a shift.
    let directions = tensor(vec![0.6, 0.0, 0.8, 0.0, 0.0, 1.0, 0.0, 0.0], [2, 4]);
    let rows = student.clone().permute([0, 2, 3, 1]).reshape([48, 2]);
    let teacher = rows.matmul(directions).add_scalar(0.7);
    let teacher = teacher.reshape([2, 4, 6, 4]).permute([0, 3, 1, 2]);
    for normalize in [DistanceScale::None, DistanceScale::Mean] {
        let mut made = make(distances(normalize), [2, 4]);
        assert_close(&[value(&mut made, &student, &teacher, usual())], &[0.0]);
    }
}

#[test]
fn shifts_and_other_names_of_classes_change_nothing_and_scale_matters_unless_it_is_divided_out() {
    let (student, teacher) = (random("s", [2, 2, 4, 6]), random("t", [2, 3, 4, 6]));
    let mut plain = make(distances(DistanceScale::None), [2, 3]);
    let before = value(&mut plain, &student, &teacher, usual());
    assert!(before > 0.0);
    let moved = student.clone().add_scalar(2.0);
    assert_close(&[value(&mut plain, &moved, &teacher, usual())], &[before]);
    let renamed = masks(
        |pixel| match pixel {
            24..30 => 255,
            _ => [3, 1, 4, 0][pixel % 4],
        },
        2,
    );
    assert_close(&[value(&mut plain, &student, &teacher, renamed)], &[before]);
    let grown = student.clone().mul_scalar(2.0);
    let after = value(&mut plain, &grown, &teacher, usual());
    assert!((after - before).abs() > 1e-6);
    let mut scaled = make(distances(DistanceScale::Mean), [2, 3]);
    let before = value(&mut scaled, &student, &teacher, usual());
    assert_close(&[value(&mut scaled, &grown, &teacher, usual())], &[before]);
}

#[test]
fn an_image_of_one_class_adds_nothing_and_void_gets_no_gradient() {
    let student = leaf(random("s", [2, 2, 4, 6]));
    let teacher = leaf(random("t", [2, 3, 4, 6]));
    let mut made = make(distances(DistanceScale::None), [2, 3]);
    let first_alone = |pixel: usize| match pixel {
        0..6 => 255,
        6..24 => (pixel % 3) as i64,
        _ => 2,
    };
    let found = terms(&mut made, &student, &teacher, masks(first_alone, 2)).unwrap();
    let gradients = found[0].value.backward();
    assert!(gradient(&teacher, &gradients).is_none());
    let arrived = gradient(&student, &gradients).unwrap();
    for (index, &gradient) in arrived.iter().enumerate() {
        let (image, pixel) = (index / 48, index % 24);
        assert_eq!(gradient == 0.0, image == 1 || pixel < 6, "{index}");
    }
    let alone = value(
        &mut made,
        &student.inner().narrow(0, 0, 1),
        &teacher.inner().narrow(0, 0, 1),
        masks(first_alone, 1),
    );
    assert_close(&[number(&found[0].value)], &[alone / 2.0]);
}

#[test]
fn masks_without_any_pair_give_zero_with_a_gradient_of_zeros() {
    let student = leaf(random("s", [2, 2, 4, 6]));
    let mut made = make(distances(DistanceScale::Mean), [2, 3]);
    let teacher = random("t", [2, 3, 4, 6]);
    let found = terms(&mut made, &student, &teacher, masks(|_| 255, 2)).unwrap();
    assert_eq!(number(&found[0].value), 0.0);
    let gradients = found[0].value.backward();
    let arrived = gradient(&student, &gradients).unwrap();
    assert!(arrived.iter().all(|&x| x == 0.0));
}

#[test]
fn a_class_that_the_networks_do_not_know_is_refused() {
    let (student, teacher) = (random("s", [1, 2, 4, 6]), random("t", [1, 3, 4, 6]));
    let mut made = make(distances(DistanceScale::None), [2, 3]);
    let error = terms(&mut made, &student, &teacher, masks(|_| 5, 1)).unwrap_err();
    assert!(error.to_string().contains("class 5"), "{error}");
}

#[test]
fn the_teachers_head_learns_from_what_is_true_alone_and_first_by_itself() {
    let config = IddConfig {
        distance_weight: 0.0,
        head_share: 0.5,
        ..IddConfig::default()
    };
    let (mut method, store) = make(config, [2, 3]);
    let student = leaf(random("s", [2, 2, 4, 6]));
    let at = |epoch| Progress {
        epoch,
        epochs: 4,
        step: 0,
        steps: 3,
    };
    assert_eq!(method.position_weight(at(1)), 0.0);
    assert_eq!(method.position_weight(at(2)), 1.0);
    let tracked = store.tracked();
    let mut made = (method, tracked.clone());
    let found = terms(&mut made, &student, &random("t", [2, 3, 4, 6]), usual()).unwrap();
    let names: Vec<&str> = found.iter().map(|term| term.name.as_str()).collect();
    assert_eq!(names, ["position", "teacher_position"]);
    let reached = |term: &Term| {
        let mut gradients = term.value.backward();
        let own = tracked.gradients(&mut gradients);
        let names = tracked.entries().iter().zip(own);
        let reached = names.filter(|(_, gradient)| gradient.is_some());
        reached
            .map(|(entry, _)| entry.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(reached(&found[1]), ["teacher.weight", "teacher.bias"]);
    method = made.0;
    let mut made = (method, tracked.clone());
    let found = terms(&mut made, &student, &random("t", [2, 3, 4, 6]), usual()).unwrap();
    assert_eq!(reached(&found[0]), ["student.weight", "student.bias"]);
}

#[test]
fn positions_are_shares_of_the_whole_map() {
    let found = ramps(&random("t", [1, 3, 4, 6]));
    let (x, y) = ([0.2, 0.4, 0.6, 0.8], [1.0 / 3.0, 2.0 / 3.0]);
    let expected: Vec<f64> = [x, x]
        .concat()
        .into_iter()
        .chain(y.iter().flat_map(|&y| [y; 4]))
        .collect();
    assert_close(&numbers(&found), &expected);
}

#[test]
fn what_cannot_be_computed_is_refused() {
    let refused = |config, size: usize| {
        let tap = || map("feature", [2, size, size]);
        let made = build(&probe(&[tap()], &[tap()]), |probe, builder| {
            Idd::new(config, probe, builder)
        });
        made.unwrap_err().to_string()
    };
    let error = refused(IddConfig::default(), 2);
    assert!(error.contains("at least 3×3"), "{error}");
    let nothing = IddConfig {
        distance_weight: 0.0,
        position_weight: 0.0,
        ..IddConfig::default()
    };
    assert!(refused(nothing, 4).contains("`distance_weight`"));
}

#[test]
fn position_heads_read_maps_of_any_scale_alike() {
    let config = |position_maps| IddConfig {
        distance_weight: 0.0,
        head_share: 0.0,
        position_maps,
        ..IddConfig::default()
    };
    let errors = |position_maps, scale: f64| {
        let mut made = make(config(position_maps), [2, 3]);
        let student = leaf(random("s", [2, 2, 4, 6]).mul_scalar(scale));
        let teacher = random("t", [2, 3, 4, 6]).mul_scalar(scale);
        let found = terms(&mut made, &student, &teacher, usual()).unwrap();
        let gradients = found[0].value.backward();
        let steepness = gradient(&student, &gradients)
            .unwrap()
            .iter()
            .map(|x| x * x)
            .sum::<f64>()
            .sqrt();
        [
            number(&found[0].value),
            number(&found[1].value),
            steepness * scale,
        ]
    };
    let unit = errors(PositionMaps::Unit, 1.0);
    assert_close(&errors(PositionMaps::Unit, 1000.0), &unit);
    assert!(errors(PositionMaps::Raw, 1000.0)[1] > 1000.0 * unit[1]);
    let nothing = errors(PositionMaps::Unit, 0.0);
    assert!(nothing.iter().all(|x| x.is_finite()), "{nothing:?}");
}
