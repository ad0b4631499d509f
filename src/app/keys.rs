//! Keys, and the window that lists them.

use eframe::egui::{self, Context, Key, Modifiers};

use super::App;
use super::command::Command;
use super::settings::{Side, View};

/// Every key and what it does.
const KEYS: [(&str, &str); 12] = [
    ("Ctrl+O", "Open photos"),
    ("Ctrl+V", "Paste an image or a path"),
    ("Ctrl+S", "Export the overlays on screen"),
    ("1, 2, 3", "Side by side, left map, right map"),
    ("Space", "Flip between the two maps"),
    ("[, ]", "Earlier, later target layer"),
    ("Up, Down", "Previous, next class"),
    ("Page Up, Page Down", "Previous, next photo"),
    ("F", "Fit the photo"),
    ("+, -", "Zoom in, out"),
    ("Esc", "Clear the class search"),
    ("F1", "This list"),
];

/// One press of + or -.
const ZOOM_STEP: f32 = 1.25;

/// Turns keys into commands. Letters and digits belong to a text field that has
/// the focus; arrows and Space to any widget that has it.
pub fn handle(app: &mut App, ctx: &Context) {
    let typing = ctx.text_edit_focused();
    let nothing_focused = ctx.memory(|memory| memory.focused().is_none());
    let pressed = |modifiers, key| ctx.input_mut(|input| input.consume_key(modifiers, key));
    let plain = |key| pressed(Modifiers::NONE, key);

    let mut give = |command| app.commands.push(command);
    if pressed(Modifiers::COMMAND, Key::O) {
        give(Command::AskForPhotos);
    }
    if pressed(Modifiers::COMMAND, Key::S) {
        give(Command::AskForExport);
    }
    if plain(Key::PageUp) {
        give(Command::StepPhoto(-1));
    }
    if plain(Key::PageDown) {
        give(Command::StepPhoto(1));
    }
    if nothing_focused || typing {
        // In the search field, too, arrows walk through what it found.
        if plain(Key::ArrowUp) {
            give(Command::StepClass(-1));
        }
        if plain(Key::ArrowDown) {
            give(Command::StepClass(1));
        }
    }
    if plain(Key::F1) {
        app.show_keys = !app.show_keys;
    }
    if plain(Key::Escape) {
        app.state.search.clear();
        app.show_keys = false;
    }
    if typing {
        return;
    }
    let view = &mut app.state.settings.view;
    for (key, wanted) in [
        (Key::Num1, View::SideBySide),
        (Key::Num2, View::Single(Side::Left)),
        (Key::Num3, View::Single(Side::Right)),
    ] {
        if plain(key) {
            *view = wanted;
        }
    }
    if nothing_focused && plain(Key::Space) {
        *view = view.flipped();
    }
    for (key, by) in [(Key::OpenBracket, -1), (Key::CloseBracket, 1)] {
        if plain(key) {
            app.commands.push(Command::StepLayer(by));
        }
    }
    if plain(Key::F) {
        app.commands.push(Command::Fit);
    }
    if plain(Key::Plus) || plain(Key::Equals) || pressed(Modifiers::SHIFT, Key::Plus) {
        app.commands.push(Command::Zoom(ZOOM_STEP));
    }
    if plain(Key::Minus) {
        app.commands.push(Command::Zoom(1.0 / ZOOM_STEP));
    }
}

/// The list of keys.
pub fn help_ui(ctx: &Context, open: &mut bool) {
    egui::Window::new("Keys")
        .open(open)
        .collapsible(false)
        .resizable(false)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ctx, |ui| {
            egui::Grid::new("keys")
                .num_columns(2)
                .spacing([24.0, 6.0])
                .show(ui, |ui| {
                    for (key, action) in KEYS {
                        ui.strong(key);
                        ui.label(action);
                        ui.end_row();
                    }
                });
        });
}
