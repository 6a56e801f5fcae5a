//! Which patches of two crops show the same part of an image.

use crate::dino::Crop;

/// The tokens of two crops that show the same, in pairs: `(of the first, of the second)`, equally
/// many, the class tokens (0) first, then patches (row by row from 1). Crops that do not meet have
/// their class tokens alone.
///
/// What both crops show is a rectangle of patches in each. Where these have unequally many rows or
/// columns, the greater number is sampled evenly, its first and last included.
pub fn matched_tokens(first: &Crop, second: &Crop) -> (Vec<usize>, Vec<usize>) {
    let mut tokens = (vec![0], vec![0]);
    let sides = [first, second];
    let range = |start: fn(&Crop) -> usize, length: fn(&Crop) -> usize| {
        let [a, b] = sides.map(|crop| (start(crop), start(crop) + length(crop)));
        let (from, to) = (a.0.max(b.0), a.1.min(b.1));
        (from < to).then(|| (from, to - from))
    };
    let (Some(rows), Some(columns)) = (
        range(|crop| crop.top, |crop| crop.height),
        range(|crop| crop.left, |crop| crop.width),
    ) else {
        return tokens;
    };
    let [a_rows, b_rows] =
        sides.map(|crop| covered(rows, crop.top, crop.height, crop.grid[0], false));
    let [a_columns, b_columns] =
        sides.map(|crop| covered(columns, crop.left, crop.width, crop.grid[1], crop.flipped));
    for (a_row, b_row) in evenly(&a_rows, &b_rows) {
        for (a_column, b_column) in evenly(&a_columns, &b_columns) {
            tokens.0.push(1 + a_row * first.grid[1] + a_column);
            tokens.1.push(1 + b_row * second.grid[1] + b_column);
        }
    }
    tokens
}

/// The patches along one axis that cover `(start, length)` of the image, in the image's direction,
/// in a crop that begins at `origin` and has `extent` pixels in `patches` patches.
fn covered(
    (start, length): (usize, usize),
    origin: usize,
    extent: usize,
    patches: usize,
    flipped: bool,
) -> Vec<usize> {
    let rounded =
        |pixels: usize| ((patches * pixels) as f64 / extent as f64).round_ties_even() as usize;
    let first = rounded(start - origin).min(patches);
    // Two roundings may end one patch beyond the crop.
    let end = (first + rounded(length)).min(patches);
    let own = first..end;
    match flipped {
        true => own.map(|patch| patches - 1 - patch).collect(),
        false => own.collect(),
    }
}

/// Pairs of both lists, as many as the shorter one has; the longer one is sampled evenly.
fn evenly(first: &[usize], second: &[usize]) -> Vec<(usize, usize)> {
    let count = first.len().min(second.len());
    let at = |list: &[usize], i: usize| match count {
        _ if list.len() == count => list[i],
        1 => list[0],
        _ if i + 1 == count => list[list.len() - 1],
        _ => {
            let step = (list.len() - 1) as f64 / (count - 1) as f64;
            list[(i as f64 * step) as usize]
        }
    };
    (0..count).map(|i| (at(first, i), at(second, i))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(top: usize, left: usize, height: usize, width: usize) -> Crop {
        Crop {
            top,
            left,
            height,
            width,
            flipped: false,
            grid: [4, 4],
        }
    }

    fn flipped(crop: Crop) -> Crop {
        Crop {
            flipped: true,
            ..crop
        }
    }

    /// Crops of many places and sizes.
    fn crops() -> Vec<Crop> {
        let mut crops = Vec::new();
        for i in 0..60usize {
            let (height, width) = (7 + i * 13 % 50, 7 + i * 29 % 50);
            let mut made = crop(i * 17 % (65 - height), i * 23 % (65 - width), height, width);
            made.flipped = i % 3 == 0;
            if i % 2 == 0 {
                made.grid = [2, 3];
            }
            crops.push(made);
        }
        crops
    }

    #[test]
    fn the_same_crop_is_matched_patch_by_patch() {
        let one = crop(3, 5, 20, 30);
        let all: Vec<usize> = (0..=16).collect();
        assert_eq!(matched_tokens(&one, &one), (all.clone(), all));
    }

    #[test]
    fn a_flipped_crop_is_matched_with_its_mirror_image() {
        let one = crop(3, 5, 20, 30);
        let (plain, mirrored) = matched_tokens(&one, &flipped(one.clone()));
        assert_eq!(plain, (0..=16).collect::<Vec<_>>());
        let expected = [0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13];
        assert_eq!(mirrored, expected);
    }

    #[test]
    fn a_quarter_is_matched_with_every_patch_that_covers_it() {
        // The lower right quarter: 2×2 patches of the whole, all 4×4 of its own, sampled at 0 and 3.
        let (whole, quarter) = matched_tokens(&crop(0, 0, 32, 32), &crop(16, 16, 16, 16));
        assert_eq!(whole, [0, 11, 12, 15, 16]);
        assert_eq!(quarter, [0, 1, 4, 13, 16]);
    }

    #[test]
    fn crops_that_do_not_meet_have_their_class_tokens_alone() {
        let only = (vec![0], vec![0]);
        assert_eq!(matched_tokens(&crop(0, 0, 8, 8), &crop(8, 0, 8, 8)), only);
        assert_eq!(matched_tokens(&crop(0, 0, 8, 8), &crop(0, 20, 8, 8)), only);
    }

    #[test]
    fn lists_are_equally_long_within_range_and_without_repetition_and_swap_with_the_crops() {
        let mut met = 0;
        for a in crops() {
            for b in crops() {
                let (of_a, of_b) = matched_tokens(&a, &b);
                assert_eq!(of_a.len(), of_b.len());
                for (tokens, crop) in [(&of_a, &a), (&of_b, &b)] {
                    let mut sorted = tokens.clone();
                    sorted.sort_unstable();
                    sorted.dedup();
                    assert_eq!(sorted.len(), tokens.len(), "{a:?} {b:?}");
                    assert!(sorted.last() <= Some(&(crop.grid[0] * crop.grid[1])));
                }
                let (swapped_b, swapped_a) = matched_tokens(&b, &a);
                assert_eq!((&swapped_a, &swapped_b), (&of_a, &of_b));
                met += usize::from(of_a.len() > 1);
            }
        }
        assert!(met > 1000, "{met}");
    }
}
