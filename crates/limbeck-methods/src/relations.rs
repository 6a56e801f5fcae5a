//! Distributions of similarities, compared row by row without all of them being held.
//!
//! R rows that are related to K keys make R·K similarities of each network, and a gradient graph
//! would hold several times as many. The gradient of the compared distributions is known in closed
//! form, so rows are taken in blocks: similarities of a block are made, compared, turned into their
//! gradient, multiplied back to the rows and keys that they came from, and forgotten.

use burn::tensor::Tensor;
use limbeck_nn::layer::{divergence_with_slopes, linear, product, transposed_product};

/// Most similarities of one network that are held at once: 2 MiB in single precision.
const BLOCK: usize = 1 << 19;

/// What is related in one network; no gradient passes through it.
#[derive(Clone, Debug)]
pub(crate) struct Related {
    /// `[R, C]`.
    pub rows: Tensor<2>,
    /// Sets of keys, each `[K, C]`; a row has a distribution over each.
    pub keys: Vec<Tensor<2>>,
}

/// How much the student's distributions differ from the teacher's.
#[derive(Clone, Debug)]
pub(crate) struct Relations {
    /// Σ over rows and sets of KL(teacher ‖ student), `[1]`.
    pub value: Tensor<1>,
    /// Its gradient with respect to the student's rows, `[R, C]`.
    pub rows: Tensor<2>,
    /// Its gradient with respect to the student's keys, each `[K, C]`; empty where they are
    /// constants.
    pub keys: Vec<Tensor<2>>,
}

/// Compares softmax_k(scale · ⟨row, key_k⟩) of both networks, which may differ in width. With
/// `keys_learn` there is a gradient for the student's keys.
pub(crate) fn relate(
    student: &Related,
    teacher: &Related,
    scale: f64,
    keys_learn: bool,
) -> Relations {
    let [count, width] = student.rows.dims();
    let [_, teacher_width] = teacher.rows.dims();
    let most = student.keys.iter().map(|keys| keys.dims()[0]).max();
    let length = (BLOCK / most.unwrap_or(1).max(1)).clamp(1, count.max(1));
    let (mut values, mut rows) = (Vec::new(), Vec::new());
    let mut keys: Vec<Option<Tensor<2>>> = vec![None; student.keys.len()];
    for start in (0..count).step_by(length) {
        let end = (start + length).min(count);
        let own = student.rows.clone().slice([start..end, 0..width]);
        let other = teacher.rows.clone().slice([start..end, 0..teacher_width]);
        // Few rows are scaled in place of many similarities.
        let own = own.mul_scalar(scale);
        let other = other.mul_scalar(scale);
        let mut gradient: Option<Tensor<2>> = None;
        for (set, (own_keys, other_keys)) in student.keys.iter().zip(&teacher.keys).enumerate() {
            let own_similar = linear(own.clone(), own_keys.clone(), None);
            let other_similar = linear(other.clone(), other_keys.clone(), None);
            let (value, slopes) = divergence_with_slopes(own_similar, other_similar, 1.0);
            values.push(value);
            if keys_learn {
                let more = transposed_product(slopes.clone(), own.clone());
                keys[set] = Some(add(keys[set].take(), more));
            }
            gradient = Some(add(gradient, product(slopes, own_keys.clone())));
        }
        rows.extend(gradient.map(|gradient| gradient.mul_scalar(scale)));
    }
    Relations {
        value: Tensor::cat(values, 0).sum(),
        rows: Tensor::cat(rows, 0),
        keys: keys.into_iter().flatten().collect(),
    }
}

fn add(sum: Option<Tensor<2>>, more: Tensor<2>) -> Tensor<2> {
    match sum {
        Some(sum) => sum + more,
        None => more,
    }
}

/// `value` `[1]`, through which `gradient` reaches `rows` `[R, C]`.
pub(crate) fn with_gradient(value: Tensor<1>, rows: Tensor<2>, gradient: Tensor<2>) -> Tensor<1> {
    let at = rows.clone().inner();
    // Adds nothing to the value, and the gradient at its place.
    value + ((rows - at) * gradient).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softmax::softened_kl;
    use crate::testing::{assert_close, gradient, leaf, number, numbers, random};

    /// The same from all similarities at once, with burn's own gradients.
    fn plain(rows: Tensor<2>, keys: &[Tensor<2>], teacher: &Related, scale: f64) -> Tensor<1> {
        let values = keys.iter().zip(&teacher.keys).map(|(own, other)| {
            let count = rows.dims()[0] as f64;
            let student = rows.clone().matmul(own.clone().transpose());
            let teacher = teacher.rows.clone().matmul(other.clone().transpose());
            softened_kl(student.mul_scalar(scale), teacher.mul_scalar(scale), 1.0).mul_scalar(count)
        });
        Tensor::cat(values.collect(), 0).sum()
    }

    fn related(name: &str, rows: usize, keys: &[usize], width: usize) -> Related {
        let keys = keys.iter().enumerate();
        Related {
            rows: random(&format!("{name}/rows"), [rows, width]),
            keys: keys
                .map(|(i, &count)| random(&format!("{name}/{i}"), [count, width]))
                .collect(),
        }
    }

    #[test]
    fn blocks_give_the_value_and_the_gradients_of_the_whole() {
        // The second has several blocks, the last of them short.
        for (count, keys) in [(7, vec![5, 4]), (5, vec![BLOCK / 2 - 1])] {
            let student = related("s", count, &keys, 2);
            let teacher = related("t", count, &keys, 3);
            let found = relate(&student, &teacher, 0.7, true);
            let rows = leaf(student.rows.clone());
            let own: Vec<Tensor<2>> = student.keys.iter().cloned().map(leaf).collect();
            let expected = plain(rows.clone(), &own, &teacher, 0.7);
            assert_close(&[number(&found.value)], &[number(&expected)]);
            let gradients = expected.backward();
            let close = |found: &Tensor<2>, expected: &[f64]| {
                assert_close(&numbers(found), expected);
            };
            close(&found.rows, &gradient(&rows, &gradients).unwrap());
            for (found, own) in found.keys.iter().zip(&own) {
                close(found, &gradient(own, &gradients).unwrap());
            }
        }
    }

    #[test]
    fn keys_that_are_constants_have_no_gradient() {
        let found = relate(
            &related("s", 3, &[4], 2),
            &related("t", 3, &[4], 2),
            1.0,
            false,
        );
        assert!(found.keys.is_empty());
    }

    #[test]
    fn a_gradient_is_put_behind_a_value() {
        let rows = leaf(random("r", [3, 2]));
        let slopes = random("g", [3, 2]);
        let value = with_gradient(random("v", [1]), rows.clone(), slopes.clone());
        assert_close(&numbers(&value), &numbers(&random::<1>("v", [1])));
        let found = gradient(&rows, &value.mul_scalar(3.0).backward()).unwrap();
        assert_close(&found, &numbers(&slopes.mul_scalar(3.0)));
    }
}
