//! Kernels of three elements with stride 1: four outputs from six inputs at six points, 0, ±a, ±b
//! and infinity, with `a = 3/4` and `b = 3/2`.

use super::{Map, multiply};
use crate::simd::Simd;

const A: f32 = 0.75;
const B: f32 = 1.5;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// 1 over the values of the points' polynomials: `a²b²`, `2a²(a² − b²)`, `2b²(b² − a²)`.
const AT_ZERO: f32 = (1.0 / (A2 * B2) as f64) as f32;
const AT_A: f32 = (1.0 / (2.0 * A2 * (A2 - B2)) as f64) as f32;
const AT_B: f32 = (1.0 / (2.0 * B2 * (B2 - A2)) as f64) as f32;

/// `Bᵀ·d`: six inputs to six points.
pub(in super::super) struct Inputs;

impl Map<6, 6> for Inputs {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; 6]) -> [S::Vector; 6] {
        // SAFETY: as this function's own.
        unsafe {
            let [d0, d1, d2, d3, d4, d5] = d;
            let (product, sum) = (S::splat(A2 * B2), S::splat(-(A2 + B2)));
            let (minus_a2, minus_b2) = (S::splat(-A2), S::splat(-B2));
            let even_a = S::multiply_add(minus_b2, d2, d4);
            let odd_a = S::multiply_add(minus_b2, d1, d3);
            let even_b = S::multiply_add(minus_a2, d2, d4);
            let odd_b = S::multiply_add(minus_a2, d1, d3);
            [
                S::multiply_add(product, d0, S::multiply_add(sum, d2, d4)),
                S::multiply_add(S::splat(A), odd_a, even_a),
                S::multiply_add(S::splat(-A), odd_a, even_a),
                S::multiply_add(S::splat(B), odd_b, even_b),
                S::multiply_add(S::splat(-B), odd_b, even_b),
                S::multiply_add(product, d1, S::multiply_add(sum, d3, d5)),
            ]
        }
    }
}

/// `Aᵀ·m`: six points to four outputs.
pub(in super::super) struct Outputs;

impl Map<6, 4> for Outputs {
    #[inline(always)]
    unsafe fn apply<S: Simd>(m: [S::Vector; 6]) -> [S::Vector; 4] {
        // SAFETY: as this function's own.
        unsafe {
            let [m0, m1, m2, m3, m4, m5] = m;
            let (sum_a, difference_a) = (S::add(m1, m2), S::subtract(m1, m2));
            let (sum_b, difference_b) = (S::add(m3, m4), S::subtract(m3, m4));
            // Functions instead of closures: those would not have the instruction set.
            [
                S::add(m0, S::add(sum_a, sum_b)),
                S::multiply_add(S::splat(A), difference_a, multiply::<S>(B, difference_b)),
                S::multiply_add(S::splat(A2), sum_a, multiply::<S>(B2, sum_b)),
                S::multiply_add(
                    S::splat(A2 * A),
                    difference_a,
                    S::multiply_add(S::splat(B2 * B), difference_b, m5),
                ),
            ]
        }
    }
}

/// `A·y`: the gradient of four outputs to six points.
pub(in super::super) struct OutputGradients;

impl Map<4, 6> for OutputGradients {
    #[inline(always)]
    unsafe fn apply<S: Simd>(y: [S::Vector; 4]) -> [S::Vector; 6] {
        // SAFETY: as this function's own.
        unsafe {
            let [y0, y1, y2, y3] = y;
            let (a2, b2) = (S::splat(A2), S::splat(B2));
            let (even_a, odd_a) = (S::multiply_add(a2, y2, y0), S::multiply_add(a2, y3, y1));
            let (even_b, odd_b) = (S::multiply_add(b2, y2, y0), S::multiply_add(b2, y3, y1));
            [
                y0,
                S::multiply_add(S::splat(A), odd_a, even_a),
                S::multiply_add(S::splat(-A), odd_a, even_a),
                S::multiply_add(S::splat(B), odd_b, even_b),
                S::multiply_add(S::splat(-B), odd_b, even_b),
                y3,
            ]
        }
    }
}

/// `G·g`: three kernel elements to six points.
pub(in super::super) struct Kernels;

impl Map<3, 6> for Kernels {
    #[inline(always)]
    unsafe fn apply<S: Simd>(g: [S::Vector; 3]) -> [S::Vector; 6] {
        // SAFETY: as this function's own.
        unsafe {
            let [g0, g1, g2] = g;
            let even_a = multiply::<S>(AT_A, S::multiply_add(S::splat(A2), g2, g0));
            let even_b = multiply::<S>(AT_B, S::multiply_add(S::splat(B2), g2, g0));
            [
                multiply::<S>(AT_ZERO, g0),
                S::multiply_add(S::splat(AT_A * A), g1, even_a),
                S::multiply_add(S::splat(-AT_A * A), g1, even_a),
                S::multiply_add(S::splat(AT_B * B), g1, even_b),
                S::multiply_add(S::splat(-AT_B * B), g1, even_b),
                g2,
            ]
        }
    }
}

/// `Gᵀ·u`: six points to the gradient of three kernel elements.
pub(in super::super) struct KernelGradients;

impl Map<6, 3> for KernelGradients {
    #[inline(always)]
    unsafe fn apply<S: Simd>(u: [S::Vector; 6]) -> [S::Vector; 3] {
        // SAFETY: as this function's own.
        unsafe {
            let [u0, u1, u2, u3, u4, u5] = u;
            let sum_a = multiply::<S>(AT_A, S::add(u1, u2));
            let difference_a = multiply::<S>(AT_A * A, S::subtract(u1, u2));
            let sum_b = multiply::<S>(AT_B, S::add(u3, u4));
            let difference_b = multiply::<S>(AT_B * B, S::subtract(u3, u4));
            [
                S::multiply_add(S::splat(AT_ZERO), u0, S::add(sum_a, sum_b)),
                S::add(difference_a, difference_b),
                S::multiply_add(
                    S::splat(A2),
                    sum_a,
                    S::multiply_add(S::splat(B2), sum_b, u5),
                ),
            ]
        }
    }
}
