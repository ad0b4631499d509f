//! `ResNet` V2 (activation before convolution): timm's with batch norm, and `BiT` with group norm
//! and standardized weights.
//!
//! Source: timm's `resnetv2.py` and `std_conv.py`.

use std::sync::Arc;

use crate::model::graph::{Conv, GraphError, Op, PadMode, Pool, Unary, ValueId};
use crate::model::state_dict::head::{classifier, global_pool};
use crate::model::state_dict::tokens::{linear_or_conv, square_kernel};
use crate::model::state_dict::{Family, Layers, UsualInput};

/// The family.
pub const FAMILY: Family = Family {
    matches: |shapes| {
        let has = |name: &str| shapes.contains_key(name);
        (has("stem.conv.weight") || has("stem.conv1.weight"))
            && has("stages.0.blocks.0.conv1.weight")
            && has("stages.0.blocks.0.norm1.weight")
            && has("norm.weight")
    },
    build,
};

/// `eps` of the norms.
const EPS: f32 = 1e-5;
/// `eps` of the standardized weights.
const STANDARDIZED_EPS: f64 = 1e-8;
/// Groups of the group norms.
const GROUPS: usize = 32;

/// What the names and shapes say.
struct Plan {
    /// Group norm and standardized weights.
    bit: bool,
    /// Three convolutions first, and average pooling in shortcuts.
    deep: bool,
    depths: Vec<usize>,
}

fn build(layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
    let deep = layers.has("stem.conv1.weight");
    let bit = !layers.has("norm.running_mean");
    let mut depths = Vec::new();
    for stage in 0.. {
        let name = |index: usize| format!("stages.{stage}.blocks.{index}.conv1.weight");
        let depth = (0..).take_while(|index| layers.has(&name(*index))).count();
        if depth == 0 {
            break;
        }
        depths.push(depth);
    }
    let plan = Plan { bit, deep, depths };
    let three = layers.has("stages.0.blocks.0.conv3.weight");
    let count = plan.depths.iter().sum::<usize>() * if three { 3 } else { 2 } + 2;
    let suffix = match (bit, deep) {
        (true, _) => " (BiT)",
        (false, true) => "-D",
        _ => "",
    };
    layers.described.name = format!("ResNetV2-{count}{suffix}");
    layers.described.input = if bit {
        UsualInput {
            crop: 448,
            short: 448,
            mean: [0.5; 3],
            std: [0.5; 3],
            fixed: false,
            bicubic: false,
        }
    } else {
        UsualInput {
            short: 236,
            mean: [0.5; 3],
            std: [0.5; 3],
            bicubic: true,
            ..UsualInput::default()
        }
    };
    if bit && deep {
        return Err(GraphError::new(
            "it is a ResNetV2 with a deep stem and without batch norm, which camlens does not know",
        ));
    }
    let published: [&[usize]; 3] = [&[3, 4, 6, 3], &[3, 4, 23, 3], &[3, 8, 36, 3]];
    if bit && !published.contains(&&plan.depths[..]) {
        return Err(GraphError::new(format!(
            "it is a ResNetV2 with group norm and {:?} blocks, which nobody published: the file does not say its padding and how its weights are standardized. Export it as ONNX",
            plan.depths
        )));
    }
    if layers.is_saved_whole() && bit {
        return Err(GraphError::new(
            "it is a BiT network saved whole: save its state_dict instead",
        ));
    }
    let mut x = plan.stem(layers, x)?;
    for (stage, depth) in plan.depths.iter().enumerate() {
        for index in 0..*depth {
            x = plan.block(layers, (stage, index), x)?;
        }
    }
    x = plan.norm_act(layers, "norm", x)?;
    let paths = ["head.global_pool.pool", "head.global_pool"];
    let x = global_pool(layers, "head.global_pool", &paths, x)?;
    if !layers.is_declared_as(&["resnetv2"]) && !layers.is_saved_whole() {
        let name = layers.described.name.clone();
        layers.described.assumed.push(format!(
            "Taken as timm's usual {name}: ReLU, strides in the 3×3 convolutions, average pooling at the end. The weights alone do not show it."
        ));
    }
    let is_conv = layers
        .tensor_shape("head.fc.weight")
        .is_ok_and(|shape| shape.len() == 4);
    if is_conv {
        return linear_or_conv(layers, "head.fc", x);
    }
    classifier(
        layers,
        x,
        &["stem.".into(), "stages.".into(), "norm.".into()],
    )
}

impl Plan {
    fn stem(&self, layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
        let mut x = x;
        if self.deep {
            x = self.conv(layers, "stem.conv1", x, 2)?;
            x = self.norm_act(layers, "stem.norm1", x)?;
            x = self.conv(layers, "stem.conv2", x, 1)?;
            x = self.norm_act(layers, "stem.norm2", x)?;
            x = self.conv(layers, "stem.conv3", x, 1)?;
        } else {
            x = self.conv(layers, "stem.conv", x, 2)?;
        }
        if self.bit {
            // Zeros around, which may be larger than what the convolution gives.
            let pad = Op::Pad {
                before: vec![0, 0, 1, 1],
                after: vec![0, 0, 1, 1],
                mode: PadMode::Constant(0.0),
            };
            x = layers.push("stem.pad", pad, &[x])?;
            return layers.max_pool("stem.pool", x, Pool::new(3, 2, 0));
        }
        layers.max_pool("stem.pool", x, Pool::new(3, 2, 1))
    }

    fn block(
        &self,
        layers: &mut Layers,
        (stage, index): (usize, usize),
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        let block = format!("stages.{stage}.blocks.{index}");
        let at = |part: &str| format!("{block}.{part}");
        let stride = if stage > 0 && index == 0 { 2 } else { 1 };
        let convs = if layers.has(&at("conv3.weight")) {
            3
        } else {
            2
        };
        let first = self.norm_act(layers, &at("norm1"), x)?;
        let mut shortcut = x;
        if layers.has(&at("downsample.conv.weight")) {
            shortcut = first;
            let mut stride = stride;
            if self.deep {
                if stride > 1 {
                    let usual = Op::AveragePool {
                        pool: Pool {
                            ceil_mode: true,
                            ..Pool::new(2, stride, 0)
                        },
                        count_include_pad: false,
                    };
                    shortcut = layers.pool(&at("downsample.pool"), shortcut, usual)?;
                }
                stride = 1;
            }
            shortcut = self.conv(layers, &at("downsample.conv"), shortcut, stride)?;
        }
        let mut out = first;
        let strided = convs - 1;
        for conv in 1..=convs {
            if conv > 1 {
                out = self.norm_act(layers, &at(&format!("norm{conv}")), out)?;
            }
            let stride = if conv == strided { stride } else { 1 };
            out = self.conv(layers, &at(&format!("conv{conv}")), out, stride)?;
        }
        if layers.shape(out) != layers.shape(shortcut) {
            let (a, b) = (layers.shape(out), layers.shape(shortcut));
            return Err(GraphError::new(format!(
                "{block} adds values of the shapes {a:?} and {b:?}"
            )));
        }
        let is_last = index + 1 == self.depths[stage];
        let name = if is_last {
            format!("stages.{stage}")
        } else {
            block
        };
        layers.add(&name, out, shortcut)
    }

    /// A convolution without bias, with standardized weights for `BiT`.
    fn conv(
        &self,
        layers: &mut Layers,
        name: &str,
        x: ValueId,
        stride: usize,
    ) -> Result<ValueId, GraphError> {
        let tensor = format!("{name}.weight");
        let side = square_kernel(layers, name)?;
        let shape = layers.tensor_shape(&tensor)?;
        if shape.get(1) != layers.shape(x).get(1) {
            return Err(GraphError::new(format!(
                "{tensor} has shape {shape:?}, and its input has {} channels",
                layers.shape(x)[1]
            )));
        }
        let conv = Conv::new(stride, side / 2, 1);
        if !self.bit {
            return layers.conv(name, x, conv);
        }
        let values = standardized(&layers.values(&tensor)?, shape[0]);
        let weight = layers.graph().constant(&tensor, &shape, Arc::new(values))?;
        layers.push(name, Op::Conv(conv), &[x, weight])
    }

    /// A norm and ReLU.
    fn norm_act(&self, layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
        let inner = format!("{name}.norm");
        let normed = if self.bit {
            let inputs = [
                x,
                layers.constant(&format!("{name}.weight"))?,
                layers.constant(&format!("{name}.bias"))?,
            ];
            let op = Op::GroupNorm {
                groups: GROUPS,
                eps: EPS,
            };
            layers.push(&inner, op, &inputs)?
        } else {
            layers.batch_norm(name, x, EPS)?
        };
        let act = format!("{name}.act");
        layers.activation(name, &[&act], Unary::Relu, normed)
    }
}

/// Each of `rows` output channels with mean 0 and variance 1.
fn standardized(values: &[f32], rows: usize) -> Vec<f32> {
    let length = (values.len() / rows.max(1)).max(1);
    let mut standardized = Vec::with_capacity(values.len());
    for row in values.chunks(length) {
        let count = row.len() as f64;
        let mean = row.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
        let square = |value: &f32| (f64::from(*value) - mean).powi(2);
        let variance = row.iter().map(square).sum::<f64>() / count;
        let scale = 1.0 / (variance + STANDARDIZED_EPS).sqrt();
        #[allow(clippy::cast_possible_truncation)] // weights of a graph are f32
        standardized.extend(
            row.iter()
                .map(|value| ((f64::from(*value) - mean) * scale) as f32),
        );
    }
    standardized
}

#[cfg(test)]
mod tests {
    use super::standardized;

    #[test]
    fn weights_are_standardized_row_by_row() {
        let rows = standardized(&[1.0, 3.0, 5.0, 5.0], 2);
        assert_eq!(rows, [-1.0, 1.0, 0.0, 0.0]);
    }
}
