//! A map pane: the heat over the photo, its lines, its color bar, and its notes.

use eframe::egui;
use eframe::egui::{Align2, Color32, Rect, RichText, TextStyle, Ui, vec2};

use crate::app::background::class_correlations::ClassCorrelations;
use crate::app::painting::{dim_unseen, lines, paint_heat, within};
use crate::app::pane::color_bar::{Bar, color_bar_ui};
use crate::app::pane::header;
use crate::app::pane::notes::{improbable, notes, pane_notes_ui};
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::settings::Side;
use crate::app::textures::{Heat, Place, Textures};
use crate::render::display_options::Display;
use crate::render::overlay::Opacity;
use crate::render::{contour, legend};
use crate::worker::Answer;

/// The position of a pane, in points.
pub struct PanePlace {
    /// The title.
    pub header: Rect,
    /// The picture.
    pub picture: Rect,
    /// The rectangle of the whole photo.
    pub photo: Rect,
}

/// Draws the heat of a map, its color bar and its header over the photo.
pub fn overlay_ui(
    ui: &mut Ui,
    (state, shown): (&State, &Answer),
    (textures, correlations): (&mut Textures, &mut ClassCorrelations),
    (side, at, display): (Side, PanePlace, Display),
    actions: &mut Actions,
) {
    let analysis = &shown.analysis;
    let display_options = state.settings.display_options;
    let painter = &ui
        .painter()
        .with_clip_rect(at.picture.intersect(ui.clip_rect()));
    let map_spec = state.map_spec(side, analysis);
    let place = Place::Pane(side);
    let heat = textures.heat(ui.ctx(), state, shown, place, map_spec);
    if display != Display::Heat {
        dim_unseen(painter, &analysis.placement, at.photo);
    }
    let now = heat.map_or(map_spec, Heat::map_spec);
    let detail = header::detail((state, side), analysis, now, heat, map_spec);
    let to_top = match heat.map(|heat| (heat, &heat.picture)) {
        Some((heat, Some((texture, covered)))) => {
            if display != Display::Photo {
                let covered = within(at.photo, *covered);
                let opacity = match display {
                    Display::Heat => Opacity::FULL,
                    _ => display_options.opacity,
                };
                paint_heat(painter, texture, covered, opacity);
                lines(painter, &heat.contours, at.photo, 1.2);
            }
            if display_options.grid {
                let cells = contour::cells(&analysis.placement, heat.map.grid());
                lines(painter, &cells.collect::<Vec<_>>(), at.photo, 0.6);
            }
            let meter = correlations.get(state, analysis, (side, now), &heat.map);
            let remarks = notes(analysis, &heat.map, now.class, now.contrast_class);
            let to_top = pane_notes_ui(ui, painter, at.picture, side, (meter, &remarks));
            if let Some(range) = heat.range {
                // Use the options that the heat was made with: newer options may still be waiting
                // for their map.
                let (colormap, scaling) = heat.display_options();
                let bar = Bar {
                    side,
                    colormap,
                    range,
                    locked: heat.range_locked,
                    map: &heat.map,
                    class: now.class,
                    contrast_class: now.contrast_class,
                    analysis,
                };
                if color_bar_ui(ui, painter, at.picture, &bar) {
                    actions.push(Action::ToggleRangeLock {
                        map: now,
                        scaling,
                        range,
                    });
                }
            }
            to_top
        }
        Some((_, None)) => {
            let labels = &analysis.model.labels;
            let scaling = state.scaling(now);
            let text = legend::nothing_to_draw(labels, scaling, now.class, now.contrast_class);
            say_ui(ui, at.picture, text);
            let remarks: Vec<_> = improbable(analysis, now.class).into_iter().collect();
            pane_notes_ui(ui, painter, at.picture, side, (None, &remarks))
        }
        None => {
            let layer = analysis.model.layer_name(now.layer);
            say_ui(
                ui,
                at.picture,
                match state.layers.fault() {
                    Some(fault) => format!("There is no map at {layer}. {fault}"),
                    None => format!("Computing the map at {layer}…"),
                },
            );
            let remarks: Vec<_> = improbable(analysis, now.class).into_iter().collect();
            pane_notes_ui(ui, painter, at.picture, side, (None, &remarks))
        }
    };
    let title = legend::title(analysis, now.recipe.method, now.class, now.contrast_class);
    let texts = (&*title, &*detail);
    header::menu_ui(
        ui,
        at.header,
        (state, analysis),
        (side, now),
        texts,
        actions,
    );
    if to_top {
        actions.push(Action::ExplainTopIn(side));
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
