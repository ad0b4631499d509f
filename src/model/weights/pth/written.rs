//! What a training script wrote beside the weights: which network they are of.

use serde_json::{Map, Value};

use crate::model::weights::layout::{Written, short};
use crate::model::weights::pth::{Id, Node, Reader};

/// More than any network has.
const MAX_ARGUMENTS: usize = 64;

impl Reader {
    /// The keys of PyTorch's `ImageNet` example and of timm's (`arch`), and the script's
    /// options in `args`: timm's and torchvision's `model`, timm's `gp` and `model_kwargs`.
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
                // A class, a list: whatever it is, it is not what is usual.
                _ => "…".into(),
            };
            Some((short(self.pickle.text(*key)?), value))
        };
        entries.filter_map(argument).collect()
    }
}
