//! A network without a closed-form head and without any of our layers: maps are computed from its
//! gradients alone.

use crate::explain::cam;
use crate::explain::cam::Method;
use crate::explain::engine::*;
use crate::labels::{ClassId, Labels};
use crate::model::activations::Gradients;
use crate::model::network::NetworkInput;
use crate::model::target_layer::{LayerChoice, LayerInfo, LayerKind};
use crate::render::legend;
use crate::report::answer::Report;

/// `y_c = s_c²` with `s_c = Σ_k w_ck · mean(A_k)`, where `A` are the means of the input's
/// channels over patches of 16 pixels, and after them of 32.
struct Squares([LayerInfo; 2]);

const WEIGHTS: [[f32; 3]; 2] = [[1.0, -0.5, 0.25], [-0.3, 0.8, 0.6]];

impl Squares {
    fn new() -> Self {
        let layer = |name: &str, stride| LayerInfo {
            name: name.into(),
            stride: (stride, stride),
            channels: 3,
            kind: LayerKind::Output,
            stage: None,
        };
        Self([layer("patches", 16.0), layer("pooled", 32.0)])
    }
}

fn sums(features: &FeatureMaps) -> [f32; 2] {
    let means = features.planes();
    let means = means.map(|plane| plane.iter().sum::<f32>() / plane.len() as f32);
    let means: Vec<f32> = means.collect();
    WEIGHTS.map(|row| row.iter().zip(&means).map(|(w, mean)| w * mean).sum())
}

impl Network for Squares {
    fn layers(&self) -> &[LayerInfo] {
        &self.0
    }

    fn default_layer(&self) -> LayerId {
        LayerId::new(1)
    }

    fn forward(&self, input: &NetworkInput, _: Precision) -> Result<Tape, NetworkError> {
        let maps = [16, 32].map(|stride| {
            let (height, width) = (input.height / stride, input.width / stride);
            let mut values = vec![0.0; 3 * height * width];
            for (at, value) in input.values.iter().enumerate() {
                let (pixel, channel) = (at / 3, at % 3);
                let row = pixel / input.width / stride;
                let column = pixel % input.width / stride;
                values[(channel * height + row) * width + column] +=
                    value / (stride * stride) as f32;
            }
            Arc::new(FeatureMaps {
                channels: 3,
                height,
                width,
                values,
            })
        });
        let logits = sums(&maps[1]).map(|sum| sum * sum).to_vec();
        Ok(Tape::new(logits, maps))
    }

    fn activations(&self, tape: &Tape, at: LayerId) -> Result<Arc<FeatureMaps>, NetworkError> {
        let maps: &[Arc<FeatureMaps>; 2] = tape.state()?;
        let found = maps.get(at.index()).cloned();
        found.ok_or_else(|| NetworkError::no_layer(at))
    }

    fn gradients(
        &self,
        tape: &Tape,
        class: ClassId,
        at: &[LayerId],
    ) -> Result<Vec<Gradients>, NetworkError> {
        let gradients = |&layer: &LayerId| {
            let features = self.activations(tape, layer)?;
            let cells = features.cells();
            let sum = sums(&features)[class.index()];
            let of = |weight: &f32| vec![2.0 * sum * weight / cells as f32; cells];
            let values = WEIGHTS[class.index()].iter().flat_map(of);
            Ok(Gradients::PerCell(values.collect()))
        };
        at.iter().map(gradients).collect()
    }
}

#[test]
fn a_network_without_a_head_is_explained_by_its_gradients() {
    let preprocessing = Preprocessing {
        mean: [0.0; 3],
        std: [1.0; 3],
        ..Preprocessing::default()
    };
    let labels = Labels::for_count(2);
    let network = Box::new(Squares::new());
    let model = Model::of_network("Squares", network, labels, preprocessing);
    let mut engine = Engine::of_model(model);
    let cat = Photo::open("assets/samples/cat.png".as_ref()).unwrap();
    let analysis = engine.analyze(&cat, Framing::Crop).unwrap();
    assert_eq!(analysis.logits.len(), 2);
    assert_eq!((analysis.features.height, analysis.features.width), (7, 7));

    // Nothing claims a closed form.
    let info = analysis.model.clone();
    let class = analysis.top();
    assert!(info.head.is_none() && analysis.layer_gradients(class).is_none());
    assert!(analysis.bias(class).is_none() && analysis.cell_logits(0, 0).is_none());

    let layers: Vec<LayerId> = info.layer_ids().collect();
    for (layer_gradients, stride) in engine
        .layer_gradients(class, &layers)
        .unwrap()
        .iter()
        .zip([16, 32])
    {
        let map = cam::explain(Method::GradCam, layer_gradients);
        assert_eq!(map.height, 224 / stride);
        assert_eq!(map.grid().stride, (stride as f64, stride as f64));
        // Euler's theorem for a function of degree 2: twice the logit, so the cells are not shares of it.
        let expected = 2.0 * analysis.logit(class);
        assert!((map.sum() - expected).abs() < 1e-4 * expected.abs());
        assert_eq!(map.unit(), "relative");
        let meaning = legend::meaning(&analysis, &map, class, None);
        assert!(meaning.starts_with("Relative units"), "{meaning}");
        let maps = [map];
        let report = Report::new("cat".into(), &cat, &analysis, (class, None), &maps, &[]);
        assert_eq!(report.maps[0].unit, "relative");
        assert!(report.maps[0].class_correlation.is_none());
    }

    // Layers are found by the network's own names.
    let find = |name: &str| info.need_layer(&name.into());
    assert_eq!(find("last"), Ok(layers[1]));
    assert_eq!(find("pooled"), Ok(layers[1]));
    assert_eq!(find("patches"), Ok(layers[0]));
    let problem = find("last-conv").unwrap_err();
    assert!(
        problem.ends_with("Give last or one of patches, pooled."),
        "{problem}"
    );
    assert_eq!(info.layer_or_default(&"layer4.1.conv2".into()), layers[1]);
    assert_eq!(
        info.choice_of(layers[0]),
        LayerChoice::Named("patches".into())
    );
    assert_eq!(
        engine.classify(&cat, Framing::Crop).unwrap(),
        analysis.logits
    );
}
