//! Painting helpers that panes and textures share.

use eframe::egui::{
    Color32, ColorImage, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, TextureHandle, pos2, vec2,
};

use crate::input::framing::Placement;
use crate::input::photo::Picture;
use crate::render::contour::Line;
use crate::render::overlay;
use crate::render::overlay::Opacity;

/// Neutral gray behind the photo in every theme, so that it does not affect how colors look.
pub const BEHIND: Color32 = Color32::from_gray(overlay::BEHIND);

/// The texture coordinates of a whole texture.
pub const WHOLE: Rect = Rect {
    min: pos2(0.0, 0.0),
    max: pos2(1.0, 1.0),
};

/// Converts pixels to egui's format.
pub fn color_image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgb([picture.width, picture.height], &picture.rgb)
}

/// `out = (1−a)·photo + a·color`: egui blends the stored values linearly.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0..=255
pub fn paint_heat(painter: &Painter, texture: &TextureHandle, at: Rect, opacity: Opacity) {
    let tint = Color32::from_white_alpha((255.0 * opacity.share()).round() as u8);
    painter.image(texture.id(), at, WHOLE, tint);
}

/// Part of the photo (0..1) on screen.
pub fn within(photo: Rect, part: Rect) -> Rect {
    let at = |corner: Pos2| photo.min + corner.to_vec2() * photo.size();
    Rect::from_min_max(at(part.min), at(part.max))
}

/// The part of the photo that the network saw, 0..1.
#[allow(clippy::cast_possible_truncation)] // screen precision
fn seen(placement: &Placement) -> Rect {
    let [left, top, right, bottom] = placement.seen_in_photo();
    let (width, height) = (placement.photo.0 as f64, placement.photo.1 as f64);
    let at = |x: f64, y: f64| pos2((x / width) as f32, (y / height) as f32);
    Rect::from_min_max(at(left, top), at(right, bottom))
}

/// Darkens what the network did not see.
pub fn dim_unseen(painter: &Painter, placement: &Placement, photo: Rect) {
    if !placement.hides_something() {
        return;
    }
    let seen = within(photo, seen(placement));
    let shade = Color32::BLACK.gamma_multiply(1.0 - overlay::DIMMED);
    for part in [
        photo.with_max_y(seen.top()),
        photo.with_min_y(seen.bottom()),
        Rect::from_min_max(
            pos2(photo.left(), seen.top()),
            pos2(seen.left(), seen.bottom()),
        ),
        Rect::from_min_max(
            pos2(seen.right(), seen.top()),
            pos2(photo.right(), seen.bottom()),
        ),
    ] {
        painter.rect_filled(part, 0.0, shade);
    }
}

/// Draws a frame round what the network saw, if that is not the whole photo.
pub fn outline_seen(painter: &Painter, placement: &Placement, photo: Rect) {
    if !placement.hides_something() {
        return;
    }
    let seen = within(photo, seen(placement));
    for (width, color) in [(3.0, Color32::from_black_alpha(120)), (1.0, Color32::WHITE)] {
        let stroke = Stroke::new(width, color);
        painter.rect_stroke(seen, 0.0, stroke, StrokeKind::Middle);
    }
}

/// Marks the position of the pointer in every pane.
pub fn cross(painter: &Painter, at: Pos2) {
    for (width, color) in [(3.0, Color32::from_black_alpha(140)), (1.0, Color32::WHITE)] {
        let stroke = Stroke::new(width, color);
        painter.line_segment([at - vec2(6.0, 0.0), at + vec2(6.0, 0.0)], stroke);
        painter.line_segment([at - vec2(0.0, 6.0), at + vec2(0.0, 6.0)], stroke);
    }
}

/// White lines with a dark outline are visible on every color.
pub fn lines(painter: &Painter, lines: &[Line], photo: Rect, width: f32) {
    let place = |(x, y): (f32, f32)| photo.min + vec2(x, y) * photo.size();
    for (width, color) in [
        (width + 1.4, Color32::from_black_alpha(150)),
        (width, Color32::WHITE),
    ] {
        let stroke = Stroke::new(width, color);
        let pieces = lines
            .iter()
            .map(|line| Shape::line_segment([place(line.from), place(line.to)], stroke));
        painter.extend(pieces);
    }
}
