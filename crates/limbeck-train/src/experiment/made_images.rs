//! Images that a method has made, for the page.

use limbeck_methods::MadeImage;
use limbeck_report::GeneratedImage;

use crate::picture::base64_png;

/// As the page shows them.
pub(super) fn made_images(made: &[MadeImage]) -> Vec<GeneratedImage> {
    made.iter()
        .map(|made| GeneratedImage {
            label: made.label,
            made_for: made.made_for,
            chosen: made.chosen,
            guide: base64_png(&made.guide),
            png: base64_png(&made.image),
        })
        .collect()
}
