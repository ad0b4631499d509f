//! The menus of the toolbar: how panes are drawn, and what is drawn on them.

use eframe::egui;
use eframe::egui::containers::menu::{MenuButton, MenuConfig};
use eframe::egui::{PopupCloseBehavior, ThemePreference, Ui};

use crate::app::input::keys;
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::command::{Command, Theme};
use crate::app::state::dialogs::Dialog;
use crate::app::state::region_list::Tool;
use crate::explain::region::Shape;
use crate::input::photo::Limits;
use crate::render::display_options::{Display, DisplayOptions};
use crate::render::heatmap::Interpolation;

/// How the panes are drawn.
pub fn view_menu_ui(ui: &mut Ui, state: &State, zoom_is_linked: bool, actions: &mut Actions) {
    // The menu stays open, because users often change several things.
    let stays = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    let menu = MenuButton::new("View").config(stays).ui(ui, |ui| {
        let display_options = &state.settings.display_options;
        let mut wanted = display_options.display;
        ui.label(egui::RichText::new("Panes show").small().strong());
        for display in Display::ALL {
            let hint = match display {
                Display::Overlay => "The heat over the photo",
                Display::Heat => "The heat alone",
                Display::Photo => "The photo alone; hold H to see it for a moment",
            };
            ui.radio_value(&mut wanted, display, display.name())
                .on_hover_text(hint);
        }
        actions.set(&display_options.display, wanted, Action::SetDisplay);
        ui.separator();
        drawing_ui(ui, display_options, actions);
        ui.separator();
        let mut linked = zoom_is_linked;
        if ui
            .checkbox(&mut linked, "Zoom panes together (K)")
            .on_hover_text("Off: each pane is zoomed and moved on its own")
            .changed()
        {
            actions.push(Command::LinkZoom(linked));
        }
        if ui.button("Swap the maps (X)").clicked() {
            actions.push(Action::SwapPanes);
            ui.close();
        }
        let has_photo = state.latest.shown().is_some();
        let saw = ui.add_enabled(has_photo, egui::Button::new("What the network saw (I)"));
        if saw.clicked() {
            actions.push(Action::ShowDialog(Dialog::Input, true));
            ui.close();
        }
        if ui.button("Full screen (F11)").clicked() {
            actions.push(Command::FullScreen);
            ui.close();
        }
        ui.separator();
        ui.menu_button("Limits", |ui| limits_ui(ui, state, actions))
            .response
            .on_hover_text("How large a photo may be");
        theme_ui(ui, actions);
    });
    menu.0.on_hover_text("What is drawn, zoom, theme");
}

/// Cells and lines.
fn drawing_ui(ui: &mut Ui, display_options: &DisplayOptions, actions: &mut Actions) {
    let mut cells = display_options.interpolation == Interpolation::Cells;
    if ui
        .checkbox(&mut cells, "Cells, not smoothed (C)")
        .on_hover_text("Each cell as the network has it: one square of one color")
        .changed()
    {
        actions.push(Action::SetInterpolation(if cells {
            Interpolation::Cells
        } else {
            Interpolation::Bilinear
        }));
    }
    let (mut grid, mut contours) = (display_options.grid, display_options.contours);
    ui.checkbox(&mut grid, "Borders of the cells (G)")
        .on_hover_text("The squares of the photo that the cells of each map's layer cover");
    ui.checkbox(&mut contours, "Contours (O)")
        .on_hover_text("Lines at a quarter, a half and three quarters of the range, to both sides of zero in signed maps");
    actions.set(&display_options.grid, grid, Action::ShowGrid);
    actions.set(&display_options.contours, contours, Action::ShowContours);
}

/// Limits on the size of photos.
fn limits_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let before = state.settings.limits;
    let mut limits = before;
    ui.label("Larger photos are refused before anything of them is decoded:");
    for (value, name, unit) in [
        (&mut limits.megapixels, "Pixels", " megapixels"),
        (&mut limits.decoded_mb, "Decoded", " MB"),
        (&mut limits.file_mb, "File", " MB"),
    ] {
        ui.horizontal(|ui| {
            let label = ui.label(name);
            let drag = egui::DragValue::new(value).range(1..=u32::MAX).suffix(unit);
            ui.add(drag).labelled_by(label.id);
        });
    }
    if ui.button("Reset to defaults").clicked() {
        limits = Limits::default();
    }
    actions.set(&before, limits, Action::SetLimits);
}

/// The theme follows the system until light or dark is chosen.
fn theme_ui(ui: &mut Ui, actions: &mut Actions) {
    ui.horizontal(|ui| {
        ui.label("Theme");
        let now = ui.ctx().options(|options| options.theme_preference);
        for (theme, preference, name) in [
            (Theme::System, ThemePreference::System, "as the system"),
            (Theme::Light, ThemePreference::Light, "light"),
            (Theme::Dark, ThemePreference::Dark, "dark"),
        ] {
            if ui.selectable_label(now == preference, name).clicked() {
                actions.push(Command::SetTheme(theme));
            }
        }
    });
}

/// Tools that draw regions.
pub fn regions_menu_ui(ui: &mut Ui, state: &State, actions: &mut Actions) {
    let title = match state.tool {
        Tool::Move => "Regions",
        Tool::Rectangle => "Regions: rectangle",
        Tool::Lasso => "Regions: lasso",
    };
    let menu = ui.menu_button(title, |ui| {
        for tool in Tool::ALL {
            let name = format!("{} ({})", tool.name(), keys::tool_key(tool).name());
            if ui.radio(state.tool == tool, name).clicked() {
                actions.push(Action::SetTool(tool));
                ui.close();
            }
        }
        ui.separator();
        let shown = state.latest.shown();
        let photo = shown.and_then(|shown| Some((shown.plan.photo?, shown.photo.clone())));
        let add = ui.add_enabled(photo.is_some(), egui::Button::new("Add a rectangle"));
        let add =
            add.on_hover_text("In the middle of the photo; type its edges in the table below");
        if let Some((id, photo)) = photo.filter(|_| add.clicked()) {
            let (width, height) = (photo.width as f64, photo.height as f64);
            let middle = [width / 4.0, height / 4.0, width * 0.75, height * 0.75];
            // A photo of one pixel has no inner part.
            let [left, top, right, bottom] = middle.map(f64::floor);
            let shape = Shape::Rectangle([left, top, right.max(left + 1.0), bottom.max(top + 1.0)]);
            actions.push(Action::AddRegion { photo: id, shape });
            ui.close();
        }
    });
    menu.response
        .on_hover_text("Draw a region: its share of the evidence, and whether the peak is inside");
}
