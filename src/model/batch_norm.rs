//! Convolutions with the batch-norm after them folded in.

use candle_core::Result;

use crate::model::layers::{Backend, Conv, ConvSpec};
use crate::model::standard::{ConvNames, compare_convolution};
use crate::model::weights::Checkpoint;

/// Reads a convolution and folds the batch norm after it into its weight and bias: `w' =
/// w·γ/√(σ²+ε)`, `b' = β − μ·γ/√(σ²+ε)`.
///
/// # Errors
/// If the device fails.
pub fn folded_conv(
    checkpoint: &mut Checkpoint,
    names: &ConvNames,
    eps: f32,
    spec: ConvSpec,
    backend: &Backend,
) -> Result<Conv> {
    compare_convolution(checkpoint, names, eps, &spec);
    let weight = checkpoint.tensor(&names.conv, &spec.weight_shape());
    let mut vector =
        |part: &str| checkpoint.tensor(&format!("{}.{part}", names.batch_norm), &[spec.cout]);
    let (gamma, beta) = (vector("weight"), vector("bias"));
    let (mean, variance) = (vector("running_mean"), vector("running_var"));
    if let Some(negative) = variance.iter().find(|v| **v < 0.0) {
        let prefix = &names.batch_norm;
        checkpoint.note_problem(format!(
            "{prefix}.running_var has a negative value ({negative})"
        ));
    }
    let mut bias = beta;
    let scales = gamma.iter().zip(&variance);
    let scales: Vec<f32> = scales.map(|(gamma, v)| gamma / (v + eps).sqrt()).collect();
    for ((bias, mean), scale) in bias.iter_mut().zip(&mean).zip(&scales) {
        *bias -= mean * scale;
    }
    let conv = Conv::new(&weight, bias, scales, spec, backend);
    checkpoint.reuse(weight);
    conv
}
