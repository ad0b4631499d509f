//! `EfficientNet` B0 to B7 (Tan and Le 2019, arXiv 1905.11946) and `EfficientNet` v2 (Tan and Le
//! 2021, arXiv 2104.00298) as torchvision has them.

use crate::model::graph::{GraphError, Unary, ValueId};
use crate::model::state_dict::blocks::{Plan, Style};
use crate::model::state_dict::{Family, Layers, UsualInput, head};

/// `EfficientNet` with torchvision's names.
pub const EFFICIENTNET: Family = Family {
    matches: |shapes| {
        shapes.contains_key("features.0.0.weight")
            && shapes.contains_key("features.1.0.block.0.0.weight")
    },
    build,
};

/// torchvision's networks.
struct Variant {
    name: &'static str,
    /// Output channels of the last convolution, blocks: how it is recognized.
    channels: usize,
    blocks: usize,
    /// Added to the variance by batch norms.
    eps: f32,
    /// Input side, short side of the photo.
    crop: usize,
    short: usize,
    bicubic: bool,
    /// Kernel and stride of each stage.
    stages: &'static [(usize, usize)],
}

const V1: &[(usize, usize)] = &[(3, 1), (3, 2), (5, 2), (3, 2), (5, 1), (5, 2), (3, 1)];
const V2_SMALL: &[(usize, usize)] = &[(3, 1), (3, 2), (3, 2), (3, 2), (3, 1), (3, 2)];
const V2: &[(usize, usize)] = &[(3, 1), (3, 2), (3, 2), (3, 2), (3, 1), (3, 2), (3, 1)];

const fn v1(
    name: &'static str,
    (channels, blocks): (usize, usize),
    eps: f32,
    (crop, short): (usize, usize),
) -> Variant {
    Variant {
        name,
        channels,
        blocks,
        eps,
        crop,
        short,
        bicubic: true,
        stages: V1,
    }
}

const fn v2(name: &'static str, blocks: usize, crop: usize, bicubic: bool) -> Variant {
    Variant {
        name,
        channels: 1280,
        blocks,
        eps: 1e-3,
        crop,
        short: crop,
        bicubic,
        stages: if blocks == 40 { V2_SMALL } else { V2 },
    }
}

const VARIANTS: &[Variant] = &[
    v1("EfficientNet-B0", (1280, 16), 1e-5, (224, 256)),
    Variant {
        bicubic: false,
        ..v1("EfficientNet-B1", (1280, 23), 1e-5, (240, 255))
    },
    v1("EfficientNet-B2", (1408, 23), 1e-5, (288, 288)),
    v1("EfficientNet-B3", (1536, 26), 1e-5, (300, 320)),
    v1("EfficientNet-B4", (1792, 32), 1e-5, (380, 384)),
    v1("EfficientNet-B5", (2048, 39), 1e-3, (456, 456)),
    v1("EfficientNet-B6", (2304, 45), 1e-3, (528, 528)),
    v1("EfficientNet-B7", (2560, 55), 1e-3, (600, 600)),
    v2("EfficientNetV2-S", 40, 384, false),
    v2("EfficientNetV2-M", 57, 480, false),
    v2("EfficientNetV2-L", 79, 480, true),
];

fn build(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    let depth = |stage: usize| {
        let has = |block: &usize| layers.has(&format!("features.{stage}.{block}.block.0.0.weight"));
        (0..).take_while(has).count()
    };
    let depths: Vec<usize> = (1..).map(depth).take_while(|depth| *depth > 0).collect();
    let last = format!("features.{}", depths.len() + 1);
    let channels = layers.tensor_shape(&format!("{last}.0.weight"))?;
    let channels = channels.first().copied().unwrap_or_default();
    let blocks: usize = depths.iter().sum();
    let fits = |variant: &&Variant| {
        (variant.channels, variant.blocks, variant.stages.len()) == (channels, blocks, depths.len())
    };
    let variant = VARIANTS.iter().find(fits).ok_or_else(|| {
        GraphError::new(format!(
            "its {blocks} blocks and {channels} last channels are not those of EfficientNet B0 to B7 or v2 S to L"
        ))
    })?;
    layers.described.name = variant.name.into();
    layers.assume("SiLU, symmetric padding, average pooling at the end");
    layers.described.input = UsualInput {
        crop: variant.crop,
        short: variant.short,
        bicubic: variant.bicubic,
        ..UsualInput::default()
    };
    if variant.name == "EfficientNetV2-L" {
        layers.described.input.mean = [0.5; 3];
        layers.described.input.std = [0.5; 3];
    }
    let style = Style {
        eps: variant.eps,
        same: false,
    };
    let stem = Plan::full(3, 2, Unary::Silu);
    let mut x = layers.sequential_unit("features.0", stem, style, input)?;
    for ((stage, depth), (kernel, first_stride)) in (1..).zip(depths).zip(variant.stages) {
        for block in 0..depth {
            let stride = if block == 0 { *first_stride } else { 1 };
            let name = format!("features.{stage}.{block}");
            let inner = if layers.has(&format!("{name}.block.1.fc1.weight"))
                || layers.has(&format!("{name}.block.2.fc1.weight"))
            {
                mobile(layers, &name, (*kernel, stride), style, x)?
            } else {
                fused(layers, &name, (*kernel, stride), style, x)?
            };
            x = layers.residual(&name, x, inner, stride)?;
        }
    }
    let plan = Plan::pointwise(Some(Unary::Silu));
    x = layers.sequential_unit(&last, plan, style, x)?;
    let x = head::global_pool(layers, "avgpool", &["avgpool"], x)?;
    head::classifier(layers, x, &["features.".into()])
}

/// 1×1 (unless it would keep the channels), convolution of each channel, squeeze and excitation,
/// 1×1.
fn mobile(
    layers: &mut Layers,
    name: &str,
    (kernel, stride): (usize, usize),
    style: Style,
    mut x: ValueId,
) -> Result<ValueId, GraphError> {
    let mut at = 0;
    if layers.has(&format!("{name}.block.3.0.weight")) {
        let plan = Plan::pointwise(Some(Unary::Silu));
        x = layers.sequential_unit(&format!("{name}.block.0"), plan, style, x)?;
        at = 1;
    }
    let plan = Plan::depthwise(kernel, stride, Unary::Silu);
    x = layers.sequential_unit(&format!("{name}.block.{at}"), plan, style, x)?;
    let gate = format!("{name}.block.{}", at + 1);
    x = layers.torchvision_squeeze(&gate, (Unary::Silu, Unary::Sigmoid), x)?;
    let project = format!("{name}.block.{}", at + 2);
    layers.sequential_unit(&project, Plan::pointwise(None), style, x)
}

/// A full convolution, and 1×1 if it has more channels than the block.
fn fused(
    layers: &mut Layers,
    name: &str,
    (kernel, stride): (usize, usize),
    style: Style,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let plan = Plan::full(kernel, stride, Unary::Silu);
    let x = layers.sequential_unit(&format!("{name}.block.0"), plan, style, x)?;
    let project = format!("{name}.block.1");
    if layers.has(&format!("{project}.0.weight")) {
        layers.sequential_unit(&project, Plan::pointwise(None), style, x)
    } else {
        Ok(x)
    }
}
