//! What a method remembers of every training image.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// One row of numbers for each image of the training part, in the tensors' own element type. It is
/// kept beside the device, where rows can be replaced without copying the others.
#[derive(Clone, Debug)]
pub(crate) struct PredictionBank {
    rows: usize,
    width: usize,
    dtype: DType,
    bytes: Vec<u8>,
}

impl PredictionBank {
    /// A bank whose row `i` is 1 at `labels[i]` and 0 elsewhere, `width` numbers long. Labels are
    /// below `width`.
    pub fn one_hot(labels: &[i64], width: usize, device: &Device, dtype: DType) -> Self {
        let mut numbers = vec![0.0; labels.len() * width];
        for (row, &label) in numbers.chunks_exact_mut(width).zip(labels) {
            if let Some(number) = usize::try_from(label).ok().and_then(|at| row.get_mut(at)) {
                *number = 1.0;
            }
        }
        let count = numbers.len();
        let flat = Tensor::<1>::from_data(TensorData::new(numbers, [count]), (device, dtype));
        Self::from_flat(flat, labels.len(), width)
    }

    /// A bank of the numbers `flat` `[rows · width]`.
    pub fn from_flat(flat: Tensor<1>, rows: usize, width: usize) -> Self {
        let dtype = flat.dtype();
        let bytes = flat.into_data().as_bytes().to_vec();
        Self {
            rows,
            width,
            dtype,
            bytes,
        }
    }

    /// All numbers, `[rows · width]`.
    pub fn to_flat(&self, device: &Device) -> Tensor<1> {
        let count = self.rows * self.width;
        let data = TensorData::from_bytes_vec(self.bytes.clone(), [count], self.dtype);
        Tensor::from_data(data, (device, self.dtype))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows of these images, `[B, width]`. Indices are below [`PredictionBank::rows`].
    pub fn get(&self, indices: &[usize], device: &Device) -> Tensor<2> {
        let size = self.row_size();
        let mut bytes = Vec::with_capacity(indices.len() * size);
        for &index in indices {
            bytes.extend_from_slice(&self.bytes[index * size..(index + 1) * size]);
        }
        let shape = [indices.len(), self.width];
        Tensor::from_data(
            TensorData::from_bytes_vec(bytes, shape, self.dtype),
            (device, self.dtype),
        )
    }

    /// Replaces the rows of these images by `rows` `[B, width]`. Indices are below
    /// [`PredictionBank::rows`].
    pub fn set(&mut self, indices: &[usize], rows: Tensor<2>) {
        let size = self.row_size();
        let data = rows.cast(self.dtype).into_data();
        for (&index, row) in indices.iter().zip(data.as_bytes().chunks_exact(size)) {
            self.bytes[index * size..(index + 1) * size].copy_from_slice(row);
        }
    }

    fn row_size(&self) -> usize {
        self.width * self.dtype.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{numbers, random, tensor};

    fn bank() -> PredictionBank {
        PredictionBank::one_hot(&[2, 0, 1], 3, &Device::flex(), DType::F64)
    }

    #[test]
    fn it_begins_with_the_labels() {
        let all = numbers(&bank().to_flat(&Device::flex()));
        assert_eq!(all, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn replaced_rows_come_back_and_the_others_stay() {
        let mut bank = bank();
        let rows = random("rows", [2, 3]);
        bank.set(&[2, 0], rows.clone());
        assert_eq!(numbers(&bank.get(&[2, 0], &Device::flex())), numbers(&rows));
        let kept = tensor(vec![1.0, 0.0, 0.0], [1, 3]);
        assert_eq!(numbers(&bank.get(&[1], &Device::flex())), numbers(&kept));
        let copy = PredictionBank::from_flat(bank.to_flat(&Device::flex()), 3, 3);
        assert_eq!(copy.bytes, bank.bytes);
    }
}
