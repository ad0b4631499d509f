//! Regions that the user draws: the tools, and what they draw over the panes.

use std::collections::HashMap;

use eframe::egui::{
    Align2, Color32, FontId, Key, Painter, PointerButton, Rect, Response, Stroke, Ui, pos2, vec2,
};

use crate::app::App;
use crate::app::pane::camera::on_photo;
use crate::explain::region::{MOST_CORNERS, MOST_REGIONS, Region, Shape};
use crate::input::photo::Photo;
use crate::text::printable;

/// A lasso gets a corner each so many points.
const LASSO_STEP: f32 = 3.0;
/// A rectangle of fewer points on a side was a slip of the hand.
const SMALLEST: f32 = 3.0;

/// What dragging in a pane does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Moves the photo.
    #[default]
    Move,
    /// Draws a rectangle.
    Rectangle,
    /// Draws a line round something.
    Lasso,
}

impl Tool {
    /// Each of them, with its name and its key.
    pub const ALL: [(Self, &'static str, Key); 3] = [
        (Self::Move, "Move the photo", Key::V),
        (Self::Rectangle, "Draw a rectangle", Key::R),
        (Self::Lasso, "Draw a lasso", Key::L),
    ];
}

/// The regions of all photos, by the photos' numbers.
#[derive(Debug, Default)]
pub struct Regions {
    of: HashMap<u64, Vec<Region>>,
}

impl Regions {
    /// A photo's regions.
    #[must_use]
    pub fn of(&self, photo: Option<u64>) -> &[Region] {
        let regions = photo.and_then(|photo| self.of.get(&photo));
        regions.map_or(&[], Vec::as_slice)
    }

    /// A photo's regions, to be changed.
    pub fn of_mut(&mut self, photo: u64) -> &mut Vec<Region> {
        self.of.entry(photo).or_default()
    }

    /// Adds a shape to a photo's regions, under a name that is free: A, B, …. A photo has at
    /// most [`MOST_REGIONS`].
    pub fn add(&mut self, photo: u64, shape: Shape) {
        let regions = self.of_mut(photo);
        if regions.len() >= MOST_REGIONS {
            return;
        }
        let letters = ('A'..='Z').map(String::from);
        let numbers = (1..).map(|number| format!("region {number}"));
        let is_free = |name: &String| regions.iter().all(|region| region.name != *name);
        if let Some(name) = letters.chain(numbers).find(is_free) {
            regions.push(Region { name, shape });
        }
    }
}

/// A shape in the making: positions (0..1) on the photo.
#[derive(Debug)]
pub struct Drawing {
    tool: Tool,
    points: Vec<(f32, f32)>,
}

impl Drawing {
    /// The shape, in photo pixels within the photo; `None` if it encloses nothing.
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
                // Whole pixels: what was drawn can be typed.
                let low = |a: f64, b: f64| a.min(b).floor();
                let high = |a: f64, b: f64| a.max(b).ceil();
                Shape::Rectangle([low(a.0, b.0), low(a.1, b.1), high(a.0, b.0), high(a.1, b.1)])
            }
            Tool::Lasso => Shape::Lasso(self.points.iter().map(place).collect()),
        };
        shape.is_sound().then_some(shape)
    }
}

/// Takes the pointer of a pane while a tool that draws is chosen.
pub fn draw(app: &mut App, ui: &Ui, response: &Response, photo_rect: Rect, photo: &Photo) {
    if app.tool == Tool::Move {
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
        app.drawing = on_photo(origin, photo_rect).map(|_| Drawing {
            tool: app.tool,
            points: vec![(start.x, start.y)],
        });
    }
    let Some(drawing) = &mut app.drawing else {
        return;
    };
    if response.dragged_by(PointerButton::Primary) {
        let far = drawing.points.last().is_none_or(|&(x, y)| {
            let before = photo_rect.min + vec2(x, y) * photo_rect.size();
            before.distance(pointer) >= LASSO_STEP
        });
        match drawing.tool {
            Tool::Lasso if !far || drawing.points.len() >= MOST_CORNERS => {}
            Tool::Lasso => drawing.points.push((place.x, place.y)),
            _ => {
                drawing.points.truncate(1);
                drawing.points.push((place.x, place.y));
            }
        }
    }
    if response.drag_stopped() {
        let drawing = app.drawing.take();
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
            .and_then(|drawing| drawing.shape(photo));
        let shown = app.state.latest.shown().and_then(|shown| shown.plan.photo);
        if let (Some(shape), Some(shown)) = (shape, shown) {
            app.state.regions.add(shown, shape);
        }
    }
}

/// Paints a photo's regions, and the one in the making.
#[allow(clippy::cast_possible_truncation)] // screen precision
pub fn paint(app: &App, painter: &Painter, photo_rect: Rect, photo: &Photo) {
    let shown = app.state.latest.shown().and_then(|shown| shown.plan.photo);
    let place = |(x, y): (f64, f64)| {
        let share = vec2(
            (x / photo.width as f64) as f32,
            (y / photo.height as f64) as f32,
        );
        photo_rect.min + share * photo_rect.size()
    };
    for region in app.state.regions.of(shown) {
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
    if let Some(drawing) = &app.drawing {
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
    fn regions_get_names_that_are_free() {
        let mut regions = Regions::default();
        let shape = Shape::Rectangle([0.0, 0.0, 5.0, 5.0]);
        for _ in 0..28 {
            regions.add(7, shape.clone());
        }
        let names: Vec<&str> = regions
            .of(Some(7))
            .iter()
            .map(|region| &*region.name)
            .collect();
        assert_eq!((names[0], names[25], names[27]), ("A", "Z", "region 2"));
        regions.of_mut(7).remove(1);
        regions.add(7, shape);
        assert_eq!(regions.of(Some(7))[27].name, "B");
        assert!(regions.of(Some(8)).is_empty() && regions.of(None).is_empty());
    }

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
