//! Which images of the training part an image is told apart from.

use limbeck_data::Stream;

/// The training part's images in the order of their classes.
#[derive(Debug)]
pub(crate) struct ByClass {
    /// Class of each image.
    labels: Vec<i64>,
    /// Positions of all images, class by class.
    order: Vec<u32>,
    /// Whether an image has been drawn; false between draws.
    drawn: Vec<bool>,
}

impl ByClass {
    /// From the class of each image.
    pub fn new(labels: &[i64]) -> Self {
        let mut order: Vec<u32> = (0..labels.len() as u32).collect();
        order.sort_by_key(|&position| labels[position as usize]);
        Self {
            labels: labels.to_vec(),
            order,
            drawn: vec![false; labels.len()],
        }
    }

    /// So many images of which no class is known: all are alike.
    pub fn unlabelled(images: usize) -> Self {
        Self::new(&vec![0; images])
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Images of the class of `position`, itself among them.
    pub fn of_the_same(&self, position: usize) -> &[u32] {
        &self.order[self.range(position)]
    }

    /// Whether there are images of other classes than that of `position`.
    pub fn has_others(&self, position: usize) -> bool {
        self.of_the_same(position).len() < self.len()
    }

    fn range(&self, position: usize) -> std::ops::Range<usize> {
        let label = self.labels[position];
        let start = self
            .order
            .partition_point(|&p| self.labels[p as usize] < label);
        let end = self
            .order
            .partition_point(|&p| self.labels[p as usize] <= label);
        start..end
    }

    /// Adds `count` images to `into`: of other classes than that of `position`, or of all where it
    /// is `None`. All different, unless there are too few; then each draw is on its own.
    pub fn draw(
        &mut self,
        position: Option<usize>,
        count: usize,
        random: &mut Stream,
        into: &mut Vec<i64>,
    ) {
        let left_out = position.map_or(0..0, |position| self.range(position));
        let others = self.len() - left_out.len();
        let order = &self.order;
        let image = |rank: usize| match rank < left_out.start {
            true => order[rank],
            false => order[rank + left_out.len()],
        };
        if count > others {
            into.extend((0..count).map(|_| i64::from(image(random.below(others)))));
            return;
        }
        // Floyd's sampling without replacement: one draw for each number, whatever their share.
        let first = into.len();
        for last in others - count..others {
            let rank = random.below(last + 1);
            let chosen = match self.drawn[image(rank) as usize] {
                true => image(last),
                false => image(rank),
            };
            self.drawn[chosen as usize] = true;
            into.push(i64::from(chosen));
        }
        for &chosen in &into[first..] {
            self.drawn[chosen as usize] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [i64; 9] = [2, 0, 1, 0, 2, 1, 1, 0, 2];

    fn drawn(position: Option<usize>, count: usize, seed: u64) -> Vec<i64> {
        let mut into = Vec::new();
        ByClass::new(&LABELS).draw(position, count, &mut Stream::of_seed(seed), &mut into);
        into
    }

    #[test]
    fn no_image_of_the_own_class_is_drawn_and_none_twice() {
        for (position, label) in LABELS.into_iter().enumerate() {
            for count in [1, 3, 6] {
                let mut found = drawn(Some(position), count, 7);
                assert!(found.iter().all(|&i| LABELS[i as usize] != label));
                found.sort_unstable();
                found.dedup();
                assert_eq!(found.len(), count);
            }
        }
    }

    #[test]
    fn where_there_are_too_few_images_some_come_twice() {
        let found = drawn(Some(0), 40, 7);
        assert_eq!(found.len(), 40);
        assert!(found.iter().all(|&i| LABELS[i as usize] != 2));
    }

    #[test]
    fn all_others_are_as_likely() {
        let mut counts = [0; 9];
        for seed in 0..6000 {
            drawn(Some(1), 2, seed)
                .iter()
                .for_each(|&i| counts[i as usize] += 1);
        }
        for (i, &count) in counts.iter().enumerate() {
            match LABELS[i] {
                0 => assert_eq!(count, 0),
                _ => assert!((1850..2150).contains(&count), "{counts:?}"),
            }
        }
    }

    #[test]
    fn without_a_class_all_images_can_be_drawn() {
        let mut found = drawn(None, 9, 7);
        found.sort_unstable();
        assert_eq!(found, (0..9).collect::<Vec<_>>());
        assert_eq!(ByClass::new(&LABELS).of_the_same(5), [2, 5, 6]);
    }
}
