//! A ResNet-18 with made-up weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::serialize;
use safetensors::tensor::{Dtype, TensorView};

/// Writes one with so many classes.
pub fn write(path: &Path, classes: usize) {
    let mut shapes = BTreeMap::new();
    let mut add = |conv: String, norm: String, shape: [usize; 4]| {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            shapes.insert(format!("{norm}.{part}"), vec![shape[0]]);
        }
        shapes.insert(format!("{conv}.weight"), shape.to_vec());
    };
    add("conv1".into(), "bn1".into(), [64, 3, 7, 7]);
    let mut cin = 64;
    for stage in 0..4 {
        let width = 64 << stage;
        for block in 0..2 {
            let at = format!("layer{}.{block}", stage + 1);
            add(
                format!("{at}.conv1"),
                format!("{at}.bn1"),
                [width, cin, 3, 3],
            );
            add(
                format!("{at}.conv2"),
                format!("{at}.bn2"),
                [width, width, 3, 3],
            );
            if cin != width {
                let names = (format!("{at}.downsample.0"), format!("{at}.downsample.1"));
                add(names.0, names.1, [width, cin, 1, 1]);
            }
            cin = width;
        }
    }
    shapes.insert("fc.weight".into(), vec![classes, cin]);
    shapes.insert("fc.bias".into(), vec![classes]);
    let mut x = 1u32;
    let mut values = |name: &str, shape: &[usize]| -> Vec<u8> {
        let fan_in: usize = shape.iter().skip(1).product();
        let bound = (3.0 / fan_in as f32).sqrt();
        let mut bytes = Vec::new();
        for _ in 0..shape.iter().product::<usize>() {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            let share = (x >> 8) as f32 / (1 << 24) as f32;
            let value = match shape.len() {
                1 if name.ends_with("running_var") => 0.5 + share,
                1 if name.ends_with("weight") => 0.4 + 0.4 * share,
                1 => 0.2 * (share - 0.5),
                _ => 2.0 * bound * (share - 0.5),
            };
            bytes.extend(value.to_le_bytes());
        }
        bytes
    };
    let tensors: Vec<_> = shapes
        .into_iter()
        .map(|(name, shape)| (values(&name, &shape), name, shape))
        .collect();
    let views = tensors.iter().map(|(bytes, name, shape)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
        )
    });
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}
