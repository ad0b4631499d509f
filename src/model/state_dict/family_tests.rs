use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::cpu::Isa;
use crate::model::graph::reference::{Keep, Tensor, run};
use crate::model::graph::{GraphBuilder, GraphError, ValueId};
use crate::model::state_dict::mobile_timm::tests::shapes_of;
use crate::model::state_dict::{Described, FAMILIES, Layers, Shapes, Tensors};

/// Tensors in memory; those without values are zeros.
struct Held {
    shapes: Shapes,
    values: BTreeMap<String, Arc<Vec<f32>>>,
}

impl Tensors for Held {
    fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    fn values(&mut self, name: &str) -> Result<Arc<Vec<f32>>, GraphError> {
        let length = self.shapes[name].iter().product();
        let zeros = || Arc::new(vec![0.0; length]);
        Ok(self.values.get(name).cloned().unwrap_or_else(zeros))
    }
}

fn build(
    held: &mut Held,
    input: &[usize],
    declared: Option<&str>,
) -> Result<(GraphBuilder, ValueId, Described), GraphError> {
    let matching = FAMILIES
        .iter()
        .find(|family| (family.matches)(&held.shapes));
    let family = matching.ok_or_else(|| GraphError::new("no family"))?;
    let mut layers = Layers::new(held, input, declared.map(str::to_owned));
    let x = layers.input();
    let logits = (family.build)(&mut layers, x)?;
    let unused = layers.unused();
    if !unused.is_empty() {
        return Err(GraphError::new(format!("unused: {unused:?}")));
    }
    let (graph, described) = layers.finish();
    Ok((graph, logits, described))
}

/// `tests/golden/state_dict`: small networks with PyTorch's logits in f64.
#[test]
fn small_networks_have_pytorchs_logits() {
    for (name, title) in [
        ("densenet", "DenseNet-11"),
        ("shufflenet", "ShuffleNet v2"),
        ("regnet_y", "RegNetY"),
        ("regnet_timm", "RegNetY"),
    ] {
        let bytes = std::fs::read(format!("tests/golden/state_dict/{name}.safetensors")).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut held = Held {
            shapes: BTreeMap::new(),
            values: BTreeMap::new(),
        };
        let mut expected = Vec::new();
        for (tensor, view) in file.tensors() {
            if tensor == "logits" {
                let values = view.data().chunks_exact(8);
                expected = values
                    .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()))
                    .collect();
                continue;
            }
            let values = view.data().chunks_exact(4);
            let values = values.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
            held.shapes.insert(tensor.clone(), view.shape().to_vec());
            held.values.insert(tensor, Arc::new(values.collect()));
        }
        let shape = held.shapes.remove("input").unwrap();
        let input = Tensor::single(&shape, held.values.remove("input").unwrap());
        let (graph, logits, described) = build(&mut held, &shape, None).unwrap();
        assert_eq!(described.name, title);
        assert_eq!(described.assumed.len(), 1);
        let graph = graph.finish(vec![logits]);
        let from = vec![(graph.input, input)];
        let keep = Keep::Only(&[]);
        let run = run(&graph, from, &[logits], keep, Isa::chosen(), &|| true).unwrap();
        let found = run.get(logits).unwrap().doubles().into_owned();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-8,
                "{name}: {found} {expected}"
            );
        }
    }
}

#[test]
fn a_declared_name_decides_between_equal_tensors() {
    let mut held = Held {
        shapes: shapes_of("efficientnet_b0"),
        values: BTreeMap::new(),
    };
    let input = [1, 3, 64, 64];
    let (_, _, described) = build(&mut held, &input, None).unwrap();
    assert!(
        described.assumed[0].contains("timm's efficientnet_b0: SiLU, symmetric padding"),
        "{:?}",
        described.assumed
    );
    assert!(described.assumed[0].contains("tf_efficientnet_b0 has the same"));
    let (graph, _, described) = build(&mut held, &input, Some("tf_efficientnet_b0_ns")).unwrap();
    assert_eq!(described.assumed, [""; 0]);
    let graph = format!("{:?}", graph.finish(Vec::new()).nodes[0].op);
    assert!(graph.contains("pads: [0, 0, 1, 1]"), "{graph}");
    let error = build(&mut held, &input, Some("efficientnet_blur_b0")).unwrap_err();
    assert!(
        error.0.contains("declared as efficientnet_blur_b0"),
        "{error}"
    );
}

#[test]
fn other_widths_and_left_over_tensors_are_refused() {
    let shapes = shapes_of("mobilenetv2_100");
    let input = [1, 3, 64, 64];
    let refused = |change: &dyn Fn(&mut Shapes)| {
        let mut held = Held {
            shapes: shapes.clone(),
            values: BTreeMap::new(),
        };
        change(&mut held.shapes);
        build(&mut held, &input, None).unwrap_err().0
    };
    let text = refused(&|shapes| {
        shapes.insert("blocks.1.0.conv_dw.weight".into(), vec![96, 1, 5, 5]);
    });
    assert!(text.contains("not those of a network"), "{text}");
    let text = refused(&|shapes| {
        shapes.insert("blocks.1.0.extra".into(), vec![1]);
    });
    assert!(text.contains("blocks.1.0.extra"), "{text}");
}

#[test]
fn names_of_networks_are_unique() {
    let names = crate::model::state_dict::mobile_timm::tests::names();
    let unique: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), unique.len());
}
