//! A map pane: the heat over the photo, its lines, its color bar, and what should be said
//! of it.

use eframe::egui;
use eframe::egui::{Align2, Color32, Painter, Rect, RichText, Shape, Stroke, TextStyle, Ui, vec2};

use crate::app::App;
use crate::app::pane::color_bar::{Bar, color_bar_ui};
use crate::app::pane::header;
use crate::app::pane::notes::{improbable, notes, pane_notes_ui};
use crate::app::pane::panes::{dim_unseen, paint_heat, within};
use crate::app::state::settings::Side;
use crate::app::textures::{Heat, Place};
use crate::render::contour::Line;
use crate::render::display_options::Display;
use crate::render::overlay::Opacity;
use crate::render::{contour, legend};
use crate::worker::Answer;

/// Where a pane is, in points.
pub struct PanePlace {
    /// Its title.
    pub header: Rect,
    /// Its picture.
    pub picture: Rect,
    /// Where the whole photo would be.
    pub photo: Rect,
}

/// The heat of a map, its color bar and its header; the photo is there already.
pub fn overlay_ui(
    app: &mut App,
    ui: &mut Ui,
    shown: &Answer,
    side: Side,
    (at, display): (PanePlace, Display),
) {
    let analysis = &shown.analysis;
    let display_options = app.state.settings.display_options;
    let painter = &ui
        .painter()
        .with_clip_rect(at.picture.intersect(ui.clip_rect()));
    let map_spec = app.state.map_spec(side, analysis);
    let place = Place::Pane(side);
    let heat = app
        .textures
        .heat(ui.ctx(), &app.state, shown, place, map_spec);
    if display != Display::Heat {
        dim_unseen(painter, &analysis.placement, at.photo);
    }
    let now = heat.map_or(map_spec, Heat::map_spec);
    let detail = header::detail((&app.state, side), analysis, now, heat, map_spec);
    let to_top = match heat.map(|heat| (heat, &heat.picture)) {
        Some((heat, Some((texture, covered)))) => {
            if display != Display::Photo {
                let covered = within(at.photo, *covered);
                let opacity = match display {
                    Display::Heat => Opacity::FULL,
                    _ => display_options.opacity,
                };
                paint_heat(painter, texture, covered, opacity);
                lines(painter, &heat.lines, at.photo, 1.2);
            }
            if display_options.grid {
                let cells = contour::cells(&analysis.placement, (heat.map.width, heat.map.height));
                lines(painter, &cells.collect::<Vec<_>>(), at.photo, 0.6);
            }
            let meter = (app.correlations).get(
                (&app.state, &mut app.tasks),
                analysis,
                (side, now),
                &heat.map,
            );
            let remarks = notes(analysis, &heat.map, now.class, now.contrast_class);
            let to_top = pane_notes_ui(ui, painter, at.picture, side, (meter, &remarks));
            if let Some(range) = heat.range {
                // As it was made: a newer look may still wait for its map.
                let (colormap, scaling) = heat.display_options();
                let bar = Bar {
                    side,
                    colormap,
                    range,
                    locked: heat.is_locked(),
                    map: &heat.map,
                    class: now.class,
                    contrast_class: now.contrast_class,
                    analysis,
                };
                if color_bar_ui(ui, painter, at.picture, &bar) {
                    let range_locks = &mut app.state.range_locks;
                    range_locks.toggle(analysis, now, scaling, range);
                }
            }
            to_top
        }
        Some((_, None)) => {
            let labels = &analysis.model.labels;
            let scaling = app.state.scaling(now);
            let text = legend::nothing_to_draw(labels, scaling, now.class, now.contrast_class);
            say_ui(ui, at.picture, text);
            let remarks: Vec<_> = improbable(analysis, now.class).into_iter().collect();
            pane_notes_ui(ui, painter, at.picture, side, (None, &remarks))
        }
        None => {
            let layer = analysis.model.architecture.layer_name(now.layer);
            say_ui(
                ui,
                at.picture,
                match app.state.layers.fault() {
                    Some(fault) => format!("There is no map at {layer}. {fault}"),
                    None => format!("The map at {layer} is being made…"),
                },
            );
            let remarks: Vec<_> = improbable(analysis, now.class).into_iter().collect();
            pane_notes_ui(ui, painter, at.picture, side, (None, &remarks))
        }
    };
    let title = legend::title(analysis, now.recipe.method, now.class, now.contrast_class);
    header::menu_ui(app, ui, at.header, side, analysis, (&title, &detail));
    if to_top {
        app.state.explain_top_in(side);
        ui.ctx().request_repaint();
    }
}

/// White lines with a dark rim: they can be seen on every color.
fn lines(painter: &Painter, lines: &[Line], photo: Rect, width: f32) {
    let place = |(x, y): (f32, f32)| photo.min + vec2(x, y) * photo.size();
    for (width, color) in [
        (width + 1.4, Color32::from_black_alpha(150)),
        (width, Color32::WHITE),
    ] {
        let stroke = Stroke::new(width, color);
        let pieces = lines
            .iter()
            .map(|line| Shape::line_segment([place(line.from), place(line.to)], stroke));
        painter.extend(pieces);
    }
}

/// A line of text near the bottom of a pane, above its notes.
fn say_ui(ui: &mut Ui, pane: Rect, text: String) {
    let font = TextStyle::Body.resolve(ui.style());
    let size = ui
        .painter()
        .layout(text.clone(), font, Color32::WHITE, pane.width() - 24.0)
        .size();
    let rect = Align2::CENTER_BOTTOM.anchor_size(pane.center_bottom() - vec2(0.0, 36.0), size);
    ui.painter()
        .rect_filled(rect.expand(6.0), 4.0, Color32::from_black_alpha(180));
    ui.put(
        rect.expand(1.0),
        egui::Label::new(RichText::new(text).color(Color32::WHITE)).wrap(),
    );
}
