//! One scene: what stands where, and from it the image, the mask and the boxes.

use super::super::shapes::outline::Outline;
use super::super::shapes::texture::{Colour, Texture, colour_near};
use super::{KINDS, SIDE, SceneDifficulty};
use crate::{Image, Mask, Stream, VOID};

/// All that is drawn, from back to front.
pub(super) struct Scene {
    /// Textures of the ground on either side of a line.
    ground: [Texture; 2],
    line: Line,
    bars: Vec<(Line, f32, Texture)>,
    crumbs: Vec<Thing>,
    /// From back to front, each with its number in [`KINDS`].
    objects: Vec<(usize, Thing)>,
    /// Standard deviation of the noise.
    noise: f32,
    rim: f32,
    /// For the noise, which is drawn last.
    stream: Stream,
}

/// An object that is seen, or as much of it as is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SceneBox {
    /// A position in the classes.
    pub class: usize,
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// A line across the image: a place's distance from it is `x · cos + y · sin − offset`.
#[derive(Clone, Copy)]
struct Line {
    cos: f32,
    sin: f32,
    offset: f32,
}

impl Line {
    fn draw(stream: &mut Stream) -> Self {
        let (sin, cos) = stream.uniform(0.0, std::f64::consts::TAU).sin_cos();
        let [x, y] = [(); 2].map(|()| stream.uniform(0.15, 0.85) * SIDE as f64);
        Self {
            cos: cos as f32,
            sin: sin as f32,
            offset: (x * cos + y * sin) as f32,
        }
    }

    fn distance(&self, x: f32, y: f32) -> f32 {
        x * self.cos + y * self.sin - self.offset
    }
}

/// An outline at a place, filled with a texture.
struct Thing {
    outline: Outline,
    /// In pixels.
    centre: [f32; 2],
    /// From a place relative to the centre, in pixels, to the outline's own plane.
    turn: [[f32; 2]; 2],
    /// Pixels for a unit of distance.
    scale: f32,
    /// No pixel of it is farther from the centre.
    reach: f32,
    texture: Texture,
}

/// What objects are painted with, each for two kinds: disc and ring, square and cross, triangle and
/// star, which lie three apart in [`KINDS`].
const PAINTS: [Colour; 3] = [[0.8, 0.25, 0.25], [0.25, 0.7, 0.3], [0.25, 0.35, 0.8]];

/// An outline reaches to 1.13 of its radius at the most.
const REACH: f64 = 1.13;

impl Thing {
    /// Around the colour `base`, at a random place and turn, a little stretched.
    fn draw(
        outline: Outline,
        radius: [f64; 2],
        base: Colour,
        difficulty: &SceneDifficulty,
        stream: &mut Stream,
    ) -> Self {
        let radius = between(radius, stream);
        let centre = [(); 2].map(|()| stream.uniform(0.0, SIDE as f64) as f32);
        let (sin, cos) = stream.uniform(0.0, std::f64::consts::TAU).sin_cos();
        let stretch = (stream.uniform(-1.0, 1.0) * difficulty.stretch.ln() / 2.0).exp();
        let (x, y) = (1.0 / (radius * stretch), stretch / radius);
        Self {
            outline,
            centre,
            turn: [[cos * x, sin * x], [-sin * y, cos * y]].map(|row| row.map(|v| v as f32)),
            scale: radius as f32,
            reach: (REACH * radius * stretch.max(1.0 / stretch)) as f32,
            texture: Texture::draw(base, difficulty.texture, stream),
        }
    }

    /// Calls `visit` with every pixel no farther from the outline than `margin` pixels, and its
    /// distance in pixels, below 0 inside.
    fn pixels(&self, margin: f32, mut visit: impl FnMut(usize, usize, f32)) {
        let [columns, rows] = self.centre.map(|centre| {
            let reach = self.reach + margin + 1.0;
            let first = (centre - reach).max(0.0) as usize;
            first.min(SIDE)..((centre + reach).max(0.0) as usize + 1).min(SIDE)
        });
        let [[a, b], [c, d]] = self.turn;
        for row in rows {
            for column in columns.clone() {
                let (dx, dy) = (
                    column as f32 + 0.5 - self.centre[0],
                    row as f32 + 0.5 - self.centre[1],
                );
                let distance = self.outline.distance(a * dx + b * dy, c * dx + d * dy);
                if distance * self.scale <= margin {
                    visit(column, row, distance * self.scale);
                }
            }
        }
    }

    fn paint(&self, canvas: &mut [Colour]) {
        self.pixels(0.5, |column, row, distance| {
            let colour = self.texture.at(column as f32 + 0.5, row as f32 + 0.5);
            let cover = (0.5 - distance).min(1.0);
            blend(&mut canvas[row * SIDE + column], colour, cover);
        });
    }
}

fn between([least, greatest]: [f64; 2], stream: &mut Stream) -> f64 {
    stream.uniform(least, greatest)
}

fn some([least, most]: [usize; 2], stream: &mut Stream) -> usize {
    least + stream.below((most + 1).saturating_sub(least))
}

fn blend(pixel: &mut Colour, colour: Colour, cover: f32) {
    if cover >= 1.0 {
        *pixel = colour;
        return;
    }
    for (old, new) in pixel.iter_mut().zip(colour) {
        *old += cover * (new - *old);
    }
}

impl Scene {
    pub(super) fn draw(difficulty: &SceneDifficulty, mut stream: Stream) -> Self {
        let draws = &mut stream;
        let back: Colour = std::array::from_fn(|_| draws.uniform(0.3, 0.7) as f32);
        let beyond = colour_near(back, draws.uniform(0.0, 0.2), draws);
        let ground = [back, beyond].map(|base| Texture::draw(base, difficulty.texture, draws));
        let line = Line::draw(draws);
        let bars = (0..some(difficulty.bars, draws)).map(|_| {
            let base = colour_near(back, between(difficulty.contrast, draws), draws);
            let texture = Texture::draw(base, difficulty.texture, draws);
            let half = between(difficulty.bar, draws) as f32;
            (Line::draw(draws), half, texture)
        });
        let bars = bars.collect();
        let crumbs = (0..some(difficulty.crumbs, draws)).map(|_| {
            let outline = KINDS[draws.below(KINDS.len())].0;
            let base = colour_near(back, between(difficulty.contrast, draws), draws);
            Thing::draw(outline, difficulty.crumb_radius, base, difficulty, draws)
        });
        let crumbs = crumbs.collect();
        let objects = (0..some(difficulty.objects, draws)).map(|_| {
            let kind = draws.below(KINDS.len());
            let shade = draws.uniform(0.0, difficulty.shade);
            let base = colour_near(PAINTS[kind % PAINTS.len()], shade, draws);
            let thing = Thing::draw(KINDS[kind].0, difficulty.radius, base, difficulty, draws);
            (kind, thing)
        });
        Self {
            ground,
            line,
            bars,
            crumbs,
            objects: objects.collect(),
            noise: between(difficulty.noise, draws) as f32,
            rim: difficulty.rim as f32,
            stream,
        }
    }

    /// 64x64 pixels in colour.
    pub(super) fn image(mut self) -> Image {
        let places = (0..SIDE * SIDE)
            .map(|pixel| ((pixel % SIDE) as f32 + 0.5, (pixel / SIDE) as f32 + 0.5));
        let mut canvas: Vec<Colour> = Vec::with_capacity(SIDE * SIDE);
        for (x, y) in places {
            let mut colour = self.ground[0].at(x, y);
            let beyond = (self.line.distance(x, y) + 0.5).clamp(0.0, 1.0);
            blend(&mut colour, self.ground[1].at(x, y), beyond);
            for (line, half, texture) in &self.bars {
                let cover = (half + 0.5 - line.distance(x, y).abs()).clamp(0.0, 1.0);
                blend(&mut colour, texture.at(x, y), cover);
            }
            canvas.push(colour);
        }
        for thing in &self.crumbs {
            thing.paint(&mut canvas);
        }
        for (_, thing) in &self.objects {
            thing.paint(&mut canvas);
        }
        self.develop(&canvas)
    }

    /// Adds noise and rounds to 8 bits.
    fn develop(&mut self, canvas: &[Colour]) -> Image {
        let mut random = vec![0u8; canvas.len() * 6];
        self.stream.fill(&mut random);
        // The sum of two bytes has a triangular distribution of mean 255 and variance
        // 2 (256² - 1) / 12.
        let deviation = self.noise / (65_535.0f32 / 6.0).sqrt();
        let values = canvas.iter().flatten().zip(random.chunks_exact(2));
        let pixels = values.map(|(value, bytes)| {
            let noise = f32::from(bytes[0]) + f32::from(bytes[1]) - 255.0;
            ((value + noise * deviation) * 255.0 + 0.5).clamp(0.0, 255.0) as u8
        });
        Image {
            width: SIDE,
            height: SIDE,
            channels: 3,
            pixels: pixels.collect(),
        }
    }

    /// The class of each pixel's centre, void within the rim around the objects' edges.
    pub(super) fn mask(&self) -> Mask {
        let mut mask = Mask::filled(SIDE, SIDE, 0);
        for (kind, thing) in &self.objects {
            thing.pixels(self.rim, |column, row, distance| {
                mask.ids[row * SIDE + column] = if distance < -self.rim {
                    // Class 0 is the ground.
                    1 + *kind as u8
                } else {
                    VOID
                };
            });
        }
        mask
    }

    /// Boxes around the pixels of each object whose centres it covers and that no other object hides,
    /// from back to front; objects of which nothing is seen have none.
    pub(super) fn boxes(&self) -> Vec<SceneBox> {
        let mut owners = vec![None; SIDE * SIDE];
        for (number, (_, thing)) in self.objects.iter().enumerate() {
            thing.pixels(0.0, |column, row, _| {
                owners[row * SIDE + column] = Some(number)
            });
        }
        let boxes = self.objects.iter().enumerate().map(|(number, (kind, _))| {
            let seen = (0..SIDE * SIDE).filter(|&pixel| owners[pixel] == Some(number));
            let mut ends: Option<[usize; 4]> = None;
            for pixel in seen {
                let (x, y) = (pixel % SIDE, pixel / SIDE);
                let [left, top, right, bottom] = ends.unwrap_or([x, y, x, y]);
                ends = Some([left.min(x), top.min(y), right.max(x), bottom.max(y)]);
            }
            ends.map(|[left, top, right, bottom]| SceneBox {
                class: 1 + kind,
                left,
                top,
                width: right - left + 1,
                height: bottom - top + 1,
            })
        });
        boxes.flatten().collect()
    }
}
