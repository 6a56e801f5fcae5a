//! Goldens of `wecolora`.

use std::collections::BTreeMap;

use burn::tensor::{DType, Tensor};
use limbeck_nn::{
    Builder, Feature, InputShape, Network, Outputs, Store, Tap, TapKind, Taps,
    model::vit::{Embedding, VisionTransformer, VisionTransformerConfig},
};

use super::{
    ADAPTERS as FACTORS, Comparison, Copied, Wecolora, WecoloraConfig, WecoloraLoss,
    WecoloraUpdate, adapters::AdaptedLinear,
};
use crate::{
    Batch, Cast, Classification, MethodError, Probe, Progress, Scene, Setting, Target, Teacher,
    TeacherNetwork, Term, TrainingPart,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{features, pass, probe},
        run::Run,
    },
    procedure::Procedure,
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "lora_kd",
        tolerance: Tolerance::USUAL,
        run: lora_kd,
    },
    Adapter {
        case: "losses",
        tolerance: Tolerance::TIGHT,
        run: losses,
    },
    Adapter {
        case: "dora",
        tolerance: Tolerance::TIGHT,
        run: dora,
    },
];

/// A network that gives out what it gives out.
#[derive(Debug)]
pub struct Frozen(pub Network);

impl Teacher for Frozen {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn taps(&self) -> Vec<Tap> {
        self.0.taps()
    }

    fn outputs(&self, images: Tensor<4>, taps: &Taps) -> Result<Outputs, MethodError> {
        Ok(self.0.evaluate(images.inner(), taps))
    }
}

fn fill(case: &Case, store: &mut Store) {
    for id in store.ids() {
        let name = format!("param.{}", store.entry(id).name);
        let values = case.values(&name);
        assert_eq!(values.shape, store.entry(id).shape, "{name}");
        store.set_values(id, values.numbers.clone());
    }
}

fn total(terms: &[Term]) -> Tensor<1> {
    let weighted = terms
        .iter()
        .map(|term| term.value.clone().mul_scalar(term.weight));
    weighted.reduce(|sum, term| sum + term).unwrap()
}

fn lora_kd(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let images: Tensor<4> = case.tensor("in.image");
    let [batch, channels, height, width] = images.dims();
    assert_eq!([height, width], [case.count("img_size"); 2]);
    let kept: Vec<usize> = serde_json::from_value(case.setting("kept_blocks").clone()).unwrap();
    let factor = case.count("reduction_factor");
    let own: Vec<usize> = (0..kept.len()).map(|j| j * factor).collect();
    assert_eq!(kept, own);
    let input = InputShape {
        channels,
        height,
        width,
        classes: case.shape("param.head.bias")[0],
    };
    let network = |depth| {
        let config = VisionTransformerConfig {
            patch: case.count("patch"),
            width: case.count("embed_dim"),
            depth,
            heads: case.count("num_heads"),
            mlp_ratio: case.number("mlp_ratio"),
            distilled: false,
            embedding: Embedding::ClassToken,
            epsilon: case.number("ln_eps"),
            drop_path: 0.0,
        };
        Network::new(
            "vit",
            input,
            0,
            &Case::device(),
            DType::F64,
            |builder, input| Ok(Box::new(VisionTransformer::new(builder, input, config)?)),
        )
        .unwrap()
    };
    let mut teacher = network(case.count("teacher_depth"));
    fill(case, &mut teacher.store);
    let student = network(kept.len());
    let probe = Probe {
        student: student.taps(),
        teacher: Some(teacher.taps()),
        teacher_network: Some(TeacherNetwork {
            network: teacher.clone(),
            normalisation: TrainingPart::default().normalisation,
        }),
        ..probe(input.classes, batch, Vec::new(), Vec::new())
    };
    let config = WecoloraConfig {
        reduction_factor: Some(factor),
        rank: Some(case.count("rank")),
        ..WecoloraConfig::default()
    };
    let mut cast = Cast::new(student);
    let method = Wecolora::new(config, &probe, &mut cast).unwrap();
    fill(case, cast.store_mut(FACTORS).unwrap());
    let factors = cast.store(FACTORS).unwrap();
    let count = Values {
        shape: Vec::new(),
        numbers: vec![factors.trained_count() as f64],
    };
    run.set("out.n_trainable", count);
    let stage = method.stages(1).remove(0);
    let progress = Progress {
        epoch: 0,
        epochs: 1,
        step: 0,
        steps: 1,
    };
    let teacher = Frozen(teacher);
    let batch = Batch::new(images, Target::None, (0..batch).collect());
    let mut scene = Scene::new(Setting {
        cast: &cast,
        act: &stage.acts[0],
        batch: &batch,
        teacher: Some(&teacher),
        stage: progress,
        run: progress,
        task: &Classification::PLAIN,
        seed: 0,
    });
    let (student, teacher) = method.outputs(&mut scene).unwrap();
    for (name, outputs) in [("student", &student), ("teacher", &teacher)] {
        let [Feature::Tokens { tokens, .. }] = outputs.features.values().collect::<Vec<_>>()[..]
        else {
            panic!("the {name} gave out {:?}", outputs.features.keys());
        };
        run.out(&format!("{name}_feature"), tokens);
    }
    let terms = method.comparison.terms(&student, &teacher).unwrap();
    run.track(&scene.finish().tracked[FACTORS]);
    run.finish(&total(&terms))
}

fn losses(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.inputs::<3>("student_feature");
    let depth = case.count("teacher_depth");
    let copied = Copied::every(case.count("reduction_factor"), depth).unwrap();
    let [batch, tokens, width] = student[0].dims();
    let tap = |index: usize, tokens: Tensor<3>| {
        let grid = [1, tokens.dims()[1] - 1];
        let prefix = 1;
        (
            format!("block{index}"),
            Feature::Tokens {
                tokens,
                prefix,
                grid,
            },
        )
    };
    let own = student
        .iter()
        .cloned()
        .enumerate()
        .map(|(i, map)| tap(i, map));
    let own = features(batch, 2, own.collect());
    let other = (0..depth).map(|i| tap(i, case.tensor(&format!("in.teacher_feature.{i}"))));
    let other = features(batch, 2, other.collect());
    let kind = TapKind::Tokens {
        shape: [tokens, width],
        prefix: 1,
        grid: [1, tokens - 1],
    };
    assert_eq!(own.features["block0"].kind(), kind);
    let shape = VisionTransformerConfig::deit(width, copied.depth(), 1);
    let compare = |loss| {
        let config = WecoloraConfig {
            loss,
            ..WecoloraConfig::default()
        };
        let comparison = Comparison::new(&config, &copied, &shape).unwrap();
        let terms = comparison.terms(&own, &other).unwrap();
        (comparison, terms)
    };
    let (_, last) = compare(WecoloraLoss::Last);
    let (comparison, multi) = compare(WecoloraLoss::Multi);
    let (_, both) = compare(WecoloraLoss::MaeKld);
    let indices = case.setting("multi_teacher_index").as_array().unwrap();
    let expected = indices.iter().map(|index| format!("block{index}"));
    let compared = comparison
        .pairs()
        .iter()
        .map(|(_, teacher)| teacher.clone());
    assert!(expected.eq(compared), "{:?}", comparison.pairs());
    run.out("last", &total(&last));
    run.out("multi", &total(&multi));
    run.out("kl", &both[1].value);
    run.out("mae_kld", &total(&both));
    run.finish(&(total(&last) + total(&multi) + total(&both)))
}

fn dora(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.number("alpha"), 1.0);
    let mut run = Run::new(case);
    let (width, outputs, rank) = (case.count("dim"), case.count("out"), case.count("rank"));
    let mut store = Store::new(&Case::device(), DType::F64);
    let mut builder = Builder::new(&mut store, 0);
    let update = WecoloraUpdate::DoraCompat;
    let single = AdaptedLinear::new(builder.sub("fc"), &["fc"], [outputs, width], rank, update);
    let parts = ["q", "k", "v"];
    let fused = AdaptedLinear::new(builder.sub("qkv"), &parts, [3 * width, width], rank, update);
    // Of the magnitudes the file has those that the copied weights start from, or others.
    fill(case, &mut store);
    let tracked = store.tracked();
    run.track(&tracked);
    let x: Tensor<3> = run.input("x");
    let mut loss: Option<Tensor<1>> = None;
    for (name, layer, copied) in [
        ("fc", single, "param.fc.old_fc"),
        ("qkv", fused, "param.qkv.qkv"),
    ] {
        let base: Tensor<2> = case.tensor(&format!("{copied}.weight"));
        let bias: Tensor<1> = case.tensor(&format!("{copied}.bias"));
        let weight = layer.weight(&mut pass(&tracked), base);
        let y = x.clone().matmul(weight.transpose().unsqueeze()) + bias.unsqueeze();
        run.out(name, &y);
        let part = (y * case.tensor(&format!("in.weight_{name}"))).sum();
        loss = Some(match loss {
            Some(loss) => loss + part,
            None => part,
        });
    }
    run.finish(&loss.unwrap())
}
