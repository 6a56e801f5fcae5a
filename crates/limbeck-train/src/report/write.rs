//! The report as a file.

use std::path::Path;

use super::page::render;
use crate::files::{FileError, write_whole};
use crate::results::Results;

/// Writes the report of a run to `path`, replacing what was there; the file appears whole or not
/// at all.
///
/// # Errors
/// What the operating system refuses, such as a full disk.
pub fn write(results: &Results, path: &Path) -> Result<(), FileError> {
    write_whole(path, render(results).as_bytes())
}
