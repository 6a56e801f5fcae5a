//! Hidden states of the teacher as tokens.

use burn::tensor::Tensor;
use limbeck_nn::{Feature, Outputs, Tap, TapKind};

use crate::{
    MethodError,
    connector::resize_map,
    pairs::{blocks, find_map, map_of, stages},
};

/// Number of hidden states (authors' code, `models.py`).
pub(super) const STATES: usize = 3;

/// Which taps of the teacher are read.
#[derive(Debug)]
pub(super) struct HiddenStates {
    taps: Vec<Tap>,
}

/// Hidden states of a batch.
pub(super) struct States {
    /// Each `[B, N, D]` with a width of its own: leading tokens, then the positions of the grid.
    pub tokens: Vec<Tensor<3>>,
    /// Rows and columns.
    pub grid: [usize; 2],
}

/// How the states are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Tokens in front of the positions: class tokens, or the mean of all positions.
    pub leading: usize,
    /// The grid that theirs is to be no longer than along each axis; `None` takes the smallest that
    /// a state has.
    pub within: Option<[usize; 2]>,
}

impl HiddenStates {
    /// The taps that `named` has, joined by `+`, or else those of [`equally_spaced`].
    ///
    /// # Errors
    /// Fewer or more than three, a tap that is not there, one without positions, or tokens that do not
    /// go together.
    pub fn new(
        method: &'static str,
        named: Option<&str>,
        teacher: &[Tap],
    ) -> Result<Self, MethodError> {
        let names: Vec<String> = match named {
            Some(named) => named.split('+').map(|tap| tap.trim().to_owned()).collect(),
            None => equally_spaced(teacher),
        };
        if names.len() != STATES {
            let found = match named {
                Some(named) => format!("`{named}`"),
                None => "none".to_owned(),
            };
            return Err(MethodError::Setting {
                method,
                key: "hidden",
                expected: format!(
                    "{STATES} taps of the teacher joined by `+`, such as stage1+stage2+stage3 (limbeck \
                     inspect tells its taps); one with fewer than {STATES} blocks or stages needs them \
                     named"
                ),
                found,
            });
        }
        let taps = names
            .iter()
            .map(|name| Ok(find_map(method, "teacher", teacher, name)?.0))
            .collect::<Result<Vec<Tap>, MethodError>>()?;
        let refuse = |tap: &Tap, reason: &str| {
            Err(MethodError::Shape {
                method,
                feature: format!("the teacher's `{}` ({})", tap.name, tap.kind),
                reason: reason.to_owned(),
            })
        };
        for tap in &taps {
            if let TapKind::Vector(_) | TapKind::Cells { .. } = tap.kind {
                return refuse(
                    tap,
                    "it has no positions on one grid; name taps with maps or tokens in `hidden`",
                );
            }
        }
        let leads = |tap: &&Tap| matches!(tap.kind, TapKind::Tokens { prefix, .. } if prefix > 0);
        if let Some(first) = taps.iter().find(leads)
            && let Some(other) = taps.iter().find(|tap| layout_of(tap) != layout_of(first))
        {
            return refuse(
                other,
                &format!(
                    "`{}` ({}) has another number of tokens, and class tokens stand for images of one \
                     cutting; name taps of equally many tokens in `hidden`",
                    first.name, first.kind
                ),
            );
        }
        Ok(Self { taps })
    }

    /// Names of the taps.
    pub fn names(&self) -> Vec<String> {
        self.taps.iter().map(|tap| tap.name.clone()).collect()
    }

    /// Channels of each state.
    pub fn widths(&self) -> Vec<usize> {
        let width = |tap: &Tap| match tap.kind {
            TapKind::Map([width, ..]) => width,
            TapKind::Tokens {
                shape: [_, width], ..
            } => width,
            TapKind::Vector(width) => width,
            TapKind::Attention([heads, ..]) => heads,
            TapKind::Cells {
                shape: [_, width], ..
            } => width,
        };
        self.taps.iter().map(width).collect()
    }

    /// The states of a batch, laid out as `layout` says.
    ///
    /// # Errors
    /// Outputs without them.
    pub fn tokens(
        &self,
        method: &'static str,
        teacher: &Outputs,
        layout: Layout,
    ) -> Result<States, MethodError> {
        let maps = self
            .taps
            .iter()
            .map(|tap| map_of(method, "teacher", teacher, &tap.name))
            .collect::<Result<Vec<Tensor<4>>, MethodError>>()?;
        let sizes: Vec<[usize; 2]> = maps.iter().map(size_of).collect();
        let grid = common_grid(&sizes, layout.within);
        let tokens = self.taps.iter().zip(maps).map(|(tap, map)| {
            let mut parts = match teacher.feature(&tap.name) {
                Some(Feature::Tokens { tokens, prefix, .. }) if *prefix > 0 => (0..layout.leading)
                    .map(|index| tokens.clone().narrow(1, index.min(prefix - 1), 1))
                    .collect(),
                _ => vec![mean_of(&map); layout.leading],
            };
            parts.push(positions(resize_map(map, grid)));
            Tensor::cat(parts, 1)
        });
        Ok(States {
            tokens: tokens.collect(),
            grid,
        })
    }
}

/// Number of tokens, of leading ones, and their grid; `None` of a map.
fn layout_of(tap: &Tap) -> Option<(usize, usize, [usize; 2])> {
    match tap.kind {
        TapKind::Tokens {
            shape: [count, _],
            prefix,
            grid,
        } => Some((count, prefix, grid)),
        _ => None,
    }
}

/// Of a network whose blocks all give out tokens of one kind: those at a third, two thirds and the end.
/// Of any other the last three stages. Fewer where there are fewer.
pub(super) fn equally_spaced(taps: &[Tap]) -> Vec<String> {
    let names = blocks(taps);
    let kinds: Vec<&TapKind> = names
        .iter()
        .filter_map(|name| taps.iter().find(|tap| tap.name == *name))
        .map(|tap| &tap.kind)
        .collect();
    let alike = kinds.windows(2).all(|pair| pair[0] == pair[1]);
    let of_tokens = matches!(kinds.first(), Some(TapKind::Tokens { .. }));
    if alike && of_tokens && names.len() >= STATES {
        let place = |m: usize| (m * names.len()).div_ceil(STATES) - 1;
        return (1..=STATES).map(|m| names[place(m)].clone()).collect();
    }
    let stages = stages(taps);
    let from = stages.len().saturating_sub(STATES);
    stages[from..].iter().map(|tap| tap.name.clone()).collect()
}

/// The grid for maps of these sizes: the smallest, or along each axis the longest that is not longer
/// than `within`.
fn common_grid(sizes: &[[usize; 2]], within: Option<[usize; 2]>) -> [usize; 2] {
    match within {
        None => {
            let smallest = sizes.iter().min_by_key(|[height, width]| height * width);
            smallest.copied().unwrap_or([1, 1])
        }
        Some(within) => std::array::from_fn(|axis| {
            let longest = sizes.iter().map(|size| size[axis]).max().unwrap_or(1);
            longest.min(within[axis])
        }),
    }
}

/// Height and width.
fn size_of(map: &Tensor<4>) -> [usize; 2] {
    let [_, _, height, width] = map.dims();
    [height, width]
}

/// A map `[B, C, H, W]` as tokens `[B, H·W, C]`, row by row.
pub(super) fn positions(map: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = map.dims();
    map.reshape([batch, channels, height * width])
        .swap_dims(1, 2)
}

/// The mean over all positions of a map `[B, C, H, W]` as one token `[B, 1, C]`.
pub(super) fn mean_of(map: &Tensor<4>) -> Tensor<3> {
    positions(map.clone()).mean_dim(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_the_smallest_or_as_fine_as_the_student() {
        let sizes = [[32, 24], [16, 12], [8, 6]];
        assert_eq!(common_grid(&sizes, None), [8, 6]);
        assert_eq!(common_grid(&sizes, Some([12, 40])), [12, 24]);
        assert_eq!(common_grid(&sizes, Some([2, 3])), [2, 3]);
    }
}
