//! Reductions over axes.

use rayon::prelude::*;

use crate::model::graph::ReduceKind;
use crate::model::graph::reference::Tensor;
use crate::model::graph::reference::elementwise::{Axes, map2, sum_to};

/// The shape with the reduced axes of length 1, and the number of values that are reduced to one.
fn kept(x: &Tensor, axes: &[usize]) -> (Vec<usize>, usize) {
    let mut shape = x.shape.clone();
    for axis in axes {
        shape[*axis] = 1;
    }
    let count = axes.iter().map(|axis| x.shape[*axis]).product();
    (shape, count)
}

/// The reduced values.
pub(super) fn forward(kind: ReduceKind, axes: &[usize], x: &Tensor) -> Vec<f64> {
    let values = x.doubles();
    let (shape, count) = kept(x, axes);
    match kind {
        ReduceKind::Sum | ReduceKind::Mean | ReduceKind::L2 => {
            let mut sums = if kind == ReduceKind::L2 {
                sum(&map2(&values, &values, |a, b| a * b), x, &shape)
            } else {
                sum(&values, x, &shape)
            };
            for value in &mut sums {
                match kind {
                    ReduceKind::Mean => *value /= count as f64,
                    ReduceKind::L2 => *value = value.sqrt(),
                    _ => {}
                }
            }
            sums
        }
        ReduceKind::Max | ReduceKind::Min => extremes(kind, &values, x, &shape)
            .iter()
            .map(|at| values[*at])
            .collect(),
    }
}

/// Sums to `shape`.
fn sum(values: &[f64], x: &Tensor, shape: &[usize]) -> Vec<f64> {
    let axes = Axes::new(&x.shape, &[shape]);
    let last_only = axes.last() <= 1 && axes.strides[0][axes.last()] == 0;
    if last_only && shape.iter().product::<usize>() * axes.inner() == values.len() {
        let rows = values.par_chunks(axes.inner());
        return rows.map(|row| row.iter().sum()).collect();
    }
    sum_to(values.to_vec(), &x.shape, shape)
}

/// The place of the first extreme value of each; a value that is not a number counts as extreme.
fn extremes(kind: ReduceKind, values: &[f64], x: &Tensor, shape: &[usize]) -> Vec<usize> {
    let axes = Axes::new(&x.shape, &[shape]);
    let inner = axes.inner();
    let step = axes.strides[0][axes.last()];
    let mut places = vec![usize::MAX; shape.iter().product()];
    for (row, line) in values.chunks_exact(inner).enumerate() {
        let first = axes.offsets(row)[0];
        for (index, value) in line.iter().enumerate() {
            let place = &mut places[first + index * step];
            let keeps = values.get(*place).is_some_and(|best| {
                best.is_nan()
                    || match kind {
                        ReduceKind::Min => value >= best,
                        _ => value <= best,
                    }
            });
            if !keeps {
                *place = row * inner + index;
            }
        }
    }
    places
}

/// The gradient with respect to `x`.
pub(super) fn backward(
    kind: ReduceKind,
    axes: &[usize],
    x: &Tensor,
    output: &Tensor,
    gradient: &Tensor,
) -> Vec<f64> {
    let values = x.doubles();
    let (shape, count) = kept(x, axes);
    let gradient = gradient.doubles();
    match kind {
        ReduceKind::Max | ReduceKind::Min => {
            let mut out = vec![0.0; values.len()];
            let places = extremes(kind, &values, x, &shape);
            for (at, g) in places.into_iter().zip(gradient.iter()) {
                out[at] += g;
            }
            out
        }
        ReduceKind::Sum => spread(&gradient, x, &shape),
        ReduceKind::Mean => {
            let shares: Vec<f64> = gradient.iter().map(|g| g / count as f64).collect();
            spread(&shares, x, &shape)
        }
        ReduceKind::L2 => {
            let norms = output.doubles();
            let ratio = |(g, norm): (&f64, &f64)| if *norm == 0.0 { 0.0 } else { g / norm };
            let ratios: Vec<f64> = gradient.iter().zip(norms.iter()).map(ratio).collect();
            map2(&spread(&ratios, x, &shape), &values, |ratio, x| ratio * x)
        }
    }
}

/// Repeats values of `shape` along the reduced axes.
fn spread(values: &[f64], x: &Tensor, shape: &[usize]) -> Vec<f64> {
    let axes = Axes::new(&x.shape, &[shape]);
    let step = axes.strides[0][axes.last()];
    let inner = axes.inner();
    let mut out = vec![0.0; x.shape.iter().product()];
    let rows = out.par_chunks_mut(inner).enumerate();
    rows.with_min_len(4096 / inner.min(4096))
        .for_each(|(row, out)| {
            let from = &values[axes.offsets(row)[0]..];
            if step == 0 {
                out.fill(from[0]);
            } else {
                out.copy_from_slice(&from[..inner]);
            }
        });
    out
}
