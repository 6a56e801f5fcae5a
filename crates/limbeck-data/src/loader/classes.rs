//! Positions of a part by class, for partners and class-balanced batches.

use crate::{Balanced, DataError, Images, Part, Stream};

/// Positions of a part by class; empty where nothing asks for them.
#[derive(Debug)]
pub(super) struct Classes {
    positions: Vec<Vec<usize>>,
}

impl Classes {
    /// Finds them, if they are needed.
    ///
    /// # Errors
    /// Fewer classes than a balanced batch has.
    pub(super) fn of(part: &Part, images: &Images) -> Result<Self, DataError> {
        let mut positions = Vec::new();
        if images.partners || images.balanced.is_some() {
            positions = vec![Vec::new(); part.strata()];
            for position in 0..part.len() {
                positions[part.stratum(position)].push(position);
            }
        }
        if let Some(Balanced { classes, .. }) = images.balanced {
            let there = positions.iter().filter(|class| !class.is_empty()).count();
            if classes > there {
                return Err(DataError::setting(
                    "classes of a batch",
                    format!("at most {there}, the classes that have images"),
                    classes,
                ));
            }
        }
        Ok(Self { positions })
    }

    /// Positions of all images of a class that has some.
    pub(super) fn mates(&self, class: usize) -> &[usize] {
        &self.positions[class]
    }

    /// An epoch of `batches` batches, each of so many different classes with so many images one
    /// after the other. A class hands out its images in a shuffled order, and shuffles anew when
    /// it has handed out all: no image comes twice before every image of its class has come.
    pub(super) fn order(
        &self,
        balanced: Balanced,
        batches: usize,
        mut stream: Stream,
    ) -> Vec<usize> {
        let mut there: Vec<usize> = (0..self.positions.len())
            .filter(|&class| !self.positions[class].is_empty())
            .collect();
        let mut left: Vec<Vec<usize>> = vec![Vec::new(); self.positions.len()];
        let mut order = Vec::with_capacity(batches * balanced.classes * balanced.images);
        for _ in 0..batches {
            stream.shuffle(&mut there);
            for &class in &there[..balanced.classes] {
                for _ in 0..balanced.images {
                    let left = &mut left[class];
                    if left.is_empty() {
                        left.clone_from(&self.positions[class]);
                        stream.shuffle(left);
                    }
                    order.extend(left.pop());
                }
            }
        }
        order
    }
}
