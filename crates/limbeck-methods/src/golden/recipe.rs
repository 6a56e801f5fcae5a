//! Numbers that both sides make from names, so that goldens of large nets need no weights.

use limbeck_nn::Store;

use super::case::Values;

/// Fowler, Noll and Vo's 64-bit hash, variant 1a, of the name's bytes.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Endless numbers in `[-1, 1)` that belong to `name`: SplitMix64 started at the name's hash.
pub fn stream(name: &str) -> impl Iterator<Item = f64> {
    let mut state = fnv1a(name);
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        2.0 * ((z >> 11) as f64 / (1u64 << 53) as f64) - 1.0
    })
}

/// Fills every entry of `store`; names begin with `prefix`, such as `pub/resnet20/`.
pub fn fill(store: &mut Store, prefix: &str) {
    for id in store.ids() {
        let entry = store.entry(id);
        let (scale, offset) = scale_and_offset(&entry.name, &entry.shape);
        let values = stream(&format!("{prefix}{}", entry.name))
            .take(entry.shape.iter().product())
            .map(|r| offset + scale * r)
            .collect();
        store.set_values(id, values);
    }
}

fn scale_and_offset(key: &str, shape: &[usize]) -> (f64, f64) {
    const TOKENS: [&str; 5] = [
        "pos_embed",
        "cls_token",
        "dist_token",
        "mask_token",
        "reg_token",
    ];
    let last = key.rsplit('.').next().unwrap();
    match last {
        "num_batches_tracked" => (0.0, 0.0),
        "running_mean" => (0.1, 0.0),
        "running_var" => (0.25, 1.0),
        _ if TOKENS.iter().any(|token| last.starts_with(token)) => (0.1, 0.0),
        _ if shape.len() >= 2 => {
            let fan_in: usize = shape[1..].iter().product();
            let gain = if shape.len() == 4 { 6.0 } else { 3.0 };
            ((gain / fan_in as f64).sqrt(), 0.0)
        }
        "weight" => (0.1, 1.0),
        _ => (0.1, 0.0),
    }
}

/// Mean, population standard deviation, greatest absolute value, first eight and last eight
/// numbers.
pub fn digest(numbers: &[f64]) -> Vec<f64> {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let greatest = numbers.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let ends = numbers.len().min(8);
    let mut digest = vec![mean, variance.sqrt(), greatest];
    digest.extend(&numbers[..ends]);
    digest.extend(&numbers[numbers.len() - ends..]);
    digest
}

/// `values` in the form that the file has them: whole where the shape is that of the file, else
/// as a digest.
pub fn as_stored(expected: &Values, values: Values) -> Values {
    if expected.shape == values.shape {
        return values;
    }
    let numbers = digest(&values.numbers);
    Values {
        shape: vec![numbers.len()],
        numbers,
    }
}

mod tests {
    use super::*;

    #[test]
    fn hashes_and_streams_have_the_published_check_values() {
        let checks: [(&str, u64, &[f64]); 3] = [
            (
                "a",
                0xaf63_dc4c_8601_ec8c,
                &[-0.25653807312918175, 0.9962446380938241, 0.9842130280619599],
            ),
            (
                "pub/input",
                0xe253_7789_8d7f_3907,
                &[
                    0.0325979563870098,
                    -0.8719748107152534,
                    0.10590801666276617,
                    -0.3528511200662581,
                ],
            ),
            (
                "pub/resnet20/conv1.weight",
                0x39be_8642_c1d0_09f2,
                &[
                    0.17038380918290397,
                    0.8850708105450658,
                    -0.003482748677722025,
                ],
            ),
        ];
        for (name, hash, numbers) in checks {
            assert_eq!(fnv1a(name), hash);
            let found: Vec<f64> = stream(name).take(numbers.len()).collect();
            assert_eq!(found, numbers);
        }
    }

    #[test]
    fn a_digest_of_few_numbers_has_shorter_ends() {
        let digest = digest(&[1.0, -3.0]);
        assert_eq!(digest, [-1.0, 2.0, 3.0, 1.0, -3.0, 1.0, -3.0]);
    }
}
