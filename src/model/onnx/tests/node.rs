//! Runs tests in the format of the `onnx` package: `model.onnx`, `test_data_set_0/input_*.pb`,
//! `output_*.pb`. Each is run with all inputs known, and once for each floating-point input that
//! is not.

#![allow(clippy::float_cmp, clippy::nonminimal_bool)] // equal infinities

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::model::graph::reference::{Keep, Tensor, Values, run};
use crate::model::graph::simplify;
use crate::model::onnx::array::{Array, Data, Value};
use crate::model::onnx::data::Files;
use crate::model::onnx::declared::{DeclaredInput, Layout};
use crate::model::onnx::lower::Lower;
use crate::model::onnx::wire::{Reader, Source};
use crate::model::onnx::{OnnxFile, data, functions, messages, order, refusal};
use crate::platform::simd::Isa;

/// How a test went.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// All outputs are right, in this many ways to run it.
    Passed(usize),
    /// Nothing was computed.
    Refused(String),
    /// An output is wrong.
    Wrong(String),
}

fn tensor(path: &Path) -> Result<Array, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let model = Source::Memory(bytes.into());
    let mut reader = Reader::new(&model);
    let span = reader.all();
    let part = messages::tensor(&mut reader, span).map_err(|error| error.to_string())?;
    let files = Files {
        model,
        beside: Vec::new(),
    };
    data::read(&files, &part).map_err(|error| error.to_string())
}

/// A file with any inputs and outputs, and their names.
fn any_file(path: &Path) -> Result<(OnnxFile, Vec<String>, Vec<String>), String> {
    let text = |error: super::super::OnnxError| error.to_string();
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let source = Source::Memory(bytes.into());
    let model = messages::model(&mut Reader::new(&source)).map_err(text)?;
    let mut graph = model.graph.ok_or("no graph")?;
    let opset = refusal::opset(&model.opsets).map_err(text)?;
    graph.nodes = functions::inlined(graph.nodes, &model.functions).map_err(text)?;
    let plan = order::plan(&graph).map_err(text)?;
    refusal::check(&graph, &plan).map_err(text)?;
    let nodes = plan.order;
    let initializers = graph.initializers.into_iter();
    let initializers: HashMap<_, _> = initializers
        .map(|tensor| (tensor.name.clone(), tensor))
        .collect();
    let inputs = graph.inputs.into_iter().map(|input| input.name);
    let inputs = inputs.filter(|name| !initializers.contains_key(name));
    let inputs = inputs.collect();
    let outputs = graph.outputs.into_iter().map(|output| output.name);
    let outputs = outputs.collect();
    let file = OnnxFile {
        files: Files {
            model: source,
            beside: Vec::new(),
        },
        nodes: graph.nodes,
        order: nodes,
        initializers,
        input: DeclaredInput {
            name: String::new(),
            layout: Layout::ChannelsFirst,
            channels: 1,
            height: None,
            width: None,
            batch: None,
            bytes: false,
        },
        outputs: Vec::new(),
        metadata: BTreeMap::new(),
        producer: String::new(),
        opset,
        labels: None,
        read: Mutex::default(),
        computed: Mutex::default(),
    };
    Ok((file, inputs, outputs))
}

/// The outputs with one input that is not known, or none.
fn outputs(
    path: &Path,
    inputs: &[Array],
    open: Option<usize>,
) -> Result<BTreeMap<String, (Vec<usize>, Data)>, String> {
    let (file, names, outputs) = any_file(path)?;
    if names.len() < inputs.len() {
        return Err("more inputs than names".into());
    }
    let (name, shape) = match open {
        Some(index) => (names[index].as_str(), &inputs[index].shape[..]),
        None => ("no input", &[1][..]),
    };
    let mut lower = Lower::new(&file, name, shape);
    for (index, (name, array)) in names.iter().zip(inputs).enumerate() {
        if Some(index) != open {
            lower.values.insert(name, Value::Constant(array.clone()));
        }
    }
    lower.all_nodes().map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    let mut dynamic = Vec::new();
    for name in outputs {
        match lower.values.get(name.as_str()) {
            Some(Value::Constant(array)) => {
                found.insert(name, (array.shape.clone(), array.data.clone()));
            }
            Some(Value::Dynamic(id)) => dynamic.push((name, *id)),
            None => return Err(format!("{name} is not computed")),
        }
    }
    let ids = dynamic.iter().map(|(_, id)| *id).collect();
    let graph = simplify(lower.finish(ids));
    if dynamic.is_empty() {
        return Ok(found);
    }
    let array = &inputs[open.ok_or("nothing is open")?];
    let input = match &array.data {
        Data::F64(values) => Tensor::double(&array.shape, values.to_vec()),
        other => Tensor::single(&array.shape, other.to_f32()),
    };
    let keep = Keep::Only(&graph.outputs);
    let from = vec![(graph.input, input)];
    let result = run(&graph, from, &graph.outputs, keep, Isa::chosen(), &|| true)
        .map_err(|error| error.to_string())?;
    for ((name, _), id) in dynamic.into_iter().zip(&graph.outputs) {
        let tensor = result.get(*id).ok_or("no result")?;
        let data = match &tensor.values {
            Values::Single(values) => Data::F32(values.clone()),
            Values::Double(values) => Data::F64(values.clone()),
        };
        found.insert(name, (tensor.shape.clone(), data));
    }
    Ok(found)
}

fn files(folder: &Path, start: &str) -> Vec<PathBuf> {
    (0..32)
        .map(|index| folder.join(format!("test_data_set_0/{start}_{index}.pb")))
        .take_while(|path| path.exists())
        .collect()
}

fn compare(got: &(Vec<usize>, Data), expected: &Array, tolerance: f64) -> Result<(), String> {
    if got.0 != expected.shape {
        return Err(format!("shape {:?}, not {:?}", got.0, expected.shape));
    }
    let (a, b) = (got.1.to_f64(), expected.data.to_f64());
    let tolerance = if expected.data.is_float() {
        tolerance
    } else {
        0.0
    };
    for (at, (a, b)) in a.iter().zip(b.iter()).enumerate() {
        let same = (a - b).abs() <= tolerance * b.abs().max(1.0) || a == b;
        if !same && !(a.is_nan() && b.is_nan()) {
            return Err(format!("{a} instead of {b} at {at}"));
        }
    }
    Ok(())
}

fn outcome(folder: &Path) -> Outcome {
    let read = |start| -> Result<Vec<Array>, String> {
        files(folder, start)
            .iter()
            .map(|path| tensor(path))
            .collect()
    };
    let (inputs, expected) = match (read("input"), read("output")) {
        (Ok(inputs), Ok(expected)) => (inputs, expected),
        (Err(what), _) | (_, Err(what)) => return Outcome::Refused(what),
    };
    let path = folder.join("model.onnx");
    let names = match any_file(&path) {
        Ok((_, _, names)) => names,
        Err(what) => return Outcome::Refused(what),
    };
    let half = std::fs::read(&path).is_ok_and(|_| folder.to_string_lossy().contains("16"));
    let tolerance = if half { 2e-3 } else { 2e-5 };
    let floats = (0..inputs.len()).filter(|index| inputs[*index].data.is_float());
    let ways = floats.map(Some).chain([None]);
    let (mut passed, mut refused) = (0, String::new());
    for open in ways {
        let got = match outputs(&path, &inputs, open) {
            Ok(got) => got,
            Err(what) => {
                if refused.is_empty() {
                    refused = what;
                }
                continue;
            }
        };
        for (name, expected) in names.iter().zip(&expected) {
            let result = got.get(name).ok_or_else(|| "missing".to_owned());
            let result = result.and_then(|got| compare(got, expected, tolerance));
            if let Err(what) = result {
                return Outcome::Wrong(format!("{name} with {open:?} open: {what}"));
            }
        }
        passed += 1;
    }
    if passed == 0 {
        Outcome::Refused(refused)
    } else {
        Outcome::Passed(passed)
    }
}

/// The tests in a folder, by name.
fn all(folder: &Path) -> Vec<(String, Outcome)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    let tests = folders
        .iter()
        .filter(|path| path.join("model.onnx").exists());
    let name = |path: &Path| {
        path.file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    };
    tests.map(|path| (name(path), outcome(path))).collect()
}

/// All tests of the folder in `ONNX_NODE_TESTS`: one line each.
#[test]
#[ignore = "needs the onnx package's tests"]
fn node_tests_of_the_onnx_package() {
    let Some(folder) = std::env::var_os("ONNX_NODE_TESTS") else {
        println!("skipped: a test needs the onnx package's tests in the folder ONNX_NODE_TESTS");
        return;
    };
    let results = all(Path::new(&folder));
    let mut wrong = 0;
    for (name, outcome) in &results {
        match outcome {
            Outcome::Passed(ways) => println!("PASS {name} {ways}"),
            Outcome::Refused(what) => println!("REFUSED {name} {what}"),
            Outcome::Wrong(what) => {
                wrong += 1;
                println!("WRONG {name} {what}");
            }
        }
    }
    let passed = results
        .iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Passed(_)));
    println!(
        "{} of {} passed, {wrong} wrong",
        passed.count(),
        results.len()
    );
    assert_eq!(wrong, 0);
}

/// The reduced set in tests/golden/onnx, which `tools/onnx_node_tests.py` wrote.
#[test]
fn chosen_node_tests_of_the_onnx_package() {
    let packed = include_bytes!("../../../../tests/golden/onnx/node_tests.safetensors");
    let packed = safetensors::SafeTensors::deserialize(packed).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (name, file) in packed.iter() {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.data()).unwrap();
    }
    let results = all(folder.path());
    assert!(results.len() > 250, "only {} tests", results.len());
    let failed: Vec<_> = results
        .iter()
        .filter(|(_, outcome)| !matches!(outcome, Outcome::Passed(_)))
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
