//! TaT for large maps: attention within patches, and once between averages of the whole map.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Pass,
    layer::{Conv2dConfig, ConvNorm, adaptive_avg_pool2d},
};

use super::{Orientation, PatchAttention, attend};
use crate::connector::mean_squared_error;

/// Side of a patch in positions of the map where nothing is said: the authors' 16 of 129.
const PATCH: usize = 8;
/// Side of the window of an anchor where nothing is said: the authors' 32 of 129.
const WINDOW: usize = 4;
/// Patches that are attended together where nothing is said: the authors' 256 in 64 heads.
const TOGETHER: usize = 4;

/// How a map is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Rows and columns of patches; what does not fill one more is left out.
    pub patches: [usize; 2],
    /// Rows and columns of anchors: their windows are as large as so many need.
    pub anchors: [usize; 2],
    /// Heads of the attention within patches.
    pub heads: usize,
}

impl Layout {
    /// For maps of `[C, H, W]`.
    ///
    /// # Errors
    /// The setting that does not fit, what it may be, and what it is.
    pub fn new(
        [channels, height, width]: [usize; 3],
        patches: Option<[usize; 2]>,
        anchors: Option<[usize; 2]>,
        heads: Option<usize>,
        attention: PatchAttention,
    ) -> Result<Self, (&'static str, String, String)> {
        let size = [height, width];
        let of = |side: usize| size.map(|length| (length / side).max(1));
        let patches = patches.unwrap_or(of(PATCH));
        let anchors = anchors.unwrap_or(of(WINDOW));
        for (key, cut) in [("patches", patches), ("anchors", anchors)] {
            if cut
                .iter()
                .zip(size)
                .any(|(&cut, side)| cut == 0 || cut > side)
            {
                let expected =
                    format!("two numbers from 1 to the teacher's map of {height}×{width}");
                return Err((key, expected, format!("{cut:?}")));
            }
        }
        let count = patches[0] * patches[1];
        let divided = match attention {
            PatchAttention::Stacked => count * channels,
            PatchAttention::Single => channels,
        };
        let heads = heads.unwrap_or_else(|| match attention {
            PatchAttention::Stacked => {
                let together = (1..=TOGETHER).rev().find(|&g| count.is_multiple_of(g));
                count / together.unwrap_or(1)
            }
            PatchAttention::Single => 1,
        });
        if heads == 0 || !divided.is_multiple_of(heads) {
            let expected = format!("a divisor of the {divided} channels that are attended");
            return Err(("heads", expected, heads.to_string()));
        }
        Ok(Self {
            patches,
            anchors,
            heads,
        })
    }
}

/// Three embeddings to the teacher's channels, and both losses.
#[derive(Debug)]
pub struct Patches {
    layout: Layout,
    attention: PatchAttention,
    orientation: Orientation,
    query: ConvNorm,
    key: ConvNorm,
    value: ConvNorm,
}

/// Embedded maps `[B, C_t, H, W]`.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Of the student.
    pub query: Tensor<4>,
    /// Of the teacher.
    pub key: Tensor<4>,
    /// Of the student.
    pub value: Tensor<4>,
}

impl Patches {
    /// Makes `embed_query`, `embed_key` and `embed_value`, each `conv2d` and `norm`.
    pub fn new(
        builder: &mut Builder<'_>,
        student: usize,
        teacher: usize,
        layout: Layout,
        attention: PatchAttention,
        orientation: Orientation,
    ) -> Self {
        let mut embedding = |name, input| {
            let config = Conv2dConfig::new(input, teacher, 1);
            ConvNorm::new(&mut builder.sub(name), "conv2d", "norm", config)
        };
        Self {
            query: embedding("embed_query", student),
            key: embedding("embed_key", teacher),
            value: embedding("embed_value", student),
            layout,
            attention,
            orientation,
        }
    }

    /// Student map `[B, C_s, H, W]` and teacher map `[B, C_t, H, W]`, embedded.
    pub fn embed(&self, pass: &mut Pass<'_>, student: Tensor<4>, teacher: Tensor<4>) -> Embedded {
        Embedded {
            query: self.query.forward(pass, student.clone()),
            key: self.key.forward(pass, teacher),
            value: self.value.forward(pass, student),
        }
    }

    /// The patches of a map `[B, C, H, W]` row by row, one after the other: on the channels
    /// `[B, n·C, h, w]` where they are stacked, else on the images `[B·n, C, h, w]`.
    pub fn cut(&self, map: &Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = map.dims();
        let [rows, columns] = self.layout.patches;
        let [h, w] = [height / rows, width / columns];
        let patches = map
            .clone()
            .narrow(2, 0, rows * h)
            .narrow(3, 0, columns * w)
            .reshape([batch, channels, rows, h, columns, w])
            .permute([0, 2, 4, 1, 3, 5]);
        let count = rows * columns;
        match self.attention {
            PatchAttention::Stacked => patches.reshape([batch, count * channels, h, w]),
            PatchAttention::Single => patches.reshape([batch * count, channels, h, w]),
        }
    }

    /// Mean squared error of the patches rebuilt by attention, `[1]`.
    pub fn patch_loss(&self, embedded: &Embedded, teacher: &Tensor<4>) -> Tensor<1> {
        let cut = |map: &Tensor<4>| self.cut(map);
        self.rebuilt_error(embedded, teacher, self.layout.heads, cut)
    }

    /// The same of the averages of windows, `[1]`.
    pub fn anchor_loss(&self, embedded: &Embedded, teacher: &Tensor<4>) -> Tensor<1> {
        let [.., height, width] = teacher.dims();
        let [rows, columns] = self.layout.anchors;
        let [h, w] = [height / rows, width / columns];
        // As many whole windows as there is room for, which may be one more than asked for.
        let [rows, columns] = [height / h, width / w];
        let average = |map: &Tensor<4>| {
            let whole = map.clone().narrow(2, 0, rows * h).narrow(3, 0, columns * w);
            adaptive_avg_pool2d(whole, [rows, columns])
        };
        self.rebuilt_error(embedded, teacher, 1, average)
    }

    fn rebuilt_error(
        &self,
        embedded: &Embedded,
        teacher: &Tensor<4>,
        heads: usize,
        view: impl Fn(&Tensor<4>) -> Tensor<4>,
    ) -> Tensor<1> {
        let Embedded { query, key, value } = embedded;
        let [query, key, value] = [query, key, value].map(&view);
        let (_, rebuilt) = attend(&query, &key, &value, heads, self.orientation);
        mean_squared_error(rebuilt, view(teacher))
    }
}

#[cfg(test)]
mod tests {
    use limbeck_nn::Store;

    use super::*;
    use crate::testing::{assert_close, build, number, numbers, pass, probe, random};

    const SINGLE: PatchAttention = PatchAttention::Single;
    const STACKED: PatchAttention = PatchAttention::Stacked;

    fn make(patches: [usize; 2], heads: usize, attention: PatchAttention) -> (Patches, Store) {
        let layout = Layout {
            patches,
            anchors: [4, 6],
            heads,
        };
        build(&probe(&[], &[]), |_, builder| {
            let orientation = Orientation::StudentQuery;
            Ok(Patches::new(builder, 3, 4, layout, attention, orientation))
        })
        .unwrap()
    }

    fn maps([height, width]: [usize; 2]) -> [Tensor<4>; 2] {
        [
            random("s", [2, 3, height, width]),
            random("t", [2, 4, height, width]),
        ]
    }

    /// Losses of patches and anchors.
    fn losses((patches, store): &(Patches, Store), size: [usize; 2]) -> [f64; 2] {
        let [student, teacher] = maps(size);
        let embedded = patches.embed(&mut pass(store), student, teacher.clone());
        [
            number(&patches.patch_loss(&embedded, &teacher)),
            number(&patches.anchor_loss(&embedded, &teacher)),
        ]
    }

    #[test]
    fn one_patch_and_anchors_as_large_as_the_map_are_the_plain_attention() {
        let made = make([1, 1], 1, STACKED);
        let [student, teacher] = maps([4, 6]);
        let embedded = made.0.embed(&mut pass(&made.1), student, teacher.clone());
        let Embedded { query, key, value } = &embedded;
        let (_, rebuilt) = attend(query, key, value, 1, Orientation::StudentQuery);
        let plain = number(&mean_squared_error(rebuilt, teacher));
        assert_close(&losses(&made, [4, 6]), &[plain, plain]);
    }

    #[test]
    fn patches_stacked_one_to_a_head_are_single_patches_and_others_are_not() {
        let [single, _] = losses(&make([2, 3], 1, SINGLE), [4, 6]);
        let [stacked, _] = losses(&make([2, 3], 6, STACKED), [4, 6]);
        assert_close(&[stacked], &[single]);
        let [joined, _] = losses(&make([2, 3], 3, STACKED), [4, 6]);
        assert!((joined - single).abs() > 1e-6);
    }

    #[test]
    fn what_does_not_fill_a_patch_or_a_window_is_left_out() {
        for attention in [SINGLE, STACKED] {
            let (patches, _) = make([2, 3], 1, attention);
            let [_, teacher] = maps([5, 8]);
            let within = teacher.clone().narrow(2, 0, 4).narrow(3, 0, 6);
            assert_eq!(
                numbers(&patches.cut(&teacher)),
                numbers(&patches.cut(&within))
            );
        }
        let (patches, store) = make([1, 1], 1, STACKED);
        let [student, teacher] = maps([9, 12]);
        let embedded = patches.embed(&mut pass(&store), student, teacher.clone());
        let before = number(&patches.anchor_loss(&embedded, &teacher));
        let last = random("u", [2, 4, 1, 12]);
        let moved = Tensor::cat(vec![teacher.narrow(2, 0, 8), last], 2);
        assert_close(
            &[number(&patches.anchor_loss(&embedded, &moved))],
            &[before],
        );
    }

    #[test]
    fn patches_lie_one_after_the_other_row_by_row() {
        let (patches, _) = make([2, 2], 1, STACKED);
        let [_, map] = maps([4, 4]);
        let cut = patches.cut(&map);
        assert_eq!(cut.dims(), [2, 16, 2, 2]);
        let second = cut.narrow(1, 4, 4);
        let expected = map.narrow(2, 0, 2).narrow(3, 2, 2);
        assert_eq!(numbers(&second), numbers(&expected));
    }

    #[test]
    fn layouts_follow_the_map_where_nothing_is_said_and_are_refused_where_they_do_not_fit() {
        let layout = |patches, anchors, heads, attention| {
            Layout::new([4, 24, 36], patches, anchors, heads, attention)
        };
        let found = layout(None, None, None, STACKED).unwrap();
        assert_eq!(found.patches, [3, 4]);
        assert_eq!(found.anchors, [6, 9]);
        assert_eq!(found.heads, 3);
        assert_eq!(layout(None, None, None, SINGLE).unwrap().heads, 1);
        let odd = layout(Some([5, 5]), None, None, STACKED).unwrap();
        assert_eq!(odd.heads, 25);
        let small = Layout::new([4, 3, 2], None, None, None, STACKED).unwrap();
        assert_eq!((small.patches, small.anchors), ([1, 1], [1, 1]));
        let key = |refused: Result<Layout, (&'static str, String, String)>| refused.unwrap_err().0;
        assert_eq!(key(layout(Some([25, 1]), None, None, STACKED)), "patches");
        assert_eq!(key(layout(None, Some([6, 0]), None, STACKED)), "anchors");
        assert_eq!(key(layout(None, None, Some(5), STACKED)), "heads");
        assert_eq!(key(layout(None, None, Some(3), SINGLE)), "heads");
        assert_eq!(key(layout(None, None, Some(0), STACKED)), "heads");
    }
}
