//! Positional embeddings of another grid.

use super::bicubic::resize_bicubic;
use crate::{InputShape, Store};

/// The numbers of a positional embedding, row-major `[1, N, D]`.
pub(super) struct Position<'a> {
    /// State-dict name; its last part is `pos_embed`.
    pub name: &'a str,
    /// `[1, N, D]` in the file.
    pub shape: &'a [usize],
}

/// Tokens that stand before the patches, each with a position of its own.
const LEADING_TOKENS: &[&str] = &["cls_token", "dist_token"];

/// How many leading tokens `has` knows below `stem`.
pub(super) fn leading_tokens(stem: &str, has: impl Fn(&str) -> bool) -> usize {
    LEADING_TOKENS
        .iter()
        .filter(|token| has(&format!("{stem}{token}")))
        .count()
}

/// Height and width of a patch in the vision transformer below `stem` of `store`.
pub(super) fn patch_grid(store: &Store, stem: &str) -> Option<[usize; 2]> {
    let projection = store.find(&format!("{stem}patch_embed.proj.weight"))?;
    match store.entry(projection).shape.as_slice() {
        &[_, _, height, width] => Some([height, width]),
        _ => None,
    }
}

/// How a positional embedding is fitted to another grid.
pub(super) struct Resize {
    /// Tokens before the patches.
    leading: usize,
    /// Width of a token.
    width: usize,
    /// Rows and columns in the file, where the grid is a square.
    from: [usize; 2],
    /// Rows and columns in the network.
    to: [usize; 2],
}

impl Resize {
    /// How `position` becomes what `store`, a vision transformer for `input`, has under its name;
    /// `None` where that is not a matter of the grid alone. `in_file` tells which names the file
    /// has.
    pub(super) fn plan(
        position: &Position<'_>,
        store: &Store,
        input: InputShape,
        in_file: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let stem = position.name.strip_suffix("pos_embed")?;
        if !(stem.is_empty() || stem.ends_with('.')) {
            return None;
        }
        let wanted = &store.entry(store.find(position.name)?).shape;
        let ([1, tokens, width], [1, wanted_tokens, wanted_width]) =
            (position.shape, wanted.as_slice())
        else {
            return None;
        };
        let [patch_height, patch_width] = patch_grid(store, stem)?;
        let to = [
            input.height.checked_div(patch_height)?,
            input.width.checked_div(patch_width)?,
        ];
        let leading = leading_tokens(stem, |name| store.find(name).is_some());
        let leading_in_file = leading_tokens(stem, in_file);
        let patches = tokens.checked_sub(leading)?;
        let side = patches.isqrt();
        let fits = width == wanted_width
            && leading == leading_in_file
            && leading + to[0] * to[1] == *wanted_tokens
            && side > 0
            && side * side == patches;
        fits.then_some(Self {
            leading,
            width: *width,
            from: [side, side],
            to,
        })
    }

    /// Resizes the grid, each component by itself, as timm's `resample_abs_pos_embed` does:
    /// bicubic with antialiasing. Leading tokens stay as they are.
    pub(super) fn apply(&self, values: &[f64]) -> Vec<f64> {
        let split = (self.leading * self.width).min(values.len());
        let (leading, grid) = values.split_at(split);
        let patches = self.to[0] * self.to[1];
        let mut resized = leading.to_vec();
        resized.resize(split + patches * self.width, 0.0);
        for component in 0..self.width {
            let plane: Vec<f64> = grid
                .iter()
                .skip(component)
                .step_by(self.width)
                .copied()
                .collect();
            let plane = resize_bicubic(&plane, self.from, self.to);
            for (patch, value) in plane.into_iter().enumerate() {
                resized[split + patch * self.width + component] = value;
            }
        }
        resized
    }
}
