//! Whether a map depends on rounding errors: some methods divide by sums that can cancel.

use crate::explain::cam::{Method, Recipe, Variant};
use crate::model::activations::{FeatureMaps, Gradients};

/// A map whose condition is at least this is called unstable. Measured with a ResNet-18 on four
/// photos with two classes each. Activations and gradients were changed by up to 1e-6 of their
/// values, about as much as f32 rounding changes them in the network. The tutorial's maps at layer1
/// to layer3 (condition 386 to 10⁷) changed by 0.0009 to 4.6 of their largest cell, and XGrad-CAM's
/// before the last batch norm (22 to 116 on three photos, 3656 on one) by 0.2 to 0.5 of `condition
/// · 1e-6`.
pub const UNSTABLE: f32 = 300.0;

/// The condition of a map: the mean of `Σ|a| / |Σ a|` over the sums that the method divides by,
/// each with its weight in the map. It is 1 if nothing cancels. An error of `ε` in the activations
/// can become an error of about `condition · ε` in the map.
///
/// For HiResCAM it is how much the sum over channels cancels.
///
/// XGrad-CAM divides by `Σ A_k`, which has terms of both signs before a batch norm. The `2 + S_k g`
/// of Grad-CAM++ can cancel only where activations are negative, and the tutorial's `2g² + Σ A g³`
/// wherever gradients are.
#[must_use]
pub fn condition(recipe: Recipe, features: &FeatureMaps, gradients: &Gradients) -> f32 {
    let is_negative = || features.values.iter().any(|activation| *activation < 0.0);
    let expanded: Vec<f32>;
    let gradients = match gradients {
        // Where gradients are the same at every cell, only Grad-CAM++ divides by a sum.
        Gradients::PerChannel(gradients) => {
            if recipe.method != Method::GradCamPlusPlus || !is_negative() {
                return 1.0;
            }
            let cells = features.cells();
            let each = gradients
                .iter()
                .flat_map(|g| std::iter::repeat_n(*g, cells));
            expanded = each.collect();
            &expanded
        }
        Gradients::PerCell(gradients) => gradients,
    };
    if recipe.method == Method::HiResCam {
        return cell_cancellation(features, gradients);
    }
    let tutorial = recipe == Recipe::new(Method::GradCamPlusPlus, Variant::TutorialSum);
    if !tutorial && !is_negative() {
        return 1.0;
    }
    let planes = features
        .planes()
        .zip(gradients.chunks_exact(features.cells()));
    let mut mean = Mean::default();
    match recipe.method {
        Method::XGradCam => planes.for_each(|(plane, gradients)| {
            let sum = Sum::of(plane.iter().map(|a| f64::from(*a)));
            let product: f64 = plane.iter().zip(gradients).map(product_of).sum();
            if sum.value != 0.0 {
                mean.add(sum.cancellation(), (product / sum.value).abs() * sum.size);
            }
        }),
        Method::GradCamPlusPlus => planes.for_each(|(plane, gradients)| {
            let sum = Sum::of(plane.iter().map(|a| f64::from(*a)));
            let cubes = Sum::of(plane.iter().zip(gradients).map(|(a, g)| {
                let g = f64::from(*g);
                f64::from(*a) * g * g * g
            }));
            for g in gradients.iter().filter(|g| **g > 0.0) {
                let g = f64::from(*g);
                let rest = match recipe.variant {
                    Variant::TutorialSum => cubes,
                    Variant::Eq19 | Variant::PytorchGradCam => sum.times(g * g * g),
                };
                let divisor = rest.plus(2.0 * g * g);
                if recipe.variant == Variant::Eq19 && divisor.value <= 0.0 {
                    continue; // counts as 0
                }
                let weight = g * g * g / divisor.value.abs() * sum.size;
                mean.add(divisor.cancellation(), weight);
            }
        }),
        // HiResCAM was handled above.
        Method::GradCam | Method::HiResCam | Method::LayerCam => {}
    }
    mean.value()
}

/// How much `Σ_k g_k A_k` cancels over all cells: HiResCAM's cells. They are 0 but for rounding where
/// only a normalization over the channels follows, whose gradient is orthogonal to its input.
#[allow(clippy::cast_possible_truncation)] // rounded once, at the end
fn cell_cancellation(features: &FeatureMaps, gradients: &[f32]) -> f32 {
    let cells = features.cells();
    let mut sums = vec![0.0; cells];
    let mut sizes = 0.0;
    let planes = features.planes().zip(gradients.chunks_exact(cells));
    for (plane, gradients) in planes {
        for ((sum, a), g) in sums.iter_mut().zip(plane).zip(gradients) {
            let product = product_of((a, g));
            *sum += product;
            sizes += product.abs();
        }
    }
    let values: f64 = sums.iter().map(|sum| sum.abs()).sum();
    match sizes / values {
        ratio if ratio.is_finite() => ratio as f32,
        _ if sizes > 0.0 => f32::INFINITY,
        _ => 1.0,
    }
}

fn product_of((a, g): (&f32, &f32)) -> f64 {
    f64::from(*a) * f64::from(*g)
}

/// A sum, and the sum of the absolute values of its terms.
#[derive(Clone, Copy)]
struct Sum {
    value: f64,
    size: f64,
}

impl Sum {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let zero = Self {
            value: 0.0,
            size: 0.0,
        };
        values.fold(zero, Self::plus)
    }

    fn plus(self, value: f64) -> Self {
        Self {
            value: self.value + value,
            size: self.size + value.abs(),
        }
    }

    fn times(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            size: self.size * factor.abs(),
        }
    }

    fn cancellation(self) -> f64 {
        self.size / self.value.abs()
    }
}

#[derive(Default)]
struct Mean {
    sum: f64,
    weights: f64,
}

impl Mean {
    fn add(&mut self, value: f64, weight: f64) {
        self.sum += value * weight;
        self.weights += weight;
    }

    #[allow(clippy::cast_possible_truncation)] // rounded once, at the end
    fn value(self) -> f32 {
        match self.sum / self.weights {
            mean if mean.is_finite() => mean as f32,
            _ if self.weights > 0.0 => f32::INFINITY,
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::explain::cam;
    use crate::explain::cam::fixture;
    use crate::model::activations::LayerGradients;

    fn layer_gradients(values: &[f32], gradients: &[f32]) -> LayerGradients {
        LayerGradients {
            layer: fixture::EARLIER,
            features: Arc::new(FeatureMaps {
                channels: 1,
                height: 1,
                width: values.len(),
                values: values.to_vec(),
            }),
            gradients: Gradients::PerCell(gradients.to_vec()),
        }
    }

    #[test]
    fn maps_are_unstable_where_what_they_divide_by_cancels() {
        let tutorial = Recipe::new(Method::GradCamPlusPlus, Variant::TutorialSum);
        let positive = layer_gradients(&[3.0, 1.0, 2.0], &[1.0, 0.5, -0.2]);
        let cancels = layer_gradients(&[3.0, 1.0, -3.9999], &[1.0, 0.5, -0.2]);
        // 2g² + Σ A g³ = 2 + 3 − 8 · 0.6251
        let cubes = layer_gradients(&[3.0, 0.0, 0.6251], &[1.0, 0.0, -2.0]);
        for (recipe, layer_gradients, unstable) in [
            (Method::XGradCam.into(), &positive, false),
            (Method::XGradCam.into(), &cancels, true),
            (Method::GradCam.into(), &cancels, false),
            (Method::GradCamPlusPlus.into(), &cancels, false),
            (tutorial, &positive, false),
            (tutorial, &cubes, true),
            (Method::GradCamPlusPlus.into(), &cubes, false),
        ] {
            let map = cam::explain(recipe, layer_gradients);
            assert_eq!(map.is_unstable(), unstable, "{recipe:?}: {}", map.condition);
        }
        let stable = cam::explain(Method::XGradCam, &positive);
        let unstable = cam::explain(Method::XGradCam, &cancels);
        assert!(stable.minus(&unstable).is_unstable());
    }

    #[test]
    fn the_condition_is_how_much_an_error_grows() {
        let exact = layer_gradients(&[3.0, 1.0, -3.99], &[1.0, 0.5, -0.2]);
        let off = layer_gradients(&[3.0, 1.0, -3.99 * 1.0001], &[1.0, 0.5, -0.2]);
        let [exact, off] =
            [exact, off].map(|layer_gradients| cam::explain(Method::XGradCam, &layer_gradients));
        let change = (off.cells[0] / exact.cells[0] - 1.0).abs();
        let bound = exact.condition * 1e-4;
        assert!((0.3 * bound..=1.1 * bound).contains(&change), "{change}");
        let fixture = condition(
            Method::XGradCam.into(),
            &fixture::features(),
            &fixture::gradients(),
        );
        assert!((fixture - 1.0).abs() < 1e-6);
    }
}
