//! Sums, means and extremes over axes.

use crate::model::graph::{Binary, Op, ReduceKind, Unary};
use crate::model::onnx::array::Value;
use crate::model::onnx::lower::{Call, Lower, axes};

impl Lower<'_> {
    pub(super) fn reduce(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let mut x = call.input(0)?;
        let rank = self.shape(&x).len();
        let over = match call.ints(1, "axes")?.filter(|axes| !axes.is_empty()) {
            Some(given) => axes(&given, rank)?,
            None if call.node.int("noop_with_empty_axes") == Some(1) => Vec::new(),
            None => (0..rank).collect(),
        };
        let name = call.node.op.as_str();
        let before = match name {
            "ReduceL1" => Some(Op::Unary(Unary::Abs)),
            "ReduceSumSquare" => Some(Op::Binary(Binary::Mul)),
            "ReduceLogSumExp" => Some(Op::Unary(Unary::Exp)),
            _ => None,
        };
        let kind = match name {
            "ReduceMean" => ReduceKind::Mean,
            "ReduceSum" | "ReduceL1" | "ReduceSumSquare" | "ReduceLogSum" | "ReduceLogSumExp" => {
                ReduceKind::Sum
            }
            "ReduceMax" => ReduceKind::Max,
            "ReduceMin" => ReduceKind::Min,
            "ReduceL2" => ReduceKind::L2,
            _ => return Err("it is not supported".into()),
        };
        let logarithm = matches!(name, "ReduceLogSum" | "ReduceLogSumExp");
        if let Some(before) = before {
            let inputs = vec![x; before.arity().0];
            x = self.emit(&call.part("terms"), before, &inputs)?;
        }
        if over.is_empty() && kind != ReduceKind::L2 && !logarithm {
            return Ok(x);
        }
        let op = Op::Reduce {
            kind,
            axes: over,
            keep_dims: call.node.int("keepdims") != Some(0),
        };
        if logarithm {
            let sum = self.emit(&call.part("sum"), op, &[x])?;
            return self.emit(call.name, Op::Unary(Unary::Log), &[sum]);
        }
        self.emit(call.name, op, &[x])
    }
}
