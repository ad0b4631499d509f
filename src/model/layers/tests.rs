use candle_core::Device;

use super::*;
use crate::model::cpu::Isa;

/// Reproducible values in −1..1.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(count)
    .collect()
}

/// The result of candle for a layer, and our results at every SIMD level and in both precisions.
fn each(spec: ConvSpec, (height, width): (usize, usize), residual: bool) -> Vec<Vec<f32>> {
    let weight = noise(spec.weight_shape().iter().product(), 1);
    let mut cases = vec![(Backend::Candle(Device::Cpu), Precision::Single)];
    for level in Isa::available() {
        cases.push((Backend::Fused(Cpu::new(level)), Precision::Single));
    }
    cases.push((Backend::fused(), Precision::Double));
    let run = |(backend, precision): (Backend, Precision)| {
        let conv = Conv::new(
            &weight,
            noise(spec.cout, 2),
            vec![1.0; spec.cout],
            spec,
            &backend,
        )
        .unwrap();
        let image = noise(height * width * spec.cin, 3);
        let image = backend.image(&image, height, width).unwrap();
        let out = if residual {
            let out = spec.window(height, width).output;
            let rest = noise(out.0 * out.1 * spec.cout, 4);
            let rest = backend.image(&rest, out.0, out.1).unwrap();
            conv.forward_add(&image, &rest, precision)
        } else {
            conv.forward(&image, precision)
        };
        backend.feature_maps(&out.unwrap()).unwrap().values
    };
    cases.into_iter().map(run).collect()
}

#[test]
fn fused_convolutions_agree_with_candle() {
    use Activation::{Linear, Relu, Relu6};
    use Padding::{Each, Same};
    let cases = [
        // cin, cout, kernel, stride, padding, depthwise, activation, size
        (3, 8, 7, 2, Each(3), false, Relu, (33, 40)),
        (16, 24, 3, 1, Each(1), false, Relu, (7, 9)),
        (16, 24, 3, 1, Each(1), false, Relu, (30, 29)),
        (32, 48, 3, 1, Each(1), false, Relu, (31, 28)), // Winograd from here on
        (16, 80, 3, 1, Each(1), false, Relu, (8, 7)),
        (64, 128, 3, 1, Each(1), false, Linear, (1, 1)),
        (32, 16, 3, 1, Same, false, Relu6, (3, 70)),
        (64, 320, 3, 1, Each(1), false, Relu, (7, 7)), // many channels, few pixels
        (320, 144, 1, 1, Each(0), false, Relu6, (7, 7)),
        (8, 16, 3, 2, Each(1), false, Linear, (15, 16)),
        (8, 16, 1, 2, Each(0), false, Linear, (16, 15)),
        (24, 40, 1, 1, Same, false, Linear, (20, 21)),
        (3, 32, 3, 2, Same, false, Relu6, (32, 48)),
        (32, 32, 3, 1, Same, true, Relu6, (9, 8)),
        (24, 24, 5, 2, Same, true, Relu6, (12, 10)), // not a multiple of the block
        (48, 48, 5, 1, Same, true, Relu6, (3, 2)),   // kernel larger than the image
    ];
    for (cin, cout, kernel, stride, padding, depthwise, activation, size) in cases {
        let spec = ConvSpec {
            cin,
            cout,
            kernel,
            stride,
            padding,
            depthwise,
            activation,
        };
        for residual in [false, true] {
            if residual && depthwise {
                continue; // no network has a residual here
            }
            let results = each(spec, size, residual);
            let [candle, fused @ ..] = &results[..] else {
                panic!("one image from candle and one of ours");
            };
            assert!(fused.len() >= 2);
            for fused in fused {
                assert_eq!(fused.len(), candle.len());
                for (a, b) in fused.iter().zip(candle) {
                    assert!((a - b).abs() < 1e-4, "{spec:?}: {a} and {b}");
                }
            }
        }
    }
}

#[test]
fn max_pooling_agrees_with_candle() {
    for (height, width) in [(8, 8), (9, 13), (1, 2)] {
        let values = noise(height * width * 5, 9).into_iter().map(f32::abs);
        let values: Vec<f32> = values.collect();
        let [fused, candle] = [Backend::fused(), Backend::Candle(Device::Cpu)].map(|backend| {
            let image = backend.image(&values, height, width).unwrap();
            backend
                .feature_maps(&backend.max_pool(&image).unwrap())
                .unwrap()
        });
        assert_eq!(fused, candle);
    }
}

#[test]
fn same_padding_is_tensorflows() {
    assert_eq!(Padding::Same.on_axis(224, 3, 2), (0, 1));
    assert_eq!(Padding::Same.on_axis(112, 3, 1), (1, 1));
    assert_eq!(Padding::Same.on_axis(56, 5, 2), (1, 2));
    assert_eq!(Padding::Same.on_axis(15, 5, 2), (2, 2));
}

#[test]
fn a_first_layer_and_its_pooling_in_one_agree_with_candle() {
    let spec = ConvSpec {
        cin: 3,
        cout: 24,
        kernel: 7,
        stride: 2,
        padding: Padding::Each(3),
        depthwise: false,
        activation: Activation::Relu,
    };
    for (height, width) in [(64, 64), (37, 50), (5, 90), (2, 1)] {
        let [fused, candle] = [Backend::fused(), Backend::Candle(Device::Cpu)].map(|backend| {
            let weight = noise(24 * 3 * 49, 1);
            let conv = Conv::new(&weight, noise(24, 2), vec![1.0; 24], spec, &backend).unwrap();
            let image = noise(height * width * 3, 3);
            let image = backend.image(&image, height, width).unwrap();
            let out = conv.forward_and_pool(&image, &backend, Precision::Single);
            backend.feature_maps(&out.unwrap()).unwrap()
        });
        assert_eq!((fused.height, fused.width), (candle.height, candle.width));
        for (a, b) in fused.values.iter().zip(&candle.values) {
            assert!((a - b).abs() < 1e-4, "{height}×{width}: {a} and {b}");
        }
    }
}
