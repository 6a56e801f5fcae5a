//! Latents to entries of a codebook.

use burn::tensor::{Int, Tensor};
use limbeck_nn::Feature;

/// Latents and the codes that stand for them.
#[derive(Clone, Debug)]
pub struct Quantised {
    /// Number of each position's code, `[B, H, W]`.
    pub index: Tensor<3, Int>,
    /// The codes `[B, D, H, W]`; gradients flow into the codebook.
    pub codes: Tensor<4>,
    /// The same numbers; gradients flow into the latents as they come.
    pub straight_through: Tensor<4>,
    /// mean ‖sg(z) − e‖² over all numbers, `[1]`: draws codes to latents.
    pub codebook_loss: Tensor<1>,
    /// mean ‖z − sg(e)‖² over all numbers, `[1]`: draws latents to codes.
    pub commitment_loss: Tensor<1>,
}

/// Of the codes `[K, D]` the one nearest to each row `[R, D]` by squared distance, the first of several:
/// `[R]`.
pub fn nearest(rows: Tensor<2>, codebook: Tensor<2>) -> Tensor<1, Int> {
    let (rows, codebook) = (rows.inner(), codebook.inner());
    let [count, _] = rows.dims();
    let [codes, _] = codebook.dims();
    // ‖z‖² is the same for all codes.
    let lengths = codebook.clone().square().sum_dim(1).reshape([1, codes]);
    let distances = lengths - rows.matmul(codebook.transpose()).mul_scalar(2.0);
    distances.argmin(1).reshape([count])
}

/// Quantises `latent` `[B, D, H, W]` by the codes `[K, D]`.
pub fn quantise(latent: Tensor<4>, codebook: Tensor<2>) -> Quantised {
    let [batch, width, height, columns] = latent.dims();
    let rows = Feature::Map(latent.clone()).to_rows();
    let index = nearest(rows, codebook.clone());
    let codes = codebook
        .select(0, index.clone())
        .reshape([batch, height, columns, width])
        .permute([0, 3, 1, 2]);
    let constant = latent.clone().inner();
    // Not `mean`: its gradient divides in single precision.
    let share = 1.0 / (batch * width * height * columns).max(1) as f64;
    let apart = |difference: Tensor<4>| difference.square().sum().mul_scalar(share);
    let codebook_loss = apart(codes.clone() - constant.clone());
    let fixed = codes.clone().inner();
    let commitment_loss = apart(latent.clone() - fixed.clone());
    let straight_through = latent + (fixed - constant);
    Quantised {
        index: index.reshape([batch, height, columns]),
        codes,
        straight_through,
        codebook_loss,
        commitment_loss,
    }
}
