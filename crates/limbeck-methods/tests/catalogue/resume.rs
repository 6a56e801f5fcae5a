//! Modules and state that are put back continue as if nothing had happened.

use limbeck_methods::{Classification, Method, Step, Supervision, Target, TaskKind};
use limbeck_nn::{Mode, Outputs, Pass, Taps};

use super::scene::{Scene, number, scenes, total};

/// One training step with a learning rate of 0.01; gives the terms before it.
fn train(scene: &Scene, method: &mut Method, student: &Outputs) -> Vec<f64> {
    let tracked = method.store().tracked();
    let teacher = scene.teacher(false);
    let terms = scene.step(method, &tracked, student, &teacher);
    let total = total(&terms);
    let own = match total.is_tracked() {
        true => tracked.gradients(&mut total.backward()),
        false => Vec::new(),
    };
    let ids: Vec<_> = method.store().ids().collect();
    for (id, gradient) in ids.into_iter().zip(own) {
        if let Some(gradient) = gradient {
            let value = method.store().entry(id).value.clone();
            let moved = value - gradient.mul_scalar(0.01);
            method.store_mut().set(id, moved);
        }
    }
    terms.iter().map(|term| number(&term.value)).collect()
}

#[test]
fn a_method_that_is_put_back_makes_the_next_step_bit_for_bit() {
    for scene in scenes() {
        let joined: &[&str] = match scene.task() {
            TaskKind::Classification => &["drg+dsr", "kd+tat", "fitnet+dsr"],
            TaskKind::Segmentation => &["kd+cwd"],
            TaskKind::Detection | TaskKind::Pretraining => &[],
        };
        for name in scene.criteria().map(|e| e.id).chain(joined.iter().copied()) {
            let batches: Vec<Outputs> = ["a", "b", "c"]
                .map(|batch| scene.student(&scene.numbers(batch)))
                .into();
            let mut method = scene.build_default(name);
            method.start_epoch();
            train(&scene, &mut method, &batches[0]);
            train(&scene, &mut method, &batches[1]);

            let mut probe = scene.probe();
            probe.seed += 1;
            let mut resumed =
                limbeck_methods::build(name, &std::collections::BTreeMap::new(), &probe).unwrap();
            for id in method.store().ids() {
                let values = method.store().entry(id).value.clone();
                let values: Vec<f64> = values.try_into_vec_as().unwrap();
                let name = method.store().entry(id).name.clone();
                let id = resumed.store().find(&name).unwrap();
                resumed.store_mut().set_values(id, values);
            }
            resumed.load_state(method.state()).unwrap();
            let expected = train(&scene, &mut method, &batches[2]);
            let found = train(&scene, &mut resumed, &batches[2]);
            assert_eq!(found, expected, "{name}, {}", scene.name);
        }
    }
}

#[test]
fn modules_are_drawn_from_the_seed() {
    let scene = &scenes()[0];
    let weights = |seed| {
        let mut probe = scene.probe();
        probe.seed = seed;
        let method = limbeck_methods::build("tat", &Default::default(), &probe).unwrap();
        let id = method.store().find("query.conv2d.weight").unwrap();
        let value = method.store().entry(id).value.clone();
        value.try_into_vec_as::<f64>().unwrap()
    };
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
}

#[test]
fn a_training_pass_updates_the_statistics_of_norms() {
    let scene = &scenes()[0];
    let mut method = scene.build_default("fitnet");
    let store = method.store().clone();
    let mut pass = Pass::new(&store, Mode::Train, Taps::none(), 0);
    let student = scene.student(&scene.numbers("student"));
    let teacher = scene.teacher(false);
    let labels = burn::tensor::Tensor::from_data([0i64, 1, 2, 3], store.device());
    let step = Step {
        student: &student,
        teacher: Some(&teacher),
        supervision: Supervision {
            task: &Classification::PLAIN,
            target: &Target::labels(labels),
        },
        indices: &[0, 1, 2, 3],
        progress: limbeck_methods::Progress {
            epoch: 0,
            epochs: 1,
            step: 0,
            steps: 1,
        },
    };
    method.terms(&step, &mut pass).unwrap();
    let updated: Vec<String> = pass
        .into_updates()
        .keys()
        .map(|&id| store.entry(id).name.clone())
        .collect();
    assert_eq!(
        updated,
        [
            "bn.running_mean",
            "bn.running_var",
            "bn.num_batches_tracked"
        ]
    );
}
