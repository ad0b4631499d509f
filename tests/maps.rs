//! Properties that maps must have on a real photo with the built-in model.

// Panics are fine in tests.
#![allow(clippy::unwrap_used)]

use camlens::explain::analysis::Analysis;
use camlens::explain::cam;
use camlens::explain::cam::{Method, Recipe};
use camlens::explain::engine::Engine;
use camlens::input::framing::Framing;
use camlens::input::photo::Photo;
use camlens::labels::ClassId;
use camlens::model::ModelChoice;
use camlens::model::activations::{Gradients, LayerGradients};
use camlens::model::device::DeviceChoice;
use candle_core::{Device, Tensor, Var};

fn analysis() -> Analysis {
    let photo = Photo::open("assets/samples/two-cats.png".as_ref()).unwrap();
    let mut engine = Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    engine.analyze(&photo, Framing::Whole).unwrap()
}

/// Gradients of one logit at the target layer, computed by candle's autograd through pooling and
/// the linear layer.
fn gradients(analysis: &Analysis, class: ClassId) -> Vec<f32> {
    let features = &analysis.features;
    let shape = (features.channels, features.cells());
    let a = Tensor::from_slice(&features.values, shape, &Device::Cpu).unwrap();
    let a = Var::from_tensor(&a).unwrap();
    let head = analysis.model.head.as_ref().unwrap();
    let classes = head.classes();
    let weight =
        Tensor::from_slice(&head.weight, (classes, features.channels), &Device::Cpu).unwrap();
    let pooled = a.as_tensor().mean(1).unwrap().unsqueeze(1).unwrap();
    let logit = weight
        .matmul(&pooled)
        .unwrap()
        .get(class.index())
        .unwrap()
        .sum_all()
        .unwrap();
    let store = logit.backward().unwrap();
    store
        .get(&a)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

#[test]
fn the_closed_form_agrees_with_candles_autograd() {
    let analysis = analysis();
    for class in [
        analysis.ranking[0],
        analysis.ranking[4],
        analysis.ranking[999],
    ] {
        let by_autograd = LayerGradients {
            layer: analysis.model.target(analysis.model.default_layer),
            features: analysis.features.clone(),
            gradients: Gradients::PerCell(gradients(&analysis, class)),
        };
        for recipe in Recipe::all() {
            let closed = cam::explain(recipe, &analysis.layer_gradients(class).unwrap()).cells;
            let general = cam::explain(recipe, &by_autograd).cells;
            let largest = closed.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            for (a, b) in closed.iter().zip(&general) {
                assert!(
                    (a - b).abs() <= 1e-5 * largest,
                    "{recipe:?}, class {class}: {a} and {b}"
                );
            }
        }
    }
}

#[test]
fn grad_cam_adds_up_to_the_logit_for_all_classes_and_every_map_is_finite() {
    let analysis = analysis();
    let mut without_evidence = 0;
    for class in ClassId::all(1000) {
        let layer_gradients = analysis.layer_gradients(class).unwrap();
        let [map, plus_plus] = Method::DEFAULT.map(|method| cam::explain(method, &layer_gradients));
        let expected = analysis.logit(class) - analysis.bias(class).unwrap();
        assert!(
            (map.sum() - expected).abs() < 1e-4 * (1.0 + expected.abs()),
            "class {class}"
        );
        for map in [&map, &plus_plus] {
            assert_eq!(map.cells.len(), map.height * map.width);
            assert!(
                map.cells.iter().all(|cell| cell.is_finite()),
                "class {class}"
            );
        }
        // Its weights and the activations are never negative.
        assert!(
            plus_plus.cells.iter().all(|&cell| cell >= 0.0),
            "class {class}"
        );
        without_evidence += usize::from(!map.has_positive_evidence());
    }
    assert!(
        without_evidence < 500,
        "{without_evidence} of 1000 classes have no evidence"
    );
}

#[test]
fn the_target_layer_has_one_cell_for_32_input_pixels() {
    let analysis = analysis();
    let (width, height) = analysis.placement.input;
    assert_eq!(
        (analysis.features.width, analysis.features.height),
        (width / 32, height / 32)
    );
}
