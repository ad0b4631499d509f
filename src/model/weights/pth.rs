//! PyTorch's `.pth` files: a zip archive with a pickle (`data.pkl`) that describes
//! the tensors, and one stored entry with the numbers of each storage
//! (`torch.save` since PyTorch 1.6; `caffe2/serialize/inline_container.cc`).

mod search;
mod written;

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;

use crate::model::weights::archive;
use crate::model::weights::archive::{Archive, MAX_PICKLE};
use crate::model::weights::dictionaries::first;
use crate::model::weights::layout::{
    Dictionary, Element, Entry, Listing, MAX_DIMENSIONS, check_name,
};
use crate::model::weights::modules::Module;
use crate::model::weights::pickle::{Id, Node, Pickle};
use crate::model::weights::refusal::{Refusal, short};

/// The keys under which training scripts store the names of the classes.
const LABELS: [&str; 4] = ["classes", "class_names", "labels", "label_names"];
/// Maximum nesting of wrappers and of modules.
const MAX_DEPTH: usize = 24;
/// Maximum number of tensors in all dictionaries of a file. A ResNet-152 has 932, its training
/// checkpoint three times as many, and ten folds of it 20,000.
const MAX_TENSORS: usize = 50_000;
/// Maximum number of modules in a file. A ResNet-152 saved whole has 520.
const MAX_MODULES: usize = 10_000;
/// Maximum number of dictionaries of tensors in a file.
const MAX_DICTIONARIES: usize = 1_000;

/// Lists the contents of a `.pth` file.
pub fn list(file: &File) -> Result<Listing, Refusal> {
    let archive = archive::open(file)?;
    let pickle = Pickle::parse(&archive.pickle)?;
    let reader = Reader {
        pickle,
        archive,
        tensors_left: Cell::new(MAX_TENSORS + 1),
        modules_left: Cell::new(MAX_MODULES + 1),
    };
    reader.list()
}

struct Reader {
    pickle: Pickle,
    archive: Archive,
    /// How many more tensors may be listed, plus one.
    tensors_left: Cell<usize>,
    modules_left: Cell<usize>,
}

/// What was found: tensors, and the modules that contain them.
#[derive(Default)]
struct Found {
    tensors: Vec<(String, Entry)>,
    modules: Vec<Module>,
}

impl Reader {
    fn list(&self) -> Result<Listing, Refusal> {
        let root = self.pickle.root();
        let mut dictionaries = self.dictionaries();
        let mut notices = Vec::new();
        let labels = self.labels(root, &mut notices);
        let written = self.written();
        if let Some(cause) = self.too_much(&dictionaries) {
            return Err(Refusal::TooMuch(cause));
        }
        let suspicious = self.pickle.suspicious();
        let Some(first) = first(&dictionaries) else {
            let also = suspicious.map_or(String::new(), |name| {
                format!("; its pickle refers to {name}: do not load it with torch.load")
            });
            let keys = self.keys(root);
            return Err(format!("no weights were found in it{keys}{also}").into());
        };
        notices.extend(suspicious.map(|name| {
            format!(
                "Its pickle refers to {name}. camlens never runs code from a file, but do not load this file with torch.load."
            )
        }));
        let first = dictionaries.remove(first);
        if let Some(problem) = first.problem {
            return Err(problem.into());
        }
        Ok(Listing {
            entries: first.entries,
            labels,
            modules: first.modules,
            notices,
            written,
            key: first.key,
            others: dictionaries,
        })
    }

    /// Which limit was reached, if any. In that case not everything was found.
    fn too_much(&self, dictionaries: &[Dictionary]) -> Option<String> {
        if self.pickle.exhausted() {
            Some("its values contain too many references to each other".into())
        } else if self.tensors_left.get() == 0 {
            Some(format!("it has more than {MAX_TENSORS} tensors"))
        } else if self.modules_left.get() == 0 {
            Some(format!("it has more than {MAX_MODULES} modules"))
        } else if dictionaries.len() > MAX_DICTIONARIES {
            Some(format!(
                "it has more than {MAX_DICTIONARIES} dictionaries of tensors"
            ))
        } else {
            None
        }
    }

    /// Takes one of the remaining count; `None` if the limit is exceeded.
    fn take(left: &Cell<usize>) -> Option<()> {
        left.set(left.get().saturating_sub(1));
        (left.get() > 0).then_some(())
    }

    /// For a message: the keys of the outermost dictionary.
    fn keys(&self, id: Id) -> String {
        let entries = self.pickle.entries(id).unwrap_or_default().iter();
        let keys: Vec<String> = entries
            .filter_map(|(key, _)| self.pickle.text(*key))
            .take(6)
            .map(short)
            .collect();
        if keys.is_empty() {
            String::new()
        } else {
            format!("; it has {}", keys.join(", "))
        }
    }

    fn dictionary(&self, id: Id, prefix: &str, out: &mut Found) -> Result<(), String> {
        let mut keys = HashSet::new();
        for (key, value) in self.pickle.entries(id).unwrap_or_default() {
            if let (Some(key), Some(tensor)) = (self.pickle.text(*key), self.tensor(*value)) {
                Self::take(&self.tensors_left).ok_or("it has too many tensors")?;
                check_name(prefix.len() + key.len())?;
                let name = format!("{prefix}{key}");
                if !keys.insert(key) {
                    return Err(format!("it has {} twice", short(&name)));
                }
                let entry = tensor.map_err(|problem| format!("{} {problem}", short(&name)))?;
                out.tensors.push((name, entry));
            }
        }
        Ok(())
    }

    /// A module that was saved whole: its tensors are in its `__dict__`.
    fn module(
        &self,
        object: Id,
        prefix: &str,
        depth: usize,
        out: &mut Found,
    ) -> Result<(), String> {
        if depth == 0 {
            return Err("its modules are nested too deeply".into());
        }
        let Some(state) = self.pickle.state(object) else {
            return Ok(());
        };
        if self.pickle.exhausted() {
            return Err("its values contain too many references to each other".into());
        }
        Self::take(&self.modules_left).ok_or("it has too many modules")?;
        let module = Module::read(&self.pickle, object, state, prefix);
        out.modules.push(module);
        for part in ["_parameters", "_buffers"] {
            if let Some(tensors) = self.pickle.get(state, part) {
                self.dictionary(tensors, prefix, out)?;
            }
        }
        let modules = self.pickle.get(state, "_modules");
        for (key, module) in modules
            .and_then(|id| self.pickle.entries(id))
            .unwrap_or_default()
        {
            if let Some(key) = self.pickle.text(*key) {
                check_name(prefix.len() + key.len() + 1)?;
                self.module(*module, &format!("{prefix}{key}."), depth - 1, out)?;
            }
        }
        Ok(())
    }

    /// `None` if the value is not a tensor.
    fn tensor(&self, id: Id) -> Option<Result<Entry, String>> {
        let (mut module, mut name, mut arguments) = self.pickle.call(id)?;
        // (tensor, requires_grad, hooks). Only around a tensor: a parameter can't contain another
        // parameter, and one that contains itself would never end.
        if let ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") =
            (module, name)
        {
            (module, name, arguments) = self.pickle.call(*arguments.first()?)?;
        }
        match (module, name) {
            // (function, type, its arguments, state)
            ("torch._tensor", "_rebuild_from_type_v2") => {
                Some(self.rebuilt(self.pickle.sequence(*arguments.get(2)?)?))
            }
            // (storage, offset, size, stride, …)
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
                Some(self.rebuilt(arguments))
            }
            _ => None,
        }
    }

    fn rebuilt(&self, arguments: &[Id]) -> Result<Entry, String> {
        let [storage, offset, shape, strides, ..] = arguments else {
            return Err("is described in an unknown way".into());
        };
        // `_rebuild_tensor_v3` gives the type separately from the storage.
        let dtype = arguments.get(6).and_then(|id| match self.pickle.node(*id) {
            Node::Global(module, name) if &**module == "torch" => Some(&**name),
            _ => None,
        });
        self.entry(*storage, *offset, *shape, *strides, dtype)
    }

    fn entry(
        &self,
        storage: Id,
        offset: Id,
        shape: Id,
        strides: Id,
        dtype: Option<&str>,
    ) -> Result<Entry, String> {
        let unknown = || "is described in an unknown way".to_owned();
        let Node::Persistent(id) = self.pickle.node(storage) else {
            return Err(unknown());
        };
        // ("storage", its class, its key, the device, the number of elements)
        let [_, class, key, ..] = self.pickle.sequence(*id).ok_or_else(unknown)? else {
            return Err(unknown());
        };
        let Node::Global(_, class) = self.pickle.node(*class) else {
            return Err(unknown());
        };
        let element = match dtype.unwrap_or(class) {
            "FloatStorage" | "float32" | "float" => Element::F32,
            "HalfStorage" | "float16" | "half" => Element::F16,
            "BFloat16Storage" | "bfloat16" => Element::Bf16,
            "DoubleStorage" | "float64" | "double" => Element::F64,
            other => Element::Other(short(other.trim_end_matches("Storage")).to_lowercase()),
        };
        let sizes = |id: Id| -> Option<Vec<usize>> {
            let items = self.pickle.sequence(id)?;
            if items.len() > MAX_DIMENSIONS {
                return None;
            }
            items.iter().map(|item| self.pickle.size(*item)).collect()
        };
        let shape = sizes(shape).ok_or_else(unknown)?;
        let strides = sizes(strides).ok_or_else(unknown)?;
        let first = self.pickle.size(offset).ok_or_else(unknown)?;
        if strides.len() != shape.len() {
            return Err(unknown());
        }
        let key = self.pickle.text(*key).ok_or_else(unknown)?;
        let place = self.archive.storages.get(key);
        let (start, length) =
            *place.ok_or_else(|| format!("has no data: data/{} is missing", short(key)))?;
        let entry = Entry {
            element,
            shape,
            strides: Some(strides),
            first,
            start,
            length,
        };
        if entry.fits() {
            Ok(entry)
        } else {
            Err(format!("extends beyond its data in data/{key}"))
        }
    }

    /// The names of the classes that the training script saved.
    fn labels(&self, root: Id, notices: &mut Vec<String>) -> Option<Vec<String>> {
        for key in LABELS {
            let Some(id) = self.pickle.get(root, key) else {
                continue;
            };
            let names = self.pickle.sequence(id).unwrap_or_default();
            if let Some(names) = self.names(names.iter().copied()).filter(|n| !n.is_empty()) {
                return Some(names);
            }
        }
        if let Some(names) = self.labels_of_openmmlab(root) {
            return Some(names);
        }
        let entries = self
            .pickle
            .entries(self.pickle.get(root, "class_to_idx")?)?;
        let mut in_order = vec![None; entries.len()];
        for (name, index) in entries {
            let index = self.pickle.size(*index);
            if let Some(place) = index.and_then(|index| in_order.get_mut(index)) {
                *place = Some(*name);
            }
        }
        let in_order: Option<Vec<Id>> = in_order.into_iter().collect();
        let names = in_order.and_then(|ids| self.names(ids.into_iter()));
        if names.is_none() {
            notices.push(
                "The names in its class_to_idx were not used: their numbers are not 0, 1, 2, …, each exactly once.".into(),
            );
        }
        names
    }

    /// The class names of `OpenMMLab`: `meta.CLASSES`, later `meta.dataset_meta.classes`.
    fn labels_of_openmmlab(&self, root: Id) -> Option<Vec<String>> {
        let meta = self.pickle.get(root, "meta")?;
        let newer = self.pickle.get(meta, "dataset_meta");
        let mut places = [Some(meta), newer].into_iter().flatten();
        places.find_map(|place| {
            let names = ["CLASSES", "classes"].into_iter();
            let mut names = names.filter_map(|key| self.pickle.get(place, key));
            let names = names.find_map(|id| self.pickle.sequence(id))?;
            self.names(names.iter().copied())
                .filter(|names| !names.is_empty())
        })
    }

    /// The values as texts, if all are texts and their total length does not exceed that of the
    /// pickle, which may refer to one long text many times.
    fn names(&self, ids: impl Iterator<Item = Id>) -> Option<Vec<String>> {
        let mut left = usize::try_from(MAX_PICKLE).ok()?;
        let mut names = Vec::new();
        for id in ids {
            let text = self.pickle.text(id)?;
            left = left.checked_sub(text.len())?;
            names.push(text.to_owned());
        }
        Some(names)
    }
}
