//! What a network is that finds objects: where its anchors are, and how its cells are laid out.

use burn::tensor::Tensor;

use crate::{Feature, Network, NnError, ParameterId};

/// What a detector predicts from: cells of several levels, each with as many anchors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detector {
    /// What the names of its last layer begin with, dot included: `model.24.`. The buffer `anchors`
    /// there holds the anchors `[levels, anchors, 2]` in cells.
    pub names: String,
    /// Pixels of the image that a cell of each level is wide and high, finest level first.
    pub strides: Vec<usize>,
    /// Anchors of each cell.
    pub anchors: usize,
}

impl Detector {
    /// The largest stride: sides of images are multiples of it, in pixels.
    pub fn step(&self) -> usize {
        self.strides.iter().copied().max().unwrap_or(1)
    }
}

impl Feature {
    /// Cells of levels whose raw maps are `maps` `[B, A, H, W, 5 + K]`, finest first.
    pub fn of_levels(maps: Vec<Tensor<5>>) -> Self {
        let anchors = maps.first().map_or(0, |map| map.dims()[1]);
        let levels = maps.iter().map(|map| [map.dims()[2], map.dims()[3]]);
        let levels = levels.collect();
        let rows = maps.into_iter().map(|map| map.flatten::<3>(1, 3));
        Feature::Cells {
            cells: Tensor::cat(rows.collect(), 1),
            anchors,
            levels,
        }
    }

    /// The raw map `[B, A, H, W, 5 + K]` of each level of a detector's cells, finest first; `None` of
    /// any other feature.
    pub fn level_maps(&self) -> Option<Vec<Tensor<5>>> {
        let Feature::Cells {
            cells,
            anchors,
            levels,
        } = self
        else {
            return None;
        };
        let [batch, _, entries] = cells.dims();
        let mut begin = 0;
        let maps = levels.iter().map(|&[rows, columns]| {
            let count = anchors * rows * columns;
            let level = cells.clone().narrow(1, begin, count);
            begin += count;
            level.reshape([batch, *anchors, rows, columns, entries])
        });
        Some(maps.collect())
    }
}

impl Network {
    /// Stride and anchors of each level of a detector, finest first, all in pixels; `None` of other
    /// networks.
    pub fn anchor_sizes(&self) -> Option<Vec<(usize, Vec<[f64; 2]>)>> {
        let detector = self.detector()?;
        let values = &self.store.entry(self.anchors_of(detector)?).value;
        let numbers: Vec<f64> = values.to_data().iter().collect();
        let levels = numbers.chunks(2 * detector.anchors);
        let levels = detector.strides.iter().zip(levels).map(|(&stride, level)| {
            let pixels = |cells: f64| cells * stride as f64;
            let sizes = level.chunks_exact(2);
            let sizes = sizes.map(|size| [pixels(size[0]), pixels(size[1])]);
            (stride, sizes.collect())
        });
        Some(levels.collect())
    }

    /// Gives a detector other anchors: `sizes` in pixels, level by level, finest first.
    ///
    /// # Errors
    /// [`NnError::Anchors`] of a network that is no detector, of another number of levels or anchors than
    /// it has, and of sides that are not positive and finite.
    pub fn set_anchor_sizes(&mut self, sizes: &[Vec<[f64; 2]>]) -> Result<(), NnError> {
        let refuse = |reason: String| NnError::Anchors {
            model: self.name().to_owned(),
            reason,
        };
        let detector = self.detector();
        let place = detector.and_then(|it| Some((it, self.anchors_of(it)?)));
        let Some((detector, id)) = place else {
            return Err(refuse(
                "it is no detector, and has none; choose a network of the task `detection`"
                    .to_owned(),
            ));
        };
        let levels = detector.strides.len();
        if sizes.len() != levels {
            return Err(refuse(format!(
                "found {} levels of anchors, it has {levels}",
                sizes.len()
            )));
        }
        for (i, level) in sizes.iter().enumerate() {
            if level.len() != detector.anchors {
                return Err(refuse(format!(
                    "found {} anchors for level {i}, it needs {}",
                    level.len(),
                    detector.anchors
                )));
            }
            let is_side = |side: &f64| side.is_finite() && *side > 0.0;
            if let Some([width, height]) = level.iter().find(|size| !size.iter().all(is_side)) {
                return Err(refuse(format!(
                    "found an anchor of {width}×{height} pixels in level {i}; both must be positive"
                )));
            }
        }
        let cells = sizes
            .iter()
            .zip(&detector.strides)
            .flat_map(|(level, &stride)| {
                let sides = level.iter().flatten();
                sides.map(move |side| side / stride as f64)
            });
        let cells = cells.collect();
        self.store.set_values(id, cells);
        Ok(())
    }

    fn anchors_of(&self, detector: &Detector) -> Option<ParameterId> {
        self.store.find(&format!("{}anchors", detector.names))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Int};

    use super::*;
    use crate::{TapKind, TaskKind};

    #[test]
    fn cells_go_by_level_anchor_row_and_column() {
        let map = |[rows, columns]: [usize; 2], first: i64| {
            let count = (2 * 3 * rows * columns * 6) as i64;
            let numbers = Tensor::<1, Int>::arange(first..first + count, &Device::flex());
            numbers.float().reshape([2, 3, rows, columns, 6])
        };
        let maps = vec![map([2, 4], 0), map([1, 2], 1000)];
        let cells = Feature::of_levels(maps.clone());
        let kind = TapKind::Cells {
            shape: [30, 6],
            anchors: 3,
            levels: vec![[2, 4], [1, 2]],
        };
        assert_eq!(cells.kind(), kind);
        assert_eq!(kind.to_string(), "cells [30, 6]");
        assert_eq!(TaskKind::of(&kind), Some(TaskKind::Detection));
        for (found, map) in cells.level_maps().unwrap().iter().zip(&maps) {
            assert_eq!(found.to_data(), map.to_data());
        }
        // The second image, second level: after its 24 rows of the first.
        let rows = cells.to_rows();
        let row = rows.slice([54..55, 0..6]).into_data();
        let wanted = maps[1].clone().slice([1..2, 0..1, 0..1, 0..1, 0..6]);
        let numbers = |data: burn::tensor::TensorData| data.iter::<f32>().collect::<Vec<_>>();
        assert_eq!(numbers(row), numbers(wanted.into_data()));
        assert!(cells.to_map().is_none() && cells.to_vector().is_none());
        assert!(
            Feature::Vector(Tensor::zeros([1, 2], &Device::flex()))
                .level_maps()
                .is_none()
        );
    }
}
