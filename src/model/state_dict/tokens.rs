//! Parts of networks on tokens `[1, N, C]`: attention, and the two linear layers after it.

use std::sync::Arc;

use crate::model::graph::{GraphError, Op, Unary, ValueId};
use crate::model::state_dict::Layers;

/// `[1, C, H, W]` to `[1, H·W, C]`.
///
/// # Errors
/// If it is not an image.
pub fn tokens_of(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let &[n, channels, height, width] = layers.shape(x) else {
        return Err(GraphError::new(format!("{name} is not an image")));
    };
    let flat = Op::Reshape {
        shape: vec![n, channels, height * width],
    };
    let flat = layers.push(&format!("{name}.flat"), flat, &[x])?;
    let perm = vec![0, 2, 1];
    layers.push(name, Op::Transpose { perm }, &[flat])
}

/// `[1, C, H, W]` to `[1, H, W, C]`.
///
/// # Errors
/// If it is not an image.
pub fn channels_last(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let perm = vec![0, 2, 3, 1];
    layers.push(name, Op::Transpose { perm }, &[x])
}

/// `[1, H, W, C]` to `[1, C, H, W]`.
///
/// # Errors
/// If it has other axes.
pub fn channels_first(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let perm = vec![0, 3, 1, 2];
    layers.push(name, Op::Transpose { perm }, &[x])
}

/// A part of the last axis.
///
/// # Errors
/// If there is no such part.
pub fn part(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    start: usize,
    length: usize,
) -> Result<ValueId, GraphError> {
    let axis = layers.shape(x).len() - 1;
    let slice = Op::Slice {
        axis,
        start,
        step: 1,
        length,
    };
    layers.push(name, slice, &[x])
}

/// Queries, keys and values, each `[B, N, C]`, and what is added to their products: a value that
/// broadcasts to `[B, heads, N, N]`.
pub struct Attention {
    /// Queries, keys, values.
    pub qkv: [ValueId; 3],
    /// Number of heads; it divides the channels.
    pub heads: usize,
    /// Added before the softmax.
    pub bias: Option<ValueId>,
}

impl Attention {
    /// `[B, N, C]`: the values, weighted.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn build(&self, layers: &mut Layers, name: &str) -> Result<ValueId, GraphError> {
        let &[batch, count, channels] = layers.shape(self.qkv[0]) else {
            return Err(GraphError::new(format!("{name} has no tokens")));
        };
        let heads = self.heads;
        if heads == 0 || !channels.is_multiple_of(heads) {
            return Err(GraphError::new(format!(
                "{name}: {heads} heads do not divide {channels} channels"
            )));
        }
        let width = channels / heads;
        let mut apart = |part: &str, x: ValueId, perm: Vec<usize>| {
            let shape = vec![batch, count, heads, width];
            let x = layers.push(&format!("{name}.{part}.heads"), Op::Reshape { shape }, &[x])?;
            layers.push(&format!("{name}.{part}"), Op::Transpose { perm }, &[x])
        };
        let q = apart("q", self.qkv[0], vec![0, 2, 1, 3])?;
        let k = apart("k", self.qkv[1], vec![0, 2, 3, 1])?;
        let v = apart("v", self.qkv[2], vec![0, 2, 1, 3])?;
        #[allow(clippy::cast_possible_truncation)] // the constants of a graph are f32
        let scale = layers.number(
            &format!("{name}.scale"),
            (1.0 / (width as f64).sqrt()) as f32,
        )?;
        let q = layers.mul(&format!("{name}.scaled"), q, scale)?;
        let mut products = layers.push(&format!("{name}.products"), Op::MatMul, &[q, k])?;
        if let Some(bias) = self.bias {
            products = layers.add(&format!("{name}.biased"), products, bias)?;
        }
        let softmax = Op::Softmax { axis: 3 };
        let weights = layers.push(&format!("{name}.softmax"), softmax, &[products])?;
        let sums = layers.push(&format!("{name}.sums"), Op::MatMul, &[weights, v])?;
        let perm = vec![0, 2, 1, 3];
        let sums = layers.push(&format!("{name}.order"), Op::Transpose { perm }, &[sums])?;
        let shape = vec![batch, count, channels];
        layers.push(&format!("{name}.joined"), Op::Reshape { shape }, &[sums])
    }
}

/// Queries, keys and values of one linear layer that makes all three.
///
/// # Errors
/// If its weight does not fit.
pub fn split_qkv(layers: &mut Layers, name: &str, x: ValueId) -> Result<[ValueId; 3], GraphError> {
    let all = *layers.shape(x).last().unwrap_or(&0);
    let channels = all / 3;
    if channels * 3 != all {
        return Err(GraphError::new(format!("{name} has {all} outputs")));
    }
    let mut of = |letter: &str, at: usize| {
        part(
            layers,
            &format!("{name}.{letter}"),
            x,
            at * channels,
            channels,
        )
    };
    Ok([of("q", 0)?, of("k", 1)?, of("v", 2)?])
}

/// Two linear layers with a function between them.
///
/// # Errors
/// If a tensor is missing or does not fit.
pub fn mlp(
    layers: &mut Layers,
    name: &str,
    [first, act, second]: [&str; 3],
    function: Unary,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let at = |part: &str| format!("{name}{part}");
    let x = layers.linear(&at(first), x)?;
    let act = at(act);
    let x = layers.activation(&act, &[&act], function, x)?;
    layers.linear(&at(second), x)
}

/// `{name}.gamma` or another vector, times each channel of the last axis, if it exists.
///
/// # Errors
/// If it does not fit.
pub fn layer_scale(layers: &mut Layers, tensor: &str, x: ValueId) -> Result<ValueId, GraphError> {
    if !layers.has(tensor) {
        return Ok(x);
    }
    let scale = layers.constant(tensor)?;
    let shape = layers.shape(x);
    if layers.shape(scale) != &shape[shape.len() - 1..] {
        return Err(GraphError::new(format!(
            "{tensor} has shape {:?}",
            layers.shape(scale)
        )));
    }
    layers.mul(&format!("{tensor}.scaled"), x, scale)
}

/// A tensor in another shape with as many values.
///
/// # Errors
/// If it is missing or has another number of values.
pub fn reshaped(layers: &mut Layers, tensor: &str, shape: &[usize]) -> Result<ValueId, GraphError> {
    let values: Arc<Vec<f32>> = layers.values(tensor)?;
    layers.graph().constant(tensor, shape, values)
}

/// The positions `indices` of an axis, which keeps its place.
///
/// # Errors
/// If a position lies outside.
pub fn gather(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    axis: usize,
    indices: Vec<usize>,
) -> Result<ValueId, GraphError> {
    let shape = vec![indices.len()];
    let gather = Op::Gather {
        axis,
        indices: Arc::new(indices),
        shape,
    };
    layers.push(name, gather, &[x])
}

/// A linear layer on the last axis, which may be saved as a 1×1 convolution.
///
/// # Errors
/// If a tensor is missing or does not fit.
pub fn linear_or_conv(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let tensor = format!("{name}.weight");
    let shape = layers.tensor_shape(&tensor)?;
    let &[out, channels, 1, 1] = &shape[..] else {
        return layers.linear(name, x);
    };
    if let Some(module) = layers.saved(name)
        && module.class != "Conv2d"
    {
        return Err(GraphError::new(format!("{name} is {}", module.class)));
    }
    let mut inputs = vec![x, reshaped(layers, &tensor, &[out, channels])?];
    let bias = format!("{name}.bias");
    if layers.has(&bias) {
        inputs.push(layers.constant(&bias)?);
    }
    layers.push(name, Op::Linear, &inputs)
}

/// The side of a square kernel.
///
/// # Errors
/// If the weight is missing or not square.
pub fn square_kernel(layers: &Layers, name: &str) -> Result<usize, GraphError> {
    let shape = layers.tensor_shape(&format!("{name}.weight"))?;
    match shape[..] {
        [_, _, down, across] if down == across && down > 0 => Ok(down),
        _ => Err(GraphError::new(format!(
            "{name}.weight has shape {shape:?}"
        ))),
    }
}
