//! Which part of a data set a folder is, by its name.

use super::tree::Tree;

/// What a folder's name says that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::source) enum Role {
    Train,
    Validation,
    Test,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// What the part is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }

    /// Names of such folders, whatever the case; the first is the usual one.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Train => &["train", "training"],
            Self::Validation => &["val", "valid", "validation", "dev"],
            Self::Test => &["test", "testing", "eval"],
        }
    }

    /// What `folder` is for, if its name says so.
    pub fn of(folder: &Tree) -> Option<Self> {
        Self::named(folder.name.to_str()?)
    }

    /// What a folder of that name is for.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        Self::ALL
            .into_iter()
            .find(|role| role.names().contains(&name.as_str()))
    }
}
