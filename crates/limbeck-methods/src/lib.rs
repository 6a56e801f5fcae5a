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

mod batch;
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

pub use batch::Batch;
pub use cast::{Cast, Member, STUDENT, member_seed};
pub use criterion::{Criterion, Needs, Probe, Progress, State, Step, Term, TrainingPart};
pub use cross_entropy::cross_entropy;
pub use error::MethodError;
pub use hint_selection::{HintSelection, HintSettings, HintSurvey};
pub use layer_clusters::{CentreRule, LayerClusters};
pub use layer_similarity::LayerSimilarity;
pub use limbeck_data::{Balanced, Images, Normalisation};
pub use method::{Method, build, cast, entries, needs_teacher};
pub use none::BASELINE;
pub use one_stage::OneStage;
pub use pairs::{blocks, propose_pairs};
pub use procedure::{
    Act, HeldOut, Interlude, OptimizerChange, OptimizerKind, Procedure, Stage, Trained,
};
pub use recall::recall_at;
pub use registry::{Build, Group, MethodEntry, find};
pub use scene::{Played, Scene, Setting};
pub use target::Target;
pub use task::{Classification, Rows, Supervision, Task, TaskKind};
pub use teacher::{Classifier, Origin, Questions, Section, Teacher};
pub use unreached::unreached_weights;
