//! `ConvNeXt` and `ConvNeXt` V2, with torchvision's and timm's names.
//!
//! Sources: torchvision's `convnext.py`, timm's `convnext.py`.

use crate::model::graph::{Binary, Conv, GraphError, Op, ReduceKind, Unary, ValueId};
use crate::model::state_dict::head::{classifier, global_pool};
use crate::model::state_dict::tokens::{
    channels_first, channels_last, linear_or_conv, mlp, reshaped, square_kernel,
};
use crate::model::state_dict::{Family, Layers, UsualInput};

/// timm's names.
pub const TIMM: Family = Family {
    matches: |shapes| {
        shapes.contains_key("stages.0.blocks.0.conv_dw.weight")
            && shapes.contains_key("stages.0.blocks.0.norm.weight")
            && shapes.contains_key("stem.0.weight")
    },
    build: timm,
};

/// torchvision's names.
pub const TORCHVISION: Family = Family {
    matches: |shapes| {
        shapes.contains_key("features.1.0.block.0.weight")
            && shapes.contains_key("features.1.0.layer_scale")
            && shapes.contains_key("features.1.0.block.5.weight")
    },
    build: torchvision,
};

const EPS: f32 = 1e-6;

/// Channels of the first stage, blocks of each stage, name.
const SIZES: [(usize, &[usize], &str); 12] = [
    (32, &[2, 2, 4, 2], "Zepto"),
    (40, &[2, 2, 6, 2], "Atto"),
    (48, &[2, 2, 6, 2], "Femto"),
    (64, &[2, 2, 6, 2], "Pico"),
    (80, &[2, 2, 8, 2], "Nano"),
    (96, &[3, 3, 9, 3], "Tiny"),
    (96, &[3, 3, 27, 3], "Small"),
    (128, &[3, 3, 27, 3], "Base"),
    (192, &[3, 3, 27, 3], "Large"),
    (256, &[3, 3, 27, 3], "XLarge"),
    (384, &[3, 4, 30, 3], "XXLarge"),
    (352, &[3, 3, 27, 3], "Huge"),
];

fn timm(layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
    let count = |layers: &Layers, name: &dyn Fn(usize) -> String| {
        (0..).take_while(|index| layers.has(&name(*index))).count()
    };
    let stages = count(layers, &|stage| {
        format!("stages.{stage}.blocks.0.conv_dw.weight")
    });
    let depths: Vec<usize> = (0..stages)
        .map(|stage| {
            count(layers, &|index| {
                format!("stages.{stage}.blocks.{index}.conv_dw.weight")
            })
        })
        .collect();
    let v2 = layers.has("stages.0.blocks.0.mlp.grn.weight");
    describe(layers, "stages.0.blocks.0.conv_dw.weight", &depths, v2)?;
    layers.described.input = UsualInput {
        short: 256,
        bicubic: true,
        ..UsualInput::default()
    };
    // The largest one was trained with another eps.
    let eps = if depths == [3, 4, 30, 3] { 1e-5 } else { EPS };
    check_norm(layers, "stages.0.blocks.0.norm")?;
    let mut x = stem(layers, x, eps)?;
    for (stage, depth) in depths.iter().enumerate() {
        let name = format!("stages.{stage}");
        if layers.has(&format!("{name}.downsample.1.weight")) {
            x = norm_2d(layers, &format!("{name}.downsample.0"), x, eps)?;
            let conv = format!("{name}.downsample.1");
            let side = square_kernel(layers, &conv)?;
            // With the same size, only the number of channels changes.
            x = layers.conv(&conv, x, Conv::new(side, 0, 1))?;
        }
        for index in 0..*depth {
            let is_last = index + 1 == *depth;
            let block = format!("{name}.blocks.{index}");
            let output = if is_last { &name } else { &block };
            x = timm_block(layers, &block, output, x, eps)?;
        }
    }
    let norm_first = layers.has("norm_pre.weight");
    if norm_first {
        x = norm_2d(layers, "norm_pre", x, eps)?;
    }
    let mut x = global_pool(
        layers,
        "head.global_pool",
        &["head.global_pool.pool", "head.global_pool"],
        x,
    )?;
    if !norm_first {
        x = layers.layer_norm("head.norm", x, eps)?;
    }
    if layers.has("head.pre_logits.fc.weight") {
        x = layers.linear("head.pre_logits.fc", x)?;
        let act = "head.pre_logits.act";
        x = layers.activation(act, &[act], Unary::Gelu, x)?;
    }
    let inside = [
        "stem.",
        "stages.",
        "norm_pre.",
        "head.norm.",
        "head.pre_logits.",
    ];
    classifier(layers, x, &inside.map(str::to_owned))
}

fn stem(layers: &mut Layers, x: ValueId, eps: f32) -> Result<ValueId, GraphError> {
    let side = square_kernel(layers, "stem.0")?;
    let has_conv = |layers: &Layers, at: usize| {
        let shape = layers.shapes().get(&format!("stem.{at}.weight"));
        shape.is_some_and(|shape| shape.len() == 4)
    };
    if !has_conv(layers, 1) && !has_conv(layers, 2) {
        let x = layers.conv("stem.0", x, Conv::new(side, 0, 1))?;
        return norm_2d(layers, "stem.1", x, eps);
    }
    // Two overlapping convolutions, with or without a function between them.
    let mut x = layers.conv("stem.0", x, Conv::new(2, side / 2, 1))?;
    let mut at = 1;
    if !has_conv(layers, 1) {
        x = layers.activation("stem.1", &["stem.1"], Unary::Gelu, x)?;
        at = 2;
    }
    let conv = format!("stem.{at}");
    let side = square_kernel(layers, &conv)?;
    let x = layers.conv(&conv, x, Conv::new(2, side / 2, 1))?;
    norm_2d(layers, &format!("stem.{}", at + 1), x, eps)
}

fn timm_block(
    layers: &mut Layers,
    block: &str,
    output: &str,
    x: ValueId,
    eps: f32,
) -> Result<ValueId, GraphError> {
    let at = |part: &str| format!("{block}.{part}");
    let channels = layers.shape(x)[1];
    let side = square_kernel(layers, &at("conv_dw"))?;
    let out = layers.conv(&at("conv_dw"), x, Conv::new(1, side / 2, channels))?;
    let out = channels_last(layers, &at("conv_dw.last"), out)?;
    let out = layers.layer_norm(&at("norm"), out, eps)?;
    let act = at("mlp.act");
    let out = linear_or_conv(layers, &at("mlp.fc1"), out)?;
    let mut out = layers.activation(&act, &[&act], Unary::Gelu, out)?;
    if layers.has(&at("mlp.grn.weight")) {
        out = response_norm(layers, &at("mlp.grn"), out)?;
    }
    let out = linear_or_conv(layers, &at("mlp.fc2"), out)?;
    let mut out = channels_first(layers, &at("mlp"), out)?;
    let gamma = at("gamma");
    if layers.has(&gamma) {
        let gamma = reshaped(layers, &gamma, &[channels, 1, 1])?;
        out = layers.mul(&at("scaled"), out, gamma)?;
    }
    same_shape(layers, block, out, x)?;
    layers.add(output, out, x)
}

/// timm's `GlobalResponseNorm` on `[1, H, W, C]`.
fn response_norm(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let at = |part: &str| format!("{name}.{part}");
    let reduce = |kind, axes: &[usize]| Op::Reduce {
        kind,
        axes: axes.to_vec(),
        keep_dims: true,
    };
    let _ = layers.saved(name);
    let norm = layers.push(&at("norm"), reduce(ReduceKind::L2, &[1, 2]), &[x])?;
    let mean = layers.push(&at("mean"), reduce(ReduceKind::Mean, &[3]), &[norm])?;
    let eps = layers.number(&at("eps"), 1e-6)?;
    let mean = layers.add(&at("mean_eps"), mean, eps)?;
    let relative = layers.push(&at("relative"), Op::Binary(Binary::Div), &[norm, mean])?;
    let weight = layers.constant(&at("weight"))?;
    let bias = layers.constant(&at("bias"))?;
    let product = layers.mul(&at("product"), x, relative)?;
    let product = layers.mul(&at("weighted"), product, weight)?;
    let sum = layers.add(&at("biased"), product, bias)?;
    layers.add(name, x, sum)
}

fn torchvision(layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
    let mut depths = Vec::new();
    for stage in 0.. {
        let name = |index: usize| format!("features.{}.{index}.block.0.weight", 2 * stage + 1);
        let depth = (0..).take_while(|index| layers.has(&name(*index))).count();
        if depth == 0 {
            break;
        }
        depths.push(depth);
    }
    describe(layers, "features.1.0.block.0.weight", &depths, false)?;
    layers.described.input = UsualInput {
        short: match depths[..] {
            [3, 3, 9, 3] => 236,
            [3, 3, 27, 3] if layers.described.name.ends_with("Small") => 230,
            _ => 232,
        },
        ..UsualInput::default()
    };
    let side = square_kernel(layers, "features.0.0")?;
    let x = layers.conv("features.0.0", x, Conv::new(side, 0, 1))?;
    let mut x = norm_2d(layers, "features.0.1", x, EPS)?;
    for (stage, depth) in depths.iter().enumerate() {
        let at = 2 * stage + 1;
        for index in 0..*depth {
            let block = format!("features.{at}.{index}");
            let output = if index + 1 == *depth {
                format!("features.{at}")
            } else {
                block.clone()
            };
            x = torchvision_block(layers, &block, &output, x)?;
        }
        let down = format!("features.{}", at + 1);
        if stage + 1 < depths.len() {
            x = norm_2d(layers, &format!("{down}.0"), x, EPS)?;
            let side = square_kernel(layers, &format!("{down}.1"))?;
            x = layers.conv(&format!("{down}.1"), x, Conv::new(side, 0, 1))?;
        }
    }
    let x = global_pool(layers, "avgpool", &["avgpool"], x)?;
    let x = layers.layer_norm("classifier.0", x, EPS)?;
    classifier(
        layers,
        x,
        &["features.".to_owned(), "classifier.0.".to_owned()],
    )
}

fn torchvision_block(
    layers: &mut Layers,
    block: &str,
    output: &str,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let at = |part: &str| format!("{block}.{part}");
    let channels = layers.shape(x)[1];
    let side = square_kernel(layers, &at("block.0"))?;
    let out = layers.conv(&at("block.0"), x, Conv::new(1, side / 2, channels))?;
    let _ = (layers.saved(&at("block.1")), layers.saved(&at("block.6")));
    let out = channels_last(layers, &at("block.1"), out)?;
    let out = layers.layer_norm(&at("block.2"), out, EPS)?;
    let out = mlp(layers, &at("block"), [".3", ".4", ".5"], Unary::Gelu, out)?;
    let out = channels_first(layers, &at("block"), out)?;
    let scale = layers.constant(&at("layer_scale"))?;
    let out = layers.mul(&at("scaled"), out, scale)?;
    same_shape(layers, block, out, x)?;
    layers.add(output, out, x)
}

/// Layer norm over the channels of `[1, C, H, W]`.
fn norm_2d(layers: &mut Layers, name: &str, x: ValueId, eps: f32) -> Result<ValueId, GraphError> {
    let x = channels_last(layers, &format!("{name}.last"), x)?;
    let x = layers.layer_norm(&format!("{name}"), x, eps)?;
    channels_first(layers, &format!("{name}.first"), x)
}

fn check_norm(layers: &Layers, name: &str) -> Result<(), GraphError> {
    if layers.has(&format!("{name}.bias")) {
        return Ok(());
    }
    Err(GraphError::new(format!(
        "{name} has no bias: it is not a layer norm (RMS norm, probably), which camlens does not know here"
    )))
}

fn same_shape(layers: &Layers, name: &str, a: ValueId, b: ValueId) -> Result<(), GraphError> {
    if layers.shape(a) == layers.shape(b) {
        return Ok(());
    }
    let (a, b) = (layers.shape(a), layers.shape(b));
    Err(GraphError::new(format!(
        "{name} adds values of the shapes {a:?} and {b:?}"
    )))
}

/// Names the network, from its first depthwise convolution and its blocks.
fn describe(
    layers: &mut Layers,
    first: &str,
    depths: &[usize],
    v2: bool,
) -> Result<(), GraphError> {
    let width = layers.tensor_shape(first)?[0];
    let mut sizes = SIZES.iter();
    let known = sizes.find(|(channels, blocks, _)| *channels == width && *blocks == depths);
    let version = if v2 { " V2" } else { "" };
    layers.described.name = match known {
        Some((_, _, size)) => format!("ConvNeXt{version}-{size}"),
        None => format!("ConvNeXt{version}"),
    };
    // timm's test networks have another activation and eps.
    let is_tests = first.starts_with("stages.") && depths.iter().sum::<usize>() < 10;
    if known.is_none() && is_tests && !layers.is_saved_whole() {
        return Err(GraphError::new(format!(
            "it is a ConvNeXt with {depths:?} blocks, which nobody published: the file does not say its activation and eps. Save the model whole, or export it as ONNX"
        )));
    }
    if !layers.is_declared_as(&["convnext"]) && !layers.is_saved_whole() {
        let name = layers.described.name.clone();
        layers.described.assumed.push(format!(
            "Taken as a usual {name}: GELU, average pooling at the end. The weights alone do not show it."
        ));
    }
    Ok(())
}
