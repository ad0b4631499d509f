//! Swin transformers (V1), with torchvision's and timm's names.
//!
//! Sources: torchvision's `swin_transformer.py`, timm's `swin_transformer.py`.

mod window;

use crate::model::graph::{Conv, GraphError, Op, ReduceKind, Unary, ValueId};
use crate::model::state_dict::head::classifier;
use crate::model::state_dict::swin::window::Windows;
use crate::model::state_dict::tokens::{Attention, channels_last, gather, mlp, split_qkv};
use crate::model::state_dict::{Family, Layers, UsualInput};

/// The family.
pub const FAMILY: Family = Family {
    matches: |shapes| {
        let has = |name: &str| shapes.contains_key(name);
        has("layers.0.blocks.0.attn.relative_position_bias_table") && has("patch_embed.proj.weight")
            || has("features.1.0.attn.relative_position_bias_table")
                && has("features.0.0.weight")
                && !has("features.1.0.attn.logit_scale")
    },
    build,
};

/// `eps` of all norms, in both libraries.
const EPS: f32 = 1e-5;

/// Where the tensors are.
struct Plan {
    /// Whether the names are timm's.
    timm: bool,
    /// Whether patches are merged at the end of a stage, as in the original code.
    merges_last: bool,
    depths: Vec<usize>,
}

fn build(layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
    let mut plan = Plan {
        timm: layers.has("patch_embed.proj.weight"),
        merges_last: layers.has("layers.0.downsample.norm.weight"),
        depths: Vec::new(),
    };
    for stage in 0.. {
        let has =
            |index: &usize| layers.has(&format!("{}.norm1.weight", plan.block(stage, *index)));
        let depth = (0..).take_while(has).count();
        if depth == 0 {
            break;
        }
        plan.depths.push(depth);
    }
    plan.describe(layers)?;
    let (patch, norm) = if plan.timm {
        ("patch_embed.proj", "patch_embed.norm")
    } else {
        ("features.0.0", "features.0.2")
    };
    let weight = layers.tensor_shape(&format!("{patch}.weight"))?;
    let &[_, _, down, across] = &weight[..] else {
        return Err(GraphError::new(format!(
            "{patch}.weight has shape {weight:?}"
        )));
    };
    if down != across {
        return Err(GraphError::new(format!("its patches are {down}×{across}")));
    }
    let conv = Conv::new(down, 0, 1);
    if plan.timm {
        let &[_, _, height, width] = layers.shape(x) else {
            return Err(GraphError::new("its input is not an image"));
        };
        if down == 0 || !height.is_multiple_of(down) || !width.is_multiple_of(down) {
            return Err(GraphError::new(format!(
                "its input must be a multiple of {down} pixels"
            )));
        }
    }
    let x = layers.conv(patch, x, conv)?;
    let _ = layers.saved("features.0.1");
    let x = channels_last(layers, &format!("{patch}.last"), x)?;
    let mut x = layers.layer_norm(norm, x, EPS)?;
    for stage in 0..plan.depths.len() {
        x = plan.stage(layers, stage, x)?;
    }
    let x = layers.layer_norm("norm", x, EPS)?;
    for path in ["permute", "avgpool", "flatten", "head.global_pool"] {
        if let Some(module) = layers.saved(path)
            && path.ends_with("pool")
            && !module.is_global_average()
        {
            return Err(GraphError::new(format!("{path} is {}", module.class)));
        }
    }
    let mean = Op::Reduce {
        kind: ReduceKind::Mean,
        axes: vec![1, 2],
        keep_dims: false,
    };
    let x = layers.push("avgpool", mean, &[x])?;
    let inside = ["patch_embed.", "layers.", "features.", "norm."];
    classifier(layers, x, &inside.map(str::to_owned))
}

impl Plan {
    fn stage_name(&self, stage: usize) -> String {
        if self.timm {
            format!("layers.{stage}")
        } else {
            format!("features.{}", 2 * stage + 1)
        }
    }

    fn block(&self, stage: usize, index: usize) -> String {
        let stage = self.stage_name(stage);
        if self.timm {
            format!("{stage}.blocks.{index}")
        } else {
            format!("{stage}.{index}")
        }
    }

    fn describe(&self, layers: &mut Layers) -> Result<(), GraphError> {
        let width = layers.tensor_shape(&format!("{}.norm1.weight", self.block(0, 0)))?;
        let size = match (width.first(), &self.depths[..]) {
            (Some(96), [2, 2, 6, 2]) => "-Tiny",
            (Some(96), [2, 2, 18, 2]) => "-Small",
            (Some(128), [2, 2, 18, 2]) => "-Base",
            (Some(192), [2, 2, 18, 2]) => "-Large",
            _ => "",
        };
        layers.described.name = format!("Swin{size}");
        let window = Windows::side(layers, &self.block(0, 0))?;
        layers.described.input = if self.timm {
            let crop = window * 32;
            UsualInput {
                crop,
                short: crop * 10 / 9,
                bicubic: true,
                fixed: true,
                ..UsualInput::default()
            }
        } else {
            UsualInput {
                short: match size {
                    "-Tiny" => 232,
                    "-Small" => 246,
                    _ => 238,
                },
                bicubic: true,
                ..UsualInput::default()
            }
        };
        if !layers.is_declared_as(&["swin_"]) && !layers.is_saved_whole() {
            let name = layers.described.name.clone();
            layers.described.assumed.push(format!(
                "Taken as a usual {name}: GELU, every second block shifted by half a window. The weights alone do not show it."
            ));
        }
        Ok(())
    }

    fn stage(&self, layers: &mut Layers, stage: usize, x: ValueId) -> Result<ValueId, GraphError> {
        let name = self.stage_name(stage);
        let depth = self.depths[stage];
        let is_last = stage + 1 == self.depths.len();
        let mut x = x;
        if self.timm && !self.merges_last && stage > 0 {
            x = merge(layers, &format!("{name}.downsample"), x)?;
        }
        for index in 0..depth {
            let block = self.block(stage, index);
            let merges = self.timm && self.merges_last && !is_last;
            let output = if index + 1 == depth && !merges {
                &name
            } else {
                &block
            };
            x = self.transform(layers, &block, output, index % 2 == 1, x)?;
        }
        if is_last {
            Ok(x)
        } else if !self.timm {
            merge(layers, &format!("features.{}", 2 * stage + 2), x)
        } else if self.merges_last {
            merge(layers, &format!("{name}.downsample"), x)
        } else {
            Ok(x)
        }
    }

    /// A block on `[1, H, W, C]`.
    fn transform(
        &self,
        layers: &mut Layers,
        block: &str,
        output: &str,
        shifted: bool,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let at = |part: &str| format!("{block}.{part}");
        let windows = Windows::new(layers, block, x, shifted, self.timm)?;
        let normed = layers.layer_norm(&at("norm1"), x, EPS)?;
        let inner = windows.split(layers, block, normed)?;
        for path in [at("attn"), at("attn.softmax")] {
            let _ = layers.saved(&path);
        }
        layers.ignore(&at("attn.relative_position_index"));
        layers.ignore(&at("attn_mask"));
        let qkv = layers.linear(&at("attn.qkv"), inner)?;
        let qkv = split_qkv(layers, &at("attn.qkv"), qkv)?;
        let bias = windows.bias(layers, block)?;
        let attention = Attention {
            qkv,
            heads: windows.heads,
            bias: Some(bias),
        };
        let attended = attention.build(layers, &at("attn"))?;
        let attended = layers.linear(&at("attn.proj"), attended)?;
        let attended = windows.join(layers, block, attended)?;
        let x = layers.add(&at("attended"), x, attended)?;
        let normed = layers.layer_norm(&at("norm2"), x, EPS)?;
        let parts = if self.timm {
            ["mlp.fc1", "mlp.act", "mlp.fc2"]
        } else {
            ["mlp.0", "mlp.1", "mlp.3"]
        };
        let out = mlp(layers, &at(""), parts, Unary::Gelu, normed)?;
        layers.add(output, x, out)
    }
}

/// Each 2×2 cells become one: `[1, H, W, C]` to `[1, H/2, W/2, 2C]`.
fn merge(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let at = |part: &str| format!("{name}.{part}");
    let &[_, height, width, _] = layers.shape(x) else {
        return Err(GraphError::new(format!("{name} has no rows and columns")));
    };
    let x = window::pad(layers, &at("pad"), x, height % 2, width % 2)?;
    let (height, width) = (height.div_ceil(2) * 2, width.div_ceil(2) * 2);
    let mut parts = Vec::new();
    // All even columns first, as in both libraries.
    for column in 0..2 {
        for row in 0..2 {
            let label = format!("{name}.{row}{column}");
            let rows = (row..height).step_by(2).collect();
            let columns = (column..width).step_by(2).collect();
            let part = gather(layers, &format!("{label}.rows"), x, 1, rows)?;
            parts.push(gather(layers, &label, part, 2, columns)?);
        }
    }
    let x = layers.push(&at("joined"), Op::Concat { axis: 3 }, &parts)?;
    let x = layers.layer_norm(&at("norm"), x, EPS)?;
    layers.linear(&at("reduction"), x)
}
