//! How the positions of a class attend to the image, averaged over them.

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_data::VOID;

use super::{Pooling, RowLayout};

/// Least squared length whose root is taken: below it, where both means are the same, there is no
/// gradient.
const LEAST_SQUARE: f64 = 1e-30;
/// The class whose positions are not compared.
const BACKGROUND: i64 = 0;

/// Classes of the pixels of a batch, on the host.
#[derive(Clone, Debug)]
pub struct Labels {
    ids: Vec<i64>,
    size: [usize; 2],
}

impl Labels {
    /// Of masks `[B, H, W]`.
    pub fn of(masks: &Tensor<3, Int>) -> Self {
        let [_, height, width] = masks.dims();
        Self {
            ids: masks.to_data().iter::<i64>().collect(),
            size: [height, width],
        }
    }

    /// Those of each image on a grid `[rows, columns]`, row by row: the pixel ⌊(k + ½)·H/rows⌋, as PIL
    /// takes it.
    pub fn reduced(&self, [rows, columns]: [usize; 2]) -> Vec<Vec<i64>> {
        let [height, width] = self.size;
        let at = |k: usize, side: usize, count: usize| (2 * k + 1) * side / (2 * count);
        let images = self.ids.chunks(height * width);
        images
            .map(|ids| {
                let row = |i| {
                    let start = at(i, height, rows) * width;
                    (0..columns).map(move |j| start + at(j, width, columns))
                };
                let places = (0..rows).flat_map(row);
                places.filter_map(|place| ids.get(place).copied()).collect()
            })
            .collect()
    }
}

/// The comparison of attention.
#[derive(Clone, Copy, Debug)]
pub struct AttentionTransfer {
    /// Over what rows are averaged.
    pub pooling: Pooling,
    /// Which row belongs to which position and head.
    pub layout: RowLayout,
}

impl AttentionTransfer {
    /// The mean over the stages, `[1]`, of what the attention of student and teacher differs by,
    /// `[B, heads, L, K]` each, with L the positions of the stage's grid.
    pub fn loss(
        &self,
        student: &[Tensor<4>],
        teacher: &[Tensor<4>],
        grids: &[[usize; 2]],
        labels: &Labels,
    ) -> Tensor<1> {
        let both = student.iter().zip(teacher).zip(grids);
        let stages = both.map(|((student, teacher), &grid)| {
            let (student, teacher) = (self.rows(student), self.rows(teacher));
            match self.pooling {
                Pooling::None => distances(student - teacher).mean(),
                Pooling::Global => distances((student - teacher).mean_dim(2)).mean(),
                Pooling::Class => by_class(&student, &teacher, &labels.reduced(grid)),
            }
        });
        Tensor::cat(stages.collect(), 0).mean()
    }

    /// Rows in the places of their heads and positions.
    fn rows(&self, attention: &Tensor<4>) -> Tensor<4> {
        let [batch, heads, positions, keys] = attention.dims();
        match self.layout {
            RowLayout::Permuted => attention.clone(),
            RowLayout::Released => attention
                .clone()
                .reshape([batch, positions, heads, keys])
                .swap_dims(1, 2),
        }
    }
}

/// Lengths of the vectors along the last axis, `[A, B, C, K]` → `[A, B, C, 1]`.
fn distances(differences: Tensor<4>) -> Tensor<4> {
    let squares = differences.square().sum_dim(3);
    squares.clamp_min(LEAST_SQUARE).sqrt()
}

/// Mean over the images, `[1]`, of the mean over their classes and the heads.
fn by_class(student: &Tensor<4>, teacher: &Tensor<4>, labels: &[Vec<i64>]) -> Tensor<1> {
    let [batch, heads, positions, keys] = student.dims();
    let mut sum = student.clone().sum().mul_scalar(0.0);
    for (image, labels) in labels.iter().enumerate() {
        let Some(shares) = shares(labels, student) else {
            continue;
        };
        let [classes, _] = shares.dims();
        let shares = shares
            .reshape([1, 1, classes, positions])
            .expand([1, heads, classes, positions]);
        let of = |attention: &Tensor<4>| attention.clone().narrow(0, image, 1);
        let difference = of(student) - of(teacher);
        let difference = difference.reshape([1, heads, positions, keys]);
        sum = sum + distances(shares.matmul(difference)).mean();
    }
    sum.div_scalar(batch as f64)
}

/// Share of each position in the mean of its class, `[P, L]`, for the P classes of an image that are
/// neither background nor void; `None` where it has none.
fn shares(labels: &[i64], like: &Tensor<4>) -> Option<Tensor<2>> {
    let mut classes: Vec<i64> = labels.to_vec();
    classes.sort_unstable();
    classes.dedup();
    classes.retain(|&class| class != BACKGROUND && class != i64::from(VOID));
    if classes.is_empty() {
        return None;
    }
    let mut shares = Vec::with_capacity(classes.len() * labels.len());
    for &class in &classes {
        let count = labels.iter().filter(|&&label| label == class).count();
        let share = 1.0 / count as f64;
        let of = |&label: &i64| if label == class { share } else { 0.0 };
        shares.extend(labels.iter().map(of));
    }
    let data = TensorData::new(shares, [classes.len(), labels.len()]);
    Some(Tensor::from_data(data, (&like.device(), like.dtype())))
}
