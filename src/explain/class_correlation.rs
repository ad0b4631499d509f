//! How much a map depends on the class: its mean correlation with the maps of other classes. A map
//! that looks the same for every class shows where the network looks, not why it gave this answer
//! (Adebayo et al. 2018, arXiv 1810.03292, test saliency maps against the model's labels in this
//! way).

use crate::explain::analysis::Analysis;
use crate::explain::cam;
use crate::explain::cam::{Map, Recipe};
use crate::labels::ClassId;
use crate::model::Scores;

/// Number of other classes that a map at the last layer is compared with.
pub const CLASSES: usize = 50;
/// The same at earlier layers, where each class needs a backward pass.
pub const CLASSES_EARLIER: usize = 8;
/// A map with at least this mean correlation is called class-insensitive. On 200 photographs, the
/// correlation with the map of a random class was 0.89 on average for Grad-CAM++ and 0.15 for
/// Grad-CAM.
pub const INSENSITIVE: f32 = 0.7;

/// How similar a map is to the maps of other classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassCorrelation {
    /// The mean of the Pearson correlations, −1..=1.
    pub correlation: f32,
    /// Number of other classes compared.
    pub classes: usize,
}

impl ClassCorrelation {
    /// Whether the map hardly depends on the class.
    #[must_use]
    pub fn is_insensitive(self) -> bool {
        self.correlation >= INSENSITIVE
    }
}

/// Whether a map says anything in comparison with the maps of other classes: the two classes of one
/// logit have opposite maps in any case.
#[must_use]
pub fn comparable(scores: Scores) -> bool {
    scores != Scores::OneLogit
}

/// The classes whose maps are compared with those of `class`: `count` others, or all if there are
/// fewer. They are evenly spread over the indices and the same for every photo.
#[must_use]
pub fn others(classes: usize, class: ClassId, count: usize) -> Vec<ClassId> {
    // One more than needed, because `class` may be one of them.
    let spread = spread(classes, count + 1).into_iter();
    spread.filter(|other| *other != class).take(count).collect()
}

fn spread(classes: usize, count: usize) -> Vec<ClassId> {
    let count = count.min(classes);
    let mut picked = (0..count).map(|at| at * classes / count).peekable();
    let every = ClassId::all(classes);
    every
        .filter(|class| picked.next_if_eq(&class.index()).is_some())
        .collect()
}

/// The maps of [`CLASSES`] + 1 classes at the last layer, to compare with.
#[derive(Debug)]
pub struct References(Vec<(ClassId, Map)>);

impl References {
    /// Computes the maps; there are none if the network has no closed form for them.
    #[must_use]
    pub fn at_last_layer(analysis: &Analysis, recipe: Recipe) -> Self {
        let picked = spread(analysis.logits.len(), CLASSES + 1);
        let make = |&class: &ClassId| {
            let layer_gradients = analysis.layer_gradients(class)?;
            Some((class, cam::explain(recipe, &layer_gradients)))
        };
        Self(picked.iter().filter_map(make).collect())
    }

    /// How similar a map of `class` is to them.
    #[must_use]
    pub fn compare(&self, map: &Map, class: ClassId) -> Option<ClassCorrelation> {
        let others = self.0.iter().filter(|(other, _)| *other != class);
        mean(map, others.take(CLASSES).map(|(_, map)| map))
    }
}

/// The mean correlation of a map with others; `None` if there are no others or if no correlation is
/// defined because maps are flat.
pub fn mean<'a>(map: &Map, others: impl Iterator<Item = &'a Map>) -> Option<ClassCorrelation> {
    let found: Vec<f32> = others.filter_map(|other| map.correlation(other)).collect();
    (!found.is_empty()).then(|| ClassCorrelation {
        correlation: found.iter().sum::<f32>() / found.len() as f32,
        classes: found.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::cam::{Method, fixture};

    #[test]
    fn other_classes_are_spread_and_never_the_class_itself() {
        for (classes, count, there) in [(1000, 50, 50), (3, 50, 2), (51, 50, 50), (2, 8, 1)] {
            for class in ClassId::all(classes) {
                let others = others(classes, class, count);
                assert_eq!(others.len(), there);
                assert!(!others.contains(&class));
                assert!(others.is_sorted());
            }
        }
        let first = ClassId::all(1000).next().unwrap();
        let others = others(1000, first, 50);
        assert!(
            others[49].index() > 950 && others[0].index() < 40,
            "{others:?}"
        );
    }

    #[test]
    fn the_mean_is_over_maps_that_are_not_flat() {
        let map = |cells: [f32; 4]| Map {
            recipe: Method::GradCam.into(),
            layer: fixture::LAST,
            height: 2,
            width: 2,
            condition: 1.0,
            cells: cells.to_vec(),
        };
        let own = map([1.0, 2.0, 3.0, 4.0]);
        let others = [
            map([2.0, 4.0, 6.0, 8.0]),
            map([1.0; 4]),
            map([4.0, 3.0, 2.0, 1.0]),
        ];
        let found = mean(&own, others.iter()).unwrap();
        assert!(found.classes == 2 && found.correlation.abs() < 1e-6);
        assert!(!found.is_insensitive());
        assert_eq!(mean(&own, others[1..2].iter()), None);
    }
}
