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
    for (name, side, count) in [
        ("resnet8", 28, 64),
        ("resnet32x4", 32, 34),
        ("wrn_40_1", 32, 34),
        ("vgg8", 32, 34),
        ("mobilenetv2", 32, 64),
        ("shufflev1", 32, 34),
        ("shufflev2", 32, 34),
        ("resnet18", 64, 18),
        ("mobilenet_v1", 64, 18),
        ("vit_nano_patch4", 28, 64),
        ("deit_tiny_patch16_224", 224, 3),
        ("tiny_vit_nano", 32, 64),
        ("tiny_vit_nano", 96, 18),
        ("swin_nano", 32, 64),
        ("swin_micro", 44, 18),
    ] {
        let input = InputShape {
            channels: 3,
            height: side,
            width: side,
            classes: 10,
        };
        let device = Device::flex();
        let network = model::build(name, input, 1, &device, DType::F32).unwrap();
        let network = network.frozen();
        let all = images(input, count);
        let logits = bits(network.evaluate(all.clone(), &Taps::none()).logits());
        for part in [0..1, count - 1..count, 1..count, count / 3..count / 2 + 1] {
            let images = all.clone().slice([part.clone()]);
            let found = bits(network.evaluate(images, &Taps::none()).logits());
            let expected = &logits[part.start * input.classes..part.end * input.classes];
            assert_eq!(found, expected, "{name}: images {part:?} of {count}");
        }
    }
}
