//! Convolutions and their batch norms.

use crate::model::architecture::LiteNames;
use crate::model::cpu::Activation;
use crate::model::layers::{ConvSpec, Padding};
use crate::model::standard::{equal, list};
use crate::model::weights::{Checkpoint, Module};

/// The tensor names of a convolution and of the batch norm after it.
pub struct ConvNames {
    /// The convolution's weight.
    pub conv: String,
    /// The prefix of the batch norm.
    pub batch_norm: String,
}

/// The padding of an EfficientNet-Lite0 with timm's names: if the module was saved whole, its
/// classes determine it.
pub fn lite_names(checkpoint: &Checkpoint, names: LiteNames) -> LiteNames {
    let stem = checkpoint.module("conv_stem");
    match stem.map(|stem| stem.class.as_str()) {
        Some("Conv2dSame") if names == LiteNames::Timm => LiteNames::TimmFromTensorFlow,
        Some("Conv2d") if names == LiteNames::TimmFromTensorFlow => LiteNames::Timm,
        _ => names,
    }
}

/// Compares a convolution and its batch norm with those in the file, if the file describes them.
pub fn compare_convolution(
    checkpoint: &mut Checkpoint,
    names: &ConvNames,
    eps: f32,
    spec: &ConvSpec,
) {
    let mut differences = Vec::new();
    let conv = checkpoint.module(names.conv.trim_end_matches(".weight"));
    if let Some(conv) = conv {
        convolution(conv, spec, &mut differences);
    }
    if let Some(norm) = checkpoint.module(&names.batch_norm) {
        batch_norm(norm, eps, &mut differences);
        if norm.class.ends_with("Act2d") {
            let inner = checkpoint.module(&format!("{}.act", names.batch_norm));
            // In a ResNet, activations are separate modules.
            let wanted = match spec.activation {
                Activation::Relu6 => "ReLU6",
                Activation::Relu | Activation::Linear | Activation::Other(_) => "Identity",
            };
            differences.extend(
                inner
                    .filter(|act| act.class != wanted)
                    .map(|act| format!("{} is {} instead of {wanted}", act.path, act.class)),
            );
        }
    }
    for difference in differences {
        checkpoint.differ(difference);
    }
}

fn convolution(conv: &Module, spec: &ConvSpec, differences: &mut Vec<String>) {
    let path = &conv.path;
    let same = match conv.class.as_str() {
        "Conv2d" => false,
        // Classes of timm and efficientnet_pytorch for TensorFlow's padding.
        "Conv2dSame" | "Conv2dStaticSamePadding" | "Conv2dDynamicSamePadding" => true,
        class => {
            differences.push(format!("{path} is {class} instead of Conv2d"));
            return;
        }
    };
    let mut compare = |name: &str, expected: usize| {
        let found = conv.numbers(name).unwrap_or_default();
        if !found.iter().all(|value| equal(*value, expected)) {
            let found = list(found);
            differences.push(format!("{path} has {name} {found} instead of {expected}"));
        }
    };
    compare("stride", spec.stride);
    compare("dilation", 1);
    let middle = spec.kernel / 2;
    match (same, spec.padding) {
        (false, Padding::Each(zeros)) => compare("padding", zeros),
        // Both are the same if the kernel is applied at every position.
        (false, Padding::Same) if spec.stride == 1 => compare("padding", middle),
        (true, Padding::Same) => {}
        (true, Padding::Each(zeros)) if spec.stride == 1 && zeros == middle => {}
        (false, Padding::Same) => differences.push(format!(
            "{path} pads on all sides instead of like TensorFlow"
        )),
        (true, Padding::Each(_)) => differences.push(format!(
            "{path} pads like TensorFlow instead of on all sides"
        )),
    }
    // "same" is the same as this number of zeros, and is only allowed with stride 1.
    if conv.text("padding") == Some("valid") && middle > 0 {
        differences.push(format!("{path} has no padding instead of {middle}"));
    }
    if let Some(mode) = conv.text("padding_mode").filter(|mode| *mode != "zeros") {
        differences.push(format!("{path} pads with {mode} instead of zeros"));
    }
}

fn batch_norm(norm: &Module, eps: f32, differences: &mut Vec<String>) {
    let (path, class) = (&norm.path, &norm.class);
    match class.as_str() {
        "BatchNorm2d"
        | "BatchNormAct2d"
        | "FrozenBatchNorm2d"
        | "FrozenBatchNormAct2d"
        | "SyncBatchNorm"
        | "SyncBatchNormAct"
        | "NaiveSyncBatchNorm"
        | "SynchronizedBatchNorm2d" => {}
        // With running statistics from training, it is equivalent to a batch norm.
        "InstanceNorm2d" if norm.numbers("track_running_stats") == Some(&[1.0]) => {}
        _ => {
            differences.push(format!("{path} is {class} instead of BatchNorm2d"));
            return;
        }
    }
    let eps = f64::from(eps);
    let found = norm.numbers("eps").and_then(|values| values.first());
    if let Some(found) = found.filter(|found| (**found / eps - 1.0).abs() > 1e-3 || found.is_nan())
    {
        differences.push(format!("{path} has eps {found:e} instead of {eps:.0e}"));
    }
}
