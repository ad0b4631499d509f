//! A block: two or three convolutions, attention to channels, and a shortcut.

use crate::model::graph::{Conv, GraphError, Op, Pool, Unary, ValueId};
use crate::model::state_dict::Layers;
use crate::model::state_dict::resnet::names::{Anti, Shortcut, Style};
use crate::model::state_dict::resnet::stem::{blur, conv, saved_blur};
use crate::model::state_dict::resnet::{EPS, Plan};

/// A block of a stage, both counted from 0.
pub fn build(
    layers: &mut Layers,
    plan: &Plan,
    (stage, index): (usize, usize),
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let network = &plan.network;
    let block = network.block(stage, index);
    let stride = if stage > 0 && index == 0 { 2 } else { 1 };
    // timm's test network mixes both kinds.
    let bottleneck = layers.has(&network.conv_weight(stage, index, 3));
    let convs = if bottleneck { 3 } else { 2 };
    let grouped = bottleneck && {
        let shape = |conv| layers.tensor_shape(&network.conv_weight(stage, index, conv));
        shape(2)?.get(1) != shape(1)?.first()
    };
    let strided = match network.style {
        // Caffe's place.
        Style::Legacy if bottleneck && !grouped => 1,
        _ if bottleneck => 2,
        _ => 1,
    };
    let mut out = x;
    for at in 1..=convs {
        let kernel = if bottleneck && at != 2 { 1 } else { 3 };
        let stride = if at == strided { stride } else { 1 };
        let anti = plan.anti != Anti::No && stride == 2 && at == strided;
        let name = network.conv(stage, index, at);
        if !(bottleneck && at == 2) {
            let weight = layers.tensor_shape(&format!("{name}.weight"))?;
            if weight.get(1) != layers.shape(out).get(1) {
                return Err(GraphError::new(format!(
                    "{name}.weight has shape {weight:?}, and its input has {} channels",
                    layers.shape(out)[1]
                )));
            }
        }
        out = conv(layers, &name, out, if anti { 1 } else { stride }, &[kernel])?;
        out = plan.normalize(layers, &network.norm(stage, index, at), out)?;
        // timm's legacy basic block has one more activation, before the attention.
        if at == convs && (network.style != Style::Legacy || bottleneck) {
            break;
        }
        let paths = network.activations(stage, index, Some(at));
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        out = layers.activation(paths[0], &paths, Unary::Relu, out)?;
        if at == strided {
            out = anti_alias(layers, plan, &format!("{block}.aa"), out, anti)?;
        }
    }
    out = attention(layers, &block, out)?;
    let shortcut = match network.shortcut(layers.shapes(), stage, index) {
        Some(shortcut) => project(layers, plan, &shortcut, x, stride)?,
        None => x,
    };
    if layers.shape(out) != layers.shape(shortcut) {
        let (out, x) = (layers.shape(out).to_vec(), layers.shape(shortcut).to_vec());
        return Err(GraphError::new(format!(
            "{block} adds values of the shapes {out:?} and {x:?}"
        )));
    }
    let sum = layers.add(&format!("{block}.sum"), out, shortcut)?;
    let paths = network.activations(stage, index, None);
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let is_last = index + 1 == plan.depths[stage];
    let name = if is_last { network.stage(stage) } else { block };
    layers.activation(&name, &paths, Unary::Relu, sum)
}

/// What is between the activation and the next convolution of a block with a stride.
fn anti_alias(
    layers: &mut Layers,
    plan: &Plan,
    path: &str,
    x: ValueId,
    wanted: bool,
) -> Result<ValueId, GraphError> {
    if let Some(module) = layers.saved(path) {
        return match module.class.as_str() {
            "BlurPool2d" => saved_blur(layers, path, x),
            _ => layers.max_pool(path, x, Pool::new(2, 2, 0)),
        };
    }
    match plan.anti {
        Anti::Average if wanted => {
            let halves = Op::AveragePool {
                pool: Pool::new(2, 2, 0),
                count_include_pad: true,
            };
            layers.push(path, halves, &[x])
        }
        Anti::Blur if wanted => blur(layers, path, x, 2),
        _ => Ok(x),
    }
}

/// A projecting shortcut.
fn project(
    layers: &mut Layers,
    plan: &Plan,
    shortcut: &Shortcut,
    x: ValueId,
    stride: usize,
) -> Result<ValueId, GraphError> {
    let Shortcut {
        conv: path,
        norm,
        pool,
    } = shortcut;
    let mut x = x;
    let mut stride = stride;
    if let Some(pool) = pool {
        if stride > 1 || layers.is_saved_whole() {
            let usual = Op::AveragePool {
                pool: Pool {
                    ceil_mode: true,
                    ..Pool::new(2, stride, 0)
                },
                count_include_pad: false,
            };
            x = layers.pool(pool, x, usual)?;
        }
        stride = 1;
    }
    let weight = layers.tensor_shape(&format!("{path}.weight"))?;
    if weight.get(1) != layers.shape(x).get(1) {
        return Err(GraphError::new(format!(
            "{path}.weight has shape {weight:?}, and its input has {} channels",
            layers.shape(x)[1]
        )));
    }
    // SENet-154 has 3×3 kernels here, where there is a stride.
    let kernels: &[usize] = if stride > 1 { &[1, 3] } else { &[1] };
    let x = conv(layers, path, x, stride, kernels)?;
    plan.normalize(layers, norm, x)
}

/// Squeeze-and-excitation, or efficient channel attention.
fn attention(layers: &mut Layers, block: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let channels = layers.shape(x)[1];
    for name in ["se", "se_module"] {
        let at = |part: &str| format!("{block}.{name}.{part}");
        if layers.has(&at("fc1.weight")) {
            let pooled = layers.global_average_pool(&at("avg_pool"), x, true)?;
            let pooled = layers.conv(&at("fc1"), pooled, Conv::PLAIN)?;
            let acts = [at("act"), at("relu")];
            let paths = [&acts[0][..], &acts[1][..]];
            let pooled = layers.activation(&at("act"), &paths, Unary::Relu, pooled)?;
            let pooled = layers.conv(&at("fc2"), pooled, Conv::PLAIN)?;
            return gate(layers, block, name, x, pooled);
        }
    }
    let at = |part: &str| format!("{block}.se.{part}");
    let weight = at("conv.weight");
    if layers.has(&weight) && !layers.has(&at("conv.bias")) {
        let shape = layers.tensor_shape(&weight)?;
        let &[1, 1, taps] = &shape[..] else {
            return Err(GraphError::new(format!("{weight} has shape {shape:?}")));
        };
        // A convolution along the channels.
        let values = layers.values(&weight)?;
        let kernel = layers.graph().constant(&weight, &[1, 1, 1, taps], values)?;
        let pooled = layers.global_average_pool(&at("avg_pool"), x, false)?;
        let row = |shape: &[usize]| Op::Reshape {
            shape: shape.to_vec(),
        };
        let pooled = layers.push(&at("row"), row(&[1, 1, 1, channels]), &[pooled])?;
        let across = Conv {
            pads: [0, taps / 2, 0, taps / 2],
            ..Conv::PLAIN
        };
        let pooled = layers.push(&at("conv"), Op::Conv(across), &[pooled, kernel])?;
        let pooled = layers.push(&at("column"), row(&[1, channels, 1, 1]), &[pooled])?;
        return gate(layers, block, "se", x, pooled);
    }
    Ok(x)
}

fn gate(
    layers: &mut Layers,
    block: &str,
    name: &str,
    x: ValueId,
    pooled: ValueId,
) -> Result<ValueId, GraphError> {
    let paths = [
        format!("{block}.{name}.gate"),
        format!("{block}.{name}.sigmoid"),
    ];
    let factors = layers.activation(&paths[0], &[&paths[0], &paths[1]], Unary::Sigmoid, pooled)?;
    layers.mul(&format!("{block}.{name}"), x, factors)
}

impl Plan {
    /// Batch norm, or the group norm of timm's `resnet50_gn`.
    pub fn normalize(
        &self,
        layers: &mut Layers,
        name: &str,
        x: ValueId,
    ) -> Result<ValueId, GraphError> {
        if layers.has(&format!("{name}.running_mean")) {
            return layers.batch_norm(name, x, EPS);
        }
        let mut groups = 32;
        let mut eps = EPS;
        match layers.saved(name) {
            Some(module) if module.class == "GroupNorm" => {
                let found = module
                    .numbers("num_groups")
                    .and_then(|values| values.first());
                let found = found.filter(|found| (1.0..=65_536.0).contains(*found));
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // just checked
                let found = found.map(|found| *found as usize);
                groups = found.ok_or_else(|| GraphError::new(format!("{name} has no groups")))?;
                eps = module.eps(eps)?;
            }
            None if self.group_norm => {}
            _ => {
                return Err(GraphError::new(format!(
                    "{name}.running_mean is missing: it is not a batch norm, and the file does not say which normalization it is"
                )));
            }
        }
        let inputs = [
            x,
            layers.constant(&format!("{name}.weight"))?,
            layers.constant(&format!("{name}.bias"))?,
        ];
        layers.push(name, Op::GroupNorm { groups, eps }, &inputs)
    }
}
