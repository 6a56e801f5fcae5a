//! Weights in and out, under PyTorch's names.
//!
//! In: [`StateDict::read`] takes safetensors files and what `torch.save` writes, in the zip format
//! and in the legacy one, recognised by their content. Pickles are read as data; nothing in them is
//! ever run; networks that were saved whole are read as their state dicts. [`load_network`] and [`load_store`] put the tensors into place or say which names and
//! shapes do not fit.
//!
//! [`ArrayFile`] reads files that are no model's, NumPy's too.
//!
//! Out: [`save_safetensors`] writes a store; with [`ModelMetadata`] the file says which network it
//! is for, so that [`ModelFile`] rebuilds the network from the file alone.

mod adopt;
mod array_file;
mod backbone;
mod bicubic;
mod element;
mod error;
mod grow;
mod head;
mod input;
mod load;
mod model_file;
mod names;
mod numpy;
mod packed;
mod position;
mod prefix;
mod recognise;
mod report;
mod safetensors_file;
mod save;
mod segformer;
mod sources;
mod state_dict;
mod stored_tensor;
mod swin;
mod torch_legacy;
mod torch_module;
mod torch_pickle;
mod torch_search;
mod torch_zip;
mod whole_file;
mod yolov5;

pub use adopt::adopt;
pub use array_file::{ArrayFile, ONLY_ARRAY};
pub use backbone::{BackboneReport, load_backbone};
pub use bicubic::resize_bicubic;
pub use element::ElementType;
pub use error::WeightsError;
pub use grow::grow_classes;
pub(crate) use head::is_logits_layer;
pub use input::{ToldInput, told_input, told_model};
pub use load::{LoadOptions, load_network, load_store};
pub use model_file::{
    ImageFit, MODEL_KEY, ModelFile, ModelMetadata, Normalisation, SegmentationFacts, read_metadata,
};
pub use packed::{FileQuantisation, QUANTISATION_KEY};
pub use report::{LoadReport, ShapeMismatch};
pub use save::save_safetensors;
pub use state_dict::{FileFormat, StateDict};
pub use stored_tensor::StoredTensor;
pub use whole_file::write_whole;
