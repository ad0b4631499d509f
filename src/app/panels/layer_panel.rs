//! The target layer: small multiples of all stages to choose from, and the formula of Grad-CAM++.

use eframe::egui;
use eframe::egui::{
    Align2, Color32, FontId, PopupCloseBehavior, Rect, Sense, Stroke, StrokeKind, Ui, WidgetInfo,
    containers::menu::{MenuButton, MenuConfig},
    vec2,
};

use crate::app::painting::{BEHIND, paint_heat, within};
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::map_spec::MapSpec;
use crate::app::state::settings::{Side, View};
use crate::app::textures::{Place, Textures};
use crate::explain::analysis::Analysis;
use crate::explain::cam::{Recipe, Variant};
use crate::model::target_layer::{LayerChoice, LayerId, LayerKind};
use crate::text::printable;
use crate::worker::Answer;

/// Below this stride (in input pixels) a layer shows edges and textures.
const COARSE: f64 = 16.0;
const CAPTION: f32 = 14.0;
/// Height and least width of the list of all layers.
const LIST: f32 = 260.0;
/// Heights of a small multiple, for wide and for tall photos.
const HEIGHTS: std::ops::RangeInclusive<f32> = 24.0..=72.0;

/// Draws the section.
pub fn layer_panel_ui(ui: &mut Ui, state: &State, textures: &mut Textures, actions: &mut Actions) {
    let Some(shown) = state.latest.shown() else {
        return;
    };
    let analysis = &*shown.analysis;
    let model = &analysis.model;
    crate::app::widgets::heading(ui, "TARGET LAYER");
    if model.layers.len() < 2 {
        let name = model.layer_name(model.default_layer);
        ui.small(format!(
            "{name}: {} offers its last layer only. A ResNet offers all of its stages.",
            model.architecture
        ));
        advanced_ui(ui, state, analysis, actions);
        return;
    }
    small_multiples_ui(ui, state, (textures, shown), actions);
    let outputs = model.layers.iter();
    let outputs = outputs.filter(|layer| layer.kind == LayerKind::Output);
    if outputs.count() > model.stages().count() {
        all_layers_ui(ui, state, analysis, actions);
    }
    let choice = &state.settings.layer;
    if model.closest_layer(choice).is_none() {
        ui.small(format!(
            "{} has no layer {}. Its default layer is shown.",
            model.architecture,
            printable::quotation(choice.as_str())
        ));
    }
    ui.small(meaning(state, analysis));
    advanced_ui(ui, state, analysis, actions);
}

/// What maps at the chosen layer can show, and what they can't.
fn meaning(state: &State, analysis: &Analysis) -> String {
    let model = &analysis.model;
    let id = state.layer_in(analysis);
    let layer = model.layer(id);
    let name = &layer.name;
    let last = model.layer_name(model.default_layer);
    if id == model.default_layer {
        let relative = if model.has_closed_form(id) {
            ""
        } else {
            " More than a mean and a linear layer follow, so its cells do not add up to the logit: values are relative."
        };
        format!("{name}: coarse, but closest to the class.{relative}")
    } else if layer.kind == LayerKind::BeforeBatchNorm {
        format!(
            "{name}, before its batch norm: the layer of a common tutorial, for comparison with its figures. Its values can be negative and are not shares of the logit."
        )
    } else if layer.stride.0 >= COARSE {
        format!("{name}: more detail, less meaning for the class than {last}.")
    } else {
        format!(
            "{name}: edges and textures that many classes share. Fine detail, little meaning for this class; compare {last}."
        )
    }
}

/// All stages for the class of all panes, with the method of the first map on screen.
fn small_multiples_ui(
    ui: &mut Ui,
    state: &State,
    (textures, shown): (&mut Textures, &Answer),
    actions: &mut Actions,
) {
    let analysis = &shown.analysis;
    let model = &analysis.model;
    let stages: Vec<LayerId> = model.stages().collect();
    let side = match state.settings.view {
        View::Single(side) => side,
        View::SideBySide => Side::Left,
    };
    let method = state.settings.panes[side.index()].method;
    let recipe = Recipe::new(method, state.settings.variant);
    let class = state.class_in(analysis);
    let chosen = state.layer_in(analysis);
    let opacity = state.settings.display_options.opacity;
    let Some(photo) = textures.photo().cloned() else {
        return;
    };
    let gap = 4.0;
    let gaps = stages.len().saturating_sub(1) as f32;
    let width = (ui.available_width() - gaps * gap) / stages.len().max(1) as f32;
    let shape = shown.photo.height as f32 / shown.photo.width as f32;
    let height = (width * shape).clamp(*HEIGHTS.start(), *HEIGHTS.end());
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        for layer in stages {
            let name = model.layer_name(layer);
            let title = model.layer(layer).title();
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
                contrast_class: state.contrast_class(analysis, class),
            };
            let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
            painter.rect_filled(picture, 2.0, BEHIND);
            photo.paint_overview(&painter, place);
            let heat = textures.heat(ui.ctx(), state, shown, Place::Small(layer), map_spec);
            match heat {
                Some(heat) => {
                    if let Some((texture, covered)) = &heat.picture {
                        paint_heat(&painter, texture, within(place, *covered), opacity);
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
                title,
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
            let progress = match (heat, state.layers.fault()) {
                (Some(_), _) => "",
                (None, None) => "; being computed",
                (None, Some(_)) => "; not available",
            };
            let hover = format!(
                "{name}: {} of {}{progress}",
                method.name(),
                analysis.model.labels.name(class)
            );
            if response.on_hover_text(hover).clicked() {
                actions.set(
                    &state.settings.layer,
                    model.choice_of(layer),
                    Action::SetLayer,
                );
            }
        }
    });
}

/// All layers in a list that can be searched.
fn all_layers_ui(ui: &mut Ui, state: &State, analysis: &Analysis, actions: &mut Actions) {
    let model = &analysis.model;
    let chosen = state.layer_in(analysis);
    let title = format!("All {} layers…", model.layers.len());
    let filter_id = ui.scope_id().with("layer filter");
    let button = MenuButton::new(title)
        .config(MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside));
    button.ui(ui, |ui| {
        let mut filter: String = ui.data(|data| data.get_temp(filter_id).unwrap_or_default());
        let edit = egui::TextEdit::singleline(&mut filter).hint_text("Search by name");
        let edit = ui.add(edit);
        edit.widget_info(|| WidgetInfo::labeled(egui::Role::TextInput, true, "search layers"));
        let wanted = filter.to_lowercase();
        egui::ScrollArea::vertical()
            .max_height(LIST)
            .show(ui, |ui| {
                ui.set_min_width(LIST);
                for id in model.layer_ids() {
                    let layer = model.layer(id);
                    if !layer.name.to_lowercase().contains(&wanted) {
                        continue;
                    }
                    let text = format!("{} · {} channels", layer.name, layer.channels);
                    let row = ui.selectable_label(id == chosen, text);
                    if row.clicked() {
                        actions.set(&state.settings.layer, model.choice_of(id), Action::SetLayer);
                        ui.close();
                    }
                }
            });
        ui.data_mut(|data| data.insert_temp(filter_id, filter));
    });
}

/// Settings that published figures may have been made with.
fn advanced_ui(ui: &mut Ui, state: &State, analysis: &Analysis, actions: &mut Actions) {
    let title = egui::RichText::new("Advanced").small();
    egui::CollapsingHeader::new(title).id_salt("advanced layer").show(ui, |ui| {
        ui.label("Formula of Grad-CAM++");
        let mut wanted = state.settings.variant;
        for variant in Variant::ALL {
            let (name, hint) = match variant {
                Variant::Eq19 => ("Eq. 19 of the paper", "The published formula, in its stable form"),
                Variant::PytorchGradCam => (
                    "As the grad-cam package",
                    "Eq. 19 with 1e-6 in the denominator; at the last layer that is as large as the gradients",
                ),
                Variant::TutorialSum => (
                    "As a common tutorial",
                    "The gradient is inside the sum in the denominator; the map differs at earlier layers",
                ),
            };
            ui.radio_value(&mut wanted, variant, name).on_hover_text(hint);
        }
        actions.set(&state.settings.variant, wanted, Action::SetVariant);
        if let Some(last_conv) = analysis.model.last_conv() {
            let name = analysis.model.layer_name(last_conv);
            let mut chosen = state.layer_in(analysis) == last_conv;
            let switch = ui.checkbox(&mut chosen, format!("Target {name} before its batch norm"));
            if switch.on_hover_text("The tutorial's target layer").changed() {
                let layer = if chosen { LayerChoice::LastConv } else { LayerChoice::Last };
                actions.push(Action::SetLayer(layer));
            }
            if ui
                .button("Set all as in the tutorial")
                .on_hover_text("Framing squash, no normalization, this layer and formula: for comparison with the tutorial's figures")
                .clicked()
            {
                actions.push(Action::UseTutorialSettings);
            }
        }
    });
}
