//! Kernels of three elements with stride 2: four outputs from nine inputs at nine points.
//!
//! The inputs at even places meet the first and the last element of the kernel, those at odd places
//! the middle one: a kernel of two elements with stride 1 on the one half, of one element on the
//! other. The first is evaluated at five points, ±a, ±b and infinity, with `a = 3/8` and `b = 5/4`:
//! the pair of those tried, with powers that are exact in `f32`, that leaves the smallest rounding
//! errors. The second takes a multiplication for each output. Nine multiplications per axis stand
//! for twelve, 81 of a tile for 144; the kernel has six different values at the nine points.
//!
//! The gradient with respect to the input is the transposed map: of five gradients eight inputs'
//! ones, of which every second meets the middle element alone.

use super::{Map, multiply};
use crate::simd::Simd;

const A: f32 = 0.375;
const B: f32 = 1.25;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// 1 over the values of the polynomials at the points: `2a(a² − b²)`, `2b(b² − a²)`.
const AT_A: f32 = (1.0 / (2.0 * A * (A2 - B2)) as f64) as f32;
const AT_B: f32 = (1.0 / (2.0 * B * (B2 - A2)) as f64) as f32;

/// `Bᵀ·d` of two elements: five inputs to five points.
///
/// # Safety
/// The processor must have the instruction set of `S`; so for all functions of this module.
#[inline(always)]
unsafe fn pair_inputs<S: Simd>(d: [S::Vector; 5]) -> [S::Vector; 5] {
    // SAFETY: as this function's own.
    unsafe {
        let [d0, d1, d2, d3, d4] = d;
        let (minus_a2, minus_b2) = (S::splat(-A2), S::splat(-B2));
        let even_a = S::multiply_add(minus_b2, d0, d2);
        let odd_a = S::multiply_add(minus_b2, d1, d3);
        let even_b = S::multiply_add(minus_a2, d0, d2);
        let odd_b = S::multiply_add(minus_a2, d1, d3);
        [
            S::multiply_add(S::splat(A), even_a, odd_a),
            S::multiply_add(S::splat(-A), even_a, odd_a),
            S::multiply_add(S::splat(B), even_b, odd_b),
            S::multiply_add(S::splat(-B), even_b, odd_b),
            S::multiply_add(
                S::splat(A2 * B2),
                d0,
                S::multiply_add(S::splat(-(A2 + B2)), d2, d4),
            ),
        ]
    }
}

/// `Aᵀ·m` of two elements: five points to four outputs.
#[inline(always)]
unsafe fn pair_outputs<S: Simd>(m: [S::Vector; 5]) -> [S::Vector; 4] {
    // SAFETY: as this function's own.
    unsafe {
        let [m0, m1, m2, m3, m4] = m;
        let (sum_a, difference_a) = (S::add(m0, m1), S::subtract(m0, m1));
        let (sum_b, difference_b) = (S::add(m2, m3), S::subtract(m2, m3));
        [
            S::add(sum_a, sum_b),
            S::multiply_add(S::splat(A), difference_a, multiply::<S>(B, difference_b)),
            S::multiply_add(S::splat(A2), sum_a, multiply::<S>(B2, sum_b)),
            S::multiply_add(
                S::splat(A2 * A),
                difference_a,
                S::multiply_add(S::splat(B2 * B), difference_b, m4),
            ),
        ]
    }
}

/// Nine inputs to nine points: those of the even places, then the odd places as they are.
pub(in super::super) struct Inputs;

impl Map<9, 9> for Inputs {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; 9]) -> [S::Vector; 9] {
        // SAFETY: as this function's own.
        let [p0, p1, p2, p3, p4] = unsafe { pair_inputs::<S>([d[0], d[2], d[4], d[6], d[8]]) };
        [p0, p1, p2, p3, p4, d[1], d[3], d[5], d[7]]
    }
}

/// Nine points to four outputs.
pub(in super::super) struct Outputs;

impl Map<9, 4> for Outputs {
    #[inline(always)]
    unsafe fn apply<S: Simd>(m: [S::Vector; 9]) -> [S::Vector; 4] {
        // SAFETY: as this function's own.
        unsafe {
            let [y0, y1, y2, y3] = pair_outputs::<S>([m[0], m[1], m[2], m[3], m[4]]);
            [
                S::add(y0, m[5]),
                S::add(y1, m[6]),
                S::add(y2, m[7]),
                S::add(y3, m[8]),
            ]
        }
    }
}

/// Three kernel elements to the values at the points: five of the outer two, and the middle one.
pub(in super::super) struct Kernels;

impl Map<3, 6> for Kernels {
    #[inline(always)]
    unsafe fn apply<S: Simd>(g: [S::Vector; 3]) -> [S::Vector; 6] {
        // SAFETY: as this function's own.
        unsafe {
            let [g0, g1, g2] = g;
            let (at_a, at_b) = (multiply::<S>(AT_A, g0), multiply::<S>(AT_B, g0));
            let (times_a, times_b) = (S::splat(AT_A * A), S::splat(AT_B * B));
            [
                S::multiply_add(times_a, g2, at_a),
                S::subtract(multiply::<S>(AT_A * A, g2), at_a),
                S::multiply_add(times_b, g2, at_b),
                S::subtract(multiply::<S>(AT_B * B, g2), at_b),
                g2,
                g1,
            ]
        }
    }
}

/// Five gradients of outputs to nine points, for the gradient with respect to the input.
pub(in super::super) struct Gradients;

impl Map<5, 9> for Gradients {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; 5]) -> [S::Vector; 9] {
        // SAFETY: as this function's own.
        let [p0, p1, p2, p3, p4] = unsafe { pair_inputs::<S>(d) };
        [p0, p1, p2, p3, p4, d[0], d[1], d[2], d[3]]
    }
}

/// Nine points to the gradients of eight inputs.
pub(in super::super) struct InputGradients;

impl Map<9, 8> for InputGradients {
    #[inline(always)]
    unsafe fn apply<S: Simd>(m: [S::Vector; 9]) -> [S::Vector; 8] {
        // SAFETY: as this function's own.
        let [y0, y1, y2, y3] = unsafe { pair_outputs::<S>([m[0], m[1], m[2], m[3], m[4]]) };
        [m[5], y0, m[6], y1, m[7], y2, m[8], y3]
    }
}
