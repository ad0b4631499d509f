//! Image classifiers from ONNX files: the file is read and checked, and for each size of the input
//! it becomes a [`Graph`] whose constants and shape arithmetic are computed already.
//!
//! Supported are the operator sets 7 to 23 (and the forms of older ones that are still common) as
//! far as classifiers need them. What is not supported is refused before any weight is read. Source
//! of all meanings: <https://onnx.ai/onnx/operators/>.

mod array;
mod data;
mod declared;
mod error;
mod fold;
mod functions;
mod lower;
mod messages;
mod order;
mod refusal;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

pub use crate::model::onnx::declared::{DeclaredInput, DeclaredOutput, Layout};
pub use crate::model::onnx::error::OnnxError;

use crate::model::graph::{Graph, GraphError, GraphSource, simplify};
use crate::model::onnx::array::{Array, Data};
use crate::model::onnx::data::Files;
use crate::model::onnx::messages::{NodePart, TensorPart};
use crate::model::onnx::wire::{Reader, Source};

/// The largest height or width of an input.
const LARGEST_SIDE: usize = 1 << 14;

/// An ONNX file of an image classifier. Its weights are read when a graph is built.
#[derive(Debug)]
pub struct OnnxFile {
    files: Files,
    nodes: Vec<NodePart>,
    /// The needed nodes in an order in which they can run.
    order: Vec<usize>,
    initializers: HashMap<String, TensorPart>,
    input: DeclaredInput,
    outputs: Vec<DeclaredOutput>,
    metadata: BTreeMap<String, String>,
    producer: String,
    opset: i64,
    labels: Option<Vec<String>>,
    /// Weights that were read, by name.
    read: Mutex<HashMap<String, Array>>,
    /// Constants that were computed from weights only, by name.
    computed: Mutex<HashMap<String, Data>>,
}

impl OnnxFile {
    /// Opens a file and checks everything but the weights' values.
    ///
    /// # Errors
    /// If the file can't be read, is damaged, or is not a classifier of photos with supported
    /// operators.
    pub fn open(path: &Path) -> Result<Self, OnnxError> {
        let io = |cause| OnnxError::Io {
            path: path.to_owned(),
            cause,
        };
        let file = File::open(path).map_err(io)?;
        let model = Source::open(file).map_err(io)?;
        Self::from_source(model, Some(path))
    }

    /// A file in memory. It can't have weights in another file.
    ///
    /// # Errors
    /// As [`OnnxFile::open`].
    pub fn from_bytes(bytes: Arc<[u8]>) -> Result<Self, OnnxError> {
        Self::from_source(Source::Memory(bytes), None)
    }

    fn from_source(source: Source, path: Option<&Path>) -> Result<Self, OnnxError> {
        let mut reader = Reader::new(&source);
        let model = messages::model(&mut reader)?;
        let Some(mut graph) = model.graph else {
            return Err(OnnxError::damaged("it has no graph"));
        };
        let opset = refusal::opset(&model.opsets)?;
        graph.nodes = functions::inlined(graph.nodes, &model.functions)?;
        let plan = order::plan(&graph)?;
        refusal::check(&graph, &plan)?;
        let (input, outputs) = declared::check(&graph, &plan)?;
        let order = order::needed(&graph, &plan, &outputs)?;
        let labels = declared::labels(&graph.nodes);
        let mut initializers = HashMap::with_capacity(graph.initializers.len());
        for tensor in graph.initializers {
            data::dims(&tensor)?;
            if let Some(tensor) = initializers.insert(tensor.name.clone(), tensor) {
                return Err(OnnxError::damaged(format!(
                    "it has two tensors {}",
                    tensor.name
                )));
            }
        }
        let constants = order
            .iter()
            .flat_map(|index| &graph.nodes[*index].attributes);
        let constants = constants.filter_map(|attribute| attribute.tensor.as_ref());
        let beside = refusal::external(initializers.values().chain(constants), path)?;
        Ok(Self {
            files: Files {
                model: source,
                beside,
            },
            nodes: graph.nodes,
            order,
            initializers,
            input,
            outputs,
            metadata: model.metadata,
            producer: format!("{} {}", model.producer, model.producer_version)
                .trim()
                .to_owned(),
            opset,
            labels,
            read: Mutex::default(),
            computed: Mutex::default(),
        })
    }

    /// The image.
    #[must_use]
    pub fn input(&self) -> &DeclaredInput {
        &self.input
    }

    /// The outputs that can be computed, in the order of the file. A graph has the same ones.
    #[must_use]
    pub fn outputs(&self) -> &[DeclaredOutput] {
        &self.outputs
    }

    /// The texts that the exporter left in the file: class names, image size and others.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The program that wrote it, with its version; may be empty.
    #[must_use]
    pub fn producer(&self) -> &str {
        &self.producer
    }

    /// The version of ONNX's operator set.
    #[must_use]
    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// Class names in the graph itself (`ZipMap`).
    #[must_use]
    pub fn labels(&self) -> Option<&[String]> {
        self.labels.as_deref()
    }

    /// Bytes of all its files.
    fn bytes(&self) -> u64 {
        let beside = self.files.beside.iter().map(|(_, source)| source.len());
        beside.fold(self.files.model.len(), u64::saturating_add)
    }

    /// A weight by name, read once.
    fn initializer(&self, name: &str) -> Result<Array, OnnxError> {
        let tensor = self
            .initializers
            .get(name)
            .ok_or_else(|| OnnxError::damaged(format!("nothing computes {name}")))?;
        self.attribute(name, tensor)
    }

    /// The values of a tensor, read once for each name.
    fn attribute(&self, name: &str, tensor: &TensorPart) -> Result<Array, OnnxError> {
        let read = || self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if !name.is_empty()
            && let Some(array) = read().get(name)
        {
            return Ok(array.clone());
        }
        let mut array = data::read(&self.files, tensor)?;
        array.name = name.into();
        if !name.is_empty() {
            read().insert(name.to_owned(), array.clone());
        }
        Ok(array)
    }

    /// Forgets constants that no graph uses.
    fn forget_unused(&self) {
        fn used(data: &Data) -> bool {
            match data {
                Data::F32(values) => Arc::strong_count(values) > 1 || values.len() < 1024,
                other => other.len() < 1024,
            }
        }
        let read = self.read.lock();
        read.unwrap_or_else(PoisonError::into_inner)
            .retain(|_, array| used(&array.data));
        let computed = self.computed.lock();
        computed
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|_, data| used(data));
    }
}

impl GraphSource for OnnxFile {
    fn graph(&self, height: usize, width: usize) -> Result<Graph, GraphError> {
        let given = [height, width];
        let fixed = [self.input.height, self.input.width];
        let differs = |(side, fixed): (&usize, Option<usize>)| fixed.is_some_and(|at| at != *side);
        if given.iter().zip(fixed).any(differs) {
            let [height_text, width_text] =
                fixed.map(|side| side.map_or_else(|| "any".into(), |side| side.to_string()));
            return Err(GraphError::new(format!(
                "It takes photos of {width_text}×{height_text} pixels, not {width}×{height}."
            )));
        }
        if given.iter().any(|side| !(1..=LARGEST_SIDE).contains(side)) {
            return Err(GraphError::new(format!(
                "A photo of {width}×{height} pixels is too large or empty."
            )));
        }
        Ok(simplify(lower::build(self, height, width)?))
    }

    fn fixed_size(&self) -> Option<(usize, usize)> {
        self.input.height.zip(self.input.width)
    }
}
