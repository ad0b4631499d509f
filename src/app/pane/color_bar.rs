//! The color bar of a map pane: which values its colors stand for, and what they mean.

use eframe::egui;
use eframe::egui::{
    Align2, Color32, FontId, Painter, Pos2, Rect, Role, Sense, Stroke, Ui, Vec2, WidgetInfo, pos2,
    vec2,
};

use crate::app::state::settings::Side;
use crate::explain::analysis::Analysis;
use crate::explain::cam::Map;
use crate::labels::ClassId;
use crate::render::colormap::Colormap;
use crate::render::heatmap::Range;
use crate::render::legend;

/// The bar itself.
const BAR: Vec2 = vec2(10.0, 90.0);
/// Its least height: three numbers still stand apart.
const LOWEST: f32 = 36.0;
/// Room for the numbers beside it, and for the unit above it.
const NUMBERS: Vec2 = vec2(48.0, 16.0);
const MARGIN: f32 = 6.0;
/// The lock beside the unit.
const LOCK: Vec2 = vec2(18.0, 16.0);
/// Width from which there is room beside the bar.
pub const WIDE: f32 = 190.0;
/// Smallest pane that has room for it.
const ROOM: Vec2 = vec2(100.0, 84.0);

/// What a bar shows.
pub struct Bar<'a> {
    /// Its pane.
    pub side: Side,
    /// The colors.
    pub colormap: Colormap,
    /// The values that they stand for.
    pub range: Range,
    /// Whether the user holds that range.
    pub locked: bool,
    /// The map that is drawn.
    pub map: &'a Map,
    /// Its class.
    pub class: ClassId,
    /// The class whose map was taken away from it.
    pub contrast_class: Option<ClassId>,
    /// What it explains.
    pub analysis: &'a Analysis,
}

impl Bar<'_> {
    fn meaning(&self) -> String {
        legend::meaning(self.analysis, self.map, self.class, self.contrast_class)
    }
}

/// Draws the bar of a map into the corner of its pane; hovering over it tells what the
/// numbers mean. Whether its lock was clicked.
pub fn color_bar_ui(ui: &mut Ui, painter: &Painter, pane: Rect, bar: &Bar) -> bool {
    if pane.width() < ROOM.x || pane.height() < ROOM.y {
        return false;
    }
    let Bar {
        side, range, map, ..
    } = bar;
    let unit = map.unit();
    let rest = NUMBERS.y + 3.0 * MARGIN;
    // A narrow pane would have no room beside a high one.
    let most = if pane.width() < WIDE {
        0.3 * pane.height()
    } else {
        pane.height() - rest - 14.0
    };
    let height = most.clamp(LOWEST, BAR.y);
    let size = vec2(NUMBERS.x + BAR.x + 3.0 * MARGIN, height + rest);
    let area = Align2::RIGHT_BOTTOM.anchor_size(pane.right_bottom() - vec2(8.0, 8.0), size);
    painter.rect_filled(area, 4.0, Color32::from_black_alpha(170));
    let stripe = Align2::RIGHT_BOTTOM.anchor_size(
        area.right_bottom() - Vec2::splat(1.5 * MARGIN),
        vec2(BAR.x, height),
    );
    stripes(painter, stripe, bar.colormap);
    let font = FontId::proportional(10.0);
    let place = pos2(stripe.right(), area.top() + MARGIN);
    painter.text(place, Align2::RIGHT_TOP, unit, font.clone(), Color32::WHITE);
    let numbers = legend::ends(*range, map);
    for (share, text) in [0.0, 0.5, 1.0].into_iter().zip(&numbers) {
        let at = pos2(
            stripe.left() - 4.0,
            stripe.bottom() - stripe.height() * share,
        );
        painter.text(at, Align2::RIGHT_CENTER, text, font.clone(), Color32::WHITE);
    }
    let id = ui.scope_id().with(("color bar", side));
    let response = ui.interact(area, id, Sense::hover());
    response.widget_info(|| {
        let [low, _, high] = &numbers;
        let meaning = bar.meaning();
        let label = format!("Colors from {low} to {high} {unit}. {meaning}");
        WidgetInfo::labeled(Role::Label, true, label)
    });
    response.on_hover_ui(|ui| _ = ui.label(bar.meaning()));
    lock_ui(ui, painter, area, bar)
}

/// The lock that holds the range.
fn lock_ui(ui: &mut Ui, painter: &Painter, area: Rect, bar: &Bar) -> bool {
    let place = Rect::from_min_size(area.min + Vec2::splat(3.0), LOCK);
    let response = ui.put(place, egui::Button::selectable(bar.locked, ""));
    padlock(painter, place.center(), bar.locked);
    let pane = bar.side.name();
    response.widget_info(|| {
        let label = format!("Hold the range of the {pane} map");
        WidgetInfo::selected(Role::Button, true, bar.locked, label)
    });
    let hint = if bar.locked {
        "The range is held. Click to give each map its own again"
    } else {
        "Hold this range: maps in the same unit, of other classes and photos and in both panes, are drawn in it and can be compared"
    };
    response.on_hover_text(hint).clicked()
}

/// A padlock, shut or open: egui's fonts have none.
fn padlock(painter: &Painter, center: Pos2, shut: bool) {
    let stroke = Stroke::new(1.5, Color32::WHITE);
    let body = Rect::from_center_size(center + vec2(0.0, 2.5), vec2(9.0, 6.0));
    painter.rect_filled(body, 1.0, Color32::WHITE);
    // The shackle: two legs and half a circle; an open one stands beside the body.
    let middle = center + vec2(if shut { 0.0 } else { 5.0 }, -2.0);
    let bow = (0..=8u8).map(|step| {
        let angle = std::f32::consts::PI * (1.0 + f32::from(step) / 8.0);
        middle + 2.8 * Vec2::angled(angle)
    });
    let leg = |side: f32| middle + vec2(2.8 * side, 2.0);
    let line = std::iter::once(leg(-1.0)).chain(bow).chain([leg(1.0)]);
    painter.line(line.collect(), stroke);
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
