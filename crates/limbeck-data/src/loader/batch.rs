//! One batch, and how it is made.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Domains, InStyles, LoaderConfig, classes::Classes};
use crate::augment::{main_labels, mix, mixed_targets};
use crate::dataset::reason_of;
use crate::saliency::KeptSaliency;
use crate::source::Source;
use crate::{
    Augment, BoxLabel, BoxSample, DataError, Image, Labelling, Letterbox, Part, Purpose, Stream,
    VOID,
};

/// A batch of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Position of each image in its part, `[B]`.
    pub indices: Vec<usize>,
    /// Number of each image in its source, `[B]`.
    pub samples: Vec<usize>,
    /// Number of the first view, which `images` are: the epoch, or as
    /// [`LoaderConfig::repeats_after`] says. `None` where images are not augmented, and of images
    /// that come along with others.
    pub view: Option<usize>,
    /// Share that image `i` keeps of itself where it is mixed with image `B − 1 − i`; `None` where
    /// images are not mixed.
    pub share: Option<f64>,
    /// Normalised images `[B, C, H, W]`, flat.
    pub images: Vec<f32>,
    /// `[B, C, H, W]`.
    pub shape: [usize; 4],
    /// Class of each image, `[B]`; under mixing, the class with the greater share. Empty where images
    /// have no classes.
    pub labels: Vec<i64>,
    /// Class of each pixel `[B, H, W]`, flat, [`VOID`](crate::VOID) where it is not known. Empty where
    /// images have no masks.
    pub masks: Vec<u8>,
    /// Boxes on each image, `[B]`, in its pixels. Empty where images have no boxes.
    pub boxes: Vec<Vec<BoxLabel>>,
    /// How each image lies in its frame, `[B]`, where it has boxes and is only letterboxed; else empty.
    pub frames: Vec<Letterbox>,
    /// Soft targets `[B, K]`, flat, each row a distribution; `None` unless images that have classes
    /// are mixed.
    pub targets: Option<Vec<f32>>,
    /// Further views of the images, each as `images`.
    pub views: Vec<Vec<f32>>,
    /// Another image of each one's class.
    pub partners: Option<Box<Batch>>,
    /// The batch before, in a second view.
    pub replay: Option<Box<Batch>>,
    /// The images before they were reduced to their size.
    pub large: Option<Large>,
    /// The images in the style of another domain, and others of that.
    pub styled: Option<InStyles>,
}

/// The images of a batch in a larger size.
#[derive(Clone, Debug, PartialEq)]
pub struct Large {
    /// `[B, C, H, W]`, flat.
    pub images: Vec<f32>,
    /// Height and width in pixels.
    pub size: [usize; 2],
}

/// What is shown of some images.
#[derive(Default)]
struct Views {
    /// `[B, C, H, W]`, flat.
    images: Vec<f32>,
    /// `[B, H, W]`, flat; empty where images have no masks.
    masks: Vec<u8>,
    /// `[B]`; empty where images have no boxes.
    boxes: Vec<Vec<BoxLabel>>,
    /// `[B]`; empty unless images with boxes are only letterboxed.
    frames: Vec<Letterbox>,
    /// The images in the larger size, where that is wanted.
    large: Option<Large>,
}

/// Everything that the batches of all epochs depend on.
#[derive(Debug)]
pub(super) struct Plan {
    pub part: Part,
    pub classes: Classes,
    /// Where foregrounds are, of images that are pasted.
    pub saliency: Option<KeptSaliency>,
    pub augment: Augment,
    pub train: bool,
    pub config: LoaderConfig,
    /// The other domain.
    pub domains: Option<Domains>,
}

impl Plan {
    pub(super) fn batches(&self) -> usize {
        let (images, batch) = (self.part.len(), self.config.batch);
        if self.config.drop_last || self.config.images.balanced.is_some() {
            images / batch
        } else {
            images.div_ceil(batch)
        }
    }

    /// Positions in the order of an epoch.
    pub(super) fn order(&self, epoch: usize) -> Vec<usize> {
        if let Some(balanced) = self.config.images.balanced {
            let stream = Stream::new(self.config.seed, Purpose::Order, epoch as u64, 0, 1);
            return self.classes.order(balanced, self.batches(), stream);
        }
        let mut order: Vec<usize> = (0..self.part.len()).collect();
        if self.config.shuffle {
            Stream::new(self.config.seed, Purpose::Order, epoch as u64, 0, 0).shuffle(&mut order);
        }
        order
    }

    /// Makes a batch. `go_on` is asked before each image; `None` if it said no. A panic on the way
    /// becomes an error.
    pub(super) fn make(
        &self,
        order: &[usize],
        epoch: usize,
        number: usize,
        go_on: impl Fn() -> bool,
    ) -> Option<Result<Batch, DataError>> {
        let made = catch_unwind(AssertUnwindSafe(|| {
            self.try_make(order, epoch, number, &go_on).transpose()
        }));
        made.unwrap_or_else(|panic| {
            Some(Err(DataError::Worker {
                batch: number,
                reason: format!("it panicked: {}", reason_of(&*panic)),
            }))
        })
    }

    fn try_make(
        &self,
        order: &[usize],
        epoch: usize,
        number: usize,
        go_on: &impl Fn() -> bool,
    ) -> Result<Option<Batch>, DataError> {
        let indices = order[self.range(number)].to_vec();
        let larger = self.config.images.largest(self.augment.size);
        let made = if larger == self.augment.size {
            self.view(&indices, epoch, 0, go_on)?
        } else {
            self.two_sizes(&indices, epoch, larger, go_on)?
        };
        let Some(views) = made else {
            return Ok(None);
        };
        let mut batch = self.alone(indices, views);
        batch.view = self.train.then(|| self.first_view(epoch));
        for view in 1..self.config.images.views {
            match self.view(&batch.indices, epoch, view as u32, go_on)? {
                Some(view) => batch.views.push(view.images),
                None => return Ok(None),
            }
        }
        if self.config.images.partners {
            match self.partners(&batch.indices, epoch, go_on)? {
                Some(partners) => batch.partners = Some(Box::new(partners)),
                None => return Ok(None),
            }
        }
        if let Some((epoch, indices)) = self.before(order, epoch, number) {
            match self.view(&indices, epoch, 1, go_on)? {
                Some(view) => batch.replay = Some(Box::new(self.alone(indices, view))),
                None => return Ok(None),
            }
        }
        if self.config.images.styled {
            match self.in_styles(&batch.indices, epoch, number, go_on)? {
                Some(styled) => batch.styled = Some(styled),
                None => return Ok(None),
            }
        }
        if self.train && self.augment.mixes() {
            let key = (epoch as u64, number as u64);
            let mut stream = Stream::new(self.config.seed, Purpose::Mix, key.0, key.1, 0);
            let (mixup, cutmix) = (self.augment.mixup_alpha, self.augment.cutmix_alpha);
            let share = mix(&mut batch.images, batch.shape, mixup, cutmix, &mut stream);
            let classes = self.part.classes().len();
            let has_classes = !batch.labels.is_empty();
            batch.targets = has_classes.then(|| mixed_targets(&batch.labels, classes, share));
            batch.labels = main_labels(&batch.labels, share);
            batch.share = Some(share);
        }
        Ok(Some(batch))
    }

    /// Images with what is known of them, and nothing besides.
    fn alone(&self, indices: Vec<usize>, views: Views) -> Batch {
        let [height, width] = self.augment.size;
        Batch {
            samples: indices.iter().map(|&i| self.part.indices[i]).collect(),
            view: None,
            share: None,
            images: views.images,
            shape: [indices.len(), self.augment.channels, height, width],
            labels: self.labels(&indices),
            masks: views.masks,
            boxes: views.boxes,
            frames: views.frames,
            targets: None,
            views: Vec::new(),
            partners: None,
            replay: None,
            large: views.large,
            styled: None,
            indices,
        }
    }

    /// View number `view` of the images at `positions`, one after the other; `None` if `go_on`
    /// said no.
    fn view(
        &self,
        positions: &[usize],
        epoch: usize,
        view: u32,
        go_on: &impl Fn() -> bool,
    ) -> Result<Option<Views>, DataError> {
        let paste = |position| self.stream(Purpose::Paste, position, epoch, view);
        let stream = |place: usize| {
            self.train
                .then(|| self.stream(Purpose::Augment, positions[place], epoch, view))
        };
        self.images(positions, go_on, stream, |position| {
            self.pasted(position, paste(position))
        })
    }

    /// The images at `positions`, each read by `image` and varied by `stream` of its place.
    fn images(
        &self,
        positions: &[usize],
        go_on: &impl Fn() -> bool,
        stream: impl Fn(usize) -> Option<Stream>,
        image: impl Fn(usize) -> Result<Arc<Image>, DataError>,
    ) -> Result<Option<Views>, DataError> {
        let numbers = self.augment.numbers();
        let mut images = Vec::with_capacity(positions.len() * numbers);
        let mut masks = self.no_masks(positions.len());
        let pixels = self.pixels();
        let (mut boxes, mut frames) = (Vec::new(), Vec::new());
        for (place, &position) in positions.iter().enumerate() {
            if !go_on() {
                return Ok(None);
            }
            let mut stream = stream(place);
            // Image by image: what was just zeroed is still in the processor's cache when it is written.
            images.resize((place + 1) * numbers, 0.0);
            let out = &mut images[place * numbers..];
            if self.part.labelling() == Labelling::Boxes {
                match &mut stream {
                    Some(stream) => {
                        let source = &self.part.source;
                        boxes.push(self.boxed(&self.part, source, position, stream, out)?);
                    }
                    None => {
                        let image = Arc::unwrap_or_clone(image(position)?);
                        let frame = self.augment.apply_framed(image, out);
                        let there = self.part.boxes(position)?;
                        let placed = there.into_iter().map(|label| frame.place(label));
                        boxes.push(placed.collect());
                        frames.push(frame);
                    }
                }
            } else if masks.is_empty() {
                let image = image(position)?;
                self.augment
                    .write(Cow::Borrowed(&image), None, stream.as_mut(), out);
            } else {
                let (image, mask) = self.part.shared_pair(position)?;
                let image = Cow::Borrowed(&*image);
                let seen = self.augment.write(image, Some(mask), stream.as_mut(), out);
                if let Some(mask) = seen {
                    masks[place * pixels..(place + 1) * pixels].copy_from_slice(&mask.ids);
                }
            }
        }
        Ok(Some(Views {
            images,
            masks,
            boxes,
            frames,
            large: None,
        }))
    }

    /// The first view of the images at `positions` in the style of the other domain, and images of that
    /// in both styles; `None` if `go_on` said no. An image is varied alike in both. Images of the other domain
    /// follow one another in an order of their own, over and over.
    fn in_styles(
        &self,
        positions: &[usize],
        epoch: usize,
        number: usize,
        go_on: &impl Fn() -> bool,
    ) -> Result<Option<InStyles>, DataError> {
        let Some(Domains {
            source_fake,
            target,
            target_fake,
            ..
        }) = &self.domains
        else {
            return Err(DataError::setting(
                "styled",
                "a target domain: images without labels that the network is to work on",
                "none",
            ));
        };
        let numbers = self.augment.numbers();
        let mut styled = InStyles {
            source_fake: vec![0.0; positions.len() * numbers],
            target: vec![0.0; positions.len() * numbers],
            target_fake: vec![0.0; positions.len() * numbers],
            target_boxes: (target.labelling() == Labelling::Boxes).then(Vec::new),
        };
        let order = |cycle: usize| {
            let mut order: Vec<usize> = (0..target.len()).collect();
            let seed = self.config.seed;
            Stream::new(seed, Purpose::Domain, cycle as u64, 0, 0).shuffle(&mut order);
            order
        };
        let first = (epoch * self.batches() + number) * self.config.batch;
        let mut cycle = first / target.len();
        let mut shuffled = order(cycle);
        for (place, &position) in positions.iter().enumerate() {
            if !go_on() {
                return Ok(None);
            }
            let range = place * numbers..(place + 1) * numbers;
            let mut stream = self.stream(Purpose::Augment, position, epoch, 0);
            let out = &mut styled.source_fake[range.clone()];
            self.boxed(&self.part, source_fake, position, &mut stream, out)?;
            if (first + place) / target.len() != cycle {
                cycle = (first + place) / target.len();
                shuffled = order(cycle);
            }
            let other = shuffled[(first + place) % target.len()];
            let sample = target.indices[other] as u64;
            let key = (self.config.seed, cycle as u64);
            let mut stream = Stream::new(key.0, Purpose::Domain, key.1, sample, 1);
            let mut same = stream.clone();
            let out = &mut styled.target[range.clone()];
            let boxes = self.boxed(target, &target.source, other, &mut stream, out)?;
            if let Some(all) = &mut styled.target_boxes {
                all.push(boxes);
            }
            let out = &mut styled.target_fake[range];
            self.boxed(target, target_fake, other, &mut same, out)?;
        }
        Ok(Some(styled))
    }

    /// Writes the image at `position` of `part`, read from `source`, with boxes as it is trained on; gives
    /// those that are learnt.
    fn boxed(
        &self,
        part: &Part,
        source: &Arc<dyn Source>,
        position: usize,
        stream: &mut Stream,
        out: &mut [f32],
    ) -> Result<Vec<BoxLabel>, DataError> {
        let read = |position: usize| {
            let image = match Arc::ptr_eq(source, &part.source) {
                true => part.image(position)?,
                false => source.image(part.indices[position])?,
            };
            let boxes = match part.labelling() {
                Labelling::Boxes => part.boxes(position)?,
                _ => Vec::new(),
            };
            let learnt = |label: &BoxLabel| !label.crowd && !label.difficult;
            let boxes = boxes.into_iter().filter(learnt).collect();
            Ok(BoxSample { image, boxes })
        };
        let another = |stream: &mut Stream| read(stream.below(part.len()));
        self.augment
            .apply_boxes(read(position)?, another, stream, out)
    }

    /// The image at `position`, with its foreground pasted where `stream` says so.
    fn pasted(&self, position: usize, mut stream: Stream) -> Result<Arc<Image>, DataError> {
        let image = self.part.shared_image(position)?;
        match (&self.config.images.pasted, &self.saliency) {
            (Some(paste), Some(saliency)) => {
                let image = Arc::unwrap_or_clone(image);
                let saliency = |image: &Image| saliency.of_image(&self.part, position, image);
                paste.apply(image, &mut stream, saliency).map(Arc::new)
            }
            _ => Ok(image),
        }
    }

    /// Pixels of an image of a batch.
    fn pixels(&self) -> usize {
        self.augment.size[0] * self.augment.size[1]
    }

    /// Room for the masks of so many images; empty where they have none.
    fn no_masks(&self, images: usize) -> Vec<u8> {
        match self.part.labelling() {
            Labelling::Masks => vec![VOID; images * self.pixels()],
            Labelling::None | Labelling::Classes | Labelling::Boxes => Vec::new(),
        }
    }

    /// The first view of the images at `positions` in the size of the loader, and in the larger
    /// one; `None` if `go_on` said no.
    fn two_sizes(
        &self,
        positions: &[usize],
        epoch: usize,
        larger: [usize; 2],
        go_on: &impl Fn() -> bool,
    ) -> Result<Option<Views>, DataError> {
        let larger = self.augment.resized(larger);
        let (numbers, more) = (self.augment.numbers(), larger.numbers());
        let mut views = Views {
            images: vec![0.0; positions.len() * numbers],
            ..Views::default()
        };
        let mut large = vec![0.0; positions.len() * more];
        let places = views
            .images
            .chunks_exact_mut(numbers)
            .zip(large.chunks_exact_mut(more));
        for (&position, (small, large)) in positions.iter().zip(places) {
            if !go_on() {
                return Ok(None);
            }
            let (image, mask) = match self.part.labelling() {
                Labelling::Masks => {
                    let (image, mask) = self.part.shared_pair(position)?;
                    (image, Some(mask))
                }
                Labelling::None | Labelling::Classes | Labelling::Boxes => {
                    let paste = self.stream(Purpose::Paste, position, epoch, 0);
                    (self.pasted(position, paste)?, None)
                }
            };
            let augment = || self.stream(Purpose::Augment, position, epoch, 0);
            let mut stream = self.train.then(augment);
            let size = self.augment.size;
            let image = Cow::Borrowed(&*image);
            let mask = larger.apply_in_two_sizes(image, mask, stream.as_mut(), size, small, large);
            if let Some(mask) = mask {
                views.masks.extend(mask.ids);
            }
        }
        views.large = Some(Large {
            images: large,
            size: larger.size,
        });
        Ok(Some(views))
    }

    /// Draws another image of each one's class. Choice and augmentation depend on the image that
    /// it is drawn for.
    fn partners(
        &self,
        indices: &[usize],
        epoch: usize,
        go_on: &impl Fn() -> bool,
    ) -> Result<Option<Batch>, DataError> {
        let stream = |position: usize, view| {
            let sample = self.part.indices[position] as u64;
            let seed = self.config.seed;
            Stream::new(seed, Purpose::Partner, epoch as u64, sample, view)
        };
        let chosen: Vec<usize> = indices
            .iter()
            .map(|&position| {
                let mates = self.classes.mates(self.part.stratum(position));
                mates[stream(position, 0).below(mates.len())]
            })
            .collect();
        let varied = |place: usize| self.train.then(|| stream(indices[place], 1));
        let views = self.images(&chosen, go_on, varied, |position| {
            self.part.shared_image(position)
        })?;
        Ok(views.map(|views| self.alone(chosen, views)))
    }

    /// Epoch and positions of the batch before, where it is to come along.
    fn before(&self, order: &[usize], epoch: usize, number: usize) -> Option<(usize, Vec<usize>)> {
        if !self.config.images.replay {
            return None;
        }
        if number > 0 {
            return Some((epoch, order[self.range(number - 1)].to_vec()));
        }
        if epoch <= self.config.first_epoch {
            return None;
        }
        let earlier = self.order(epoch - 1);
        Some((epoch - 1, earlier[self.range(self.batches() - 1)].to_vec()))
    }

    fn labels(&self, positions: &[usize]) -> Vec<i64> {
        positions
            .iter()
            .filter_map(|&position| self.part.class(position))
            .map(|class| class as i64)
            .collect()
    }

    /// Which places of an epoch's order make up a batch.
    fn range(&self, number: usize) -> Range<usize> {
        let start = number * self.config.batch;
        start..(start + self.config.batch).min(self.part.len())
    }

    /// Draws what is done to the image at a position. The key is its number in the source, so that
    /// another limit or split shows the image in the same way.
    fn stream(&self, purpose: Purpose, position: usize, epoch: usize, view: u32) -> Stream {
        let sample = self.part.indices[position] as u64;
        let mut key = (self.config.seed, epoch);
        if view == 0 {
            key.0 = self.config.view_seed.unwrap_or(key.0);
            key.1 = self.first_view(epoch);
        }
        Stream::new(key.0, purpose, key.1 as u64, sample, view)
    }

    /// Number of the first view that an epoch shows.
    fn first_view(&self, epoch: usize) -> usize {
        self.config
            .repeats_after
            .map_or(epoch, |views| epoch % views)
    }
}
