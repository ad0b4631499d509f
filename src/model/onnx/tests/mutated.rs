//! Files with random changes: no panic, no long run, no large allocation.

use std::time::{Duration, Instant};

use crate::model::graph::GraphSource;
use crate::model::onnx::OnnxFile;
use crate::model::onnx::tests::small::classifier;
use crate::model::onnx::tests::writer::{Parts, floats, int, integers, ints, node};

/// A generator of pseudorandom numbers (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }
}

/// Every kind of shape arithmetic, pooling, slicing and resizing.
fn odd() -> Parts {
    let mut parts = Parts::new(&[1, 3, 0, 0], &[1, 6]);
    parts.weights = vec![
        floats("scales", &[4], &[1.0, 1.0, 2.0, 2.0]),
        floats("w", &[4, 3, 3, 3], &[0.01; 108]),
        floats("m", &[4, 6], &[0.1; 24]),
        floats("half", &[], &[0.5]),
        integers("starts", &[2], &[1, -9]),
        integers("ends", &[2], &[i64::MAX, -1]),
        integers("axes", &[2], &[2, 3]),
        integers("pads", &[8], &[0, 0, 1, 1, 0, 0, 2, 2]),
        integers("steps", &[2], &[2, 3]),
        integers("two", &[], &[2]),
        integers("zero", &[], &[0]),
        integers("repeats", &[4], &[1, 1, 2, 1]),
        integers("flat", &[2], &[0, -1]),
    ];
    parts.nodes = vec![
        node("Resize", &["x", "", "scales"], &["a"], &[]),
        node("Pad", &["a", "pads", "half"], &["b"], &[]),
        node(
            "Slice",
            &["b", "starts", "ends", "axes", "steps"],
            &["c"],
            &[],
        ),
        node("Tile", &["c", "repeats"], &["d"], &[]),
        node(
            "Conv",
            &["d", "w"],
            &["e"],
            &[
                ints("strides", &[2, 1]),
                ints("dilations", &[1, 2]),
                ints("pads", &[1, 2, 1, 2]),
            ],
        ),
        node(
            "MaxPool",
            &["e"],
            &["f"],
            &[ints("kernel_shape", &[2, 2]), int("ceil_mode", 1)],
        ),
        node("Shape", &["f"], &["g"], &[]),
        node("Gather", &["g", "two"], &["h"], &[]),
        node("Range", &["zero", "h", "two"], &["i"], &[]),
        node("Cast", &["i"], &["j"], &[int("to", 1)]),
        node("ReduceSum", &["j"], &["k"], &[]),
        node("Mul", &["f", "k"], &["l"], &[]),
        node("Split", &["l"], &["m1", "m2"], &[int("axis", 1)]),
        node("Concat", &["m2", "m1"], &["n"], &[int("axis", 1)]),
        node("Softmax", &["n"], &["o"], &[int("axis", 1)]),
        node("ReduceMean", &["o"], &["p"], &[ints("axes", &[2, 3])]),
        node("Reshape", &["p", "flat"], &["q"], &[]),
        node("MatMul", &["q", "m"], &["y"], &[]),
    ];
    parts
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 => {
                bytes.remove(at);
            }
            4 => bytes.insert(at, random.next() as u8),
            // A number of many bytes.
            _ => {
                let end = (at + 9).min(bytes.len());
                bytes[at..end].fill(0xff);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
}

#[test]
fn changed_files_are_opened_or_refused_quickly() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let originals = [
        classifier(false).file(),
        classifier(true).file(),
        odd().file(),
    ];
    let reference = OnnxFile::from_bytes(odd().file()).unwrap();
    assert_eq!(reference.graph(16, 16).unwrap().outputs.len(), 1);
    let (mut opened, mut built) = (0, 0);
    for round in 0..3000 {
        let mut bytes = originals[round % originals.len()].to_vec();
        change(&mut bytes, &mut random);
        let start = Instant::now();
        if let Ok(file) = OnnxFile::from_bytes(bytes.into()) {
            opened += 1;
            let (height, width) = file.fixed_size().unwrap_or((16, 16));
            built += usize::from(file.graph(height, width).is_ok());
        }
        assert!(start.elapsed() < Duration::from_secs(5), "round {round}");
    }
    // Most changes are found; many only touch a weight.
    assert!(opened > 300 && built > 100, "{opened} {built}");
}
