//! Kernels as large as their stride: products of patches that lie side by side.
//!
//! Some kernel elements of the patches of a strip of output rows are copied at a time, one row of
//! positions to each, and multiplied with the weights of all outputs while they are in the
//! first-level cache. The input gradient makes such rows, a few channels at a time, and puts the
//! patches together.

mod forward;
mod input_gradient;
mod strip;
mod tile;

use std::{mem::MaybeUninit, ops::Range};

use rayon::prelude::*;

use super::{Geometry, pack};
use crate::simd::{self, MOST_LANES, Simd};
use strip::Strip;

pub(super) use forward::forward;
pub(super) use input_gradient::input_gradient;

/// Numbers of patches that are copied at once: 24 KiB, which stay in the first-level cache.
const PANEL: usize = 6 << 10;
/// Positions that are worked through at once, about: whole images or rows of them.
const POSITIONS: usize = 128;

/// Whether kernels lie side by side. Fewer than three elements are as well copied otherwise.
pub(super) fn fits(geometry: &Geometry) -> bool {
    geometry.is_patchwise()
        && geometry.kernel == geometry.stride
        && geometry.taps() >= 3
        && !geometry.is_depthwise()
}

/// How the positions are cut: into some images each, or strips of one.
struct Cut<'a> {
    geometry: &'a Geometry,
    /// Images that are worked through at once.
    images: usize,
    /// And rows of output positions.
    rows: usize,
}

/// Neighbouring maps of a result, and the blocks of weights that make them.
struct Part {
    blocks: Vec<pack::Block>,
    maps: usize,
}

/// What one task computes: a part of a group's maps of some images.
struct Share<'y> {
    first_image: usize,
    group: usize,
    /// Of each image the part's maps.
    maps: Vec<&'y mut [MaybeUninit<f32>]>,
}

impl<'a> Cut<'a> {
    fn new(geometry: &'a Geometry) -> Self {
        let [rows, columns] = geometry.output;
        let strips = geometry.output_size().div_ceil(POSITIONS).min(rows);
        let images = (POSITIONS / 2).div_ceil(geometry.output_size());
        // As many tasks as threads, if images are that many.
        let most = geometry.batch.div_ceil(rayon::current_num_threads());
        Self {
            geometry,
            images: images.min(most.max(simd::lanes().div_ceil(rows * columns))),
            rows: rows.div_ceil(strips),
        }
    }

    /// The strip from output row `first` on.
    fn strip(&self, first: usize) -> Strip {
        let [rows, columns] = self.geometry.output;
        Strip {
            rows: self.rows.min(rows - first),
            columns,
            kernel: self.geometry.kernel,
            width: self.geometry.input[1],
        }
    }

    /// Numbers of a row of positions: all of them in whole vectors, and what the last image's vectors
    /// reach over.
    fn pitch(&self) -> usize {
        let over = if self.images > 1 { MOST_LANES } else { 0 };
        (self.images * self.strip(0).count() + over).next_multiple_of(MOST_LANES)
    }

    /// Kernel elements, whole rows of them, that are copied at once.
    fn depth(&self, pitch: usize) -> usize {
        let width = self.geometry.kernel[1];
        (PANEL / (pitch * width)).max(1) * width
    }

    /// Lets `work` compute all shares of a result whose maps have `size` numbers.
    fn run(
        &self,
        size: usize,
        parts: impl Fn(usize) -> Vec<Part>,
        work: impl Fn(&mut Share<'_>, &Part) + Sync,
    ) -> Vec<f32> {
        let Geometry { batch, groups, .. } = *self.geometry;
        let units = batch.div_ceil(self.images) * groups;
        let parts = parts(rayon::current_num_threads().div_ceil(units));
        let per_image: usize = groups * parts.iter().map(|part| part.maps * size).sum::<usize>();
        let mut y = Vec::with_capacity(batch * per_image);
        let mut shares: Vec<(Share<'_>, &Part)> = Vec::new();
        let mut rest = &mut y.spare_capacity_mut()[..batch * per_image];
        for image in 0..batch {
            if image.is_multiple_of(self.images) {
                for group in 0..groups {
                    shares.extend(parts.iter().map(|part| {
                        let share = Share {
                            first_image: image,
                            group,
                            maps: Vec::with_capacity(self.images),
                        };
                        (share, part)
                    }));
                }
            }
            let first = shares.len() - groups * parts.len();
            for (share, part) in &mut shares[first..] {
                let (maps, behind) = rest.split_at_mut(part.maps * size);
                rest = behind;
                share.maps.push(maps);
            }
        }
        shares
            .into_par_iter()
            .for_each(|(mut share, part)| work(&mut share, part));
        // SAFETY: the shares cover all maps of all images, and `work` writes them.
        unsafe { y.set_len(batch * per_image) };
        y
    }
}

/// The vectors of `count` positions in tiles as equal as can be: first number and vectors of each.
#[inline(always)]
fn tiles<S: Simd>(count: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    let vectors = count.div_ceil(S::LANES);
    let tiles = vectors.div_ceil(S::TILE_VECTORS);
    (0..tiles).map(move |tile| {
        let (first, end) = (tile * vectors / tiles, (tile + 1) * vectors / tiles);
        (first * S::LANES, end - first)
    })
}

/// Share `index` of `count` of a range.
#[inline(always)]
fn part_of(range: &Range<usize>, index: usize, count: usize) -> Range<usize> {
    let at = |index: usize| range.start + range.len() * index / count;
    at(index)..at(index + 1)
}
