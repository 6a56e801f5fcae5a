//! Which images go to which part: class-balanced, by seed.

use std::sync::Arc;

use crate::dataset::{Dataset, Part, strata};
use crate::open::OpenOptions;
use crate::share::{equal, proportional};
use crate::source::Source;
use crate::{DataError, Found, Purpose, Stream};

/// Share of the images that becomes the test part where a folder has none of its own. A fifth
/// keeps the interval of the test accuracy useful on sets of a few hundred images.
const TEST_SHARE: f64 = 0.2;

/// View of the draw that takes images apart; parts of a data set are drawn with those below.
const APART: u32 = 3;

/// View of the draw that takes shots.
const SHOTS: u32 = 4;

/// Images of one source by stratum, in the order in which they are taken.
type Pools = Vec<Vec<usize>>;

impl Found {
    /// Splits what was found as the options say.
    ///
    /// Each class is put into an order that depends on the seed alone. The test part (if the data
    /// has none of its own) is the head of that order, the validation part (likewise) comes next,
    /// the rest trains. A limit then takes the head of that rest alone, so smaller limits give
    /// subsets of what greater ones give, and validation and test part are the same whatever the
    /// limit. Images without labels are split as if they were of one class.
    ///
    /// # Errors
    /// No images to train on; too few to make the parts; options outside their range; a source
    /// that contradicts itself.
    pub fn split(self, options: &OpenOptions) -> Result<Dataset, DataError> {
        if !(0.0..1.0).contains(&options.validation) {
            return Err(DataError::setting(
                "validation",
                "a share of at least 0 and below 1",
                options.validation,
            ));
        }
        if options.limit == Some(0) {
            return Err(DataError::setting("limit", "at least 1", 0));
        }
        let fingerprint = self.fingerprint();
        let there = self
            .parts()
            .iter()
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join(" and ");
        let Self {
            name,
            train: Some(source),
            validation,
            test,
            notes,
        } = self
        else {
            return Err(DataError::EmptyPart {
                part: "train",
                reason: format!(
                    "{} has {there} alone; put a folder `train` beside it, or, to measure a model \
                     on it, use `limbeck eval`",
                    self.name
                ),
            });
        };
        for part in [Some(&source), validation.as_ref(), test.as_ref()] {
            let Some(source) = part else { continue };
            let part = Part::all(Arc::clone(source));
            part.check()?;
            part.check_masks()?;
        }
        let mut train = pools(&*source, options.seed, 0);
        let test = match test {
            Some(test) => Part::all(test),
            None => part(Arc::clone(&source), carve(&mut train, TEST_SHARE, "test")?),
        };
        let validation = match validation {
            Some(validation) => Part::all(validation),
            None if options.validation > 0.0 => {
                let carved = carve(&mut train, options.validation, "validation")?;
                part(Arc::clone(&source), carved)
            }
            None => part(Arc::clone(&source), Vec::new()),
        };
        if let Some(limit) = options.limit.filter(|&limit| limit < count(&train)) {
            let with_images = train.iter().filter(|pool| !pool.is_empty()).count();
            if limit < with_images {
                return Err(DataError::setting(
                    "limit",
                    format!(
                        "at least {with_images}, so that each of the {with_images} classes has an \
                         image to train on"
                    ),
                    limit,
                ));
            }
            take(&mut train, limit);
        }
        Ok(Dataset {
            name,
            labelling: source.labelling(),
            classes: source.classes().to_vec(),
            shape: source.usual_shape(),
            train: part(source, train),
            validation,
            test,
            domains: None,
            fingerprint,
            notes,
        })
    }
}

/// Each stratum's images in an order of their own.
fn pools(source: &dyn Source, seed: u64, view: u32) -> Pools {
    let mut pools = vec![Vec::new(); strata(source)];
    for index in 0..source.len() {
        pools[source.stratum(index)].push(index);
    }
    for (stratum, pool) in pools.iter_mut().enumerate() {
        Stream::new(seed, Purpose::Split, 0, stratum as u64, view).shuffle(pool);
    }
    pools
}

/// Takes a share of each stratum away into a part of its own; each keeps at least one image.
fn carve(pools: &mut Pools, share: f64, part: &'static str) -> Result<Pools, DataError> {
    let sizes: Vec<usize> = pools.iter().map(Vec::len).collect();
    let counts = proportional(&sizes, share);
    if counts.iter().sum::<usize>() == 0 {
        return Err(DataError::EmptyPart {
            part,
            reason: format!(
                "{} images{} are too few to set {:.0} % of them aside; add images or give that \
                 part a folder of its own",
                sizes.iter().sum::<usize>(),
                match sizes.len() {
                    1 => String::new(),
                    classes => format!(" in {classes} classes"),
                },
                100.0 * share
            ),
        });
    }
    Ok(pools
        .iter_mut()
        .zip(counts)
        .map(|(pool, count)| pool.drain(..count).collect())
        .collect())
}

impl Part {
    /// Takes a share of each class's images apart: `(what stays, what is apart)`. Every class that
    /// has images keeps at least one. Which ones depends on the seed alone.
    ///
    /// # Errors
    /// Too few images to take any apart.
    pub fn apart(&self, share: f64, seed: u64) -> Result<(Self, Self), DataError> {
        let mut pools = vec![Vec::new(); self.strata()];
        for (position, &index) in self.indices.iter().enumerate() {
            pools[self.stratum(position)].push(index);
        }
        for (stratum, pool) in pools.iter_mut().enumerate() {
            Stream::new(seed, Purpose::Split, 0, stratum as u64, APART).shuffle(pool);
        }
        let taken = carve(&mut pools, share, "held-out")?;
        let source = &self.source;
        Ok((
            part(Arc::clone(source), pools),
            part(Arc::clone(source), taken),
        ))
    }
}

impl Part {
    /// `shots` images of each class. Which ones depends on `draw` alone, and fewer shots of a draw are
    /// among more of it. Images without labels are of one class.
    ///
    /// # Errors
    /// A class with fewer images, by name, or no shots.
    pub fn shots(&self, shots: usize, draw: u64) -> Result<Self, DataError> {
        if shots == 0 {
            return Err(DataError::setting("shots", "at least 1", shots));
        }
        let mut pools = vec![Vec::new(); self.strata()];
        for (position, &index) in self.indices.iter().enumerate() {
            pools[self.stratum(position)].push(index);
        }
        let classes = self.classes();
        let fewest = pools.iter().enumerate().min_by_key(|(_, pool)| pool.len());
        if let Some((class, pool)) = fewest.filter(|(_, pool)| pool.len() < shots) {
            let name = classes.get(class).cloned();
            return Err(DataError::TooFewShots {
                shots,
                class: name.map_or("the data".to_owned(), |name| format!("class `{name}`")),
                images: pool.len(),
            });
        }
        for (stratum, pool) in pools.iter_mut().enumerate() {
            Stream::new(draw, Purpose::Split, 0, stratum as u64, SHOTS).shuffle(pool);
            pool.truncate(shots);
        }
        Ok(part(Arc::clone(&self.source), pools))
    }
}

/// Keeps `total` images, as equal a number of each stratum as there are.
fn take(pools: &mut Pools, total: usize) {
    let sizes: Vec<usize> = pools.iter().map(Vec::len).collect();
    for (pool, count) in pools.iter_mut().zip(equal(&sizes, total)) {
        pool.truncate(count);
    }
}

fn part(source: Arc<dyn Source>, pools: Pools) -> Part {
    let mut indices: Vec<usize> = pools.into_iter().flatten().collect();
    indices.sort_unstable();
    Part { source, indices }
}

fn count(pools: &Pools) -> usize {
    pools.iter().map(Vec::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Image;
    use crate::source::{Annotation, Labelling, Packed};

    /// A source of 1x1 images with this many of each class.
    fn source(counts: &[usize]) -> Arc<dyn Source> {
        let labels: Vec<u8> = counts
            .iter()
            .enumerate()
            .flat_map(|(class, &count)| vec![class as u8; count])
            .collect();
        let classes = (0..counts.len()).map(|c| c.to_string()).collect();
        let pixels = vec![0; labels.len()];
        Arc::new(Packed::new(classes, [1, 1, 1], labels, pixels).unwrap())
    }

    /// So many pictures without labels.
    #[derive(Debug)]
    struct Pictures(usize);

    impl Source for Pictures {
        fn labelling(&self) -> Labelling {
            Labelling::None
        }

        fn classes(&self) -> &[String] {
            &[]
        }

        fn len(&self) -> usize {
            self.0
        }

        fn annotation(&self, _index: usize) -> Result<Annotation, DataError> {
            Ok(Annotation::None)
        }

        fn image(&self, _index: usize) -> Result<Image, DataError> {
            Ok(Image::filled(1, 1, 1, 0))
        }
    }

    /// Ten images, of which number 7 has a label that is no class.
    #[derive(Debug)]
    struct Lying;

    impl Source for Lying {
        fn classes(&self) -> &[String] {
            static CLASSES: std::sync::LazyLock<Vec<String>> =
                std::sync::LazyLock::new(|| vec!["cat".to_owned(), "dog".to_owned()]);
            &CLASSES
        }

        fn len(&self) -> usize {
            10
        }

        fn annotation(&self, index: usize) -> Result<Annotation, DataError> {
            Ok(Annotation::Class(if index == 7 { 9 } else { index % 2 }))
        }

        fn image(&self, _index: usize) -> Result<Image, DataError> {
            Ok(Image::filled(1, 1, 1, 0))
        }
    }

    fn found(train: &[usize], validation: Option<&[usize]>, test: Option<&[usize]>) -> Found {
        Found {
            name: "test".to_owned(),
            train: Some(source(train)),
            validation: validation.map(source),
            test: test.map(source),
            notes: Vec::new(),
        }
    }

    fn options(seed: u64, validation: f64, limit: Option<usize>) -> OpenOptions {
        OpenOptions {
            seed,
            validation,
            limit,
            labels: None,
        }
    }

    fn split(found: Found, options: &OpenOptions) -> Result<Dataset, DataError> {
        found.split(options)
    }

    fn disjoint(a: &Part, b: &Part) -> bool {
        a.indices.iter().all(|index| !b.indices.contains(index))
    }

    #[test]
    fn validation_is_carved_out_of_train_with_the_same_share_of_each_class() {
        let dataset = split(
            found(&[50, 30, 20], None, Some(&[4, 4, 4])),
            &options(1, 0.1, None),
        )
        .unwrap();
        assert_eq!(dataset.validation.class_counts(), [5, 3, 2]);
        assert_eq!(dataset.train.class_counts(), [45, 27, 18]);
        assert_eq!(dataset.test.class_counts(), [4, 4, 4]);
        assert!(disjoint(&dataset.train, &dataset.validation));
    }

    #[test]
    fn a_lone_folder_gives_three_parts_that_share_nothing_and_lose_nothing() {
        let dataset = split(found(&[50, 50], None, None), &options(1, 0.1, None)).unwrap();
        assert_eq!(dataset.test.class_counts(), [10, 10]);
        assert_eq!(dataset.validation.class_counts(), [4, 4]);
        assert_eq!(dataset.train.class_counts(), [36, 36]);
        let mut all = [&dataset.train, &dataset.validation, &dataset.test]
            .map(|part| part.indices.clone())
            .concat();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_split_depends_on_the_seed_alone() {
        let indices = |seed: u64| {
            split(
                found(&[40, 40], None, Some(&[2, 2])),
                &options(seed, 0.25, None),
            )
            .unwrap()
            .validation
            .indices
        };
        assert_eq!(indices(5), indices(5));
        assert_ne!(indices(5), indices(6));
    }

    #[test]
    fn a_limit_takes_as_many_of_each_class_from_what_trains_and_leaves_the_other_parts_whole() {
        let limited =
            |limit| split(found(&[500, 300], None, None), &options(3, 0.1, limit)).unwrap();
        let (full, small, smaller) = (limited(None), limited(Some(100)), limited(Some(50)));
        assert_eq!(small.train.class_counts(), [50, 50]);
        for less in [&small, &smaller] {
            assert_eq!(less.validation.indices, full.validation.indices);
            assert_eq!(less.test.indices, full.test.indices);
        }
        for (less, more) in [(&small, &full), (&smaller, &small)] {
            let more = &more.train.indices;
            assert!(less.train.indices.iter().all(|index| more.contains(index)));
        }
    }

    #[test]
    fn a_limit_leaves_parts_of_the_folders_own_whole() {
        let dataset = split(
            found(&[500, 500], Some(&[200, 200]), Some(&[300, 300])),
            &options(3, 0.1, Some(10)),
        )
        .unwrap();
        assert_eq!(dataset.train.class_counts(), [5, 5]);
        assert_eq!(dataset.validation.class_counts(), [200, 200]);
        assert_eq!(dataset.test.class_counts(), [300, 300]);
    }

    #[test]
    fn a_validation_folder_of_its_own_leaves_train_whole() {
        let dataset = split(
            found(&[10, 10], Some(&[3, 3]), Some(&[4, 4])),
            &options(0, 0.1, None),
        )
        .unwrap();
        assert_eq!(
            [
                dataset.train.len(),
                dataset.validation.len(),
                dataset.test.len()
            ],
            [20, 6, 8]
        );
    }

    #[test]
    fn a_limit_above_the_number_of_images_changes_nothing() {
        let indices = |limit| {
            let dataset = split(found(&[10, 10], None, None), &options(0, 0.1, limit)).unwrap();
            (dataset.train.indices, dataset.test.indices)
        };
        assert_eq!(indices(None), indices(Some(1_000)));
    }

    #[test]
    fn a_limit_that_would_leave_a_class_without_images_is_refused() {
        let limited = |limit| {
            split(
                found(&[10; 4], None, Some(&[5; 4])),
                &options(0, 0.2, Some(limit)),
            )
        };
        let error = limited(3).unwrap_err().to_string();
        assert!(error.contains("`limit` must be at least 4"), "{error}");
        assert!(limited(4).is_ok());
    }

    #[test]
    fn images_without_labels_are_split_as_one_class() {
        let pictures = Found {
            train: Some(Arc::new(Pictures(50))),
            ..found(&[1], None, None)
        };
        let dataset = split(pictures, &options(1, 0.1, Some(20))).unwrap();
        assert_eq!(dataset.labelling, Labelling::None);
        assert_eq!(
            [
                dataset.train.len(),
                dataset.validation.len(),
                dataset.test.len()
            ],
            [20, 4, 10]
        );
        assert_eq!(dataset.train.class(0), None);
        assert!(dataset.train.class_counts().is_empty());
    }

    #[test]
    fn a_set_without_images_to_train_on_is_refused() {
        let test_alone = Found {
            train: None,
            ..found(&[1], None, Some(&[5, 5]))
        };
        let error = split(test_alone, &options(0, 0.1, None))
            .unwrap_err()
            .to_string();
        assert!(error.contains("has test alone"), "{error}");
    }

    #[test]
    fn a_source_that_contradicts_itself_is_refused_with_the_number_of_the_image() {
        let lying = Found {
            train: Some(Arc::new(Lying)),
            ..found(&[1], None, None)
        };
        let error = split(lying, &options(0, 0.1, None))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "image 7 of the data source (7) cannot be used: its label is 9, but there are 2 classes"
        );
    }

    #[test]
    fn a_split_that_would_leave_a_part_empty_is_refused() {
        let error = |validation, test: Option<&[usize]>| {
            split(found(&[1, 1], None, test), &options(0, validation, None))
                .unwrap_err()
                .to_string()
        };
        assert!(error(0.1, None).contains("test part would be empty"));
        assert!(error(0.5, Some(&[1, 1])).contains("validation part would be empty"));
    }

    #[test]
    fn no_validation_part_is_made_if_none_is_asked_for() {
        let dataset = split(found(&[5, 5], None, Some(&[1, 1])), &options(0, 0.0, None)).unwrap();
        assert_eq!((dataset.train.len(), dataset.validation.len()), (10, 0));
    }
}
