use burn::tensor::{DType, Device};
use limbeck_nn::{Builder, Mode, Pass, Store, Taps};

use super::{colour::ColourNetwork, *};
use crate::testing::{
    assert_close, gradient, labels, leaf, network, network_probe, number, numbers, random,
    supervision, target, tensor,
};

fn make(config: TstConfig) -> Result<(Tst, Cast), MethodError> {
    let mut cast = Cast::new(network("resnet8", 1));
    let tst = Tst::new(config, &network_probe(), &mut cast)?;
    Ok((tst, cast))
}

#[test]
fn a_geometric_network_that_has_learnt_nothing_moves_nothing() {
    let mut store = Store::new(&Device::flex(), DType::F64);
    let network = GeometricNetwork::new(&mut Builder::new(&mut store, 0).sub("n"));
    GeometricNetwork::reset(&mut store, "n");
    let images = random("x", [2, 3, 6, 7]);
    for magnitude in [-1.0, 0.3, 1.0] {
        let magnitude = tensor(vec![magnitude; 2], [2, 1]);
        let mut pass = Pass::new(&store, Mode::Train, Taps::none(), 0);
        let moved = network.forward(&mut pass, images.clone(), magnitude, None);
        assert_close(&numbers(&moved), &numbers(&images));
    }
}

#[test]
fn black_rows_stay_black_before_the_convolution() {
    let mut store = Store::new(&Device::flex(), DType::F64);
    let network = ColourNetwork::new(&mut Builder::new(&mut store, 0));
    let images = random("x", [1, 3, 6, 6]);
    let images = images.slice_assign(
        [0..1, 0..3, 2..3, 0..6],
        Tensor::zeros([1, 3, 1, 6], (&Device::flex(), DType::F64)),
    );
    let mut pass = Pass::new(&store, Mode::Train, Taps::none(), 0);
    let magnitude = tensor(vec![0.7], [1, 1]);
    let made = network.forward(&mut pass, images, magnitude, random("n", [10]), None);
    let row = made.before_convolution.slice([0..1, 0..3, 2..3, 0..6]);
    assert!(numbers(&row).iter().all(|&number| number == 0.0));
}

#[test]
fn the_search_wants_the_teacher_right_and_the_student_wrong() {
    let (tst, _) = make(TstConfig::default()).unwrap();
    let (student, teacher) = (leaf(random("z", [3, 5])), leaf(random("u", [3, 5])));
    let answers = labels(&[0, 3, 4]);
    let [knows, fails] = tst.search_terms(student.clone(), teacher.clone(), &answers);
    let gradients = (knows.value + fails.value).backward();
    let (student, teacher) = (
        gradient(&student, &gradients).unwrap(),
        gradient(&teacher, &gradients).unwrap(),
    );
    for (row, answer) in [0, 3, 4].into_iter().enumerate() {
        assert!(student[5 * row + answer] > 0.0);
        assert!(teacher[5 * row + answer] < 0.0);
    }
}

#[test]
fn a_student_like_the_teacher_has_no_soft_loss_and_the_halves_may_be_swapped() {
    let (tst, _) = make(TstConfig::default()).unwrap();
    let [augmented, original, teacher] = ["a", "o", "t"].map(|name| random(name, [3, 5]));
    let answers = target(&[0, 3, 4]);
    let terms = |student: &Tensor<2>, teacher: &Tensor<2>| {
        tst.distillation_terms(student, teacher, supervision(&answers))
            .unwrap()
    };
    let both = |a: &Tensor<2>, b: &Tensor<2>| Tensor::cat(vec![a.clone(), b.clone()], 0);
    let same = both(&augmented, &original);
    let [_, first, second] = terms(&same, &same);
    assert_close(&[number(&first.value), number(&second.value)], &[0.0; 2]);
    let teacher = both(&teacher, &teacher);
    let sum = |student: Tensor<2>| {
        let [_, a, b] = terms(&student, &teacher);
        number(&(a.value + b.value))
    };
    assert_close(
        &[sum(both(&augmented, &original))],
        &[sum(both(&original, &augmented))],
    );
}

#[test]
fn stages_share_the_recipes_epochs() {
    let (tst, _) = make(TstConfig::default()).unwrap();
    let epochs: Vec<usize> = tst.stages(240).iter().map(|stage| stage.epochs).collect();
    assert_eq!(epochs, [20, 30, 30, 60, 30, 150]);
    for total in [1, 2, 3, 5, 240] {
        let stages = tst.stages(total);
        let distil: usize = [1, 3, 5].iter().map(|&stage| stages[stage].epochs).sum();
        assert_eq!(distil, total);
    }
}

#[test]
fn unfit_settings_and_images_are_refused() {
    for (config, text) in [
        (
            TstConfig {
                operators: 15,
                ..TstConfig::default()
            },
            "`operators` must be at most 14",
        ),
        (
            TstConfig {
                student_weight: -1.0,
                ..TstConfig::default()
            },
            "`student_weight` must be a number of at least 0",
        ),
        (
            TstConfig {
                temperature: 0.0,
                ..TstConfig::default()
            },
            "`temperature` must be a number above 0",
        ),
    ] {
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    // Grey images: the operators on colours have nothing to do.
    let mut grey = network_probe();
    grey.training.normalisation.mean.truncate(1);
    let mut cast = Cast::new(network("resnet8", 1));
    let error = Tst::new(TstConfig::default(), &grey, &mut cast).unwrap_err();
    assert!(error.to_string().contains("need 3 channels"), "{error}");
}
