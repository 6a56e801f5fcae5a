use burn::tensor::{Int, Tensor, TensorData};
use limbeck_nn::{InputShape, model};

use super::{autoencoder::DECODER, *};
use crate::{
    Played, STUDENT,
    mae::masking::Masking,
    rehearsal::{batch, headless, setting, total},
    testing::{INPUT, assert_close, network, number, numbers, probe},
};

fn made(config: MaeConfig) -> Result<(Mae, Cast), MethodError> {
    let mut cast = Cast::new(headless("vit_nano", 1));
    let mae = Mae::new(config, &probe(&[], &[]), &mut cast)?;
    Ok((mae, cast))
}

fn refusal(config: MaeConfig) -> String {
    made(config).map(drop).unwrap_err().to_string()
}

/// Plays a step; `act` gets the scene.
fn played<T>(mae: &Mae, cast: &Cast, act: impl FnOnce(&mut Scene<'_>) -> T) -> (T, Played) {
    let stage = mae.stages(1).remove(0);
    let batch = batch(1);
    let mut scene = Scene::new(setting(cast, &stage.acts[0], &batch, None));
    let made = act(&mut scene);
    (made, scene.finish())
}

fn integers(tensor: &Tensor<2, Int>) -> Vec<i64> {
    tensor.clone().try_into_vec_as().unwrap()
}

/// The loss with this masking.
fn loss(mae: &Mae, cast: &Cast, masking: &Masking) -> f64 {
    let (loss, _) = played(mae, cast, |scene| {
        let encoded = mae.autoencoder.encode(scene, masking, &[]).unwrap();
        let prediction = mae.autoencoder.decode(scene, encoded.tokens, masking);
        let images = scene.batch().images.clone();
        mae.autoencoder.error(images, prediction.unwrap(), masking)
    });
    number(&loss)
}

#[test]
fn the_order_of_the_seen_patches_does_not_matter() {
    let (mae, cast) = made(MaeConfig::default()).unwrap();
    let (masking, _) = played(&mae, &cast, |scene| mae.autoencoder.draw(scene));
    let [images, seen] = masking.visible.dims();
    assert_eq!(seen, 4);
    let mut turned = masking.clone();
    let device = cast.device();
    let visible: Vec<i64> = integers(&masking.visible)
        .chunks(seen)
        .flat_map(|row| row.iter().rev().copied())
        .collect();
    let last = seen as i64 - 1;
    let restore: Vec<i64> = integers(&masking.restore)
        .into_iter()
        .map(|place| if place <= last { last - place } else { place })
        .collect();
    turned.visible = Tensor::from_data(TensorData::new(visible, [images, seen]), device);
    let shape = masking.restore.dims();
    turned.restore = Tensor::from_data(TensorData::new(restore, shape), device);
    assert_close(
        &[loss(&mae, &cast, &turned)],
        &[loss(&mae, &cast, &masking)],
    );
}

#[test]
fn another_masking_is_drawn_at_every_step_and_the_same_when_it_is_repeated() {
    let (mae, cast) = made(MaeConfig::default()).unwrap();
    let drawn = |seed| {
        let stage = mae.stages(1).remove(0);
        let batch = batch(1);
        let mut setting = setting(&cast, &stage.acts[0], &batch, None);
        setting.seed = seed;
        integers(&mae.autoencoder.draw(&mut Scene::new(setting)).visible)
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn what_was_seen_is_kept_and_what_was_hidden_is_what_the_loss_is_of() {
    for norm_pix in [false, true] {
        let config = MaeConfig {
            norm_pix,
            ..MaeConfig::default()
        };
        let (mae, cast) = made(config).unwrap();
        let (made, _) = played(&mae, &cast, |scene| {
            mae.reconstruct(scene).unwrap().unwrap()
        });
        assert_eq!(made.standardised, norm_pix);
        let images = batch(1).images;
        let [count, channels, height, width] = images.dims();
        assert_eq!(made.hidden.dims(), [count, 1, height, width]);
        let hidden = made.hidden.clone().expand([count, channels, height, width]);
        let seen = hidden.clone().mul_scalar(-1.0).add_scalar(1.0);
        let away = made.images - images.clone();
        assert!(
            numbers(&(away.clone() * seen))
                .iter()
                .all(|value| *value == 0.0)
        );
        // Three quarters are hidden, whole patches of them.
        assert_close(&[number(&hidden.clone().mean())], &[0.75]);
        if !norm_pix {
            let errors = (away * hidden.clone()).square().sum() / hidden.sum();
            let (terms, _) = played(&mae.clone(), &cast, |scene| mae.clone().play(0, 0, scene));
            assert_close(&[number(&errors)], &[number(&terms.unwrap()[0].value)]);
        }
    }
}

#[test]
fn everything_learns_but_positions_and_what_only_the_embedding_reads() {
    let (mut mae, cast) = made(MaeConfig::default()).unwrap();
    let (terms, played) = played(&mae.clone(), &cast, |scene| mae.play(0, 0, scene).unwrap());
    let mut gradients = total(&terms).backward();
    let mut left = Vec::new();
    for (member, store) in &played.tracked {
        let found = store.gradients(&mut gradients);
        let fixed = mae.stages(1).remove(0).acts.remove(0).trains;
        let fixed = fixed.into_iter().find(|trained| &trained.member == member);
        let fixed = fixed.unwrap().fixed;
        for (entry, gradient) in store.entries().iter().zip(found) {
            if gradient.is_none() || fixed.contains(&entry.name) {
                left.push(format!("{member}: {}", entry.name));
            }
        }
    }
    let expected = [
        "decoder: decoder_pos_embed",
        "student: pos_embed",
        "student: fc_norm.weight",
        "student: fc_norm.bias",
    ];
    assert_eq!(left, expected);
}

#[test]
fn positions_of_both_networks_are_those_of_the_grid() {
    let (_, cast) = made(MaeConfig {
        decoder_width: Some(32),
        ..MaeConfig::default()
    })
    .unwrap();
    for (member, name, width) in [
        (STUDENT, "pos_embed", 64),
        (DECODER, "decoder_pos_embed", 32),
    ] {
        let store = cast.store(member).unwrap();
        let found = numbers(&store.get::<3>(store.find(name).unwrap()));
        assert_close(&found, &sin_cos_positions(width, [4, 4], 1));
    }
    let sums: f64 = sin_cos_positions(8, [1, 2], 0)[8..].iter().sum();
    // Column 1, row 0: sines of 1 and 1/100, cosines; sines of 0, cosines of 0.
    let column = 1f64.sin() + 0.01f64.sin() + 1f64.cos() + 0.01f64.cos();
    assert_close(&[sums], &[column + 2.0]);
}

#[test]
fn transformers_with_a_norm_over_tokens_keep_it_and_distilled_ones_their_second_token() {
    for (model, has_norm) in [("vit_nano_distilled", false), ("vit_nano", true)] {
        let mut cast = Cast::new(headless(model, 1));
        let mut mae = Mae::new(MaeConfig::default(), &probe(&[], &[]), &mut cast).unwrap();
        let own = cast.store(DECODER).unwrap().find("norm.weight").is_some();
        assert_eq!(own, has_norm, "{model}");
        let (terms, _) = played(&mae.clone(), &cast, |scene| mae.play(0, 0, scene).unwrap());
        assert!(number(&terms[0].value).is_finite());
    }
}

#[test]
fn what_cannot_be_masked_or_reconstructed_is_refused_with_a_sentence() {
    for mask_ratio in [0.0, 0.99, 1.0, -0.5, f64::NAN] {
        let error = refusal(MaeConfig {
            mask_ratio,
            ..MaeConfig::default()
        });
        assert!(
            error.contains("`mask_ratio`") && error.contains("16 patches"),
            "{error}"
        );
    }
    let sized = |width, heads| {
        refusal(MaeConfig {
            decoder_width: Some(width),
            decoder_heads: Some(heads),
            ..MaeConfig::default()
        })
    };
    assert!(sized(30, 2).contains("a multiple of 4 and of the decoder's 2 heads"));
    assert!(sized(32, 3).contains("`decoder_width`"));
    assert!(sized(0, 1).contains("`decoder_width`"));
    assert!(sized(32, 0).contains("`decoder_heads` must be at least 1"));
    let error = refusal(MaeConfig {
        decoder_depth: Some(0),
        ..MaeConfig::default()
    });
    assert!(
        error.contains("`decoder_depth` must be at least 1"),
        "{error}"
    );
}

#[test]
fn other_students_and_images_are_refused_with_a_sentence() {
    let refuse = |student| {
        let mut cast = Cast::new(student);
        let made = Mae::new(MaeConfig::default(), &probe(&[], &[]), &mut cast);
        made.map(drop).unwrap_err().to_string()
    };
    let error = refuse(network("resnet8", 1));
    assert!(
        error.contains("`resnet8`") && error.contains("vit_nano_patch4"),
        "{error}"
    );
    let wide = InputShape {
        width: 24,
        ..INPUT.headless()
    };
    let (device, dtype) = (
        crate::golden::case::Case::device(),
        burn::tensor::DType::F64,
    );
    let error = refuse(model::build("vit_nano", wide, 1, &device, dtype).unwrap());
    assert!(error.contains("4 by 6 patches"), "{error}");
}
