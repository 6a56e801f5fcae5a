//! Goldens of TinyViT's stored seeds: what is drawn from one.

use std::collections::BTreeMap;

use limbeck_cache::tinyvit::{SeedStream, random_flip, random_resized_crop};

use crate::golden::{
    Adapter,
    case::{Case, Values},
    compare::Tolerance,
};

/// The case of drawn numbers.
pub const ADAPTER: Adapter = Adapter {
    case: "aug_seed",
    // The draws are the same to the last bit; only their sum is added up in another order.
    tolerance: Tolerance {
        relative: 1e-15,
        absolute: 0.0,
        of_maximum: 0.0,
    },
    run: seeds,
};

/// Whole numbers between 0 and 9 drawn after the doubles.
const DIGITS: usize = 8;

fn seeds(case: &Case) -> BTreeMap<String, Values> {
    let seeds = &case.values("in.seed").numbers;
    let sizes: Vec<[u64; 2]> = serde_json::from_value(case.setting("sizes_wh").clone()).unwrap();
    let drawn = |name: &str| case.shape(name)[1];
    let (mut doubles, mut integers, mut crops, mut flips) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for &seed in seeds {
        let mut stream = SeedStream::new(seed as u64);
        doubles.extend((0..drawn("out.double")).map(|_| stream.random()));
        integers.extend((0..DIGITS).map(|_| stream.randint(0, 9) as f64));
        let rest = DIGITS..drawn("out.int");
        integers.extend(rest.map(|_| stream.np_randint(-100, 100) as f64));
        for &[width, height] in &sizes {
            let mut stream = SeedStream::new(seed as u64);
            let crop = random_resized_crop(&mut stream, width, height);
            crops.extend([crop.top, crop.left, crop.height, crop.width].map(|n| n as f64));
            flips.push(f64::from(u8::from(random_flip(&mut stream))));
        }
    }
    let loss = doubles.iter().sum();
    let like = |name: &str, numbers| {
        let shape = case.shape(name).to_vec();
        (name.to_owned(), Values { shape, numbers })
    };
    BTreeMap::from([
        like("out.double", doubles),
        like("out.int", integers),
        like("out.crop", crops),
        like("out.flip", flips),
        like("out.loss", vec![loss]),
    ])
}
