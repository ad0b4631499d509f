//! Values against PyTorch, backends and devices against each other.

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
        let found = engine.model().architecture.name();
        assert_eq!(found.replace("ResNet-", "resnet"), name);
        let analysis = engine.run(&input(), Framing::Whole).unwrap();
        assert_close(
            &analysis.logits,
            &reference(&golden, &format!("{name}/logits")),
            1e-4,
            name,
        );
        for class in [0, classes - 1] {
            let layers = analysis.model.architecture.layers();
            let class = analysis.model.labels.class(class).unwrap();
            for layer_gradients in engine.layer_gradients(class, layers).unwrap() {
                for method in Method::ALL {
                    let what = format!(
                        "{name}/{class}/{}/{}",
                        key(layer_gradients.layer),
                        method.id()
                    );
                    let ours = cam::explain(method, &layer_gradients).cells;
                    // Before a batch-norm activations nearly cancel, and XGrad-CAM divides by
                    // their sum: PyTorch's own f32 sum is off by as much.
                    let unstable =
                        layer_gradients.layer == Layer::LastConv && method == Method::XGradCam;
                    let tolerance = if unstable { 1e-2 } else { 1e-4 };
                    assert_close(&ours, &reference(&golden, &what), tolerance, &what);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 4 * 2 * 5 * 5);
}

/// Our own way back through the network, and candle's autograd.
#[test]
fn both_backends_agree_on_every_gradient() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet50.safetensors");
    let mut state = state(&shapes([3, 4, 6, 3], true, 5));
    // As many networks start: the last batch-norm of a block gives exact zeros, where
    // candle's own ReLU would pass gradients.
    for value in &mut state.get_mut("layer4.1.bn3.weight").unwrap().1 {
        *value = 0.0;
    }
    for value in &mut state.get_mut("layer4.1.bn3.bias").unwrap().1 {
        *value = 0.0;
    }
    write(&path, &state);
    #[allow(clippy::cast_possible_truncation)] // any numbers will do
    let at_last: Vec<f32> = noise("gradient", 2048).map(|u| u as f32 - 0.5).collect();
    let [ours, candles] = [Backend::fused(), Backend::Candle(Device::Cpu)].map(|backend| {
        let model = Model::open(&path, None, backend, None).unwrap();
        let trace = model
            .forward(&input(), &model.info.preprocessing, Precision::Double)
            .unwrap();
        let mut all = model.gradients(&trace, &at_last, Layer::Layer1).unwrap();
        let (features, gradient) = model.before_last_batch_norm(&trace, &at_last).unwrap();
        all.push((Layer::LastConv, gradient));
        all.push((Layer::LastConv, Gradients::PerCell(features.values)));
        all
    });
    assert_eq!(ours.len(), 5);
    for ((layer, a), (other, b)) in ours.iter().zip(&candles) {
        assert_eq!(layer, other);
        let (Gradients::PerCell(a), Gradients::PerCell(b)) = (a, b) else {
            panic!("one value for each cell");
        };
        assert_close(a, b, 1e-4, key(*layer));
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

/// Every other device against the CPU. Runs in f32 there, so that single `ReLU`s may differ.
#[test]
fn other_devices_agree_with_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path, &state(&shapes([3, 4, 6, 3], true, 5)));
    let mut compared = 0;
    for status in device::list() {
        let other = status.choice;
        if status.unusable.is_some() || other == DeviceChoice::Cpu {
            continue;
        }
        for choice in [ModelChoice::BuiltIn, ModelChoice::File(path.clone())] {
            let [cpu, gpu] = [DeviceChoice::Cpu, other].map(|device| {
                let mut engine = Engine::open(&choice, device).unwrap();
                assert_eq!(engine.device(), device, "{:?}", engine.notices());
                let analysis = engine.run(&input(), Framing::Whole).unwrap();
                let class = analysis.model.labels.class(3).unwrap();
                let layers = analysis.model.architecture.layers();
                let layer_gradients = engine.layer_gradients(class, layers).unwrap();
                assert_eq!(engine.device(), device, "{:?}", engine.notices());
                (analysis, layer_gradients)
            });
            assert_close(&gpu.0.logits, &cpu.0.logits, 1e-3, "logits");
            for (a, b) in gpu.1.iter().zip(&cpu.1) {
                let tolerance = if a.layer == Layer::Last { 1e-3 } else { 2e-2 };
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
    if compared == 0 {
        let skipped = "skipped: no GPU that this build can use; CPU and GPU were not compared";
        let _ = writeln!(std::io::stderr(), "{skipped}");
    }
}
