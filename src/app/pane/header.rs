//! The header of a map pane: its contents, important remarks, and a menu for its method, layer and
//! class.

use eframe::egui;
use eframe::egui::containers::menu::MenuButton;
use eframe::egui::{FontId, Painter, Rect, RichText, TextStyle, Ui, UiBuilder, Vec2, vec2};

use crate::app::elide;
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::map_spec::MapSpec;
use crate::app::state::settings::Side;
use crate::app::textures::Heat;
use crate::app::widgets::{name_button, triangle};
use crate::explain::analysis::Analysis;
use crate::explain::cam::{Method, Variant};
use crate::render::display_options::Display;
use crate::render::legend;

/// Remarks about a map: its layer, unusual settings, and whether it depends on the class.
pub fn detail(
    (state, side): (&State, Side),
    analysis: &Analysis,
    now: MapSpec,
    heat: Option<&Heat>,
    wanted: MapSpec,
) -> String {
    let layer = analysis.model.layer_name(now.layer);
    let mut parts = vec![match heat {
        Some(heat) => format!("{layer}, {}×{} cells", heat.map.height, heat.map.width),
        None => layer.to_owned(),
    }];
    if state.pinned[side.index()] == Some(now.class) {
        parts.push("class pinned".into());
    }
    if now != wanted && state.is_pending(wanted) {
        parts.push("computing the next map…".into());
    }
    if now.recipe.variant != Variant::Eq19 {
        parts.push(format!("formula: {}", now.recipe.variant.id()));
    }
    let display_options = &state.settings.display_options;
    if display_options.display == Display::Photo {
        parts.push("overlay hidden".into());
    }
    if display_options.threshold > 0 {
        parts.push(format!("threshold {} %", display_options.threshold));
    }
    if heat.is_some_and(|heat| heat.range_locked) {
        parts.push("range locked".into());
    }
    if let Some(heat) = heat.filter(|_| now.contrast_class.is_some()) {
        let sum = legend::number(heat.map.sum(), true);
        let meaning = if heat.map.recipe.method.is_in_logits(heat.map.layer) {
            " = Δlogit − Δbias"
        } else {
            ", relative units"
        };
        parts.push(format!("adds up to {sum}{meaning}"));
        return parts.join(" · ");
    }
    match heat.and_then(|heat| heat.likeness) {
        // Grad-CAM++ hardly depends on the class; users who choose another class must see that.
        Some(likeness) => parts.push(format!(
            "correlation {likeness:.2} with the map of the top class, {}",
            analysis.model.labels.name(analysis.top())
        )),
        None if now.class == analysis.top() => parts.push("the most probable class".into()),
        None => {}
    }
    parts.join(" · ")
}

/// The title, with shortened class names if necessary; method and probability are always included.
fn short_title(
    (painter, font, room): (&Painter, &FontId, f32),
    now: MapSpec,
    (analysis, whole): (&Analysis, &str),
) -> String {
    let classes = (now.class, now.contrast_class);
    let labels = &analysis.model.labels;
    let title = |letters: usize| {
        let name = |class| labels.shortened(class, letters);
        legend::title_with(analysis, now.recipe.method, classes, name)
    };
    if title(usize::MAX) != whole {
        return whole.to_owned();
    }
    elide::longest(painter, font, room, title)
}

/// The detail, with a shortened name of the top class at its end if necessary.
fn short_detail(
    (painter, font, room): (&Painter, &FontId, f32),
    analysis: &Analysis,
    whole: &str,
) -> String {
    let (labels, top) = (&analysis.model.labels, analysis.top());
    match whole.strip_suffix(labels.name(top)) {
        Some(before) => elide::longest(painter, font, room, |letters| {
            format!("{before}{}", labels.shortened(top, letters))
        }),
        None => whole.to_owned(),
    }
}

/// The header of a map pane: its title opens a menu of methods, layers and classes.
pub fn menu_ui(
    ui: &mut Ui,
    rect: Rect,
    (state, analysis): (&State, &Analysis),
    (side, now): (Side, MapSpec),
    (title, detail): (&str, &str),
    actions: &mut Actions,
) {
    let model = &analysis.model;
    let labels = &analysis.model.labels;
    let font = TextStyle::Button.resolve(ui.style());
    let padding = vec2(2.0, 0.0);
    let taken = TRIANGLE.x + ui.spacing().icon_spacing + 2.0 * padding.x + 2.0;
    let room = rect.width() - taken;
    let title = short_title((ui.painter(), &font, room), now, (analysis, title));
    let chosen_for_all = state.layer_in(analysis);
    let class = state.class_in(analysis);
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.spacing_mut().button_padding = padding;
        ui.spacing_mut().interact_size.y = 0.0; // same height as the other titles
        // The triangle is part of the button.
        let room = egui::Atom::custom(egui::IdSalt::new("triangle"), TRIANGLE);
        let title = RichText::new(title).strong();
        let button = egui::Button::new((title, room))
            .frame_when_inactive(false)
            .truncate();
        let (response, _) = MenuButton::from_button(button).ui(ui, |ui| {
            let pane = &state.settings.panes[side.index()];
            let (mut chosen, mut layer_here) = (pane.method, pane.layer.clone());
            ui.label(RichText::new("Method").small().strong());
            for method in Method::ALL {
                ui.radio_value(&mut chosen, method, method.name())
                    .on_hover_text(method.summary());
            }
            actions.set(&pane.method, chosen, |method| {
                Action::SetPaneMethod(side, method)
            });
            if model.layers.len() > 1 {
                ui.separator();
                ui.label(RichText::new("Target layer").small().strong());
                let all = format!("As for all ({})", model.layer_name(chosen_for_all));
                ui.radio_value(&mut layer_here, None, all);
                let chosen = pane.layer.as_ref();
                let chosen = chosen.map(|choice| model.layer_or_default(choice));
                // The list of a large network scrolls.
                egui::ScrollArea::vertical()
                    .max_height(240.0)
                    .show(ui, |ui| {
                        for layer in model.layer_ids() {
                            let is_chosen = chosen == Some(layer);
                            if ui.radio(is_chosen, model.layer_name(layer)).clicked() {
                                layer_here = Some(model.choice_of(layer));
                            }
                        }
                    });
                actions.set(&pane.layer, layer_here, |layer| {
                    Action::SetPaneLayer(side, layer)
                });
            }
            ui.separator();
            ui.label(RichText::new("Class").small().strong());
            let pinned_now = state.pinned[side.index()];
            let mut pinned = pinned_now;
            ui.radio_value(
                &mut pinned,
                None,
                format!("As for all ({})", labels.name(class)),
            );
            let pin = pinned.unwrap_or(class);
            ui.radio_value(
                &mut pinned,
                Some(pin),
                format!("Pin {} to this map", labels.name(pin)),
            )
            .on_hover_text(
                "It stays, also for the next photos. Choose another class on the left, and compare",
            );
            actions.set(&pinned_now, pinned, |class| Action::PinClass(side, class));
        });
        let place = side.name();
        name_button(&response, &format!("What the {place} map shows"));
        let center = response.rect.right_center() + vec2(-TRIANGLE.x / 2.0 - 2.0, 1.0);
        let color = ui.visuals().weak_text_color();
        triangle(ui.painter(), center, vec2(4.0, 2.5), color);
        response.on_hover_text("Choose the method, layer and class of this map");
        let font = TextStyle::Small.resolve(ui.style());
        let measure = (ui.painter(), &font, ui.available_width());
        let detail = short_detail(measure, analysis, detail);
        ui.add(egui::Label::new(RichText::new(detail).small().weak()).truncate());
    });
}

/// The space for the triangle at the end of a title, in points.
const TRIANGLE: Vec2 = vec2(12.0, 8.0);
