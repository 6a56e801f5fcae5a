//! An estimate of saliency from the border of the image.
//!
//! What belongs to the background mostly touches the border. After Zhu, Liang, Wei, Sun. "Saliency
//! Optimization from Robust Background Detection". CVPR 2014, with their constants:
//!
//! 1. The image is cut into cells, and neighbours are joined by the difference of their mean colours
//!    in CIE Lab; cells at the border are all neighbours of each other, so that a background that the
//!    foreground cuts in two is one. Differences as small as those that nearly every cell has are
//!    nothing (Wei, Wen, Zhu, Sun. "Geodesic Saliency Using Background Priors". ECCV 2012).
//! 2. The geodesic distances between cells say how large the region of a cell is, and how long a part
//!    of the border it has; that length over the root of the area is the boundary connectivity,
//!    large in the background.
//! 3. A cell is salient as far as its colour differs from that of the background, the nearer the more.
//! 4. Both are brought together by least squares over neighbours.
//!
//! Two things are our own: the cells are squares instead of superpixels, and what they give is brought
//! to the pixels by colour (joint bilateral upsampling: Kopf, Cohen, Lischinski, Uyttendaele,
//! SIGGRAPH 2007), which follows outlines that the squares do not.

use crate::Image;

/// Cells along the longer side: some 200 of them in a photograph, as many as the authors' superpixels.
const CELLS: usize = 16;
/// Differences of colour (CIE Lab) that count as one region.
const SIGMA_COLOUR: f64 = 10.0;
/// Boundary connectivity from which on a cell is background.
const SIGMA_BOUNDARY: f64 = 1.0;
/// Reach of a contrast, as a share of the longer side.
const SIGMA_SPACE: f64 = 0.25;
/// Weight of smoothness between neighbours whatever their colours.
const SMOOTHNESS: f64 = 0.1;
/// Sweeps of Gauss and Seidel over the cells; the greatest change is far below one level by then.
const SWEEPS: usize = 200;
/// Differences of levels (0 to 255) within which a pixel is like a cell.
const SIGMA_PIXEL: f64 = 24.0;
/// Difference in CIE Lab that is just noticed (Mahy, Van Eycken, Oosterlinck. "Evaluation of Uniform
/// Color Spaces". Color Research and Application, 1994): among smaller ones nothing stands out.
const JUST_NOTICED: f64 = 2.3;

/// Where the foreground of `image` is, by its border: one channel, 255 where an image stands out most
/// and 0 where it does least. Of an image in which nothing stands out, such as one of a single
/// colour, all is foreground.
#[must_use]
pub fn saliency(image: &Image) -> Image {
    let Image { width, height, .. } = *image;
    let cells = Cells::of(image);
    let same = |colour| distance(colour, &cells.lab[0]) < JUST_NOTICED;
    if cells.lab.iter().all(same) {
        return Image::filled(width, height, 1, 255);
    }
    let found = cells.saliency();
    let (least, most) = found
        .iter()
        .fold((f64::MAX, f64::MIN), |(least, most), &value| {
            (least.min(value), most.max(value))
        });
    let range = (most - least).max(f64::MIN_POSITIVE);
    let found: Vec<f64> = found.iter().map(|value| (value - least) / range).collect();
    cells.upsampled(image, &found)
}

/// The squares that an image is cut into, rows from top to bottom.
struct Cells {
    columns: usize,
    rows: usize,
    /// Mean red, green and blue, 0 to 255.
    means: Vec<[f64; 3]>,
    /// The same in CIE Lab.
    lab: Vec<[f64; 3]>,
}

/// A neighbour of a cell and the difference of their colours.
type Edge = (usize, f64);

impl Cells {
    fn of(image: &Image) -> Self {
        let side = image.width.max(image.height).div_ceil(CELLS);
        let [columns, rows] = [image.width, image.height].map(|length| length.div_ceil(side));
        let mut sums = vec![[0u64; 4]; columns * rows];
        for y in 0..image.height {
            for x in 0..image.width {
                let sum = &mut sums[y * rows / image.height * columns + x * columns / image.width];
                let pixel = colour(image, x, y);
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += u64::from(value);
                }
                sum[3] += 1;
            }
        }
        let means: Vec<[f64; 3]> = sums
            .iter()
            .map(|sum| [0, 1, 2].map(|channel| sum[channel] as f64 / sum[3].max(1) as f64))
            .collect();
        Self {
            columns,
            rows,
            lab: means.iter().map(|&mean| cie_lab(mean)).collect(),
            means,
        }
    }

    fn len(&self) -> usize {
        self.means.len()
    }

    /// Column and row of a cell.
    fn place(&self, cell: usize) -> [usize; 2] {
        [cell % self.columns, cell / self.columns]
    }

    fn at_border(&self, cell: usize) -> bool {
        let [column, row] = self.place(cell);
        column == 0 || row == 0 || column + 1 == self.columns || row + 1 == self.rows
    }

    /// The up to eight cells around each one.
    fn neighbours(&self) -> Vec<Vec<Edge>> {
        let around = |cell: usize| {
            let [column, row] = self.place(cell);
            let rows = row.saturating_sub(1)..(row + 2).min(self.rows);
            let columns = column.saturating_sub(1)..(column + 2).min(self.columns);
            let others = rows.flat_map(move |y| columns.clone().map(move |x| y * self.columns + x));
            others
                .filter(|&other| other != cell)
                .map(|other| (other, distance(&self.lab[cell], &self.lab[other])))
                .collect()
        };
        (0..self.len()).map(around).collect()
    }

    /// Geodesic distances between all cells, `[N, N]`.
    fn geodesic(&self, neighbours: &[Vec<Edge>]) -> Vec<f32> {
        let count = self.len();
        let least = neighbours.iter().map(|edges| {
            let least = edges.iter().map(|edge| edge.1).fold(f64::MAX, f64::min);
            if edges.is_empty() { 0.0 } else { least }
        });
        let nothing = least.sum::<f64>() / count as f64;
        let clipped = |difference: f64| (difference - nothing).max(0.0) as f32;
        let mut distances = vec![f32::INFINITY; count * count];
        for (cell, edges) in neighbours.iter().enumerate() {
            distances[cell * count + cell] = 0.0;
            for &(other, difference) in edges {
                distances[cell * count + other] = clipped(difference);
            }
        }
        let border: Vec<usize> = (0..count).filter(|&cell| self.at_border(cell)).collect();
        for &cell in &border {
            for &other in border.iter().filter(|&&other| other != cell) {
                distances[cell * count + other] =
                    clipped(distance(&self.lab[cell], &self.lab[other]));
            }
        }
        // Floyd and Warshall: with this few cells a row of minima at a time is quicker than queues.
        for between in 0..count {
            let through = distances[between * count..(between + 1) * count].to_vec();
            for row in distances.chunks_exact_mut(count) {
                let first = row[between];
                for (shortest, second) in row.iter_mut().zip(&through) {
                    *shortest = shortest.min(first + second);
                }
            }
        }
        distances
    }

    /// Probability of each cell to be background, by its boundary connectivity.
    fn background(&self, neighbours: &[Vec<Edge>]) -> Vec<f64> {
        let count = self.len();
        let border: Vec<bool> = (0..count).map(|cell| self.at_border(cell)).collect();
        let geodesic = self.geodesic(neighbours);
        let rows = geodesic.chunks_exact(count);
        rows.map(|row| {
            let (mut area, mut length) = (0.0, 0.0);
            for (&distance, &border) in row.iter().zip(&border) {
                let share = gaussian(f64::from(distance), SIGMA_COLOUR);
                area += share;
                length += if border { share } else { 0.0 };
            }
            1.0 - gaussian(length / area.sqrt(), SIGMA_BOUNDARY)
        })
        .collect()
    }

    /// How far each cell stands out from the background, 0 to 1.
    fn contrast(&self, background: &[f64]) -> Vec<f64> {
        let longest = self.columns.max(self.rows) as f64;
        let of_cell = |cell: usize| {
            let [column, row] = self.place(cell);
            let part = |other: usize| {
                let [x, y] = self.place(other);
                let away =
                    [x.abs_diff(column), y.abs_diff(row)].map(|cells| cells as f64 / longest);
                let near = gaussian(away[0].hypot(away[1]), SIGMA_SPACE);
                distance(&self.lab[cell], &self.lab[other]) * near * background[other]
            };
            (0..self.len()).map(part).sum()
        };
        let found: Vec<f64> = (0..self.len()).map(of_cell).collect();
        let most = found.iter().copied().fold(0.0, f64::max);
        let least = found.iter().copied().fold(f64::MAX, f64::min);
        let range = (most - least).max(f64::MIN_POSITIVE);
        found.iter().map(|value| (value - least) / range).collect()
    }

    /// Least Σ b_i·s_i² + Σ f_i·(s_i − 1)² + Σ w_ij·(s_i − s_j)², where b is the probability of
    /// background and f the contrast.
    fn saliency(&self) -> Vec<f64> {
        let neighbours = self.neighbours();
        let background = self.background(&neighbours);
        let contrast = self.contrast(&background);
        let weights: Vec<Vec<Edge>> = neighbours
            .into_iter()
            .map(|edges| {
                let weight =
                    |(other, difference)| (other, gaussian(difference, SIGMA_COLOUR) + SMOOTHNESS);
                edges.into_iter().map(weight).collect()
            })
            .collect();
        let mut found = contrast.clone();
        for _ in 0..SWEEPS {
            for cell in 0..self.len() {
                let mut pull = contrast[cell];
                let mut total = contrast[cell] + background[cell];
                for &(other, weight) in &weights[cell] {
                    pull += weight * found[other];
                    total += weight;
                }
                if total > 0.0 {
                    found[cell] = pull / total;
                }
            }
        }
        found
    }

    /// What the cells have (0 to 1) for each pixel of `image`, as levels: the mean of the nine around
    /// it, near ones and those of its colour counting more.
    fn upsampled(&self, image: &Image, values: &[f64]) -> Image {
        let mut pixels = Vec::with_capacity(image.width * image.height);
        let near = |length: usize, cells: usize| -> Vec<Vec<Edge>> {
            (0..length).map(|at| nearest(at, length, cells)).collect()
        };
        let (columns, rows) = (
            near(image.width, self.columns),
            near(image.height, self.rows),
        );
        for (y, rows) in rows.iter().enumerate() {
            for (x, columns) in columns.iter().enumerate() {
                let pixel = colour(image, x, y).map(f64::from);
                let (mut sum, mut total) = (0.0, 0.0);
                for &(row, of_row) in rows {
                    for &(column, of_column) in columns {
                        let cell = row * self.columns + column;
                        let away = distance(&pixel, &self.means[cell]);
                        // Where no cell has the pixel's colour, the near ones decide.
                        let weight = of_row * of_column * (gaussian(away, SIGMA_PIXEL) + 1e-4);
                        sum += weight * values[cell];
                        total += weight;
                    }
                }
                pixels.push((255.0 * sum / total).round().clamp(0.0, 255.0) as u8);
            }
        }
        Image {
            width: image.width,
            height: image.height,
            channels: 1,
            pixels,
        }
    }
}

/// The up to three of `cells` around the pixel `at` of `length`, with weights that fall to zero one and
/// a half cells away.
fn nearest(at: usize, length: usize, cells: usize) -> Vec<Edge> {
    let place = (at as f64 + 0.5) * cells as f64 / length as f64 - 0.5;
    let middle = at * cells / length;
    let around = middle.saturating_sub(1)..(middle + 2).min(cells);
    let weight = |cell: usize| (1.0 - (cell as f64 - place).abs() / 1.5).max(0.0);
    around.map(|cell| (cell, weight(cell))).collect()
}

fn colour(image: &Image, x: usize, y: usize) -> [u8; 3] {
    match *image.pixel(x, y) {
        [red, green, blue] => [red, green, blue],
        ref grey => [grey[0]; 3],
    }
}

fn gaussian(distance: f64, sigma: f64) -> f64 {
    (-distance * distance / (2.0 * sigma * sigma)).exp()
}

fn distance(left: &[f64; 3], right: &[f64; 3]) -> f64 {
    let squares = left
        .iter()
        .zip(right)
        .map(|(left, right)| (left - right).powi(2));
    squares.sum::<f64>().sqrt()
}

/// CIE Lab under D65 of sRGB (0 to 255): IEC 61966-2-1 and CIE 15.
fn cie_lab(srgb: [f64; 3]) -> [f64; 3] {
    let [red, green, blue] = srgb.map(|level| {
        let level = level / 255.0;
        match level <= 0.04045 {
            true => level / 12.92,
            false => ((level + 0.055) / 1.055).powf(2.4),
        }
    });
    let curve = |share: f64| match share > (6.0f64 / 29.0).powi(3) {
        true => share.cbrt(),
        false => share * (29.0f64 / 6.0).powi(2) / 3.0 + 4.0 / 29.0,
    };
    let x = curve((0.412_456_4 * red + 0.357_576_1 * green + 0.180_437_5 * blue) / 0.950_47);
    let y = curve(0.212_672_9 * red + 0.715_152_2 * green + 0.072_175_0 * blue);
    let z = curve((0.019_333_9 * red + 0.119_192_0 * green + 0.950_304_1 * blue) / 1.088_83);
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Annotation, SceneDifficulty, Scenes, Source, Stream};

    /// A disc on a background with a slope and noise, in an image of this size.
    fn disc(width: usize, height: usize, channels: usize) -> (Image, Vec<bool>) {
        let mut image = Image::filled(width, height, channels, 0);
        let mut stream = Stream::of_seed(3);
        let mut inside = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let away = [(x, width), (y, height)].map(|(at, length)| {
                    (at as f64 + 0.5 - length as f64 * 0.45) / height.min(width) as f64
                });
                let within = away[0].hypot(away[1]) < 0.25;
                let level = if within {
                    190.0
                } else {
                    60.0 + 40.0 * x as f64 / width as f64
                };
                for (channel, value) in image.pixel_mut(x, y).iter_mut().enumerate() {
                    let tint = if within { 30.0 * channel as f64 } else { 0.0 };
                    *value = (level - tint + stream.uniform(-8.0, 8.0)) as u8;
                }
                inside.push(within);
            }
        }
        (image, inside)
    }

    /// Mean level inside and outside.
    fn means(mask: &Image, inside: &[bool]) -> [f64; 2] {
        [true, false].map(|side| {
            let levels = mask
                .pixels
                .iter()
                .zip(inside)
                .filter(|(_, within)| **within == side);
            let levels: Vec<f64> = levels.map(|(level, _)| f64::from(*level)).collect();
            levels.iter().sum::<f64>() / levels.len() as f64
        })
    }

    #[test]
    fn what_the_border_does_not_have_stands_out_in_any_size() {
        for [width, height, channels] in [[32, 32, 3], [28, 28, 1], [97, 61, 3], [50, 200, 3]] {
            let (image, inside) = disc(width, height, channels);
            let mask = saliency(&image);
            assert_eq!([mask.width, mask.height, mask.channels], [width, height, 1]);
            let [foreground, background] = means(&mask, &inside);
            assert!(
                foreground > 200.0 && background < 50.0,
                "{width}x{height}x{channels}: {foreground} {background}"
            );
        }
    }

    #[test]
    fn generated_foregrounds_stand_out_from_their_backgrounds() {
        let scenes = Scenes::new(40, 0, SceneDifficulty::default());
        let mut sums = [0.0; 2];
        for index in 0..scenes.len() {
            let Annotation::Mask(mask) = scenes.annotation(index).unwrap() else {
                panic!("a scene without a mask");
            };
            let inside: Vec<bool> = mask.ids.iter().map(|id| *id != 0).collect();
            let found = means(&saliency(&scenes.image(index).unwrap()), &inside);
            for (sum, mean) in sums.iter_mut().zip(found) {
                *sum += mean / 40.0;
            }
        }
        assert!(sums[0] > 1.5 * sums[1], "{sums:?}");
    }

    #[test]
    fn where_nothing_stands_out_all_is_foreground() {
        for [width, height] in [[1, 1], [3, 40], [64, 64]] {
            let mask = saliency(&Image::filled(width, height, 3, 90));
            assert_eq!(mask, Image::filled(width, height, 1, 255));
        }
    }

    #[test]
    fn an_image_has_one_saliency() {
        let (image, _) = disc(40, 30, 3);
        assert_eq!(saliency(&image), saliency(&image));
    }

    #[test]
    fn white_grey_and_red_are_where_cie_lab_has_them() {
        let near = |srgb, expected: [f64; 3]| {
            let found = cie_lab(srgb);
            assert!(distance(&found, &expected) < 0.05, "{found:?}");
        };
        near([255.0; 3], [100.0, 0.0, 0.0]);
        near([119.0; 3], [50.03, 0.0, 0.0]);
        near([255.0, 0.0, 0.0], [53.24, 80.09, 67.20]);
    }
}
