//! The shapes of outputs.

use crate::model::graph::op::{Conv, Op, Pool};

/// The most values that one activation may have (1 GB in f32).
pub const MOST_VALUES: usize = 1 << 28;

impl Op {
    /// The shape of the output for inputs of these shapes.
    ///
    /// # Errors
    /// What does not fit, without the node's name.
    pub fn output_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let shape = self.shape_even_if_empty(inputs)?;
        let mut values = 1usize;
        for side in &shape {
            values = values
                .checked_mul(*side)
                .filter(|values| *values <= MOST_VALUES)
                .ok_or_else(|| format!("its output {shape:?} is too large"))?;
        }
        if values == 0 {
            return Err(format!("its output {shape:?} is empty"));
        }
        Ok(shape)
    }

    /// The shape of the output, which may have no values or too many: for constants while a graph
    /// is built.
    ///
    /// # Errors
    /// What does not fit, without the node's name.
    pub fn shape_even_if_empty(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let (least, most) = self.arity();
        if inputs.len() < least || inputs.len() > most {
            return Err(format!("it has {} inputs", inputs.len()));
        }
        self.shape_of(inputs)
    }

    /// The smallest and the largest number of inputs.
    #[must_use]
    pub fn arity(&self) -> (usize, usize) {
        match self {
            Self::Conv(_) | Self::Linear => (2, 3),
            Self::MatMul | Self::Binary(_) => (2, 2),
            Self::BatchNorm { .. } => (5, 5),
            Self::LayerNorm { .. } => (1, 3),
            Self::GroupNorm { .. } => (3, 3),
            Self::Concat { .. } => (1, usize::MAX),
            _ => (1, 1),
        }
    }

    fn shape_of(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let x = inputs[0];
        let need = |fits: bool, what: &str| {
            if fits {
                Ok(())
            } else {
                Err(format!("{what} (inputs {inputs:?})"))
            }
        };
        match self {
            Self::Conv(conv) => conv_shape(conv, inputs),
            Self::Linear => {
                let weight = inputs[1];
                need(weight.len() == 2, "its weight is not a matrix")?;
                need(x.last() == Some(&weight[1]), "its weight does not fit")?;
                if let Some(bias) = inputs.get(2) {
                    need(bias[..] == [weight[0]], "its bias does not fit")?;
                }
                Ok([&x[..x.len() - 1], &weight[..1]].concat())
            }
            Self::MatMul => {
                let (a, b) = (inputs[0], inputs[1]);
                need(a.len() >= 2 && b.len() >= 2, "it needs matrices")?;
                let (a_lead, a) = a.split_at(a.len() - 2);
                let (b_lead, b) = b.split_at(b.len() - 2);
                need(a[1] == b[0], "its matrices do not fit")?;
                let mut shape = broadcast(a_lead, b_lead)?;
                shape.extend([a[0], b[1]]);
                Ok(shape)
            }
            Self::BatchNorm { .. } => {
                need(x.len() >= 2, "it needs channels")?;
                let fits = |vector: &&[usize]| vector[..] == x[1..2];
                need(inputs[1..].iter().all(fits), "its parameters do not fit")?;
                Ok(x.to_vec())
            }
            Self::LayerNorm { axis, .. } => {
                need(*axis < x.len(), "its axis does not exist")?;
                let fits = |part: &&[usize]| part[..] == x[*axis..];
                need(inputs[1..].iter().all(fits), "its parameters do not fit")?;
                Ok(x.to_vec())
            }
            Self::GroupNorm { groups, .. } => {
                need(x.len() >= 2, "it needs channels")?;
                let divides = *groups > 0 && x[1].is_multiple_of(*groups);
                need(divides, "its groups do not fit")?;
                let fits = |vector: &&[usize]| vector[..] == x[1..2];
                need(inputs[1..].iter().all(fits), "its parameters do not fit")?;
                Ok(x.to_vec())
            }
            Self::Lrn { size, .. } => {
                need(x.len() >= 2 && *size > 0, "it needs channels")?;
                Ok(x.to_vec())
            }
            Self::Unary(_) => Ok(x.to_vec()),
            Self::Binary(_) => broadcast(x, inputs[1]),
            Self::Softmax { axis } | Self::LogSoftmax { axis } => {
                need(*axis < x.len(), "its axis does not exist")?;
                Ok(x.to_vec())
            }
            Self::MaxPool(pool) | Self::AveragePool { pool, .. } => pool_shape(pool, x),
            Self::Reduce {
                axes, keep_dims, ..
            } => {
                let ascending = axes.windows(2).all(|pair| pair[0] < pair[1]);
                let inside = axes.iter().all(|axis| *axis < x.len());
                need(ascending && inside, "its axes do not exist")?;
                let sides = x.iter().enumerate();
                let kept = sides.filter_map(|(axis, side)| match axes.contains(&axis) {
                    true if *keep_dims => Some(1),
                    true => None,
                    false => Some(*side),
                });
                Ok(kept.collect())
            }
            Self::Concat { axis } => {
                need(*axis < x.len(), "its axis does not exist")?;
                let mut shape = x.to_vec();
                for other in &inputs[1..] {
                    need(other.len() == x.len(), "its inputs do not fit")?;
                    let differs = |at: &usize| *at != *axis && other[*at] != x[*at];
                    need(
                        !(0..x.len()).any(|at| differs(&at)),
                        "its inputs do not fit",
                    )?;
                    shape[*axis] += other[*axis];
                }
                Ok(shape)
            }
            Self::Slice {
                axis,
                start,
                step,
                length,
            } => {
                need(*axis < x.len() && *step != 0, "its axis does not exist")?;
                let last = (*length as i128 - 1) * (*step as i128) + *start as i128;
                let inside = *start < x[*axis] && (0..x[*axis] as i128).contains(&last);
                need(*length == 0 || inside, "it reaches outside")?;
                let mut shape = x.to_vec();
                shape[*axis] = *length;
                Ok(shape)
            }
            Self::Gather {
                axis,
                indices,
                shape,
            } => {
                need(*axis < x.len(), "its axis does not exist")?;
                let count = shape
                    .iter()
                    .try_fold(1usize, |n, side| n.checked_mul(*side));
                need(count == Some(indices.len()), "its indices do not fit")?;
                let inside = indices.iter().all(|index| *index < x[*axis]);
                need(inside, "an index lies outside")?;
                Ok([&x[..*axis], shape, &x[axis + 1..]].concat())
            }
            Self::Pad {
                before,
                after,
                mode,
            } => {
                let fits = before.len() == x.len() && after.len() == x.len();
                need(fits, "its padding does not fit")?;
                if *mode == crate::model::graph::PadMode::Reflect {
                    let inside = |at: usize| before[at].max(after[at]) < x[at].max(1);
                    need((0..x.len()).all(inside), "it mirrors more than there is")?;
                }
                let sides = x.iter().zip(before.iter().zip(after));
                let padded = sides.map(|(side, (b, a))| side.checked_add(*b)?.checked_add(*a));
                padded
                    .collect::<Option<_>>()
                    .ok_or_else(|| "its padding is too large".into())
            }
            Self::Reshape { shape } => {
                let count = shape
                    .iter()
                    .try_fold(1usize, |n, side| n.checked_mul(*side));
                let fits = count == Some(x.iter().product());
                need(fits, &format!("{shape:?} has another number of values"))?;
                Ok(shape.clone())
            }
            Self::Transpose { perm } => {
                let mut sorted = perm.clone();
                sorted.sort_unstable();
                need(sorted.iter().copied().eq(0..x.len()), "its axes do not fit")?;
                Ok(perm.iter().map(|axis| x[*axis]).collect())
            }
            Self::Expand { shape } => {
                let whole = broadcast(x, shape)?;
                need(whole == *shape, "its shape does not fit")?;
                Ok(whole)
            }
            Self::Resample { axis, taps } => {
                need(*axis < x.len(), "its axis does not exist")?;
                let mut all = taps.iter().flatten();
                let inside = all.all(|(at, _)| (*at as usize) < x[*axis]);
                need(inside, "a tap lies outside")?;
                let mut shape = x.to_vec();
                shape[*axis] = taps.len();
                Ok(shape)
            }
        }
    }
}

/// The shape that two shapes are broadcast to, as in numpy.
///
/// # Errors
/// If they do not fit.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let side = |shape: &[usize], axis: usize| {
        let missing = rank - shape.len();
        axis.checked_sub(missing).map_or(1, |axis| shape[axis])
    };
    let sides = (0..rank).map(|axis| match (side(a, axis), side(b, axis)) {
        (one, other) if one == other => Ok(one),
        (1, other) => Ok(other),
        (one, 1) => Ok(one),
        _ => Err(format!("the shapes {a:?} and {b:?} do not fit")),
    });
    sides.collect()
}

fn conv_shape(conv: &Conv, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
    let (x, weight) = (inputs[0], inputs[1]);
    let &[n, channels, height, width] = x else {
        return Err(format!("it needs an image, not {x:?}"));
    };
    let &[out, per_group, kernel_height, kernel_width] = weight else {
        return Err(format!("its weight {weight:?} is not a 2-D kernel"));
    };
    let groups = conv.groups;
    let fits = groups > 0
        && per_group.checked_mul(groups) == Some(channels)
        && out > 0
        && out.is_multiple_of(groups);
    if !fits {
        return Err(format!(
            "its weight {weight:?} with {groups} groups does not fit {x:?}"
        ));
    }
    if let Some(bias) = inputs.get(2)
        && bias[..] != [out]
    {
        return Err(format!("its bias {bias:?} does not fit"));
    }
    let axis = |at: usize, side: usize, kernel: usize| {
        let (before, after) = (conv.pads[at], conv.pads[at + 2]);
        let windows = (side, kernel, conv.strides[at], conv.dilations[at]);
        axis_windows(windows, (before, after), false)
    };
    Ok(vec![
        n,
        out,
        axis(0, height, kernel_height)?,
        axis(1, width, kernel_width)?,
    ])
}

fn pool_shape(pool: &Pool, x: &[usize]) -> Result<Vec<usize>, String> {
    let &[n, channels, height, width] = x else {
        return Err(format!("it needs an image, not {x:?}"));
    };
    let axis = |at: usize, side: usize| {
        let windows = (side, pool.kernel[at], pool.strides[at], pool.dilations[at]);
        let pads = (pool.pads[at], pool.pads[at + 2]);
        axis_windows(windows, pads, pool.ceil_mode)
    };
    Ok(vec![n, channels, axis(0, height)?, axis(1, width)?])
}

/// Number of windows on one axis: (side, kernel, stride, dilation), (padding before, after).
fn axis_windows(
    (side, kernel, stride, dilation): (usize, usize, usize, usize),
    (before, after): (usize, usize),
    ceil: bool,
) -> Result<usize, String> {
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err("its kernel, stride or dilation is 0".into());
    }
    let reach = (kernel - 1)
        .checked_mul(dilation)
        .and_then(|reach| reach.checked_add(1));
    let padded = side
        .checked_add(before)
        .and_then(|side| side.checked_add(after));
    let (Some(reach), Some(padded)) = (reach, padded) else {
        return Err("its kernel or padding is too large".into());
    };
    let room = padded.checked_sub(reach).ok_or_else(|| {
        format!("its kernel ({reach}) is larger than its input ({padded} with padding)")
    })?;
    let windows = if ceil {
        let windows = room.div_ceil(stride) + 1;
        // PyTorch and ONNX: the last window must start inside the input or the left padding.
        if (windows - 1).saturating_mul(stride) >= side + before {
            windows - 1
        } else {
            windows
        }
    } else {
        room / stride + 1
    };
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_broadcast_as_in_numpy() {
        assert_eq!(broadcast(&[2, 1, 4], &[3, 1]), Ok(vec![2, 3, 4]));
        assert_eq!(broadcast(&[], &[5]), Ok(vec![5]));
        assert!(broadcast(&[2], &[3]).is_err());
    }

    #[test]
    fn windows_are_counted_as_in_pytorch() {
        let pool = |kernel, stride, padding, ceil_mode, side| {
            let pool = Pool {
                ceil_mode,
                ..Pool::new(kernel, stride, padding)
            };
            Op::MaxPool(pool)
                .output_shape(&[&[1, 1, side, side]])
                .map(|shape| shape[2])
        };
        assert_eq!(pool(3, 2, 1, false, 112), Ok(56));
        assert_eq!(pool(3, 2, 0, true, 112), Ok(56));
        assert_eq!(pool(3, 2, 0, false, 112), Ok(55));
        // The third window would start in the right padding.
        assert_eq!(pool(2, 2, 1, true, 3), Ok(2));
        assert!(pool(5, 1, 0, false, 4).is_err());
    }

    #[test]
    fn too_large_and_empty_outputs_are_errors() {
        let expand = Op::Expand {
            shape: vec![1 << 20, 1 << 20],
        };
        assert!(
            expand
                .output_shape(&[&[1]])
                .unwrap_err()
                .contains("too large")
        );
        let slice = Op::Slice {
            axis: 0,
            start: 0,
            step: 1,
            length: 0,
        };
        assert!(slice.output_shape(&[&[3]]).unwrap_err().contains("empty"));
    }
}
