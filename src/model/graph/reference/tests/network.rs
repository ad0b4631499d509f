//! Runs and gradients of a whole network.

use super::{Random, dot, level};
use crate::model::graph::reference::{Keep, Run, Tensor, Values, gradients, run};
use crate::model::graph::{
    Binary, Conv, Graph, GraphBuilder, Op, Pool, ReduceKind, Unary, ValueId,
};

/// A network of `Relu` with branches: conv, pool, residual, gate, concat, linear.
fn network(random: &mut Random) -> Graph {
    let mut graph = GraphBuilder::new("input", &[1, 3, 12, 12]);
    let mut weights = |graph: &mut GraphBuilder, shape: &[usize]| {
        let Values::Single(values) = random.weights(shape).values else {
            panic!("weights are in f32")
        };
        graph.constant("weight", shape, values).unwrap()
    };
    let relu = Op::Unary(Unary::Relu);
    let input = graph.input();
    let (w1, b1) = (
        weights(&mut graph, &[8, 3, 3, 3]),
        weights(&mut graph, &[8]),
    );
    let a = graph
        .push("a", Op::Conv(Conv::new(2, 1, 1)), &[input, w1, b1])
        .unwrap();
    let a = graph.push("ra", relu.clone(), &[a]).unwrap();
    let pooled = graph
        .push("pool", Op::MaxPool(Pool::new(3, 1, 1)), &[a])
        .unwrap();
    let (w2, b2) = (
        weights(&mut graph, &[8, 1, 3, 3]),
        weights(&mut graph, &[8]),
    );
    let b = graph
        .push("b", Op::Conv(Conv::new(1, 1, 8)), &[pooled, w2, b2])
        .unwrap();
    let b = graph.push("rb", relu.clone(), &[b]).unwrap();
    let sum = graph.push("sum", Op::Binary(Binary::Add), &[a, b]).unwrap();
    let both = graph
        .push("both", Op::Concat { axis: 1 }, &[sum, a])
        .unwrap();
    let mean = Op::Reduce {
        kind: ReduceKind::Mean,
        axes: vec![2, 3],
        keep_dims: false,
    };
    let mean = graph.push("mean", mean, &[both]).unwrap();
    let (w3, b3) = (weights(&mut graph, &[5, 16]), weights(&mut graph, &[5]));
    let logits = graph.push("logits", Op::Linear, &[mean, w3, b3]).unwrap();
    graph.finish(vec![logits])
}

#[test]
fn a_network_of_relus_is_the_sum_of_its_inputs_and_biases() {
    // x·∂y/∂x + Σ b·∂y/∂b = y (Srinivas and Fleuret 2019). The gradient of a convolution's bias is
    // the sum of its output's gradient.
    let mut random = Random(10);
    let graph = network(&mut random);
    let x = random.tensor(graph.shape(graph.input));
    let logits = graph.outputs[0];
    let run = run(
        &graph,
        vec![(graph.input, x.clone())],
        &[logits],
        Keep::All,
        level(),
        &|| true,
    )
    .unwrap();
    let biased: Vec<ValueId> = graph
        .nodes
        .iter()
        .filter(|node| node.inputs.len() == 3)
        .map(|node| node.output)
        .collect();
    let at = [&[graph.input][..], &biased].concat();
    for class in 0..5 {
        let mut seed = vec![0.0; 5];
        seed[class] = 1.0;
        let seed = Tensor::double(&[1, 5], seed);
        let found = gradients(&graph, &run, logits, &seed, &at, level()).unwrap();
        let mut sum = dot(&x, &found[0]);
        for (id, gradient) in biased.iter().zip(&found[1..]) {
            let node = graph.nodes.iter().find(|node| node.output == *id).unwrap();
            let bias = graph.constant(node.inputs[2]).unwrap();
            let area = gradient.values.len() / bias.len();
            for (plane, bias) in gradient.doubles().chunks_exact(area).zip(bias) {
                sum += f64::from(*bias) * plane.iter().sum::<f64>();
            }
        }
        let y = run.get(logits).unwrap().doubles()[class];
        assert!((sum - y).abs() < 1e-13 * (1.0 + y.abs()), "{sum} {y}");
    }
}

#[test]
fn runs_keep_what_is_asked_and_can_begin_in_the_middle() {
    let mut random = Random(11);
    let graph = network(&mut random);
    let x = random.tensor(graph.shape(graph.input));
    let logits = graph.outputs[0];
    let named = |name: &str| {
        let at = graph.values.iter().position(|value| value.name == name);
        ValueId::new(at.unwrap())
    };
    let both = named("both");
    let start = |from, keep| run(&graph, from, &[logits], keep, level(), &|| true);
    let whole = start(vec![(graph.input, x.clone())], Keep::All).unwrap();
    let kept = [both];
    let some = start(vec![(graph.input, x.clone())], Keep::Only(&kept)).unwrap();
    assert!(some.get(named("sum")).is_none() && some.get(graph.input).is_none());
    let middle = some.get(both).unwrap().clone();
    let half = start(vec![(both, middle)], Keep::All).unwrap();
    assert!(half.get(named("a")).is_none());
    let of = |run: &Run| run.get(logits).unwrap().doubles().into_owned();
    assert_eq!(of(&whole), of(&some));
    assert_eq!(of(&whole), of(&half));
    // From the middle, the gradient is the same; at the input there is no way.
    let seed = Tensor::double(&[1, 5], vec![1.0, -1.0, 0.5, 2.0, 0.0]);
    let at = |run: &Run, at: &[ValueId]| gradients(&graph, run, logits, &seed, at, level());
    let whole_gradient = at(&whole, &[both, logits]).unwrap();
    assert_eq!(
        whole_gradient[0].doubles(),
        at(&half, &[both]).unwrap()[0].doubles()
    );
    assert_eq!(whole_gradient[1].doubles(), seed.doubles());
    assert!(at(&half, &[graph.input]).is_err());
    assert!(at(&some, &[graph.input]).is_err());
    let other = ValueId::new(graph.values.len());
    assert!(at(&whole, &[other]).is_err());
    // What does not lead to the output has no gradient; it is zero.
    let from_both = gradients(
        &graph,
        &whole,
        named("sum"),
        &Tensor::zeros(graph.shape(named("sum"))),
        &[both],
        level(),
    );
    assert!(from_both.unwrap()[0].doubles().iter().all(|g| *g == 0.0));
    let nothing = run(&graph, vec![], &[logits], Keep::All, level(), &|| true);
    assert!(nothing.unwrap_err().0.contains("does not follow"));
    let input = vec![(graph.input, x)];
    let stopped = run(&graph, input, &[logits], Keep::All, level(), &|| false);
    assert!(stopped.unwrap_err().0.contains("stopped"));
}
