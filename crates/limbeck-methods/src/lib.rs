//! The catalogue of distillation methods: one file per published method.
//!
//! A method of the usual kind is a [`Criterion`]: it looks at what student and teacher gave out
//! for a batch and returns named loss terms. Its file begins with the method's documentation page
//! (`limbeck methods NAME` prints it), then come configuration, implementation and tests.
//! A method of the other kind is a [`Procedure`]: it has stages, networks, optimisers or forward
//! passes of its own. [`METHODS`] lists them all; [`build`] makes a criterion, or several joined
//! by `+`; [`cast`] makes any method ready to train with, criteria in a procedure of one stage.

#[macro_use]
mod registry;

mod cast;
mod connector;
mod criterion;
mod cross_entropy;
mod error;
mod fusion;
#[cfg(test)]
mod golden;
mod hierarchical_context;
mod hint_selection;
mod kernel_alignment;
mod layer_attention;
mod layer_clusters;
mod layer_similarity;
mod memory_bank;
mod method;
mod negatives;
mod one_stage;
mod orthonormal;
mod pairs;
mod peers;
mod prediction_bank;
mod procedure;
mod rampup;
mod random;
mod recall;
#[cfg(test)]
mod rehearsal;
mod rotation;
mod scene;
mod separable_conv;
mod softmax;
mod target;
mod task;
mod teacher;
#[cfg(test)]
mod testing;
mod triplets;
mod unreached;

methods! {
    baseline none::Baseline(BaselineConfig), teacher: false, Labels;
    criterion at::At(AtConfig), teacher: true, Features;
    criterion byot::Byot(ByotConfig), teacher: false, Labels;
    procedure cakd::Cakd(CakdConfig), teacher: true, Features;
    criterion crd::Crd(CrdConfig), teacher: true, Features;
    procedure cskd::Cskd(CskdConfig), teacher: false, Labels;
    procedure ddgsd::Ddgsd(DdgsdConfig), teacher: false, Labels;
    criterion dkd::Dkd(DkdConfig), teacher: true, Teacher;
    procedure dlb::Dlb(DlbConfig), teacher: false, Labels;
    procedure dml::Dml(DmlConfig), teacher: false, Networks;
    criterion dpk::Dpk(DpkConfig), teacher: true, Features;
    criterion drg::Drg(DrgConfig), teacher: false, Labels;
    criterion dsr::Dsr(DsrConfig), teacher: false, Labels;
    procedure ffl::Ffl(FflConfig), teacher: false, Networks;
    criterion fitnet::FitNet(FitNetConfig), teacher: true, Features, staged: FitNetStages;
    procedure hints::Hints(HintsConfig), teacher: true, Features;
    procedure hssakd::Hssakd(HssakdConfig), teacher: true, Stages;
    criterion kd::Kd(KdConfig), teacher: true, Teacher;
    procedure kdcl::Kdcl(KdclConfig), teacher: false, Networks;
    procedure mfef::Mfef(MfefConfig), teacher: false, Networks;
    criterion mgram::Mgram(MgramConfig), teacher: true, Features;
    procedure okddip::Okddip(OkddipConfig), teacher: false, Networks;
    procedure one::One(OneConfig), teacher: false, Networks;
    procedure pixeldistill::Pixeldistill(PixeldistillConfig), teacher: true, Stages;
    criterion pskd::Pskd(PskdConfig), teacher: false, Labels;
    criterion reviewkd::ReviewKd(ReviewKdConfig), teacher: true, Features;
    criterion rkd::Rkd(RkdConfig), teacher: true, Features;
    criterion rtk::Rtk(RtkConfig), teacher: true, Features;
    procedure sharedhead::SharedHead(SharedHeadConfig), teacher: true, Features;
    procedure sskd::Sskd(SskdConfig), teacher: true, Stages;
    criterion tat::Tat(TatConfig), teacher: true, Features;
    procedure tfkd::Tfkd(TfkdConfig), teacher: false, Labels;
    criterion tinyvit::Tinyvit(TinyvitConfig), teacher: true, Teacher;
    procedure tst::Tst(TstConfig), teacher: true, Stages;
    procedure wtakd::Wtakd(WtakdConfig), teacher: true, Stages;
    procedure zipf::Zipf(ZipfConfig), teacher: false, Labels;
}

pub use at::{At, AtConfig};
pub use byot::{Branch, BranchOutput, Byot, ByotConfig, ByotForm};

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
pub use registry::{Build, Group, MethodEntry, find};
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
pub use tst::{
    ColourNetwork, Coloured, GeometricDraws, GeometricNetwork, Moved, OPERATORS, Operator,
    OperatorNetworks, Pixels, Policy, PolicyDraws, PolicyNumbers, Tst, TstConfig, augment,
};
pub use unreached::unreached_weights;
pub use wtakd::{
    AssistantAverage, AssistantForm, EnsembleObjective, Evolution, EvolutionStrategy,
    HeldOutPredictions, KlReduction, Trial, Wtakd, WtakdConfig,
};
pub use zipf::{Zipf, ZipfConfig, ZipfDistribution, ZipfDivergence, ZipfRanking};
