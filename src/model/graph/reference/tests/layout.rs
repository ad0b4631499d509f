//! Reductions, and operators that move values.

use std::sync::Arc;

use super::{Random, check, level};
use crate::model::graph::reference::{Tensor, forward};
use crate::model::graph::{Op, PadMode, ReduceKind};

#[test]
fn reductions() {
    let mut random = Random(8);
    let x = random.tensor(&[2, 3, 4, 5]);
    for axes in [
        vec![2, 3],
        vec![1],
        vec![0],
        vec![3],
        vec![0, 2],
        vec![1, 3],
        vec![0, 1, 2, 3],
        vec![],
    ] {
        for kind in [
            ReduceKind::Mean,
            ReduceKind::Sum,
            ReduceKind::Max,
            ReduceKind::Min,
            ReduceKind::L2,
        ] {
            for keep_dims in [false, true] {
                let op = Op::Reduce {
                    kind,
                    axes: axes.clone(),
                    keep_dims,
                };
                check(&op, std::slice::from_ref(&x), 1);
            }
        }
    }
    let x = Tensor::double(&[2, 3], vec![1.0, 2.0, 6.0, 3.0, 4.0, 0.0]);
    let reduce = |kind, axis| {
        let op = Op::Reduce {
            kind,
            axes: vec![axis],
            keep_dims: false,
        };
        forward(&op, &[&x], level()).unwrap().doubles().into_owned()
    };
    assert_eq!(reduce(ReduceKind::Mean, 1), [3.0, 7.0 / 3.0]);
    assert_eq!(reduce(ReduceKind::Max, 0), [3.0, 4.0, 6.0]);
    assert_eq!(reduce(ReduceKind::L2, 1)[1], 5.0);
}

#[test]
fn values_that_move() {
    let mut random = Random(9);
    let x = [random.tensor(&[2, 3, 4, 5])];
    let slice = |axis, start, step, length| Op::Slice {
        axis,
        start,
        step,
        length,
    };
    let pad = |mode| Op::Pad {
        before: vec![0, 1, 2, 3],
        after: vec![1, 2, 0, 1],
        mode,
    };
    let gather = |axis, indices: &[usize], shape: &[usize]| Op::Gather {
        axis,
        indices: Arc::new(indices.to_vec()),
        shape: shape.to_vec(),
    };
    let taps = Arc::new(vec![
        vec![(0, 0.25), (2, 0.75)],
        vec![],
        vec![(3, 1.5)],
        vec![(1, 0.5), (0, -0.5)],
        vec![(1, 1.0)],
    ]);
    for op in [
        slice(3, 1, 1, 3),
        slice(2, 3, -2, 2),
        slice(1, 2, -1, 3),
        slice(0, 1, 5, 1),
        pad(PadMode::Constant(1.5)),
        pad(PadMode::Edge),
        Op::Pad {
            before: vec![1, 2, 2, 4],
            after: vec![0, 1, 3, 2],
            mode: PadMode::Reflect,
        },
        gather(1, &[2, 0, 2, 2], &[2, 2]),
        gather(3, &[4, 4, 0], &[3]),
        gather(2, &[1], &[]),
        Op::Reshape { shape: vec![6, 20] },
        Op::Transpose {
            perm: vec![3, 0, 2, 1],
        },
        Op::Transpose {
            perm: vec![0, 2, 3, 1],
        },
        Op::Expand {
            shape: vec![3, 2, 3, 4, 5],
        },
        Op::Resample {
            axis: 2,
            taps: taps.clone(),
        },
        Op::Resample { axis: 3, taps },
    ] {
        check(&op, &x, 1);
    }
    let narrow = [random.tensor(&[1, 3, 1])];
    check(
        &Op::Expand {
            shape: vec![2, 4, 3, 2],
        },
        &narrow,
        1,
    );
    let parts = [
        random.tensor(&[2, 1, 3]),
        random.tensor(&[2, 4, 3]),
        random.tensor(&[2, 2, 3]),
    ];
    check(&Op::Concat { axis: 1 }, &parts, 3);
}

#[test]
fn values_that_move_by_hand() {
    let x = Tensor::double(&[2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let values = |op: &Op| forward(op, &[&x], level()).unwrap().doubles().into_owned();
    let perm = vec![1, 0];
    assert_eq!(
        values(&Op::Transpose { perm }),
        [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
    );
    let reflect = Op::Pad {
        before: vec![0, 2],
        after: vec![1, 1],
        mode: PadMode::Reflect,
    };
    let (first, second) = (
        [3.0, 2.0, 1.0, 2.0, 3.0, 2.0],
        [6.0, 5.0, 4.0, 5.0, 6.0, 5.0],
    );
    assert_eq!(values(&reflect), [first, second, first].concat());
    let backwards = Op::Slice {
        axis: 1,
        start: 2,
        step: -2,
        length: 2,
    };
    assert_eq!(values(&backwards), [3.0, 1.0, 6.0, 4.0]);
    let one = Op::Gather {
        axis: 0,
        indices: Arc::new(vec![1]),
        shape: vec![],
    };
    assert_eq!(values(&one), [4.0, 5.0, 6.0]);
    let scalar = Tensor::double(&[], vec![2.0]);
    let op = Op::Transpose { perm: vec![] };
    assert_eq!(forward(&op, &[&scalar], level()).unwrap().doubles()[0], 2.0);
}
