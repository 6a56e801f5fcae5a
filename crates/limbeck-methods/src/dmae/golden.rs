//! Goldens of `dmae`.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use limbeck_nn::{
    InputShape, Network, Store,
    model::vit::{Embedding, VisionTransformer, VisionTransformerConfig, gather_tokens},
};

use super::{Alignment, AlignmentDistance, AlignmentHead, Dmae, DmaeConfig, HEADS};
use crate::{
    Batch, Cast, Probe, Procedure, STUDENT, Scene, Target,
    golden::{
        Adapter,
        case::{Case, Values},
        compare::Tolerance,
        fixture::{build, pass, probe},
        network::no_loss,
        run::{Run, values},
    },
    mae::autoencoder::DECODER,
    rehearsal::{PatchTeacher, setting},
    testing::POSITIONS,
};

/// All cases.
pub const ADAPTERS: &[Adapter] = &[
    Adapter {
        case: "step",
        tolerance: Tolerance::TIGHT,
        run: step,
    },
    Adapter {
        case: "align",
        tolerance: Tolerance::TIGHT,
        run: align,
    },
    Adapter {
        case: "pos_embed",
        tolerance: Tolerance::TIGHT,
        run: pos_embed,
    },
];

fn distance(name: &str) -> AlignmentDistance {
    match name {
        "L1" => AlignmentDistance::L1,
        "L2" | "MSE" => AlignmentDistance::Mse,
        other => panic!("no distance is called {other}"),
    }
}

/// The transformer that the file calls `side`.
fn transformer(case: &Case, side: &str, images: &Tensor<4>) -> Network {
    let [_, channels, height, width] = images.dims();
    let input = InputShape {
        channels,
        height,
        width,
        classes: 0,
    };
    let shape = case.setting(side);
    let count = |key: &str| shape[key].as_u64().unwrap() as usize;
    let config = VisionTransformerConfig {
        patch: case.count("patch_size"),
        width: count("dim"),
        depth: count("depth"),
        heads: count("heads"),
        mlp_ratio: case.number("mlp_ratio"),
        distilled: false,
        embedding: Embedding::ClassToken,
        epsilon: case.number("ln_eps"),
        drop_path: 0.0,
    };
    let dtype = images.dtype();
    let made = Network::new(side, input, 0, &Case::device(), dtype, |builder, input| {
        let net = VisionTransformer::new(builder, input, config)?;
        Ok(Box::new(net))
    });
    made.unwrap()
}

/// Gives `store` the numbers of `param.<side>.…`; how many tensors it took.
fn fill(case: &Case, side: &str, store: &mut Store) -> usize {
    let ids: Vec<_> = store.ids().collect();
    for &id in &ids {
        let entry = store.entry(id);
        let values = case.values(&format!("param.{side}.{}", entry.name));
        assert_eq!(values.shape, entry.shape, "shape of `{}`", entry.name);
        store.set_values(id, values.numbers.clone());
    }
    ids.len()
}

fn step(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let images: Tensor<4> = case.tensor("in.images");
    let mut teacher = transformer(case, "teacher", &images);
    let student = transformer(case, "student", &images);
    let list =
        |key: &str| -> Vec<usize> { serde_json::from_value(case.setting(key).clone()).unwrap() };
    let blocks: Vec<[usize; 2]> = list("align_student_blocks")
        .into_iter()
        .zip(list("align_teacher_blocks"))
        .map(|(student, teacher)| [student, teacher])
        .collect();
    let decoder = |key: &str| case.setting("decoder")[key].as_u64().map(|n| n as usize);
    let head = match case.text("projection") {
        "fc-1layer" => AlignmentHead::Fc,
        "mlp-1layer" => AlignmentHead::Mlp,
        _ => AlignmentHead::None,
    };
    assert_eq!(case.flag("l2_normalise"), head != AlignmentHead::None);
    let config = DmaeConfig {
        mask_ratio: case.number("mask_ratio"),
        norm_pix: case.flag("norm_pix_loss"),
        decoder_width: decoder("dim"),
        decoder_depth: decoder("depth"),
        decoder_heads: decoder("heads"),
        blocks: Some(blocks),
        head,
        distance: distance(case.text("distance")),
        weight: 1.0,
    };
    let probe = Probe {
        student: student.taps(),
        teacher: Some(teacher.taps()),
        ..probe(0, images.dims()[0], Vec::new(), Vec::new())
    };
    let mut cast = Cast::new(student);
    let method = Dmae::new(config, &probe, &mut cast).unwrap();
    let mut filled = fill(case, "teacher", &mut teacher.store);
    for member in [STUDENT, DECODER, HEADS] {
        filled += fill(case, "student", cast.store_mut(member).unwrap());
    }
    let given = case
        .tensors
        .keys()
        .filter(|name| name.starts_with("param."));
    assert_eq!(given.count(), filled);

    let [batch, channels, ..] = images.dims();
    let seen = Batch::new(images, Target::None, POSITIONS[..batch].to_vec());
    let stage = method.stages(1).remove(0);
    let teacher = PatchTeacher(teacher);
    let mut scene = Scene::new(setting(&cast, &stage.acts[0], &seen, Some(&teacher)));
    let masking = method
        .autoencoder
        .masking_of(&case.values("in.noise").numbers, &scene);
    let compared = method.compare(&mut scene, &masking).unwrap();
    run.out("mask", &masking.mask);
    for (name, ids) in [
        ("ids_keep", &masking.visible),
        ("ids_restore", &masking.restore),
    ] {
        let numbers: Vec<i64> = ids.clone().try_into_vec_as().unwrap();
        let numbers = numbers.into_iter().map(|id| id as f64).collect();
        let shape = ids.dims().to_vec();
        run.set(&format!("out.{name}"), Values { shape, numbers });
    }
    // The file's prediction is of all patches; no loss reads those of the seen ones.
    let all = case.tensor::<3>("out.pred");
    let seen = gather_tokens(all, &masking.visible);
    // There the channels of a pixel are side by side.
    let [batch, masked, numbers] = compared.prediction.dims();
    let made = compared
        .prediction
        .reshape([batch, masked, channels, numbers / channels])
        .swap_dims(2, 3)
        .reshape([batch, masked, numbers]);
    let prediction = Tensor::cat(vec![seen, made], 1);
    run.out("pred", &gather_tokens(prediction, &masking.restore));
    run.out("loss_reconstruction", &compared.reconstruction);
    let mut loss = compared.reconstruction;
    for (index, (student, teacher, apart)) in compared.pairs.into_iter().enumerate() {
        run.out(&format!("student_feature_{index}"), &student);
        run.out(&format!("teacher_feature_{index}"), &teacher);
        let block = method.pairs[index].blocks[0];
        run.out(&format!("align_block{block}"), &apart);
        loss = loss + apart;
    }
    let played = scene.finish();
    let mut gradients = loss.backward();
    for (member, store) in &played.tracked {
        let found = store.gradients(&mut gradients);
        for (entry, gradient) in store.entries().iter().zip(found) {
            if let Some(gradient) = gradient {
                let numbers = values(&gradient).numbers;
                let shape = entry.shape.clone();
                let name = format!("grad.param.student.{}", entry.name);
                run.set(&name, Values { shape, numbers });
            } else {
                panic!("no gradient has reached {member}'s {}", entry.name);
            }
        }
    }
    run.out("loss", &loss);
    run.finish_without_loss()
}

fn align(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let layers = case.count("layers");
    let probe = probe(2, 1, Vec::new(), Vec::new());
    let tokens = |run: &mut Run<'_>, name: &str| -> Vec<Tensor<3>> {
        (0..layers)
            .map(|layer| run.input(&format!("{name}_{layer}")))
            .collect()
    };
    let student = tokens(&mut run, "student_feature");
    let plain = tokens(&mut run, "plain_student_feature");
    let teacher: Vec<Tensor<3>> = (0..layers)
        .map(|layer| case.tensor(&format!("in.teacher_feature_{layer}")))
        .collect();
    let widths: Vec<(usize, usize)> = student
        .iter()
        .zip(&teacher)
        .map(|(student, teacher)| (student.dims()[2], teacher.dims()[2]))
        .collect();
    let by = |key: &str| distance(case.text(key));
    let (headed, mut store) = build(&probe, |_, builder| {
        let mut builder = builder.sub("heads");
        let (head, distance) = (AlignmentHead::Fc, by("distance"));
        Ok(Alignment::new(&mut builder, head, distance, &widths))
    });
    let (bare, none) = build(&probe, |_, builder| {
        let (head, distance) = (AlignmentHead::None, by("distance_plain"));
        Ok(Alignment::new(builder, head, distance, &widths))
    });
    run.fill(&mut store);
    let tracked = store.tracked();
    let apart = |alignment: &Alignment, store: &Store, student: &[Tensor<3>]| -> Vec<Tensor<1>> {
        let sides = student.iter().zip(&teacher).enumerate();
        sides
            .map(|(index, (student, teacher))| {
                let (student, teacher) = (student.clone(), teacher.clone());
                alignment.forward(&mut pass(store), index, student, teacher)
            })
            .collect()
    };
    let with_head = Tensor::cat(apart(&headed, &tracked, &student), 0);
    let plain = Tensor::cat(apart(&bare, &none, &plain), 0);
    run.out("with_head", &with_head);
    run.out("plain", &plain);
    run.track(&tracked);
    run.finish(&(with_head.sum() + plain.sum()))
}

fn pos_embed(case: &Case) -> BTreeMap<String, Values> {
    let mut run = Run::new(case);
    let (width, side) = (case.count("embed_dim"), case.count("grid"));
    let prefix = usize::from(case.flag("cls_token"));
    let numbers = crate::mae::sin_cos_positions(width, [side, side], prefix);
    let shape = vec![prefix + side * side, width];
    run.set("out.table", Values { shape, numbers });
    let (name, loss) = no_loss();
    run.set(&name, loss);
    run.finish_without_loss()
}
