//! The catalogue of distillation methods: one file per published method.
//!
//! A method of the usual kind is a [`Criterion`]: it looks at what student and teacher gave out
//! for a batch and returns named loss terms. Its file begins with the method's documentation page
//! (`limbeck methods NAME` prints it), then come configuration, implementation and tests.
//! A method of the other kind is a [`Procedure`]: it has stages, networks, optimisers or forward
//! passes of its own. One that learns from stored features has a command of its own. [`METHODS`] lists them all; [`build`] makes a criterion, or several joined
//! by `+`; [`cast`] makes any method ready to train with, criteria in a procedure of one stage.

#[macro_use]
mod registry;

mod batch;
mod cast;
mod connector;
mod criterion;
mod cross_entropy;
mod dense;
pub mod detection;
mod error;
mod exhibit;
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
mod own_criterion;
mod pairs;
mod peers;
mod prediction_bank;
mod procedure;
mod rampup;
mod recall;
#[cfg(test)]
mod rehearsal;
mod relations;
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
    baseline none::Baseline(BaselineConfig), teacher: false, labels: false, Labels;
    criterion at::At(AtConfig), teacher: true, labels: false, Features,
        serves: [Classification, Segmentation, Detection];
    criterion byot::Byot(ByotConfig), teacher: false, labels: true, Labels;
    procedure cakd::Cakd(CakdConfig), teacher: true, labels: false, Features;
    criterion cirkd::Cirkd(CirkdConfig), teacher: true, labels: settings, Features,
        serves: [Segmentation];
    criterion crd::Crd(CrdConfig), teacher: true, labels: settings, Features;
    procedure cskd::Cskd(CskdConfig), teacher: false, labels: true, Labels;
    criterion cwd::Cwd(CwdConfig), teacher: true, labels: false, Features,
        serves: [Segmentation, Detection];
    procedure ddgsd::Ddgsd(DdgsdConfig), teacher: false, labels: true, Labels;
    procedure dilo::Dilo(DiloConfig), teacher: false, labels: false, Images,
        serves: [Pretraining], baseline: moco;
    procedure dino::Dino(DinoConfig), teacher: false, labels: false, Networks,
        serves: [Pretraining];
    criterion dkd::Dkd(DkdConfig), teacher: true, labels: true, Teacher,
        serves: [Classification, Segmentation];
    procedure dlb::Dlb(DlbConfig), teacher: false, labels: true, Labels;
    procedure dmae::Dmae(DmaeConfig), teacher: true, labels: false, Features,
        serves: [Pretraining], baseline: mae;
    procedure dml::Dml(DmlConfig), teacher: false, labels: true, Networks,
        serves: [Classification, Segmentation];
    criterion dpk::Dpk(DpkConfig), teacher: true, labels: false, Features,
        serves: [Classification, Segmentation, Detection];
    criterion drg::Drg(DrgConfig), teacher: false, labels: true, Labels;
    criterion dsr::Dsr(DsrConfig), teacher: false, labels: false, Labels;
    procedure ffl::Ffl(FflConfig), teacher: false, labels: true, Networks;
    criterion fitnet::FitNet(FitNetConfig), teacher: true, labels: false, Features, staged: FitNetStages,
        serves: [Classification, Segmentation, Detection];
    criterion ghost::Ghost(GhostConfig), teacher: true, labels: false, Features,
        serves: [Classification, Segmentation, Detection];
    procedure hints::Hints(HintsConfig), teacher: true, labels: settings, Features;
    procedure hssakd::Hssakd(HssakdConfig), teacher: true, labels: true, Stages;
    criterion idd::Idd(IddConfig), teacher: true, labels: settings, Features,
        serves: [Segmentation];
    criterion kd::Kd(KdConfig), teacher: true, labels: false, Teacher,
        serves: [Classification, Segmentation, Detection];
    procedure kdcl::Kdcl(KdclConfig), teacher: false, labels: true, Networks;
    procedure mae::Mae(MaeConfig), teacher: false, labels: false, Images,
        serves: [Pretraining], baseline: mae;
    procedure mfef::Mfef(MfefConfig), teacher: false, labels: true, Networks;
    criterion mgram::Mgram(MgramConfig), teacher: true, labels: false, Features,
        serves: [Classification, Segmentation, Detection];
    procedure moco::Moco(MocoConfig), teacher: false, labels: false, Images,
        serves: [Pretraining], baseline: moco;
    criterion nfd::Nfd(NfdConfig), teacher: true, labels: false, Features,
        serves: [Segmentation];
    procedure okddip::Okddip(OkddipConfig), teacher: false, labels: true, Networks;
    procedure one::One(OneConfig), teacher: false, labels: true, Networks;
    procedure ota::Ota(OtaConfig), teacher: true, labels: true, Stages, classes: any,
        network: represent;
    procedure patchssl::Patchssl(PatchsslConfig), teacher: false, labels: false, Networks,
        serves: [Pretraining], baseline: dino;
    procedure pixeldistill::Pixeldistill(PixeldistillConfig), teacher: true, labels: false, Stages;
    procedure prockd::Prockd(ProckdConfig), teacher: true, labels: true, Features, classes: any,
        serves: [Classification, Segmentation];
    criterion pskd::Pskd(PskdConfig), teacher: false, labels: true, Labels;
    criterion reviewkd::ReviewKd(ReviewKdConfig), teacher: true, labels: false, Features,
        serves: [Classification, Segmentation, Detection];
    criterion rkd::Rkd(RkdConfig), teacher: true, labels: settings, Features,
        serves: [Classification, Segmentation];
    criterion rtk::Rtk(RtkConfig), teacher: true, labels: false, Features,
        serves: [Classification, Segmentation];
    procedure sats::Sats(SatsConfig), teacher: true, labels: true, Stages,
        serves: [Segmentation];
    own sgva::Sgva(SgvaConfig), teacher: false, labels: true, Stored, command: "limbeck fewshot";
    procedure sharedhead::SharedHead(SharedHeadConfig), teacher: true, labels: settings, Features;
    criterion skds::Skds(SkdsConfig), teacher: true, labels: false, Features, staged: SkdsStages,
        serves: [Segmentation];
    procedure ssdayolo::SsdaYolo(SsdaYoloConfig), teacher: false, labels: true, Networks,
        serves: [Detection];
    procedure sskd::Sskd(SskdConfig), teacher: true, labels: true, Stages;
    criterion tat::Tat(TatConfig), teacher: true, labels: false, Features,
        serves: [Classification, Segmentation];
    procedure tfkd::Tfkd(TfkdConfig), teacher: false, labels: true, Labels,
        serves: [Classification, Segmentation];
    criterion tinyvit::Tinyvit(TinyvitConfig), teacher: true, labels: false, Teacher,
        serves: [Classification, Segmentation];
    criterion transkd::TransKd(TransKdConfig), teacher: true, labels: false, Features,
        serves: [Segmentation];
    procedure tst::Tst(TstConfig), teacher: true, labels: true, Stages,
        serves: [Classification, Detection];
    procedure vqae::Vqae(VqaeConfig), teacher: false, labels: false, Images,
        serves: [Pretraining], baseline: vqae;
    procedure wecolora::Wecolora(WecoloraConfig), teacher: true, labels: false, Features;
    procedure wtakd::Wtakd(WtakdConfig), teacher: true, labels: settings, Stages;
    procedure zipf::Zipf(ZipfConfig), teacher: false, labels: true, Labels;
}

pub use batch::{Batch, InStyles};
pub use cast::{Cast, Member, STUDENT, member_seed};
pub use criterion::{Criterion, Needs, Probe, Progress, State, Step, Term, TrainingPart};
pub use cross_entropy::cross_entropy;
pub use error::MethodError;
pub use exhibit::{Likeness, Reconstruction};
pub use hint_selection::{HintSelection, HintSettings, HintSurvey};
pub use layer_clusters::{CentreRule, LayerClusters};
pub use layer_similarity::LayerSimilarity;
pub use limbeck_data::{Balanced, Images, Normalisation, Paste, SaliencySource};
pub use limbeck_nn::TaskKind;
pub use method::{
    Method, baseline_of, build, cast, check_data, check_trainable, entries, needs_teacher,
    pretrains, takes_any_classes,
};
pub use none::BASELINE;
pub use one_stage::OneStage;
pub use own_criterion::OwnCriterion;
pub use pairs::{blocks, propose_pairs};
pub use procedure::{
    Act, Follower, HeldOut, Interlude, MadeImage, OptimizerChange, OptimizerKind, Procedure, Stage,
    Trained,
};
pub use recall::recall_at;
pub use registry::{Build, Group, MethodEntry, find, without_labels};
pub use scene::{Played, Scene, Setting};
pub use sgva::{
    Episode, EpisodeTerms, FeatureAdapter, LearnedTexts, Sgva, SgvaConfig, VisualProjection,
    fused_scores, prototypes, unit_rows,
};
pub use target::Target;
pub use task::{
    AUXILIARY, Classification, Detection, Ohem, Pretraining, Rows, Segmentation, Supervision, Task,
};
pub use teacher::{Classifier, Origin, Questions, Section, Teacher, TeacherNetwork};
pub use unreached::unreached_weights;
