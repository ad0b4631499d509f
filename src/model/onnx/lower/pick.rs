//! Values taken by position: gathering, repeating, choosing by a constant condition.

use std::sync::Arc;

use crate::model::graph::Op;
use crate::model::onnx::array::{Array, Value, broadcast_positions, positions, strides};
use crate::model::onnx::lower::{Call, Lower, axis, position};

/// The most positions of one table.
const MOST_POSITIONS: usize = 1 << 24;

impl Lower<'_> {
    pub(super) fn gather(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let at = axis(call.node.int("axis").unwrap_or(0), shape.len())?;
        let given = call.known(1)?.ok_or("it has no indices")?;
        self.budget.take(&given.shape, 8)?;
        let indices: Result<Vec<usize>, String> = given
            .ints()?
            .iter()
            .map(|index| position(*index, shape[at]))
            .collect();
        let op = Op::Gather {
            axis: at,
            indices: Arc::new(indices?),
            shape: given.shape.clone(),
        };
        self.emit(call.name, op, &[x])
    }

    /// Takes the values at positions of the flattened input.
    fn take(
        &mut self,
        call: &Call<'_>,
        x: Value,
        indices: Vec<usize>,
        shape: Vec<usize>,
    ) -> Result<Value, String> {
        let values = self.shape(&x).iter().product();
        let flat = self.reshape(&call.part("flat"), x, &[values])?;
        let op = Op::Gather {
            axis: 0,
            indices: Arc::new(indices),
            shape,
        };
        self.emit(call.name, op, &[flat])
    }

    pub(super) fn gather_elements(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let at = axis(call.node.int("axis").unwrap_or(0), shape.len())?;
        let given = call.known(1)?.ok_or("it has no indices")?.clone();
        let inside = |other: usize| other == at || given.shape[other] <= shape[other];
        if given.shape.len() != shape.len() || !(0..shape.len()).all(inside) {
            return Err("its indices do not fit".into());
        }
        self.budget.take(&given.shape, 16)?;
        let own = strides(&shape);
        let steps: Vec<isize> = (0..shape.len())
            .map(|axis| {
                if axis == at {
                    0
                } else {
                    own[axis].cast_signed()
                }
            })
            .collect();
        let bases = positions(&given.shape, 0, &steps);
        let indices: Result<Vec<usize>, String> = bases
            .iter()
            .zip(given.ints()?)
            .map(|(base, index)| Ok(base + position(*index, shape[at])? * own[at]))
            .collect();
        self.take(call, x, indices?, given.shape)
    }

    pub(super) fn gather_nd(&mut self, call: &Call<'_>) -> Result<Value, String> {
        if call.node.int("batch_dims").unwrap_or(0) != 0 {
            return Err("its batch_dims are not supported".into());
        }
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let given = call.known(1)?.ok_or("it has no indices")?.clone();
        let (depth, outer) = given.shape.split_last().ok_or("its indices do not fit")?;
        if *depth == 0 || *depth > shape.len() {
            return Err("its indices do not fit".into());
        }
        let result = [outer, &shape[*depth..]].concat();
        self.budget.take(&result, 16)?;
        let own = strides(&shape);
        let block: usize = shape[*depth..].iter().product();
        let mut indices = Vec::new();
        for tuple in given.ints()?.chunks(*depth) {
            let mut first = 0;
            for (axis, index) in tuple.iter().enumerate() {
                first += position(*index, shape[axis])? * own[axis];
            }
            indices.extend(first..first + block);
        }
        self.take(call, x, indices, result)
    }

    pub(super) fn tile(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let mut x = call.input(0)?;
        let rank = self.shape(&x).len();
        let repeats = call.ints(1, "repeats")?.ok_or("it has no repeats")?;
        if repeats.len() != rank {
            return Err("its repeats do not fit".into());
        }
        for (at, times) in repeats.iter().enumerate() {
            let side = self.shape(&x)[at];
            let length = usize::try_from(*times)
                .ok()
                .and_then(|times| times.checked_mul(side))
                .filter(|length| *length <= MOST_POSITIONS)
                .ok_or("it repeats too often")?;
            if length == side {
                continue;
            }
            self.budget.take(&[length], 8)?;
            let op = Op::Gather {
                axis: at,
                indices: Arc::new((0..length).map(|index| index % side).collect()),
                shape: vec![length],
            };
            let last = repeats[at + 1..].iter().all(|times| *times == 1);
            let name = if last {
                call.name.to_owned()
            } else {
                call.part(&format!("axis {at}"))
            };
            x = self.emit(&name, op, &[x])?;
        }
        Ok(x)
    }

    /// `Where` with a constant condition: both values in one list, and the positions in it.
    pub(super) fn choose(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let condition = call.known(0)?.ok_or("it has no condition")?.clone();
        let values = [call.input(1)?, call.input(2)?];
        let mut shape = self.common_shape(&values)?;
        shape = crate::model::graph::broadcast(&shape, &condition.shape)?;
        let whole = condition.data.to_bool();
        if whole.iter().all(|first| *first) || !whole.contains(&true) {
            let [yes, no] = values;
            let chosen = if whole.first() == Some(&true) {
                yes
            } else {
                no
            };
            return self.expand(call.name, chosen, &shape);
        }
        self.budget.take(&shape, 24)?;
        let starts = [0, self.shape(&values[0]).iter().product::<usize>()];
        let [yes, no] = [0, 1].map(|at| {
            let from = broadcast_positions(self.shape(&values[at]), &shape);
            from.into_iter().map(move |from| from + starts[at])
        });
        let condition = Array {
            data: condition
                .data
                .pick(&broadcast_positions(&condition.shape, &shape)),
            ..condition
        };
        let chosen = condition.data.to_bool();
        let indices = chosen.iter().zip(yes.zip(no));
        let indices = indices.map(|(first, (yes, no))| if *first { yes } else { no });
        let indices = indices.collect();
        let mut flat = Vec::with_capacity(2);
        for (index, value) in values.into_iter().enumerate() {
            let count = self.shape(&value).iter().product();
            flat.push(self.reshape(&call.part(&format!("flat {index}")), value, &[count])?);
        }
        let both = self.emit(&call.part("both"), Op::Concat { axis: 0 }, &flat)?;
        self.take(call, both, indices, shape)
    }
}
