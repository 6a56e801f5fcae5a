//! What can be set.

use serde::{Deserialize, Serialize};

use super::Wecolora;
use crate::{MethodError, criterion::require_at_least};

/// What is trained of the student.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WecoloraUpdate {
    /// Low-rank factors that are added to the linear maps.
    #[default]
    LowRank,
    /// The same, and the norms of the sums' columns by themselves.
    Dora,
    /// The same with the released code's start of `attn.qkv`.
    DoraCompat,
    /// All weights, without factors.
    Full,
    /// Nothing.
    Copy,
}

impl WecoloraUpdate {
    /// Whether factors are trained.
    pub(super) fn has_factors(self) -> bool {
        !matches!(self, Self::Full | Self::Copy)
    }
}

/// What is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WecoloraLoss {
    /// Tokens after the last block.
    #[default]
    Last,
    /// Tokens after each of the student's blocks.
    Multi,
    /// Tokens after the last block, and the softmax over each.
    MaeKld,
}

/// Settings of [`Wecolora`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WecoloraConfig {
    /// Every how many blocks of the teacher one is kept; `None`: the least number that gives the
    /// student's depth.
    pub reduction_factor: Option<usize>,
    /// What is trained.
    pub update: WecoloraUpdate,
    /// Rank of the changes; `None`: a sixth of the tokens' length.
    pub rank: Option<usize>,
    /// What is compared.
    pub loss: WecoloraLoss,
    /// Whether `multi` compares with the last block that each of the student's stands for.
    pub group_end: bool,
    /// Whether the last tokens are compared after the last norm.
    pub after_norm: bool,
}

impl WecoloraConfig {
    /// Tokens of 768 numbers have changes of rank 128 in the authors' runs.
    const WIDTH_OF_RANK: usize = 6;

    /// The rank for tokens of `width` numbers.
    ///
    /// # Errors
    /// A rank of 0, or one above `width`.
    pub(super) fn rank_of(&self, width: usize) -> Result<usize, MethodError> {
        let rank = self.rank.unwrap_or((width / Self::WIDTH_OF_RANK).max(1));
        require_at_least(Wecolora::ID, "rank", rank, 1)?;
        if rank <= width {
            return Ok(rank);
        }
        Err(MethodError::Setting {
            method: Wecolora::ID,
            key: "rank",
            expected: format!("at most {width}, the length of the tokens: no change has more"),
            found: rank.to_string(),
        })
    }
}
