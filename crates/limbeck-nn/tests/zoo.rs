//! The zoo against its published sizes and costs, its names, and what it refuses.

#![allow(clippy::unwrap_used, clippy::panic)]

use limbeck_nn::model::{ImageSizes, MODELS, ModelEntry, find, outline};
use limbeck_nn::{InputShape, NnError, TapKind, TaskKind};

fn entries() -> impl Iterator<Item = &'static ModelEntry> {
    MODELS.iter().flat_map(|family| family.iter())
}

/// Name, parameters, MACs and the last printed digit of the MACs, all as published (RepDistiller,
/// mdistiller, torchvision, timm; counted at each model's own size and class count).
const PUBLISHED: &[(&str, usize, f64, f64)] = &[
    ("resnet8", 83_892, 12.51e6, 1e4),
    ("resnet14", 181_108, 26.66e6, 1e4),
    ("resnet20", 278_324, 40.82e6, 1e4),
    ("resnet32", 472_756, 69.13e6, 1e4),
    ("resnet44", 667_188, 97.44e6, 1e4),
    ("resnet56", 861_620, 125.75e6, 1e4),
    ("resnet110", 1_736_564, 253.16e6, 1e4),
    ("resnet8x4", 1_233_540, 177.07e6, 1e4),
    ("resnet32x4", 7_433_860, 1083.04e6, 1e4),
    ("wrn_16_1", 180_916, 26.66e6, 1e4),
    ("wrn_16_2", 703_284, 101.12e6, 1e4),
    ("wrn_40_1", 569_780, 83.29e6, 1e4),
    ("wrn_40_2", 2_255_156, 327.61e6, 1e4),
    ("vgg8", 3_965_028, 96.2e6, 1e5),
    ("vgg11", 9_277_284, 209.4e6, 1e5),
    ("vgg13", 9_462_180, 284.9e6, 1e5),
    ("vgg16", 14_774_436, 398.2e6, 1e5),
    ("vgg19", 20_086_692, 511.4e6, 1e5),
    ("mobilenetv2", 812_836, 6.52e6, 1e4),
    ("shufflev1", 949_258, 38.69e6, 1e4),
    ("shufflev2", 1_355_528, 44.50e6, 1e4),
    ("cifar_resnet18", 11_220_132, 555.5e6, 1e5),
    ("cifar_resnet50", 23_705_252, 1298.0e6, 1e5),
    ("resnet18", 11_689_512, 1.814e9, 1e6),
    ("resnet34", 21_797_672, 3.664e9, 1e6),
    ("resnet50", 25_557_032, 4.089e9, 1e6),
    ("resnet101", 44_549_160, 7.801e9, 1e6),
    ("mobilenet_v2", 3_504_872, 300.8e6, 1e5),
    ("mobilenet_v1", 4_231_976, 568.7e6, 1e5),
    ("deit_tiny_patch16_224", 5_717_416, 1.254e9, 1e6),
    ("deit_small_patch16_224", 22_050_664, 4.599e9, 1e6),
    ("deit_base_patch16_224", 86_567_656, 17.564e9, 1e6),
    ("vit_large_patch16_224", 304_326_632, 61.555e9, 1e6),
    ("deit_tiny_distilled_patch16_224", 5_910_800, 1.261e9, 1e6),
    ("deit_small_distilled_patch16_224", 22_436_432, 4.624e9, 1e6),
    ("deit_base_distilled_patch16_224", 87_338_192, 17.657e9, 1e6),
    ("tiny_vit_5m_224", 5_392_764, 1.26e9, 1e7),
    ("tiny_vit_11m_224", 10_996_972, 2.02e9, 1e7),
    ("tiny_vit_21m_224", 21_198_568, 4.25e9, 1e7),
    ("swin_t", 28_288_354, 4.491e9, 1e6),
    ("swin_s", 49_606_258, 8.741e9, 1e6),
    ("swin_b", 87_768_224, 15.431e9, 1e6),
    ("swin_l", 196_532_476, 34.5e9, 1e8),
    ("swin_base_patch4_window12_384", 87_903_584, 47.0e9, 1e9),
    ("swin_large_patch4_window12_384", 196_735_516, 104.0e9, 1e9),
    ("segformer_b0", 3_752_694, 8.39e9, 1e7),
    ("segformer_b1", 13_715_798, 15.88e9, 1e7),
    ("segformer_b2", 27_461_974, 62.34e9, 1e7),
];

#[test]
fn parameters_and_macs_are_the_published_ones() {
    for &(name, parameters, macs, digit) in PUBLISHED {
        let outline = outline(name, find(name).unwrap().published_input()).unwrap();
        assert_eq!(outline.parameters, parameters, "parameters of {name}");
        let rounded = (outline.cost.macs as f64 / digit).round() * digit;
        assert!(
            (rounded - macs).abs() < digit / 2.0,
            "MACs of {name}: {} instead of {macs}",
            outline.cost.macs
        );
    }
}

/// Main taps with the shapes that the nets' sources document.
const SHAPES: &[(&str, &str, &[usize])] = &[
    ("resnet20", "stem", &[16, 32, 32]),
    ("resnet20", "stage1", &[16, 32, 32]),
    ("resnet20", "stage2", &[32, 16, 16]),
    ("resnet20", "stage3.preact", &[64, 8, 8]),
    ("resnet20", "pooled", &[64]),
    ("resnet32x4", "stage3", &[256, 8, 8]),
    ("wrn_16_2", "stem", &[16, 32, 32]),
    ("wrn_16_2", "stage1", &[32, 32, 32]),
    ("wrn_16_2", "stage2.preact", &[64, 16, 16]),
    ("wrn_16_2", "stage3", &[128, 8, 8]),
    ("vgg13", "stem", &[64, 32, 32]),
    ("vgg13", "stage1", &[128, 16, 16]),
    ("vgg13", "stage2", &[256, 8, 8]),
    ("vgg13", "stage3", &[512, 4, 4]),
    ("vgg13", "stage4.preact", &[512, 4, 4]),
    ("mobilenetv2", "stem", &[16, 16, 16]),
    ("mobilenetv2", "stage1", &[12, 16, 16]),
    ("mobilenetv2", "stage2", &[16, 8, 8]),
    ("mobilenetv2", "stage3", &[48, 4, 4]),
    ("mobilenetv2", "stage4", &[160, 2, 2]),
    ("mobilenetv2", "pooled", &[1280]),
    ("shufflev1", "stem", &[24, 32, 32]),
    ("shufflev1", "stage1", &[240, 16, 16]),
    ("shufflev1", "stage3.preact", &[960, 4, 4]),
    ("shufflev1", "pooled", &[960]),
    ("shufflev2", "stage1", &[116, 16, 16]),
    ("shufflev2", "stage3", &[464, 4, 4]),
    ("shufflev2", "pooled", &[1024]),
    ("cifar_resnet50", "stem", &[64, 32, 32]),
    ("cifar_resnet50", "stage1", &[256, 32, 32]),
    ("cifar_resnet50", "stage4", &[2048, 4, 4]),
    ("cifar_resnet18", "pooled", &[512]),
    ("resnet18", "stem", &[64, 56, 56]),
    ("resnet18", "stage4", &[512, 7, 7]),
    ("resnet50", "stage1", &[256, 56, 56]),
    ("resnet50", "stage2", &[512, 28, 28]),
    ("resnet50", "stage3", &[1024, 14, 14]),
    ("resnet50", "pooled", &[2048]),
    ("mobilenet_v2", "features.18", &[1280, 7, 7]),
    ("mobilenet_v2", "stage1", &[24, 56, 56]),
    ("mobilenet_v2", "stage4", &[320, 7, 7]),
    ("mobilenet_v1", "stage1", &[128, 56, 56]),
    ("mobilenet_v1", "stage2", &[256, 28, 28]),
    ("mobilenet_v1", "stage3", &[512, 14, 14]),
    ("mobilenet_v1", "stage4.preact", &[1024, 7, 7]),
    ("deit_tiny_patch16_224", "block11", &[197, 192]),
    ("deit_tiny_patch16_224", "stage4", &[197, 192]),
    ("deit_tiny_patch16_224", "attention0", &[3, 197, 197]),
    ("deit_small_distilled_patch16_224", "tokens", &[198, 384]),
    ("deit_small_distilled_patch16_224", "head_dist", &[1000]),
    ("tiny_vit_5m_224", "stem", &[64, 56, 56]),
    ("tiny_vit_5m_224", "stage1", &[64, 56, 56]),
    ("tiny_vit_5m_224", "merging1", &[784, 128]),
    ("tiny_vit_5m_224", "stage4", &[49, 320]),
    ("tiny_vit_nano", "stage4", &[1, 64]),
    ("swin_t", "stem", &[3136, 96]),
    ("swin_t", "stage1", &[3136, 96]),
    ("swin_t", "merging1", &[784, 192]),
    ("swin_t", "stage4", &[49, 768]),
    ("swin_t", "pooled", &[768]),
    ("swin_b", "stage3", &[196, 512]),
    ("swin_nano", "stage1", &[256, 16]),
    ("swin_nano", "stage4", &[4, 128]),
    ("segformer_b0", "embed1", &[16384, 32]),
    ("segformer_b0", "attention1", &[1, 16384, 256]),
    ("segformer_b0", "stage1", &[32, 128, 128]),
    ("segformer_b0", "attention4", &[8, 256, 256]),
    ("segformer_b0", "stage4", &[256, 16, 16]),
    ("segformer_b0", "feature", &[256, 128, 128]),
    ("segformer_b5", "feature", &[768, 128, 128]),
];

#[test]
fn taps_have_the_documented_shapes() {
    let mut outlines = std::collections::BTreeMap::new();
    for &(name, tap, shape) in SHAPES {
        let taps = outlines.entry(name).or_insert_with(|| {
            let input = find(name).unwrap().published_input();
            outline(name, input).unwrap().taps
        });
        let found = taps.iter().find(|found| found.name == tap).unwrap();
        let found = match &found.kind {
            TapKind::Map(shape) | TapKind::Attention(shape) => shape.to_vec(),
            TapKind::Tokens { shape, .. } | TapKind::Cells { shape, .. } => shape.to_vec(),
            TapKind::Vector(length) => vec![*length],
        };
        assert_eq!(found, shape, "{tap} of {name}");
    }
}

/// Name, height and width, classes, parameters and MACs in G of one image, as CIRKD and VainF have
/// them; parameters and MACs of CIRKD's are with the auxiliary classifier, if there is one for maps
/// of so many channels.
type PublishedSegmentation = (&'static str, [usize; 2], usize, usize, f64, Option<usize>);

const PUBLISHED_SEGMENTATION: &[PublishedSegmentation] = &[
    (
        "pspnet_resnet18_deep",
        [512, 1024],
        19,
        12_919_334,
        122.1,
        Some(256),
    ),
    (
        "pspnet_resnet18",
        [512, 1024],
        19,
        12_770_854,
        107.2,
        Some(256),
    ),
    (
        "pspnet_resnet101_deep",
        [512, 1024],
        19,
        58_629_606,
        465.4,
        Some(1024),
    ),
    (
        "pspnet_resnet101",
        [512, 1024],
        19,
        58_505_830,
        451.3,
        Some(1024),
    ),
    (
        "deeplabv3_resnet18_deep",
        [1024, 2048],
        19,
        13_607_974,
        517.5,
        Some(256),
    ),
    (
        "deeplabv3_resnet101_deep",
        [1024, 2048],
        19,
        61_118_950,
        2063.3,
        Some(1024),
    ),
    (
        "deeplabv3plus_resnet50",
        [513, 513],
        21,
        39_761_845,
        62.4,
        None,
    ),
    (
        "deeplabv3plus_resnet101",
        [513, 513],
        21,
        58_753_973,
        83.0,
        None,
    ),
];

#[test]
fn networks_that_segment_have_the_published_sizes() {
    for &(name, [height, width], classes, parameters, published, third) in PUBLISHED_SEGMENTATION {
        let input = InputShape {
            channels: 3,
            height,
            width,
            classes,
        };
        let outline = outline(name, input).unwrap();
        assert_eq!(outline.parameters, parameters, "parameters of {name}");
        // At an eighth of the size: 3×3 to a quarter of the channels, then 1×1.
        let auxiliary = third.map_or(0, |channels| {
            height * width / 64 * (channels / 4) * (9 * channels + classes)
        });
        let macs = (outline.cost.macs + auxiliary as u64) as f64 / 1e9;
        assert!((macs - published).abs() <= 0.05, "MACs of {name}: {macs} G");
    }
}

#[test]
fn every_model_has_the_uniform_taps_and_records_all_that_it_names() {
    for entry in entries() {
        let network = limbeck_nn::Network::blank(
            entry.name,
            entry.published_input(),
            &burn::tensor::Device::flex(),
            burn::tensor::DType::F32,
            entry.build,
        )
        .unwrap();
        let taps: Vec<String> = network.taps().into_iter().map(|tap| tap.name).collect();
        let mut named = network.tap_names();
        named.push("logits".to_owned());
        assert_eq!(taps, named, "{}", entry.name);
        let others = match entry.task {
            TaskKind::Classification => ["stem", "pooled"].as_slice(),
            TaskKind::Segmentation => &["stage4", "feature"],
            TaskKind::Detection => &["stage4", "p3", "p4", "p5"],
            TaskKind::Pretraining => continue,
        };
        let all = ["stage1", "stage2", "stage3", "logits"];
        for &tap in all.iter().chain(others) {
            assert!(
                taps.iter().any(|name| name == tap),
                "{tap} of {}",
                entry.name
            );
        }
        for stage in 1.. {
            if !taps.contains(&format!("stage{stage}")) {
                break;
            }
            assert_eq!(
                taps.contains(&format!("stage{stage}.preact")),
                !["vit", "tinyvit", "swin", "segformer"].contains(&entry.family),
                "stage{stage}.preact of {}",
                entry.name
            );
        }
    }
}

#[test]
fn names_and_aliases_are_unique_and_in_the_form_that_find_compares() {
    let mut seen = std::collections::BTreeSet::new();
    for entry in entries() {
        for name in [&[entry.name], entry.aliases].concat() {
            assert!(seen.insert(name), "`{name}` names two models");
            assert_eq!(name, name.to_lowercase().replace('-', "_"));
            assert_eq!(find(name).unwrap().name, entry.name);
        }
    }
}

#[test]
fn names_of_the_literature_are_understood() {
    for (written, name) in [
        ("resnet32x4", "resnet32x4"),
        ("ResNet8x4", "resnet8x4"),
        ("WRN-16-2", "wrn_16_2"),
        ("VGG13", "vgg13"),
        ("MobileNetV2", "mobilenetv2"),
        ("MobileNet_V2", "mobilenet_v2"),
        ("ShuffleV1", "shufflev1"),
        ("ShuffleNetV2", "shufflev2"),
        ("ResNet50", "resnet50"),
        ("deit_tiny_distilled", "deit_tiny_distilled_patch16_224"),
        ("DeiT-Small", "deit_small_patch16_224"),
        ("TinyViT-5M", "tiny_vit_5m_224"),
        ("Swin-T", "swin_tiny_patch4_window7_224"),
        ("swin_b", "swin_base_patch4_window7_224"),
        ("SegFormer-B0", "segformer_b0"),
        (
            "tinyvit:head=16",
            "tinyvit:widths=64-128-160-320,depths=2-2-6-2,windows=7-14-7,head=16,expansion=4,mlp=4",
        ),
    ] {
        assert_eq!(find(written).unwrap().name, name);
    }
}

#[test]
fn an_output_stride_that_a_network_lacks_is_refused_with_those_it_has() {
    for (name, words) in [
        (
            "segformer_b0_os8_x0.25",
            "`segformer_b0` has one output stride alone",
        ),
        ("deeplabv3_resnet18_os4", "or deeplabv3_resnet18_os16"),
    ] {
        let error = find(name).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    let message = find("resnet32x5").unwrap_err().to_string();
    assert_eq!(
        message,
        "unknown model `resnet32x5`; did you mean `resnet32x4`?"
    );
    let message = find("quicksort").unwrap_err().to_string();
    assert_eq!(message, "unknown model `quicksort`");
}

#[test]
fn a_suffix_scales_the_channels_of_networks_that_segment() {
    let narrow = find("PSPNet-ResNet18-x0.25").unwrap();
    assert_eq!(narrow.name, "pspnet_resnet18_x0.25");
    assert_eq!(
        find("pspnet_resnet18_x1.0").unwrap().name,
        "pspnet_resnet18"
    );
    let outline = outline(&narrow.name, narrow.published_input()).unwrap();
    let channels = |tap: &str| {
        let tap = outline.taps.iter().find(|found| found.name == tap);
        match tap.unwrap().kind {
            TapKind::Map([channels, _, _]) => channels,
            ref other => panic!("{other}"),
        }
    };
    let taps = ["stem", "stage1", "stage4", "feature", "logits"];
    assert_eq!(taps.map(channels), [16, 16, 128, 32, 19]);
}

#[test]
fn widths_that_make_no_sense_are_refused() {
    for (name, message) in [
        (
            "resnet18_x0.5",
            "model `resnet18_x0.5` cannot be built: a suffix for the width is for models that \
             segment and for detectors",
        ),
        (
            "pspnet_resnet18_x0",
            "model `pspnet_resnet18_x0` cannot be built: found the width 0, it must be from 0.01 \
             to 8",
        ),
        (
            "pspnet_resnet19_x0.5",
            "unknown model `pspnet_resnet19_x0.5`; did you mean `pspnet_resnet18`?",
        ),
    ] {
        assert_eq!(find(name).unwrap_err().to_string(), message);
    }
}

fn refusal(name: &str, height: usize, width: usize) -> String {
    let input = InputShape {
        channels: 3,
        height,
        width,
        classes: 10,
    };
    let error = outline(name, input).unwrap_err();
    assert!(matches!(error, NnError::Unsupported { .. }));
    error.to_string()
}

#[test]
fn images_that_a_family_cannot_take_are_refused_with_what_it_takes() {
    assert_eq!(
        refusal("wrn-16-2", 2, 40),
        "model `wrn_16_2` cannot be built: found images of 2×40 pixels, it needs sides of at least 3"
    );
    assert_eq!(
        refusal("deit_tiny", 32, 30),
        "model `deit_tiny_patch16_224` cannot be built: found images of 32×30 pixels, it needs \
         sides that are multiples of 16; bring them to 32×32, with augment.size in a recipe"
    );
    assert_eq!(
        refusal("tinyvit_nano", 28, 28),
        "model `tiny_vit_nano` cannot be built: found images of 28×28 pixels, it needs sides that \
         are multiples of 32; bring them to 32×32, with augment.size in a recipe"
    );
    assert_eq!(
        refusal("vgg8", 64, 8),
        "model `vgg8` cannot be built: found images of 64×8 pixels, at this height it needs a width \
         of at least 16"
    );
    for entry in entries() {
        // With a token for each pixel, one pixel is an image.
        if entry.sizes != ImageSizes::MultipleOf(1) {
            refusal(entry.name, 1, 1);
        }
        refusal(entry.name, 0, entry.size);
    }
}

#[test]
fn no_channels_are_refused_and_no_classes_are_for_classifiers_without_a_head() {
    for entry in entries() {
        let input = entry.published_input();
        let without_channels = InputShape {
            channels: 0,
            ..input
        };
        let without_classes = InputShape {
            classes: 0,
            ..input
        };
        let refused =
            |input| matches!(outline(entry.name, input), Err(NnError::Unsupported { .. }));
        assert!(refused(without_channels), "{}", entry.name);
        match entry.task {
            TaskKind::Segmentation | TaskKind::Detection => {
                assert!(refused(without_classes), "{}", entry.name)
            }
            _ => {
                let outline = outline(entry.name, without_classes).unwrap();
                let width = outline.taps.iter().find(|tap| tap.name == "pooled");
                let predicted = outline.taps.last().map(|tap| &tap.kind);
                assert_eq!(predicted, width.map(|tap| &tap.kind), "{}", entry.name);
            }
        }
    }
}
