//! `ResNet`s with made-up weights, named as in torchvision.

use safetensors::serialize;
use safetensors::tensor::{Dtype, TensorView};

/// Blocks of a ResNet-18 in each stage.
pub const RESNET18: [usize; 4] = [2, 2, 2, 2];

/// The tensors of a ResNet, in the order of its layers.
pub fn shapes(counts: [usize; 4], bottleneck: bool, classes: usize) -> Vec<(String, Vec<usize>)> {
    let mut shapes = Vec::new();
    let mut add = |conv: String, norm: String, shape: [usize; 4]| {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            shapes.push((format!("{norm}.{part}"), vec![shape[0]]));
        }
        shapes.push((format!("{conv}.weight"), shape.to_vec()));
    };
    add("conv1".into(), "bn1".into(), [64, 3, 7, 7]);
    let mut cin = 64;
    for (stage, count) in counts.into_iter().enumerate() {
        let width = 64 << stage;
        let cout = if bottleneck { 4 * width } else { width };
        for block in 0..count {
            let at = format!("layer{}.{block}", stage + 1);
            let convs = if bottleneck {
                vec![
                    [width, cin, 1, 1],
                    [width, width, 3, 3],
                    [cout, width, 1, 1],
                ]
            } else {
                vec![[width, cin, 3, 3], [width, width, 3, 3]]
            };
            for (n, shape) in (1..).zip(convs) {
                add(format!("{at}.conv{n}"), format!("{at}.bn{n}"), shape);
            }
            if cin != cout || (block == 0 && stage > 0) {
                let shape = [cout, cin, 1, 1];
                add(
                    format!("{at}.downsample.0"),
                    format!("{at}.downsample.1"),
                    shape,
                );
            }
            cin = cout;
        }
    }
    shapes.push(("fc.weight".into(), vec![classes, cin]));
    shapes.push(("fc.bias".into(), vec![classes]));
    shapes
}

/// 0..1, from a name, as in `tools/reference_checkpoints.py`.
pub fn noise(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let start = name.bytes().fold(2_166_136_261u32, |h, byte| {
        (h ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    let count = u32::try_from(count).expect("fewer than 2^32 values");
    (0..count).map(move |index| {
        let mut x = start.wrapping_add(index.wrapping_mul(2_654_435_761));
        x = (x ^ (x >> 16)).wrapping_mul(0x85EB_CA6B);
        x = (x ^ (x >> 13)).wrapping_mul(0xC2B2_AE35);
        f64::from(x ^ (x >> 16)) / f64::from(u32::MAX).mul_add(1.0, 1.0)
    })
}

/// Values of a tensor with which a network gives distinct answers, as in
/// `tools/reference_checkpoints.py`.
#[allow(clippy::cast_possible_truncation)] // as numpy rounds
pub fn made_up(name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let bound = (3.0 / fan_in as f64).sqrt();
    noise(name, shape.iter().product())
        .map(|u| {
            let value = if name.ends_with("running_var") {
                0.5 + u
            } else if name.ends_with("running_mean") || name.ends_with("bias") {
                0.2 * (u - 0.5)
            } else if shape.len() == 1 {
                0.4 + 0.4 * u
            } else {
                2.0 * (u - 0.5) * bound
            };
            value as f32
        })
        .collect()
}

/// Values with which each layer outputs the mean of its input: the same for all elements of a
/// tensor, so that a large network is created quickly.
fn mean(name: &str, shape: &[usize]) -> Vec<f32> {
    let fan_in: usize = shape.iter().skip(1).product();
    let value = match name {
        "fc.weight" => 0.001,
        _ if shape.len() == 4 => 1.0 / fan_in as f32,
        _ if name.ends_with("running_var") => 1.0,
        _ if name.ends_with("running_mean") || name.ends_with("bias") => 0.0,
        _ => 0.5,
    };
    vec![value; shape.iter().product()]
}

/// A safetensors file of a network's tensors, with values for each of them.
pub fn file_of(
    shapes: &[(String, Vec<usize>)],
    mut values: impl FnMut(&str, &[usize]) -> Vec<f32>,
) -> Vec<u8> {
    let bytes: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(name, shape)| {
            let values = values(name, shape);
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect()
        })
        .collect();
    let views = shapes.iter().zip(&bytes).map(|((name, shape), bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name, view.expect("its bytes fit its shape"))
    });
    serialize(views, None).expect("its tensors fit")
}

/// A safetensors file of a ResNet with 1000 classes and no training: weights that pass on the
/// mean.
pub fn file(blocks: [usize; 4], bottleneck: bool) -> Vec<u8> {
    file_of(&shapes(blocks, bottleneck, 1000), mean)
}
