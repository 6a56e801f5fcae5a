//! The classic operators on whole pixel values, which the networks learn to imitate.

/// One image of whole numbers 0..=255: channel by channel, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Pixels {
    /// `[C, H, W]`, flat; each a whole number from 0 to 255.
    pub values: Vec<f64>,
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// What the eleven networks imitate, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Towards black, or away from it.
    Brightness,
    /// Towards grey, or away from it.
    Colour,
    /// Towards the mean grey, or away from it.
    Contrast,
    /// Towards a smoothed picture, or away from it.
    Sharpness,
    /// Fewer bits.
    Posterize,
    /// Bright values are inverted.
    Solarize,
    /// Rows slide.
    ShearX,
    /// Columns slide.
    ShearY,
    /// Sideways.
    TranslateX,
    /// Up or down.
    TranslateY,
    /// About the centre.
    Rotate,
}

/// Colour operators, then geometric ones.
pub const OPERATORS: [Operator; 11] = [
    Operator::Brightness,
    Operator::Colour,
    Operator::Contrast,
    Operator::Sharpness,
    Operator::Posterize,
    Operator::Solarize,
    Operator::ShearX,
    Operator::ShearY,
    Operator::TranslateX,
    Operator::TranslateY,
    Operator::Rotate,
];

/// Bins of strength.
const BINS: usize = 10;

impl Operator {
    /// Whether strength may be negative.
    pub fn is_signed(self) -> bool {
        !matches!(self, Self::Posterize | Self::Solarize)
    }

    /// The strength for a magnitude in 0..1, in ten bins (AutoAugment's tables as in torchvision),
    /// for pictures whose sides are `height` and `width` pixels.
    pub fn strength(self, magnitude: f64, height: usize, width: usize) -> f64 {
        let bin = ((BINS as f64 * magnitude) as usize).min(BINS - 1) as f64;
        let share = bin / (BINS - 1) as f64;
        match self {
            Self::Brightness | Self::Colour | Self::Contrast | Self::Sharpness => 0.9 * share,
            Self::Posterize => 8.0 - (bin * 4.0 / (BINS - 1) as f64).round(),
            Self::Solarize => 255.0 * (1.0 - share),
            Self::ShearX | Self::ShearY => 0.3 * share,
            Self::TranslateX => 150.0 / 331.0 * width as f64 * share,
            Self::TranslateY => 150.0 / 331.0 * height as f64 * share,
            Self::Rotate => 30.0 * share,
        }
    }

    /// The picture changed by this strength.
    pub fn apply(self, picture: &Pixels, strength: f64) -> Pixels {
        match self {
            Self::Brightness => picture.blend(&picture.map(|_| 0.0), 1.0 + strength),
            Self::Colour => picture.blend(&picture.grey(), 1.0 + strength),
            Self::Contrast => {
                let grey = picture.grey().values;
                let mean = grey.iter().sum::<f64>() / grey.len().max(1) as f64;
                picture.blend(&picture.map(|_| mean), 1.0 + strength)
            }
            Self::Sharpness => picture.blend(&picture.smooth(), 1.0 + strength),
            Self::Posterize => {
                let step = 2_f64.powf(8.0 - strength);
                picture.map(|value| (value / step).floor() * step)
            }
            Self::Solarize => picture.map(|value| {
                if value >= strength {
                    255.0 - value
                } else {
                    value
                }
            }),
            Self::ShearX => picture.moved(|x, y| (x + strength * (y + 0.5), y)),
            Self::ShearY => picture.moved(|x, y| (x, y + strength * (x + 0.5))),
            Self::TranslateX => picture.moved(|x, y| (x - strength.trunc(), y)),
            Self::TranslateY => picture.moved(|x, y| (x, y - strength.trunc())),
            Self::Rotate => {
                let (sine, cosine) = strength.to_radians().sin_cos();
                let (half_width, half_height) = (
                    picture.width as f64 / 2.0 - 0.5,
                    picture.height as f64 / 2.0 - 0.5,
                );
                picture.moved(|x, y| {
                    let (x, y) = (x - half_width, y - half_height);
                    (
                        cosine * x - sine * y + half_width,
                        sine * x + cosine * y + half_height,
                    )
                })
            }
        }
    }
}

impl Pixels {
    fn map(&self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            values: self.values.iter().map(|&value| change(value)).collect(),
            ..*self
        }
    }

    /// factor · self + (1 − factor) · other, clamped, truncated.
    fn blend(&self, other: &Self, factor: f64) -> Self {
        let pairs = self.values.iter().zip(&other.values);
        let mixed = pairs.map(|(a, b)| (factor * a + (1.0 - factor) * b).clamp(0.0, 255.0).trunc());
        Self {
            values: mixed.collect(),
            ..*self
        }
    }

    /// Luma of each pixel in every channel (weights of ITU-R BT.601), truncated.
    fn grey(&self) -> Self {
        let area = self.height * self.width;
        let luma: Vec<f64> = (0..area)
            .map(|at| {
                let [r, g, b] = [0, 1, 2].map(|channel| self.values[channel * area + at]);
                (0.2989 * r + 0.587 * g + 0.114 * b).trunc()
            })
            .collect();
        Self {
            values: luma.repeat(self.channels),
            ..*self
        }
    }

    /// Means over 3×3 pixels with the middle weighing five; the border stays.
    fn smooth(&self) -> Self {
        let mut values = self.values.clone();
        let (height, width) = (self.height, self.width);
        for channel in 0..self.channels {
            let at = |row: usize, column: usize| (channel * height + row) * width + column;
            for row in 1..height.saturating_sub(1) {
                for column in 1..width.saturating_sub(1) {
                    let mut sum = 4.0 * self.values[at(row, column)];
                    for r in row - 1..=row + 1 {
                        for c in column - 1..=column + 1 {
                            sum += self.values[at(r, c)];
                        }
                    }
                    values[at(row, column)] = (sum / 13.0).round_ties_even();
                }
            }
        }
        Self { values, ..*self }
    }

    /// Takes each pixel from the nearest one to where `source(x, y)` leads; black outside.
    fn moved(&self, source: impl Fn(f64, f64) -> (f64, f64)) -> Self {
        let (height, width) = (self.height, self.width);
        let mut values = vec![0.0; self.values.len()];
        for row in 0..height {
            for column in 0..width {
                let (x, y) = source(column as f64, row as f64);
                let (x, y) = (x.round_ties_even(), y.round_ties_even());
                let inside = x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64;
                if !inside {
                    continue;
                }
                for channel in 0..self.channels {
                    let from = (channel * height + y as usize) * width + x as usize;
                    values[(channel * height + row) * width + column] = self.values[from];
                }
            }
        }
        Self { values, ..*self }
    }

    /// Spreads the values of each channel evenly over 0..=255.
    pub fn equalize(&self) -> Self {
        let area = self.height * self.width;
        let mut values = Vec::with_capacity(self.values.len());
        for channel in self.values.chunks_exact(area.max(1)) {
            let mut histogram = [0_usize; 256];
            for &value in channel {
                histogram[value as usize & 255] += 1;
            }
            let last = histogram.iter().rposition(|&count| count > 0).unwrap_or(0);
            let step = (area - histogram[last]) / 255;
            if step == 0 {
                values.extend_from_slice(channel);
                continue;
            }
            let mut table = [0.0; 256];
            let mut sum = 0;
            for (value, entry) in table.iter_mut().enumerate() {
                if value > 0 {
                    sum += histogram[value - 1];
                    *entry = ((sum + step / 2) / step).min(255) as f64;
                }
            }
            values.extend(channel.iter().map(|&value| table[value as usize & 255]));
        }
        Self { values, ..*self }
    }

    /// 255 minus each value.
    pub fn invert(&self) -> Self {
        self.map(|value| 255.0 - value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Pixels {
        Pixels {
            values: (0..3 * 5 * 6).map(|i| f64::from(i * 37 % 256)).collect(),
            channels: 3,
            height: 5,
            width: 6,
        }
    }

    #[test]
    fn no_strength_changes_nothing() {
        let picture = picture();
        for operator in OPERATORS {
            let strength = match operator {
                Operator::Posterize => 8.0,
                Operator::Solarize => 256.0,
                _ => 0.0,
            };
            assert_eq!(operator.apply(&picture, strength), picture, "{operator:?}");
        }
    }

    #[test]
    fn strengths_follow_the_tables() {
        for (operator, magnitude, expected) in [
            (Operator::Brightness, 0.99, 0.9),
            (Operator::Posterize, 0.99, 4.0),
            (Operator::Posterize, 0.0, 8.0),
            (Operator::Solarize, 0.0, 255.0),
            (Operator::Solarize, 1.0, 0.0),
            (Operator::Rotate, 0.95, 30.0),
        ] {
            assert_eq!(
                operator.strength(magnitude, 32, 32),
                expected,
                "{operator:?}"
            );
        }
    }

    #[test]
    fn a_translation_moves_columns_and_a_quarter_turn_is_counter_clockwise() {
        let mut square = picture();
        square.values.truncate(4);
        (square.channels, square.height, square.width) = (1, 2, 2);
        square.values = vec![1.0, 2.0, 3.0, 4.0];
        let moved = Operator::TranslateX.apply(&square, 1.7);
        assert_eq!(moved.values, [0.0, 1.0, 0.0, 3.0]);
        let turned = Operator::Rotate.apply(&square, 90.0);
        assert_eq!(turned.values, [2.0, 4.0, 1.0, 3.0]);
    }

    #[test]
    fn inverting_twice_is_nothing() {
        assert_eq!(picture().invert().invert(), picture());
    }
}
