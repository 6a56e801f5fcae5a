//! # dino — Emerging Properties in Self-Supervised Vision Transformers
//!
//! Pre-training without labels: a transformer is to give every crop of an image the description that
//! a slowly moving average of itself, the momentum teacher, gives a large crop of it. The description
//! is a soft choice among prototypes; a centre that is taken away and a low temperature keep the
//! teacher from saying the same of all images.
//!
//! ## Definition
//! Views of an image: 2 large crops and `local_crops` small ones, in other colours. The teacher sees
//! the large ones, the student all. With s and t the logits of a view's class token,
//! p = softmax((t − c)/τ_t), a constant, and the student's q = softmax(s/τ_s),
//!
//! L = mean over pairs of a teacher's view and another view of the student's, and over images, of
//! −Σ_k p_k log q_k
//!
//! Logits are head(token): linear, GELU, linear, GELU, linear to `bottleneck` numbers, norm one,
//! then a linear map to K `prototypes` whose rows have norm one (`norm_last_layer`). After each step
//! c ← `centre_momentum` · c + (1 − `centre_momentum`) · mean of t over views and images; after each
//! update the teacher's numbers become m · their own + (1 − m) · the student's, m on half a cosine
//! from `momentum` to 1 over the run. τ_t goes from `warmup_temperature` to `teacher_temperature` in
//! `warmup_epochs` equal steps; the prototypes are held for the first `frozen_epochs`.
//!
//! ## Inputs and shapes
//! Images `[B, C, H, W]`; a student that is a vision transformer without distillation token. Positions
//! are resized bicubically for crops of another size. Tokens `[B, D]`, logits `[B, K]`, centre
//! `[1, K]`. Where the student's embedding is the mean of its patches (`vit_nano`), it takes the class
//! token's place.
//!
//! ## Parameters
//! | name | default | range | from |
//! | --- | --- | --- | --- |
//! | `prototypes` | 1024 | ≥ 2 | ours: the authors' 65536 are for a million images; a step's cost and memory grow with it |
//! | `hidden` | 512 | ≥ 1 | ours; authors' code: 2048, for tokens of 384 numbers and more |
//! | `bottleneck` | 256 | ≥ 1 | authors' code |
//! | `norm_last_layer` | true | | same |
//! | `frozen_epochs` | 1 | ≥ 0 | same |
//! | `student_temperature` | 0.1 | > 0 | same |
//! | `teacher_temperature` | 0.04 | > 0 | same |
//! | `warmup_temperature` | 0.04 | > 0 | same |
//! | `warmup_epochs` | 0 | ≥ 0 | same |
//! | `momentum` | 0.996 | 0 to 1 | same |
//! | `centre_momentum` | 0.9 | 0 to 1 | same |
//! | `local_crops` | 8 | ≥ 0 | same |
//! | `global_size` | none | multiple of the patch | none is the student's images' size |
//! | `local_size` | none | multiple of the patch, up to the large crops' | none is half of that; authors' code: 96 beside 224 |
//! | `global_scale` | 0.4 | `local_scale` to 1 | authors' code: large crops are 0.4 to 1 of the image |
//! | `local_scale` | 0.05 | > 0 | same: small ones 0.05 to 0.4 |
//! | `enlarged` | 1 | ≥ 1 | ours: crops are cut from images so many times as high and wide; 2 keeps detail where files have it |
//! | `flip` | 0.5 | 0 to 1 | authors' code |
//! | `jitter` | 0.8 | 0 to 1 | same: light and contrast by 0.4, saturation 0.2, hue 0.1 |
//! | `grey` | 0.2 | 0 to 1 | same |
//! | `blur` | true | | same: probability 1, 0.1 and 0.5 for the first large crop, the second, the small ones |
//! | `solarise` | 0.2 | 0 to 1 | same: of the second large crop |
//!
//! ## Notes
//! Geometry and colours of a view are the same for all images of a batch, as in `patchssl`, which this
//! is the baseline of; the authors draw them for each image. A blur's 0.1 to 2 pixels are meant for 224,
//! and are in proportion at other sizes. The recipe's weight decay is constant where the authors' rises
//! from 0.04 to 0.4 by a cosine, and its norm of 3 clips all gradients together where theirs clips each
//! tensor. The student is measured and kept; the authors take the momentum teacher, which is a
//! checkpoint's `momentum-teacher`. In short runs 0.996 leaves the teacher where it began: it moves
//! by 1/250 of the way in a step; take 0.98 for some hundred steps. Progress shows the mean entropy of
//! the teacher's outputs; a collapse is told. Cost: the student sees 2 + `local_crops`/4 images for
//! each, with `local_size` at a half, and the teacher 2; the head takes
//! D·`hidden` + `hidden`² + `hidden`·`bottleneck` + `bottleneck`·K multiply-accumulates for each view.
//!
//! ## Reference
//! Caron, Touvron, Misra, Jégou, Mairal, Bojanowski, Joulin. "Emerging Properties in Self-Supervised
//! Vision Transformers". ICCV 2021. <https://arxiv.org/abs/2104.14294>
//! Authors' code: <https://github.com/facebookresearch/dino> (Apache-2.0).

mod collapse;
mod colours;
#[cfg(test)]
pub mod golden;
mod head;
mod objective;
mod resample;
mod settings;
#[cfg(test)]
mod tests;
mod views;

use burn::tensor::{Int, Tensor, TensorData};
use limbeck_data::Normalisation;
use limbeck_nn::{Mode, Network, Pass, Taps};

use crate::{
    Act, Cast, Follower, Images, Interlude, MethodError, Probe, Procedure, Progress, STUDENT,
    Scene, Stage, State, Term,
};

use collapse::CollapseWatch;
pub use head::{DinoHead, HeadShape, similarities};
pub use objective::{
    ViewPair, ViewTokens, moved_centre, objective, sharpened, teacher_momentum, teacher_temperature,
};
pub use settings::DinoConfig;
pub use views::{Crop, View, ViewKind};

/// The teacher in the cast.
const TEACHER: &str = "momentum-teacher";
/// The student's head.
const HEAD: &str = "head";
/// The teacher's head.
const TEACHER_HEAD: &str = "momentum-head";
/// Views that the teacher sees: the first ones.
const LARGE: usize = 2;
/// Parts of the state.
const CENTRE: &str = "centre";
const OUTPUTS: &str = "outputs";
const ENTROPIES: &str = "entropies";

/// Tokens that show the same in two crops, in pairs: of the first, of the second.
pub type Matching = fn(&Crop, &Crop) -> (Vec<usize>, Vec<usize>);

/// What a method compares between views.
#[derive(Clone, Copy, Debug)]
pub enum Compared {
    /// Class tokens.
    ClassToken,
    /// Class tokens and the patches that show the same.
    Patches {
        /// Finds them.
        matching: Matching,
        /// Whether each patch has colours of its own.
        patch_colours: bool,
    },
}

/// A student that follows what a moving average of itself says of other views.
#[derive(Clone, Debug)]
pub struct Dino {
    method: &'static str,
    config: DinoConfig,
    compared: Compared,
    kinds: Vec<ViewKind>,
    patch: usize,
    /// Height and width of the student's images.
    size: [usize; 2],
    normalisation: Normalisation,
    head: DinoHead,
    /// Of each token of a large view that is compared, `[T, K]`.
    centre: Tensor<2>,
    watch: CollapseWatch,
    /// Number of the epoch, counted from 1.
    epoch: usize,
}

impl Dino {
    const ID: &'static str = "dino";

    /// Adds both heads and the teacher to the cast.
    ///
    /// # Errors
    /// A setting out of range, or a student that is no vision transformer or has a distillation token.
    pub fn new(config: DinoConfig, probe: &Probe, cast: &mut Cast) -> Result<Self, MethodError> {
        Self::comparing(Self::ID, Compared::ClassToken, config, probe, cast)
    }

    /// The same for the method called `method`.
    pub(crate) fn comparing(
        method: &'static str,
        compared: Compared,
        config: DinoConfig,
        probe: &Probe,
        cast: &mut Cast,
    ) -> Result<Self, MethodError> {
        config.check(method)?;
        let student = cast.network(STUDENT)?.clone();
        let refuse = |reason: &str| MethodError::Shape {
            method,
            feature: format!("the student `{}`", student.name()),
            reason: format!("{reason}; choose a vision transformer such as `vit_nano`"),
        };
        let transformer = student.transformer();
        let transformer = transformer.ok_or_else(|| refuse("it has no tokens"))?;
        let shape = *transformer.config();
        if shape.distilled {
            return Err(refuse(
                "its distillation token has nothing to learn without a teacher of classes",
            ));
        }
        let input = student.input();
        let size = [input.height, input.width];
        let patch_colours = match compared {
            Compared::ClassToken => false,
            Compared::Patches { patch_colours, .. } => patch_colours,
        };
        let kinds = config.views(method, size, &shape, patch_colours)?;
        let widths = HeadShape {
            width: shape.width,
            hidden: config.hidden,
            bottleneck: config.bottleneck,
            prototypes: config.prototypes,
        };
        let head = cast.add_modules(HEAD, probe.seed, |builder| {
            Ok(DinoHead::new(builder, widths, config.norm_last_layer))
        })?;
        cast.add_store(TEACHER_HEAD, cast.store(HEAD)?.clone());
        cast.add_network(TEACHER, student);
        let tokens = match (compared, kinds.first()) {
            (Compared::Patches { .. }, Some(large)) => {
                1 + large
                    .size
                    .iter()
                    .map(|side| side / shape.patch)
                    .product::<usize>()
            }
            _ => 1,
        };
        let (device, dtype) = (cast.device(), cast.dtype());
        Ok(Self {
            method,
            compared,
            kinds,
            patch: shape.patch,
            size,
            normalisation: probe.training.normalisation.clone(),
            head,
            centre: Tensor::zeros([tokens, config.prototypes], (device, dtype)),
            watch: CollapseWatch::new(config.prototypes, device, dtype),
            config,
            epoch: 0,
        })
    }

    /// The images that crops are cut from, `[B, C, H, W]`.
    fn images(&self, scene: &Scene<'_>) -> Result<Tensor<4>, MethodError> {
        let batch = scene.batch();
        let images = match (&batch.large, self.config.enlarged > 1) {
            (Some(large), true) => large.clone(),
            _ => batch.images.clone(),
        };
        let [_, _, height, width] = images.dims();
        let wanted = self.size.map(|side| side * self.config.enlarged);
        if [height, width] != wanted {
            return Err(MethodError::Batch {
                method: self.method,
                reason: format!(
                    "needs images of {}×{} pixels, found {height}×{width}",
                    wanted[0], wanted[1]
                ),
            });
        }
        Ok(images)
    }

    /// Every pair of a large view of the teacher's and another view of the student's.
    fn pairs(&self, views: &[View]) -> Vec<ViewPair> {
        let mut pairs = Vec::new();
        for (teacher, large) in views.iter().take(LARGE).enumerate() {
            for (student, view) in views.iter().enumerate() {
                if teacher == student {
                    continue;
                }
                let (teacher_tokens, student_tokens) = match self.compared {
                    Compared::ClassToken => (vec![0], vec![0]),
                    Compared::Patches { matching, .. } => matching(&large.crop, &view.crop),
                };
                pairs.push(ViewPair {
                    teacher,
                    student,
                    teacher_tokens,
                    student_tokens,
                });
            }
        }
        pairs
    }

    /// Tokens `[B, T, D]` of images of one size: all, or the class token's place alone.
    fn tokens(
        &self,
        network: &Network,
        pass: &mut Pass<'_>,
        images: Tensor<4>,
    ) -> Result<Tensor<3>, MethodError> {
        let transformer = network.transformer().ok_or_else(|| MethodError::Batch {
            method: self.method,
            reason: format!("`{}` has no tokens", network.name()),
        })?;
        let tokens = transformer.embedding_and_patches(pass, images);
        Ok(match self.compared {
            Compared::ClassToken => tokens.narrow(1, 0, 1),
            Compared::Patches { .. } => tokens,
        })
    }

    /// What the teacher says of the compared tokens of each large view, before its centre is taken
    /// away, and the mean of what it says of all tokens, `[T, K]`.
    fn teach(
        &self,
        scene: &Scene<'_>,
        views: &[View],
        compared: &[Vec<usize>],
    ) -> Result<(Vec<ViewTokens>, Tensor<2>), MethodError> {
        let teacher = scene.cast().network(TEACHER)?;
        let images = together(views.iter().take(LARGE));
        let mut pass = Pass::new(&teacher.store, Mode::Evaluate, Taps::none(), 0);
        let tokens = self.tokens(teacher, &mut pass, images)?;
        let (projected, prototypes) = scene.evaluate_modules(TEACHER_HEAD, |pass| {
            let projected = self.head.project(pass, tokens);
            (projected, self.head.prototypes(pass, false))
        })?;
        let batch = projected.dims()[0] / LARGE;
        // The last map is linear, so the mean of its results is its result for the mean: logits of
        // tokens that nothing is compared with are never made.
        let mean = projected.clone().mean_dim(0).squeeze_dim::<2>(0);
        let mean = similarities(mean, prototypes.clone());
        let views = compared.iter().take(LARGE).enumerate();
        let views = views.map(|(number, tokens)| {
            let own = projected.clone().narrow(0, number * batch, batch);
            ViewTokens {
                logits: similarities(chosen(own, tokens), prototypes.clone()),
                tokens: tokens.clone(),
            }
        });
        Ok((views.collect(), mean))
    }

    /// What the student says of the compared tokens of each view.
    fn learn(
        &self,
        scene: &mut Scene<'_>,
        views: &[View],
        compared: &[Vec<usize>],
    ) -> Result<Vec<ViewTokens>, MethodError> {
        let (large, small) = views.split_at(LARGE.min(views.len()));
        let batch = scene.batch().images.dims()[0];
        let tokens = scene.parts(STUDENT, |network, pass| {
            let mut tokens = Vec::new();
            for views in [large, small].into_iter().filter(|views| !views.is_empty()) {
                let all = self.tokens(network, pass, together(views))?;
                let each = (0..views.len()).map(|view| all.clone().narrow(0, view * batch, batch));
                tokens.extend(each);
            }
            Ok(tokens)
        })?;
        let frozen = scene.progress().epoch < self.config.frozen_epochs;
        scene.modules(HEAD, |pass| {
            // All rows of all views at once.
            let rows = tokens.into_iter().zip(compared);
            let rows = rows.map(|(tokens, wanted)| {
                let width = tokens.dims()[2];
                chosen(tokens, wanted).reshape([batch * wanted.len(), width])
            });
            let projected = self.head.project(pass, Tensor::cat(rows.collect(), 0));
            let prototypes = self.head.prototypes(pass, frozen);
            let (width, mut first) = (self.config.bottleneck, 0);
            let views = compared.iter().map(|wanted| {
                let count = batch * wanted.len();
                let own = projected.clone().narrow(0, first, count);
                first += count;
                ViewTokens {
                    logits: similarities(
                        own.reshape([batch, wanted.len(), width]),
                        prototypes.clone(),
                    ),
                    tokens: wanted.clone(),
                }
            });
            views.collect()
        })
    }
}

/// The images of views of one size, one view after the other: `[V·B, C, h, w]`.
fn together<'a>(views: impl IntoIterator<Item = &'a View>) -> Tensor<4> {
    let images = views.into_iter().map(|view| view.images.clone());
    Tensor::cat(images.collect(), 0)
}

/// The tokens `wanted` of `tokens` `[B, T, D]`: `[B, n, D]`.
fn chosen(tokens: Tensor<3>, wanted: &[usize]) -> Tensor<3> {
    if wanted.len() == tokens.dims()[1] {
        return tokens;
    }
    let numbers: Vec<i64> = wanted.iter().map(|&token| token as i64).collect();
    let numbers = TensorData::new(numbers, [wanted.len()]);
    let device = tokens.device();
    tokens.select(1, Tensor::<1, Int>::from_data(numbers, &device))
}

/// The tokens of each of `count` views that a pair compares, rising: of the teacher's (`false`) or the
/// student's.
fn compared_tokens(pairs: &[ViewPair], count: usize, of_student: bool) -> Vec<Vec<usize>> {
    let mut compared = vec![Vec::new(); count];
    for pair in pairs {
        let (view, tokens) = match of_student {
            true => (pair.student, &pair.student_tokens),
            false => (pair.teacher, &pair.teacher_tokens),
        };
        if let Some(own) = compared.get_mut(view) {
            own.extend(tokens);
        }
    }
    for own in &mut compared {
        own.sort_unstable();
        own.dedup();
    }
    compared
}

impl Procedure for Dino {
    fn stages(&self, epochs: usize) -> Vec<Stage> {
        let mut stage = Stage::new("train", epochs, vec![Act::training([STUDENT, HEAD])]);
        stage.images = Images {
            enlarged: self.config.enlarged,
            ..Images::default()
        };
        vec![stage]
    }

    fn begin_epoch(
        &mut self,
        _stage: usize,
        _interlude: &mut Interlude<'_>,
    ) -> Result<(), MethodError> {
        self.watch.begin_epoch();
        Ok(())
    }

    fn play(
        &mut self,
        _stage: usize,
        _act: usize,
        scene: &mut Scene<'_>,
    ) -> Result<Vec<Term>, MethodError> {
        let epoch = scene.progress().epoch;
        let config = &self.config;
        let teacher_temperature = teacher_temperature(
            epoch,
            config.warmup_temperature,
            config.teacher_temperature,
            config.warmup_epochs,
        );
        let images = self.images(scene)?;
        let mut stream = scene.stream();
        let kinds = self.kinds.iter();
        let views: Vec<View> = kinds
            .map(|kind| kind.draw(&images, self.patch, &self.normalisation, &mut stream))
            .collect();
        let pairs = self.pairs(&views);
        let compared = compared_tokens(&pairs, LARGE, false);
        let (teacher, mean) = self.teach(scene, &views, &compared)?;
        let teacher = teacher
            .iter()
            .map(|view| sharpened(self.method, view, &self.centre, teacher_temperature))
            .collect::<Result<Vec<_>, _>>()?;
        let compared = compared_tokens(&pairs, views.len(), true);
        let student = self.learn(scene, &views, &compared)?;
        let temperature = config.student_temperature;
        let loss = objective(self.method, &pairs, &student, &teacher, temperature)?;
        let entropy = self.watch.look(&teacher);
        self.centre = moved_centre(self.centre.clone(), mean, config.centre_momentum);
        self.epoch = epoch + 1;
        let mut terms = vec![Term::new("class_token", loss.class_token, 1.0)];
        if let Compared::Patches { .. } = self.compared {
            terms.push(Term::new("patches", loss.patches, 1.0));
        }
        terms.extend(entropy.map(|entropy| Term::new("teacher_entropy", entropy, 0.0)));
        Ok(terms)
    }

    fn followers(&self, _stage: usize, progress: Progress) -> Vec<Follower> {
        let Progress {
            epoch,
            epochs,
            step,
            steps,
        } = progress;
        let momentum = teacher_momentum(self.config.momentum, epoch * steps + step, epochs * steps);
        let pairs = [(TEACHER, STUDENT), (TEACHER_HEAD, HEAD)];
        let follower = |(member, follows): (&str, &str)| Follower {
            member: member.to_owned(),
            follows: follows.to_owned(),
            momentum,
            statistics: false,
        };
        pairs.map(follower).into()
    }

    fn warnings(&mut self) -> Vec<String> {
        self.watch
            .warning(self.method, self.epoch)
            .into_iter()
            .collect()
    }

    fn state(&self) -> State {
        let shape = self.centre.dims();
        let centre = self.centre.clone().reshape([shape[0] * shape[1]]);
        let [outputs, entropies] = self.watch.sums();
        [
            (CENTRE, shape.to_vec(), centre),
            (OUTPUTS, outputs.dims().to_vec(), outputs),
            (ENTROPIES, entropies.dims().to_vec(), entropies),
        ]
        .map(|(name, shape, numbers)| (name.to_owned(), (shape, numbers)))
        .into()
    }

    fn load_state(&mut self, mut state: State) -> Result<(), MethodError> {
        let mut part = |name: &str| {
            state.remove(name).ok_or_else(|| MethodError::State {
                method: self.method,
                reason: format!("`{name}` is missing"),
            })
        };
        let (shape, centre) = part(CENTRE)?;
        let sums = [part(OUTPUTS)?.1, part(ENTROPIES)?.1];
        let own = self.centre.dims();
        let fits = shape == own && centre.dims() == [own[0] * own[1]];
        if !fits || !self.watch.restore(sums) {
            return Err(MethodError::State {
                method: self.method,
                reason: format!(
                    "`{CENTRE}` has shape {shape:?} where {own:?} is needed, or what is known of the \
                     epoch has other prototypes"
                ),
            });
        }
        self.centre = centre.to_device(&self.centre.device()).reshape(own);
        Ok(())
    }
}
