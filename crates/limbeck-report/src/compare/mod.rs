//! Several runs side by side, as a page and as text for the terminal.

mod page;
mod plot;
mod recipes;
mod row;
mod text;
mod verdict;
mod warnings;

pub use page::compare;
pub use text::compare_text;
