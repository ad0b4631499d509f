use crate::model::state_dict::Shapes;
use crate::model::state_dict::mobile_timm::layout::{Block, Kind, Layout};
use crate::model::state_dict::mobile_timm::names::Names;
use crate::model::state_dict::mobile_timm::table::NETWORKS;

/// The names of all networks.
pub fn names() -> Vec<&'static str> {
    NETWORKS.iter().map(|row| row.name).collect()
}

fn layout(name: &str) -> Layout {
    let row = NETWORKS.iter().find(|row| row.name == name);
    Layout::new(row.unwrap())
}

/// The tensors of a network for three channels and ten classes.
pub fn shapes_of(name: &str) -> Shapes {
    let layout = layout(name);
    let mut shapes = Shapes::new();
    let mut unit = |conv: String, norm: String, shape: [usize; 4]| {
        shapes.insert(format!("{conv}.weight"), shape.to_vec());
        for part in ["weight", "bias", "running_mean", "running_var"] {
            shapes.insert(format!("{norm}.{part}"), vec![shape[0]]);
        }
    };
    unit("conv_stem".into(), "bn1".into(), [layout.stem, 3, 3, 3]);
    let mut last = 0;
    for (path, block) in layout.paths(Names::Timm) {
        let (kernel, [input, middle, output]) = (block.kernel, block.channels);
        let mut part = |conv: &str, norm: &str, shape: [usize; 4]| {
            unit(format!("{path}.{conv}"), format!("{path}.{norm}"), shape);
        };
        match block.kind {
            Kind::Separable => {
                part("conv_dw", "bn1", [input, 1, kernel, kernel]);
                part("conv_pw", "bn2", [output, input, 1, 1]);
            }
            Kind::Inverted => {
                part("conv_pw", "bn1", [middle, input, 1, 1]);
                part("conv_dw", "bn2", [middle, 1, kernel, kernel]);
                part("conv_pwl", "bn3", [output, middle, 1, 1]);
            }
            Kind::Edge => {
                part("conv_exp", "bn1", [middle, input, kernel, kernel]);
                part("conv_pwl", "bn2", [output, middle, 1, 1]);
            }
            Kind::Conv => part("conv", "bn1", [output, input, kernel, kernel]),
        }
        last = output;
    }
    let features = layout.features.unwrap();
    unit("conv_head".into(), "bn2".into(), [features, last, 1, 1]);
    for (path, block) in layout.paths(Names::Timm) {
        let Some(squeeze) = block.squeeze else {
            continue;
        };
        let middle = block.channels[1];
        let convs = [("reduce", squeeze, middle), ("expand", middle, squeeze)];
        for (conv, outputs, inputs) in convs {
            let conv = format!("{path}.se.conv_{conv}");
            shapes.insert(format!("{conv}.weight"), vec![outputs, inputs, 1, 1]);
            shapes.insert(format!("{conv}.bias"), vec![outputs]);
        }
    }
    shapes.insert("classifier.weight".into(), vec![10, features]);
    shapes.insert("classifier.bias".into(), vec![10]);
    shapes
}

/// Widths counted in timm's networks.
#[test]
fn widths_and_depths_are_timms() {
    for (name, stem, depths, features, last) in [
        (
            "efficientnet_b3",
            40,
            vec![2, 3, 3, 5, 5, 6, 2],
            Some(1536),
            384,
        ),
        (
            "efficientnet_lite4",
            32,
            vec![1, 4, 4, 6, 6, 8, 1],
            Some(1280),
            448,
        ),
        (
            "mobilenetv3_small_075",
            16,
            vec![1, 2, 3, 2, 3, 1],
            Some(1024),
            432,
        ),
        ("mobilenetv1_125", 40, vec![1, 2, 2, 6, 2], None, 1280),
        ("tinynet_e", 32, vec![1, 1, 1, 2, 2, 2, 1], Some(1280), 160),
    ] {
        let layout = layout(name);
        let found: Vec<usize> = layout.stages.iter().map(Vec::len).collect();
        assert_eq!(
            (layout.stem, found, layout.features),
            (stem, depths, features),
            "{name}"
        );
        let block: &Block = layout.stages.last().unwrap().last().unwrap();
        assert_eq!(block.channels[2], last, "{name}");
    }
}
