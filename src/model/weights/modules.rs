//! What a module that was saved whole (`torch.save(model)`) records about itself: classes, strides,
//! paddings, pooling. Its tensors alone do not identify the network.

use std::collections::HashMap;

use crate::model::state_dict::SavedModule;
use crate::model::weights::pickle::{Id, Node, Pickle};
use crate::model::weights::refusal::short;

/// The attributes that are kept, with PyTorch's and timm's names.
const ATTRIBUTES: [&str; 26] = [
    "stride",
    "padding",
    "dilation",
    "kernel_size",
    "padding_mode",
    "eps",
    "output_size",
    "pool_type",
    "ceil_mode",
    "track_running_stats",
    "static_padding",
    "groups",
    "num_groups",
    "count_include_pad",
    "divisor_override",
    "negative_slope",
    "alpha",
    "beta",
    "threshold",
    "min_val",
    "max_val",
    "approximate",
    "normalized_shape",
    "transform_input",
    "num_heads",
    "num_attention_heads",
];

/// One module.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its path in the whole network: "layer1.0.conv1"; empty for the network itself.
    pub path: String,
    /// Its class, without the Python module: "Conv2d".
    pub class: String,
    /// The class's Python module: "torch.nn.modules.conv".
    pub package: String,
    /// Whether it has parameters or buffers of its own.
    pub has_tensors: bool,
    /// Whether hooks are called before or after it.
    pub has_hooks: bool,
    numbers: Vec<(&'static str, Vec<f64>)>,
    texts: Vec<(&'static str, String)>,
}

impl Module {
    /// Reads a module from its pickled object and the object's `__dict__`.
    pub fn read(pickle: &Pickle, object: Id, state: Id, path: &str) -> Self {
        let (package, class) = class(pickle, object).unwrap_or_default();
        let mut module = Self {
            path: path.trim_end_matches('.').to_owned(),
            class,
            package,
            has_tensors: false,
            has_hooks: false,
            numbers: Vec::new(),
            texts: Vec::new(),
        };
        for (key, value) in pickle.entries(state).unwrap_or_default() {
            let Some(key) = pickle.text(*key) else {
                continue;
            };
            let is_empty = |id| pickle.entries(id).is_none_or(<[_]>::is_empty);
            match key {
                "_parameters" | "_buffers" => {
                    let entries = pickle.entries(*value).unwrap_or_default().iter();
                    // A convolution without bias has an entry for it, with the value None.
                    module.has_tensors |= entries
                        .map(|(_, tensor)| pickle.node(*tensor))
                        .any(|node| matches!(node, Node::Object { .. }));
                }
                "_forward_hooks" | "_forward_pre_hooks" => module.has_hooks |= !is_empty(*value),
                _ => {}
            }
            // Only the first of each name: Python has only one.
            let known = ATTRIBUTES.iter().find(|name| **name == key);
            if let Some(name) = known.filter(|name| !module.has(name)) {
                module.attribute(pickle, name, *value);
            }
        }
        module
    }

    /// Its attributes that are numbers or sequences of numbers.
    pub fn all_numbers(&self) -> impl Iterator<Item = (&str, &[f64])> {
        self.numbers
            .iter()
            .map(|(name, values)| (*name, &values[..]))
    }

    /// Its attributes that are texts.
    pub fn all_texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(name, text)| (*name, &text[..]))
    }

    fn attribute(&mut self, pickle: &Pickle, name: &'static str, value: Id) {
        /// More than the axes of any kernel.
        const MOST: usize = 6;
        if let Some(text) = pickle.text(value) {
            self.texts.push((name, short(text)));
        } else if let Some(number) = pickle.number(value) {
            self.numbers.push((name, vec![number]));
        } else if let Some(items) = pickle.sequence(value) {
            let numbers: Option<Vec<f64>> = items
                .iter()
                .take(MOST)
                .map(|id| pickle.number(*id))
                .collect();
            self.numbers.extend(numbers.map(|numbers| (name, numbers)));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.numbers(name).is_some() || self.text(name).is_some()
    }

    /// In the words of the builders of networks. `path` is its path within the network.
    #[must_use]
    pub fn saved(&self, path: &str) -> SavedModule {
        let numbers = self.numbers.iter();
        let texts = self.texts.iter();
        SavedModule {
            path: path.to_owned(),
            class: self.class.clone(),
            package: self.package.clone(),
            has_tensors: self.has_tensors,
            numbers: numbers
                .map(|(key, values)| ((*key).to_owned(), values.clone()))
                .collect(),
            texts: texts
                .map(|(key, text)| ((*key).to_owned(), text.clone()))
                .collect(),
        }
    }

    /// An attribute that is a number, a boolean, or a sequence of them.
    #[must_use]
    pub fn numbers(&self, name: &str) -> Option<&[f64]> {
        let mut found = self.numbers.iter().filter(|(key, _)| *key == name);
        found.next().map(|(_, values)| values.as_slice())
    }

    /// A text attribute.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut found = self.texts.iter().filter(|(key, _)| *key == name);
        found.next().map(|(_, text)| text.as_str())
    }
}

/// The Python module and the name of an object's class.
fn class(pickle: &Pickle, object: Id) -> Option<(String, String)> {
    let (module, name, arguments) = pickle.call(object)?;
    // Protocols 0 and 1: a function that creates an object of the given class.
    if matches!(module, "copyreg" | "copy_reg")
        && let Some(Node::Global(module, name)) = arguments.first().map(|id| pickle.node(*id))
    {
        return Some((short(module), short(name)));
    }
    Some((short(module), short(name)))
}

/// All modules of a network, each before its submodules.
#[derive(Debug, Default)]
pub struct Modules {
    list: Vec<Module>,
    places: HashMap<String, usize>,
}

impl Modules {
    /// From a list in that order.
    pub fn new(list: Vec<Module>) -> Self {
        let places = list.iter().map(|module| module.path.clone()).zip(0..);
        Self {
            places: places.collect(),
            list,
        }
    }

    /// All modules.
    pub fn list(&self) -> &[Module] {
        &self.list
    }

    /// The module with this path.
    pub fn get(&self, path: &str) -> Option<&Module> {
        Some(&self.list[*self.places.get(path)?])
    }
}
