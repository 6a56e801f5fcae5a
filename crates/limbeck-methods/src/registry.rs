//! What is known of a method without building it, and the macro that lists them.

use limbeck_nn::Builder;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Cast, Criterion, METHODS, MethodError, Probe, Procedure, TaskKind};

/// What a method asks for, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    /// Nothing but images.
    Images,
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
    /// Features of images in files.
    Stored,
}

impl Group {
    /// All of them, from least to most.
    pub const ALL: [Self; 7] = [
        Self::Images,
        Self::Labels,
        Self::Teacher,
        Self::Features,
        Self::Networks,
        Self::Stages,
        Self::Stored,
    ];

    /// What its methods need, as a heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Images => "Images alone",
            Self::Labels => "Labels alone",
            Self::Teacher => "A teacher's logits",
            Self::Features => "A teacher's features",
            Self::Networks => "Several networks",
            Self::Stages => "Several stages",
            Self::Stored => "Features in files",
        }
    }
}

/// The catalogue: declares the module of every method and lists them all in `METHODS`, the
/// baseline first. A line is
/// `kind module::Method(Config), teacher: whether it reads one, labels: whether it reads them, Group;`,
/// with `, classes: any` where it reads nothing of the teacher that depends on what the teacher's classes
/// are, so that they need not be the data's, nor the task the student's,
/// `, serves: [Classification, Segmentation]` where it serves other tasks than classification
/// and `, baseline: method` where it is compared with another method than labels alone,
/// where the module is the method's id and the name of its file, and a `criterion` that can also
/// have stages names the procedure that they are. The supervised loss of the student does not count
/// as reading labels: it is left out where there are none. Where settings decide,
/// `labels: settings` asks the configuration's `reads_labels`. A method that is no training on images
/// is of the kind `own` and names its command, `command: "limbeck NAME"`; it serves no task of a run.
/// `network: setting` is a setting that names a trained network: its run, or its weights file.
macro_rules! methods {
    (
        baseline $none:ident::$baseline:ident($nothing:ident), teacher: false, labels: false, $least:ident;
        $($kind:ident $module:ident::$method:ident($config:ident), teacher: $teacher:literal,
            labels: $labels:tt, $group:ident $(, staged: $stages:ident)? $(, classes: $classes:ident)?
            $(, serves: [$($task:ident),+])? $(, baseline: $beside:ident)? $(, command: $command:literal)?
            $(, network: $network:ident)?;)*
    ) => {
        mod $none;
        $(mod $module;)*

        /// All methods: the baseline, then by name.
        pub static METHODS: &[MethodEntry] = &[
            entry!(
                criterion $none::$baseline($nothing), false, false, $least, [], [],
                [Classification, Segmentation, Detection], [], [], []
            ),
            $(entry!(
                $kind $module::$method($config), $teacher, $labels, $group, [$($stages)?],
                [$($classes)?], [$($($task),+)?], [$($beside)?], [$($command)?], [$($network)?]
            ),)*
        ];

        #[cfg(test)]
        mod golden_values {
            //! Tests of all methods' golden files, each named after its method.

            use crate::golden::{Adapters, compare};

            pub static ADAPTERS: &[Adapters] = &[
                $((stringify!($module), crate::$module::golden::ADAPTERS),)*
            ];

            $(
                #[test]
                fn $module() {
                    compare(&(stringify!($module), crate::$module::golden::ADAPTERS));
                }
            )*
        }
    };
}

macro_rules! entry {
    ($kind:ident $module:ident::$method:ident($config:ident), $teacher:literal, $labels:tt, $group:ident, [$($stages:ident)?], $classes:tt, $tasks:tt, [$($beside:ident)?], $command:tt, [$($network:ident)?]) => {
        $crate::registry::MethodEntry {
            id: stringify!($module),
            source: include_str!(concat!(stringify!($module), ".rs")),
            needs_teacher: $teacher,
            any_classes: any_classes!($classes),
            tasks: tasks!($kind $tasks),
            baseline: baseline!($($beside)?),
            network: network!($($network)?),
            labels: labels!($labels $module::$config),
            group: $crate::registry::Group::$group,
            defaults: $crate::registry::defaults::<$module::$config>,
            build: build!($kind $module::$method $command),
            staged: staged!($module $($stages)?),
        }
    };
}

macro_rules! baseline {
    () => {
        $crate::BASELINE
    };
    ($beside:ident) => {
        stringify!($beside)
    };
}

macro_rules! network {
    () => {
        None
    };
    ($network:ident) => {
        Some(stringify!($network))
    };
}

macro_rules! any_classes {
    ([]) => {
        false
    };
    ([any]) => {
        true
    };
}

macro_rules! tasks {
    (own []) => {
        &[]
    };
    ($kind:ident []) => {
        &[$crate::TaskKind::Classification]
    };
    ($kind:ident [$($task:ident),+]) => {
        &[$($crate::TaskKind::$task),+]
    };
}

macro_rules! labels {
    (settings $module:ident::$config:ident) => {
        |settings| {
            let config = $crate::registry::parse(stringify!($module), settings)?;
            Ok($module::$config::reads_labels(&config))
        }
    };
    ($reads:literal $module:ident::$config:ident) => {
        |_| Ok($reads)
    };
}

macro_rules! build {
    (criterion $module:ident::$method:ident []) => {
        $crate::registry::Build::Criterion(|settings, probe, builder| {
            let config = $crate::registry::parse(stringify!($module), settings)?;
            Ok(Box::new($module::$method::new(config, probe, builder)?))
        })
    };
    (own $module:ident::$method:ident [$command:literal]) => {
        $crate::registry::Build::Own {
            command: $command,
            check: |settings| {
                let config = $crate::registry::parse(stringify!($module), settings)?;
                $module::$method::new(config).map(|_| ())
            },
        }
    };
    (procedure $module:ident::$method:ident []) => {
        $crate::registry::Build::Procedure(|settings, probe, cast| {
            let config = $crate::registry::parse(stringify!($module), settings)?;
            Ok(Box::new($module::$method::new(config, probe, cast)?))
        })
    };
}

macro_rules! staged {
    ($module:ident) => {
        None
    };
    ($module:ident $stages:ident) => {
        Some(|settings, probe, cast| {
            let config = $crate::registry::parse(stringify!($module), settings)?;
            let stages = $module::$stages::new(config, probe, cast)?;
            Ok(stages.map(|stages| Box::new(stages) as Box<dyn $crate::Procedure>))
        })
    };
}

/// A method of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct MethodEntry {
    /// The paper's abbreviation, such as `reviewkd`.
    pub id: &'static str,
    /// Source text of the method's file; its header is the documentation page.
    pub(crate) source: &'static str,
    /// Whether it reads a teacher.
    pub needs_teacher: bool,
    /// Whether the teacher's classes may be others than the data's, and its task another than the
    /// student's: the method reads nothing that depends on them.
    pub any_classes: bool,
    /// Tasks that it serves in runs; none of a method with a command of its own.
    pub tasks: &'static [TaskKind],
    /// What is trained beside it for comparison: labels alone, or, where there are none to learn
    /// from, the method that it adds to.
    pub baseline: &'static str,
    /// The setting that names a trained network, by its run or its file, where there is one.
    pub network: Option<&'static str>,
    /// Whether it reads labels, as its settings say.
    pub(crate) labels: fn(Value) -> Result<bool, MethodError>,
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
    /// Neither: it learns from something else than images, by a command of its own.
    Own {
        /// Such as `limbeck fewshot`.
        command: &'static str,
        /// Looks at a table of settings.
        check: fn(Value) -> Result<(), MethodError>,
    },
}

type MakeCriterion = fn(Value, &Probe, &mut Builder<'_>) -> Result<Box<dyn Criterion>, MethodError>;
type MakeProcedure = fn(Value, &Probe, &mut Cast) -> Result<Box<dyn Procedure>, MethodError>;

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

    /// Whether its terms can be added to those of others.
    pub fn joins(&self) -> bool {
        matches!(self.build, Build::Criterion(_))
    }

    /// The command that trains it, where that is one of its own and not a run's.
    pub fn command(&self) -> Option<&'static str> {
        match self.build {
            Build::Own { command, .. } => Some(command),
            Build::Criterion(_) | Build::Procedure(_) => None,
        }
    }

    /// Whether images without labels are of no use to it with these settings: it reads labels, or
    /// has no teacher to learn from instead.
    ///
    /// # Errors
    /// Settings that are unknown or of another type.
    pub fn needs_labels(&self, settings: Value) -> Result<bool, MethodError> {
        Ok(!self.needs_teacher || self.reads_labels(settings)?)
    }

    /// Whether it reads labels with these settings, apart from the supervised loss of the student.
    ///
    /// # Errors
    /// Settings that are unknown or of another type.
    pub fn reads_labels(&self, settings: Value) -> Result<bool, MethodError> {
        (self.labels)(settings)
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

/// Names of the methods that learn from images without labels, which classifiers alone do, as long
/// as their settings are the defaults.
pub fn without_labels() -> Vec<&'static str> {
    let fits = |entry: &&MethodEntry| {
        let settings = (entry.defaults)();
        entry.tasks.contains(&TaskKind::Classification)
            && entry.needs_labels(settings).is_ok_and(|needs| !needs)
    };
    METHODS.iter().filter(fits).map(|entry| entry.id).collect()
}

/// Names of the methods that serve `task`.
pub(crate) fn serving(task: TaskKind) -> Vec<&'static str> {
    let serving = METHODS.iter().filter(|entry| entry.tasks.contains(&task));
    serving.map(|entry| entry.id).collect()
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

pub(crate) fn defaults<C: Default + Serialize>() -> Value {
    serde_json::to_value(C::default()).unwrap_or_default()
}

pub(crate) fn parse<C: DeserializeOwned>(
    id: &'static str,
    settings: Value,
) -> Result<C, MethodError> {
    serde_json::from_value(settings).map_err(|error| MethodError::Configuration {
        method: id.to_owned(),
        reason: error.to_string(),
    })
}
