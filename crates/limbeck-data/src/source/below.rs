//! The images in a folder, whatever they are for.

use std::path::{Path, PathBuf};

use super::folder::{LeftOut, Tree};
use super::masks::images_of_masks;
use crate::DataError;

/// The images at any depth below `folder`, in the order of their paths, and what was left out, a line
/// each. Where images lie there with masks, these are none of the images.
///
/// # Errors
/// A folder that cannot be read.
pub fn images_below(folder: &Path) -> Result<(Vec<PathBuf>, Vec<String>), DataError> {
    let tree = Tree::read(folder)?;
    let mut left_out = LeftOut::default();
    let mut images = match images_of_masks(folder, &tree, &mut left_out) {
        Some(images) => images,
        None => {
            let mut images = Vec::new();
            tree.collect(folder, &mut images);
            images
        }
    };
    images.sort();
    tree.tell_left_out(folder, &mut left_out);
    Ok((images, left_out.lines()))
}
