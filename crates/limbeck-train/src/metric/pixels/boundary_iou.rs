//! Intersection over union along boundaries.

use limbeck_data::{Mask, VOID};
use limbeck_report::Measure;

use super::{ClassPixels, mean_of};

/// Boundary IoU: the IoU of the parts of both masks that are near their own boundaries, class by
/// class, of the pixels of all pictures together. Near is at most d pixels (along rows and columns, the
/// greater of both) from the first pixel outside, where d is a share of the picture's diagonal, at
/// least 1; beyond the picture's edge is outside. (Cheng, Girshick, Dollár, Berg, Kirillov. "Boundary
/// IoU: Improving Object-Centric Image Segmentation Evaluation". CVPR 2021, equation 2, and the
/// authors' code, which erodes by a 3×3 square d times.)
///
/// What was chosen for void pixels is void too, so that void has the same edges in both masks.
#[derive(Clone, Debug)]
pub struct BoundaryIou {
    share: f64,
    classes: Vec<ClassPixels>,
}

impl BoundaryIou {
    /// No pictures of `classes` classes so far; boundaries are `share` of the diagonal wide.
    pub fn new(classes: usize, share: f64) -> Self {
        let empty = |class| ClassPixels {
            class,
            ..ClassPixels::default()
        };
        Self {
            share,
            classes: (0..classes).map(empty).collect(),
        }
    }

    /// Takes in a picture's masks, of one size.
    pub fn add(&mut self, truth: &Mask, chosen: &Mask) {
        let diagonal = (truth.width as f64).hypot(truth.height as f64);
        let width = ((self.share * diagonal).round() as usize).max(1);
        let there = band(truth, width);
        let ids = truth.ids.iter().zip(&chosen.ids);
        let seen = Mask {
            ids: ids
                .map(|(&t, &c)| if t == VOID { VOID } else { c })
                .collect(),
            ..*chosen
        };
        let chosen = band(&seen, width);
        for (&there, &chosen) in there.iter().zip(&chosen) {
            if there == chosen && there != VOID {
                self.classes[usize::from(there)].right += 1;
            }
            if there != VOID {
                self.classes[usize::from(there)].there += 1;
            }
            if chosen != VOID {
                self.classes[usize::from(chosen)].chosen += 1;
            }
        }
    }

    /// Of each class, in percent; `None` of those that have no boundary anywhere.
    pub fn per_class(&self) -> Vec<Option<f64>> {
        self.classes.iter().map(ClassPixels::iou).collect()
    }

    /// Their mean.
    pub fn measure(&self) -> Measure {
        let value = mean_of(self.per_class()).unwrap_or(f64::NAN);
        let meaning = format!(
            "IoU within {:.1} % of the diagonal from boundaries",
            100.0 * self.share
        );
        Measure::percent("boundary_iou", "boundary IoU", &meaning, value)
    }
}

/// The ids of the pixels that are at most `width` from the first pixel of another id; void elsewhere.
///
/// A pixel is farther away where the square of 2·width + 1 pixels around it has its id alone. So its
/// row has that for `width` pixels to both sides, and so have the rows for `width` above and below.
fn band(mask: &Mask, width: usize) -> Vec<u8> {
    let (columns, rows) = (mask.width, mask.height);
    let at = |x: usize, y: usize| mask.ids[y * columns + x];
    // Whether a pixel's row has its id for `width` to both sides.
    let mut wide = vec![false; columns * rows];
    for y in 0..rows {
        let mut from = 0;
        for x in 0..columns {
            if x > 0 && at(x, y) != at(x - 1, y) {
                from = x;
            }
            // The middle of a long enough run.
            if x >= from + 2 * width {
                wide[y * columns + x - width] = true;
            }
        }
    }
    let mut inside = vec![false; columns * rows];
    for x in 0..columns {
        let mut from = 0;
        for y in 0..rows {
            let goes_on = wide[y * columns + x] && (y == 0 || at(x, y) == at(x, y - 1));
            if !goes_on {
                from = match wide[y * columns + x] {
                    true => y,
                    false => y + 1,
                };
            }
            if y >= from + 2 * width {
                inside[(y - width) * columns + x] = true;
            }
        }
    }
    let ids = mask.ids.iter().zip(inside);
    ids.map(|(&id, inside)| if inside { VOID } else { id })
        .collect()
}

#[cfg(test)]
mod tests {
    use limbeck_data::Stream;

    use super::*;

    /// By the definition: a class's mask is eroded by a 3×3 square `width` times, outside being 0.
    fn eroded(mask: &Mask, class: u8, width: usize) -> Vec<bool> {
        let mut inside: Vec<bool> = mask.ids.iter().map(|&id| id == class).collect();
        let (columns, rows) = (mask.width as isize, mask.height as isize);
        for _ in 0..width {
            let at = |x: isize, y: isize| {
                let is_there = (0..columns).contains(&x) && (0..rows).contains(&y);
                is_there && inside[(y * columns + x) as usize]
            };
            let keeps = |i: isize| {
                let (x, y) = (i % columns, i / columns);
                (-1..=1).all(|dy| (-1..=1).all(|dx| at(x + dx, y + dy)))
            };
            inside = (0..columns * rows).map(keeps).collect();
        }
        inside
    }

    fn blotches(seed: u64, [height, width]: [usize; 2], classes: usize) -> Mask {
        let mut stream = Stream::of_seed(seed);
        let mut mask = Mask::filled(width, height, 0);
        for _ in 0..12 {
            let id = match stream.below(classes + 1) {
                id if id == classes => VOID,
                id => id as u8,
            };
            let (x, y) = (stream.below(width), stream.below(height));
            let (w, h) = (1 + stream.below(width), 1 + stream.below(height));
            for row in y..(y + h).min(height) {
                for column in x..(x + w).min(width) {
                    mask.ids[row * width + column] = id;
                }
            }
        }
        mask
    }

    #[test]
    fn bands_are_what_repeated_erosion_takes_away() {
        for seed in 0..40 {
            let size = [[1, 1], [5, 9], [17, 12], [23, 31]][seed as usize % 4];
            let mask = blotches(seed, size, 3);
            for width in [1, 2, 3, 5] {
                let found = band(&mask, width);
                for class in [0, 1, 2, VOID] {
                    let inside = eroded(&mask, class, width);
                    for (pixel, &id) in mask.ids.iter().enumerate().filter(|(_, id)| **id == class)
                    {
                        let expected = if inside[pixel] { VOID } else { id };
                        assert_eq!(found[pixel], expected, "{seed} {width} {pixel}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_square_that_is_a_pixel_too_far_right_is_as_worked_by_hand() {
        // 20×20 pixels, d = round(0.05 · 28.3) = 1. The bands of both 10×10 squares are rings of 36
        // pixels; one pixel apart they share two rows of 9 and nothing of their sides: 18 of 54.
        let square = |left: usize| {
            let mut mask = Mask::filled(20, 20, 0);
            for y in 5..15 {
                for x in left..left + 10 {
                    mask.ids[y * 20 + x] = 1;
                }
            }
            mask
        };
        let mut metric = BoundaryIou::new(3, 0.05);
        metric.add(&square(5), &square(6));
        let found = metric.per_class();
        assert!(
            (found[1].unwrap() - 100.0 * 18.0 / 54.0).abs() < 1e-12,
            "{found:?}"
        );
        // The ground's band is its outer edge of 76 pixels in both, and a ring of 44 around each
        // square, of which two rows of 11 are in both: 98 of 142.
        assert!(
            (found[0].unwrap() - 100.0 * 98.0 / 142.0).abs() < 1e-12,
            "{found:?}"
        );
        assert_eq!(found[2], None);
    }

    #[test]
    fn void_has_the_same_edges_in_both_masks() {
        let mut truth = Mask::filled(12, 12, 0);
        for pixel in &mut truth.ids[..60] {
            *pixel = VOID;
        }
        let mut metric = BoundaryIou::new(2, 0.1);
        metric.add(&truth, &Mask::filled(12, 12, 0));
        assert_eq!(metric.per_class(), [Some(100.0), None]);
        assert_eq!(metric.measure().value, 100.0);
    }
}
