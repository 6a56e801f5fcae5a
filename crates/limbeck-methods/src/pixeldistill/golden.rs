//! Goldens of `pixeldistill`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{Builder, Store, layer::FrozenConvolution};

use crate::{
    Cast,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{cross_entropy, pass, probe, small_network},
        run::{Run, values},
    },
    pixeldistill::{
        HighResolution, Pixeldistill, PixeldistillConfig, SuperResolution, attention_error,
        reconstruction_error, upsampled_error,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    adapter("isrd", one_stage),
    adapter("stage2_feature", features),
    adapter("fsr", high_resolution),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

/// The image made of the student's map, with gradients noted, and the large one.
fn images(case: &Case, run: &mut Run<'_>) -> (Tensor<4>, Tensor<4>) {
    let map = run.input::<4>("student_feature");
    let large = case.tensor::<4>("in.large_image");
    let [_, channels, height, width] = map.dims();
    let [_, colours, side, _] = large.dims();
    let mut store = Store::new(&Case::device(), burn::tensor::DType::F64);
    let mut builder = Builder::new(&mut store, 0);
    let shape = [channels, height, width];
    let head = SuperResolution::new(&mut builder, shape, colours, side).unwrap();
    assert_eq!(head.scale(), case.count("scale_factor"));
    run.fill(&mut store);
    let tracked = store.tracked();
    run.track(&tracked);
    let image = head.forward(&mut pass(&tracked), map);
    run.out("image_sr", &image);
    (image, large)
}

fn one_stage(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let logits = run.input::<2>("student_logits");
    let (image, large) = images(case, &mut run);
    let error = reconstruction_error(image, large);
    run.out("loss_isr", &error);
    let config = PixeldistillConfig {
        alpha: case.number("alpha"),
        temperature: case.number("temperature"),
        eta: case.number("eta"),
        ..PixeldistillConfig::default()
    };
    let mut cast = Cast::new(small_network());
    let probe = probe(2, 4, Vec::new(), Vec::new());
    let method = Pixeldistill::new(config, &probe, &mut cast).unwrap();
    let divergence = method.divergence(logits.clone(), case.tensor("in.teacher_logits"));
    let task = cross_entropy(logits, case.integers::<1>("in.labels"));
    let alpha = case.number("alpha");
    let kd = task.mul_scalar(1.0 - alpha) + divergence.mul_scalar(alpha);
    run.out("loss_kd", &kd);
    run.finish(&(kd + error.mul_scalar(case.number("eta"))))
}

fn features(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.inputs::<4>("student_feature");
    let mut sums: Vec<Tensor<1>> = Vec::new();
    for (name, error) in [
        ("out.icfup", upsampled_error as fn(_, _) -> _),
        ("out.at", attention_error),
    ] {
        let each: Vec<Tensor<1>> = student
            .iter()
            .enumerate()
            .map(|(layer, map)| {
                let assistant = case.tensor::<4>(&format!("in.teacher_feature.{layer}"));
                error(map.clone(), assistant).unwrap()
            })
            .collect();
        let numbers = each.iter().flat_map(|value| values(value).numbers);
        let values = Values {
            shape: vec![each.len()],
            numbers: numbers.collect(),
        };
        run.set(name, values);
        sums.extend(each);
    }
    let loss = sums.into_iter().reduce(|a, b| a + b).unwrap();
    run.finish(&loss)
}

fn high_resolution(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (image, large) = images(case, &mut run);
    let convolution = FrozenConvolution {
        weight: case.tensor("in.assistant_conv"),
        stride: [case.count("conv_stride"); 2],
        padding: [case.count("conv_pad"); 2],
    };
    let both = HighResolution::new(&convolution, image.clone(), large.clone());
    run.out("feat_hr", &both.student);
    run.out("teacher_feature", &both.target);
    let (feature, pixels) = (both.error(), reconstruction_error(image, large));
    run.out("loss_feat", &feature);
    run.out("loss_img", &pixels);
    let weighted = feature.mul_scalar(case.number("w_feat"));
    run.finish(&(weighted + pixels.mul_scalar(case.number("w_img"))))
}
