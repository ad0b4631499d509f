//! Files next to a checkpoint: class names and preprocessing; and when layers are available.

use super::*;

#[test]
fn class_names_come_from_beside_the_file_or_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pets.safetensors");
    write(&path, &state(&resnet18(3)));
    let names = |engine: &Engine| {
        let labels = &engine.model().labels;
        (0..3)
            .map(|i| labels.full(labels.class(i).unwrap()).to_owned())
            .collect::<Vec<_>>()
    };
    let engine = open(&path).unwrap();
    assert_eq!(names(&engine), ["class 0", "class 1", "class 2"]);

    let beside = folder.path().join("labels.txt");
    fs::write(&beside, "cat\ndog\n").unwrap();
    let engine = open(&path).unwrap();
    assert_eq!(names(&engine)[0], "class 0");
    assert!(
        engine.notices()[0].contains("2 names and the model 3 classes"),
        "{:?}",
        engine.notices()
    );
    fs::write(&beside, "cat\ndog\nbird\n").unwrap();
    let mut engine = open(&path).unwrap();
    assert_eq!(names(&engine), ["cat", "dog", "bird"]);
    assert_eq!(engine.model().labels_from, "labels.txt");
    assert!(engine.notices().is_empty());

    let by_hand = folder.path().join("mine.json");
    fs::write(&by_hand, r#"{"0": "a", "1": "b", "2": "c"}"#).unwrap();
    engine.name_classes(Some(&by_hand)).unwrap();
    assert_eq!(names(&engine), ["a", "b", "c"]);
    fs::write(&by_hand, r#"["a"]"#).unwrap();
    let message = engine.name_classes(Some(&by_hand)).unwrap_err().to_string();
    assert!(
        message.contains("1 names and the model 3 classes"),
        "{message}"
    );
    assert_eq!(names(&engine), ["a", "b", "c"], "the old ones stay");
    engine.name_classes(None).unwrap();
    assert_eq!(names(&engine), ["cat", "dog", "bird"]);
}

/// Class indices that training scripts save with the weights.
#[test]
fn class_names_in_the_file_need_every_number_once() {
    use super::torch_save::{Py, pickle, torch_save};
    use camlens::model::weights::Checkpoint;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("named.pth");
    let number = |(name, index): (&str, i32)| (Py::from(name), Py::from(index));
    for (numbers, names) in [
        ([("cat", 1), ("dog", 0)], Some(["dog", "cat"])),
        ([("cat", 0), ("dog", 2)], None),
        ([("cat", 0), ("dog", 0)], None),
        ([("cat", 0), ("dog", -1)], None),
    ] {
        let value = Py::Dict(vec![
            ("w".into(), Py::Tensor(vec![1])),
            (
                "class_to_idx".into(),
                Py::Dict(numbers.map(number).to_vec()),
            ),
        ]);
        torch_save(&path, "named", &pickle(&value), &[("0", &[0; 4])]);
        let file = Checkpoint::open(&path, None).unwrap();
        let found = file.labels().map(<[String]>::to_vec);
        assert_eq!(found, names.map(|names| names.map(str::to_owned).to_vec()));
        let notices = file.notices().join(" ");
        assert_eq!(
            notices.contains("class_to_idx were not used"),
            names.is_none()
        );
    }
}

#[test]
fn timms_config_beside_the_file_gives_the_preprocessing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write(&path, &state(&resnet18(2)));
    let config = r#"{"architecture": "resnet18", "label_names": ["no", "yes"], "pretrained_cfg":
        {"input_size": [3, 192, 192], "crop_pct": 1.0, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bilinear"}}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    let engine = open(&path).unwrap();
    let Preprocessing {
        mean, std, size, ..
    } = engine.preprocessing();
    assert!((mean[0] - 0.5).abs() < 1e-6 && (std[2] - 0.25).abs() < 1e-6);
    assert_eq!((size.width, size.short), (192, 192));
    assert_eq!(
        engine.model().preprocessing_from,
        PreprocessingSource::known("config.json")
    );
    assert_eq!(engine.model().labels.find("yes").unwrap().index(), 1);
}

#[test]
fn layers_can_be_asked_for_after_a_run_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path, &state(&resnet18(2)));
    let mut engine = open(&path).unwrap();
    let class = engine.model().labels.class(1).unwrap();
    let ids = ["layer3", "last", "layer3"].map(|name| layer(engine.model(), name));
    assert!(engine.layer_gradients(class, &ids[..1]).is_err());
    engine.run(&input(), Framing::Whole).unwrap();
    let all = engine.layer_gradients(class, &ids).unwrap();
    assert_eq!(all.iter().map(|e| e.layer.id).collect::<Vec<_>>(), ids);
    let maps: Vec<_> = all
        .iter()
        .map(|e| cam::explain(Recipe::from(Method::GradCam), e))
        .collect();
    assert_eq!(maps[0], maps[2]);

    // By every spelling that settings, manifests and the command line have had.
    for (spelling, name) in [
        ("last", "layer4"),
        ("Last", "layer4"),
        ("layer4", "layer4"),
        ("Layer1", "layer1"),
        ("layer2", "layer2"),
        ("last-conv", "layer4.1.conv2"),
        ("LastConv", "layer4.1.conv2"),
        ("layer4.1.conv2", "layer4.1.conv2"),
    ] {
        let model = engine.model();
        assert_eq!(model.layer_name(layer(model, spelling)), name);
    }
    // What another ResNet calls the same layer: understood in the window, refused by `explain`.
    for (elsewhere, here) in [("layer4.2.conv3", Some("layer4.1.conv2")), ("layer5", None)] {
        let model = engine.model();
        let closest = model.closest_layer(&elsewhere.into());
        assert_eq!(closest.map(|layer| model.layer_name(layer)), here);
        assert!(model.need_layer(&elsewhere.into()).is_err());
    }
    let problem = engine.model().need_layer(&"layer5".into()).unwrap_err();
    let layers = "Give last or one of layer1, layer2, layer3, layer4, layer4.1.conv2.";
    assert!(problem.ends_with(layers), "{problem}");

    let mut lite = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    let analysis = lite.run(&input(), Framing::Whole).unwrap();
    let message = lite
        .layer_gradients(analysis.top(), &[LayerId::new(1)])
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("EfficientNet-Lite0 has no layer"),
        "{message}"
    );
}
