//! A moving average of the weights.

use limbeck_kernels::moving_average;
use limbeck_nn::{Role, Store};

/// The exponential moving average of a network's numbers: after each step,
/// average ← decay · average + (1 − decay) · weight, for weights and batch-norm statistics alike;
/// counters are copied. The first update copies everything, so that the draw a run starts from
/// leaves no trace. (PyTorch's `AveragedModel` with `get_ema_multi_avg_fn` and `use_buffers`.)
#[derive(Clone, Debug)]
pub struct WeightAverage {
    decay: f64,
    /// τ of the decay's rise.
    ramp: Option<f64>,
    updates: u64,
    store: Store,
}

impl WeightAverage {
    /// An average of numbers laid out as in `store`; `decay` in 0..1, such as 0.999, which rises over
    /// `ramp` updates as `train.average_ramp` says.
    pub fn new(decay: f64, ramp: Option<f64>, store: &Store) -> Self {
        Self::resume(decay, ramp, store.clone(), 0)
    }

    /// An average that goes on from `store` after `updates` updates.
    pub fn resume(decay: f64, ramp: Option<f64>, store: Store, updates: u64) -> Self {
        Self {
            decay,
            ramp,
            updates,
            store,
        }
    }

    /// The same average at another place of its run.
    pub fn resumed(&self, store: Store, updates: u64) -> Self {
        Self::resume(self.decay, self.ramp, store, updates)
    }

    /// Takes in the numbers of `store`, a later state of the one that this average was made for.
    pub fn update(&mut self, store: &Store) {
        if self.updates == 0 {
            self.store = store.clone();
        } else {
            let decay = self.decay();
            for id in store.ids() {
                let entry = store.entry(id);
                let value = entry.value.clone();
                if matches!(entry.role, Role::Counter | Role::Constant) {
                    self.store.set(id, value);
                    continue;
                }
                let average = self.store.take(id);
                let average = moving_average(average, value, decay);
                self.store.set_taken(id, average);
            }
        }
        self.updates += 1;
    }

    /// Share of the old average that is kept at the next update.
    pub fn decay(&self) -> f64 {
        // Counted from 1, as YOLOv5's `ModelEMA` does.
        let update = (self.updates + 1) as f64;
        self.ramp.map_or(self.decay, |ramp| {
            self.decay * (1.0 - (-update / ramp).exp())
        })
    }

    /// The averaged numbers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Number of updates so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device};
    use limbeck_nn::{Builder, Init};

    use super::*;

    fn store() -> Store {
        let mut store = Store::new(&Device::flex(), DType::F64);
        let mut builder = Builder::new(&mut store, 0);
        builder.parameter("weight", &[2], Role::Weight, Init::Constant(0.0));
        builder.parameter("mean", &[1], Role::Statistic, Init::Constant(0.0));
        builder.parameter("seen", &[], Role::Counter, Init::Constant(0.0));
        store
    }

    fn fill(store: &mut Store, weight: f64, mean: f64, seen: f64) {
        let values = [vec![weight, -weight], vec![mean], vec![seen]];
        for (id, values) in store.ids().collect::<Vec<_>>().into_iter().zip(values) {
            store.set_values(id, values);
        }
    }

    fn values(store: &Store) -> Vec<f64> {
        store
            .entries()
            .iter()
            .flat_map(|entry| entry.value.to_data().iter::<f64>().collect::<Vec<_>>())
            .collect()
    }

    #[test]
    fn weights_and_statistics_are_averaged_and_counters_copied() {
        let mut numbers = store();
        let mut average = WeightAverage::new(0.75, None, &numbers);
        fill(&mut numbers, 8.0, 4.0, 1.0);
        average.update(&numbers);
        assert_eq!(values(average.store()), [8.0, -8.0, 4.0, 1.0]);
        fill(&mut numbers, 16.0, 0.0, 2.0);
        average.update(&numbers);
        // 0.75 · 8 + 0.25 · 16 and 0.75 · 4 + 0.25 · 0.
        assert_eq!(values(average.store()), [10.0, -10.0, 3.0, 2.0]);
        assert_eq!(average.updates(), 2);
    }

    #[test]
    fn the_averaged_network_is_not_changed_by_its_average() {
        let mut numbers = store();
        fill(&mut numbers, 1.0, 1.0, 1.0);
        let mut average = WeightAverage::new(0.5, None, &numbers);
        average.update(&numbers);
        average.update(&numbers);
        fill(&mut numbers, 3.0, 1.0, 1.0);
        average.update(&numbers);
        assert_eq!(values(&numbers), [3.0, -3.0, 1.0, 1.0]);
        assert_eq!(values(average.store()), [2.0, -2.0, 1.0, 1.0]);
    }

    #[test]
    fn an_average_that_was_interrupted_goes_on_with_the_same_bits() {
        let mut numbers = store();
        let mut through = WeightAverage::new(0.9, None, &numbers);
        for step in 0..3 {
            fill(&mut numbers, 0.1 + f64::from(step), 0.3, 1.0);
            through.update(&numbers);
        }
        let mut resumed =
            WeightAverage::resume(0.9, None, through.store().clone(), through.updates());
        fill(&mut numbers, 7.7, 0.1, 2.0);
        through.update(&numbers);
        resumed.update(&numbers);
        assert_eq!(values(through.store()), values(resumed.store()));
    }

    #[test]
    fn the_decay_rises_with_the_updates() {
        let mut numbers = store();
        let mut average = WeightAverage::new(0.9999, Some(2_000.0), &numbers);
        for update in 1..=3 {
            let expected = 0.9999 * (1.0 - (-f64::from(update) / 2_000.0).exp());
            assert!((average.decay() - expected).abs() < 1e-15);
            fill(&mut numbers, f64::from(update), 0.0, 1.0);
            average.update(&numbers);
        }
    }
}
