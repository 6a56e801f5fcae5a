//! Images with boxes, by the format of their files and what is wrong in these.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "boxes/bccd.rs"]
mod bccd;
#[path = "boxes/coco.rs"]
mod coco;
#[path = "boxes/damaged.rs"]
mod damaged;
#[path = "boxes/labelme.rs"]
mod labelme;
#[path = "boxes/made.rs"]
mod made;
#[path = "boxes/parts.rs"]
mod parts;
#[path = "boxes/voc.rs"]
mod voc;
#[path = "boxes/yolo.rs"]
mod yolo;
