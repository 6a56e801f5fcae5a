//! Positions of a part by class, for partners and class-balanced batches.

use super::LoaderConfig;
use crate::{DataError, Part, Stream};

/// Positions of a part by class; empty where nothing asks for them.
#[derive(Debug)]
pub(super) struct Classes {
    positions: Vec<Vec<usize>>,
}

impl Classes {
    /// Finds them, if the configuration needs them.
    ///
    /// # Errors
    /// Fewer classes than a balanced batch has.
    pub(super) fn of(part: &Part, config: &LoaderConfig) -> Result<Self, DataError> {
        let mut positions = Vec::new();
        if config.partners || config.balanced.is_some() {
            positions = vec![Vec::new(); part.strata()];
            for position in 0..part.len() {
                positions[part.stratum(position)].push(position);
            }
        }
        if let Some((classes, _)) = config.balanced {
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

    /// An epoch of `batches` batches, each of `classes` different classes with `each` images one
    /// after the other. A class hands out its images in a shuffled order, and shuffles anew when
    /// it has handed out all: no image comes twice before every image of its class has come.
    pub(super) fn order(
        &self,
        classes: usize,
        each: usize,
        batches: usize,
        mut stream: Stream,
    ) -> Vec<usize> {
        let mut there: Vec<usize> = (0..self.positions.len())
            .filter(|&class| !self.positions[class].is_empty())
            .collect();
        let mut left: Vec<Vec<usize>> = vec![Vec::new(); self.positions.len()];
        let mut order = Vec::with_capacity(batches * classes * each);
        for _ in 0..batches {
            stream.shuffle(&mut there);
            for &class in &there[..classes] {
                for _ in 0..each {
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
