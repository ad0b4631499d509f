//! Writes small ONNX files for tests.

use std::sync::Arc;

/// A message under construction.
#[derive(Clone, Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// An integer field.
    pub(super) fn int(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value.cast_unsigned());
        self
    }

    /// A 32-bit number field.
    pub(super) fn float(mut self, field: u64, value: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A string, message or packed field.
    pub(super) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Messages of one field.
    pub(super) fn each(self, field: u64, messages: &[Message]) -> Self {
        let mut all = self;
        for message in messages {
            all = all.bytes(field, &message.0);
        }
        all
    }
}

/// A node.
pub(super) fn node(op: &str, inputs: &[&str], outputs: &[&str], attributes: &[Message]) -> Message {
    let mut node = Message::default();
    for input in inputs {
        node = node.bytes(1, input.as_bytes());
    }
    for output in outputs {
        node = node.bytes(2, output.as_bytes());
    }
    node.bytes(4, op.as_bytes()).each(5, attributes)
}

/// An integer attribute.
pub(super) fn int(name: &str, value: i64) -> Message {
    Message::default()
        .bytes(1, name.as_bytes())
        .int(3, value)
        .int(20, 2)
}

/// A number attribute.
pub(super) fn float(name: &str, value: f32) -> Message {
    Message::default()
        .bytes(1, name.as_bytes())
        .float(2, value)
        .int(20, 1)
}

/// An attribute with integers, unpacked as PyTorch writes them.
pub(super) fn ints(name: &str, values: &[i64]) -> Message {
    let mut attribute = Message::default().bytes(1, name.as_bytes());
    for value in values {
        attribute = attribute.int(8, *value);
    }
    attribute.int(20, 7)
}

/// The same, packed.
pub(super) fn packed_ints(name: &str, values: &[i64]) -> Message {
    let mut packed = Message::default();
    for value in values {
        packed.varint(value.cast_unsigned());
    }
    Message::default()
        .bytes(1, name.as_bytes())
        .bytes(8, &packed.0)
        .int(20, 7)
}

fn dims(dims: &[i64]) -> Message {
    let mut tensor = Message::default();
    for side in dims {
        tensor = tensor.int(1, *side);
    }
    tensor
}

/// A weight.
pub(super) fn floats(name: &str, shape: &[i64], values: &[f32]) -> Message {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    dims(shape)
        .int(2, 1)
        .bytes(8, name.as_bytes())
        .bytes(9, &bytes)
}

/// Integers in `int64_data`, packed.
pub(super) fn integers(name: &str, shape: &[i64], values: &[i64]) -> Message {
    let mut packed = Message::default();
    for value in values {
        packed.varint(value.cast_unsigned());
    }
    dims(shape)
        .int(2, 7)
        .bytes(8, name.as_bytes())
        .bytes(7, &packed.0)
}

/// A weight in another file.
pub(super) fn external(name: &str, shape: &[i64], pairs: &[(&str, &str)]) -> Message {
    let mut tensor = dims(shape).int(2, 1).bytes(8, name.as_bytes());
    for (key, value) in pairs {
        let pair = Message::default()
            .bytes(1, key.as_bytes())
            .bytes(2, value.as_bytes());
        tensor = tensor.bytes(13, &pair.0);
    }
    tensor.int(14, 1)
}

/// An input or output; a side of 0 has a name instead of a number.
pub(super) fn value(name: &str, element: i64, shape: &[i64]) -> Message {
    let mut sides = Message::default();
    for side in shape {
        let dim = match side {
            0 => Message::default().bytes(2, b"free"),
            side => Message::default().int(1, *side),
        };
        sides = sides.bytes(1, &dim.0);
    }
    let tensor = Message::default().int(1, element).bytes(2, &sides.0);
    let kind = Message::default().bytes(1, &tensor.0);
    Message::default()
        .bytes(1, name.as_bytes())
        .bytes(2, &kind.0)
}

/// A graph with an input `x` of this shape and an output `y`.
pub(super) struct Parts {
    pub(super) nodes: Vec<Message>,
    pub(super) weights: Vec<Message>,
    pub(super) inputs: Vec<Message>,
    pub(super) outputs: Vec<Message>,
    pub(super) opset: i64,
}

impl Parts {
    /// With nothing in it yet.
    pub(super) fn new(shape: &[i64], output: &[i64]) -> Self {
        Self {
            nodes: Vec::new(),
            weights: Vec::new(),
            inputs: vec![value("x", 1, shape)],
            outputs: vec![value("y", 1, output)],
            opset: 17,
        }
    }

    /// The file.
    pub(super) fn file(&self) -> Arc<[u8]> {
        let graph = Message::default()
            .each(1, &self.nodes)
            .each(5, &self.weights)
            .each(11, &self.inputs)
            .each(12, &self.outputs);
        let opset = Message::default().int(2, self.opset);
        let pair = Message::default()
            .bytes(1, b"names")
            .bytes(2, b"{0: 'cat'}");
        let model = Message::default()
            .int(1, 8)
            .bytes(2, b"pytorch")
            .bytes(7, &graph.0)
            .bytes(8, &opset.0)
            .bytes(14, &pair.0);
        model.0.into()
    }
}
