//! Compares values with PyTorch, and backends and devices with each other.

use super::common::needs::Need;
use super::*;

#[test]
fn every_resnet_agrees_with_pytorch_at_every_layer() {
    let bytes = fs::read("tests/golden/checkpoints.safetensors").unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for (name, counts, bottleneck, classes) in [
        ("resnet18", [2, 2, 2, 2], false, 3),
        ("resnet34", [3, 4, 6, 3], false, 2),
        ("resnet50", [3, 4, 6, 3], true, 5),
        ("resnet101", [3, 4, 23, 3], true, 4),
    ] {
        let path = folder.path().join(format!("{name}.safetensors"));
        write(&path, &state(&shapes(counts, bottleneck, classes)));
        let mut engine = Engine::open(&ModelChoice::File(path), DeviceChoice::Cpu).unwrap();
        let found = &engine.model().architecture;
        assert_eq!(found.replace("ResNet-", "resnet"), name);
        let analysis = engine.run(&input(), Framing::Whole).unwrap();
        assert_close(
            &analysis.logits,
            &reference(&golden, &format!("{name}/logits")),
            1e-4,
            name,
        );
        for class in [0, classes - 1] {
            let layers: Vec<LayerId> = analysis.model.layer_ids().collect();
            let class = analysis.model.labels.class(class).unwrap();
            for layer_gradients in engine.layer_gradients(class, &layers).unwrap() {
                for method in Method::ALL {
                    let key = key(&analysis.model, layer_gradients.layer.id);
                    let what = format!("{name}/{class}/{key}/{}", method.id());
                    let ours = cam::explain(method, &layer_gradients).cells;
                    // Before a batch norm, activations nearly cancel, and XGrad-CAM divides by
                    // their sum: PyTorch's own f32 sum has an error of the same size.
                    let unstable = key == "last_conv" && method == Method::XGradCam;
                    let tolerance = if unstable { 1e-2 } else { 1e-4 };
                    assert_close(&ours, &reference(&golden, &what), tolerance, &what);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 4 * 2 * 5 * 5);
}

/// Compares our backward pass with candle's autograd.
#[test]
fn both_backends_agree_on_every_gradient() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet50.safetensors");
    let mut state = state(&shapes([3, 4, 6, 3], true, 5));
    // Many networks are initialized like this: the last batch norm of a block gives exact zeros,
    // where candle's own ReLU would pass gradients.
    for value in &mut state.get_mut("layer4.1.bn3.weight").unwrap().1 {
        *value = 0.0;
    }
    for value in &mut state.get_mut("layer4.1.bn3.bias").unwrap().1 {
        *value = 0.0;
    }
    write(&path, &state);
    let [ours, candles] = [Backend::fused(), Backend::Candle(Device::Cpu)].map(|backend| {
        let model = Model::open(&path, None, backend, None).unwrap();
        let (info, network) = (&model.info, model.network());
        let tape = model.forward(&input(), &info.preprocessing, Precision::Double);
        let tape = tape.unwrap();
        let class = info.labels.class(1).unwrap();
        let layers = ["layer1", "layer2", "layer3", "layer4.2.conv3"];
        let ids = layers.map(|name| layer(info, name));
        let gradients = network.gradients(&tape, class, &ids).unwrap();
        let mut all: Vec<(String, Vec<f32>)> = Vec::new();
        for (name, gradients) in layers.iter().zip(gradients) {
            let Gradients::PerCell(values) = gradients else {
                panic!("one value for each cell");
            };
            all.push(((*name).to_owned(), values));
        }
        let features = network.activations(&tape, ids[3]).unwrap();
        all.push(("activations".to_owned(), features.values.clone()));
        all
    });
    assert_eq!(ours.len(), 5);
    for ((what, a), (_, b)) in ours.iter().zip(&candles) {
        assert_close(a, b, 1e-4, what);
    }
}

type Rename = fn(&str) -> String;

#[test]
fn prefixes_and_other_heads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let plain = state(&resnet18(3));
    write(&path, &plain);
    let expected = answer(&path);
    let cases: [(&str, Rename); 6] = [
        ("module.", |name| format!("module.{name}")),
        ("module.model.", |name| format!("module.model.{name}")),
        ("_orig_mod.", |name| format!("_orig_mod.{name}")),
        ("backbone. and its own head", |name| {
            match name.strip_prefix("fc.") {
                Some(rest) => format!("head.{rest}"),
                None => format!("backbone.{name}"),
            }
        }),
        ("model.backbone., head one up", |name| {
            match name.strip_prefix("fc.") {
                Some(rest) => format!("model.classifier.{rest}"),
                None => format!("model.backbone.{name}"),
            }
        }),
        ("dropout before the linear layer", |name| {
            match name.strip_prefix("fc.") {
                Some(rest) => format!("fc.1.{rest}"),
                None => name.to_owned(),
            }
        }),
    ];
    for (what, rename) in cases {
        let renamed = plain
            .iter()
            .map(|(name, value)| (rename(name), value.clone()));
        write(&path, &renamed.collect());
        let found = answer(&path);
        assert_eq!(found.logits, expected.logits, "{what}");
        assert!(found.model.notices.is_empty(), "{what}");
    }
    let mut more = plain.clone();
    more.insert("criterion.weight".into(), (vec![3], vec![1.0; 3]));
    write(&path, &more);
    let notices = answer(&path).model.notices.clone();
    assert!(
        notices[0].contains("ResNet-18 has no such tensors: 1 of the file (criterion.weight"),
        "{notices:?}"
    );
}

/// Compares every other device with the CPU. They run in f32, so single `ReLU`s may differ.
#[test]
#[ignore = "needs a GPU"]
fn other_devices_agree_with_the_cpu() {
    let usable = |status: &device::DeviceStatus| {
        status.unusable.is_none() && status.choice != DeviceChoice::Cpu
    };
    let gpus: Vec<_> = device::list().into_iter().filter(usable).collect();
    if !Need::Gpu.is_met(!gpus.is_empty(), "a GPU that this build can use") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path, &state(&shapes([3, 4, 6, 3], true, 5)));
    let mut compared = 0;
    for status in gpus {
        let other = status.choice;
        for choice in [ModelChoice::BuiltIn, ModelChoice::File(path.clone())] {
            let [cpu, gpu] = [DeviceChoice::Cpu, other].map(|device| {
                let mut engine = Engine::open(&choice, device).unwrap();
                assert_eq!(engine.device(), device, "{:?}", engine.notices());
                let analysis = engine.run(&input(), Framing::Whole).unwrap();
                let class = analysis.model.labels.class(3).unwrap();
                let layers: Vec<LayerId> = analysis.model.layer_ids().collect();
                let layer_gradients = engine.layer_gradients(class, &layers).unwrap();
                assert_eq!(engine.device(), device, "{:?}", engine.notices());
                (analysis, layer_gradients)
            });
            assert_close(&gpu.0.logits, &cpu.0.logits, 1e-3, "logits");
            for (a, b) in gpu.1.iter().zip(&cpu.1) {
                let tolerance = if a.layer.is_pooled { 1e-3 } else { 2e-2 };
                for method in [Method::GradCam, Method::GradCamPlusPlus] {
                    let what = format!("{other}, {:?}, {method:?}", a.layer);
                    let maps =
                        [a, b].map(|layer_gradients| cam::explain(method, layer_gradients).cells);
                    assert_close(&maps[0], &maps[1], tolerance, &what);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 0);
}
