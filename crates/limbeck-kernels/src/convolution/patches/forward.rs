//! The forward pass of patches.

use super::{Cut, Part, Share, part_of, tile::Panel, tiles};
use crate::{
    convolution::{
        Finish, Geometry,
        pack::{Packed, Weights},
        tile::TILE_OUTPUTS,
    },
    scratch::with_scratch,
    simd::{self, Kernel, MOST_LANES, Simd, prefetch},
};

/// `x` `[B, C, H, W]`, `weight` `[O, C / groups, kh, kw]` → `[B, O, H', W']`.
pub(in crate::convolution) fn forward(
    x: &[f32],
    weight: &[f32],
    finish: Finish<'_>,
    geometry: &Geometry,
) -> Vec<f32> {
    let per_output = geometry.group_channels() * geometry.taps();
    let weights = Weights {
        values: weight,
        output_step: per_output,
        channel_step: 1,
        elements: vec![vec![0]],
    };
    let packed = weights.pack(geometry.groups, geometry.group_outputs(), per_output);
    let cut = Cut::new(geometry);
    let parts = |parts: usize| -> Vec<Part> {
        let blocks = &packed[0][0].blocks;
        blocks
            .chunks(blocks.len().div_ceil(parts))
            .map(|blocks| Part {
                blocks: blocks.to_vec(),
                maps: blocks.iter().map(|block| block.count).sum(),
            })
            .collect()
    };
    cut.run(geometry.output_size(), parts, |share, part| {
        let pitch = cut.pitch();
        let depth = cut.depth(pitch).min(per_output);
        let counts = [
            depth * pitch + MOST_LANES,
            (part.maps + TILE_OUTPUTS) * pitch + MOST_LANES,
            cut.strip(0).room(),
        ];
        with_scratch(counts, |[panel, sums, room]| {
            simd::dispatch(Forward {
                cut: &cut,
                x,
                packed: &packed[share.group][0],
                finish,
                share,
                part,
                panel,
                sums,
                room,
            });
        });
    })
}

struct Forward<'a, 'y> {
    cut: &'a Cut<'a>,
    x: &'a [f32],
    packed: &'a Packed,
    finish: Finish<'a>,
    share: &'a mut Share<'y>,
    part: &'a Part,
    /// `[kernel element, position]`.
    panel: &'a mut [f32],
    /// `[output, position]`.
    sums: &'a mut [f32],
    room: &'a mut [f32],
}

impl Kernel for Forward<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            cut,
            packed,
            share,
            part,
            ..
        } = self;
        let geometry = cut.geometry;
        let [height, width] = geometry.kernel;
        let pitch = cut.pitch();
        let images = share.maps.len();
        let lines = geometry.group_channels() * height;
        let at_once = cut.depth(pitch) / width;
        let first_output = part.blocks[0].first;
        for first_row in (0..geometry.output[0]).step_by(cut.rows) {
            let strip = cut.strip(first_row);
            let count = strip.count();
            let tiles = tiles::<S>(images * count);
            let turns = part.blocks.len() * tiles.clone().count();
            // What row `line % height` of the patches of channel `line / height` is copied from.
            let source = |line: usize, image: usize| {
                let map = (share.first_image + image) * geometry.channels
                    + share.group * geometry.group_channels()
                    + line / height;
                let start = map * geometry.input_size() + first_row * height * geometry.input[1];
                &self.x[start..(map + 1) * geometry.input_size()]
            };
            for first in (0..lines).step_by(at_once) {
                let end = lines.min(first + at_once);
                for line in first..end {
                    for image in 0..images {
                        let to = &mut self.panel[(line - first) * width * pitch + image * count..];
                        let map = source(line, image);
                        // SAFETY: as this function's own.
                        unsafe { strip.take_apart::<S>(map, line % height, to, pitch, self.room) };
                    }
                }
                let next = end..lines.min(end + at_once);
                let panel = Panel {
                    from: self.panel.as_ptr(),
                    depth: (end - first) * width,
                    pitch,
                    to: self.sums.as_mut_ptr(),
                };
                let mut turn = 0;
                for (column, vectors) in tiles.clone() {
                    for block in &part.blocks {
                        // What is copied next comes from memory meanwhile.
                        for line in part_of(&next, turn, turns) {
                            for image in 0..images {
                                let map = source(line, image);
                                for row in 0..strip.rows {
                                    let at = (row * height + line % height) * strip.width;
                                    prefetch(&map[at..][..strip.columns * width]);
                                }
                            }
                        }
                        turn += 1;
                        let mut bias = [0.0; TILE_OUTPUTS];
                        if let Some(all) = self.finish.bias {
                            let at = share.group * geometry.group_outputs() + block.first;
                            bias[..block.count].copy_from_slice(&all[at..at + block.count]);
                        }
                        let start = (first == 0).then_some(&bias);
                        let weights = &packed.data[block.offset + first * width * block.width..];
                        let to = (block.first - first_output) * pitch;
                        assert!(to + block.width * pitch <= self.sums.len());
                        // SAFETY: as this function's own; the panel was filled, and rows of outputs
                        // have room.
                        unsafe {
                            let panel = Panel {
                                to: panel.to.add(to),
                                ..panel
                            };
                            panel.multiply::<S>(block, weights, start, column, vectors);
                        }
                    }
                }
            }
            let size = geometry.output_size();
            for (image, maps) in share.maps.iter_mut().enumerate() {
                let map = (share.first_image + image) * geometry.outputs
                    + share.group * geometry.group_outputs()
                    + first_output;
                for output in 0..part.maps {
                    let at = first_row * strip.columns;
                    let to = &mut maps[output * size + at..][..count];
                    let sums = &self.sums[output * pitch + image * count..];
                    let residual = self
                        .finish
                        .residual
                        .map(|residual| &residual[(map + output) * size + at..][..count]);
                    for at in (0..count).step_by(S::LANES) {
                        // SAFETY: as this function's own; sums reach over the last position.
                        unsafe {
                            let mut sum = S::load(sums[at..][..S::LANES].as_ptr());
                            if let Some(residual) = residual {
                                sum = S::add(sum, S::load_part(residual, at));
                            }
                            S::store_part(to, at, self.finish.activation.of::<S>(sum));
                        }
                    }
                }
            }
        }
    }
}
