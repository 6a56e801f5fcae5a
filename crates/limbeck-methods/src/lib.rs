//! The catalogue of distillation methods: one file per published method.
//!
//! A method of the usual kind is a [`Criterion`]: it looks at what student and teacher gave out
//! for a batch and returns named loss terms. Its file begins with the method's documentation page
//! (`limbeck methods NAME` prints it), then come configuration, implementation and tests.
//! A method of the other kind is a [`Procedure`]: it has stages, networks, optimisers or forward
//! passes of its own. [`METHODS`] lists them all; [`build`] makes a criterion, or several joined
//! by `+`; [`cast`] makes any method ready to train with, criteria in a procedure of one stage.

mod at;
mod cakd;
mod cast;
mod connector;
mod criterion;
mod dkd;
mod dml;
mod drg;
mod dsr;
mod error;
mod fitnet;
mod kd;
mod method;
mod none;
mod one_stage;
mod pairs;
mod pixeldistill;
mod procedure;
mod random;
mod registry;
mod reviewkd;
mod rkd;
mod rotation;
mod scene;
mod softmax;
mod sskd;
pub mod supervised;
mod tat;
mod teacher;
#[cfg(test)]
mod testing;
pub mod tst;
mod wtakd;

pub use at::{At, AtConfig};
pub use cakd::{
    AttentionErrors, Cakd, CakdConfig, CakdForm, CrossAttention, Discriminator, GramAttention,
    GroupLinear, PatchDiscriminator, Projections, Relations, TokenDiscriminator,
    binary_cross_entropy,
};
pub use cast::{Cast, Member, STUDENT, member_seed};
pub use criterion::{Criterion, Needs, Probe, Progress, State, Step, Term, TrainingPart};
pub use dkd::{Dkd, DkdConfig};
pub use dml::{Dml, DmlConfig, MutualTarget, MutualUpdate};
pub use drg::{Auxiliary, Drg, DrgConfig};
pub use dsr::{Dsr, DsrConfig};
pub use error::MethodError;
pub use fitnet::{FitNet, FitNetConfig, FitNetStages};
pub use kd::{Kd, KdConfig};
pub use method::{Method, build, cast, entries};
pub use none::{Baseline, BaselineConfig};
pub use one_stage::OneStage;
pub use pairs::propose_pairs;
pub use pixeldistill::{
    HighResolution, PixelFeature, PixelForm, Pixeldistill, PixeldistillConfig, SuperResolution,
    attention_error, correlation_error, reconstruction_error, similarity_error, upsampled_error,
};
pub use procedure::{
    Act, Balanced, HeldOut, Images, Interlude, OptimizerChange, OptimizerKind, Procedure, Stage,
    Trained,
};
pub use registry::{Group, METHODS, MethodEntry, find};
pub use reviewkd::{ReviewKd, ReviewKdConfig};
pub use rkd::{Rkd, RkdConfig};
pub use scene::{Batch, Played, Replay, Scene, Setting};
pub use sskd::{
    ProjectionHead, RotatedRows, Selection, Sskd, SskdConfig, SskdTerms, pretext_loss,
    pretext_targets, similarity,
};
pub use tat::{Orientation, Rebuilt, Tat, TatConfig};
pub use teacher::{Classifier, Teacher};
pub use tst::{Tst, TstConfig};
pub use wtakd::{
    AssistantAverage, AssistantForm, EnsembleObjective, Evolution, EvolutionStrategy,
    HeldOutPredictions, KlReduction, Trial, Wtakd, WtakdConfig,
};
