//! Goldens of `tst`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{Builder, Store};

use crate::{
    Cast, Normalisation, TrainingPart,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, cross_entropy, pass, probe, small_network, supervision},
        run::{Run, values},
    },
    tst::{
        GeometricNetwork, OperatorNetworks, Policy, PolicyDraws, Tst, TstConfig,
        colour::ColourNetwork,
        geometry::{GeometricDraws, affine_sample},
        policy::augment,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    adapter("stn", geometric),
    adapter("color", colour),
    adapter("policy", policy),
    adapter("search_loss", search_loss),
    adapter("distill_loss", distill_loss),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn store() -> Store {
    Store::new(&Case::device(), DType::F64)
}

/// The numbers of a tensor as a flat list, or in another shape of as many.
fn shaped<const D: usize>(tensor: &Tensor<D>, shape: &[usize]) -> Values {
    Values {
        shape: shape.to_vec(),
        numbers: values(tensor).numbers,
    }
}

fn geometric(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let mut store = store();
    let network = GeometricNetwork::new(&mut Builder::new(&mut store, 0));
    run.fill(&mut store);
    let tracked = store.tracked();
    let (images, magnitude) = (run.input::<4>("image"), run.input::<2>("magnitude"));
    let [batch, _] = magnitude.dims();
    let draws = GeometricDraws {
        noise: case.tensor("in.noise"),
        uniform: case.tensor("in.u"),
    };
    let still = network.forward(&mut pass(&tracked), images.clone(), magnitude.clone(), None);
    let maps = network.maps(&mut pass(&tracked), magnitude, Some(&draws));
    let moved = affine_sample(images, maps.gated.clone());
    run.out("theta", &maps.theta);
    run.set("out.prob", shaped(&maps.gate.unwrap(), &[batch]));
    run.out("theta_sampled", &maps.gated);
    run.out("image", &moved);
    run.out("image_eval", &still);
    run.track(&tracked);
    run.finish(&(moved * case.tensor("in.weight")).sum())
}

fn colour(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let mut store = store();
    let network = ColourNetwork::new(&mut Builder::new(&mut store, 0));
    run.fill(&mut store);
    let tracked = store.tracked();
    let (images, magnitude) = (run.input::<4>("image"), run.input::<2>("magnitude"));
    let [batch, _] = magnitude.dims();
    let make = |uniform: Option<Tensor<4>>| {
        let (images, magnitude) = (images.clone(), magnitude.clone());
        let noise = case.tensor("in.noise");
        network.forward(&mut pass(&tracked), images, magnitude, noise, uniform)
    };
    let made = make(Some(case.tensor("in.u")));
    run.set("out.scale", shaped(&made.scale, &[batch]));
    run.set("out.shift", shaped(&made.shift, &[batch]));
    run.out("pre_conv", &made.before_convolution);
    run.out("image", &made.images);
    run.out("image_eval", &make(None).images);
    run.track(&tracked);
    run.finish(&(made.images * case.tensor("in.weight")).sum())
}

/// Fills what the file has; networks that are not drawn stay as they were made.
fn fill_some(case: &Case, store: &mut Store) {
    let ids: Vec<_> = store.ids().collect();
    for id in ids {
        let name = format!("param.{}", store.entry(id).name);
        if case.has(&name) {
            store.set_values(id, case.values(&name).numbers.clone());
        }
    }
}

fn list(case: &Case, key: &str) -> Vec<f64> {
    let items = case.setting(key).as_array().unwrap();
    items.iter().map(|item| item.as_f64().unwrap()).collect()
}

fn policy(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (mut colours, mut geometries, mut numbers) = (store(), store(), store());
    let networks = OperatorNetworks {
        colours: OperatorNetworks::colours(&mut Builder::new(&mut colours, 0)),
        geometries: OperatorNetworks::geometries(&mut Builder::new(&mut geometries, 0)),
    };
    let policy = Policy::new(&mut Builder::new(&mut numbers, 0));
    for store in [&mut colours, &mut geometries, &mut numbers] {
        fill_some(case, store);
    }
    let operators: Vec<usize> = list(case, "index").iter().map(|&k| k as usize).collect();
    let centre = list(case, "cutout_center_yx");
    let draws = PolicyDraws {
        uniform: case.tensor("in.u_policy"),
        colours: operators
            .iter()
            .filter(|&&k| k < 6)
            .map(|&k| {
                let noise = case.tensor(&format!("in.noise.{k}"));
                (k, noise, case.tensor(&format!("in.u.{k}")))
            })
            .collect(),
        geometries: operators
            .iter()
            .filter(|&&k| (6..11).contains(&k))
            .map(|&k| {
                let draws = GeometricDraws {
                    noise: case.tensor(&format!("in.noise.{k}")),
                    uniform: case.tensor(&format!("in.u.{k}")),
                };
                (k - 6, draws)
            })
            .collect(),
        operators,
        cutout_centre: [centre[0] as usize, centre[1] as usize],
        cutout_size: case.count("cutout_size"),
    };
    let normalisation = Normalisation {
        mean: list(case, "mean"),
        std: list(case, "std"),
    };
    let tracked = numbers.tracked();
    let images = run.input::<4>("image");
    let used = policy.numbers(&pass(&tracked), draws.uniform.clone(), false, None);
    run.out("p", &used.probabilities);
    run.out("m", &used.magnitudes);
    run.out("p_relaxed", &used.applied);
    let (mut colours, mut geometries) = (pass(&colours), pass(&geometries));
    let passes = (&mut colours, &mut geometries);
    let made = augment(&networks, passes, images, &used, &draws, &normalisation);
    run.out("image", &made);
    run.track(&tracked);
    run.finish(&(made * case.tensor("in.weight")).sum())
}

fn method(config: TstConfig) -> Tst {
    let mut cast = Cast::new(small_network());
    let mut probe = probe(2, 4, Vec::new(), Vec::new());
    probe.training = TrainingPart {
        normalisation: Normalisation {
            mean: vec![0.5; 3],
            std: vec![0.25; 3],
        },
        ..TrainingPart::default()
    };
    Tst::new(config, &probe, &mut cast).unwrap()
}

fn search_loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let method = method(TstConfig {
        teacher_weight: case.number("alpha"),
        student_weight: case.number("beta"),
        ..TstConfig::default()
    });
    let student = run.input("student_logits");
    let teacher = run.input("teacher_logits");
    let [knows, fails] = method.search_terms(student, teacher, &case.integers("in.labels"));
    let [knows, fails] = [knows, fails].map(|term| term.value.mul_scalar(term.weight));
    run.out("loss_teacher", &knows);
    run.out("loss_student", &fails);
    run.finish(&(knows + fails))
}

fn distill_loss(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let method = method(TstConfig {
        temperature: case.number("temperature"),
        weight: case.number("alpha_soft"),
        ..TstConfig::default()
    });
    let student = run.input::<2>("student_logits");
    let teacher = case.tensor::<2>("in.teacher_logits");
    let labels = case.integers::<1>("in.labels");
    let target = Target::labels(labels.clone());
    let [batch] = labels.dims();
    let [task, kd_augmented, kd] = method
        .distillation_terms(&student, &teacher, supervision(&target))
        .unwrap();
    let original = cross_entropy(student.narrow(0, batch, batch), labels);
    let weigh = |term: crate::Term| term.value.mul_scalar(term.weight);
    let augmented = weigh(task) + weigh(kd_augmented);
    let original = original.mul_scalar(0.5) + weigh(kd);
    run.out("loss_augmented", &augmented.clone().mul_scalar(2.0));
    run.out("loss_original", &original.clone().mul_scalar(2.0));
    run.finish(&(augmented + original))
}
