//! `ShuffleNet` v2 (Ma et al. 2018, arXiv 1807.11164), as torchvision has it.

use std::sync::Arc;

use crate::model::graph::{GraphError, Op, Pool, Unary, ValueId};
use crate::model::state_dict::blocks::{Plan, Reads, Style, Unit};
use crate::model::state_dict::{Family, Layers, head};

/// `ShuffleNet` v2.
pub const SHUFFLENET_V2: Family = Family {
    matches: |shapes| {
        shapes.contains_key("stage2.0.branch1.0.weight")
            && shapes.contains_key("stage2.0.branch2.5.weight")
            && shapes.contains_key("conv5.0.weight")
    },
    build,
};

const STYLE: Style = Style {
    eps: 1e-5,
    same: false,
};

fn build(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    let widths = layers.tensor_shape("stage2.0.branch2.0.weight")?;
    let width = widths.first().copied().unwrap_or_default() * 2;
    layers.described.name = match width {
        48 => "ShuffleNet v2 ×0.5".into(),
        116 => "ShuffleNet v2 ×1.0".into(),
        176 => "ShuffleNet v2 ×1.5".into(),
        244 => "ShuffleNet v2 ×2.0".into(),
        _ => "ShuffleNet v2".into(),
    };
    layers.assume("ReLU, average pooling at the end");
    let x = layers.sequential_unit("conv1", Plan::full(3, 2, Unary::Relu), STYLE, input)?;
    let mut x = layers.max_pool("maxpool", x, Pool::new(3, 2, 1))?;
    for stage in 2..=4 {
        let has = |block: &usize| layers.has(&format!("stage{stage}.{block}.branch2.0.weight"));
        let blocks = (0..).take_while(has).count();
        for block in 0..blocks {
            x = self::block(layers, &format!("stage{stage}.{block}"), block == 0, x)?;
        }
    }
    let x = pointwise(layers, "conv5", 0, "conv5", x)?;
    let x = layers.global_average_pool("global_pool", x, false)?;
    let inside = ["conv1", "conv5", "stage"].map(str::to_owned);
    head::classifier(layers, x, &inside)
}

/// Two branches, the channels of which are then interleaved. With stride 2 both convolve the
/// input; else the first half of the channels stays as it is.
fn block(
    layers: &mut Layers,
    name: &str,
    is_first: bool,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let (branch1, branch2) = (format!("{name}.branch1"), format!("{name}.branch2"));
    let stride = if is_first { 2 } else { 1 };
    let channels = layers.shape(x)[1];
    let (one, two) = if is_first {
        let one = depthwise(layers, &branch1, 0, stride, x)?;
        let one = pointwise(layers, &branch1, 2, &branch1, one)?;
        (one, x)
    } else {
        if !channels.is_multiple_of(2) {
            let text = format!("{name} can't halve {channels} channels");
            return Err(GraphError::new(text));
        }
        let mut half = |part: usize| {
            let slice = Op::Slice {
                axis: 1,
                start: part * channels / 2,
                step: 1,
                length: channels / 2,
            };
            layers.push(&format!("{name}.half{}", part + 1), slice, &[x])
        };
        (half(0)?, half(1)?)
    };
    let expanded = format!("{branch2}.2");
    let two = pointwise(layers, &branch2, 0, &expanded, two)?;
    let two = depthwise(layers, &branch2, 3, stride, two)?;
    let two = pointwise(layers, &branch2, 5, &branch2, two)?;
    let joined = format!("{name}.concat");
    let joined = layers.push(&joined, Op::Concat { axis: 1 }, &[one, two])?;
    let channels = layers.shape(joined)[1];
    if !channels.is_multiple_of(2) {
        let text = format!("{name} can't interleave {channels} channels");
        return Err(GraphError::new(text));
    }
    let indices: Vec<usize> = (0..channels)
        .map(|at| at % 2 * (channels / 2) + at / 2)
        .collect();
    let shuffle = Op::Gather {
        axis: 1,
        indices: Arc::new(indices),
        shape: vec![channels],
    };
    layers.push(name, shuffle, &[joined])
}

/// A 3×3 convolution of each channel and its batch norm, at this number of an `nn.Sequential`.
fn depthwise(
    layers: &mut Layers,
    branch: &str,
    at: usize,
    stride: usize,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let norm = format!("{branch}.{}", at + 1);
    let unit = Unit {
        conv: &format!("{branch}.{at}"),
        norm: &norm,
        act: "",
        output: &norm,
    };
    let plan = Plan {
        kernel: 3,
        stride,
        reads: Reads::One,
        activation: None,
    };
    layers.unit(&unit, plan, STYLE, x)
}

/// A 1×1 convolution, batch norm, `ReLU`, from this number of an `nn.Sequential`.
fn pointwise(
    layers: &mut Layers,
    branch: &str,
    at: usize,
    output: &str,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let unit = Unit {
        conv: &format!("{branch}.{at}"),
        norm: &format!("{branch}.{}", at + 1),
        act: &format!("{branch}.{}", at + 2),
        output,
    };
    layers.unit(&unit, Plan::pointwise(Some(Unary::Relu)), STYLE, x)
}
