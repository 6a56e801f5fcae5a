//! Images by their embeddings: how networks are measured that predict no classes.

use limbeck_data::{Augment, Part};
use limbeck_nn::Network;
use limbeck_report::{Details, Evaluation, Measure};

use crate::{
    TrainError,
    recipe::ProbeRecipe,
    represent::{
        Embed, Embeddings, NearestNeighbours, embeddings_by, embeddings_of, linear_accuracy, spread,
    },
    sweep::{BATCH, Sweep},
};

/// Images to measure, and those of known classes among which their neighbours are looked for.
pub(super) struct EmbeddedSet {
    images: Sweep,
    bank: Sweep,
    neighbours: usize,
}

impl EmbeddedSet {
    /// Measures on `part`; neighbours are looked for among the first images of `train`, as many as
    /// `probe` says, balanced over the classes.
    pub fn new(
        part: Part,
        train: &Part,
        augment: &Augment,
        probe: &ProbeRecipe,
        workers: usize,
    ) -> Result<Self, TrainError> {
        let bank = match train.len() > probe.bank {
            true => train.apart(probe.bank as f64 / train.len() as f64, 0)?.1,
            false => train.clone(),
        };
        Ok(Self {
            images: Sweep::new(part, augment, BATCH, workers)?,
            bank: Sweep::new(bank, augment, BATCH, workers)?,
            neighbours: probe.neighbours,
        })
    }

    pub fn part(&self) -> &Part {
        self.images.part()
    }

    pub fn run(&self, network: &Network) -> Result<Evaluation, TrainError> {
        self.judge(&|sweep| embeddings_of(network, sweep))
    }

    /// The same of the teacher called `name`, which gives its outputs by `embed`.
    pub fn run_teacher(&self, name: &str, embed: &Embed<'_>) -> Result<Evaluation, TrainError> {
        self.judge(&|sweep| embeddings_by(name, sweep, embed))
    }

    fn judge(
        &self,
        embeddings: &dyn Fn(&Sweep) -> Result<Embeddings, TrainError>,
    ) -> Result<Evaluation, TrainError> {
        let images = embeddings(&self.images)?;
        let mut measures = Vec::new();
        if !images.labels.is_empty() {
            let bank = embeddings(&self.bank)?;
            let classes = self.part().classes().len();
            let linear = linear_accuracy(&bank, &images, classes);
            let meaning = "a linear map of the frozen embedding gives the right class";
            let measure = Measure::percent("linear", "linear probe accuracy", meaning, linear);
            measures.push(measure.with_chance(100.0 / classes.max(1) as f64));
            let nearest = NearestNeighbours::new(&bank, classes, self.neighbours);
            if let Some(accuracy) = nearest.accuracy(&images) {
                let meaning = format!(
                    "{} nearest images of the training part vote for the class",
                    self.neighbours.min(bank.len())
                );
                let measure = Measure::percent("knn", "k-NN accuracy", &meaning, accuracy);
                measures.push(measure.with_chance(100.0 / classes.max(1) as f64));
            }
        }
        measures.push(Measure {
            name: "spread".to_owned(),
            title: "spread of embeddings".to_owned(),
            meaning:
                "1 where all directions are taken alike, 0 where all images have one embedding"
                    .to_owned(),
            value: spread(&images),
            ..Measure::default()
        });
        Ok(Evaluation {
            measures,
            per_class: Vec::new(),
            details: Details::None,
        })
    }
}
