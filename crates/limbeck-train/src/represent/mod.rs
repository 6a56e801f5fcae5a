//! How good embeddings are: what their neighbours tell, and whether they differ at all.

mod embeddings;
mod neighbours;
mod spread;

pub use embeddings::Embeddings;
pub(crate) use embeddings::{Embed, embeddings_by, embeddings_of};
pub use neighbours::{NearestNeighbours, TEMPERATURE};
pub use spread::{COLLAPSED, spread};
