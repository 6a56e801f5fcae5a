//! One section of a page.

use maud::Markup;

/// What the page shows under one heading.
pub struct Section {
    /// Its place in the page, which links name.
    pub id: &'static str,
    /// What links call it.
    pub name: &'static str,
    /// Empty where the run has nothing to show.
    pub content: Markup,
}

impl Section {
    /// The section called `name`, found by `id`.
    pub fn new(id: &'static str, name: &'static str, content: Markup) -> Self {
        Self { id, name, content }
    }

    /// Whether there is anything to show.
    pub fn is_there(&self) -> bool {
        !self.content.0.is_empty()
    }
}
