//! Sums of products of bytes in registers, a tile of output positions and channels at a time.

use std::ops::Range;

use super::{
    instructions::{Bytes, Kernel, MOST_LANES},
    requantise::{Requantise, Residual},
    strip::Strip,
    target::Target,
    weights::{PackedWeights, Panel},
};

/// Rows of the largest tile.
const MOST_ROWS: usize = 14;

/// Sums of the largest tile in any instruction set.
const MOST_SUMS: usize = MOST_ROWS * 2 * MOST_LANES;

/// Sums of a tile in memory.
#[repr(align(64))]
struct Sums([i32; MOST_SUMS]);

/// Bytes of weights that stay in the first-level cache while positions are gone through.
const NEAR: usize = 20 << 10;

/// The product of the windows of some output positions with some panels of weights.
pub(super) struct Tiles<'a> {
    pub strip: &'a Strip<'a>,
    /// Where each segment begins in a window, of the first group.
    pub segments: &'a [usize],
    /// Input channels of a group.
    pub group_channels: usize,
    pub weights: &'a PackedWeights,
    pub panels: Range<usize>,
    pub finish: &'a Requantise,
    pub residual: Option<Residual<'a>>,
    pub target: Target,
    /// Output channels of all groups.
    pub outputs: usize,
    /// Output positions, counted through all images.
    pub positions: Range<usize>,
}

impl Kernel for Tiles<'_> {
    #[inline(always)]
    unsafe fn run<S: Bytes>(self) {
        let panels = &self.weights.panels[self.panels.clone()];
        let count = self.positions.len();
        let pieces = (0..count).step_by(S::ROWS);
        // SAFETY: as this function's own, and what is said of `Tiles`.
        unsafe {
            if self.weights.size() <= NEAR {
                for piece in pieces {
                    for panel in panels {
                        self.panel::<S>(panel, piece);
                    }
                }
            } else {
                for panel in panels {
                    for piece in pieces.clone() {
                        self.panel::<S>(panel, piece);
                    }
                }
            }
        }
    }
}

impl Tiles<'_> {
    /// One tile's rows from the position `piece` of this task on, by a panel's columns.
    #[inline(always)]
    unsafe fn panel<S: Bytes>(&self, panel: &Panel, piece: usize) {
        let rows = (self.positions.len() - piece).min(S::ROWS);
        let mut column = 0;
        while column < panel.outputs {
            let wide = panel.width - column >= 2 * S::LANES;
            // SAFETY: as this function's own: the columns lie in the panel.
            unsafe {
                match (wide, S::ROWS) {
                    (true, 14) if rows > 7 => self.tile::<S, 2, 14>(panel, piece, rows, column),
                    (false, 14) if rows > 7 => self.tile::<S, 1, 14>(panel, piece, rows, column),
                    (true, 14) if rows > 4 => self.tile::<S, 2, 7>(panel, piece, rows, column),
                    (false, 14) if rows > 4 => self.tile::<S, 1, 7>(panel, piece, rows, column),
                    (true, 6) => self.tile::<S, 2, 6>(panel, piece, rows, column),
                    (true, _) => self.tile::<S, 2, 4>(panel, piece, rows, column),
                    (false, 6) => self.tile::<S, 1, 6>(panel, piece, rows, column),
                    (false, _) => self.tile::<S, 1, 4>(panel, piece, rows, column),
                }
            }
            column += if wide { 2 } else { 1 } * S::LANES;
        }
    }

    /// `R` rows of `V` vectors, of which `rows` are written.
    #[inline(always)]
    unsafe fn tile<S: Bytes, const V: usize, const R: usize>(
        &self,
        panel: &Panel,
        piece: usize,
        rows: usize,
        column: usize,
    ) {
        debug_assert!(R <= MOST_ROWS && rows <= R);
        let first = panel.first + column;
        // SAFETY: the windows lie in the strip, which has its slack; the panel has a line for each step;
        // the lists of `Requantise` are longer than the channels by two vectors.
        unsafe {
            let base = self
                .strip
                .bytes
                .as_ptr()
                .add(panel.group * self.group_channels);
            let places = &self.strip.places[piece..piece + R];
            // Loops, not closures: the instruction set does not reach into these.
            let mut windows = [base; R];
            for r in 0..R {
                windows[r] = base.add(places[r]);
            }
            let start = self.finish.start.as_ptr().add(first);
            let mut sums = [[S::load(start); V]; R];
            for v in 1..V {
                for r in 0..R {
                    sums[r][v] = S::load(start.add(v * S::LANES));
                }
            }
            let mut weights = self.weights.start(panel).add(4 * column);
            let pitch = 4 * panel.width;
            for (&segment, &steps) in self.segments.iter().zip(&self.weights.steps) {
                for at in (segment..segment + 4 * steps).step_by(4) {
                    let mut signed = [S::signed(weights); V];
                    for v in 1..V {
                        signed[v] = S::signed(weights.add(4 * v * S::LANES));
                    }
                    for r in 0..R {
                        let repeated = S::repeated(windows[r].add(at));
                        for v in 0..V {
                            sums[r][v] = S::dot(sums[r][v], repeated, signed[v]);
                        }
                    }
                    weights = weights.add(pitch);
                }
            }
            // By way of memory: whatever goes through the sums by number would keep them out of the
            // registers.
            let mut room = Sums([0; MOST_SUMS]);
            let kept = room.0.as_mut_ptr();
            for r in 0..R {
                for v in 0..V {
                    S::keep(kept.add((r * V + v) * S::LANES), sums[r][v]);
                }
            }
            let position = self.positions.start + piece;
            let columns = panel.outputs - column;
            match self.target {
                Target::Bytes(to) => {
                    for index in (0..R * V).step_by(4) {
                        let line = &self.finish.of_bytes;
                        let mut four = [line.of::<S>(S::load(kept), first); 4];
                        let mut places = [(0, 0); 4];
                        for i in 0..4 {
                            let index = (index + i).min(R * V - 1);
                            let (row, v) = (index / V, index % V);
                            let place = (position + row.min(rows - 1)) * self.outputs;
                            let place = place + first + v * S::LANES;
                            let lanes = columns.saturating_sub(v * S::LANES).min(S::LANES);
                            places[i] = (place, if row < rows { lanes } else { 0 });
                            let sums = S::load(kept.add(index * S::LANES));
                            four[i] = line.of::<S>(sums, first + v * S::LANES);
                            if let Some(residual) = self.residual {
                                four[i] = residual.add::<S>(four[i], place);
                            }
                        }
                        Target::write_four::<S>(to, four, self.finish.range, places);
                    }
                }
                Target::Numbers(to) => {
                    for index in 0..rows * V {
                        let (row, v) = (index / V, index % V);
                        let lanes = columns.saturating_sub(v * S::LANES).min(S::LANES);
                        let at = (position + row) * self.outputs + first + v * S::LANES;
                        let sums = S::load(kept.add(index * S::LANES));
                        let numbers = self.finish.of_numbers.of::<S>(sums, first + v * S::LANES);
                        Target::write_numbers::<S>(to.add(at), numbers, lanes, self.finish);
                    }
                }
            }
        }
    }
}
