//! What can be seen of embeddings: whose are nearest to those of some images, and where images lie in a
//! plane.

use limbeck_report::Plane;

use super::{Embeddings, NearestNeighbours, plane::plane_of};

/// What is shown of the embeddings of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Glimpse {
    /// Of each image that is shown the positions of the nearest images of the bank, the nearest first, and
    /// the cosines of the angles between their embeddings.
    pub neighbours: Vec<Vec<(usize, f32)>>,
    /// Where the images that are mapped lie.
    pub plane: Plane,
}

impl Glimpse {
    /// Looks for the `count` images of `bank` that are nearest to each of the images `shown`, and maps the
    /// images `mapped`, both positions in `images`.
    pub fn of(
        images: &Embeddings,
        bank: &Embeddings,
        shown: &[usize],
        mapped: &[usize],
        count: usize,
    ) -> Self {
        let nearest = NearestNeighbours::new(bank, 0, count);
        Self {
            neighbours: nearest.nearest(&images.at(shown)),
            plane: plane_of(&images.at(mapped)),
        }
    }
}
