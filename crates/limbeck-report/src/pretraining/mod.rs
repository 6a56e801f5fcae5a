//! What the page shows of networks that are pre-trained besides their measures.

mod found;
mod map;
mod neighbours;
mod reconstructions;

pub use found::{
    EmbeddingMap, Neighbour, Neighbourhood, Plane, Pretrained, Reconstructed, Redrawn,
};

use super::section::Section;
use crate::results::Results;

/// The sections, those beside each other in one row.
pub fn rows(found: &Pretrained, results: &Results) -> Vec<Vec<Section>> {
    vec![
        vec![Section::new(
            "reconstructions",
            "Reconstructions",
            reconstructions::reconstructions(found, results),
        )],
        vec![Section::new(
            "neighbours",
            "Neighbours",
            neighbours::neighbours(found, results),
        )],
        vec![Section::new("map", "Map", map::map(found, results))],
    ]
}
