//! The camera of each pane: the visible part of the photo and its zoom. Linked panes share one
//! camera.

use eframe::egui::{Pos2, Rect, Vec2, pos2, vec2};

use crate::app::state::settings::PANES;

/// Maximum zoom relative to the size at which the photo fits.
const MAX_ZOOM: f32 = 64.0;

/// Zoom and position relative to the photo, so that they apply to panes of any size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// 1 shows the whole photo.
    zoom: f32,
    /// The photo position at the pane's center, 0..1 on both axes.
    center: Vec2,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            zoom: 1.0,
            center: vec2(0.5, 0.5),
        }
    }
}

impl Camera {
    /// The rectangle of the whole photo (with this width and height in any unit) for a pane, in
    /// points.
    pub fn photo_rect(&self, pane: Rect, photo: Vec2) -> Rect {
        let fit = (pane.width() / photo.x).min(pane.height() / photo.y);
        let size = photo * fit * self.zoom;
        let axis = |center: f32, pane: f32, size: f32| {
            let half = pane / (2.0 * size);
            if half >= 0.5 {
                0.5
            } else {
                center.clamp(half, 1.0 - half)
            }
        };
        let center = vec2(
            axis(self.center.x, pane.width(), size.x),
            axis(self.center.y, pane.height(), size.y),
        );
        Rect::from_min_size(pane.center() - center * size, size)
    }

    /// Zooms by a factor; the photo position under `anchor` stays in place.
    pub fn zoom_about(&mut self, anchor: Pos2, factor: f32, pane: Rect, photo: Vec2) {
        let before = self.photo_rect(pane, photo);
        let held = (anchor - before.min) / before.size();
        self.zoom = (self.zoom * factor).clamp(1.0, MAX_ZOOM);
        let size = before.size() / before.width() * self.photo_rect(pane, photo).width();
        let min = anchor - held * size;
        self.center = (pane.center() - min) / size;
        self.settle(pane, photo);
    }

    /// Zooms by a factor about the center of every pane.
    pub fn zoom_by(&mut self, factor: f32) {
        self.zoom = (self.zoom * factor).clamp(1.0, MAX_ZOOM);
    }

    /// Moves the photo by a distance in points.
    pub fn pan(&mut self, by: Vec2, pane: Rect, photo: Vec2) {
        self.center -= by / self.photo_rect(pane, photo).size();
        self.settle(pane, photo);
    }

    /// Replaces the requested position by the one that is shown.
    fn settle(&mut self, pane: Rect, photo: Vec2) {
        let rect = self.photo_rect(pane, photo);
        self.center = (pane.center() - rect.min) / rect.size();
    }
}

/// The cameras of all panes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cameras {
    each: [Camera; PANES],
    linked: bool,
}

impl Default for Cameras {
    fn default() -> Self {
        Self {
            each: [Camera::default(); PANES],
            linked: true,
        }
    }
}

impl Cameras {
    /// The index of a pane's camera.
    pub fn slot(&self, pane: usize) -> usize {
        if self.linked { 0 } else { pane }
    }

    /// A pane's camera.
    pub fn of(&mut self, pane: usize) -> &mut Camera {
        &mut self.each[self.slot(pane)]
    }

    /// Whether all panes share one camera.
    pub fn are_linked(&self) -> bool {
        self.linked
    }

    /// Links the panes, or gives each its own camera with the current view.
    pub fn link(&mut self, linked: bool) {
        self.each = [self.each[0]; PANES];
        self.linked = linked;
    }

    /// Shows the whole photo in all panes.
    pub fn fit(&mut self) {
        self.each = [Camera::default(); PANES];
    }

    /// Zooms all panes about their centers.
    pub fn zoom_by(&mut self, factor: f32) {
        for camera in &mut self.each {
            camera.zoom_by(factor);
        }
    }
}

/// The photo position (0..1) under a point, if the point is on the photo.
pub fn on_photo(point: Pos2, photo_rect: Rect) -> Option<Pos2> {
    let at = (point - photo_rect.min) / photo_rect.size();
    let inside = (0.0..1.0).contains(&at.x) && (0.0..1.0).contains(&at.y);
    inside.then_some(pos2(at.x, at.y))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANE: Rect = Rect {
        min: pos2(100.0, 50.0),
        max: pos2(500.0, 350.0),
    };

    #[test]
    fn the_whole_photo_fits_and_is_centered() {
        let rect = Camera::default().photo_rect(PANE, vec2(4000.0, 1000.0));
        assert_eq!(
            rect,
            Rect::from_min_max(pos2(100.0, 150.0), pos2(500.0, 250.0))
        );
    }

    #[test]
    fn zooming_holds_the_point_under_the_pointer() {
        let photo = vec2(640.0, 480.0);
        let mut camera = Camera::default();
        let anchor = pos2(240.0, 170.0);
        let before = on_photo(anchor, camera.photo_rect(PANE, photo)).unwrap();
        for _ in 0..5 {
            camera.zoom_about(anchor, 1.4, PANE, photo);
        }
        let after = on_photo(anchor, camera.photo_rect(PANE, photo)).unwrap();
        assert!((before - after).length() < 1e-4, "{before:?} {after:?}");
        for _ in 0..50 {
            camera.zoom_about(anchor, 0.5, PANE, photo);
        }
        assert_eq!(camera, Camera::default());
    }

    #[test]
    fn linked_panes_share_a_camera_and_others_do_not() {
        let photo = vec2(640.0, 480.0);
        let mut cameras = Cameras::default();
        cameras.of(2).zoom_about(PANE.center(), 3.0, PANE, photo);
        let is = |cameras: &mut Cameras, expected: [f32; 3]| {
            let zooms = [0, 1, 2].map(|pane| cameras.of(pane).zoom);
            let pairs = zooms.iter().zip(expected);
            assert!(
                pairs
                    .into_iter()
                    .all(|(zoom, wanted)| (zoom - wanted).abs() < 1e-4),
                "{zooms:?}"
            );
        };
        is(&mut cameras, [3.0; 3]);
        cameras.link(false);
        cameras.of(1).zoom_about(PANE.center(), 2.0, PANE, photo);
        is(&mut cameras, [3.0, 6.0, 3.0]);
        cameras.link(true);
        is(&mut cameras, [3.0; 3]);
    }

    #[test]
    fn panning_stops_at_the_edges() {
        let photo = vec2(400.0, 300.0);
        let mut camera = Camera::default();
        camera.pan(vec2(50.0, 0.0), PANE, photo);
        assert_eq!(camera, Camera::default(), "a photo that fits does not move");
        camera.zoom_about(PANE.center(), 2.0, PANE, photo);
        camera.pan(vec2(1e6, -1e6), PANE, photo);
        let rect = camera.photo_rect(PANE, photo);
        assert!((rect.left() - PANE.left()).abs() < 1e-2);
        assert!((rect.bottom() - PANE.bottom()).abs() < 1e-2);
    }
}
