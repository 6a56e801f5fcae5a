//! Weights in the order in which tiles read them.

use rayon::prelude::*;

use super::tile::TILE_OUTPUTS;

/// Weights that one task packs at least.
const TASK: usize = 1 << 14;

/// Weights as they lie in memory: in a group, that of an output, a channel and tap `t` of a phase
/// is at `output · output_step + channel · channel_step + elements[phase][t]`.
pub(super) struct Weights<'a> {
    /// Those of all groups, one after the other.
    pub values: &'a [f32],
    pub output_step: usize,
    pub channel_step: usize,
    pub elements: Vec<Vec<usize>>,
}

impl Weights<'_> {
    /// The weights of each group and phase, of so many outputs and channels to a group.
    pub fn pack(&self, groups: usize, outputs: usize, channels: usize) -> Vec<Vec<Packed>> {
        self.values
            .chunks_exact(self.values.len() / groups)
            .map(|values| {
                self.elements
                    .iter()
                    .map(|elements| self.pack_phase(values, elements, outputs, channels))
                    .collect()
            })
            .collect()
    }

    fn pack_phase(
        &self,
        values: &[f32],
        elements: &[usize],
        outputs: usize,
        channels: usize,
    ) -> Packed {
        let per_output = channels * elements.len();
        let blocks = blocks(outputs, per_output);
        let length = blocks.iter().map(|block| block.width * per_output).sum();
        let mut data = vec![0.0; length];
        let mut rest = data.as_mut_slice();
        let mut parts = Vec::with_capacity(blocks.len());
        for block in &blocks {
            let (part, behind) = rest.split_at_mut(block.width * per_output);
            parts.push((block, part));
            rest = behind;
        }
        if per_output == 0 {
            return Packed { data, blocks };
        }
        let least = TASK.div_ceil(TILE_OUTPUTS * per_output);
        parts
            .into_par_iter()
            .with_min_len(least)
            .for_each(|(block, part)| {
                let values = &values[block.first * self.output_step..];
                // A width that is known lets the compiler unroll the copy.
                match (block.count, block.width) {
                    (6, _) => self.copy::<6>(values, elements, part),
                    (4, _) => self.copy::<4>(values, elements, part),
                    (2, _) => self.copy::<2>(values, elements, part),
                    (count, width) => {
                        for output in 0..count {
                            let values = &values[output * self.output_step..];
                            let column = part[output..].iter_mut().step_by(width);
                            for (to, from) in column.zip(self.indices(elements)) {
                                *to = values[from];
                            }
                        }
                    }
                }
            });
        Packed { data, blocks }
    }

    /// Copies the weights of the first `WIDTH` outputs.
    fn copy<const WIDTH: usize>(&self, values: &[f32], elements: &[usize], to: &mut [f32]) {
        let (rows, _) = to.as_chunks_mut::<WIDTH>();
        for (row, start) in rows.iter_mut().zip(self.indices(elements)) {
            for (output, to) in row.iter_mut().enumerate() {
                *to = values[start + output * self.output_step];
            }
        }
    }

    /// Where the weights of an output are, in the order channel, tap, without end.
    fn indices(&self, elements: &[usize]) -> impl Iterator<Item = usize> {
        (0..)
            .step_by(self.channel_step)
            .flat_map(|channel| elements.iter().map(move |element| channel + element))
    }
}

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

/// Cuts `outputs` of `per_output` weights each into blocks.
fn blocks(outputs: usize, per_output: usize) -> Vec<Block> {
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
        offset += per_output * width;
    }
    blocks
}
