//! # wtakd — Knowledge Distillation via Weighted Ensemble of Teaching Assistants
//!
//! A large teacher teaches several assistants of sizes between its own and the student's. Their
//! predictions are averaged, with weights that differential evolution finds on images held out
//! from all of them, and the student learns from that average. Its relatives are here too: the
//! chain of assistants (TAKD) and the dense one (DGKD).
//!
//! ## Definition
//! L = (1 − kd_weight) · CE(z, y) + kd_weight · T² · mean_b KL(q ‖ softmax(z/T))
//!
//! z: logits of the network that learns, T: `temperature`, q the target, a constant.
//! `form = "weighted"`: each assistant m learns with q = softmax(u/T) of the teacher's logits u;
//! then the student with q = Σ_m w_m softmax(z_m/T), or softmax(Σ_m w_m z_m/T) with
//! `average = "logits"`. w minimises on the held-out images the error of argmax Σ_m w_m p_m, or
//! −mean log(Σ_m w_m p_m,y + 1e-12), p_m = softmax(z_m), w ≥ 0, Σ w = 1.
//! `form = "chain"`: the first assistant learns from the teacher, each next one from the one
//! before, the student from the last.
//! `form = "dense"`: each network learns from the teacher and all assistants before it, with the
//! sum of the divergences from each of them; at each step, `drop_num` of them chosen at random are
//! left out, but never the last one left.
//!
//! Differential evolution: `population` weights, uniform in [0, 1]; in each generation for every
//! i a mutant w_a + F·(w_b − w_c), cut to [0, 1], with different a, b, c ≠ i; each number of it is
//! taken with probability `crossover`, one in any case, the others stay those of i; the trials
//! that are not worse take their places together. It ends after `generations`, or when the
//! objectives spread less than 1e-7 of their mean. The first best is divided by its sum.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]`, logits `[B, K]` of teacher, assistants and student, labels `[B]`.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `form` | `weighted` | `weighted`, `chain`, `dense` | WETA, TAKD, DGKD |
//! | `assistants` | none | names of the zoo joined by `+`, the largest first | none is two networks like the student, our choice |
//! | `assistant_epochs` | none | ≥ 1 | none is as many as the recipe's, our choice |
//! | `temperature` | 5 | > 0 | DGKD's code; TAKD searches 1 to 20 |
//! | `kd_weight` | 0.9 | 0 to 1 | our choice within TAKD's 0.05 to 1; DGKD's code 1 |
//! | `kl_reduction` | `batchmean` | `batchmean`, `mean` | definition; the codes of TAKD and DGKD average over classes too |
//! | `drop_num` | 1 | | DGKD's code |
//! | `average` | `probabilities` | `probabilities`, `logits` | our reading of WETA |
//! | `objective` | `error` | `error`, `nll` | our reading of WETA |
//! | `held_out` | 0.1 | > 0, < 1 | our choice: share of each class's training images |
//! | `strategy` | `rand1bin` | `rand1bin`, `best1bin` | Storn and Price; `best1bin` mutates the best with F drawn from [0.5, 1], as SciPy does |
//! | `population` | none | ≥ 4 | none is 15 for each assistant, at least 8, as SciPy |
//! | `generations` | 1000 | | SciPy |
//! | `mutation` | 0.8 | > 0, ≤ 2 | F of Storn and Price |
//! | `crossover` | 0.7 | 0 to 1 | SciPy |
//! | `seed_unit_vectors` | true | | ours: each assistant alone is in the first population, so that the ensemble is no worse |
//!
//! ## Notes
//! Only WETA's abstract could be read; what it leaves open is our reading. Tutorials choose the
//! weights by the test part; here they are chosen by images of the training part that no network
//! of the run is trained on, and nothing is held out where there is no choice: with one assistant,
//! w = [1] and this is TAKD. With `kl_reduction = "mean"` the divergence weighs K times less.
//! Assistants are trained one after the other, each in a stage of its own under the whole schedule
//! of the recipe, and go on from their best epoch. They judge in evaluation mode. Cost: a
//! distillation run for each assistant; M forward passes for each batch of the student;
//! population × generations averages over the held-out images, seconds for some thousand images.
//!
//! ## Reference
//! Ganta, Das Gupta, Sheng. "Knowledge Distillation via Weighted Ensemble of Teaching Assistants".
//! 2022. <https://arxiv.org/abs/2206.12005>
//! TAKD: Mirzadeh et al. "Improved Knowledge Distillation via Teacher Assistant". AAAI 2020.
//! <https://github.com/imirzadeh/Teacher-Assistant-Knowledge-Distillation> (0f8168f4e722).
//! DGKD: Son et al. "Densely Guided Knowledge Distillation Using Multiple Teacher Assistants".
//! ICCV 2021. <https://github.com/wonchulSon/DGKD> (2599350ebe8c).

mod evolution;
#[cfg(test)]
pub mod golden;
mod settings;

use burn::tensor::{
    Tensor, TensorData,
    activation::{log_softmax, softmax},
};
use limbeck_nn::Taps;

use crate::{
    Act, Cast, Interlude, MethodError, Probe, Procedure, STUDENT, Scene, Stage, State, Term,
    criterion::require_teacher, member_seed,
};

use evolution::Search;
pub use evolution::{EnsembleObjective, EvolutionStrategy, HeldOutPredictions};
pub use settings::{AssistantAverage, AssistantForm, KlReduction, WtakdConfig};

/// Assistants between teacher and student.
#[derive(Clone, Debug)]
pub struct Wtakd {
    config: WtakdConfig,
    /// Names in the cast, in the order in which they are trained.
    assistants: Vec<String>,
    search: Search,
    /// Shares of the assistants in the student's target, `[M]`; equal until they are found.
    weights: Tensor<1>,
}

/// Name of the weights in checkpoints.
const WEIGHTS: &str = "weights";

impl Wtakd {
    const ID: &'static str = "wtakd";

    /// Adds the assistants `assistant1`, `assistant2`, … to the cast.
    ///
    /// # Errors
    /// A setting out of range, no teacher, or an assistant that is not in the zoo or does not take
    /// the images.
    pub fn new(config: WtakdConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        require_teacher(Self::ID, probe)?;
        config.check()?;
        let student = cast.network(STUDENT)?.name().to_owned();
        let names = match &config.assistants {
            Some(names) => names.clone(),
            None => format!("{student}+{student}"),
        };
        let mut assistants = Vec::new();
        for (index, model) in (1..).zip(names.split('+')) {
            let name = format!("assistant{index}");
            cast.add_model(&name, model.trim(), member_seed(probe.seed, index))?;
            assistants.push(name);
        }
        let search = Search {
            objective: config.objective,
            strategy: config.strategy,
            population: config.population.unwrap_or((15 * assistants.len()).max(8)),
            generations: config.generations,
            mutation: config.mutation,
            crossover: config.crossover,
            seed_unit_vectors: config.seed_unit_vectors,
            seed: probe.seed,
        };
        let count = assistants.len();
        Ok(Self {
            config,
            weights: constants(vec![1.0 / count as f64; count], cast),
            assistants,
            search,
        })
    }

    /// The average of the assistants: from their logits, each `[B, K]`, and their shares `[M]`,
    /// which sum to one, a distribution for each image, `[B, K]`.
    ///
    /// # Errors
    /// No assistant, or another number of shares.
    pub fn average(
        &self,
        logits: &[Tensor<2>],
        weights: &Tensor<1>,
    ) -> Result<Tensor<2>, MethodError> {
        let [count] = weights.dims();
        if logits.is_empty() || logits.len() != count {
            return Err(MethodError::Batch {
                method: Self::ID,
                reason: format!(
                    "needs a weight for each of one assistant or more, found {} and {count}",
                    logits.len()
                ),
            });
        }
        let averages_logits = self.config.average == AssistantAverage::Logits;
        let parts = logits.iter().enumerate().map(|(index, logits)| {
            let part = match averages_logits {
                true => logits.clone().inner(),
                false => self.soften(logits),
            };
            part * weights.clone().narrow(0, index, 1).reshape([1, 1])
        });
        let sum = parts
            .reduce(|sum, part| sum + part)
            .unwrap_or_else(|| self.soften(&logits[0]));
        Ok(match averages_logits {
            true => self.soften(&sum),
            false => sum,
        })
    }

    /// Softened distributions of logits `[B, K]`, constants.
    pub fn soften(&self, logits: &Tensor<2>) -> Tensor<2> {
        let logits = logits.clone().inner();
        softmax(logits.mul_scalar(1.0 / self.config.temperature), 1)
    }

    /// Divergence of the softened distributions of `logits` `[B, K]` from `target` `[B, K]`, rows
    /// of which sum to one: `[1]`, before T² and its weight.
    pub fn divergence(&self, logits: &Tensor<2>, target: Tensor<2>) -> Tensor<1> {
        let [batch, classes] = logits.dims();
        let own = log_softmax(logits.clone().mul_scalar(1.0 / self.config.temperature), 1);
        // A probability of zero weighs nothing, whatever stands in for its logarithm.
        let logarithm = target.clone().clamp_min(f64::from(f32::MIN_POSITIVE)).log();
        let count = match self.config.kl_reduction {
            KlReduction::BatchMean => batch,
            KlReduction::Mean => batch * classes,
        };
        let sum = (target * (logarithm - own)).sum();
        sum.mul_scalar(1.0 / count as f64)
    }

    /// The divergence's factor in the loss, T² included.
    pub fn factor(&self) -> f64 {
        self.config.kd_weight * self.config.temperature * self.config.temperature
    }

    /// The network that stage `stage` trains: the assistants in order, then the student.
    fn learner(&self, stage: usize) -> &str {
        self.assistants.get(stage).map_or(STUDENT, String::as_str)
    }

    /// The assistants that the network of stage `stage` learns from, and whether the teacher is
    /// one of its sources.
    fn sources(&self, stage: usize) -> (bool, &[String]) {
        let before = &self.assistants[..stage];
        match self.config.form {
            AssistantForm::Weighted if stage < self.assistants.len() => (true, &[]),
            AssistantForm::Weighted => (false, before),
            AssistantForm::Chain => (before.is_empty(), &before[stage.saturating_sub(1)..]),
            AssistantForm::Dense => (true, before),
        }
    }

    /// Whether weights are to be found.
    fn chooses(&self) -> bool {
        self.config.form == AssistantForm::Weighted && self.assistants.len() > 1
    }

    /// Finds the weights by what the assistants predict for the held-out images.
    fn choose(&self, interlude: &Interlude<'_>) -> Result<Tensor<1>, MethodError> {
        let cast = &*interlude.cast;
        if !self.chooses() {
            return Ok(constants(vec![1.0], cast));
        }
        let mut probabilities = vec![Vec::new(); self.assistants.len()];
        let mut labels: Vec<i64> = Vec::new();
        if let Some(held_out) = interlude.held_out {
            let networks = self.assistants.iter().map(|name| cast.network(name));
            let networks = networks.collect::<Result<Vec<_>, _>>()?;
            held_out.look(&mut |batch| {
                let (classes, _) = batch.target.classes(Self::ID)?;
                labels.extend(classes.to_data().iter::<i64>());
                for (network, list) in networks.iter().zip(&mut probabilities) {
                    let logits = network
                        .evaluate(batch.images.clone(), &Taps::none())
                        .logits();
                    list.extend(softmax(logits, 1).into_data().iter::<f64>());
                }
                Ok(())
            })?;
        }
        let predictions = HeldOutPredictions::new(&probabilities, &labels)?;
        Ok(constants(self.search.run(&predictions), cast))
    }

    /// The divergences from all sources of the stage's network, those left out aside.
    fn divergences(
        &self,
        stage: usize,
        logits: &Tensor<2>,
        scene: &mut Scene<'_>,
    ) -> Result<Tensor<1>, MethodError> {
        let images = scene.batch().images.clone();
        let (teacher, assistants) = self.sources(stage);
        let mut sources = Vec::new();
        if teacher {
            sources.push(None);
        }
        sources.extend(assistants.iter().map(Some));
        if self.config.form == AssistantForm::Dense {
            let mut random = scene.stream();
            for _ in 0..self.config.drop_num.min(sources.len() - 1) {
                sources.remove(random.below(sources.len()));
            }
        }
        let mut given = Vec::new();
        for source in sources {
            given.push(match source {
                None => scene.teacher_of_batch(Self::ID, &Taps::none())?,
                Some(name) => scene.evaluate(name, images.clone(), &Taps::none())?,
            });
        }
        let given: Vec<Tensor<2>> = given.into_iter().map(|outputs| outputs.logits()).collect();
        let averages = self.config.form == AssistantForm::Weighted && !teacher;
        if averages {
            return Ok(self.divergence(logits, self.average(&given, &self.weights)?));
        }
        let each = given
            .iter()
            .map(|source| self.divergence(logits, self.soften(source)));
        each.reduce(|sum, part| sum + part)
            .ok_or_else(|| MethodError::Batch {
                method: Self::ID,
                reason: "has nobody to learn from".to_owned(),
            })
    }
}

/// Numbers on the cast's device, in its element type.
fn constants(numbers: Vec<f64>, cast: &Cast) -> Tensor<1> {
    let count = numbers.len();
    let options = (cast.device(), cast.dtype());
    Tensor::from_data(TensorData::new(numbers, [count]), options)
}

impl Procedure for Wtakd {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let assistant_epochs = self.config.assistant_epochs.unwrap_or(epochs);
        let mut stages: Vec<Stage> = self
            .assistants
            .iter()
            .map(|name| {
                let acts = vec![Act::training([name.as_str()])];
                Stage {
                    student: name.clone(),
                    keeps_best: true,
                    ..Stage::new(name, assistant_epochs, acts)
                }
            })
            .collect();
        stages.push(Stage::new(STUDENT, epochs, vec![Act::training([STUDENT])]));
        stages
    }

    fn play(
        &mut self,
        stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let images = scene.batch().images.clone();
        let learner = self.learner(stage).to_owned();
        let outputs = scene.train(&learner, images, &Taps::none())?;
        let divergence = self.divergences(stage, &outputs.logits(), scene)?;
        let mut terms = scene.supervise(&outputs, 1.0 - self.config.kd_weight)?;
        terms.push(Term::new("kd", divergence, self.factor()));
        Ok(terms)
    }

    fn begin_stage(
        &mut self,
        stage: usize,
        interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        if stage == self.assistants.len() && self.config.form == AssistantForm::Weighted {
            self.weights = self.choose(interlude)?;
        }
        Ok(())
    }

    fn held_out(&self) -> f64 {
        match self.chooses() {
            true => self.config.held_out,
            false => 0.0,
        }
    }

    fn state(&self) -> State {
        let shape = vec![self.assistants.len()];
        [(WEIGHTS.to_owned(), (shape, self.weights.clone()))].into()
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let found: Vec<String> = state
            .iter()
            .map(|(name, (shape, _))| format!("{name} {shape:?}"))
            .collect();
        let expected = vec![self.assistants.len()];
        match state.remove(WEIGHTS) {
            Some((shape, weights)) if shape == expected && state.is_empty() => {
                self.weights = weights;
                Ok(())
            }
            _ => Err(MethodError::State {
                method: Self::ID,
                reason: format!(
                    "expected {WEIGHTS} {expected:?}, found {}",
                    found.join(", ")
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
