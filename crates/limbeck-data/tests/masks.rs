//! Folders of images with masks, by how they lie and what is in them.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "masks/camvid.rs"]
mod camvid;
#[path = "masks/content.rs"]
mod content;
#[path = "masks/folders.rs"]
mod folders;
#[path = "masks/known.rs"]
mod known;
#[path = "masks/made.rs"]
mod made;
