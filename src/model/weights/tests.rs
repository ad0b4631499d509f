use super::layout::Element;
use super::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (
            *name,
            TensorView::new(*dtype, shape.to_vec(), bytes).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

#[test]
fn half_precision_becomes_single() {
    let f16s = [0x00, 0x3c, 0x00, 0xc0]; // 1, −2
    let bf16s = [0x80, 0x3f, 0x00, 0xc0]; // 1, −2
    let bytes = file(&[
        ("a", Dtype::F16, &[2], &f16s),
        ("b", Dtype::BF16, &[2], &bf16s),
    ]);
    let mut checkpoint = Checkpoint::from_bytes("x", bytes.into()).unwrap();
    assert_eq!(checkpoint.tensor("a", &[2]), [1.0, -2.0]);
    assert_eq!(checkpoint.tensor("b", &[2]), [1.0, -2.0]);
    checkpoint.finish("a test", []).unwrap();
}

#[test]
fn every_problem_is_counted_and_the_first_are_named() {
    let nan = f32::NAN.to_le_bytes();
    let bytes = file(&[
        ("nan", Dtype::F32, &[1], &nan),
        ("int", Dtype::I32, &[1], &[0; 4]),
    ]);
    let mut checkpoint = Checkpoint::from_bytes("w.safetensors", bytes.into()).unwrap();
    checkpoint.tensor("gone", &[1]);
    checkpoint.tensor("nan", &[2]);
    checkpoint.tensor("nan", &[1]);
    checkpoint.tensor("int", &[1]);
    let message = checkpoint
        .finish("ResNet-18", [])
        .err()
        .unwrap()
        .to_string();
    for words in [
        "gone is missing",
        "[1] instead of [2]",
        "not finite",
        "1 more",
        "ResNet-18",
    ] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn files_that_are_no_weights_are_refused() {
    let whole = file(&[("a", Dtype::F32, &[2], &[0; 8])]);
    for bytes in [
        &b"hello"[..],
        b"",
        &whole[..whole.len() - 1],
        b"\x80\x02old pickle",
    ] {
        let result = Checkpoint::from_bytes("x.pth", bytes.to_vec().into());
        assert!(matches!(result, Err(WeightsError::Format { .. })));
    }
}

fn pth(name: &str) -> Result<Checkpoint, WeightsError> {
    Checkpoint::open(format!("tests/golden/pth/{name}.pth").as_ref(), None)
}

fn names(checkpoint: &Checkpoint) -> Vec<&str> {
    checkpoint.names().collect()
}

const SIX: [f32; 6] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];

/// Files that `torch.save` wrote (`tools/reference_checkpoints.py`).
#[test]
fn every_layout_of_a_pth_file_is_read() {
    let mut file = pth("plain").unwrap();
    for name in ["a", "b", "c", "d", "parameter"] {
        assert_eq!(file.tensor(name, &[2, 3]), SIX, "{name}");
    }
    // A view of a larger storage starts inside it.
    assert_eq!(file.tensor("view", &[6]), [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    // Transposed, and channels last: the values in logical order, not in storage order.
    let turned = file.tensor("turned", &[3, 2]);
    assert_eq!(turned, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let expected: Vec<f32> = (0..12u8).map(f32::from).collect();
    assert_eq!(file.tensor("last", &[1, 3, 2, 2]), expected);
    assert_eq!(file.shape("count"), Some(&[][..]));
    file.tensor("count", &[]);
    let problem = file.finish("a test", []).err().unwrap().to_string();
    assert!(
        problem.contains("count holds long instead of floating-point"),
        "{problem}"
    );
}

#[test]
fn weights_are_found_where_training_scripts_put_them() {
    for (name, labels) in [
        ("state_dict", None),
        ("model_state_dict", None),
        ("model", Some(["cat", "dog"])),
        ("named", Some(["cat", "dog"])),
    ] {
        let mut file = pth(name).unwrap();
        assert_eq!(names(&file), ["a"], "{name}");
        let found: Option<Vec<&str>> = file
            .labels()
            .map(|names| names.iter().map(String::as_str).collect());
        assert_eq!(found, labels.map(|names| names.to_vec()), "{name}");
        assert_eq!(file.tensor("a", &[2, 3]), SIX);
        let finished = file.finish("a test", []).unwrap();
        assert_eq!(finished.sha256.len(), 64);
    }
}

#[test]
fn whole_modules_are_read_without_running_anything() {
    for name in ["module", "module_in_dict"] {
        let mut file = pth(name).unwrap();
        assert!(names(&file).contains(&"bn1.running_var"), "{name}");
        let weight = file.tensor("conv1.weight", &[2, 1, 2, 2]);
        assert_eq!(weight, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
    }
}

#[test]
fn pth_files_without_weights_are_refused() {
    for (name, words) in [
        ("nothing", "no weights were found in it; it has epoch, note"),
        ("legacy", "before 1.6"),
    ] {
        let message = pth(name).err().unwrap().to_string();
        assert!(message.contains(words), "{message}");
    }
}

/// A file cut short at any point gives an error, and never a panic.
#[test]
fn truncated_pth_files_are_refused() {
    let whole = std::fs::read("tests/golden/pth/state_dict.pth").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pth");
    for length in (0..whole.len()).step_by(7) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(Checkpoint::open(&path, None).is_err(), "{length} bytes");
    }
}

/// Changing any byte gives an error or another number, and never a panic.
#[test]
fn damaged_pth_files_do_no_harm() {
    let whole = std::fs::read("tests/golden/pth/state_dict.pth").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.pth");
    let mut opened = 0;
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(mut file) = Checkpoint::open(&path, None) {
            opened += 1;
            file.tensor("a", &[2, 3]);
        }
    }
    assert!(opened > 0, "some bytes do not matter");
}

#[test]
fn a_tensor_that_is_there_twice_is_refused() {
    let entry = || Entry {
        element: Element::F32,
        shape: vec![0],
        strides: None,
        first: 0,
        start: 0,
        length: 0,
    };
    let listing = Listing {
        entries: vec![("a".into(), entry()), ("a".into(), entry())],
        ..Listing::default()
    };
    let sha256 = std::thread::spawn(|| Ok(String::new()));
    let source = Source::Memory(Cow::Borrowed(&[]));
    let result = Checkpoint::from_listing("x".into(), source, listing, sha256, None);
    assert!(result.err().unwrap().to_string().contains("a twice"));
}

#[test]
fn views_can_not_claim_more_than_their_storage_has() {
    let entry = |shape: &[usize], strides: &[usize], first| Entry {
        element: Element::F32,
        shape: shape.to_vec(),
        strides: Some(strides.to_vec()),
        first,
        start: 0,
        length: 24,
    };
    assert!(entry(&[2, 3], &[3, 1], 0).fits());
    assert!(entry(&[3, 2], &[1, 3], 0).fits());
    assert!(entry(&[5], &[1], 1).fits());
    for too_much in [
        entry(&[2, 3], &[3, 1], 1),
        entry(&[2, 3], &[4, 1], 0),
        entry(&[1 << 40], &[0], 0), // one number, repeated to a terabyte
        entry(&[usize::MAX, 2], &[usize::MAX, 1], 0),
        entry(&[1], &[1], usize::MAX),
    ] {
        assert!(!too_much.fits(), "{too_much:?}");
    }
}

#[test]
fn tensors_that_the_network_does_not_have_mean_another_network() {
    let one = 1f32.to_le_bytes();
    let bytes = file(&[
        ("m.layer1.se.weight", Dtype::F32, &[1], &one),
        ("m.layer1.weight", Dtype::F32, &[1], &one),
        ("m.layer1.num_batches_tracked", Dtype::I64, &[1], &[0; 8]),
        ("criterion.weight", Dtype::F32, &[1], &one),
    ]);
    let open = || {
        let mut file = Checkpoint::from_bytes("x", bytes.clone().into()).unwrap();
        file.enter("m.");
        file.tensor("layer1.weight", &[1]);
        file
    };
    let message = open().finish("A", ["layer1."]).err().unwrap().to_string();
    assert!(
        message.contains("m.layer1.se.weight is not a tensor of A"),
        "{message}"
    );
    assert!(!message.contains("tracked") && !message.contains("criterion"));
    let mut file = open();
    file.tensor("layer1.se.weight", &[1]);
    let finished = file.finish("A", ["layer1."]).unwrap();
    assert_eq!(finished.unused, ["criterion.weight"]);
}
