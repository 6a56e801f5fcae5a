//! Weights in the order in which tiles read them.

use super::tile::TILE_OUTPUTS;

/// The weights of one group and phase, in the order in which tiles read them:
/// `[block, channel, tap, output of the block]`.
pub(super) struct Packed {
    pub data: Vec<f32>,
    pub blocks: Vec<Block>,
}

/// Neighbouring output channels that one tile computes.
#[derive(Clone, Copy)]
pub(super) struct Block {
    pub first: usize,
    pub count: usize,
    /// `count` filled up with zero weights to 2, 4 or 6.
    pub width: usize,
    pub offset: usize,
}

impl Packed {
    /// `weight(output, channel, tap)` for the outputs, channels and taps of the phase.
    pub fn new(
        outputs: usize,
        channels: usize,
        taps: usize,
        weight: impl Fn(usize, usize, usize) -> f32,
    ) -> Self {
        let mut blocks = Vec::new();
        let mut first = 0;
        let mut offset = 0;
        while first < outputs {
            let left = outputs - first;
            let width = match left {
                1 | 2 => 2,
                3 | 4 | 7 | 8 => 4,
                _ => TILE_OUTPUTS,
            };
            let count = width.min(left);
            blocks.push(Block {
                first,
                count,
                width,
                offset,
            });
            first += count;
            offset += channels * taps * width;
        }
        let mut data = vec![0.0; offset];
        for block in &blocks {
            let rows = data[block.offset..].chunks_exact_mut(block.width);
            let elements = (0..channels).flat_map(|c| (0..taps).map(move |t| (c, t)));
            for (row, (channel, tap)) in rows.zip(elements) {
                for (i, value) in row[..block.count].iter_mut().enumerate() {
                    *value = weight(block.first + i, channel, tap);
                }
            }
        }
        Self { data, blocks }
    }
}
