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
use crate::model::preprocessing::{Config, Preprocessing, Preset};
use crate::model::weights;
use crate::model::weights::WeightsError;
use crate::text::printable;

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
        let outputs = file.outputs().iter().map(|output| output.name.clone());
        let outputs: Vec<String> = outputs.collect();
        let (output, possible) = choose_output(&graph, &outputs, selection).map_err(&refused)?;
        let found = analysis::logits(&graph, graph.outputs[output]).map_err(|e| refused(e.0))?;
        let relevant = Relevant::new(&graph, found.id);
        let range = analysis::input_range(&graph, &relevant);
        drop(graph);
        let level = match backend {
            Backend::Fused(cpu) => cpu.level,
            Backend::Candle(_) => Isa::chosen(),
        };
        let mut notices = Vec::new();
        let several = possible.len() > 1;
        let mut selection = selection.clone();
        if several {
            if selection.output.is_none() {
                let names = possible.iter().map(|info| info.name.clone());
                notices.push(format!(
                    "It has several outputs: {} is explained. Choose another one in the model section or with --output: {}.",
                    printable::name(&outputs[output]),
                    printable::names(names)
                ));
            }
            selection.output = Some(outputs[output].clone());
        }
        let preset = match (range, declared.bytes) {
            (_, true) | (Some(InputRange::Bytes), _) => Some((Preset::Tutorial, "the file")),
            (Some(InputRange::Unit), _) => Some((Preset::Tutorial, "the file")),
            (None, false) => None,
        };
        let metadata = file.metadata();
        let ultralytics = metadata.contains_key("imgsz") && metadata.contains_key("names");
        let preset = match preset {
            None if ultralytics => Some((Preset::Tutorial, "the file (Ultralytics)")),
            preset => preset,
        };
        let names = file.labels().map(<[String]>::to_vec);
        let names = names.or_else(|| names_in_metadata(metadata));
        let (guess, from) = match preset {
            Some((preset, from)) => (preset, format!("from {from}: {}", preset.name())),
            None if channels_last => (Preset::Half, "guessed: -1 to 1, usual for Keras".into()),
            None => (Preset::Imagenet, "guessed: ImageNet's".to_owned()),
        };
        let fixed = file.fixed_size();
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
        let (mean, std) = guess.statistics();
        let preprocessing = Preprocessing {
            mean,
            std,
            size: InputSize {
                crop: size.0,
                short: size.0 * 8 / 7,
            },
        };
        Self::of_parts(Parts {
            network,
            architecture: "ONNX network".into(),
            path,
            sha256,
            config,
            names: names.map(|names| (names, "the ONNX file")),
            preprocessing,
            preprocessing_from: from,
            is_guess: preset.is_none(),
            fixed,
            channels: declared.channels,
            assumed,
            outputs: if several { possible } else { Vec::new() },
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

/// The index of the explained output, and all that can be explained: the one that was asked for,
/// otherwise that with the most classes.
fn choose_output(
    graph: &Graph,
    names: &[String],
    selection: &Selection,
) -> Result<(usize, Vec<OutputInfo>), String> {
    let mut possible = Vec::new();
    let mut problem = None;
    for (index, output) in graph.outputs.iter().enumerate() {
        match analysis::logits(graph, *output) {
            Ok(logits) => possible.push((index, logits.classes)),
            Err(error) => problem = problem.or(Some(error.0)),
        }
    }
    let best = match &selection.output {
        Some(name) => possible.iter().find(|(index, _)| names[*index] == *name),
        None => possible
            .iter()
            .max_by_key(|(index, classes)| (*classes, usize::MAX - index)),
    };
    let infos = possible.iter().map(|(index, classes)| OutputInfo {
        name: names[*index].clone(),
        classes: *classes,
    });
    let infos: Vec<OutputInfo> = infos.collect();
    match (best, &selection.output) {
        (Some((best, _)), _) => Ok((*best, infos)),
        (None, Some(name)) if !infos.is_empty() => Err(format!(
            "it has no output {} that can be explained: give {} with --output",
            printable::name(name),
            printable::names(infos.into_iter().map(|info| info.name)),
        )),
        _ => Err(problem.unwrap_or_else(|| "it has no output".into())),
    }
}
