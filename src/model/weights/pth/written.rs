//! What a training script saved besides the weights: which network they are for.

use serde_json::{Map, Value};

use crate::model::weights::layout::Written;
use crate::model::weights::pth::{Id, Node, Reader};
use crate::model::weights::refusal::short;

/// More than any network has.
const MAX_ARGUMENTS: usize = 64;

impl Reader {
    /// Reads the keys of PyTorch's `ImageNet` example and of timm's (`arch`), and the script's
    /// options in `args`: `model` of timm and torchvision, `gp` and `model_kwargs` of timm.
    pub(super) fn written(&self) -> Written {
        let root = self.pickle.root();
        let text = |of: Id, key: &str| {
            let value = self.pickle.get(of, key)?;
            self.pickle.text(value).map(short)
        };
        let mut written = Written::default();
        let names = ["arch", "model"];
        written
            .names
            .extend(names.iter().filter_map(|key| text(root, key)));
        let Some(options) = self.pickle.get(root, "args") else {
            return written;
        };
        // An `argparse.Namespace` has them in its `__dict__`.
        let options = self.pickle.state(options).unwrap_or(options);
        written
            .names
            .extend(names.iter().filter_map(|key| text(options, key)));
        written.pooling = text(options, "gp");
        let arguments = self.pickle.get(options, "model_kwargs");
        let arguments = arguments.and_then(|id| self.pickle.entries(id));
        written.arguments = self.arguments(arguments.unwrap_or_default());
        written
    }

    fn arguments(&self, entries: &[(Id, Id)]) -> Map<String, Value> {
        let entries = entries.iter().take(MAX_ARGUMENTS);
        let argument = |(key, value): &(Id, Id)| {
            let value = match self.pickle.node(*value) {
                Node::Other => Value::Null,
                Node::Int(number) => (*number).into(),
                Node::Float(number) => (*number).into(),
                Node::Bool(is) => (*is).into(),
                Node::Text(text) => short(text).into(),
                // A class, a list or another value: in any case not the default.
                _ => "…".into(),
            };
            Some((short(self.pickle.text(*key)?), value))
        };
        entries.filter_map(argument).collect()
    }
}
