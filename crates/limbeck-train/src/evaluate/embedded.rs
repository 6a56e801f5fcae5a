//! Images by their embeddings: how networks are measured that predict no classes.

use limbeck_data::{Augment, Part};
use limbeck_nn::Network;
use limbeck_report::{Details, Evaluation, Measure};

use crate::{
    TrainError,
    recipe::ProbeRecipe,
    represent::{
        Embed, Embeddings, Glimpse, NearestNeighbours, SPREAD, embeddings_by, embeddings_of,
        linear_accuracy, spread,
    },
    specimens::{drawn, various},
    sweep::{BATCH, Sweep},
};

/// Images whose neighbours are shown.
const SHOWN: usize = 8;
/// Neighbours that are shown of each.
const NEIGHBOURS: usize = 5;
/// Images that are mapped at the most.
const MAPPED: usize = 1_000;

/// Images to measure, and those of known classes among which their neighbours are looked for.
pub(super) struct EmbeddedSet {
    images: Sweep,
    bank: Sweep,
    neighbours: usize,
    /// Positions of the images whose neighbours are shown.
    shown: Vec<usize>,
    /// Positions of those that are mapped.
    mapped: Vec<usize>,
}

/// The images that are shown by their embeddings.
pub struct Specimens<'a> {
    /// The part that they are of.
    pub part: &'a Part,
    /// The images among which neighbours are looked for.
    pub bank: &'a Part,
    /// Positions in `part` of the images whose neighbours are shown.
    pub shown: &'a [usize],
    /// Positions in `part` of those that are mapped.
    pub mapped: &'a [usize],
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
            shown: various(&part, SHOWN),
            mapped: drawn(&part, MAPPED),
            images: Sweep::new(part, augment, BATCH, workers)?,
            bank: Sweep::new(bank, augment, BATCH, workers)?,
            neighbours: probe.neighbours,
        })
    }

    pub fn part(&self) -> &Part {
        self.images.part()
    }

    pub fn specimens(&self) -> Specimens<'_> {
        Specimens {
            part: self.images.part(),
            bank: self.bank.part(),
            shown: &self.shown,
            mapped: &self.mapped,
        }
    }

    /// Measures `network`, and with `glimpse` looks at what is shown of its embeddings.
    pub fn run(
        &self,
        network: &Network,
        glimpse: bool,
    ) -> Result<(Evaluation, Option<Glimpse>), TrainError> {
        self.judge(glimpse, &|sweep| embeddings_of(network, sweep))
    }

    /// The same of the teacher called `name`, which gives its outputs by `embed`.
    pub fn run_teacher(
        &self,
        name: &str,
        glimpse: bool,
        embed: &Embed<'_>,
    ) -> Result<(Evaluation, Option<Glimpse>), TrainError> {
        self.judge(glimpse, &|sweep| embeddings_by(name, sweep, embed))
    }

    fn judge(
        &self,
        glimpse: bool,
        embeddings: &dyn Fn(&Sweep) -> Result<Embeddings, TrainError>,
    ) -> Result<(Evaluation, Option<Glimpse>), TrainError> {
        let images = embeddings(&self.images)?;
        let mut measures = Vec::new();
        let bank = match glimpse || !images.labels.is_empty() {
            true => embeddings(&self.bank)?,
            false => Embeddings::default(),
        };
        if !images.labels.is_empty() {
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
            name: SPREAD.to_owned(),
            title: "spread of embeddings".to_owned(),
            meaning:
                "1 where all directions are taken alike, 0 where all images have one embedding"
                    .to_owned(),
            value: spread(&images),
            ..Measure::default()
        });
        let glimpse =
            glimpse.then(|| Glimpse::of(&images, &bank, &self.shown, &self.mapped, NEIGHBOURS));
        let evaluation = Evaluation {
            measures,
            per_class: Vec::new(),
            details: Details::None,
        };
        Ok((evaluation, glimpse))
    }
}
