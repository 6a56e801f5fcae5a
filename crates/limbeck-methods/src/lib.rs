//! The catalogue of distillation methods: one file per published method.
//!
//! A method of the usual kind is a [`Criterion`]: it looks at what student and teacher gave out
//! for a batch and returns named loss terms. Its file begins with the method's documentation page
//! (`limbeck methods NAME` prints it), then come configuration, implementation and tests.
//! A method of the other kind is a [`Procedure`]: it has stages, networks, optimisers or forward
//! passes of its own. [`METHODS`] lists them all; [`build`] makes a criterion, or several joined
//! by `+`; [`cast`] makes any method ready to train with, criteria in a procedure of one stage.

mod at;
mod byot;
mod cakd;
mod cast;
mod connector;
mod crd;
mod criterion;
mod cross_entropy;
mod cskd;
mod ddgsd;
mod dkd;
mod dlb;
mod dml;
mod dpk;
mod drg;
mod dsr;
mod error;
mod ffl;
mod fitnet;
mod fusion;
mod hierarchical_context;
mod hint_selection;
mod hints;
mod hssakd;
mod kd;
mod kdcl;
mod kernel_alignment;
mod layer_attention;
mod layer_clusters;
mod layer_similarity;
mod memory_bank;
mod method;
mod mfef;
mod mgram;
mod negatives;
mod none;
mod okddip;
mod one;
mod one_stage;
mod orthonormal;
mod pairs;
mod peers;
mod pixeldistill;
mod prediction_bank;
mod procedure;
mod pskd;
mod rampup;
mod random;
mod recall;
mod registry;
#[cfg(test)]
mod rehearsal;
mod reviewkd;
mod rkd;
mod rotation;
mod rtk;
mod scene;
mod separable_conv;
mod sharedhead;
mod softmax;
mod sskd;
mod target;
mod task;
mod tat;
mod teacher;
#[cfg(test)]
mod testing;
mod tfkd;
mod tinyvit;
mod triplets;
pub mod tst;
mod zipf;

pub use at::{At, AtConfig};
pub use byot::{Branch, BranchOutput, Byot, ByotConfig, ByotForm};
mod wtakd;

pub use cakd::{
    AttentionErrors, Cakd, CakdConfig, CakdForm, CrossAttention, Discriminator, GramAttention,
    GroupLinear, PatchDiscriminator, Projections, Relations, TokenDiscriminator,
    binary_cross_entropy,
};
pub use cast::{Cast, Member, STUDENT, member_seed};
pub use crd::{Crd, CrdConfig, Embedded, Others, Positive};
pub use criterion::{Criterion, Needs, Probe, Progress, State, Step, Term, TrainingPart};
pub use cross_entropy::cross_entropy;
pub use cskd::{Cskd, CskdConfig};
pub use ddgsd::{Ddgsd, DdgsdConfig, DistortedView, DistortionForm};
pub use dkd::{Dkd, DkdConfig};
pub use dlb::{Dlb, DlbConfig, MeanOfRows, mean_of_both};
pub use dml::{Dml, DmlConfig, MutualTarget, MutualUpdate};
pub use dpk::{Dpk, DpkAlign, DpkConfig, DpkDistance, Prior, RebuiltMap, Tokens, teacher_mask};
pub use drg::{Auxiliary, Drg, DrgConfig};
pub use dsr::{Dsr, DsrConfig};
pub use error::MethodError;
pub use ffl::{Ffl, FflConfig};
pub use fitnet::{FitNet, FitNetConfig, FitNetStages};
pub use fusion::Fused;
pub use hint_selection::{HintSelection, HintSettings, HintSurvey};
pub use hints::{Hints, HintsConfig};
pub use hssakd::{
    AuxiliaryBranches, BranchBlock, BranchPlan, BranchStage, Hssakd, HssakdConfig, HssakdForm,
    Imitation, JointRows, class_scores, joint_labels, joint_shares,
};
pub use kd::{Kd, KdConfig};
pub use kdcl::{Ensemble, EnsembleTarget, ErrorMatrix, Kdcl, KdclConfig, LinearScope};
pub use kernel_alignment::{linear_alignment, unbiased_alignment};
pub use layer_clusters::{CentreRule, LayerClusters, cluster_layers};
pub use layer_similarity::{
    LayerRepresentation, LayerSimilarity, SimilaritySettings, layer_distances,
};
pub use limbeck_data::{Balanced, Images, Normalisation};
pub use method::{Method, build, cast, entries};
pub use mfef::{BranchShape, Enriched, Mfef, MfefConfig, MultiScaleBranch};
pub use mgram::{GramNormalisation, Mgram, MgramConfig};
pub use none::{BASELINE, Baseline, BaselineConfig};
pub use okddip::{Okddip, OkddipConfig};
pub use one::{One, OneConfig};
pub use one_stage::OneStage;
pub use pairs::{blocks, propose_pairs};
pub use pixeldistill::{
    HighResolution, PixelFeature, PixelForm, Pixeldistill, PixeldistillConfig, SuperResolution,
    attention_error, correlation_error, reconstruction_error, similarity_error, upsampled_error,
};
pub use procedure::{
    Act, HeldOut, Interlude, OptimizerChange, OptimizerKind, Procedure, Stage, Trained,
};
pub use pskd::{Pskd, PskdConfig};
pub use recall::recall_at;
pub use registry::{Group, METHODS, MethodEntry, find};
pub use reviewkd::{ReviewKd, ReviewKdConfig};
pub use rkd::{Rkd, RkdConfig};
pub use rotation::rotations;
pub use rtk::{Attended, LayerChoice, Rtk, RtkConfig};
pub use scene::{Batch, Played, Replay, Scene, Setting};
pub use sharedhead::{
    SharedHead, SharedHeadConfig, SharedHeadForm, SharedHeadInputs, SharedHeadLoss,
    SharedHeadLosses,
};
pub use sskd::{
    ProjectionHead, RotatedRows, Selection, Sskd, SskdConfig, SskdTerms, pretext_loss,
    pretext_targets, similarity,
};
pub use target::Target;
pub use task::{Classification, Rows, Supervision, Task, TaskKind};
pub use tat::{Orientation, Rebuilt, Tat, TatConfig};
pub use teacher::{Classifier, Origin, Questions, Section, Teacher};
pub use tfkd::{Tfkd, TfkdConfig, TfkdForm};
pub use tinyvit::{SparseTarget, Tinyvit, TinyvitConfig};
pub use triplets::{NegativeSampler, Triplets, distance_weights, sample_triplets};
pub use tst::{Tst, TstConfig};
pub use wtakd::{
    AssistantAverage, AssistantForm, EnsembleObjective, Evolution, EvolutionStrategy,
    HeldOutPredictions, KlReduction, Trial, Wtakd, WtakdConfig,
};
pub use zipf::{Zipf, ZipfConfig, ZipfDistribution, ZipfDivergence, ZipfRanking};
