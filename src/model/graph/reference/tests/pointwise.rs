//! Functions of one and of two values.

use super::{Random, check, level};
use crate::model::graph::reference::{Tensor, elementwise, forward, unary};
use crate::model::graph::{Binary, Op, Unary};

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
