//! What a forward pass costs.

/// Work and memory of one image, counted while a pass runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiply-accumulates of convolutions, linear maps and attention products; norms,
    /// activations, pooling and resizing are not counted.
    pub macs: u64,
    /// Numbers written by layers: what training keeps for the backward pass, about.
    pub activations: u64,
}
