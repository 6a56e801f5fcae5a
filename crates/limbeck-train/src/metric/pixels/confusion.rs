//! Which classes are taken for which, in pixels.

use limbeck_data::VOID;
use limbeck_report::Confusion;

/// Pixels of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassPixels {
    /// Its position in the class names.
    pub class: usize,
    /// Pixels of it that are called by it.
    pub right: u64,
    /// Pixels of it.
    pub there: u64,
    /// Pixels that are called by it.
    pub chosen: u64,
}

impl ClassPixels {
    /// Pixels that are of it or called by it.
    pub fn union(&self) -> u64 {
        (self.there + self.chosen).saturating_sub(self.right)
    }

    /// Intersection over union, in percent; `None` where it is absent.
    pub fn iou(&self) -> Option<f64> {
        (self.union() > 0).then(|| 100.0 * self.right as f64 / self.union() as f64)
    }

    /// The same counts of several pictures.
    pub fn add(&mut self, more: &Self) {
        self.right += more.right;
        self.there += more.there;
        self.chosen += more.chosen;
    }
}

/// Pixels by right and chosen class, `K` of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixelConfusion {
    classes: usize,
    /// `[K, K]`, row-major: right class, then chosen class.
    counts: Vec<u64>,
}

impl PixelConfusion {
    /// No pixels of `classes` classes so far.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Takes in pixels with their right and chosen classes, which are below `K`; those whose right
    /// class is void are left out.
    pub fn add(&mut self, truth: &[u8], chosen: &[u8]) {
        for (&right, &chosen) in truth.iter().zip(chosen) {
            if right != VOID {
                self.counts[usize::from(right) * self.classes + usize::from(chosen)] += 1;
            }
        }
    }

    /// Takes in what another one of as many classes has.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.counts.iter_mut().zip(&other.counts) {
            *sum += more;
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// All pixels.
    pub fn pixels(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The pixels of each class.
    pub fn by_class(&self) -> Vec<ClassPixels> {
        let at = |right: usize, chosen: usize| self.counts[right * self.classes + chosen];
        let count = |class: usize| ClassPixels {
            class,
            right: at(class, class),
            there: (0..self.classes).map(|chosen| at(class, chosen)).sum(),
            chosen: (0..self.classes).map(|right| at(right, class)).sum(),
        };
        (0..self.classes).map(count).collect()
    }

    /// The same as a table without empty cells.
    pub fn table(&self) -> Confusion {
        let rows = self.counts.chunks(self.classes.max(1));
        rows.map(|row| {
            let cells = row.iter().copied().enumerate();
            cells.filter(|(_, pixels)| *pixels > 0).collect()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_counted_by_class_and_void_ones_are_not() {
        let mut confusion = PixelConfusion::new(3);
        confusion.add(&[0, 0, 1, VOID, 1], &[0, 1, 1, 2, 0]);
        let mut other = PixelConfusion::new(3);
        other.add(&[1], &[1]);
        confusion.merge(&other);
        let found = confusion.by_class();
        let of = |class, right, there, chosen| ClassPixels {
            class,
            right,
            there,
            chosen,
        };
        assert_eq!(found, [of(0, 1, 2, 2), of(1, 2, 3, 3), of(2, 0, 0, 0)]);
        assert_eq!(found[0].union(), 3);
        assert_eq!((found[1].iou(), found[2].iou()), (Some(50.0), None));
        assert_eq!(confusion.table()[1][&0], 1);
        assert!(confusion.table()[2].is_empty());
        assert_eq!(confusion.pixels(), 5);
    }
}
