//! Units of a network that are computed again in the backward pass.
//!
//! A network is for the most part one unit many times over: a residual block, a transformer block, a
//! stage of convolutions. Where a store says so ([`Store::recompute_units`]), a training pass keeps of
//! each unit its input alone, and the backward pass runs it once more. All bits are those of a pass that
//! keeps everything: the second run reads the same numbers, draws the same and sees the same statistics,
//! and what it would change in these has been noted by the first.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::Tensor;
use limbeck_kernels::{apart, recomputed};

use super::Pass;
use crate::{ParameterId, Store};

impl Pass<'_> {
    /// Runs a unit that the network consists of on `x`, of any shape. It reads `x` and the pass alone.
    ///
    /// A unit inside of which a tap is recorded is kept whole.
    pub fn unit<const D: usize, const E: usize>(
        &mut self,
        x: Tensor<D>,
        run: impl Fn(&mut Pass<'_>, Tensor<D>) -> Tensor<E> + Send + Sync + 'static,
    ) -> Tensor<E> {
        self.units += 1;
        if !self.is_training() {
            return run(self, x);
        }
        let run = Arc::new(run);
        if self.store.recomputes_units
            && let Some(output) = self.forgetting(&x, &run)
        {
            return output;
        }
        run(self, apart(x))
    }

    /// How many units have run so far.
    pub(crate) fn units(&self) -> usize {
        self.units
    }

    /// Notes that the parameter behind `id` is read.
    pub(crate) fn note_read(&self, id: ParameterId) {
        if let Some(reads) = &self.reads {
            reads.borrow_mut().insert(id);
        }
    }

    /// The unit without what it computes inside; `None`, and nothing changed, where it has to be kept.
    fn forgetting<const D: usize, const E: usize>(
        &mut self,
        x: &Tensor<D>,
        run: &Arc<impl Fn(&mut Pass<'_>, Tensor<D>) -> Tensor<E> + Send + Sync + 'static>,
    ) -> Option<Tensor<E>> {
        let constants = self.constants()?;
        let mut inside = self.inside(&constants);
        inside.reads = Some(RefCell::default());
        let output = run(&mut inside, x.clone().inner());
        if !inside.features.is_empty() {
            return None;
        }
        let reads = inside.reads.take().map(RefCell::into_inner);
        let (ids, leaves) = self.leaves(reads.unwrap_or_default())?;
        let again = {
            let (constants, run) = (constants.clone(), run.clone());
            let (mode, taps, seed) = (self.mode, self.taps.clone(), self.seed);
            let (draws, updates) = (self.draws, self.updates.clone());
            let (keeps_branches, first) = (self.keeps_branches, self.first_convolution);
            move |x: Tensor<D>, leaves: Vec<Tensor<1>>| {
                let mut store = Store::clone(&constants);
                for (&id, leaf) in ids.iter().zip(leaves) {
                    store.set(id, leaf);
                }
                let mut pass = Pass::new(&store, mode, taps.clone(), seed);
                (pass.draws, pass.updates) = (draws, updates.clone());
                (pass.keeps_branches, pass.first_convolution) = (keeps_branches, first);
                run(&mut pass, x)
            }
        };
        let output = recomputed(x, &leaves, output, again)?;
        let Pass {
            draws,
            updates,
            first_convolution,
            fewest_normalised,
            ..
        } = inside;
        (self.draws, self.updates) = (draws, updates);
        (self.first_convolution, self.fewest_normalised) = (first_convolution, fewest_normalised);
        Some(output)
    }

    /// The store's numbers without their gradients; `None` where they record none, and so of a pass that
    /// nobody goes back through.
    fn constants(&mut self) -> Option<Arc<Store>> {
        if self.constants.is_none() && self.store.is_tracked() {
            self.constants = Some(Arc::new(self.store.constants()));
        }
        self.constants.clone()
    }

    /// This pass as it stands, over `constants`, with nothing recorded.
    fn inside<'b>(&self, constants: &'b Store) -> Pass<'b> {
        let mut inside = Pass::new(constants, self.mode, self.taps.clone(), self.seed);
        inside.draws = self.draws;
        inside.updates = self.updates.clone();
        inside.keeps_branches = self.keeps_branches;
        inside.first_convolution = self.first_convolution;
        inside.fewest_normalised = self.fewest_normalised;
        inside
    }

    /// Those of the parameters that record gradients; `None` where one of them is made of others.
    fn leaves(&self, reads: BTreeSet<ParameterId>) -> Option<(Vec<ParameterId>, Vec<Tensor<1>>)> {
        let value = |id: &ParameterId| self.store.entry(*id).value.clone();
        let read = reads.into_iter().map(|id| (id, value(&id)));
        let (ids, leaves): (Vec<ParameterId>, Vec<Tensor<1>>) =
            read.filter(|(_, value)| value.is_tracked()).unzip();
        let all = leaves.iter().all(Tensor::is_require_grad);
        all.then_some((ids, leaves))
    }
}
