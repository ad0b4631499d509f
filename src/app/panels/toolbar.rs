//! The bar on top: open, the view switch, fit, export, theme, help.

use eframe::egui;
use eframe::egui::{Align, Layout, Panel, Ui};

use crate::app::App;
use crate::app::command::Command;
use crate::app::panels::menus;
use crate::app::state::settings::{Side, View};

/// Points that all of it needs in one row; where there are fewer, it wraps.
const ONE_ROW: f32 = 740.0;

pub fn show(app: &mut App, ui: &mut Ui) {
    Panel::top("toolbar").show(ui, |ui| {
        ui.add_space(2.0);
        let wide = ui.available_width() >= ONE_ROW;
        let row = |ui: &mut Ui| {
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
            if wide {
                // From the right: what acts on the whole.
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    help_ui(app, ui);
                    ui.separator();
                    export_ui(app, ui);
                    fit_ui(app, ui);
                });
            } else {
                fit_ui(app, ui);
                export_ui(app, ui);
                help_ui(app, ui);
            }
        };
        if wide {
            ui.horizontal(row);
        } else {
            ui.horizontal_wrapped(row);
        }
        ui.add_space(2.0);
    });
}

fn help_ui(app: &mut App, ui: &mut Ui) {
    if ui.button("?").on_hover_text("Keys (F1)").clicked() {
        app.show_keys = !app.show_keys;
    }
}

fn export_ui(app: &mut App, ui: &mut Ui) {
    let has_photo = app.state.latest.shown().is_some();
    let export = ui.add_enabled(has_photo, egui::Button::new("Export…"));
    let hint = "Save overlays, heat, a figure, the cells and a manifest into a new folder (Ctrl+S)";
    if export.on_hover_text(hint).clicked() {
        app.commands.push(Command::AskForExport);
    }
}

fn fit_ui(app: &mut App, ui: &mut Ui) {
    let has_photo = app.state.latest.shown().is_some();
    let fit = ui.add_enabled(has_photo, egui::Button::new("Fit"));
    let hint = "Show the whole photo (F, or double-click)";
    if fit.on_hover_text(hint).clicked() {
        app.commands.push(Command::Fit);
    }
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
