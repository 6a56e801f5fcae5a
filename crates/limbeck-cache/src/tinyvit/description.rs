//! What stored logits are of.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CacheError, Difference, files, manifest::difference};

/// Classes up to which two bytes with a sign hold an index.
const NARROW: usize = 1 << 15;
/// Bytes of the description's file at the most.
const LARGEST: u64 = 16 << 20;

/// What the logits of an epoch are, beside their folder as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// K: classes of a record.
    pub topk: usize,
    /// C: classes of the teacher.
    pub classes: usize,
    /// Epoch that they are for.
    pub epoch: u64,
    /// Changes with the images.
    pub data: String,
    /// How views are made from the seed.
    pub augment: Value,
    /// Name of the teacher.
    pub teacher: String,
}

impl Description {
    /// The folder of the records.
    pub fn folder(&self, root: &Path) -> PathBuf {
        root.join(self.name())
    }

    pub(super) fn name(&self) -> String {
        format!("logits_top{}_epoch{}", self.topk, self.epoch)
    }

    /// Whether classes take four bytes.
    pub(super) fn is_wide(&self) -> bool {
        self.classes > NARROW
    }

    /// K and epoch from a folder's name.
    pub(super) fn of_name(name: &str) -> Option<(usize, u64)> {
        let (topk, epoch) = name.strip_prefix("logits_top")?.split_once("_epoch")?;
        Some((topk.parse().ok()?, epoch.parse().ok()?))
    }

    /// Refuses K that is 0 or not below C.
    pub(super) fn check(&self) -> Result<(), CacheError> {
        if self.topk == 0 || self.topk >= self.classes {
            return Err(CacheError::Plan(format!(
                "top-{} of {} classes; expected at least 1 and fewer than there are",
                self.topk, self.classes
            )));
        }
        Ok(())
    }

    /// Refuses a folder whose description says something else; one without is taken for right.
    pub(super) fn compare(&self, root: &Path) -> Result<(), CacheError> {
        let path = self.path(root);
        let Some(bytes) = files::read_bounded(&path, LARGEST)? else {
            return Ok(());
        };
        let found: Self =
            serde_json::from_slice(&bytes).map_err(|error| CacheError::BadTinyVit {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        match self.difference(&found) {
            Some(difference) => Err(CacheError::Differs { path, difference }),
            None => Ok(()),
        }
    }

    fn difference(&self, found: &Self) -> Option<Difference> {
        let value = |description| serde_json::to_value(description).unwrap_or_default();
        difference(String::new(), &value(found), &value(self))
    }

    /// Writes it where it is missing.
    pub(super) fn write(&self, root: &Path) -> Result<(), CacheError> {
        if self.path(root).exists() {
            return Ok(());
        }
        let text = serde_json::to_vec_pretty(self);
        let text = text.map_err(|error| CacheError::Plan(error.to_string()))?;
        files::write_whole(root, &format!("{}.json", self.name()), &text)
    }

    fn path(&self, root: &Path) -> PathBuf {
        root.join(format!("{}.json", self.name()))
    }
}
