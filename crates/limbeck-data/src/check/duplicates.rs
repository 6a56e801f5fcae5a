//! The same image more than once.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::Examples;
use super::image::{Hash, Looked};
use crate::source::Source;

/// Images of one part that are there once more, in another part or in the same.
#[derive(Clone, Debug, Serialize)]
pub struct Duplicates {
    /// The part that each image is also in.
    pub of: &'static str,
    /// The part whose images are counted; the same where a part repeats images.
    pub again_in: &'static str,
    /// Images whose files are equal byte for byte.
    pub same_file: Examples<Pair>,
    /// Images whose files differ, or that have none of their own, and whose pixels are equal.
    pub same_pixels: Examples<Pair>,
    /// How many of all these have another class than their first copy.
    pub other_class: usize,
}

/// Two copies of an image, by their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// The first copy.
    pub image: String,
    /// The other one.
    pub again: String,
}

/// The images of all parts so far.
#[derive(Default)]
pub(super) struct Seen<'a> {
    parts: Vec<(&'static str, &'a Arc<dyn Source>)>,
    /// Part and number of the first copy in each part, by pixels.
    first: HashMap<Hash, Vec<First>>,
    found: Vec<Duplicates>,
}

#[derive(Clone, Copy)]
struct First {
    part: usize,
    index: usize,
    file: Option<Hash>,
}

impl<'a> Seen<'a> {
    /// Adds the images of a part, and finds those that have been seen before.
    pub fn add(
        &mut self,
        name: &'static str,
        source: &'a Arc<dyn Source>,
        images: &[Result<Looked, String>],
    ) {
        let part = self.parts.len();
        self.parts.push((name, source));
        let mut found: Vec<Duplicates> = self
            .parts
            .iter()
            .map(|(of, _)| Duplicates {
                of,
                again_in: name,
                same_file: Examples::default(),
                same_pixels: Examples::default(),
                other_class: 0,
            })
            .collect();
        for (index, image) in images.iter().enumerate() {
            let Ok(image) = image else { continue };
            let copies = self.first.entry(image.pixels).or_default();
            for copy in copies.iter() {
                let other = self.parts[copy.part].1;
                let found = &mut found[copy.part];
                let pair = || Pair {
                    image: other.name(copy.index),
                    again: source.name(index),
                };
                match image.file.is_some() && image.file == copy.file {
                    true => found.same_file.add(pair),
                    false => found.same_pixels.add(pair),
                }
                found.other_class +=
                    usize::from(other.stratum(copy.index) != source.stratum(index));
            }
            if copies.iter().all(|copy| copy.part != part) {
                copies.push(First {
                    part,
                    index,
                    file: image.file,
                });
            }
        }
        let any = |found: &Duplicates| found.same_file.count + found.same_pixels.count > 0;
        self.found.extend(found.into_iter().filter(any));
    }

    /// What was found.
    pub fn duplicates(self) -> Vec<Duplicates> {
        self.found
    }
}
