//! Regions that the user draws: the tools, and drawing them over the panes.

use eframe::egui::{
    Align2, Color32, FontId, Painter, PointerButton, Rect, Response, Stroke, Ui, pos2, vec2,
};

use crate::app::pane::camera::on_photo;
use crate::app::state::State;
use crate::app::state::action::{Action, Actions};
use crate::app::state::region_list::Tool;
use crate::explain::region::{MOST_CORNERS, Shape};
use crate::input::photo::Photo;
use crate::text::printable;
use crate::worker::Answer;

/// Distance between the corners of a lasso, in points.
const LASSO_STEP: f32 = 3.0;
/// Rectangles with a shorter side, in points, are ignored as accidental.
const SMALLEST: f32 = 3.0;

/// A shape being drawn: positions (0..1) on the photo.
#[derive(Debug)]
pub struct Drawing {
    tool: Tool,
    points: Vec<(f32, f32)>,
}

impl Drawing {
    /// The shape in photo pixels, clipped to the photo; `None` if it is empty.
    fn shape(&self, photo: &Photo) -> Option<Shape> {
        let (width, height) = (photo.width as f64, photo.height as f64);
        let place = |&(x, y): &(f32, f32)| {
            let axis = |at: f32, side: f64| (f64::from(at) * side).clamp(0.0, side);
            (axis(x, width), axis(y, height))
        };
        let shape = match self.tool {
            Tool::Move => return None,
            Tool::Rectangle => {
                let (a, b) = (place(self.points.first()?), place(self.points.last()?));
                // Rounded to whole pixels, so that drawn values can also be typed.
                let low = |a: f64, b: f64| a.min(b).floor();
                let high = |a: f64, b: f64| a.max(b).ceil();
                Shape::Rectangle([low(a.0, b.0), low(a.1, b.1), high(a.0, b.0), high(a.1, b.1)])
            }
            Tool::Lasso => Shape::Lasso(self.points.iter().map(place).collect()),
        };
        shape.is_sound().then_some(shape)
    }
}

/// Handles the pointer in a pane while a drawing tool is selected.
pub fn draw(
    ui: &Ui,
    (response, photo_rect): (&Response, Rect),
    state: &State,
    drawing: &mut Option<Drawing>,
    actions: &mut Actions,
) {
    let Some(shown) = state.latest.shown() else {
        return;
    };
    if state.tool == Tool::Move {
        return;
    }
    let Some(pointer) = response.interact_pointer_pos() else {
        return;
    };
    let place = (pointer - photo_rect.min) / photo_rect.size();
    if response.drag_started_by(PointerButton::Primary) {
        let origin = ui
            .input(|input| input.pointer.press_origin())
            .unwrap_or(pointer);
        let start = (origin - photo_rect.min) / photo_rect.size();
        *drawing = on_photo(origin, photo_rect).map(|_| Drawing {
            tool: state.tool,
            points: vec![(start.x, start.y)],
        });
    }
    let Some(shape) = drawing else {
        return;
    };
    if response.dragged_by(PointerButton::Primary) {
        let far = shape.points.last().is_none_or(|&(x, y)| {
            let before = photo_rect.min + vec2(x, y) * photo_rect.size();
            before.distance(pointer) >= LASSO_STEP
        });
        match shape.tool {
            Tool::Lasso if !far || shape.points.len() >= MOST_CORNERS => {}
            Tool::Lasso => shape.points.push((place.x, place.y)),
            _ => {
                shape.points.truncate(1);
                shape.points.push((place.x, place.y));
            }
        }
    }
    if response.drag_stopped() {
        let drawing = drawing.take();
        let large = drawing.as_ref().is_some_and(|drawing| {
            let at = |&(x, y): &(f32, f32)| photo_rect.min + vec2(x, y) * photo_rect.size();
            let bounds = drawing.points.iter().map(at);
            let bounds = bounds.fold(Rect::NOTHING, |mut rect, point| {
                rect.extend_with(point);
                rect
            });
            bounds.width() >= SMALLEST && bounds.height() >= SMALLEST
        });
        let shape = drawing
            .filter(|_| large)
            .and_then(|drawing| drawing.shape(&shown.photo));
        if let (Some(shape), Some(photo)) = (shape, shown.plan.photo) {
            actions.push(Action::AddRegion { photo, shape });
        }
    }
}

/// Paints the regions of a photo, and the one being drawn.
#[allow(clippy::cast_possible_truncation)] // screen precision
pub fn paint(
    (painter, photo_rect): (&Painter, Rect),
    (state, shown): (&State, &Answer),
    drawing: Option<&Drawing>,
) {
    let photo = &shown.photo;
    let place = |(x, y): (f64, f64)| {
        let share = vec2(
            (x / photo.width as f64) as f32,
            (y / photo.height as f64) as f32,
        );
        photo_rect.min + share * photo_rect.size()
    };
    for region in state.regions.of(shown.plan.photo) {
        let corners: Vec<_> = region.shape.corners().into_iter().map(place).collect();
        outline(painter, &corners);
        let first = corners
            .iter()
            .copied()
            .reduce(|a, b| if b.y < a.y { b } else { a });
        if let Some(first) = first {
            let at = first + vec2(4.0, 2.0);
            let font = FontId::proportional(12.0);
            let galley =
                painter.layout_no_wrap(printable::name(&region.name), font, Color32::WHITE);
            let back = Align2::LEFT_TOP.anchor_size(at, galley.size() + vec2(6.0, 2.0));
            painter.rect_filled(back, 2.0, Color32::from_black_alpha(170));
            painter.galley(back.min + vec2(3.0, 1.0), galley, Color32::WHITE);
        }
    }
    if let Some(drawing) = drawing {
        let at = |&(x, y): &(f32, f32)| photo_rect.min + vec2(x, y) * photo_rect.size();
        let corners: Vec<_> = match (drawing.tool, &drawing.points[..]) {
            (Tool::Rectangle, [first, .., last]) => {
                let (a, b) = (at(first), at(last));
                vec![a, pos2(b.x, a.y), b, pos2(a.x, b.y)]
            }
            (_, points) => points.iter().map(at).collect(),
        };
        outline(painter, &corners);
    }
}

fn outline(painter: &Painter, corners: &[eframe::egui::Pos2]) {
    let mut line = corners.to_vec();
    line.extend(corners.first());
    for (width, color) in [(3.0, Color32::from_black_alpha(160)), (1.2, Color32::WHITE)] {
        painter.line(line.clone(), Stroke::new(width, color));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_beyond_the_photo_ends_at_its_edge() {
        let photo = Photo::from_rgb("x", 200, 100, vec![0; 3 * 200 * 100]);
        let drawing = |tool, points: &[(f32, f32)]| Drawing {
            tool,
            points: points.to_vec(),
        };
        let shape = drawing(Tool::Rectangle, &[(0.9, 0.5), (0.5, 1.7)]).shape(&photo);
        assert_eq!(shape, Some(Shape::Rectangle([100.0, 50.0, 180.0, 100.0])));
        assert_eq!(
            drawing(Tool::Lasso, &[(0.1, 0.1), (0.5, 0.5)]).shape(&photo),
            None
        );
        let point = drawing(Tool::Rectangle, &[(0.1, 0.1)]).shape(&photo);
        assert!(point.is_some(), "a pixel is the least");
    }
}
