//! One image: background, clutter, the object, a bar, noise.

use super::outline::Outline;
use super::texture::{Colour, Texture, colour_near};
use super::{Difficulty, SIDE};
use crate::{Image, Stream};

/// Red, green and blue of every pixel, 0 to 1, rows from top to bottom.
type Canvas = [Colour; SIDE * SIDE];

/// An outline at a place in the image.
struct Object {
    outline: Outline,
    /// In pixels.
    centre: [f32; 2],
    radius: f32,
    /// From a place relative to the centre, in pixels, to the outline's own plane.
    turn: [[f32; 2]; 2],
    /// Pixels for a unit of distance.
    scale: f32,
}

/// Draws an image whose class is `outline`.
pub(crate) fn draw(outline: Outline, difficulty: &Difficulty, stream: &mut Stream) -> Image {
    let back: Colour = std::array::from_fn(|_| stream.uniform(0.25, 0.75) as f32);
    let texture = Texture::draw(back, difficulty.texture, stream);
    let mut canvas: Canvas = std::array::from_fn(|pixel| {
        texture.at((pixel % SIDE) as f32 + 0.5, (pixel / SIDE) as f32 + 0.5)
    });

    let radius = between(difficulty.radius, stream);
    let middle = SIDE as f64 / 2.0;
    let centre = [(); 2].map(|()| middle + stream.uniform(-1.0, 1.0) * difficulty.shift);

    let [least, most] = difficulty.clutter;
    for _ in 0..least + stream.below((most + 1).saturating_sub(least)) {
        let small = Outline::ALL[stream.below(Outline::ALL.len())];
        let place = [(); 2].map(|()| stream.uniform(0.0, SIDE as f64));
        let size = radius * between(difficulty.clutter_radius, stream);
        let object = Object::draw(small, place, size, difficulty, stream);
        object.paint(&mut canvas, &fill(back, difficulty, stream));
    }

    let object = Object::draw(outline, centre, radius, difficulty, stream);
    object.paint(&mut canvas, &fill(back, difficulty, stream));
    if stream.chance(difficulty.occlusion) {
        paint_bar(&mut canvas, &object, back, difficulty, stream);
    }
    develop(&canvas, difficulty, stream)
}

fn between([least, greatest]: [f64; 2], stream: &mut Stream) -> f64 {
    stream.uniform(least, greatest)
}

/// A texture that stands out from the background as much as the difficulty says.
fn fill(back: Colour, difficulty: &Difficulty, stream: &mut Stream) -> Texture {
    let contrast = between(difficulty.contrast, stream);
    let base = colour_near(back, contrast, stream);
    Texture::draw(base, difficulty.texture.min(contrast), stream)
}

impl Object {
    /// At a random turn, a little stretched.
    fn draw(
        outline: Outline,
        centre: [f64; 2],
        radius: f64,
        difficulty: &Difficulty,
        stream: &mut Stream,
    ) -> Self {
        let (sin, cos) = stream.uniform(0.0, std::f64::consts::TAU).sin_cos();
        let stretch = stream.uniform(-1.0, 1.0) * difficulty.stretch.ln() / 2.0;
        let (x, y) = (1.0 / (radius * stretch.exp()), stretch.exp() / radius);
        Self {
            outline,
            centre: centre.map(|c| c as f32),
            radius: (radius * stretch.abs().exp()) as f32,
            turn: [[cos * x, sin * x], [-sin * y, cos * y]].map(|row| row.map(|v| v as f32)),
            scale: radius as f32,
        }
    }

    fn paint(&self, canvas: &mut Canvas, texture: &Texture) {
        let [columns, rows] = self.centre.map(|centre| {
            // One pixel more than the circle that holds every outline.
            let reach = 1.13 * self.radius + 1.0;
            let first = (centre - reach).max(0.0) as usize;
            first.min(SIDE)..((centre + reach).max(0.0) as usize + 1).min(SIDE)
        });
        for row in rows {
            for column in columns.clone() {
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let (dx, dy) = (x - self.centre[0], y - self.centre[1]);
                let [[a, b], [c, d]] = self.turn;
                let distance = self.outline.distance(a * dx + b * dy, c * dx + d * dy);
                let cover = (0.5 - distance * self.scale).clamp(0.0, 1.0);
                if cover > 0.0 {
                    blend(&mut canvas[row * SIDE + column], texture.at(x, y), cover);
                }
            }
        }
    }
}

fn blend(pixel: &mut Colour, colour: Colour, cover: f32) {
    for (old, new) in pixel.iter_mut().zip(colour) {
        *old += cover * (new - *old);
    }
}

/// A bar from edge to edge of the image that crosses the object near its centre.
fn paint_bar(
    canvas: &mut Canvas,
    object: &Object,
    back: Colour,
    difficulty: &Difficulty,
    stream: &mut Stream,
) {
    let texture = fill(back, difficulty, stream);
    let half = between(difficulty.bar, stream) as f32;
    let (sin, cos) = stream.uniform(0.0, std::f64::consts::TAU).sin_cos();
    let (sin, cos) = (sin as f32, cos as f32);
    let offset = stream.uniform(-0.5, 0.5) as f32 * object.scale;
    for (pixel, colour) in canvas.iter_mut().enumerate() {
        let (x, y) = ((pixel % SIDE) as f32 + 0.5, (pixel / SIDE) as f32 + 0.5);
        let across = (x - object.centre[0]) * cos + (y - object.centre[1]) * sin - offset;
        let cover = (half + 0.5 - across.abs()).clamp(0.0, 1.0);
        if cover > 0.0 {
            blend(colour, texture.at(x, y), cover);
        }
    }
}

/// Adds noise and rounds to 8 bits.
fn develop(canvas: &Canvas, difficulty: &Difficulty, stream: &mut Stream) -> Image {
    let mut random = [0u8; SIDE * SIDE * 6];
    stream.fill(&mut random);
    // The sum of two bytes has a triangular distribution of mean 255 and variance
    // 2 (256² - 1) / 12.
    let deviation = between(difficulty.noise, stream) as f32 / (65_535.0f32 / 6.0).sqrt();
    let mut image = Image::filled(SIDE, SIDE, 3, 0);
    let values = canvas.iter().flatten();
    for ((out, value), bytes) in image
        .pixels
        .iter_mut()
        .zip(values)
        .zip(random.chunks_exact(2))
    {
        let noise = f32::from(bytes[0]) + f32::from(bytes[1]) - 255.0;
        *out = ((value + noise * deviation) * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
    }
    image
}
