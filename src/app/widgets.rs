//! Pieces that several panels have in common.

use eframe::egui;
use eframe::egui::{RichText, Ui};

/// The title of a section.
pub fn heading(ui: &mut Ui, text: &str) {
    ui.label(
        RichText::new(text)
            .small()
            .strong()
            .color(ui.visuals().weak_text_color()),
    );
}

/// Menus have their choice for a text, but need a name as well.
pub fn name_widget(ui: &Ui, response: &egui::Response, name: &str) {
    let enabled = ui.is_enabled();
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, enabled, name));
}
