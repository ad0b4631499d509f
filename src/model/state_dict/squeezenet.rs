//! `SqueezeNet` 1.0 and 1.1 (Iandola et al. 2016, arXiv 1602.07360), as torchvision has it.

use crate::model::graph::{Conv, GraphError, Op, Pool, Unary, ValueId};
use crate::model::state_dict::blocks::expect;
use crate::model::state_dict::{Family, Layers};

/// `SqueezeNet`.
pub const SQUEEZENET: Family = Family {
    matches: |shapes| shapes.contains_key("features.3.squeeze.weight"),
    build,
};

/// (name, kernel of the first convolution, numbers of the fire modules, numbers of the poolings).
type Version = (&'static str, usize, [usize; 8], [usize; 3]);

const VERSIONS: [Version; 2] = [
    ("SqueezeNet 1.0", 7, [3, 4, 5, 7, 8, 9, 10, 12], [2, 6, 11]),
    ("SqueezeNet 1.1", 3, [3, 4, 6, 7, 9, 10, 11, 12], [2, 5, 8]),
];

fn build(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    let kernel = layers.tensor_shape("features.0.weight")?;
    let fits = |version: &&Version| {
        let fire = |at: &usize| layers.has(&format!("features.{at}.squeeze.weight"));
        kernel.get(2..) == Some(&[version.1, version.1][..]) && version.2.iter().all(fire)
    };
    let Some(&(name, _, fires, pools)) = VERSIONS.iter().find(fits) else {
        let text = "its fire modules are neither those of SqueezeNet 1.0 nor of 1.1";
        return Err(GraphError::new(text));
    };
    layers.described.name = name.into();
    layers.assume("ReLU, the maximum of 3×3 between stages, the mean of the class maps");
    let mut x = layers.conv("features.0", input, Conv::new(2, 0, 1))?;
    x = relu(layers, "features.1", x)?;
    for at in 2..=12 {
        let module = format!("features.{at}");
        if pools.contains(&at) {
            let pool = Pool {
                ceil_mode: true,
                ..Pool::new(3, 2, 0)
            };
            x = layers.max_pool(&module, x, pool)?;
        } else if fires.contains(&at) {
            x = fire(layers, &module, x)?;
        }
    }
    let channels = layers.shape(x)[1];
    let classes = layers.tensor_shape("classifier.1.weight")?;
    let classes = classes.first().copied().unwrap_or_default();
    expect(layers, "classifier.1.weight", &[classes, channels, 1, 1])?;
    let x = layers.conv("classifier.1", x, Conv::PLAIN)?;
    let x = relu(layers, "classifier.2", x)?;
    crate::model::state_dict::head::global_pool(layers, "classifier.3", &["classifier.3"], x)
}

/// A convolution to few channels, then 1×1 and 3×3 convolutions side by side.
fn fire(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let part = |layers: &mut Layers, part: &str, kernel: usize, x: ValueId| {
        let conv = format!("{name}.{part}");
        let weight = layers.tensor_shape(&format!("{conv}.weight"))?;
        let outputs = weight.first().copied().unwrap_or_default();
        let inputs = layers.shape(x)[1];
        expect(
            layers,
            &format!("{conv}.weight"),
            &[outputs, inputs, kernel, kernel],
        )?;
        let x = layers.conv(&conv, x, Conv::new(1, kernel / 2, 1))?;
        relu(layers, &format!("{conv}_activation"), x)
    };
    let squeezed = part(layers, "squeeze", 1, x)?;
    let one = part(layers, "expand1x1", 1, squeezed)?;
    let three = part(layers, "expand3x3", 3, squeezed)?;
    layers.push(name, Op::Concat { axis: 1 }, &[one, three])
}

fn relu(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    layers.activation(name, &[name], Unary::Relu, x)
}
