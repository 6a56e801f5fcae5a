//! Patches of images, copied.

use crate::pieces::{fill, filled};

/// Sizes of images that are cut into patches.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub batch: usize,
    pub channels: usize,
    /// Height and width.
    pub size: [usize; 2],
    /// Side of a patch.
    pub side: usize,
}

impl Sizes {
    /// Patches of an image.
    pub fn count(&self) -> usize {
        self.size.iter().map(|length| length / self.side).product()
    }

    /// Numbers of a patch.
    pub fn length(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// The first pixel of a patch in its plane.
    fn corner(&self, number: usize) -> usize {
        let [_, width] = self.size;
        let beside = width / self.side;
        (number / beside * width + number % beside) * self.side
    }
}

/// Which patches of each image.
#[derive(Clone, Copy)]
pub(crate) enum Which<'a> {
    /// All, row by row.
    All,
    /// Those of these numbers, equally many of each image.
    Chosen(&'a [usize]),
}

impl Which<'_> {
    /// How many of each image.
    pub fn count(&self, sizes: Sizes) -> usize {
        match self {
            Self::All => sizes.count(),
            Self::Chosen(numbers) => numbers.len() / sizes.batch,
        }
    }

    /// The number of the patch that is `place`-th of `count` in `image`.
    fn number(&self, image: usize, count: usize, place: usize) -> usize {
        match self {
            Self::All => place,
            Self::Chosen(numbers) => numbers[image * count + place],
        }
    }
}

/// `[B, C, H, W]` → `[B, n, C·side²]`.
///
/// # Panics
/// Where a chosen number is so large that there are no pixels there.
pub(crate) fn cut(images: &[f32], sizes: Sizes, which: Which<'_>) -> Vec<f32> {
    let Sizes {
        batch,
        channels,
        size: [height, width],
        side,
    } = sizes;
    let count = which.count(sizes);
    // SAFETY: the rows of all channels fill a patch.
    unsafe {
        filled(batch * count, sizes.length(), |piece, to| {
            let image = piece / count;
            let corner = sizes.corner(which.number(image, count, piece % count));
            for (channel, to) in to.chunks_exact_mut(side * side).enumerate() {
                let first = (image * channels + channel) * height * width + corner;
                for (row, to) in to.chunks_exact_mut(side).enumerate() {
                    let from = first + row * width;
                    to.write_copy_of_slice(&images[from..from + side]);
                }
            }
        })
    }
}

/// The patches back at their places `[B, C, H, W]`: summed where there are several for one place, zeros
/// where there is none.
///
/// # Panics
/// As [`cut`].
pub(crate) fn put_back(patches: &[f32], sizes: Sizes, which: Which<'_>) -> Vec<f32> {
    let Sizes {
        batch,
        channels,
        size: [height, width],
        side,
    } = sizes;
    let count = which.count(sizes);
    let area = side * side;
    // SAFETY: the plane is filled before anything is added.
    unsafe {
        filled(batch * channels, height * width, |plane, to| {
            let (image, channel) = (plane / channels, plane % channels);
            let to = fill(to, 0.0);
            for place in 0..count {
                let corner = sizes.corner(which.number(image, count, place));
                let from = ((image * count + place) * channels + channel) * area;
                let rows = patches[from..from + area].chunks_exact(side);
                for (row, from) in rows.enumerate() {
                    let at = corner + row * width;
                    for (to, from) in to[at..at + side].iter_mut().zip(from) {
                        *to += from;
                    }
                }
            }
        })
    }
}
