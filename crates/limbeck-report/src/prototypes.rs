//! Prototypes as the parts of training images that lie nearest to them.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};

use crate::numbers::percent;
use crate::picture::is_base64;
use crate::results::Results;

/// A prototype of a method that learns some.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prototype {
    /// Its number.
    pub number: usize,
    /// Its share in the positions of all images that were looked at, in percent.
    pub share: f64,
    /// The parts of training images that lie nearest, the nearest first, each a PNG file, base64.
    pub parts: Vec<String>,
}

/// The pictures; nothing of methods without prototypes.
pub fn prototypes(results: &Results) -> Markup {
    let found = &results.prototypes;
    if found.is_empty() {
        return html! {};
    }
    html! {
        section #prototypes aria-labelledby="prototypes-title" {
            h2 #prototypes-title { "Prototypes" }
            p {
                "Those of the first seed's prototypes that have the largest shares in the training images, and of each "
                "the parts of different images whose features lie nearest to it, with some of what is around them. "
                "Parts that are alike tell what a prototype stands for."
            }
            ul.prototypes {
                @for prototype in found {
                    li {
                        p { "Prototype " (prototype.number) " " span.number { (percent(prototype.share, 1)) } }
                        div {
                            @for part in &prototype.parts {
                                @if is_base64(part) {
                                    img.sharp src={ "data:image/png;base64," (part) }
                                        alt={ "Part of a training image near prototype " (prototype.number) };
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
