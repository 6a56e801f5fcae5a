//! Goldens of `transkd`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{Feature, IMAGE, Outputs, Tap, TapKind};
use serde_json::Value;

use super::{Stage, embeddings::Embeddings, selective_fusion::SelectiveFusion};
use crate::{
    Criterion, Probe,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, features, map_kind, pass, probe, step},
        run::Run,
    },
    transkd::{
        EMBED_WEIGHTS, TransKd, TransKdConfig, TransKdVariant, embedding_losses, feature_loss,
        weighted,
    },
};

/// The fusion, the whole, and what the variants add to embeddings.
pub const ADAPTERS: &[Adapter] = &[
    adapter("csf", fusion),
    adapter("base", base),
    adapter("glmixer", mixer),
    adapter("ea", assistants),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::USUAL,
        run,
    }
}

fn widths(case: &Case, key: &str) -> Vec<usize> {
    let list: Vec<Value> = serde_json::from_value(case.setting(key).clone()).unwrap();
    list.iter()
        .map(|width| width.as_u64().unwrap() as usize)
        .collect()
}

/// `in.<name>0`, `in.<name>1`, …
fn list<const D: usize>(run: &mut Run<'_>, name: &str) -> Vec<Tensor<D>> {
    let count = (0..)
        .take_while(|i| run.case.has(&format!("in.{name}{i}")))
        .count();
    (0..count)
        .map(|i| run.input(&format!("{name}{i}")))
        .collect()
}

fn inner<const D: usize>(tensors: &[Tensor<D>]) -> Vec<Tensor<D>> {
    tensors
        .iter()
        .map(|tensor| tensor.clone().inner())
        .collect()
}

fn settings(case: &Case, variant: TransKdVariant) -> TransKdConfig {
    let weights = case.config.get("embed_weights").cloned();
    let defaults = TransKdConfig::default();
    TransKdConfig {
        variant,
        embed_weights: weights.map(|weights| serde_json::from_value(weights).unwrap()),
        ..defaults
    }
}

fn fusion(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student: Vec<Tensor<4>> = list(&mut run, "student_feature");
    let teacher: Vec<Tensor<4>> = list(&mut run, "teacher_feature");
    let widths = widths(case, "in_channels")
        .into_iter()
        .zip(widths(case, "out_channels"));
    let stages: Vec<Stage> = widths
        .zip(&student)
        .map(|((student, teacher), map)| {
            let [.., height, width] = map.dims();
            Stage {
                student,
                teacher,
                size: [height, width],
            }
        })
        .collect();
    assert_eq!(case.count("len"), 32, "the least width of the gate");
    let mid = case.count("mid_channel");
    let (fusion, mut store) = build(&probe(2, 2, vec![], vec![]), |_, builder| {
        Ok(SelectiveFusion::new(builder, &stages, mid))
    });
    run.fill(&mut store);
    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let fused = fusion.forward(&mut training, student);
    for (index, map) in fused.iter().enumerate() {
        run.out(&format!("fused{index}"), &map.clone().inner());
    }
    let loss = feature_loss(fused, inner(&teacher)).mul_scalar(case.number("feature_weight"));
    store.apply(training.into_updates());
    run.after(&store);
    run.track(&tracked);
    run.finish(&loss)
}

/// Tokens on a grid.
fn tokens(tokens: Tensor<3>, grid: [usize; 2]) -> Feature {
    Feature::Tokens {
        tokens,
        prefix: 0,
        grid,
    }
}

fn outputs(maps: Vec<Tensor<4>>, embeds: Vec<Tensor<3>>) -> Outputs {
    let batch = maps[0].dims()[0];
    let both = (1..).zip(maps.into_iter().zip(embeds));
    let taps = both.flat_map(|(i, (map, embed))| {
        let [.., height, width] = map.dims();
        [
            (format!("embed{i}"), tokens(embed, [height, width])),
            (format!("stage{i}"), Feature::Map(map)),
        ]
    });
    features(batch, 2, taps.collect())
}

fn taps(outputs: &Outputs) -> Vec<(String, TapKind)> {
    let taps = outputs.features.iter();
    taps.map(|(name, feature)| (name.clone(), feature.kind()))
        .collect()
}

fn base(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = outputs(
        list(&mut run, "student_feature"),
        list(&mut run, "student_embed"),
    );
    let teacher = outputs(
        list(&mut run, "teacher_feature"),
        list(&mut run, "teacher_embed"),
    );
    let probe = probe(2, 2, taps(&student), taps(&teacher));
    let config = TransKdConfig {
        feature_weight: case.number("feature_weight"),
        mid_channels: case.count("mid_channel"),
        ..settings(case, TransKdVariant::Base)
    };
    let (mut method, mut store) = build(&probe, |probe, builder| {
        TransKd::new(config, probe, builder)
    });
    run.fill(&mut store);
    let (plain, known) = (student.detach(), teacher.detach());
    let embeds = method.tokens("student", &plain).unwrap();
    let made = method
        .embeddings
        .forward(&mut pass(&store), embeds, &[], None);
    show(
        &mut run,
        "proj",
        &made,
        method.tokens("teacher", &known).unwrap(),
    );
    let tracked = store.tracked();
    let terms = method
        .terms(
            &step(&student, &teacher, &Target::None),
            &mut pass(&tracked),
        )
        .unwrap();
    run.out("loss_feature", &terms[0].value);
    run.track(&tracked);
    let [features, embeddings] = [0, 1].map(|i| terms[i].value.clone().mul_scalar(terms[i].weight));
    run.finish(&(features + embeddings))
}

/// Notes embeddings and their errors.
fn show(run: &mut Run<'_>, name: &str, made: &[Tensor<3>], teacher: Vec<Tensor<3>>) {
    for (index, made) in made.iter().enumerate() {
        run.out(&format!("embed_{name}{index}"), made);
    }
    for (index, loss) in embedding_losses(made.to_vec(), teacher).iter().enumerate() {
        run.out(&format!("loss_embed{index}"), loss);
    }
}

fn mixer(case: &Case) -> BTreeMap<String, Values> {
    let config = TransKdConfig {
        heads: case.count("num_heads"),
        residual: case.flag("add"),
        ..settings(case, TransKdVariant::Gl)
    };
    embeddings(case, config, "proj")
}

fn assistants(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.number("layernorm_eps"), 1e-5);
    embeddings(case, settings(case, TransKdVariant::Ea), "mix")
}

/// The way of the embeddings alone.
fn embeddings(case: &Case, config: TransKdConfig, name: &str) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student: Vec<Tensor<3>> = list(&mut run, "student_embed");
    let teacher: Vec<Tensor<3>> = list(&mut run, "teacher_embed");
    let maps: Vec<Tensor<4>> = list(&mut run, "student_feature");
    let image = case.has("in.image").then(|| case.tensor::<4>("in.image"));
    let shown: Vec<Tap> = image
        .iter()
        .map(|image| Tap {
            name: IMAGE.to_owned(),
            kind: map_kind(image),
        })
        .collect();
    let stages: Vec<Stage> = student
        .iter()
        .zip(&teacher)
        .enumerate()
        .map(|(index, (student, teacher))| {
            let [_, count, width] = student.dims();
            // The last stage's map is not in the file; a row of tokens is half as high and wide.
            let size = match (maps.get(index), maps.last()) {
                (Some(map), _) => [map.dims()[2], map.dims()[3]],
                (None, Some(last)) => [last.dims()[2], last.dims()[3]].map(|n| n.div_ceil(2)),
                (None, None) => [count, 1],
            };
            Stage {
                student: width,
                teacher: teacher.dims()[2],
                size,
            }
        })
        .collect();
    let any: Probe = probe(2, 2, vec![], vec![]);
    let (module, mut store) = build(&any, |_, builder| {
        Embeddings::new(builder, &config, &stages, &shown)
    });
    run.fill(&mut store);
    let tracked = store.tracked();
    let made = module.forward(&mut pass(&tracked), student, &maps, image);
    let plain: Vec<Tensor<3>> = inner(&made);
    show(&mut run, name, &plain, inner(&teacher));
    run.track(&tracked);
    let weights = config.embed_weights.unwrap_or(EMBED_WEIGHTS.to_vec());
    run.finish(&weighted(embedding_losses(made, inner(&teacher)), &weights))
}
