//! The meaning of a map's colors and numbers, in words: for the screen and for figures.

use crate::explain::analysis::Analysis;
use crate::explain::cam::{Map, Method, Recipe};
use crate::labels::{ClassId, Labels};
use crate::render::heatmap::{Range, Scaling};

/// A probability for display: no meaningless digits, and never a false zero.
#[must_use]
pub fn percent(probability: f32) -> String {
    let percent = 100.0 * probability;
    if percent >= 9.95 {
        format!("{percent:.0} %")
    } else if percent >= 0.1 {
        format!("{percent:.1} %")
    } else {
        "< 0.1 %".into()
    }
}

/// The title of a map: its method, class and probability; for a difference, both classes.
#[must_use]
pub fn title(
    analysis: &Analysis,
    method: Method,
    class: ClassId,
    contrast_class: Option<ClassId>,
) -> String {
    let name = |class| analysis.model.labels.name(class).to_owned();
    title_with(analysis, method, (class, contrast_class), name)
}

/// The same with other, shorter names for the classes.
#[must_use]
pub fn title_with(
    analysis: &Analysis,
    method: Method,
    (class, contrast_class): (ClassId, Option<ClassId>),
    name: impl Fn(ClassId) -> String,
) -> String {
    let method = method.name();
    if let Some(other) = contrast_class {
        format!("{method} · {} − {}", name(class), name(other))
    } else {
        let probability = percent(analysis.probability(class));
        format!("{method} · {} {probability}", name(class))
    }
}

/// The message for a map without anything to draw: see [`Scaling::range`].
#[must_use]
pub fn nothing_to_draw(
    labels: &Labels,
    scaling: Scaling,
    class: ClassId,
    contrast_class: Option<ClassId>,
) -> String {
    let name = |class| labels.name(class);
    match (contrast_class, scaling) {
        (Some(other), _) => {
            let (class, other) = (name(class), name(other));
            format!("No difference between the evidence for {class} and for {other}.")
        }
        (None, Scaling::Signed) => format!("No evidence for or against {}.", name(class)),
        (None, Scaling::Max | Scaling::MinMax) => {
            format!("No positive evidence for {}.", name(class))
        }
    }
}

/// The warning for a map that depends on rounding errors; `None` for others.
#[must_use]
pub fn instability(map: &Map) -> Option<String> {
    let method = match map.recipe {
        Recipe {
            method: Method::GradCamPlusPlus,
            variant,
        } => format!("Grad-CAM++ ({})", variant.id()),
        Recipe { method, .. } => method.name().to_owned(),
    };
    map.is_unstable().then(|| {
        format!(
            "{method} divides by sums that nearly cancel here: rounding errors alone can change this map. Compare it with Grad-CAM or HiResCAM at this layer."
        )
    })
}

/// The numbers at the lower end, the middle and the upper end of a color bar. They show when the
/// map goes beyond a locked range.
#[must_use]
pub fn ends(range: Range, map: &Map) -> [String; 3] {
    let signed = range.low < 0.0;
    let [low, middle, high] =
        [0.0, 0.5, 1.0].map(|share| number(range.low + (range.high - range.low) * share, signed));
    // A range that begins at zero draws everything below as zero.
    let below = if signed && map.min() < range.low {
        "≤"
    } else {
        ""
    };
    let above = if map.max() > range.high { "≥" } else { "" };
    [format!("{below}{low}"), middle, format!("{above}{high}")]
}

/// The meaning of a map's values.
#[must_use]
pub fn meaning(
    analysis: &Analysis,
    map: &Map,
    class: ClassId,
    contrast_class: Option<ClassId>,
) -> String {
    let name = |class| analysis.model.labels.name(class).to_owned();
    meaning_with(analysis, map, (class, contrast_class), name)
}

/// The same with other, shorter names for the classes.
#[must_use]
pub fn meaning_with(
    analysis: &Analysis,
    map: &Map,
    (class, contrast_class): (ClassId, Option<ClassId>),
    name: impl Fn(ClassId) -> String,
) -> String {
    if !map.recipe.method.is_in_logits(map.layer) {
        let method = map.recipe.method.name();
        let layer = analysis.model.layer_name(map.layer.id);
        return format!(
            "Relative units: the values of {method} at {layer} are not shares of the logit. Compare cells within this map, not the numbers of different maps."
        );
    }
    let (cells, sum) = (map.cells.len(), map.sum());
    match contrast_class {
        None => {
            let logit = analysis.logit(class);
            format!(
                "Each cell's contribution to the logit of {}. All {cells} cells add up to logit − bias = {logit:.3} − ({:.3}) = {sum:.3}.",
                name(class),
                logit - sum,
            )
        }
        Some(other) => {
            let logits = analysis.logit(class) - analysis.logit(other);
            let bias = |class| analysis.bias(class).unwrap_or_default();
            let biases = bias(class) - bias(other);
            format!(
                "Why {} and not {}: each cell's contribution to the first logit minus its contribution to the second. All {cells} cells add up to the difference of the logits minus the difference of the biases = {logits:.3} − ({biases:.3}) = {sum:.3}.",
                name(class),
                name(other),
            )
        }
    }
}

/// A value with about three digits.
#[must_use]
pub fn number(value: f32, signed: bool) -> String {
    let size = value.abs();
    let sign = if signed && value > 0.0 { "+" } else { "" };
    let digits = if size >= 100.0 {
        format!("{value:.0}")
    } else if size >= 10.0 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else if size >= 0.01 {
        format!("{value:.3}")
    } else if size > 0.0 {
        format!("{value:.1e}")
    } else {
        "0".into()
    };
    format!("{sign}{}", digits.replace('-', "−"))
}

/// A cell in logit units as a share of the logit minus its bias, which is the sum of all cells.
/// `None` if that sum is not positive.
#[must_use]
pub fn logit_share(cell: f32, sum: f32) -> Option<f32> {
    (sum > 0.0).then(|| 100.0 * cell / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_read_well() {
        for (probability, text) in [
            (0.461, "46 %"),
            (0.0987, "9.9 %"),
            (0.0012, "0.1 %"),
            (1e-9, "< 0.1 %"),
            (1.0, "100 %"),
        ] {
            assert_eq!(percent(probability), text);
        }
    }

    #[test]
    fn numbers_have_three_digits_or_so() {
        for (value, signed, text) in [
            (0.0, true, "0"),
            (0.38921, false, "0.389"),
            (0.38921, true, "+0.389"),
            (-0.38921, true, "−0.389"),
            (19.6, false, "19.6"),
            (1234.5, true, "+1234"),
            (0.000_123, false, "1.2e−4"),
        ] {
            assert_eq!(number(value, signed), text);
        }
    }

    #[test]
    fn what_is_not_drawn_is_said_by_what_would_be_drawn() {
        let labels = Labels::for_count(3);
        let mut classes = ClassId::all(3);
        let (class, other) = (classes.next().unwrap(), classes.next());
        for (scaling, contrast_class, words) in [
            (Scaling::Max, None, "No positive evidence for class 0."),
            (Scaling::MinMax, None, "No positive evidence for class 0."),
            (Scaling::Signed, None, "No evidence for or against class 0."),
            (
                Scaling::Signed,
                other,
                "No difference between the evidence for class 0 and for class 1.",
            ),
        ] {
            assert_eq!(
                nothing_to_draw(&labels, scaling, class, contrast_class),
                words
            );
        }
    }

    #[test]
    fn a_cells_share_is_of_the_logit_less_its_bias() {
        assert_eq!(logit_share(0.5, 12.5), Some(4.0));
        assert_eq!(logit_share(-0.25, 12.5), Some(-2.0));
        assert_eq!(logit_share(0.5, -1.0), None);
    }
}
