//! Which images are shots, and which are left to test on.

use limbeck_data::{Purpose, Stream};

use super::{FeatureSet, FewshotError};

/// How shots are drawn.
#[derive(Clone, Debug)]
pub struct Drawing<'a> {
    /// Where shots come from.
    pub features: &'a FeatureSet,
    /// Where images to test on come from; `None`: what is left of the features.
    pub test: Option<&'a FeatureSet>,
    /// Number of classes.
    pub classes: usize,
    /// What a class is called in messages.
    pub class_names: Option<&'a [String]>,
    /// Most shots of a class: the images to test on are the same for any number of shots.
    pub most: usize,
    /// Classes of a draw; `None`: all.
    pub way: Option<usize>,
    /// Most images of each class to test on; `None`: all.
    pub queries: Option<usize>,
    /// What is drawn from.
    pub seed: u64,
}

/// Shots and images to test on.
#[derive(Clone, Debug, PartialEq)]
pub struct Draw {
    /// The classes, ascending.
    pub classes: Vec<usize>,
    /// Images of each of them in the order in which they are taken as shots: so many as there are most
    /// shots.
    pub shots: Vec<Vec<usize>>,
    /// Images to test on and their position in `classes`.
    pub test: Vec<(usize, usize)>,
}

/// Keys of the streams that are of no class.
const OF_CLASSES: u64 = u64::MAX;

impl Drawing<'_> {
    /// Whether every class has enough images.
    ///
    /// # Errors
    /// A class with fewer images than there are shots, or none left to test on; more classes asked for
    /// than there are.
    pub fn check(&self) -> Result<(), FewshotError> {
        if let Some(way) = self.way.filter(|way| !(2..=self.classes).contains(way)) {
            return Err(FewshotError::Setting(format!(
                "--way must be 2 to the number of classes, {}, found {way}",
                self.classes
            )));
        }
        if self.queries == Some(0) {
            return Err(FewshotError::Setting(
                "--queries must be at least 1".to_owned(),
            ));
        }
        let kept = usize::from(self.test.is_none());
        let counts = self.counts(self.features);
        let smallest = counts.iter().enumerate().min_by_key(|(_, count)| **count);
        if let Some((class, &count)) = smallest.filter(|(_, count)| **count < self.most + kept) {
            let name = self.class_name(class);
            let rest = match kept {
                0 => String::new(),
                _ => " and at least one more to test on (or --test)".to_owned(),
            };
            let reason = format!(
                "class {name} has {count} images, and --shots asks for {}{rest}",
                self.most
            );
            return Err(FewshotError::content(&self.features.path, reason));
        }
        let Some(test) = self.test else { return Ok(()) };
        match self.counts(test).iter().position(|&count| count == 0) {
            Some(class) => {
                let name = self.class_name(class);
                let reason = format!("class {name} has no image to test on");
                Err(FewshotError::content(&test.path, reason))
            }
            None => Ok(()),
        }
    }

    fn counts(&self, set: &FeatureSet) -> Vec<usize> {
        let mut counts = vec![0; self.classes];
        for &label in &set.labels {
            if let Some(count) = counts.get_mut(label) {
                *count += 1;
            }
        }
        counts
    }

    fn class_name(&self, class: usize) -> String {
        match self.class_names.and_then(|names| names.get(class)) {
            Some(name) => format!("{class} (`{name}`)"),
            None => class.to_string(),
        }
    }

    /// The draw of that number: which images of a class are shots depends on seed, number and class
    /// alone.
    pub fn draw(&self, number: u64) -> Draw {
        let stream =
            |class: u64, view: u32| Stream::new(self.seed, Purpose::Shots, number, class, view);
        let mut classes: Vec<usize> = (0..self.classes).collect();
        if let Some(way) = self.way {
            stream(OF_CLASSES, 0).shuffle(&mut classes);
            classes.truncate(way);
            classes.sort_unstable();
        }
        let mut draw = Draw {
            shots: Vec::new(),
            test: Vec::new(),
            classes,
        };
        for (position, &class) in draw.classes.iter().enumerate() {
            let mut images = images_of(self.features, class);
            stream(class as u64, 0).shuffle(&mut images);
            let rest = images.split_off(self.most.min(images.len()));
            draw.shots.push(images);
            let mut test = match self.test {
                Some(test) => images_of(test, class),
                None => rest,
            };
            if let Some(queries) = self.queries {
                stream(class as u64, 1).shuffle(&mut test);
                test.truncate(queries);
            }
            test.sort_unstable();
            draw.test
                .extend(test.into_iter().map(|image| (image, position)));
        }
        draw
    }

    /// A seed for what is drawn besides the images of a draw.
    pub fn seed_of(&self, number: u64) -> u64 {
        Stream::new(self.seed, Purpose::Shots, number, OF_CLASSES, 1).bits()
    }
}

fn images_of(set: &FeatureSet, class: usize) -> Vec<usize> {
    let labels = set.labels.iter().enumerate();
    let own = labels.filter(|&(_, &label)| label == class);
    own.map(|(image, _)| image).collect()
}
