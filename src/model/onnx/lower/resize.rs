//! Resizing, as weighted sums along each axis.

use std::sync::Arc;

use crate::model::graph::{Op, Tap, Taps};
use crate::model::onnx::array::Value;
use crate::model::onnx::data::MOST_DIMENSIONS;
use crate::model::onnx::lower::{Call, Lower, axis};

/// The longest axis after resizing.
const LONGEST: usize = 1 << 16;

/// How one axis is resized.
struct Axis<'a> {
    length: usize,
    resized: usize,
    scale: f32,
    /// Coordinates, in ONNX's words.
    place: &'a str,
    mode: &'a str,
    /// Which neighbor is the nearest; `None` in operator sets before 11.
    nearest: Option<&'a str>,
    cubic: f64,
    exclude_outside: bool,
}

impl Lower<'_> {
    pub(super) fn resize(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let mut x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let rank = shape.len();
        if rank > MOST_DIMENSIONS {
            return Err("it has too many dimensions".into());
        }
        let node = call.node;
        let old = node.op == "Upsample" || call.opset < 11;
        let place = match node.string("coordinate_transformation_mode") {
            _ if old => "asymmetric",
            None => "half_pixel",
            Some(place) => place,
        };
        let mode = node.string("mode").unwrap_or("nearest");
        let (resized, scales) = sizes(call, &shape, old)?;
        let nearest = node.string("nearest_mode").unwrap_or("round_prefer_floor");
        let changed: Vec<usize> = (0..rank)
            .filter(|at| resized[*at] != shape[*at] || scales[*at].to_bits() != 1.0f32.to_bits())
            .collect();
        let mut plans = Vec::new();
        for at in changed.iter().copied() {
            if node.int("antialias") == Some(1) && resized[at] < shape[at] && mode != "nearest" {
                return Err("its antialiasing is not supported".into());
            }
            // Four taps in a list of their own for each position.
            self.budget.take(&[resized[at]], 64)?;
            let taps = taps(&Axis {
                length: shape[at],
                resized: resized[at],
                scale: scales[at],
                place,
                mode,
                nearest: (!old).then_some(nearest),
                cubic: f64::from(node.float("cubic_coeff_a").unwrap_or(-0.75)),
                exclude_outside: node.int("exclude_outside") == Some(1),
            })?;
            plans.push((at, Arc::new(taps)));
        }
        let last = plans.len();
        for (index, (axis, taps)) in plans.into_iter().enumerate() {
            let name = if index + 1 == last {
                call.name.to_owned()
            } else {
                call.part(&format!("axis {axis}"))
            };
            x = self.emit(&name, Op::Resample { axis, taps }, &[x])?;
        }
        Ok(x)
    }
}

/// The sizes after resizing and the factor of each axis.
fn sizes(call: &Call<'_>, shape: &[usize], old: bool) -> Result<(Vec<usize>, Vec<f32>), String> {
    let rank = shape.len();
    let node = call.node;
    let axes: Vec<usize> = match node.ints("axes").filter(|axes| !axes.is_empty()) {
        Some(given) => {
            super::axes(given, rank)?;
            let axes: Result<_, String> = given.iter().map(|at| axis(*at, rank)).collect();
            axes?
        }
        None => (0..rank).collect(),
    };
    let (mut resized, mut scales) = (shape.to_vec(), vec![1.0f32; rank]);
    let factors = match call.known(if old { 1 } else { 2 })? {
        Some(array) => Some(array.data.to_f32().to_vec()),
        None => node.floats("scales").map(<[f32]>::to_vec),
    };
    if let Some(factors) = factors.filter(|factors| !factors.is_empty()) {
        if factors.len() != axes.len() {
            return Err("its scales do not fit".into());
        }
        for (at, factor) in axes.iter().zip(factors) {
            let length = (shape[*at] as f32 * factor).floor();
            if !(1.0..=LONGEST as f32).contains(&length) {
                return Err(format!("its scale {factor} is not supported"));
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // just checked
            let length = length as usize;
            // ONNX takes the fraction of a pixel into account here, PyTorch and ONNX Runtime don't.
            let corners = node.string("coordinate_transformation_mode") == Some("align_corners");
            let exact = length as f32 - shape[*at] as f32 * factor;
            if corners && exact.abs() > 1e-3 {
                return Err("its corners are aligned to a fraction of a pixel".into());
            }
            (resized[*at], scales[*at]) = (length, factor);
        }
        return Ok((resized, scales));
    }
    let wanted = call.known(3)?.ok_or("it has no sizes")?.ints()?;
    let wanted: Option<Vec<usize>> = wanted
        .iter()
        .map(|side| usize::try_from(*side).ok())
        .map(|side| side.filter(|side| (1..=LONGEST).contains(side)))
        .collect();
    let wanted = wanted
        .filter(|wanted| wanted.len() == axes.len())
        .ok_or("its sizes are not supported")?;
    let factors = axes.iter().zip(&wanted);
    let factors = factors.map(|(at, side)| *side as f32 / shape[*at] as f32);
    let kept = match node.string("keep_aspect_ratio_policy").unwrap_or("stretch") {
        "stretch" => None,
        "not_larger" => Some(factors.fold(f32::INFINITY, f32::min)),
        "not_smaller" => Some(factors.fold(0.0, f32::max)),
        other => return Err(format!("its policy {other:?} is unknown")),
    };
    for (at, side) in axes.iter().zip(wanted) {
        let length = match kept {
            None => side,
            Some(scale) => {
                let length = (shape[*at] as f32 * scale + 0.5).floor();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
                let length = length as usize;
                if !(1..=LONGEST).contains(&length) {
                    return Err("its sizes are not supported".into());
                }
                length
            }
        };
        let scale = kept.unwrap_or(length as f32 / shape[*at] as f32);
        (resized[*at], scales[*at]) = (length, scale);
    }
    Ok((resized, scales))
}

/// The position in the input of each position of the output, in single precision as in ONNX
/// Runtime, so that ties fall on the same side.
fn coordinate(axis: &Axis<'_>, at: usize) -> Result<f32, String> {
    let (x, scale) = (at as f32, axis.scale);
    let (length, resized) = (axis.length as f32, axis.resized as f32);
    Ok(match axis.place {
        "half_pixel" => (x + 0.5) / scale - 0.5,
        "half_pixel_symmetric" => {
            let adjustment = resized / (scale * length);
            let offset = length / 2.0 * (1.0 - adjustment);
            offset + (x + 0.5) / scale - 0.5
        }
        "pytorch_half_pixel" if axis.resized > 1 => (x + 0.5) / scale - 0.5,
        "align_corners" if axis.resized > 1 => x * (length - 1.0) / (resized - 1.0),
        "pytorch_half_pixel" | "align_corners" => 0.0,
        "asymmetric" => x / scale,
        "tf_half_pixel_for_nn" => (x + 0.5) / scale,
        other => return Err(format!("its coordinates {other:?} are not supported")),
    })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)] // lengths are at most `LONGEST`
fn taps(axis: &Axis<'_>) -> Result<Taps, String> {
    if !(1..=LONGEST).contains(&axis.length) {
        return Err("its input is too long".into());
    }
    let last = axis.length as i64 - 1;
    let inside = |at: i64| at.clamp(0, last) as u32;
    let mut all = Vec::with_capacity(axis.resized);
    for at in 0..axis.resized {
        let x = coordinate(axis, at)?;
        let taps: Vec<Tap> = match axis.mode {
            "nearest" => {
                #[allow(clippy::match_same_arms)] // in the order of the specification
                let nearest = match axis.nearest {
                    Some("round_prefer_floor") => (x - 0.5).ceil(),
                    Some("round_prefer_ceil") => (x + 0.5).floor(),
                    None if axis.scale < 1.0 => x.ceil(),
                    Some("floor") | None => x.floor(),
                    Some("ceil") => x.ceil(),
                    Some(other) => return Err(format!("its nearest_mode {other:?} is unknown")),
                };
                vec![(inside(nearest as i64), 1.0)]
            }
            "linear" => {
                let x = x.clamp(0.0, last as f32);
                let first = x.floor();
                let ratio = x - first;
                vec![
                    (inside(first as i64), 1.0 - ratio),
                    (inside(first as i64 + 1), ratio),
                ]
            }
            "cubic" => {
                let first = x.floor();
                let weights = cubic(f64::from(x - first), axis.cubic);
                let first = first as i64 - 1;
                let outside = |at: i64| axis.exclude_outside && !(0..=last).contains(&at);
                let used = (first..).zip(weights);
                let used: Vec<(i64, f64)> = used.filter(|(at, _)| !outside(*at)).collect();
                let total: f64 = if axis.exclude_outside {
                    used.iter().map(|(_, weight)| weight).sum()
                } else {
                    1.0
                };
                let tap = |(at, weight): &(i64, f64)| (inside(*at), (weight / total) as f32);
                used.iter().map(tap).collect()
            }
            other => return Err(format!("its mode {other:?} is not supported")),
        };
        all.push(merged(taps));
    }
    Ok(all)
}

/// Adds weights of the same position, and drops zeros.
fn merged(taps: Vec<Tap>) -> Vec<Tap> {
    let mut merged: Vec<Tap> = Vec::with_capacity(taps.len());
    for (at, weight) in taps {
        match merged.iter_mut().find(|(other, _)| *other == at) {
            Some((_, sum)) => *sum += weight,
            None => merged.push((at, weight)),
        }
    }
    merged.retain(|(_, weight)| *weight != 0.0);
    merged
}

/// Weights of four neighbors for a point between the second and the third (Keys 1981).
fn cubic(ratio: f64, a: f64) -> [f64; 4] {
    let near = |x: f64| ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    let far = |x: f64| ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a;
    [
        far(ratio + 1.0),
        near(ratio),
        near(1.0 - ratio),
        far(2.0 - ratio),
    ]
}
