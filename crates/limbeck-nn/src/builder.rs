//! Makes parameters under nested names.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::{Init, ParameterId, Role, Store, store::Entry};

/// Adds named parameters to a store while a network or a method's module is put together.
pub struct Builder<'a> {
    store: &'a mut Store,
    path: String,
    /// `None` makes blanks.
    seed: Option<u64>,
    /// Factor of channel counts.
    width: f64,
    /// Whether optimisers change what is made.
    trained: bool,
}

/// Channels of a network at another width are multiples of this, as in MobileNet.
const CHANNEL_STEP: usize = 8;

impl<'a> Builder<'a> {
    /// Starts at the root of `store`; `seed` decides what is drawn.
    pub fn new(store: &'a mut Store, seed: u64) -> Self {
        Self {
            store,
            path: String::new(),
            seed: Some(seed),
            width: 1.0,
            trained: true,
        }
    }

    /// Starts at the root of `store` and draws nothing: every parameter is a single zero seen
    /// through its shape, which takes no memory. For networks of which shapes alone are asked.
    pub fn blank(store: &'a mut Store) -> Self {
        Self {
            store,
            path: String::new(),
            seed: None,
            width: 1.0,
            trained: true,
        }
    }

    /// A builder one level deeper: its names begin with `name` and a dot. Several levels at once
    /// may be given, such as `layer1.0`.
    pub fn sub(&mut self, name: impl std::fmt::Display) -> Builder<'_> {
        Builder {
            path: self.full_name(&name.to_string()),
            store: self.store,
            seed: self.seed,
            width: self.width,
            trained: self.trained,
        }
    }

    /// A builder at this same level, for handing on.
    pub fn sub_self(&mut self) -> Builder<'_> {
        Builder {
            path: self.path.clone(),
            store: self.store,
            seed: self.seed,
            width: self.width,
            trained: self.trained,
        }
    }

    /// A builder at this same level whose parameters no optimiser changes: they stay what they were drawn
    /// as, and are kept as statistics are.
    pub fn untrained(&mut self) -> Builder<'_> {
        Builder {
            trained: false,
            ..self.sub_self()
        }
    }

    /// A builder at this same level for a network whose channel counts are `width` times the
    /// published ones: see [`Builder::channels`].
    pub fn at_width(&mut self, width: f64) -> Builder<'_> {
        Builder {
            width,
            ..self.sub_self()
        }
    }

    /// Factor of channel counts, 1 for networks as published.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Channels at the builder's width of what has `published` of them. At a width other than 1 the
    /// nearest multiple of 8, at least 8 and never below nine tenths of the product (Sandler et al.
    /// 2018, `_make_divisible` of its code).
    pub fn channels(&self, published: usize) -> usize {
        if self.width == 1.0 {
            return published;
        }
        let wanted = published as f64 * self.width;
        let step = CHANNEL_STEP as f64;
        let nearest = ((wanted / step).round() * step).max(step);
        let channels = match nearest < 0.9 * wanted {
            true => nearest + step,
            false => nearest,
        };
        channels as usize
    }

    /// What is drawn from; 0 where nothing is drawn.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or_default()
    }

    /// Where tensors are made.
    pub fn device(&self) -> Device {
        self.store.device().clone()
    }

    /// Element type of the tensors.
    pub fn dtype(&self) -> DType {
        self.store.dtype()
    }

    /// Draws a parameter of `shape` from `init` and adds it as `name` at this level.
    pub fn parameter(
        &mut self,
        name: &str,
        shape: &[usize],
        role: Role,
        init: Init,
    ) -> ParameterId {
        let name = self.full_name(name);
        let count = shape.iter().product();
        let options = (&self.device(), self.dtype());
        let value = match self.seed {
            Some(seed) => {
                let values = init.draw(seed, &name, count);
                Tensor::from_data(TensorData::new(values, [count]), options)
            }
            None => Tensor::<1>::zeros([1], options).expand([count]),
        };
        let role = match self.trained || !role.is_trained() {
            true => role,
            false => Role::Statistic,
        };
        self.store.add(Entry {
            name,
            shape: shape.to_vec(),
            role,
            value,
        })
    }

    /// Adds `shift` of its place to each number of `parameter`, where numbers are drawn.
    pub(crate) fn shift(&mut self, parameter: ParameterId, shift: impl Fn(usize) -> f64) {
        if self.seed.is_none() {
            return;
        }
        let values = self.store.entry(parameter).value.to_data();
        let values = values.iter::<f64>().enumerate();
        let values = values.map(|(place, value)| value + shift(place)).collect();
        self.store.set_values(parameter, values);
    }

    /// Adds a parameter with the numbers `values`, row-major, as `name` at this level.
    pub(crate) fn given(
        &mut self,
        name: &str,
        shape: &[usize],
        role: Role,
        values: Vec<f64>,
    ) -> ParameterId {
        let name = self.full_name(name);
        let count = values.len();
        let options = (&self.device(), self.dtype());
        self.store.add(Entry {
            name,
            shape: shape.to_vec(),
            role,
            value: Tensor::from_data(TensorData::new(values, [count]), options),
        })
    }

    /// Declares that the batch norm whose scale is `norm` reads nothing but the output of the
    /// convolution whose weight is `convolution`, and that nothing else reads that output: frozen
    /// networks may then fold the norm into the convolution.
    /// `epsilon` is what the norm adds to the variance.
    pub fn foldable(&mut self, convolution: ParameterId, norm: ParameterId, epsilon: f64) {
        self.store.add_foldable(convolution, norm, epsilon);
    }

    fn full_name(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}
