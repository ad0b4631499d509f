//! A ResNet with all its tensors and no training: weights that pass on the mean.

use std::collections::BTreeMap;

use safetensors::serialize;
use safetensors::tensor::{Dtype, TensorView};

/// A safetensors file of a ResNet with 1000 classes, named as in torchvision.
pub fn file(blocks: [usize; 4], bottleneck: bool) -> Vec<u8> {
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    let mut add = |name: String, shape: Vec<usize>, value: f32| {
        let bytes = value.to_le_bytes().repeat(shape.iter().product());
        tensors.insert(name, (shape, bytes));
    };
    let mut conv = |conv: String, norm: String, shape: [usize; 4]| {
        for (part, value) in [
            ("weight", 0.5),
            ("bias", 0.0),
            ("running_mean", 0.0),
            ("running_var", 1.0),
        ] {
            add(format!("{norm}.{part}"), vec![shape[0]], value);
        }
        let fan_in: usize = shape[1..].iter().product();
        add(
            format!("{conv}.weight"),
            shape.to_vec(),
            1.0 / fan_in as f32,
        );
    };
    conv("conv1".into(), "bn1".into(), [64, 3, 7, 7]);
    let mut cin = 64;
    for (stage, count) in blocks.into_iter().enumerate() {
        let width = 64 << stage;
        let cout = if bottleneck { 4 * width } else { width };
        for block in 0..count {
            let at = format!("layer{}.{block}", stage + 1);
            let shapes = if bottleneck {
                vec![
                    [width, cin, 1, 1],
                    [width, width, 3, 3],
                    [cout, width, 1, 1],
                ]
            } else {
                vec![[width, cin, 3, 3], [width, width, 3, 3]]
            };
            for (n, shape) in (1..).zip(shapes) {
                conv(format!("{at}.conv{n}"), format!("{at}.bn{n}"), shape);
            }
            if cin != cout {
                let (name, norm) = (format!("{at}.downsample.0"), format!("{at}.downsample.1"));
                conv(name, norm, [cout, cin, 1, 1]);
            }
            cin = cout;
        }
    }
    add("fc.weight".into(), vec![1000, cin], 0.001);
    add("fc.bias".into(), vec![1000], 0.0);
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.expect("its bytes fit its shape"))
    });
    serialize(views, None).expect("its tensors fit")
}
