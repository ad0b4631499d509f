//! Which network a file holds: several networks, tensors outside the network, and what
//! `config.json` says about it.

use super::torch_save::{Module, Py, pickle, text};
use super::*;

/// A `.pth` file as `torch.save` writes it: dictionaries of tensors by their keys. The outermost
/// dictionary has an empty key. All values are in one storage.
fn write_pth(path: &Path, dictionaries: &[(&str, &State)], more: &[u8]) {
    fn text(pickle: &mut Vec<u8>, text: &str) {
        pickle.push(b'X');
        pickle.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        pickle.extend(text.as_bytes());
    }
    fn number(pickle: &mut Vec<u8>, number: usize) {
        pickle.push(b'J');
        pickle.extend(i32::try_from(number).unwrap().to_le_bytes());
    }
    let total: usize = dictionaries
        .iter()
        .flat_map(|(_, state)| state.values())
        .map(|(_, values)| values.len())
        .sum();
    let (mut pickle, mut numbers) = (b"\x80\x02}(".to_vec(), Vec::new());
    for (key, state) in dictionaries {
        if !key.is_empty() {
            match key.parse() {
                Ok(index) => number(&mut pickle, index),
                Err(_) => text(&mut pickle, key),
            }
            pickle.extend(b"}(");
        }
        for (name, (shape, values)) in *state {
            text(&mut pickle, name);
            pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text(&mut pickle, "storage");
            pickle.extend(b"ctorch\nFloatStorage\n");
            text(&mut pickle, "0");
            text(&mut pickle, "cpu");
            number(&mut pickle, total);
            pickle.extend(b"tQ");
            number(&mut pickle, numbers.len() / 4);
            pickle.push(b'(');
            for side in shape {
                number(&mut pickle, *side);
            }
            pickle.extend(b"t(");
            for at in 0..shape.len() {
                number(&mut pickle, shape[at + 1..].iter().product());
            }
            pickle.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
            numbers.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        if !key.is_empty() {
            pickle.push(b'u');
        }
    }
    pickle.extend(more);
    pickle.extend(b"u.");
    let mut writer = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("m/data.pkl", &pickle), ("m/data/0", &numbers)] {
        writer.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut writer, bytes).unwrap();
    }
    writer.finish().unwrap();
}

fn prefixed(state: &State, prefix: &str) -> State {
    let named = state
        .iter()
        .map(|(name, value)| (format!("{prefix}{name}"), value.clone()));
    named.collect()
}

/// The same network with different values: the bias of its head is larger by 1 for each class.
fn shifted(state: &State) -> State {
    let mut other = state.clone();
    let bias = &mut other.get_mut("fc.bias").unwrap().1;
    for bias in bias {
        *bias += 1.0;
    }
    other
}

fn logits(choice: &ModelChoice) -> Vec<f32> {
    let mut engine = Engine::open(choice, DeviceChoice::Cpu).unwrap();
    engine.run(&input(), Framing::Whole).unwrap().logits
}

fn refusal(choice: &ModelChoice) -> String {
    let engine = Engine::open(choice, DeviceChoice::Cpu);
    engine.err().expect("it is refused").to_string()
}

#[test]
fn averaged_weights_are_taken_and_said_and_others_can_be_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let plain = state(&resnet18(3));
    let average = shifted(&plain);
    write_pth(&path, &[("", &plain)], b"");
    let file = ModelChoice::File(path.clone());
    let of_plain = logits(&file);
    let of_average: Vec<f32> = of_plain.iter().map(|logit| logit + 1.0).collect();
    let is = |choice: &ModelChoice, expected: &[f32], what: &str| {
        assert_close(&logits(choice), expected, 1e-5, what);
    };

    for (keys, averaged) in [
        (["state_dict", "state_dict_ema"], "state_dict_ema"),
        (["model", "model_ema"], "model_ema"),
        (["ema", "net"], "ema"),
    ] {
        let states = keys.map(|key| if key == averaged { &average } else { &plain });
        write_pth(&path, &[(keys[0], states[0]), (keys[1], states[1])], b"");
        is(&file, &of_average, averaged);
        let engine = open(&path).unwrap();
        let info = engine.model();
        let notice = &info.notices[0];
        for words in [
            "holds 2 networks",
            averaged,
            "averaged weights (EMA)",
            "--key",
        ] {
            assert!(notice.contains(words), "{notice}");
        }
        assert_eq!(info.network.key.as_deref(), Some(averaged));
        assert_eq!(info.networks.len(), 2);
        for network in info.networks.clone() {
            let expected = if network == info.network {
                &of_average
            } else {
                &of_plain
            };
            let choice = ModelChoice::Within(path.clone(), Box::new(network));
            is(&choice, expected, "chosen in the menu");
            let chosen = Engine::open(&choice, DeviceChoice::Cpu).unwrap();
            assert!(
                chosen.model().notices.is_empty(),
                "{:?}",
                chosen.model().notices
            );
            assert_eq!(chosen.model().networks.len(), 2, "the choice stays");
        }
    }

    // The same in one dictionary, with the averages next to the network's own names.
    for (first, second) in [("model.", "ema_model."), ("", "ema.")] {
        let mut both = prefixed(&plain, first);
        both.extend(prefixed(&average, second));
        write_pth(&path, &[("state_dict", &both)], b"");
        is(&file, &of_average, second);
        is(&selected(&path, None, Some(first)), &of_plain, first);
        is(
            &selected(&path, Some("state_dict"), Some(second)),
            &of_average,
            second,
        );
    }

    // An average without running statistics is not a complete network.
    let mut parameters = average.clone();
    parameters.retain(|name, _| !name.contains("running"));
    write_pth(&path, &[("model", &plain), ("ema", &parameters)], b"");
    is(&file, &of_plain, "an average of parameters only");

    // A teacher is not used unless the user asks for it.
    write_pth(&path, &[("teacher", &average), ("model", &plain)], b"");
    is(&file, &of_plain, "model beside teacher");
    assert!(open(&path).unwrap().model().notices[0].contains("--key teacher"));
    write_pth(&path, &[("teacher", &average), ("student", &plain)], b"");
    let message = refusal(&file);
    let words = "holds 2 networks. Choose one: --key teacher or --key student.";
    assert!(message.contains(words), "{message}");
    is(
        &selected(&path, Some("teacher"), None),
        &of_average,
        "teacher",
    );
    let message = refusal(&selected(&path, Some("best"), None));
    assert!(
        message.contains("no dictionary \"best\"; it has teacher, student"),
        "{message}"
    );
    let message = refusal(&selected(&path, None, Some("backbone.")));
    assert!(
        message.contains("--key teacher or --key student"),
        "{message}"
    );
}

#[test]
fn the_only_dictionary_of_tensors_is_taken_whatever_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let plain = state(&resnet18(3));
    let file = ModelChoice::File(path.clone());
    write_pth(&path, &[("", &plain)], b"");
    let expected = logits(&file);
    for key in [
        "best_model_wts",
        "teacher",
        "net_state_dict",
        "optimal_state_dict",
        "scaled",
        "0",
    ] {
        write_pth(&path, &[(key, &plain)], b"");
        assert_eq!(logits(&file), expected, "{key}");
        assert!(open(&path).unwrap().model().notices.is_empty());
    }
    // The folds of a cross-validation, as separate dictionaries.
    write_pth(&path, &[("0", &plain), ("1", &plain)], b"");
    let message = refusal(&file);
    assert!(message.contains("--key 0 or --key 1"), "{message}");
    assert_eq!(logits(&selected(&path, Some("1"), None)), expected);
}

#[test]
fn an_optimizers_state_is_no_network() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let plain = state(&resnet18(3));
    // As many tensors as in a large network, each in its own dictionary.
    let moments = (0..1_200).map(|index| {
        let moment = Py::Tensor(vec![64, 3, 7, 7]);
        let dictionary = Py::Dict(vec![("layer1.0.conv1.weight".into(), moment)]);
        (Py::Int(index), dictionary)
    });
    let state = Py::Dict(moments.collect());
    let whole = Py::Dict(vec![
        ("state".into(), state.clone()),
        ("param_groups".into(), Py::Tuple(Vec::new())),
    ]);
    for (key, value) in [
        ("opt", &whole),
        ("optimizer", &state),
        ("optimizer_state", &state),
        ("optimizerG", &state),
        ("lr_scheduler", &state),
        ("scaler", &state),
    ] {
        let mut more = Vec::new();
        text(key, &mut more);
        let value = pickle(value);
        more.extend(&value[2..value.len() - 1]);
        write_pth(&path, &[("weights", &plain)], &more);
        let engine = open(&path).unwrap_or_else(|problem| panic!("{key}: {problem}"));
        assert!(engine.model().networks.is_empty(), "{key}");
        assert!(engine.notices().is_empty(), "{key}");
    }
}

#[test]
fn class_indices_with_gaps_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let plain = state(&resnet18(2));
    // {"class_to_idx": {"a": 0, "b": 2}}
    let gap = b"X\x0c\x00\x00\x00class_to_idx}(X\x01\x00\x00\x00aK\x00X\x01\x00\x00\x00bK\x02u";
    write_pth(&path, &[("state_dict", &plain)], gap);
    let engine = open(&path).unwrap();
    let notices = engine.notices();
    assert!(notices[0].contains("class_to_idx"), "{notices:?}");
    assert_eq!(engine.model().labels_from, "numbers: no names were found");
}

#[test]
fn dictionaries_beside_the_network_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let plain = state(&resnet18(3));
    let file = ModelChoice::File(path.clone());
    let mut bare = plain.clone();
    bare.retain(|name, _| !name.starts_with("fc."));
    let mut layer = State::new();
    layer.insert("weight".into(), (vec![3, 512], vec![0.1; 3 * 512]));
    write_pth(&path, &[("backbone", &bare), ("classifier", &layer)], b"");
    let message = refusal(&file);
    let words = "(in the dictionary \"backbone\") has no classifier; the dictionary \"classifier\" has a linear layer of 3 classes (weight)";
    assert!(message.contains(words), "{message}");

    write_pth(&path, &[("model", &plain), ("discriminator", &layer)], b"");
    let message = refusal(&file);
    let words = "its dictionary \"discriminator\" has a linear layer (weight) that may follow ResNet-18. If it does not, give --key model";
    assert!(message.contains(words), "{message}");
    let engine = Engine::open(&selected(&path, Some("model"), None), DeviceChoice::Cpu).unwrap();
    let notice = &engine.notices()[0];
    let words = "Left out by --key model: the dictionary \"discriminator\", whose linear layer weight could follow";
    assert!(notice.contains(words), "{notice}");
}

/// A name, an edit of a ResNet-18 with 3 classes, and what the message must contain.
type Case<'a> = (&'a str, &'a dyn Fn(&mut State), &'a str);

fn backbone(state: &mut State) {
    *state = prefixed(state, "backbone.");
}

fn linear(state: &mut State, name: &str, classes: usize, inputs: usize) {
    let weight = (vec![classes, inputs], vec![0.1; classes * inputs]);
    state.insert(format!("{name}.weight"), weight);
    state.insert(format!("{name}.bias"), (vec![classes], vec![0.0; classes]));
}

fn headless(state: &mut State) {
    state.retain(|name, _| !name.starts_with("fc."));
    backbone(state);
}

#[test]
fn what_may_change_the_answer_is_not_ignored() {
    let cases: [Case; 8] = [
        (
            "a classifier after the backbone's own",
            &|state| {
                backbone(state);
                linear(state, "classifier", 2, 3);
            },
            "another linear layer, classifier, takes the 3 outputs of backbone.fc",
        ),
        (
            "nn.Sequential(resnet18(), nn.Linear(3, 2))",
            &|state| {
                *state = prefixed(state, "0.");
                linear(state, "1", 2, 3);
            },
            "another linear layer, 1, takes the 3 outputs of 0.fc",
        ),
        (
            "attention outside the backbone",
            &|state| {
                headless(state);
                linear(state, "attention", 512, 512);
                linear(state, "classifier", 2, 512);
            },
            "may change its answer (attention.bias, attention.weight). If they do not, give --prefix \"\".",
        ),
        (
            "batch-norm outside the backbone",
            &|state| {
                headless(state);
                linear(state, "classifier", 2, 512);
                state.insert("bn.running_mean".into(), (vec![512], vec![0.0; 512]));
            },
            "may change its answer (bn.running_mean)",
        ),
        (
            "two heads",
            &|state| {
                headless(state);
                linear(state, "classifier", 2, 512);
                linear(state, "head2", 7, 512);
            },
            "--head classifier or --head head2",
        ),
        (
            "heads of other names",
            &|state| {
                headless(state);
                linear(state, "fc1", 2, 512);
                linear(state, "fc2", 7, 512);
            },
            "such as --head fc1: fc1 (2 classes), fc2 (7 classes)",
        ),
        (
            "two backbones and one classifier",
            &|state| {
                headless(state);
                let second: Vec<_> = state
                    .iter()
                    .map(|(name, value)| (name.replace("backbone", "second"), value.clone()))
                    .collect();
                state.extend(second);
                linear(state, "classifier", 2, 512);
            },
            "2 networks that share the classifier classifier",
        ),
        (
            "features of two backbones side by side",
            &|state| {
                headless(state);
                linear(state, "classifier", 2, 1024);
            },
            "takes 1024 inputs, and the network gives 512",
        ),
    ];
    all_are_refused(&cases);
}

#[test]
fn layers_one_after_the_other_are_not_offered() {
    let cases: [Case; 3] = [
        (
            "an embedding before the classifier",
            &|state| {
                headless(state);
                linear(state, "embedding", 128, 512);
                linear(state, "out", 3, 128);
            },
            "its classifier has 2 linear layers (embedding, out)",
        ),
        (
            "nn.Sequential(backbone, nn.Linear, nn.ReLU, nn.Linear)",
            &|state| {
                state.retain(|name, _| !name.starts_with("fc."));
                *state = prefixed(state, "0.");
                linear(state, "1", 64, 512);
                linear(state, "3", 3, 64);
            },
            "its classifier has 2 linear layers (1, 3)",
        ),
        (
            "attention called ema",
            &|state| {
                state.insert("ema.gn.weight".into(), (vec![16], vec![1.0; 16]));
            },
            "may change its answer (ema.gn.weight)",
        ),
    ];
    all_are_refused(&cases);
}

fn all_are_refused(cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    for (what, edit, words) in cases {
        let mut state = state(&resnet18(3));
        edit(&mut state);
        write(&path, &state);
        let message = open(&path).err().expect(what);
        assert!(message.contains(words), "{what}: {message}");
    }
}

#[test]
fn the_user_can_say_what_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let plain = state(&resnet18(3));
    write(&path, &plain);
    let expected = answer(&path).logits;
    let mut more = prefixed(&plain, "backbone.");
    linear(&mut more, "classifier", 2, 3);
    write(&path, &more);
    for prefix in ["backbone.", "backbone"] {
        let choice = selected(&path, None, Some(prefix));
        assert_eq!(logits(&choice), expected);
        let engine = Engine::open(&choice, DeviceChoice::Cpu).unwrap();
        assert!(
            engine.notices()[0].contains("2 of the file (classifier.bias"),
            "{:?}",
            engine.notices()
        );
    }
    // The backbone's classifier can't be chosen alone while another one follows it.
    let head = |name: &str, prefix: Option<&str>| {
        let selection = Selection {
            head: Some(name.into()),
            prefix: prefix.map(str::to_owned),
            ..Selection::default()
        };
        ModelChoice::Within(path.clone(), Box::new(selection))
    };
    let message = refusal(&head("backbone.fc", None));
    let words = "classifier, takes the 3 outputs of backbone.fc, and camlens needs one linear layer after global average pooling. If it does not follow, give --prefix backbone too";
    assert!(message.contains(words), "{message}");
    assert_eq!(logits(&head("backbone.fc", Some("backbone"))), expected);
    // The advice in the messages works: the classifier is outside the backbone.
    let mut more = plain.clone();
    headless(&mut more);
    linear(&mut more, "attention", 512, 512);
    linear(&mut more, "classifier", 3, 512);
    write(&path, &more);
    assert_eq!(logits(&selected(&path, None, Some(""))).len(), 3);
    assert!(refusal(&head("classifier", None)).contains("give --prefix \"\" too"));
    assert_eq!(logits(&head("classifier", Some(""))).len(), 3);
    let mut more = plain;
    headless(&mut more);
    linear(&mut more, "head_color", 2, 512);
    linear(&mut more, "head_kind", 5, 512);
    write(&path, &more);
    for (head, classes) in [("head_color", 2), ("head_kind", 5)] {
        let selection = Selection {
            head: Some(head.into()),
            ..Selection::default()
        };
        assert_eq!(
            logits(&ModelChoice::Within(path.clone(), Box::new(selection))).len(),
            classes
        );
    }
}

#[test]
fn what_is_there_for_training_only_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let plain = state(&resnet18(3));
    write(&path, &plain);
    let expected = answer(&path).logits;
    for (what, notices) in [
        ("aux_head.weight", 1),
        ("criterion.weight", 1),
        ("layer1.0.total_ops", 0),
        ("bn1.num_batches_tracked", 0),
        ("val_f1.tp", 1),
        ("device_indicator", 0),
    ] {
        let mut more = plain.clone();
        let count = if what == "device_indicator" { 0 } else { 2 };
        more.insert(what.into(), (vec![count], vec![1.0; count]));
        write(&path, &more);
        let found = answer(&path);
        assert_eq!(found.logits, expected, "{what}");
        assert_eq!(
            found.model.notices.len(),
            notices,
            "{what}: {:?}",
            found.model.notices
        );
    }
    // The classifier has another name, but is the only one.
    let mut renamed = plain.clone();
    for part in ["weight", "bias"] {
        let tensor = renamed.remove(&format!("fc.{part}")).unwrap();
        renamed.insert(format!("last.{part}"), tensor);
    }
    write(&path, &renamed);
    let found = answer(&path);
    assert_eq!(found.logits, expected);
    let notice = &found.model.notices[0];
    assert!(
        notice.contains("the only linear layer with 512 inputs: last"),
        "{notice}"
    );
    // A linear layer without a bias is not an error.
    let mut less = plain.clone();
    let bias = less.remove("fc.bias").unwrap().1;
    write(&path, &less);
    let found = answer(&path);
    let expected: Vec<f32> = expected.iter().zip(bias).map(|(a, b)| a - b).collect();
    assert_close(&found.logits, &expected, 1e-5, "no bias");
    assert!(found.model.notices[0].contains("fc has no bias"));
}

/// What training scripts save besides the weights, as the `more` of a file.
fn written(entries: Vec<(Py, Py)>) -> Vec<u8> {
    let mut more = Vec::new();
    for (key, value) in entries {
        for part in [key, value] {
            let part = pickle(&part);
            more.extend(&part[2..part.len() - 1]);
        }
    }
    more
}

/// An `argparse.Namespace`.
fn namespace(entries: Vec<(Py, Py)>) -> Py {
    let attributes = entries.into_iter().map(|(key, value)| match key {
        Py::Text(key) => (key, value),
        _ => unreachable!(),
    });
    Py::Module(Module {
        class: "argparse.Namespace".into(),
        attributes: attributes.collect(),
        ..Module::default()
    })
}

#[test]
fn a_training_script_that_names_another_network_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.pth.tar");
    let plain = state(&resnet18(3));
    let text = |key: &str, value: &str| (Py::from(key), Py::from(value));
    let args = |entries: Vec<(Py, Py)>| (Py::from("args"), namespace(entries));
    let dictionary = |entries| (Py::from("args"), Py::Dict(entries));
    let arguments = |name: &str, value: Py| {
        let arguments = Py::Dict(vec![(name.into(), value)]);
        let entries = vec![
            text("model", "resnet18"),
            ("model_kwargs".into(), arguments),
        ];
        args(entries)
    };
    for (entry, words) in [
        (
            text("arch", "resnetblur18"),
            "beside its weights names the network resnetblur18",
        ),
        (text("arch", "resnet50"), "names the network resnet50"),
        (text("model", "resnetaa18"), "resnetaa18"),
        (args(vec![text("model", "resnetblur18")]), "resnetblur18"),
        (dictionary(vec![text("model", "resnet18d")]), "resnet18d"),
        (
            args(vec![text("model", "resnet18"), text("gp", "max")]),
            "pooling is \"max\"",
        ),
        (
            arguments("output_stride", 8.into()),
            "builds the network with output_stride = 8",
        ),
        (
            arguments("act_layer", Py::Tuple(Vec::new())),
            "act_layer = ",
        ),
    ] {
        write_pth(&path, &[("state_dict", &plain)], &written(vec![entry]));
        let message = open(&path).err().expect(words);
        assert!(message.contains(words), "{message}");
        assert!(
            message.contains("save its state_dict on its own"),
            "{message}"
        );
    }
    for (entries, words) in [
        (
            vec![
                text("arch", "resnet18"),
                args(vec![text("model", "resnet18"), ("gp".into(), Py::None)]),
            ],
            "a standard ResNet-18, as the file names it (resnet18): ReLU",
        ),
        (vec![arguments("drop_rate", Py::Float(0.1))], "as the file"),
        // Names chosen by the user.
        (
            vec![text("arch", "lesions v2")],
            "The weights alone do not show it",
        ),
        (
            vec![args(vec![text("model", "mine"), text("gp", "max")])],
            "The weights alone do not show it",
        ),
    ] {
        write_pth(&path, &[("state_dict", &plain)], &written(entries));
        let assumed = open(&path).unwrap().model().assumed.clone().unwrap();
        assert!(assumed.contains(words), "{assumed}");
    }
    // Of two networks, the user chooses the one that is not named.
    let teacher = state(&shapes([3, 4, 6, 3], false, 3));
    let networks = [("student", &plain), ("teacher", &teacher)];
    write_pth(&path, &networks, &written(vec![text("arch", "resnet18")]));
    for key in ["student", "teacher"] {
        let choice = selected(&path, Some(key), None);
        let engine = Engine::open(&choice, DeviceChoice::Cpu).unwrap();
        let assumed = engine.model().assumed.clone().unwrap();
        assert_eq!(assumed.contains("as the file names"), key == "student");
    }
}

#[test]
fn several_labels_are_scored_by_sigmoid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let mut several = state(&resnet18(3));
    several.insert("criterion.pos_weight".into(), (vec![3], vec![2.0; 3]));
    write(&path, &several);
    let scores = || {
        let engine = open(&path).unwrap();
        let info = engine.model();
        let assumed = info.assumed.as_deref().unwrap_or_default();
        assert_eq!(
            assumed.contains("by sigmoid"),
            info.scores == Scores::Sigmoid
        );
        (info.scores, info.scores_from.clone())
    };
    let from = |text: &str| Some(text.to_owned());
    assert_eq!(scores(), (Scores::Sigmoid, from("criterion.pos_weight")));
    let analysis = answer(&path);
    assert_eq!(analysis.probabilities, Scores::Sigmoid.of(&analysis.logits));
    write(&path, &state(&resnet18(3)));
    assert_eq!(scores(), (Scores::Softmax, None));
    let config = r#"{"problem_type": "multi_label_classification"}"#;
    fs::write(folder.path().join("config.json"), config).unwrap();
    assert_eq!(scores(), (Scores::Sigmoid, from("config.json")));
}

#[test]
fn a_config_that_names_another_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write(&path, &state(&resnet18(3)));
    let config = |text: &str| fs::write(folder.path().join("config.json"), text).unwrap();
    for (text, words) in [
        (
            r#"{"architecture": "resnetblur18"}"#,
            "names the network resnetblur18",
        ),
        (
            r#"{"architecture": "resnet50"}"#,
            "names the network resnet50",
        ),
        // Also in a file that can't be read completely.
        (
            r#"{"architecture": "vit_base_patch16_224", "mean": 1}"#,
            "vit_base",
        ),
        (r#"{"global_pool": "max"}"#, "pooling is \"max\""),
        (
            r#"{"model_args": {"output_stride": 8}}"#,
            "output_stride = 8",
        ),
    ] {
        config(text);
        let message = open(&path).err().expect(text);
        assert!(
            message.contains(words) && message.contains("config.json"),
            "{message}"
        );
    }
    let sentence = |text: &str| {
        config(text);
        let engine = open(&path).unwrap();
        engine.model().assumed.clone().unwrap()
    };
    for text in [
        r#"{"architecture": "tv_resnet18", "num_classes": 3, "global_pool": "avg"}"#,
        r#"{"architecture": "resnet18.a1_in1k"}"#,
    ] {
        assert!(sentence(text).contains("which config.json names; probabilities by softmax"));
    }
    let sentence = sentence(r#"{"model_type": "bert"}"#);
    assert!(sentence.starts_with("Taken as a standard ResNet-18: ReLU, max pooling"));
    let built_in = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    assert_eq!(built_in.model().assumed, None);
}

#[test]
fn imagenets_names_are_said_to_be_assumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path, &state(&resnet18(1000)));
    let engine = open(&path).unwrap();
    let from = &engine.model().labels_from;
    assert_eq!(
        from,
        "ImageNet's names, assumed since there are 1000 classes"
    );
    let built_in = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    assert_eq!(built_in.model().labels_from, "ImageNet's names");
}
