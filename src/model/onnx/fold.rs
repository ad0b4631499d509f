//! Arithmetic on constants that are not weights: shapes, indices, conditions. What moves values or
//! computes with floating-point numbers is done by the operators of the graph instead.

mod tables;

pub(super) use crate::model::onnx::fold::tables::joined;

use std::sync::Arc;

use crate::model::graph::broadcast;
use crate::model::onnx::array::{Array, Data, broadcast_positions, count};
use crate::model::onnx::data;
use crate::model::onnx::messages::NodePart;

/// Memory for constants that are computed while a graph is built.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    bytes: u64,
    work: u64,
}

impl Budget {
    /// For a model whose files have this many bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            bytes: bytes.saturating_mul(4).saturating_add(1 << 30),
            work: 1 << 32,
        }
    }

    /// Counts an array that is about to be made, and returns its number of values.
    ///
    /// # Errors
    /// If it is too large.
    pub(super) fn take(&mut self, shape: &[usize], bytes: usize) -> Result<usize, String> {
        let values = count(shape, 1 << 28);
        let left = values.and_then(|values| self.bytes.checked_sub((values * bytes) as u64));
        match (values, left) {
            (Some(values), Some(left)) => {
                self.bytes = left;
                // A node costs something even if it makes nothing.
                self.work(values as u64 + 64)?;
                Ok(values)
            }
            _ => Err(format!("it makes too large a constant, {shape:?}")),
        }
    }

    /// Counts steps of a computation.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn work(&mut self, steps: u64) -> Result<(), String> {
        self.work = self
            .work
            .checked_sub(steps)
            .ok_or("it computes too much before the photo is there")?;
        Ok(())
    }
}

/// What is folded: a node, its constant inputs, and the name of its output.
pub(super) struct Folding<'a> {
    pub(super) node: &'a NodePart,
    pub(super) inputs: &'a [Option<Array>],
    pub(super) name: &'a str,
    pub(super) budget: &'a mut Budget,
}

impl Folding<'_> {
    /// An input that must be there.
    pub(super) fn input(&self, index: usize) -> Result<&Array, String> {
        let input = self.inputs.get(index).and_then(Option::as_ref);
        input.ok_or_else(|| format!("its input {index} is missing"))
    }

    fn sized(&self) -> bool {
        self.inputs.iter().flatten().any(|input| input.sized)
    }

    fn array(&self, shape: Vec<usize>, data: Data) -> Array {
        Array {
            name: self.name.into(),
            shape,
            data,
            sized: self.sized(),
        }
    }

    fn is_float(&self) -> bool {
        self.inputs
            .iter()
            .flatten()
            .any(|input| input.data.is_float())
    }

    /// The result, or `None` if the operator is not one for constants only.
    ///
    /// # Errors
    /// If the inputs do not fit.
    pub(super) fn run(mut self) -> Result<Option<Array>, String> {
        let op = self.node.op.as_str();
        let integers = !self.is_float();
        Ok(Some(match op {
            "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Max" | "Min" | "Sum" if integers => {
                self.arithmetic()?
            }
            "Mod" | "BitwiseAnd" | "BitwiseOr" => self.arithmetic()?,
            "Neg" | "Abs" | "Sign" if integers => self.unary()?,
            "Floor" | "Ceil" | "Round" if integers => self.input(0)?.clone(),
            "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" => self.compare()?,
            "And" | "Or" | "Xor" => self.logic()?,
            "Not" => {
                let values = self.input(0)?.data.to_bool();
                let shape = self.input(0)?.shape.clone();
                self.budget.take(&shape, 1)?;
                let not = values.iter().map(|value| !value).collect();
                self.array(shape, Data::Bool(Arc::new(not)))
            }
            "IsNaN" | "IsInf" => {
                let values = self.input(0)?.data.to_f64();
                let shape = self.input(0)?.shape.clone();
                self.budget.take(&shape, 1)?;
                let side = |name: &str| self.node.int(name) != Some(0);
                let (below, above) = (side("detect_negative"), side("detect_positive"));
                let test = |value: &f64| match op {
                    "IsNaN" => value.is_nan(),
                    _ => {
                        (*value == f64::INFINITY && above) || (*value == f64::NEG_INFINITY && below)
                    }
                };
                let found = values.iter().map(test).collect();
                self.array(shape, Data::Bool(Arc::new(found)))
            }
            "Where" => self.choose()?,
            "Cast" => self.cast(self.node.int("to").unwrap_or(1))?,
            "CastLike" => {
                let kind = match self.input(1)?.data {
                    Data::F32(_) => 1,
                    Data::F64(_) => 11,
                    Data::I64(_) => 7,
                    Data::Bool(_) => 9,
                };
                self.cast(kind)?
            }
            "ReduceSum" | "ReduceProd" | "ReduceMax" | "ReduceMin" if integers => self.reduce()?,
            "ReduceProd" => self.reduce()?,
            "Size" => {
                let count = self.input(0)?.data.len() as i64;
                self.array(Vec::new(), Data::I64(Arc::new(vec![count])))
            }
            _ => return self.tables(),
        }))
    }

    /// The inputs, repeated to one shape.
    fn spread(&mut self, bytes: usize) -> Result<(Vec<usize>, Vec<Data>), String> {
        let mut shape = Vec::new();
        for input in self.inputs.iter().flatten() {
            shape = broadcast(&shape, &input.shape)?;
        }
        let inputs: Vec<&Array> = self.inputs.iter().flatten().collect();
        for _ in 0..=inputs.len() {
            self.budget.take(&shape, bytes)?;
        }
        let spread = inputs.iter().map(|input| {
            if input.shape == shape {
                input.data.clone()
            } else {
                input.data.pick(&broadcast_positions(&input.shape, &shape))
            }
        });
        let spread = spread.collect();
        Ok((shape, spread))
    }

    fn arithmetic(&mut self) -> Result<Array, String> {
        let float = self.is_float();
        let (shape, inputs) = self.spread(8)?;
        let op = self.node.op.as_str();
        if float {
            // Only `Mod` comes here.
            let (a, b) = pair(&inputs)?;
            let (a, b) = (a.to_f32(), b.to_f32());
            let values = a.iter().zip(b.iter()).map(|(a, b)| a % b).collect();
            return Ok(self.array(shape, Data::F32(Arc::new(values))));
        }
        let c_like = self.node.int("fmod") == Some(1);
        let apply = |a: i64, b: i64| -> Option<i64> {
            match op {
                "Add" | "Sum" => a.checked_add(b),
                "Sub" => a.checked_sub(b),
                "Mul" => a.checked_mul(b),
                "Div" => a.checked_div(b),
                "Mod" if c_like => a.checked_rem(b),
                "Mod" => a.checked_rem(b).map(|rest| {
                    if rest != 0 && (rest < 0) != (b < 0) {
                        rest + b
                    } else {
                        rest
                    }
                }),
                "Pow" => a.checked_pow(u32::try_from(b).ok()?),
                "Max" => Some(a.max(b)),
                "Min" => Some(a.min(b)),
                "BitwiseAnd" => Some(a & b),
                "BitwiseOr" => Some(a | b),
                _ => None,
            }
        };
        let mut inputs = inputs.iter();
        let first = inputs.next().ok_or("it has no input")?;
        let mut values = first.to_i64().to_vec();
        for other in inputs {
            for (value, other) in values.iter_mut().zip(other.to_i64().iter()) {
                *value = apply(*value, *other).ok_or("its integers can't be computed")?;
            }
        }
        Ok(self.array(shape, Data::I64(Arc::new(values))))
    }

    fn unary(&mut self) -> Result<Array, String> {
        let input = self.input(0)?.clone();
        self.budget.take(&input.shape, 8)?;
        let values: Option<Vec<i64>> = input
            .data
            .to_i64()
            .iter()
            .map(|value| match self.node.op.as_str() {
                "Neg" => value.checked_neg(),
                "Abs" => value.checked_abs(),
                _ => Some(value.signum()),
            })
            .collect();
        let values = values.ok_or("its integers can't be computed")?;
        Ok(self.array(input.shape, Data::I64(Arc::new(values))))
    }

    fn compare(&mut self) -> Result<Array, String> {
        let float = self.is_float();
        let (shape, inputs) = self.spread(8)?;
        let (a, b) = pair(&inputs)?;
        let op = self.node.op.as_str();
        #[allow(clippy::items_after_statements)] // used only here
        fn holds<T: PartialOrd>(op: &str, a: &T, b: &T) -> bool {
            match op {
                "Equal" => a == b,
                "Greater" => a > b,
                "GreaterOrEqual" => a >= b,
                "Less" => a < b,
                _ => a <= b,
            }
        }
        let values = if float {
            let (a, b) = (a.to_f64(), b.to_f64());
            let pairs = a.iter().zip(b.iter());
            pairs.map(|(a, b)| holds(op, a, b)).collect()
        } else {
            let (a, b) = (a.to_i64(), b.to_i64());
            let pairs = a.iter().zip(b.iter());
            pairs.map(|(a, b)| holds(op, a, b)).collect()
        };
        Ok(self.array(shape, Data::Bool(Arc::new(values))))
    }

    fn logic(&mut self) -> Result<Array, String> {
        let (shape, inputs) = self.spread(1)?;
        let (a, b) = pair(&inputs)?;
        let (a, b) = (a.to_bool(), b.to_bool());
        let values = a
            .iter()
            .zip(b.iter())
            .map(|(a, b)| match self.node.op.as_str() {
                "And" => *a && *b,
                "Or" => *a || *b,
                _ => a != b,
            });
        let values = values.collect();
        Ok(self.array(shape, Data::Bool(Arc::new(values))))
    }

    fn choose(&mut self) -> Result<Array, String> {
        let (shape, inputs) = self.spread(8)?;
        let [condition, yes, no] = &inputs[..] else {
            return Err("it needs three inputs".into());
        };
        #[allow(clippy::items_after_statements)] // used only here
        fn pick<T: Copy>(condition: &[bool], yes: &[T], no: &[T]) -> Arc<Vec<T>> {
            let pairs = yes.iter().zip(no);
            let chosen = condition.iter().zip(pairs);
            Arc::new(
                chosen
                    .map(|(is, (yes, no))| if *is { *yes } else { *no })
                    .collect(),
            )
        }
        let condition = condition.to_bool();
        let data = match (yes, no) {
            (Data::F32(yes), Data::F32(no)) => Data::F32(pick(&condition, yes, no)),
            (Data::I64(yes), Data::I64(no)) => Data::I64(pick(&condition, yes, no)),
            (Data::Bool(yes), Data::Bool(no)) => Data::Bool(pick(&condition, yes, no)),
            _ => Data::F64(pick(&condition, &yes.to_f64(), &no.to_f64())),
        };
        Ok(self.array(shape, data))
    }

    fn cast(&mut self, kind: i64) -> Result<Array, String> {
        let input = self.input(0)?.clone();
        self.budget.take(&input.shape, 8)?;
        let narrowed = |low: i64, high: i64| {
            let values = input.data.to_i64();
            let fits = values.iter().all(|value| (low..=high).contains(value));
            fits.then_some(Data::I64(values))
                .ok_or("its integers do not fit the type they are cast to")
        };
        let data = match kind {
            1 => Data::F32(input.data.to_f32()),
            10 | 16 => {
                let values = input.data.to_f32();
                let rounded = |value: &f32| match kind {
                    10 => half::f16::from_f32(*value).to_f32(),
                    _ => half::bf16::from_f32(*value).to_f32(),
                };
                Data::F32(Arc::new(values.iter().map(rounded).collect()))
            }
            11 => Data::F64(input.data.to_f64()),
            9 => Data::Bool(input.data.to_bool()),
            2 => narrowed(0, 255)?,
            3 => narrowed(-128, 127)?,
            4 => narrowed(0, 65535)?,
            5 => narrowed(-32768, 32767)?,
            // Slices use the largest 64-bit integers as "to the end", also after a cast.
            6 | 7 => Data::I64(input.data.to_i64()),
            12 | 13 => narrowed(0, i64::MAX)?,
            _ => {
                return Err(format!(
                    "it casts to a type (number {kind}) that is not supported"
                ));
            }
        };
        Ok(self.array(input.shape, data))
    }

    fn reduce(&mut self) -> Result<Array, String> {
        let input = self.input(0)?.clone();
        let given = self.inputs.get(1).and_then(Option::as_ref);
        let axes = match given {
            Some(axes) => Some(axes.ints()?.to_vec()),
            None => self.node.ints("axes").map(<[i64]>::to_vec),
        };
        let rank = input.shape.len();
        let axes = match axes.filter(|axes| !axes.is_empty()) {
            None if self.node.int("noop_with_empty_axes") == Some(1) => return Ok(input),
            None => (0..rank).collect(),
            Some(axes) => super::lower::axes(&axes, rank)?,
        };
        let kept: Vec<usize> = (0..rank)
            .map(|axis| {
                if axes.contains(&axis) {
                    1
                } else {
                    input.shape[axis]
                }
            })
            .collect();
        self.budget.take(&input.shape, 8)?;
        let values = self.budget.take(&kept, 8)?;
        let into = broadcast_positions(&kept, &input.shape);
        let op = self.node.op.as_str();
        let keep = self.node.int("keepdims") != Some(0);
        let shape = if keep {
            kept
        } else {
            let sides = kept.iter().enumerate();
            let sides = sides.filter(|(axis, _)| !axes.contains(axis));
            sides.map(|(_, side)| *side).collect()
        };
        if let Data::F32(data) = &input.data {
            let mut sums = vec![1.0f64; values];
            for (value, at) in data.iter().zip(into) {
                sums[at] *= f64::from(*value);
            }
            let data = Data::F64(Arc::new(sums)).to_f32();
            return Ok(self.array(shape, Data::F32(data)));
        }
        let start = match op {
            "ReduceSum" => 0,
            "ReduceProd" => 1,
            "ReduceMax" => i64::MIN,
            _ => i64::MAX,
        };
        let mut sums = vec![start; values];
        for (value, at) in input.data.to_i64().iter().zip(into) {
            let sum = &mut sums[at];
            let next = match op {
                "ReduceSum" => sum.checked_add(*value),
                "ReduceProd" => sum.checked_mul(*value),
                "ReduceMax" => Some(*value.max(sum)),
                _ => Some(*value.min(sum)),
            };
            *sum = next.ok_or("its integers can't be computed")?;
        }
        Ok(self.array(shape, Data::I64(Arc::new(sums))))
    }

    /// A shape given as integers.
    pub(super) fn shape_from(values: &[i64]) -> Result<Vec<usize>, String> {
        if values.len() > data::MOST_DIMENSIONS {
            return Err("it has too many dimensions".into());
        }
        Self::lengths_from(values)
    }

    /// Lengths given as integers.
    pub(super) fn lengths_from(values: &[i64]) -> Result<Vec<usize>, String> {
        let sides = values.iter().map(|side| usize::try_from(*side).ok());
        sides
            .collect::<Option<_>>()
            .ok_or_else(|| format!("{values:?} is not a shape"))
    }
}

fn pair(inputs: &[Data]) -> Result<(&Data, &Data), String> {
    match inputs {
        [a, b] => Ok((a, b)),
        _ => Err("it needs two inputs".into()),
    }
}
