//! What can be wrong with a recipe.

use std::fmt::{Display, Formatter};
use std::path::PathBuf;

use super::nearest::nearest;

/// Where a value was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// File name, `--set train.epochs=3` or the like; empty where nothing is known.
    pub origin: String,
    /// Line and column in a file, counted from 1.
    pub line: Option<(usize, usize)>,
}

impl Place {
    /// A place that has no lines, such as a command-line flag.
    pub fn of(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            line: None,
        }
    }

    /// The place of byte `offset` of `text`.
    pub(super) fn in_text(origin: &str, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            origin: origin.to_owned(),
            line: Some((
                before.matches('\n').count() + 1,
                before[start..].chars().count() + 1,
            )),
        }
    }
}

/// `origin:line:column: `, or nothing where nothing is known.
impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self.line {
            _ if self.origin.is_empty() => Ok(()),
            Some((line, column)) => write!(f, "{}:{line}:{column}: ", self.origin),
            None => write!(f, "{}: ", self.origin),
        }
    }
}

/// Errors of recipes.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("cannot read the recipe {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A `--set` argument is not of the form `key=value`.
    #[error("--set {found}: expected key=value, such as train.epochs=30")]
    Assignment {
        /// What was given.
        found: String,
    },
    /// Something that was written is wrong.
    #[error("{place}{mistake}")]
    Mistake {
        /// Where, as far as known.
        place: Place,
        /// What.
        mistake: Box<Mistake>,
    },
}

/// What can be wrong with something that was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// The text is not TOML.
    #[error("this is not TOML: {reason}")]
    Syntax {
        /// What the parser found.
        reason: String,
    },
    /// A key that no recipe has.
    #[error(
        "unknown key `{key}` {}; {}",
        table_phrase(table),
        nearest_phrase(nearest, known)
    )]
    UnknownKey {
        /// Dotted name of the table that it is in; empty at the top.
        table: String,
        /// What was written.
        key: String,
        /// The closest key that the table knows, if one is close.
        nearest: Option<String>,
        /// All keys that the table knows.
        known: Vec<String>,
    },
    /// A name that is not among those to choose from.
    #[error("`{key}`: unknown name `{found}`; {}", nearest_phrase(nearest, known))]
    UnknownName {
        /// Dotted key.
        key: String,
        /// What was written.
        found: String,
        /// The closest known name, if one is close.
        nearest: Option<String>,
        /// All known names.
        known: Vec<String>,
    },
    /// A value that is out of range or of the wrong type.
    #[error("`{key}` must be {expected}, found {found}")]
    Value {
        /// Dotted key.
        key: String,
        /// What is allowed.
        expected: String,
        /// What was written.
        found: String,
    },
    /// Anything else.
    #[error("`{key}`: {reason}")]
    Refused {
        /// Dotted key.
        key: String,
        /// Why.
        reason: String,
    },
}

impl Mistake {
    /// The mistake with the place where it was made.
    pub(super) fn at(self, place: Place) -> RecipeError {
        RecipeError::Mistake {
            place,
            mistake: Box::new(self),
        }
    }

    /// The dotted key whose value is wrong; empty where that is not known.
    pub(super) fn key(&self) -> &str {
        match self {
            Mistake::Syntax { .. } | Mistake::UnknownKey { .. } => "",
            Mistake::UnknownName { key, .. }
            | Mistake::Value { key, .. }
            | Mistake::Refused { key, .. } => key,
        }
    }

    pub(super) fn unknown_key<'a>(
        table: &str,
        key: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        Mistake::UnknownKey {
            table: table.to_owned(),
            key: key.to_owned(),
            nearest: nearest(key, known.clone()).map(str::to_owned),
            known: known.into_iter().map(str::to_owned).collect(),
        }
    }

    pub(super) fn unknown_name<'a>(
        key: &str,
        found: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        Mistake::UnknownName {
            key: key.to_owned(),
            found: found.to_owned(),
            nearest: nearest(found, known.clone()).map(str::to_owned),
            known: known.into_iter().map(str::to_owned).collect(),
        }
    }
}

fn table_phrase(table: &str) -> String {
    if table.is_empty() {
        "at the top of the recipe".to_owned()
    } else {
        format!("in [{table}]")
    }
}

fn nearest_phrase(nearest: &Option<String>, known: &[String]) -> String {
    match nearest {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if known.is_empty() => "it takes none".to_owned(),
        None => format!("known: {}", known.join(", ")),
    }
}
