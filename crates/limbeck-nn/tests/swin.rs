//! Laws of Swin Transformers beside those of every family.

#![allow(clippy::unwrap_used, clippy::panic)]

use burn::tensor::{DType, Device, Tensor, TensorData, activation::log_softmax};
use limbeck_nn::model::swin::{Swin, SwinConfig};
use limbeck_nn::{Feature, InputShape, Network, NnError, Outputs, Taps, model};

const NANO: SwinConfig = SwinConfig {
    patch: 2,
    width: 16,
    depths: [2, 2, 2, 2],
    heads: [1, 2, 4, 8],
    windows: [4, 4, 4, 2],
    mlp_ratio: 4,
    drop_path: 0.0,
};

fn input(side: usize) -> InputShape {
    InputShape {
        channels: 3,
        height: side,
        width: side,
        classes: 5,
    }
}

fn make(config: SwinConfig, side: usize) -> Result<Network, NnError> {
    Network::new(
        "swin",
        input(side),
        3,
        &Device::flex(),
        DType::F64,
        |builder, input| Ok(Box::new(Swin::new(builder, input, config)?)),
    )
}

/// Numbers in `[-1, 1]`, all different.
fn values(count: usize) -> Vec<f64> {
    (0..count).map(|i| (i as f64 * 0.7).sin()).collect()
}

fn images(values: Vec<f64>, side: usize, dtype: DType) -> Tensor<4> {
    let batch = values.len() / (3 * side * side);
    let data = TensorData::new(values, [batch, 3, side, side]);
    Tensor::from_data(data, (&Device::flex(), dtype))
}

/// The tokens of a tap, one vector a token.
fn tokens(outputs: &Outputs, tap: &str) -> Vec<Vec<f64>> {
    let Some(Feature::Tokens { tokens, .. }) = outputs.feature(tap) else {
        panic!("no tokens under {tap}");
    };
    let width = tokens.dims()[2];
    let all: Vec<f64> = tokens.to_data().iter().collect();
    all.chunks(width).map(<[f64]>::to_vec).collect()
}

/// Rows and columns of the tokens that a changed pixel of the top left window changes.
fn changed(network: &Network, tap: &str, columns: usize) -> Vec<[usize; 2]> {
    let taps: Taps = [tap].into_iter().collect();
    let side = 2 * columns;
    let count = 3 * side * side;
    let before = network.evaluate(images(values(count), side, DType::F64), &taps);
    let mut others = values(count);
    // Row 2, column 5 of the first channel: the token in row 1 and column 2.
    others[2 * side + 5] += 0.5;
    let after = network.evaluate(images(others, side, DType::F64), &taps);
    let pairs = tokens(&before, tap).into_iter().zip(tokens(&after, tap));
    pairs
        .enumerate()
        .filter(|(_, (before, after))| before != after)
        .map(|(place, _)| [place / columns, place % columns])
        .collect()
}

fn square(side: usize) -> Vec<[usize; 2]> {
    let rows = 0..side;
    rows.flat_map(|row| (0..side).map(move |column| [row, column]))
        .collect()
}

#[test]
fn windows_are_independent_and_shifted_ones_reach_their_neighbours_but_not_over_the_seam() {
    let network = make(NANO, 32).unwrap();
    assert_eq!(changed(&network, "stem", 16), [[1, 2]]);
    assert_eq!(changed(&network, "block0", 16), square(4));
    // Shifted by two: the window of the tokens 2 to 5, and that of the last two and the first two.
    assert_eq!(changed(&network, "block1", 16), square(6));
}

#[test]
fn a_grid_of_one_window_is_not_shifted_and_one_that_is_not_covered_is_filled_up() {
    // Six by six tokens: the second window has two of its own in each direction, and attention sees
    // zeros, but no token of the window beside it.
    let network = make(NANO, 12).unwrap();
    assert_eq!(changed(&network, "block0", 6), square(4));
    assert_eq!(changed(&network, "block1", 6), square(6));
    // Three by three: one window alone.
    let network = make(NANO, 6).unwrap();
    assert_eq!(changed(&network, "block1", 3), square(3));
}

#[test]
fn merging_puts_the_tokens_of_a_square_column_by_column() {
    // One token of a number each: the square's parts are told apart by the reduction's weight.
    let config = SwinConfig {
        width: 16,
        depths: [1, 1, 1, 1],
        ..NANO
    };
    let mut network = make(config, 8).unwrap();
    let (width, square) = (16, 64);
    // The first output takes the first number of the third part, which is the token at the top right.
    let weight = network
        .store
        .find("layers.1.downsample.reduction.weight")
        .unwrap();
    let mut numbers = vec![0.0; 2 * width * square];
    numbers[2 * width] = 1.0;
    network.store.set_values(weight, numbers);
    let taps: Taps = ["stage1", "merging1"].into_iter().collect();
    let outputs = network.evaluate(images(values(3 * 64), 8, DType::F64), &taps);
    let (before, after) = (tokens(&outputs, "stage1"), tokens(&outputs, "merging1"));
    for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let at = |below: usize, beside: usize| {
            before[(2 * row + below) * 4 + 2 * column + beside].as_slice()
        };
        let parts: Vec<f64> = [at(0, 0), at(1, 0), at(0, 1), at(1, 1)].concat();
        let mean = parts.iter().sum::<f64>() / square as f64;
        let variance = parts.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / square as f64;
        let expected = (at(0, 1)[0] - mean) / (variance + 1e-5).sqrt();
        let found = after[row * 2 + column][0];
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}

#[test]
fn an_odd_grid_is_merged_with_zeros_behind_it() {
    let network = make(NANO, 14).unwrap();
    let taps: Taps = ["merging1", "merging2", "merging3", "stage4"]
        .into_iter()
        .collect();
    let outputs = network.evaluate(images(values(3 * 14 * 14), 14, DType::F64), &taps);
    let counts =
        ["merging1", "merging2", "merging3", "stage4"].map(|tap| tokens(&outputs, tap).len());
    assert_eq!(counts, [16, 4, 1, 1]);
}

#[test]
fn layers_are_counted_from_the_patches_to_the_head() {
    let network = make(NANO, 32).unwrap();
    for (name, layer) in [
        ("patch_embed.norm.bias", 0),
        ("layers.0.blocks.1.norm1.weight", 2),
        ("layers.1.downsample.norm.weight", 2),
        ("layers.1.blocks.0.attn.relative_position_bias_table", 3),
        ("layers.3.blocks.1.mlp.fc2.bias", 8),
        ("norm.weight", 9),
        ("head.fc.weight", 9),
    ] {
        assert!(network.store.find(name).is_some(), "{name}");
        assert_eq!(network.layer_of(name), Some((layer, 9)), "{name}");
    }
}

#[test]
fn settings_that_make_no_transformer_are_refused() {
    for (config, side, reason) in [
        (
            SwinConfig {
                heads: [3, 2, 4, 8],
                ..NANO
            },
            32,
            "found a width of 16, it needs a multiple of its 3 heads",
        ),
        (
            SwinConfig {
                windows: [0; 4],
                ..NANO
            },
            32,
            "its numbers start at 1",
        ),
        (
            SwinConfig {
                drop_path: 1.0,
                ..NANO
            },
            32,
            "found a drop path of 1, it needs a number from 0 to below 1",
        ),
        (NANO, 31, "sides that are multiples of 2"),
    ] {
        let message = make(config, side).unwrap_err().to_string();
        assert!(message.contains(reason), "{message}");
    }
}

/// The loss of images and its gradients, flat, on `threads` threads.
fn gradients(network: &Network, images: &Tensor<4>, threads: usize) -> (f64, Vec<f64>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.unwrap().install(|| {
        let tracked = network.store.tracked();
        let (outputs, _) = network.train(&tracked, images.clone(), &Taps::none(), 1);
        let loss = log_softmax(outputs.logits(), 1)
            .narrow(1, 2, 1)
            .mean()
            .neg();
        let value = loss.clone().into_scalar::<f64>();
        let gradients = tracked.gradients(&mut loss.backward());
        let flat = gradients
            .into_iter()
            .flatten()
            .flat_map(|gradient| gradient.to_data().iter::<f64>().collect::<Vec<_>>())
            .collect();
        (value, flat)
    })
}

#[test]
fn numbers_do_not_depend_on_the_threads_and_are_those_of_double_precision() {
    for side in [32, 24] {
        let build = |dtype| model::build("swin_nano", input(side), 7, &Device::flex(), dtype);
        let network = build(DType::F32).unwrap();
        let numbers = values(3 * 3 * side * side);
        let single = images(numbers.clone(), side, DType::F32);
        let (loss, one) = gradients(&network, &single, 1);
        for threads in [2, 5] {
            let (other_loss, several) = gradients(&network, &single, threads);
            assert_eq!(loss, other_loss);
            assert!(one == several, "{threads} threads");
        }
        let network = build(DType::F64).unwrap();
        let (wanted_loss, wanted) = gradients(&network, &images(numbers, side, DType::F64), 2);
        assert!((loss - wanted_loss).abs() < 1e-5, "{loss} {wanted_loss}");
        let norm = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().sqrt();
        let apart = norm(&mut one.iter().zip(&wanted).map(|(a, b)| a - b));
        let all = norm(&mut wanted.iter().copied());
        assert!(apart < 1e-5 * all, "{apart} of {all}");
    }
}

#[test]
fn training_lowers_the_loss() {
    let mut network = model::build("swin_nano", input(32), 2, &Device::flex(), DType::F32).unwrap();
    let images = images(values(4 * 3 * 32 * 32), 32, DType::F32);
    let mut losses = Vec::new();
    for _ in 0..8 {
        let tracked = network.store.tracked();
        let (outputs, _) = network.train(&tracked, images.clone(), &Taps::none(), 1);
        let loss = log_softmax(outputs.logits(), 1)
            .narrow(1, 2, 1)
            .mean()
            .neg();
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = tracked.gradients(&mut loss.backward());
        for (id, gradient) in network.store.ids().zip(gradients) {
            if let Some(gradient) = gradient {
                let value = network.store.entry(id).value.clone();
                let value = value - gradient.mul_scalar(0.1);
                network
                    .store
                    .set_values(id, value.to_data().iter().collect());
            }
        }
    }
    assert!(
        losses.windows(2).all(|pair| pair[1] < pair[0]),
        "{losses:?}"
    );
    assert!(losses[7] < 0.5 * losses[0], "{losses:?}");
}
