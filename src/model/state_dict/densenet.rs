//! `DenseNet` (Huang et al. 2016, arXiv 1608.06993), as torchvision and timm have it.

use crate::model::graph::{GraphError, Op, Pool, Unary, ValueId};
use crate::model::state_dict::blocks::Reads;
use crate::model::state_dict::{Family, Layers, head};

/// `DenseNet`-121, 161, 169, 201 and the like.
pub const DENSENET: Family = Family {
    matches: |shapes| {
        shapes.contains_key("features.conv0.weight")
            && shapes
                .keys()
                .any(|name| name.starts_with("features.denseblock1."))
    },
    build,
};

const EPS: f32 = 1e-5;

fn build(layers: &mut Layers, input: ValueId) -> Result<ValueId, GraphError> {
    let depths = depths(layers);
    // The first convolution, two in each layer, one in each transition, and the classifier.
    let count = 1 + 2 * depths.iter().sum::<usize>() + depths.len();
    layers.described.name = format!("DenseNet-{count}");
    layers.assume("ReLU, no anti-aliasing, average pooling at the end");
    let stem = layers.padded_conv("features.conv0", input, (7, 2), Reads::All, false)?;
    let x = layers.conv("features.conv0", input, stem)?;
    let mut x = norm_relu(layers, "features.norm0", "features.relu0", x)?;
    x = layers.max_pool("features.pool0", x, Pool::new(3, 2, 1))?;
    for (before, depth) in depths.iter().enumerate() {
        let block = format!("features.denseblock{}", before + 1);
        for at in 1..=*depth {
            let layer = format!("{block}.denselayer{at}");
            let new = dense_layer(layers, &layer, x)?;
            let output = if at == *depth {
                block.clone()
            } else {
                format!("{layer}.concat")
            };
            x = layers.push(&output, Op::Concat { axis: 1 }, &[x, new])?;
        }
        if before + 1 < depths.len() {
            let transition = format!("features.transition{}", before + 1);
            x = self::transition(layers, &transition, x)?;
        }
    }
    let x = norm_relu(layers, "features.norm5", "features.relu5", x)?;
    let x = head::global_pool(layers, "global_pool", &["global_pool"], x)?;
    head::classifier(layers, x, &["features.".into()])
}

/// Number of layers in each dense block.
fn depths(layers: &Layers) -> Vec<usize> {
    let depth = |block: usize| {
        let has = |layer: &usize| {
            // torchvision before version 0.3 wrote "conv.1".
            let layer = format!("features.denseblock{block}.denselayer{layer}");
            layers.has(&format!("{layer}.conv1.weight"))
                || layers.has(&format!("{layer}.conv.1.weight"))
        };
        (1..).take_while(has).count()
    };
    (1..).map(depth).take_while(|depth| *depth > 0).collect()
}

/// Batch norm, `ReLU`, 1×1, batch norm, `ReLU`, 3×3.
fn dense_layer(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let dot = if layers.has(&format!("{name}.conv1.weight")) {
        ""
    } else {
        "."
    };
    let part = |kind: &str, at: usize| format!("{name}.{kind}{dot}{at}");
    let x = norm_relu(layers, &part("norm", 1), &part("relu", 1), x)?;
    let conv = part("conv", 1);
    let plain = layers.padded_conv(&conv, x, (1, 1), Reads::All, false)?;
    let x = layers.conv(&conv, x, plain)?;
    let x = norm_relu(layers, &part("norm", 2), &part("relu", 2), x)?;
    let conv = part("conv", 2);
    let padded = layers.padded_conv(&conv, x, (3, 1), Reads::All, false)?;
    layers.conv(&conv, x, padded)
}

/// Batch norm, `ReLU`, 1×1, mean of 2×2.
fn transition(layers: &mut Layers, name: &str, x: ValueId) -> Result<ValueId, GraphError> {
    let norm = format!("{name}.norm");
    let x = norm_relu(layers, &norm, &format!("{name}.relu"), x)?;
    let conv = format!("{name}.conv");
    let plain = layers.padded_conv(&conv, x, (1, 1), Reads::All, false)?;
    let x = layers.conv(&conv, x, plain)?;
    let pool = Op::AveragePool {
        pool: Pool::new(2, 2, 0),
        count_include_pad: true,
    };
    layers.pool(&format!("{name}.pool"), x, pool)
}

fn norm_relu(
    layers: &mut Layers,
    norm: &str,
    relu: &str,
    x: ValueId,
) -> Result<ValueId, GraphError> {
    let x = layers.batch_norm(norm, x, EPS)?;
    // timm's batch norms hold their activation.
    layers.activation(relu, &[relu, &format!("{norm}.act")], Unary::Relu, x)
}
