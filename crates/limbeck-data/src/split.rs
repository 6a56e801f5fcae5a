//! Which images go to which part: class-balanced, by seed.

use std::sync::Arc;

use crate::dataset::{Dataset, Part, fingerprint};
use crate::open::OpenOptions;
use crate::share::{equal, proportional};
use crate::source::{Found, Source};
use crate::{DataError, Purpose, Stream};

/// Share of the images that becomes the test part where a folder has none of its own. A fifth
/// keeps the interval of the test accuracy useful on sets of a few hundred images.
const TEST_SHARE: f64 = 0.2;

/// A limited test or validation part of a folder's own keeps at least this many images (if the
/// limit itself is not below that): with 1,000, the 95 % interval of an accuracy is at most
/// 3.1 points to either side, and running a network forward is cheap beside training it.
const LIMITED_TEST: usize = 1_000;

/// View of the draw that takes images apart; parts of a data set are drawn with those below.
const APART: u32 = 3;

/// Images of one source by class, in the order in which they are taken.
type Pools = Vec<Vec<usize>>;

/// Splits what was found as the options say.
///
/// Each class is put into an order that depends on the seed alone. The test part (if the folder
/// has none of its own) is the head of that order, the validation part (likewise) comes next,
/// the rest trains. A limit then takes the head of each part, so smaller limits give subsets of
/// what greater ones give, and an image never changes its part.
pub(crate) fn split(found: Found, options: &OpenOptions) -> Result<Dataset, DataError> {
    let fingerprint = fingerprint(&found);
    let Found {
        name,
        train: source,
        validation,
        test,
    } = found;
    let classes = source.classes().to_vec();
    let mut train = pools(&*source, options.seed, 0);
    let mut own_test = Vec::new();
    if test.is_none() {
        own_test = carve(&mut train, TEST_SHARE, "test")?;
    }
    let mut own_validation = vec![Vec::new(); classes.len()];
    if validation.is_none() && options.validation > 0.0 {
        own_validation = carve(&mut train, options.validation, "validation")?;
    }
    let carved = count(&own_validation);
    let available = count(&train) + carved;

    // Share of the images that the limit leaves, or `None` where it takes nothing away.
    let limit = options.limit.filter(|&limit| limit < available);
    if let Some(limit) = limit {
        let validation = if carved == 0 {
            0
        } else {
            ((limit as f64 * options.validation).round() as usize).clamp(1, carved)
        };
        let wanted = limit.saturating_sub(validation);
        if wanted < classes.len() {
            return Err(DataError::setting(
                "limit",
                format!(
                    "at least {}, so that each of the {} classes has an image to train on",
                    smallest_limit(classes.len(), options.validation, carved),
                    classes.len()
                ),
                limit,
            ));
        }
        take(&mut own_validation, validation);
        take(&mut train, wanted);
    }
    let other = |pools: &mut Pools| {
        if let Some(limit) = limit {
            let total = count(pools);
            let proportion = (total as f64 * limit as f64 / available as f64).round() as usize;
            take(pools, proportion.max(limit.min(LIMITED_TEST)).min(total));
        }
    };
    let outside = |source: Arc<dyn Source>, view: u32| {
        let mut pools = pools(&*source, options.seed, view);
        other(&mut pools);
        part(source, pools)
    };
    let test = match test {
        Some(test) => outside(test, 1),
        None => {
            other(&mut own_test);
            part(Arc::clone(&source), own_test)
        }
    };
    let validation = match validation {
        Some(validation) => outside(validation, 2),
        None => part(Arc::clone(&source), own_validation),
    };
    Ok(Dataset {
        name,
        classes,
        shape: source.shape(),
        train: part(source, train),
        validation,
        test,
        fingerprint,
    })
}

/// Each class's images in an order of their own.
fn pools(source: &dyn Source, seed: u64, view: u32) -> Pools {
    let mut pools = vec![Vec::new(); source.classes().len()];
    for index in 0..source.len() {
        pools[source.label(index)].push(index);
    }
    for (class, pool) in pools.iter_mut().enumerate() {
        Stream::new(seed, Purpose::Split, 0, class as u64, view).shuffle(pool);
    }
    pools
}

/// Takes a share of each class away into a part of its own; every class keeps at least one image.
fn carve(pools: &mut Pools, share: f64, part: &'static str) -> Result<Pools, DataError> {
    let sizes: Vec<usize> = pools.iter().map(Vec::len).collect();
    let counts = proportional(&sizes, share);
    if counts.iter().sum::<usize>() == 0 {
        return Err(DataError::EmptyPart {
            part,
            reason: format!(
                "{} images in {} classes are too few to set {:.0} % of them aside; add images or \
                 give that part a folder of its own",
                sizes.iter().sum::<usize>(),
                sizes.len(),
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
        let mut pools = vec![Vec::new(); self.classes().len()];
        for (position, &index) in self.indices.iter().enumerate() {
            pools[self.label(position)].push(index);
        }
        for (class, pool) in pools.iter_mut().enumerate() {
            Stream::new(seed, Purpose::Split, 0, class as u64, APART).shuffle(pool);
        }
        let taken = carve(&mut pools, share, "held-out")?;
        let source = &self.source;
        Ok((
            part(Arc::clone(source), pools),
            part(Arc::clone(source), taken),
        ))
    }
}

/// Keeps `total` images, as equal a number of each class as there are.
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

/// The smallest limit that leaves an image of each class to train on.
fn smallest_limit(classes: usize, validation: f64, carved: usize) -> usize {
    (classes..)
        .find(|&limit| {
            let aside = if carved == 0 {
                0
            } else {
                ((limit as f64 * validation).round() as usize).clamp(1, carved)
            };
            limit - aside >= classes
        })
        .unwrap_or(classes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Packed;

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

    fn found(train: &[usize], validation: Option<&[usize]>, test: Option<&[usize]>) -> Found {
        Found {
            name: "test".to_owned(),
            train: source(train),
            validation: validation.map(source),
            test: test.map(source),
        }
    }

    fn options(seed: u64, validation: f64, limit: Option<usize>) -> OpenOptions {
        OpenOptions {
            seed,
            validation,
            limit,
        }
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
    fn a_limit_takes_as_many_of_each_class_and_never_moves_an_image_between_parts() {
        let full = split(
            found(&[500, 300], None, Some(&[50, 50])),
            &options(3, 0.1, None),
        )
        .unwrap();
        let small = split(
            found(&[500, 300], None, Some(&[50, 50])),
            &options(3, 0.1, Some(100)),
        )
        .unwrap();
        let smaller = split(
            found(&[500, 300], None, Some(&[50, 50])),
            &options(3, 0.1, Some(50)),
        )
        .unwrap();
        assert_eq!(small.train.class_counts(), [45, 45]);
        assert_eq!(small.validation.class_counts(), [5, 5]);
        for (less, more) in [
            (&small.train, &full.train),
            (&small.validation, &full.validation),
            (&smaller.train, &small.train),
            (&smaller.validation, &small.validation),
            (&smaller.test, &small.test),
        ] {
            assert!(
                less.indices
                    .iter()
                    .all(|index| more.indices.contains(index))
            );
        }
    }

    #[test]
    fn a_limited_test_part_shrinks_in_proportion_but_not_below_the_floor() {
        let test = |limit: usize| {
            split(
                found(&[5_000, 5_000], None, Some(&[2_000, 2_000])),
                &options(3, 0.1, Some(limit)),
            )
            .unwrap()
            .test
            .class_counts()
        };
        assert_eq!(test(5_000), [1_000, 1_000]);
        assert_eq!(test(1_500), [500, 500]);
        assert_eq!(test(100), [50, 50]);
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
        let error = split(
            found(&[10; 4], None, Some(&[5; 4])),
            &options(0, 0.2, Some(4)),
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("`limit` must be at least 5"), "{error}");
        assert!(
            split(
                found(&[10; 4], None, Some(&[5; 4])),
                &options(0, 0.2, Some(5))
            )
            .is_ok()
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
