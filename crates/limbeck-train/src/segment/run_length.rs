//! Masks in little memory.

use limbeck_data::Mask;

/// A mask as runs of equal ids along its rows, one row after the other: a few percent of its pixels,
/// since what networks and people draw is made of areas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunLengths {
    width: usize,
    height: usize,
    ids: Vec<u8>,
    lengths: Vec<u32>,
}

impl RunLengths {
    /// Of a mask.
    pub fn of(mask: &Mask) -> Self {
        let (mut ids, mut lengths) = (Vec::new(), Vec::<u32>::new());
        for &id in &mask.ids {
            match (ids.last(), lengths.last_mut()) {
                (Some(&last), Some(length)) if last == id && *length < u32::MAX => *length += 1,
                _ => {
                    ids.push(id);
                    lengths.push(1);
                }
            }
        }
        Self {
            width: mask.width,
            height: mask.height,
            ids,
            lengths,
        }
    }

    /// From its parts; `None` where the runs do not fill `size` `[height, width]`.
    pub fn new([height, width]: [usize; 2], ids: Vec<u8>, lengths: Vec<u32>) -> Option<Self> {
        let filled: u64 = lengths.iter().map(|&length| u64::from(length)).sum();
        let pixels = height.checked_mul(width)? as u64;
        (ids.len() == lengths.len() && filled == pixels).then_some(Self {
            width,
            height,
            ids,
            lengths,
        })
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// The id of each run.
    pub fn ids(&self) -> &[u8] {
        &self.ids
    }

    /// How many pixels it covers.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// The mask.
    pub fn mask(&self) -> Mask {
        let mut ids = Vec::with_capacity(self.width * self.height);
        for (&id, &length) in self.ids.iter().zip(&self.lengths) {
            ids.resize(ids.len() + length as usize, id);
        }
        Mask {
            width: self.width,
            height: self.height,
            ids,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_comes_back_as_it_was() {
        let ids: Vec<u8> = (0..35).map(|i| [3, 3, 3, 255, 0][i / 3 % 5]).collect();
        let mask = Mask {
            width: 7,
            height: 5,
            ids,
        };
        let runs = RunLengths::of(&mask);
        assert_eq!(runs.mask(), mask);
        assert!(runs.ids.len() < 12);
        let flat = Mask::filled(100, 80, 4);
        assert_eq!(RunLengths::of(&flat).lengths, [8_000]);
    }
}
