//! The toolbar: open, views, fit, export, theme, help.

use eframe::egui;
use eframe::egui::{Align, Layout, Panel, Ui};

use crate::app::panels::menus;
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::command::Command;
use crate::app::state::dialogs::Dialog;
use crate::app::state::settings::{Side, View};

/// Width in points that the toolbar needs in one row; if there is less space, it wraps.
const ONE_ROW: f32 = 740.0;

/// Draws the bar.
pub fn show(ui: &mut Ui, state: &State, zoom_is_linked: bool, actions: &mut Actions) {
    Panel::top("toolbar").show(ui, |ui| {
        ui.add_space(2.0);
        let wide = ui.available_width() >= ONE_ROW;
        let row = |ui: &mut Ui| {
            if ui
                .button("Open…")
                .on_hover_text("Open photos (Ctrl+O)")
                .clicked()
            {
                actions.push(Command::AskForPhotos);
            }
            if ui
                .button("Folder…")
                .on_hover_text("Open all photos of a folder (Ctrl+Shift+O)")
                .clicked()
            {
                actions.push(Command::AskForFolder);
            }
            ui.separator();
            view_ui(ui, state, actions);
            ui.separator();
            menus::view_menu_ui(ui, state, zoom_is_linked, actions);
            menus::regions_menu_ui(ui, state, actions);
            if wide {
                // From the right: actions that concern the whole window.
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    help_ui(ui, state, actions);
                    ui.separator();
                    export_ui(ui, state, actions);
                    fit_ui(ui, state, actions);
                });
            } else {
                fit_ui(ui, state, actions);
                export_ui(ui, state, actions);
                help_ui(ui, state, actions);
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

fn help_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    if ui.button("?").on_hover_text("Keys (F1)").clicked() {
        actions.push(Action::ShowDialog(Dialog::Keys, !state.dialogs.keys));
    }
}

fn export_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let has_photo = state.latest.shown().is_some();
    let export = ui.add_enabled(has_photo, egui::Button::new("Export…"));
    let hint = "Save overlays, heat, a figure, the cells and a manifest into a new folder (Ctrl+S)";
    if export.on_hover_text(hint).clicked() {
        actions.push(Command::AskForExport);
    }
}

fn fit_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let has_photo = state.latest.shown().is_some();
    let fit = ui.add_enabled(has_photo, egui::Button::new("Fit"));
    let hint = "Show the whole photo (F, or double-click)";
    if fit.on_hover_text(hint).clicked() {
        actions.push(Command::Fit);
    }
}

fn view_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let [left, right] = state
        .settings
        .panes
        .each_ref()
        .map(|pane| pane.method.name());
    let alike = if left == right { ", right" } else { "" };
    let mut view = state.settings.view;
    for (wanted, name, key) in [
        (View::SideBySide, "Side by side".to_owned(), "1"),
        (View::Single(Side::Left), left.to_owned(), "2"),
        (View::Single(Side::Right), format!("{right}{alike}"), "3"),
    ] {
        ui.selectable_value(&mut view, wanted, &name)
            .on_hover_text(format!("{name} (key {key}; Space flips between the maps)"));
    }
    actions.set(&state.settings.view, view, Action::SetView);
}
