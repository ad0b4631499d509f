//! Class activation maps in plain `f32`. This module does not use candle, and its functions can't
//! fail.
//!
//! Every method is a pure function of the activations of a layer and the gradients of one logit
//! there ([`LayerGradients`]). At the last layer, before global average pooling and one linear layer, the
//! gradient is `g_k(i,j) = W_ck / N` at every cell. A map of any class can therefore be computed
//! without running the network again ([`Analysis::layer_gradients`](crate::explain::analysis::Analysis::layer_gradients)).

mod cancellation;
pub mod grad_cam;
pub mod grad_cam_plus_plus;
pub mod hirescam;
pub mod layercam;
mod map;
pub mod xgrad_cam;

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use crate::explain::cam::cancellation::{UNSTABLE, condition};
pub use crate::explain::cam::grad_cam_plus_plus::Variant;
pub use crate::explain::cam::map::{FLAT, Map};
use crate::model::activations::{FeatureMaps, Gradients, LayerGradients};
use crate::model::target_layer::{LayerId, TargetLayer};

/// How activations and gradients are combined to a map.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391)
    #[value(alias = "gradcam")]
    GradCam,
    /// Grad-CAM++ (Chattopadhay et al. 2018, arXiv 1710.11063), eq. 19
    #[value(name = "grad-cam++", aliases = ["gradcam++", "grad-cam-plus-plus"])]
    #[serde(rename = "grad-cam++")]
    GradCamPlusPlus,
    /// HiResCAM (Draelos and Carin 2020, arXiv 2011.08891)
    #[value(name = "hirescam", aliases = ["hires-cam", "hirescam"])]
    HiResCam,
    /// LayerCAM (Jiang et al. 2021, IEEE TIP 30, doi 10.1109/TIP.2021.3089943)
    #[value(name = "layercam", alias = "layer-cam")]
    LayerCam,
    /// XGrad-CAM (Fu et al. 2020, arXiv 2008.02312)
    #[value(name = "xgrad-cam", alias = "xgradcam")]
    XGradCam,
}

impl Method {
    /// All methods, in the order of menus.
    pub const ALL: [Self; 5] = [
        Self::GradCam,
        Self::GradCamPlusPlus,
        Self::HiResCam,
        Self::LayerCam,
        Self::XGradCam,
    ];
    /// The two methods that are shown side by side at first.
    pub const DEFAULT: [Self; 2] = [Self::GradCam, Self::GradCamPlusPlus];

    /// The name used in the literature.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::GradCam => "Grad-CAM",
            Self::GradCamPlusPlus => "Grad-CAM++",
            Self::HiResCam => "HiResCAM",
            Self::LayerCam => "LayerCAM",
            Self::XGradCam => "XGrad-CAM",
        }
    }

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::GradCam => "grad-cam",
            Self::GradCamPlusPlus => "grad-cam++",
            Self::HiResCam => "hirescam",
            Self::LayerCam => "layercam",
            Self::XGradCam => "xgrad-cam",
        }
    }

    /// A description in one line.
    #[must_use]
    pub fn summary(self) -> &'static str {
        match self {
            Self::GradCam => {
                "Activations, each channel weighted by the mean of its gradient (Selvaraju et al. 2017)"
            }
            Self::GradCamPlusPlus => {
                "Positive gradients only, weighted by eq. 19 of Chattopadhay et al. 2018"
            }
            Self::HiResCam => {
                "Gradient times activation, cell by cell (Draelos and Carin 2020); the same as Grad-CAM at the last layer"
            }
            Self::LayerCam => {
                "Positive gradient times activation, cell by cell (Jiang et al. 2021); designed for earlier layers"
            }
            Self::XGradCam => {
                "Gradients averaged where the channel is active (Fu et al. 2020); the same as Grad-CAM at the last layer"
            }
        }
    }

    /// Whether the cells of a map at this layer are shares of the logit: they add up to `y_c −
    /// b_c`.
    #[must_use]
    pub fn is_in_logits(self, layer: TargetLayer) -> bool {
        layer.is_pooled && matches!(self, Self::GradCam | Self::HiResCam | Self::XGradCam)
    }
}

/// A method, and which of the published formulas with this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recipe {
    /// The method.
    pub method: Method,
    /// The formula of Grad-CAM++. The other methods have only one formula, and [`Variant::Eq19`]
    /// here.
    pub variant: Variant,
}

impl Recipe {
    /// A method with its variant; methods other than Grad-CAM++ ignore `variant`.
    #[must_use]
    pub fn new(method: Method, variant: Variant) -> Self {
        let variant = match method {
            Method::GradCamPlusPlus => variant,
            _ => Variant::Eq19,
        };
        Self { method, variant }
    }

    /// All combinations of method and variant.
    pub fn all() -> impl Iterator<Item = Self> {
        let others = Variant::ALL.into_iter().skip(1);
        let others = others.map(|variant| Self::new(Method::GradCamPlusPlus, variant));
        Method::ALL.into_iter().map(Self::from).chain(others)
    }
}

impl From<Method> for Recipe {
    fn from(method: Method) -> Self {
        Self::new(method, Variant::Eq19)
    }
}

/// Computes the map of a recipe from the evidence for a class.
#[must_use]
pub fn explain(recipe: impl Into<Recipe>, layer_gradients: &LayerGradients) -> Map {
    let recipe = recipe.into();
    let (features, gradients) = (&*layer_gradients.features, &layer_gradients.gradients);
    let cells = match recipe.method {
        Method::GradCam => weighted_sum(features, &grad_cam::weights(features, gradients)),
        Method::GradCamPlusPlus => {
            let weights = grad_cam_plus_plus::weights(features, gradients, recipe.variant);
            weighted_sum(features, &weights)
        }
        Method::XGradCam => weighted_sum(features, &xgrad_cam::weights(features, gradients)),
        Method::HiResCam => hirescam::cells(features, gradients),
        Method::LayerCam => layercam::cells(features, gradients),
    };
    Map {
        recipe,
        layer: layer_gradients.layer,
        height: features.height,
        width: features.width,
        condition: condition(recipe, features, gradients),
        cells,
    }
}

/// All maps of one class at some layers.
#[derive(Debug)]
pub struct LayerMaps(HashMap<(LayerId, Recipe), Map>);

impl LayerMaps {
    /// Computes all maps.
    #[must_use]
    pub fn new(layer_gradients: &[LayerGradients]) -> Self {
        let jobs: Vec<(&LayerGradients, Recipe)> = layer_gradients
            .iter()
            .flat_map(|layer_gradients| Recipe::all().map(move |recipe| (layer_gradients, recipe)))
            .collect();
        let make = |(layer_gradients, recipe): &(&LayerGradients, Recipe)| {
            (
                (layer_gradients.layer.id, *recipe),
                explain(*recipe, layer_gradients),
            )
        };
        Self(jobs.par_iter().map(make).collect())
    }

    /// One of the maps.
    #[must_use]
    pub fn get(&self, layer: LayerId, recipe: Recipe) -> Option<&Map> {
        self.0.get(&(layer, recipe))
    }

    /// Whether it has the maps at these layers.
    #[must_use]
    pub fn has(&self, layers: &[LayerId]) -> bool {
        let has = |layer: &LayerId| self.0.keys().any(|(of, _)| of == layer);
        layers.iter().all(has)
    }

    /// These maps, and those of other layers.
    #[must_use]
    pub fn with(&self, others: &Self) -> Self {
        let mut all = self.0.clone();
        all.extend(others.0.iter().map(|(of, map)| (*of, map.clone())));
        Self(all)
    }
}

/// `Σ_k w_k A_k`, `[height, width]`, for one weight per channel.
#[must_use]
pub fn weighted_sum(features: &FeatureMaps, weights: &[f32]) -> Vec<f32> {
    let mut cells = vec![0.0; features.cells()];
    for (plane, weight) in features.planes().zip(weights) {
        for (cell, activation) in cells.iter_mut().zip(plane) {
            *cell += weight * activation;
        }
    }
    cells
}

/// `Σ_k f(g_k) ⊙ A_k`, `[height, width]`.
fn products(features: &FeatureMaps, gradients: &Gradients, f: impl Fn(f32) -> f32) -> Vec<f32> {
    match gradients {
        Gradients::PerChannel(gradients) => {
            let weights: Vec<f32> = gradients.iter().map(|g| f(*g)).collect();
            weighted_sum(features, &weights)
        }
        Gradients::PerCell(gradients) => {
            let mut cells = vec![0.0; features.cells()];
            for (plane, gradients) in features
                .planes()
                .zip(gradients.chunks_exact(features.cells()))
            {
                for ((cell, activation), g) in cells.iter_mut().zip(plane).zip(gradients) {
                    *cell += f(*g) * activation;
                }
            }
            cells
        }
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Two channels of 2×2 cells for which all variants give different maps.

    use crate::model::activations::{FeatureMaps, Gradients};
    use crate::model::target_layer::{LayerId, TargetLayer};

    /// The input of global average pooling.
    pub const LAST: TargetLayer = TargetLayer {
        id: LayerId::new(3),
        stride: (32.0, 32.0),
        is_pooled: true,
    };

    /// Another layer.
    pub const EARLIER: TargetLayer = TargetLayer {
        id: LayerId::new(2),
        stride: (16.0, 16.0),
        is_pooled: false,
    };

    pub fn features() -> FeatureMaps {
        FeatureMaps {
            channels: 2,
            height: 2,
            width: 2,
            values: vec![0.0, 4.0, 31.0, 40.0, 0.0, 0.0, 6.0, 15.0],
        }
    }

    pub const GRADIENTS: [f32; 8] = [1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0];

    pub fn gradients() -> Gradients {
        Gradients::PerCell(GRADIENTS.to_vec())
    }

    pub fn assert_close(cells: &[f32], expected: [f32; 4]) {
        assert_eq!(cells.len(), 4);
        for (cell, value) in cells.iter().zip(expected) {
            assert!(
                (cell - value).abs() < 1e-5,
                "{cells:?} instead of {expected:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn layer_gradients(gradients: Gradients) -> LayerGradients {
        LayerGradients {
            layer: fixture::LAST,
            features: Arc::new(fixture::features()),
            gradients,
        }
    }

    /// Gradients that are the same at every cell, given once per channel and once per cell: the
    /// closed forms must agree with the general formulas.
    #[test]
    fn the_closed_forms_are_the_general_formulas_with_constant_gradients() {
        for row in [[0.3, -0.2], [-1.5, 0.7], [0.01, 0.02]] {
            let constant = layer_gradients(Gradients::PerChannel(row.to_vec()));
            let spread = row.iter().flat_map(|g| [*g; 4]).collect();
            let general = layer_gradients(Gradients::PerCell(spread));
            for recipe in Recipe::all() {
                let (a, b) = (explain(recipe, &constant), explain(recipe, &general));
                for (a, b) in a.cells.iter().zip(&b.cells) {
                    assert!((a - b).abs() < 1e-5, "{recipe:?}: {a} and {b}");
                }
            }
        }
    }

    #[test]
    fn there_are_seven_recipes() {
        let recipes: std::collections::HashSet<Recipe> = Recipe::all().collect();
        assert_eq!(recipes.len(), 7);
        assert_eq!(
            Recipe::new(Method::LayerCam, Variant::TutorialSum),
            Method::LayerCam.into()
        );
    }

    #[test]
    fn a_difference_of_two_maps_is_the_map_of_the_difference() {
        let (a, b) = ([0.3, -0.2], [-1.5, 0.7]);
        let map = |row: [f32; 2]| {
            explain(
                Method::GradCam,
                &layer_gradients(Gradients::PerChannel(row.to_vec())),
            )
        };
        let difference = map(a).minus(&map(b));
        let direct = map([a[0] - b[0], a[1] - b[1]]);
        for (cell, direct) in difference.cells.iter().zip(&direct.cells) {
            assert!((cell - direct).abs() < 1e-5);
        }
        assert_eq!(direct.peak(), (1, 1));
    }

    #[test]
    fn cells_in_logit_units_add_up_to_the_logit_less_its_bias() {
        // y − b = Σ_k W_k mean(A_k) = 4·(0.3·75/4·(1/4) …): with g = W/N, Σ g A.
        let layer_gradients = layer_gradients(Gradients::PerChannel(vec![0.3 / 4.0, -0.2 / 4.0]));
        let expected = 0.3 * 75.0 / 4.0 - 0.2 * 21.0 / 4.0;
        for method in Method::ALL {
            let sum = explain(method, &layer_gradients).sum();
            let adds_up = (sum - expected).abs() < 1e-5;
            assert_eq!(
                adds_up,
                method.is_in_logits(fixture::LAST),
                "{method:?}: {sum}"
            );
            assert!(!method.is_in_logits(fixture::EARLIER));
        }
    }
}
