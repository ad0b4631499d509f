//! The target layer: small multiples of all stages, one of which is chosen, and the
//! formula of Grad-CAM++.

use eframe::egui;
use eframe::egui::{
    Align2, Color32, FontId, Rect, Sense, Stroke, StrokeKind, Ui, WidgetInfo, vec2,
};

use crate::app::App;
use crate::app::pane::panes::{paint_heat, within};
use crate::app::state::settings::{Side, View};
use crate::app::state::{MapSpec, State};
use crate::app::textures::Place;
use crate::explain::analysis::{Analysis, Layer};
use crate::explain::cam::{Recipe, Variant};
use crate::worker::Answer;

/// Stages that have a small multiple.
const STAGES: [Layer; 4] = [Layer::Layer1, Layer::Layer2, Layer::Layer3, Layer::Last];
const CAPTION: f32 = 14.0;
/// Heights of a small multiple, for wide and for tall photos.
const HEIGHTS: std::ops::RangeInclusive<f32> = 24.0..=72.0;

pub fn layer_panel_ui(app: &mut App, ui: &mut Ui) {
    let Some(shown) = app.state.latest.shown().cloned() else {
        return;
    };
    let analysis = shown.analysis.clone();
    let architecture = analysis.model.architecture;
    crate::app::widgets::heading(ui, "TARGET LAYER");
    if architecture.layers().len() < 2 {
        let name = architecture.layer_name(Layer::Last);
        ui.small(format!(
            "{name}: {} offers its last layer only. A ResNet offers all of its stages.",
            architecture.name()
        ));
        advanced_ui(&mut app.state, &analysis, ui);
        return;
    }
    small_multiples_ui(app, ui, &shown);
    ui.small(meaning(&app.state, &analysis));
    advanced_ui(&mut app.state, &analysis, ui);
}

/// What the chosen layer can tell, and what not.
fn meaning(state: &State, analysis: &Analysis) -> String {
    let architecture = analysis.model.architecture;
    let layer = state.layer_in(analysis);
    let name = architecture.layer_name(layer);
    let last = architecture.layer_name(Layer::Last);
    match layer {
        Layer::Last => format!("{name}: coarse, but closest to the class."),
        Layer::LastConv => format!(
            "{name}, before its batch-norm: as a tutorial has it, for comparison with figures made so. Its values can be negative and are no shares of the logit."
        ),
        Layer::Layer3 => format!("{name}: more detail, less meaning for the class than {last}."),
        _ => format!(
            "{name}: edges and textures that many classes share. Fine detail, little meaning for this class; compare {last}."
        ),
    }
}

/// All stages for the class chosen for all, by the method of the first map on screen.
fn small_multiples_ui(app: &mut App, ui: &mut Ui, shown: &Answer) {
    let analysis = &shown.analysis;
    let architecture = analysis.model.architecture;
    let side = match app.state.settings.view {
        View::Single(side) => side,
        View::SideBySide => Side::Left,
    };
    let method = app.state.settings.panes[side.index()].method;
    let recipe = Recipe::new(method, app.state.settings.variant);
    let class = app.state.class_in(analysis);
    let chosen = app.state.layer_in(analysis);
    let Some(photo) = app.textures.photo().cloned() else {
        return;
    };
    let gap = 4.0;
    let width = (ui.available_width() - 3.0 * gap) / 4.0;
    let shape = shown.photo.height as f32 / shown.photo.width as f32;
    let height = (width * shape).clamp(*HEIGHTS.start(), *HEIGHTS.end());
    let mut clicked = None;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        for layer in STAGES {
            let name = architecture.layer_name(layer);
            let (rect, response) =
                ui.allocate_exact_size(vec2(width, height + CAPTION), Sense::click());
            response.widget_info(|| {
                WidgetInfo::selected(
                    egui::Role::RadioButton,
                    true,
                    layer == chosen,
                    format!("layer {name}"),
                )
            });
            let picture = rect.with_max_y(rect.top() + height);
            let fit = (picture.width()).min(picture.height() / shape);
            let place = Rect::from_center_size(picture.center(), vec2(fit, fit * shape));
            let map_spec = MapSpec {
                recipe,
                layer,
                class,
                contrast_class: app.state.contrast_class(analysis, class),
            };
            let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
            painter.rect_filled(picture, 2.0, crate::app::pane::panes::BEHIND);
            photo.paint_overview(&painter, place);
            let heat =
                app.textures
                    .heat(ui.ctx(), &app.state, shown, Place::Small(layer), map_spec);
            match heat {
                Some(heat) => {
                    if let Some((texture, covered)) = &heat.picture {
                        let display_options = app.state.settings.display_options;
                        paint_heat(
                            &painter,
                            texture,
                            within(place, *covered),
                            display_options.opacity,
                        );
                    }
                }
                None => {
                    painter.rect_filled(place, 0.0, Color32::from_black_alpha(150));
                }
            }
            let color = if layer == chosen {
                ui.visuals().strong_text_color()
            } else {
                ui.visuals().text_color()
            };
            painter.text(
                rect.center_bottom(),
                Align2::CENTER_BOTTOM,
                name,
                FontId::proportional(11.0),
                color,
            );
            let (thick, color) = if layer == chosen {
                (2.0, ui.visuals().selection.bg_fill)
            } else if response.hovered() || response.has_focus() {
                (1.0, ui.visuals().text_color())
            } else {
                (0.0, Color32::TRANSPARENT)
            };
            painter.rect_stroke(picture, 2.0, Stroke::new(thick, color), StrokeKind::Inside);
            let state = match (heat, app.state.layers.fault()) {
                (Some(_), _) => "",
                (None, None) => "; being made",
                (None, Some(_)) => "; there is none",
            };
            let hover = format!(
                "{name}: {} of {}{state}",
                method.name(),
                analysis.model.labels.name(class)
            );
            if response.on_hover_text(hover).clicked() {
                clicked = Some(layer);
            }
        }
    });
    if let Some(layer) = clicked {
        app.state.settings.layer = layer;
    }
}

/// What published figures may have been made with.
fn advanced_ui(state: &mut State, analysis: &Analysis, ui: &mut Ui) {
    let architecture = analysis.model.architecture;
    let title = egui::RichText::new("Advanced").small();
    egui::CollapsingHeader::new(title).id_salt("advanced layer").show(ui, |ui| {
        ui.label("Formula of Grad-CAM++");
        for variant in Variant::ALL {
            let (name, hint) = match variant {
                Variant::Eq19 => ("Eq. 19 of the paper", "The published formula, in its stable form"),
                Variant::PytorchGradCam => (
                    "As the grad-cam package",
                    "Eq. 19 with 1e-6 in the denominator; at the last layer that is as large as the gradients",
                ),
                Variant::TutorialSum => (
                    "As a common tutorial",
                    "The gradient within the sum of the denominator; at earlier layers another map",
                ),
            };
            ui.radio_value(&mut state.settings.variant, variant, name).on_hover_text(hint);
        }
        if architecture.layers().contains(&Layer::LastConv) {
            let name = architecture.layer_name(Layer::LastConv);
            let mut chosen = state.layer_in(analysis) == Layer::LastConv;
            let switch = ui.checkbox(&mut chosen, format!("Target {name} before its batch-norm"));
            if switch.on_hover_text("The tutorial's target layer").changed() {
                state.settings.layer = if chosen { Layer::LastConv } else { Layer::Last };
            }
            if ui
                .button("Set all as in the tutorial")
                .on_hover_text("Framing squash, no normalization, this layer and formula: to compare with figures made so")
                .clicked()
            {
                state.as_in_the_tutorial();
            }
        }
    });
}
