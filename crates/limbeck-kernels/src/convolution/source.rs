//! The padded, phase-split and interleaved copy of a few images that kernels read.

use super::interleave::Interleave;
use crate::simd::{self, Kernel, Simd};

/// Layout of the copy: `[channel, phase, row, column, image]`.
///
/// Phase `(p, q)` holds the padded rows `p, p + stride, …` and columns `q, q + stride, …`, so that
/// a kernel element reads neighbouring outputs' inputs side by side whatever the stride. Position
/// `(r, t)` of a phase is row `r·stride + p − before` of the map; outside the map it is zero.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// `[H, W]` of the maps.
    pub size: [usize; 2],
    pub stride: [usize; 2],
    /// Zeros before the first row and column; where negative, that many are left out.
    pub before: [isize; 2],
    /// The phases that some kernel element reads.
    pub phases: Vec<[usize; 2]>,
    pub rows: usize,
    pub columns: usize,
    /// Images interleaved.
    pub images: usize,
}

impl Source {
    /// Offset of a row and column of a phase, inside a channel.
    pub fn offset(&self, phase: usize, row: usize, column: usize) -> usize {
        ((phase * self.rows + row) * self.columns + column) * self.images
    }

    /// Numbers per channel.
    pub fn channel_stride(&self) -> usize {
        self.offset(self.phases.len(), 0, 0)
    }

    /// Numbers for `channels` channels, with room for a vector that begins at the last one.
    pub fn len(&self, channels: usize) -> usize {
        channels * self.channel_stride() + simd::lanes()
    }

    /// Offset inside a channel of each position of a map, in the order of the map; nothing for
    /// positions that no phase holds.
    pub fn positions(&self) -> Vec<Option<usize>> {
        let mut positions = vec![None; self.size[0] * self.size[1]];
        for (index, &[p, q]) in self.phases.iter().enumerate() {
            let (rows, columns) = (self.inside(0, p), self.inside(1, q));
            for row in 0..rows.count {
                for column in 0..columns.count {
                    let at = (rows.first + row * self.stride[0]) * self.size[1]
                        + columns.first
                        + column * self.stride[1];
                    positions[at] =
                        Some(self.offset(index, rows.begin + row, columns.begin + column));
                }
            }
        }
        positions
    }

    /// As [`Source::positions`], for the maps of neighbouring channels; positions that no phase
    /// holds belong behind the last channel.
    pub fn panel_positions(&self, channels: usize) -> Vec<usize> {
        let stride = self.channel_stride();
        let positions = self.positions();
        (0..channels)
            .flat_map(|channel| {
                positions.iter().map(move |position| match position {
                    Some(offset) => channel * stride + offset,
                    None => channels * stride,
                })
            })
            .collect()
    }

    /// Whether the copy of one image would equal the maps themselves.
    pub fn is_identity(&self) -> bool {
        self.images == 1
            && self.stride == [1, 1]
            && self.before == [0, 0]
            && self.size == [self.rows, self.columns]
    }

    /// Numbers of room that [`Source::copy`] needs for its own use.
    pub fn room(&self) -> usize {
        if self.images == 1 {
            0
        } else {
            (self.size[0] * self.size[1]).next_multiple_of(simd::lanes()) * self.images
        }
    }

    /// Zeros what no map is copied to. Once is enough for any number of copies.
    pub fn clear(&self, to: &mut [f32]) {
        let whole = self.phases.iter().all(|&[p, q]| {
            let (rows, columns) = (self.inside(0, p), self.inside(1, q));
            rows.count == self.rows && columns.count == self.columns
        });
        if whole {
            // The room after the last channel alone: finite, because it is multiplied with zeros.
            let end = to.len().saturating_sub(simd::lanes());
            to[end..].fill(0.0);
        } else {
            to.fill(0.0);
        }
    }

    /// Copies the channels of up to `images` images; lanes of missing images are zero.
    /// `maps[i]` are the channels of image `i`, `[channels, H, W]`.
    pub fn copy(&self, maps: &[&[f32]], to: &mut [f32], room: &mut [f32]) {
        let plane = self.size[0] * self.size[1];
        let channels = maps[0].len() / plane;
        let to = to.chunks_exact_mut(self.channel_stride());
        for (channel, to) in to.take(channels).enumerate() {
            let start = channel * plane;
            let map = if self.images == 1 {
                &maps[0][start..start + plane]
            } else {
                simd::dispatch(Interleave {
                    maps,
                    start,
                    plane,
                    images: self.images,
                    to: room,
                });
                &room[..plane * self.images]
            };
            simd::dispatch(Pad {
                source: self,
                map,
                to,
            });
        }
    }

    /// The rows (axis 0) or columns (1) of a phase that lie inside the map.
    fn inside(&self, axis: usize, residue: usize) -> Inside {
        // Row `r` of the phase is row `r·stride + shift` of the map.
        let stride = self.stride[axis];
        let shift = residue as isize - self.before[axis];
        let length = if axis == 0 { self.rows } else { self.columns };
        let end = (self.size[axis] as isize - shift).max(0) as usize;
        let end = end.div_ceil(stride).min(length);
        let begin = shift.min(0).unsigned_abs().div_ceil(stride).min(end);
        Inside {
            begin,
            count: end - begin,
            first: ((begin * stride) as isize + shift).max(0) as usize,
        }
    }
}

/// `count` rows or columns of a phase from `begin` on, the first of which is number `first` of the
/// map.
struct Inside {
    begin: usize,
    count: usize,
    first: usize,
}

/// Copies one channel, `[row, column, image]`, to its padded phases.
struct Pad<'a> {
    source: &'a Source,
    map: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for Pad<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let source = self.source;
        let images = source.images;
        let width = source.size[1] * images;
        for (index, &[p, q]) in source.phases.iter().enumerate() {
            let (rows, columns) = (source.inside(0, p), source.inside(1, q));
            if rows.count == 0 || columns.count == 0 {
                continue;
            }
            let from = rows.first * width + columns.first * images;
            let to = source.offset(index, rows.begin, columns.begin);
            let block = Rows {
                rows: rows.count,
                columns: columns.count,
                images,
                stride: source.stride[1],
                from_step: source.stride[0] * width,
                to_step: source.columns * images,
            };
            // SAFETY: as this function's own; the slices are checked to reach far enough.
            unsafe { block.copy::<S>(&self.map[from..], &mut self.to[to..]) };
        }
    }
}

/// Rows of groups of `images` numbers.
struct Rows {
    rows: usize,
    columns: usize,
    images: usize,
    /// Distance between the groups that are copied, in groups.
    stride: usize,
    /// Distance between rows, in numbers.
    from_step: usize,
    to_step: usize,
}

impl Rows {
    /// Rows are short: calling the library's copy for each of them would take longer than this.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn copy<S: Simd>(&self, from: &[f32], to: &mut [f32]) {
        let images = self.images;
        let count = self.columns * images;
        let last = self.rows - 1;
        let reach = ((self.columns - 1) * self.stride + 1) * images;
        assert!(
            last * self.from_step + reach <= from.len() && last * self.to_step + count <= to.len(),
            "rows would be copied past the end of a map"
        );
        let (mut from, mut to) = (from.as_ptr(), to.as_mut_ptr());
        // SAFETY: the check above covers all rows; within a row every vector ends with the row at
        // the latest.
        unsafe {
            for _ in 0..self.rows {
                if self.stride == 1 && count >= S::LANES {
                    let mut at = 0;
                    while at + S::LANES <= count {
                        S::store(to.add(at), S::load(from.add(at)));
                        at += S::LANES;
                    }
                    if at < count {
                        let at = count - S::LANES;
                        S::store(to.add(at), S::load(from.add(at)));
                    }
                } else if self.stride == 1 {
                    for i in 0..count {
                        *to.add(i) = *from.add(i);
                    }
                } else if images == 1 {
                    let mut done = 0;
                    // Half of a pair of vectors; the last number of the pair may lie behind the
                    // end of the map, hence one less.
                    while self.stride == 2 && done + S::LANES < self.columns {
                        let pair = from.add(2 * done);
                        let [even, _] = S::deinterleave(S::load(pair), S::load(pair.add(S::LANES)));
                        S::store(to.add(done), even);
                        done += S::LANES;
                    }
                    for column in done..self.columns {
                        *to.add(column) = *from.add(column * self.stride);
                    }
                } else {
                    match images {
                        2 => self.groups::<2>(from, to),
                        4 => self.groups::<4>(from, to),
                        8 => self.groups::<8>(from, to),
                        _ => self.groups::<16>(from, to),
                    }
                }
                from = from.wrapping_add(self.from_step);
                to = to.wrapping_add(self.to_step);
            }
        }
    }

    /// Copies one row of groups of `I` numbers.
    ///
    /// # Safety
    /// Both must be valid for the row.
    #[inline(always)]
    unsafe fn groups<const I: usize>(&self, from: *const f32, to: *mut f32) {
        let (from, to) = (from.cast::<[f32; I]>(), to.cast::<[f32; I]>());
        for column in 0..self.columns {
            // SAFETY: as this function's own; arrays need no more alignment than their numbers.
            unsafe { *to.add(column) = *from.add(column * self.stride) };
        }
    }
}

/// How many images to interleave so that rows of `columns` outputs fill vectors well: the fewest
/// with at most 15 % of the lanes idle, else the count that leaves the fewest idle.
pub(crate) fn images_per_vector(columns: usize, batch: usize) -> usize {
    let lanes = simd::lanes();
    let used = |images: usize| {
        let row = columns * images;
        row as f64 / row.next_multiple_of(lanes) as f64
    };
    let mut best = 1;
    let mut images = 1;
    while images <= lanes && images <= batch {
        if used(images) >= 0.85 {
            return images;
        }
        if used(images) > used(best) {
            best = images;
        }
        images *= 2;
    }
    best
}
