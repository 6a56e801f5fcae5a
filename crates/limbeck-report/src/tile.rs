//! Key numbers at the top of a page.

use maud::{Markup, html};

/// A key number.
#[derive(Clone, Debug, Default)]
pub struct Tile {
    /// What it is.
    pub label: String,
    /// The number.
    pub value: String,
    /// Its unit; may be empty.
    pub unit: String,
    /// What stands below it; may be empty.
    pub note: String,
}

/// Key numbers side by side.
pub fn list(tiles: &[Tile]) -> Markup {
    html! {
        dl.tiles {
            @for tile in tiles {
                div.tile {
                    dt { (tile.label) }
                    dd.value { (tile.value) @if !tile.unit.is_empty() { " " span.unit { (tile.unit) } } }
                    @if !tile.note.is_empty() { dd.note { (tile.note) } }
                }
            }
        }
    }
}
