//! What moves values without changing them: shapes, axes, parts, padding.

use std::sync::Arc;

use crate::model::graph::{Op, PadMode};
use crate::model::onnx::array::{Array, Data, Value, count};
use crate::model::onnx::fold::Folding;
use crate::model::onnx::lower::{Call, Lower, axes, axis};

impl Lower<'_> {
    pub(super) fn constant_node(&mut self, call: &Call<'_>) -> Result<Array, String> {
        let node = call.node;
        let name = call.name;
        let floats = |shape: Vec<usize>, values: Vec<f32>| Array {
            name: name.into(),
            shape,
            data: Data::F32(Arc::new(values)),
            sized: false,
        };
        if let Some(tensor) = node.tensor("value") {
            let array = self.file.attribute(name, tensor);
            let mut array = array.map_err(|error| error.to_string())?;
            array.name = name.into();
            Ok(array)
        } else if let Some(value) = node.float("value_float") {
            Ok(floats(Vec::new(), vec![value]))
        } else if let Some(values) = node.floats("value_floats") {
            Ok(floats(vec![values.len()], values.to_vec()))
        } else if let Some(value) = node.int("value_int") {
            let mut array = Array::integers(name, vec![value], false);
            array.shape.clear();
            Ok(array)
        } else if let Some(values) = node.ints("value_ints") {
            Ok(Array::integers(name, values.to_vec(), false))
        } else {
            Err("it holds no number".into())
        }
    }

    pub(super) fn constant_of_shape(&mut self, call: &Call<'_>) -> Result<Array, String> {
        let given = call.known(0)?.ok_or("it has no shape")?;
        let (shape, sized) = (Folding::shape_from(given.ints()?)?, given.sized);
        let values = self.budget.take(&shape, 4)?;
        let value = match call.node.tensor("value") {
            Some(tensor) => {
                self.file
                    .attribute("", tensor)
                    .map_err(|error| error.to_string())?
                    .data
            }
            None => Data::F32(Arc::new(vec![0.0])),
        };
        if value.len() != 1 {
            return Err("its value is not one number".into());
        }
        let data = match value {
            Data::F32(value) => Data::F32(Arc::new(vec![value[0]; values])),
            Data::F64(value) => Data::F64(Arc::new(vec![value[0]; values])),
            Data::I64(value) => Data::I64(Arc::new(vec![value[0]; values])),
            Data::Bool(value) => Data::Bool(Arc::new(vec![value[0]; values])),
        };
        Ok(Array {
            name: call.name.into(),
            shape,
            data,
            sized,
        })
    }

    pub(super) fn concat(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let mut inputs: Vec<Value> = call.inputs.iter().flatten().cloned().collect();
        let first = inputs.first().ok_or("it has no input")?;
        let rank = self.shape(first).len();
        let at = axis(call.node.int("axis").unwrap_or(1), rank)?;
        // Empty constants add nothing.
        if inputs
            .iter()
            .any(|input| matches!(input, Value::Dynamic(_)))
        {
            inputs.retain(|input| !self.shape(input).contains(&0));
        }
        if inputs.len() == 1 && call.inputs.len() == 1 {
            return Ok(inputs.remove(0));
        }
        self.emit(call.name, Op::Concat { axis: at }, &inputs)
    }

    pub(super) fn split(&mut self, call: &Call<'_>) -> Result<Vec<Value>, String> {
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let at = axis(call.node.int("axis").unwrap_or(0), shape.len())?;
        let parts = call.node.outputs.len();
        let given = call.ints(1, "split")?;
        let lengths = match given.filter(|given| !given.is_empty()) {
            Some(given) => {
                let lengths = Folding::lengths_from(&given)?;
                if lengths.len() != parts {
                    return Err("its parts are not as many as its outputs".into());
                }
                lengths
            }
            None => {
                let stated = call.node.int("num_outputs").unwrap_or(parts as i64);
                if stated != parts as i64 || parts == 0 {
                    return Err("its parts are not as many as its outputs".into());
                }
                // The last part is smaller if it must be.
                let each = shape[at].div_ceil(parts);
                let start = |part: usize| (part * each).min(shape[at]);
                (0..parts)
                    .map(|part| start(part + 1) - start(part))
                    .collect()
            }
        };
        if count_sum(&lengths) != Some(shape[at]) {
            return Err("its parts do not add up to its input".into());
        }
        let mut outputs = Vec::with_capacity(parts);
        let mut start = 0;
        for (name, length) in call.node.outputs.iter().zip(lengths) {
            let op = Op::Slice {
                axis: at,
                start,
                step: 1,
                length,
            };
            start += length;
            // A part that nobody reads may be empty.
            if name.is_empty() {
                outputs.push(x.clone());
            } else {
                outputs.push(self.emit(name, op, std::slice::from_ref(&x))?);
            }
        }
        Ok(outputs)
    }

    pub(super) fn slice(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let mut x = call.input(0)?;
        let rank = self.shape(&x).len();
        let starts = call.ints(1, "starts")?.ok_or("it has no starts")?;
        let ends = call.ints(2, "ends")?.ok_or("it has no ends")?;
        let all = || (0..starts.len() as i64).collect();
        let given = call.ints(3, "axes")?.unwrap_or_else(all);
        let steps = call.ints(4, "steps")?.unwrap_or(vec![1; starts.len()]);
        if ends.len() != starts.len() || given.len() != starts.len() || steps.len() != starts.len()
        {
            return Err("its bounds do not fit".into());
        }
        axes(&given, rank)?;
        let mut cuts = Vec::new();
        for index in 0..starts.len() {
            let at = axis(given[index], rank)?;
            let side = self.shape(&x)[at];
            let (start, length) = range(starts[index], ends[index], steps[index], side)?;
            if (start, length) != (0, side) || steps[index] != 1 {
                let step = isize::try_from(steps[index]).map_err(|_| "its step is too large")?;
                // The step between fewer than two positions does not matter.
                let step = if length < 2 { 1 } else { step };
                cuts.push(Op::Slice {
                    axis: at,
                    start,
                    step,
                    length,
                });
            }
        }
        let last = cuts.len();
        for (index, op) in cuts.into_iter().enumerate() {
            let name = if index + 1 == last {
                call.name.to_owned()
            } else {
                call.part(&format!("cut {index}"))
            };
            x = self.emit(&name, op, &[x])?;
        }
        Ok(x)
    }

    pub(super) fn reshape_node(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let given = call.ints(1, "shape")?.ok_or("it has no shape")?;
        let old = self.shape(&x).to_vec();
        let allow_zero = call.node.int("allowzero") == Some(1);
        let values: usize = old.iter().product();
        let mut shape = Vec::with_capacity(given.len());
        let mut open = None;
        for (at, side) in given.iter().enumerate() {
            shape.push(match side {
                -1 if open.is_none() => {
                    open = Some(at);
                    1
                }
                0 if !allow_zero => *old.get(at).ok_or("its shape has a 0 too many")?,
                side => usize::try_from(*side).map_err(|_| format!("{given:?} is not a shape"))?,
            });
        }
        if shape.len() > crate::model::onnx::data::MOST_DIMENSIONS {
            return Err("it has too many dimensions".into());
        }
        if let Some(at) = open {
            let rest = count(&shape, usize::MAX).filter(|rest| *rest > 0);
            let fits = rest.filter(|rest| values.is_multiple_of(*rest));
            shape[at] = values / fits.ok_or_else(|| batch_hint(&old, &given))?;
        }
        if count(&shape, usize::MAX) != Some(values) {
            return Err(batch_hint(&old, &given));
        }
        self.reshape(call.name, x, &shape)
    }

    pub(super) fn flatten(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let rank = shape.len();
        let at = match call.node.int("axis").unwrap_or(1) {
            at if usize::try_from(at) == Ok(rank) => rank,
            at => axis(at, rank)?,
        };
        let (rows, columns) = shape.split_at(at);
        let shape = [rows.iter().product(), columns.iter().product()];
        self.reshape(call.name, x, &shape)
    }

    pub(super) fn squeeze(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let removed = match call.ints(1, "axes")?.filter(|axes| !axes.is_empty()) {
            Some(given) => axes(&given, shape.len())?,
            None => (0..shape.len()).filter(|at| shape[*at] == 1).collect(),
        };
        if removed.iter().any(|at| shape[*at] != 1) {
            return Err(format!(
                "an axis of {shape:?} that it removes is longer than 1"
            ));
        }
        let kept = shape.iter().enumerate();
        let kept = kept.filter(|(at, _)| !removed.contains(at));
        let shape: Vec<usize> = kept.map(|(_, side)| *side).collect();
        self.reshape(call.name, x, &shape)
    }

    pub(super) fn unsqueeze(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let given = call.ints(1, "axes")?.ok_or("it has no axes")?;
        let mut old = self.shape(&x).to_vec().into_iter();
        let rank = old.len() + given.len();
        if rank > crate::model::onnx::data::MOST_DIMENSIONS {
            return Err("it has too many dimensions".into());
        }
        let added = axes(&given, rank)?;
        let sides = (0..rank).map(|at| {
            if added.contains(&at) {
                1
            } else {
                old.next().unwrap_or(1)
            }
        });
        let shape: Vec<usize> = sides.collect();
        self.reshape(call.name, x, &shape)
    }

    pub(super) fn transpose(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let rank = self.shape(&x).len();
        let perm = match call.node.ints("perm") {
            None => (0..rank).rev().collect(),
            Some(given) => {
                if given.len() != rank {
                    return Err(format!("its axes {given:?} do not fit"));
                }
                axes(given, rank)?;
                let perm: Result<Vec<usize>, String> =
                    given.iter().map(|at| axis(*at, rank)).collect();
                perm?
            }
        };
        if perm.iter().copied().eq(0..rank) {
            return Ok(x);
        }
        self.emit(call.name, Op::Transpose { perm }, &[x])
    }

    pub(super) fn expand_node(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let given = call.known(1)?.ok_or("it has no shape")?;
        let shape = Folding::shape_from(given.ints()?)?;
        let shape = crate::model::graph::broadcast(self.shape(&x), &shape)?;
        self.expand(call.name, x, &shape)
    }

    pub(super) fn pad(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let mut x = call.input(0)?;
        let rank = self.shape(&x).len();
        let attribute = if call.node.has("paddings") {
            "paddings"
        } else {
            "pads"
        };
        let given = call.ints(1, attribute)?.ok_or("it has no pads")?;
        let value = match call.known(2)? {
            Some(value) => value.single()?,
            None => f64::from(call.node.float("value").unwrap_or(0.0)),
        };
        let padded = match call.known(3)? {
            Some(given) => {
                axes(given.ints()?, rank)?;
                let padded = given.ints()?.iter().map(|at| axis(*at, rank));
                padded.collect::<Result<Vec<_>, _>>()?
            }
            None => (0..rank).collect(),
        };
        if given.len() != 2 * padded.len() {
            return Err("its pads do not fit".into());
        }
        #[allow(clippy::cast_possible_truncation)] // rounding is what is meant
        let mode = match call.node.string("mode").unwrap_or("constant") {
            "constant" => PadMode::Constant(value as f32),
            "reflect" => PadMode::Reflect,
            "edge" => PadMode::Edge,
            other => return Err(format!("its mode {other:?} is not supported")),
        };
        let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
        for (index, at) in padded.iter().enumerate() {
            let side = self.shape(&x)[*at];
            let (first, last) = (given[index], given[index + padded.len()]);
            let cut = |pad: i64| usize::try_from(pad.min(0).unsigned_abs()).unwrap_or(usize::MAX);
            let (cut_first, cut_last) = (cut(first), cut(last));
            if cut_first > 0 || cut_last > 0 {
                let length = side
                    .checked_sub(cut_first)
                    .and_then(|side| side.checked_sub(cut_last))
                    .ok_or("it takes away more than there is")?;
                let op = Op::Slice {
                    axis: *at,
                    start: cut_first,
                    step: 1,
                    length,
                };
                x = self.emit(&call.part(&format!("cut {at}")), op, &[x])?;
            }
            let add = |pad: i64| usize::try_from(pad.max(0)).unwrap_or(usize::MAX);
            (before[*at], after[*at]) = (add(first), add(last));
        }
        if before.iter().chain(&after).all(|pad| *pad == 0) {
            return Ok(x);
        }
        self.emit(
            call.name,
            Op::Pad {
                before,
                after,
                mode,
            },
            &[x],
        )
    }

    pub(super) fn depth_space(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let &[n, c, h, w] = self.shape(&x) else {
            return Err("it needs an image".into());
        };
        let block = call
            .node
            .int("blocksize")
            .and_then(|size| usize::try_from(size).ok());
        let block = block
            .filter(|block| (1..=1 << 12).contains(block))
            .ok_or("its blocksize is not supported")?;
        let area = block * block;
        let to_depth = call.node.op == "SpaceToDepth";
        let fits = if to_depth {
            h.is_multiple_of(block) && w.is_multiple_of(block)
        } else {
            c.is_multiple_of(area)
        };
        if !fits {
            return Err(format!("its blocks do not fit [{n}, {c}, {h}, {w}]"));
        }
        let column_row = call.node.string("mode") == Some("CRD");
        let (inner, perm, outer) = if to_depth {
            (
                vec![n, c, h / block, block, w / block, block],
                vec![0, 3, 5, 1, 2, 4],
                [n, c * area, h / block, w / block],
            )
        } else if column_row {
            (
                vec![n, c / area, block, block, h, w],
                vec![0, 1, 4, 2, 5, 3],
                [n, c / area, h * block, w * block],
            )
        } else {
            (
                vec![n, block, block, c / area, h, w],
                vec![0, 3, 4, 1, 5, 2],
                [n, c / area, h * block, w * block],
            )
        };
        let x = self.reshape(&call.part("blocks"), x, &inner)?;
        let x = self.emit(&call.part("moved"), Op::Transpose { perm }, &[x])?;
        self.reshape(call.name, x, &outer)
    }
}

fn count_sum(lengths: &[usize]) -> Option<usize> {
    let mut lengths = lengths.iter();
    lengths.try_fold(0usize, |sum, length| sum.checked_add(*length))
}

fn batch_hint(old: &[usize], given: &[i64]) -> String {
    format!(
        "the shape {old:?} can't become {given:?}; if the file was exported for a batch or a photo of another size, export it for one photo of this size"
    )
}

/// First position and number of positions of a slice, as in numpy.
fn range(start: i64, end: i64, step: i64, side: usize) -> Result<(usize, usize), String> {
    let length = i64::try_from(side).map_err(|_| "it is too long")?;
    let from_end = |at: i64| {
        if at < 0 {
            at.saturating_add(length)
        } else {
            at
        }
    };
    let (first, count) = match step {
        0 => return Err("its step is 0".into()),
        1.. => {
            let first = from_end(start).clamp(0, length);
            let last = from_end(end).clamp(0, length);
            let span = (last - first).max(0);
            (first, span / step + i64::from(span % step != 0))
        }
        _ => {
            let first = from_end(start).clamp(-1, length - 1);
            let last = from_end(end).clamp(-1, length - 1);
            let span = (first - last).max(0);
            let size = step.checked_neg().ok_or("its step is too large")?;
            (first, span / size + i64::from(span % size != 0))
        }
    };
    let count = usize::try_from(count).unwrap_or(0);
    // An empty part begins anywhere.
    let first = if count == 0 {
        0
    } else {
        usize::try_from(first).unwrap_or(0)
    };
    Ok((first, count))
}
