//! The panes: the photo and both overlays, under one camera.

use eframe::egui::{
    self, Align2, Color32, Painter, Pos2, Rect, RichText, Sense, Stroke, StrokeKind, TextStyle,
    TextureHandle, Ui, UiBuilder, Vec2, WidgetInfo, pos2, vec2,
};

use super::camera::{Camera, on_photo};
use super::class_picker::percent;
use super::colour_bar::{Bar, colour_bar_ui};
use super::settings::{Side, View};
use super::state::State;
use super::textures::{Heat, Place};
use super::{App, pane_header};
use crate::analysis::Layer;
use crate::framing::Placement;
use crate::heatmap::Scaling;
use crate::overlay::{self, Opacity};
use crate::worker::Shown;

const GAP: f32 = 6.0;
const HEADER_HEIGHT: f32 = 38.0;
/// Neutral grey behind the photo, whatever the theme: colours stay true beside it.
pub const BEHIND: Color32 = Color32::from_gray(60);
/// Points of scrolling that double the size.
const SCROLL_FOR_DOUBLE: f32 = 250.0;
/// What a pane shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pane {
    Photo,
    Overlay(Side),
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
    for (pane, place) in panes.iter().zip(&places) {
        let picture = place.with_min_y(place.top() + HEADER_HEIGHT);
        camera_ui(
            ui,
            &mut app.camera,
            *pane,
            picture,
            photo_size,
            &describe(&app.state, &shown, *pane),
        );
        if let Some(pointer) = ui
            .ctx()
            .pointer_hover_pos()
            .filter(|at| picture.contains(*at))
        {
            app.probe = on_photo(pointer, app.camera.photo_rect(picture, photo_size));
        }
    }
    if app.probe != probe_before {
        // The status line was drawn before the panes.
        ui.ctx().request_repaint();
    }
    // All panes are of one size and show the same part.
    let Some(photo) = app.textures.photo() else {
        return;
    };
    if let Some(place) = places.first() {
        let picture = place.with_min_y(place.top() + HEADER_HEIGHT);
        let photo_rect = app.camera.photo_rect(picture, photo_size);
        photo.look_closer(ui.ctx(), picture, photo_rect);
    }
    let photo = photo.clone();
    for (pane, place) in panes.iter().zip(&places) {
        let picture = place.with_min_y(place.top() + HEADER_HEIGHT);
        let header = place.with_max_y(picture.top());
        let photo_rect = app.camera.photo_rect(picture, photo_size);
        let painter = ui
            .painter()
            .with_clip_rect(picture.intersect(ui.clip_rect()));
        painter.rect_filled(picture, 0.0, BEHIND);
        photo.paint(&painter, photo_rect);
        match *pane {
            Pane::Photo => {
                outline_seen(&painter, &shown.analysis.placement, photo_rect);
                header_ui(ui, header, "Photo", &shown.photo.name);
            }
            Pane::Overlay(side) => overlay_ui(app, ui, &shown, side, (header, picture)),
        }
        if let Some(probe) = app.probe {
            cross(
                &painter,
                photo_rect.min + probe.to_vec2() * photo_rect.size(),
            );
        }
    }
}

/// A photo with a map over it, its colour bar and its header.
fn overlay_ui(
    app: &mut App,
    ui: &mut Ui,
    shown: &Shown,
    side: Side,
    (header, picture): (Rect, Rect),
) {
    let analysis = &shown.analysis;
    let look = app.state.settings.look;
    let photo_size = vec2(shown.photo.width as f32, shown.photo.height as f32);
    let photo_rect = app.camera.photo_rect(picture, photo_size);
    let painter = &ui
        .painter()
        .with_clip_rect(picture.intersect(ui.clip_rect()));
    let subject = app.state.subject(side, analysis);
    let place = Place::Pane(side);
    let heat = app
        .textures
        .heat(ui.ctx(), &app.state, shown, place, subject);
    dim_unseen(painter, &analysis.placement, photo_rect);
    let now = heat.map_or(subject, Heat::subject);
    let detail = pane_header::detail(&app.state, analysis, now, heat, subject);
    match heat.map(|heat| (heat, &heat.picture)) {
        Some((heat, Some((texture, covered)))) => {
            let at = within(photo_rect, *covered);
            paint_heat(painter, texture, at, look.opacity);
            if let Some(range) = heat.range {
                // As it was made: a newer look may still wait for its map.
                let (colormap, scaling) = heat.look();
                let bar = Bar {
                    side,
                    colormap,
                    range,
                    held: heat.is_held(),
                    map: &heat.map,
                    class: now.class,
                    analysis,
                };
                if colour_bar_ui(ui, painter, picture, &bar) {
                    let scales = &mut app.state.scales;
                    scales.toggle(analysis, now, scaling, range);
                }
            }
        }
        Some((_, None)) => {
            let name = analysis.model.labels.name(now.class);
            let text = match look.scaling {
                Scaling::Signed => format!("No evidence for or against {name}."),
                Scaling::Max | Scaling::MinMax => {
                    format!("No positive evidence for {name}.")
                }
            };
            say_ui(ui, picture, text);
        }
        None => {
            let layer = analysis.model.architecture.layer_name(now.layer);
            say_ui(ui, picture, format!("The map at {layer} is being made…"));
        }
    }
    let title = pane_header::title(analysis, now);
    pane_header::menu_ui(app, ui, header, side, analysis, (&title, &detail));
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

/// Wheel, drag and double-click.
fn camera_ui(ui: &Ui, camera: &mut Camera, pane: Pane, area: Rect, photo: Vec2, name: &str) {
    let id = match pane {
        Pane::Photo => "photo pane",
        Pane::Overlay(Side::Left) => "left pane",
        Pane::Overlay(Side::Right) => "right pane",
    };
    let response = ui.interact(area, ui.scope_id().with(id), Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Image, true, name));
    if response.dragged() {
        camera.pan(response.drag_delta(), area, photo);
    }
    if response.double_clicked() {
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

fn describe(state: &State, shown: &Shown, pane: Pane) -> String {
    match pane {
        Pane::Photo => format!("Photo {}", shown.photo.name),
        Pane::Overlay(side) => {
            let analysis = &shown.analysis;
            let subject = state.subject(side, analysis);
            let name = analysis.model.labels.name(subject.class);
            let layer = match subject.layer {
                Layer::Last => String::new(),
                layer => format!(" at {}", analysis.model.architecture.layer_name(layer)),
            };
            format!(
                "{} map of {name}, {}{layer}",
                subject.recipe.method.name(),
                percent(analysis.probability(subject.class))
            )
        }
    }
}

fn header_ui(ui: &mut Ui, rect: Rect, title: &str, detail: &str) {
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.add(egui::Label::new(RichText::new(title).strong()).truncate());
        ui.add(egui::Label::new(RichText::new(detail).small().weak()).truncate());
    });
}

/// `out = (1−a)·photo + a·colour`: egui blends the stored values linearly.
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

fn dim_unseen(painter: &Painter, placement: &Placement, photo: Rect) {
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

/// A line of text at the bottom of a pane.
fn say_ui(ui: &mut Ui, pane: Rect, text: String) {
    let font = TextStyle::Body.resolve(ui.style());
    let size = ui
        .painter()
        .layout(text.clone(), font, Color32::WHITE, pane.width() - 24.0)
        .size();
    let rect = Align2::CENTER_BOTTOM.anchor_size(pane.center_bottom() - vec2(0.0, 12.0), size);
    ui.painter()
        .rect_filled(rect.expand(6.0), 4.0, Color32::from_black_alpha(180));
    ui.put(
        rect.expand(1.0),
        egui::Label::new(RichText::new(text).color(Color32::WHITE)).wrap(),
    );
}

/// Where the pointer is, in every pane.
fn cross(painter: &Painter, at: Pos2) {
    for (width, colour) in [(3.0, Color32::from_black_alpha(140)), (1.0, Color32::WHITE)] {
        let stroke = Stroke::new(width, colour);
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
