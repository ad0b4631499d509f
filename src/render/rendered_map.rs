//! A map as it is drawn: map → range → heat → contours. The screen, the exported pictures and
//! the figures are all drawn from a [`RenderedMap`], so they can't differ.

use crate::explain::cam::Map;
use crate::input::framing::Placement;
use crate::render::contour::Line;
use crate::render::display_options::DisplayOptions;
use crate::render::heatmap::{Heatmap, Interpolation, Range, Scaling};
use crate::render::{contour, overlay};

/// How to draw a map.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'a> {
    /// How cell values are scaled to 0..1.
    pub scaling: Scaling,
    /// The range to use instead of the map's own range.
    pub range: Option<Range>,
    /// Interpolation, and whether there are contours.
    pub display_options: &'a DisplayOptions,
    /// Where the network's input lies on the photo.
    pub placement: &'a Placement,
    /// Width and height of the heat's grid, which covers the photo.
    pub grid: (usize, usize),
}

/// A map and everything that is drawn of it.
#[derive(Clone, Debug)]
pub struct RenderedMap {
    /// The cells.
    pub map: Map,
    /// How its values are scaled to 0..1.
    pub scaling: Scaling,
    /// The values that are drawn as no heat and as full heat; `None` if there is nothing to draw.
    pub range: Option<Range>,
    /// Whether the range was given; otherwise it is the map's own.
    pub range_locked: bool,
    /// The heat; `None` if there is nothing to draw.
    pub heat: Option<Heatmap>,
    /// Lines of equal heat, if requested.
    pub contours: Vec<Line>,
    interpolation: Interpolation,
}

impl RenderedMap {
    /// Computes everything that is drawn of a map.
    #[must_use]
    pub fn new(map: Map, how: &Rendering) -> Self {
        let scaling = how.scaling;
        // Without evidence nothing is drawn, whatever the range.
        let own = scaling.range(&map);
        let mut rendered = Self {
            range: own.map(|own| how.range.unwrap_or(own)),
            range_locked: how.range.is_some(),
            heat: None,
            contours: Vec::new(),
            interpolation: how.display_options.interpolation,
            map,
            scaling,
        };
        rendered.heat = rendered.heat_on(how.placement, how.grid);
        if how.display_options.contours {
            let grid = overlay::grid_of(how.placement, contour::SIDE);
            let heat = rendered.heat_on(how.placement, grid);
            rendered.contours = heat.map_or_else(Vec::new, |heat| {
                contour::lines(&heat, DisplayOptions::levels(scaling))
            });
        }
        rendered
    }

    /// The same map and range on another grid (for a photo that is scaled down), without
    /// contours.
    #[must_use]
    pub fn on_grid(&self, placement: &Placement, grid: (usize, usize)) -> Self {
        Self {
            map: self.map.clone(),
            heat: self.heat_on(placement, grid),
            contours: Vec::new(),
            ..*self
        }
    }

    fn heat_on(&self, placement: &Placement, grid: (usize, usize)) -> Option<Heatmap> {
        let range = self.range?;
        let map = &self.map;
        Some(Heatmap::in_range(
            map,
            range,
            placement,
            grid,
            self.interpolation,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::cam::Method;
    use crate::explain::cam::fixture::LAST;
    use crate::input::framing::{Framing, InputSize};

    fn map(cells: &[f32]) -> Map {
        Map {
            recipe: Method::GradCam.into(),
            layer: LAST,
            width: 2,
            height: 2,
            cells: cells.to_vec(),
            condition: 1.0,
        }
    }

    #[test]
    fn a_given_range_replaces_the_maps_own_unless_there_is_no_evidence() {
        let display_options = DisplayOptions {
            contours: true,
            ..DisplayOptions::default()
        };
        let placement = Framing::Whole.place(40, 30, InputSize::of_side(224).unwrap());
        let given = Range {
            low: 0.0,
            high: 8.0,
        };
        let mut how = Rendering {
            scaling: Scaling::Max,
            range: None,
            display_options: &display_options,
            placement: &placement,
            grid: (40, 30),
        };
        let own = RenderedMap::new(map(&[0.0, 1.0, 2.0, 4.0]), &how);
        assert_eq!(own.range.map(|range| range.high), Some(4.0));
        assert!(!own.range_locked && !own.contours.is_empty());
        how.range = Some(given);
        let held = RenderedMap::new(map(&[0.0, 1.0, 2.0, 4.0]), &how);
        assert_eq!((held.range, held.range_locked), (Some(given), true));
        let none = RenderedMap::new(map(&[0.0, -1.0, 0.0, 0.0]), &how);
        assert!(none.range.is_none() && none.heat.is_none() && none.contours.is_empty());
        let again = held.on_grid(&placement, (40, 30));
        let values = |rendered: &RenderedMap| rendered.heat.as_ref().unwrap().values();
        assert_eq!(values(&again), values(&held));
        assert!(again.contours.is_empty());
    }
}
