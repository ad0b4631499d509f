//! Networks of inverted residuals as torchvision has them: `MobileNet` v2 (Sandler et al. 2018,
//! arXiv 1801.04381) and v3 (Howard et al. 2019, arXiv 1905.02244), `MNASNet` (Tan et al. 2018,
//! arXiv 1807.11626).

use crate::model::graph::{GraphError, Unary, ValueId};
use crate::model::state_dict::blocks::{HARD_SIGMOID, Plan, RELU6, Style, Unit};
use crate::model::state_dict::{Family, Layers, head};

/// `MobileNet` v2.
pub const MOBILENET_V2: Family = Family {
    matches: |shapes| {
        shapes.contains_key("features.0.0.weight")
            && shapes.contains_key("features.1.conv.0.0.weight")
    },
    build: mobilenet_v2,
};

/// `MobileNet` v3, large and small.
pub const MOBILENET_V3: Family = Family {
    matches: |shapes| {
        shapes.contains_key("features.0.0.weight")
            && shapes.contains_key("features.1.block.0.0.weight")
    },
    build: mobilenet_v3,
};

/// `MNASNet`.
pub const MNASNET: Family = Family {
    matches: |shapes| {
        shapes.contains_key("layers.0.weight") && shapes.contains_key("layers.8.0.layers.0.weight")
    },
    build: mnasnet,
};

const STYLE: Style = Style {
    eps: 1e-5,
    same: false,
};
/// `MobileNet` v3's.
const STYLE_V3: Style = Style {
    eps: 1e-3,
    same: false,
};

/// (blocks, stride of the first) of the stages of `MobileNet` v2.
const STAGES_V2: [(usize, usize); 7] = [(1, 1), (2, 2), (3, 2), (4, 2), (3, 1), (3, 2), (1, 1)];

fn mobilenet_v2(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    layers.described.name = "MobileNet v2".into();
    layers.assume("ReLU6, symmetric padding, average pooling at the end");
    let stem = Plan::full(3, 2, RELU6);
    let mut x = layers.sequential_unit("features.0", stem, STYLE, input)?;
    let mut at = 1;
    for (blocks, first_stride) in STAGES_V2 {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            x = block_v2(layers, &format!("features.{at}"), stride, x)?;
            at += 1;
        }
    }
    let last = Plan::pointwise(Some(RELU6));
    x = layers.sequential_unit(&format!("features.{at}"), last, STYLE, x)?;
    classifier(layers, x)
}

/// 1×1 with `ReLU6` (not in the first block), 3×3 of each channel with `ReLU6`, 1×1.
fn block_v2(
    layers: &mut Layers,
    name: &str,
    stride: usize,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let mut inner = x;
    let mut at = 0;
    if layers.has(&format!("{name}.conv.3.weight")) {
        let plan = Plan::pointwise(Some(RELU6));
        inner = layers.sequential_unit(&format!("{name}.conv.0"), plan, STYLE, inner)?;
        at = 1;
    }
    let plan = Plan::depthwise(3, stride, RELU6);
    inner = layers.sequential_unit(&format!("{name}.conv.{at}"), plan, STYLE, inner)?;
    let norm = format!("{name}.conv.{}", at + 2);
    let project = Unit {
        conv: &format!("{name}.conv.{}", at + 1),
        norm: &norm,
        act: "",
        output: &norm,
    };
    inner = layers.unit(&project, Plan::pointwise(None), STYLE, inner)?;
    layers.residual(name, x, inner, stride)
}

/// Kernel, squeeze and excitation, hard swish instead of `ReLU`, stride.
type BlockV3 = (usize, bool, bool, usize);

const LARGE: [BlockV3; 15] = [
    (3, false, false, 1),
    (3, false, false, 2),
    (3, false, false, 1),
    (5, true, false, 2),
    (5, true, false, 1),
    (5, true, false, 1),
    (3, false, true, 2),
    (3, false, true, 1),
    (3, false, true, 1),
    (3, false, true, 1),
    (3, true, true, 1),
    (3, true, true, 1),
    (5, true, true, 2),
    (5, true, true, 1),
    (5, true, true, 1),
];

const SMALL: [BlockV3; 11] = [
    (3, true, false, 2),
    (3, false, false, 2),
    (3, false, false, 1),
    (5, true, true, 2),
    (5, true, true, 1),
    (5, true, true, 1),
    (5, true, true, 1),
    (5, true, true, 1),
    (5, true, true, 2),
    (5, true, true, 1),
    (5, true, true, 1),
];

fn mobilenet_v3(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    let is_large = layers.has("features.16.0.weight");
    let (name, blocks, hidden): (_, &[BlockV3], _) = if is_large {
        ("MobileNet v3 large", &LARGE, 1280)
    } else {
        ("MobileNet v3 small", &SMALL, 1024)
    };
    layers.described.name = name.into();
    layers.assume("hard swish and ReLU, symmetric padding, average pooling");
    let stem = Plan::full(3, 2, Unary::HardSwish);
    let mut x = layers.sequential_unit("features.0", stem, STYLE_V3, input)?;
    let width = layers.shape(x)[1];
    for (at, block) in (1..).zip(blocks) {
        x = block_v3(layers, &format!("features.{at}"), *block, x)?;
    }
    let last = format!("features.{}", blocks.len() + 1);
    let plan = Plan::pointwise(Some(Unary::HardSwish));
    x = layers.sequential_unit(&last, plan, STYLE_V3, x)?;
    let mut x = head::global_pool(layers, "avgpool", &["avgpool"], x)?;
    // torchvision's hidden layer, whose width grows with the stem's (16).
    let first = layers.shapes().get("classifier.0.weight");
    let is_usual = first.is_some_and(|shape| shape.len() == 2 && shape[0] * 16 == hidden * width);
    if is_usual && layers.has("classifier.3.weight") {
        x = layers.linear("classifier.0", x)?;
        x = layers.activation("classifier.1", &["classifier.1"], Unary::HardSwish, x)?;
    }
    head::classifier(layers, x, &["features.".into()])
}

/// 1×1 (unless it would keep the channels), convolution of each channel, squeeze and excitation,
/// 1×1.
fn block_v3(
    layers: &mut Layers,
    name: &str,
    (kernel, with_gates, with_swish, stride): BlockV3,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let activation = if with_swish {
        Unary::HardSwish
    } else {
        Unary::Relu
    };
    let gates = usize::from(with_gates);
    let mut inner = x;
    let mut at = 0;
    if layers.has(&format!("{name}.block.{}.0.weight", 2 + gates)) {
        let plan = Plan::pointwise(Some(activation));
        inner = layers.sequential_unit(&format!("{name}.block.0"), plan, STYLE_V3, inner)?;
        at = 1;
    }
    let plan = Plan::depthwise(kernel, stride, activation);
    inner = layers.sequential_unit(&format!("{name}.block.{at}"), plan, STYLE_V3, inner)?;
    if with_gates {
        at += 1;
        let gate = format!("{name}.block.{at}");
        inner = layers.torchvision_squeeze(&gate, (Unary::Relu, HARD_SIGMOID), inner)?;
    }
    let project = format!("{name}.block.{}", at + 1);
    inner = layers.sequential_unit(&project, Plan::pointwise(None), STYLE_V3, inner)?;
    layers.residual(name, x, inner, stride)
}

/// (kernel, stride of the first block, blocks) of each stack of `MNASNet`.
const STACKS: [(usize, usize, usize); 6] = [
    (3, 2, 3),
    (5, 2, 3),
    (5, 2, 3),
    (3, 1, 2),
    (5, 2, 4),
    (3, 1, 1),
];

fn mnasnet(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    layers.described.name = "MNASNet".into();
    layers.assume("ReLU, symmetric padding, average pooling at the end");
    let relu = Unary::Relu;
    let x = numbered(layers, "layers", 0, Plan::full(3, 2, relu), input)?;
    let x = numbered(layers, "layers", 3, Plan::depthwise(3, 1, relu), x)?;
    let mut x = numbered(layers, "layers", 6, Plan::pointwise(None), x)?;
    for (stack, (kernel, first_stride, blocks)) in (8..).zip(STACKS) {
        for block in 0..blocks {
            let stride = if block == 0 { first_stride } else { 1 };
            let name = format!("layers.{stack}.{block}");
            let inside = format!("{name}.layers");
            let inner = numbered(layers, &inside, 0, Plan::pointwise(Some(relu)), x)?;
            let plan = Plan::depthwise(kernel, stride, relu);
            let inner = numbered(layers, &inside, 3, plan, inner)?;
            let inner = numbered(layers, &inside, 6, Plan::pointwise(None), inner)?;
            x = layers.residual(&name, x, inner, stride)?;
        }
    }
    let x = numbered(layers, "layers", 14, Plan::pointwise(Some(relu)), x)?;
    let x = layers.global_average_pool("global_pool", x, false)?;
    head::classifier(layers, x, &["layers.".into()])
}

/// A unit whose modules follow each other in an `nn.Sequential`.
fn numbered(
    layers: &mut Layers,
    path: &str,
    at: usize,
    plan: Plan,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let [norm, act] = [1, 2].map(|after| format!("{path}.{}", at + after));
    let unit = Unit {
        conv: &format!("{path}.{at}"),
        norm: &norm,
        act: &act,
        output: if plan.activation.is_some() {
            &act
        } else {
            &norm
        },
    };
    layers.unit(&unit, plan, STYLE, x)
}

fn classifier(layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
    let x = layers.global_average_pool("avgpool", x, false)?;
    head::classifier(layers, x, &["features.".into()])
}
