//! Files that must be rejected quickly and with a clear message.

use super::*;

/// A name, an edit that must be rejected, and words that the message must contain.
type Case<'a> = (&'a str, &'a dyn Fn(&mut State), &'a [&'a str]);

#[test]
#[allow(clippy::too_many_lines)] // a table
fn broken_checkpoints_are_refused_at_once_and_name_the_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.safetensors");
    let rename = |state: &mut State, from: &str, to: &str| {
        let value = state.remove(from).unwrap();
        state.insert(to.into(), value);
    };
    let cases: [Case; 12] = [
        (
            "a missing layer",
            &|state| state.retain(|name, _| !name.starts_with("layer3.1.")),
            &[
                "layer3.1.conv1.weight is missing",
                "more problems",
                "ResNet-18",
            ],
        ),
        (
            "no head",
            &|state| state.retain(|name, _| !name.starts_with("fc.")),
            &["no classifier, a linear layer with 512 inputs"],
        ),
        (
            "NaN",
            &|state| state.get_mut("layer2.0.conv1.weight").unwrap().1[5] = f32::NAN,
            &["layer2.0.conv1.weight has values that are not finite"],
        ),
        (
            "infinity",
            &|state| state.get_mut("bn1.bias").unwrap().1[0] = f32::INFINITY,
            &["bn1.bias has values that are not finite"],
        ),
        (
            "a negative variance",
            &|state| state.get_mut("bn1.running_var").unwrap().1[0] = -1.0,
            &["bn1.running_var has a negative value"],
        ),
        (
            "a tensor of another shape",
            &|state| _ = state.insert("bn1.bias".into(), (vec![32], vec![0.0; 32])),
            &["bn1.bias has shape [32] instead of [64]"],
        ),
        (
            "one class",
            &|state| _ = state.insert("fc.weight".into(), (vec![1, 512], vec![0.0; 512])),
            &["fc has one output (a sigmoid head, probably); camlens needs two classes or more."],
        ),
        (
            "squeeze and excitation",
            &|state| _ = state.insert("layer1.0.se.fc1.weight".into(), (vec![1], vec![0.0])),
            &["layer1.0.se.fc1"],
        ),
        (
            "something more in a block",
            &|state| _ = state.insert("layer2.1.attention.weight".into(), (vec![1], vec![0.0])),
            &["layer2.1.attention.weight is not a tensor of ResNet-18"],
        ),
        (
            "two linear layers",
            &|state| {
                rename(state, "fc.weight", "fc.0.weight");
                rename(state, "fc.bias", "fc.0.bias");
                state.insert("fc.2.weight".into(), (vec![2, 3], vec![0.0; 6]));
            },
            &["2 linear layers (fc.0.weight, fc.2.weight)"],
        ),
        (
            "batch-norm in the head",
            &|state| {
                rename(state, "fc.weight", "fc.1.weight");
                rename(state, "fc.bias", "fc.1.bias");
                state.insert("fc.0.weight".into(), (vec![512], vec![1.0; 512]));
            },
            &["more than a linear layer (it has fc.0.weight, too)"],
        ),
        (
            "two networks",
            &|state| {
                let own = std::mem::take(state);
                for prefix in ["student.", "teacher."] {
                    let named = own.iter().map(|(k, v)| (format!("{prefix}{k}"), v.clone()));
                    state.extend(named);
                }
            },
            &["holds 2 networks. Choose one: --prefix student or --prefix teacher."],
        ),
    ];
    for (what, edit, words) in cases {
        let mut state = state(&resnet18(3));
        edit(&mut state);
        write(&path, &state);
        let started = Instant::now();
        let message = open(&path).err().expect(what);
        assert!(
            started.elapsed() < Duration::from_secs(10), // about 0.1 s on an idle machine
            "{what} took {:?}",
            started.elapsed()
        );
        for words in words {
            assert!(message.contains(words), "{what}: {message}");
        }
    }
}

#[test]
fn files_that_are_no_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write_file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let whole = folder.path().join("whole.safetensors");
    write(&whole, &state(&resnet18(2)));
    let whole = fs::read(whole).unwrap();
    let cases = [
        (
            write_file("text.pth", b"these are no weights"),
            "neither safetensors nor a zip",
        ),
        (write_file("empty.safetensors", b""), "neither safetensors"),
        (
            write_file("cut.safetensors", &whole[..whole.len() - 1]),
            "cut short",
        ),
        (write_file("header.safetensors", &whole[..100]), "cut short"),
        (write_file("huge.safetensors", &[0xff; 64]), "cut short"),
        (
            write_file("zip.pth", b"PK\x03\x04 and no more"),
            "zip archive",
        ),
        (write_file("old.pt", b"\x80\x02}q\x00."), "before 1.6"),
        (folder.path().join("nowhere.pth"), "Can't read the weights"),
        (folder.path().to_owned(), "it is a folder"),
    ];
    for (path, words) in cases {
        let message = open(&path).err().unwrap();
        assert!(message.contains(words), "{}: {message}", path.display());
    }
}

/// A zip archive as PyTorch writes it, with an arbitrary pickle.
fn archive(path: &Path, pickle: &[u8], method: zip::CompressionMethod) {
    let mut writer = zip::ZipWriter::new(fs::File::create(path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in [
        ("m/data.pkl", pickle),
        ("m/data/0", &[0; 24]),
        ("m/version", b"3\n"),
    ] {
        writer.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut writer, bytes).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn hostile_pickles_without_weights_are_named_and_run_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    let trace = folder.path().join("was-run");
    let command = format!("cposix\nsystem\n(S'touch {}'\ntR.", trace.display());
    for (pickle, words) in [
        (command.as_bytes(), "posix.system"),
        (
            b"\x80\x02c__builtin__\neval\nX\x02\x00\x00\x0011\x85R.",
            "__builtin__.eval",
        ),
        (
            b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff\xf1.",
            "opcode 0xf1",
        ),
        (b"\x80\x02\x8b\xff\xff\xff\x7f.", "cut short"),
        (b"\x80\x02}q\x00h\x00h\x00h\x00s.", "no weights"), // a dictionary that contains itself
        (b"\xfe\xed", "opcode 0xfe"),
    ] {
        archive(&path, pickle, zip::CompressionMethod::Stored);
        let message = open(&path).err().unwrap();
        assert!(message.contains(words), "{message}");
    }
    assert!(!trace.exists(), "the pickle was run");
}

/// A pickle is never run, so a file with weights can be opened whatever functions the pickle names.
/// `code` and `http` are names that training scripts use.
#[test]
fn weights_beside_calls_are_opened_and_calls_said() {
    use super::torch_save::{Py, pickle, torch_save};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.pth");
    let trace = folder.path().join("was-run");
    let weights = shapes([2, 2, 2, 2], false, 3)
        .into_iter()
        .map(|(name, shape)| (name.as_str().into(), Py::Tensor(shape)));
    let weights = pickle(&Py::Dict(weights.collect()));
    let weights = &weights[2..weights.len() - 1];
    let storage: Vec<u8> = [0, 0, 0, 0x3c].repeat(512 * 512 * 9);
    let command = format!("cposix\nsystem\n(S'touch {}'\ntR", trace.display());
    for (call, words) in [
        (command.as_str(), "Its pickle refers to posix.system."),
        ("ccode.config\nOptions\n)R", ""),
        ("chttp\nHTTPStatus\n)R", ""),
    ] {
        let start = b"\x80\x02}(X\x04\x00\x00\x00argsX";
        let mut bytes = start[..start.len() - 1].to_vec();
        bytes.extend(call.as_bytes());
        bytes.extend(b"X\x05\x00\x00\x00model");
        bytes.extend(weights);
        bytes.extend(b"u.");
        torch_save(&path, "m", &bytes, &[("0", &storage)]);
        let engine = open(&path).unwrap();
        let notices = engine.notices().join(" ");
        assert_eq!(notices.is_empty(), words.is_empty(), "{notices}");
        assert!(notices.contains(words), "{notices}");
    }
    assert!(!trace.exists(), "the pickle was run");
}

/// Compressed entries are never unpacked, so a small file can't expand to a large one.
#[test]
fn compressed_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.pth");
    archive(&path, b"}.", zip::CompressionMethod::Stored);
    let mut bytes = fs::read(&path).unwrap();
    // The compression method is at byte 8 of a local header and at byte 10 of a directory entry.
    for (mark, at) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        let places: Vec<usize> = (0..bytes.len() - 4)
            .filter(|&i| &bytes[i..i + 4] == mark)
            .collect();
        assert_eq!(places.len(), 3);
        for place in places {
            bytes[place + at] = 8; // deflate
        }
    }
    fs::write(&path, &bytes).unwrap();
    let message = open(&path).err().unwrap();
    assert!(message.contains("compressed or encrypted"), "{message}");
}

/// Variants of everyday life open, and what their tensors do not tell is said.
#[test]
fn gray_input_and_stems_for_small_pictures_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    for (shape, channels) in [(vec![64, 1, 7, 7], 1), (vec![64, 3, 3, 3], 3)] {
        let mut state = state(&resnet18(3));
        let values = vec![0.01; shape.iter().product()];
        state.insert("conv1.weight".into(), (shape, values));
        write(&path, &state);
        let engine = open(&path).unwrap();
        let info = engine.model();
        assert_eq!(info.architecture, "ResNet-18");
        assert_eq!(info.needs.channels, channels);
        assert_eq!(info.layer_name(info.default_layer), "layer4");
        assert!(info.assumed.is_some() && info.gradient_check.is_some());
    }
}
