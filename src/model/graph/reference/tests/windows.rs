//! Convolutions and pooling.

use super::{Random, check, level};
use crate::model::cpu::Isa;
use crate::model::graph::reference::{Tensor, backward, forward};
use crate::model::graph::{Conv, Op, Pool};

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
