//! Opens an ONNX file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::input::framing::InputSize;
use crate::labels::names_in_metadata;
use crate::model::cpu::Isa;
use crate::model::file_selection::Selection;
use crate::model::graph::analysis::{self, InputRange, Relevant, Scale};
use crate::model::graph::network::{GraphInput, GraphNetwork};
use crate::model::graph::{Graph, GraphSource};
use crate::model::layers::Backend;
use crate::model::model_info::OutputInfo;
use crate::model::onnx::{Layout, OnnxFile};
use crate::model::open::parts::Parts;
use crate::model::open::{Model, ModelError};
use crate::model::preprocessing::{Config, Preprocessing, PreprocessingSource, Preset};
use crate::model::scores::Scores;
use crate::model::weights;
use crate::model::weights::WeightsError;

/// Sides that are tried for a network that declares none: the usual ones first.
const SIDES: [usize; 6] = [224, 256, 299, 384, 128, 64];

/// Whether a file seems to be an ONNX file: by its name, or by its first bytes.
pub fn is_onnx(path: &Path) -> bool {
    let by_name = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    if by_name {
        return true;
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(8).read_to_end(&mut start));
    read.is_ok() && weights::starts_like_onnx(&start)
}

impl Model {
    /// The network in an ONNX file.
    #[allow(clippy::too_many_lines)] // one step after the other
    pub(super) fn open_onnx(
        path: &Path,
        selection: &Selection,
        labels: Option<&Path>,
        backend: &Backend,
    ) -> Result<Self, ModelError> {
        let name = crate::input::photo::display_name(path);
        let refused = |what: String| ModelError::Onnx {
            name: name.clone(),
            what,
        };
        if !std::fs::metadata(path).is_ok_and(|found| found.is_file()) {
            let cause = std::io::Error::other("it is not a file");
            let path = path.to_owned();
            return Err(WeightsError::Io { path, cause }.into());
        }
        let file = OnnxFile::open(path).map_err(|error| refused(error.to_string()))?;
        let sha256 = weights::hash_file(path).map_err(|cause| WeightsError::Io {
            path: path.to_owned(),
            cause,
        })?;
        let config = Config::beside(path);
        let declared = file.input().clone();
        let channels_last = declared.layout == Layout::ChannelsLast;
        let (size, graph) = first_graph(&file).map_err(&refused)?;
        let names = file.outputs().iter().map(|output| output.name.clone());
        let names: Vec<String> = names.collect();
        let (output, possible) = choose_output(&graph, &names, selection).map_err(&refused)?;
        let found = analysis::logits(&graph, graph.outputs[output]).map_err(|e| refused(e.0))?;
        let relevant = Relevant::new(&graph, found.id);
        let range = analysis::input_range(&graph, &relevant);
        drop(graph);
        let level = match backend {
            Backend::Fused(cpu) => cpu.level,
            Backend::Candle(_) => Isa::chosen(),
        };
        let mut notices = Vec::new();
        if !possible.is_empty() && selection.output.is_none() {
            notices.push(format!(
                "It has several outputs: {} is explained, which has the most classes.",
                names[output]
            ));
        }
        let mut selection = selection.clone();
        selection.output = (!possible.is_empty()).then(|| names[output].clone());
        let metadata = file.metadata();
        let ultralytics = metadata.contains_key("imgsz") && metadata.contains_key("names");
        let known = match (range, declared.bytes) {
            (_, true) => Some((Preset::Bytes, "the file (its input is bytes)")),
            (Some(InputRange::Bytes), _) => {
                Some((Preset::Bytes, "the file (the network normalizes by itself)"))
            }
            (Some(InputRange::Unit), _) => Some((
                Preset::Tutorial,
                "the file (the network normalizes by itself)",
            )),
            (None, false) if ultralytics => Some((Preset::Tutorial, "the file (Ultralytics)")),
            (None, false) => None,
        };
        let own_names = file.labels().map(<[String]>::to_vec);
        let own_names = own_names.or_else(|| names_in_metadata(metadata));
        // Nothing in such a file says it. Keras has images with channels last.
        let (guess, why) = if channels_last {
            (Preset::Half, "-1 to 1, as usual with Keras")
        } else if declared.channels == 1 {
            (Preset::Tutorial, "0 to 1")
        } else {
            (Preset::Imagenet, "ImageNet's")
        };
        let (height, width) = size;
        let plain = Preprocessing {
            size: InputSize {
                width,
                height,
                short: height.min(width) * 8 / 7,
                rounds_down: false,
            },
            ..Preprocessing::default()
        };
        let outputs: Vec<OutputInfo> = possible
            .into_iter()
            .map(|(name, classes)| OutputInfo { name, classes })
            .collect();
        let scores = match found.scale {
            Scale::Sigmoid => (Scores::Sigmoid, Some("a sigmoid at its end".to_owned())),
            Scale::Softmax => (Scores::Softmax, Some("a softmax at its end".to_owned())),
            Scale::Unknown => (Scores::Softmax, None),
        };
        let input = GraphInput {
            size,
            channels_last,
            output,
        };
        let network = GraphNetwork::new(Box::new(file), input, level);
        let network = network.map_err(|error| refused(error.0))?;
        let assumed = (found.scale == Scale::Unknown && found.classes > 1).then(|| {
            "Probabilities by softmax: the file does not say how its outputs become scores."
                .to_owned()
        });
        Self::of_parts(Parts {
            network,
            architecture: "ONNX network".into(),
            path,
            sha256,
            config,
            names: own_names.map(|names| (names, "the ONNX file")),
            from_file: known.map(|(preset, from)| (preset.over(plain), from.to_owned())),
            usual: (guess.over(plain), PreprocessingSource::guess(why)),
            scores,
            outputs,
            assumed,
            notices,
            selection,
            on_gpu: matches!(backend, Backend::Candle(_)),
            labels,
        })
    }
}

/// The graph for the declared size, or for the first usual one that fits.
fn first_graph(file: &OnnxFile) -> Result<((usize, usize), Graph), String> {
    let declared = file.input();
    let sides = |known: Option<usize>| match known {
        Some(side) => vec![side],
        None => SIDES.to_vec(),
    };
    let (heights, widths) = (sides(declared.height), sides(declared.width));
    let mut first = None;
    for index in 0..heights.len().max(widths.len()) {
        let at = |sides: &[usize]| sides[index.min(sides.len() - 1)];
        let size = (at(&heights), at(&widths));
        match file.graph(size.0, size.1) {
            Ok(graph) => return Ok((size, graph)),
            Err(error) => first = first.or(Some(error.0)),
        }
    }
    Err(first.unwrap_or_default())
}

/// The index of the explained output: the one that was asked for, otherwise that with the most
/// classes. And all outputs that can be explained, with their numbers of classes, if there are
/// several.
fn choose_output(
    graph: &Graph,
    names: &[String],
    selection: &Selection,
) -> Result<(usize, Vec<(String, usize)>), String> {
    let mut possible = Vec::new();
    let mut problem = None;
    for (index, output) in graph.outputs.iter().enumerate() {
        match analysis::logits(graph, *output) {
            Ok(logits) => possible.push((index, logits.classes)),
            Err(error) => problem = problem.or(Some(error.0)),
        }
    }
    let best = possible
        .iter()
        .max_by_key(|(index, classes)| (*classes, usize::MAX - index));
    let Some(&(mut best, _)) = best else {
        return Err(problem.unwrap_or_else(|| "it has no output".into()));
    };
    let several = possible
        .iter()
        .map(|(index, classes)| (names[*index].clone(), *classes));
    let several: Vec<(String, usize)> = several.collect();
    if let Some(wanted) = &selection.output {
        let found = possible.iter().find(|(index, _)| names[*index] == *wanted);
        best = if let Some((index, _)) = found {
            *index
        } else {
            let names: Vec<&str> = several.iter().map(|(name, _)| &name[..]).collect();
            return Err(format!(
                "it has no output {wanted} with one score per class: choose one of {}",
                names.join(", ")
            ));
        };
    }
    let several = if several.len() > 1 {
        several
    } else {
        Vec::new()
    };
    Ok((best, several))
}
