//! # dsr — Distillation with Shape-wise Regularization
//!
//! Sorted by size, the logits of any image should form a similar curve, whatever the class: the
//! sorted logits of the previous batch teach those of the current one. No teacher is read.
//!
//! ## Definition
//! L = CE(z, y) + weight · T²/B · Σ_b KL(softmax(p_b/T) ‖ softmax(s_b/T))
//!
//! s: student logits z, each row sorted from small to large; p: s of the batch before (detached),
//! row against row, so arbitrary images meet; T: `temperature`. Zero in the first step of each
//! epoch.
//!
//! ## Inputs and shapes
//! Student logits `[B, K]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `temperature` | 4 | > 0 | authors' code |
//! | `weight` | 1 | ≥ 0 | same |
//!
//! ## Notes
//! The second half of LightSKD; `drg+dsr` joins both. The released script stores the batch only
//! when drg is on, a slip: the two are independent here. Where a batch has another size than the
//! one before, as at the end of an epoch, the term is zero. Cost: sorting B·K numbers and keeping
//! as many.
//!
//! ## Reference
//! Wang, Han, Guo. "Lightweight Self-Knowledge Distillation with Multi-source Information
//! Fusion". 2023. <https://arxiv.org/abs/2305.09183>
//! Authors' code: <https://github.com/xucong-parsifal/LightSKD> (b3a3bf995b19, no licence file).

#[cfg(test)]
pub mod golden;

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_nn::{Builder, Largest, Pass};
use serde::{Deserialize, Serialize};

use crate::{
    Criterion, MethodError, Needs, Probe, State, Step, Term,
    criterion::{require_positive, require_weight},
    softmax::softened_kl,
};

/// Settings of [`Dsr`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DsrConfig {
    /// Softens both distributions.
    pub temperature: f64,
    /// Factor of the divergence from the previous batch.
    pub weight: f64,
}

impl Default for DsrConfig {
    fn default() -> Self {
        Self {
            temperature: 4.0,
            weight: 1.0,
        }
    }
}

/// The shape of sorted logits, from batch to batch.
#[derive(Debug)]
pub struct Dsr {
    config: DsrConfig,
    classes: usize,
    /// Sorted logits `[B, K]` of the batch before.
    previous: Option<Tensor<2>>,
}

impl Dsr {
    const ID: &'static str = "dsr";
    const PREVIOUS: &'static str = "previous_sorted";

    /// Checks the settings.
    ///
    /// # Errors
    /// A temperature that is not positive or a negative weight.
    pub fn new(
        config: DsrConfig,
        probe: &Probe,
        _builder: &mut Builder<'_>,
    ) -> Result<Self, MethodError> {
        require_positive(Self::ID, "temperature", config.temperature)?;
        require_weight(Self::ID, "weight", config.weight)?;
        Ok(Self {
            config,
            classes: probe.classes,
            previous: None,
        })
    }
}

impl Criterion for Dsr {
    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn terms(&mut self, step: &Step<'_>, _pass: &mut Pass<'_>) -> Result<Vec<Term>, MethodError> {
        let sorted = sorted(step.student.logits());
        let previous = self.previous.replace(sorted.clone().inner());
        let value = match previous {
            Some(previous) if previous.dims() == sorted.dims() => {
                softened_kl(sorted, previous, self.config.temperature)
            }
            _ => Tensor::zeros([1], (&sorted.device(), sorted.dtype())),
        };
        Ok(vec![Term::new("dsr", value, self.config.weight)])
    }

    fn start_epoch(&mut self) {
        self.previous = None;
    }

    fn state(&self) -> State {
        let previous = self.previous.iter().map(|previous| {
            let [batch, classes] = previous.dims();
            let flat = previous.clone().reshape([batch * classes]);
            (Self::PREVIOUS.to_owned(), (vec![batch, classes], flat))
        });
        previous.collect()
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let refuse = |reason| {
            Err(MethodError::State {
                method: Self::ID,
                reason,
            })
        };
        self.previous = None;
        if let Some((shape, flat)) = state.remove(Self::PREVIOUS) {
            match shape.as_slice() {
                &[batch, classes] if classes == self.classes => {
                    self.previous = Some(flat.reshape([batch, classes]));
                }
                _ => {
                    return refuse(format!(
                        "`{}` is {shape:?}, expected [images, {}]",
                        Self::PREVIOUS,
                        self.classes
                    ));
                }
            }
        }
        match state.keys().next() {
            Some(name) => refuse(format!("it has no place for `{name}`")),
            None => Ok(()),
        }
    }
}

/// Each row of `logits` `[B, K]` from small to large.
fn sorted(logits: Tensor<2>) -> Tensor<2> {
    let [batch, classes] = logits.dims();
    let data = logits.clone().inner().into_data();
    let mut order: Vec<i64> = Vec::with_capacity(batch * classes);
    if let Ok(numbers) = data.as_slice::<f32>() {
        let mut largest = Largest::default();
        for row in numbers.chunks_exact(classes) {
            let places = largest.find(row, classes).iter().rev();
            order.extend(places.map(|&(class, _)| i64::from(class)));
        }
    }
    // Other element types, and rows with numbers that are none.
    if order.len() != batch * classes {
        return logits.sort(1);
    }
    let order = TensorData::new(order, [batch, classes]);
    let order: Tensor<2, Int> = Tensor::from_data(order, &logits.device());
    logits.gather(1, order)
}

#[cfg(test)]
mod tests {
    use burn::tensor::DType;
    use limbeck_nn::{Outputs, Store};

    use super::*;
    use crate::testing::{
        assert_close, build, gradient, leaf, number, probe, random, tensor, terms,
    };

    fn make() -> (Dsr, Store) {
        let mut probe = probe(&[], &[]);
        probe.teacher = None;
        build(&probe, |p, b| Dsr::new(DsrConfig::default(), p, b)).unwrap()
    }

    fn step(method: &mut Dsr, store: &Store, logits: &Tensor<2>) -> Tensor<1> {
        let outputs = Outputs::from_logits(logits.clone());
        terms(method, store, &outputs, &outputs).remove(0).value
    }

    /// The term of the second of two steps.
    fn second(first: &Tensor<2>, second: &Tensor<2>) -> f64 {
        let (mut method, store) = make();
        step(&mut method, &store, first);
        number(&step(&mut method, &store, second))
    }

    fn classes_reordered(logits: &Tensor<2>) -> Tensor<2> {
        let order = Tensor::<1, Int>::from_data([3, 0, 4, 2, 1], &logits.device());
        logits.clone().select(1, order)
    }

    #[test]
    fn the_first_step_of_an_epoch_costs_nothing_and_has_no_gradient() {
        let (mut method, store) = make();
        let logits = leaf(random("z", [4, 5]));
        for _ in 0..2 {
            method.start_epoch();
            let value = step(&mut method, &store, &logits);
            assert_eq!(number(&value), 0.0);
            assert!(!value.is_tracked());
            assert!(number(&step(&mut method, &store, &random("y", [4, 5]))) > 1e-3);
        }
    }

    #[test]
    fn the_order_of_classes_and_shifts_do_not_matter() {
        let (first, last) = (random("a", [4, 5]), random("b", [4, 5]));
        let before = second(&first, &last);
        assert!(before > 1e-3);
        assert_close(&[second(&classes_reordered(&first), &last)], &[before]);
        assert_close(&[second(&first, &classes_reordered(&last))], &[before]);
        let shift = random("shift", [4, 1]);
        assert_close(&[second(&first, &(last + shift))], &[before]);
    }

    #[test]
    fn batches_with_the_same_sorted_rows_cost_nothing_even_with_ties_or_two_classes() {
        let logits = random("a", [4, 5]);
        assert_close(&[second(&logits, &classes_reordered(&logits))], &[0.0]);
        let ties = tensor(vec![1.0, 2.0, 1.0, 1.0, 1.0, 2.0], [2, 3]);
        assert_close(&[second(&ties, &ties.clone().flip([1]))], &[0.0]);
        assert!(second(&random("c", [2, 2]), &random("d", [2, 2])).is_finite());
    }

    #[test]
    fn single_precision_sorts_alike_and_passes_gradients_back() {
        let numbers = random::<2>("z", [4, 5]);
        let single = leaf(numbers.clone().cast(DType::F32));
        let found = sorted(single.clone());
        assert_close(
            &crate::testing::numbers(&found),
            &crate::testing::numbers(&single.clone().sort(1)),
        );
        let weights = random::<2>("w", [4, 5]).cast(DType::F32);
        let arrived = gradient(&single, &(found * weights.clone()).sum().backward()).unwrap();
        let expected = (single.clone().sort(1) * weights).sum().backward();
        assert_close(&arrived, &gradient(&single, &expected).unwrap());
        let none = tensor(vec![1.0, f64::NAN, 0.0], [1, 3]).cast(DType::F32);
        assert!(
            crate::testing::numbers(&sorted(none))
                .iter()
                .any(|number| number.is_nan())
        );
    }

    #[test]
    fn gradient_reaches_the_current_logits_alone_also_where_they_tie() {
        let (mut method, store) = make();
        let first = leaf(random("a", [1, 3]));
        let last = leaf(tensor(vec![1.0, 0.0, 1.0], [1, 3]));
        step(&mut method, &store, &first);
        let gradients = step(&mut method, &store, &last).backward();
        assert!(gradient(&first, &gradients).is_none());
        let arrived = gradient(&last, &gradients).unwrap();
        assert_close(&[arrived.iter().sum()], &[0.0]);
        assert!(arrived.iter().all(|g| g.is_finite() && *g != 0.0));
    }

    #[test]
    fn a_batch_of_another_size_is_skipped_and_remembered() {
        let (mut method, store) = make();
        step(&mut method, &store, &random("a", [4, 5]));
        assert_eq!(
            number(&step(&mut method, &store, &random("b", [3, 5]))),
            0.0
        );
        assert!(number(&step(&mut method, &store, &random("c", [3, 5]))) > 1e-3);
    }

    #[test]
    fn a_state_that_is_put_back_continues_and_a_foreign_one_is_refused() {
        let (mut method, store) = make();
        assert!(method.state().is_empty());
        step(&mut method, &store, &random("a", [4, 5]));
        let (mut resumed, _) = make();
        resumed.load_state(method.state()).unwrap();
        let next = random("b", [4, 5]);
        let expected = number(&step(&mut method, &store, &next));
        assert_eq!(number(&step(&mut resumed, &store, &next)), expected);
        for (name, shape) in [("previous_sorted", vec![5, 4]), ("other", vec![4, 5])] {
            let foreign = [(name.to_owned(), (shape, random("x", [20])))];
            let error = make().0.load_state(foreign.into()).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for (temperature, weight, key) in [(-1.0, 1.0, "temperature"), (4.0, -1.0, "weight")] {
            let config = DsrConfig {
                temperature,
                weight,
            };
            let error = build(&probe(&[], &[]), |p, b| Dsr::new(config, p, b)).unwrap_err();
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
