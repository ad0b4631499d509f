//! The bar on top: open, the view switch, fit, export, theme, help.

use eframe::egui::{self, Align, Layout, Panel, Ui};

use super::command::Command;
use super::settings::{Side, View};
use super::{App, menus};

/// Points that Export and Fit need; where there are fewer, their keys must do.
const ROOM_FOR_MORE: f32 = 120.0;

pub fn show(app: &mut App, ui: &mut Ui) {
    Panel::top("toolbar").show(ui, |ui| {
        ui.add_space(2.0);
        ui.horizontal(|ui| {
            if ui
                .button("Open…")
                .on_hover_text("Open photos (Ctrl+O)")
                .clicked()
            {
                app.commands.push(Command::AskForPhotos);
            }
            if ui
                .button("Folder…")
                .on_hover_text("Open all photos of a folder (Ctrl+Shift+O)")
                .clicked()
            {
                app.commands.push(Command::AskForFolder);
            }
            ui.separator();
            view_ui(ui, app);
            ui.separator();
            menus::view_menu_ui(app, ui);
            menus::regions_menu_ui(app, ui);
            let has_photo = app.state.latest.shown().is_some();
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if ui.button("?").on_hover_text("Keys (F1)").clicked() {
                    app.show_keys = !app.show_keys;
                }
                if ui.available_width() < ROOM_FOR_MORE {
                    return;
                }
                ui.separator();
                let export = ui.add_enabled(has_photo, egui::Button::new("Export…"));
                if export
                    .on_hover_text(
                        "Save overlays, heat, a figure, the cells and a manifest into a new folder (Ctrl+S)",
                    )
                    .clicked()
                {
                    app.commands.push(Command::AskForExport);
                }
                let fit = ui.add_enabled(has_photo, egui::Button::new("Fit"));
                if fit
                    .on_hover_text("Show the whole photo (F, or double-click)")
                    .clicked()
                {
                    app.commands.push(Command::Fit);
                }
            });
        });
        ui.add_space(2.0);
    });
}

fn view_ui(ui: &mut Ui, app: &mut App) {
    let [left, right] = app.state.settings.panes.map(|pane| pane.method.name());
    let alike = if left == right { ", right" } else { "" };
    let view = &mut app.state.settings.view;
    for (wanted, name, key) in [
        (View::SideBySide, "Side by side".to_owned(), "1"),
        (View::Single(Side::Left), left.to_owned(), "2"),
        (View::Single(Side::Right), format!("{right}{alike}"), "3"),
    ] {
        ui.selectable_value(view, wanted, &name)
            .on_hover_text(format!("{name} (key {key}; Space flips between the maps)"));
    }
}
