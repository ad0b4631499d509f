//! Textures on the graphics card: the photo, the heat of the maps, thumbnails. Each is made when it
//! is first drawn and kept until its inputs change; opacity and zoom need no new textures.

pub(in crate::app) mod photo;

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use eframe::egui::{Color32, ColorImage, Context, Pos2, Rect, TextureHandle, TextureOptions, pos2};

use crate::app::painting::color_image;
use crate::app::state::State;
use crate::app::state::map_spec::MapSpec;
use crate::app::state::settings::Side;
use crate::app::textures::photo::PhotoTexture;
use crate::explain::analysis::Analysis;
use crate::explain::cam::Map;
use crate::input::photo::{Photo, Picture};
use crate::model::target_layer::LayerId;
use crate::render::colormap::{Colormap, Palette};
use crate::render::display_options::{Display, DisplayOptions};
use crate::render::heatmap::{Heatmap, Interpolation, Range, Scaling};
use crate::render::overlay;
use crate::render::overlay::Opacity;
use crate::render::rendered_map::{RenderedMap, Rendering};
use crate::worker::Answer;

/// One map, ready to be drawn. It can be used like its [`RenderedMap`].
pub struct Heat {
    made_of: Ingredients,
    rendered: RenderedMap,
    /// Correlation with the map of the top class, if another class is shown.
    pub likeness: Option<f32>,
    /// The colors, and the part of the photo (0..1) that they cover; `None` without positive
    /// evidence.
    pub picture: Option<(TextureHandle, Rect)>,
}

impl Deref for Heat {
    type Target = RenderedMap;

    fn deref(&self) -> &RenderedMap {
        &self.rendered
    }
}

impl Heat {
    /// Its colormap, and how cell values were scaled.
    pub fn display_options(&self) -> (Colormap, Scaling) {
        let Ingredients {
            display_options,
            scaling,
            ..
        } = &self.made_of;
        (display_options.colormap_for(*scaling), *scaling)
    }

    /// The analysis that it belongs to.
    pub fn analysis(&self) -> &Arc<Analysis> {
        &self.made_of.analysis
    }

    /// What it shows.
    pub fn map_spec(&self) -> MapSpec {
        self.made_of.map_spec
    }
}

struct Ingredients {
    analysis: Arc<Analysis>,
    map_spec: MapSpec,
    scaling: Scaling,
    locked: Option<Range>,
    /// Without the options that do not affect the heat.
    display_options: DisplayOptions,
    /// Whether the map of the top class was available for comparison.
    compared: bool,
}

impl Ingredients {
    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.analysis, &other.analysis)
            && self.map_spec == other.map_spec
            && self.scaling == other.scaling
            && self.locked == other.locked
            && self.display_options == other.display_options
            && self.compared == other.compared
    }
}

/// Where a map is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A map pane.
    Pane(Side),
    /// A small multiple.
    Small(LayerId),
}

/// Longest side of a small multiple's heat in texels.
const SMALL_GRID: usize = 160;

/// Textures by their contents.
#[derive(Default)]
pub struct Textures {
    photo: Option<PhotoTexture>,
    heat: HashMap<Place, Heat>,
    thumbnails: HashMap<u64, TextureHandle>,
}

impl Textures {
    /// Makes the texture of the photo on screen, unless it exists already; from a smaller copy, if the
    /// worker made one.
    pub fn show_photo(&mut self, ctx: &Context, photo: &Arc<Photo>, overview: Option<&Picture>) {
        let there = self.photo.take(); // drop another one before making the next
        let there = there.filter(|texture| texture.is_of(photo));
        self.photo = Some(there.unwrap_or_else(|| PhotoTexture::new(ctx, photo, overview)));
    }

    /// The photo on screen.
    pub fn photo(&self) -> Option<&PhotoTexture> {
        self.photo.as_ref()
    }

    /// The photo on screen, to load the part of it that is in view.
    pub fn photo_mut(&mut self) -> Option<&mut PhotoTexture> {
        self.photo.as_mut()
    }

    /// The heat of a map. While the worker computes it, the previous heat of the same analysis is
    /// returned.
    pub fn heat(
        &mut self,
        ctx: &Context,
        state: &State,
        shown: &Answer,
        place: Place,
        map_spec: MapSpec,
    ) -> Option<&Heat> {
        let scaling = state.scaling(map_spec);
        let analysis = &shown.analysis;
        let top = MapSpec {
            class: analysis.top(),
            ..map_spec
        };
        let kept = self.heat.remove(&place);
        let kept = kept.filter(|heat| Arc::ptr_eq(&heat.made_of.analysis, analysis));
        // A difference is not compared with anything, because it is not the map of a class.
        let compared = map_spec != top
            && map_spec.contrast_class.is_none()
            && matches!(place, Place::Pane(_))
            && state.has_map(top);
        let made_of = Ingredients {
            analysis: analysis.clone(),
            map_spec,
            scaling,
            locked: match place {
                Place::Pane(_) => state.range_locks.locked(analysis, map_spec, scaling),
                Place::Small(_) => None,
            },
            display_options: DisplayOptions {
                opacity: Opacity::default(),
                display: Display::default(),
                grid: false,
                contours: state.settings.display_options.contours
                    && matches!(place, Place::Pane(_)),
                ..state.settings.display_options
            },
            compared,
        };
        let heat = match kept {
            Some(heat) if heat.made_of.same(&made_of) => Some(heat),
            kept => match state.map(analysis, map_spec) {
                Some(map) => {
                    let reference = compared.then(|| state.map(analysis, top)).flatten();
                    Some(make_heat(ctx, place, made_of, map, reference.as_ref()))
                }
                None => kept,
            },
        };
        if let Some(heat) = heat {
            self.heat.insert(place, heat);
        }
        self.heat.get(&place)
    }

    /// The heat last drawn in a pane.
    pub fn kept(&self, side: Side) -> Option<&Heat> {
        self.heat.get(&Place::Pane(side))
    }

    /// Puts a thumbnail on the graphics card, by the ID of its photo.
    pub fn add_thumbnail(&mut self, ctx: &Context, id: u64, picture: &Picture) {
        let name = format!("thumbnail {id}");
        let texture = ctx.load_texture(name, color_image(picture), TextureOptions::LINEAR);
        self.thumbnails.insert(id, texture);
    }

    /// The thumbnail of a photo, if there is one.
    pub fn thumbnail(&self, id: u64) -> Option<&TextureHandle> {
        self.thumbnails.get(&id)
    }

    /// Drops a thumbnail.
    pub fn forget_thumbnail(&mut self, id: u64) {
        self.thumbnails.remove(&id);
    }
}

fn make_heat(
    ctx: &Context,
    place: Place,
    made_of: Ingredients,
    map: Map,
    reference: Option<&Map>,
) -> Heat {
    let placement = &made_of.analysis.placement;
    let mut grid = overlay::screen_grid(placement, (map.width, map.height));
    if let Place::Small(_) = place {
        let longest = grid.0.max(grid.1).max(SMALL_GRID);
        let shrunk = |side: usize| (side * SMALL_GRID / longest).max(1);
        grid = (shrunk(grid.0), shrunk(grid.1));
    }
    let display_options = &made_of.display_options;
    let how = Rendering {
        scaling: made_of.scaling,
        range: made_of.locked,
        display_options,
        placement,
        grid,
    };
    let rendered = RenderedMap::new(map, &how);
    let heat = rendered.heat.as_ref().filter(|heat| !heat.is_empty());
    let picture = heat.map(|heat| {
        let Palette(table) = display_options.palette(made_of.scaling);
        let table = table.map(|[r, g, b, a]| Color32::from_rgba_unmultiplied(r, g, b, a));
        let pixels = overlay::colors(heat, &table);
        let image = ColorImage::new([heat.extent.0, heat.extent.1], pixels);
        let filter = match display_options.interpolation {
            Interpolation::Bilinear => TextureOptions::LINEAR,
            Interpolation::Cells => TextureOptions::NEAREST, // squares have edges
        };
        let texture = ctx.load_texture(format!("{place:?}"), image, filter);
        (texture, covered(heat))
    });
    Heat {
        likeness: reference.and_then(|reference| rendered.map.correlation(reference)),
        rendered,
        picture,
        made_of,
    }
}

/// The part of the photo that the heat covers, 0..1 on both axes.
fn covered(heat: &Heatmap) -> Rect {
    let at = |x: usize, y: usize| -> Pos2 {
        pos2(x as f32 / heat.size.0 as f32, y as f32 / heat.size.1 as f32)
    };
    let (left, top) = heat.offset;
    Rect::from_min_max(at(left, top), at(left + heat.extent.0, top + heat.extent.1))
}
