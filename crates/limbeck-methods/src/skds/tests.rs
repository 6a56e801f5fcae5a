//! Laws of `skds`.

use burn::tensor::{Tensor, activation::softmax, s};
use limbeck_nn::{Store, TapKind};

use super::*;
use crate::testing::{
    assert_close, build, dense_outputs, dense_probe, dense_terms, gradient, leaf, map, number,
    numbers, random,
};

fn made(config: SkdsConfig) -> Result<(Skds, Store), MethodError> {
    let probe = dense_probe(
        [4, 5],
        &[map("feature", [3, 4, 5])],
        &[map("feature", [6, 4, 5])],
    );
    build(&probe, |probe, builder| Skds::new(config, probe, builder))
}

fn pairs(config: SkdsConfig, student: Tensor<4>, teacher: Tensor<4>) -> f64 {
    number(&made(config).unwrap().0.pairs_of_windows(student, teacher))
}

const FORMS: [(Option<usize>, bool); 3] = [(None, false), (Some(2), true), (Some(3), false)];

fn form((window, lengths_learn): (Option<usize>, bool)) -> SkdsConfig {
    SkdsConfig {
        window,
        lengths_learn,
        ..SkdsConfig::default()
    }
}

#[test]
fn agreeing_pixels_cost_the_teachers_entropy_and_others_more() {
    let teacher = random::<4>("t", [2, 3, 4, 5]);
    let shift = random::<4>("shift", [2, 1, 4, 5]);
    let p = numbers(&softmax(teacher.clone(), 1));
    let entropy = p.iter().map(|p| -p * p.ln()).sum::<f64>() / 20.0;
    let same = Skds::pixels(teacher.clone() + shift, teacher.clone());
    assert_close(&[number(&same)], &[entropy]);
    assert!(number(&Skds::pixels(random("s", [2, 3, 4, 5]), teacher)) > entropy + 0.1);
}

#[test]
fn lengths_of_nodes_and_rotations_do_not_matter() {
    for form in FORMS.map(form) {
        let (student, teacher) = (random::<4>("s", [2, 2, 4, 5]), random("t", [2, 6, 4, 5]));
        let value = pairs(form.clone(), student.clone(), teacher.clone());
        assert!(value > 0.01);
        let grown = pairs(form.clone(), student.clone().mul_scalar(3.0), teacher);
        assert!((grown - value).abs() < 1e-6, "{grown} and {value}");
        assert_close(&[pairs(form, student.clone(), student)], &[0.0]);
    }
}

#[test]
fn windows_are_maxima_and_the_last_may_be_smaller() {
    // Windows of 2 of 5 positions: the last column is alone.
    let method = made(form((Some(2), true))).unwrap().0;
    let similar = method.similarities(random("s", [1, 3, 4, 5]));
    assert_eq!(similar.dims(), [1, 6, 6]);
    let diagonal: Vec<f64> = (0..6).map(|i| numbers(&similar)[7 * i]).collect();
    assert_close(&diagonal, &[1.0; 6]);
    // Half of 5 is 2: three columns of windows.
    let method = made(SkdsConfig::default()).unwrap().0;
    assert_eq!(
        method.similarities(random("s", [1, 3, 4, 5])).dims(),
        [1, 6, 6]
    );
}

#[test]
fn the_teacher_gets_no_gradient_and_zeros_no_infinite_one() {
    for form in FORMS.map(form) {
        let zeros = random::<4>("s", [2, 3, 4, 5]).slice_fill(s![0..1], 0.0);
        let (student, teacher) = (leaf(zeros), leaf(random("t", [2, 6, 4, 5])));
        let method = made(form).unwrap().0;
        let loss = method.pairs_of_windows(student.clone(), teacher.clone().inner());
        let gradients = loss.backward();
        assert!(gradient(&teacher, &gradients).is_none());
        let gradient = gradient(&student, &gradients).unwrap();
        assert!(gradient.iter().all(|g| g.is_finite()));
        assert!(gradient[60..].iter().any(|&g| g != 0.0));
    }
}

#[test]
fn sizes_may_differ() {
    let student_taps = [map("feature", [3, 4, 10])];
    let teacher_taps = [map("feature", [6, 8, 5])];
    let mut probe = dense_probe([4, 10], &student_taps, &teacher_taps);
    probe.teacher.as_mut().unwrap().last_mut().unwrap().kind = TapKind::Map([5, 8, 5]);
    let config = SkdsConfig::default();
    let (mut method, store) =
        build(&probe, |probe, builder| Skds::new(config, probe, builder)).unwrap();
    let student = dense_outputs("s", [4, 10], &student_taps);
    let teacher = dense_outputs("t", [8, 5], &teacher_taps);
    let terms = dense_terms(&mut method, &store, &student, &teacher);
    let names: Vec<&str> = terms.iter().map(|term| term.name.as_str()).collect();
    assert_eq!(names, ["pixel", "pair"]);
    assert!(terms.iter().all(|term| number(&term.value) > 0.0));
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let refused = |config| made(config).unwrap_err().to_string();
    let default = SkdsConfig::default;
    let fine = SkdsConfig {
        pool_scale: 0.2,
        ..default()
    };
    let error = refused(fine);
    assert!(error.contains("4×5 positions are empty"), "{error}");
    let joined = SkdsConfig {
        holistic_weight: 0.1,
        ..default()
    };
    assert!(refused(joined).contains("acts of its own"));
    let none = SkdsConfig {
        pixel_weight: 0.0,
        pair_weight: 0.0,
        ..default()
    };
    assert!(refused(none).contains("all other weights are 0"));
    let large = SkdsConfig {
        pool_scale: 1.5,
        ..default()
    };
    assert!(refused(large).contains("`pool_scale`"));
}

#[test]
fn the_discriminator_learns_to_tell_and_reaches_the_students_scores() {
    use super::discriminator::Discriminator;
    use limbeck_nn::Builder;

    let probe = dense_probe([4, 5], &[], &[]);
    let mut store = Store::new(&probe.device, probe.dtype);
    let discriminator = Discriminator::new(&mut Builder::new(&mut store, 1), 5);
    let teacher = random::<4>("t", [2, 5, 4, 5]).add_scalar(1.0);
    let student = random::<4>("s", [2, 5, 4, 5]).sub_scalar(1.0);
    let loss = |store: &Store| {
        let mut pass = crate::testing::pass(store);
        let real = discriminator.judge(&mut pass, teacher.clone(), |says| {
            burn::tensor::activation::relu(says.neg().add_scalar(1.0))
        });
        let fake = discriminator.judge(&mut pass, student.clone(), |says| {
            burn::tensor::activation::relu(says.add_scalar(1.0))
        });
        (real + fake, pass.into_updates())
    };
    let first = number(&loss(&store).0);
    for _ in 0..3 {
        let tracked = store.tracked();
        let (value, updates) = loss(&tracked);
        let found = tracked.gradients(&mut value.backward());
        store.apply(updates);
        let ids: Vec<_> = store.ids().collect();
        for (id, gradient) in ids.into_iter().zip(found) {
            if let Some(gradient) = gradient {
                let value = store.entry(id).value.clone();
                store.set(id, value - gradient.mul_scalar(0.05));
            }
        }
    }
    let last = number(&loss(&store).0);
    assert!(last < first, "{first}, then {last}");
    let scores = leaf(student.clone());
    let mut pass = crate::testing::pass(&store);
    let judged = discriminator.judge(&mut pass, scores.clone(), |says| says);
    let gradient = gradient(&scores, &judged.backward()).unwrap();
    assert!(gradient.iter().any(|&g| g != 0.0));
}
