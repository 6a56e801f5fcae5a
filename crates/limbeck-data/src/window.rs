//! Which part of an image is looked at, in which size.

/// A rectangle, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub left: usize,
    pub top: usize,
    /// Above 0.
    pub width: usize,
    /// Above 0.
    pub height: usize,
}

impl Area {
    /// All of `[height, width]`.
    pub(crate) fn all([height, width]: [usize; 2]) -> Self {
        Self {
            left: 0,
            top: 0,
            width,
            height,
        }
    }
}

/// A part of an image that is scaled, and what of it is kept after that. Image and mask through the
/// same window stay on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// What is scaled, inside the image.
    pub area: Area,
    /// Height and width that it is scaled to.
    pub scaled: [usize; 2],
    /// What is kept, inside these.
    pub kept: Area,
}

impl Window {
    /// All of an image of `size` (height, width), scaled to `scaled`.
    pub(crate) fn whole(size: [usize; 2], scaled: [usize; 2]) -> Self {
        Self::part(Area::all(size), scaled)
    }

    /// A part of an image, scaled to `scaled` (height, width).
    pub(crate) fn part(area: Area, scaled: [usize; 2]) -> Self {
        Self {
            area,
            scaled,
            kept: Area::all(scaled),
        }
    }

    /// Whether an image of `size` (height, width) comes out as it is.
    pub(crate) fn keeps(&self, size: [usize; 2]) -> bool {
        *self == Self::whole(size, size)
    }
}
