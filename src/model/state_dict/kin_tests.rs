//! Small networks of the `ResNet` and transformer families with `PyTorch`'s logits in f64, in
//! `tests/golden/state_dict`; and what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::cpu::Isa;
use crate::model::graph::reference::{Keep, Tensor, run};
use crate::model::graph::{Graph, GraphError, Op, Unary};
use crate::model::state_dict::{Described, FAMILIES, Layers, SavedModule, Shapes, Tensors};

/// Tensors in memory.
#[derive(Default)]
struct Held {
    shapes: Shapes,
    values: BTreeMap<String, Arc<Vec<f32>>>,
    modules: Vec<SavedModule>,
}

impl Tensors for Held {
    fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    fn values(&mut self, name: &str) -> Result<Arc<Vec<f32>>, GraphError> {
        let values = self.values.get(name).cloned();
        values.ok_or_else(|| GraphError::new(format!("{name} is missing")))
    }

    fn modules(&self) -> &[SavedModule] {
        &self.modules
    }
}

/// A network, its input and its logits.
fn read(name: &str) -> (Held, Tensor, Vec<f64>) {
    let bytes = std::fs::read(format!("tests/golden/state_dict/{name}.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut held = Held::default();
    let mut logits = Vec::new();
    for (tensor, view) in file.tensors() {
        if tensor == "logits" {
            let values = view.data().chunks_exact(8);
            let values = values.map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()));
            logits = values.collect();
            continue;
        }
        let values = view.data().chunks_exact(4);
        let values = values.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        held.shapes.insert(tensor.clone(), view.shape().to_vec());
        held.values.insert(tensor, Arc::new(values.collect()));
    }
    let shape = held.shapes.remove("input").unwrap();
    let input = Tensor::single(&shape, held.values.remove("input").unwrap());
    (held, input, logits)
}

fn build(
    held: &mut Held,
    input: &[usize],
    declared: Option<&str>,
) -> Result<(Graph, Described), String> {
    let mut families = FAMILIES.iter();
    let family = families.find(|family| (family.matches)(&held.shapes));
    let family = family.ok_or("no family")?;
    let mut layers = Layers::new(held, input, declared.map(str::to_owned));
    let x = layers.input();
    let logits = (family.build)(&mut layers, x).map_err(|error| error.0)?;
    let mut left = layers.unused();
    left.extend(layers.differences());
    if !left.is_empty() {
        return Err(left.join(", "));
    }
    let (graph, described) = layers.finish();
    Ok((graph.finish(vec![logits]), described))
}

fn logits(graph: &Graph, input: Tensor) -> Vec<f64> {
    let out = graph.outputs[0];
    let from = vec![(graph.input, input)];
    let keep = Keep::Only(&[]);
    let run = run(graph, from, &[out], keep, Isa::chosen(), &|| true).unwrap();
    run.get(out).unwrap().doubles().into_owned()
}

#[test]
fn small_networks_have_pytorchs_logits() {
    for (file, name, layer) in [
        ("resnet_d", "SE-ResNeXt-14-D", "layer4"),
        ("resnet_transformers", "ResNet-8", "resnet.encoder.stages.1"),
        ("resnet_cifar", "ResNet-6", "layer2"),
        ("resnetv2", "ResNetV2-14", "stages.3"),
        ("convnext", "ConvNeXt", "features.3"),
        ("convnext_v2", "ConvNeXt V2", "stages.3"),
        ("swin", "Swin", "features.3"),
        ("swin_timm", "Swin", "layers.1"),
    ] {
        let (mut held, input, expected) = read(file);
        let (graph, described) = build(&mut held, &input.shape, None).unwrap();
        assert_eq!(described.name, name);
        assert!(!described.assumed.is_empty(), "{file}");
        assert!(
            graph.values.iter().any(|value| value.name == layer),
            "{file}"
        );
        let found = logits(&graph, input);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-8,
                "{file}: {found} {expected}"
            );
        }
    }
}

#[test]
fn what_the_weights_do_not_show_is_said() {
    let (mut held, input, _) = read("resnet_cifar");
    let (_, described) = build(&mut held, &input.shape, None).unwrap();
    let said = described.assumed.join(" ");
    assert!(said.contains("with stride 1 and no pooling"), "{said}");
    let relu = "ReLU is assumed between fc.0 and fc.2.";
    assert!(said.contains(relu), "{said}");
    let dropout = "the layer between fc.2 and fc.4. Dropout is assumed";
    assert!(said.contains(dropout), "{said}");
}

#[test]
fn saved_modules_decide() {
    let (mut held, input, _) = read("resnet_transformers");
    let module = |path: &str, class: &str, numbers: &[(&str, f64)]| SavedModule {
        path: path.into(),
        class: class.into(),
        has_tensors: class.starts_with("Conv"),
        numbers: numbers
            .iter()
            .map(|(name, value)| ((*name).into(), vec![*value; 2]))
            .collect(),
        ..SavedModule::default()
    };
    held.modules = vec![
        module(
            "resnet.embedder.embedder.convolution",
            "Conv2d",
            &[("stride", 1.0), ("padding", 3.0)],
        ),
        module("resnet.embedder.embedder.activation", "SiLU", &[]),
        module("classifier.1", "Linear", &[]),
    ];
    let (graph, described) = build(&mut held, &input.shape, None).unwrap();
    assert_eq!(graph.shape(graph.nodes[0].output), [1, 8, 32, 32]);
    // The pooling is not among the modules.
    assert!(
        !graph
            .nodes
            .iter()
            .any(|node| matches!(node.op, Op::MaxPool(_)))
    );
    assert!(
        graph
            .nodes
            .iter()
            .any(|node| node.op == Op::Unary(Unary::Silu))
    );
    assert_eq!(described.assumed, [""; 0]);
    held.modules.push(module("attention", "MyAttention", &[]));
    let error = build(&mut held, &input.shape, None).unwrap_err();
    assert!(error.contains("attention is MyAttention"), "{error}");
}

#[test]
fn what_only_looks_similar_is_refused() {
    let refused = |file: &str, change: &dyn Fn(&mut Held), declared: Option<&str>| {
        let (mut held, input, _) = read(file);
        change(&mut held);
        build(&mut held, &input.shape, declared).unwrap_err()
    };
    let add = |held: &mut Held, name: &str, shape: &[usize]| {
        let count = shape.iter().product();
        held.shapes.insert(name.into(), shape.to_vec());
        held.values.insert(name.into(), Arc::new(vec![0.5; count]));
    };
    let text = refused(
        "resnet_d",
        &|held| add(held, "layer1.0.extra.weight", &[8]),
        None,
    );
    assert!(
        text.contains("layer1.0.extra.weight is not a tensor"),
        "{text}"
    );
    let text = refused(
        "resnet_d",
        &|held| add(held, "classifier.weight", &[2, 4]),
        None,
    );
    assert!(text.contains("classifier, fc"), "{text}");
    let text = refused("resnet_d", &|_| (), Some("vit_base_patch16_224"));
    assert!(text.contains("vit_base_patch16_224"), "{text}");
    let gone = |held: &mut Held| {
        held.shapes.retain(|name, _| !name.starts_with("fc."));
    };
    let text = refused("resnet_d", &gone, None);
    assert!(text.contains("no classifier"), "{text}");
    let wide = |held: &mut Held| {
        held.shapes.insert("conv1.weight".into(), vec![8, 1, 5, 5]);
    };
    let text = refused("resnet_cifar", &wide, None);
    assert!(text.contains("5×5"), "{text}");
    let text = refused(
        "convnext_v2",
        &|held| add(held, "norm_pre.weight", &[8]),
        None,
    );
    assert!(text.contains("norm_pre"), "{text}");
    let text = refused(
        "swin_timm",
        &|held| add(held, "layers.0.blocks.0.attn.tau", &[1]),
        None,
    );
    assert!(text.contains("attn"), "{text}");
}
