//! Low-rank changes of copied linear maps, under the names of the authors' code.

use burn::tensor::Tensor;
use limbeck_nn::{Builder, Init, ParameterId, Pass, Role, Store};

use super::WecoloraUpdate;

/// Linear maps of a block, and the parts that have factors of their own: queries, keys and values
/// are thirds of one map.
const LAYERS: [(&str, &[&str]); 4] = [
    ("attn.qkv", &["q", "k", "v"]),
    ("attn.proj", &["fc"]),
    ("mlp.fc1", &["fc"]),
    ("mlp.fc2", &["fc"]),
];

/// What the names of all factors begin with.
const PREFIX: &str = "lora_vit.blocks";

/// Squares of norms of columns are at least this: far below any that a weight has, so that a column
/// of zeros is no division by zero.
const LEAST_SQUARE: f64 = 1e-30;

/// Changes of all linear maps in all blocks of a student.
#[derive(Debug)]
pub struct Adapters {
    maps: Vec<AdaptedMap>,
}

#[derive(Debug)]
struct AdaptedMap {
    /// The weight in the student's store.
    student: ParameterId,
    /// The copied weight in the store of these.
    base: ParameterId,
    layer: AdaptedLinear,
}

/// The copied weights in `student`, a network of `depth` blocks, that adapters change, by their
/// names.
pub fn base_of(student: &Store, depth: usize) -> Store {
    let mut base = Store::new(student.device(), student.dtype());
    let mut builder = Builder::new(&mut base, 0);
    let mut values = Vec::new();
    for (_, name, _) in maps(depth) {
        if let Some(id) = student.find(&name) {
            let entry = student.entry(id);
            let nothing = Init::Constant(0.0);
            let id = builder.parameter(&name, &entry.shape, Role::Weight, nothing);
            values.push((id, entry.value.clone()));
        }
    }
    for (id, value) in values {
        base.set(id, value);
    }
    base
}

/// Path of each adapter, name of the weight that it changes, and its parts.
fn maps(depth: usize) -> impl Iterator<Item = (String, String, &'static [&'static str])> {
    (0..depth).flat_map(|block| {
        LAYERS.into_iter().map(move |(layer, parts)| {
            let path = format!("{PREFIX}.{block}.{layer}");
            (path, format!("blocks.{block}.{layer}.weight"), parts)
        })
    })
}

impl Adapters {
    /// Draws the factors of rank `rank` for all that is in `base`.
    pub fn new(
        builder: &mut Builder<'_>,
        student: &Store,
        base: &Store,
        depth: usize,
        rank: usize,
        update: WecoloraUpdate,
    ) -> Self {
        let adapted = maps(depth).filter_map(|(path, name, parts)| {
            let (student, id) = (student.find(&name)?, base.find(&name)?);
            let &[outputs, inputs] = base.entry(id).shape.as_slice() else {
                return None;
            };
            let at = builder.sub(path);
            Some(AdaptedMap {
                student,
                base: id,
                layer: AdaptedLinear::new(at, parts, [outputs, inputs], rank, update),
            })
        });
        Self {
            maps: adapted.collect(),
        }
    }

    /// Sets the magnitudes in `store`, where there are some, to those of the weights in `base`.
    pub fn start(&self, store: &mut Store, base: &Store) {
        for map in &self.maps {
            map.layer.start(store, base.get(map.base));
        }
    }

    /// The changed weights, flat, by their places in the student's store. `pass` is over the store of
    /// the factors.
    pub fn weights(&self, pass: &mut Pass<'_>, base: &Store) -> Vec<(ParameterId, Tensor<1>)> {
        let weight = |map: &AdaptedMap| {
            let weight = map.layer.weight(pass, base.get(map.base));
            (map.student, weight.flatten(0, 1))
        };
        self.maps.iter().map(weight).collect()
    }
}

/// A linear map `[O, I]` of one part or several, one below the other, each with factors of its own.
#[derive(Debug)]
pub struct AdaptedLinear {
    factors: Vec<Factors>,
    magnitude: Option<Magnitude>,
}

#[derive(Clone, Copy, Debug)]
struct Factors {
    /// `[k, I]`.
    a: ParameterId,
    /// `[O / parts, k]`.
    b: ParameterId,
}

#[derive(Clone, Copy, Debug)]
enum Magnitude {
    /// Of each column of each part, `[parts, I]`.
    Columns(ParameterId),
    /// Of each row, `[O, 1]`.
    Rows(ParameterId),
}

impl AdaptedLinear {
    /// Factors for the `parts` of a weight `[O, I]`. A is drawn by PyTorch's default for linear maps
    /// (Kaiming uniform with a = √5), B is zero.
    pub fn new(
        mut builder: Builder<'_>,
        parts: &[&str],
        [outputs, inputs]: [usize; 2],
        rank: usize,
        update: WecoloraUpdate,
    ) -> Self {
        let mut factor = |name: String, shape: [usize; 2], init: Init| {
            let mut at = builder.sub(name);
            at.parameter("weight", &shape, Role::Weight, init)
        };
        let rows = outputs / parts.len().max(1);
        let factors = parts.iter().map(|part| {
            let drawn = Init::pytorch_default(inputs);
            let nothing = Init::Constant(0.0);
            Factors {
                a: factor(format!("linear_a_{part}"), [rank, inputs], drawn),
                b: factor(format!("linear_b_{part}"), [rows, rank], nothing),
            }
        });
        let factors: Vec<Factors> = factors.collect();
        let mut magnitude =
            |shape: [usize; 2]| builder.parameter("m", &shape, Role::Weight, Init::Constant(1.0));
        let magnitude = match (update, parts.len()) {
            (WecoloraUpdate::DoraCompat, 2..) => Some(Magnitude::Rows(magnitude([outputs, 1]))),
            (WecoloraUpdate::Dora | WecoloraUpdate::DoraCompat, count) => {
                Some(Magnitude::Columns(magnitude([count, inputs])))
            }
            _ => None,
        };
        Self { factors, magnitude }
    }

    /// Sets the magnitudes in `store`, where there are some, to the norms of `base` `[O, I]`.
    pub fn start(&self, store: &mut Store, base: Tensor<2>) {
        let [outputs, _] = base.dims();
        let rows = outputs / self.factors.len().max(1);
        let (id, norms) = match self.magnitude {
            None => return,
            Some(Magnitude::Rows(id)) => (id, base.square().sum_dim(1).sqrt()),
            Some(Magnitude::Columns(id)) => {
                let parts = (0..self.factors.len())
                    .map(|part| column_norms(base.clone().narrow(0, part * rows, rows)));
                (id, Tensor::cat(parts.collect(), 0))
            }
        };
        store.set(id, norms.flatten(0, 1));
    }

    /// The changed weight `[O, I]` of `base` `[O, I]`, by the numbers that `pass` reads.
    pub fn weight(&self, pass: &mut Pass<'_>, base: Tensor<2>) -> Tensor<2> {
        let [outputs, _] = base.dims();
        let rows = outputs / self.factors.len().max(1);
        let mut parts = Vec::with_capacity(self.factors.len());
        for (index, factors) in self.factors.iter().enumerate() {
            let change = pass.matmul::<2>(pass.get(factors.b), pass.get(factors.a));
            let sum = base.clone().narrow(0, index * rows, rows) + change;
            parts.push(match self.magnitude {
                None => sum,
                Some(Magnitude::Rows(_)) => sum.clone() / column_norms(sum),
                Some(Magnitude::Columns(id)) => {
                    let own = pass.get::<2>(id).narrow(0, index, 1);
                    sum.clone() / column_norms(sum) * own
                }
            });
        }
        let whole = Tensor::cat(parts, 0);
        match self.magnitude {
            Some(Magnitude::Rows(id)) => whole * pass.get::<2>(id),
            _ => whole,
        }
    }
}

/// `[O, I]` → `[1, I]`.
fn column_norms(weight: Tensor<2>) -> Tensor<2> {
    weight.square().sum_dim(0).clamp_min(LEAST_SQUARE).sqrt()
}
