//! All draws, all numbers of shots.

use std::collections::BTreeSet;
use std::path::PathBuf;

use burn::tensor::{DType, Device, Tensor, TensorData};
use limbeck_data::{Purpose, Stream};
use limbeck_methods::{Sgva, SgvaConfig, VisualProjection, fused_scores, prototypes, unit_rows};

use super::train::{Scores, Shots, train};
use super::{
    Draw, Drawing, Estimate, FeatureSet, FewshotError, FewshotResults, ShotsRow, TextVectors,
    read_projection,
};
use crate::represent::LinearProbe;

/// Blends that are tried where one is chosen: the authors' code.
const BLENDS: usize = 10;

/// Share of the shots that are held out to choose the blend by: one in so many, at least one.
const HELD_OUT: usize = 4;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Request {
    /// File of the features.
    pub features: PathBuf,
    /// File of their labels, where that is another one.
    pub labels: Option<PathBuf>,
    /// File of the features to test on; `None`: what is left of the features.
    pub test: Option<PathBuf>,
    /// File of their labels, where that is another one.
    pub test_labels: Option<PathBuf>,
    /// File of the text vectors.
    pub texts: PathBuf,
    /// Name of the array in it.
    pub texts_key: Option<String>,
    /// File of the image encoder's projection.
    pub projection: Option<PathBuf>,
    /// Images of each class, one experiment each.
    pub shots: Vec<usize>,
    /// Draws, or episodes.
    pub draws: usize,
    /// Classes of an episode; `None`: all classes in each draw.
    pub way: Option<usize>,
    /// Most images of each class to test on.
    pub queries: Option<usize>,
    /// What is drawn from.
    pub seed: u64,
    /// Settings of the method.
    pub settings: SgvaConfig,
}

/// Percent right of each classifier in one draw.
struct Found {
    zero_shot: f64,
    prototypes: f64,
    linear_probe: f64,
    sgva: f64,
    alpha: f64,
    lambda: f64,
    regularisation: f64,
}

/// Reads the files and carries out every draw; `step` is called after each with how many are done.
///
/// # Errors
/// Files or settings that cannot be used, found before the first draw; training that led nowhere.
pub fn run(request: &Request, mut step: impl FnMut(usize)) -> Result<FewshotResults, FewshotError> {
    let method = Sgva::new(request.settings.clone())?;
    let shots: BTreeSet<usize> = request.shots.iter().copied().collect();
    let (Some(&least), Some(&most)) = (shots.first(), shots.last()) else {
        return Err(FewshotError::Setting("--shots names no number".to_owned()));
    };
    for (key, number) in [
        ("--shots", least),
        ("--draws and --episodes", request.draws),
    ] {
        if number == 0 {
            return Err(FewshotError::Setting(format!(
                "{key} must be at least 1, found 0"
            )));
        }
    }
    let features = FeatureSet::read(&request.features, request.labels.as_deref())?;
    let texts = TextVectors::read(&request.texts, request.texts_key.as_deref())?;
    texts.check(&features)?;
    let test = match &request.test {
        Some(path) => Some(FeatureSet::read(path, request.test_labels.as_deref())?),
        None => None,
    };
    if let Some(test) = &test {
        texts.check(test)?;
    }
    let class_names = features.classes.clone().or_else(|| texts.classes.clone());
    let drawing = Drawing {
        features: &features,
        test: test.as_ref(),
        classes: texts.len(),
        class_names: class_names.as_deref(),
        most,
        way: request.way,
        queries: request.queries,
        seed: request.seed,
    };
    drawing.check()?;
    method.way(request.way.unwrap_or(texts.len()))?;
    let device = Device::flex();
    let projection = match &request.projection {
        Some(path) => Some(read_projection(path, features.width, &device, DType::F32)?),
        None => None,
    };
    let mut warnings = Vec::new();
    if let (Some(projection), Some(path)) = (&projection, &request.projection) {
        let (rank, width) = (projection.rank(), projection.width());
        if rank < width {
            warnings.push(format!(
                "`{}` has rank {rank} of {width}: part of the features is lost where it is undone",
                path.display()
            ));
        }
    }
    let bench = Bench {
        method: &method,
        drawing: &drawing,
        texts: &texts,
        projection: projection.as_ref(),
        device,
    };
    let mut found: Vec<Vec<Found>> = shots.iter().map(|_| Vec::new()).collect();
    let mut test_images = usize::MAX;
    for number in 0..request.draws {
        let draw = drawing.draw(number as u64);
        test_images = test_images.min(draw.test.len());
        for (of_shots, found) in bench
            .measure(&draw, number, &shots)?
            .into_iter()
            .zip(&mut found)
        {
            found.push(of_shots);
        }
        step(number + 1);
    }
    let path = |path: &PathBuf| path.display().to_string();
    Ok(FewshotResults {
        version: FewshotResults::VERSION,
        features: path(&request.features),
        test: request.test.as_ref().map(path),
        texts: path(&request.texts),
        projection: request.projection.as_ref().map(path),
        images: features.len(),
        classes: texts.len(),
        width: features.width,
        way: request.way,
        draws: request.draws,
        seed: request.seed,
        test_images,
        settings: request.settings.clone(),
        warnings,
        rows: shots
            .iter()
            .zip(found)
            .map(|(&shots, found)| row(shots, &found))
            .collect(),
    })
}

fn row(shots: usize, found: &[Found]) -> ShotsRow {
    let all = |number: fn(&Found) -> f64| found.iter().map(number).collect::<Vec<f64>>();
    let [zero_shot, linear_probe, sgva] = [
        all(|f| f.zero_shot),
        all(|f| f.linear_probe),
        all(|f| f.sgva),
    ];
    ShotsRow {
        shots,
        sgva_minus_linear_probe: Estimate::difference(&sgva, &linear_probe),
        sgva_minus_zero_shot: Estimate::difference(&sgva, &zero_shot),
        zero_shot: Estimate::of(zero_shot),
        prototypes: Estimate::of(all(|f| f.prototypes)),
        linear_probe: Estimate::of(linear_probe),
        sgva: Estimate::of(sgva),
        alpha: all(|f| f.alpha),
        lambda: all(|f| f.lambda),
        regularisation: all(|f| f.regularisation),
    }
}

/// What all draws share.
struct Bench<'a> {
    method: &'a Sgva,
    drawing: &'a Drawing<'a>,
    texts: &'a TextVectors,
    projection: Option<&'a VisualProjection>,
    device: Device,
}

impl Bench<'_> {
    /// One draw with each number of shots.
    fn measure(
        &self,
        draw: &Draw,
        number: usize,
        shots: &BTreeSet<usize>,
    ) -> Result<Vec<Found>, FewshotError> {
        let width = self.texts.width;
        let way = draw.classes.len();
        let texts = draw.classes.iter().flat_map(|&class| self.texts.row(class));
        let texts = unit_rows(self.tensor(texts.copied().collect(), width));
        let test_set = self.drawing.test.unwrap_or(self.drawing.features);
        let labels: Vec<usize> = draw.test.iter().map(|&(_, label)| label).collect();
        let rows = draw.test.iter().flat_map(|&(image, _)| test_set.row(image));
        let test = self.tensor(rows.copied().collect(), width);
        let unit = unit_rows(test.clone());
        let unit_numbers: Vec<f32> = unit.to_data().iter().collect();
        let zero_shot = unit.clone().matmul(texts.clone().transpose());
        let zero_shot = right(&classes_of(&zero_shot), &labels);
        let seed = self.drawing.seed_of(number as u64);
        let mut all = Vec::new();
        for &count in shots {
            let taken = draw
                .shots
                .iter()
                .flat_map(|images| images.iter().take(count));
            let rows = taken.flat_map(|&image| self.drawing.features.row(image));
            let features = self.tensor(rows.copied().collect(), width);
            let shot_labels: Vec<usize> = (0..way).flat_map(|class| vec![class; count]).collect();

            let frozen = unit_rows(features.clone());
            let centres = prototypes(frozen.clone(), &shot_labels, way)?;
            let by_prototypes = unit.clone().matmul(centres.transpose());
            let frozen: Vec<f32> = frozen.to_data().iter().collect();
            let probe = LinearProbe::fit(&frozen, width, &shot_labels, way, count);

            let shots = Shots {
                features,
                way,
                shots: count,
            };
            let lambda = self.lambda(&shots, &texts, seed)?;
            let trained = train(self.method, &shots, &texts, self.projection, seed)?;
            let Scores {
                images,
                texts: by_texts,
            } = trained.scores(&test);
            let fused = fused_scores(images, by_texts, lambda);
            let sum: f64 = fused.clone().sum().into_data().iter::<f64>().sum();
            let alpha = trained.alpha();
            if !(sum.is_finite() && alpha.is_finite()) {
                return Err(FewshotError::NotFinite {
                    shots: count,
                    draw: number + 1,
                });
            }
            all.push(Found {
                zero_shot,
                prototypes: right(&classes_of(&by_prototypes), &labels),
                linear_probe: right(&probe.classify(&unit_numbers, width), &labels),
                sgva: right(&classes_of(&fused), &labels),
                alpha,
                lambda,
                regularisation: probe.regularisation,
            });
        }
        Ok(all)
    }

    /// The blend: as it is set, or the best of ten draws on shots that are held out.
    fn lambda(&self, shots: &Shots, texts: &Tensor<2>, seed: u64) -> Result<f64, FewshotError> {
        let config = self.method.config();
        if !config.choose_lambda || shots.shots < 2 {
            return Ok(config.lambda);
        }
        let held = (shots.shots / HELD_OUT).max(1);
        let kept = shots.shots - held;
        let trained = train(
            self.method,
            &shots.part(0, kept),
            texts,
            self.projection,
            seed,
        )?;
        let held = shots.part(kept, shots.shots);
        let scores = trained.scores(&held.features);
        let labels: Vec<usize> = (0..held.way)
            .flat_map(|class| vec![class; held.shots])
            .collect();
        let mut stream = Stream::new(seed, Purpose::Shots, 0, 0, 2);
        let mut best = (f64::NEG_INFINITY, config.lambda);
        for _ in 0..BLENDS {
            let lambda = stream.unit();
            let fused = fused_scores(scores.images.clone(), scores.texts.clone(), lambda);
            let right = right(&classes_of(&fused), &labels);
            let nearer = (lambda - config.lambda).abs() < (best.1 - config.lambda).abs();
            if right > best.0 || (right == best.0 && nearer) {
                best = (right, lambda);
            }
        }
        Ok(best.1)
    }

    fn tensor(&self, rows: Vec<f32>, width: usize) -> Tensor<2> {
        let count = rows.len() / width.max(1);
        Tensor::from_data(
            TensorData::new(rows, [count, width]),
            (&self.device, DType::F32),
        )
    }
}

/// The greatest score of each row, `[N, C]` → `[N]`; the first of equals.
fn classes_of(scores: &Tensor<2>) -> Vec<usize> {
    let classes = scores.dims()[1].max(1);
    let scores: Vec<f32> = scores.to_data().iter().collect();
    let best = |row: &[f32]| {
        let mut best = (0, f32::NEG_INFINITY);
        for (class, &score) in row.iter().enumerate() {
            if score > best.1 {
                best = (class, score);
            }
        }
        best.0
    };
    scores.chunks(classes).map(best).collect()
}

/// Share of classes that are right, in percent.
fn right(found: &[usize], labels: &[usize]) -> f64 {
    let right = found
        .iter()
        .zip(labels)
        .filter(|(found, label)| found == label);
    100.0 * right.count() as f64 / labels.len().max(1) as f64
}
