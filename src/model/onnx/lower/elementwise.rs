//! Functions of single values, and of two or more with broadcasting.

use crate::model::graph::{Binary, Op, Unary};
use crate::model::onnx::array::{Array, Data, Value};
use crate::model::onnx::lower::{Call, Lower};

/// Functions of one value, by ONNX's name.
fn unary(call: &Call<'_>) -> Option<Unary> {
    let float = |name: &str, default: f32| call.node.float(name).unwrap_or(default);
    Some(match call.node.op.as_str() {
        "Relu" => Unary::Relu,
        "LeakyRelu" => Unary::LeakyRelu(float("alpha", 0.01)),
        "Elu" => Unary::Elu(float("alpha", 1.0)),
        "Selu" => Unary::Selu(float("alpha", 1.673_263_2), float("gamma", 1.050_701)),
        "Sigmoid" => Unary::Sigmoid,
        "Tanh" => Unary::Tanh,
        "HardSigmoid" => Unary::HardSigmoid(float("alpha", 0.2), float("beta", 0.5)),
        "HardSwish" => Unary::HardSwish,
        "Gelu" if call.node.string("approximate") == Some("tanh") => Unary::GeluTanh,
        "Gelu" => Unary::Gelu,
        "Mish" => Unary::Mish,
        "Softplus" => Unary::Softplus,
        "Softsign" => Unary::Softsign,
        "Erf" => Unary::Erf,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Sqrt" => Unary::Sqrt,
        "Reciprocal" => Unary::Reciprocal,
        "Abs" => Unary::Abs,
        "Neg" => Unary::Neg,
        "Sin" => Unary::Sin,
        "Cos" => Unary::Cos,
        "Floor" => Unary::Floor,
        "Ceil" => Unary::Ceil,
        "Round" => Unary::Round,
        "Sign" => Unary::Sign,
        _ => return None,
    })
}

/// Functions of two values, by ONNX's name.
fn binary(name: &str) -> Option<Binary> {
    Some(match name {
        "Add" | "Sum" | "Mean" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Pow" => Binary::Pow,
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        "PRelu" => Binary::PRelu,
        _ => return None,
    })
}

impl Lower<'_> {
    pub(super) fn elementwise(&mut self, call: &Call<'_>) -> Result<Value, String> {
        if let Some(function) = unary(call) {
            let x = call.input(0)?;
            return self.emit(call.name, Op::Unary(function), &[x]);
        }
        let name = call.node.op.as_str();
        if let Some(function) = binary(name) {
            return self.several(call, function);
        }
        match name {
            "Clip" => self.clip(call),
            "Swish" => self.swish(call),
            "Celu" => self.celu(call),
            "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "Not" | "And"
            | "Or" | "Xor" | "IsNaN" | "IsInf" | "NonZero" | "Range" | "ScatterND" | "Mod"
            | "ArgMax" | "ArgMin" | "TopK" => {
                Err("what it does depends on the photo's content".into())
            }
            _ => Err("it is not supported".into()),
        }
    }

    /// Adds, multiplies, … two or more inputs.
    fn several(&mut self, call: &Call<'_>, function: Binary) -> Result<Value, String> {
        let count = call.node.inputs.len();
        let mut total = call.input(0)?;
        let exactly_two = !matches!(call.node.op.as_str(), "Sum" | "Mean" | "Max" | "Min");
        if exactly_two && count != 2 {
            return Err(format!("it has {count} inputs"));
        }
        if count == 1 {
            return Ok(total);
        }
        let mean = call.node.op == "Mean";
        for index in 1..count {
            let last = index + 1 == count && !mean;
            let name = if last {
                call.name.to_owned()
            } else {
                call.part(&format!("sum {index}"))
            };
            let mut other = call.input(index)?;
            // `Pow` may have an exponent of integers.
            if let Value::Constant(array) = &mut other
                && function == Binary::Pow
                && !array.data.is_float()
            {
                array.data = Data::F32(array.data.to_f32());
            }
            if let Some(first) = call.node.int("axis").filter(|_| call.opset < 7) {
                other = self.broadcast_from(call, &total, other, first)?;
            }
            total = self.emit(&name, Op::Binary(function), &[total, other])?;
        }
        if mean {
            let scale = 1.0 / count as f32;
            let scale = Value::Constant(Array::scalar("", scale));
            total = self.emit(call.name, Op::Binary(Binary::Mul), &[total, scale])?;
        }
        Ok(total)
    }

    /// The broadcasting of opset 6 and before: the second input's axes begin at `first`.
    fn broadcast_from(
        &mut self,
        call: &Call<'_>,
        x: &Value,
        other: Value,
        first: i64,
    ) -> Result<Value, String> {
        let rank = self.shape(x).len();
        let first = super::axis(first, rank)?;
        let mut shape = self.shape(&other).to_vec();
        if first + shape.len() > rank {
            return Err("its axis does not fit".into());
        }
        shape.resize(rank - first, 1);
        self.reshape(&call.part("operand"), other, &shape)
    }

    fn clip(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let mut limits = [f32::NEG_INFINITY, f32::INFINITY];
        let mut dynamic = [None, None];
        for (index, attribute) in ["min", "max"].iter().enumerate() {
            #[allow(clippy::cast_possible_truncation)] // rounding is what is meant
            match call.optional(index + 1) {
                Some(Value::Constant(limit)) => limits[index] = limit.single()? as f32,
                Some(limit) => dynamic[index] = Some(limit.clone()),
                None => {
                    if let Some(limit) = call.node.float(attribute) {
                        limits[index] = limit;
                    }
                }
            }
        }
        if let [None, None] = dynamic {
            if let Value::Constant(array) = &x
                && let Data::I64(values) = &array.data
            {
                return Ok(Value::Constant(clip_integers(array, values, limits)));
            }
            if limits[0] > limits[1] {
                limits[0] = limits[1];
            }
            return self.emit(
                call.name,
                Op::Unary(Unary::Clip(limits[0], limits[1])),
                &[x],
            );
        }
        let limit = |index: usize| {
            let constant = Value::Constant(Array::scalar("", limits[index]));
            dynamic[index].clone().unwrap_or(constant)
        };
        let above = Op::Binary(Binary::Max);
        let above = self.emit(&call.part("above"), above, &[x, limit(0)])?;
        self.emit(call.name, Op::Binary(Binary::Min), &[above, limit(1)])
    }

    fn swish(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        match call.node.float("alpha").unwrap_or(1.0) {
            1.0 => self.emit(call.name, Op::Unary(Unary::Silu), &[x]),
            alpha => {
                let alpha = Value::Constant(Array::scalar("", alpha));
                let scaled = Op::Binary(Binary::Mul);
                let scaled = self.emit(&call.part("scaled"), scaled, &[x.clone(), alpha])?;
                let gate = Op::Unary(Unary::Sigmoid);
                let gate = self.emit(&call.part("gate"), gate, &[scaled])?;
                self.emit(call.name, Op::Binary(Binary::Mul), &[x, gate])
            }
        }
    }

    fn celu(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let alpha = call.node.float("alpha").unwrap_or(1.0);
        let alpha = || Value::Constant(Array::scalar("", alpha));
        let scaled = self.emit(&call.part("scaled"), Op::Binary(Binary::Div), &[x, alpha()])?;
        let elu = Op::Unary(Unary::Elu(1.0));
        let elu = self.emit(&call.part("elu"), elu, &[scaled])?;
        self.emit(call.name, Op::Binary(Binary::Mul), &[elu, alpha()])
    }

    /// What changes nothing here.
    #[allow(clippy::unused_self)] // like the other operators
    pub(super) fn identity(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let kind = match call.node.op.as_str() {
            "Cast" => call.node.int("to").unwrap_or(1),
            _ => 1,
        };
        if let Value::Dynamic(_) = x
            && !matches!(kind, 1 | 10 | 11 | 16)
        {
            return Err("it turns values that depend on the photo into integers".into());
        }
        if call.node.op == "Dropout"
            && let Some(training) = call.known(2)?
            && training.data.to_bool().contains(&true)
        {
            return Err("it is a dropout in training mode: export the model in eval mode".into());
        }
        Ok(x)
    }
}

#[allow(clippy::cast_possible_truncation)] // saturates
fn clip_integers(array: &Array, values: &[i64], [low, high]: [f32; 2]) -> Array {
    let (low, high) = (low as i64, high as i64);
    let limited = values.iter().map(|value| (*value).max(low).min(high));
    Array {
        data: Data::I64(std::sync::Arc::new(limited.collect())),
        ..array.clone()
    }
}
