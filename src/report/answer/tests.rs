//! Tests of the text report.

use super::*;
use crate::input::framing::Framing;
use crate::model::ModelChoice;
use crate::model::device::DeviceChoice;

/// As in the window, no probability is shown as zero.
#[test]
fn an_improbable_class_has_no_probability_of_zero() {
    let photo = Photo::open("assets/samples/cat.png".as_ref()).unwrap();
    let mut engine =
        crate::explain::engine::Engine::open(&ModelChoice::BuiltIn, DeviceChoice::Cpu).unwrap();
    let analysis = engine.analyze(&photo, Framing::Whole).unwrap();
    let [last, before] = [1, 2].map(|back| analysis.ranking[analysis.ranking.len() - back]);
    let map_spec = (last, Some(before));
    let report = Report::new("cat.png".into(), &photo, &analysis, map_spec, &[], &[]);
    let text = report.text();
    for (word, class) in [("Explained:", last), ("Minus:    ", before)] {
        let name = analysis.model.labels.full(class);
        let line = format!("{word} {name} ({class}), < 0.1 %, logit ");
        assert!(text.contains(&line), "{text}");
    }
    let top = analysis.top();
    let probability = percent(analysis.probability(top));
    let line = format!(
        "{probability:>7}  {} ({top})",
        analysis.model.labels.full(top)
    );
    assert!(text.contains(&line), "{text}");
    assert!(!text.contains(" 0.0 %"), "{text}");
}
