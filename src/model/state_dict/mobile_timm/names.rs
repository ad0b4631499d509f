//! The names of modules: timm's, and those of the programs that first ported TensorFlow's networks
//! (`efficientnet_pytorch`).

use crate::model::state_dict::mobile_timm::layout::{Block, Kind};

/// A naming scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `blocks.1.0.conv_pw`.
    Timm,
    /// `_blocks.1._expand_conv`, which numbers the blocks of all stages.
    Source,
}

impl Names {
    /// A module of the network, from timm's name.
    #[must_use]
    pub fn outer(self, timm: &'static str) -> &'static str {
        match (self, timm) {
            (Self::Timm, _) => timm,
            (Self::Source, "conv_stem") => "_conv_stem",
            (Self::Source, "bn1") => "_bn0",
            (Self::Source, "conv_head") => "_conv_head",
            (Self::Source, _) => "_bn1",
        }
    }

    /// A block: its stage, its number in the stage, its number in the network.
    #[must_use]
    pub fn block(self, stage: usize, at: usize, number: usize) -> String {
        match self {
            Self::Timm => format!("blocks.{stage}.{at}"),
            Self::Source => format!("_blocks.{number}"),
        }
    }

    /// The paths that no block of a network with these stages may have.
    #[must_use]
    pub fn ends(self, stages: &[Vec<Block>]) -> Vec<String> {
        match self {
            Self::Timm => {
                let ends = stages.iter().enumerate();
                let ends = ends.map(|(stage, blocks)| format!("blocks.{stage}.{}", blocks.len()));
                ends.chain([format!("blocks.{}", stages.len())]).collect()
            }
            Self::Source => {
                let blocks: usize = stages.iter().map(Vec::len).sum();
                vec![format!("_blocks.{blocks}")]
            }
        }
    }

    /// A module of a block, from timm's name.
    #[must_use]
    pub fn inner(self, kind: Kind, timm: &str) -> &str {
        if self == Self::Timm {
            return timm;
        }
        match (kind, timm) {
            (_, "conv_dw") => "_depthwise_conv",
            (_, "se.conv_reduce") => "_se_reduce",
            (_, "se.conv_expand") => "_se_expand",
            (_, "se.act1" | "se.gate") => "_swish",
            (Kind::Separable, "bn1") | (Kind::Inverted, "bn2") => "_bn1",
            (Kind::Separable, "conv_pw") | (_, "conv_pwl") => "_project_conv",
            (Kind::Inverted, "conv_pw") => "_expand_conv",
            (Kind::Inverted, "bn1") => "_bn0",
            (Kind::Separable, "bn2") | (_, "bn3") => "_bn2",
            _ => timm,
        }
    }
}
