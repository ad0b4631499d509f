//! The stack machine that parses a pickle.

use std::collections::HashMap;
use std::rc::Rc;

use crate::model::weights::pickle::node::{Id, MAX_VALUES, Node};
use crate::model::weights::refusal::short;

/// Indices of shared values: None, True, False.
const NONE: Id = 0;
const TRUE: Id = 1;
const FALSE: Id = 2;

/// Functions that no checkpoint needs and that attacks use. Nothing is ever run here, but the user
/// should not load such a file elsewhere. Whole names are compared: a training script may be in a
/// package called `code` or `http`.
fn is_suspicious(module: &str, name: &str) -> bool {
    const MODULES: [&str; 15] = [
        "os",
        "posix",
        "nt",
        "subprocess",
        "importlib",
        "runpy",
        "shutil",
        "socket",
        "ctypes",
        "pty",
        "webbrowser",
        "pickle",
        "_pickle",
        "marshal",
        "torch.hub",
    ];
    const BUILTINS: [&str; 8] = [
        "eval",
        "exec",
        "execfile",
        "compile",
        "open",
        "__import__",
        "input",
        "breakpoint",
    ];
    MODULES.contains(&module)
        || (matches!(module, "builtins" | "__builtin__") && BUILTINS.contains(&name))
}

pub struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    /// All values created so far.
    pub nodes: Vec<Node>,
    stack: Vec<Id>,
    /// Stack heights at the marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    /// The first function that weights do not need.
    pub suspicious: Option<String>,
}

impl<'a> Machine<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            nodes: vec![Node::Other, Node::Bool(true), Node::Bool(false)],
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            suspicious: None,
        }
    }

    /// Runs to the end and returns the value of the whole pickle.
    pub fn run(&mut self) -> Result<Id, String> {
        loop {
            let at = self.at;
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode).map_err(|problem| match problem {
                Problem::Text(text) => text,
                Problem::Opcode => format!(
                    "its pickle has the opcode {opcode:#04x} at byte {at}, which weights don't need"
                ),
            })?;
        }
    }

    /// Whether the maximum number of values is reached.
    pub fn is_full(&self) -> bool {
        self.nodes.len() == MAX_VALUES || self.memo.len() == MAX_VALUES
    }

    #[allow(clippy::too_many_lines)] // a table
    fn step(&mut self, opcode: u8) -> Result<(), Problem> {
        match opcode {
            // PROTO, FRAME: ignored, they are only informative.
            0x80 => _ = self.byte()?,
            0x95 => _ = self.take(8)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' => _ = self.pop()?,
            b'1' => _ = self.pop_mark()?,
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.stack.push(NONE),
            // NEWTRUE, NEWFALSE
            0x88 => self.stack.push(TRUE),
            0x89 => self.stack.push(FALSE),
            // BININT, BININT1, BININT2
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Node::Int(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(value.into()))?;
            }
            // LONG1, LONG4: two's complement of any length
            0x8a => {
                let length = self.byte()?.into();
                self.long(length)?;
            }
            0x8b => {
                let length = self.length(4)?;
                self.long(length)?;
            }
            // BINFLOAT
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value))?;
            }
            // Strings: SHORT_BINUNICODE, BINUNICODE, BINUNICODE8, SHORT_BINSTRING, BINSTRING
            0x8c | b'U' => {
                let length = self.length(1)?;
                self.string(length)?;
            }
            b'X' | b'T' => {
                let length = self.length(4)?;
                self.string(length)?;
            }
            0x8d => {
                let length = self.length(8)?;
                self.string(length)?;
            }
            // Bytes: SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            b'C' => self.skip_bytes(1)?,
            b'B' => self.skip_bytes(4)?,
            0x8e | 0x96 => self.skip_bytes(8)?,
            // Protocol 0: numbers and strings as lines
            b'I' | b'L' => {
                let text = self.line()?.trim_end_matches('L');
                let node = text.parse().map_or(Node::Other, Node::Int);
                self.push(node)?;
            }
            b'F' => {
                let text = self.line()?;
                let node = text.parse().map_or(Node::Other, Node::Float);
                self.push(node)?;
            }
            b'S' | b'V' => {
                let text = self.line()?;
                let text = text.trim_matches(['\'', '"']);
                self.push(Node::Text(text.into()))?;
            }
            // Lists, tuples, sets
            b']' | b')' | 0x8f => self.push(Node::Sequence(Vec::new()))?,
            b'l' | b't' | 0x91 => {
                let items = self.pop_mark()?;
                self.push(Node::Sequence(items))?;
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let start = self.stack.len().checked_sub(count).ok_or_else(underflow)?;
                let items = self.stack.drain(start..).collect();
                self.push(Node::Sequence(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            // Dictionaries
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'd' => {
                let items = self.pop_mark()?;
                let entries = pairs(&items)?;
                self.push(Node::Dict(entries))?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                let entries = pairs(&items)?;
                self.set(entries)?;
            }
            // Classes and functions: GLOBAL, STACK_GLOBAL
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module.into(), name.into())?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.nodes[module], &self.nodes[name]) {
                    (Node::Text(module), Node::Text(name)) => {
                        let (module, name) = (Rc::clone(module), Rc::clone(name));
                        self.global(module, name)?;
                    }
                    _ => {
                        return Err(Problem::Text(
                            "its pickle has a class name that is not text".into(),
                        ));
                    }
                }
            }
            // Calls: REDUCE, NEWOBJ, NEWOBJ_EX, INST, OBJ, and BUILD
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.object(callable, arguments)?;
            }
            0x92 => {
                let (_keywords, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.object(callable, arguments)?;
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                let items = self.pop_mark()?;
                self.global(module.into(), name.into())?;
                let callable = self.pop()?;
                let arguments = self.add(Node::Sequence(items))?;
                self.object(callable, arguments)?;
            }
            b'o' => {
                let mut items = self.pop_mark()?;
                if items.is_empty() {
                    return Err(underflow().into());
                }
                let callable = items.remove(0);
                let arguments = self.add(Node::Sequence(items))?;
                self.object(callable, arguments)?;
            }
            b'b' => {
                let new = self.pop()?;
                let object = self.top()?;
                if let Node::Object { state, .. } = &mut self.nodes[object] {
                    *state = Some(new);
                }
            }
            // Values outside the pickle: PERSID, BINPERSID
            b'P' => {
                let text = self.line()?;
                let id = self.add(Node::Text(text.into()))?;
                self.push(Node::Persistent(id))?;
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Node::Persistent(id))?;
            }
            // The memo: PUT, BINPUT, LONG_BINPUT, MEMOIZE, GET, BINGET, LONG_BINGET
            b'p' => {
                let key = self.line()?.parse().map_err(|_| Problem::Opcode)?;
                self.memorize(key)?;
            }
            b'q' => {
                let key = self.byte()?.into();
                self.memorize(key)?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?).into();
                self.memorize(key)?;
            }
            0x94 => {
                let key = self.memo.len() as u64;
                self.memorize(key)?;
            }
            b'g' => {
                let key = self.line()?.parse().map_err(|_| Problem::Opcode)?;
                self.recall(key)?;
            }
            b'h' => {
                let key = self.byte()?.into();
                self.recall(key)?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?).into();
                self.recall(key)?;
            }
            _ => return Err(Problem::Opcode),
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self
            .at
            .checked_add(count)
            .filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| "its pickle is cut short".to_owned())?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Reads a little-endian length of the given number of bytes.
    fn length(&mut self, bytes: usize) -> Result<usize, String> {
        let mut wide = [0; 8];
        wide[..bytes].copy_from_slice(self.take(bytes)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "its pickle is cut short".into())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| "its pickle is cut short".to_owned())?;
        let line = self.take(end)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| "its pickle has a line that is not text".into())
    }

    fn long(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.take(length)?;
        let node = if length <= 8 {
            let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
            let mut wide = [if negative { 0xff } else { 0 }; 8];
            wide[..length].copy_from_slice(bytes);
            Node::Int(i64::from_le_bytes(wide))
        } else {
            Node::Other
        };
        self.push(node)
    }

    fn string(&mut self, length: usize) -> Result<(), String> {
        let text = String::from_utf8_lossy(self.take(length)?);
        self.push(Node::Text(text.into()))
    }

    fn skip_bytes(&mut self, length_bytes: usize) -> Result<(), String> {
        let length = self.length(length_bytes)?;
        self.take(length)?;
        self.stack.push(NONE);
        Ok(())
    }

    fn add(&mut self, node: Node) -> Result<Id, String> {
        if self.nodes.len() == MAX_VALUES {
            return Err(format!("its pickle has more than {MAX_VALUES} values"));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    fn push(&mut self, node: Node) -> Result<(), String> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    /// Marks are limits: values below the last mark can't be popped.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn pop(&mut self) -> Result<Id, String> {
        if self.stack.len() <= self.floor() {
            return Err(underflow());
        }
        self.stack.pop().ok_or_else(underflow)
    }

    fn top(&self) -> Result<Id, String> {
        self.stack.last().copied().ok_or_else(underflow)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or_else(underflow)?;
        let mark = mark.min(self.stack.len());
        Ok(self.stack.drain(mark..).collect())
    }

    fn extend(&mut self, new: Vec<Id>) -> Result<(), String> {
        let top = self.top()?;
        // Lists inside objects (such as a deque) hold no weights.
        if let Node::Sequence(items) = &mut self.nodes[top] {
            items.extend(new);
        }
        Ok(())
    }

    fn set(&mut self, new: Vec<(Id, Id)>) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.nodes[top] {
            Node::Dict(entries) | Node::Object { entries, .. } => entries.extend(new),
            _ => return Err("its pickle sets entries of a value that is not a dictionary".into()),
        }
        Ok(())
    }

    fn global(&mut self, module: Rc<str>, name: Rc<str>) -> Result<(), String> {
        if self.suspicious.is_none() && is_suspicious(&module, &name) {
            self.suspicious = Some(short(&format!("{module}.{name}")));
        }
        self.push(Node::Global(module, name))
    }

    fn object(&mut self, callable: Id, arguments: Id) -> Result<(), String> {
        self.push(Node::Object {
            callable,
            arguments,
            state: None,
            entries: Vec::new(),
        })
    }

    fn memorize(&mut self, key: u64) -> Result<(), String> {
        let top = self.top()?;
        if self.memo.len() == MAX_VALUES {
            return Err(format!(
                "its pickle stores more than {MAX_VALUES} values in its memo"
            ));
        }
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), String> {
        let id = self.memo.get(&key).copied();
        let id =
            id.ok_or_else(|| "its pickle refers to a value that it does not have".to_owned())?;
        self.stack.push(id);
        Ok(())
    }
}

enum Problem {
    /// A message in words.
    Text(String),
    /// The opcode is not supported.
    Opcode,
}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

fn underflow() -> String {
    "its pickle uses a value that is not there".into()
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>, String> {
    let (pairs, rest) = items.as_chunks::<2>();
    if rest.is_empty() {
        Ok(pairs.iter().map(|pair| (pair[0], pair[1])).collect())
    } else {
        Err("its pickle has a key without a value".into())
    }
}
