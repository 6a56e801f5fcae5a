//! Images made by descent on their pixels.

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_data::Stream;
use limbeck_nn::{Feature, Network, Taps};

use super::{
    Ota, OtaConfig, OtaStart,
    gallery::Guided,
    jitter::Jitter,
    objective::{Compared, Held, Objective, objective},
    pixels::PixelRange,
    recorded::{self, Recorded, as_map},
};
use crate::{MethodError, pairs::stages};

/// Adam's defaults (Kingma and Ba, ICLR 2015, algorithm 1).
const BETAS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// Makes images for a fine-tuned network.
#[derive(Clone, Debug)]
pub struct Generator {
    config: OtaConfig,
    /// Ends of its stages, shallow to deep.
    pub taps: Vec<String>,
    /// What pixels can be.
    pub range: PixelRange,
    has_norms: bool,
}

/// What came of a batch.
#[derive(Clone, Debug)]
pub struct Descended {
    /// `[B, C, H, W]`, normalised.
    pub images: Tensor<4>,
    /// What they fulfilled at the last step, before it.
    pub objective: Objective,
}

impl Generator {
    /// For the fine-tuned network `task`.
    ///
    /// # Errors
    /// A network without stages where images are to be guided, or held to statistics that it does not
    /// keep.
    pub fn new(config: &OtaConfig, task: &Network, range: PixelRange) -> Result<Self, MethodError> {
        let all = task.taps();
        let taps: Vec<String> = stages(&all).iter().map(|tap| tap.name.clone()).collect();
        let has_norms = task.fewest_normalised().is_some();
        let needs = config.guide_weight > 0.0 || (config.bn_weight > 0.0 && !has_norms);
        if taps.is_empty() && needs && config.per_image > 0 {
            return Err(MethodError::Shape {
                method: Ota::ID,
                feature: format!("the teacher `{}`", task.name()),
                reason: "it has no stages whose ends could guide an image; set guide_weight to 0"
                    .to_owned(),
            });
        }
        Ok(Self {
            config: config.clone(),
            taps,
            range,
            has_norms,
        })
    }

    /// Makes an image for each of the guides.
    ///
    /// # Errors
    /// Statistics that are wanted and were not taken; features of guides and images that differ in
    /// shape.
    pub fn run(
        &self,
        network: &Network,
        recorded: Option<&Recorded>,
        guided: &Guided,
        stream: &mut Stream,
    ) -> Result<Descended, MethodError> {
        let config = &self.config;
        let options = (&guided.images.device(), guided.images.dtype());
        let labels: Vec<i64> = guided.targets.iter().map(|&class| class as i64).collect();
        let labels = TensorData::new(labels, [guided.targets.len()]);
        let labels = Tensor::<1, Int>::from_data(labels, options.0);
        let mut images = self.range.clamp(self.start(&guided.images, stream));
        let mut moments = [images.zeros_like(), images.zeros_like()];
        let mut last = None;
        for step in 1..=config.steps {
            let jitter = Jitter::draw(stream, config.flip, config.roll);
            let leaf = images.clone().autodiff().require_grad();
            let terms = self.terms(network, recorded, guided, &labels, &leaf, jitter)?;
            last = Some(terms.clone().detach());
            let gradients = terms.total(config).backward();
            // Of an objective whose weights are all 0 there is none.
            let Some(gradient) = leaf.grad(&gradients) else {
                break;
            };
            images = self.range.clamp(adam(
                images,
                &mut moments,
                gradient,
                step,
                config.image_rate,
            ));
        }
        let objective = last.ok_or_else(recorded::missing)?;
        Ok(Descended { images, objective })
    }

    fn start(&self, guides: &Tensor<4>, stream: &mut Stream) -> Tensor<4> {
        let shape = guides.dims();
        let noise: Vec<f64> = (0..shape.iter().product::<usize>())
            .map(|_| stream.normal())
            .collect();
        let options = (&guides.device(), guides.dtype());
        let noise = Tensor::<4>::from_data(TensorData::new(noise, shape), options);
        match self.config.start {
            OtaStart::Image => guides.clone() + noise.mul_scalar(self.config.sigma),
            OtaStart::Noise => noise,
        }
    }

    /// The terms of `images`, which record gradients.
    pub(super) fn terms(
        &self,
        network: &Network,
        recorded: Option<&Recorded>,
        guided: &Guided,
        labels: &Tensor<1, Int>,
        images: &Tensor<4>,
        jitter: Jitter,
    ) -> Result<Objective, MethodError> {
        let taps = Taps::from_iter(&self.taps);
        let seen = jitter.apply(images.clone());
        let (outputs, norms) = network.evaluate_with_norms(seen, &taps);
        let guides = match self.config.guide_weight > 0.0 {
            true => Some(network.evaluate(jitter.apply(guided.images.clone()), &taps)),
            false => None,
        };
        let mut compared = Vec::new();
        for (index, tap) in self.taps.iter().enumerate() {
            let Some(guides) = &guides else { continue };
            let made = map_of(tap, outputs.feature(tap))?;
            let guide = map_of(tap, guides.feature(tap))?.inner();
            require_alike(tap, made.dims(), guide.dims())?;
            // Shallow stages guide every image, deep ones those of the guide's class.
            let is_deep = index >= self.taps.len().div_ceil(2);
            let guided = guided.of_their_class().filter(|_| is_deep);
            compared.push(Compared {
                made,
                guide,
                guided,
            });
        }
        let mut held = Vec::new();
        if self.config.bn_weight > 0.0 {
            if self.has_norms {
                held.extend(norms.into_iter().map(|norm| Held {
                    input: norm.input,
                    mean: norm.mean,
                    variance: norm.variance,
                }));
            } else {
                let recorded = recorded.ok_or_else(recorded::missing)?;
                for (tap, [mean, variance]) in self.taps.iter().zip(&recorded.of) {
                    held.push(Held {
                        input: map_of(tap, outputs.feature(tap))?,
                        mean: mean.clone(),
                        variance: variance.clone(),
                    });
                }
            }
        }
        let logits = outputs.logits();
        Ok(objective(images.clone(), logits, labels, compared, held))
    }
}

/// One step of Adam, without weight decay; `step` counts from 1.
fn adam(
    values: Tensor<4>,
    moments: &mut [Tensor<4>; 2],
    gradient: Tensor<4>,
    step: usize,
    rate: f64,
) -> Tensor<4> {
    let powers = [gradient.clone(), gradient.square()];
    let mut corrected = Vec::with_capacity(2);
    for ((moment, power), beta) in moments.iter_mut().zip(powers).zip(BETAS) {
        *moment = moment.clone().mul_scalar(beta) + power.mul_scalar(1.0 - beta);
        let bias = 1.0 - beta.powi(step.min(100_000) as i32);
        corrected.push(moment.clone().mul_scalar(1.0 / bias));
    }
    let spread = corrected.swap_remove(1).sqrt().add_scalar(EPSILON);
    values - (corrected.swap_remove(0) / spread).mul_scalar(rate)
}

/// What a tap has as a map `[B, C, H, W]`, of tokens `[B, D, N, 1]`.
///
/// # Errors
/// A tap that is not there, or has attention.
pub(super) fn map_of(tap: &str, feature: Option<&Feature>) -> Result<Tensor<4>, MethodError> {
    feature.and_then(as_map).ok_or_else(|| MethodError::Batch {
        method: Ota::ID,
        reason: format!("the fine-tuned network gave no feature `{tap}`"),
    })
}

/// Refuses a feature of a guide that is of another shape than the made image's.
pub(super) fn require_alike(
    tap: &str,
    made: [usize; 4],
    guide: [usize; 4],
) -> Result<(), MethodError> {
    if made == guide {
        return Ok(());
    }
    Err(MethodError::Batch {
        method: Ota::ID,
        reason: format!(
            "`{tap}` of the guides has the shape {guide:?}, that of the images made {made:?}; both have to \
             be alike"
        ),
    })
}
