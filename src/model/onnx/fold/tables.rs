//! Constants made from nothing or by position: ranges, masks, index tables.

use std::sync::Arc;

use crate::model::onnx::array::{Array, Data, count, strides};
use crate::model::onnx::fold::Folding;

/// The most positions of a table.
const MOST_POSITIONS: usize = 1 << 24;

impl Folding<'_> {
    /// The result, or `None` if the operator is not one of these.
    pub(super) fn tables(mut self) -> Result<Option<Array>, String> {
        Ok(Some(match self.node.op.as_str() {
            "Range" => self.range()?,
            "EyeLike" => self.eye()?,
            "ScatterND" => self.scatter()?,
            "CumSum" => self.running_sum()?,
            "NonZero" => self.non_zero()?,
            "Trilu" => self.triangle()?,
            _ => return Ok(None),
        }))
    }

    fn range(&mut self) -> Result<Array, String> {
        if self.is_float() {
            let [start, limit, step] = [0, 1, 2].map(|at| self.input(at).and_then(Array::single));
            let (start, limit, step) = (start?, limit?, step?);
            let steps = ((limit - start) / step).ceil().max(0.0);
            if steps.is_nan() || steps > MOST_POSITIONS as f64 {
                return Err("its range is too long".into());
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // just checked
            let steps = steps as usize;
            self.budget.take(&[steps], 8)?;
            let values = (0..steps).map(|at| start + at as f64 * step).collect();
            let data = Data::F32(Data::F64(Arc::new(values)).to_f32());
            return Ok(self.array(vec![steps], data));
        }
        let one = |at: usize| match self.input(at)?.ints()? {
            [value] => Ok(*value),
            _ => Err("it needs single numbers".to_owned()),
        };
        let (start, limit, step) = (one(0)?, one(1)?, one(2)?);
        if step == 0 {
            return Err("its step is 0".into());
        }
        let span = i128::from(limit) - i128::from(start);
        let (span, size) = if step > 0 {
            (span, i128::from(step))
        } else {
            (-span, -i128::from(step))
        };
        let steps = if span <= 0 {
            0
        } else {
            (span + size - 1) / size
        };
        let steps = usize::try_from(steps)
            .ok()
            .filter(|steps| *steps <= MOST_POSITIONS)
            .ok_or("its range is too long")?;
        self.budget.take(&[steps], 8)?;
        // All lie between start and limit, so what overflows on the way comes back.
        let values = (0..steps as i64)
            .map(|at| start.wrapping_add(at.wrapping_mul(step)))
            .collect();
        Ok(self.array(vec![steps], Data::I64(Arc::new(values))))
    }

    fn eye(&mut self) -> Result<Array, String> {
        let input = self.input(0)?.clone();
        let &[rows, columns] = &input.shape[..] else {
            return Err("it needs a matrix".into());
        };
        let values = self.budget.take(&[rows, columns], 8)?;
        let shift = self.node.int("k").unwrap_or(0);
        let mut eye = vec![0.0f32; values];
        for row in 0..rows {
            let column = i64::try_from(row).unwrap_or(i64::MAX).saturating_add(shift);
            if let Ok(column) = usize::try_from(column)
                && column < columns
            {
                eye[row * columns + column] = 1.0;
            }
        }
        let data = Data::F32(Arc::new(eye));
        let float = match self.node.int("dtype") {
            Some(kind) => matches!(kind, 1 | 10 | 11 | 16),
            None => input.data.is_float(),
        };
        let data = if float {
            data
        } else {
            Data::I64(data.to_i64())
        };
        Ok(self.array(vec![rows, columns], data))
    }

    fn scatter(&mut self) -> Result<Array, String> {
        if self
            .node
            .string("reduction")
            .is_some_and(|kind| kind != "none")
        {
            return Err("its reduction is not supported".into());
        }
        let (data, indices, updates) = (
            self.input(0)?.clone(),
            self.input(1)?.clone(),
            self.input(2)?.clone(),
        );
        self.budget.take(&data.shape, 16)?;
        let depth = *indices.shape.last().ok_or("its indices do not fit")?;
        if depth > data.shape.len() {
            return Err("its indices do not fit".into());
        }
        let block: usize = data.shape[depth..].iter().product();
        let own = strides(&data.shape);
        let whole: Vec<usize> = (0..data.data.len()).collect();
        let mut from = whole;
        let tuples = indices.ints()?;
        let rows = count(&indices.shape[..indices.shape.len() - 1], MOST_POSITIONS)
            .ok_or("its indices are too many")?;
        if rows.checked_mul(block) != Some(updates.data.len()) {
            return Err("its updates do not fit".into());
        }
        for row in 0..rows {
            let mut first = 0;
            for (axis, index) in tuples[row * depth..(row + 1) * depth].iter().enumerate() {
                first += super::super::lower::position(*index, data.shape[axis])? * own[axis];
            }
            for at in 0..block {
                // Positions after the data's own are those of the updates.
                from[first + at] = data.data.len() + row * block + at;
            }
        }
        let all = joined(&data.data, &updates.data);
        Ok(self.array(data.shape.clone(), all.pick(&from)))
    }

    fn running_sum(&mut self) -> Result<Array, String> {
        let input = self.input(0)?.clone();
        if self.node.int("exclusive") == Some(1) || self.node.int("reverse") == Some(1) {
            return Err("its direction is not supported".into());
        }
        let axis = match self.input(1)?.ints()? {
            [axis] => super::super::lower::axis(*axis, input.shape.len())?,
            _ => return Err("it needs one axis".into()),
        };
        let values = self.budget.take(&input.shape, 8)?;
        let step = strides(&input.shape)[axis];
        let side = input.shape[axis];
        let starts = (0..values).filter(|at| !(at / step).is_multiple_of(side.max(1)));
        let data = if input.data.is_float() {
            let mut sums = input.data.to_f64().to_vec();
            for at in starts {
                sums[at] += sums[at - step];
            }
            let sums = Data::F64(Arc::new(sums));
            match input.data {
                Data::F32(_) => Data::F32(sums.to_f32()),
                _ => sums,
            }
        } else {
            let mut sums = input.data.to_i64().to_vec();
            for at in starts {
                sums[at] = sums[at]
                    .checked_add(sums[at - step])
                    .ok_or("its integers can't be computed")?;
            }
            Data::I64(Arc::new(sums))
        };
        Ok(self.array(input.shape, data))
    }

    fn non_zero(&mut self) -> Result<Array, String> {
        let input = self.input(0)?.clone();
        let values = input.data.to_bool();
        let found: Vec<usize> = (0..values.len()).filter(|at| values[*at]).collect();
        let rank = input.shape.len();
        self.budget.take(&[rank, found.len()], 8)?;
        let own = strides(&input.shape);
        let mut rows = Vec::with_capacity(rank * found.len());
        for (own, side) in own.iter().zip(&input.shape) {
            let index = |at: &usize| (at / own % side) as i64;
            rows.extend(found.iter().map(index));
        }
        Ok(self.array(vec![rank, found.len()], Data::I64(Arc::new(rows))))
    }

    fn triangle(&mut self) -> Result<Array, String> {
        let input = self.input(0)?.clone();
        let [.., rows, columns] = input.shape[..] else {
            return Err("it needs a matrix".into());
        };
        let shift = match self.inputs.get(1).and_then(Option::as_ref) {
            Some(shift) => shift.ints()?.first().copied().unwrap_or(0),
            None => 0,
        };
        let upper = self.node.int("upper") != Some(0);
        let values = self.budget.take(&input.shape, 8)?;
        let keeps = |at: usize| {
            let (row, column) = ((at / columns % rows) as i64, (at % columns) as i64);
            let distance = column - row;
            if upper {
                distance >= shift
            } else {
                distance <= shift
            }
        };
        let zero = input.data.len();
        let from: Vec<usize> = (0..values)
            .map(|at| if keeps(at) { at } else { zero })
            .collect();
        let all = joined(&input.data, &Data::I64(Arc::new(vec![0])));
        Ok(self.array(input.shape, all.pick(&from)))
    }
}

/// The values of both, in the type of the first.
pub(in crate::model::onnx) fn joined(a: &Data, b: &Data) -> Data {
    fn chain<T: Copy>(a: &[T], b: &[T]) -> Arc<Vec<T>> {
        Arc::new([a, b].concat())
    }
    match a {
        Data::F32(values) => Data::F32(chain(values, &b.to_f32())),
        Data::F64(values) => Data::F64(chain(values, &b.to_f64())),
        Data::I64(values) => Data::I64(chain(values, &b.to_i64())),
        Data::Bool(values) => Data::Bool(chain(values, &b.to_bool())),
    }
}
