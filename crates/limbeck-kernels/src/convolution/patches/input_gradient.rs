//! The input gradient of patches.

use std::mem::MaybeUninit;

use super::{Cut, Part, Share, part_of, tile::Panel, tiles};
use crate::{
    convolution::{
        Geometry,
        pack::{Packed, Weights},
        tile::TILE_OUTPUTS,
    },
    scratch::with_scratch,
    simd::{self, Kernel, MOST_LANES, Simd},
};

/// Rows of an input gradient that are computed before patches are put together, at least.
const ROWS: usize = 48;

/// `gradient` `[B, O, H', W']` of the output, `weight` `[O, C / groups, kh, kw]` → `[B, C, H, W]`.
pub(in crate::convolution) fn input_gradient(
    gradient: &[f32],
    weight: &[f32],
    geometry: &Geometry,
) -> Vec<f32> {
    let taps = geometry.taps();
    let rows = geometry.group_channels() * taps;
    let weights = Weights {
        values: weight,
        output_step: 1,
        channel_step: rows,
        elements: vec![vec![0]],
    };
    let packed = weights.pack(geometry.groups, rows, geometry.group_outputs());
    let cut = Cut::new(geometry);
    // Channels whose rows are whole blocks. Those behind have more rows than a block, so that none is
    // cut where channels end.
    let whole = (1..=TILE_OUTPUTS)
        .find(|channels| (channels * taps).is_multiple_of(TILE_OUTPUTS))
        .unwrap_or(TILE_OUTPUTS);
    let channels = ROWS.div_ceil(whole * taps) * whole;
    let parts = |parts: usize| -> Vec<Part> {
        let all = geometry.group_channels();
        let part = all.div_ceil(parts).next_multiple_of(channels);
        (0..all)
            .step_by(part)
            .map(|first| {
                let maps = part.min(all - first);
                let rows = first * taps..(first + maps) * taps;
                let blocks = packed[0][0].blocks.iter();
                Part {
                    blocks: blocks
                        .filter(|block| rows.contains(&block.first))
                        .copied()
                        .collect(),
                    maps,
                }
            })
            .collect()
    };
    cut.run(geometry.input_size(), parts, |share, part| {
        let pitch = cut.pitch();
        let counts = [
            geometry.group_outputs() * pitch + MOST_LANES,
            (channels * taps + TILE_OUTPUTS) * pitch + MOST_LANES,
            cut.strip(0).room(),
        ];
        with_scratch(counts, |[panel, sums, room]| {
            simd::dispatch(InputGradient {
                cut: &cut,
                gradient,
                packed: &packed[share.group][0],
                channels,
                share,
                part,
                panel,
                sums,
                room,
            });
        });
    })
}

struct InputGradient<'a, 'y> {
    cut: &'a Cut<'a>,
    gradient: &'a [f32],
    packed: &'a Packed,
    /// Channels that are computed before their patches are put together.
    channels: usize,
    share: &'a mut Share<'y>,
    part: &'a Part,
    /// `[output, position]`.
    panel: &'a mut [f32],
    /// `[channel, kernel element, position]`.
    sums: &'a mut [f32],
    room: &'a mut [f32],
}

impl Kernel for InputGradient<'_, '_> {
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
        let ([height, width], taps) = (geometry.kernel, geometry.taps());
        let pitch = cut.pitch();
        let images = share.maps.len();
        let outputs = geometry.group_outputs();
        let size = geometry.input_size();
        let first_channel = part.blocks[0].first / taps;
        for first_row in (0..geometry.output[0]).step_by(cut.rows) {
            let strip = cut.strip(first_row);
            let count = strip.count();
            for output in 0..outputs {
                for image in 0..images {
                    let map = (share.first_image + image) * geometry.outputs
                        + share.group * outputs
                        + output;
                    let at = map * geometry.output_size() + first_row * strip.columns;
                    let from = &self.gradient[at..][..count];
                    let to = &mut self.panel[output * pitch + image * count..];
                    for at in (0..count).step_by(S::LANES) {
                        // SAFETY: as this function's own; rows have room for whole vectors.
                        unsafe {
                            let values = S::load_part(from, at);
                            S::store(to[at..][..S::LANES].as_mut_ptr(), values);
                        }
                    }
                }
            }
            let mut blocks = part.blocks.as_slice();
            for first in (0..part.maps).step_by(self.channels) {
                let channels = self.channels.min(part.maps - first);
                let first_block = (first_channel + first) * taps;
                let behind = first_block + channels * taps;
                let of_channels = &blocks[..blocks.iter().take_while(|b| b.first < behind).count()];
                blocks = &blocks[of_channels.len()..];
                let tiles = tiles::<S>(images * count);
                let turns = of_channels.len() * tiles.clone().count();
                let rows = strip.rows * height;
                // Of a channel the strip's numbers.
                let top = first_row * height * strip.width;
                let mut turn = 0;
                for (column, vectors) in tiles {
                    for block in of_channels {
                        // What is written next is asked for meanwhile.
                        for line in part_of(&(0..channels * rows), turn, turns) {
                            let at = (first + line / rows) * size + top;
                            let at = at + line % rows * strip.width;
                            for maps in &share.maps {
                                prefetch_room(&maps[at..][..strip.width]);
                            }
                        }
                        turn += 1;
                        let to = (block.first - first_block) * pitch;
                        assert!(to + block.width * pitch <= self.sums.len());
                        // SAFETY: as this function's own; the panel was filled, and rows of sums
                        // have room.
                        unsafe {
                            let panel = Panel {
                                from: self.panel.as_ptr(),
                                depth: outputs,
                                pitch,
                                to: self.sums.as_mut_ptr().add(to),
                            };
                            let weights = &packed.data[block.offset..];
                            let start = Some(&[0.0; TILE_OUTPUTS]);
                            panel.multiply::<S>(block, weights, start, column, vectors);
                        }
                    }
                }
                for channel in 0..channels {
                    for (image, maps) in share.maps.iter_mut().enumerate() {
                        let map = &mut maps[(first + channel) * size..][..size][top..];
                        for row in 0..height {
                            let at = (channel * taps + row * width) * pitch + image * count;
                            let from = &self.sums[at..];
                            // SAFETY: as this function's own.
                            unsafe {
                                strip.put_together::<S>(from, pitch, map, row, self.room);
                            }
                        }
                        if first_row + strip.rows == geometry.output[0] {
                            // Rows that no patch covers.
                            map[rows * strip.width..].fill(MaybeUninit::new(0.0));
                        }
                    }
                }
            }
        }
    }
}

/// Asks for numbers that are to be written.
#[inline(always)]
fn prefetch_room(room: &[MaybeUninit<f32>]) {
    for line in room.chunks(MOST_LANES) {
        simd::prefetch_near(line.as_ptr().cast());
    }
}
