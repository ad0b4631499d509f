//! PyTorch's `.pth` files: a zip archive with a pickle (`data.pkl`) that describes
//! the tensors, and one stored entry with the numbers of each storage
//! (`torch.save` since PyTorch 1.6; `caffe2/serialize/inline_container.cc`).

mod search;

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::{CompressionMethod, ZipArchive};

use super::dictionaries::first;
use super::layout::{Element, Entry, Listing};
use super::pickle::{Id, Node, Pickle};

/// Where they put the names of the classes.
const LABELS: [&str; 4] = ["classes", "class_names", "labels", "label_names"];
/// Wrappers within wrappers, and modules within modules.
const MAX_DEPTH: usize = 24;
/// A ResNet-152 has 932 tensors; its training checkpoint three times as many.
const MAX_TENSORS: usize = 100_000;
/// The pickle of a ResNet-152 with its optimiser has 200 kB.
const MAX_PICKLE: u64 = 64 << 20;

/// Reads what a `.pth` file holds.
pub fn list(file: &File) -> Result<Listing, String> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(&error))?;
    let file_length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut storages = HashMap::new();
    let mut pickle = None;
    for index in 0..archive.len() {
        let entry = archive
            .by_index_raw(index)
            .map_err(|error| damaged(&error))?;
        let name = entry.name().map_err(|error| damaged(&error))?;
        let name = name.into_owned();
        if name.ends_with("/constants.pkl") {
            return Err("it is a TorchScript program; save the model's state_dict instead".into());
        }
        let is_pickle = name == "data.pkl" || name.ends_with("/data.pkl");
        let key = name.rsplit_once("/data/").map(|(_, key)| key.to_owned());
        let key = key.or_else(|| name.strip_prefix("data/").map(str::to_owned));
        if !is_pickle && key.is_none() && !name.ends_with("byteorder") {
            continue;
        }
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(format!(
                "its entry {name} is compressed or encrypted, which PyTorch never does"
            ));
        }
        let start = entry
            .data_start()
            .ok_or("an entry of its zip archive has no data")?;
        let place = (start, entry.size());
        if start
            .checked_add(place.1)
            .is_none_or(|end| end > file_length)
        {
            return Err(format!("its entry {name} is cut short"));
        }
        if is_pickle {
            pickle = Some(place);
        } else if let Some(key) = key {
            storages.insert(key, place);
        } else if read(file, place, 16)?.starts_with(b"big") {
            return Err("it was saved on a big-endian machine".into());
        }
    }
    let place = pickle.ok_or("it is a zip archive without PyTorch's data.pkl")?;
    let bytes = read(file, place, MAX_PICKLE)?;
    let reader = Reader {
        pickle: Pickle::parse(&bytes)?,
        storages,
    };
    reader.list()
}

fn damaged(error: &zip::result::ZipError) -> String {
    format!("its zip archive is damaged or cut short: {error}")
}

fn read(file: &File, (start, size): (u64, u64), limit: u64) -> Result<Vec<u8>, String> {
    if size > limit {
        return Err(format!(
            "a description in it has {size} bytes, at most {limit} are read"
        ));
    }
    let mut file = file;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))
        .and_then(|_| file.take(size).read_to_end(&mut bytes))
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

struct Reader {
    pickle: Pickle,
    /// Start and length in the file, by the storage's key.
    storages: HashMap<String, (u64, u64)>,
}

impl Reader {
    fn list(&self) -> Result<Listing, String> {
        let root = self.pickle.root();
        let mut dictionaries = self.dictionaries();
        let Some(first) = first(&dictionaries) else {
            return Err(format!("no weights were found in it{}", self.keys(root)));
        };
        let first = dictionaries.remove(first);
        if let Some(problem) = first.problem {
            return Err(problem);
        }
        let (labels, labels_problem) = self.labels(root);
        Ok(Listing {
            entries: first.entries,
            labels,
            labels_problem,
            key: first.key,
            others: dictionaries,
        })
    }

    /// For a message: what the outermost dictionary holds.
    fn keys(&self, id: Id) -> String {
        let entries = self.pickle.entries(id).unwrap_or_default().iter();
        let keys: Vec<&str> = entries
            .filter_map(|(key, _)| self.pickle.text(*key))
            .take(6)
            .collect();
        if keys.is_empty() {
            String::new()
        } else {
            format!("; it has {}", keys.join(", "))
        }
    }

    fn dictionary(
        &self,
        id: Id,
        prefix: &str,
        out: &mut Vec<(String, Entry)>,
    ) -> Result<(), String> {
        for (key, value) in self.pickle.entries(id).unwrap_or_default() {
            if let (Some(key), Some(tensor)) = (self.pickle.text(*key), self.tensor(*value)) {
                if out.len() == MAX_TENSORS {
                    return Err(format!("it has more than {MAX_TENSORS} tensors"));
                }
                let name = format!("{prefix}{key}");
                let entry = tensor.map_err(|problem| format!("{name} {problem}"))?;
                out.push((name, entry));
            }
        }
        Ok(())
    }

    /// A module that was saved whole: its tensors lie in its `__dict__`.
    fn module(
        &self,
        state: Id,
        prefix: &str,
        depth: usize,
        out: &mut Vec<(String, Entry)>,
    ) -> Result<(), String> {
        if depth == 0 {
            return Err("its modules are nested too deeply".into());
        }
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
            if let (Some(key), Some(state)) = (self.pickle.text(*key), self.pickle.state(*module)) {
                self.module(state, &format!("{prefix}{key}."), depth - 1, out)?;
            }
        }
        Ok(())
    }

    /// `None` if the value is no tensor.
    fn tensor(&self, id: Id) -> Option<Result<Entry, String>> {
        let (module, name, arguments) = self.pickle.call(id)?;
        match (module, name) {
            // (tensor, requires_grad, hooks)
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                self.tensor(*arguments.first()?)
            }
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
        // `_rebuild_tensor_v3` gives the type apart from the storage.
        let dtype = arguments.get(6).and_then(|id| match self.pickle.node(*id) {
            Node::Global(module, name) if module == "torch" => Some(name.as_str()),
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
            other => Element::Other(other.trim_end_matches("Storage").to_lowercase()),
        };
        let sizes = |id: Id| -> Option<Vec<usize>> {
            let items = self.pickle.sequence(id)?.iter();
            items.map(|item| self.pickle.size(*item)).collect()
        };
        let shape = sizes(shape).ok_or_else(unknown)?;
        let strides = sizes(strides).ok_or_else(unknown)?;
        let first = self.pickle.size(offset).ok_or_else(unknown)?;
        if strides.len() != shape.len() {
            return Err(unknown());
        }
        let key = self.pickle.text(*key).ok_or_else(unknown)?;
        let place = self.storages.get(key);
        let (start, length) =
            *place.ok_or_else(|| format!("has no numbers: data/{key} is missing"))?;
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
            Err(format!("reaches beyond its numbers in data/{key}"))
        }
    }

    /// Class names that the training script saved along; and why those there were not used.
    fn labels(&self, root: Id) -> (Option<Vec<String>>, Option<String>) {
        let text = |id: &Id| self.pickle.text(*id).map(str::to_owned);
        for key in LABELS {
            let Some(id) = self.pickle.get(root, key) else {
                continue;
            };
            if let Some(names) = self.pickle.sequence(id) {
                let names: Option<Vec<String>> = names.iter().map(text).collect();
                if let Some(names) = names.filter(|names| !names.is_empty()) {
                    return (Some(names), None);
                }
            }
        }
        let indices = self.pickle.get(root, "class_to_idx");
        let Some(entries) = indices.and_then(|id| self.pickle.entries(id)) else {
            return (None, None);
        };
        let mut names = vec![None; entries.len()];
        for (name, index) in entries {
            let index = self.pickle.size(*index);
            if let Some(place) = index.and_then(|index| names.get_mut(index)) {
                *place = text(name);
            }
        }
        let names: Option<Vec<String>> = names.into_iter().collect();
        let problem = "its class_to_idx does not give each index from 0 on to one name";
        match names {
            Some(names) => (Some(names), None),
            None => (None, Some(problem.into())),
        }
    }
}
