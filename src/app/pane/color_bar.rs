//! The color bar of a map pane: the values of its colors, and their meaning.

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

/// Size of the bar itself.
const BAR: Vec2 = vec2(10.0, 90.0);
/// Minimum height of the bar, at which its three numbers do not overlap.
const LOWEST: f32 = 36.0;
/// Space for the numbers next to the bar, and for the unit above it.
const NUMBERS: Vec2 = vec2(48.0, 16.0);
const MARGIN: f32 = 6.0;
/// Size of the lock next to the unit.
const LOCK: Vec2 = vec2(18.0, 16.0);
/// Minimum pane width with space next to the bar.
pub const WIDE: f32 = 190.0;
/// Minimum size of a pane with a color bar.
const ROOM: Vec2 = vec2(100.0, 84.0);

/// The contents of a color bar.
pub struct Bar<'a> {
    /// Its pane.
    pub side: Side,
    /// The colors.
    pub colormap: Colormap,
    /// The values of the ends of the bar.
    pub range: Range,
    /// Whether the user has locked the range.
    pub locked: bool,
    /// The map that is drawn.
    pub map: &'a Map,
    /// Its class.
    pub class: ClassId,
    /// The class whose map was subtracted.
    pub contrast_class: Option<ClassId>,
    /// The analysis that the map belongs to.
    pub analysis: &'a Analysis,
}

impl Bar<'_> {
    fn meaning(&self) -> String {
        legend::meaning(self.analysis, self.map, self.class, self.contrast_class)
    }
}

/// Draws the color bar of a map in the corner of its pane. Hovering over it shows the meaning of
/// the numbers. Returns whether its lock was clicked.
pub fn color_bar_ui(ui: &mut Ui, painter: &Painter, pane: Rect, bar: &Bar) -> bool {
    if pane.width() < ROOM.x || pane.height() < ROOM.y {
        return false;
    }
    let Bar {
        side, range, map, ..
    } = bar;
    let unit = map.unit();
    let rest = NUMBERS.y + 3.0 * MARGIN;
    // In a narrow pane, a high bar would leave no space for text.
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

/// The lock for the range.
fn lock_ui(ui: &mut Ui, painter: &Painter, area: Rect, bar: &Bar) -> bool {
    let place = Rect::from_min_size(area.min + Vec2::splat(3.0), LOCK);
    let response = ui.put(place, egui::Button::selectable(bar.locked, ""));
    padlock(painter, place.center(), bar.locked);
    let pane = bar.side.name();
    response.widget_info(|| {
        let label = format!("Lock the range of the {pane} map");
        WidgetInfo::selected(Role::Button, true, bar.locked, label)
    });
    let hint = if bar.locked {
        "The range is locked. Click to unlock it"
    } else {
        "Lock this range: maps in the same unit, of other classes and photos and in both panes, are drawn with it and can be compared"
    };
    response.on_hover_text(hint).clicked()
}

/// A padlock, closed or open, which egui's fonts do not have.
fn padlock(painter: &Painter, center: Pos2, shut: bool) {
    let stroke = Stroke::new(1.5, Color32::WHITE);
    let body = Rect::from_center_size(center + vec2(0.0, 2.5), vec2(9.0, 6.0));
    painter.rect_filled(body, 1.0, Color32::WHITE);
    // The shackle: two legs and half a circle; an open one is drawn next to the body.
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
