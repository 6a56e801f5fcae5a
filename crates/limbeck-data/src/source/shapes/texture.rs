//! Textures: two colours and a pattern that mixes them.

use crate::Stream;

/// Red, green, blue, each 0 to 1.
pub(crate) type Colour = [f32; 3];

#[derive(Clone, Copy, Debug)]
enum Pattern {
    Plain,
    Stripes,
    Checks,
    Dots,
    Gradient,
}

/// A pattern of two colours over the plane, in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texture {
    pattern: Pattern,
    base: Colour,
    /// Second colour minus first.
    step: Colour,
    /// Direction of the pattern over its period, and its offset.
    along: [f32; 2],
    offset: [f32; 2],
}

/// A colour in a random direction from another, at this distance along the largest axis, inside
/// the range that leaves room for noise.
pub(crate) fn colour_near(colour: Colour, distance: f64, stream: &mut Stream) -> Colour {
    let direction: [f32; 3] = std::array::from_fn(|_| stream.uniform(-1.0, 1.0) as f32);
    let longest = direction.iter().fold(1e-3f32, |l, d| l.max(d.abs()));
    std::array::from_fn(|channel| {
        let step = direction[channel] / longest * distance as f32;
        let (forth, back) = (colour[channel] + step, colour[channel] - step);
        // Turned back where it would leave the range, so that the distance is kept.
        if (0.1..=0.9).contains(&forth) {
            forth
        } else {
            back.clamp(0.1, 0.9)
        }
    })
}

impl Texture {
    /// A random pattern around `base`, whose second colour is up to `distance` away.
    pub(crate) fn draw(base: Colour, distance: f64, stream: &mut Stream) -> Self {
        let pattern = [
            Pattern::Plain,
            Pattern::Stripes,
            Pattern::Checks,
            Pattern::Dots,
            Pattern::Gradient,
        ][stream.below(5)];
        let distance = stream.uniform(0.3, 1.0) * distance;
        let second = colour_near(base, distance, stream);
        let period = match pattern {
            // Once across the image.
            Pattern::Gradient => 32.0,
            _ => stream.uniform(3.0, 8.0),
        };
        let turn = stream.uniform(0.0, std::f64::consts::TAU);
        Self {
            pattern,
            base,
            step: std::array::from_fn(|channel| second[channel] - base[channel]),
            along: [(turn.cos() / period) as f32, (turn.sin() / period) as f32],
            offset: [stream.unit() as f32, stream.unit() as f32],
        }
    }

    /// The colour at a place, in pixels.
    pub(crate) fn at(&self, x: f32, y: f32) -> Colour {
        let [along_x, along_y] = self.along;
        let u = wave(x * along_x + y * along_y + self.offset[0]);
        let share = match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Gradient => u,
            Pattern::Stripes => edge(u),
            Pattern::Checks | Pattern::Dots => {
                let v = wave(y * along_x - x * along_y + self.offset[1]);
                if matches!(self.pattern, Pattern::Dots) {
                    edge(u * v * 2.0)
                } else {
                    let (u, v) = (edge(u), edge(v));
                    u + v - 2.0 * u * v
                }
            }
        };
        std::array::from_fn(|channel| self.base[channel] + share * self.step[channel])
    }
}

/// Up from 0 to 1 and back with period 1.
fn wave(phase: f32) -> f32 {
    let phase = phase - phase.floor();
    1.0 - (2.0 * phase - 1.0).abs()
}

/// 0 or 1 with a soft step at a half.
fn edge(value: f32) -> f32 {
    ((value - 0.5) * 4.0 + 0.5).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Purpose;

    #[test]
    fn colours_keep_their_distance_and_their_range() {
        let mut stream = Stream::new(1, Purpose::Shapes, 0, 0, 0);
        for _ in 0..500 {
            let base: Colour = std::array::from_fn(|_| stream.uniform(0.2, 0.8) as f32);
            let other = colour_near(base, 0.25, &mut stream);
            let distance = (0..3)
                .map(|c| (other[c] - base[c]).abs())
                .fold(0.0, f32::max);
            assert!((distance - 0.25).abs() < 1e-5, "{distance}");
            assert!(other.iter().all(|c| (0.1..=0.9).contains(c)));
        }
    }

    #[test]
    fn a_texture_stays_between_its_two_colours() {
        let mut stream = Stream::new(2, Purpose::Shapes, 0, 0, 0);
        for _ in 0..200 {
            let texture = Texture::draw([0.4, 0.5, 0.6], 0.3, &mut stream);
            for place in 0..64 {
                let (x, y) = ((place % 8) as f32 * 1.7, (place / 8) as f32 * 2.3);
                let colour = texture.at(x, y);
                for (value, base) in colour.iter().zip(texture.base) {
                    assert!((value - base).abs() <= 0.301);
                }
            }
        }
    }
}
