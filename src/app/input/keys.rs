//! Keyboard shortcuts, and the window that lists them.

use eframe::egui;
use eframe::egui::{Context, Event, Key, Modifiers};

use crate::app::input::copy_key::CopyKey;
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::command::Command;
use crate::app::state::dialogs::Dialog;
use crate::app::state::region_list::Tool;
use crate::app::state::settings::{Side, View};
use crate::render::heatmap::{Interpolation, Scaling};

/// When a key applies to the window instead of the focused widget.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// Always.
    Always,
    /// Unless a text field has the focus.
    NotTyping,
    /// Unless any widget has the focus.
    NoFocus,
    /// Unless a widget other than a text field has the focus: in the search field, arrow keys
    /// move through the search results.
    NoFocusOrTyping,
}

/// What the action of a key may depend on.
pub struct Now<'a> {
    /// The state before the action.
    pub state: &'a State,
    /// Whether all panes are zoomed together.
    pub zoom_is_linked: bool,
}

/// A key and its action.
struct Binding {
    modifiers: Modifiers,
    key: Key,
    when: When,
    action: fn(&Now) -> Action,
}

const fn with(modifiers: Modifiers, key: Key, when: When, action: fn(&Now) -> Action) -> Binding {
    Binding {
        modifiers,
        key,
        when,
        action,
    }
}

const fn on(key: Key, when: When, action: fn(&Now) -> Action) -> Binding {
    with(Modifiers::NONE, key, when, action)
}

/// A row of the list of keys.
struct Row {
    keys: &'static str,
    meaning: &'static str,
    /// The keys bound here. Ctrl+C, Ctrl+V and Esc are handled by [`handle`], H and Tab by the
    /// panes.
    bindings: &'static [Binding],
}

const fn row(keys: &'static str, meaning: &'static str, bindings: &'static [Binding]) -> Row {
    Row {
        keys,
        meaning,
        bindings,
    }
}

/// The zoom factor of one press of + or -.
const ZOOM_STEP: f32 = 1.25;

const CTRL: Modifiers = Modifiers::COMMAND;
const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

/// Every key and what it does. If two keys differ only in Shift, the one with Shift comes first.
static KEYS: [Row; 22] = [
    row(
        "Ctrl+O, Ctrl+Shift+O",
        "Open photos, a folder",
        &[
            with(CTRL_SHIFT, Key::O, When::Always, |_| {
                Command::AskForFolder.into()
            }),
            with(CTRL, Key::O, When::Always, |_| Command::AskForPhotos.into()),
        ],
    ),
    row("Ctrl+V", "Paste an image or a path", &[]),
    row(
        "Ctrl+S",
        "Export all that is on screen into a folder",
        &[with(CTRL, Key::S, When::Always, |_| {
            Command::AskForExport.into()
        })],
    ),
    row(
        "Ctrl+C",
        "Copy the selected text, or the pane under the pointer, or the first map",
        &[],
    ),
    row(
        "1, 2, 3",
        "Side by side, left map, right map",
        &[
            on(Key::Num1, When::NotTyping, |_| {
                Action::SetView(View::SideBySide)
            }),
            on(Key::Num2, When::NotTyping, |_| {
                Action::SetView(View::Single(Side::Left))
            }),
            on(Key::Num3, When::NotTyping, |_| {
                Action::SetView(View::Single(Side::Right))
            }),
        ],
    ),
    row(
        "Space",
        "Flip between the two maps",
        &[on(Key::Space, When::NoFocus, |now| {
            Action::SetView(now.state.settings.view.flipped())
        })],
    ),
    row(
        "X",
        "Swap the maps",
        &[on(Key::X, When::NotTyping, |_| Action::SwapPanes)],
    ),
    row(
        "[, ]",
        "Earlier, later target layer",
        &[
            on(Key::OpenBracket, When::NotTyping, |_| Action::StepLayer(-1)),
            on(Key::CloseBracket, When::NotTyping, |_| Action::StepLayer(1)),
        ],
    ),
    row(
        "Up, Down",
        "Previous, next class",
        &[
            on(Key::ArrowUp, When::NoFocusOrTyping, |_| {
                Action::StepClass(-1)
            }),
            on(Key::ArrowDown, When::NoFocusOrTyping, |_| {
                Action::StepClass(1)
            }),
        ],
    ),
    row(
        "Left, Right",
        "Previous, next photo (also Page Up, Page Down)",
        &[
            on(Key::PageUp, When::Always, |_| Action::StepPhoto(-1)),
            on(Key::PageDown, When::Always, |_| Action::StepPhoto(1)),
            on(Key::ArrowLeft, When::NoFocus, |_| Action::StepPhoto(-1)),
            on(Key::ArrowRight, When::NoFocus, |_| Action::StepPhoto(1)),
        ],
    ),
    row(
        "S",
        "Positive or signed evidence",
        &[on(Key::S, When::NotTyping, |now| {
            Action::SetScaling(match now.state.settings.display_options.scaling {
                Scaling::Signed => Scaling::Max,
                Scaling::Max | Scaling::MinMax => Scaling::Signed,
            })
        })],
    ),
    row("H", "Hold: hide the overlay", &[]),
    row(
        "C, G, O",
        "Cells not smoothed, their borders, contours",
        &[
            on(Key::C, When::NotTyping, |now| {
                Action::SetInterpolation(match now.state.settings.display_options.interpolation {
                    Interpolation::Bilinear => Interpolation::Cells,
                    Interpolation::Cells => Interpolation::Bilinear,
                })
            }),
            on(Key::G, When::NotTyping, |now| {
                Action::ShowGrid(!now.state.settings.display_options.grid)
            }),
            on(Key::O, When::NotTyping, |now| {
                Action::ShowContours(!now.state.settings.display_options.contours)
            }),
        ],
    ),
    row(
        "R, L, V",
        "Draw a rectangle, draw a lasso, move the photo",
        &[
            on(tool_key(Tool::Rectangle), When::NotTyping, |_| {
                Action::SetTool(Tool::Rectangle)
            }),
            on(tool_key(Tool::Lasso), When::NotTyping, |_| {
                Action::SetTool(Tool::Lasso)
            }),
            on(tool_key(Tool::Move), When::NotTyping, |_| {
                Action::SetTool(Tool::Move)
            }),
        ],
    ),
    row(
        "F",
        "Fit the photo",
        &[on(Key::F, When::NotTyping, |_| Command::Fit.into())],
    ),
    row(
        "+, -",
        "Zoom in, out",
        &[
            on(Key::Plus, When::NotTyping, |_| {
                Command::Zoom(ZOOM_STEP).into()
            }),
            on(Key::Equals, When::NotTyping, |_| {
                Command::Zoom(ZOOM_STEP).into()
            }),
            on(Key::Minus, When::NotTyping, |_| {
                Command::Zoom(1.0 / ZOOM_STEP).into()
            }),
        ],
    ),
    row(
        "K",
        "Zoom panes together, or each on its own",
        &[on(Key::K, When::NotTyping, |now| {
            Command::LinkZoom(!now.zoom_is_linked).into()
        })],
    ),
    row(
        "I",
        "What the network saw",
        &[on(Key::I, When::NotTyping, |now| {
            Action::ShowDialog(Dialog::Input, !now.state.dialogs.input)
        })],
    ),
    row(
        "F11",
        "Full screen",
        &[on(Key::F11, When::Always, |_| Command::FullScreen.into())],
    ),
    row("Tab, then arrows", "Choose a pane, then a cell of it", &[]),
    row(
        "Esc",
        "Clear the class search, put the drawing tool away",
        &[],
    ),
    row(
        "F1",
        "This list",
        &[on(Key::F1, When::Always, |now| {
            Action::ShowDialog(Dialog::Keys, !now.state.dialogs.keys)
        })],
    ),
];

/// The key of a tool.
pub const fn tool_key(tool: Tool) -> Key {
    match tool {
        Tool::Move => Key::V,
        Tool::Rectangle => Key::R,
        Tool::Lasso => Key::L,
    }
}

/// Turns keys into actions. Letters and digits go to the focused text field, arrows and Space to
/// any focused widget.
pub fn handle(ctx: &Context, now: &Now, actions: &mut Actions) {
    let typing = ctx.text_edit_focused();
    let nothing_focused = ctx.memory(|memory| memory.focused().is_none());
    if CopyKey::take(ctx) {
        actions.push(Command::Copy);
    }
    for binding in KEYS.iter().flat_map(|row| row.bindings) {
        let applies = match binding.when {
            When::Always => true,
            When::NotTyping => !typing,
            When::NoFocus => nothing_focused,
            When::NoFocusOrTyping => nothing_focused || typing,
        };
        let Binding { modifiers, key, .. } = *binding;
        if applies && ctx.input_mut(|input| input.consume_key(modifiers, key)) {
            actions.push((binding.action)(now));
        }
    }
    // Not consumed, because an open menu must get it first.
    let escape = ctx.input(|input| input.key_pressed(Key::Escape));
    if escape && !egui::Popup::is_any_open(ctx) {
        actions.push(Action::SetSearch(String::new()));
        actions.push(Action::ShowDialog(Dialog::Keys, false));
        actions.push(Action::ShowDialog(Dialog::Input, false));
        actions.push(Action::SetTool(Tool::Move));
        actions.push(Command::CancelGestures);
    }
    let copies = |event: &Event| matches!(event, Event::Copy);
    if !typing && ctx.input(|input| input.events.iter().any(copies)) {
        CopyKey::press(ctx);
    }
}

/// The list of keys.
pub fn help_ui(ctx: &Context, state: &State, actions: &mut Actions) {
    if !state.dialogs.keys {
        return;
    }
    let mut open = true;
    egui::Window::new("Keys")
        .open(&mut open)
        .collapsible(false)
        .resizable(false)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ctx, |ui| {
            // Smaller windows need scrolling.
            let room = ctx.content_rect().height() - 80.0;
            egui::ScrollArea::vertical()
                .max_height(room)
                .min_scrolled_height(room)
                .show(ui, |ui| {
                    egui::Grid::new("keys")
                        .num_columns(2)
                        .spacing([24.0, 4.0])
                        .show(ui, |ui| {
                            for row in &KEYS {
                                ui.strong(row.keys);
                                ui.label(row.meaning);
                                ui.end_row();
                            }
                        });
                });
        });
    if !open {
        actions.push(Action::ShowDialog(Dialog::Keys, false));
    }
}
