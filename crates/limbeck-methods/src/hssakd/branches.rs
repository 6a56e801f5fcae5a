//! The auxiliary branches that solve the joint task on every stage of a network.

use burn::tensor::Tensor;
use limbeck_nn::{
    Builder, Init, Pass, Tap,
    layer::{BatchNorm2d, Linear, global_avg_pool2d},
    model::{Block, ResidualStage, cifar_wrn::WideStage},
};
use serde::{Deserialize, Serialize};

use crate::{
    MethodError,
    pairs::{map_shape, stages},
};

use super::ID;

/// Kind of residual block in the branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchBlock {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3 and 1×1 with a quarter of the channels inside.
    Bottleneck,
    /// Norm and ReLU before each of two 3×3 convolutions, and once more at the end of the branch.
    Wide,
}

impl BranchBlock {
    /// Of a network with these taps: [`BranchBlock::Wide`] where stages end before a norm.
    pub fn of_taps(taps: &[Tap]) -> Self {
        let place = |name| taps.iter().position(|tap| tap.name == name);
        match (place("stage1"), place("stage1.preact")) {
            (Some(end), Some(norm)) if end < norm => Self::Wide,
            _ => Self::Basic,
        }
    }

    /// What the channels of a stage must be a multiple of.
    fn expansion(self) -> usize {
        match self {
            Self::Basic | Self::Wide => 1,
            Self::Bottleneck => Block::Bottleneck.expansion(),
        }
    }
}

/// A stage of a network, as its copies in the branches are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BranchStage {
    /// Output channels.
    pub channels: usize,
    /// By how much height and width shrink.
    pub stride: usize,
    /// Residual blocks.
    pub blocks: usize,
}

/// What the branches of a network are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchPlan {
    /// The network's stages, shallow to deep.
    pub stages: Vec<BranchStage>,
    /// Kind of block.
    pub block: BranchBlock,
    /// Joint classes: four times the classes.
    pub joint_classes: usize,
}

impl BranchPlan {
    /// For a network with these taps, and the names of the taps that the branches read. Where
    /// `block` is `None`, [`BranchBlock::of_taps`] chooses it. A copied stage has `blocks` blocks;
    /// where that is `None`, as many as there are taps `block0`, `block1`, … in the stage, and one
    /// where there are none.
    ///
    /// # Errors
    /// A network without stages, a stage that is larger than the one before, or channels that the
    /// kind of block cannot have.
    pub fn of_taps(
        side: &str,
        taps: &[Tap],
        block: Option<BranchBlock>,
        blocks: Option<usize>,
        joint_classes: usize,
    ) -> Result<(Self, Vec<String>), MethodError> {
        let ends = stages(taps);
        if ends.is_empty() {
            return Err(MethodError::Pairs {
                method: ID.to_owned(),
                reason: format!("branches are put on stages, and the {side} has none"),
            });
        }
        let block = block.unwrap_or(BranchBlock::of_taps(taps));
        let counts = block_counts(taps);
        let mut planned: Vec<BranchStage> = Vec::new();
        let mut before: Option<[usize; 2]> = None;
        for (place, tap) in ends.iter().enumerate() {
            let refuse = |reason: String| MethodError::Shape {
                method: ID,
                feature: format!("the {side}'s `{}` ({})", tap.name, tap.kind),
                reason,
            };
            let Some([channels, height, width]) = map_shape(&tap.kind) else {
                return Err(refuse("it has no map for a branch to read".to_owned()));
            };
            if !channels.is_multiple_of(block.expansion()) {
                return Err(refuse(format!(
                    "the channels of bottlenecks are multiples of {}; set block = \"basic\"",
                    block.expansion()
                )));
            }
            let size = [height, width];
            let stride = match before {
                None => Some(1),
                Some(before) => stride(before, size),
            };
            let Some(stride) = stride else {
                return Err(refuse(format!(
                    "no stride leads to it from the {}×{} of the stage before",
                    before.unwrap_or(size)[0],
                    before.unwrap_or(size)[1]
                )));
            };
            before = Some(size);
            planned.push(BranchStage {
                channels,
                stride,
                blocks: blocks.unwrap_or(counts[place].max(1)),
            });
        }
        let plan = Self {
            stages: planned,
            block,
            joint_classes,
        };
        let names = ends.iter().map(|tap| tap.name.clone()).collect();
        Ok((plan, names))
    }
}

/// The number of taps `block0`, `block1`, … in each stage, in forward order.
fn block_counts(taps: &[Tap]) -> Vec<usize> {
    let is_numbered = |name: &str, prefix: &str| {
        let number = name.strip_prefix(prefix);
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut counts = Vec::new();
    let mut count = 0;
    for tap in taps {
        if is_numbered(&tap.name, "block") {
            count += 1;
        } else if is_numbered(&tap.name, "stage") {
            counts.push(std::mem::take(&mut count));
        }
    }
    counts
}

/// The smallest stride with which a padded 3×3 convolution leads from one `[H, W]` to the other.
fn stride(from: [usize; 2], to: [usize; 2]) -> Option<usize> {
    let leads = |stride: &usize| from.map(|side| side.div_ceil(*stride)) == to;
    (1..=from[0].max(from[1])).find(leads)
}

/// One branch for each stage: fresh copies of the stages after it, for the last one more stage like
/// it that keeps the size; then the mean over positions and a linear map. State-dict names
/// `block_extractor{l}.{stage}.{block}.*`, `fc{l}.*`, l counted from 1, with wide blocks `bn{l}.*`.
#[derive(Debug)]
pub struct AuxiliaryBranches {
    branches: Vec<Branch>,
}

#[derive(Debug)]
struct Branch {
    stages: Vec<CopiedStage>,
    /// Of wide blocks, which leave sums that no norm has read.
    norm: Option<BatchNorm2d>,
    classifier: Linear,
}

#[derive(Debug)]
enum CopiedStage {
    Residual(ResidualStage),
    Wide(WideStage),
}

impl CopiedStage {
    fn new(builder: Builder<'_>, input: usize, stage: BranchStage, block: BranchBlock) -> Self {
        let shape = [input, stage.channels, stage.stride];
        let residual = |builder, block| {
            Self::Residual(ResidualStage::new(builder, shape, stage.blocks, block))
        };
        match block {
            BranchBlock::Basic => residual(builder, Block::Basic),
            BranchBlock::Bottleneck => residual(builder, Block::Bottleneck),
            BranchBlock::Wide => Self::Wide(WideStage::new(builder, shape, stage.blocks)),
        }
    }

    fn forward(&self, pass: &mut Pass<'_>, map: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Residual(stage) => stage.forward(pass, map),
            Self::Wide(stage) => stage.forward(pass, map),
        }
    }
}

impl AuxiliaryBranches {
    /// Makes the branches. Convolutions are drawn by Kaiming's normal rule over outgoing
    /// connections, biases are 0 (authors' code).
    pub fn new(builder: &mut Builder<'_>, plan: &BranchPlan) -> Self {
        let count = plan.stages.len();
        let branches = (1..=count).map(|number| {
            let mut width = plan.stages[number - 1].channels;
            let copied = match number == count {
                true => vec![BranchStage {
                    stride: 1,
                    ..plan.stages[count - 1]
                }],
                false => plan.stages[number..].to_vec(),
            };
            let mut extractor = builder.sub(format!("block_extractor{number}"));
            let mut made = Vec::new();
            for (place, stage) in copied.into_iter().enumerate() {
                let level = extractor.sub(place);
                made.push(CopiedStage::new(level, width, stage, plan.block));
                width = stage.channels;
            }
            let norm = (plan.block == BranchBlock::Wide)
                .then(|| BatchNorm2d::new(builder.sub(format!("bn{number}")), width));
            let classifier = Linear::with_init(
                builder.sub(format!("fc{number}")),
                width,
                plan.joint_classes,
                Init::pytorch_default(width),
                Some(Init::Constant(0.0)),
            );
            Branch {
                stages: made,
                norm,
                classifier,
            }
        });
        Self {
            branches: branches.collect(),
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.branches.len()
    }

    /// Joint logits of each branch from the maps `[R, C, H, W]` of its stage: `[R, 4·K]` each.
    ///
    /// # Errors
    /// Another number of maps than of branches.
    pub fn forward(
        &self,
        pass: &mut Pass<'_>,
        features: Vec<Tensor<4>>,
    ) -> Result<Vec<Tensor<2>>, MethodError> {
        if features.len() != self.count() {
            return Err(MethodError::Batch {
                method: ID,
                reason: format!(
                    "{} branches read a map each, found {} maps",
                    self.count(),
                    features.len()
                ),
            });
        }
        let logits = self.branches.iter().zip(features).map(|(branch, map)| {
            let stages = branch.stages.iter();
            let mut map = stages.fold(map, |map, stage| stage.forward(pass, map));
            if let Some(norm) = &branch.norm {
                map = norm.forward_relu(pass, map);
            }
            branch.classifier.forward(pass, global_avg_pool2d(map))
        });
        Ok(logits.collect())
    }
}
