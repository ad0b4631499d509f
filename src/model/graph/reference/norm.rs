//! Normalizations and softmax. Means and variances in two passes.

use rayon::prelude::*;

use crate::model::graph::Op;
use crate::model::graph::reference::Tensor;

/// `x [N, C, ..]`, γ, β, mean, variance.
pub(super) fn batch_norm(inputs: &[&Tensor], eps: f32) -> Vec<f64> {
    let scales = batch_scales(inputs, eps);
    let (shift, mean) = (inputs[2].doubles(), inputs[3].doubles());
    per_plane(inputs[0], inputs[0], |channel, x| {
        (x - mean[channel]) * scales[channel] + shift[channel]
    })
}

pub(super) fn batch_norm_backward(inputs: &[&Tensor], eps: f32, gradient: &Tensor) -> Vec<f64> {
    let scales = batch_scales(inputs, eps);
    per_plane(gradient, inputs[0], |channel, g| g * scales[channel])
}

/// `γ / √(variance + eps)`.
fn batch_scales(inputs: &[&Tensor], eps: f32) -> Vec<f64> {
    let (weight, variance) = (inputs[1].doubles(), inputs[4].doubles());
    let pairs = weight.iter().zip(variance.iter());
    pairs
        .map(|(weight, variance)| weight / (variance + f64::from(eps)).sqrt())
        .collect()
}

/// A function of the channel and each value; `x [N, C, ..]` has the shape.
fn per_plane(values: &Tensor, x: &Tensor, f: impl Fn(usize, f64) -> f64 + Sync) -> Vec<f64> {
    let values = values.doubles();
    let channels = x.shape[1];
    let area: usize = x.shape[2..].iter().product();
    let mut out = vec![0.0; values.len()];
    let planes = out.par_chunks_mut(area).zip(values.par_chunks(area));
    planes.enumerate().for_each(|(plane, (out, values))| {
        for (out, value) in out.iter_mut().zip(values) {
            *out = f(plane % channels, *value);
        }
    });
    out
}

/// Over the axes from `axis` on; weight and bias are optional.
pub(super) fn layer_norm(inputs: &[&Tensor], axis: usize, eps: f32) -> Vec<f64> {
    let x = inputs[0];
    let length: usize = x.shape[axis..].iter().product();
    let weight = inputs.get(1).map(|weight| weight.doubles());
    let bias = inputs.get(2).map(|bias| bias.doubles());
    normalize(&x.doubles(), (length, eps), |_, at| {
        let weight = weight.as_ref().map_or(1.0, |weight| weight[at]);
        (weight, bias.as_ref().map_or(0.0, |bias| bias[at]))
    })
}

pub(super) fn layer_norm_backward(
    inputs: &[&Tensor],
    axis: usize,
    eps: f32,
    gradient: &Tensor,
) -> Vec<f64> {
    let x = inputs[0];
    let length: usize = x.shape[axis..].iter().product();
    let weight = inputs.get(1).map(|weight| weight.doubles());
    let values = (&x.doubles()[..], &gradient.doubles()[..]);
    normalize_backward(values, (length, eps), |_, at| {
        weight.as_ref().map_or(1.0, |weight| weight[at])
    })
}

/// `x [N, C, ..]`, weight `[C]`, bias `[C]`.
pub(super) fn group_norm(inputs: &[&Tensor], groups: usize, eps: f32) -> Vec<f64> {
    let (x, weight, bias) = (inputs[0], inputs[1].doubles(), inputs[2].doubles());
    let (length, channel) = group(x, groups);
    normalize(&x.doubles(), (length, eps), |row, at| {
        let channel = channel(row, at);
        (weight[channel], bias[channel])
    })
}

pub(super) fn group_norm_backward(
    inputs: &[&Tensor],
    groups: usize,
    eps: f32,
    gradient: &Tensor,
) -> Vec<f64> {
    let (x, weight) = (inputs[0], inputs[1].doubles());
    let (length, channel) = group(x, groups);
    let values = (&x.doubles()[..], &gradient.doubles()[..]);
    normalize_backward(values, (length, eps), |row, at| weight[channel(row, at)])
}

/// The number of values of a group, and the channel of a position in a group.
fn group(x: &Tensor, groups: usize) -> (usize, impl Fn(usize, usize) -> usize + Sync) {
    let area: usize = x.shape[2..].iter().product();
    let per_group = x.shape[1] / groups;
    let channel = move |row: usize, at: usize| row % groups * per_group + at / area;
    (per_group * area, channel)
}

/// Mean, and 1 over the standard deviation.
fn moments(x: &[f64], eps: f32) -> (f64, f64) {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let squares: f64 = x.iter().map(|x| (x - mean) * (x - mean)).sum();
    let variance = squares / x.len() as f64;
    (mean, 1.0 / (variance + f64::from(eps)).sqrt())
}

/// Normalizes rows of `length` values; `affine` gives weight and bias for a row and position.
fn normalize(
    x: &[f64],
    (length, eps): (usize, f32),
    affine: impl Fn(usize, usize) -> (f64, f64) + Sync,
) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    let rows = out.par_chunks_mut(length).zip(x.par_chunks(length));
    rows.enumerate().for_each(|(row, (out, x))| {
        let (mean, scale) = moments(x, eps);
        for (at, (out, x)) in out.iter_mut().zip(x).enumerate() {
            let (weight, bias) = affine(row, at);
            *out = (x - mean) * scale * weight + bias;
        }
    });
    out
}

/// The gradient with respect to `x` of [`normalize`].
fn normalize_backward(
    (x, gradient): (&[f64], &[f64]),
    (length, eps): (usize, f32),
    weight: impl Fn(usize, usize) -> f64 + Sync,
) -> Vec<f64> {
    let mut out = vec![0.0; x.len()];
    let sides = x.par_chunks(length).zip(gradient.par_chunks(length));
    let rows = out.par_chunks_mut(length).zip(sides);
    rows.enumerate().for_each(|(row, (out, (x, gradient)))| {
        let (mean, scale) = moments(x, eps);
        // With n = (x − mean)·scale and g = gradient·weight: (g − mean(g) − n·mean(g·n))·scale.
        let (mut sum, mut product) = (0.0, 0.0);
        for (at, (x, g)) in x.iter().zip(gradient).enumerate() {
            let g = g * weight(row, at);
            sum += g;
            product += g * (x - mean) * scale;
        }
        let count = length as f64;
        let (sum, product) = (sum / count, product / count);
        for (at, (out, (x, g))) in out.iter_mut().zip(x.iter().zip(gradient)).enumerate() {
            let normal = (x - mean) * scale;
            *out = (g * weight(row, at) - sum - normal * product) * scale;
        }
    });
    out
}

/// The parameters of local response normalization, in f64.
struct Lrn {
    size: usize,
    /// `alpha / size`.
    alpha: f64,
    beta: f64,
    bias: f64,
}

impl Lrn {
    fn new(op: &Op) -> Option<Self> {
        let Op::Lrn {
            size,
            alpha,
            beta,
            bias,
        } = *op
        else {
            return None;
        };
        Some(Self {
            size,
            alpha: f64::from(alpha) / size as f64,
            beta: f64::from(beta),
            bias: f64::from(bias),
        })
    }

    /// The sums of each position's window of channels, of values `f(channel)`; ONNX's windows
    /// have the extra channel of an even size above.
    fn window(&self, channel: usize, channels: usize) -> std::ops::Range<usize> {
        let below = (self.size - 1) / 2;
        let above = self.size - 1 - below;
        channel.saturating_sub(below)..channels.min(channel.saturating_add(above + 1))
    }

    /// `bias + alpha/size·Σx²` of one image `[channels, area]`.
    fn bases(&self, x: &[f64], channels: usize) -> Vec<f64> {
        let area = x.len() / channels;
        let mut bases = vec![self.bias; x.len()];
        for (channel, bases) in bases.chunks_exact_mut(area).enumerate() {
            for other in self.window(channel, channels) {
                for (base, x) in bases.iter_mut().zip(&x[other * area..][..area]) {
                    *base += self.alpha * x * x;
                }
            }
        }
        bases
    }
}

/// Local response normalization.
pub(super) fn lrn(op: &Op, x: &Tensor) -> Vec<f64> {
    let Some(lrn) = Lrn::new(op) else {
        return Vec::new();
    };
    let values = x.doubles();
    let image = values.len() / x.shape[0];
    let images = values.par_chunks(image).flat_map_iter(|x_values| {
        let bases = lrn.bases(x_values, x.shape[1]);
        let pairs = x_values.iter().zip(bases);
        let out: Vec<f64> = pairs.map(|(x, base)| x * base.powf(-lrn.beta)).collect();
        out
    });
    images.collect()
}

pub(super) fn lrn_backward(op: &Op, x: &Tensor, gradient: &Tensor) -> Vec<f64> {
    let Some(lrn) = Lrn::new(op) else {
        return Vec::new();
    };
    let (values, gradient) = (x.doubles(), gradient.doubles());
    let (channels, image) = (x.shape[1], values.len() / x.shape[0]);
    let area = image / channels;
    let mut out = vec![0.0; values.len()];
    let sides = values.chunks(image).zip(gradient.chunks(image));
    for (out, (x, gradient)) in out.chunks_mut(image).zip(sides) {
        let bases = lrn.bases(x, channels);
        for (at, out) in out.iter_mut().enumerate() {
            *out = gradient[at] * bases[at].powf(-lrn.beta);
        }
        let factor = -2.0 * lrn.alpha * lrn.beta;
        for channel in 0..channels {
            for position in 0..area {
                let at = channel * area + position;
                let share = factor * gradient[at] * x[at] * bases[at].powf(-lrn.beta - 1.0);
                for other in lrn.window(channel, channels) {
                    out[other * area + position] += share * x[other * area + position];
                }
            }
        }
    }
    out
}

/// The number of values after an axis, and its length.
fn inner_and_length(shape: &[usize], axis: usize) -> (usize, usize) {
    (shape[axis + 1..].iter().product(), shape[axis])
}

/// Softmax or its logarithm over one axis.
pub(super) fn softmax(x: &Tensor, axis: usize, logarithm: bool) -> Vec<f64> {
    let (inner, length) = inner_and_length(&x.shape, axis);
    let mut out = x.doubles().into_owned();
    out.par_chunks_mut(length * inner).for_each(|block| {
        for first in 0..inner {
            let line = || (first..length * inner).step_by(inner);
            // A value that is not a number makes all not numbers, by way of the sum.
            let most = line().fold(f64::NEG_INFINITY, |most, at| most.max(block[at]));
            let sum: f64 = line().map(|at| (block[at] - most).exp()).sum();
            let log = sum.ln();
            for at in line() {
                let shifted = block[at] - most;
                block[at] = if logarithm {
                    shifted - log
                } else {
                    shifted.exp() / sum
                };
            }
        }
    });
    out
}

pub(super) fn softmax_backward(
    output: &Tensor,
    gradient: &Tensor,
    axis: usize,
    logarithm: bool,
) -> Vec<f64> {
    let (inner, length) = inner_and_length(&output.shape, axis);
    let output = output.doubles();
    let mut out = gradient.doubles().into_owned();
    let size = length * inner;
    let blocks = out.par_chunks_mut(size).zip(output.par_chunks(size));
    blocks.for_each(|(block, output)| {
        for first in 0..inner {
            let line = || (first..length * inner).step_by(inner);
            if logarithm {
                let sum: f64 = line().map(|at| block[at]).sum();
                for at in line() {
                    block[at] -= output[at].exp() * sum;
                }
            } else {
                let sum: f64 = line().map(|at| block[at] * output[at]).sum();
                for at in line() {
                    block[at] = output[at] * (block[at] - sum);
                }
            }
        }
    });
    out
}
