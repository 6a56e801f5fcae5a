//! Centred kernel alignment: how alike two networks see a batch of images.

use burn::tensor::{DType, Tensor};

/// Products of all pairs of images' features, flat `[n · n]`, in double precision on the host.
struct Gram {
    images: usize,
    numbers: Vec<f64>,
}

impl Gram {
    /// Linear kernel of the maps `[n, C, H, W]`, flattened image by image.
    fn new(maps: &Tensor<4>) -> Self {
        let [images, channels, height, width] = maps.dims();
        let rows = maps.clone().inner().cast(DType::F64);
        let rows = rows.reshape([images, channels * height * width]);
        let products = rows.clone().matmul(rows.transpose());
        Self {
            images,
            numbers: products.into_data().iter().collect(),
        }
    }

    fn row_sums(&self) -> Vec<f64> {
        let rows = self.numbers.chunks_exact(self.images.max(1));
        rows.map(|row| row.iter().sum()).collect()
    }

    /// As if the features had been centred over the images: H·K·H.
    #[cfg(test)]
    fn centred(mut self) -> Self {
        let count = self.images as f64;
        let sums = self.row_sums();
        let all = sums.iter().sum::<f64>() / (count * count);
        for (i, number) in self.numbers.iter_mut().enumerate() {
            let (row, column) = (i / self.images, i % self.images);
            *number += all - (sums[row] + sums[column]) / count;
        }
        self
    }

    /// With zeros on the diagonal.
    fn hollow(mut self) -> Self {
        for image in 0..self.images {
            self.numbers[image * self.images + image] = 0.0;
        }
        self
    }

    /// Sum of the products of all numbers.
    fn dot(&self, other: &Self) -> f64 {
        let pairs = self.numbers.iter().zip(&other.numbers);
        pairs.map(|(a, b)| a * b).sum()
    }

    /// Song et al.'s unbiased estimator HSIC₁ of two hollow kernels of at least 4 images
    /// ("Feature Selection via Dependence Maximization", JMLR 2012, equation 5).
    fn unbiased_hsic(&self, other: &Self) -> f64 {
        let n = self.images as f64;
        let (own, others) = (self.row_sums(), other.row_sums());
        let totals = own.iter().sum::<f64>() * others.iter().sum::<f64>();
        let rows: f64 = own.iter().zip(&others).map(|(a, b)| a * b).sum();
        let sum = self.dot(other) + totals / ((n - 1.0) * (n - 2.0)) - 2.0 / (n - 2.0) * rows;
        sum / (n * (n - 3.0))
    }
}

/// Linear CKA of two batches of maps, each `[n, C, H, W]` with shapes of their own, between 0 and
/// 1; 0 where the features of one do not differ between images.
///
/// Kornblith, Norouzi, Lee, Hinton. "Similarity of Neural Network Representations Revisited". ICML
/// 2019, section 3.
#[cfg(test)]
pub fn linear_alignment(student: &Tensor<4>, teacher: &Tensor<4>) -> f64 {
    let (student, teacher) = (Gram::new(student).centred(), Gram::new(teacher).centred());
    quotient(
        student.dot(&teacher),
        student.dot(&student),
        teacher.dot(&teacher),
    )
}

/// The same with unbiased estimates, which may lie outside 0 to 1 a little; `None` for fewer than
/// 4 images, for which there are none.
///
/// Nguyen, Raghu, Kornblith. "Do Wide and Deep Networks Learn the Same Things?". ICLR 2021,
/// equations 2 and 3.
pub fn unbiased_alignment(student: &Tensor<4>, teacher: &Tensor<4>) -> Option<f64> {
    if student.dims()[0] < 4 {
        return None;
    }
    let (student, teacher) = (Gram::new(student).hollow(), Gram::new(teacher).hollow());
    Some(quotient(
        student.unbiased_hsic(&teacher),
        student.unbiased_hsic(&student),
        teacher.unbiased_hsic(&teacher),
    ))
}

/// `both / √(one · other)`; 0 where that is not a number.
fn quotient(both: f64, one: f64, other: f64) -> f64 {
    let quotient = both / (one * other).sqrt();
    if quotient.is_finite() { quotient } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, random, tensor};

    #[test]
    fn rotated_scaled_and_moved_features_are_alike() {
        let features = random("x", [6, 2, 1, 1]);
        let (sin, cos) = (0.7f64.sin(), 0.7f64.cos());
        let rotation = tensor(vec![cos, sin, -sin, cos], [2, 2]).mul_scalar(3.0);
        let moved = features.clone().reshape([6, 2]).matmul(rotation);
        let moved = moved.add_scalar(5.0).reshape([6, 2, 1, 1]);
        assert_close(&[linear_alignment(&features, &moved)], &[1.0]);
        assert_close(&[unbiased_alignment(&features, &moved).unwrap()], &[1.0]);
    }

    #[test]
    fn the_biased_form_lies_between_zero_and_one() {
        for seed in 0..10 {
            let student = random(&format!("s{seed}"), [5, 3, 2, 2]);
            let teacher = random(&format!("t{seed}"), [5, 4, 1, 2]);
            let alignment = linear_alignment(&student, &teacher);
            assert!((0.0..=1.0).contains(&alignment), "{alignment}");
        }
    }

    #[test]
    fn constant_features_are_like_nothing_and_few_images_have_no_unbiased_form() {
        let features = random("x", [5, 3, 2, 2]);
        let constant = Tensor::zeros_like(&features);
        assert_eq!(linear_alignment(&features, &constant), 0.0);
        assert_eq!(unbiased_alignment(&features, &constant), Some(0.0));
        let few = features.narrow(0, 0, 3);
        assert_eq!(unbiased_alignment(&few, &few), None);
    }
}
