//! The panes as one labeled figure: written as SVG, and rendered from it to PNG.

mod fonts;
mod svg;

use std::sync::Arc;

use resvg::{tiny_skia, usvg};

use crate::input::photo::{Photo, Picture};
use crate::model::Scores;
use crate::render::legend;
use crate::render::rendered_map::RenderedMap;
use crate::report::export::figure::fonts::{Fonts, Style};
use crate::report::export::figure::svg::Place;
use crate::report::export::{ExportError, ExportScene, MapView};
use crate::text::elide::shortened;

/// Width of a pane, in the figure's units.
const PANE: f64 = 400.0;
/// Maximum aspect ratio of a pane; longer photos leave space at their sides.
const MOST_ASPECT: f64 = 3.0;
/// Minimum length of a side of the photo, because a photo of one column would not be visible.
const THINNEST: f64 = 4.0;
/// Longest side of the embedded pictures, in pixels: three per unit.
const PICTURE: usize = 1200;
/// Space around everything, and between a pane and its color bar.
const MARGIN: f64 = 16.0;
/// Space for two lines of text above a pane.
const HEADER: f64 = 40.0;
/// Space for a color bar and its numbers.
const BAR: f64 = 70.0;
/// Line spacing below the panes.
const LINE: f64 = 15.0;
/// Pixels of the PNG per unit, unless it would have more than [`MOST_PIXELS`].
const ZOOM: f64 = 2.0;
/// Maximum number of pixels of the PNG: 128 MB during rendering. Five panes with tall photos have
/// 17 million.
const MOST_PIXELS: f64 = 32e6;
/// Regions beyond this number are drawn without names; their numbers are only in the manifest.
const MOST_REGIONS: usize = 40;
/// Maximum length of the name of a class or region in the notes.
const NAME: usize = 100;
/// Maximum length of the full title, which viewers show on request.
const WHOLE_TITLE: usize = 2000;

const TITLE: Style = Style {
    size: 13.0,
    bold: true,
};
const DETAIL: Style = Style {
    size: 11.0,
    bold: false,
};
const DETAIL_STYLE: &str = r##"font-size="11" fill="#555""##;

/// A figure: the photo and every pane, each with its color bar, and notes about how they were made.
pub struct Figure {
    /// The figure as SVG.
    pub svg: String,
    fonts: Fonts,
}

/// The positions of the parts.
struct Layout {
    /// Width and height of a pane.
    pane: (f64, f64),
    /// Where the photo lies in its pane.
    photo: Place,
    /// Whether the photo is drawn with other proportions than its own.
    distorted: bool,
    /// Total width.
    width: f64,
}

impl Layout {
    #[allow(clippy::float_cmp)] // clamped, or as it was
    fn new((width, height): (usize, usize), panes: usize) -> Self {
        let aspect = height as f64 / width as f64;
        let pane = (PANE, PANE * aspect.clamp(1.0 / MOST_ASPECT, MOST_ASPECT));
        let exact = (PANE.min(pane.1 / aspect), pane.1.min(PANE * aspect));
        let drawn = (exact.0.max(THINNEST), exact.1.max(THINNEST));
        Self {
            pane,
            photo: Place {
                left: (pane.0 - drawn.0) / 2.0,
                top: (pane.1 - drawn.1) / 2.0,
                width: drawn.0,
                height: drawn.1,
            },
            distorted: drawn != exact,
            width: 2.0 * MARGIN + PANE + panes as f64 * (MARGIN + PANE + BAR),
        }
    }

    /// The position of a pane; the photo is the first one.
    fn pane(&self, index: usize) -> Place {
        let left = match index.checked_sub(1) {
            None => MARGIN,
            Some(map) => 2.0 * MARGIN + PANE + map as f64 * (MARGIN + PANE + BAR),
        };
        Place {
            left,
            top: MARGIN + HEADER,
            width: self.pane.0,
            height: self.pane.1,
        }
    }

    /// The position of the photo in a pane.
    fn photo(&self, pane: Place) -> Place {
        Place {
            left: pane.left + self.photo.left,
            top: pane.top + self.photo.top,
            ..self.photo
        }
    }
}

impl Figure {
    /// Writes the SVG.
    ///
    /// # Errors
    /// [`ExportError::Figure`] if a picture can't be encoded, [`ExportError::TooLarge`].
    pub fn new(scene: &ExportScene) -> Result<Self, ExportError> {
        let ExportScene { photo, panes, .. } = scene;
        let layout = Layout::new((photo.width, photo.height), panes.len());
        let fonts = Fonts::for_text(&all_names(scene));
        let below = MARGIN + HEADER + layout.pane.1 + 10.0;
        let height = |lines: usize| below + LINE * lines as f64 + MARGIN;
        let mut notes = notes(scene);
        if layout.distorted {
            let (width, height) = (photo.width, photo.height);
            notes.push(format!(
                "The photo has {width}×{height} pixels; its short side is drawn longer than in proportion."
            ));
        }
        let room = layout.width - 2.0 * MARGIN;
        let wrap = |note: &String| fonts.wrapped(note, DETAIL, room);
        let mut lines: Vec<String> = notes.iter().flat_map(wrap).collect();
        let reduced = zoom(layout.width, height(lines.len() + 1));
        if reduced < ZOOM {
            lines.push(format!(
                "The PNG has {reduced:.2} pixels per unit instead of {ZOOM}; otherwise it would be too large."
            ));
        }
        let (width, total) = (layout.width, height(lines.len()));
        let mut svg = format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total:.1}" viewBox="0 0 {width} {total:.1}" font-family="Ubuntu, sans-serif" font-size="13" fill="#222"><rect width="100%" height="100%" fill="#fff"/>"##
        );
        let at = layout.pane(0);
        let name = fonts.fitted(&photo.name, DETAIL, PANE);
        heading(&mut svg, at, PANE, ("Photo", &name), &photo.name);
        begin_photo(&mut svg, &layout, at);
        let size = (layout.photo.width, layout.photo.height);
        svg::picture(&mut svg, &photo.scaled_down(PICTURE), size)?;
        let mut regions = String::new();
        outlines(&mut regions, scene, &fonts, size);
        svg.push_str(&regions);
        svg::end(&mut svg);
        // Embedded at the size that is drawn: a photo of 12 megapixels would make 40 MB of text.
        let small = small(scene);
        for (index, pane) in panes.iter().enumerate() {
            let at = layout.pane(index + 1);
            let over = small.overlays(&small.panes[index..=index])?;
            draw_pane(
                &mut svg,
                (scene, pane, &over),
                &regions,
                &fonts,
                (&layout, at),
            )?;
        }
        for (index, line) in lines.iter().enumerate() {
            let y = below + LINE * (index as f64 + 1.0);
            svg::text(&mut svg, (MARGIN, y), DETAIL_STYLE, line);
        }
        svg.push_str("</svg>\n");
        Ok(Self { svg, fonts })
    }

    /// Renders the figure, usually at twice its size.
    ///
    /// # Errors
    /// [`ExportError::Figure`] if it can't be rendered.
    pub fn png(&self) -> Result<Vec<u8>, ExportError> {
        draw(&self.svg, &self.fonts)
    }
}

/// Pixels per unit for a figure of this size.
fn zoom(width: f64, height: f64) -> f64 {
    ZOOM.min((MOST_PIXELS / (width * height)).sqrt())
}

fn draw(svg: &str, fonts: &Fonts) -> Result<Vec<u8>, ExportError> {
    let fail = |cause: String| ExportError::Figure(cause);
    let tree =
        usvg::Tree::from_str(svg, fonts.options()).map_err(|error| fail(error.to_string()))?;
    let size = (tree.size().width(), tree.size().height());
    #[allow(clippy::cast_possible_truncation)] // at most 2
    let zoom = zoom(size.0.into(), size.1.into()) as f32;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few thousand
    let side = |length: f32| (length * zoom).ceil() as u32;
    let mut pixels = tiny_skia::Pixmap::new(side(size.0), side(size.1))
        .ok_or_else(|| fail("it has no size".into()))?;
    let zoom = tiny_skia::Transform::from_scale(zoom, zoom);
    resvg::render(&tree, zoom, &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| fail(error.to_string()))
}

/// All text that contains names from outside.
fn all_names(scene: &ExportScene) -> String {
    let labels = &scene.analysis.model.labels;
    let classes = scene
        .panes
        .iter()
        .flat_map(|pane| [Some(pane.class), pane.contrast_class]);
    let classes = classes.flatten().map(|class| labels.name(class));
    let regions = scene.regions.iter().map(|region| region.name.as_str());
    let mut names = scene.photo.name.clone();
    names.extend(classes.chain(regions));
    names
}

fn draw_pane(
    svg: &mut String,
    (scene, pane, over): (&ExportScene, &MapView, &Picture),
    regions: &str,
    fonts: &Fonts,
    (layout, at): (&Layout, Place),
) -> Result<(), ExportError> {
    let analysis = &scene.analysis;
    let labels = &analysis.model.labels;
    let MapView {
        rendered,
        class,
        contrast_class,
    } = pane;
    let RenderedMap { map, scaling, .. } = rendered;
    let layer = analysis.model.layer_name(map.layer.id);
    let detail = format!(
        "{layer}, {}×{} cells, {}",
        map.height,
        map.width,
        scaling.name()
    );
    let map_spec = (*class, *contrast_class);
    let room = PANE + BAR;
    let title = fonts.longest(room, TITLE, |letters| {
        let name = |class| labels.shortened(class, letters);
        legend::title_with(analysis, map.recipe.method, map_spec, name)
    });
    let full = |class| labels.full(class).to_owned();
    let whole = legend::title_with(analysis, map.recipe.method, map_spec, full);
    let detail = fonts.fitted(&detail, DETAIL, room);
    heading(svg, at, room, (&title, &detail), &whole);
    begin_photo(svg, layout, at);
    let size = (layout.photo.width, layout.photo.height);
    svg::picture(svg, over, size)?;
    svg::lines(svg, &scene.lines(pane), size);
    svg.push_str(regions);
    svg::end(svg);
    if let Some(range) = rendered.range {
        let ends = legend::ends(range, map);
        let colormap = scene.display_options.colormap_for(*scaling);
        let corner = (at.left + PANE + 8.0, at.top);
        let height = at.height.min(220.0);
        svg::bar(svg, colormap, corner, height, &ends, map.unit());
    } else {
        let words = legend::nothing_to_draw(labels, *scaling, *class, *contrast_class);
        let style = Style {
            bold: false,
            ..TITLE
        };
        let words = fonts.fitted(&words, style, PANE - 16.0);
        let corner = (at.left + 8.0, at.top + at.height - 10.0);
        svg::rimmed(svg, corner, style.size, &words);
    }
    Ok(())
}

/// The same export on a photo that is scaled down, without lines, which are drawn separately.
fn small(scene: &ExportScene) -> ExportScene {
    let Picture { width, height, rgb } = scene.photo.scaled_down(PICTURE);
    let photo = Photo::from_rgb(&scene.photo.name, width, height, rgb);
    let mut analysis = (*scene.analysis).clone();
    // The grid of the heat is that of the photo; the input keeps its position on it.
    analysis.placement = analysis.placement.on_photo_of((width, height));
    let panes = scene.panes.iter().map(|pane| MapView {
        rendered: pane.rendered.on_grid(&analysis.placement, (width, height)),
        ..*pane
    });
    let panes = panes.collect();
    let mut display_options = scene.display_options;
    display_options.contours = false;
    display_options.grid = false;
    ExportScene {
        photo: Arc::new(photo),
        analysis: Arc::new(analysis),
        model: scene.model.clone(),
        labels: None,
        panes,
        display_options,
        regions: Vec::new(),
    }
}

/// Notes: how the maps were made, and what they mean.
fn notes(scene: &ExportScene) -> Vec<String> {
    let analysis = &scene.analysis;
    let (width, height) = analysis.placement.input;
    let display_options = &scene.display_options;
    let mut notes = vec![format!(
        "{}, weights SHA-256 {}…; {}; framing {}, input {width}×{height}; opacity {:.0} %{}; camlens {}",
        analysis.model.architecture,
        analysis.model.sha256.get(..12).unwrap_or_default(),
        analysis.device,
        analysis.framing.name(),
        100.0 * display_options.opacity.share(),
        match display_options.threshold {
            0 => String::new(),
            hidden => format!(", heat below {hidden} % not drawn"),
        },
        env!("CARGO_PKG_VERSION"),
    )];
    let window = scene.photo.window();
    notes.extend(window.map(|window| format!("Gray levels of the photo: {window}.")));
    notes.extend(analysis.model.assumed.clone());
    if analysis.scores != Scores::Softmax {
        notes.push(format!("Probabilities: {}", analysis.scores.meaning()));
    }
    if analysis.preprocessing_from.is_guess {
        notes.push(format!(
            "The preprocessing is a guess ({}): {}.",
            analysis.preprocessing_from.source, analysis.preprocessing
        ));
    }
    for MapView {
        rendered,
        class,
        contrast_class,
    } in &scene.panes
    {
        let map = &rendered.map;
        let method = map.recipe.method.name();
        let name = |class| analysis.model.labels.shortened(class, NAME);
        let meaning = legend::meaning_with(analysis, map, (*class, *contrast_class), name);
        notes.push(format!("{method}: {meaning}"));
        notes.extend(legend::instability(map));
    }
    let placement = &analysis.placement;
    for region in scene.regions.iter().take(MOST_REGIONS) {
        let measures = scene.panes.iter().map(|pane| {
            let map = &pane.rendered.map;
            let measure = region.shape.measure(map, placement);
            let share = measure.positive_share.map_or(String::new(), |share| {
                format!(", {:.1} % of the positive evidence", 100.0 * share)
            });
            format!("{} {:+.3}{share}", map.recipe.method.name(), measure.sum)
        });
        let measures: Vec<String> = measures.collect();
        let name = shortened(&region.name, NAME);
        notes.push(format!("Region {name}: {}", measures.join("; ")));
    }
    if let Some(more @ 1..) = scene.regions.len().checked_sub(MOST_REGIONS) {
        notes.push(format!("{more} more regions are in manifest.json."));
    }
    notes
}

/// The two lines above a pane, which are not wider than `room`.
fn heading(svg: &mut String, pane: Place, room: f64, (title, detail): (&str, &str), whole: &str) {
    let place = Place {
        top: pane.top - HEADER,
        width: room,
        height: HEADER,
        ..pane
    };
    svg::begin(svg, place, &shortened(whole, WHOLE_TITLE));
    svg::text(svg, (0.0, 12.0), r#"font-weight="bold""#, title);
    svg::text(svg, (0.0, 30.0), DETAIL_STYLE, detail);
    svg::end(svg);
}

/// Begins the group that is drawn on the photo of a pane.
fn begin_photo(svg: &mut String, layout: &Layout, pane: Place) {
    let photo = layout.photo(pane);
    if photo != pane {
        svg::ground(svg, pane, "#eee");
    }
    svg::begin(svg, photo, "");
}

/// The outlines of regions, with names for those in the notes; each name is measured.
fn outlines(svg: &mut String, scene: &ExportScene, fonts: &Fonts, (width, height): (f64, f64)) {
    const STYLE: Style = Style {
        size: 12.0,
        bold: false,
    };
    for (index, region) in scene.regions.iter().enumerate() {
        let placement = &scene.analysis.placement;
        let outline = crate::render::contour::outline(&region.shape, placement);
        svg::lines(svg, &outline, (width, height));
        if let Some(first) = outline.first().filter(|_| index < MOST_REGIONS) {
            let at = |share: f32, side: f64, before: f64| {
                (f64::from(share) * side + before)
                    .min(side - 4.0)
                    .max(before)
            };
            let at = (at(first.from.0, width, 4.0), at(first.from.1, height, 14.0));
            let name = fonts.fitted(&region.name, STYLE, width - at.0 - 4.0);
            svg::rimmed(svg, at, STYLE.size, &name);
        }
    }
}

#[cfg(test)]
mod tests;
