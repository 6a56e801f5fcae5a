//! Boxes that are moved with their picture.

use burn::tensor::{Int, Tensor, TensorData};

use super::{Assigned, table};
use crate::detection::{DetectionError, DetectionLoss, DetectionTerms, TargetBox};

/// Boxes to be learnt on pictures that were moved, with gradients to what has moved them.
#[derive(Clone, Debug)]
pub struct MovingBoxes {
    /// The boxes as they are.
    pub boxes: Vec<TargetBox>,
    /// Centre and size of each once more, `[n, 4]` (x, y, w, h as shares of the image's sides), made of what
    /// has moved them; `None` of boxes that nothing has moved, and where there is none.
    pub sides: Option<Tensor<2>>,
}

impl MovingBoxes {
    /// Boxes that nothing has moved.
    pub fn still(boxes: Vec<TargetBox>) -> Self {
        Self { boxes, sides: None }
    }
}

impl DetectionLoss {
    /// As [`DetectionLoss::terms`]; gradients of the box term reach what has moved the boxes. Which cells learn
    /// them, and objectness, take them as they are.
    ///
    /// # Errors
    /// As [`DetectionLoss::terms`]; [`DetectionError::Shape`] for sides that are not those of the boxes.
    pub fn terms_of_moving(
        &self,
        raw: &[Tensor<5>],
        targets: &MovingBoxes,
    ) -> Result<DetectionTerms, DetectionError> {
        let sides = targets.sides.as_ref();
        self.sum_of_levels(raw, &targets.boxes, sides, |entries, picked, rows| {
            self.level(entries, picked, rows)
        })
    }
}

/// The boxes of `entries` in cells of a map of these rows and columns, from the cell's corner: `[m, 4]` of
/// `sides` `[n, 4]`.
pub(super) fn in_cells(
    sides: &Tensor<2>,
    entries: &[Assigned],
    [height, width]: [usize; 2],
) -> Tensor<2> {
    let targets: Vec<i64> = entries.iter().map(|entry| entry.target as i64).collect();
    let index = TensorData::new(targets, [entries.len()]);
    let index = Tensor::<1, Int>::from_data(index, &sides.device());
    let (height, width) = (height as f64, width as f64);
    let extent = table(sides, vec![width, height, width, height], 4);
    let corner = |entry: &Assigned| [entry.cell[1] as f64, entry.cell[0] as f64, 0.0, 0.0];
    let corners = table(sides, entries.iter().flat_map(corner).collect(), 4);
    sides.clone().select(0, index) * extent - corners
}
