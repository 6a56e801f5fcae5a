//! TinyViT's own files of stored logits, so that published ones can be used, and its seeds.
//!
//! Wu, Zhang, Peng, Liu, Xiao, Fu, Yuan, "TinyViT: Fast Pretraining Distillation for Small Vision
//! Transformers" (ECCV 2022), section 3.1; the layout is that of the authors' code
//! (<https://github.com/microsoft/Cream>, 4a13c4091e78, folder TinyViT, MIT).
//!
//! There is one folder for an epoch, `logits_top{K}_epoch{e}`, and in it two files for each
//! process that wrote (rank): `rank{r}-keys.txt`, one sample's name a line, and
//! `rank{r}-values.bin`, one record for each line, in the same order. A record is the seed of the
//! view (`i32`), K classes by descending probability (`i16`) and their probabilities (`f16`): all
//! little-endian, without header or checksum, 4 + 4K bytes.
//!
//! Ours are two additions, which the authors' code does not look at: beside the folder
//! `logits_top{K}_epoch{e}.json` tells what the logits were made from ([`Description`]), and in
//! the folder `indices-u32` says that classes take four bytes, for more than 32,768 classes.

mod crop;
mod description;
mod reader;
mod record;
mod seed_stream;
mod writer;

pub use crop::{Crop, random_flip, random_resized_crop};
pub use description::Description;
pub use reader::Reader;
pub use record::Record;
pub use seed_stream::SeedStream;
pub use writer::Writer;
