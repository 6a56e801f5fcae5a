//! Which classes are taken for which.

/// Counts images by right and chosen class.
#[derive(Clone, Debug)]
pub struct Confusion {
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// No images of `classes` classes so far.
    pub fn new(classes: usize) -> Self {
        Self {
            counts: vec![vec![0; classes]; classes],
        }
    }

    /// Takes in one image. One for which no class was chosen, or whose classes are out of range,
    /// is left out.
    pub fn add(&mut self, label: usize, chosen: Option<usize>) {
        let cell = chosen.and_then(|chosen| self.counts.get_mut(label)?.get_mut(chosen));
        if let Some(count) = cell {
            *count += 1;
        }
    }

    /// `[right class][chosen class]`, in images.
    pub fn into_counts(self) -> Vec<Vec<u64>> {
        self.counts
    }
}
