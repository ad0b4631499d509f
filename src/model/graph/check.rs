//! A check of the gradient at the target layer against a directional derivative, both in f64.
//!
//! The derivative of a logit along a direction `d` is `(y(x + h·d) − y(x − h·d)) / 2h`, and it must
//! equal `⟨∂y/∂x, d⟩`. This needs no other program, so it is done once for every network that is
//! opened: an operator whose gradient is wrong would give a plausible and wrong map.

use std::sync::Arc;

use crate::model::cpu::Isa;
use crate::model::graph::reference::{self, Keep, Tensor};
use crate::model::graph::{Graph, GraphError, ValueId};

/// The step, relative to the usual size of the values. Its rounding error is about 1e-10, and few
/// inputs of a ReLU change their sign within it.
const STEP: f64 = 1e-6;
/// Directions that are tried: the values between two of them may include the kink of a ReLU.
const DIRECTIONS: u64 = 3;
/// The relative error that is accepted.
pub const ACCEPTED: f64 = 1e-3;

/// The relative error of the gradient of a logit at a cut vertex, from the values there. The scale
/// is what independent errors of the gradient's size would add up to.
///
/// # Errors
/// If the graph can't be run.
pub fn gradient_error(
    graph: &Graph,
    (at, values): (ValueId, &Tensor),
    (logits, class): (ValueId, usize),
    level: Isa,
) -> Result<f64, GraphError> {
    let x = values.doubles();
    let squares: f64 = x.iter().map(|x| x * x).sum();
    let size = (squares / x.len() as f64).sqrt().max(f64::MIN_POSITIVE);
    let mut seed = vec![0.0; graph.value(logits).len()];
    seed[class] = 1.0;
    let seed = Tensor::double(graph.shape(logits), seed);
    let go_on = || true;
    let to = [logits];
    let run =
        |from: Tensor, keep| reference::run(graph, vec![(at, from)], &to, keep, level, &go_on);
    let kept = run(values.clone(), Keep::All)?;
    let gradient = reference::gradients(graph, &kept, logits, &seed, &[at], level)?;
    let gradient = gradient[0].doubles();
    let logit = |step: f64, direction: &[f64]| -> Result<f64, GraphError> {
        let moved = x.iter().zip(direction).map(|(x, d)| x + step * d);
        let from = Tensor::double(&values.shape, moved.collect());
        let run = run(from, Keep::Only(&to))?;
        let found = run.get(logits).map(|logits| logits.doubles()[class]);
        found.ok_or_else(|| GraphError::new("the logits were not computed"))
    };
    let mut best = f64::INFINITY;
    for number in 0..DIRECTIONS {
        let direction = directions(x.len(), number);
        let products = gradient.iter().zip(&direction).map(|(g, d)| g * d);
        let (sum, squares) = products.fold((0.0, 0.0), |(sum, squares), product| {
            (sum + product, squares + product * product)
        });
        let step = STEP * size;
        let slope = (logit(step, &direction)? - logit(-step, &direction)?) / (2.0 * step);
        let scale = squares.sqrt();
        let error = if scale > 0.0 {
            (slope - sum).abs() / scale
        } else if slope == 0.0 {
            0.0
        } else {
            f64::INFINITY
        };
        best = best.min(error);
        if best < ACCEPTED / 100.0 {
            break;
        }
    }
    Ok(best)
}

/// Values between −1 and 1 that are the same in every run.
fn directions(count: usize, number: u64) -> Vec<f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number + 1);
    let next = |_| {
        // xorshift64* (Marsaglia 2003, Vigna 2016).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let bits = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
        bits as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(next).collect()
}

/// An input for the check: a smooth pattern with some noise, of the size that normalized photos
/// have. `[height, width, channels]`.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // rounded
pub fn pattern(height: usize, width: usize, channels: usize) -> Arc<Vec<f32>> {
    let noise = directions(height * width * channels, 1000);
    let mut values = Vec::with_capacity(noise.len());
    for y in 0..height {
        for x in 0..width {
            for channel in 0..channels {
                let (x, y) = (x as f64 / width as f64, y as f64 / height as f64);
                let phase = channel as f64;
                let wave = (7.0 * x + 3.0 * y + phase).sin() + (11.0 * y - 5.0 * x).cos();
                values.push((wave + 0.3 * noise[values.len()]) as f32);
            }
        }
    }
    Arc::new(values)
}
