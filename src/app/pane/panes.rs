//! The panes: the photo and both maps.

use std::sync::Arc;

use eframe::egui;
use eframe::egui::{
    EventFilter, Key, Rect, Response, RichText, Sense, StrokeKind, Ui, UiBuilder, Vec2, WidgetInfo,
    vec2,
};

use crate::app::background::class_correlations::ClassCorrelations;
use crate::app::painting::{BEHIND, cross, outline_seen};
use crate::app::pane::camera::{Camera, on_photo};
use crate::app::pane::map_pane::{PanePlace, overlay_ui};
use crate::app::pane::pane_view::{Copied, PaneView};
use crate::app::pane::{probe, region_tool};
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::dialogs::Dialog;
use crate::app::state::region_list::Tool;
use crate::app::state::settings::{Side, View};
use crate::app::textures::Textures;
use crate::render::display_options::Display;
use crate::render::legend::percent;
use crate::text::printable;
use crate::worker::Answer;

const GAP: f32 = 6.0;
const HEADER_HEIGHT: f32 = 38.0;
/// Number of points of scrolling that double the size.
const SCROLL_FOR_DOUBLE: f32 = 250.0;
/// The contents of a pane.
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

/// Draws the panes.
pub fn panes_ui(
    ui: &mut Ui,
    state: &State,
    view: &mut PaneView,
    (textures, correlations): (&mut Textures, &mut ClassCorrelations),
    actions: &mut Actions,
) {
    let Some(shown) = state.latest.shown() else {
        return;
    };
    let photo_size = vec2(shown.photo.width as f32, shown.photo.height as f32);
    let panes = state.settings.view.panes();
    let area = ui.available_rect_before_wrap();
    ui.allocate_rect(area, Sense::hover());
    let places = arrange(area, panes.len(), photo_size);

    let probe_before = view.probe.at.take();
    let first = state.settings.view.sides().first();
    view.copied = Copied::Map(first.copied().unwrap_or(Side::Left));
    for (pane, place) in panes.iter().zip(&places) {
        let picture = place.with_min_y(place.top() + HEADER_HEIGHT);
        let name = describe(state, textures, shown, *pane);
        pointer_ui(ui, (state, shown), view, (*pane, picture, &name), actions);
    }
    // A resting pointer does not override the keys.
    view.probe.at = view.probe.by_key.or(view.probe.at);
    if view.probe.at != probe_before {
        // The status line was drawn before the panes, so it must be drawn again.
        ui.ctx().request_repaint();
    }
    let display = display(state, ui);
    for (pane, place) in panes.iter().zip(&places) {
        let picture = place.with_min_y(place.top() + HEADER_HEIGHT);
        let header = place.with_max_y(picture.top());
        let slot = view.cameras.slot(pane.index());
        let photo_rect = view.cameras.of(slot).photo_rect(picture, photo_size);
        let painter = ui
            .painter()
            .with_clip_rect(picture.intersect(ui.clip_rect()));
        painter.rect_filled(picture, 0.0, BEHIND);
        let Some(photo) = textures.photo_mut() else {
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
                    actions.push(Action::ShowDialog(Dialog::Input, true));
                }
                None
            }
            Pane::Overlay(side) => {
                let at = PanePlace {
                    header,
                    picture,
                    photo: photo_rect,
                };
                let pane = (side, at, display);
                overlay_ui(ui, (state, shown), (textures, correlations), pane, actions);
                Some(side)
            }
        };
        let drawing = view.drawing.as_ref();
        region_tool::paint((&painter, photo_rect), (state, shown), drawing);
        if let Some(probe) = view.probe.at {
            cross(
                &painter,
                photo_rect.min + probe.to_vec2() * photo_rect.size(),
            );
        }
        let probe = &mut view.probe;
        probe::pane_label((&painter, picture), (state, textures), probe, shown, side);
    }
}

/// What is drawn now: the overlay is hidden while H is held down.
fn display(state: &State, ui: &Ui) -> Display {
    let typing = ui.ctx().text_edit_focused();
    if !typing && ui.input(|input| input.key_down(Key::H) && input.modifiers.is_none()) {
        Display::Photo
    } else {
        state.settings.display_options.display
    }
}

/// Handles the camera, the tools and the probe of a pane.
fn pointer_ui(
    ui: &mut Ui,
    (state, shown): (&State, &Answer),
    view: &mut PaneView,
    (pane, picture, name): (Pane, Rect, &str),
    actions: &mut Actions,
) {
    let photo_size = vec2(shown.photo.width as f32, shown.photo.height as f32);
    let id = ui.scope_id().with(("pane", pane.index()));
    let response = ui.interact(picture, id, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Image, true, name));
    let moves = state.tool == Tool::Move;
    let camera = view.cameras.of(pane.index());
    camera_ui(ui, camera, &response, (picture, photo_size), moves);
    let photo_rect = camera.photo_rect(picture, photo_size);
    let drawing = &mut view.drawing;
    region_tool::draw(ui, (&response, photo_rect), state, drawing, actions);
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
        probe::arrows(ui, &mut view.probe, shown);
    }
    let pointer = ui.ctx().pointer_hover_pos();
    if let Some(pointer) = pointer.filter(|at| picture.contains(*at)) {
        // Moving the pointer overrides the keys.
        if ui.input(|input| input.pointer.is_moving()) {
            view.probe.by_key = None;
        }
        view.probe.at = on_photo(pointer, photo_rect);
        view.copied = match pane {
            Pane::Photo => Copied::Photo,
            Pane::Overlay(side) => Copied::Map(side),
        };
    }
    if !moves && response.hovered() {
        ui.set_cursor_icon(egui::CursorIcon::Crosshair);
    }
}

/// Arranges panes side by side or stacked, whichever shows the photo larger.
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

/// Wheel, drag and double-click. The middle button always drags; the primary button drags unless a
/// tool draws.
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

fn describe(state: &State, textures: &Textures, shown: &Answer, pane: Pane) -> String {
    match pane {
        Pane::Photo => format!("Photo {}", printable::name(&shown.photo.name)),
        Pane::Overlay(side) => {
            let analysis = &shown.analysis;
            // While the requested map is being computed, describe what is drawn.
            let map_spec = match textures.kept(side) {
                Some(heat) if Arc::ptr_eq(heat.analysis(), analysis) => heat.map_spec(),
                _ => state.map_spec(side, analysis),
            };
            let name = |class| analysis.model.labels.name(class);
            let layer = match map_spec.layer {
                layer if layer == analysis.model.default_layer => String::new(),
                layer => format!(" at {}", analysis.model.layer_name(layer)),
            };
            let method = map_spec.recipe.method.name();
            match map_spec.contrast_class {
                Some(other) => format!(
                    "{method} map of {} minus that of {}{layer}",
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

/// The header of the photo; returns whether the network's input was requested.
fn header_ui(ui: &mut Ui, rect: Rect, name: &str) -> bool {
    let mut asked = false;
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.spacing_mut().button_padding = vec2(2.0, 0.0);
        ui.spacing_mut().interact_size.y = 0.0; // same height as the other titles
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

#[cfg(test)]
mod tests {
    use eframe::egui::pos2;

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
