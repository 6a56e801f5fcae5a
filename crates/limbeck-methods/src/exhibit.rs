//! What a procedure has to show when its training has ended, before what it trained beside the student is
//! thrown away.

use burn::tensor::Tensor;

/// Images of which a part was hidden, as a method reconstructs them.
#[derive(Clone, Debug)]
pub struct Reconstruction {
    /// `[B, C, H, W]`, normalised as the scene's images are: these where they were seen, and what the
    /// method says of the rest.
    pub images: Tensor<4>,
    /// `[B, 1, H, W]`: 1 for pixels that were hidden, 0 for those that were seen.
    pub hidden: Tensor<4>,
    /// Whether the method learns pixels less their patch's mean and over its deviation, so that both had
    /// to be taken from the images.
    pub standardised: bool,
}

/// How near the positions of images are to each of some prototypes.
#[derive(Clone, Debug)]
pub struct Likeness {
    /// `[B, K, N]`: the greater, the nearer; of positions row by row.
    pub nearness: Tensor<3>,
    /// `[B, K, N]`: share of each prototype in each position; of a position they add up to 1.
    pub shares: Tensor<3>,
    /// Rows and columns of the positions; their product is N.
    pub grid: [usize; 2],
}
