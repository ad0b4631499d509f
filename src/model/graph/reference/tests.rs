//! Gradients against central differences, outputs against plain loops and values by hand.

use std::sync::Arc;

use super::*;
use crate::model::graph::{Binary, Conv, GraphBuilder, PadMode, Pool, ReduceKind, Unary, ValueId};

/// Random numbers between −1 and 1 (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        Tensor::double(shape, (0..count).map(|_| self.next()).collect())
    }

    /// Weights in f32.
    #[allow(clippy::cast_possible_truncation)] // rounded
    fn weights(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let values = (0..count).map(|_| self.next() as f32).collect();
        Tensor::single(shape, Arc::new(values))
    }
}

fn level() -> Isa {
    Isa::chosen()
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    let (a, b) = (a.doubles(), b.doubles());
    a.iter().zip(b.iter()).map(|(a, b)| a * b).sum()
}

/// Checks the gradient with respect to the first `wanted` inputs.
fn check(op: &Op, inputs: &[Tensor], wanted: usize) {
    const STEP: f64 = 1e-5;
    let mut random = Random(7);
    let all: Vec<&Tensor> = inputs.iter().collect();
    let output = forward(op, &all, level()).unwrap();
    let gradient = random.tensor(&output.shape);
    let flags: Vec<bool> = (0..inputs.len()).map(|index| index < wanted).collect();
    let parts = backward(op, &all, &output, &gradient, &flags, level()).unwrap();
    for (index, part) in parts.iter().enumerate() {
        let Some(part) = part else {
            assert!(index >= wanted);
            continue;
        };
        assert_eq!(part.shape, inputs[index].shape);
        let values = inputs[index].doubles().into_owned();
        for at in 0..values.len() {
            let moved = |step: f64| {
                let mut values = values.clone();
                values[at] += step;
                let moved = Tensor::double(&inputs[index].shape, values);
                let mut all = all.clone();
                all[index] = &moved;
                dot(&forward(op, &all, level()).unwrap(), &gradient)
            };
            let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            let found = part.doubles()[at];
            assert!(
                (expected - found).abs() < 1e-7 * (1.0 + expected.abs()),
                "{op:?}, input {index}, value {at}: {found} instead of {expected}"
            );
        }
    }
}

fn conv(strides: [usize; 2], pads: [usize; 4], dilations: [usize; 2], groups: usize) -> Conv {
    Conv {
        strides,
        pads,
        dilations,
        groups,
    }
}

/// Convolutions of many kinds: parameters, x, weight.
fn convolutions() -> Vec<(Conv, [usize; 4], [usize; 4])> {
    vec![
        (Conv::PLAIN, [1, 3, 5, 4], [2, 3, 1, 1]),
        (Conv::new(1, 1, 1), [2, 3, 5, 4], [13, 3, 3, 3]),
        (Conv::new(2, 3, 1), [1, 2, 9, 8], [4, 2, 7, 7]),
        (Conv::new(2, 0, 1), [1, 2, 7, 6], [3, 2, 1, 1]),
        (
            conv([2, 1], [0, 1, 2, 0], [1, 2], 1),
            [1, 2, 6, 7],
            [3, 2, 2, 3],
        ),
        (
            conv([1, 3], [2, 0, 1, 4], [3, 1], 2),
            [2, 4, 8, 7],
            [6, 2, 3, 2],
        ),
        (
            conv([3, 2], [1, 1, 1, 1], [2, 2], 1),
            [1, 1, 9, 9],
            [2, 1, 3, 3],
        ),
        (
            conv([5, 4], [0; 4], [1, 1], 1),
            [1, 2, 11, 10],
            [2, 2, 2, 3],
        ),
        (Conv::new(1, 1, 5), [1, 5, 4, 6], [5, 1, 3, 3]),
        (Conv::new(2, 2, 3), [2, 3, 7, 5], [6, 1, 5, 5]),
        (
            conv([2, 3], [1, 0, 2, 1], [2, 1], 4),
            [1, 8, 7, 8],
            [8, 2, 3, 3],
        ),
        (Conv::new(1, 0, 2), [1, 12, 3, 3], [10, 6, 3, 3]),
        (
            conv([1, 1], [9, 0, 0, 9], [1, 1], 1),
            [1, 1, 2, 3],
            [1, 1, 2, 2],
        ),
    ]
}

/// A convolution by definition.
fn plain_convolution(conv: &Conv, x: &Tensor, weight: &Tensor, shape: &[usize]) -> Vec<f64> {
    let (xs, ws) = (x.doubles(), weight.doubles());
    let [n, channels, height, width] = x.shape[..] else {
        panic!("an image")
    };
    let [m, per, kh, kw] = weight.shape[..] else {
        panic!("a kernel")
    };
    let mut out = Vec::new();
    for image in 0..n {
        for filter in 0..m {
            for i in 0..shape[2] {
                for j in 0..shape[3] {
                    let mut sum = 0.0;
                    for k in 0..per * kh * kw {
                        let (c, ky, kx) = (k / (kh * kw), k / kw % kh, k % kw);
                        let row = (i * conv.strides[0] + ky * conv.dilations[0])
                            .checked_sub(conv.pads[0])
                            .filter(|row| *row < height);
                        let column = (j * conv.strides[1] + kx * conv.dilations[1])
                            .checked_sub(conv.pads[1])
                            .filter(|column| *column < width);
                        if let (Some(row), Some(column)) = (row, column) {
                            let channel = filter / (m / conv.groups) * per + c;
                            let at = (image * channels + channel) * height + row;
                            sum += xs[at * width + column] * ws[filter * per * kh * kw + k];
                        }
                    }
                    out.push(sum);
                }
            }
        }
    }
    out
}

#[test]
fn convolutions_match_plain_loops_and_differences() {
    let mut random = Random(1);
    for (conv, x, weight) in convolutions() {
        let (x, bias) = (random.tensor(&x), random.weights(&weight[..1]));
        let weight = random.weights(&weight);
        let op = Op::Conv(conv);
        let found = forward(&op, &[&x, &weight], level()).unwrap();
        let expected = plain_convolution(&conv, &x, &weight, &found.shape);
        for (found, expected) in found.doubles().iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-13,
                "{conv:?}: {found} {expected}"
            );
        }
        check(&op, &[x, weight, bias], 1);
    }
}

#[test]
fn large_products_match_plain_loops() {
    let mut random = Random(2);
    for (rows, depth, columns) in [(1, 700, 530), (29, 300, 40), (200, 129, 17), (25, 5, 600)] {
        let x = random.tensor(&[rows, depth]);
        let (weight, bias) = (
            random.weights(&[columns, depth]),
            random.weights(&[columns]),
        );
        let found = forward(&Op::Linear, &[&x, &weight, &bias], level()).unwrap();
        let (xs, ws, bias) = (x.doubles(), weight.doubles(), bias.doubles());
        for (at, found) in found.doubles().iter().enumerate() {
            let (row, column) = (at / columns, at % columns);
            let pairs = xs[row * depth..][..depth].iter().zip(&ws[column * depth..]);
            let expected = bias[column] + pairs.map(|(x, w)| x * w).sum::<f64>();
            assert!((found - expected).abs() < 1e-11);
        }
        let gradient = random.tensor(&[rows, columns]);
        let output = Tensor::double(&[rows, columns], found.doubles().into_owned());
        let back = backward(
            &Op::Linear,
            &[&x, &weight],
            &output,
            &gradient,
            &[true, false],
            level(),
        )
        .unwrap();
        let (back, g) = (back[0].clone().unwrap(), gradient.doubles());
        for (at, found) in back.doubles().iter().enumerate() {
            let (row, k) = (at / depth, at % depth);
            let terms =
                (0..columns).map(|column| g[row * columns + column] * ws[column * depth + k]);
            assert!((found - terms.sum::<f64>()).abs() < 1e-11);
        }
    }
}

#[test]
fn linear_layers_and_products_of_matrices() {
    let mut random = Random(3);
    let x = random.tensor(&[2, 3, 5]);
    let (weight, bias) = (random.weights(&[4, 5]), random.weights(&[4]));
    check(&Op::Linear, &[x, weight, bias], 1);
    for (a, b) in [
        (vec![3, 4], vec![4, 2]),
        (vec![2, 3, 4], vec![4, 5]),
        (vec![3, 4], vec![2, 2, 4, 3]),
        (vec![2, 1, 3, 4], vec![3, 4, 2]),
        (vec![1, 2, 3, 4], vec![2, 1, 4, 1]),
    ] {
        let inputs = [random.tensor(&a), random.tensor(&b)];
        check(&Op::MatMul, &inputs, 2);
    }
    let (a, b) = (random.tensor(&[2, 1, 3, 4]), random.tensor(&[3, 4, 2]));
    let found = forward(&Op::MatMul, &[&a, &b], level()).unwrap();
    assert_eq!(found.shape, [2, 3, 3, 2]);
    let (a, b) = (a.doubles(), b.doubles());
    for (at, found) in found.doubles().iter().enumerate() {
        let (i, j, row, column) = (at / 18, at / 6 % 3, at / 2 % 3, at % 2);
        let terms = (0..4).map(|k| a[(i * 3 + row) * 4 + k] * b[(j * 4 + k) * 2 + column]);
        assert!((found - terms.sum::<f64>()).abs() < 1e-14);
    }
}

#[test]
fn normalizations() {
    let mut random = Random(4);
    let eps = 1e-3;
    for shape in [vec![2, 6, 3, 5], vec![3, 6], vec![1, 6, 4]] {
        let x = random.tensor(&shape);
        let mut parts = vec![x.clone()];
        parts.extend((0..3).map(|_| random.weights(&[6])));
        parts.push(Tensor::double(&[6], vec![0.5, 1.0, 2.0, 0.1, 0.3, 4.0]));
        check(&Op::BatchNorm { eps }, &parts, 1);
        for groups in [1, 2, 6] {
            if shape.len() > 2 || groups < 6 {
                check(&Op::GroupNorm { groups, eps }, &parts[..3], 1);
            }
        }
        for axis in 0..shape.len() {
            let part = &shape[axis..];
            let inputs = [x.clone(), random.weights(part), random.weights(part)];
            for count in 1..=3 {
                check(&Op::LayerNorm { axis, eps }, &inputs[..count], 1);
            }
            check(&Op::Softmax { axis }, &inputs[..1], 1);
            check(&Op::LogSoftmax { axis }, &inputs[..1], 1);
        }
        for size in [1, 2, 3, 5, 9] {
            let (alpha, beta, bias) = (0.7, 0.75, 1.5);
            let op = Op::Lrn {
                size,
                alpha,
                beta,
                bias,
            };
            check(&op, std::slice::from_ref(&x), 1);
        }
    }
}

#[test]
fn functions_of_one_value() {
    let all = [
        Unary::Relu,
        Unary::LeakyRelu(0.1),
        Unary::Elu(1.3),
        Unary::Selu(1.67, 1.05),
        Unary::Clip(-0.5, 0.75),
        Unary::Sigmoid,
        Unary::Tanh,
        Unary::HardSigmoid(0.3, 0.4),
        Unary::HardSwish,
        Unary::Silu,
        Unary::Gelu,
        Unary::GeluTanh,
        Unary::Mish,
        Unary::Softplus,
        Unary::Softsign,
        Unary::Erf,
        Unary::Exp,
        Unary::Log,
        Unary::Sqrt,
        Unary::Reciprocal,
        Unary::Abs,
        Unary::Neg,
        Unary::Sin,
        Unary::Cos,
        Unary::Floor,
        Unary::Ceil,
        Unary::Round,
        Unary::Sign,
    ];
    for unary in all {
        let positive = matches!(unary, Unary::Log | Unary::Sqrt | Unary::Reciprocal);
        let first = if positive { 1 } else { -40 };
        let x: Vec<f64> = (first..40).map(|i| f64::from(i) * 0.13 + 0.0371).collect();
        check(&Op::Unary(unary), &[Tensor::double(&[x.len()], x)], 1);
        // Far out, nothing becomes infinite or not a number that is not.
        if !positive && unary != Unary::Exp {
            for x in [-1e4, -800.0, 800.0, 1e4] {
                assert!(unary::value(unary, x).is_finite(), "{unary:?}({x})");
                assert!(unary::derivative(unary, x).is_finite(), "{unary:?}'({x})");
            }
        }
        assert!(unary::value(unary, f64::NAN).is_nan(), "{unary:?}");
    }
}

#[test]
fn kinks_are_as_in_pytorch() {
    let slope = unary::derivative;
    assert_eq!(slope(Unary::Relu, 0.0), 0.0);
    assert_eq!(slope(Unary::Clip(0.0, 6.0), 0.0), 0.0);
    assert_eq!(slope(Unary::Clip(0.0, 6.0), 6.0), 0.0);
    assert_eq!(slope(Unary::LeakyRelu(0.25), 0.0), 0.25);
    assert_eq!(slope(Unary::Abs, 0.0), 0.0);
    assert_eq!(unary::value(Unary::Round, 2.5), 2.0);
    assert_eq!(unary::value(Unary::Clip(2.0, 1.0), 0.0), 1.0);
    // Φ(1) and erf(1) to 16 digits.
    assert!((unary::value(Unary::Gelu, 1.0) - 0.841_344_746_068_542_9).abs() < 1e-15);
    assert!((unary::value(Unary::Erf, 1.0) - 0.842_700_792_949_714_9).abs() < 1e-15);
    let pair = |binary, a, b| {
        let (a, b) = (Tensor::double(&[1], vec![a]), Tensor::double(&[1], vec![b]));
        let one = Tensor::double(&[1], vec![1.0]);
        let parts = elementwise::binary_backward(binary, (&a, &b), &one, &[true, true]);
        [0, 1].map(|side: usize| parts[side].clone().unwrap().doubles()[0])
    };
    assert_eq!(pair(Binary::Max, 1.0, 1.0), [0.5, 0.5]);
    assert_eq!(pair(Binary::Min, 1.0, 2.0), [1.0, 0.0]);
    assert_eq!(pair(Binary::Pow, 0.0, 2.0), [0.0, 0.0]);
}

#[test]
fn functions_of_two_values_broadcast() {
    let mut random = Random(5);
    let shapes: [(&[usize], &[usize]); 10] = [
        (&[2, 3, 4], &[2, 3, 4]),
        (&[2, 3, 4], &[4]),
        (&[2, 3, 4], &[]),
        (&[1, 3, 2, 4], &[1, 3, 1, 1]),
        (&[3, 1, 1], &[2, 3, 4, 2]),
        (&[2, 1, 4], &[1, 3, 1]),
        (&[1], &[1, 1]),
        (&[2, 3, 1], &[2, 3, 5]),
        (&[2, 1, 2, 1, 3], &[1, 3, 1, 2, 1]),
        (&[4, 1], &[1, 5]),
    ];
    for (a, b) in shapes {
        for binary in [
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Div,
            Binary::Pow,
            Binary::Max,
            Binary::Min,
            Binary::PRelu,
        ] {
            let mut inputs = [random.tensor(a), random.tensor(b)];
            // Bases and divisors far from 0.
            if binary == Binary::Pow {
                inputs[0] = shifted(&inputs[0]);
            } else if binary == Binary::Div {
                inputs[1] = shifted(&inputs[1]);
            }
            check(&Op::Binary(binary), &inputs, 2);
        }
    }
    let (a, b) = (
        Tensor::double(&[2, 1], vec![1.0, 2.0]),
        Tensor::double(&[3], vec![10.0, 20.0, 30.0]),
    );
    let sum = forward(&Op::Binary(Binary::Add), &[&a, &b], level()).unwrap();
    assert_eq!(sum.doubles()[..], [11.0, 21.0, 31.0, 12.0, 22.0, 32.0]);
}

fn shifted(tensor: &Tensor) -> Tensor {
    let values = tensor.doubles().iter().map(|x| x + 2.0).collect();
    Tensor::double(&tensor.shape, values)
}

fn pools() -> Vec<(Pool, [usize; 4])> {
    let ceil = |pool: Pool| Pool {
        ceil_mode: true,
        ..pool
    };
    let odd = Pool {
        kernel: [3, 2],
        strides: [1, 3],
        pads: [1, 0, 2, 1],
        dilations: [2, 1],
        ceil_mode: true,
    };
    vec![
        (Pool::new(2, 2, 0), [1, 2, 6, 4]),
        (Pool::new(3, 2, 1), [2, 2, 7, 6]),
        (ceil(Pool::new(3, 2, 0)), [1, 2, 6, 8]),
        (ceil(Pool::new(3, 2, 1)), [1, 1, 6, 6]),
        (ceil(Pool::new(2, 2, 0)), [1, 3, 5, 7]),
        (Pool::new(3, 1, 1), [1, 2, 4, 4]),
        (odd, [1, 2, 9, 8]),
    ]
}

#[test]
fn pooling() {
    let mut random = Random(6);
    for (pool, shape) in pools() {
        let x = [random.tensor(&shape)];
        check(&Op::MaxPool(pool), &x, 1);
        for count_include_pad in [false, true] {
            let op = Op::AveragePool {
                pool,
                count_include_pad,
            };
            check(&op, &x, 1);
        }
    }
    // Ones, 3×3 with padding 1 and stride 2, rounded up: the last window has one row inside.
    let ones = Tensor::double(&[1, 1, 4, 4], vec![1.0; 16]);
    let pool = Pool {
        ceil_mode: true,
        ..Pool::new(3, 2, 1)
    };
    let average = |count_include_pad| {
        let op = Op::AveragePool {
            pool,
            count_include_pad,
        };
        forward(&op, &[&ones], level())
            .unwrap()
            .doubles()
            .into_owned()
    };
    // torch.nn.functional.avg_pool2d(ones, 3, 2, 1, ceil_mode=True)
    let sixths = |values: [f64; 9]| values.map(|value| value / 18.0).to_vec();
    let expected = sixths([8.0, 12.0, 6.0, 12.0, 18.0, 9.0, 6.0, 9.0, 4.5]);
    for (found, expected) in average(true).iter().zip(expected) {
        assert!((found - expected).abs() < 1e-15, "{found} {expected}");
    }
    assert_eq!(average(false), [1.0; 9]);
}

#[test]
fn the_first_maximum_gets_the_gradient_and_nan_is_the_largest() {
    let op = Op::MaxPool(Pool::new(2, 2, 0));
    let x = Tensor::double(
        &[1, 1, 2, 4],
        vec![3.0, 1.0, 0.0, 5.0, 3.0, 3.0, f64::NAN, 9.0],
    );
    let output = forward(&op, &[&x], level()).unwrap();
    assert_eq!(output.doubles()[0], 3.0);
    assert!(output.doubles()[1].is_nan());
    let one = Tensor::double(&[1, 1, 1, 2], vec![1.0, 2.0]);
    let back = backward(&op, &[&x], &output, &one, &[true], level()).unwrap();
    let back = back[0].clone().unwrap();
    assert_eq!(back.doubles()[..], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
}

#[test]
fn reductions() {
    let mut random = Random(8);
    let x = random.tensor(&[2, 3, 4, 5]);
    for axes in [
        vec![2, 3],
        vec![1],
        vec![0],
        vec![3],
        vec![0, 2],
        vec![1, 3],
        vec![0, 1, 2, 3],
        vec![],
    ] {
        for kind in [
            ReduceKind::Mean,
            ReduceKind::Sum,
            ReduceKind::Max,
            ReduceKind::Min,
            ReduceKind::L2,
        ] {
            for keep_dims in [false, true] {
                let op = Op::Reduce {
                    kind,
                    axes: axes.clone(),
                    keep_dims,
                };
                check(&op, std::slice::from_ref(&x), 1);
            }
        }
    }
    let x = Tensor::double(&[2, 3], vec![1.0, 2.0, 6.0, 3.0, 4.0, 0.0]);
    let reduce = |kind, axis| {
        let op = Op::Reduce {
            kind,
            axes: vec![axis],
            keep_dims: false,
        };
        forward(&op, &[&x], level()).unwrap().doubles().into_owned()
    };
    assert_eq!(reduce(ReduceKind::Mean, 1), [3.0, 7.0 / 3.0]);
    assert_eq!(reduce(ReduceKind::Max, 0), [3.0, 4.0, 6.0]);
    assert_eq!(reduce(ReduceKind::L2, 1)[1], 5.0);
}

#[test]
fn values_that_move() {
    let mut random = Random(9);
    let x = [random.tensor(&[2, 3, 4, 5])];
    let slice = |axis, start, step, length| Op::Slice {
        axis,
        start,
        step,
        length,
    };
    let pad = |mode| Op::Pad {
        before: vec![0, 1, 2, 3],
        after: vec![1, 2, 0, 1],
        mode,
    };
    let gather = |axis, indices: &[usize], shape: &[usize]| Op::Gather {
        axis,
        indices: Arc::new(indices.to_vec()),
        shape: shape.to_vec(),
    };
    let taps = Arc::new(vec![
        vec![(0, 0.25), (2, 0.75)],
        vec![],
        vec![(3, 1.5)],
        vec![(1, 0.5), (0, -0.5)],
        vec![(1, 1.0)],
    ]);
    for op in [
        slice(3, 1, 1, 3),
        slice(2, 3, -2, 2),
        slice(1, 2, -1, 3),
        slice(0, 1, 5, 1),
        pad(PadMode::Constant(1.5)),
        pad(PadMode::Edge),
        Op::Pad {
            before: vec![1, 2, 2, 4],
            after: vec![0, 1, 3, 2],
            mode: PadMode::Reflect,
        },
        gather(1, &[2, 0, 2, 2], &[2, 2]),
        gather(3, &[4, 4, 0], &[3]),
        gather(2, &[1], &[]),
        Op::Reshape { shape: vec![6, 20] },
        Op::Transpose {
            perm: vec![3, 0, 2, 1],
        },
        Op::Transpose {
            perm: vec![0, 2, 3, 1],
        },
        Op::Expand {
            shape: vec![3, 2, 3, 4, 5],
        },
        Op::Resample {
            axis: 2,
            taps: taps.clone(),
        },
        Op::Resample { axis: 3, taps },
    ] {
        check(&op, &x, 1);
    }
    let narrow = [random.tensor(&[1, 3, 1])];
    check(
        &Op::Expand {
            shape: vec![2, 4, 3, 2],
        },
        &narrow,
        1,
    );
    let parts = [
        random.tensor(&[2, 1, 3]),
        random.tensor(&[2, 4, 3]),
        random.tensor(&[2, 2, 3]),
    ];
    check(&Op::Concat { axis: 1 }, &parts, 3);
}

#[test]
fn values_that_move_by_hand() {
    let x = Tensor::double(&[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let values = |op: &Op| forward(op, &[&x], level()).unwrap().doubles().into_owned();
    let perm = vec![1, 0];
    assert_eq!(
        values(&Op::Transpose { perm }),
        [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
    );
    let reflect = Op::Pad {
        before: vec![0, 2],
        after: vec![1, 1],
        mode: PadMode::Reflect,
    };
    let (first, second) = (
        [3.0, 2.0, 1.0, 2.0, 3.0, 2.0],
        [6.0, 5.0, 4.0, 5.0, 6.0, 5.0],
    );
    assert_eq!(values(&reflect), [first, second, first].concat());
    let backwards = Op::Slice {
        axis: 1,
        start: 2,
        step: -2,
        length: 2,
    };
    assert_eq!(values(&backwards), [3.0, 1.0, 6.0, 4.0]);
    let one = Op::Gather {
        axis: 0,
        indices: Arc::new(vec![1]),
        shape: vec![],
    };
    assert_eq!(values(&one), [4.0, 5.0, 6.0]);
    let scalar = Tensor::double(&[], vec![2.0]);
    let op = Op::Transpose { perm: vec![] };
    assert_eq!(forward(&op, &[&scalar], level()).unwrap().doubles()[0], 2.0);
}

/// A network of ReLUs with branches: conv, pool, residual, gate, concat, linear.
fn network(random: &mut Random) -> (Graph, Vec<ValueId>) {
    let mut graph = GraphBuilder::new("input", &[1, 3, 12, 12]);
    let mut weights = |graph: &mut GraphBuilder, shape: &[usize]| {
        let Values::Single(values) = random.weights(shape).values else {
            panic!("weights are in f32")
        };
        graph.constant("weight", shape, values).unwrap()
    };
    let relu = Op::Unary(Unary::Relu);
    let input = graph.input();
    let (w1, b1) = (
        weights(&mut graph, &[8, 3, 3, 3]),
        weights(&mut graph, &[8]),
    );
    let a = graph
        .push("a", Op::Conv(Conv::new(2, 1, 1)), &[input, w1, b1])
        .unwrap();
    let a = graph.push("ra", relu.clone(), &[a]).unwrap();
    let pooled = graph
        .push("pool", Op::MaxPool(Pool::new(3, 1, 1)), &[a])
        .unwrap();
    let (w2, b2) = (
        weights(&mut graph, &[8, 1, 3, 3]),
        weights(&mut graph, &[8]),
    );
    let b = graph
        .push("b", Op::Conv(Conv::new(1, 1, 8)), &[pooled, w2, b2])
        .unwrap();
    let b = graph.push("rb", relu.clone(), &[b]).unwrap();
    let sum = graph.push("sum", Op::Binary(Binary::Add), &[a, b]).unwrap();
    let both = graph
        .push("both", Op::Concat { axis: 1 }, &[sum, a])
        .unwrap();
    let mean = Op::Reduce {
        kind: ReduceKind::Mean,
        axes: vec![2, 3],
        keep_dims: false,
    };
    let mean = graph.push("mean", mean, &[both]).unwrap();
    let (w3, b3) = (weights(&mut graph, &[5, 16]), weights(&mut graph, &[5]));
    let logits = graph.push("logits", Op::Linear, &[mean, w3, b3]).unwrap();
    (graph.finish(vec![logits]), vec![b1, b2, b3])
}

use crate::model::graph::Graph;

#[test]
fn a_network_of_relus_is_the_sum_of_its_inputs_and_biases() {
    // x·∂y/∂x + Σ b·∂y/∂b = y (Srinivas and Fleuret 2019). The gradient of a convolution's bias is
    // the sum of its output's gradient.
    let mut random = Random(10);
    let (graph, _) = network(&mut random);
    let x = random.tensor(graph.shape(graph.input));
    let logits = graph.outputs[0];
    let run = run(
        &graph,
        vec![(graph.input, x.clone())],
        &[logits],
        Keep::All,
        level(),
        &|| true,
    )
    .unwrap();
    let biased: Vec<ValueId> = graph
        .nodes
        .iter()
        .filter(|node| node.inputs.len() == 3)
        .map(|node| node.output)
        .collect();
    let at = [&[graph.input][..], &biased].concat();
    for class in 0..5 {
        let mut seed = vec![0.0; 5];
        seed[class] = 1.0;
        let seed = Tensor::double(&[1, 5], seed);
        let found = gradients(&graph, &run, logits, &seed, &at, level()).unwrap();
        let mut sum = dot(&x, &found[0]);
        for (id, gradient) in biased.iter().zip(&found[1..]) {
            let node = graph.nodes.iter().find(|node| node.output == *id).unwrap();
            let bias = graph.constant(node.inputs[2]).unwrap();
            let area = gradient.values.len() / bias.len();
            for (plane, bias) in gradient.doubles().chunks_exact(area).zip(bias) {
                sum += f64::from(*bias) * plane.iter().sum::<f64>();
            }
        }
        let y = run.get(logits).unwrap().doubles()[class];
        assert!((sum - y).abs() < 1e-13 * (1.0 + y.abs()), "{sum} {y}");
    }
}

#[test]
fn runs_keep_what_is_asked_and_can_begin_in_the_middle() {
    let mut random = Random(11);
    let (graph, _) = network(&mut random);
    let x = random.tensor(graph.shape(graph.input));
    let logits = graph.outputs[0];
    let named = |name: &str| {
        let at = graph.values.iter().position(|value| value.name == name);
        ValueId::new(at.unwrap())
    };
    let both = named("both");
    let start = |from, keep| run(&graph, from, &[logits], keep, level(), &|| true);
    let whole = start(vec![(graph.input, x.clone())], Keep::All).unwrap();
    let kept = [both];
    let some = start(vec![(graph.input, x.clone())], Keep::Only(&kept)).unwrap();
    assert!(some.get(named("sum")).is_none() && some.get(graph.input).is_none());
    let middle = some.get(both).unwrap().clone();
    let half = start(vec![(both, middle)], Keep::All).unwrap();
    assert!(half.get(named("a")).is_none());
    let of = |run: &Run| run.get(logits).unwrap().doubles().into_owned();
    assert_eq!(of(&whole), of(&some));
    assert_eq!(of(&whole), of(&half));
    // From the middle, the gradient is the same; at the input there is no way.
    let seed = Tensor::double(&[1, 5], vec![1.0, -1.0, 0.5, 2.0, 0.0]);
    let at = |run: &Run, at: &[ValueId]| gradients(&graph, run, logits, &seed, at, level());
    let whole_gradient = at(&whole, &[both, logits]).unwrap();
    assert_eq!(
        whole_gradient[0].doubles(),
        at(&half, &[both]).unwrap()[0].doubles()
    );
    assert_eq!(whole_gradient[1].doubles(), seed.doubles());
    assert!(at(&half, &[graph.input]).is_err());
    assert!(at(&some, &[graph.input]).is_err());
    let other = ValueId::new(graph.values.len());
    assert!(at(&whole, &[other]).is_err());
    // What does not lead to the output has no gradient; it is zero.
    let from_both = gradients(
        &graph,
        &whole,
        named("sum"),
        &Tensor::zeros(graph.shape(named("sum"))),
        &[both],
        level(),
    );
    assert!(from_both.unwrap()[0].doubles().iter().all(|g| *g == 0.0));
    let nothing = run(&graph, vec![], &[logits], Keep::All, level(), &|| true);
    assert!(nothing.unwrap_err().0.contains("does not follow"));
    let input = vec![(graph.input, x)];
    let stopped = run(&graph, input, &[logits], Keep::All, level(), &|| false);
    assert!(stopped.unwrap_err().0.contains("stopped"));
}

#[test]
fn results_do_not_depend_on_threads_and_instructions() {
    let mut random = Random(12);
    let x = random.tensor(&[1, 40, 19, 19]);
    let weight = random.weights(&[70, 40, 3, 3]);
    let op = Op::Conv(Conv::new(2, 1, 1));
    let gradient = random.tensor(&[1, 70, 10, 10]);
    let values = |threads: usize, level: Isa| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let output = forward(&op, &[&x, &weight], level).unwrap();
            let inputs = [&x, &weight];
            let back = backward(&op, &inputs, &output, &gradient, &[true, false], level).unwrap();
            let back = back[0].clone().unwrap();
            [output.doubles().into_owned(), back.doubles().into_owned()]
        })
    };
    let levels: Vec<Isa> = Isa::available();
    let expected = values(1, levels[0]);
    for level in levels {
        if level.name() != "portable" {
            for threads in [1, 2, 3, 4] {
                assert_eq!(
                    values(threads, level),
                    expected,
                    "{} {threads}",
                    level.name()
                );
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let x = Tensor::double(&[2, 3], vec![0.0; 5]);
    assert!(forward(&Op::Unary(Unary::Relu), &[&x], level()).is_err());
    let x = Tensor::double(&[2, 3], vec![0.0; 6]);
    assert!(forward(&Op::Linear, &[&x, &x, &x], level()).is_err());
    let weight = Tensor::double(&[1, 3], vec![0.0; 3]);
    let output = forward(&Op::Linear, &[&x, &weight], level()).unwrap();
    let parts = backward(
        &Op::Linear,
        &[&x, &weight],
        &output,
        &output,
        &[true, true],
        level(),
    );
    assert!(parts.unwrap_err().0.contains("weights"));
}
