//! Names of classes where they do not fit: cut in their middle to a width on screen, with their
//! index, so that no two classes look the same.

use eframe::egui::{Color32, FontId, Painter, Ui};

use crate::labels::{ClassId, Labels};
use crate::text::elide;

/// What widths are measured with is a little less than what widgets leave for text.
const SLACK: f32 = 1.0;

/// The longest of some texts, each for a number of letters of its names, that fits into `room`.
/// Layouts are kept from frame to frame: a text that fits is measured once.
pub fn longest(
    painter: &Painter,
    font: &FontId,
    room: f32,
    text: impl Fn(usize) -> String,
) -> String {
    let fits = |text: &str| {
        let galley = painter.layout_no_wrap(text.to_owned(), font.clone(), Color32::PLACEHOLDER);
        galley.size().x <= room - SLACK
    };
    elide::longest(fits, text)
}

/// A class's name.
pub fn class(
    painter: &Painter,
    font: &FontId,
    room: f32,
    (labels, class): (&Labels, ClassId),
) -> String {
    longest(painter, font, room, |letters| {
        labels.shortened(class, letters)
    })
}

/// The room for text in a menu's box of a width: what its edges and its arrow leave.
pub fn room_in_box(ui: &Ui, width: f32) -> f32 {
    let spacing = ui.spacing();
    width - 2.0 * spacing.button_padding.x - spacing.icon_width - 2.0 * spacing.icon_spacing
}
