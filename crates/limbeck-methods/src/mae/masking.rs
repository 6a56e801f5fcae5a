//! Which patches are seen.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// Which patches of each image are seen, and where they go back to. One is drawn for a step and
/// shared by whoever looks at its images.
#[derive(Clone, Debug)]
pub struct Masking {
    /// `[B, n]`: numbers of the patches that are seen, row by row from 0.
    pub visible: Tensor<2, Int>,
    /// `[B, L − n]`: numbers of those that are masked.
    pub masked: Tensor<2, Int>,
    /// `[B, L]`: place of each patch among the seen ones followed by the masked ones.
    pub restore: Tensor<2, Int>,
    /// `[B, L]`: 1 for patches that are masked, 0 for those that are seen.
    pub mask: Tensor<2>,
}

impl Masking {
    /// Of `noise` `[B, L]`, row-major: the `kept` patches of each image with the least noise are seen.
    pub fn of_noise(
        noise: &[f64],
        patches: usize,
        kept: usize,
        device: &Device,
        dtype: DType,
    ) -> Self {
        let images = noise.len() / patches;
        let mut visible = Vec::with_capacity(images * kept);
        let mut masked = Vec::with_capacity(images * (patches - kept));
        let mut restore = vec![0i64; images * patches];
        let mut mask = vec![1.0; images * patches];
        for (image, noise) in noise.chunks_exact(patches).enumerate() {
            let mut order: Vec<usize> = (0..patches).collect();
            order.sort_by(|&a, &b| noise[a].total_cmp(&noise[b]));
            for (place, &patch) in order.iter().enumerate() {
                restore[image * patches + patch] = place as i64;
            }
            for &patch in &order[..kept] {
                visible.push(patch as i64);
                mask[image * patches + patch] = 0.0;
            }
            masked.extend(order[kept..].iter().map(|&patch| patch as i64));
        }
        let integers = |numbers: Vec<i64>, columns: usize| {
            let data = TensorData::new(numbers, [images, columns]);
            Tensor::<2, Int>::from_data(data, device)
        };
        Self {
            visible: integers(visible, kept),
            masked: integers(masked, patches - kept),
            restore: integers(restore, patches),
            mask: Tensor::from_data(TensorData::new(mask, [images, patches]), (device, dtype)),
        }
    }
}

/// ⌊L · (1 − `mask_ratio`)⌋ of `patches` L.
pub fn kept_of(patches: usize, mask_ratio: f64) -> usize {
    /// 10 · (1 − 0.8) is a little below 2 in binary numbers, and means 2.
    const ROUNDING: f64 = 1e-9;
    let kept = patches as f64 * (1.0 - mask_ratio) + ROUNDING;
    kept.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(tensor: &Tensor<2, Int>) -> Vec<i64> {
        tensor.clone().try_into_vec_as().unwrap()
    }

    #[test]
    fn the_seen_patches_are_those_with_the_least_noise_and_all_find_their_places() {
        let noise = [0.9, 0.1, 0.5, 0.3, 0.2, 0.8, 0.7, 0.4];
        let masking = Masking::of_noise(&noise, 4, 2, &Device::flex(), DType::F64);
        assert_eq!(integers(&masking.visible), [1, 3, 0, 3]);
        assert_eq!(integers(&masking.masked), [2, 0, 2, 1]);
        assert_eq!(integers(&masking.restore), [3, 0, 2, 1, 0, 3, 2, 1]);
        let mask: Vec<f64> = masking.mask.try_into_vec_as().unwrap();
        assert_eq!(mask, [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn patches_are_kept_in_whole_numbers() {
        assert_eq!(kept_of(64, 0.75), 16);
        assert_eq!(kept_of(196, 0.75), 49);
        assert_eq!(kept_of(196, 0.98), 3);
        assert_eq!(kept_of(10, 0.8), 2);
        assert_eq!(kept_of(16, 0.99), 0);
        assert_eq!(kept_of(16, 0.0), 16);
    }
}
