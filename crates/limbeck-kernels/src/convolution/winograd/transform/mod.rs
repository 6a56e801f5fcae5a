//! The maps between positions and points along one axis.
//!
//! With `p` the points, a tile is `y = Aᵀ[(G·g) ⊙ (Bᵀ·d)]`: row `j` of `Bᵀ` holds the coefficients
//! of the polynomial that is zero at all finite points but `pⱼ`, row `j` of `G` the powers of `pⱼ`
//! over the value of that polynomial at `pⱼ`, and column `j` of `Aᵀ` the powers of `pⱼ`.

pub(super) mod strided;
pub(super) mod three;
pub(super) mod unit;

use crate::simd::Simd;

/// A linear map along one axis, of the vectors at `FROM` places to those at `TO` places.
pub(super) trait Map<const FROM: usize, const TO: usize> {
    /// # Safety
    /// The processor must have the instruction set of `S`.
    unsafe fn apply<S: Simd>(from: [S::Vector; FROM]) -> [S::Vector; TO];
}

/// The map along both axes of a square, `[row][column]`.
///
/// # Safety
/// As [`Map::apply`].
#[inline(always)]
pub(super) unsafe fn both<S: Simd, M: Map<FROM, TO>, const FROM: usize, const TO: usize>(
    square: &[[S::Vector; FROM]; FROM],
) -> [[S::Vector; TO]; TO] {
    // Loops instead of closures: those would not have the instruction set.
    // SAFETY: as this function's own.
    unsafe {
        let mut half = [[S::splat(0.0); FROM]; TO];
        for c in 0..FROM {
            let mut line = [S::splat(0.0); FROM];
            for r in 0..FROM {
                line[r] = square[r][c];
            }
            let line = M::apply::<S>(line);
            for r in 0..TO {
                half[r][c] = line[r];
            }
        }
        let mut whole = [[S::splat(0.0); TO]; TO];
        for r in 0..TO {
            whole[r] = M::apply::<S>(half[r]);
        }
        whole
    }
}

#[inline(always)]
unsafe fn multiply<S: Simd>(factor: f32, x: S::Vector) -> S::Vector {
    // SAFETY: as this function's own.
    unsafe { S::multiply_add(S::splat(factor), x, S::splat(0.0)) }
}
