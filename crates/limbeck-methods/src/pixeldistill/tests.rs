//! Laws of the terms, the images and the settings.

use limbeck_nn::{Builder, Mode, Pass, Store};

use super::super_resolution::pixel_shuffle;
use super::*;
use crate::rehearsal;
use crate::testing::{
    assert_close, gradient, leaf, network, network_probe, number, numbers, pass, probe, random,
    tensor,
};

fn make(config: PixeldistillConfig) -> Result<(Pixeldistill, Cast), MethodError> {
    let mut cast = Cast::new(network("resnet8", 1));
    let method = Pixeldistill::new(config, &network_probe(), &mut cast)?;
    Ok((method, cast))
}

fn resolution(map: [usize; 3], colours: usize, side: usize) -> (SuperResolution, Store) {
    let probe = probe(&[], &[]);
    let mut store = Store::new(&probe.device, probe.dtype);
    let mut builder = Builder::new(&mut store, 0);
    let head = SuperResolution::new(&mut builder, map, colours, side).unwrap();
    (head, store)
}

#[test]
fn every_map_that_is_no_larger_becomes_an_image_of_the_size() {
    for side in 1..=8 {
        for colours in [1, 3] {
            let (head, store) = resolution([2, side, side], colours, 8);
            let image = head.forward(&mut pass(&store), random("f", [2, 2, side, side]));
            assert_eq!(image.dims(), [2, colours, 8, 8]);
        }
    }
}

#[test]
fn a_perfect_image_costs_nothing_and_an_empty_one_the_mean_of_the_large() {
    let (head, mut store) = resolution([2, 4, 4], 3, 8);
    let map = random("f", [2, 2, 4, 4]);
    let image = head.forward(&mut pass(&store), map.clone());
    let error = reconstruction_error(image.clone(), image);
    assert_eq!(number(&error), 0.0);
    let id = store.find("conv.weight").unwrap();
    let count = store.entry(id).shape.iter().product();
    store.set_values(id, vec![0.0; count]);
    let large = random("large", [2, 3, 8, 8]);
    let empty = head.forward(&mut pass(&store), map);
    let expected = number(&large.clone().abs().mean());
    assert_close(&[number(&reconstruction_error(empty, large))], &[expected]);
}

#[test]
fn pixels_take_the_places_of_channels() {
    let x = tensor((0..16).map(f64::from).collect(), [1, 4, 2, 2]);
    let y = pixel_shuffle(x.clone(), 2);
    assert_eq!(
        numbers(&y),
        [
            0.0, 4.0, 1.0, 5.0, 8.0, 12.0, 9.0, 13.0, 2.0, 6.0, 3.0, 7.0, 10.0, 14.0, 11.0, 15.0
        ]
    );
    let back = y
        .reshape([1, 1, 2, 2, 2, 2])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([1, 4, 2, 2]);
    assert_eq!(numbers(&back), numbers(&x));
}

#[test]
fn icfup_is_zero_for_maps_that_are_equal_once_upsampled() {
    let constant = random("c", [2, 3, 1, 1]);
    let small = constant.clone().expand([2, 3, 4, 4]);
    let large = constant.expand([2, 3, 8, 8]);
    let error = upsampled_error(small, large).unwrap();
    assert_close(&[number(&error)], &[0.0]);
}

#[test]
fn attention_is_invariant_to_a_scale_for_each_image_and_to_which_map_is_larger() {
    let (small, large) = (random("s", [2, 3, 4, 4]), random("l", [2, 3, 8, 8]));
    let before = number(&attention_error(small.clone(), large.clone()).unwrap());
    let scale = tensor(vec![3.0, 0.1], [2, 1, 1, 1]);
    let scaled = attention_error(small.clone() * scale.clone(), large.clone() * scale);
    assert_close(&[number(&scaled.unwrap())], &[before]);
    assert_close(
        &[number(&attention_error(large, small).unwrap())],
        &[before],
    );
}

#[test]
fn equal_maps_cost_nothing_and_no_gradient_reaches_the_assistant() {
    for error in [
        upsampled_error,
        attention_error,
        similarity_error,
        correlation_error,
    ] {
        let map = random("m", [3, 2, 4, 4]);
        assert_close(&[number(&error(map.clone(), map.clone()).unwrap())], &[0.0]);
        let (student, assistant) = (leaf(map), leaf(random("a", [3, 2, 4, 4])));
        let gradients = error(student.clone(), assistant.clone())
            .unwrap()
            .backward();
        assert!(gradient(&student, &gradients).is_some());
        assert!(gradient(&assistant, &gradients).is_none());
        let refused = error(random("x", [3, 2, 4, 4]), random("y", [3, 5, 4, 4]));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("network like the student"), "{refused}");
    }
}

#[test]
fn high_resolution_sends_gradient_to_the_image_alone() {
    let convolution = FrozenConvolution {
        weight: random("w", [4, 3, 3, 3]),
        stride: [2; 2],
        padding: [1; 2],
    };
    let (image, large) = (
        leaf(random("i", [2, 3, 8, 8])),
        leaf(random("l", [2, 3, 8, 8])),
    );
    let both = HighResolution::new(&convolution, image.clone(), large.clone());
    assert_eq!(both.student.dims(), [2, 4, 4, 4]);
    let gradients = both.error().backward();
    assert!(gradient(&image, &gradients).is_some());
    assert!(gradient(&large, &gradients).is_none());
    let same = HighResolution::new(&convolution, large.clone().inner(), large.inner());
    assert_eq!(number(&same.error()), 0.0);
}

#[test]
fn without_divergence_and_image_there_is_the_student_alone() {
    let (method, cast) = make(PixeldistillConfig {
        alpha: 0.0,
        eta: 0.0,
        ..PixeldistillConfig::default()
    })
    .unwrap();
    assert!(method.head.is_none());
    assert_eq!(cast.members().count(), 1);
}

#[test]
fn the_assistant_is_the_student_on_large_images_and_hands_its_numbers_on() {
    let (mut method, mut cast) = make(PixeldistillConfig {
        form: PixelForm::TwoStage,
        ..PixeldistillConfig::default()
    })
    .unwrap();
    let assistant = cast.network(ASSISTANT).unwrap();
    assert_eq!(
        (assistant.name(), assistant.input().height),
        ("resnet8", 32)
    );
    let id = assistant.store.find("conv1.weight").unwrap();
    let count = assistant.store.entry(id).shape.iter().product();
    cast.store_mut(ASSISTANT)
        .unwrap()
        .set_values(id, vec![0.5; count]);
    let mut interlude = Interlude {
        cast: &mut cast,
        teacher: None,
        held_out: None,
    };
    method.begin_stage(0, &mut interlude).unwrap();
    method.begin_stage(1, &mut interlude).unwrap();
    let student = cast.network(STUDENT).unwrap();
    assert_eq!(student.input().height, 16);
    assert_close(
        &numbers(&student.store.get::<4>(id).flatten::<1>(0, 3)),
        &vec![0.5; count],
    );
}

#[test]
fn layers_are_the_first_convolution_and_stages_or_blocks() {
    let (method, _) = make(PixeldistillConfig::default()).unwrap();
    assert_eq!(
        method.layers,
        [
            "stem.conv",
            "stage1.preact",
            "stage2.preact",
            "stage3.preact"
        ]
    );
    let after = layers(&network("resnet8", 1).taps(), false);
    assert_eq!(after, ["stem.conv", "stage1", "stage2", "stage3"]);
    let blocks = layers(&network("vit_nano", 1).taps(), true);
    assert_eq!(blocks[..3], ["stem.conv", "block0", "block1"]);
    assert_eq!(blocks.len(), 7);
}

#[test]
fn the_first_convolution_of_the_network_is_the_tap() {
    for name in ["resnet8", "vit_nano", "mobilenetv2", "wrn_16_2"] {
        let network = network(name, 1);
        let images = random("x", [2, 3, 16, 16]);
        let mut pass = Pass::new(
            &network.store,
            Mode::Train,
            Taps::from_iter([STEM_CONVOLUTION]),
            0,
        );
        let seed = pass.next_seed();
        let (outputs, _) = network.train(
            &network.store,
            images.clone(),
            &Taps::from_iter([STEM_CONVOLUTION]),
            seed,
        );
        let found = map(&outputs, STEM_CONVOLUTION).unwrap();
        let convolution = network.first_convolution().unwrap();
        let mut expected = convolution.forward(images);
        if name == "vit_nano" {
            let bias = network.store.find("patch_embed.proj.bias").unwrap();
            let bias = network.store.get::<1>(bias).reshape([1, -1, 1, 1]);
            expected = expected + bias;
        }
        assert_close(&numbers(&found), &numbers(&expected));
    }
}

#[test]
fn unfit_settings_and_maps_are_refused() {
    for (change, words) in [
        (
            (|c| c.ratio = 0) as fn(&mut PixeldistillConfig),
            "`ratio` must be at least 1",
        ),
        (|c| c.alpha = 1.5, "`alpha` must be"),
        (|c| c.temperature = 0.0, "`temperature` must be"),
        (|c| c.eta = -1.0, "`eta` must be"),
        (|c| c.image_weight = f64::NAN, "`image_weight` must be"),
        (|c| c.feature_weight = Some(-1.0), "`feature_weight` must"),
        (|c| c.assistant_epochs = Some(0), "`assistant_epochs` must"),
    ] {
        let mut config = PixeldistillConfig::default();
        change(&mut config);
        let error = make(config).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let probe = probe(&[], &[]);
    for (map, side) in [([2, 4, 5], 8), ([2, 9, 9], 8)] {
        let mut store = Store::new(&probe.device, probe.dtype);
        let mut builder = Builder::new(&mut store, 0);
        let error = SuperResolution::new(&mut builder, map, 3, side).unwrap_err();
        assert!(error.to_string().contains("has to be square"), "{error}");
    }
    let error = upsampled_error(random("s", [2, 3, 4, 4]), random("a", [2, 5, 8, 8]));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("[2, 3, 4, 4]") && error.contains("[2, 5, 8, 8]"),
        "{error}"
    );
}

#[test]
fn large_images_that_did_not_come_along_are_refused() {
    let config = PixeldistillConfig {
        ratio: 2,
        ..PixeldistillConfig::default()
    };
    let (mut method, cast) = make(config).unwrap();
    let error = rehearsal::play(&mut method, &cast, 0)
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("needs small images"), "{error}");
}
