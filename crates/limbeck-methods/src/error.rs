//! What can go wrong when a method is set up or run.

/// Errors of methods.
#[derive(Debug, thiserror::Error)]
pub enum MethodError {
    /// No method of that name is in the catalogue.
    #[error("unknown method `{name}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    UnknownMethod {
        /// What was asked for.
        name: String,
        /// The closest name in the catalogue, if one is close.
        nearest: Option<String>,
    },
    /// A setting is out of its range.
    #[error("method `{method}`: `{key}` must be {expected}, found {found}")]
    Setting {
        /// Method.
        method: &'static str,
        /// Name of the setting.
        key: &'static str,
        /// What is allowed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// The configuration table does not fit the method.
    #[error("method `{method}`: {reason}")]
    Configuration {
        /// Method.
        method: String,
        /// What the parser found.
        reason: String,
    },
    /// The method compares with a teacher and there is none.
    #[error(
        "method `{method}` needs a teacher; give one with --teacher, or choose a method without (see `limbeck methods`)"
    )]
    NoTeacher {
        /// Method.
        method: &'static str,
    },
    /// Something learns from labels, and there are none.
    #[error(
        "{reader} needs labels, and the images have none (labelled ones lie in a folder for each \
         class, CLASS/*.jpg or train/CLASS/*.jpg); methods that need none: {}",
        crate::registry::without_labels().join(", ")
    )]
    NoLabels {
        /// Such as "method `dkd`".
        reader: String,
    },
    /// Something reads labels of another kind than there are.
    #[error("{reader} needs {wanted}, and the labels are {found}")]
    LabelKind {
        /// Such as "method `dkd`".
        reader: String,
        /// What it reads.
        wanted: &'static str,
        /// What there is.
        found: &'static str,
    },
    /// The method does not serve the task.
    #[error(
        "method `{method}` does not serve the task of {task}; methods that do: {}",
        crate::registry::serving(*task).join(", ")
    )]
    Task {
        /// Method.
        method: &'static str,
        /// Task.
        task: crate::TaskKind,
    },
    /// A prediction that is not of the task's kind or does not go with what is known of the images.
    #[error("the task of {task} needs {expected}, found {found}")]
    Prediction {
        /// Task.
        task: crate::TaskKind,
        /// What is needed.
        expected: String,
        /// What was given.
        found: String,
    },
    /// Boxes, anchors or raw maps that detection cannot work with.
    #[error(transparent)]
    Detection(#[from] crate::detection::DetectionError),
    /// A method gave nothing to learn from.
    #[error(
        "method `{method}` gave no loss term for the batch; a method returns at least one, of \
         weight 0 where there is nothing to learn"
    )]
    NoTerms {
        /// Method.
        method: String,
    },
    /// A loss term is not one number.
    #[error(
        "method `{method}`: its term `{term}` must be one number of shape [1], found {found:?}; \
         take its mean or sum"
    )]
    TermShape {
        /// Method.
        method: String,
        /// Term.
        term: String,
        /// Its shape.
        found: Vec<usize>,
    },
    /// Gradients are to flow through a teacher that has none.
    #[error(
        "method `{method}` needs gradients of the teacher with respect to the images, and `{teacher}` gives none; use a network as the teacher"
    )]
    TeacherGradient {
        /// Method.
        method: &'static str,
        /// Teacher.
        teacher: String,
    },
    /// Stored outputs of a teacher do not answer.
    #[error("the stored outputs of `{teacher}`: {reason}")]
    StoredTeacher {
        /// Teacher.
        teacher: String,
        /// What is missing or damaged, what to do.
        reason: String,
    },
    /// A procedure names a member of its cast that is not there.
    #[error("the cast's `{name}` {reason}")]
    Member {
        /// What was asked for.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A network that the method brings along cannot be built.
    #[error(transparent)]
    Network(#[from] limbeck_nn::NnError),
    /// Images that were held out cannot be read.
    #[error("the held-out images cannot be read: {reason}")]
    HeldOut {
        /// What was found.
        reason: String,
    },
    /// Recall cannot be measured.
    #[error("recall cannot be measured: {reason}")]
    Recall {
        /// What was found, what is needed.
        reason: String,
    },
    /// A run is to train a method that a command of its own trains.
    #[error(
        "method `{method}` learns from stored features, not from images in a run: train it with \
         `{command}` (see `{command} --help`)"
    )]
    OwnCommand {
        /// Method.
        method: &'static str,
        /// Command.
        command: &'static str,
    },
    /// A method was joined with itself or with the baseline.
    #[error("`{name}` cannot be a combination: {reason}")]
    Combination {
        /// What was asked for, such as `kd+kd`.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer was named that the network does not have.
    #[error(
        "method `{method}`: the {side} has no tap `{tap}` to compare; it has: {}",
        available.join(", ")
    )]
    UnknownTap {
        /// Method.
        method: &'static str,
        /// `student` or `teacher`.
        side: &'static str,
        /// What was asked for.
        tap: String,
        /// All taps that can be compared.
        available: Vec<String>,
    },
    /// The layer pairs do not fit the method.
    #[error("method `{method}`: {reason}")]
    Pairs {
        /// Method.
        method: String,
        /// What was found, what is needed.
        reason: String,
    },
    /// A feature of one network has a shape that the method has no use for.
    #[error("method `{method}` cannot use {feature}: {reason}")]
    Shape {
        /// Method.
        method: &'static str,
        /// Network, tap and shape.
        feature: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Features of student and teacher cannot be brought together.
    #[error("method `{method}` cannot match student {student} with teacher {teacher}: {reason}")]
    Mismatch {
        /// Method.
        method: &'static str,
        /// Tap and shape.
        student: String,
        /// Tap and shape.
        teacher: String,
        /// Why, and what to do.
        reason: String,
    },
    /// What a checkpoint remembers does not fit the method.
    #[error("method `{method}`: the stored state does not fit: {reason}")]
    State {
        /// Method.
        method: &'static str,
        /// What was found, what was expected.
        reason: String,
    },
    /// The batch does not fit the method, such as outputs without a tap that it reads.
    #[error("method `{method}`: {reason}")]
    Batch {
        /// Method.
        method: &'static str,
        /// What was found, what is needed.
        reason: String,
    },
}
