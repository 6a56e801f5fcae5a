//! The padded, phase-split and interleaved copy of a few images that kernels read.

use crate::simd;

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

    /// Whether the copy of one image would equal the maps themselves.
    pub fn is_identity(&self) -> bool {
        self.images == 1
            && self.stride == [1, 1]
            && self.before == [0, 0]
            && self.size == [self.rows, self.columns]
    }

    /// Copies the channels of up to `images` images; lanes of missing images are zero.
    /// `maps[i]` are the channels of image `i`, `[channels, H, W]`.
    pub fn fill(&self, maps: &[&[f32]], channels: usize, to: &mut [f32]) {
        let [height, width] = self.size;
        let plane = height * width;
        let row_length = self.columns * self.images;
        // Room after the last channel: finite, because it is multiplied with zeros.
        to[channels * self.channel_stride()..].fill(0.0);
        let mut rows = to.chunks_exact_mut(row_length);
        for channel in 0..channels {
            for &[p, q] in &self.phases {
                let inside = Inside::new(width, self.stride[1], q as isize - self.before[1]);
                for row in 0..self.rows {
                    let Some(to) = rows.next() else { return };
                    let from = (row * self.stride[0] + p) as isize - self.before[0];
                    if from < 0 || from >= height as isize {
                        to.fill(0.0);
                        continue;
                    }
                    let start = channel * plane + from as usize * width;
                    self.fill_row(maps, start, &inside, to);
                }
            }
        }
    }

    fn fill_row(&self, maps: &[&[f32]], start: usize, inside: &Inside, to: &mut [f32]) {
        let end = inside.end.min(self.columns);
        let begin = inside.begin.min(end);
        let images = self.images;
        to[..begin * images].fill(0.0);
        to[end * images..].fill(0.0);
        let to = &mut to[begin * images..end * images];
        if to.is_empty() {
            return;
        }
        let first = start + inside.first;
        if images == 1 {
            let from = &maps[0][first..];
            if self.stride[1] == 1 {
                to.copy_from_slice(&from[..to.len()]);
            } else {
                for (to, from) in to.iter_mut().zip(from.iter().step_by(self.stride[1])) {
                    *to = *from;
                }
            }
            return;
        }
        if maps.len() < images {
            to.fill(0.0);
        }
        for (lane, map) in maps.iter().enumerate() {
            let from = map[first..].iter().step_by(self.stride[1]);
            for (to, from) in to[lane..].iter_mut().step_by(images).zip(from) {
                *to = *from;
            }
        }
    }
}

/// Columns `begin..end` of a phase lie inside the map; `begin` is column `first` of the map.
struct Inside {
    begin: usize,
    end: usize,
    first: usize,
}

impl Inside {
    /// Column `t` is column `t·stride + shift` of a map that is `width` wide.
    fn new(width: usize, stride: usize, shift: isize) -> Self {
        let begin = if shift < 0 {
            shift.unsigned_abs().div_ceil(stride)
        } else {
            0
        };
        let end = (width as isize - shift).max(0) as usize;
        Self {
            begin,
            end: end.div_ceil(stride),
            first: ((begin * stride) as isize + shift) as usize,
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
