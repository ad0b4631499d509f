//! Every operator and every fusion against the reference.

use std::sync::Arc;

use crate::model::cpu::{Cpu, Isa};
use crate::model::graph::fast::{Plan, WeightCache};
use crate::model::graph::reference::{self, Keep, Tensor};
use crate::model::graph::{
    Binary, Conv, Graph, GraphBuilder, Op, PadMode, Pool, ReduceKind, Unary, ValueId,
};

/// Numbers that look random, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn value(&mut self) -> f32 {
        (self.next() % 20_001) as f32 / 10_000.0 - 1.0
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.value()).collect()
    }
}

/// A graph under construction, with random weights.
struct Net {
    builder: GraphBuilder,
    random: Random,
    count: usize,
}

impl Net {
    fn new(shape: &[usize]) -> Self {
        Self {
            builder: GraphBuilder::new("input", shape),
            random: Random(shape.iter().product::<usize>() as u64),
            count: 0,
        }
    }

    fn input(&self) -> ValueId {
        self.builder.input()
    }

    fn weight(&mut self, shape: &[usize]) -> ValueId {
        let values = self.random.values(shape.iter().product());
        self.builder
            .constant("weight", shape, Arc::new(values))
            .unwrap()
    }

    fn scalar(&mut self, value: f32) -> ValueId {
        self.builder
            .constant("scalar", &[], Arc::new(vec![value]))
            .unwrap()
    }

    fn push(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        self.count += 1;
        let name = format!("node {}", self.count);
        self.builder.push(&name, op, inputs).unwrap()
    }

    fn unary(&mut self, unary: Unary, x: ValueId) -> ValueId {
        self.push(Op::Unary(unary), &[x])
    }

    fn binary(&mut self, binary: Binary, a: ValueId, b: ValueId) -> ValueId {
        self.push(Op::Binary(binary), &[a, b])
    }

    fn conv(&mut self, x: ValueId, cout: usize, kernel: [usize; 2], conv: Conv) -> ValueId {
        let cin = self.builder.shape(x)[1] / conv.groups;
        let weight = self.weight(&[cout, cin, kernel[0], kernel[1]]);
        let bias = self.weight(&[cout]);
        self.push(Op::Conv(conv), &[x, weight, bias])
    }

    fn batch_norm(&mut self, x: ValueId) -> ValueId {
        let channels = self.builder.shape(x)[1];
        let mut inputs = vec![x];
        inputs.extend([(); 3].map(|()| self.weight(&[channels])));
        let variance: Vec<f32> = self
            .random
            .values(channels)
            .iter()
            .map(|v| v.abs() + 0.2)
            .collect();
        inputs.push(
            self.builder
                .constant("variance", &[channels], Arc::new(variance))
                .unwrap(),
        );
        self.push(Op::BatchNorm { eps: 1e-5 }, &inputs)
    }

    fn linear(&mut self, x: ValueId, columns: usize) -> ValueId {
        let depth = *self.builder.shape(x).last().unwrap();
        let weight = self.weight(&[columns, depth]);
        let bias = self.weight(&[columns]);
        self.push(Op::Linear, &[x, weight, bias])
    }

    fn transpose(&mut self, x: ValueId, perm: &[usize]) -> ValueId {
        self.push(
            Op::Transpose {
                perm: perm.to_vec(),
            },
            &[x],
        )
    }

    fn reshape(&mut self, x: ValueId, shape: &[usize]) -> ValueId {
        self.push(
            Op::Reshape {
                shape: shape.to_vec(),
            },
            &[x],
        )
    }

    /// Compares the value with the reference, for all instructions and 1 and 4 threads.
    fn check(self, what: &str, out: ValueId) {
        let graph = self.builder.finish(vec![out]);
        check(what, &graph, &[out]);
    }
}

fn check(what: &str, graph: &Graph, keep: &[ValueId]) {
    let shape = graph.shape(graph.input);
    let pixels = Random(7).values(shape.iter().product());
    let channels = shape[1];
    let area = shape[2] * shape[3];
    let planar = (0..channels).flat_map(|c| pixels.iter().skip(c).step_by(channels).copied());
    let planar: Vec<f32> = planar.collect();
    assert_eq!(planar.len(), channels * area);
    let level = Isa::available()[0];
    let from = vec![(graph.input, Tensor::single(shape, Arc::new(planar)))];
    let expected = reference::run(graph, from, keep, Keep::All, level, &|| true).unwrap();
    let mut first: Option<Vec<Vec<f32>>> = None;
    for level in Isa::available() {
        for threads in [1, 4] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let found = pool.install(|| {
                let mut cache = WeightCache::default();
                let plan =
                    Plan::with_layout(graph, keep, false, &Cpu::new(level), &mut cache).unwrap();
                let _ = plan.run(&pixels).unwrap();
                let values = plan.run(&pixels).unwrap();
                keep.iter()
                    .map(|id| values.get(*id).unwrap())
                    .collect::<Vec<_>>()
            });
            for (id, found) in keep.iter().zip(&found) {
                let expected = expected.get(*id).unwrap().doubles();
                let largest = expected.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
                assert_eq!(found.len(), expected.len(), "{what}");
                for (at, (found, expected)) in found.iter().zip(expected.iter()).enumerate() {
                    let error = (f64::from(*found) - expected).abs();
                    assert!(
                        error <= 2e-5 * largest.max(1e-3) || (found.is_nan() && expected.is_nan()),
                        "{what}: {found} for {expected} at {at}, {} {threads}",
                        level.name()
                    );
                }
            }
            if level.name() != "portable" {
                let bits = |values: &[Vec<f32>]| -> Vec<u32> {
                    values
                        .iter()
                        .flatten()
                        .map(|value| value.to_bits())
                        .collect()
                };
                let same = first
                    .as_ref()
                    .is_none_or(|first| bits(first) == bits(&found));
                assert!(
                    same,
                    "{what}: other bits with {} and {threads}",
                    level.name()
                );
                first = first.or(Some(found));
            }
        }
    }
}

#[test]
fn convolutions_of_any_kind() {
    let conv = |strides, pads, dilations, groups| Conv {
        strides,
        pads,
        dilations,
        groups,
    };
    let plain = |groups| conv([1, 1], [1; 4], [1, 1], groups);
    // Channels, size, output channels, kernel.
    let cases = [
        ((3, 9, 11), 20, [3, 3], conv([2, 2], [1; 4], [1, 1], 1)),
        (
            (3, 9, 11),
            20,
            [5, 3],
            conv([2, 1], [0, 1, 2, 3], [1, 1], 1),
        ),
        ((3, 12, 12), 16, [3, 3], conv([1, 1], [2; 4], [2, 2], 1)),
        ((20, 9, 11), 33, [3, 3], plain(1)),
        ((16, 9, 11), 32, [3, 3], plain(1)),
        (
            (16, 8, 8),
            32,
            [3, 3],
            conv([1, 1], [0, 2, 1, 3], [1, 1], 1),
        ),
        ((160, 5, 6), 128, [3, 3], plain(1)),
        (
            (20, 9, 11),
            17,
            [1, 7],
            conv([1, 1], [0, 3, 0, 3], [1, 1], 1),
        ),
        (
            (20, 9, 11),
            17,
            [7, 1],
            conv([1, 1], [3, 0, 3, 0], [1, 1], 1),
        ),
        (
            (20, 9, 11),
            17,
            [3, 3],
            conv([2, 3], [3, 2, 1, 0], [2, 3], 1),
        ),
        ((20, 9, 11), 40, [1, 1], Conv::PLAIN),
        ((20, 9, 11), 40, [1, 1], conv([2, 2], [0; 4], [1, 1], 1)),
        ((20, 9, 11), 40, [1, 1], conv([1, 1], [1; 4], [1, 1], 1)),
        ((20, 1, 1), 40, [1, 1], Conv::PLAIN),
        ((70, 2, 2), 130, [1, 1], Conv::PLAIN),
        ((32, 9, 11), 32, [3, 3], plain(8)),
        ((48, 9, 11), 96, [3, 3], plain(2)),
        (
            (24, 9, 11),
            12,
            [3, 2],
            conv([2, 1], [1, 0, 2, 1], [1, 2], 3),
        ),
        ((6, 9, 11), 12, [3, 3], plain(6)),
        ((20, 9, 11), 20, [3, 3], plain(20)),
        ((7, 9, 11), 7, [3, 3], plain(7)),
        ((40, 9, 13), 40, [5, 5], conv([2, 2], [2; 4], [1, 1], 40)),
        (
            (40, 9, 13),
            40,
            [3, 5],
            conv([1, 2], [1, 2, 3, 4], [2, 1], 40),
        ),
        ((24, 14, 14), 24, [7, 7], conv([1, 1], [3; 4], [1, 1], 24)),
        ((20, 9, 13), 20, [3, 3], conv([1, 1], [2; 4], [2, 3], 20)),
    ];
    for ((channels, height, width), cout, kernel, conv) in cases {
        let mut net = Net::new(&[1, channels, height, width]);
        let out = net.conv(net.input(), cout, kernel, conv);
        net.check(
            &format!("{channels} {height}x{width} {cout} {kernel:?} {conv:?}"),
            out,
        );
        // With all that can follow.
        for unary in [
            Unary::Relu,
            Unary::Clip(0.0, 6.0),
            Unary::Silu,
            Unary::LeakyRelu(0.1),
        ] {
            let mut net = Net::new(&[1, channels, height, width]);
            let other = net.conv(net.input(), cout, kernel, conv);
            let other = net.unary(Unary::Tanh, other);
            let out = net.conv(net.input(), cout, kernel, conv);
            let out = net.batch_norm(out);
            let factors = net.weight(&[cout, 1, 1]);
            let out = net.binary(Binary::Mul, out, factors);
            let out = net.binary(Binary::Add, other, out);
            let out = net.unary(unary, out);
            net.check(
                &format!("{channels} {cout} {kernel:?} {conv:?} {unary:?}"),
                out,
            );
        }
    }
}

#[test]
fn kept_values_are_not_fused_away() {
    let mut net = Net::new(&[1, 16, 6, 6]);
    let conv = net.conv(net.input(), 32, [3, 3], Conv::new(1, 1, 1));
    let norm = net.batch_norm(conv);
    let sum = net.unary(Unary::Relu, norm);
    let sigmoid = net.unary(Unary::Sigmoid, sum);
    let out = net.binary(Binary::Mul, sum, sigmoid);
    let graph = net.builder.finish(vec![out]);
    check("kept", &graph, &[conv, norm, sigmoid, out, sum]);
    check("kept", &graph, &[norm, out]);
    check("kept", &graph, &[out, graph.input]);
}

#[test]
fn pooling_of_any_kind() {
    let windows = [
        Pool::new(3, 2, 1),
        Pool::new(2, 2, 0),
        Pool {
            kernel: [3, 2],
            strides: [2, 3],
            pads: [1, 0, 0, 1],
            dilations: [1, 1],
            ceil_mode: true,
        },
        Pool {
            ceil_mode: true,
            ..Pool::new(3, 2, 0)
        },
        Pool {
            dilations: [2, 3],
            ..Pool::new(3, 1, 1)
        },
    ];
    for pool in windows {
        let mut net = Net::new(&[1, 20, 10, 11]);
        let out = net.push(Op::MaxPool(pool), &[net.input()]);
        net.check(&format!("max {pool:?}"), out);
        let mut net = Net::new(&[1, 3, 21, 20]);
        let x = net.conv(net.input(), 24, [7, 7], Conv::new(2, 3, 1));
        let x = net.batch_norm(x);
        let x = net.unary(Unary::Relu, x);
        let out = net.push(Op::MaxPool(pool), &[x]);
        net.check(&format!("stem {pool:?}"), out);
        for count_include_pad in [false, true] {
            let mut net = Net::new(&[1, 20, 10, 11]);
            let op = Op::AveragePool {
                pool,
                count_include_pad,
            };
            let out = net.push(op, &[net.input()]);
            net.check(&format!("mean {pool:?} {count_include_pad}"), out);
        }
    }
    let mut net = Net::new(&[1, 20, 7, 7]);
    let op = Op::AveragePool {
        pool: Pool::new(7, 1, 0),
        count_include_pad: true,
    };
    let out = net.push(op, &[net.input()]);
    net.check("whole", out);
}

#[test]
fn functions_and_broadcasting() {
    let functions = [
        Unary::Relu,
        Unary::LeakyRelu(0.2),
        Unary::Elu(1.2),
        Unary::Selu(1.67, 1.05),
        Unary::Clip(-0.5, 0.3),
        Unary::Sigmoid,
        Unary::Tanh,
        Unary::HardSigmoid(0.2, 0.5),
        Unary::HardSwish,
        Unary::Silu,
        Unary::Gelu,
        Unary::GeluTanh,
        Unary::Mish,
        Unary::Softplus,
        Unary::Softsign,
        Unary::Erf,
        Unary::Exp,
        Unary::Abs,
        Unary::Neg,
        Unary::Sin,
        Unary::Round,
    ];
    for unary in functions {
        let mut net = Net::new(&[1, 5, 6, 7]);
        let out = net.unary(unary, net.input());
        net.check(&format!("{unary:?}"), out);
        let mut net = Net::new(&[1, 5, 6, 7]);
        let x = net.conv(net.input(), 19, [1, 1], Conv::PLAIN);
        let out = net.unary(unary, x);
        net.check(&format!("after {unary:?}"), out);
    }
    let shapes: [&[usize]; 8] = [
        &[],
        &[1],
        &[7],
        &[6, 1],
        &[5, 1, 1],
        &[1, 5, 6, 7],
        &[1, 5, 1, 1],
        &[2, 1, 6, 1],
    ];
    for shape in shapes {
        for binary in [
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Max,
            Binary::Min,
            Binary::PRelu,
        ] {
            for swapped in [false, true] {
                if binary == Binary::PRelu && (swapped || shape.len() == 4) {
                    continue;
                }
                let mut net = Net::new(&[1, 5, 6, 7]);
                let weight = net.weight(shape);
                let (a, b) = if swapped {
                    (weight, net.input())
                } else {
                    (net.input(), weight)
                };
                let out = net.binary(binary, a, b);
                net.check(&format!("{binary:?} {shape:?} {swapped}"), out);
            }
        }
    }
    // Both computed, in different orders.
    let mut net = Net::new(&[1, 5, 6, 6]);
    let x = net.transpose(net.input(), &[0, 1, 3, 2]);
    let out = net.binary(Binary::Add, x, net.input());
    let out = net.unary(Unary::Relu, out);
    net.check("transposed", out);
}

#[test]
fn gates_and_written_out_functions() {
    // Squeeze and excitation.
    let mut net = Net::new(&[1, 24, 6, 7]);
    let x = net.conv(net.input(), 24, [3, 3], Conv::new(1, 1, 24));
    let x = net.unary(Unary::Silu, x);
    let mean = Op::Reduce {
        kind: ReduceKind::Mean,
        axes: vec![2, 3],
        keep_dims: true,
    };
    let gate = net.push(mean, &[x]);
    let gate = net.conv(gate, 6, [1, 1], Conv::PLAIN);
    let gate = net.unary(Unary::Silu, gate);
    let gate = net.conv(gate, 24, [1, 1], Conv::PLAIN);
    let gate = net.unary(Unary::Sigmoid, gate);
    let x = net.binary(Binary::Mul, x, gate);
    let out = net.conv(x, 20, [1, 1], Conv::PLAIN);
    net.check("squeeze", out);

    let mut net = Net::new(&[1, 8, 6, 7]);
    let x = net.conv(net.input(), 24, [1, 1], Conv::PLAIN);
    let gate = net.unary(Unary::Sigmoid, x);
    let x = net.binary(Binary::Mul, x, gate);
    let three = net.scalar(3.0);
    let six = net.scalar(6.0);
    let plus = net.binary(Binary::Add, x, three);
    let clip = net.unary(Unary::Clip(0.0, 6.0), plus);
    let gate = net.binary(Binary::Div, clip, six);
    let x = net.binary(Binary::Mul, x, gate);
    let root = net.scalar(std::f32::consts::SQRT_2);
    let (one, half) = (net.scalar(1.0), net.scalar(0.5));
    let scaled = net.binary(Binary::Div, x, root);
    let erf = net.unary(Unary::Erf, scaled);
    let sum = net.binary(Binary::Add, erf, one);
    let product = net.binary(Binary::Mul, x, sum);
    let out = net.binary(Binary::Mul, product, half);
    net.check("written out", out);
}

#[test]
fn movement() {
    let mut net = Net::new(&[1, 12, 6, 6]);
    // A channel shuffle.
    let x = net.reshape(net.input(), &[1, 3, 4, 6, 6]);
    let x = net.transpose(x, &[0, 2, 1, 3, 4]);
    let x = net.reshape(x, &[1, 12, 6, 6]);
    // Windows of 3×3 pixels and back.
    let w = net.transpose(x, &[0, 2, 3, 1]);
    let w = net.reshape(w, &[1, 2, 3, 2, 3, 12]);
    let w = net.transpose(w, &[0, 1, 3, 2, 4, 5]);
    let w = net.reshape(w, &[4, 9, 12]);
    let w = net.linear(w, 20);
    let w = net.reshape(w, &[1, 2, 2, 3, 3, 20]);
    let w = net.transpose(w, &[0, 1, 3, 2, 4, 5]);
    let w = net.reshape(w, &[1, 6, 6, 20]);
    let w = net.transpose(w, &[0, 3, 1, 2]);
    let slice = |axis, start, step, length| Op::Slice {
        axis,
        start,
        step,
        length,
    };
    let a = net.push(slice(1, 2, 3, 5), &[w]);
    let b = net.push(slice(2, 5, -1, 6), &[x]);
    let joined = net.push(Op::Concat { axis: 1 }, &[a, b, w]);
    let x = net.batch_norm(joined);
    let x = net.unary(Unary::Relu, x);
    let gather = |axis, indices: &[usize], shape: &[usize]| Op::Gather {
        axis,
        indices: Arc::new(indices.to_vec()),
        shape: shape.to_vec(),
    };
    let first = net.push(gather(2, &[3], &[]), &[x]);
    let first = net.reshape(first, &[1, 37, 1, 6]);
    let some = net.push(gather(2, &[0, 5, 2], &[3]), &[x]);
    let x = net.push(Op::Concat { axis: 2 }, &[first, some, x]);
    let pad = |mode, before: [usize; 4], after: [usize; 4]| Op::Pad {
        before: before.to_vec(),
        after: after.to_vec(),
        mode,
    };
    let x = net.push(
        pad(PadMode::Constant(0.5), [0, 1, 2, 0], [0, 0, 1, 3]),
        &[x],
    );
    let x = net.push(pad(PadMode::Reflect, [0, 0, 1, 2], [0; 4]), &[x]);
    let x = net.push(
        pad(PadMode::Constant(0.0), [0, 0, 0, 1], [0, 0, 1, 2]),
        &[x],
    );
    let x = net.conv(x, 9, [3, 3], Conv::new(2, 0, 1));
    let flat: usize = net.builder.shape(x).iter().product();
    let x = net.reshape(x, &[1, flat]);
    let out = net.linear(x, 11);
    net.check("movement", out);
}

#[test]
fn attention() {
    let mut net = Net::new(&[1, 3, 16, 24]);
    let x = net.conv(net.input(), 32, [4, 4], Conv::new(4, 0, 1));
    let x = net.reshape(x, &[1, 32, 24]);
    let x = net.transpose(x, &[0, 2, 1]);
    let class = net.weight(&[1, 1, 32]);
    let class = net.push(
        Op::Expand {
            shape: vec![1, 1, 32],
        },
        &[class],
    );
    let x = net.push(Op::Concat { axis: 1 }, &[class, x]);
    let position = net.weight(&[1, 25, 32]);
    let x = net.binary(Binary::Add, x, position);
    let (weight, bias) = (net.weight(&[32]), net.weight(&[32]));
    let y = net.push(Op::LayerNorm { axis: 2, eps: 1e-6 }, &[x, weight, bias]);
    let qkv = net.linear(y, 96);
    let qkv = net.reshape(qkv, &[1, 25, 3, 4, 8]);
    let qkv = net.transpose(qkv, &[2, 0, 3, 1, 4]);
    let part = |at: usize| Op::Gather {
        axis: 0,
        indices: Arc::new(vec![at]),
        shape: Vec::new(),
    };
    let [q, k, v] = [0, 1, 2].map(|at| net.push(part(at), &[qkv]));
    let k = net.transpose(k, &[0, 1, 3, 2]);
    let scores = net.push(Op::MatMul, &[q, k]);
    let scale = net.scalar(0.35);
    let scores = net.binary(Binary::Mul, scores, scale);
    let table = net.weight(&[4, 25, 25]);
    let scores = net.binary(Binary::Add, scores, table);
    let scores = net.push(Op::Softmax { axis: 3 }, &[scores]);
    let y = net.push(Op::MatMul, &[scores, v]);
    let y = net.transpose(y, &[0, 2, 1, 3]);
    let y = net.reshape(y, &[1, 25, 32]);
    let y = net.linear(y, 32);
    let x = net.binary(Binary::Add, x, y);
    let y = net.linear(x, 70);
    let y = net.unary(Unary::Gelu, y);
    let y = net.linear(y, 32);
    let x = net.binary(Binary::Add, x, y);
    let matrix = net.weight(&[32, 18]);
    let all = net.push(Op::MatMul, &[x, matrix]);
    let first = net.push(
        Op::Gather {
            axis: 1,
            indices: Arc::new(vec![0]),
            shape: Vec::new(),
        },
        &[x],
    );
    let logits = net.linear(first, 10);
    let logits = net.push(Op::Softmax { axis: 1 }, &[logits]);
    let graph = net.builder.finish(vec![logits]);
    check("attention", &graph, &[x, all, logits]);
}

#[test]
fn a_block_of_convnext() {
    let mut net = Net::new(&[1, 24, 7, 9]);
    let x = net.unary(Unary::Tanh, net.input());
    let y = net.conv(x, 24, [7, 7], Conv::new(1, 3, 24));
    let y = net.transpose(y, &[0, 2, 3, 1]);
    let (weight, bias) = (net.weight(&[24]), net.weight(&[24]));
    let y = net.push(Op::LayerNorm { axis: 3, eps: 1e-6 }, &[y, weight, bias]);
    let y = net.linear(y, 96);
    let y = net.unary(Unary::Gelu, y);
    let y = net.linear(y, 24);
    let y = net.transpose(y, &[0, 3, 1, 2]);
    let factors = net.weight(&[24, 1, 1]);
    let y = net.binary(Binary::Mul, y, factors);
    let out = net.binary(Binary::Add, y, x);
    net.check("ConvNeXt", out);
}

#[test]
fn reductions_and_normalization() {
    for kind in [
        ReduceKind::Mean,
        ReduceKind::Sum,
        ReduceKind::Max,
        ReduceKind::Min,
        ReduceKind::L2,
    ] {
        for axes in [
            vec![2, 3],
            vec![1],
            vec![0],
            vec![1, 3],
            vec![0, 1, 2, 3],
            vec![3],
        ] {
            for keep_dims in [false, true] {
                let mut net = Net::new(&[1, 20, 19, 17]);
                let axes = axes.clone();
                let what = format!("{kind:?} {axes:?} {keep_dims}");
                let op = Op::Reduce {
                    kind,
                    axes,
                    keep_dims,
                };
                let out = net.push(op, &[net.input()]);
                net.check(&what, out);
            }
        }
    }
    let mut net = Net::new(&[1, 20, 6, 5]);
    let x = net.input();
    let norms = [1, 2, 3].map(|axis| {
        let shape = net.builder.shape(x)[axis..].to_vec();
        let (weight, bias) = (net.weight(&shape), net.weight(&shape));
        net.push(Op::LayerNorm { axis, eps: 1e-5 }, &[x, weight, bias])
    });
    let soft = [1, 2, 3].map(|axis| net.push(Op::Softmax { axis }, &[x]));
    let log = net.push(Op::LogSoftmax { axis: 1 }, &[x]);
    let (weight, bias) = (net.weight(&[20]), net.weight(&[20]));
    let group = net.push(
        Op::GroupNorm {
            groups: 4,
            eps: 1e-5,
        },
        &[x, weight, bias],
    );
    let lrn = Op::Lrn {
        size: 5,
        alpha: 0.1,
        beta: 0.75,
        bias: 1.0,
    };
    let lrn = net.push(lrn, &[x]);
    let taps = Arc::new(vec![
        vec![(0, 0.5), (1, 0.5)],
        vec![(3, 1.0)],
        vec![(2, 0.25), (5, 0.75)],
    ]);
    let resampled = net.push(Op::Resample { axis: 2, taps }, &[x]);
    let graph = net.builder.finish(vec![log]);
    let keep = [&norms[..], &soft, &[log, group, lrn, resampled]].concat();
    check("normalization", &graph, &keep);
}

#[test]
fn what_is_no_number_stays_so() {
    let mut net = Net::new(&[1, 3, 8, 8]);
    let x = net.conv(net.input(), 16, [3, 3], Conv::new(1, 1, 1));
    let x = net.unary(Unary::HardSwish, x);
    let x = net.conv(x, 16, [3, 3], Conv::new(1, 1, 16));
    let x = net.unary(Unary::Relu, x);
    let x = net.push(Op::MaxPool(Pool::new(2, 2, 0)), &[x]);
    let x = net.reshape(x, &[1, 16, 16]);
    let out = net.push(Op::Softmax { axis: 2 }, &[x]);
    let graph = net.builder.finish(vec![out]);
    let mut pixels = vec![0.5; 3 * 64];
    pixels[60] = f32::NAN;
    let cpu = Cpu::new(Isa::available()[0]);
    let plan = Plan::new(&graph, &[out], &cpu, &mut WeightCache::default()).unwrap();
    let values = plan.run(&pixels).unwrap().get(out).unwrap();
    assert!(values.iter().all(|value| value.is_nan()));
}

#[test]
fn inputs_with_channels_last() {
    let mut net = Net::new(&[1, 9, 8, 3]);
    let x = net.transpose(net.input(), &[0, 3, 1, 2]);
    let x = net.conv(x, 5, [3, 3], Conv::new(1, 1, 1));
    let out = net.transpose(x, &[0, 2, 3, 1]);
    let graph = net.builder.finish(vec![out]);
    let pixels = Random(3).values(9 * 8 * 3);
    let cpu = Cpu::new(Isa::available()[0]);
    let plan = Plan::new(&graph, &[out], &cpu, &mut WeightCache::default()).unwrap();
    assert!(plan.run(&pixels[1..]).is_err());
    let found = plan.run(&pixels).unwrap().get(out).unwrap();
    let from = vec![(graph.input, Tensor::single(&[1, 9, 8, 3], Arc::new(pixels)))];
    let level = Isa::available()[0];
    let expected = reference::run(&graph, from, &[out], Keep::All, level, &|| true).unwrap();
    let expected = expected.get(out).unwrap();
    for (found, expected) in found.iter().zip(expected.singles().iter()) {
        assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
    }
}
