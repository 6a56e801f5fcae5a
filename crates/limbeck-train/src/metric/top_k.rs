//! Share of images whose class is among the k most probable.

use limbeck_report::Measure;

use super::{Answer, Found, Metric, MetricError, percent};

/// Share of images whose class is among the k most probable.
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    classes: usize,
    right: u64,
    images: u64,
}

impl TopK {
    /// No images of `classes` classes so far.
    pub fn new(k: usize, classes: usize) -> Self {
        Self {
            k,
            classes,
            right: 0,
            images: 0,
        }
    }

    /// Top-1 of `images` images, of which `right` were right.
    pub fn counted(right: u64, images: u64) -> Self {
        Self {
            right,
            images,
            ..Self::new(1, 0)
        }
    }

    /// What was counted.
    pub fn measure(&self) -> Measure {
        let k = self.k;
        let meaning = match k {
            1 => "most probable class is right".to_owned(),
            _ => format!("right class among the {k} most probable"),
        };
        let value = percent(self.right, self.images);
        let title = format!("top-{k} accuracy");
        let measure = Measure::percent(&format!("top{k}"), &title, &meaning, value);
        match self.classes {
            0 => measure,
            classes => measure.with_chance(100.0 * k as f64 / classes as f64),
        }
    }
}

impl Metric for TopK {
    fn add(&mut self, answer: &Answer<'_>) {
        self.images += 1;
        let right = answer
            .prediction
            .is_among(answer.logits, answer.label, self.k);
        self.right += u64::from(right);
    }

    fn finish(self: Box<Self>, found: &mut Found) -> Result<(), MetricError> {
        found.measures.push(self.measure());
        Ok(())
    }
}
