//! What the student's patch embeddings go through on their way to the teacher's.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, IMAGE, Init, ParameterId, Pass, Role, Tap, TapKind,
    layer::{Conv2d, Conv2dConfig, LayerNorm, Linear},
};

use super::{Stage, TransKdConfig, TransKdVariant, mixer::Mixer, refuse};
use crate::MethodError;

/// Added to the variance in the assistants' norms: authors' code, PyTorch's default.
const EPSILON: f64 = 1e-5;
/// Between the shares that projections and assistants start with: authors' code.
const SHARE_STEP: f64 = 0.1;

/// Linear maps to the teacher's width, and what a variant adds.
#[derive(Debug)]
pub struct Embeddings {
    /// `embed1_linearproject`, …
    projections: Vec<Linear>,
    addition: Addition,
}

#[derive(Debug)]
enum Addition {
    None,
    Mixer(Mixer),
    Assistants(Vec<Assistant>),
}

/// A patch embedding of the teacher's width, `patch_embed1`, …, and the shares of both.
#[derive(Debug)]
struct Assistant {
    conv: Conv2d,
    norm: LayerNorm,
    projection_share: ParameterId,
    own_share: ParameterId,
}

impl Embeddings {
    /// `stages` from shallow to deep.
    ///
    /// # Errors
    /// Heads that do not divide the channels; an image or stages that patch embeddings do not lead
    /// from one to the other.
    pub fn new(
        builder: &mut Builder<'_>,
        config: &TransKdConfig,
        stages: &[Stage],
        student: &[Tap],
    ) -> Result<Self, MethodError> {
        let numbered = (1..).zip(stages);
        let projections = numbered.map(|(number, stage)| {
            let level = builder.sub(format!("embed{number}_linearproject"));
            Linear::new(level, stage.student, stage.teacher)
        });
        let projections = projections.collect();
        let addition = match (config.variant, stages.last()) {
            (TransKdVariant::Gl, Some(last)) => Addition::Mixer(Mixer::new(
                builder,
                last.student,
                config.heads,
                config.residual,
            )?),
            (TransKdVariant::Ea, _) => {
                Addition::Assistants(assistants(builder, stages, &image_shape(student)?)?)
            }
            _ => Addition::None,
        };
        Ok(Self {
            projections,
            addition,
        })
    }

    /// Student tokens `[B, N, C_s]`, shallow to deep → `[B, N, C_t]`. Assistants look at the student's
    /// maps `[B, C_s, H, W]` and at the image `[B, C, H, W]`.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        mut tokens: Vec<Tensor<3>>,
        maps: &[Tensor<4>],
        image: Option<Tensor<4>>,
    ) -> Vec<Tensor<3>> {
        if let Addition::Mixer(mixer) = &self.addition
            && let Some(last) = tokens.pop()
        {
            tokens.push(mixer.forward(pass, last));
        }
        let projected = self.projections.iter().zip(tokens);
        let mut made: Vec<Tensor<3>> = projected
            .map(|(projection, tokens)| projection.forward(pass, tokens))
            .collect();
        if let Addition::Assistants(assistants) = &self.addition {
            let seen = image.into_iter().chain(maps.iter().cloned());
            for ((made, assistant), seen) in made.iter_mut().zip(assistants).zip(seen) {
                let own = assistant.forward(pass, seen);
                let share = |id| pass.get::<1>(id).reshape([1, 1, 1]);
                *made = made.clone() * share(assistant.projection_share)
                    + own * share(assistant.own_share);
            }
        }
        made
    }
}

/// `[C, H, W]` of what the student sees.
fn image_shape(student: &[Tap]) -> Result<[usize; 3], MethodError> {
    let image = student.iter().find(|tap| tap.name == IMAGE);
    match image.map(|tap| &tap.kind) {
        Some(&TapKind::Map(shape)) => Ok(shape),
        _ => Err(refuse(
            "the student does not show the image that it sees, which assistants embed; set \
             `variant` to another one",
        )),
    }
}

fn assistants(
    builder: &mut Builder<'_>,
    stages: &[Stage],
    image: &[usize; 3],
) -> Result<Vec<Assistant>, MethodError> {
    let count = stages.len();
    let [mut channels, mut height, mut width] = *image;
    let mut assistants = Vec::with_capacity(count);
    for (index, stage) in stages.iter().enumerate() {
        // The patch embeddings of MiT: overlapping windows.
        let (kernel, stride, padding) = match index {
            0 => (7, 4, 3),
            _ => (3, 2, 1),
        };
        let after = |side: usize| {
            (side + 2 * padding)
                .checked_sub(kernel)
                .map(|s| s / stride + 1)
        };
        let reached = [after(height), after(width)];
        if reached != stage.size.map(Some) {
            return Err(refuse(&format!(
                "a patch embedding with stride {stride} does not lead from {height}×{width} to the \
                 student's stage {}, which is {}×{}; set `variant` to another one",
                index + 1,
                stage.size[0],
                stage.size[1]
            )));
        }
        let mut config = Conv2dConfig::new(channels, stage.teacher, kernel)
            .stride(stride)
            .padding(padding)
            .bias()
            .kaiming_fan_out();
        config.bias_init = Some(Init::Constant(0.0));
        let mut level = builder.sub(format!("patch_embed{}", index + 1));
        let conv = Conv2d::new(level.sub("proj"), config);
        let norm = LayerNorm::new(level.sub("norm"), stage.teacher, EPSILON);
        assistants.push((conv, norm));
        channels = stage.student;
        [height, width] = stage.size;
    }
    let mut shares = builder.sub("fuse_weights");
    let mut share = |index: usize| {
        let init = Init::Constant(SHARE_STEP * (index + 1) as f64);
        shares.parameter(&index.to_string(), &[1], Role::Weight, init)
    };
    let projection_shares: Vec<ParameterId> = (0..count).map(&mut share).collect();
    let own_shares: Vec<ParameterId> = (count..2 * count).map(&mut share).collect();
    let both = projection_shares.into_iter().zip(own_shares);
    let whole = assistants.into_iter().zip(both);
    Ok(whole
        .map(|((conv, norm), (projection_share, own_share))| Assistant {
            conv,
            norm,
            projection_share,
            own_share,
        })
        .collect())
}

impl Assistant {
    /// `[B, C, H, W]` → `[B, N, C_t]`.
    fn forward(&self, pass: &mut Pass<'_>, seen: Tensor<4>) -> Tensor<3> {
        let map = self.conv.forward(pass, seen);
        let [batch, channels, height, width] = map.dims();
        let tokens = map
            .reshape([batch, channels, height * width])
            .swap_dims(1, 2);
        self.norm.forward(pass, tokens)
    }
}
