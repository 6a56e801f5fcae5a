//! The weight gradient of kernels that do not overlap, 1×1 ones among them: a product of the
//! output's gradient and the input's patches, summed over the output's positions.
//!
//! The patches of some positions at a time are copied one after the other; a tile then holds the
//! weights of six outputs and four vectors of a patch in registers, and adds one position after
//! the other. The gradient is read where it lies. Or, where that is cheaper, the other way round.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    Geometry,
    lanes::{exchange, turn},
    tile::{MOST_VECTORS, TILE_OUTPUTS},
};
use crate::{
    pieces::pieces_per_task,
    scratch::with_scratch,
    simd::{self, Kernel, MOST_LANES, Simd, prefetch},
};

/// Positions that are summed in one chain at least, whole images taken; there are at most
/// [`MOST_CHUNKS`] chains. Fixed, so that the sum does not depend on the number of threads.
const CHAIN: usize = 512;
const MOST_CHUNKS: usize = 8;
/// Patches that are copied at once: with four vectors of sixteen numbers of each 64 KiB.
const POSITIONS: usize = 256;

/// `x` `[B, C, H, W]`, `gradient` `[B, O, H', W']` of the output → `[O, C / groups, kh, kw]`.
pub(super) fn weight_gradient(x: &[f32], gradient: &[f32], geometry: &Geometry) -> Vec<f32> {
    let of_output = Geometry {
        channels: geometry.outputs,
        input: geometry.output,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        ..*geometry
    };
    let x = Patches::new(x, geometry);
    let gradient = Patches::new(gradient, &of_output);
    if is_exchanged(geometry) {
        let per_output = geometry.group_channels() * geometry.taps();
        return exchange(
            &product(&gradient, &x),
            per_output,
            geometry.group_outputs(),
        );
    }
    product(&x, &gradient)
}

/// Input and gradient are alike: what there is less of is cheaper to copy.
fn is_exchanged(geometry: &Geometry) -> bool {
    let outputs = geometry.group_outputs();
    if geometry.is_pointwise() {
        // Small maps would not make good for the exchange of the sums.
        return geometry.input_size() > simd::lanes() && geometry.outputs < geometry.channels;
    }
    // Larger patches are copied in small pieces, maps of the gradient by whole vectors. Few of those
    // would leave lanes idle.
    geometry.taps() > 1
        && geometry.output_size() >= simd::lanes()
        && outputs >= MOST_LANES
        && outputs < geometry.group_channels() * geometry.taps()
}

/// The products of what the `rows` read and of the patches of `panel`, which are copied:
/// `[group, row, weight of the patch]`.
fn product(panel: &Patches<'_>, rows: &Patches<'_>) -> Vec<f32> {
    let geometry = panel.geometry;
    let lanes = simd::lanes();
    let batch = geometry.batch;
    let (outputs, per_output) = (rows.weights.len(), panel.weights.len());
    let chunk = CHAIN
        .div_ceil(geometry.output_size())
        .max(batch.div_ceil(MOST_CHUNKS));
    let chunks = batch.div_ceil(chunk);
    let vectors = per_output.div_ceil(lanes);
    // Fewer chains than threads: cut the patches, which changes no sum.
    let parts = rayon::current_num_threads()
        .div_ceil(chunks * geometry.groups)
        .min(vectors);
    let part = vectors.div_ceil(parts) * lanes;
    let row = vectors * lanes;
    let all = geometry.groups * outputs;
    // `[chunk, group, part, row, weight]`, weights filled up to whole vectors.
    let mut sums = vec![0.0; chunks * all * row];
    sums.par_chunks_mut(outputs * row)
        .enumerate()
        .flat_map(|(index, sums)| {
            let first_image = index / geometry.groups * chunk;
            sums.par_chunks_mut(outputs * part)
                .enumerate()
                .map(move |(number, sums)| Unit {
                    patches: panel,
                    rows,
                    images: first_image..(first_image + chunk).min(batch),
                    group: index % geometry.groups,
                    first_weight: number * part,
                    sums,
                })
        })
        .for_each(Unit::compute);
    let mut total = vec![0.0; all * per_output];
    total
        .par_chunks_mut(per_output)
        .enumerate()
        .with_min_len(pieces_per_task(per_output))
        .for_each(|(output, total)| {
            let (group, output) = (output / outputs, output % outputs);
            for chunk in sums.chunks_exact(all * row) {
                let of_group = &chunk[group * outputs * row..][..outputs * row];
                let parts = of_group.chunks(outputs * part);
                for (total, sums) in total.chunks_mut(part).zip(parts) {
                    let width = sums.len() / outputs;
                    for (total, sum) in total.iter_mut().zip(&sums[output * width..]) {
                        *total += sum;
                    }
                }
            }
        });
    total
}

/// Where the patches lie in the input.
struct Patches<'a> {
    geometry: &'a Geometry,
    x: &'a [f32],
    /// Offset in a group's channels of what each weight `[C / groups, kh, kw]` multiplies at the
    /// first position, and what each position adds to that.
    weights: Vec<usize>,
    positions: Vec<usize>,
}

impl<'a> Patches<'a> {
    fn new(x: &'a [f32], geometry: &'a Geometry) -> Self {
        let width = geometry.input[1];
        let grid = |[rows, columns]: [usize; 2], [down, right]: [usize; 2]| {
            (0..rows).flat_map(move |row| {
                (0..columns).map(move |column| row * down * width + column * right)
            })
        };
        let size = geometry.input_size();
        Self {
            geometry,
            x,
            weights: (0..geometry.group_channels())
                .flat_map(|c| grid(geometry.kernel, [1, 1]).map(move |tap| c * size + tap))
                .collect(),
            positions: grid(geometry.output, geometry.stride).collect(),
        }
    }

    /// Whether so many positions of 1×1 patches are copied by [`turn`].
    fn turns<S: Simd>(&self, positions: usize) -> bool {
        let Geometry {
            kernel,
            stride,
            input,
            output,
            ..
        } = *self.geometry;
        if self.geometry.is_pointwise() {
            return positions >= S::LANES;
        }
        // Whole vectors of the input hold every other position of half a vector. Rows, and so pieces
        // of an image, end with such a half; where there are whole vectors of them, no half lies in
        // two rows.
        kernel == [1, 1]
            && self.geometry.padding == [0, 0]
            && stride[1] == 2
            && input[1] == 2 * output[1]
            && output[1].is_multiple_of(S::LANES / 2)
            && positions.is_multiple_of(S::LANES)
    }

    /// The channels of one group.
    fn input(&self, image: usize, group: usize) -> &'a [f32] {
        let length = self.geometry.group_channels() * self.geometry.input_size();
        &self.x[(image * self.geometry.groups + group) * length..][..length]
    }
}

/// What one task computes: the sums of a range of one group's weights over a chunk of images.
struct Unit<'a> {
    /// What is copied, and what is read in place.
    patches: &'a Patches<'a>,
    rows: &'a Patches<'a>,
    images: Range<usize>,
    group: usize,
    /// Of a row.
    first_weight: usize,
    /// `[row, weight]`, the weights filled up to whole vectors.
    sums: &'a mut [f32],
}

impl Unit<'_> {
    fn compute(self) {
        let panel = POSITIONS * MOST_VECTORS * MOST_LANES;
        with_scratch([panel, 0, 0], |[panel, _, _]| {
            let size = self.patches.geometry.output_size();
            let mut unit = self;
            // What is read in place in pieces comes from the first-level cache if all positions do.
            let most = match unit.rows.geometry.taps() {
                1 => POSITIONS,
                _ => POSITIONS / 4,
            };
            let pieces = size.div_ceil(most);
            let piece = size.div_ceil(pieces);
            let images = (most / size).max(1);
            for first in unit.images.clone().step_by(images) {
                let images = first..(first + images).min(unit.images.end);
                for start in (0..size).step_by(piece) {
                    simd::dispatch(Work {
                        unit: &mut unit,
                        images: images.clone(),
                        positions: start..(start + piece).min(size),
                        panel,
                    });
                }
            }
        });
    }
}

/// Adds the products of some positions of some images to a unit's sums.
struct Work<'u, 'a> {
    unit: &'u mut Unit<'a>,
    images: Range<usize>,
    positions: Range<usize>,
    /// Room for four vectors of the patch at every position.
    panel: &'u mut [f32],
}

impl Kernel for Work<'_, '_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let outputs = self.unit.rows.weights.len();
        let vectors = self.unit.sums.len() / outputs / S::LANES;
        let panels = vectors.div_ceil(S::TILE_VECTORS);
        let per_panel = vectors.div_ceil(panels);
        for first in (0..vectors).step_by(per_panel) {
            let count = per_panel.min(vectors - first);
            // SAFETY: as this function's own; there are at most `TILE_VECTORS` in a panel.
            unsafe {
                for vector in 0..count {
                    self.copy::<S>(first + vector, vector, count);
                }
                for output in (0..outputs).step_by(TILE_OUTPUTS) {
                    match count {
                        1 => self.tile::<S, 1>(output, first, vectors),
                        2 => self.tile::<S, 2>(output, first, vectors),
                        3 => self.tile::<S, 3>(output, first, vectors),
                        _ => self.tile::<S, 4>(output, first, vectors),
                    }
                }
            }
        }
    }
}

impl Work<'_, '_> {
    /// Copies one vector of the patch at every position to the panel `[image, position, vector,
    /// weight]`; weights that are not there are zero.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn copy<S: Simd>(&mut self, vector: usize, at: usize, vectors: usize) {
        let patches = self.unit.patches;
        let first = self.unit.first_weight + vector * S::LANES;
        let weights = &patches.weights[first..];
        let weights = &weights[..S::LANES.min(weights.len())];
        // Of fewer weights, far ones may lie as far apart as the ends of a whole vector.
        let whole = weights.len() == S::LANES;
        let neighbours = whole && weights[weights.len() - 1] - weights[0] == S::LANES - 1;
        let positions = &patches.positions[self.positions.clone()];
        let step = vectors * S::LANES;
        for (index, image) in self.images.clone().enumerate() {
            let input = patches.input(image, self.unit.group);
            let to = &mut self.panel[index * positions.len() * step..][..positions.len() * step];
            if patches.turns::<S>(positions.len()) {
                let stride = patches.geometry.stride[1];
                let to = &mut to[at * S::LANES..];
                // SAFETY: as this function's own; positions lie as `turns` has seen.
                unsafe { turn::<S>(input, weights, positions, stride, to, step) };
                continue;
            }
            for (position, to) in positions.iter().zip(to.chunks_exact_mut(step)) {
                let to = &mut to[at * S::LANES..][..S::LANES];
                if neighbours {
                    to.copy_from_slice(&input[position + weights[0]..][..S::LANES]);
                } else {
                    for (to, weight) in to.iter_mut().zip(weights) {
                        *to = input[position + weight];
                    }
                    to[weights.len()..].fill(0.0);
                }
            }
        }
    }

    /// Adds the panel's products with what the rows from `output` on read to their sums of the vectors
    /// from `first` on, of `vectors` in all.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; the panel must have `V` vectors.
    #[inline(always)]
    unsafe fn tile<S: Simd, const V: usize>(
        &mut self,
        output: usize,
        first: usize,
        vectors: usize,
    ) {
        let from = self.unit.rows;
        let outputs = from.weights.len();
        let positions = &from.positions[self.positions.clone()];
        let count = TILE_OUTPUTS.min(outputs - output);
        let length = self.positions.len();
        let panel = &self.panel[..self.images.len() * length * V * S::LANES];
        let images = panel.chunks_exact(length * V * S::LANES);
        let row = vectors * S::LANES;
        let sums = &mut self.unit.sums[output * row..(output + count) * row];
        // SAFETY: as this function's own; a panel holds `V` vectors at every position, a row of
        // sums all vectors, and the last position of the last row was seen to be there.
        unsafe {
            // Loops instead of closures: those would not have the instruction set.
            let mut tile = [[S::splat(0.0); V]; TILE_OUTPUTS];
            // Rows behind the last output repeat it, and are dropped.
            let mut rows = [0; TILE_OUTPUTS];
            for o in 0..TILE_OUTPUTS {
                rows[o] = from.weights[output + o.min(count - 1)];
                for v in 0..V {
                    let at = o.min(count - 1) * row + (first + v) * S::LANES;
                    tile[o][v] = S::load(sums[at..][..S::LANES].as_ptr());
                }
            }
            for (image, panel) in self.images.clone().zip(images) {
                let input = from.input(image, self.unit.group);
                prefetch_rows(from, input, output + count, length);
                assert!(rows[TILE_OUTPUTS - 1] + positions[length - 1] < input.len());
                let input = input.as_ptr();
                for (&at, position) in positions.iter().zip(panel.chunks_exact(V * S::LANES)) {
                    let mut x = [S::splat(0.0); V];
                    for v in 0..V {
                        x[v] = S::load(position.as_ptr().add(v * S::LANES));
                    }
                    for o in 0..TILE_OUTPUTS {
                        let factor = S::splat(*input.add(rows[o] + at));
                        for v in 0..V {
                            tile[o][v] = S::multiply_add(factor, x[v], tile[o][v]);
                        }
                    }
                }
            }
            for o in 0..count {
                for v in 0..V {
                    let at = o * row + (first + v) * S::LANES;
                    S::store(sums[at..][..S::LANES].as_mut_ptr(), tile[o][v]);
                }
            }
        }
    }
}

/// Asks for what tiles read a map behind row `row`, if whole maps of patches are read: `length` positions.
#[inline(always)]
fn prefetch_rows(rows: &Patches<'_>, input: &[f32], row: usize, length: usize) {
    let (taps, size) = (rows.geometry.taps(), rows.geometry.input_size());
    if taps > 1 && length == rows.positions.len() {
        let at = |row: usize| (size + row * size / taps).min(input.len());
        prefetch(&input[at(row)..at(row + TILE_OUTPUTS)]);
    }
}
