//! Matrix products of vectors of outputs, a register tile at a time.

use crate::simd::Simd;

/// Rows of a tile that all heights divide: 6, 8 and 12.
pub(super) const ROWS: usize = 24;
/// Rows of the tallest tile.
pub(super) const TILE_ROWS: usize = 12;

/// A part of the sum: `a` is read at `row · a_row + step · a_step`, vector `v` of `b` at
/// `v · b_vector + step · b_step`.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub a: *const f32,
    pub b: *const f32,
    /// Steps of the sum.
    pub depth: usize,
}

/// How the matrices lie in memory, in numbers.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub a_row: usize,
    pub a_step: usize,
    pub b_step: usize,
    pub b_vector: usize,
    pub c_row: usize,
}

impl Layout {
    /// `c[row][column] (+)= Σ a[row][step] · b[step][column]` over all steps of all parts, for
    /// `rows` rows, filled up to whole tiles, and `vectors` vectors of columns. With `add` the sums
    /// are added to what is there.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`; `a` and `c` must reach as far as
    /// `rows` filled up to a multiple of [`ROWS`], and all three as far as steps and columns do.
    #[inline(always)]
    pub unsafe fn multiply<S: Simd>(
        &self,
        parts: &[Part],
        c: *mut f32,
        rows: usize,
        vectors: usize,
        add: bool,
    ) {
        let mut first = 0;
        while first < vectors {
            let width = S::TILE_VECTORS.min(vectors - first);
            let column = first * S::LANES;
            // SAFETY: as this function's own; tiles fit the register file.
            unsafe {
                match (width, S::TILE_VECTORS) {
                    (4, _) => self.column::<S, 6, 4>(parts, c, rows, column, add),
                    (3, _) => self.column::<S, 8, 3>(parts, c, rows, column, add),
                    (2, 4) => self.column::<S, 12, 2>(parts, c, rows, column, add),
                    (2, _) => self.column::<S, 6, 2>(parts, c, rows, column, add),
                    _ => self.column::<S, 12, 1>(parts, c, rows, column, add),
                }
            }
            first += width;
        }
    }

    /// All rows of `V` vectors from `column` on, `R` rows at a time.
    ///
    /// # Safety
    /// As [`Layout::multiply`].
    #[inline(always)]
    unsafe fn column<S: Simd, const R: usize, const V: usize>(
        &self,
        parts: &[Part],
        c: *mut f32,
        rows: usize,
        column: usize,
        add: bool,
    ) {
        for row in (0..rows).step_by(R) {
            // SAFETY: as this function's own.
            unsafe {
                let to = c.add(row * self.c_row + column);
                self.tile::<S, R, V>(parts, to, row, column, add);
            }
        }
    }

    /// # Safety
    /// As [`Layout::multiply`].
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize>(
        &self,
        parts: &[Part],
        to: *mut f32,
        row: usize,
        column: usize,
        add: bool,
    ) {
        // Loops instead of closures: those would not have the instruction set.
        // SAFETY: as this function's own.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; R];
            for part in parts {
                let mut a = part.a.add(row * self.a_row);
                let mut b = part.b.add(column / S::LANES * self.b_vector);
                for _ in 0..part.depth {
                    let mut values = [S::splat(0.0); V];
                    for v in 0..V {
                        values[v] = S::load(b.add(v * self.b_vector));
                    }
                    for r in 0..R {
                        let factor = S::splat(*a.add(r * self.a_row));
                        for v in 0..V {
                            sums[r][v] = S::multiply_add(factor, values[v], sums[r][v]);
                        }
                    }
                    a = a.wrapping_add(self.a_step);
                    b = b.wrapping_add(self.b_step);
                }
            }
            for r in 0..R {
                for v in 0..V {
                    let to = to.add(r * self.c_row + v * S::LANES);
                    let sum = if add {
                        S::add(S::load(to), sums[r][v])
                    } else {
                        sums[r][v]
                    };
                    S::store(to, sum);
                }
            }
        }
    }
}
