//! Matrix products and attention.

use crate::model::graph::{Binary, Op};
use crate::model::onnx::array::{Array, Value};
use crate::model::onnx::lower::{Call, Lower};

impl Lower<'_> {
    pub(super) fn mat_mul(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let (a, b) = (call.input(0)?, call.input(1)?);
        self.product(call, call.name, a, b)
    }

    /// `numpy.matmul`, as a linear layer if the second one is a constant matrix.
    fn product(
        &mut self,
        call: &Call<'_>,
        name: &str,
        a: Value,
        b: Value,
    ) -> Result<Value, String> {
        let (a_rank, b_rank) = (self.shape(&a).len(), self.shape(&b).len());
        if a_rank == 0 || b_rank == 0 {
            return Err("it needs vectors or matrices".into());
        }
        if let (Value::Dynamic(_), Value::Constant(_)) = (&a, &b)
            && b_rank == 2
        {
            let turn = Op::Transpose { perm: vec![1, 0] };
            let weight = self.emit(&call.part("transposed weight"), turn, &[b])?;
            return self.emit(name, Op::Linear, &[a, weight]);
        }
        // A vector becomes a matrix of one row or one column, which disappears again.
        let (mut a, mut b) = (a, b);
        if a_rank == 1 {
            let side = self.shape(&a)[0];
            a = self.reshape(&call.part("row"), a, &[1, side])?;
        }
        if b_rank == 1 {
            let side = self.shape(&b)[0];
            b = self.reshape(&call.part("column"), b, &[side, 1])?;
        }
        if a_rank > 1 && b_rank > 1 {
            return self.emit(name, Op::MatMul, &[a, b]);
        }
        let product = self.emit(&call.part("product"), Op::MatMul, &[a, b])?;
        let mut shape = self.shape(&product).to_vec();
        if b_rank == 1 {
            shape.pop();
        }
        if a_rank == 1 {
            shape.remove(shape.len() - usize::from(b_rank > 1) - 1);
        }
        self.reshape(name, product, &shape)
    }

    /// `alpha·A'·B' + beta·C`.
    pub(super) fn gemm(&mut self, call: &Call<'_>) -> Result<Value, String> {
        let flag = |name: &str| call.node.int(name).unwrap_or(0) != 0;
        let (mut a, mut b) = (call.input(0)?, call.input(1)?);
        let (shape_a, shape_b) = (self.shape(&a).to_vec(), self.shape(&b).to_vec());
        if shape_a.len() != 2 || shape_b.len() != 2 {
            return Err(format!(
                "it needs matrices, not {shape_a:?} and {shape_b:?}"
            ));
        }
        let turn = || Op::Transpose { perm: vec![1, 0] };
        if flag("transA") {
            a = self.emit(&call.part("transposed"), turn(), &[a])?;
        }
        let alpha = call.node.float("alpha").unwrap_or(1.0);
        let beta = call.node.float("beta").unwrap_or(1.0);
        let constant = matches!(b, Value::Constant(_));
        if constant {
            // A weight `[M, K]`.
            if !flag("transB") {
                b = self.emit(&call.part("transposed weight"), turn(), &[b])?;
            }
            b = self.scaled(&call.part("scaled weight"), b, alpha)?;
        } else if flag("transB") {
            b = self.emit(&call.part("transposed weight"), turn(), &[b])?;
        }
        let outputs = self.shape(&b)[usize::from(!constant)];
        let bias = match call.optional(2).filter(|_| beta != 0.0) {
            Some(bias) => Some(self.scaled(&call.part("scaled bias"), bias.clone(), beta)?),
            None => None,
        };
        // A bias with one value for each column, or one for all.
        let rows = self.shape(&a)[0];
        if let Some(bias @ Value::Constant(array)) = &bias
            && constant
        {
            let [.., last] = array.shape[..] else {
                let bias = self.reshape(&call.part("bias"), bias.clone(), &[1])?;
                let bias = self.expand(&call.part("bias of each"), bias, &[outputs])?;
                return self.emit(call.name, Op::Linear, &[a, b, bias]);
            };
            if array.data.len() == last && (last == outputs || last == 1) {
                let bias = self.reshape(&call.part("bias"), bias.clone(), &[last])?;
                let bias = self.expand(&call.part("bias of each"), bias, &[outputs])?;
                return self.emit(call.name, Op::Linear, &[a, b, bias]);
            }
        }
        let name = if bias.is_some() {
            call.part("product")
        } else {
            call.name.to_owned()
        };
        let mut y = if constant {
            self.emit(&name, Op::Linear, &[a, b])?
        } else {
            let y = self.emit(&call.part("plain product"), Op::MatMul, &[a, b])?;
            self.scaled(&call.part("scaled product"), y, alpha)?
        };
        if let Some(bias) = bias {
            y = self.emit(call.name, Op::Binary(Binary::Add), &[y, bias])?;
        }
        if self.shape(&y) != [rows, outputs] {
            return Err("its bias does not fit".into());
        }
        Ok(y)
    }

    /// A value times a number.
    pub(super) fn scaled(&mut self, name: &str, x: Value, factor: f32) -> Result<Value, String> {
        if factor.to_bits() == 1.0f32.to_bits() {
            return Ok(x);
        }
        let factor = Value::Constant(Array::scalar("", factor));
        self.emit(name, Op::Binary(Binary::Mul), &[x, factor])
    }

    /// Attention of opset 23: `softmax(scale·Q·Kᵀ + mask)·V`, inputs `[N, heads, tokens, size]` or
    /// `[N, tokens, heads·size]`.
    pub(super) fn attention(&mut self, call: &Call<'_>) -> Result<Value, String> {
        call.outputs_at_most(1)?;
        let node = call.node;
        let plain = node.int("is_causal").unwrap_or(0) == 0
            && node.float("softcap").unwrap_or(0.0) == 0.0
            && call.optional(4).is_none()
            && call.optional(5).is_none()
            && call.optional(6).is_none();
        if !plain {
            return Err("its variant (causal, with past or soft cap) is not supported".into());
        }
        let mut parts = Vec::with_capacity(3);
        for (index, heads) in ["q_num_heads", "kv_num_heads", "kv_num_heads"]
            .iter()
            .enumerate()
        {
            let mut x = call.input(index)?;
            let shape = self.shape(&x).to_vec();
            if let [n, tokens, width] = shape[..] {
                let heads = node
                    .int(heads)
                    .and_then(|heads| usize::try_from(heads).ok());
                let heads = heads
                    .filter(|heads| *heads > 0 && width.is_multiple_of(*heads))
                    .ok_or("its number of heads does not fit")?;
                let split = [n, tokens, heads, width / heads];
                x = self.reshape(&call.part(&format!("heads {index}")), x, &split)?;
                let perm = vec![0, 2, 1, 3];
                let name = call.part(&format!("by head {index}"));
                x = self.emit(&name, Op::Transpose { perm }, &[x])?;
            } else if shape.len() != 4 {
                return Err(format!("its input {shape:?} is not supported"));
            }
            parts.push(x);
        }
        let [q, k, v] = <[Value; 3]>::try_from(parts).map_err(|_| "it needs three inputs")?;
        let (q_shape, k_shape) = (self.shape(&q).to_vec(), self.shape(&k).to_vec());
        if q_shape[1] != k_shape[1] {
            return Err("its queries and keys have different heads, which is not supported".into());
        }
        let default = 1.0 / (q_shape[3] as f32).sqrt();
        let scale = node.float("scale").unwrap_or(default);
        let perm = vec![0, 1, 3, 2];
        let k = self.emit(&call.part("turned keys"), Op::Transpose { perm }, &[k])?;
        let scores = self.product(call, &call.part("scores"), q, k)?;
        let mut scores = self.scaled(&call.part("scaled scores"), scores, scale)?;
        if let Some(mask) = call.optional(3) {
            if let Value::Constant(array) = mask
                && !array.data.is_float()
            {
                return Err("its mask of truth values is not supported".into());
            }
            let add = Op::Binary(Binary::Add);
            scores = self.emit(&call.part("masked scores"), add, &[scores, mask.clone()])?;
        }
        let weights = Op::Softmax { axis: 3 };
        let weights = self.emit(&call.part("weights"), weights, &[scores])?;
        let three = call.optional(0).is_some_and(|q| self.shape(q).len() == 3);
        if !three {
            return self.product(call, call.name, weights, v);
        }
        let y = self.product(call, &call.part("mixed"), weights, v)?;
        let perm = vec![0, 2, 1, 3];
        let y = self.emit(&call.part("by token"), Op::Transpose { perm }, &[y])?;
        let &[n, tokens, heads, size] = self.shape(&y) else {
            return Err("its inputs do not fit".into());
        };
        self.reshape(call.name, y, &[n, tokens, heads * size])
    }
}
