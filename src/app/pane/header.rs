//! The header of a map pane: what it shows, what one should know of it, and a menu to
//! choose its method, layer and class.

use eframe::egui;
use eframe::egui::containers::menu::MenuButton;
use eframe::egui::{
    Color32, FontId, Painter, Rect, RichText, Stroke, TextStyle, Ui, UiBuilder, Vec2, WidgetInfo,
    vec2,
};

use crate::app::state::settings::Side;
use crate::app::state::{MapSpec, State};
use crate::app::textures::Heat;
use crate::app::{App, elide};
use crate::explain::analysis::Analysis;
use crate::explain::cam::{Method, Variant};
use crate::render::display_options::Display;
use crate::render::legend;

/// What one should know of a map: where it was taken, how it was made if not as usual,
/// and whether it says anything about the class.
pub fn detail(
    (state, side): (&State, Side),
    analysis: &Analysis,
    now: MapSpec,
    heat: Option<&Heat>,
    wanted: MapSpec,
) -> String {
    let layer = analysis.model.architecture.layer_name(now.layer);
    let mut parts = vec![match heat {
        Some(heat) => format!("{layer}, {}×{} cells", heat.map.height, heat.map.width),
        None => layer.to_owned(),
    }];
    if state.pinned[side.index()] == Some(now.class) {
        parts.push("class pinned".into());
    }
    if now != wanted && state.is_pending(wanted) {
        parts.push("the next one is being made…".into());
    }
    if now.recipe.variant != Variant::Eq19 {
        parts.push(format!("formula: {}", now.recipe.variant.id()));
    }
    let display_options = &state.settings.display_options;
    if display_options.display == Display::Photo {
        parts.push("overlay hidden".into());
    }
    if display_options.threshold > 0 {
        parts.push(format!("only above {} %", display_options.threshold));
    }
    if heat.is_some_and(Heat::is_locked) {
        parts.push("range held".into());
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
        // Grad-CAM++ hardly depends on the class: whoever asks about another
        // class must see that.
        Some(likeness) => parts.push(format!(
            "correlation {likeness:.2} with the map of the top class, {}",
            analysis.model.labels.name(analysis.top())
        )),
        None if now.class == analysis.top() => parts.push("the most probable class".into()),
        None => {}
    }
    parts.join(" · ")
}

/// The title, with shorter names of its classes where it is too long: method and probability are
/// always there.
fn short_title(
    app: &App,
    (painter, font, room): (&Painter, &FontId, f32),
    side: Side,
    (analysis, whole): (&Analysis, &str),
) -> String {
    let drawn = app.drawn(side);
    let drawn = drawn.filter(|(of, _)| std::ptr::eq(&raw const **of, analysis));
    let now = drawn.map_or_else(|| app.state.map_spec(side, analysis), |(_, now)| now);
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

/// The detail, with a shorter name of the top class at its end where it is too long.
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
    app: &mut App,
    ui: &mut Ui,
    rect: Rect,
    side: Side,
    analysis: &Analysis,
    (title, detail): (&str, &str),
) {
    let architecture = analysis.model.architecture;
    let labels = &analysis.model.labels;
    let font = TextStyle::Button.resolve(ui.style());
    let padding = vec2(2.0, 0.0);
    let taken = TRIANGLE.x + ui.spacing().icon_spacing + 2.0 * padding.x + 2.0;
    let room = rect.width() - taken;
    let title = short_title(app, (ui.painter(), &font, room), side, (analysis, title));
    let chosen_for_all = app.state.layer_in(analysis);
    let class = app.state.class_in(analysis);
    let settings = &mut app.state.settings;
    let pinned = &mut app.state.pinned[side.index()];
    ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.spacing_mut().button_padding = padding;
        ui.spacing_mut().interact_size.y = 0.0; // as high as the other titles
        // The triangle is part of the button.
        let room = egui::Atom::custom(egui::IdSalt::new("triangle"), TRIANGLE);
        let title = RichText::new(title).strong();
        let button = egui::Button::new((title, room))
            .frame_when_inactive(false)
            .truncate();
        let (response, _) = MenuButton::from_button(button).ui(ui, |ui| {
            let pane = &mut settings.panes[side.index()];
            ui.label(RichText::new("Method").small().strong());
            for method in Method::ALL {
                ui.radio_value(&mut pane.method, method, method.name())
                    .on_hover_text(method.summary());
            }
            if architecture.layers().len() > 1 {
                ui.separator();
                ui.label(RichText::new("Target layer").small().strong());
                let all = format!("As for all ({})", architecture.layer_name(chosen_for_all));
                ui.radio_value(&mut pane.layer, None, all);
                for &layer in architecture.layers() {
                    ui.radio_value(&mut pane.layer, Some(layer), architecture.layer_name(layer));
                }
            }
            ui.separator();
            ui.label(RichText::new("Class").small().strong());
            ui.radio_value(pinned, None, format!("As for all ({})", labels.name(class)));
            let pin = pinned.unwrap_or(class);
            ui.radio_value(
                pinned,
                Some(pin),
                format!("Pin {} to this map", labels.name(pin)),
            )
            .on_hover_text(
                "It stays, also for the next photos. Choose another class on the left, and compare",
            );
        });
        let place = side.name();
        response.widget_info(|| {
            WidgetInfo::labeled(
                egui::Role::Button,
                true,
                format!("What the {place} map shows"),
            )
        });
        triangle(ui.painter(), response.rect, ui.visuals().weak_text_color());
        response.on_hover_text("Choose the method, layer and class of this map");
        let font = TextStyle::Small.resolve(ui.style());
        let measure = (ui.painter(), &font, ui.available_width());
        let detail = short_detail(measure, analysis, detail);
        ui.add(egui::Label::new(RichText::new(detail).small().weak()).truncate());
    });
}

/// The room that the triangle takes at the end of a title, in points.
const TRIANGLE: Vec2 = vec2(12.0, 8.0);

/// What says that a title opens a menu.
fn triangle(painter: &Painter, title: Rect, color: Color32) {
    let center = title.right_center() + vec2(-TRIANGLE.x / 2.0 - 2.0, 1.0);
    let corners = [vec2(-4.0, -2.5), vec2(4.0, -2.5), vec2(0.0, 2.5)];
    let corners = corners.map(|corner| center + corner).to_vec();
    painter.add(egui::Shape::convex_polygon(corners, color, Stroke::NONE));
}
