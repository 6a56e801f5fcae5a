//! The student's map in the teacher's tokens.

use burn::tensor::Tensor;
use limbeck_nn::{Builder, Pass, layer::Linear};

use super::tokens;

/// A linear map for each square of `group` × `group` positions, squares row by row and cut off at
/// the border. State-dict names `layers.fc_layer_0`, `layers.fc_layer_1`, …
#[derive(Debug)]
pub struct GroupLinear {
    layers: Vec<Linear>,
    group: usize,
}

impl GroupLinear {
    /// From maps `[C, rows, columns]` to tokens of length `width`; `group` is at least 1.
    pub fn new(builder: &mut Builder<'_>, map: [usize; 3], width: usize, group: usize) -> Self {
        let [channels, rows, columns] = map;
        let count = rows.div_ceil(group) * columns.div_ceil(group);
        let mut builder = builder.sub("layers");
        let layers = (0..count)
            .map(|index| Linear::new(builder.sub(format!("fc_layer_{index}")), channels, width))
            .collect();
        Self { layers, group }
    }

    /// Number of linear maps.
    #[cfg(test)]
    pub fn groups(&self) -> usize {
        self.layers.len()
    }

    /// `[B, C, rows, columns]` → `[B, rows · columns, width]`, positions row by row.
    pub fn forward(&self, pass: &mut Pass<'_>, map: Tensor<4>) -> Tensor<3> {
        let [_, _, rows, columns] = map.dims();
        let mut layers = self.layers.iter();
        let mut bands = Vec::new();
        for row in (0..rows).step_by(self.group) {
            let height = self.group.min(rows - row);
            let mut squares = Vec::new();
            for column in (0..columns).step_by(self.group) {
                let width = self.group.min(columns - column);
                let square = map
                    .clone()
                    .narrow(2, row, height)
                    .narrow(3, column, width)
                    .permute([0, 2, 3, 1]);
                if let Some(layer) = layers.next() {
                    squares.push(layer.forward(pass, square));
                }
            }
            bands.push(Tensor::cat(squares, 2));
        }
        // [B, rows, columns, width]
        tokens(Tensor::cat(bands, 1).permute([0, 3, 1, 2]))
    }
}
