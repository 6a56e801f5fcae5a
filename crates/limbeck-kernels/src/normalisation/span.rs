//! Passes over one map, a vector at a time.

use std::mem::MaybeUninit;

use crate::{
    activation::Activation,
    simd::{Kernel, Simd},
};

/// What every position is scaled or shifted by: one number for all of a map, or one for each position.
pub(super) trait Factor: Copy {
    /// Those of the vector at `at`.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`, and `at` must lie in the map.
    unsafe fn at<S: Simd>(self, at: usize) -> S::Vector;
}

impl Factor for f32 {
    #[inline(always)]
    unsafe fn at<S: Simd>(self, _: usize) -> S::Vector {
        // SAFETY: as this function's own.
        unsafe { S::splat(self) }
    }
}

impl Factor for &[f32] {
    #[inline(always)]
    unsafe fn at<S: Simd>(self, at: usize) -> S::Vector {
        // SAFETY: as this function's own.
        unsafe { S::load_part(self, at) }
    }
}

/// Σ x.
pub(super) struct Sum<'a>(pub &'a [f32]);

impl Kernel for Sum<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        // SAFETY: as this function's own; `at` stays inside.
        unsafe {
            // Two chains, so that an addition need not wait for the one before.
            let mut sums = [S::splat(0.0); 2];
            for at in (0..self.0.len()).step_by(2 * S::LANES) {
                sums[0] = S::add(sums[0], S::load_part(self.0, at));
                if at + S::LANES < self.0.len() {
                    sums[1] = S::add(sums[1], S::load_part(self.0, at + S::LANES));
                }
            }
            S::sum(S::add(sums[0], sums[1]))
        }
    }
}

/// Σ (x − centre)².
pub(super) struct SquaredDistance<'a> {
    pub x: &'a [f32],
    pub centre: f32,
}

impl Kernel for SquaredDistance<'_> {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> f32 {
        let whole = self.x.len() / S::LANES * S::LANES;
        let mut rest = 0.0;
        for x in &self.x[whole..] {
            rest += (x - self.centre) * (x - self.centre);
        }
        // SAFETY: as this function's own; `at` stays inside.
        unsafe {
            let centre = S::splat(self.centre);
            let mut sums = [S::splat(0.0); 2];
            for at in (0..whole).step_by(2 * S::LANES) {
                let distance = S::subtract(S::load_part(self.x, at), centre);
                sums[0] = S::multiply_add(distance, distance, sums[0]);
                if at + S::LANES < whole {
                    let distance = S::subtract(S::load_part(self.x, at + S::LANES), centre);
                    sums[1] = S::multiply_add(distance, distance, sums[1]);
                }
            }
            S::sum(S::add(sums[0], sums[1])) + rest
        }
    }
}

/// y = (x − centre)·scale + shift, plus a residual where there is one, then the activation.
pub(super) struct Normalise<'a, F> {
    pub x: &'a [f32],
    pub residual: Option<&'a [f32]>,
    pub centre: F,
    pub scale: F,
    pub shift: F,
    pub activation: Activation,
    pub y: &'a mut [MaybeUninit<f32>],
}

impl<F: Factor> Kernel for Normalise<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all maps, which are equally long.
        unsafe {
            for at in (0..self.x.len()).step_by(S::LANES) {
                let distance = S::subtract(S::load_part(self.x, at), self.centre.at::<S>(at));
                let (scale, shift) = (self.scale.at::<S>(at), self.shift.at::<S>(at));
                let mut y = S::multiply_add(distance, scale, shift);
                if let Some(residual) = self.residual {
                    y = S::add(y, S::load_part(residual, at));
                }
                S::store_part(self.y, at, self.activation.of::<S>(y));
            }
        }
    }
}

/// What lets the gradients of one map pass.
#[derive(Clone, Copy)]
pub(super) enum Gate<'a, F = f32> {
    /// All of them pass.
    Open,
    /// A rectifier, by its output.
    Stored(Activation, &'a [f32]),
    /// The activation, by what it was given, (x − centre)·scale + shift, which is computed once more.
    Computed {
        activation: Activation,
        scale: F,
        shift: F,
    },
}

impl<F: Factor> Gate<'_, F> {
    /// What passes of the vector of gradients at `at`, where the input is `distance` off the
    /// centre.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`, and `at` must lie in the map.
    #[inline(always)]
    pub(super) unsafe fn passed<S: Simd>(
        self,
        at: usize,
        distance: S::Vector,
        gradient: S::Vector,
    ) -> S::Vector {
        // SAFETY: as this function's own.
        unsafe {
            match self {
                Gate::Open => gradient,
                Gate::Stored(activation, output) => {
                    activation.passed::<S>(S::load_part(output, at), gradient)
                }
                Gate::Computed {
                    activation,
                    scale,
                    shift,
                } => {
                    // The operations of `Normalise`, so that ties fall as they did there.
                    let y = S::multiply_add(distance, scale.at::<S>(at), shift.at::<S>(at));
                    activation.passed::<S>(y, gradient)
                }
            }
        }
    }
}

/// Σ g and Σ g·(x − centre), with g the gradient that passes the activation.
pub(super) struct GradientSums<'a> {
    pub x: &'a [f32],
    pub centre: f32,
    /// The gradient of the output. Where it is not given it must lie in the room for g.
    pub gradient: Option<&'a [f32]>,
    pub gate: Gate<'a>,
    /// Room for g, where that is wanted.
    pub passed: Option<&'a mut [MaybeUninit<f32>]>,
}

impl Kernel for GradientSums<'_> {
    type Output = [f32; 2];

    #[inline(always)]
    unsafe fn run<S: Simd>(self) -> [f32; 2] {
        // SAFETY: as this function's own; `at` stays inside all maps, which are equally long, and a room that is
        // read from holds numbers.
        unsafe {
            let centre = S::splat(self.centre);
            let mut passed = self.passed;
            let mut sums = [S::splat(0.0); 2];
            for at in (0..self.x.len()).step_by(S::LANES) {
                let distance = S::subtract(S::load_part(self.x, at), centre);
                let gradient = gradient_at::<S>(self.gradient, passed.as_deref(), at);
                let gradient = self.gate.passed::<S>(at, distance, gradient);
                if let Some(passed) = &mut passed {
                    S::store_part(passed, at, gradient);
                }
                sums[0] = S::add(sums[0], gradient);
                sums[1] = S::multiply_add(gradient, distance, sums[1]);
            }
            [S::sum(sums[0]), S::sum(sums[1])]
        }
    }
}

/// The vector at `at` of a gradient, or of the room that it lies in where it is not given.
///
/// # Safety
/// The processor must have the instruction set of `S`; there must be one of the two, `at` must lie in it, and a room
/// must hold numbers.
#[inline(always)]
pub(super) unsafe fn gradient_at<S: Simd>(
    gradient: Option<&[f32]>,
    room: Option<&[MaybeUninit<f32>]>,
    at: usize,
) -> S::Vector {
    // SAFETY: as this function's own.
    unsafe {
        match (gradient, room) {
            (Some(gradient), _) => S::load_part(gradient, at),
            (None, Some(room)) => S::load_part(room.assume_init_ref(), at),
            (None, None) => S::splat(0.0),
        }
    }
}

/// dx = g·scale + (x − centre)·slope + shift, with g as in [`GradientSums`]; g itself is written
/// where the residual's gradient is asked for.
pub(super) struct InputGradient<'a, F> {
    pub x: &'a [f32],
    pub centre: F,
    /// The gradient of the output. Where it is not given it must lie in the room for the
    /// residual's gradient, or for dx where there is no such room, and is overwritten.
    pub gradient: Option<&'a [f32]>,
    pub gate: Gate<'a, F>,
    pub scale: F,
    pub slope: F,
    pub shift: F,
    pub dx: &'a mut [MaybeUninit<f32>],
    pub residual: Option<&'a mut [MaybeUninit<f32>]>,
}

impl<F: Factor> Kernel for InputGradient<'_, F> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: as this function's own; `at` stays inside all maps, which are equally long, and a
        // room that is read from holds numbers.
        unsafe {
            let mut residual = self.residual;
            for at in (0..self.x.len()).step_by(S::LANES) {
                let distance = S::subtract(S::load_part(self.x, at), self.centre.at::<S>(at));
                let scale = self.scale.at::<S>(at);
                let (slope, shift) = (self.slope.at::<S>(at), self.shift.at::<S>(at));
                let gradient = match (self.gradient, &residual) {
                    (Some(gradient), _) => S::load_part(gradient, at),
                    (None, Some(room)) => S::load_part(room.assume_init_ref(), at),
                    (None, None) => S::load_part(self.dx.assume_init_ref(), at),
                };
                let gradient = self.gate.passed::<S>(at, distance, gradient);
                let dx = S::multiply_add(distance, slope, shift);
                S::store_part(self.dx, at, S::multiply_add(gradient, scale, dx));
                if let Some(residual) = &mut residual {
                    S::store_part(residual, at, gradient);
                }
            }
        }
    }
}
