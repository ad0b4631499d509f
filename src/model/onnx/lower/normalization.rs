//! Normalizations and softmax.

use crate::model::graph::{Binary, Op, ReduceKind, Unary};
use crate::model::onnx::array::{Array, Value};
use crate::model::onnx::lower::{Call, Lower, axes, axis};

impl Lower<'_> {
    pub(super) fn batch_norm(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let eps = call.node.float("epsilon").unwrap_or(1e-5);
        let training = call.node.int("training_mode") == Some(1)
            || (call.opset < 14
                && call
                    .node
                    .outputs
                    .iter()
                    .skip(1)
                    .any(|name| !name.is_empty()));
        if training {
            let Value::Constant(_) = x else {
                return Err("it is in training mode: export the model in eval mode".into());
            };
            return self.batch_norm_of_weights(call, x, eps);
        }
        if call.node.int("spatial") == Some(0) {
            return Err("its old form (spatial = 0) is not supported".into());
        }
        let mut inputs = vec![x];
        for index in 1..5 {
            let parameter = call.known(index)?.ok_or("a parameter is missing")?;
            inputs.push(Value::Constant(parameter.clone()));
        }
        self.emit(call.name, Op::BatchNorm { eps }, &inputs)
    }

    /// By the mean and variance of a constant itself: weights that are standardized in the graph.
    fn batch_norm_of_weights(
        &mut self,
        call: &Call<'_>,
        x: Value,
        eps: f32,
    ) -> Result<Value, String> {
        let shape = self.shape(&x).to_vec();
        if shape.len() < 2 {
            return Err("it needs channels".into());
        }
        let others: Vec<usize> = (0..shape.len()).filter(|axis| *axis != 1).collect();
        let normal = self.standardized(call, x, &others, eps)?;
        let mut channel = vec![1; shape.len()];
        channel[1] = shape[1];
        let weight = self.reshape(&call.part("weight"), call.input(1)?, &channel)?;
        let bias = self.reshape(&call.part("bias"), call.input(2)?, &channel)?;
        let scaled = Op::Binary(Binary::Mul);
        let scaled = self.emit(&call.part("scaled"), scaled, &[normal, weight])?;
        self.emit(call.name, Op::Binary(Binary::Add), &[scaled, bias])
    }

    /// `(x − mean) / √(variance + eps)` over some axes.
    fn standardized(
        &mut self,
        call: &Call<'_>,
        x: Value,
        axes: &[usize],
        eps: f32,
    ) -> Result<Value, String> {
        let [_, deviation, centered] = self.statistics(call, x, axes, eps)?;
        let quotient = Op::Binary(Binary::Div);
        self.emit(&call.part("normal"), quotient, &[centered, deviation])
    }

    /// The mean over some axes, `√(variance + eps)`, and `x − mean`.
    fn statistics(
        &mut self,
        call: &Call<'_>,
        x: Value,
        axes: &[usize],
        eps: f32,
    ) -> Result<[Value; 3], String> {
        let mean = || Op::Reduce {
            kind: ReduceKind::Mean,
            axes: axes.to_vec(),
            keep_dims: true,
        };
        let average = self.emit(&call.part("mean"), mean(), std::slice::from_ref(&x))?;
        let centered = Op::Binary(Binary::Sub);
        let both = [x, average.clone()];
        let centered = self.emit(&call.part("centered"), centered, &both)?;
        let square = [centered.clone(), centered.clone()];
        let square = self.emit(&call.part("square"), Op::Binary(Binary::Mul), &square)?;
        let variance = self.emit(&call.part("variance"), mean(), &[square])?;
        let eps = Value::Constant(Array::scalar("", eps));
        let variance = [variance, eps];
        let variance = self.emit(&call.part("with eps"), Op::Binary(Binary::Add), &variance)?;
        let deviation = self.emit(&call.part("deviation"), Op::Unary(Unary::Sqrt), &[variance])?;
        Ok([average, deviation, centered])
    }

    pub(super) fn layer_norm(&mut self, call: &Call<'_>) -> Result<Vec<Value>, String> {
        let mut outputs = vec![self.plain_layer_norm(call)?];
        let names = &call.node.outputs;
        if names.len() < 2 {
            return Ok(outputs);
        }
        // The mean and the inverse deviation; dropped again if nobody reads them.
        let x = call.input(0)?;
        let rank = self.shape(&x).len();
        let first = axis(call.node.int("axis").unwrap_or(-1), rank)?;
        let over: Vec<usize> = (first..rank).collect();
        let eps = call.node.float("epsilon").unwrap_or(1e-5);
        let [mean, deviation, _] = self.statistics(call, x, &over, eps)?;
        outputs.push(mean);
        let inverse = Op::Unary(Unary::Reciprocal);
        outputs.push(self.emit(&call.part("inverse deviation"), inverse, &[deviation])?);
        Ok(outputs)
    }

    fn plain_layer_norm(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let first = axis(call.node.int("axis").unwrap_or(-1), shape.len())?;
        let eps = call.node.float("epsilon").unwrap_or(1e-5);
        let op = Op::LayerNorm { axis: first, eps };
        let (weight, bias) = (call.input(1)?, call.optional(2).cloned());
        let part = shape[first..].to_vec();
        let constant =
            matches!(weight, Value::Constant(_)) && !matches!(bias, Some(Value::Dynamic(_)));
        let fits = self.shape(&weight).len() <= part.len();
        if constant && fits {
            let mut inputs = vec![x, self.expand(&call.part("weight"), weight, &part)?];
            if let Some(bias) = bias {
                inputs.push(self.expand(&call.part("bias"), bias, &part)?);
            }
            return self.emit(call.name, op, &inputs);
        }
        let normal = self.emit(&call.part("normal"), op, &[x])?;
        let name = if bias.is_some() {
            call.part("scaled")
        } else {
            call.name.to_owned()
        };
        let scaled = self.emit(&name, Op::Binary(Binary::Mul), &[normal, weight])?;
        match bias {
            Some(bias) => self.emit(call.name, Op::Binary(Binary::Add), &[scaled, bias]),
            None => Ok(scaled),
        }
    }

    /// `x / √(mean(x²) + eps)·weight`.
    pub(super) fn rms_norm(&mut self, call: &Call<'_>) -> Result<Value, String> {
        call.outputs_at_most(1)?;
        let x = call.input(0)?;
        let rank = self.shape(&x).len();
        let first = axis(call.node.int("axis").unwrap_or(-1), rank)?;
        let eps = call.node.float("epsilon").unwrap_or(1e-5);
        let square = [x.clone(), x.clone()];
        let square = self.emit(&call.part("square"), Op::Binary(Binary::Mul), &square)?;
        let mean = Op::Reduce {
            kind: ReduceKind::Mean,
            axes: (first..rank).collect(),
            keep_dims: true,
        };
        let mean = self.emit(&call.part("mean"), mean, &[square])?;
        let eps = Value::Constant(Array::scalar("", eps));
        let mean = self.emit(
            &call.part("with eps"),
            Op::Binary(Binary::Add),
            &[mean, eps],
        )?;
        let root = self.emit(&call.part("root"), Op::Unary(Unary::Sqrt), &[mean])?;
        let normal = self.emit(&call.part("normal"), Op::Binary(Binary::Div), &[x, root])?;
        let scaled = [normal, call.input(1)?];
        self.emit(call.name, Op::Binary(Binary::Mul), &scaled)
    }

    pub(super) fn group_norm(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let &[_, channels, ..] = &shape[..] else {
            return Err("it needs channels".into());
        };
        let eps = call.node.float("epsilon").unwrap_or(1e-5);
        let groups = match call.node.op.as_str() {
            "InstanceNormalization" => channels,
            _ => call
                .node
                .int("num_groups")
                .and_then(|groups| usize::try_from(groups).ok())
                .filter(|groups| *groups > 0 && channels.is_multiple_of(*groups))
                .ok_or("its groups do not fit")?,
        };
        let mut inputs = vec![x];
        for (index, what) in [(1, "weight"), (2, "bias")] {
            let parameter = call.known(index)?.ok_or("a parameter is missing")?.clone();
            let mut parameter = Value::Constant(parameter);
            // Until opset 20 there is one value for each group.
            if groups != channels && self.shape(&parameter) == [groups] {
                parameter = self.reshape(&call.part(what), parameter, &[groups, 1])?;
                let each = [groups, channels / groups];
                let name = call.part(&format!("{what} of each"));
                parameter = self.expand(&name, parameter, &each)?;
                parameter = self.reshape(&call.part("flat"), parameter, &[channels])?;
            }
            inputs.push(parameter);
        }
        self.emit(call.name, Op::GroupNorm { groups, eps }, &inputs)
    }

    pub(super) fn lrn(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let size = call
            .node
            .int("size")
            .and_then(|size| usize::try_from(size).ok());
        let float = |name: &str, default: f32| call.node.float(name).unwrap_or(default);
        let op = Op::Lrn {
            size: size.ok_or("it has no size")?,
            alpha: float("alpha", 1e-4),
            beta: float("beta", 0.75),
            bias: float("bias", 1.0),
        };
        self.emit(call.name, op, &[call.input(0)?])
    }

    pub(super) fn lp_norm(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let rank = self.shape(&x).len();
        let along = axis(call.node.int("axis").unwrap_or(-1), rank)?;
        let reduce = |kind| Op::Reduce {
            kind,
            axes: vec![along],
            keep_dims: true,
        };
        let norm = match call.node.int("p").unwrap_or(2) {
            2 => self.emit(
                &call.part("norm"),
                reduce(ReduceKind::L2),
                std::slice::from_ref(&x),
            )?,
            1 => {
                let size = Op::Unary(Unary::Abs);
                let size = self.emit(&call.part("size"), size, std::slice::from_ref(&x))?;
                self.emit(&call.part("norm"), reduce(ReduceKind::Sum), &[size])?
            }
            _ => return Err("its norm is not supported".into()),
        };
        self.emit(call.name, Op::Binary(Binary::Div), &[x, norm])
    }

    pub(super) fn mean_variance(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let rank = self.shape(&x).len();
        let given = call.node.ints("axes").unwrap_or(&[0, 2, 3]);
        let over = axes(given, rank)?;
        // ONNX's function adds 1e-9 to the deviation.
        let normal = self.standardized(call, x, &over, 0.0)?;
        Ok(normal)
    }

    pub(super) fn softmax(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let x = call.input(0)?;
        let shape = self.shape(&x).to_vec();
        let op = |axis: usize| match call.node.op.as_str() {
            "Softmax" => Op::Softmax { axis },
            _ => Op::LogSoftmax { axis },
        };
        let default = if call.opset < 13 { 1 } else { -1 };
        let along = axis(call.node.int("axis").unwrap_or(default), shape.len())?;
        // Until opset 12, all axes from this one on are one.
        let after = &shape[along + 1..];
        if call.opset >= 13 || after.iter().all(|side| *side == 1) {
            return self.emit(call.name, op(along), &[x]);
        }
        let rows = shape[..along].iter().product();
        let columns = shape[along..].iter().product();
        let flat = self.reshape(&call.part("flat"), x, &[rows, columns])?;
        let y = self.emit(&call.part("softmax"), op(1), &[flat])?;
        self.reshape(call.name, y, &shape)
    }
}
