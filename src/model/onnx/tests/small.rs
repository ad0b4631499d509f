//! Small files: what they become, and what is refused.

use std::sync::Arc;

use crate::model::graph::reference::{Keep, Tensor, Values, run};
use crate::model::graph::{GraphSource, Op};
use crate::model::onnx::tests::writer::{
    Message, Parts, external, float, floats, int, integers, ints, node, packed_ints, value,
};
use crate::model::onnx::{Layout, OnnxError, OnnxFile};
use crate::platform::simd::Isa;

/// Conv, ReLU, pooling, a view computed from the shape, a linear layer.
pub(super) fn classifier(packed: bool) -> Parts {
    let mut parts = Parts::new(&[0, 1, 0, 0], &[0, 2]);
    let sizes = if packed { packed_ints } else { ints };
    parts.weights = vec![
        floats("w", &[2, 1, 3, 3], &[0.1; 18]),
        floats("b", &[2], &[0.5, -0.5]),
        floats("fc", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
        integers("zero", &[], &[0]),
        integers("one", &[1], &[-1]),
    ];
    parts.nodes = vec![
        node(
            "Conv",
            &["x", "w", "b"],
            &["c"],
            &[sizes("pads", &[1, 1, 1, 1]), sizes("kernel_shape", &[3, 3])],
        ),
        node("Relu", &["c"], &["r"], &[]),
        node("GlobalAveragePool", &["r"], &["p"], &[]),
        node("Shape", &["p"], &["s"], &[]),
        node("Gather", &["s", "zero"], &["n"], &[]),
        node("Unsqueeze", &["n", "zero"], &["n1"], &[]),
        node("Concat", &["n1", "one"], &["view"], &[int("axis", 0)]),
        node("Reshape", &["p", "view"], &["f"], &[]),
        node(
            "Gemm",
            &["f", "fc"],
            &["y"],
            &[float("alpha", 2.0), int("transB", 1)],
        ),
    ];
    parts
}

fn open(parts: &Parts) -> Result<OnnxFile, OnnxError> {
    OnnxFile::from_bytes(parts.file())
}

fn refusal(parts: &Parts) -> String {
    match open(parts) {
        Ok(file) => file
            .graph(8, 8)
            .expect_err("it must be refused")
            .to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_small_classifier_is_folded_and_runs() {
    for packed in [false, true] {
        let file = open(&classifier(packed)).unwrap();
        assert_eq!(file.input().layout, Layout::ChannelsFirst);
        assert_eq!((file.input().channels, file.fixed_size()), (1, None));
        assert_eq!(file.metadata()["names"], "{0: 'cat'}");
        let graph = file.graph(4, 6).unwrap();
        let ops: Vec<&Op> = graph.nodes.iter().map(|node| &node.op).collect();
        assert!(matches!(
            ops[..],
            [
                Op::Conv(_),
                Op::Unary(_),
                Op::Reduce { .. },
                Op::Reshape { .. },
                Op::Linear
            ]
        ));
        let x = Tensor::single(&[1, 1, 4, 6], Arc::new(vec![1.0; 24]));
        let from = vec![(graph.input, x)];
        let keep = Keep::Only(&graph.outputs);
        let result = run(&graph, from, &graph.outputs, keep, Isa::chosen(), &|| true).unwrap();
        let Values::Double(y) = &result.get(graph.outputs[0]).unwrap().values else {
            panic!("f64 is expected");
        };
        // Neighbors inside a 4×6 image: 6·9 inside, 8 at long sides and 4 at short ones ·6, 4·4.
        let sum = (8.0 * 9.0 + 12.0 * 6.0 + 4.0 * 4.0) * f64::from(0.1f32) / 24.0;
        let (a, b) = (sum + 0.5, sum - 0.5 + 0.0);
        // The second channel is below zero at the corners (0.4 − 0.5).
        let b = b + 4.0 * (0.5 - 4.0 * f64::from(0.1f32)) / 24.0;
        assert!((y[0] - 2.0 * (a + 2.0 * b)).abs() < 1e-6, "{y:?}");
        assert!((y[1] - 2.0 * (3.0 * a + 4.0 * b)).abs() < 1e-6, "{y:?}");
    }
}

#[test]
fn weights_are_shared_by_graphs_of_different_sizes() {
    let mut parts = Parts::new(&[1, 1, 0, 0], &[1, 64]);
    parts.weights = vec![floats("w", &[64, 1, 8, 8], &[0.5; 4096])];
    parts.nodes = vec![
        node("Conv", &["x", "w"], &["c"], &[]),
        node("GlobalMaxPool", &["c"], &["p"], &[]),
        node("Flatten", &["p"], &["y"], &[]),
    ];
    let file = open(&parts).unwrap();
    let graphs = [file.graph(8, 8).unwrap(), file.graph(9, 12).unwrap()];
    let weights = graphs.each_ref().map(|graph| {
        let mut constants = graph.values.iter();
        constants
            .find_map(|value| value.constant.clone())
            .unwrap()
            .0
    });
    assert!(Arc::ptr_eq(&weights[0], &weights[1]));
}

#[test]
fn what_is_no_classifier_is_refused_with_the_way_out() {
    let with = |op: &str, domain: &str| {
        let mut parts = classifier(false);
        let odd = node(op, &["r"], &["r2"], &[]).bytes(7, domain.as_bytes());
        parts.nodes[2] = node("GlobalAveragePool", &["r2"], &["p"], &[]);
        parts.nodes.push(odd);
        refusal(&parts)
    };
    assert!(with("NonMaxSuppression", "").starts_with("It is a detector (NonMaxSuppression)"));
    assert!(with("QLinearConv", "").contains("quantized to 8 bits (QLinearConv × 1)"));
    assert!(with("FusedConv", "com.microsoft").contains("optimized for ONNX Runtime"));
    assert!(with("If", "").contains("conditions (If × 1)"));
    assert!(with("GridSample", "").contains("GridSample × 1 (node r2)"));
    assert!(with("NonZero", "").contains("depends on the photo's content"));

    let mut several = classifier(false);
    several.inputs.push(value("z", 1, &[1, 1, 1, 1]));
    several.nodes[1] = node("Add", &["c", "z"], &["r"], &[]);
    assert!(refusal(&several).contains("2 inputs (x float32 [?, 1, ?, ?], z float32"));

    let mut text = classifier(false);
    text.inputs = vec![value("x", 7, &[1, 77])];
    assert!(refusal(&text).contains("no image input (x int64 [1, 77])"));

    let mut volume = classifier(false);
    volume.inputs = vec![value("x", 1, &[1, 1, 8, 8, 8])];
    assert!(refusal(&volume).contains("3-D"));

    let mut boxes = classifier(false);
    boxes.outputs = vec![value("y", 1, &[1, 84, 8400])];
    assert!(refusal(&boxes).contains("y float32 [1, 84, 8400]"));

    let mut missing = classifier(false);
    missing.weights[0] = external("w", &[2, 1, 3, 3], &[("location", "no such.data")]);
    let folder = std::env::temp_dir().join(format!("camlens-onnx-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("model.onnx");
    let refused = |location: &str| {
        let mut parts = classifier(false);
        let pairs = [("location", location), ("offset", "0"), ("length", "72")];
        parts.weights[0] = external("w", &[2, 1, 3, 3], &pairs);
        std::fs::write(&path, &*parts.file()).unwrap();
        OnnxFile::open(&path).map(|file| file.graph(8, 8).map(|graph| graph.nodes.len()))
    };
    let message = refused("no such.data").unwrap_err().to_string();
    assert_eq!(
        message,
        "Its weights are in no such.data, which is not beside it: put both files into one folder."
    );
    for bad in ["../model.onnx", "/etc/passwd", "a/b", "..", ""] {
        let message = refused(bad).unwrap_err().to_string();
        assert!(message.contains("plain file name"), "{message}");
    }
    std::fs::write(folder.join("short.data"), [0; 71]).unwrap();
    assert!(
        refused("short.data")
            .unwrap_err()
            .to_string()
            .contains("not complete")
    );
    std::fs::write(folder.join("whole.data"), [0; 72]).unwrap();
    assert_eq!(refused("whole.data").unwrap().unwrap(), 5);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn damaged_graphs_are_refused() {
    let mut cycle = classifier(false);
    cycle.nodes[1] = node("Add", &["c", "f"], &["r"], &[]);
    assert!(refusal(&cycle).contains("depends on itself"));

    let mut twice = classifier(false);
    twice.nodes.push(node("Relu", &["x"], &["r"], &[]));
    assert!(refusal(&twice).contains("computed twice"));

    let mut loose = classifier(false);
    loose.nodes[1] = node("Add", &["c", "nothing"], &["r"], &[]);
    assert!(refusal(&loose).contains("nothing computes nothing"));

    let mut huge = classifier(false);
    huge.weights[1] = floats("b", &[i64::MAX], &[0.0]);
    assert!(refusal(&huge).contains("impossible dimensions"));

    let mut bomb = classifier(false);
    bomb.weights
        .push(integers("shape", &[3], &[1 << 20, 1 << 20, 4]));
    bomb.nodes
        .push(node("ConstantOfShape", &["shape"], &["big"], &[]));
    bomb.nodes[1] = node("Add", &["c", "big"], &["r"], &[]);
    assert!(refusal(&bomb).contains("too large a constant"));

    let mut expand = classifier(false);
    expand
        .weights
        .push(integers("shape", &[4], &[1 << 10, 2, 1 << 10, 1 << 10]));
    expand.nodes[1] = node("Expand", &["p", "shape"], &["r"], &[]);
    expand.nodes[2] = node("GlobalAveragePool", &["c"], &["p"], &[]);
    expand.nodes[8] = node("Flatten", &["r"], &["y"], &[]);
    assert!(refusal(&expand).contains("too large"));

    for bytes in [
        &[][..],
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x3a\x05\x0a",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"PK\x03\x04 something else",
    ] {
        assert!(matches!(
            OnnxFile::from_bytes(bytes.into()),
            Err(OnnxError::Damaged(_))
        ));
    }
    // Millions of empty nodes in a small file.
    let many = Message(b"\x0a\x00".repeat(2_000_000));
    let many = Message::default().bytes(7, &many.0);
    assert!(OnnxFile::from_bytes(many.0.into()).is_err());
}

#[test]
fn a_chain_of_any_length_needs_no_stack() {
    let mut parts = Parts::new(&[1, 1, 2, 2], &[1, 4]);
    parts.nodes = vec![node("Flatten", &["x"], &["v0"], &[])];
    for index in 0..50_000 {
        let (from, to) = (format!("v{index}"), format!("v{}", index + 1));
        parts.nodes.push(node("Relu", &[&from], &[&to], &[]));
    }
    parts.nodes.push(node("Neg", &["v50000"], &["y"], &[]));
    parts.nodes.reverse();
    let graph = open(&parts).unwrap().graph(2, 2).unwrap();
    assert_eq!(graph.nodes.len(), 3);
}

#[test]
fn a_fixed_batch_becomes_one_photo() {
    let mut parts = classifier(false);
    parts.inputs = vec![value("x", 1, &[8, 1, 4, 4])];
    let file = open(&parts).unwrap();
    assert_eq!(file.input().batch, Some(8));
    assert_eq!(
        file.graph(4, 4)
            .unwrap()
            .shape(file.graph(4, 4).unwrap().outputs[0]),
        [1, 2]
    );
    assert!(file.graph(5, 4).unwrap_err().0.contains("4×4"));
}
