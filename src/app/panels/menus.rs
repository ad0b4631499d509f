//! The menus of the toolbar: how panes are drawn, and what is drawn on them.

use eframe::egui;
use eframe::egui::containers::menu::{MenuButton, MenuConfig};
use eframe::egui::{PopupCloseBehavior, ThemePreference, Ui};

use crate::app::App;
use crate::app::command::Command;
use crate::app::pane::region_tool::Tool;
use crate::explain::region::Shape;
use crate::input::photo::Limits;
use crate::render::display_options::{Display, DisplayOptions};
use crate::render::heatmap::Interpolation;

/// How the panes are drawn.
pub fn view_menu_ui(app: &mut App, ui: &mut Ui) {
    // One changes more than one thing at a time.
    let stays = MenuConfig::new().close_behavior(PopupCloseBehavior::CloseOnClickOutside);
    let menu = MenuButton::new("View").config(stays).ui(ui, |ui| {
        let display_options = &mut app.state.settings.display_options;
        ui.label(egui::RichText::new("Panes show").small().strong());
        for display in Display::ALL {
            let hint = match display {
                Display::Overlay => "The heat over the photo",
                Display::Heat => "The heat alone",
                Display::Photo => "The photo alone; hold H to see it for a moment",
            };
            ui.radio_value(&mut display_options.display, display, display.name())
                .on_hover_text(hint);
        }
        ui.separator();
        drawing_ui(ui, display_options);
        ui.separator();
        let mut linked = app.cameras.are_linked();
        if ui
            .checkbox(&mut linked, "Zoom panes together (K)")
            .on_hover_text("Off: each pane is zoomed and moved on its own")
            .changed()
        {
            app.commands.push(Command::LinkZoom(linked));
        }
        if ui.button("Swap the maps (X)").clicked() {
            app.commands.push(Command::SwapPanes);
            ui.close();
        }
        let has_photo = app.state.latest.shown().is_some();
        let saw = ui.add_enabled(has_photo, egui::Button::new("What the network saw (I)"));
        if saw.clicked() {
            app.show_input = true;
            ui.close();
        }
        if ui.button("Full screen (F11)").clicked() {
            app.commands.push(Command::FullScreen);
            ui.close();
        }
        ui.separator();
        ui.menu_button("Limits", |ui| limits_ui(app, ui))
            .response
            .on_hover_text("How large a photo may be");
        theme_ui(ui);
    });
    menu.0.on_hover_text("What is drawn, zoom, theme");
}

/// Cells, lines.
fn drawing_ui(ui: &mut Ui, display_options: &mut DisplayOptions) {
    let mut cells = display_options.interpolation == Interpolation::Cells;
    if ui
        .checkbox(&mut cells, "Cells, not smoothed (C)")
        .on_hover_text("Each cell as the network has it: one square of one color")
        .changed()
    {
        display_options.interpolation = if cells {
            Interpolation::Cells
        } else {
            Interpolation::Bilinear
        };
    }
    ui.checkbox(&mut display_options.grid, "Borders of the cells (G)")
        .on_hover_text("The squares of the photo that the cells of each map's layer cover");
    ui.checkbox(&mut display_options.contours, "Contours (O)")
        .on_hover_text("Lines at a quarter, a half and three quarters of the range, to both sides of zero in signed maps");
}

/// How large photos may be.
fn limits_ui(app: &mut App, ui: &mut Ui) {
    let before = app.state.settings.limits;
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
    if ui.button("As they were").clicked() {
        limits = Limits::default();
    }
    if limits != before {
        app.state.limit_photos(limits);
    }
}

/// Light and dark follow the system until one of them is chosen.
fn theme_ui(ui: &mut Ui) {
    ui.horizontal(|ui| {
        ui.label("Theme");
        let mut theme = ui.ctx().options(|options| options.theme_preference);
        for (wanted, name) in [
            (ThemePreference::System, "as the system"),
            (ThemePreference::Light, "light"),
            (ThemePreference::Dark, "dark"),
        ] {
            if ui.selectable_value(&mut theme, wanted, name).clicked() {
                ui.ctx().set_theme(wanted);
            }
        }
    });
}

/// Tools that draw regions.
pub fn regions_menu_ui(app: &mut App, ui: &mut Ui) {
    let title = match app.tool {
        Tool::Move => "Regions",
        Tool::Rectangle => "Regions: rectangle",
        Tool::Lasso => "Regions: lasso",
    };
    let menu = ui.menu_button(title, |ui| {
        for (tool, name, key) in Tool::ALL {
            let name = format!("{name} ({})", key.name());
            if ui.radio_value(&mut app.tool, tool, name).clicked() {
                ui.close();
            }
        }
        ui.separator();
        let shown = app.state.latest.shown();
        let photo = shown.and_then(|shown| Some((shown.plan.photo?, shown.photo.clone())));
        let add = ui.add_enabled(photo.is_some(), egui::Button::new("Add a rectangle"));
        let add =
            add.on_hover_text("In the middle of the photo; type its edges in the table below");
        if let Some((id, photo)) = photo.filter(|_| add.clicked()) {
            let (width, height) = (photo.width as f64, photo.height as f64);
            let middle = [width / 4.0, height / 4.0, width * 0.75, height * 0.75];
            // A photo of one pixel has no middle.
            let [left, top, right, bottom] = middle.map(f64::floor);
            let shape = Shape::Rectangle([left, top, right.max(left + 1.0), bottom.max(top + 1.0)]);
            app.state.regions.add(id, shape);
            ui.close();
        }
    });
    menu.response
        .on_hover_text("Draw a region: its share of the evidence, and whether the peak is inside");
}
