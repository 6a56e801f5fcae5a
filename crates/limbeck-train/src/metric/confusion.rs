//! Which classes are taken for which, and the share that is right of each.

use limbeck_report::Confusion as Counts;

use super::{Answer, Found, Metric, MetricError, percent};

/// Counts images by right and chosen class.
#[derive(Clone, Debug)]
pub struct Confusion {
    counts: Counts,
    /// Images of each class, those without a choice among them.
    images: Vec<u64>,
}

impl Confusion {
    /// No images of `classes` classes so far.
    pub fn new(classes: usize) -> Self {
        Self {
            counts: vec![Default::default(); classes],
            images: vec![0; classes],
        }
    }
}

impl Metric for Confusion {
    fn add(&mut self, answer: &Answer<'_>) {
        self.images[answer.label] += 1;
        if let Some(chosen) = answer.prediction.class {
            *self.counts[answer.label].entry(chosen).or_default() += 1;
        }
    }

    fn finish(self: Box<Self>, found: &mut Found) -> Result<(), MetricError> {
        let rows = self.counts.iter().zip(&self.images).enumerate();
        found.per_class = rows
            .map(|(class, (row, &images))| {
                let right = row.get(&class).copied().unwrap_or(0);
                (images > 0).then(|| percent(right, images))
            })
            .collect();
        found.details.confusion = self.counts;
        Ok(())
    }
}
