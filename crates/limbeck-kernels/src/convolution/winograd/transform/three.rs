//! Kernels of three elements with stride 1: three outputs from five inputs at five points, ±a, ±b and infinity, with
//! `a = 1/2` and `b = 5/4`.

use super::{Map, multiply};
use crate::simd::Simd;

const A: f32 = 0.5;
const B: f32 = 1.25;
const A2: f32 = A * A;
const B2: f32 = B * B;
/// 1 over the values of the points' polynomials: `2a(a² − b²)`, `2b(b² − a²)`; those at −a and −b are the opposite.
const AT_A: f32 = (1.0 / (2.0 * A * (A2 - B2)) as f64) as f32;
const AT_B: f32 = (1.0 / (2.0 * B * (B2 - A2)) as f64) as f32;

/// `Bᵀ·d`: five inputs to five points.
pub(in super::super) struct Inputs;

impl Map<5, 5> for Inputs {
    #[inline(always)]
    unsafe fn apply<S: Simd>(d: [S::Vector; 5]) -> [S::Vector; 5] {
        // SAFETY: as this function's own.
        unsafe {
            let [d0, d1, d2, d3, d4] = d;
            let (product, sum) = (S::splat(A2 * B2), S::splat(-(A2 + B2)));
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
                S::multiply_add(product, d0, S::multiply_add(sum, d2, d4)),
            ]
        }
    }
}

/// `Aᵀ·m`: five points to three outputs.
pub(in super::super) struct Outputs;

impl Map<5, 3> for Outputs {
    #[inline(always)]
    unsafe fn apply<S: Simd>(m: [S::Vector; 5]) -> [S::Vector; 3] {
        // SAFETY: as this function's own.
        unsafe {
            let [m0, m1, m2, m3, m4] = m;
            let (sum_a, difference_a) = (S::add(m0, m1), S::subtract(m0, m1));
            let (sum_b, difference_b) = (S::add(m2, m3), S::subtract(m2, m3));
            [
                S::add(sum_a, sum_b),
                S::multiply_add(S::splat(A), difference_a, multiply::<S>(B, difference_b)),
                S::multiply_add(
                    S::splat(A2),
                    sum_a,
                    S::multiply_add(S::splat(B2), sum_b, m4),
                ),
            ]
        }
    }
}

/// `A·y`: the gradient of three outputs to five points.
pub(in super::super) struct OutputGradients;

impl Map<3, 5> for OutputGradients {
    #[inline(always)]
    unsafe fn apply<S: Simd>(y: [S::Vector; 3]) -> [S::Vector; 5] {
        // SAFETY: as this function's own.
        unsafe {
            let [y0, y1, y2] = y;
            let even_a = S::multiply_add(S::splat(A2), y2, y0);
            let even_b = S::multiply_add(S::splat(B2), y2, y0);
            [
                S::multiply_add(S::splat(A), y1, even_a),
                S::multiply_add(S::splat(-A), y1, even_a),
                S::multiply_add(S::splat(B), y1, even_b),
                S::multiply_add(S::splat(-B), y1, even_b),
                y2,
            ]
        }
    }
}

/// `G·g`: three kernel elements to five points.
pub(in super::super) struct Kernels;

impl Map<3, 5> for Kernels {
    #[inline(always)]
    unsafe fn apply<S: Simd>(g: [S::Vector; 3]) -> [S::Vector; 5] {
        // SAFETY: as this function's own.
        unsafe {
            let [g0, g1, g2] = g;
            let even_a = multiply::<S>(AT_A, S::multiply_add(S::splat(A2), g2, g0));
            let even_b = multiply::<S>(AT_B, S::multiply_add(S::splat(B2), g2, g0));
            let (odd_a, odd_b) = (multiply::<S>(AT_A * A, g1), multiply::<S>(AT_B * B, g1));
            [
                S::add(odd_a, even_a),
                S::subtract(odd_a, even_a),
                S::add(odd_b, even_b),
                S::subtract(odd_b, even_b),
                g2,
            ]
        }
    }
}

/// `Gᵀ·u`: five points to the gradient of three kernel elements.
pub(in super::super) struct KernelGradients;

impl Map<5, 3> for KernelGradients {
    #[inline(always)]
    unsafe fn apply<S: Simd>(u: [S::Vector; 5]) -> [S::Vector; 3] {
        // SAFETY: as this function's own.
        unsafe {
            let [u0, u1, u2, u3, u4] = u;
            let even_a = multiply::<S>(AT_A, S::subtract(u0, u1));
            let odd_a = multiply::<S>(AT_A * A, S::add(u0, u1));
            let even_b = multiply::<S>(AT_B, S::subtract(u2, u3));
            let odd_b = multiply::<S>(AT_B * B, S::add(u2, u3));
            [
                S::add(even_a, even_b),
                S::add(odd_a, odd_b),
                S::multiply_add(
                    S::splat(A2),
                    even_a,
                    S::multiply_add(S::splat(B2), even_b, u4),
                ),
            ]
        }
    }
}
