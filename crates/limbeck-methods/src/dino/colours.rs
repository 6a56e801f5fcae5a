//! Random colours, as in torchvision's `ColorJitter`, `RandomGrayscale`, `RandomSolarize` and
//! Pillow's `GaussianBlur`, of pixels from 0 to 1 in three colours.

use limbeck_data::Stream;

/// Greatest distances from 1 of the factors of light, contrast and saturation, and the greatest turn
/// of the hue in full turns (Caron et al. 2021, authors' code).
const STRENGTHS: [f64; 3] = [0.4, 0.4, 0.2];
const TURN: f64 = 0.1;
/// Red, green and blue in the light of a pixel (Rec. 601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// A pixel.
pub type Colour = [f32; 3];

/// What is done to the colours of pixels that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Tint {
    /// The changes in their order, none where they are left out.
    order: Option<[usize; 4]>,
    factors: [f32; 3],
    turn: f32,
    grey: bool,
}

impl Tint {
    /// Changes colours with probability `jitter`, and takes them away with probability `grey`.
    pub fn draw(jitter: f64, grey: f64, stream: &mut Stream) -> Self {
        // Drawn in a fixed order, so that switching one change off leaves the others as they are.
        let changes = stream.chance(jitter);
        let mut order = [0, 1, 2, 3];
        stream.shuffle(&mut order);
        let factors = STRENGTHS.map(|strength| stream.uniform(1.0 - strength, 1.0 + strength));
        let turn = stream.uniform(-TURN, TURN);
        Self {
            order: changes.then_some(order),
            factors: factors.map(|factor| factor as f32),
            turn: turn as f32,
            grey: stream.chance(grey),
        }
    }

    /// Changes the pixels of one region of an image.
    pub fn apply(&self, pixels: &mut [Colour]) {
        let [light, contrast, saturation] = self.factors;
        for change in self.order.iter().flatten() {
            match change {
                0 => each(pixels, |value, _| light * value),
                1 => {
                    let sum: f64 = pixels.iter().map(|pixel| f64::from(luma(*pixel))).sum();
                    let mean = (sum / pixels.len().max(1) as f64) as f32;
                    each(pixels, |value, _| mean + contrast * (value - mean));
                }
                2 => each(pixels, |value, grey| grey + saturation * (value - grey)),
                _ => pixels
                    .iter_mut()
                    .for_each(|pixel| turn_hue(pixel, self.turn)),
            }
        }
        if self.grey {
            each(pixels, |_, grey| grey);
        }
    }
}

fn luma(pixel: Colour) -> f32 {
    pixel
        .iter()
        .zip(LUMA)
        .map(|(value, share)| value * share)
        .sum()
}

/// Replaces every value by `change` of it and its pixel's light, cut off at 0 and 1.
fn each(pixels: &mut [Colour], change: impl Fn(f32, f32) -> f32) {
    for pixel in pixels {
        let grey = luma(*pixel);
        for value in pixel {
            *value = change(*value, grey).clamp(0.0, 1.0);
        }
    }
}

/// Turns the hue; 1 is a full turn.
fn turn_hue(pixel: &mut Colour, turn: f32) {
    let [red, green, blue] = *pixel;
    let greatest = red.max(green).max(blue);
    let chroma = greatest - red.min(green).min(blue);
    if chroma <= 0.0 {
        return;
    }
    // In sixths of a turn, from red over green and blue.
    let sector = if greatest == red {
        (green - blue) / chroma
    } else if greatest == green {
        2.0 + (blue - red) / chroma
    } else {
        4.0 + (red - green) / chroma
    };
    let sector = sector + 6.0 * turn;
    for (value, offset) in pixel.iter_mut().zip([5.0, 3.0, 1.0]) {
        let place = (sector + offset).rem_euclid(6.0);
        let share = place.min(4.0 - place).clamp(0.0, 1.0);
        *value = greatest - chroma * share;
    }
}

/// Turns values of a half and more around: 1 − x.
pub fn solarise(pixels: &mut [Colour]) {
    for value in pixels.iter_mut().flatten() {
        if *value >= 0.5 {
            *value = 1.0 - *value;
        }
    }
}

/// Blurs an image of `height` rows by a Gaussian of deviation `sigma` pixels, reaching three of them
/// to either side; the border's pixels go on beyond it.
pub fn blur(pixels: &mut [Colour], height: usize, sigma: f64) {
    let reach = (3.0 * sigma).ceil() as isize;
    if reach == 0 || pixels.is_empty() || height == 0 {
        return;
    }
    let weights: Vec<f64> = (-reach..=reach)
        .map(|at| (-0.5 * (at as f64 / sigma).powi(2)).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    let weights: Vec<f32> = weights.iter().map(|weight| (weight / sum) as f32).collect();
    let width = pixels.len() / height;
    // (number of lines, steps from line to line, length of a line, steps within it)
    for (lines, across, length, along) in [(height, width, width, 1), (width, 1, height, width)] {
        let mut line = vec![[0.0; 3]; length];
        for number in 0..lines {
            let start = number * across;
            for (i, pixel) in line.iter_mut().enumerate() {
                *pixel = pixels[start + i * along];
            }
            for i in 0..length {
                let mut mixed = [0.0; 3];
                for (weight, offset) in weights.iter().zip(-reach..) {
                    let from = (i as isize + offset).clamp(0, length as isize - 1) as usize;
                    for (mixed, value) in mixed.iter_mut().zip(line[from]) {
                        *mixed += weight * value;
                    }
                }
                pixels[start + i * along] = mixed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tint(order: [usize; 4], factors: [f32; 3], turn: f32) -> Tint {
        Tint {
            order: Some(order),
            factors,
            turn,
            grey: false,
        }
    }

    fn close(found: &[Colour], expected: &[Colour]) {
        for (a, b) in found.iter().flatten().zip(expected.iter().flatten()) {
            assert!((a - b).abs() < 1e-6, "{found:?} and {expected:?}");
        }
    }

    #[test]
    fn factors_of_one_change_nothing() {
        let before = [[0.1, 0.9, 0.4], [0.0, 0.5, 1.0]];
        let mut pixels = before;
        tint([0, 1, 2, 3], [1.0; 3], 0.0).apply(&mut pixels);
        close(&pixels, &before);
    }

    #[test]
    fn light_contrast_saturation_and_hue_by_hand() {
        let of = |factors, turn| {
            let mut pixels = [[0.2, 0.2, 0.2], [0.6, 0.6, 0.6]];
            tint([0, 1, 2, 3], factors, turn).apply(&mut pixels);
            pixels
        };
        close(&of([2.0, 1.0, 1.0], 0.0), &[[0.4; 3], [1.0; 3]]);
        close(&of([1.0, 0.5, 1.0], 0.0), &[[0.3; 3], [0.5; 3]]);
        close(&of([1.0, 1.0, 0.0], 0.25), &[[0.2; 3], [0.6; 3]]);
        let mut red = [[1.0, 0.0, 0.0]];
        tint([0, 1, 2, 3], [1.0; 3], 1.0 / 3.0).apply(&mut red);
        close(&red, &[[0.0, 1.0, 0.0]]);
        let mut green = [[0.0, 1.0, 0.0]];
        tint([0, 1, 2, 3], [1.0, 1.0, 0.0], 0.0).apply(&mut green);
        close(&green, &[[0.587; 3]]);
    }

    #[test]
    fn probabilities_decide_what_happens() {
        let mut stream = Stream::of_seed(3);
        let draws: Vec<Tint> = (0..2000)
            .map(|_| Tint::draw(0.8, 0.2, &mut stream))
            .collect();
        let changed = draws.iter().filter(|tint| tint.order.is_some()).count();
        let grey = draws.iter().filter(|tint| tint.grey).count();
        assert!((1540..1660).contains(&changed) && (340..460).contains(&grey));
        assert!(draws.iter().any(|tint| tint.factors[0] < 0.65));
        let none = Tint::draw(0.0, 0.0, &mut stream);
        let mut pixels = [[0.3, 0.8, 0.1]];
        none.apply(&mut pixels);
        assert_eq!(pixels, [[0.3, 0.8, 0.1]]);
    }

    #[test]
    fn solarising_turns_the_bright_half_around() {
        let mut pixels = [[0.25, 0.5, 1.0]];
        solarise(&mut pixels);
        close(&pixels, &[[0.25, 0.5, 0.0]]);
    }

    #[test]
    fn a_blur_keeps_one_colour_and_the_sum_and_spreads_a_point_alike_to_all_sides() {
        let mut plain = [[0.4, 0.2, 0.9]; 12];
        let before = plain;
        blur(&mut plain, 3, 1.3);
        close(&plain, &before);
        let mut point = [[0.0; 3]; 81];
        point[40] = [1.0; 3];
        blur(&mut point, 9, 1.0);
        let value = |row: usize, column: usize| point[9 * row + column][0];
        let sum: f32 = point.iter().map(|pixel| pixel[0]).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        assert!((value(4, 3) / value(4, 4) - (-0.5f32).exp()).abs() < 1e-5);
        assert!((value(3, 4) - value(4, 5)).abs() < 1e-7);
        let mut untouched = [[0.0; 3], [1.0; 3]];
        blur(&mut untouched, 1, 0.0);
        close(&untouched, &[[0.0; 3], [1.0; 3]]);
    }
}
