//! What holds for every family: passes, folding, gradients, statistics, refusals. Images are as
//! small as the families allow, and numbers are in f64.

#![allow(clippy::unwrap_used, clippy::panic)]

use burn::tensor::{DType, Device, Tensor, TensorData, activation::log_softmax};
use limbeck_nn::{Feature, InputShape, Network, Role, STEM_CONVOLUTION, Tap, TapKind, Taps, model};

/// One small model of each family, and the side of the images it is tried with.
const SMALL: &[(&str, usize)] = &[
    ("resnet8", 8),
    ("wrn_16_1", 8),
    ("vgg8", 8),
    ("mobilenetv2", 16),
    ("shufflev1", 8),
    ("shufflev2", 8),
    ("cifar_resnet18", 5),
    ("resnet18", 17),
    ("mobilenet_v2", 17),
    ("mobilenet_v1", 17),
    ("vit_nano_patch4", 8),
    ("vit_nano_distilled_patch4", 8),
    ("tiny_vit_nano", 32),
    ("swin_nano", 12),
    ("pspnet_resnet18_deep_x0.125", 17),
    ("deeplabv3_mobilenet_v2_x0.125", 33),
    ("deeplabv3plus_resnet50_os8_x0.125", 33),
    ("yolov5n_x0.1", 32),
    ("yolov5s_focus_d2_x0.05", 32),
    ("yolov5s_stride4_x0.05", 32),
    ("yolov5n_cls_x0.1", 17),
];

fn input(side: usize) -> InputShape {
    InputShape {
        channels: 2,
        height: side,
        width: side,
        classes: 7,
    }
}

fn blank(name: &str, side: usize) -> Network {
    model::blank(name, input(side), &Device::flex(), DType::F64).unwrap()
}

/// A network with numbers as training would leave them, all different, norms and statistics too.
/// Made without the normal draws of [`model::build`], which would take most of the tests' time.
fn build(name: &str, side: usize) -> Network {
    let mut network = blank(name, side);
    for id in network.store.ids() {
        let entry = network.store.entry(id);
        let (scale, offset) = match entry.role {
            Role::NormScale => (0.3, 1.0),
            Role::NormShift | Role::Bias => (0.3, 0.0),
            Role::Statistic if entry.name.ends_with("running_var") => (0.4, 1.0),
            Role::Statistic | Role::Token => (0.2, 0.0),
            Role::Weight => {
                let fan_in: usize = entry.shape[1..].iter().product();
                ((6.0 / fan_in as f64).sqrt(), 0.0)
            }
            Role::Counter => (0.0, 3.0),
            Role::Constant => (0.2, 1.0),
        };
        let values = noise(entry.shape.iter().product(), entry.name.len())
            .map(|x| offset + scale * x)
            .collect();
        network.store.set_values(id, values);
    }
    network
}

/// Numbers in `[-1, 1)` by a linear congruence (Knuth's MMIX).
fn noise(count: usize, start: usize) -> impl Iterator<Item = f64> {
    let mut state = start as u64;
    (0..count).map(move |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    })
}

fn images(batch: usize, side: usize) -> Tensor<4> {
    let pixels: Vec<f64> = noise(batch * 2 * side * side, 0).collect();
    Tensor::from_data(
        TensorData::new(pixels, [batch, 2, side, side]),
        (&Device::flex(), DType::F64),
    )
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.try_into_vec_as::<f64>().unwrap()
}

fn largest_difference<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> f64 {
    assert_eq!(left.dims(), right.dims());
    let pairs = numbers(left).into_iter().zip(numbers(right));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn every_family_takes_grey_or_colour_images_and_any_number_of_classes() {
    for &(name, side) in SMALL {
        let network = build(name, side);
        let outputs = network.evaluate(images(2, side), &Taps::all());
        let logits = outputs.logits().dims();
        match &outputs.prediction {
            Feature::Map(map) => {
                let [_, _, height, width] = map.dims();
                assert_eq!(logits, [2 * height * width, 7], "{name}");
            }
            Feature::Cells { cells, .. } => {
                let [_, count, _] = cells.dims();
                assert_eq!(logits, [2 * count, 5 + 7], "{name}");
            }
            _ => assert_eq!(logits, [2, 7], "{name}"),
        }
        assert!(numbers(outputs.logits()).iter().all(|x| x.is_finite()));
        for tap in network.taps() {
            let kind = match tap.name.as_str() {
                "logits" => outputs.prediction.kind(),
                name => outputs.feature(name).unwrap().kind(),
            };
            assert_eq!(kind, tap.kind, "{} of {name}", tap.name);
        }
    }
}

#[test]
fn taps_that_were_not_asked_for_are_not_recorded() {
    for &(name, side) in SMALL {
        let network = build(name, side);
        let taps: Taps = ["stage2", "stage1"].into_iter().collect();
        let outputs = network.evaluate(images(1, side), &taps);
        let recorded: Vec<&String> = outputs.features.keys().collect();
        assert_eq!(recorded, ["stage1", "stage2"], "{name}");
    }
}

#[test]
fn a_frozen_network_gives_what_the_network_gives_and_reads_no_norm_after_a_convolution() {
    for &(name, side) in SMALL {
        let network = build(name, side);
        let mut frozen = network.frozen();
        let names: Vec<String> = network.tap_names();
        let taps: Taps = names.iter().cloned().collect();
        let expected = network.evaluate(images(2, side), &taps);
        // Whatever the frozen network read of folded norms would now be seen.
        for id in frozen.store.ids() {
            let entry = frozen.store.entry(id);
            let folded = entry.role == Role::NormScale && follows_convolution(name, &entry.name);
            if folded {
                let count = entry.shape.iter().product();
                frozen.store.set_values(id, vec![f64::NAN; count]);
            }
        }
        let found = frozen.evaluate(images(2, side), &taps);
        let difference = largest_difference(expected.logits(), found.logits());
        assert!(difference < 1e-10, "{name}: {difference}");
        for tap in &names {
            let difference = match (expected.feature(tap), found.feature(tap)) {
                (Some(Feature::Map(a)), Some(Feature::Map(b))) => {
                    largest_difference(a.clone(), b.clone())
                }
                (Some(a), Some(b)) => largest_difference(
                    a.to_vector().unwrap_or_else(nothing),
                    b.to_vector().unwrap_or_else(nothing),
                ),
                // The norm after the first convolution is folded into it.
                (Some(_), None) if tap == STEM_CONVOLUTION => continue,
                _ => panic!("{name} did not record {tap}"),
            };
            assert!(difference < 1e-10, "{tap} of {name}: {difference}");
        }
    }
}

/// Stands for attention maps, which no norm after a convolution changes.
fn nothing() -> Tensor<2> {
    Tensor::zeros([1, 1], (&Device::flex(), DType::F64))
}

/// Transformers have no convolutions before their norms; in wide ResNets only each block's second
/// norm follows one that nothing else reads.
fn follows_convolution(model: &str, norm: &str) -> bool {
    match model {
        _ if model.starts_with("vit") || model.starts_with("swin") => false,
        _ if model.starts_with("tiny_vit") => norm.ends_with("bn.weight"),
        _ if model.starts_with("wrn") => norm.ends_with("bn2.weight"),
        _ => true,
    }
}

#[test]
fn training_reaches_every_parameter_and_moves_every_statistic() {
    for &(name, side) in SMALL {
        let mut network = build(name, side);
        let tracked = network.store.tracked();
        let taps: Taps = ["auxiliary"].into_iter().collect();
        let (outputs, updates) = network.train(&tracked, images(3, side), &taps, 5);
        // Logits alone would be enough for gradients, but their sum is constant after a norm.
        let loss_of = |logits| log_softmax(logits, 1).narrow(1, 2, 1).mean().neg();
        let auxiliary = outputs.feature("auxiliary");
        let loss = auxiliary.map_or_else(
            || loss_of(outputs.logits()),
            |auxiliary| loss_of(outputs.logits()) + loss_of(auxiliary.to_rows()),
        );
        let gradients = tracked.gradients(&mut loss.backward());
        for (entry, gradient) in network.store.entries().iter().zip(&gradients) {
            assert_eq!(
                gradient.is_some(),
                entry.role.is_trained(),
                "gradient of {} in {name}",
                entry.name
            );
            if let Some(gradient) = gradient {
                let finite = numbers(gradient.clone()).iter().all(|x| x.is_finite());
                assert!(finite, "gradient of {} in {name}", entry.name);
            }
        }
        let before = network.store.clone();
        network.store.apply(updates);
        for id in network.store.ids() {
            let (old, new) = (before.entry(id), network.store.entry(id));
            let moved = largest_difference(old.value.clone(), new.value.clone()) > 0.0;
            let follows = matches!(old.role, Role::Statistic | Role::Counter);
            assert_eq!(moved, follows, "{} in {name}", old.name);
        }
    }
}

#[test]
fn an_auxiliary_classifier_changes_nothing_else() {
    for name in ["pspnet_resnet18_x0.125", "deeplabv3_resnet18_x0.125"] {
        let network = build(name, 17);
        let tracked = network.store.tracked();
        let run = |taps: &Taps| network.train(&tracked, images(2, 17), taps, 3).0;
        let alone = run(&Taps::none());
        assert!(alone.feature("auxiliary").is_none(), "{name}");
        let both = run(&["auxiliary"].into_iter().collect());
        assert_eq!(numbers(alone.logits()), numbers(both.logits()), "{name}");
        let auxiliary = both.feature("auxiliary").unwrap();
        assert_eq!(auxiliary.kind(), both.prediction.kind(), "{name}");
    }
}

/// Dilated backbones and a detector in training, in single precision against the composed operations in double.
/// None of these has a value so close to zero that rounding decides whether ReLU lets it pass.
#[test]
fn networks_learn_the_same_in_single_precision() {
    for (name, side) in [
        ("pspnet_resnet18_deep_x0.125", 41),
        ("deeplabv3_mobilenet_v2_x0.125", 43),
        ("deeplabv3plus_resnet18_os8_x0.125", 41),
        ("yolov5n_x0.25", 64),
    ] {
        let double = build(name, side);
        let mut single = model::blank(name, input(side), &Device::flex(), DType::F32).unwrap();
        for id in single.store.ids() {
            let values = numbers(double.store.entry(id).value.clone());
            single.store.set_values(id, values);
        }
        let step = |network: &Network, images: Tensor<4>| {
            let tracked = network.store.tracked();
            let taps: Taps = ["auxiliary"].into_iter().collect();
            let (outputs, _) = network.train(&tracked, images, &taps, 3);
            let loss = log_softmax(outputs.logits(), 1).narrow(1, 2, 1).mean();
            let loss = outputs.feature("auxiliary").map_or(loss.clone(), |map| {
                loss + log_softmax(map.to_rows(), 1).narrow(1, 3, 1).mean()
            });
            let gradients = tracked.gradients(&mut loss.backward());
            let gradients: Vec<Vec<f64>> = gradients.into_iter().flatten().map(numbers).collect();
            (numbers(outputs.logits()), gradients)
        };
        let (expected, gradients) = step(&double, images(4, side));
        let (found, single) = step(&single, images(4, side).cast(DType::F32));
        // Relative to the whole: what is almost zero has no digits of its own.
        let off = |found: &[f64], expected: &[f64]| {
            let norm = |numbers: &mut dyn Iterator<Item = f64>| numbers.map(|x| x * x).sum::<f64>();
            let mut differences = found.iter().zip(expected).map(|(a, b)| a - b);
            (norm(&mut differences) / norm(&mut expected.iter().copied())).sqrt()
        };
        let outputs = off(&found, &expected);
        assert!(outputs < 1e-4, "{name}: {outputs}");
        let gradients = off(&single.concat(), &gradients.concat());
        assert!(gradients < 1e-3, "{name}: {gradients}");
    }
}

#[test]
fn evaluation_changes_nothing_and_repeats_itself() {
    for &(name, side) in SMALL {
        let network = build(name, side);
        let first = network.evaluate(images(2, side), &Taps::none());
        let second = network.evaluate(images(2, side), &Taps::none());
        assert_eq!(numbers(first.logits()), numbers(second.logits()), "{name}");
    }
}

#[test]
fn an_image_is_judged_alone_whatever_else_is_in_the_batch() {
    for &(name, side) in SMALL {
        let network = build(name, side);
        let both = images(2, side);
        let together = network.evaluate(both.clone(), &Taps::none()).logits();
        let alone = network
            .evaluate(both.narrow(0, 1, 1), &Taps::none())
            .logits();
        let [rows, _] = alone.dims();
        let difference = largest_difference(together.narrow(0, rows, rows), alone);
        assert!(difference < 1e-10, "{name}: {difference}");
    }
}

#[test]
fn a_seed_decides_all_numbers() {
    for name in ["resnet8", "vit_nano_patch4"] {
        let make = |seed| model::build(name, input(8), seed, &Device::flex(), DType::F32).unwrap();
        let (one, same, other) = (make(1), make(1), make(2));
        for id in one.store.ids() {
            let values = |network: &Network| network.store.entry(id).value.clone().into_data();
            assert_eq!(values(&one), values(&same), "{name}");
            if matches!(one.store.entry(id).role, Role::Weight | Role::Token) {
                assert_ne!(values(&one), values(&other), "{name}");
            }
        }
    }
}

#[test]
fn larger_images_are_taken_and_keep_the_vector_taps() {
    for &(name, side) in SMALL {
        let vectors = |side| -> Vec<Tap> {
            let taps = blank(name, side).taps();
            let is_vector = |tap: &Tap| matches!(tap.kind, TapKind::Vector(_));
            taps.into_iter().filter(is_vector).collect()
        };
        assert_eq!(vectors(side), vectors(4 * side), "{name}");
    }
}

/// Names that weights files of the nets' sources have.
#[test]
fn state_dict_names_are_those_of_the_sources() {
    for (model, names) in [
        (
            "resnet8x4",
            &[
                "conv1.weight",
                "bn1.running_var",
                "layer1.0.downsample.0.weight",
                "layer3.0.bn2.bias",
                "fc.bias",
            ][..],
        ),
        (
            "wrn_16_2",
            &[
                "block1.layer.0.convShortcut.weight",
                "block3.layer.1.bn2.num_batches_tracked",
                "bn1.weight",
                "fc.weight",
            ],
        ),
        (
            "vgg13",
            &[
                "block0.0.bias",
                "block4.3.weight",
                "block4.4.running_mean",
                "classifier.weight",
            ],
        ),
        (
            "mobilenetv2",
            &[
                "conv1.0.weight",
                "blocks.0.0.conv.0.weight",
                "blocks.6.0.conv.7.bias",
                "conv2.1.running_mean",
                "classifier.0.weight",
            ],
        ),
        (
            "shufflev1",
            &[
                "layer1.0.conv1.weight",
                "layer2.7.bn3.bias",
                "linear.weight",
            ],
        ),
        (
            "shufflev2",
            &[
                "layer1.0.conv5.weight",
                "layer2.7.bn3.bias",
                "conv2.weight",
                "bn2.weight",
            ],
        ),
        (
            "cifar_resnet50",
            &[
                "layer1.0.shortcut.0.weight",
                "layer4.2.bn3.weight",
                "linear.bias",
            ],
        ),
        (
            "resnet18",
            &[
                "conv1.weight",
                "layer2.0.downsample.1.running_var",
                "fc.weight",
            ],
        ),
        (
            "mobilenet_v2",
            &[
                "features.0.0.weight",
                "features.1.conv.0.0.weight",
                "features.1.conv.1.weight",
                "features.1.conv.2.weight",
                "features.17.conv.1.1.bias",
                "features.17.conv.3.bias",
                "features.18.1.weight",
                "classifier.1.weight",
            ],
        ),
        (
            "mobilenet_v1",
            &[
                "model.0.1.weight",
                "model.13.3.weight",
                "model.13.4.bias",
                "fc.weight",
            ],
        ),
        (
            "deit_tiny_distilled_patch16_224",
            &[
                "cls_token",
                "dist_token",
                "pos_embed",
                "patch_embed.proj.weight",
                "blocks.11.attn.qkv.bias",
                "blocks.0.attn.proj.weight",
                "blocks.0.mlp.fc1.weight",
                "norm.weight",
                "head.weight",
                "head_dist.bias",
            ],
        ),
        (
            "pspnet_resnet18_deep",
            &[
                "pretrained.conv3.weight",
                "pretrained.bn3.bias",
                "pretrained.layer1.0.downsample.0.weight",
                "head.psp.conv4.1.running_var",
                "head.block.0.weight",
                "head.classifier.bias",
                "auxlayer.block.4.bias",
            ],
        ),
        (
            "deeplabv3_resnet50",
            &[
                "pretrained.layer4.2.conv3.weight",
                "head.aspp.b0.1.weight",
                "head.aspp.b3.block.0.weight",
                "head.aspp.b4.gap.2.bias",
                "head.aspp.project.1.weight",
                "head.block.4.bias",
            ],
        ),
        (
            "deeplabv3plus_mobilenet_v2",
            &[
                "backbone.features.17.conv.3.bias",
                "classifier.project.0.weight",
                "classifier.aspp.convs.4.2.weight",
                "classifier.aspp.project.1.weight",
                "classifier.classifier.3.bias",
            ],
        ),
        ("vit_nano_patch4", &["fc_norm.weight", "head.bias"]),
        (
            "tiny_vit_5m_224",
            &[
                "patch_embed.seq.2.bn.running_mean",
                "layers.0.blocks.1.conv3.c.weight",
                "layers.2.downsample.conv2.bn.weight",
                "layers.2.blocks.5.attn.attention_biases",
                "layers.3.blocks.0.local_conv.c.weight",
                "layers.1.blocks.1.mlp.norm.bias",
                "norm_head.weight",
            ],
        ),
        (
            "swin_t",
            &[
                "patch_embed.norm.weight",
                "layers.0.blocks.1.attn.relative_position_bias_table",
                "layers.1.downsample.norm.bias",
                "layers.3.downsample.reduction.weight",
                "layers.2.blocks.5.mlp.fc2.bias",
                "norm.weight",
                "head.fc.bias",
            ],
        ),
    ] {
        let input = model::find(model).unwrap().published_input();
        let network = model::blank(model, input, &Device::flex(), DType::F32).unwrap();
        for name in names {
            assert!(network.store.find(name).is_some(), "{name} in {model}");
        }
    }
}

/// Root of the mean square of a parameter.
fn deviation(network: &Network, parameter: &str) -> f64 {
    let id = network.store.find(parameter).unwrap();
    let values = numbers(network.store.entry(id).value.clone());
    let square = values.iter().map(|x| x * x).sum::<f64>();
    (square / values.len() as f64).sqrt()
}

#[test]
fn parameters_are_drawn_as_the_sources_draw_them() {
    for (model, parameters) in [
        // √(2 / fan_out) for ReLU; PyTorch's uniform in ±1/√fan_in deviates by the bound over √3.
        (
            "resnet8x4",
            &[
                ("layer3.0.conv2.weight", (2.0f64 / (9.0 * 256.0)).sqrt()),
                ("fc.weight", (1.0f64 / (256.0 * 3.0)).sqrt()),
            ][..],
        ),
        (
            "wrn_16_2",
            &[
                (
                    "block3.layer.1.conv2.weight",
                    (2.0f64 / (9.0 * 128.0)).sqrt(),
                ),
                ("fc.bias", 0.0),
            ],
        ),
        (
            "vgg8",
            &[
                ("block4.0.weight", (2.0f64 / (9.0 * 512.0)).sqrt()),
                ("block4.0.bias", 0.0),
                ("classifier.weight", 0.01),
                ("classifier.bias", 0.0),
            ],
        ),
        (
            "mobilenetv2",
            &[
                ("conv2.0.weight", (2.0f64 / 1280.0).sqrt()),
                ("classifier.0.weight", 0.01),
                ("classifier.0.bias", 0.0),
            ],
        ),
        (
            "mobilenet_v2",
            &[
                ("features.18.0.weight", (2.0f64 / 1280.0).sqrt()),
                ("classifier.1.weight", 0.01),
                ("classifier.1.bias", 0.0),
            ],
        ),
        (
            "mobilenet_v1",
            &[("model.13.3.weight", (1.0f64 / (1024.0 * 3.0)).sqrt())],
        ),
        (
            "shufflev2",
            &[("conv2.weight", (1.0f64 / (464.0 * 3.0)).sqrt())],
        ),
        (
            "vit_nano_patch4",
            &[
                ("blocks.0.mlp.fc1.weight", 0.02),
                ("blocks.0.mlp.fc1.bias", 0.0),
                ("blocks.0.attn.qkv.bias", 0.0),
                ("pos_embed", 0.02),
                ("head.bias", 0.0),
            ],
        ),
        (
            "tiny_vit_nano",
            &[
                ("layers.3.blocks.0.attn.qkv.weight", 0.02),
                ("layers.3.blocks.0.attn.attention_biases", 0.0),
                ("layers.0.blocks.0.conv1.bn.weight", 1.0),
                ("layers.0.blocks.0.conv3.bn.weight", 0.0),
                (
                    "layers.2.downsample.conv3.c.weight",
                    (1.0f64 / (64.0 * 3.0)).sqrt(),
                ),
            ],
        ),
        (
            "swin_nano",
            &[
                ("layers.3.blocks.0.attn.qkv.weight", 0.02),
                ("layers.3.blocks.0.attn.qkv.bias", 0.0),
                ("layers.2.downsample.reduction.weight", 0.02),
                ("layers.2.downsample.norm.weight", 1.0),
            ],
        ),
    ] {
        let network = model::build(model, input(32), 0, &Device::flex(), DType::F32).unwrap();
        for &(parameter, expected) in parameters {
            let found = deviation(&network, parameter);
            assert!(
                (found - expected).abs() <= 0.05 * expected,
                "{parameter} of {model}: {found} instead of {expected}"
            );
        }
    }
}

#[test]
fn a_head_makes_the_prediction_of_what_its_tap_has() {
    for model in [
        "resnet8",
        "resnet18",
        "cifar_resnet18",
        "vgg8",
        "wrn_16_1",
        "shufflev1",
        "shufflev2",
        "mobilenetv2",
        "mobilenet_v1",
        "mobilenet_v2",
        "vit_nano",
        "vit_nano_distilled",
        "deit_tiny",
        "tiny_vit_nano",
        "swin_nano",
        "deeplabv3_resnet18_x0.04",
        "deeplabv3plus_resnet18_x0.04",
        "pspnet_resnet18_x0.04",
        "lraspp_mobilenet_v2_x0.1",
        "segformer_b0_x0.1",
    ] {
        let input = InputShape {
            channels: 3,
            height: 32,
            width: 32,
            classes: 5,
        };
        let network = model::build(model, input, 1, &Device::flex(), DType::F32).unwrap();
        let tap = network
            .head_tap()
            .unwrap_or_else(|| panic!("{model} has no head tap"));
        let numbers: Vec<f32> = (0..2 * 3 * 32 * 32)
            .map(|i| (i as f32 * 0.37).sin())
            .collect();
        let images = Tensor::from_data(TensorData::new(numbers, [2, 3, 32, 32]), &Device::flex());
        let outputs = network.evaluate(images, &Taps::from_iter([tap.as_str()]));
        let feature = outputs.feature(&tap).unwrap().clone();
        let head = network.evaluate_head(feature).unwrap();
        assert_eq!(head.kind(), outputs.prediction.kind(), "{model}");
        let all = |rows: Tensor<2>| rows.into_data().iter::<f32>().collect::<Vec<f32>>();
        assert_eq!(all(head.to_rows()), all(outputs.logits()), "{model}");
    }
}
