//! The photo on the graphics card: an overview of the whole photo, and when zoomed in, the visible
//! part at full resolution. A large photo therefore takes little memory, and a photo of any size
//! can be shown sharply.

use std::sync::Arc;

use eframe::egui::{
    Color32, Context, Painter, Pos2, Rect, TextureFilter, TextureHandle, TextureOptions, Vec2,
    pos2, vec2,
};

use crate::app::painting::{color_image, within};
use crate::app::pane::camera::PANES;
use crate::input::photo::{Area, Photo, Picture};
use crate::worker::OVERVIEW_SIDE;

/// Without mipmaps, a photo that is shown small looks grainy.
const OPTIONS: TextureOptions = TextureOptions {
    mipmap_mode: Some(TextureFilter::Linear),
    ..TextureOptions::LINEAR
};

/// A photo's textures.
#[derive(Clone)]
pub struct PhotoTexture {
    photo: Arc<Photo>,
    overview: Part,
    /// The visible part for each camera.
    details: [Option<Part>; PANES],
}

/// A part of the photo.
#[derive(Clone)]
struct Part {
    texture: TextureHandle,
    area: Area,
    /// Photo pixels per texel, on each axis.
    step: usize,
}

impl PhotoTexture {
    /// Creates the overview, or uses the one that the worker made.
    pub fn new(ctx: &Context, photo: &Arc<Photo>, overview: Option<&Picture>) -> Self {
        let most = ctx.input(|input| input.max_texture_side).min(OVERVIEW_SIDE);
        let step = photo.step_to(most);
        let area = photo.area();
        let overview = match overview {
            Some(overview) if overview.width.max(overview.height) <= most => {
                load(ctx, overview, area, step)
            }
            _ => load(ctx, &photo.part(area, step), area, step),
        };
        Self {
            photo: photo.clone(),
            overview,
            details: Default::default(),
        }
    }

    /// Whether the textures are those of this photo.
    pub fn is_of(&self, photo: &Arc<Photo>) -> bool {
        Arc::ptr_eq(&self.photo, photo)
    }

    /// Loads the visible part for a camera again if the overview and the current part have fewer
    /// pixels than the screen. `view` is the pane, `photo_rect` the rectangle of the whole photo;
    /// both are in points.
    pub fn look_closer(&mut self, ctx: &Context, slot: usize, view: Rect, photo_rect: Rect) {
        let size = (self.photo.width, self.photo.height);
        let on_screen = photo_rect.size() * ctx.pixels_per_point();
        let limit = ctx.input(|input| input.max_texture_side);
        let in_view = in_view(size, view, photo_rect, on_screen, limit);
        let Some((visible, step)) = in_view.filter(|(_, step)| *step < self.overview.step) else {
            self.details[slot] = None;
            return;
        };
        let there = self.details[slot].as_ref();
        if there.is_some_and(|part| part.step <= step && part.area.contains(&visible)) {
            return;
        }
        // Free the old part before loading the next one.
        self.details[slot] = None;
        let area = with_margin(visible, step, size, limit);
        self.details[slot] = Some(load(ctx, &self.photo.part(area, step), area, step));
    }

    /// Paints only the overview of the photo into a rectangle, for small pictures.
    pub fn paint_overview(&self, painter: &Painter, photo_rect: Rect) {
        self.paint_part(painter, photo_rect, &self.overview);
    }

    /// Paints the photo with the visible part of a camera; `photo_rect` is the rectangle of the
    /// whole photo.
    pub fn paint(&self, painter: &Painter, slot: usize, photo_rect: Rect) {
        self.paint_overview(painter, photo_rect);
        if let Some(detail) = &self.details[slot] {
            self.paint_part(painter, photo_rect, detail);
        }
    }

    fn paint_part(&self, painter: &Painter, photo_rect: Rect, part: &Part) {
        let Part {
            texture,
            area,
            step,
        } = part;
        let in_photo = |x: usize, y: usize| {
            pos2(
                x as f32 / self.photo.width as f32,
                y as f32 / self.photo.height as f32,
            )
        };
        let (right, bottom) = (area.left + area.width, area.top + area.height);
        let share = Rect::from_min_max(in_photo(area.left, area.top), in_photo(right, bottom));
        // Blocks at the right and lower edges may hold fewer pixels than the others.
        let [columns, rows] = texture.size();
        let used = pos2(
            area.width as f32 / (columns * step) as f32,
            area.height as f32 / (rows * step) as f32,
        );
        let used = Rect::from_min_max(Pos2::ZERO, used);
        painter.image(
            texture.id(),
            within(photo_rect, share),
            used,
            Color32::WHITE,
        );
    }
}

fn load(ctx: &Context, picture: &Picture, area: Area, step: usize) -> Part {
    Part {
        texture: ctx.load_texture("photo", color_image(picture), OPTIONS),
        area,
        step,
    }
}

/// The part of a photo that a pane shows, in photo pixels, and how many of them are merged into one
/// texel: no more than fall on one screen pixel, but as many as the maximum texture size requires.
/// `None` if no part of the photo is in view.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within the photo
fn in_view(
    photo: (usize, usize),
    view: Rect,
    photo_rect: Rect,
    on_screen: Vec2,
    limit: usize,
) -> Option<(Area, usize)> {
    let seen = view.intersect(photo_rect);
    if !seen.is_positive() {
        return None;
    }
    let pixels = vec2(photo.0 as f32, photo.1 as f32);
    let first = (seen.min - photo_rect.min) / photo_rect.size() * pixels;
    let last = (seen.max - photo_rect.min) / photo_rect.size() * pixels;
    let axis = |first: f32, last: f32, side: usize| {
        let first = (first as usize).min(side - 1);
        (first, ((last.ceil() as usize).min(side) - first).max(1))
    };
    let (left, width) = axis(first.x, last.x, photo.0);
    let (top, height) = axis(first.y, last.y, photo.1);
    let wanted = (pixels / on_screen).min_elem() as usize;
    let step = wanted.max(width.max(height).div_ceil(limit)).max(1);
    let area = Area {
        left,
        top,
        width,
        height,
    };
    Some((area, step))
}

/// Adds a quarter on each side, so that dragging does not need a new part at once. The corner is
/// aligned to whole blocks, so that a block always has the same pixels.
fn with_margin(visible: Area, step: usize, photo: (usize, usize), limit: usize) -> Area {
    let axis = |first: usize, length: usize, side: usize| {
        let room = (limit * step).saturating_sub(length) / 2;
        let margin = (length / 4).min(room.saturating_sub(step));
        let start = first.saturating_sub(margin) / step * step;
        (start, (first + length + margin).min(side) - start)
    };
    let (left, width) = axis(visible.left, visible.width, photo.0);
    let (top, height) = axis(visible.top, visible.height, photo.1);
    Area {
        left,
        top,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHOTO: (usize, usize) = (12_000, 8_000);
    const VIEW: Rect = Rect {
        min: pos2(100.0, 50.0),
        max: pos2(1100.0, 850.0),
    };
    const LIMIT: usize = 4096;

    /// The rectangle of the whole photo if it is `width` points wide and its position (0.5, 0.5) is
    /// in the middle of the view.
    fn zoomed(width: f32) -> Rect {
        Rect::from_center_size(VIEW.center(), vec2(width, width * 2.0 / 3.0))
    }

    #[test]
    fn what_is_in_view_has_at_least_the_screens_pixels() {
        for width in [2100.0, 3000.0, 6000.0, 12_000.0, 60_000.0] {
            let rect = zoomed(width);
            let (area, step) = in_view(PHOTO, VIEW, rect, rect.size(), LIMIT).unwrap();
            let texels = area.width as f32 / step as f32;
            let screen = VIEW.width().min(width);
            let own_pixels = step == 1;
            assert!(own_pixels || texels >= screen - 1.0, "{width}: {texels}");
            assert!(texels <= 2.0 * screen + 2.0, "{width}: {texels}");
            let all = with_margin(area, step, PHOTO, LIMIT);
            assert!(all.contains(&area), "{width}: {all:?} {area:?}");
            assert!(all.width.div_ceil(step) <= LIMIT);
            assert_eq!((all.left % step, all.top % step), (0, 0));
            assert!(all.left + all.width <= PHOTO.0 && all.top + all.height <= PHOTO.1);
        }
    }

    #[test]
    fn a_small_texture_limit_makes_larger_blocks() {
        let rect = zoomed(12_000.0);
        let (area, step) = in_view(PHOTO, VIEW, rect, rect.size(), 256).unwrap();
        assert_eq!((area.width, step), (1000, 4));
        let all = with_margin(area, step, PHOTO, 256);
        assert!(
            all.contains(&area) && all.width.div_ceil(step) <= 256,
            "{all:?}"
        );
    }

    #[test]
    fn a_photo_out_of_view_needs_nothing() {
        let away = Rect::from_min_size(pos2(2000.0, 0.0), vec2(3000.0, 2000.0));
        assert_eq!(in_view(PHOTO, VIEW, away, away.size(), LIMIT), None);
    }

    #[test]
    fn the_last_pixels_of_the_photo_can_be_seen() {
        let rect = Rect::from_min_max(pos2(-10_900.0, -7150.0), pos2(1100.0, 850.0));
        let (area, step) = in_view(PHOTO, VIEW, rect, rect.size(), LIMIT).unwrap();
        assert_eq!(step, 1);
        assert_eq!(
            (area.left + area.width, area.top + area.height),
            (12_000, 8_000)
        );
    }
}
