//! What is refused before any weight is read, all at once and with the way out.

use std::collections::BTreeMap;
use std::path::Path;

use crate::model::onnx::data;
use crate::model::onnx::error::OnnxError;
use crate::model::onnx::messages::{GraphPart, NodePart, TensorPart};
use crate::model::onnx::order::Plan;
use crate::model::onnx::wire::Source;

/// The oldest and the newest operator set.
const OPSETS: std::ops::RangeInclusive<i64> = 6..=25;

/// The most files of weights.
const MOST_FILES: usize = 64;

/// ONNX's operators that are supported, sorted. Some only on constants.
const SUPPORTED: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "Attention",
    "AveragePool",
    "BatchNormalization",
    "BitwiseAnd",
    "BitwiseOr",
    "Cast",
    "CastLike",
    "Ceil",
    "Celu",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "Cos",
    "CumSum",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "EyeLike",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "IsInf",
    "IsNaN",
    "LRN",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "NonZero",
    "Not",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Round",
    "ScatterND",
    "Selu",
    "Shape",
    "Sigmoid",
    "Sign",
    "Sin",
    "Size",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Swish",
    "Tanh",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Upsample",
    "Where",
    "Xor",
];

/// Operators that only detectors and segmenters have.
const DETECTORS: &[&str] = &["NonMaxSuppression", "RoiAlign", "MaxRoiPool", "TopK"];

/// Operators of models with 8-bit weights.
const QUANTIZED: &[&str] = &[
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
];

/// Operators with graphs inside.
const CONTROL: &[&str] = &["If", "Loop", "Scan", "SequenceMap"];

/// Whether a node can be run, as far as its name tells.
pub(super) fn is_supported(node: &NodePart) -> bool {
    match node.domain.as_str() {
        "" => SUPPORTED.binary_search(&node.op.as_str()).is_ok(),
        "ai.onnx.ml" => node.op == "ZipMap",
        _ => false,
    }
}

/// The version of the operator set.
///
/// # Errors
/// If it is missing or not supported.
pub(super) fn opset(opsets: &[(String, i64)]) -> Result<i64, OnnxError> {
    let mut own = opsets.iter().filter(|(domain, _)| domain.is_empty());
    let version = own.next().map_or(1, |(_, version)| *version);
    if OPSETS.contains(&version) {
        Ok(version)
    } else {
        Err(OnnxError::Refused(format!(
            "It uses version {version} of ONNX's operators: export it again with opset_version=17."
        )))
    }
}

/// Refuses graphs with nodes that can't be run.
///
/// # Errors
/// One message about all of them.
pub(super) fn check(graph: &GraphPart, plan: &Plan<'_>) -> Result<(), OnnxError> {
    let mut counts: BTreeMap<String, (usize, &str)> = BTreeMap::new();
    let (mut detector, mut quantized, mut control, mut microsoft) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for index in &plan.order {
        let node = &graph.nodes[*index];
        if is_supported(node) {
            continue;
        }
        let op = node.op.as_str();
        let own = node.domain.is_empty();
        let name = match node.domain.as_str() {
            "" => op.to_owned(),
            domain => format!("{domain} {op}"),
        };
        let list = if QUANTIZED.contains(&op) || op.starts_with("QLinear") {
            Some(&mut quantized)
        } else if own && DETECTORS.contains(&op) {
            Some(&mut detector)
        } else if own && CONTROL.contains(&op) {
            Some(&mut control)
        } else if node.domain.starts_with("com.microsoft") {
            Some(&mut microsoft)
        } else {
            None
        };
        if let Some(list) = list
            && !list.contains(&name)
        {
            list.push(name.clone());
        }
        counts.entry(name).or_insert((0, node.label())).0 += 1;
    }
    let counted = |names: &[String]| {
        let names = names.iter().take(3);
        let text = names.map(|name| format!("{name} × {}", counts.get(name).map_or(0, |c| c.0)));
        text.collect::<Vec<_>>().join(", ")
    };
    let text = if !detector.is_empty() {
        format!(
            "It is a detector ({}): camlens explains classifiers.",
            detector.join(", ")
        )
    } else if !quantized.is_empty() {
        format!(
            "It was quantized to 8 bits ({}): give the floating-point model that it was made from.",
            counted(&quantized)
        )
    } else if !microsoft.is_empty() {
        format!(
            "It was optimized for ONNX Runtime ({}): give the file from before that, or export it again.",
            counted(&microsoft)
        )
    } else if !control.is_empty() {
        format!(
            "What it computes depends on conditions ({}): export it again for one fixed input size.",
            counted(&control)
        )
    } else if !counts.is_empty() {
        let listed: Vec<String> = counts
            .iter()
            .take(5)
            .map(|(name, (count, node))| format!("{name} × {count} (node {node})"))
            .collect();
        let more = counts.len().saturating_sub(listed.len());
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        format!(
            "It has operators that camlens does not support: {}{more}; exporting it with another opset_version may avoid them.",
            listed.join(", ")
        )
    } else if graph.sparse_initializers > 0 {
        "It has sparse weights: export it again with dense ones.".into()
    } else {
        return Ok(());
    };
    Err(OnnxError::Refused(text))
}

/// Opens the files in which the weights are, and checks that they hold them.
///
/// # Errors
/// If one is missing, too short, or not beside the model.
pub(super) fn external<'a>(
    tensors: impl Iterator<Item = &'a TensorPart>,
    model: Option<&Path>,
) -> Result<Vec<(String, Source)>, OnnxError> {
    let mut files: Vec<(String, Source, u64)> = Vec::new();
    for tensor in tensors {
        let Some(place) = data::external(tensor) else {
            continue;
        };
        let (location, offset, length) = place?;
        let known = files.iter().position(|(name, ..)| name == location);
        let index = match (known, model) {
            (Some(index), _) => index,
            (None, Some(_)) if files.len() >= MOST_FILES => {
                return Err(OnnxError::Refused(format!(
                    "Its weights are in more than {MOST_FILES} files: save them in one file, as torch.onnx.export does."
                )));
            }
            (None, Some(model)) => {
                files.push((location.to_owned(), data::open_beside(model, location)?, 0));
                files.len() - 1
            }
            (None, None) => return Err(OnnxError::damaged("its weights are in another file")),
        };
        let (name, source, total) = &mut files[index];
        let length = length.unwrap_or(0);
        let inside = offset
            .checked_add(length)
            .is_some_and(|end| end <= source.len());
        // Tensors may share bytes, but not so often that memory overflows.
        *total = total.saturating_add(length);
        if !inside || *total > source.len().saturating_mul(4).saturating_add(1 << 20) {
            return Err(OnnxError::Refused(format!(
                "Its weights in {name} are not complete: copy both files again."
            )));
        }
    }
    Ok(files
        .into_iter()
        .map(|(name, source, _)| (name, source))
        .collect())
}
