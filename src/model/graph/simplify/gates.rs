//! Activations of the form `x·gate(x)` that files write as several operators.

use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_PI};

use crate::model::graph::simplify::Pass;
use crate::model::graph::{Binary, Node, Op, Unary, ValueId};

/// How far a constant may be from the exact one: the rounding of single precision.
const ROUNDING: f32 = 1e-6;

/// How many products may be nested.
const DEEPEST: usize = 4;

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= ROUNDING * b.abs()
}

impl Pass {
    /// The activation that a product is, if it is one.
    pub(super) fn gate(&self, node: &Node) -> Option<(Op, Vec<ValueId>)> {
        let mut scale = 1.0;
        let mut factors = Vec::new();
        self.factors(node, &mut scale, &mut factors, DEEPEST);
        let &[a, b] = &factors[..] else {
            return None;
        };
        let found = self
            .activation(a, b, scale)
            .map(|function| (function, a))
            .or_else(|| self.activation(b, a, scale).map(|function| (function, b)));
        let (function, x) = found?;
        (self.shape(x) == self.shape(node.output)).then(|| (Op::Unary(function), vec![x]))
    }

    /// Takes a product apart into a number and values.
    fn factors(&self, node: &Node, scale: &mut f32, into: &mut Vec<ValueId>, depth: usize) {
        let divided = node.op == Op::Binary(Binary::Div);
        if divided && self.number(node.inputs[1]).is_none() {
            into.push(node.output);
            return;
        }
        for (index, input) in node.inputs.iter().enumerate() {
            if let Some(number) = self.number(*input) {
                if divided && index == 1 {
                    *scale /= number;
                } else {
                    *scale *= number;
                }
                continue;
            }
            match self.producer(*input) {
                Some(inner)
                    if depth > 0 && matches!(inner.op, Op::Binary(Binary::Mul | Binary::Div)) =>
                {
                    self.factors(inner, scale, into, depth - 1);
                }
                _ => into.push(*input),
            }
        }
    }

    /// The function `scale·x·gate`, if the gate is one of `x`.
    fn activation(&self, x: ValueId, gate: ValueId, scale: f32) -> Option<Unary> {
        let gate = self.producer(gate)?;
        let whole = close(scale, 1.0);
        match gate.op {
            Op::Unary(Unary::Sigmoid) if whole && gate.inputs[0] == x => Some(Unary::Silu),
            Op::Unary(Unary::HardSigmoid(alpha, beta))
                if whole && gate.inputs[0] == x && close(alpha, 1.0 / 6.0) && close(beta, 0.5) =>
            {
                Some(Unary::HardSwish)
            }
            Op::Unary(Unary::Clip(low, high))
                if low == 0.0 && high == 6.0 && close(scale, 1.0 / 6.0) =>
            {
                let (inner, number) = self.plus(gate.inputs[0])?;
                (inner == x && close(number, 3.0)).then_some(Unary::HardSwish)
            }
            Op::Unary(Unary::Tanh) if whole => {
                let inner = self.producer(gate.inputs[0])?;
                let softplus = inner.op == Op::Unary(Unary::Softplus) && inner.inputs[0] == x;
                softplus.then_some(Unary::Mish)
            }
            Op::Binary(Binary::Add) if close(scale, 0.5) => {
                let (inner, number) = self.plus(gate.output)?;
                let function = self.producer(inner).filter(|_| close(number, 1.0))?;
                let argument = function.inputs[0];
                match function.op {
                    Op::Unary(Unary::Erf) => {
                        let (inner, factor) = self.times(argument)?;
                        (inner == x && close(factor, FRAC_1_SQRT_2)).then_some(Unary::Gelu)
                    }
                    Op::Unary(Unary::Tanh) => self
                        .is_tanh_argument(argument, x)
                        .then_some(Unary::GeluTanh),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// `√(2/π)·(x + 0.044715·x³)`.
    fn is_tanh_argument(&self, id: ValueId, x: ValueId) -> bool {
        let cubic = || {
            let (sum, factor) = self.times(id)?;
            let sum = self.producer(sum)?;
            let other = match &sum.inputs[..] {
                [a, b] if sum.op == Op::Binary(Binary::Add) && *a == x => *b,
                [a, b] if sum.op == Op::Binary(Binary::Add) && *b == x => *a,
                _ => return None,
            };
            let (cube, small) = self.times(other)?;
            let cube = self.producer(cube)?;
            let power = cube.op == Op::Binary(Binary::Pow)
                && cube.inputs[0] == x
                && self.number(cube.inputs[1]) == Some(3.0);
            Some(power && close(factor, FRAC_2_PI.sqrt()) && close(small, 0.044_715))
        };
        cubic() == Some(true)
    }

    /// A value plus a number.
    pub(super) fn plus(&self, id: ValueId) -> Option<(ValueId, f32)> {
        let node = self.producer(id)?;
        match (&node.op, &node.inputs[..]) {
            (Op::Binary(Binary::Add), [a, b]) => self
                .number(*b)
                .map(|number| (*a, number))
                .or_else(|| self.number(*a).map(|number| (*b, number))),
            _ => None,
        }
    }

    /// A value times a number.
    fn times(&self, id: ValueId) -> Option<(ValueId, f32)> {
        let node = self.producer(id)?;
        match (&node.op, &node.inputs[..]) {
            (Op::Binary(Binary::Mul), [a, b]) => self
                .number(*b)
                .map(|number| (*a, number))
                .or_else(|| self.number(*a).map(|number| (*b, number))),
            (Op::Binary(Binary::Div), [a, b]) => self.number(*b).map(|number| (*a, 1.0 / number)),
            _ => None,
        }
    }

    /// A constant with one value.
    pub(super) fn number(&self, id: ValueId) -> Option<f32> {
        match self.values[id.index()].constant.as_ref()?.0[..] {
            [number] => Some(number),
            _ => None,
        }
    }
}
