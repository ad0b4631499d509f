//! `GoogLeNet` (Szegedy et al. 2014, arXiv 1409.4842) with batch norm, and Inception v3 (Szegedy et
//! al. 2015, arXiv 1512.00567), as torchvision and timm have them.

use crate::model::graph::{Conv, GraphError, Op, Pool, Unary, ValueId};
use crate::model::state_dict::blocks::expect;
use crate::model::state_dict::{Family, Layers, head};

/// `GoogLeNet`.
pub const GOOGLENET: Family = Family {
    matches: |shapes| shapes.contains_key("inception3a.branch1.conv.weight"),
    build: googlenet,
};

/// Inception v3.
pub const INCEPTION_V3: Family = Family {
    matches: |shapes| {
        shapes.contains_key("Conv2d_1a_3x3.conv.weight")
            && shapes.contains_key("Mixed_7c.branch3x3dbl_3b.conv.weight")
    },
    build: inception_v3,
};

const EPS: f32 = 1e-3;

/// torchvision's option `transform_input`, which its own weights need: an input normalized with
/// ImageNet's mean and deviation becomes one with mean and deviation 1/2. `usual` is whether it
/// is on, if the network was not saved whole.
fn transform_input(
    layers: &mut Layers,
    input: ValueId,
    usual: bool,
) -> Result<ValueId, GraphError> {
    let network = layers.saved("");
    let flag = network.and_then(|network| network.numbers("transform_input")?.first().copied());
    if !flag.map_or(usual, |flag| flag.abs() > 0.0) || layers.shape(input)[1] != 3 {
        return Ok(input);
    }
    if flag.is_none() {
        let name = &layers.described.name;
        let sentence = format!(
            "Taken as a {name} that started from torchvision's weights (transform_input). If it was trained from scratch, save the model whole or export it as ONNX."
        );
        layers.described.assumed.push(sentence);
    }
    let usual = layers.described.input;
    let scale = usual.std.map(|std| std / 0.5).to_vec();
    let shift = usual.mean.map(|mean| (mean - 0.5) / 0.5).to_vec();
    let shape = [1, 3, 1, 1];
    let graph = layers.graph();
    let scale = graph.constant("transform_input.scale", &shape, scale.into())?;
    let shift = graph.constant("transform_input.shift", &shape, shift.into())?;
    let x = layers.mul("transform_input.scaled", input, scale)?;
    layers.add("transform_input", x, shift)
}

fn googlenet(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    layers.described.name = "GoogLeNet".into();
    ignore_auxiliary(layers, &["aux1.", "aux2."]);
    let x = transform_input(layers, input, true)?;
    let pool = |kernel: usize| Pool {
        ceil_mode: true,
        ..Pool::new(kernel, 2, 0)
    };
    let x = square(layers, "conv1", x, 7, 2)?;
    let x = layers.max_pool("maxpool1", x, pool(3))?;
    let x = square(layers, "conv2", x, 1, 1)?;
    let x = square(layers, "conv3", x, 3, 1)?;
    let mut x = layers.max_pool("maxpool2", x, pool(3))?;
    for (stage, modules, after) in [(3, "ab", Some(3)), (4, "abcde", Some(2)), (5, "ab", None)] {
        for module in modules.chars() {
            x = googlenet_module(layers, &format!("inception{stage}{module}"), x)?;
        }
        if let Some(kernel) = after {
            x = layers.max_pool(&format!("maxpool{stage}"), x, pool(kernel))?;
        }
    }
    let x = head::global_pool(layers, "avgpool", &["avgpool"], x)?;
    head::classifier(layers, x, &inside(&["conv", "inception", "aux"]))
}

/// 1×1; 1×1 and 3×3; 1×1 and 3×3 (torchvision has 3×3 for the paper's 5×5); pooling and 1×1.
fn googlenet_module(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let one = square(layers, &format!("{name}.branch1"), x, 1, 1)?;
    let two = square(layers, &format!("{name}.branch2.0"), x, 1, 1)?;
    let two = square(layers, &format!("{name}.branch2.1"), two, 3, 1)?;
    let three = square(layers, &format!("{name}.branch3.0"), x, 1, 1)?;
    let three = square(layers, &format!("{name}.branch3.1"), three, 3, 1)?;
    let pool = Pool {
        ceil_mode: true,
        ..Pool::new(3, 1, 1)
    };
    let four = layers.max_pool(&format!("{name}.branch4.0"), x, pool)?;
    let four = square(layers, &format!("{name}.branch4.1"), four, 1, 1)?;
    layers.push(name, Op::Concat { axis: 1 }, &[one, two, three, four])
}

fn inception_v3(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    layers.described.name = "Inception v3".into();
    layers.described.input.crop = 299;
    layers.described.input.short = 342;
    // timm's has no auxiliary classifier, and wants mean and deviation 1/2 instead.
    let network = layers.saved("");
    let has_option = network.is_some_and(|its| its.numbers("transform_input").is_some());
    let is_torchvision = ignore_auxiliary(layers, &["AuxLogits."]) || has_option;
    if !is_torchvision {
        layers.described.input.mean = [0.5; 3];
        layers.described.input.std = [0.5; 3];
        layers.described.input.bicubic = true;
    }
    let x = transform_input(layers, input, is_torchvision)?;
    let x = unpadded(layers, "Conv2d_1a_3x3", x, 3, 2)?;
    let x = unpadded(layers, "Conv2d_2a_3x3", x, 3, 1)?;
    let x = square(layers, "Conv2d_2b_3x3", x, 3, 1)?;
    let x = pooling(layers, &["maxpool1", "Pool1"], x)?;
    let x = unpadded(layers, "Conv2d_3b_1x1", x, 1, 1)?;
    let x = unpadded(layers, "Conv2d_4a_3x3", x, 3, 1)?;
    let mut x = pooling(layers, &["maxpool2", "Pool2"], x)?;
    for name in ["Mixed_5b", "Mixed_5c", "Mixed_5d"] {
        x = module_a(layers, name, x)?;
    }
    x = module_b(layers, "Mixed_6a", x)?;
    for name in ["Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"] {
        x = module_c(layers, name, x)?;
    }
    x = module_d(layers, "Mixed_7a", x)?;
    for name in ["Mixed_7b", "Mixed_7c"] {
        x = module_e(layers, name, x)?;
    }
    let pools = ["avgpool", "global_pool"];
    let x = head::global_pool(layers, "avgpool", &pools, x)?;
    head::classifier(layers, x, &inside(&["Conv2d_", "Mixed_", "AuxLogits"]))
}

fn module_a(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let part = |part: &str| format!("{name}.{part}");
    let one = square(layers, &part("branch1x1"), x, 1, 1)?;
    let five = square(layers, &part("branch5x5_1"), x, 1, 1)?;
    let five = square(layers, &part("branch5x5_2"), five, 5, 1)?;
    let three = square(layers, &part("branch3x3dbl_1"), x, 1, 1)?;
    let three = square(layers, &part("branch3x3dbl_2"), three, 3, 1)?;
    let three = square(layers, &part("branch3x3dbl_3"), three, 3, 1)?;
    let pool = pooled_branch(layers, name, x)?;
    layers.push(name, Op::Concat { axis: 1 }, &[one, five, three, pool])
}

fn module_b(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let part = |part: &str| format!("{name}.{part}");
    let three = unpadded(layers, &part("branch3x3"), x, 3, 2)?;
    let double = square(layers, &part("branch3x3dbl_1"), x, 1, 1)?;
    let double = square(layers, &part("branch3x3dbl_2"), double, 3, 1)?;
    let double = unpadded(layers, &part("branch3x3dbl_3"), double, 3, 2)?;
    let pool = Op::MaxPool(Pool::new(3, 2, 0));
    let pool = layers.push(&part("max_pool"), pool, &[x])?;
    layers.push(name, Op::Concat { axis: 1 }, &[three, double, pool])
}

fn module_c(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let part = |part: &str| format!("{name}.{part}");
    let one = square(layers, &part("branch1x1"), x, 1, 1)?;
    let seven = square(layers, &part("branch7x7_1"), x, 1, 1)?;
    let seven = padded(layers, &part("branch7x7_2"), seven, [1, 7])?;
    let seven = padded(layers, &part("branch7x7_3"), seven, [7, 1])?;
    let mut double = square(layers, &part("branch7x7dbl_1"), x, 1, 1)?;
    for (at, kernel) in [(2, [7, 1]), (3, [1, 7]), (4, [7, 1]), (5, [1, 7])] {
        double = padded(layers, &part(&format!("branch7x7dbl_{at}")), double, kernel)?;
    }
    let pool = pooled_branch(layers, name, x)?;
    layers.push(name, Op::Concat { axis: 1 }, &[one, seven, double, pool])
}

fn module_d(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let part = |part: &str| format!("{name}.{part}");
    let three = square(layers, &part("branch3x3_1"), x, 1, 1)?;
    let three = unpadded(layers, &part("branch3x3_2"), three, 3, 2)?;
    let seven = square(layers, &part("branch7x7x3_1"), x, 1, 1)?;
    let seven = padded(layers, &part("branch7x7x3_2"), seven, [1, 7])?;
    let seven = padded(layers, &part("branch7x7x3_3"), seven, [7, 1])?;
    let seven = unpadded(layers, &part("branch7x7x3_4"), seven, 3, 2)?;
    let pool = Op::MaxPool(Pool::new(3, 2, 0));
    let pool = layers.push(&part("max_pool"), pool, &[x])?;
    layers.push(name, Op::Concat { axis: 1 }, &[three, seven, pool])
}

fn module_e(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let part = |part: &str| format!("{name}.{part}");
    let one = square(layers, &part("branch1x1"), x, 1, 1)?;
    let three = square(layers, &part("branch3x3_1"), x, 1, 1)?;
    let three = [
        padded(layers, &part("branch3x3_2a"), three, [1, 3])?,
        padded(layers, &part("branch3x3_2b"), three, [3, 1])?,
    ];
    let three = layers.push(&part("branch3x3"), Op::Concat { axis: 1 }, &three)?;
    let double = square(layers, &part("branch3x3dbl_1"), x, 1, 1)?;
    let double = square(layers, &part("branch3x3dbl_2"), double, 3, 1)?;
    let double = [
        padded(layers, &part("branch3x3dbl_3a"), double, [1, 3])?,
        padded(layers, &part("branch3x3dbl_3b"), double, [3, 1])?,
    ];
    let double = layers.push(&part("branch3x3dbl"), Op::Concat { axis: 1 }, &double)?;
    let pool = pooled_branch(layers, name, x)?;
    layers.push(name, Op::Concat { axis: 1 }, &[one, three, double, pool])
}

/// The mean of 3×3, then 1×1.
fn pooled_branch(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let pool = Op::AveragePool {
        pool: Pool::new(3, 1, 1),
        count_include_pad: true,
    };
    let x = layers.push(&format!("{name}.avg_pool"), pool, &[x])?;
    square(layers, &format!("{name}.branch_pool"), x, 1, 1)
}

/// The maximum of 3×3, stride 2; (torchvision's path, timm's path).
fn pooling(layers: &mut Layers, paths: &[&str; 2], x: ValueId) -> Result<ValueId, GraphError> {
    let is_saved = |path: &&str| layers.saved_in_order().iter().any(|its| its.path == *path);
    let path = paths.iter().copied().find(is_saved).unwrap_or(paths[0]);
    layers.max_pool(path, x, Pool::new(3, 2, 0))
}

/// A convolution with a square kernel and padding that keeps the size.
fn square(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    kernel: usize,
    stride: usize,
) -> Result<ValueId, GraphError> {
    let conv = Conv::new(stride, kernel / 2, 1);
    unit(layers, name, x, [kernel, kernel], conv)
}

/// A convolution with a square kernel without padding.
fn unpadded(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    kernel: usize,
    stride: usize,
) -> Result<ValueId, GraphError> {
    unit(layers, name, x, [kernel, kernel], Conv::new(stride, 0, 1))
}

/// A convolution with a flat or narrow kernel and padding that keeps the size.
fn padded(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    kernel: [usize; 2],
) -> Result<ValueId, GraphError> {
    let [y, x_pad] = kernel.map(|side| side / 2);
    let conv = Conv {
        pads: [y, x_pad, y, x_pad],
        ..Conv::PLAIN
    };
    unit(layers, name, x, kernel, conv)
}

/// Convolution, batch norm, `ReLU`.
fn unit(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    kernel: [usize; 2],
    conv: Conv,
) -> Result<ValueId, GraphError> {
    let weight = format!("{name}.conv.weight");
    let outputs = layers.tensor_shape(&weight)?;
    let outputs = outputs.first().copied().unwrap_or_default();
    let inputs = layers.shape(x)[1];
    expect(layers, &weight, &[outputs, inputs, kernel[0], kernel[1]])?;
    let x = layers.conv(&format!("{name}.conv"), x, conv)?;
    let x = layers.batch_norm(&format!("{name}.bn"), x, EPS)?;
    layers.activation(name, &[&format!("{name}.bn.act")], Unary::Relu, x)
}

/// Ignores the tensors of classifiers that only training needs; whether there are any.
fn ignore_auxiliary(layers: &mut Layers, starts: &[&str]) -> bool {
    let is_auxiliary = |name: &&String| starts.iter().any(|start| name.starts_with(start));
    let names: Vec<String> = layers
        .shapes()
        .keys()
        .filter(is_auxiliary)
        .cloned()
        .collect();
    for name in &names {
        layers.ignore(name);
    }
    !names.is_empty()
}

fn inside(starts: &[&str]) -> Vec<String> {
    starts.iter().map(|start| (*start).to_owned()).collect()
}
