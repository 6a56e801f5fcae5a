//! The images that were made.

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_data::{Image, Stream};

use super::{Ota, OtaConfig};
use crate::{MadeImage, MethodError, State};

/// Images that the page shows.
const SHOWN: usize = 24;
/// Bytes in a number of a checkpoint: as many as single precision holds whole.
const PACKED: usize = 3;

/// Images that guide, and what is made by them.
#[derive(Clone, Debug)]
pub struct Guided {
    /// `[B, C, H, W]`, normalised.
    pub images: Tensor<4>,
    /// Class of each.
    pub labels: Vec<usize>,
    /// Class that the image made by each is to be of.
    pub targets: Vec<usize>,
}

impl Guided {
    /// Draws the classes that images are made for: those of their guides, or in a share of cases another
    /// of the `classes`.
    pub fn new(
        images: Tensor<4>,
        labels: Vec<usize>,
        classes: usize,
        config: &OtaConfig,
        stream: &mut Stream,
    ) -> Self {
        let other = |&label: &usize| match classes > 1 && stream.chance(config.other_class) {
            true => (label + 1 + stream.below(classes - 1)) % classes,
            false => label,
        };
        Self {
            targets: labels.iter().map(other).collect(),
            images,
            labels,
        }
    }

    /// 1 for each image that is made for its guide's class, else 0, `[B, 1, 1, 1]`; `None` where all are.
    pub fn of_their_class(&self) -> Option<Tensor<4>> {
        let pairs = || self.labels.iter().zip(&self.targets);
        if pairs().all(|(label, target)| label == target) {
            return None;
        }
        let alike: Vec<f64> = pairs()
            .map(|(label, target)| f64::from(u8::from(label == target)))
            .collect();
        let shape = [alike.len(), 1, 1, 1];
        let options = (&self.images.device(), self.images.dtype());
        Some(Tensor::from_data(TensorData::new(alike, shape), options))
    }
}

/// Images as bytes, with what the fine-tuned network says of them.
#[derive(Clone, Debug)]
pub struct Gallery {
    /// Channels, height, width.
    shape: [usize; 3],
    classes: usize,
    bytes: Vec<u8>,
    logits: Vec<f64>,
    targets: Vec<usize>,
    /// Of the first [`SHOWN`] of each pass's first images: the guides, and their classes.
    guides: Vec<u8>,
    labels: Vec<usize>,
}

impl Gallery {
    /// None yet, of images of `shape` (channels, height, width) and so many classes.
    pub fn new(shape: [usize; 3], classes: usize) -> Self {
        Self {
            shape,
            classes,
            bytes: Vec::new(),
            logits: Vec::new(),
            targets: Vec::new(),
            guides: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        *self = Self::new(self.shape, self.classes);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.targets.len()
    }

    fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Adds images as `bytes`, made by `guided`, whose own bytes are `guides`, with their `logits`
    /// `[B, K]`. Gives the share of which the greatest logit is that of the class they are made for.
    pub fn add(
        &mut self,
        bytes: Vec<u8>,
        logits: &Tensor<2>,
        guided: &Guided,
        guides: Vec<u8>,
    ) -> f64 {
        let before = self.count();
        self.bytes.extend(bytes);
        self.logits.extend(logits.to_data().iter::<f64>());
        self.targets.extend(&guided.targets);
        let left = SHOWN.saturating_sub(self.labels.len());
        let kept = left.min(guided.labels.len());
        self.labels.extend(guided.labels.iter().take(kept));
        self.guides
            .extend(guides.into_iter().take(kept * self.size()));
        self.share_from(before).unwrap_or_default()
    }

    /// Share of all images that are, for the fine-tuned network, of the class they are made for; `None`
    /// where there are none.
    pub fn share_of_class(&self) -> Option<f64> {
        self.share_from(0)
    }

    fn share_from(&self, first: usize) -> Option<f64> {
        let all = first..self.count();
        let count = all.len();
        let right = all.filter(|&index| self.choice(index).0 == self.targets[index]);
        (count > 0).then(|| right.count() as f64 / count as f64)
    }

    /// The class of an image for the fine-tuned network, and its probability.
    fn choice(&self, index: usize) -> (usize, f64) {
        let logits = &self.logits[index * self.classes..(index + 1) * self.classes];
        let mut best = 0;
        for (class, logit) in logits.iter().enumerate() {
            if *logit > logits[best] {
                best = class;
            }
        }
        let sum: f64 = logits
            .iter()
            .map(|logit| (logit - logits[best]).exp())
            .sum();
        (best, 1.0 / sum)
    }

    /// Positions of `count` images, each drawn from all.
    pub fn draw(&self, count: usize, stream: &mut Stream) -> Vec<usize> {
        (0..count).map(|_| stream.below(self.count())).collect()
    }

    /// Bytes of these, one after the other.
    pub fn bytes_of(&self, positions: &[usize]) -> Vec<u8> {
        let size = self.size();
        let of = |&at: &usize| self.bytes[at * size..(at + 1) * size].iter().copied();
        positions.iter().flat_map(of).collect()
    }

    /// Logits of these, `[N, K]`.
    pub fn logits_of(&self, positions: &[usize], options: (&Device, DType)) -> Tensor<2> {
        let classes = self.classes;
        let of = |&at: &usize| {
            self.logits[at * classes..(at + 1) * classes]
                .iter()
                .copied()
        };
        let numbers: Vec<f64> = positions.iter().flat_map(of).collect();
        Tensor::from_data(
            TensorData::new(numbers, [positions.len(), classes]),
            options,
        )
    }

    /// The first ones with their guides.
    pub fn shown(&self) -> Vec<MadeImage> {
        let size = self.size();
        let image = |bytes: &[u8], at: usize| self.image(&bytes[at * size..(at + 1) * size]);
        (0..self.labels.len())
            .map(|at| MadeImage {
                guide: image(&self.guides, at),
                label: self.labels[at],
                image: image(&self.bytes, at),
                made_for: self.targets[at],
                chosen: self.choice(at),
            })
            .collect()
    }

    /// Channel by channel to pixel by pixel. Of other than 1 or 3 channels the first is shown.
    fn image(&self, bytes: &[u8]) -> Image {
        let [channels, height, width] = self.shape;
        let places = height * width;
        let shown = if channels == 3 { 3 } else { 1 };
        let pixels = (0..places)
            .flat_map(|place| (0..shown).map(move |channel| bytes[channel * places + place]))
            .collect();
        Image {
            width,
            height,
            channels: shown,
            pixels,
        }
    }

    /// For a checkpoint: bytes by threes, so that single precision holds them.
    pub fn state(&self, options: (&Device, DType)) -> State {
        let plain = |classes: &[usize]| classes.iter().map(|&class| class as f64).collect();
        let all: [(&str, Vec<f64>); 5] = [
            ("bytes", packed(&self.bytes)),
            ("logits", self.logits.clone()),
            ("targets", plain(&self.targets)),
            ("guides", packed(&self.guides)),
            ("labels", plain(&self.labels)),
        ];
        let mut state = State::new();
        for (name, numbers) in all.into_iter().filter(|(_, numbers)| !numbers.is_empty()) {
            let shape = vec![numbers.len()];
            let data = TensorData::new(numbers, shape.clone());
            state.insert(name.to_owned(), (shape, Tensor::from_data(data, options)));
        }
        state
    }

    /// Takes back what [`Gallery::state`] gave.
    ///
    /// # Errors
    /// [`MethodError::State`] where it does not fit.
    pub fn load(&mut self, mut state: State) -> Result<(), MethodError> {
        let mut take = |name: &str| -> Vec<f64> {
            let found = state.remove(name);
            found.map_or_else(Vec::new, |(_, value)| value.to_data().iter().collect())
        };
        let classes = |numbers: Vec<f64>| numbers.into_iter().map(|class| class as usize).collect();
        let mut loaded = Self::new(self.shape, self.classes);
        loaded.targets = classes(take("targets"));
        loaded.labels = classes(take("labels"));
        loaded.logits = take("logits");
        loaded.bytes = unpacked(&take("bytes"), loaded.count() * self.size());
        loaded.guides = unpacked(&take("guides"), loaded.labels.len() * self.size());
        let fits = loaded.logits.len() == loaded.count() * self.classes
            && loaded.bytes.len() == loaded.count() * self.size()
            && loaded.guides.len() == loaded.labels.len() * self.size()
            && loaded.labels.len() <= loaded.count()
            && state.is_empty();
        if !fits {
            return Err(MethodError::State {
                method: Ota::ID,
                reason: format!(
                    "{} made images of {:?} and {} classes do not go with what is stored of them",
                    loaded.count(),
                    self.shape,
                    self.classes
                ),
            });
        }
        *self = loaded;
        Ok(())
    }
}

fn packed(bytes: &[u8]) -> Vec<f64> {
    let number = |chunk: &[u8]| {
        let of = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        f64::from(of(0) | of(1) << 8 | of(2) << 16)
    };
    bytes.chunks(PACKED).map(number).collect()
}

/// The first `count` bytes.
fn unpacked(numbers: &[f64], count: usize) -> Vec<u8> {
    let bytes = numbers.iter().flat_map(|&number| {
        let [first, second, third, _] = (number as u32).to_le_bytes();
        [first, second, third]
    });
    bytes.take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_single_precision() {
        for count in [0, 1, 2, 3, 256, 769] {
            let bytes: Vec<u8> = (0..count).map(|i| (255 - i * 7 % 256) as u8).collect();
            let numbers: Vec<f64> = packed(&bytes)
                .into_iter()
                .map(|number| f64::from(number as f32))
                .collect();
            assert_eq!(numbers.len(), bytes.len().div_ceil(3));
            assert_eq!(unpacked(&numbers, bytes.len()), bytes);
        }
        let full = packed(&[255, 255, 255]);
        assert_eq!(full, [16_777_215.0]);
    }

    #[test]
    fn other_classes_are_never_the_guides_own() {
        let images = crate::testing::random("g", [200, 1, 1, 1]);
        let labels: Vec<usize> = (0..200).map(|i| i % 5).collect();
        let config = |other_class| OtaConfig {
            other_class,
            ..OtaConfig::default()
        };
        let of = |share, classes| {
            let mut stream = Stream::of_seed(4);
            Guided::new(
                images.clone(),
                labels.clone(),
                classes,
                &config(share),
                &mut stream,
            )
        };
        let changed = |guided: &Guided| {
            let pairs = guided.labels.iter().zip(&guided.targets);
            pairs.filter(|(label, target)| label != target).count()
        };
        assert_eq!(changed(&of(0.0, 5)), 0);
        assert!(of(0.0, 5).of_their_class().is_none());
        let all = of(1.0, 5);
        assert_eq!(changed(&all), 200);
        assert!(all.targets.iter().all(|&class| class < 5));
        let some = changed(&of(0.2, 5));
        assert!((20..60).contains(&some), "{some}");
    }
}
