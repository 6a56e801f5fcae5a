//! Tiles of maps `[row, column, lane]` to points and back.

use std::{marker::PhantomData, ops::Range};

use super::transform::{self, Map};
use crate::simd::{Kernel, Simd};

/// Where the numbers of the points lie: `[point, tile, channel]`, of which one vector of channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct PointLayout {
    /// Points of both axes together.
    pub points: usize,
    /// Numbers from a point to the next.
    pub point: usize,
    /// Numbers from a tile to the next.
    pub tile: usize,
}

impl PointLayout {
    /// For `tiles` tiles of `lanes` channels, whole vectors counted. Points are kept off powers of
    /// two apart, which would evict each other from the caches.
    pub fn new(points: usize, tiles: usize, lanes: usize) -> Self {
        let point = tiles * lanes;
        Self {
            points,
            point: point + if point.is_multiple_of(1024) { 48 } else { 16 },
            tile: lanes,
        }
    }

    /// Numbers of all points.
    pub fn len(&self) -> usize {
        self.points * self.point
    }

    /// # Panics
    /// Where there are not `window` points to an axis, or `tiles` tiles from number `at` on reach
    /// behind `length` numbers.
    fn check<S: Simd>(&self, window: usize, at: usize, tiles: usize, length: usize) {
        assert_eq!(self.points, window * window, "points of an axis");
        let reach = at + (self.points - 1) * self.point + (tiles - 1) * self.tile + S::LANES;
        assert!(reach <= length, "tiles would reach {reach} of {length}");
    }
}

/// Rows of maps with a channel in each lane.
#[derive(Clone, Debug)]
pub(super) struct Rows<'a> {
    /// `[row, column, lane]`.
    pub numbers: &'a [f32],
    /// Which rows of the maps these are.
    pub range: Range<usize>,
    pub columns: usize,
}

impl Rows<'_> {
    fn check<S: Simd>(&self) {
        let count = self.range.len() * self.columns * S::LANES;
        assert!(count <= self.numbers.len(), "{count} numbers are missing");
    }

    /// The square of `N` × `N` positions from `(top, left)` on; zero outside the rows.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`, and [`Rows::check`] must have passed.
    #[inline(always)]
    unsafe fn square<S: Simd, const N: usize>(
        &self,
        top: isize,
        left: isize,
    ) -> [[S::Vector; N]; N] {
        let (first, last) = (self.range.start as isize, self.range.end as isize);
        let size = N as isize;
        let whole =
            top >= first && top + size <= last && left >= 0 && left + size <= self.columns as isize;
        // SAFETY: as this function's own; what is read lies inside the rows.
        unsafe {
            let mut square = [[S::splat(0.0); N]; N];
            if whole {
                let start = (top - first) as usize * self.columns + left as usize;
                let from = self.numbers.as_ptr().add(start * S::LANES);
                for r in 0..N {
                    for c in 0..N {
                        square[r][c] = S::load(from.add((r * self.columns + c) * S::LANES));
                    }
                }
                return square;
            }
            for r in 0..N {
                let row = top + r as isize;
                if row < first || row >= last {
                    continue;
                }
                let start = (row - first) as usize * self.columns;
                for c in 0..N {
                    let column = left + c as isize;
                    if column >= 0 && column < self.columns as isize {
                        let at = (start + column as usize) * S::LANES;
                        square[r][c] = S::load(self.numbers.as_ptr().add(at));
                    }
                }
            }
            square
        }
    }
}

/// Takes the windows of a segment to the points with the map `M`.
pub(super) struct ToPoints<'a, M, const WINDOW: usize, const POINTS: usize> {
    pub map: PhantomData<M>,
    pub from: Rows<'a>,
    /// Rows and columns of tiles.
    pub rows: Range<usize>,
    pub columns: usize,
    /// Positions from a window to the next.
    pub step: usize,
    /// Zeros before the first row and column.
    pub padding: [usize; 2],
    pub to: &'a mut [f32],
    /// Of the first tile's first point.
    pub at: usize,
    pub layout: PointLayout,
}

impl<M: Map<WINDOW, POINTS>, const WINDOW: usize, const POINTS: usize> Kernel
    for ToPoints<'_, M, WINDOW, POINTS>
{
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        self.from.check::<S>();
        let tiles = self.rows.len() * self.columns;
        self.layout
            .check::<S>(POINTS, self.at, tiles, self.to.len());
        // SAFETY: as this function's own; the layout was checked.
        unsafe {
            let mut to = self.to.as_mut_ptr().add(self.at);
            for row in self.rows {
                let top = (row * self.step) as isize - self.padding[0] as isize;
                for column in 0..self.columns {
                    let left = (column * self.step) as isize - self.padding[1] as isize;
                    let window = self.from.square::<S, WINDOW>(top, left);
                    let points = transform::both::<S, M, WINDOW, POINTS>(&window);
                    for r in 0..POINTS {
                        for c in 0..POINTS {
                            S::store(to.add((r * POINTS + c) * self.layout.point), points[r][c]);
                        }
                    }
                    to = to.wrapping_add(self.layout.tile);
                }
            }
        }
    }
}

/// Takes the sums at the points to the outputs of a segment with the map `M`.
pub(super) struct OutputTiles<'a, M, const POINTS: usize, const TILE: usize> {
    pub map: PhantomData<M>,
    pub from: &'a [f32],
    /// Of the first tile's first point.
    pub at: usize,
    pub layout: PointLayout,
    /// Rows of tiles.
    pub rows: usize,
    /// Added to the outputs, for each lane; as many as there are outputs.
    pub bias: &'a [f32],
    /// Rows and columns of the outputs.
    pub size: [usize; 2],
    /// `[row, column, lane]`.
    pub to: &'a mut [f32],
}

impl<M: Map<POINTS, TILE>, const POINTS: usize, const TILE: usize> Kernel
    for OutputTiles<'_, M, POINTS, TILE>
{
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [height, width] = self.size;
        let columns = width.div_ceil(TILE);
        self.layout
            .check::<S>(POINTS, self.at, self.rows * columns, self.from.len());
        assert!(
            height * width * S::LANES <= self.to.len() && height <= self.rows * TILE,
            "outputs of {height}×{width} do not fit"
        );
        // SAFETY: as this function's own; sums and outputs were checked.
        unsafe {
            let bias = S::load_part(self.bias, 0);
            let mut from = self.from.as_ptr().add(self.at);
            for top in (0..self.rows * TILE).step_by(TILE) {
                for left in (0..columns * TILE).step_by(TILE) {
                    let mut points = [[S::splat(0.0); POINTS]; POINTS];
                    for r in 0..POINTS {
                        for c in 0..POINTS {
                            points[r][c] = S::load(from.add((r * POINTS + c) * self.layout.point));
                        }
                    }
                    let outputs = transform::both::<S, M, POINTS, TILE>(&points);
                    for r in 0..TILE.min(height.saturating_sub(top)) {
                        let start = ((top + r) * width + left) * S::LANES;
                        let to = self.to.as_mut_ptr().add(start);
                        for c in 0..TILE.min(width - left) {
                            S::store(to.add(c * S::LANES), S::add(outputs[r][c], bias));
                        }
                    }
                    from = from.wrapping_add(self.layout.tile);
                }
            }
        }
    }
}
