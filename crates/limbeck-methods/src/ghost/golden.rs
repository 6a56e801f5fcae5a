//! Goldens of `ghost`: quantisers, a quantised unit, the guidance with its switch, bits by layer.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{
    Builder, Mode, Pass, Store, Taps,
    layer::{Conv2dConfig, ConvNorm},
    quantise::{Bits, dorefa_activation, dorefa_weight, hybrid_bits, hybrid_distances},
};

use crate::{
    ghost::{Ghost, GhostConfig, Seen},
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{build, map_taps, probe},
        run::{Run, values},
    },
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    adapter("quant", quantisers),
    adapter("conv_block", unit),
    adapter("ost_scm", guidance),
    adapter("hybrid_bits", bits_by_layer),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn bits_of(value: &serde_json::Value) -> Bits {
    let count = value.as_u64().unwrap();
    Bits::new(u32::try_from(count).unwrap()).unwrap()
}

fn widths(case: &Case, key: &str) -> Vec<Bits> {
    let list = case.setting(key).as_array().unwrap();
    list.iter().map(bits_of).collect()
}

fn quantisers(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let weight = run.input::<4>("weight");
    let activation = run.input::<4>("act");
    let mut losses = Vec::new();
    for bits in widths(case, "weight_bits") {
        let quantised = dorefa_weight("weight", weight.clone(), bits).unwrap();
        run.out(&format!("weight_q.{bits}"), &quantised);
        let by = case.tensor::<4>(&format!("in.weight_grad_out.{bits}"));
        losses.push((quantised * by).sum());
    }
    for bits in widths(case, "act_bits") {
        let quantised = dorefa_activation(activation.clone(), bits);
        run.out(&format!("act_q.{bits}"), &quantised);
        let by = case.tensor::<4>(&format!("in.act_grad_out.{bits}"));
        losses.push((quantised * by).sum());
    }
    run.finish(&Tensor::cat(losses, 0).sum())
}

fn unit(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let x = run.input::<4>("x");
    let shape = case.shape("param.conv.weight");
    let mut config = Conv2dConfig::new(shape[1], shape[0], case.count("kernel"));
    config = config
        .stride(case.count("stride"))
        .padding(case.count("padding"));
    let mut store = Store::new(&Case::device(), DType::F64);
    let layer = ConvNorm::new(&mut Builder::new(&mut store, 0), "conv", "bn", config);
    run.fill(&mut store);
    // Norms of the zoo have PyTorch's default; what is added to a variance may lie in it as well.
    let variance = store.find("bn.running_var").unwrap();
    let more = case.number("bn_eps") - 1e-5;
    let shifted = store.get::<1>(variance).add_scalar(more);
    store.set(variance, shifted);
    let tracked = store.tracked();
    let mut quantised = tracked.clone();
    let id = quantised.find("conv.weight").unwrap();
    let bits = bits_of(case.setting("weight_bit"));
    let weight = dorefa_weight("conv.weight", quantised.get::<4>(id), bits).unwrap();
    run.out("weight_q", &weight);
    let count = weight.shape().num_elements();
    quantised.set(id, weight.reshape([count]));
    let mode = match case.text("bn") {
        "eval" => Mode::Evaluate,
        _ => Mode::Train,
    };
    let mut pass = Pass::new(&quantised, mode, Taps::all(), 0);
    let y = layer.forward_relu_tapped(&mut pass, x, Some("before"));
    let before = pass.finish(limbeck_nn::Feature::Map(y.clone())).0;
    let limbeck_nn::Feature::Map(before) = before.feature("before").unwrap().clone() else {
        panic!("what the unit's ReLU is given is a map");
    };
    let y = dorefa_activation(y, bits_of(case.setting("act_bit")));
    run.out("pre_act", &before);
    run.out("y", &y);
    run.track(&tracked);
    let by = case.tensor::<4>("in.weight");
    run.finish(&(y * by).sum())
}

fn guidance(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.inputs::<4>("student_feature");
    let teacher: Vec<Tensor<4>> = (0..case.list_length("in.teacher_feature"))
        .map(|i| case.tensor(&format!("in.teacher_feature.{i}")))
        .collect();
    let [batch, ..] = student[0].dims();
    let config = GhostConfig {
        weight: case.number("kd_weight_applied"),
        width: case.count("qk_dim"),
        temperature: case.number("tau"),
        frozen_scm: false,
    };
    let weight = config.weight;
    let probe = probe(2, batch, map_taps(&student), map_taps(&teacher));
    let (method, mut store) = build(&probe, |probe, builder| Ghost::new(config, probe, builder));
    run.fill(&mut store);
    let tracked = store.tracked();
    let mode = match case.text("bn") {
        "eval" => Mode::Evaluate,
        _ => Mode::Train,
    };
    let mut pass = Pass::new(&tracked, mode, Taps::none(), 0);
    let noise = case.tensor::<3>("in.exp_noise");
    let (mut logits, mut switches, mut losses) = (Vec::new(), Vec::new(), Vec::new());
    for (i, maps) in student.into_iter().zip(teacher).enumerate() {
        let draws = noise
            .clone()
            .narrow(1, i, 1)
            .narrow(2, i, 1)
            .reshape([batch]);
        let seen = Seen::of([maps.0, maps.1]);
        let logit = method.logit(&mut pass, i, &seen);
        let switch = method.switch(logit.clone(), draws);
        losses.push(method.guidance(&seen, switch.clone()));
        logits.push(logit.reshape([batch, 1]));
        switches.push(switch.reshape([batch, 1]));
    }
    run.out("logit_diag", &Tensor::cat(logits, 1));
    run.out("switch", &Tensor::cat(switches, 1));
    let losses = Tensor::cat(losses, 0);
    run.out("layer_loss", &losses);
    run.track(&tracked);
    run.finish(&losses.sum().mul_scalar(weight))
}

fn bits_by_layer(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let count = case.list_length("in.weight");
    let (mut distances, mut bits) = (Vec::new(), Vec::new());
    for layer in 0..count {
        let weights = &case.values(&format!("in.weight.{layer}")).numbers;
        distances.extend(hybrid_distances("weight", weights).unwrap());
        let found = hybrid_bits("weight", weights, case.number("threshold")).unwrap();
        bits.push(f64::from(found.count()));
    }
    let loss = distances.iter().sum::<f64>();
    let candidates = distances.len() / count.max(1);
    let all = |shape: Vec<usize>, numbers| Values { shape, numbers };
    run.set("out.distance", all(vec![count, candidates], distances));
    run.set("out.bits", all(vec![count], bits));
    let device = Case::device();
    let loss = Tensor::<1>::from_data([loss], (&device, DType::F64));
    run.set("out.loss", values(&loss));
    run.finish_without_loss()
}
