//! The part of a padded map that some rows of output read.

use std::{cell::Cell, ops::Range};

use super::{geometry::Geometry, map::SLACK};

thread_local! {
    static ROOM: Cell<(Vec<u8>, Vec<usize>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// Bytes with the places in them that outputs read from.
pub(super) struct Strip<'a> {
    /// With the slack.
    pub bytes: &'a [u8],
    /// Where the window of each output position begins, and the last one's place some times more.
    pub places: &'a [usize],
    /// Bytes from one row to the next.
    pub row: usize,
    /// Bytes from one column to the next.
    pub pixel: usize,
}

/// Places behind those of the last position.
pub(super) const MORE_PLACES: usize = 16;

/// Lends the strip that the output rows `rows`, counted through all images, read of `map`
/// `[B, H, W, C]`, which has its slack, to `work`. Pixels are `pixel` bytes apart, at least as many as
/// there are channels; what is padded is `zero_point`. Nothing is copied where nothing has to be added.
pub(super) fn with_strip<R>(
    map: &[u8],
    geometry: &Geometry,
    rows: Range<usize>,
    pixel: usize,
    zero_point: u8,
    work: impl FnOnce(Strip<'_>) -> R,
) -> R {
    // Taken rather than borrowed: whatever `work` does, the room is nobody else's.
    let (mut room, mut places) = ROOM.take();
    places.clear();
    let [height, width] = geometry.input;
    let [_, columns] = geometry.output;
    let image = height * width * geometry.channels;
    let result = if geometry.padding == [0, 0] && pixel == geometry.channels {
        let row = width * pixel;
        for index in rows {
            let (image_index, y) = (index / geometry.output[0], index % geometry.output[0]);
            let start = image_index * image + y * geometry.stride[0] * row;
            places.extend((0..columns).map(|x| start + x * geometry.stride[1] * pixel));
        }
        repeat_last(&mut places);
        work(Strip {
            bytes: map,
            places: &places,
            row,
            pixel,
        })
    } else {
        let row = (width + 2 * geometry.padding[1]) * pixel;
        let reach = (geometry.kernel[0] - 1) * geometry.dilation[0] + 1;
        let mut size = 0;
        let mut index = rows.start;
        while index < rows.end {
            let (image_index, y) = (index / geometry.output[0], index % geometry.output[0]);
            let count = (geometry.output[0] - y).min(rows.end - index);
            let read = (count - 1) * geometry.stride[0] + reach;
            let needed = size + read * row + SLACK;
            if room.len() < needed {
                room.resize(needed, 0);
            }
            let from = &map[image_index * image..][..image];
            let first = (y * geometry.stride[0]) as isize - geometry.padding[0] as isize;
            for (line, to) in room[size..].chunks_exact_mut(row).take(read).enumerate() {
                let y = first + line as isize;
                if y < 0 || y >= height as isize {
                    to.fill(zero_point);
                    continue;
                }
                let from = &from[y as usize * width * geometry.channels..];
                copy_row(from, to, geometry, pixel, zero_point);
            }
            for line in 0..count {
                let start = size + line * geometry.stride[0] * row;
                places.extend((0..columns).map(|x| start + x * geometry.stride[1] * pixel));
            }
            size += read * row;
            index += count;
        }
        repeat_last(&mut places);
        work(Strip {
            bytes: &room[..size + SLACK],
            places: &places,
            row,
            pixel,
        })
    };
    ROOM.set((room, places));
    result
}

fn repeat_last(places: &mut Vec<usize>) {
    let last = places.last().copied().unwrap_or(0);
    places.extend([last; MORE_PLACES]);
}

fn copy_row(from: &[u8], to: &mut [u8], geometry: &Geometry, pixel: usize, zero_point: u8) {
    let (width, channels) = (geometry.input[1], geometry.channels);
    let padding = geometry.padding[1] * pixel;
    let (left, rest) = to.split_at_mut(padding);
    let (middle, right) = rest.split_at_mut(width * pixel);
    left.fill(zero_point);
    right.fill(zero_point);
    if pixel == channels {
        middle.copy_from_slice(&from[..width * channels]);
        return;
    }
    let pixels = middle.chunks_exact_mut(pixel);
    for (to, from) in pixels.zip(from.chunks_exact(channels)) {
        let (its, behind) = to.split_at_mut(channels);
        its.copy_from_slice(from);
        behind.fill(0);
    }
}
