//! Shortens the names of classes to a width on screen: the middle is cut out and the index is
//! added, so that no two classes look the same.

use eframe::egui::{Color32, FontId, Painter, Ui};

use crate::labels::{ClassId, Labels};
use crate::text::elide;

/// The measured width is slightly smaller than the space that widgets leave for text.
const SLACK: f32 = 1.0;

/// The longest text that fits into `room`, where `text` gives the text for a number of letters.
/// Layouts are cached between frames: a text that fits is measured only once.
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

/// The name of a class.
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

/// The width for text in the box of a menu, without its margins and its arrow.
pub fn room_in_box(ui: &Ui, width: f32) -> f32 {
    let spacing = ui.spacing();
    width - 2.0 * spacing.button_padding.x - spacing.icon_width - 2.0 * spacing.icon_spacing
}
