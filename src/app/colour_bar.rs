//! The colour bar of a map pane: which values its colours stand for, and what they mean.

use eframe::egui::{
    Align2, Color32, FontId, Painter, Rect, Role, Sense, Ui, Vec2, WidgetInfo, pos2, vec2,
};

use super::settings::Side;
use crate::analysis::Analysis;
use crate::cam::Map;
use crate::colormap::Colormap;
use crate::heatmap::Range;
use crate::labels::ClassId;

/// The bar itself.
const BAR: Vec2 = vec2(10.0, 90.0);
/// Room for the numbers beside it, and for the unit above it.
const NUMBERS: Vec2 = vec2(44.0, 16.0);
const MARGIN: f32 = 6.0;
/// Smallest pane that has room for it.
const ROOM: Vec2 = vec2(120.0, 132.0);

/// Draws the bar of a map into the corner of its pane; hovering over it tells what the
/// numbers mean.
pub fn colour_bar_ui(
    ui: &Ui,
    painter: &Painter,
    pane: Rect,
    (side, colormap): (Side, Colormap),
    (range, meaning): (Range, &str),
    unit: &str,
) {
    if pane.width() < ROOM.x || pane.height() < ROOM.y {
        return;
    }
    let size = vec2(
        NUMBERS.x + BAR.x + 3.0 * MARGIN,
        NUMBERS.y + BAR.y + 3.0 * MARGIN,
    );
    let area = Align2::RIGHT_BOTTOM.anchor_size(pane.right_bottom() - vec2(8.0, 8.0), size);
    painter.rect_filled(area, 4.0, Color32::from_black_alpha(170));
    let bar =
        Align2::RIGHT_BOTTOM.anchor_size(area.right_bottom() - Vec2::splat(1.5 * MARGIN), BAR);
    stripes(painter, bar, colormap);
    let font = FontId::proportional(10.0);
    let place = pos2(bar.right(), area.top() + MARGIN);
    painter.text(place, Align2::RIGHT_TOP, unit, font.clone(), Color32::WHITE);
    let signed = range.low < 0.0;
    for share in [0.0, 0.5, 1.0] {
        let value = range.low + (range.high - range.low) * share;
        let at = pos2(bar.left() - 4.0, bar.bottom() - bar.height() * share);
        let text = number(value, signed);
        painter.text(at, Align2::RIGHT_CENTER, text, font.clone(), Color32::WHITE);
    }
    let id = ui.scope_id().with(("colour bar", side));
    let response = ui.interact(area, id, Sense::hover());
    response.widget_info(|| {
        let (low, high) = (number(range.low, signed), number(range.high, signed));
        WidgetInfo::labeled(
            Role::Label,
            true,
            format!("Colours from {low} to {high} {unit}. {meaning}"),
        )
    });
    response.on_hover_text(meaning);
}

/// The unit of a map's values, in a word.
pub fn unit(map: &Map) -> &'static str {
    if map.recipe.method.is_in_logits(map.layer) {
        "logit"
    } else {
        "relative"
    }
}

/// What a map's values are.
pub fn meaning(map: &Map, analysis: &Analysis, class: ClassId) -> String {
    let name = analysis.model.labels.name(class);
    if map.recipe.method.is_in_logits(map.layer) {
        let (sum, logit) = (map.sum(), analysis.logit(class));
        format!(
            "Each cell's contribution to the logit of {name}. All {} cells add up to logit − bias = {logit:.3} − ({:.3}) = {sum:.3}.",
            map.cells.len(),
            logit - sum,
        )
    } else {
        let method = map.recipe.method.name();
        let layer = analysis.model.architecture.layer_name(map.layer);
        format!(
            "Relative units: what {method} gives at {layer} is no share of the logit. Compare cells within this map, not the numbers of different maps."
        )
    }
}

fn stripes(painter: &Painter, bar: Rect, colormap: Colormap) {
    let table = colormap.table();
    let step = bar.height() / 64.0;
    for index in 0..64u8 {
        let [r, g, b] = table[usize::from(index) * 4 + 2];
        let top = bar.bottom() - step * (f32::from(index) + 1.0);
        let stripe = Rect::from_min_size(pos2(bar.left(), top), vec2(bar.width(), step + 0.5));
        painter.rect_filled(stripe, 0.0, Color32::from_rgb(r, g, b));
    }
}

/// A value in three digits or so.
fn number(value: f32, signed: bool) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
