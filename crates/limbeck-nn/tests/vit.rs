//! What is particular to vision transformers.

#![allow(clippy::unwrap_used, clippy::panic)]

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use limbeck_nn::model::vit::{
    Embedding, VisionTransformer, VisionTransformerConfig, gather_tokens,
};
use limbeck_nn::{
    Feature, InputShape, Mode, Network, NnError, Outputs, Pass, STEM_CONVOLUTION, Taps, model,
};

const CONFIG: VisionTransformerConfig = VisionTransformerConfig {
    patch: 4,
    width: 12,
    depth: 6,
    heads: 3,
    mlp_ratio: 2.0,
    distilled: false,
    embedding: Embedding::ClassToken,
    epsilon: 1e-6,
    drop_path: 0.0,
};

fn make(config: VisionTransformerConfig, height: usize, width: usize) -> Result<Network, NnError> {
    make_of(DType::F64, config, height, width)
}

fn make_of(
    dtype: DType,
    config: VisionTransformerConfig,
    height: usize,
    width: usize,
) -> Result<Network, NnError> {
    let input = InputShape {
        channels: 1,
        height,
        width,
        classes: 5,
    };
    Network::new("vit", input, 1, &Device::flex(), dtype, |builder, input| {
        Ok(Box::new(VisionTransformer::new(builder, input, config)?))
    })
}

fn images(height: usize, width: usize) -> Tensor<4> {
    let pixels: Vec<f64> = (0..3 * height * width).map(|i| (i as f64).sin()).collect();
    Tensor::from_data(
        TensorData::new(pixels, [3, 1, height, width]),
        (&Device::flex(), DType::F64),
    )
}

fn numbers<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.clone().try_into_vec_as::<f64>().unwrap()
}

fn assert_close(left: &[f64], right: &[f64]) {
    assert_eq!(left.len(), right.len());
    for (a, b) in left.iter().zip(right) {
        assert!((a - b).abs() < 1e-12, "{a} and {b}");
    }
}

fn tokens<'a>(outputs: &'a Outputs, tap: &str) -> &'a Tensor<3> {
    match outputs.feature(tap) {
        Some(Feature::Tokens { tokens, .. }) => tokens,
        other => panic!("{tap} is {other:?}"),
    }
}

fn vector<'a>(outputs: &'a Outputs, tap: &str) -> &'a Tensor<2> {
    match outputs.feature(tap) {
        Some(Feature::Vector(vector)) => vector,
        other => panic!("{tap} is {other:?}"),
    }
}

#[test]
fn stages_are_the_last_blocks_of_equal_shares_of_the_depth() {
    for (depth, ends) in [
        (12, vec![2, 5, 8, 11]),
        (9, vec![2, 4, 6, 8]),
        (6, vec![1, 2, 4, 5]),
        (3, vec![0, 1, 2]),
    ] {
        let network = make(VisionTransformerConfig { depth, ..CONFIG }, 8, 8).unwrap();
        let outputs = network.evaluate(images(8, 8), &Taps::all());
        for (stage, end) in (1..).zip(&ends) {
            assert_eq!(
                numbers(tokens(&outputs, &format!("stage{stage}"))),
                numbers(tokens(&outputs, &format!("block{end}"))),
            );
        }
        let beyond = format!("stage{}", ends.len() + 1);
        assert!(outputs.feature(&beyond).is_none());
    }
}

#[test]
fn attention_is_a_distribution_over_tokens() {
    let outputs = make(CONFIG, 8, 12)
        .unwrap()
        .evaluate(images(8, 12), &Taps::all());
    let Some(Feature::Attention(attention)) = outputs.feature("attention3") else {
        panic!("attention3 is missing");
    };
    assert_eq!(attention.dims(), [3, 3, 7, 7]);
    assert_close(&numbers(&attention.clone().sum_dim(3)), &[1.0; 3 * 3 * 7]);
    assert!(numbers(attention).iter().all(|&share| share > 0.0));
}

#[test]
fn patches_are_put_back_on_the_grid_row_by_row() {
    let network = make(CONFIG, 8, 12).unwrap();
    let outputs = network.evaluate(images(8, 12), &Taps::all());
    let feature = outputs.feature("block5").unwrap();
    let map = feature.to_map().unwrap();
    assert_eq!(map.dims(), [3, 12, 2, 3]);
    let tokens = tokens(&outputs, "block5").clone();
    // The patch in row 1 and column 2 follows the class token and five other patches.
    assert_eq!(
        numbers(&map.slice([0..3, 0..12, 1..2, 2..3])),
        numbers(&tokens.slice([0..3, 6..7, 0..12]))
    );
}

#[test]
fn visible_patches_are_what_they_are_among_all() {
    let network = make(CONFIG, 8, 12).unwrap();
    let transformer = network.transformer().unwrap();
    let numbers_of = [4, 0, 1, 1, 5, 2];
    let visible = TensorData::new(numbers_of.to_vec(), [3, 2]);
    let visible = Tensor::<2, Int>::from_data(visible, &Device::flex());
    // Of the network's own size, and of another with pixels that fill no patch.
    for (height, width) in [(8, 12), (14, 11)] {
        let run = |visible_alone: bool| {
            let tracked = network.store.tracked();
            let images = images(height, width).autodiff().require_grad();
            let mut pass = Pass::new(&tracked, Mode::Train, Taps::none(), 0);
            let tokens = match visible_alone {
                true => transformer.visible_tokens(&mut pass, images.clone(), &visible),
                false => {
                    let patches = transformer.patches(&mut pass, images.clone());
                    transformer.with_prefix(&pass, gather_tokens(patches, &visible))
                }
            };
            let mut gradients = tokens.clone().powi_scalar(2).sum().backward();
            let of_images = numbers(&images.grad(&gradients).unwrap());
            let of_weights = tracked.gradients(&mut gradients);
            let of_weights: Vec<f64> = of_weights.iter().flatten().flat_map(numbers).collect();
            (numbers(&tokens), of_images, of_weights, pass.cost().macs)
        };
        let (tokens, of_images, of_weights, macs) = run(true);
        let (all_tokens, of_all_images, of_all_weights, all_macs) = run(false);
        assert_close(&tokens, &all_tokens);
        assert_close(&of_images, &of_all_images);
        assert_close(&of_weights, &of_all_weights);
        assert!(of_images.iter().any(|g| g.abs() > 1e-3));
        let patches = (height / 4 * (width / 4)) as u64;
        assert_eq!(all_macs, 3 * patches * 16 * 12);
        assert_eq!(macs, 3 * 2 * 16 * 12);
    }
}

#[test]
fn patches_are_embedded_by_the_convolution_that_the_names_are_of() {
    for patch in [4, 1] {
        let network = make(VisionTransformerConfig { patch, ..CONFIG }, 8, 12).unwrap();
        let outputs = network.evaluate(images(8, 12), &Taps::all());
        let Some(Feature::Map(map)) = outputs.feature(STEM_CONVOLUTION) else {
            panic!("{STEM_CONVOLUTION} is missing");
        };
        assert_eq!(map.dims(), [3, 12, 8 / patch, 12 / patch]);
        let bias = network.store.find("patch_embed.proj.bias").unwrap();
        let bias = network.store.get::<1>(bias).reshape([1, 12, 1, 1]);
        let convolution = network.first_convolution().unwrap();
        let expected = convolution.forward(images(8, 12)) + bias;
        assert_close(&numbers(map), &numbers(&expected));
    }
}

#[test]
fn the_embedding_is_the_class_token_or_the_mean_of_the_patches() {
    let outputs = make(CONFIG, 8, 8)
        .unwrap()
        .evaluate(images(8, 8), &Taps::all());
    let token = tokens(&outputs, "tokens").clone().narrow(1, 0, 1);
    assert_eq!(numbers(vector(&outputs, "pooled")), numbers(&token));

    let config = VisionTransformerConfig {
        embedding: Embedding::PatchMean,
        ..CONFIG
    };
    let network = make(config, 8, 8).unwrap();
    assert!(network.store.find("norm.weight").is_none());
    let outputs = network.evaluate(images(8, 8), &Taps::all());
    let mean = tokens(&outputs, "block5")
        .clone()
        .narrow(1, 1, 4)
        .mean_dim(1);
    let mean: Tensor<2> = mean.squeeze_dim(1);
    let centred = mean.clone() - mean.mean_dim(1);
    let deviation = centred.clone().square().mean_dim(1).add_scalar(1e-6).sqrt();
    assert_close(
        &numbers(vector(&outputs, "pooled")),
        &numbers(&(centred / deviation)),
    );
}

#[test]
fn a_distilled_net_has_two_heads_and_their_mean_as_logits() {
    let network = make(CONFIG.distilled(), 8, 8).unwrap();
    let tracked = network.store.tracked();
    let trained = network
        .train(&tracked, images(8, 8), &Taps::all(), 0)
        .0
        .detach();
    let evaluated = network.evaluate(images(8, 8), &Taps::all());
    for outputs in [trained, evaluated] {
        assert_eq!(tokens(&outputs, "tokens").dims(), [3, 6, 12]);
        let (head, head_dist) = (vector(&outputs, "head"), vector(&outputs, "head_dist"));
        assert_ne!(numbers(head), numbers(head_dist));
        let mean = (head.clone() + head_dist.clone()).mul_scalar(0.5);
        assert_close(&numbers(&outputs.logits()), &numbers(&mean));
    }
}

#[test]
fn drop_path_omits_branches_in_training_alone_and_repeats_with_its_seed() {
    let config = VisionTransformerConfig {
        drop_path: 0.5,
        ..CONFIG
    };
    let network = make(config, 8, 8).unwrap();
    let tracked = network.store.tracked();
    let train = |seed| {
        let outputs = network.train(&tracked, images(8, 8), &Taps::none(), seed).0;
        numbers(&outputs.logits())
    };
    assert_eq!(train(1), train(1));
    assert_ne!(train(1), train(2));
    let with = network.evaluate(images(8, 8), &Taps::none());
    let without = make(CONFIG, 8, 8)
        .unwrap()
        .evaluate(images(8, 8), &Taps::none());
    assert_eq!(numbers(&with.logits()), numbers(&without.logits()));
}

#[test]
fn settings_that_make_no_transformer_are_refused() {
    for (config, reason) in [
        (
            VisionTransformerConfig { heads: 5, ..CONFIG },
            "found a width of 12, it needs a multiple of its 5 heads",
        ),
        (
            VisionTransformerConfig { depth: 0, ..CONFIG },
            "patch, depth and heads must be at least 1",
        ),
        (
            VisionTransformerConfig {
                drop_path: 1.0,
                ..CONFIG
            },
            "found a drop path of 1, it needs a number from 0 to below 1",
        ),
        (
            VisionTransformerConfig {
                mlp_ratio: 0.05,
                ..CONFIG
            },
            "found an mlp_ratio of 0.05, its perceptrons need at least one neuron",
        ),
        (
            VisionTransformerConfig {
                embedding: Embedding::PatchMean,
                distilled: true,
                ..CONFIG
            },
            "a distillation token needs the class token as embedding",
        ),
    ] {
        let message = make(config, 8, 8).unwrap_err().to_string();
        assert_eq!(message, format!("model `vit` cannot be built: {reason}"));
    }
}

#[test]
fn recording_the_probabilities_changes_no_logits_and_no_gradient() {
    let network = make(CONFIG, 8, 8).unwrap();
    let run = |taps: &Taps| {
        let tracked = network.store.tracked();
        let (outputs, _) = network.train(&tracked, images(8, 8), taps, 1);
        let logits = numbers(&outputs.logits());
        let mut gradients = outputs.logits().powi_scalar(2).sum().backward();
        let gradients = tracked.gradients(&mut gradients);
        let flat: Vec<f64> = gradients.iter().flatten().flat_map(numbers).collect();
        (logits, flat)
    };
    let (logits, gradients) = run(&Taps::none());
    let (recorded_logits, recorded_gradients) = run(&Taps::all());
    assert_close(&logits, &recorded_logits);
    assert_close(&gradients, &recorded_gradients);
    assert!(gradients.iter().any(|g| g.abs() > 1e-3));
}

#[test]
fn where_nobody_reads_the_last_patches_the_logits_have_the_same_bits() {
    for distilled in [false, true] {
        let config = VisionTransformerConfig {
            distilled,
            ..CONFIG
        };
        // 145 or 146 tokens: more than a block of rows of the kernels.
        let network = make_of(DType::F32, config, 48, 48).unwrap();
        let bits = |taps: &Taps| -> Vec<u32> {
            let logits = network
                .evaluate(images(48, 48).cast(DType::F32), taps)
                .logits();
            let numbers = logits.try_into_vec_as::<f32>().unwrap();
            numbers.into_iter().map(f32::to_bits).collect()
        };
        let shown: Taps = ["tokens"].into_iter().collect();
        assert_eq!(bits(&Taps::none()), bits(&shown));
    }
}

#[test]
fn a_suffix_of_the_name_tells_the_number_of_blocks() {
    let input = InputShape {
        channels: 3,
        height: 8,
        width: 8,
        classes: 5,
    };
    let names = |model: &str| -> Vec<String> {
        let network = model::blank(model, input, &Device::flex(), DType::F32).unwrap();
        let entries = network.store.entries().iter();
        entries.map(|entry| entry.name.clone()).collect()
    };
    let whole = names("vit_mini_patch4");
    let without = |blocks: std::ops::Range<usize>| -> Vec<String> {
        let block = |name: &&String| {
            blocks
                .clone()
                .any(|i| name.starts_with(&format!("blocks.{i}.")))
        };
        whole.iter().filter(|name| !block(name)).cloned().collect()
    };
    assert_eq!(names("vit_mini_patch4_d3"), without(3..9));
    assert_eq!(names("ViT-mini-d1"), without(1..9));
    assert_eq!(names("vit_mini_d11").len(), whole.len() + 2 * 12);
    let find = |name: &str| model::find(name).map(|found| found.name);
    assert_eq!(find("deit_base_d6").unwrap(), "deit_base_patch16_224_d6");
    assert_eq!(find("deit_base_d12").unwrap(), "deit_base_patch16_224");
    let outline = model::outline(
        "deit_base_d6",
        model::find("deit_base_d6").unwrap().published_input(),
    );
    assert_eq!(outline.unwrap().parameters, 44_040_424);
    for (name, words) in [
        ("vit_mini_patch4_d0", "from 1 to 200"),
        ("vit_mini_patch4_d99999999999999999999999", "from 1 to 200"),
        ("resnet8_d3", "plain vision transformers, whose blocks"),
        (
            "tiny_vit_5m_224_d3",
            "plain vision transformers, whose blocks",
        ),
        ("vit_minni_patch4_d3", "did you mean `vit_mini_patch4_d3`?"),
        ("vit_mini_patch4_d", "did you mean `vit_mini_patch4`?"),
    ] {
        let error = find(name).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
