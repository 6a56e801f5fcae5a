//! Goldens of `tat`.

use std::collections::BTreeMap;

use crate::{
    Criterion,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{Target, build, map_features, map_taps, pass, probe, segmenting, step},
        run::Run,
    },
    tat::{Form, PatchAttention, Tat, TatConfig},
};

/// The cases of classification, which the configuration's orientation tells apart, and those of
/// segmentation, with patches stacked and single.
pub const ADAPTERS: &[Adapter] = &[
    adapter("cls", classification),
    adapter("cls_paper", classification),
    adapter("seg", segmentation),
    adapter("seg_batch", segmentation),
];

const fn adapter(case: &'static str, run: fn(&Case) -> BTreeMap<String, Values>) -> Adapter {
    Adapter {
        case,
        tolerance: Tolerance::TIGHT,
        run,
    }
}

fn classification(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let student = run.input::<4>("student_feature");
    let teacher = run.input::<4>("teacher_feature");
    let [batch, ..] = student.dims();
    let config = TatConfig {
        heads: Some(case.count("heads")),
        orientation: serde_json::from_value(case.setting("orientation").clone()).unwrap(),
        ..TatConfig::default()
    };
    let taps = |map| map_taps(std::slice::from_ref(map));
    let probe = probe(2, batch, taps(&student), taps(&teacher));
    let (mut method, mut store) = build(&probe, |probe, builder| Tat::new(config, probe, builder));
    run.fill(&mut store);
    let Form::Whole(whole) = &method.form else {
        panic!("the case is of classification");
    };
    let rebuilt = whole.rebuild(
        &mut pass(&store),
        student.clone().inner(),
        teacher.clone().inner(),
    );
    run.out("query", &rebuilt.query);
    run.out("value", &rebuilt.value);
    run.out("attention", &rebuilt.attention);
    run.out("reconstructed", &rebuilt.map);

    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let student = map_features(batch, vec![student]);
    let teacher = map_features(batch, vec![teacher]);
    let terms = method
        .terms(&step(&student, &teacher, &Target::None), &mut training)
        .unwrap();
    store.apply(training.into_updates());
    run.after(&store);
    run.track(&tracked);
    run.finish(&terms[0].value)
}

fn segmentation(case: &Case) -> BTreeMap<String, Values> {
    assert_eq!(case.count("embed_kernel"), 1);
    let mut run = Run::new(case);
    let student = run.input::<4>("student_feature");
    let teacher = run.input::<4>("teacher_feature");
    let [batch, channels, ..] = teacher.dims();
    let pair = |rows, columns| Some([case.count(rows), case.count(columns)]);
    let config = TatConfig {
        weight: 1.0,
        heads: Some(case.count("heads")),
        patches: pair("n", "m"),
        anchors: pair("anchor_h", "anchor_w"),
        patch_attention: match case.text("attn_type") {
            "stack_attn" => PatchAttention::Stacked,
            "batch_attn" => PatchAttention::Single,
            other => panic!("attention of patches: {other}"),
        },
        patch_weight: case.number("beta"),
        anchor_weight: case.number("gamma"),
        ..TatConfig::default()
    };
    let taps = |map| map_taps(std::slice::from_ref(map));
    let probe = segmenting(probe(2, batch, taps(&student), taps(&teacher)));
    let (mut method, mut store) = build(&probe, |probe, builder| Tat::new(config, probe, builder));
    run.fill(&mut store);
    let Form::Patches(patches) = &method.form else {
        panic!("the case is of segmentation");
    };
    let (plain, known) = (student.clone().inner(), teacher.clone().inner());
    let embedded = patches.embed(&mut pass(&store), plain, known.clone());
    run.out("query", &embedded.query);
    run.out("key", &embedded.key);
    run.out("value", &embedded.value);
    let cut = patches.cut(&known);
    let [.., height, width] = cut.dims();
    run.out("teacher_stacked", &cut);
    // [B, n, C, h, w] -> [B, C, n, h, w]
    let count = case.count("n") * case.count("m");
    let cut = cut.reshape([batch, count, channels, height, width]);
    run.out("teacher_patches", &cut.swap_dims(1, 2));
    run.out("patch_group_loss", &patches.patch_loss(&embedded, &known));
    run.out("anchor_loss", &patches.anchor_loss(&embedded, &known));

    let tracked = store.tracked();
    let mut training = pass(&tracked);
    let student = map_features(batch, vec![student]);
    let teacher = map_features(batch, vec![teacher]);
    let terms = method
        .terms(&step(&student, &teacher, &Target::None), &mut training)
        .unwrap();
    store.apply(training.into_updates());
    run.after(&store);
    run.track(&tracked);
    run.finish(&terms[0].value)
}
