//! The panes: the photo and both overlays, under one camera.

use std::sync::Arc;

use eframe::egui;
use eframe::egui::{
    Color32, EventFilter, Key, Painter, Pos2, Rect, Response, RichText, Sense, Stroke, StrokeKind,
    TextureHandle, Ui, UiBuilder, Vec2, WidgetInfo, pos2, vec2,
};

use crate::app::App;
use crate::app::exporting::Copied;
use crate::app::pane::camera::{Camera, on_photo};
use crate::app::pane::map_pane::{PanePlace, overlay_ui};
use crate::app::pane::region_tool::Tool;
use crate::app::pane::{probe, region_tool};
use crate::app::state::settings::{Side, View};
use crate::explain::analysis::Layer;
use crate::input::framing::Placement;
use crate::render::display_options::Display;
use crate::render::legend::percent;
use crate::render::overlay;
use crate::render::overlay::Opacity;
use crate::text::printable;
use crate::worker::Answer;

const GAP: f32 = 6.0;
const HEADER_HEIGHT: f32 = 38.0;
/// Neutral gray behind the photo, whatever the theme: colors stay true beside it.
pub const BEHIND: Color32 = Color32::from_gray(overlay::BEHIND);
/// Points of scrolling that double the size.
const SCROLL_FOR_DOUBLE: f32 = 250.0;
/// What a pane shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pane {
    Photo,
    Overlay(Side),
}

impl Pane {
    fn index(self) -> usize {
        match self {
            Self::Photo => 0,
            Self::Overlay(side) => 1 + side.index(),
        }
    }
}

impl View {
    fn panes(self) -> &'static [Pane] {
        match self {
            Self::SideBySide => &[
                Pane::Photo,
                Pane::Overlay(Side::Left),
                Pane::Overlay(Side::Right),
            ],
            Self::Single(Side::Left) => &[Pane::Overlay(Side::Left)],
            Self::Single(Side::Right) => &[Pane::Overlay(Side::Right)],
        }
    }
}

pub fn panes_ui(app: &mut App, ui: &mut Ui) {
    let Some(shown) = app.state.latest.shown().cloned() else {
        return;
    };
    let photo_size = vec2(shown.photo.width as f32, shown.photo.height as f32);
    let panes = app.state.settings.view.panes();
    let area = ui.available_rect_before_wrap();
    ui.allocate_rect(area, Sense::hover());
    let places = arrange(area, panes.len(), photo_size);

    let probe_before = app.probe.take();
    let first = app.state.settings.view.sides().first();
    app.copied = Copied::Map(first.copied().unwrap_or(Side::Left));
    for (pane, place) in panes.iter().zip(&places) {
        let picture = place.with_min_y(place.top() + HEADER_HEIGHT);
        pointer_ui(app, ui, &shown, *pane, picture);
    }
    // A pointer that rests does not outdo the keys.
    app.probe = app.probe_by_key.or(app.probe);
    if app.probe != probe_before {
        // The status line was drawn before the panes.
        ui.ctx().request_repaint();
    }
    let display = display(app, ui);
    for (pane, place) in panes.iter().zip(&places) {
        let picture = place.with_min_y(place.top() + HEADER_HEIGHT);
        let header = place.with_max_y(picture.top());
        let slot = app.cameras.slot(pane.index());
        let photo_rect = app.cameras.of(slot).photo_rect(picture, photo_size);
        let painter = ui
            .painter()
            .with_clip_rect(picture.intersect(ui.clip_rect()));
        painter.rect_filled(picture, 0.0, BEHIND);
        let Some(photo) = app.textures.photo() else {
            return;
        };
        photo.look_closer(ui.ctx(), slot, picture, photo_rect);
        if *pane == Pane::Photo || display != Display::Heat {
            photo.paint(&painter, slot, photo_rect);
        }
        let side = match *pane {
            Pane::Photo => {
                outline_seen(&painter, &shown.analysis.placement, photo_rect);
                if header_ui(ui, header, &printable::name(&shown.photo.name)) {
                    app.show_input = true;
                }
                None
            }
            Pane::Overlay(side) => {
                let at = PanePlace {
                    header,
                    picture,
                    photo: photo_rect,
                };
                overlay_ui(app, ui, &shown, side, (at, display));
                Some(side)
            }
        };
        region_tool::paint(app, &painter, photo_rect, &shown.photo);
        if let Some(probe) = app.probe {
            cross(
                &painter,
                photo_rect.min + probe.to_vec2() * photo_rect.size(),
            );
        }
        probe::pane_label(app, &shown, side, (&painter, picture));
    }
}

/// What is drawn now: while H is held the overlay is hidden.
fn display(app: &App, ui: &Ui) -> Display {
    let typing = ui.ctx().text_edit_focused();
    if !typing && ui.input(|input| input.key_down(Key::H) && input.modifiers.is_none()) {
        Display::Photo
    } else {
        app.state.settings.display_options.display
    }
}

/// Camera, tools and probe of a pane.
fn pointer_ui(app: &mut App, ui: &mut Ui, shown: &Answer, pane: Pane, picture: Rect) {
    let photo_size = vec2(shown.photo.width as f32, shown.photo.height as f32);
    let name = describe(app, shown, pane);
    let id = ui.scope_id().with(("pane", pane.index()));
    let response = ui.interact(picture, id, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Image, true, &name));
    let moves = app.tool == Tool::Move;
    let camera = app.cameras.of(pane.index());
    camera_ui(ui, camera, &response, (picture, photo_size), moves);
    let photo_rect = camera.photo_rect(picture, photo_size);
    region_tool::draw(app, ui, &response, photo_rect, &shown.photo);
    if response.has_focus() {
        let arrows = EventFilter {
            horizontal_arrows: true,
            vertical_arrows: true,
            ..EventFilter::default()
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(id, arrows));
        let stroke = ui.visuals().selection.stroke;
        let edge = picture.expand(1.0);
        ui.painter()
            .rect_stroke(edge, 0.0, stroke, StrokeKind::Outside);
        probe::arrows(app, ui, shown);
    }
    let pointer = ui.ctx().pointer_hover_pos();
    if let Some(pointer) = pointer.filter(|at| picture.contains(*at)) {
        // Whoever moves the pointer means it, not the keys.
        if ui.input(|input| input.pointer.is_moving()) {
            app.probe_by_key = None;
        }
        app.probe = on_photo(pointer, photo_rect);
        app.copied = match pane {
            Pane::Photo => Copied::Photo,
            Pane::Overlay(side) => Copied::Map(side),
        };
    }
    if !moves && response.hovered() {
        ui.set_cursor_icon(egui::CursorIcon::Crosshair);
    }
}

/// A whole texture.
pub const WHOLE: Rect = Rect {
    min: pos2(0.0, 0.0),
    max: pos2(1.0, 1.0),
};

/// Panes beside or above each other, whichever shows the photo larger.
fn arrange(area: Rect, count: usize, photo: Vec2) -> Vec<Rect> {
    let gaps = GAP * (count as f32 - 1.0);
    let beside = vec2((area.width() - gaps) / count as f32, area.height());
    let above = vec2(area.width(), (area.height() - gaps) / count as f32);
    let scale = |pane: Vec2| (pane.x / photo.x).min((pane.y - HEADER_HEIGHT) / photo.y);
    let (size, step) = if scale(beside) >= scale(above) {
        (beside, vec2(beside.x + GAP, 0.0))
    } else {
        (above, vec2(0.0, above.y + GAP))
    };
    (0..count)
        .map(|index| Rect::from_min_size(area.min + step * index as f32, size))
        .collect()
}

/// Wheel, drag and double-click. The middle button always drags, the first one unless it
/// draws.
fn camera_ui(
    ui: &Ui,
    camera: &mut Camera,
    response: &Response,
    (area, photo): (Rect, Vec2),
    moves: bool,
) {
    let middle = response.dragged_by(egui::PointerButton::Middle);
    if middle || (moves && response.dragged()) {
        camera.pan(response.drag_delta(), area, photo);
    }
    if moves && response.double_clicked() {
        *camera = Camera::default();
    }
    if let Some(pointer) = response.hover_pos() {
        let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
        let factor = (scroll / SCROLL_FOR_DOUBLE).exp2() * pinch;
        if (factor - 1.0).abs() > f32::EPSILON {
            camera.zoom_about(pointer, factor, area, photo);
        }
    }
}

fn describe(app: &App, shown: &Answer, pane: Pane) -> String {
    match pane {
        Pane::Photo => format!("Photo {}", printable::name(&shown.photo.name)),
        Pane::Overlay(side) => {
            let analysis = &shown.analysis;
            // What is drawn, while the map that is wanted is being made.
            let map_spec = match app.drawn(side) {
                Some((of, map_spec)) if Arc::ptr_eq(&of, analysis) => map_spec,
                _ => app.state.map_spec(side, analysis),
            };
            let name = |class| analysis.model.labels.name(class);
            let layer = match map_spec.layer {
                Layer::Last => String::new(),
                layer => format!(" at {}", analysis.model.architecture.layer_name(layer)),
            };
            let method = map_spec.recipe.method.name();
            match map_spec.contrast_class {
                Some(other) => format!(
                    "{method} map of {} less that of {}{layer}",
                    name(map_spec.class),
                    name(other)
                ),
                None => format!(
                    "{method} map of {}, {}{layer}",
                    name(map_spec.class),
                    percent(analysis.probability(map_spec.class))
                ),
            }
        }
    }
}

/// The header of the photo; whether its network's input was asked for.
fn header_ui(ui: &mut Ui, rect: Rect, name: &str) -> bool {
    let mut asked = false;
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.spacing_mut().button_padding = vec2(2.0, 0.0);
        ui.spacing_mut().interact_size.y = 0.0; // as high as the other titles
        ui.horizontal(|ui| {
            ui.label(RichText::new("Photo").strong());
            let button = egui::Button::new(RichText::new("what the network saw").small());
            let button = ui.add(button.frame_when_inactive(false).truncate());
            asked = button
                .on_hover_text("The network's input, pixel for pixel (I)")
                .clicked();
        });
        ui.add(egui::Label::new(RichText::new(name).small().weak()).truncate());
    });
    asked
}

/// `out = (1−a)·photo + a·color`: egui blends the stored values linearly.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0..=255
pub fn paint_heat(painter: &Painter, texture: &TextureHandle, at: Rect, opacity: Opacity) {
    let tint = Color32::from_white_alpha((255.0 * opacity.share()).round() as u8);
    painter.image(texture.id(), at, WHOLE, tint);
}

/// A part of the photo (0..1) on screen.
pub fn within(photo: Rect, part: Rect) -> Rect {
    let at = |corner: Pos2| photo.min + corner.to_vec2() * photo.size();
    Rect::from_min_max(at(part.min), at(part.max))
}

/// The part of the photo that the network saw, 0..1.
#[allow(clippy::cast_possible_truncation)] // screen precision
fn seen(placement: &Placement) -> Rect {
    let [left, top, right, bottom] = placement.seen_in_photo();
    let (width, height) = (placement.photo.0 as f64, placement.photo.1 as f64);
    let at = |x: f64, y: f64| pos2((x / width) as f32, (y / height) as f32);
    Rect::from_min_max(at(left, top), at(right, bottom))
}

pub fn dim_unseen(painter: &Painter, placement: &Placement, photo: Rect) {
    if !placement.hides_something() {
        return;
    }
    let seen = within(photo, seen(placement));
    let shade = Color32::BLACK.gamma_multiply(1.0 - overlay::DIMMED);
    for part in [
        photo.with_max_y(seen.top()),
        photo.with_min_y(seen.bottom()),
        Rect::from_min_max(
            pos2(photo.left(), seen.top()),
            pos2(seen.left(), seen.bottom()),
        ),
        Rect::from_min_max(
            pos2(seen.right(), seen.top()),
            pos2(photo.right(), seen.bottom()),
        ),
    ] {
        painter.rect_filled(part, 0.0, shade);
    }
}

fn outline_seen(painter: &Painter, placement: &Placement, photo: Rect) {
    if placement.hides_something() {
        let seen = within(photo, seen(placement));
        painter.rect_stroke(
            seen,
            0.0,
            Stroke::new(3.0, Color32::from_black_alpha(120)),
            StrokeKind::Middle,
        );
        painter.rect_stroke(
            seen,
            0.0,
            Stroke::new(1.0, Color32::WHITE),
            StrokeKind::Middle,
        );
    }
}

/// Where the pointer is, in every pane.
fn cross(painter: &Painter, at: Pos2) {
    for (width, color) in [(3.0, Color32::from_black_alpha(140)), (1.0, Color32::WHITE)] {
        let stroke = Stroke::new(width, color);
        painter.line_segment([at - vec2(6.0, 0.0), at + vec2(6.0, 0.0)], stroke);
        painter.line_segment([at - vec2(0.0, 6.0), at + vec2(0.0, 6.0)], stroke);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_are_arranged_so_that_the_photo_is_largest() {
        let wide = Rect::from_min_size(pos2(0.0, 0.0), vec2(1200.0, 500.0));
        let narrow = Rect::from_min_size(pos2(0.0, 0.0), vec2(400.0, 900.0));
        let photo = vec2(300.0, 200.0);
        let tops = |area| {
            arrange(area, 3, photo)
                .iter()
                .map(eframe::egui::Rect::top)
                .collect::<Vec<_>>()
        };
        assert_eq!(tops(wide), [0.0; 3]);
        assert!(tops(narrow)[1] > 200.0);
        for area in [wide, narrow] {
            assert!(
                arrange(area, 3, photo)
                    .iter()
                    .all(|pane| area.expand(0.1).contains_rect(*pane))
            );
        }
    }
}
