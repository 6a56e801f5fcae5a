//! One image.

use std::mem::MaybeUninit;

use crate::{
    gated_fusion::{forward::add_times, sizes::Sizes},
    product::{
        Matrix,
        pack::{pack, panel_columns},
        tile::{LeftRows, Place, Start, TILE_ROWS, multiply},
    },
    resize::nearest::Nearest,
    simd::{Kernel, Simd, as_room},
};

/// What is summed over positions and images.
pub(super) struct Sums {
    /// Σ G·(g·x)ᵀ, `[M, C]`.
    pub products: Vec<f32>,
    /// Σ g·G, `[M]`.
    pub outputs: Vec<f64>,
    /// Σ of each logit's gradient times x, `[2, C]`.
    pub inputs: Vec<f64>,
    /// Σ of each logit's gradient times r, `[2, M]`.
    pub running: Vec<f64>,
    /// Σ of each logit's gradient.
    pub gates: [f64; 2],
}

impl Sums {
    pub fn new(sizes: &Sizes) -> Self {
        Self {
            products: vec![0.0; sizes.outputs * sizes.inputs],
            outputs: vec![0.0; sizes.outputs],
            inputs: vec![0.0; 2 * sizes.inputs],
            running: vec![0.0; 2 * sizes.outputs],
            gates: [0.0; 2],
        }
    }

    /// Of all chunks, in order.
    pub fn total(all: Vec<Self>) -> Self {
        fn add<T: Copy + std::ops::AddAssign>(to: &mut [T], from: &[T]) {
            for (to, from) in to.iter_mut().zip(from) {
                *to += *from;
            }
        }
        let mut all = all.into_iter();
        let first = all.next();
        let mut total = first.unwrap_or_else(|| unreachable!("a batch has images"));
        for part in all {
            add(&mut total.products, &part.products);
            add(&mut total.outputs, &part.outputs);
            add(&mut total.inputs, &part.inputs);
            add(&mut total.running, &part.running);
            add(&mut total.gates, &part.gates);
        }
        total
    }
}

/// How the room of a task is used, in numbers.
pub(super) struct Room {
    /// A row of a strip.
    width: usize,
    /// Panels of x.
    panels: usize,
    /// A strip of the mixture's gradient.
    gradients: usize,
    /// A strip of Z and of g·x.
    mapped: usize,
    /// Both logits' gradients summed over what a coarser position is copied to.
    low: usize,
}

/// Rows of a strip that are at hand: copies of r, both gates' gradients, h·G, sums.
const ROWS: usize = 5;

impl Room {
    pub fn of(sizes: &Sizes, lanes: usize) -> Self {
        let width = sizes.strip_width(lanes);
        Self {
            width,
            panels: width * sizes.inputs.next_multiple_of(lanes),
            gradients: sizes.outputs * width,
            mapped: (2 * sizes.inputs + 1) * width,
            low: 2 * sizes.coarse_positions(),
        }
    }

    pub fn counts(&self) -> [usize; 3] {
        [
            self.gradients,
            self.mapped,
            ROWS * self.width + self.low + self.panels,
        ]
    }
}

pub(super) struct Image<'a> {
    pub sizes: &'a Sizes,
    pub nearest: &'a Nearest,
    /// `[M, C + 1]`.
    pub map: &'a [f32],
    /// `[2, C]`.
    pub projected: &'a [f32],
    /// `[2, 2·M]`.
    pub gate_weight: &'a [f32],
    pub x: &'a [f32],
    pub running: &'a [f32],
    pub gates: &'a [f32],
    /// Of the mixture.
    pub gradient: &'a [f32],
    /// As [`Room::counts`].
    pub gradients: &'a mut [f32],
    pub mapped: &'a mut [f32],
    pub rest: &'a mut [f32],
    pub room: &'a Room,
    pub sums: &'a mut Sums,
    /// What the input's gradient is but for the statistics'.
    pub dx: &'a mut [MaybeUninit<f32>],
    /// Zeros, to which is added.
    pub d_running: &'a mut [f32],
}

/// A strip's place in a map.
#[derive(Clone, Copy)]
struct Stretch {
    first: usize,
    count: usize,
}

impl Kernel for Image<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let coarse = self.sizes.coarse_positions();
        let rest = std::mem::take(&mut self.rest);
        let (rows, rest) = rest.split_at_mut(ROWS * self.room.width);
        let (low, panels) = rest.split_at_mut(self.room.low);
        low.fill(0.0);
        for strip in self.sizes.strips() {
            let place = Stretch {
                first: strip.start * self.sizes.size[1],
                count: strip.len() * self.sizes.size[1],
            };
            // SAFETY: as this function's own.
            unsafe {
                self.map_back::<S>(place);
                let mut rows = rows.chunks_exact_mut(self.room.width);
                let mut row = || rows.next().unwrap_or_default();
                let [wide, mixed, sums] = [row(), row(), row()];
                let logits = [row(), row()];
                let [own, other] = logits;
                // The gates' gradients, then their logits'.
                other[..place.count].fill(0.0);
                for channel in 0..self.sizes.outputs {
                    let running = &self.running[channel * coarse..][..coarse];
                    self.nearest.copy_rows::<S>(
                        running,
                        strip.clone(),
                        as_room(&mut wide[..place.count]),
                    );
                    let sum = self.mix_back::<S>(channel, place, wide, other, mixed);
                    self.sums.outputs[channel] += f64::from(sum);
                    let to = &mut self.d_running[channel * coarse..][..coarse];
                    self.nearest
                        .add_rows::<S>(&mixed[..place.count], strip.clone(), sums, to);
                }
                self.gather_logits::<S>(place, own, other);
                for (logit, low) in [&*own, &*other]
                    .into_iter()
                    .zip(low.chunks_exact_mut(coarse))
                {
                    self.nearest
                        .add_rows::<S>(&logit[..place.count], strip.clone(), sums, low);
                }
                for channel in 0..self.sizes.inputs {
                    self.of_input::<S>(channel, place, [own, other]);
                }
                self.add_products::<S>(place, panels);
            }
        }
        for channel in 0..self.sizes.outputs {
            let running = &self.running[channel * coarse..][..coarse];
            let to = &mut self.d_running[channel * coarse..][..coarse];
            for (gate, low) in low.chunks_exact(coarse).enumerate() {
                let weight = self.gate_weight[(2 * gate + 1) * self.sizes.outputs + channel];
                // SAFETY: as this function's own.
                unsafe {
                    add_times::<S>(to, low, weight);
                    let sum = f64::from(dot::<S>(running, low));
                    self.sums.running[gate * self.sizes.outputs + channel] += sum;
                }
            }
        }
    }
}

impl Image<'_> {
    /// Packs the strip of G, and makes Z `[C + 1, count]` of it; its last row is of the shift.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn map_back<S: Simd>(&mut self, place: Stretch) {
        let sizes = self.sizes;
        let (depth, width) = (sizes.outputs, self.room.width);
        let from = &self.gradient[place.first..];
        let strip = Matrix::with_stride(from, depth, place.count, sizes.positions());
        let map = Matrix::new(self.map, depth, sizes.inputs + 1).transposed();
        // SAFETY: as this function's own; tiles cover the rows, which are as long as the panels are
        // deep.
        unsafe {
            pack::<S>(
                strip,
                as_room(&mut self.gradients[..depth * self.room.width]),
            );
            for column in (0..place.count).step_by(panel_columns::<S>()) {
                let columns = panel_columns::<S>().min(place.count - column);
                for row in (0..map.rows).step_by(TILE_ROWS) {
                    let rows = TILE_ROWS.min(map.rows - row);
                    multiply::<S>(
                        LeftRows::new(map, row, rows, 0, depth),
                        self.gradients[column * depth..].as_ptr(),
                        depth,
                        Start::Zero,
                        Place {
                            numbers: &mut as_room(self.mapped)[row * width + column..],
                            row_stride: width,
                            columns,
                        },
                    );
                }
            }
        }
    }

    /// Where the packed strip has the vector `at` of an output.
    #[inline(always)]
    fn packed<S: Simd>(&self, channel: usize, place: Stretch, at: usize) -> &[f32] {
        let column = at / panel_columns::<S>() * panel_columns::<S>();
        let width = (place.count - column)
            .next_multiple_of(S::LANES)
            .min(panel_columns::<S>());
        let panel = &self.gradients[column * self.sizes.outputs..];
        &panel[channel * width + at - column..][..S::LANES]
    }

    /// Of one output: adds r·G to `other`, writes h·G to `mixed`, and gives Σ g·G.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn mix_back<S: Simd>(
        &self,
        channel: usize,
        place: Stretch,
        wide: &[f32],
        other: &mut [f32],
        mixed: &mut [f32],
    ) -> f32 {
        let [own_gate, other_gate] = gates_at(self.gates, self.sizes, place);
        let (wide, other) = (&wide[..place.count], &mut other[..place.count]);
        let mixed = &mut mixed[..place.count];
        // SAFETY: as this function's own; `at` stays inside the strip.
        unsafe {
            let mut sum = S::splat(0.0);
            for at in (0..place.count).step_by(S::LANES) {
                let gradient = S::load(self.packed::<S>(channel, place, at).as_ptr());
                let of_gate =
                    S::multiply_add(gradient, S::load_part(wide, at), S::load_part(other, at));
                S::store_part(as_room(other), at, of_gate);
                sum = S::multiply_add(gradient, S::load_part(own_gate, at), sum);
                let to_running = S::multiply(gradient, S::load_part(other_gate, at));
                S::store_part(as_room(mixed), at, to_running);
            }
            S::sum(sum)
        }
    }

    /// Makes the gates' logits' gradients: of the first gate from x·Z, of the second from what
    /// `other` holds.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn gather_logits<S: Simd>(
        &mut self,
        place: Stretch,
        own: &mut [f32],
        other: &mut [f32],
    ) {
        let (width, inputs) = (self.room.width, self.sizes.inputs);
        let [own_gate, other_gate] = gates_at(self.gates, self.sizes, place);
        let (own, other) = (&mut own[..place.count], &mut other[..place.count]);
        own.copy_from_slice(&self.mapped[inputs * width..][..place.count]);
        for (channel, mapped) in self.mapped.chunks_exact(width).take(inputs).enumerate() {
            let start = channel * self.sizes.positions() + place.first;
            let (x, mapped) = (&self.x[start..][..place.count], &mapped[..place.count]);
            // SAFETY: as this function's own; `at` stays inside the strip.
            unsafe {
                for at in (0..place.count).step_by(S::LANES) {
                    let (x, z) = (S::load_part(x, at), S::load_part(mapped, at));
                    let sum = S::multiply_add(x, z, S::load_part(own, at));
                    S::store_part(as_room(own), at, sum);
                }
            }
        }
        // SAFETY: as this function's own; `at` stays inside the strip.
        unsafe {
            let one = S::splat(1.0);
            for ((of_gate, gate), sum) in [own, other]
                .into_iter()
                .zip([own_gate, other_gate])
                .zip(&mut self.sums.gates)
            {
                let mut total = S::splat(0.0);
                for at in (0..place.count).step_by(S::LANES) {
                    let share = S::load_part(gate, at);
                    let slope = S::multiply(share, S::subtract(one, share));
                    let of_logit = S::multiply(S::load_part(of_gate, at), slope);
                    S::store_part(as_room(of_gate), at, of_logit);
                    total = S::add(total, of_logit);
                }
                *sum += f64::from(S::sum(total));
            }
        }
    }

    /// Of one input: its gradient but for the statistics', g·x, and the sums of the logits' gradients
    /// times x.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn of_input<S: Simd>(&mut self, channel: usize, place: Stretch, logits: [&[f32]; 2]) {
        let Stretch { first, count } = place;
        let (width, inputs) = (self.room.width, self.sizes.inputs);
        let start = channel * self.sizes.positions() + first;
        let x = &self.x[start..][..count];
        let dx = &mut self.dx[start..][..count];
        let gate = &self.gates[first..][..count];
        let (z, gated) = self.mapped.split_at_mut((inputs + 1) * width);
        let z = &z[channel * width..][..count];
        let gated = &mut gated[channel * width..][..count];
        let [own, other] = logits.map(|logits| &logits[..count]);
        // SAFETY: as this function's own; `at` stays inside the strip.
        unsafe {
            let projected = [0, 1].map(|gate| self.projected[gate * inputs + channel]);
            let projected = [S::splat(projected[0]), S::splat(projected[1])];
            let mut totals = [S::splat(0.0); 2];
            for at in (0..count).step_by(S::LANES) {
                let (x, gate) = (S::load_part(x, at), S::load_part(gate, at));
                let (own, other) = (S::load_part(own, at), S::load_part(other, at));
                let gradient = S::multiply(gate, S::load_part(z, at));
                let gradient = S::multiply_add(projected[0], own, gradient);
                let gradient = S::multiply_add(projected[1], other, gradient);
                S::store_part(dx, at, gradient);
                S::store_part(as_room(gated), at, S::multiply(gate, x));
                totals[0] = S::multiply_add(own, x, totals[0]);
                totals[1] = S::multiply_add(other, x, totals[1]);
            }
            for (gate, total) in totals.into_iter().enumerate() {
                self.sums.inputs[gate * inputs + channel] += f64::from(S::sum(total));
            }
        }
    }

    /// Adds the products of G and g·x.
    ///
    /// # Safety
    /// The processor must have the instruction set of `S`.
    #[inline(always)]
    unsafe fn add_products<S: Simd>(&mut self, place: Stretch, panels: &mut [f32]) {
        let (width, inputs, outputs) = (self.room.width, self.sizes.inputs, self.sizes.outputs);
        let gated = &self.mapped[(inputs + 1) * width..];
        let gated = Matrix::with_stride(gated, inputs, place.count, width);
        for channel in (0..inputs).step_by(panel_columns::<S>()) {
            let channels = panel_columns::<S>().min(inputs - channel);
            let across = channels.next_multiple_of(S::LANES);
            let panel = &mut panels[..place.count * across];
            let right = gated.some_rows(channel, channels).transposed();
            // SAFETY: as this function's own; tiles cover the rows, the rows of a packed strip are as
            // long as the part of the panel is deep, and the sums hold numbers.
            unsafe {
                pack::<S>(right, as_room(panel));
                for column in (0..place.count).step_by(panel_columns::<S>()) {
                    let columns = panel_columns::<S>().min(place.count - column);
                    let step = columns.next_multiple_of(S::LANES);
                    let packed = &self.gradients[column * outputs..][..outputs * step];
                    let left = Matrix::with_stride(packed, outputs, columns, step);
                    for row in (0..outputs).step_by(TILE_ROWS) {
                        let rows = TILE_ROWS.min(outputs - row);
                        multiply::<S>(
                            LeftRows::new(left, row, rows, 0, columns),
                            panel[column * across..].as_ptr(),
                            columns,
                            Start::Held,
                            Place {
                                numbers: &mut as_room(&mut self.sums.products)
                                    [row * inputs + channel..],
                                row_stride: inputs,
                                columns: channels,
                            },
                        );
                    }
                }
            }
        }
    }
}

/// Both gates at a strip, of an image's `[2, H, W]`.
#[inline(always)]
fn gates_at<'g>(gates: &'g [f32], sizes: &Sizes, place: Stretch) -> [&'g [f32]; 2] {
    [0, 1].map(|gate| &gates[gate * sizes.positions() + place.first..][..place.count])
}

/// # Safety
/// The processor must have the instruction set of `S`.
#[inline(always)]
unsafe fn dot<S: Simd>(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    // SAFETY: as this function's own; `at` stays inside both.
    unsafe {
        let mut sum = S::splat(0.0);
        for at in (0..a.len()).step_by(S::LANES) {
            sum = S::multiply_add(S::load_part(a, at), S::load_part(b, at), sum);
        }
        S::sum(sum)
    }
}
