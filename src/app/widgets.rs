//! Widgets used by several panels.

use eframe::egui;
use eframe::egui::{
    Color32, Painter, Pos2, Response, RichText, Shape, Stroke, Ui, Vec2, WidgetInfo, vec2,
};

/// The title of a section.
pub fn heading(ui: &mut Ui, text: &str) {
    ui.label(
        RichText::new(text)
            .small()
            .strong()
            .color(ui.visuals().weak_text_color()),
    );
}

/// The text of a menu is its selection, so it needs a separate accessible name.
pub fn name_widget(ui: &Ui, response: &Response, name: &str) {
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::labeled(egui::Role::ComboBox, enabled, name));
}

/// Sets the accessible name of a menu whose selection may be shortened on screen.
pub fn name_menu(ui: &Ui, response: &Response, name: &str, chosen: &str) {
    let enabled = ui.is_enabled();
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(egui::Role::ComboBox, enabled, name);
        info.current_text_value = Some(chosen.to_owned());
        info
    });
}

/// Sets the accessible name of a button whose text differs or is empty.
pub fn name_button(response: &Response, name: &str) {
    response.widget_info(|| WidgetInfo::labeled(egui::Role::Button, true, name));
}

/// A triangle of half the size in each direction; it points down where `half.y` is positive.
pub fn triangle(painter: &Painter, center: Pos2, half: Vec2, color: Color32) {
    let corners = [
        vec2(-half.x, -half.y),
        vec2(half.x, -half.y),
        vec2(0.0, half.y),
    ];
    let corners = corners.map(|corner| center + corner).to_vec();
    painter.add(Shape::convex_polygon(corners, color, Stroke::NONE));
}
