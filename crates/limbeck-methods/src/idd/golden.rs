//! Goldens of `idd`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::{
    Criterion, Segmentation, Term,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, map_features, map_taps, pass, probe, step},
        run::Run,
    },
    idd::{Idd, IddConfig, Members, PositionMaps},
};

/// Distances as they are and over their mean, and positions.
pub const ADAPTERS: &[Adapter] = &[
    adapter("icd", distance),
    adapter("icd_mean", distance),
    adapter("pid", position),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn distance(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<4>("student_feature");
    let teacher = run.input::<4>("teacher_feature");
    let labels = case.integers::<3>("in.labels");
    assert_eq!(case.count("ignore_label"), usize::from(limbeck_data::VOID));
    let [batch, ..] = student.dims();
    let taps = |map: &Tensor<4>| map_taps(std::slice::from_ref(map));
    let classes = case.count("num_classes");
    let probe = probe(classes, batch, taps(&student), taps(&teacher));
    let config = IddConfig {
        distance_weight: case.number("weight"),
        position_weight: 0.0,
        normalize: serde_json::from_value(case.setting("normalize").clone()).unwrap(),
        ..IddConfig::default()
    };
    let (mut method, store) = build(&probe, |probe, builder| Idd::new(config, probe, builder));
    let [.., height, width] = teacher.dims();
    let small = Segmentation::reduced(&labels, [height, width]);
    run.out("labels_small", &small.clone().float());
    let regions = method.regions(&small, [height, width]).unwrap();
    let members = Members::new(&regions, height * width, &teacher.clone().inner());
    for (side, maps) in [("student", &student), ("teacher", &teacher)] {
        let centres = members.centres(&maps.clone().inner());
        for (image, regions) in regions.iter().enumerate() {
            let Some(regions) = regions else { continue };
            let pairs = regions.pairs(&centres.device());
            let found = method.distances(&centres, image, &pairs);
            run.out(&format!("dist_{side}_b{image}"), &found);
        }
    }
    let student = map_features(batch, vec![student]);
    let teacher = map_features(batch, vec![teacher]);
    let target = Target::Masks(labels);
    let terms = method
        .terms(&step(&student, &teacher, &target), &mut pass(&store))
        .unwrap();
    run.finish(&total(&terms))
}

fn position(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!((case.count("kernel"), case.count("padding")), (3, 0));
    let mut run = Run::new(case);
    let student = run.input::<4>("student_feature");
    let teacher = run.input::<4>("teacher_feature");
    let [batch, ..] = student.dims();
    let taps = |map: &Tensor<4>| map_taps(std::slice::from_ref(map));
    let probe = probe(2, batch, taps(&student), taps(&teacher));
    let config = IddConfig {
        distance_weight: 0.0,
        position_weight: case.number("weight"),
        head_share: 0.0,
        position_maps: PositionMaps::Raw,
        ..IddConfig::default()
    };
    let (mut method, mut store) = build(&probe, |probe, builder| Idd::new(config, probe, builder));
    run.fill(&mut store);
    let found = method.positions(
        &mut pass(&store),
        student.clone().inner(),
        teacher.clone().inner(),
    );
    let found = found.unwrap();
    run.out("map_student", &found.student);
    run.out("map_teacher", &found.teacher);
    run.out("map_target", &found.target);
    let tracked = store.tracked();
    let student = map_features(batch, vec![student]);
    let teacher = map_features(batch, vec![teacher]);
    let terms = method
        .terms(
            &step(&student, &teacher, &Target::None),
            &mut pass(&tracked),
        )
        .unwrap();
    run.out("loss_distill", &terms[0].value);
    run.out("loss_teacher_head", &terms[1].value);
    run.track(&tracked);
    run.finish(&total(&terms))
}

fn total(terms: &[Term]) -> Tensor<1> {
    let weighted = terms.iter().map(|t| t.value.clone().mul_scalar(t.weight));
    weighted.reduce(|sum, term| sum + term).unwrap()
}
