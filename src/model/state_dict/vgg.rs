//! VGG (Simonyan and Zisserman 2014, arXiv 1409.1556), plain and with batch norm, and `AlexNet`
//! (Krizhevsky 2014, arXiv 1404.5997), as torchvision and timm have them.

use crate::model::graph::{Conv, GraphError, Op, Pool, Tap, Unary, ValueId};
use crate::model::state_dict::{Family, Layers, Shapes, head};

/// VGG-11 to VGG-19.
pub const VGG: Family = Family {
    matches: |shapes| {
        let first = shapes.get("features.0.weight");
        first.is_some_and(|shape| shape.len() == 4 && shape[2..] == [3, 3])
            && configuration(shapes).is_some()
    },
    build: vgg,
};

/// `AlexNet`.
pub const ALEXNET: Family = Family {
    matches: |shapes| {
        let first = shapes.get("features.0.weight");
        first.is_some_and(|shape| shape.len() == 4 && shape[2..] == [11, 11])
    },
    build: alexnet,
};

/// (name, convolutions between the poolings).
const CONFIGURATIONS: [(&str, [usize; 5]); 4] = [
    ("VGG-11", [1, 1, 2, 2, 2]),
    ("VGG-13", [2, 2, 2, 2, 2]),
    ("VGG-16", [2, 2, 3, 3, 3]),
    ("VGG-19", [2, 2, 4, 4, 4]),
];

/// Sides of the image that the fully connected layers read.
const VGG_CELLS: usize = 7;
const ALEXNET_CELLS: usize = 6;
/// Outputs of the fully connected layers before the last one.
const HIDDEN: usize = 4096;

fn vgg(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    let Some((name, stages)) = configuration(layers.shapes()) else {
        return Err(GraphError::new("its convolutions are not those of a VGG"));
    };
    let with_norm = has_norm(layers.shapes());
    let modules = if with_norm { 3 } else { 2 };
    layers.described.name = format!("{name}{}", if with_norm { " with batch norm" } else { "" });
    layers.assume("ReLU, the maximum of 2×2 after each stage");
    let mut x = input;
    let mut at = 0;
    for convs in stages {
        for _ in 0..convs {
            let conv = format!("features.{at}");
            check_kernel(layers, &conv, 3)?;
            x = layers.conv(&conv, x, Conv::new(1, 1, 1))?;
            if with_norm {
                x = layers.batch_norm(&format!("features.{}", at + 1), x, 1e-5)?;
            }
            let relu = format!("features.{}", at + modules - 1);
            x = layers.activation(&relu, &[&relu], Unary::Relu, x)?;
            at += modules;
        }
        x = layers.max_pool(&format!("features.{at}"), x, Pool::new(2, 2, 0))?;
        at += 1;
    }
    if layers.has("pre_logits.fc1.weight") {
        layers.described.input.bicubic = true;
        return timm_head(layers, x);
    }
    layers.described.input.fixed = true;
    let x = cells(layers, "avgpool", x, VGG_CELLS)?;
    let x = layers.flatten("flatten", x)?;
    let x = hidden(layers, ["classifier.0", "classifier.3"], x)?;
    head::classifier(layers, x, &["features.".into()])
}

fn has_norm(shapes: &Shapes) -> bool {
    shapes.contains_key("features.1.running_mean")
}

/// The configuration whose convolutions have the numbers in `features` that these have.
fn configuration(shapes: &Shapes) -> Option<(&'static str, [usize; 5])> {
    // With its batch norm and activation, a convolution takes so many numbers.
    let modules = if has_norm(shapes) { 3 } else { 2 };
    let number = |name: &String| {
        let rest = name.strip_prefix("features.")?.strip_suffix(".weight")?;
        rest.parse::<usize>().ok()
    };
    let is_conv = |(name, shape): (&String, &Vec<usize>)| {
        let number = number(name)?;
        (shape.len() == 4).then_some(number)
    };
    let mut found: Vec<usize> = shapes.iter().filter_map(is_conv).collect();
    found.sort_unstable();
    CONFIGURATIONS.into_iter().find(|(_, stages)| {
        let mut expected = Vec::new();
        let mut at = 0;
        for convs in stages {
            for _ in 0..*convs {
                expected.push(at);
                at += modules;
            }
            at += 1;
        }
        found == expected
    })
}

/// timm's VGG: the fully connected layers are convolutions, whose outputs are averaged.
fn timm_head(layers: &mut Layers, x: ValueId) -> Result<ValueId, GraphError> {
    check_kernel(layers, "pre_logits.fc1", VGG_CELLS)?;
    check_kernel(layers, "pre_logits.fc2", 1)?;
    let &[_, _, height, width] = layers.shape(x) else {
        return Err(GraphError::new("VGG needs an image"));
    };
    let x = resized(layers, "pre_logits.pool", x, 2, height.max(VGG_CELLS))?;
    let x = resized(layers, "pre_logits.pool", x, 3, width.max(VGG_CELLS))?;
    let x = layers.conv("pre_logits.fc1", x, Conv::PLAIN)?;
    let x = layers.activation("pre_logits.act1", &["pre_logits.act1"], Unary::Relu, x)?;
    let x = layers.conv("pre_logits.fc2", x, Conv::PLAIN)?;
    let x = layers.activation("pre_logits.act2", &["pre_logits.act2"], Unary::Relu, x)?;
    let pools = ["head.global_pool"];
    let x = head::global_pool(layers, "head.global_pool", &pools, x)?;
    head::classifier(layers, x, &["features.".into(), "pre_logits.".into()])
}

fn alexnet(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    layers.described.name = "AlexNet".into();
    layers.assume("ReLU, the maximum of 3×3 after convolutions 1, 2 and 5");
    layers.described.input.fixed = true;
    // (number in `features`, kernel, stride, whether a pooling follows)
    let convs = [
        (0, 11, 4, 2, true),
        (3, 5, 1, 2, true),
        (6, 3, 1, 1, false),
        (8, 3, 1, 1, false),
        (10, 3, 1, 1, true),
    ];
    let mut x = input;
    for (at, kernel, stride, padding, pooled) in convs {
        let name = format!("features.{at}");
        check_kernel(layers, &name, kernel)?;
        x = layers.conv(&name, x, Conv::new(stride, padding, 1))?;
        let relu = format!("features.{}", at + 1);
        x = layers.activation(&relu, &[&relu], Unary::Relu, x)?;
        if pooled {
            let pool = format!("features.{}", at + 2);
            x = layers.max_pool(&pool, x, Pool::new(3, 2, 0))?;
        }
    }
    let x = cells(layers, "avgpool", x, ALEXNET_CELLS)?;
    let x = layers.flatten("flatten", x)?;
    let x = hidden(layers, ["classifier.1", "classifier.4"], x)?;
    head::classifier(layers, x, &["features.".into()])
}

/// The two fully connected layers with `ReLU`. A classifier that was replaced as a whole is left
/// as it is.
fn hidden(layers: &mut Layers, names: [&str; 2], mut x: ValueId) -> Result<ValueId, GraphError> {
    let inputs = layers.shape(x)[1];
    let shapes = [[HIDDEN, inputs], [HIDDEN, HIDDEN]];
    let mut pairs = names.iter().zip(shapes);
    let is_usual = pairs.all(|(name, shape)| {
        let its = layers.shapes().get(&format!("{name}.weight"));
        its.is_some_and(|its| *its == shape)
    });
    if !is_usual {
        return Ok(x);
    }
    for name in names {
        x = layers.linear(name, x)?;
        let number = name.rsplit_once('.').and_then(|(_, at)| at.parse().ok());
        let relu = format!("classifier.{}", number.unwrap_or(0_usize) + 1);
        x = layers.activation(&relu, &[&relu], Unary::Relu, x)?;
    }
    Ok(x)
}

fn check_kernel(layers: &Layers, conv: &str, kernel: usize) -> Result<(), GraphError> {
    let shape = layers.tensor_shape(&format!("{conv}.weight"))?;
    if shape.len() == 4 && shape[2..] == [kernel, kernel] {
        return Ok(());
    }
    Err(GraphError::new(format!(
        "{conv} has the weight {shape:?} instead of a {kernel}×{kernel} convolution"
    )))
}

/// `nn.AdaptiveAvgPool2d` to a square of cells. A saved module must be the same.
fn cells(layers: &mut Layers, name: &str, x: ValueId, side: usize) -> Result<ValueId, GraphError> {
    if let Some(module) = layers.saved(name) {
        #[allow(clippy::cast_precision_loss)] // 6 or 7
        let wanted = side as f64;
        let sides = module.numbers("output_size").unwrap_or_default();
        let fits = module.class == "AdaptiveAvgPool2d"
            && !sides.is_empty()
            && sides.iter().all(|side| (side - wanted).abs() == 0.0);
        if !fits {
            return Err(GraphError::new(format!(
                "{name} is {} instead of average pooling to {side}×{side}",
                module.class
            )));
        }
    }
    let x = resized(layers, name, x, 2, side)?;
    resized(layers, name, x, 3, side)
}

/// PyTorch's adaptive average pooling along one axis.
fn resized(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    axis: usize,
    to: usize,
) -> Result<ValueId, GraphError> {
    let from = layers.shape(x)[axis];
    if from == to {
        return Ok(x);
    }
    let positions = |at: usize| at * from / to..((at + 1) * from).div_ceil(to);
    let taps = (0..to).map(|at| {
        let weight = 1.0 / positions(at).len() as f32;
        #[allow(clippy::cast_possible_truncation)] // a side of an image
        let tap = |position: usize| -> Tap { (position as u32, weight) };
        positions(at).map(tap).collect()
    });
    let taps = std::sync::Arc::new(taps.collect());
    layers.push(name, Op::Resample { axis, taps }, &[x])
}
