//! Which blocks of the two networks are compared.

use burn::tensor::Tensor;
use limbeck_nn::{Tap, TapKind};

use super::{AlignmentHead, DmaeConfig};
use crate::{Cast, MethodError, Probe, STUDENT, criterion::require_teacher};

/// Two blocks that are compared: student first, teacher second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Counted from 0.
    pub blocks: [usize; 2],
    /// Lengths of the tokens.
    pub widths: (usize, usize),
    /// Numbers of tokens in front of the patches.
    pub prefixes: [usize; 2],
}

/// A vision transformer as its taps show it.
struct Side {
    depth: usize,
    width: usize,
    prefix: usize,
    grid: [usize; 2],
}

impl Side {
    /// `None` of what is no vision transformer with a class token.
    fn of(taps: &[Tap]) -> Option<Self> {
        let block = |index: usize| {
            let name = format!("block{index}");
            taps.iter().find(|tap| tap.name == name)
        };
        let TapKind::Tokens {
            shape: [_, width],
            prefix,
            grid,
        } = block(0)?.kind
        else {
            return None;
        };
        (prefix > 0).then(|| Self {
            depth: (0..).take_while(|&index| block(index).is_some()).count(),
            width,
            prefix,
            grid,
        })
    }

    /// The block at three quarters of the depth (the paper, section 4.1: 9th of 12, 18th of 24).
    fn usual(&self) -> usize {
        (3 * self.depth).div_ceil(4) - 1
    }
}

/// The pairs of the settings, by the student's block.
///
/// # Errors
/// As [`super::Dmae::new`].
pub fn pairs_of(
    method: &'static str,
    config: &DmaeConfig,
    probe: &Probe,
    cast: &Cast,
) -> Result<Vec<Pair>, MethodError> {
    let teacher = require_teacher(method, probe)?;
    let network = cast.network(STUDENT)?;
    let of = |feature: String, taps: &[Tap]| {
        Side::of(taps).ok_or_else(|| MethodError::Shape {
            method,
            feature,
            reason: "it shows visible patches alone to vision transformers; choose one, such as \
                     vit_micro_patch4 or deit_small_patch16_224, as student and as teacher"
                .to_owned(),
        })
    };
    let student = of(format!("the student `{}`", network.name()), &probe.student)?;
    let teacher = of("the teacher".to_owned(), teacher)?;
    let mismatch = |what: &str, [left, right]: [String; 2], reason: &str| {
        Err(MethodError::Mismatch {
            method,
            student: format!("{what} {left}"),
            teacher: format!("{what} {right}"),
            reason: reason.to_owned(),
        })
    };
    if student.grid != teacher.grid {
        let grids = [&student, &teacher].map(|side| format!("{}×{}", side.grid[0], side.grid[1]));
        return mismatch(
            "patches in a grid of",
            grids,
            "both see the same patches; choose networks whose image size over patch size agrees",
        );
    }
    if config.head == AlignmentHead::None && student.width != teacher.width {
        return mismatch(
            "tokens of length",
            [student.width, teacher.width].map(|width| width.to_string()),
            "without a head lengths have to agree; set method.dmae.head to fc",
        );
    }
    let usual = || vec![[student.usual(), teacher.usual()]];
    let mut blocks = config.blocks.clone().unwrap_or_else(usual);
    blocks.sort_unstable();
    let refuse = |expected: String, found: String| {
        Err(MethodError::Setting {
            method,
            key: "blocks",
            expected,
            found,
        })
    };
    if blocks.is_empty() {
        return refuse(
            "a pair [student, teacher] or more".to_owned(),
            "none".to_owned(),
        );
    }
    if let Some(twice) = blocks.windows(2).find(|pair| pair[0] == pair[1]) {
        return refuse(
            "different pairs".to_owned(),
            format!("{:?} twice", twice[0]),
        );
    }
    for pair in &blocks {
        for (side, depth, block) in [
            ("student", student.depth, pair[0]),
            ("teacher", teacher.depth, pair[1]),
        ] {
            if block >= depth {
                let expected = format!("blocks 0 to {} of the {side}", depth - 1);
                return refuse(expected, block.to_string());
            }
        }
    }
    let pairs = blocks.into_iter().map(|blocks| Pair {
        blocks,
        widths: (student.width, teacher.width),
        prefixes: [student.prefix, teacher.prefix],
    });
    Ok(pairs.collect())
}

/// Tokens `[B, P + n, D]` with `prefix` P of them in front → class token and patches `[B, 1 + n, D]`.
pub fn without_distillation(tokens: Tensor<3>, prefix: usize) -> Tensor<3> {
    if prefix == 1 {
        return tokens;
    }
    let count = tokens.dims()[1];
    let class = tokens.clone().narrow(1, 0, 1);
    let patches = tokens.narrow(1, prefix, count - prefix);
    Tensor::cat(vec![class, patches], 1)
}
