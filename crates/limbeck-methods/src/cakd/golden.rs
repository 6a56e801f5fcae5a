//! Goldens of `cakd`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{Builder, InputShape, Network, Store, layer::Linear, model};

use crate::{
    Cast,
    cakd::{
        Cakd, CakdConfig, CakdForm, CrossAttention, Discriminator, GramAttention, GroupLinear,
        PatchDiscriminator, Projections, Relations,
    },
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{pass, probe},
        run::Run,
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    adapter("pca", released_attention),
    adapter("gl", group_linear),
    adapter("gan", adversarial),
    adapter("pca_paper", cross_attention),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

/// Modules with the file's numbers: their own, and a copy that records gradients, which is
/// tracked.
fn modules<M>(run: &mut Run<'_>, make: impl FnOnce(&mut Builder<'_>) -> M) -> (M, Store) {
    let mut store = Store::new(&Case::device(), DType::F64);
    let made = make(&mut Builder::new(&mut store, 0));
    run.fill(&mut store);
    let tracked = store.tracked();
    run.track(&tracked);
    (made, tracked)
}

/// `[B, heads, N, d]` → `[B, N, heads · d]`, the heads side by side.
fn side_by_side(case: &Case, name: &str) -> Tensor<3> {
    let heads = case.tensor::<4>(name);
    let [batch, count, tokens, width] = heads.dims();
    heads
        .swap_dims(1, 2)
        .reshape([batch, tokens, count * width])
}

fn released_attention(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let map = run.input::<4>("student_feature");
    let [_, channels, ..] = map.dims();
    let (attention, store) = modules(&mut run, |builder| {
        // The authors' module has this map too; nothing reads it.
        Linear::new(builder.sub("to_out.0"), channels, channels);
        GramAttention::new(builder, channels, case.count("heads"))
    });
    let student = attention.relate(&mut pass(&store), map);
    run.out("student_qk", &student.attention);
    run.out("student_vv", &student.values);
    let projections = Projections {
        queries: side_by_side(case, "in.teacher_q"),
        keys: side_by_side(case, "in.teacher_k"),
        values: side_by_side(case, "in.teacher_v"),
    };
    let teacher = Relations::of(&projections, case.shape("in.teacher_q")[1]);
    run.out("teacher_qk", &teacher.attention);
    run.out("teacher_vv", &teacher.values);
    let [attention, values] = student.errors(&teacher.patches(1));
    run.out("loss_qk", &attention);
    run.out("loss_vv", &values);
    let attention = attention.mul_scalar(case.number("weight_qk"));
    run.finish(&(attention + values.mul_scalar(case.number("weight_vv"))))
}

/// Mean of the squared differences.
fn error<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<1> {
    (a - b).square().mean()
}

fn group_linear(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let map = run.input::<4>("student_feature");
    let [_, channels, rows, columns] = map.dims();
    let teacher = case.tensor::<3>("in.teacher_feature");
    let [_, _, width] = teacher.dims();
    let group = case.config.get("group").map_or(4, |_| case.count("group"));
    let shape = [channels, rows, columns];
    let (layers, store) = modules(&mut run, |builder| {
        GroupLinear::new(builder, shape, width, group)
    });
    assert_eq!(layers.groups(), case.count("groups"));
    let projected = layers.forward(&mut pass(&store), map);
    run.out("proj", &projected);
    let logits = run.input::<2>("student_logits");
    let token = run.input::<2>("student_token");
    let parts = [
        ("logits", error(logits, case.tensor("in.teacher_logits"))),
        ("token", error(token, case.tensor("in.teacher_token"))),
        ("feature", error(projected, teacher)),
    ];
    let weighted = parts.map(|(name, value)| {
        run.out(&format!("loss_{name}"), &value);
        value.mul_scalar(case.number(&format!("weight_{name}")))
    });
    run.finish(&weighted.into_iter().reduce(|a, b| a + b).unwrap())
}

fn released_method() -> Cakd {
    let input = InputShape {
        channels: 3,
        height: 32,
        width: 32,
        classes: 2,
    };
    let network =
        |name| -> Network { model::build(name, input, 0, &Case::device(), DType::F64).unwrap() };
    let (student, teacher) = (network("resnet8"), network("vit_nano"));
    let mut probe = probe(2, 4, Vec::new(), Vec::new());
    probe.student = student.taps();
    probe.teacher = Some(teacher.taps());
    let config = CakdConfig {
        form: CakdForm::Released,
        ..CakdConfig::default()
    };
    Cakd::new(config, &probe, &mut Cast::new(student)).unwrap()
}

fn adversarial(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.text("bn_mode"), "train");
    assert_eq!(case.number("leaky_slope"), 0.2);
    let mut run = Run::new(case);
    let student = run.input::<3>("student_map");
    let (discriminator, store) = modules(&mut run, |builder| {
        let (width, layers) = (case.count("ndf"), case.count("n_layers"));
        Discriminator::Relations(Box::new(PatchDiscriminator::new(builder, width, layers)))
    });
    let judge = |map| discriminator.forward(&mut pass(&store), map);
    let real = judge(case.tensor("in.teacher_map"));
    let fake = judge(student);
    run.out("pred_real", &real);
    run.out("pred_fake", &fake);
    let method = released_method();
    let loss_d = method.discriminator_loss(real, fake.clone());
    let loss_g = method.adversarial_loss(fake);
    run.out("loss_d", &loss_d);
    run.out("loss_g", &loss_g);
    run.finish(&(loss_d + loss_g))
}

fn cross_attention(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.text("reduction"), "mean");
    let mut run = Run::new(case);
    let map = run.input::<4>("student_feature");
    let [_, channels, ..] = map.dims();
    let teacher = Projections {
        queries: case.tensor("in.teacher_q"),
        keys: case.tensor("in.teacher_k"),
        values: case.tensor("in.teacher_v"),
    };
    let width = teacher.queries.dims()[2];
    let (attention, store) = modules(&mut run, |builder| {
        CrossAttention::new(builder, channels, width)
    });
    let student = attention.project(&mut pass(&store), &map);
    let masks = ["q", "k", "v"].map(|name| case.tensor::<3>(&format!("in.mask_{name}")));
    let errors = CrossAttention::compare(&student, &teacher, masks);
    run.out("attn_student", &errors.student);
    run.out("attn_teacher", &errors.teacher);
    run.out("loss_attn", &errors.attention);
    run.out("loss_vv", &errors.values);
    run.finish(&(errors.attention + errors.values))
}
