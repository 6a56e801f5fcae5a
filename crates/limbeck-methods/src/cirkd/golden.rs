//! Goldens of `cirkd`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_data::VOID;

use crate::{
    Criterion, Segmentation,
    cirkd::{Cirkd, CirkdConfig, Enqueued, Places},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{build, dense_probe, map_kind, pass},
        run::{Run, values},
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "minibatch",
        tolerance: Tolerance::TIGHT,
        run: minibatch,
    },
    Adapter {
        case: "memory",
        tolerance: Tolerance::TIGHT,
        run: memory,
    },
];

/// The method for these features, of networks with `classes` classes.
fn made(
    config: CirkdConfig,
    classes: usize,
    student: &Tensor<4>,
    teacher: &Tensor<4>,
) -> (Cirkd, limbeck_nn::Store) {
    let [batch, ..] = student.dims();
    let logits = Tensor::zeros([batch, classes, 2, 2], &Case::device());
    let tap = |map: &Tensor<4>| vec![("feature".to_owned(), map_kind(map))];
    let probe = dense_probe(&logits, &logits, tap(student), tap(teacher));
    build(&probe, |probe, builder| Cirkd::new(config, probe, builder))
}

fn minibatch(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student: Tensor<4> = run.input("student_feature");
    let teacher: Tensor<4> = run.input("teacher_feature");
    let config = CirkdConfig {
        temperature: case.number("temperature"),
        minibatch_weight: case.number("weight"),
        pixel_weight: 0.0,
        region_weight: 0.0,
        ..CirkdConfig::default()
    };
    let weight = config.minibatch_weight;
    let (method, _) = made(config, 2, &student, &teacher);
    let value = method.minibatch(student, teacher.inner());
    run.finish(&value.mul_scalar(weight))
}

fn memory(case: &Case) -> BTreeMap<String, Values> {
    const QUEUES: [&str; 4] = [
        "teacher_pixel_queue",
        "teacher_segment_queue",
        "pixel_queue_ptr",
        "segment_queue_ptr",
    ];
    let mut run = Run::new(case);
    let student: Tensor<4> = run.input("student_feature");
    let teacher: Tensor<4> = run.input("teacher_feature");
    let classes = case.count("num_classes");
    // The file has keys of each class, settings those of all.
    let drawn = ["pixel_contrast", "region_contrast"].map(|key| case.count(key));
    let [pixel_contrast, region_contrast] = drawn.map(|each| (each - 1) * classes);
    let config = CirkdConfig {
        temperature: case.number("temperature"),
        memory_temperature: case.number("kd_temperature"),
        pixel_weight: case.number("weight_pixel"),
        region_weight: case.number("weight_region"),
        pixel_memory: case.count("pixel_memory"),
        region_memory: case.count("region_memory"),
        pixel_contrast,
        region_contrast,
        pixel_update: case.count("pixel_update"),
        enqueued: Enqueued::FirstPositions,
        ..CirkdConfig::default()
    };
    let weights = [config.pixel_weight, config.region_weight];
    let (mut method, mut store) = made(config, classes, &student, &teacher);

    // The queues are state, not parameters.
    let mut modules = case.clone();
    let mut state = method.state();
    for name in QUEUES {
        let Values { shape, numbers } = modules.tensors.remove(&format!("param.{name}")).unwrap();
        let data = burn::tensor::TensorData::new(numbers.clone(), [numbers.len()]);
        let options = (&Case::device(), burn::tensor::DType::F64);
        state.insert(name.to_owned(), (shape, Tensor::from_data(data, options)));
    }
    method.load_state(state).unwrap();
    Run::new(&modules).fill(&mut store);
    let tracked = store.tracked();
    run.track(&tracked);

    let ignored = case.number("ignore_label");
    let masks = case.integers::<3>("in.labels");
    let void = masks.clone().equal_elem(ignored as i64);
    let masks = masks.mask_fill(void, i64::from(VOID));
    let [_, _, height, width] = teacher.dims();
    let small = Segmentation::reduced(&masks, [height, width]).into_data();
    let label = |label: i64| if label == i64::from(VOID) { -1 } else { label };
    let labels: Vec<i64> = small.iter::<i64>().map(label).collect();
    let shape = case.shape("out.labels_small").to_vec();
    let numbers = labels.iter().map(|&label| label as f64);
    let numbers = numbers.map(|label| if label < 0.0 { ignored } else { label });
    run.set(
        "out.labels_small",
        Values {
            shape,
            numbers: numbers.collect(),
        },
    );

    let places = |name: &str| -> Vec<usize> {
        let numbers = &case.values(name).numbers;
        numbers.iter().map(|&number| number as usize).collect()
    };
    let order = |image, class, _| places(&format!("in.perm_b{image}_c{class}"));
    let keys = |name, count| places(name)[..count].to_vec();
    let keys = Places {
        pixels: keys("in.perm_pixel_sample", drawn[0]),
        regions: keys("in.perm_region_sample", drawn[1]),
    };
    let mut pass = pass(&tracked);
    let maps = [student, teacher.inner()];
    let [pixel, region] = method
        .memory(&mut pass, maps, &labels, order, Some(keys))
        .unwrap();
    run.out("pixel", &pixel);
    run.out("region", &region);
    store.apply(pass.into_updates());
    run.after(&store);
    for (name, (shape, flat)) in method.state() {
        let numbers = values(&flat).numbers;
        run.set(&format!("out.after.{name}"), Values { shape, numbers });
    }
    run.finish(&(pixel.mul_scalar(weights[0]) + region.mul_scalar(weights[1])))
}
