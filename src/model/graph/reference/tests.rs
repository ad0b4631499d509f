//! Gradients against central differences, outputs against plain loops and values by hand.

#![allow(clippy::float_cmp)] // exact values are expected

mod layout;
mod network;
mod pointwise;
mod windows;

use std::sync::Arc;

use super::{Isa, Op, Tensor, backward, forward};
use crate::model::graph::Unary;

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
