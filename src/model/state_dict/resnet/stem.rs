//! The first layers.

use std::sync::Arc;

use crate::model::graph::{Conv, GraphError, Op, PadMode, Pool, Unary, ValueId};
use crate::model::state_dict::Layers;
use crate::model::state_dict::resnet::names::{Anti, Style};
use crate::model::state_dict::resnet::{EPS, Plan};

/// The layers before the first block.
pub fn build(layers: &mut Layers, plan: &Plan, x: ValueId) -> Result<ValueId, GraphError> {
    let network = &plan.network;
    let first = network.stem_conv();
    let norm = network.stem_norm();
    let deep = layers.has(&format!("{first}.0.weight"));
    let legacy_deep = network.style == Style::Legacy && layers.has("layer0.conv2.weight");
    let activations = network.stem_activations();
    let activations: Vec<&str> = activations.iter().map(String::as_str).collect();
    let activated = activations.last().copied().unwrap_or("relu");
    if deep {
        let mut x = conv(layers, &format!("{first}.0"), x, 2, &[3])?;
        for [norm, act, next] in [[1, 2, 3], [4, 5, 6]] {
            x = layers.batch_norm(&format!("{first}.{norm}"), x, EPS)?;
            let act = format!("{first}.{act}");
            x = layers.activation(&act, &[&act], Unary::Relu, x)?;
            x = conv(layers, &format!("{first}.{next}"), x, 1, &[3])?;
        }
        x = layers.batch_norm(&norm, x, EPS)?;
        x = layers.activation(activated, &activations, Unary::Relu, x)?;
        return pool(layers, plan, x);
    }
    if legacy_deep {
        let mut x = x;
        for at in 1..=3 {
            let of = |part: &str| format!("{}layer0.{part}{at}", network.prefix);
            x = conv(layers, &of("conv"), x, if at == 1 { 2 } else { 1 }, &[3])?;
            x = layers.batch_norm(&of("bn"), x, EPS)?;
            x = layers.activation(&of("relu"), &[&of("relu")], Unary::Relu, x)?;
        }
        return pool(layers, plan, x);
    }
    let (stride, kernels): (usize, &[usize]) = if network.is_cifar(layers.shapes()) {
        (1, &[3])
    } else {
        (2, &[7])
    };
    let x = conv(layers, &first, x, stride, kernels)?;
    let x = plan.normalize(layers, &norm, x)?;
    let x = layers.activation(activated, &activations, Unary::Relu, x)?;
    pool(layers, plan, x)
}

/// The pooling between the first convolution and the first block.
fn pool(layers: &mut Layers, plan: &Plan, x: ValueId) -> Result<ValueId, GraphError> {
    let network = &plan.network;
    let name = network.stem_pool();
    // timm's ResNet-RS has a convolution instead.
    if layers.has(&format!("{name}.0.weight")) {
        let x = conv(layers, &format!("{name}.0"), x, 2, &[3])?;
        let x = layers.batch_norm(&format!("{name}.1"), x, EPS)?;
        let act = format!("{name}.2");
        return layers.activation(&name, &[&act], Unary::Relu, x);
    }
    if layers.is_saved_whole() {
        return saved_pool(layers, &name, x);
    }
    if network.is_cifar(layers.shapes()) {
        return Ok(x);
    }
    match plan.anti {
        Anti::Average => {
            let halves = Op::AveragePool {
                pool: Pool::new(2, 2, 0),
                count_include_pad: true,
            };
            layers.push(&name, halves, &[x])
        }
        Anti::Blur => {
            let x = layers.max_pool(&format!("{name}.0"), x, Pool::new(3, 1, 1))?;
            blur(layers, &name, x, 2)
        }
        Anti::No => {
            let usual = match network.style {
                // Caffe's.
                Style::Legacy => Pool {
                    ceil_mode: true,
                    ..Pool::new(3, 2, 0)
                },
                _ => Pool::new(3, 2, 1),
            };
            layers.max_pool(&name, x, usual)
        }
    }
}

/// The pooling that the saved modules have; none if there is none.
fn saved_pool(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let Some(module) = layers.saved(name) else {
        return Ok(x);
    };
    if module.class != "Sequential" {
        return layers.max_pool(name, x, Pool::new(3, 2, 1));
    }
    let mut x = x;
    for at in 0..3 {
        let path = format!("{name}.{at}");
        match layers.saved(&path) {
            None => break,
            Some(module) if module.class == "BlurPool2d" => x = saved_blur(layers, &path, x)?,
            Some(_) => x = layers.max_pool(&path, x, Pool::new(3, 2, 1))?,
        }
    }
    Ok(x)
}

/// A blur layer of a network that was saved whole.
pub fn saved_blur(layers: &mut Layers, path: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let stride = layers.saved(path).and_then(|module| {
        let number = |name: &str| {
            module
                .numbers(name)
                .and_then(|values| values.first().copied())
        };
        let usual = number("filt_size").is_none_or(|size| (size - 3.0).abs() == 0.0)
            && module.text("pad_mode").is_none_or(|mode| mode == "reflect");
        let stride = number("stride")?;
        match stride {
            _ if !usual => None,
            _ if (stride - 1.0).abs() == 0.0 => Some(1),
            _ if (stride - 2.0).abs() == 0.0 => Some(2),
            _ => None,
        }
    });
    let stride = stride.ok_or_else(|| {
        GraphError::new(format!("{path} is a blur layer with unknown parameters"))
    })?;
    layers.ignore(&format!("{path}.filt"));
    blur(layers, path, x, stride)
}

/// timm's `BlurPool2d`: each channel with the weights 1, 2, 1 on both axes, borders mirrored.
pub fn blur(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    stride: usize,
) -> Result<ValueId, GraphError> {
    let channels = layers.shape(x)[1];
    // 1 + 2 + 1 = 4, so the sum of the products is 16.
    const SQUARE: [f32; 9] = [1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0, 1.0];
    let one = SQUARE.map(|value| value / 16.0);
    let weight = Arc::new(one.repeat(channels));
    let path = format!("{name}.filt");
    let weight = layers
        .graph()
        .constant(&path, &[channels, 1, 3, 3], weight)?;
    let pad = Op::Pad {
        before: vec![0, 0, 1, 1],
        after: vec![0, 0, 1, 1],
        mode: PadMode::Reflect,
    };
    let x = layers.push(&format!("{name}.pad"), pad, &[x])?;
    let conv = Op::Conv(Conv::new(stride, 0, channels));
    layers.push(name, conv, &[x, weight])
}

/// A convolution that keeps rows and columns but for its stride. Its kernel must be one of these
/// unless the network was saved whole.
pub fn conv(
    layers: &mut Layers,
    name: &str,
    x: ValueId,
    stride: usize,
    kernels: &[usize],
) -> Result<ValueId, GraphError> {
    let weight = layers.tensor_shape(&format!("{name}.weight"))?;
    let &[_, per_group, down, across] = &weight[..] else {
        return Err(GraphError::new(format!(
            "{name}.weight has shape {weight:?}"
        )));
    };
    if (down != across || !kernels.contains(&down)) && !layers.is_saved_whole() {
        return Err(GraphError::new(format!(
            "{name} is a {down}×{across} convolution, which a usual {} does not have",
            layers.described.name
        )));
    }
    let channels = layers.shape(x)[1];
    if per_group == 0 || !channels.is_multiple_of(per_group) {
        return Err(GraphError::new(format!(
            "{name}.weight has shape {weight:?}, and its input has {channels} channels"
        )));
    }
    let groups = if per_group == 0 {
        1
    } else {
        channels / per_group
    };
    layers.conv(name, x, Conv::new(stride, down / 2, groups))
}
