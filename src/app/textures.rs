//! What is on the graphics card: the photo, the heat of both maps, thumbnails.
//! Everything is made when it is first drawn and kept until what it was made of
//! changes; opacity and zoom need nothing new.

use std::collections::HashMap;
use std::sync::Arc;

use eframe::egui::{
    ColorImage, Context, Pos2, Rect, TextureFilter, TextureHandle, TextureOptions, pos2,
};

use crate::analysis::Analysis;
use crate::cam::{self, Map, Method};
use crate::colormap::Colormap;
use crate::export::Look;
use crate::heatmap::{Heatmap, Scaling};
use crate::labels::ClassId;
use crate::overlay;
use crate::photo::{Photo, Picture};
use crate::worker::Shown;

/// Without mipmaps a photo that is shown small looks grainy.
const PHOTO_OPTIONS: TextureOptions = TextureOptions {
    mipmap_mode: Some(TextureFilter::Linear),
    ..TextureOptions::LINEAR
};

/// One map of the chosen class, ready to be drawn.
pub struct Heat {
    made_of: Ingredients,
    /// The cells.
    pub map: Map,
    /// Correlation with the map of the top class, where another one is chosen.
    pub likeness: Option<f32>,
    /// The colours, and the part of the photo (0..1) that they cover; nothing
    /// where there is no positive evidence.
    pub picture: Option<(TextureHandle, Rect)>,
}

struct Ingredients {
    analysis: Arc<Analysis>,
    class: ClassId,
    scaling: Scaling,
    colormap: Colormap,
}

impl Ingredients {
    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.analysis, &other.analysis)
            && self.class == other.class
            && self.scaling == other.scaling
            && self.colormap == other.colormap
    }
}

/// Textures by what they show.
#[derive(Default)]
pub struct Textures {
    photo: Option<(Arc<Photo>, TextureHandle)>,
    heat: HashMap<Method, Heat>,
    thumbnails: HashMap<u64, TextureHandle>,
}

impl Textures {
    /// The photo, at most as large as the graphics card takes it.
    pub fn photo(&mut self, ctx: &Context, shown: &Shown) -> TextureHandle {
        if let Some((photo, texture)) = &self.photo
            && Arc::ptr_eq(photo, &shown.photo)
        {
            return texture.clone();
        }
        // Let go of the last one before making the next.
        self.photo = None;
        let limit = ctx.input(|input| input.max_texture_side);
        let photo = &shown.photo;
        let image = match &shown.display {
            Some(display) if display.width.max(display.height) <= limit => color_image(display),
            None if photo.width.max(photo.height) <= limit => {
                ColorImage::from_rgb([photo.width, photo.height], &photo.rgb)
            }
            _ => color_image(&photo.scaled_down(limit)),
        };
        let texture = ctx.load_texture("photo", image, PHOTO_OPTIONS);
        self.photo = Some((photo.clone(), texture.clone()));
        texture
    }

    /// The heat of a method for the chosen class.
    pub fn heat(
        &mut self,
        ctx: &Context,
        shown: &Shown,
        method: Method,
        class: ClassId,
        look: Look,
    ) -> &Heat {
        let made_of = Ingredients {
            analysis: shown.analysis.clone(),
            class,
            scaling: look.scaling,
            colormap: look.colormap,
        };
        let kept = self
            .heat
            .remove(&method)
            .filter(|heat| heat.made_of.same(&made_of));
        let heat = kept.unwrap_or_else(|| make_heat(ctx, method, made_of));
        self.heat.entry(method).or_insert(heat)
    }

    /// The cells last drawn for a method.
    pub fn cells(&self, method: Method) -> Option<&Map> {
        self.heat.get(&method).map(|heat| &heat.map)
    }

    /// A thumbnail, by the number of its photo.
    pub fn thumbnail(&mut self, ctx: &Context, id: u64, picture: &Picture) -> TextureHandle {
        let make = || {
            ctx.load_texture(
                format!("thumbnail {id}"),
                color_image(picture),
                TextureOptions::LINEAR,
            )
        };
        self.thumbnails.entry(id).or_insert_with(make).clone()
    }
}

fn make_heat(ctx: &Context, method: Method, made_of: Ingredients) -> Heat {
    let Ingredients {
        analysis,
        class,
        scaling,
        colormap,
    } = &made_of;
    let map_of = |class| cam::explain(method, &analysis.features, &analysis.head, class);
    let map = map_of(*class);
    let likeness = (*class != analysis.top()).then(|| map.correlation(&map_of(analysis.top())));
    let grid = overlay::screen_grid(&analysis.placement);
    let heat = Heatmap::new(&map, *scaling, &analysis.placement, grid);
    let picture = heat.filter(|heat| !heat.values.is_empty()).map(|heat| {
        let image = color_image(&overlay::colours(&heat, *colormap));
        let texture = ctx.load_texture(method.id(), image, TextureOptions::LINEAR);
        (texture, covered(&heat))
    });
    Heat {
        map,
        likeness: likeness.flatten(),
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

fn color_image(picture: &Picture) -> ColorImage {
    ColorImage::from_rgb([picture.width, picture.height], &picture.rgb)
}
