//! Boxes that were kept, and whether one of them overlaps another box by more than is allowed.

use super::Area;

/// From so many boxes on they are looked for by place.
/// Fewer are gone through before their cells are filled.
pub(super) const MANY: usize = 1024;

/// Cells of a side of the image. That of the default network's finest map is 80.
const SIDE: usize = 64;

/// Most points of a side at which a box is looked up; with more of them (IoU below 0.2) going through all
/// boxes is no slower.
const MOST_POINTS: usize = 5;

/// The boxes of a class that were kept.
#[derive(Default)]
pub(super) struct Crowd {
    kept: Vec<Area>,
    /// Where there are [`MANY`].
    cells: Option<Cells>,
}

impl Crowd {
    /// Whether one of them has an IoU above `iou` with `area`.
    pub fn overlaps(&self, area: &Area, iou: f64) -> bool {
        let over = |other: &Area| area.iou(other) > iou;
        match self.cells.as_ref().and_then(|cells| cells.lists(area)) {
            Some(mut lists) => {
                lists.any(|list| list.iter().any(|&index| over(&self.kept[index as usize])))
            }
            None => self.kept.iter().any(over),
        }
    }

    /// Adds `area`; `all` are the bounds of every box that there is.
    pub fn push(&mut self, area: Area, all: &[f64; 4], iou: f64) {
        self.kept.push(area);
        if let Some(cells) = &mut self.cells {
            cells.push(self.kept.len() - 1, &area);
        } else if self.kept.len() == MANY
            && let Some(mut cells) = Cells::new(all, iou)
        {
            for (index, area) in self.kept.iter().enumerate() {
                cells.push(index, area);
            }
            self.cells = Some(cells);
        }
    }
}

/// The boxes by the cells of a grid that they lie in, even in part.
///
/// If A and B have an IoU above t, more than the share t of A's width and of its height lies in B. Of points that
/// divide a side of A into parts no longer than that share one lies there; so B is in the cell of one of these
/// points.
struct Cells {
    lists: Vec<Vec<u32>>,
    /// Left and top.
    start: [f64; 2],
    /// Cells of a unit of length, to the right and down.
    per_unit: [f64; 2],
    /// Points of a side.
    points: usize,
    /// A box shorter than that in a direction is so short that rounding could move its points out of it.
    least: [f64; 2],
}

impl Cells {
    fn new(all: &[f64; 4], iou: f64) -> Option<Self> {
        // A little more of them than the threshold asks for, for what is rounded.
        let points = (1..=MOST_POINTS).find(|&points| 1.0 / (points + 1) as f64 <= iou - 1e-6)?;
        let size = [all[2] - all[0], all[3] - all[1]];
        let per_unit = size.map(|size| SIDE as f64 / size);
        if !per_unit.iter().all(|n| n.is_finite()) {
            return None;
        }
        let greatest = |a: f64, b: f64| a.abs().max(b.abs()) * 1e-9;
        Some(Self {
            lists: vec![Vec::new(); SIDE * SIDE],
            start: [all[0], all[1]],
            per_unit,
            points,
            least: [greatest(all[0], all[2]), greatest(all[1], all[3])],
        })
    }

    fn cell(&self, axis: usize, place: f64) -> usize {
        // Never beyond the last one: rounding may reach its end.
        (((place - self.start[axis]) * self.per_unit[axis]) as usize).min(SIDE - 1)
    }

    fn push(&mut self, index: usize, area: &Area) {
        let [left, top, right, bottom] = area.bounds;
        // One without area overlaps nothing.
        if left < right && top < bottom {
            for row in self.cell(1, top)..=self.cell(1, bottom) {
                for column in self.cell(0, left)..=self.cell(0, right) {
                    self.lists[row * SIDE + column].push(index as u32);
                }
            }
        }
    }

    /// Lists among which all boxes are that `area` can overlap by more than the threshold; none where it is
    /// too small to tell.
    fn lists(&self, area: &Area) -> Option<impl Iterator<Item = &Vec<u32>>> {
        let [left, top, right, bottom] = area.bounds;
        if right - left <= self.least[0] || bottom - top <= self.least[1] {
            return None;
        }
        let cell = move |axis: usize, from: f64, to: f64, point: usize| {
            let share = (point + 1) as f64 / (self.points + 1) as f64;
            self.cell(axis, from + share * (to - from))
        };
        let points = self.points;
        Some((0..points * points).map(move |index| {
            let row = cell(1, top, bottom, index / points);
            let column = cell(0, left, right, index % points);
            &self.lists[row * SIDE + column]
        }))
    }
}
