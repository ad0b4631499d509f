//! Writes files like `torch.save`, with an arbitrary pickle: protocol 2, in a zip archive with the
//! records that PyTorch's writer adds.

use std::fs;
use std::path::Path;

/// A Python value.
#[derive(Clone)]
pub enum Py {
    None,
    Bool(bool),
    Int(i32),
    Float(f64),
    Text(String),
    Tuple(Vec<Py>),
    Dict(Vec<(Py, Py)>),
    /// A tensor with this shape, from the start of storage 0.
    Tensor(Vec<usize>),
    Module(Module),
    /// A call of `package.name` with arguments.
    Call(String, Vec<Py>),
}

impl From<&str> for Py {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i32> for Py {
    fn from(number: i32) -> Self {
        Self::Int(number)
    }
}

/// The same number for height and width.
pub fn pair(number: i32) -> Py {
    Py::Tuple(vec![number.into(), number.into()])
}

/// An `nn.Module`.
#[derive(Clone, Default)]
pub struct Module {
    /// Its full class name: "torch.nn.modules.conv.Conv2d".
    pub class: String,
    pub attributes: Vec<(String, Py)>,
    pub tensors: Vec<(String, Vec<usize>)>,
    pub modules: Vec<(String, Module)>,
}

impl Module {
    pub fn new(class: &str) -> Self {
        Self {
            class: class.into(),
            ..Self::default()
        }
    }

    /// Adds an attribute, or replaces an existing one.
    pub fn with(mut self, name: &str, value: impl Into<Py>) -> Self {
        self.set(name, value);
        self
    }

    pub fn set(&mut self, name: &str, value: impl Into<Py>) {
        self.attributes.retain(|(key, _)| key != name);
        self.attributes.push((name.into(), value.into()));
    }

    pub fn tensor(mut self, name: &str, shape: &[usize]) -> Self {
        self.tensors.push((name.into(), shape.to_vec()));
        self
    }

    /// Adds a submodule, or replaces an existing one.
    pub fn module(mut self, name: &str, module: Module) -> Self {
        self.put(name, module);
        self
    }

    pub fn put(&mut self, name: &str, module: Module) {
        match self.modules.iter_mut().find(|(key, _)| key == name) {
            Some((_, place)) => *place = module,
            None => self.modules.push((name.into(), module)),
        }
    }

    /// The module with this path.
    pub fn at(&mut self, path: &str) -> &mut Module {
        path.split('.').fold(self, |module, name| {
            let mut found = module.modules.iter_mut().filter(|(key, _)| key == name);
            &mut found.next().expect(path).1
        })
    }

    /// Edits every module, including itself.
    pub fn for_all(&mut self, edit: &dyn Fn(&mut Module)) {
        edit(self);
        for (_, module) in &mut self.modules {
            module.for_all(edit);
        }
    }
}

/// A sequence of modules.
pub fn sequential(modules: impl IntoIterator<Item = Module>) -> Module {
    let mut all = Module::new("torch.nn.modules.container.Sequential");
    for (index, module) in modules.into_iter().enumerate() {
        all.put(&index.to_string(), module);
    }
    all
}

/// A complete pickle.
pub fn pickle(value: &Py) -> Vec<u8> {
    let mut out = b"\x80\x02".to_vec();
    write(value, &mut out);
    out.push(b'.');
    out
}

pub fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'X');
    out.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    out.extend(text.as_bytes());
}

fn sizes(numbers: &[usize]) -> Py {
    let number = |n: &usize| Py::Int(i32::try_from(*n).unwrap());
    Py::Tuple(numbers.iter().map(number).collect())
}

fn write(value: &Py, out: &mut Vec<u8>) {
    match value {
        Py::None => out.push(b'N'),
        Py::Bool(is) => out.push(if *is { 0x88 } else { 0x89 }),
        Py::Int(number) => {
            out.push(b'J');
            out.extend(number.to_le_bytes());
        }
        Py::Float(number) => {
            out.push(b'G');
            out.extend(number.to_be_bytes());
        }
        Py::Text(value) => text(value, out),
        Py::Tuple(items) => {
            out.push(b'(');
            for item in items {
                write(item, out);
            }
            out.push(b't');
        }
        Py::Dict(entries) => {
            out.extend(b"}(");
            for (key, value) in entries {
                write(key, out);
                write(value, out);
            }
            out.push(b'u');
        }
        Py::Tensor(shape) => {
            let mut strides = vec![1; shape.len()];
            for axis in (1..shape.len()).rev() {
                strides[axis - 1] = strides[axis] * shape[axis];
            }
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text("storage", out);
            out.extend(b"ctorch\nFloatStorage\n");
            text("0", out);
            text("cpu", out);
            out.extend(b"K\x01tQK\x00");
            write(&sizes(shape), out);
            write(&sizes(&strides), out);
            out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        }
        Py::Call(function, arguments) => {
            let (package, name) = function.rsplit_once('.').unwrap();
            out.extend(format!("c{package}\n{name}\n").bytes());
            write(&Py::Tuple(arguments.clone()), out);
            out.push(b'R');
        }
        Py::Module(module) => {
            let (package, name) = module.class.rsplit_once('.').unwrap();
            out.extend(format!("c{package}\n{name}\n)").bytes());
            out.push(0x81);
            let dictionary = |entries: Vec<(Py, Py)>| Py::Dict(entries);
            let tensors = module.tensors.iter();
            let is_buffer = |name: &str| name.starts_with("running") || name.starts_with("filt");
            let part = |buffers: bool| {
                let tensors = tensors
                    .clone()
                    .filter(|(name, _)| is_buffer(name) == buffers);
                let entries =
                    tensors.map(|(name, shape)| (name.as_str().into(), Py::Tensor(shape.clone())));
                // A convolution without bias has the entry None.
                dictionary(entries.chain([("bias_".into(), Py::None)]).collect())
            };
            let modules = module.modules.iter();
            let modules =
                modules.map(|(name, module)| (name.as_str().into(), Py::Module(module.clone())));
            let mut state = vec![
                ("training".into(), Py::Bool(true)),
                ("_parameters".into(), part(false)),
                ("_buffers".into(), part(true)),
                ("_forward_hooks".into(), dictionary(Vec::new())),
                ("_modules".into(), dictionary(modules.collect())),
            ];
            let attributes = module.attributes.iter();
            state.extend(attributes.map(|(name, value)| (name.as_str().into(), value.clone())));
            write(&Py::Dict(state), out);
            out.push(b'b');
        }
    }
}

/// Writes a file like `torch.save` under a name with the stem `stem`. PyTorch puts the stem before
/// the name of every entry, sizes after the data, and a zip64 record with its locator (76 bytes)
/// between the directory and its end.
pub fn torch_save(path: &Path, stem: &str, pickle: &[u8], storages: &[(&str, &[u8])]) {
    let mut entries = vec![
        (format!("{stem}/data.pkl"), pickle),
        (format!("{stem}/.format_version"), b"1"),
        (format!("{stem}/.storage_alignment"), b"64"),
        (format!("{stem}/byteorder"), b"little"),
    ];
    for (key, bytes) in storages {
        entries.push((format!("{stem}/data/{key}"), bytes));
    }
    entries.push((format!("{stem}/version"), b"3\n"));
    fs::write(path, archive(&entries)).unwrap();
}

/// A zip archive as PyTorch writes it.
pub fn archive(entries: &[(String, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    let short = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
    let long = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    for (name, bytes) in entries {
        let start = out.len();
        // Aligns the data to a multiple of 64.
        let extra = (64 - (start + 30 + name.len() + 4) % 64) % 64;
        out.extend(b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0");
        out.extend([0; 12]); // checksum and sizes follow the data
        out.extend(short(name.len()));
        out.extend(short(extra + 4));
        out.extend(name.as_bytes());
        out.extend(b"FB");
        out.extend(short(extra));
        out.extend(vec![b'Z'; extra]);
        out.extend(*bytes);
        out.extend(b"PK\x07\x08\0\0\0\0");
        out.extend(long(bytes.len()));
        out.extend(long(bytes.len()));
        directory.extend(b"PK\x01\x02\0\0\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0");
        directory.extend(long(bytes.len()));
        directory.extend(long(bytes.len()));
        directory.extend(short(name.len()));
        directory.extend([0; 12]);
        directory.extend(long(start));
        directory.extend(name.as_bytes());
    }
    let (start, count) = (out.len(), entries.len());
    out.extend(&directory);
    let end = out.len();
    out.extend(b"PK\x06\x06");
    out.extend(44u64.to_le_bytes());
    out.extend([0x1e, 0x03, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [count, count, directory.len(), start] {
        out.extend((number as u64).to_le_bytes());
    }
    out.extend(b"PK\x06\x07\0\0\0\0");
    out.extend((end as u64).to_le_bytes());
    out.extend(1u32.to_le_bytes());
    out.extend(b"PK\x05\x06\0\0\0\0");
    let most = |n: usize| n.min(0xffff);
    out.extend(short(most(count)));
    out.extend(short(most(count)));
    out.extend(long(directory.len()));
    out.extend(long(start));
    out.extend([0; 2]);
    out
}
