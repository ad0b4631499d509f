//! Linear layers and products of matrices.

use rayon::prelude::*;

use crate::model::cpu::Isa;
use crate::model::graph::reference::Tensor;
use crate::model::graph::reference::elementwise::sum_to;
use crate::model::graph::reference::multiply::multiply;
use crate::model::graph::reference::operand::{Matrix, Slice};

/// `x [.., K] · weightᵀ + bias`, weight `[M, K]`.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, level: Isa) -> Vec<f64> {
    let (m, depth) = (weight.shape[0], weight.shape[1]);
    let values = x.doubles();
    let rows = values.len() / depth;
    let mut out = vec![0.0; rows * m];
    let left = Matrix {
        values: Slice::Double(&values),
        depth: 1,
        lines: depth,
    };
    let right = Matrix {
        values: Slice::of(&weight.values),
        depth: 1,
        lines: depth,
    };
    multiply(level, (rows, depth, m), &left, &right, &mut out);
    if let Some(bias) = bias {
        let bias = bias.doubles();
        for row in out.chunks_exact_mut(m) {
            for (value, bias) in row.iter_mut().zip(&bias[..]) {
                *value += bias;
            }
        }
    }
    out
}

/// The gradient with respect to `x`: `gradient [.., M] · weight`.
pub(super) fn linear_backward(weight: &Tensor, gradient: &Tensor, level: Isa) -> Vec<f64> {
    let (m, depth) = (weight.shape[0], weight.shape[1]);
    let values = gradient.doubles();
    let rows = values.len() / m;
    let mut out = vec![0.0; rows * depth];
    let left = Matrix {
        values: Slice::Double(&values),
        depth: 1,
        lines: m,
    };
    let right = Matrix {
        values: Slice::of(&weight.values),
        depth,
        lines: 1,
    };
    multiply(level, (rows, m, depth), &left, &right, &mut out);
    out
}

/// The last two sides of a shape.
fn last_two(shape: &[usize]) -> (usize, usize) {
    (shape[shape.len() - 2], shape[shape.len() - 1])
}

/// The matrix at an index, its values `k` and lines at these distances.
fn matrix(values: &[f64], (depth, lines): (usize, usize)) -> Matrix<'_> {
    Matrix {
        values: Slice::Double(values),
        depth,
        lines,
    }
}

/// `a · b` for each of the leading dimensions, which are broadcast.
pub(super) fn product(a: &Tensor, b: &Tensor, shape: &[usize], level: Isa) -> Vec<f64> {
    let (rows, depth) = last_two(&a.shape);
    let columns = b.shape[b.shape.len() - 1];
    let (a_values, b_values) = (a.doubles(), b.doubles());
    let at = leading(shape, a, b);
    let mut out = vec![0.0; shape.iter().product()];
    let products = out.par_chunks_mut(rows * columns).enumerate();
    products.for_each(|(index, out)| {
        let (a, b) = at(index);
        let left = matrix(&a_values[a * rows * depth..], (1, depth));
        let right = matrix(&b_values[b * depth * columns..], (columns, 1));
        multiply(level, (rows, depth, columns), &left, &right, out);
    });
    out
}

/// The gradients with respect to `a` (`gradient · bᵀ`) and `b` (`aᵀ · gradient`).
pub(super) fn product_backward(
    (a, b): (&Tensor, &Tensor),
    gradient: &Tensor,
    wanted: &[bool],
    level: Isa,
) -> Vec<Option<Tensor>> {
    let (rows, depth) = last_two(&a.shape);
    let columns = b.shape[b.shape.len() - 1];
    let (a_values, b_values) = (a.doubles(), b.doubles());
    let values = gradient.doubles();
    let lead = &gradient.shape[..gradient.shape.len() - 2];
    let at = leading(&gradient.shape, a, b);
    let side = |tensor: &Tensor, size: (usize, usize), f: &(dyn Fn(usize, &mut [f64]) + Sync)| {
        let count: usize = lead.iter().product();
        let mut out = vec![0.0; count * size.0 * size.1];
        let products = out.par_chunks_mut(size.0 * size.1).enumerate();
        products.for_each(|(index, out)| f(index, out));
        let whole = [lead, &[size.0, size.1]].concat();
        Tensor::double(&tensor.shape, sum_to(out, &whole, &tensor.shape))
    };
    let first = |index: usize, out: &mut [f64]| {
        let left = matrix(&values[index * rows * columns..], (1, columns));
        let right = matrix(&b_values[at(index).1 * depth * columns..], (1, columns));
        multiply(level, (rows, columns, depth), &left, &right, out);
    };
    let second = |index: usize, out: &mut [f64]| {
        let left = matrix(&a_values[at(index).0 * rows * depth..], (depth, 1));
        let right = matrix(&values[index * rows * columns..], (columns, 1));
        multiply(level, (depth, rows, columns), &left, &right, out);
    };
    vec![
        wanted[0].then(|| side(a, (rows, depth), &first)),
        wanted[1].then(|| side(b, (depth, columns), &second)),
    ]
}

/// For each matrix of the output, the indices of the matrices of `a` and `b`.
fn leading(shape: &[usize], a: &Tensor, b: &Tensor) -> impl Fn(usize) -> (usize, usize) + Sync {
    let whole = shape[..shape.len() - 2].to_vec();
    let of = |tensor: &Tensor| tensor.shape[..tensor.shape.len() - 2].to_vec();
    let (a, b) = (of(a), of(b));
    move |index| {
        let (mut rest, mut at, mut steps) = (index, [0, 0], [1, 1]);
        for axis in (0..whole.len()).rev() {
            let position = rest % whole[axis];
            rest /= whole[axis];
            for (side, part) in [&a, &b].into_iter().enumerate() {
                let missing = whole.len() - part.len();
                let length = axis.checked_sub(missing).map_or(1, |axis| part[axis]);
                if length > 1 {
                    at[side] += position * steps[side];
                    steps[side] *= length;
                }
            }
        }
        (at[0], at[1])
    }
}
