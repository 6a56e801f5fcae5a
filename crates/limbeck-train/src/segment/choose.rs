//! From a small map of logits to a class of each pixel.

use limbeck_data::{Mask, VOID};
use rayon::prelude::*;

/// What logits choose for the pixels of an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The class with the greatest logit, the first of equals.
    pub mask: Mask,
    /// Sum of the pixels' cross entropies with the right mask, in nats; void pixels have none.
    pub loss: f64,
    /// Pixels that are not void.
    pub known: u64,
}

/// Where the positions along one axis come from, as PyTorch's `interpolate`.
struct Axis {
    low: Vec<usize>,
    high: Vec<usize>,
    /// Share of the high one.
    share: Vec<f32>,
}

impl Axis {
    fn new(input: usize, output: usize, align_corners: bool) -> Self {
        let source = |position: usize| match (align_corners, output) {
            (true, 1) => 0.0,
            (true, _) => position as f64 * (input - 1) as f64 / (output - 1) as f64,
            (false, _) => ((position as f64 + 0.5) * input as f64 / output as f64 - 0.5).max(0.0),
        };
        let low: Vec<usize> = (0..output)
            .map(|i| (source(i).floor() as usize).min(input - 1))
            .collect();
        Self {
            high: low.iter().map(|low| (low + 1).min(input - 1)).collect(),
            share: (0..output)
                .map(|i| (source(i) - low[i] as f64) as f32)
                .collect(),
            low,
        }
    }
}

/// The class of each pixel of an image of `size` `[height, width]` by `logits` `[K, h, w]`, flat, which
/// are brought to that size bilinearly, row by row: nothing of the size of all of them is made.
/// `truth` is the right mask, of that size, with ids below `K` or void.
///
/// Rows are independent of each other and added in their order, so no bit depends on the number of
/// threads.
///
/// # Panics
/// Where lengths do not fit each other, which is a mistake of the caller.
pub fn choose(
    logits: &[f32],
    [classes, height, width]: [usize; 3],
    size: [usize; 2],
    align_corners: bool,
    truth: Option<&Mask>,
) -> Chosen {
    assert_eq!(logits.len(), classes * height * width);
    let [rows, columns] = size;
    if let Some(truth) = truth {
        assert_eq!([truth.height, truth.width], size);
    }
    let vertical = Axis::new(height, rows, align_corners);
    let horizontal = Axis::new(width, columns, align_corners);
    let mut mask = Mask::filled(columns, rows, 0);
    let sums: Vec<(f64, u64)> = mask
        .ids
        .par_chunks_mut(columns)
        .enumerate()
        .map(|(y, out)| {
            let right = truth.map(|truth| &truth.ids[y * columns..(y + 1) * columns]);
            let (low, high) = (vertical.low[y] * width, vertical.high[y] * width);
            let share = vertical.share[y];
            let mut all = vec![0.0; classes * columns];
            let mut narrow = vec![0.0; width];
            for (map, wide) in logits
                .chunks_exact(height * width)
                .zip(all.chunks_exact_mut(columns))
            {
                let rows = map[low..low + width].iter().zip(&map[high..high + width]);
                for (value, (low, high)) in narrow.iter_mut().zip(rows) {
                    *value = low * (1.0 - share) + high * share;
                }
                for (x, value) in wide.iter_mut().enumerate() {
                    let share = horizontal.share[x];
                    let (low, high) = (narrow[horizontal.low[x]], narrow[horizontal.high[x]]);
                    *value = low * (1.0 - share) + high * share;
                }
            }
            let mut greatest = all[..columns].to_vec();
            for (class, wide) in all.chunks_exact(columns).enumerate().skip(1) {
                for ((value, greatest), id) in wide.iter().zip(&mut greatest).zip(out.iter_mut()) {
                    if value > greatest {
                        *greatest = *value;
                        *id = class as u8;
                    }
                }
            }
            right.map_or((0.0, 0), |right| loss(&all, &greatest, right))
        })
        .collect();
    Chosen {
        mask,
        loss: sums.iter().map(|(loss, _)| loss).sum(),
        known: sums.iter().map(|(_, known)| known).sum(),
    }
}

/// Cross entropies of a row of pixels with logits `[K, W]`, added, and the number of pixels that are
/// not void.
fn loss(logits: &[f32], greatest: &[f32], right: &[u8]) -> (f64, u64) {
    let columns = right.len();
    let mut sums = vec![0.0_f32; columns];
    for wide in logits.chunks_exact(columns) {
        for ((sum, value), greatest) in sums.iter_mut().zip(wide).zip(greatest) {
            *sum += (value - greatest).exp();
        }
    }
    let (mut loss, mut known) = (0.0, 0);
    for (x, &id) in right.iter().enumerate().filter(|(_, id)| **id != VOID) {
        let own = logits[usize::from(id) * columns + x];
        loss += f64::from(sums[x]).ln() + f64::from(greatest[x]) - f64::from(own);
        known += 1;
    }
    (loss, known)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData, activation::log_softmax};
    use limbeck_nn::{Init, layer::resize_bilinear};

    use super::*;

    #[test]
    fn choices_and_losses_are_those_of_the_resized_logits() {
        let shape = [5, 3, 4];
        let logits = Init::Normal(3.0).draw(1, "logits", 60);
        let logits: Vec<f32> = logits.into_iter().map(|value| value as f32).collect();
        let data = TensorData::new(logits.clone(), [1, 5, 3, 4]);
        let tensor = Tensor::<4>::from_data(data, &Device::flex());
        for size in [[9, 7], [3, 4], [2, 3], [1, 1], [16, 32]] {
            let [rows, columns] = size;
            let ids = (0..rows * columns).map(|i| if i % 4 == 3 { VOID } else { (i % 5) as u8 });
            let truth = Mask {
                width: columns,
                height: rows,
                ids: ids.collect(),
            };
            for align_corners in [false, true] {
                let found = choose(&logits, shape, size, align_corners, Some(&truth));
                let large = resize_bilinear(tensor.clone(), size, align_corners);
                let best: Vec<i64> = large.clone().argmax(1).into_data().iter().collect();
                let best: Vec<u8> = best.into_iter().map(|id| id as u8).collect();
                assert_eq!(found.mask.ids, best, "{size:?}");
                let log: Vec<f64> = log_softmax(large, 1).into_data().iter().collect();
                let known = truth.ids.iter().enumerate().filter(|(_, id)| **id != VOID);
                let (mut loss, mut count) = (0.0, 0);
                for (pixel, &id) in known {
                    loss -= log[usize::from(id) * rows * columns + pixel];
                    count += 1;
                }
                assert!(
                    (found.loss - loss).abs() < 1e-4 * (1.0 + loss),
                    "{found:?} {loss}"
                );
                assert_eq!(found.known, count);
            }
        }
    }

    #[test]
    fn the_first_of_equals_is_chosen() {
        let found = choose(&[1.0, 1.0, 1.0], [3, 1, 1], [2, 2], false, None);
        assert_eq!(found.mask.ids, [0; 4]);
        assert_eq!((found.loss, found.known), (0.0, 0));
    }
}
