//! Keys, and the window that lists them.

use eframe::egui;
use eframe::egui::{Context, Event, Key, Modifiers};

use crate::app::App;
use crate::app::command::Command;
use crate::app::input::copy_key::CopyKey;
use crate::app::pane::region_tool::Tool;
use crate::app::state::settings::{Side, View};
use crate::render::display_options::DisplayOptions;
use crate::render::heatmap::{Interpolation, Scaling};

/// Every key and what it does.
const KEYS: [(&str, &str); 22] = [
    ("Ctrl+O, Ctrl+Shift+O", "Open photos, a folder"),
    ("Ctrl+V", "Paste an image or a path"),
    ("Ctrl+S", "Export all that is on screen into a folder"),
    (
        "Ctrl+C",
        "Copy the selected text, or the pane under the pointer, or the first map",
    ),
    ("1, 2, 3", "Side by side, left map, right map"),
    ("Space", "Flip between the two maps"),
    ("X", "Swap the maps"),
    ("[, ]", "Earlier, later target layer"),
    ("Up, Down", "Previous, next class"),
    (
        "Left, Right",
        "Previous, next photo (also Page Up, Page Down)",
    ),
    ("S", "Positive or signed evidence"),
    ("H", "Hold: hide the overlay"),
    ("C, G, O", "Cells not smoothed, their borders, contours"),
    ("R, L, V", "Draw a rectangle, draw a lasso, move the photo"),
    ("F", "Fit the photo"),
    ("+, -", "Zoom in, out"),
    ("K", "Zoom panes together, or each on its own"),
    ("I", "What the network saw"),
    ("F11", "Full screen"),
    ("Tab, then arrows", "Choose a pane, then a cell of it"),
    ("Esc", "Clear the class search, put the drawing tool away"),
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
    if CopyKey::take(ctx) {
        give(Command::Copy);
    }
    if pressed(Modifiers::COMMAND | Modifiers::SHIFT, Key::O) {
        give(Command::AskForFolder);
    }
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
    if plain(Key::F11) {
        give(Command::FullScreen);
    }
    if nothing_focused {
        if plain(Key::ArrowLeft) {
            give(Command::StepPhoto(-1));
        }
        if plain(Key::ArrowRight) {
            give(Command::StepPhoto(1));
        }
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
    // Not consumed: an open menu wants it first.
    let escape = ctx.input(|input| input.key_pressed(Key::Escape));
    if escape && !egui::Popup::is_any_open(ctx) {
        app.state.search.clear();
        app.show_keys = false;
        app.show_input = false;
        app.tool = Tool::Move;
        app.drawing = None;
        app.probe_by_key = None;
    }
    if typing {
        return;
    }
    let copies = |event: &Event| matches!(event, Event::Copy);
    if ctx.input(|input| input.events.iter().any(copies)) {
        CopyKey::press(ctx);
    }
    for (tool, _, key) in Tool::ALL {
        if plain(key) {
            app.tool = tool;
        }
    }
    look_keys(&mut app.state.settings.display_options, plain);
    if nothing_focused && plain(Key::Space) {
        let view = &mut app.state.settings.view;
        *view = view.flipped();
    }
    pane_keys(app, ctx);
}

/// Which panes are shown, and what of the photo.
fn pane_keys(app: &mut App, ctx: &Context) {
    let pressed = |modifiers, key| ctx.input_mut(|input| input.consume_key(modifiers, key));
    let plain = |key| pressed(Modifiers::NONE, key);
    if plain(Key::X) {
        app.commands.push(Command::SwapPanes);
    }
    if plain(Key::K) {
        let linked = app.cameras.are_linked();
        app.commands.push(Command::LinkZoom(!linked));
    }
    if plain(Key::I) {
        app.show_input = !app.show_input;
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

/// How maps are drawn.
fn look_keys(display_options: &mut DisplayOptions, plain: impl Fn(Key) -> bool) {
    if plain(Key::S) {
        display_options.scaling = match display_options.scaling {
            Scaling::Signed => Scaling::Max,
            Scaling::Max | Scaling::MinMax => Scaling::Signed,
        };
    }
    if plain(Key::C) {
        display_options.interpolation = match display_options.interpolation {
            Interpolation::Bilinear => Interpolation::Cells,
            Interpolation::Cells => Interpolation::Bilinear,
        };
    }
    if plain(Key::G) {
        display_options.grid = !display_options.grid;
    }
    if plain(Key::O) {
        display_options.contours = !display_options.contours;
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
            // Longer than the smallest windows are high.
            let room = ctx.content_rect().height() - 80.0;
            egui::ScrollArea::vertical()
                .max_height(room)
                .min_scrolled_height(room)
                .show(ui, |ui| {
                    egui::Grid::new("keys")
                        .num_columns(2)
                        .spacing([24.0, 4.0])
                        .show(ui, |ui| {
                            for (key, action) in KEYS {
                                ui.strong(key);
                                ui.label(action);
                                ui.end_row();
                            }
                        });
                });
        });
}
