//! The model zoo: one file per architecture family, one registry of names.

pub mod cifar_mobilenetv2;
pub mod cifar_resnet;
pub mod cifar_resnet50;
pub mod cifar_shufflenet_v1;
pub mod cifar_shufflenet_v2;
pub mod cifar_vgg;
pub mod cifar_wrn;
pub mod deeplabv3;
pub mod deeplabv3plus;
pub mod lraspp;
pub mod mobilenet_v1;
pub mod mobilenet_v2;
pub mod pspnet;
pub mod resnet;
pub mod segformer;
pub mod swin;
pub mod tinyvit;
pub mod vit;
pub mod vq_autoencoder;
pub mod yolov5;
pub mod yolov5_cls;

mod aspp;
mod averaged;
mod backbone;
mod depth;
mod families;
mod image_sizes;
mod inverted_residual;
mod mobilenet_v2_body;
mod registry;
mod residual;
mod residual_block;
mod residual_body;
mod segmentation_head;
mod table;
mod width;

pub use backbone::{BackboneKind, OutputStride};
pub use families::families;
pub use image_sizes::ImageSizes;
pub use registry::{MODELS, ModelEntry, NamedModel, Outline, blank, build, find, outline};
pub use residual::{ResidualNetwork, ResidualStage};
pub use residual_block::Block;
pub use table::markdown_table;
