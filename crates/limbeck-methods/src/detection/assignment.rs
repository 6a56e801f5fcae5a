//! Which cells and anchors learn which box.

use super::{Anchors, DetectionError};

/// A neighbour of the cell that a centre is in learns the box too if the centre is nearer to it than this
/// many cells to the common edge.
const NEAR: f64 = 0.5;

/// A box to be learnt. Centre and size are shares of the image's width and height; a teacher's box may reach
/// out of the image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetBox {
    /// Place in the batch.
    pub image: usize,
    /// Class.
    pub class: usize,
    /// x, y.
    pub center: [f64; 2],
    /// Width, height.
    pub size: [f64; 2],
}

/// One cell and anchor of a level that learns a box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assigned {
    /// Place in the batch.
    pub image: usize,
    /// Number of the anchor on its level.
    pub anchor: usize,
    /// Row and column of the cell.
    pub cell: [usize; 2],
    /// Class of the box.
    pub class: usize,
    /// Number of the box in the list that was given.
    pub target: usize,
    /// The box in cells, its centre from the cell's upper left corner: x, y, w, h.
    pub bounds: [f64; 4],
    /// Width and height of the anchor in cells.
    pub anchor_size: [f64; 2],
}

/// For each level of `anchors`, whose maps have the heights and widths `grids`, what its cells learn.
///
/// A box goes to the anchors whose sides are less than `ratio` times longer or shorter than its own, there to
/// the cell of its centre and to the one or two neighbours that the centre is nearest to. The order is
/// that of YOLOv5's `build_targets`: own cells first, then left, upper, right and lower neighbours; among
/// them by anchor, then by target. As there, a centre right on the edge of two cells has the far neighbour, and its
/// own cell once more for the near one.
///
/// # Errors
/// [`DetectionError::Setting`] for a `ratio` below 1, [`DetectionError::Shape`] for another number of grids
/// than of levels, [`DetectionError::Row`] for a target that is not finite.
pub fn assign(
    anchors: &Anchors,
    grids: &[[usize; 2]],
    targets: &[TargetBox],
    ratio: f64,
) -> Result<Vec<Vec<Assigned>>, DetectionError> {
    if ratio.is_nan() || ratio < 1.0 {
        return Err(DetectionError::Setting {
            key: "anchor_ratio",
            expected: "at least 1",
            found: ratio.to_string(),
        });
    }
    if grids.len() != anchors.levels().len() {
        return Err(DetectionError::Shape {
            what: "grids".to_owned(),
            expected: format!("{}, one for each level", anchors.levels().len()),
            found: grids.len().to_string(),
        });
    }
    let is_finite = |t: &TargetBox| t.center.iter().chain(&t.size).all(|x| x.is_finite());
    if let Some(index) = targets.iter().position(|target| !is_finite(target)) {
        return Err(DetectionError::Row {
            what: "target",
            index,
            reason: format!("{:?} is not finite", targets[index]),
        });
    }
    let levels = anchors.levels().iter().zip(grids);
    Ok(levels
        .map(|(level, &grid)| {
            let sizes: Vec<[f64; 2]> = level.in_cells().collect();
            level_cells(&sizes, grid, targets, ratio)
        })
        .collect())
}

fn level_cells(
    anchors: &[[f64; 2]],
    [height, width]: [usize; 2],
    targets: &[TargetBox],
    ratio: f64,
) -> Vec<Assigned> {
    let extent = [width as f64, height as f64];
    let matched: Vec<Match> = anchors
        .iter()
        .enumerate()
        .flat_map(|(anchor, &anchor_size)| {
            targets
                .iter()
                .enumerate()
                .map(move |(number, target)| Match {
                    target: *target,
                    number,
                    anchor,
                    anchor_size,
                    center: [0, 1].map(|axis| target.center[axis] * extent[axis]),
                    size: [0, 1].map(|axis| target.size[axis] * extent[axis]),
                })
        })
        .filter(|entry| entry.fits(ratio))
        .collect();
    let mut cells = Vec::with_capacity(3 * matched.len());
    cells.extend(matched.iter().map(|m| m.assigned([0.0, 0.0], extent)));
    for (axis, step) in [(0, NEAR), (1, NEAR), (0, -NEAR), (1, -NEAR)] {
        let mut offset = [0.0; 2];
        offset[axis] = step;
        let near = matched.iter().filter(|m| {
            // From the left or upper border, or from the other one.
            let along = match step > 0.0 {
                true => m.center[axis],
                false => extent[axis] - m.center[axis],
            };
            along.rem_euclid(1.0) < NEAR && along > 1.0
        });
        cells.extend(near.map(|m| m.assigned(offset, extent)));
    }
    cells
}

/// A box with an anchor that it goes to, in cells.
struct Match {
    target: TargetBox,
    number: usize,
    anchor: usize,
    anchor_size: [f64; 2],
    center: [f64; 2],
    size: [f64; 2],
}

impl Match {
    fn fits(&self, ratio: f64) -> bool {
        let sides = self.size.iter().zip(self.anchor_size);
        let mut factors = sides.map(|(side, anchor)| side / anchor);
        factors.all(|factor| factor < ratio && factor.recip() < ratio && factor > 0.0)
    }

    fn assigned(&self, offset: [f64; 2], extent: [f64; 2]) -> Assigned {
        // A centre on the far border, or of a box that reaches out, belongs to the cell at the border.
        let [column, row] = [0, 1].map(|axis| {
            let corner = (self.center[axis] - offset[axis]).trunc();
            corner.clamp(0.0, extent[axis] - 1.0)
        });
        Assigned {
            image: self.target.image,
            anchor: self.anchor,
            cell: [row as usize, column as usize],
            class: self.target.class,
            target: self.number,
            bounds: [
                self.center[0] - column,
                self.center[1] - row,
                self.size[0],
                self.size[1],
            ],
            anchor_size: self.anchor_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::AnchorLevel;

    fn cells(center: [f64; 2], size: [f64; 2]) -> Vec<[usize; 2]> {
        let entries = entries(center, size);
        entries.iter().map(|entry| entry.cell).collect()
    }

    /// On one level of 4×4 cells and one anchor of 2×2 cells.
    fn entries(center: [f64; 2], size: [f64; 2]) -> Vec<Assigned> {
        let sizes = vec![[16.0, 16.0]];
        let anchors = Anchors::new(vec![AnchorLevel { stride: 8, sizes }]).unwrap();
        let target = TargetBox {
            image: 0,
            class: 0,
            center: center.map(|x| x / 4.0),
            size: size.map(|x| x / 4.0),
        };
        assign(&anchors, &[[4, 4]], &[target], 4.0)
            .unwrap()
            .remove(0)
    }

    #[test]
    fn the_nearest_neighbours_learn_too() {
        let size = [2.0, 2.0];
        assert_eq!(cells([1.25, 2.25], size), [[2, 1], [2, 0], [1, 1]]);
        assert_eq!(cells([1.75, 2.75], size), [[2, 1], [2, 2], [3, 1]]);
        // There is no cell beyond the border.
        assert_eq!(cells([0.25, 0.25], size), [[0, 0]]);
        assert_eq!(cells([3.75, 3.75], size), [[3, 3]]);
        // In the middle of a cell: nearer to none.
        assert_eq!(cells([1.5, 1.5], size), [[1, 1]]);
        // Out of the image: the border's cell, from whose corner the box is measured.
        let outside = entries([4.75, -0.5], size)[0];
        assert_eq!(outside.cell, [0, 3]);
        assert_eq!(outside.bounds, [1.75, -0.5, 2.0, 2.0]);
    }

    #[test]
    fn sides_far_from_the_anchors_match_nothing() {
        let at = |size| cells([1.5, 1.5], size).len();
        assert_eq!(at([7.9, 0.51]), 1);
        for size in [[8.0, 2.0], [2.0, 0.5], [0.0, 2.0], [-2.0, 2.0]] {
            assert_eq!(at(size), 0, "{size:?}");
        }
    }

    #[test]
    fn at_most_three_cells_for_each_anchor() {
        for i in 0..40 {
            for j in 0..40 {
                let center = [i as f64 / 10.0, j as f64 / 10.0];
                let mut found = cells(center, [2.0, 2.0]);
                // Right on an edge, the own cell is there again.
                found.sort_unstable();
                found.dedup();
                assert!((1..=3).contains(&found.len()), "{center:?}: {found:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_assigned_is_refused() {
        let anchors = Anchors::yolov5();
        let grids = [[8, 8], [4, 4], [2, 2]];
        let target = |x| TargetBox {
            image: 0,
            class: 0,
            center: [x, 0.5],
            size: [0.5, 0.5],
        };
        assert!(assign(&anchors, &grids, &[target(0.5)], 4.0).is_ok());
        assert!(assign(&anchors, &grids, &[target(f64::NAN)], 4.0).is_err());
        assert!(assign(&anchors, &grids, &[], 0.5).is_err());
        assert!(assign(&anchors, &grids[..2], &[], 4.0).is_err());
    }
}
