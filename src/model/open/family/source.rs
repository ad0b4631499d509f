//! The network of a state dict: finds its family, and reads its tensors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::cpu::Isa;
use crate::model::file_selection::Selection;
use crate::model::graph::network::{GraphInput, GraphNetwork};
use crate::model::graph::{Graph, GraphError, GraphSource};
use crate::model::state_dict::{Described, FAMILIES, Family, Layers, SavedModule, Shapes, Tensors};
use crate::model::weights::Checkpoint;

/// The side of the input at which a network is first tried.
const USUAL_SIDE: usize = 224;
/// The longest prefix of tensor names that is looked for, in parts between dots.
const PREFIX_PARTS: usize = 6;

/// A network from a state dict.
pub struct Built {
    /// The network.
    pub network: GraphNetwork,
    /// What its builder says about it.
    pub described: Described,
}

/// Builds the network of a checkpoint. `None` if no family knows its tensors.
///
/// # Errors
/// What does not fit, for the user.
pub fn build(
    checkpoint: &mut Checkpoint,
    wanted: &Selection,
    declared: &str,
    level: Isa,
) -> Option<Result<Built, String>> {
    let (prefix, shapes, family) = find(checkpoint, wanted)?;
    if let Some(module) = checkpoint.modules().iter().find(|module| module.has_hooks) {
        return Some(Err(format!(
            "hooks are called at its module {}, and camlens runs no code of a file. Save it without hooks",
            module.path
        )));
    }
    checkpoint.enter(&prefix);
    let declared = Some(declared.to_owned()).filter(|name| !name.is_empty());
    let source = Source {
        shapes: Arc::new(shapes),
        modules: modules(checkpoint, &prefix),
        family,
        declared,
        loaded: Mutex::new(HashMap::new()),
        channels: 3,
        fixed: None,
    };
    Some(source.build(checkpoint, level))
}

/// The modules of a network that was saved whole, with their paths within it.
fn modules(checkpoint: &Checkpoint, prefix: &str) -> Vec<SavedModule> {
    let modules = checkpoint.modules().iter();
    let inside = modules.filter_map(|module| {
        let whole = format!("{}.", module.path);
        let path = match module.path.strip_prefix(prefix) {
            Some(path) => path,
            None if whole == prefix || module.path.is_empty() && prefix.is_empty() => "",
            None => return None,
        };
        Some(module.saved(path))
    });
    inside.collect()
}

/// The prefix that all tensors share, their shapes without it, and their family.
fn find(checkpoint: &Checkpoint, wanted: &Selection) -> Option<(String, Shapes, &'static Family)> {
    let all = checkpoint.shapes();
    let mut prefix = wanted.prefix.clone().unwrap_or_default();
    for _ in 0..PREFIX_PARTS {
        let inside = all.iter().filter_map(|(name, shape)| {
            let name = name.strip_prefix(&prefix[..])?;
            Some((name.to_owned(), shape.to_vec()))
        });
        let shapes: Shapes = inside.collect();
        if let Some(family) = FAMILIES.iter().find(|family| (family.matches)(&shapes)) {
            return Some((prefix, shapes, family));
        }
        // The next part, if all names share it.
        let (first, _) = shapes.first_key_value()?;
        let part = &first[..=first.find('.')?];
        if !shapes.keys().all(|name| name.starts_with(part)) {
            return None;
        }
        prefix.push_str(part);
    }
    None
}

/// The tensors of a network that were read, to build its graph for several sizes.
struct Source {
    shapes: Arc<Shapes>,
    modules: Vec<SavedModule>,
    family: &'static Family,
    declared: Option<String>,
    loaded: Mutex<HashMap<String, Arc<Vec<f32>>>>,
    channels: usize,
    fixed: Option<(usize, usize)>,
}

impl Source {
    fn build(mut self, checkpoint: &mut Checkpoint, level: Isa) -> Result<Built, String> {
        let (side, described) = self.first(checkpoint)?;
        if described.input.fixed {
            self.fixed = Some((side, side));
        }
        let input = GraphInput {
            size: (side, side),
            channels_last: false,
            output: 0,
        };
        let network = GraphNetwork::new(Box::new(self), input, level);
        Ok(Built {
            network: network.map_err(|error| error.0)?,
            described,
        })
    }

    /// Builds the graph for the first time: reads the tensors, and finds out the size and the
    /// number of channels of the input.
    fn first(&mut self, checkpoint: &mut Checkpoint) -> Result<(usize, Described), String> {
        let mut tried = self.attempt(checkpoint, USUAL_SIDE);
        let first_kernel_is_gray = |shape: &Vec<usize>| shape.len() == 4 && shape[1] == 1;
        if tried.0.is_err() && self.shapes.values().any(first_kernel_is_gray) {
            self.channels = 1;
            let gray = self.attempt(checkpoint, USUAL_SIDE);
            if gray.0.is_ok() || gray.1.input.crop != USUAL_SIDE {
                tried = gray;
            } else {
                self.channels = 3;
            }
        }
        let mut side = USUAL_SIDE;
        if tried.1.input.crop != USUAL_SIDE {
            side = tried.1.input.crop;
            tried = self.attempt(checkpoint, side);
        }
        let (unused, described) = (tried.0.map_err(|error| error.0)?, tried.1);
        if unused.is_empty() {
            return Ok((side, described));
        }
        let first: Vec<&str> = unused.iter().take(3).map(String::as_str).collect();
        let name = match &described.name[..] {
            "" => "its network",
            name => name,
        };
        Err(format!(
            "{} of its tensors are not part of {name} ({}{}), so it is another network",
            unused.len(),
            first.join(", "),
            if unused.len() > 3 { ", …" } else { "" }
        ))
    }

    /// Builds the graph for a square input: the tensors that are left over, and what the builder
    /// says.
    fn attempt(
        &self,
        checkpoint: &mut Checkpoint,
        side: usize,
    ) -> (Result<Vec<String>, GraphError>, Described) {
        let mut tensors = FromFile {
            source: self,
            checkpoint: Some(&mut *checkpoint),
        };
        let shape = [1, self.channels, side, side];
        let mut layers = Layers::new(&mut tensors, &shape, self.declared.clone());
        let input = layers.input();
        let built = (self.family.build)(&mut layers, input).and_then(|logits| {
            match &layers.differences()[..] {
                [] => Ok(logits),
                differences => Err(GraphError::new(differences.join("; "))),
            }
        });
        let unused = layers.unused();
        let ignored = layers.ignored().to_vec();
        let (_, described) = layers.finish();
        for tensor in ignored {
            checkpoint.ignore(&tensor);
        }
        (built.map(|_| unused), described)
    }
}

impl GraphSource for Source {
    fn graph(&self, height: usize, width: usize) -> Result<Graph, GraphError> {
        let mut tensors = FromFile {
            source: self,
            checkpoint: None,
        };
        let shape = [1, self.channels, height, width];
        let mut layers = Layers::new(&mut tensors, &shape, self.declared.clone());
        let input = layers.input();
        let logits = (self.family.build)(&mut layers, input)?;
        let (graph, _) = layers.finish();
        Ok(graph.finish(vec![logits]))
    }

    fn fixed_size(&self) -> Option<(usize, usize)> {
        self.fixed
    }
}

/// The tensors, from memory or from the file.
struct FromFile<'a> {
    source: &'a Source,
    checkpoint: Option<&'a mut Checkpoint>,
}

impl Tensors for FromFile<'_> {
    fn shapes(&self) -> &Shapes {
        &self.source.shapes
    }

    fn modules(&self) -> &[SavedModule] {
        &self.source.modules
    }

    fn values(&mut self, name: &str) -> Result<Arc<Vec<f32>>, GraphError> {
        let loaded = self.source.loaded.lock();
        let mut loaded = loaded.unwrap_or_else(PoisonError::into_inner);
        if let Some(values) = loaded.get(name) {
            return Ok(values.clone());
        }
        let shape = self.source.shapes.get(name);
        let (Some(shape), Some(checkpoint)) = (shape, &mut self.checkpoint) else {
            return Err(GraphError::new(format!("{name} is missing")));
        };
        let values = Arc::new(checkpoint.tensor(name, shape));
        loaded.insert(name.to_owned(), values.clone());
        Ok(values)
    }
}
