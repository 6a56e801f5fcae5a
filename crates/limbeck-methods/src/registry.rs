//! The list of methods.

use limbeck_nn::Builder;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Cast, Criterion, MethodError, Probe, Procedure};

/// What a method asks for, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Nothing but labels.
    Labels,
    /// A teacher's logits.
    Teacher,
    /// A teacher's features.
    Features,
    /// Several networks that are trained.
    Networks,
    /// Several stages.
    Stages,
}

impl Group {
    /// All of them, from least to most.
    pub const ALL: [Self; 5] = [
        Self::Labels,
        Self::Teacher,
        Self::Features,
        Self::Networks,
        Self::Stages,
    ];

    /// What its methods need, as a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Labels => "Labels alone",
            Self::Teacher => "A teacher's logits",
            Self::Features => "A teacher's features",
            Self::Networks => "Several networks",
            Self::Stages => "Several stages",
        }
    }
}

/// A method of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct MethodEntry {
    /// The paper's abbreviation, such as `reviewkd`.
    pub id: &'static str,
    /// Source text of the method's file; its header is the documentation page.
    source: &'static str,
    /// Whether it reads a teacher.
    pub needs_teacher: bool,
    /// What it asks for.
    pub group: Group,
    /// All settings with their defaults.
    pub defaults: fn() -> Value,
    /// Builds it from a table of settings; missing ones take their defaults.
    pub build: Build,
    /// Of a criterion that can also have stages of its own: its procedure, where the settings ask
    /// for them.
    pub staged: Option<BuildStaged>,
}

/// Builds the stages of a criterion that is used alone; `None` where its settings ask for none.
pub type BuildStaged =
    fn(Value, &Probe, &mut Cast) -> Result<Option<Box<dyn Procedure>>, MethodError>;

/// How a method is built.
#[derive(Clone, Copy, Debug)]
pub enum Build {
    /// A criterion; its modules are made at the builder's level.
    Criterion(MakeCriterion),
    /// A procedure; it finds the student in the cast and adds its own members.
    Procedure(MakeProcedure),
}

type MakeCriterion = fn(Value, &Probe, &mut Builder<'_>) -> Result<Box<dyn Criterion>, MethodError>;
type MakeProcedure = fn(Value, &Probe, &mut Cast) -> Result<Box<dyn Procedure>, MethodError>;

/// A method's module is its id and the name of its file.
macro_rules! method {
    ($module:ident::$method:ident, $config:ident, teacher: true) => {
        method!($module::$method, $config, teacher: true, Group::Teacher)
    };
    ($module:ident::$method:ident, $config:ident, teacher: true, features) => {
        method!($module::$method, $config, teacher: true, Group::Features)
    };
    ($module:ident::$method:ident, $config:ident, teacher: true, features, staged: $stages:ident) => {
        MethodEntry {
            staged: Some(|settings, probe, cast| {
                let config = parse(stringify!($module), settings)?;
                let stages = crate::$module::$stages::new(config, probe, cast)?;
                Ok(stages.map(|stages| Box::new(stages) as Box<dyn Procedure>))
            }),
            ..method!($module::$method, $config, teacher: true, Group::Features)
        }
    };
    ($module:ident::$method:ident, $config:ident, teacher: false) => {
        method!($module::$method, $config, teacher: false, Group::Labels)
    };
    ($module:ident::$method:ident, $config:ident, teacher: $teacher:literal, $group:expr) => {
        MethodEntry {
            id: stringify!($module),
            source: include_str!(concat!(stringify!($module), ".rs")),
            needs_teacher: $teacher,
            group: $group,
            defaults: defaults::<crate::$config>,
            build: Build::Criterion(|settings, probe, builder| {
                let config = parse(stringify!($module), settings)?;
                let method = crate::$module::$method::new(config, probe, builder)?;
                Ok(Box::new(method))
            }),
            staged: None,
        }
    };
}

/// The same for a procedure.
macro_rules! procedure {
    ($module:ident::$method:ident, $config:ident, teacher: $teacher:literal, $group:expr) => {
        MethodEntry {
            id: stringify!($module),
            source: include_str!(concat!(stringify!($module), ".rs")),
            needs_teacher: $teacher,
            group: $group,
            defaults: defaults::<crate::$config>,
            build: Build::Procedure(|settings, probe, cast| {
                let config = parse(stringify!($module), settings)?;
                let method = crate::$module::$method::new(config, probe, cast)?;
                Ok(Box::new(method))
            }),
            staged: None,
        }
    };
}

/// All methods: the baseline, then by name.
pub static METHODS: &[MethodEntry] = &[
    method!(none::Baseline, BaselineConfig, teacher: false),
    method!(at::At, AtConfig, teacher: true, features),
    method!(byot::Byot, ByotConfig, teacher: false),
    procedure!(cakd::Cakd, CakdConfig, teacher: true, Group::Features),
    method!(crd::Crd, CrdConfig, teacher: true, features),
    procedure!(cskd::Cskd, CskdConfig, teacher: false, Group::Labels),
    procedure!(ddgsd::Ddgsd, DdgsdConfig, teacher: false, Group::Labels),
    method!(dkd::Dkd, DkdConfig, teacher: true),
    procedure!(dlb::Dlb, DlbConfig, teacher: false, Group::Labels),
    procedure!(dml::Dml, DmlConfig, teacher: false, Group::Networks),
    method!(dpk::Dpk, DpkConfig, teacher: true, features),
    method!(drg::Drg, DrgConfig, teacher: false),
    method!(dsr::Dsr, DsrConfig, teacher: false),
    procedure!(ffl::Ffl, FflConfig, teacher: false, Group::Networks),
    method!(fitnet::FitNet, FitNetConfig, teacher: true, features, staged: FitNetStages),
    procedure!(hints::Hints, HintsConfig, teacher: true, Group::Features),
    procedure!(hssakd::Hssakd, HssakdConfig, teacher: true, Group::Stages),
    method!(kd::Kd, KdConfig, teacher: true),
    procedure!(kdcl::Kdcl, KdclConfig, teacher: false, Group::Networks),
    procedure!(mfef::Mfef, MfefConfig, teacher: false, Group::Networks),
    method!(mgram::Mgram, MgramConfig, teacher: true, features),
    procedure!(okddip::Okddip, OkddipConfig, teacher: false, Group::Networks),
    procedure!(one::One, OneConfig, teacher: false, Group::Networks),
    procedure!(pixeldistill::Pixeldistill, PixeldistillConfig, teacher: true, Group::Stages),
    method!(pskd::Pskd, PskdConfig, teacher: false),
    method!(reviewkd::ReviewKd, ReviewKdConfig, teacher: true, features),
    method!(rkd::Rkd, RkdConfig, teacher: true, features),
    method!(rtk::Rtk, RtkConfig, teacher: true, features),
    procedure!(sharedhead::SharedHead, SharedHeadConfig, teacher: true, Group::Features),
    procedure!(sskd::Sskd, SskdConfig, teacher: true, Group::Stages),
    method!(tat::Tat, TatConfig, teacher: true, features),
    procedure!(tfkd::Tfkd, TfkdConfig, teacher: false, Group::Labels),
    method!(tinyvit::Tinyvit, TinyvitConfig, teacher: true),
    procedure!(tst::Tst, TstConfig, teacher: true, Group::Stages),
    procedure!(wtakd::Wtakd, WtakdConfig, teacher: true, Group::Stages),
    procedure!(zipf::Zipf, ZipfConfig, teacher: false, Group::Labels),
];

impl MethodEntry {
    /// The paper's title, such as `Decoupled Knowledge Distillation`.
    pub fn title(&self) -> &'static str {
        let first = self.source.lines().next().unwrap_or_default();
        first.split_once(" — ").map_or(first, |(_, title)| title)
    }

    /// Whether it is a procedure: such a one cannot be joined with others.
    pub fn is_procedure(&self) -> bool {
        matches!(self.build, Build::Procedure(_))
    }

    /// The documentation page, as Markdown.
    pub fn page(&self) -> String {
        self.source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// The entry called `id`.
///
/// # Errors
/// [`MethodError::UnknownMethod`] with the nearest name.
pub fn find(id: &str) -> Result<&'static MethodEntry, MethodError> {
    METHODS
        .iter()
        .find(|entry| entry.id == id)
        .ok_or_else(|| MethodError::UnknownMethod {
            name: id.to_owned(),
            nearest: nearest(id).map(str::to_owned),
        })
}

/// The name that differs from `id` in the fewest letters, if less than half of them differ.
fn nearest(id: &str) -> Option<&'static str> {
    let id = id.to_lowercase();
    METHODS
        .iter()
        .map(|entry| (strsim::damerau_levenshtein(&id, entry.id), entry.id))
        .filter(|(distance, known)| 2 * distance < known.len().max(id.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn defaults<C: Default + Serialize>() -> Value {
    serde_json::to_value(C::default()).unwrap_or_default()
}

fn parse<C: DeserializeOwned>(id: &'static str, settings: Value) -> Result<C, MethodError> {
    serde_json::from_value(settings).map_err(|error| MethodError::Configuration {
        method: id.to_owned(),
        reason: error.to_string(),
    })
}
