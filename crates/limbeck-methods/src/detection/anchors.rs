//! The boxes that predictions start from.

use burn::tensor::Tensor;

use super::DetectionError;

/// Anchors of one level of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorLevel {
    /// Pixels of the image that a cell of the map is wide and high.
    pub stride: usize,
    /// Width and height of each anchor, in pixels.
    pub sizes: Vec<[f64; 2]>,
}

impl AnchorLevel {
    /// Width and height of each anchor in cells.
    pub(super) fn in_cells(&self) -> impl Iterator<Item = [f64; 2]> + '_ {
        let stride = self.stride as f64;
        self.sizes.iter().map(move |size| size.map(|s| s / stride))
    }
}

/// Anchors of all levels of a network, as many on each.
#[derive(Clone, Debug, PartialEq)]
pub struct Anchors {
    levels: Vec<AnchorLevel>,
}

impl Anchors {
    /// Anchors of these levels, finest first.
    ///
    /// # Errors
    /// [`DetectionError::Anchors`] without levels or anchors, with a stride of 0, with numbers of anchors
    /// that differ from level to level, and with a width or height that is not positive and finite.
    pub fn new(levels: Vec<AnchorLevel>) -> Result<Self, DetectionError> {
        let refuse = |reason: String| Err(DetectionError::Anchors { reason });
        let Some(first) = levels.first() else {
            return refuse("there are none; give at least one level".to_owned());
        };
        let count = first.sizes.len();
        for (i, level) in levels.iter().enumerate() {
            if level.stride == 0 {
                return refuse(format!("level {i} has stride 0; it must be at least 1"));
            }
            if level.sizes.is_empty() || level.sizes.len() != count {
                return refuse(format!(
                    "level {i} has {} of them and level 0 has {count}; each needs as many, at least one",
                    level.sizes.len()
                ));
            }
            let is_size = |s: &f64| s.is_finite() && *s > 0.0;
            if let Some(size) = level.sizes.iter().find(|size| !size.iter().all(is_size)) {
                return refuse(format!(
                    "level {i} has one of {}×{} pixels; both must be positive",
                    size[0], size[1]
                ));
            }
        }
        Ok(Self { levels })
    }

    /// YOLOv5's for COCO at 640 pixels (`models/yolov5s.yaml`).
    pub fn yolov5() -> Self {
        let level = |stride, sizes: [[f64; 2]; 3]| AnchorLevel {
            stride,
            sizes: sizes.to_vec(),
        };
        Self {
            levels: vec![
                level(8, [[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]]),
                level(16, [[30.0, 61.0], [62.0, 45.0], [59.0, 119.0]]),
                level(32, [[116.0, 90.0], [156.0, 198.0], [373.0, 326.0]]),
            ],
        }
    }

    /// All levels, finest first.
    pub fn levels(&self) -> &[AnchorLevel] {
        &self.levels
    }

    /// Whether `raw` are maps `[B, A, H, W, 5 + K]` of these levels; gives B and K.
    pub(super) fn check_maps(&self, raw: &[Tensor<5>]) -> Result<[usize; 2], DetectionError> {
        let shape = |what: String, expected: String, found: String| DetectionError::Shape {
            what,
            expected,
            found,
        };
        if raw.len() != self.levels.len() {
            return Err(shape(
                "raw maps".to_owned(),
                format!("{}, one for each level of the anchors", self.levels.len()),
                raw.len().to_string(),
            ));
        }
        let [batch, _, _, _, entries] = raw[0].dims();
        for (i, (map, level)) in raw.iter().zip(&self.levels).enumerate() {
            let dims = map.dims();
            let count = level.sizes.len();
            let fits = dims[0] == batch && dims[1] == count && dims[4] == entries;
            if !fits || entries < 6 || dims.contains(&0) {
                return Err(shape(
                    format!("the raw map of level {i}"),
                    format!(
                        "[{batch}, {count}, height, width, 5 + classes], as many classes on each level"
                    ),
                    format!("{dims:?}"),
                ));
            }
        }
        Ok([batch, entries - 5])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    fn level(stride: usize, sizes: &[[f64; 2]]) -> AnchorLevel {
        let sizes = sizes.to_vec();
        AnchorLevel { stride, sizes }
    }

    #[test]
    fn anchors_that_cannot_be_are_refused() {
        let two = [[1.0, 2.0], [3.0, 4.0]];
        assert!(Anchors::new(vec![level(8, &two), level(16, &two)]).is_ok());
        assert_eq!(
            Anchors::new(Anchors::yolov5().levels).unwrap(),
            Anchors::yolov5()
        );
        for wrong in [
            vec![],
            vec![level(8, &[])],
            vec![level(0, &two)],
            vec![level(8, &two), level(16, &two[..1])],
            vec![level(8, &[[1.0, 0.0]])],
            vec![level(8, &[[f64::NAN, 1.0]])],
        ] {
            assert!(Anchors::new(wrong).is_err());
        }
    }

    #[test]
    fn maps_of_other_shapes_are_refused() {
        let anchors = Anchors::new(vec![level(8, &[[1.0, 2.0]]), level(16, &[[1.0, 2.0]])]);
        let anchors = anchors.unwrap();
        let maps = |second: [usize; 5]| {
            anchors.check_maps(&[random("a", [2, 1, 4, 4, 8]), random("b", second)])
        };
        assert_eq!(maps([2, 1, 2, 2, 8]).unwrap(), [2, 3]);
        for wrong in [[1, 1, 2, 2, 8], [2, 2, 2, 2, 8], [2, 1, 2, 2, 7]] {
            assert!(maps(wrong).is_err());
        }
        assert!(anchors.check_maps(&[]).is_err());
    }
}
