//! What a frozen network says about an image does not depend on the images beside it, to the bit:
//! stored outputs are as good as those of any batch.

#![allow(clippy::unwrap_used, reason = "tests end by panicking")]

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_nn::{InputShape, Taps, model};

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    let values: Vec<f32> = tensor.into_data().try_into_vec().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

fn images(input: InputShape, count: usize) -> Tensor<4> {
    let shape = [count, input.channels, input.height, input.width];
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|i| ((i * 2_654_435_761) % 1009) as f32 / 504.5 - 1.0)
        .collect();
    let device = Device::flex();
    Tensor::from_data(TensorData::new(values, shape), (&device, DType::F32))
}

#[test]
fn the_images_beside_it_change_no_bit_of_an_output() {
    for (name, side) in [
        ("resnet8", 28),
        ("resnet32x4", 32),
        ("wrn_40_2", 32),
        ("vgg13", 32),
        ("mobilenetv2", 32),
        ("shufflev2", 32),
        ("shufflev1", 32),
        ("cifar_resnet50", 32), ("resnet18", 64),
        ("vit_nano_patch4", 28),
        ("deit_tiny_patch16_224", 224),
    ] {
        let input = InputShape {
            channels: 3,
            height: side,
            width: side,
            classes: 10,
        };
        let device = Device::flex();
        let Ok(network) = model::build(name, input, 1, &device, DType::F32) else {
            println!("{name} is not there");
            continue;
        };
        let network = network.frozen();
        let count = if side > 32 { 9 } else { 64 };
        let all = images(input, count);
        let logits = bits(network.evaluate(all.clone(), &Taps::none()).logits);
        let each = logits.len() / count;
        for (start, length) in [(0, 1), (count - 1, 1), (3, 5), (1, count - 1), (7, 17), (0, 33)] {
            if start + length > count {
                continue;
            }
            let part = all.clone().slice([start..start + length]);
            let found = bits(network.evaluate(part, &Taps::none()).logits);
            let expected = &logits[start * each..][..found.len()];
            let differing = found.iter().zip(expected).filter(|(a, b)| a != b).count();
            println!("{name} {start}+{length}: {differing} of {} differ", found.len());
        }
    }
}
