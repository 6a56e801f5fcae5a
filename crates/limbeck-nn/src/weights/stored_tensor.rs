//! One tensor of a file.

use std::ops::Range;
use std::sync::Arc;

use super::ElementType;

/// The part of a file that holds the numbers of one or more tensors.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    /// The whole file.
    pub file: Arc<Vec<u8>>,
    /// Where in the file the storage lies.
    pub range: Range<usize>,
    pub big_endian: bool,
}

impl Storage {
    fn bytes(&self) -> &[u8] {
        self.file.get(self.range.clone()).unwrap_or_default()
    }
}

/// A tensor as its file holds it; the numbers are decoded on demand.
#[derive(Clone, Debug)]
pub struct StoredTensor {
    element: ElementType,
    shape: Vec<usize>,
    /// Distance of neighbours along each dimension, in elements.
    strides: Vec<usize>,
    /// First element, counted from the start of the storage.
    offset: usize,
    storage: Storage,
}

/// Most dimensions of a tensor, as in PyTorch.
const MAX_DIMENSIONS: usize = 64;

impl StoredTensor {
    /// A tensor over `storage`. The reason comes back where it does not lie within the storage or
    /// unfolds to more than the file holds.
    pub(super) fn new(
        element: ElementType,
        shape: Vec<usize>,
        strides: Vec<usize>,
        offset: usize,
        storage: Storage,
    ) -> Result<Self, String> {
        if shape.len() > MAX_DIMENSIONS || shape.len() != strides.len() {
            return Err(format!(
                "it has {} dimensions and {} strides; at most {MAX_DIMENSIONS}, as many of each, are read",
                shape.len(),
                strides.len()
            ));
        }
        let held = storage.bytes().len() / element.size();
        let last = shape
            .iter()
            .zip(&strides)
            .try_fold(offset, |last, (&size, &stride)| {
                last.checked_add(size.saturating_sub(1).checked_mul(stride)?)
            });
        let count = shape
            .iter()
            .try_fold(1usize, |n, &size| n.checked_mul(size));
        let (Some(last), Some(count)) = (last, count) else {
            return Err(format!("its shape {shape:?} is too large"));
        };
        if count > 0 && last >= held {
            return Err(format!(
                "shape {shape:?} with strides {strides:?} from element {offset} needs {} elements, its storage holds {held}",
                last.saturating_add(1)
            ));
        }
        if count > storage.file.len() / element.size() {
            return Err(format!(
                "shape {shape:?} unfolds to more numbers than the file holds"
            ));
        }
        Ok(Self {
            element,
            shape,
            strides,
            offset,
            storage,
        })
    }

    /// A row-major tensor that fills `storage` from its start.
    pub(super) fn contiguous(
        element: ElementType,
        shape: Vec<usize>,
        storage: Storage,
    ) -> Result<Self, String> {
        let strides =
            row_major(&shape).ok_or_else(|| format!("its shape {shape:?} is too large"))?;
        Self::new(element, shape, strides, 0, storage)
    }

    /// The rows of `first`, then those of `second`; `None` where rows have different shapes.
    pub(super) fn joined(first: &Self, second: &Self) -> Option<Self> {
        let (&of_first, row) = first.shape.split_first()?;
        let (&of_second, other_row) = second.shape.split_first()?;
        if row != other_row {
            return None;
        }
        let numbers = [first.to_f64(), second.to_f64()].concat();
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        let storage = Storage {
            range: 0..bytes.len(),
            file: Arc::new(bytes),
            big_endian: false,
        };
        let shape = [&[of_first.checked_add(of_second)?], row].concat();
        Self::contiguous(ElementType::F64, shape, storage).ok()
    }

    /// Type of the numbers.
    pub fn element(&self) -> ElementType {
        self.element
    }

    /// PyTorch's shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many numbers it has.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The numbers, row-major: `[product(shape)]`.
    pub fn to_f64(&self) -> Vec<f64> {
        let size = self.element.size();
        let decode = |bytes: &[u8]| self.element.decode(bytes, self.storage.big_endian);
        let bytes = self.storage.bytes();
        let count = self.count();
        if count == 0 {
            return Vec::new();
        }
        if row_major(&self.shape).as_ref() == Some(&self.strides) {
            let start = self.offset * size;
            return bytes[start..start + count * size]
                .chunks_exact(size)
                .map(decode)
                .collect();
        }
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            let position = index
                .iter()
                .zip(&self.strides)
                .fold(self.offset, |sum, (i, stride)| sum + i * stride);
            values.push(decode(&bytes[position * size..(position + 1) * size]));
            for (i, &length) in index.iter_mut().zip(&self.shape).rev() {
                *i += 1;
                if *i < length {
                    break;
                }
                *i = 0;
            }
        }
        values
    }
}

/// Row-major strides in elements.
fn row_major(shape: &[usize]) -> Option<Vec<usize>> {
    let mut strides = vec![1; shape.len()];
    for index in (1..shape.len()).rev() {
        strides[index - 1] = shape[index].checked_mul(strides[index])?;
    }
    Some(strides)
}
