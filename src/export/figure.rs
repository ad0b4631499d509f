//! The panes as one labelled figure: written as SVG, and drawn from it as PNG.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::ExtendedColorType;
use resvg::{tiny_skia, usvg};

use super::write::encode_png;
use super::{Exhibit, ExportError, Pane};
use crate::colormap::Colormap;
use crate::contour::Line;
use crate::legend;
use crate::look::Display;
use crate::photo::{Photo, Picture};

/// Width of a pane, in the figure's units.
const PANE: f64 = 400.0;
/// Longest side of the pictures in it, in pixels: three for each unit.
const PICTURE: usize = 1200;
/// Room round everything, and between a pane and its colour bar.
const MARGIN: f64 = 16.0;
/// Room for two lines above a pane.
const HEADER: f64 = 40.0;
/// Room for a colour bar and its numbers.
const BAR: f64 = 70.0;
/// Lines below the panes are that far apart.
const LINE: f64 = 15.0;
/// Pixels of the PNG for each unit.
const ZOOM: f32 = 2.0;
/// Steps of the colour bar.
const STEPS: usize = 64;

/// The figure: the photo and every pane, each with its colour bar, and below them what made
/// them.
///
/// # Errors
/// [`ExportError::Figure`] if a picture can't be encoded.
pub fn figure_svg(exhibit: &Exhibit) -> Result<String, ExportError> {
    let Exhibit {
        photo, analysis, ..
    } = exhibit;
    let height = PANE * photo.height as f64 / photo.width as f64;
    let count = exhibit.panes.len() as f64;
    let width = 2.0 * MARGIN + PANE + count * (MARGIN + PANE + BAR);
    // About 5.5 units a letter.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some hundred
    let letters = ((width - 2.0 * MARGIN) / 5.5) as usize;
    let notes: Vec<String> = notes(exhibit)
        .iter()
        .flat_map(|note| wrapped(note, letters))
        .collect();
    let below = MARGIN + HEADER + height + 10.0;
    let total = below + LINE * notes.len() as f64 + MARGIN;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total:.1}" viewBox="0 0 {width} {total:.1}" font-family="Ubuntu, sans-serif" font-size="13" fill="#222"><rect width="100%" height="100%" fill="#fff"/>"##
    );
    let top = MARGIN + HEADER;
    let bare = photo.scaled_down(PICTURE);
    heading(&mut svg, MARGIN, "Photo", &photo.name);
    picture(&mut svg, &bare, (MARGIN, top), (PANE, height))?;
    outlines(&mut svg, exhibit, (MARGIN, top), (PANE, height));
    for (index, pane) in exhibit.panes.iter().enumerate() {
        let left = 2.0 * MARGIN + PANE + index as f64 * (MARGIN + PANE + BAR);
        let Pane { map, class, .. } = pane;
        let layer = analysis.model.architecture.layer_name(map.layer);
        let detail = format!(
            "{layer}, {}×{} cells, {}",
            map.height,
            map.width,
            pane.scaling.name()
        );
        let title = legend::title(analysis, map.recipe.method, *class, pane.against);
        heading(&mut svg, left, &title, &detail);
        // As large as it is drawn: a photo of 12 megapixels would make 40 MB of text.
        let small = small(exhibit);
        let bare = Pane {
            range: pane
                .range
                .filter(|_| exhibit.look.display != Display::Photo),
            ..pane.clone()
        };
        let over = small.overlays(std::slice::from_ref(&bare));
        picture(&mut svg, &over, (left, top), (PANE, height))?;
        lines(&mut svg, &exhibit.lines(pane), (left, top), (PANE, height));
        outlines(&mut svg, exhibit, (left, top), (PANE, height));
        match pane.range {
            Some(range) => {
                let ends = legend::ends(range, map);
                let colormap = exhibit.look.colormap_for(pane.scaling);
                bar(
                    &mut svg,
                    colormap,
                    (left + PANE + 8.0, top),
                    height.min(220.0),
                    &ends,
                    map.unit(),
                );
            }
            None => text(
                &mut svg,
                (left + 8.0, top + height - 10.0),
                r##"fill="#fff" stroke="#000" stroke-width="3" paint-order="stroke""##,
                &format!(
                    "No positive evidence for {}.",
                    analysis.model.labels.name(*class)
                ),
            ),
        }
    }
    for (index, note) in notes.iter().enumerate() {
        let y = below + LINE * (index as f64 + 1.0);
        text(
            &mut svg,
            (MARGIN, y),
            r##"font-size="11" fill="#555""##,
            note,
        );
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// The same exhibit on a photo that is scaled down, without lines: they are drawn as such.
fn small(exhibit: &Exhibit) -> Exhibit {
    let Picture { width, height, rgb } = exhibit.photo.scaled_down(PICTURE);
    let photo = Photo::from_rgb(&exhibit.photo.name, width, height, rgb);
    let mut analysis = (*exhibit.analysis).clone();
    // The grid of the heat is the photo's; the input lies on it where it lay before.
    analysis.placement = analysis.placement.on_photo_of((width, height));
    let mut look = exhibit.look;
    look.contours = false;
    look.grid = false;
    Exhibit {
        photo: Arc::new(photo),
        analysis: Arc::new(analysis),
        model: exhibit.model.clone(),
        labels: None,
        panes: Vec::new(),
        look,
        regions: Vec::new(),
    }
}

/// A text in lines of at most so many letters, broken between words where there are any.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= letters => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What made the maps, and what they mean.
fn notes(exhibit: &Exhibit) -> Vec<String> {
    let analysis = &exhibit.analysis;
    let (width, height) = analysis.placement.input;
    let look = &exhibit.look;
    let mut notes = vec![format!(
        "{}, weights SHA-256 {}…; {}; framing {}, input {width}×{height}; opacity {:.0} %{}; camlens {}",
        analysis.model.architecture.name(),
        analysis.model.sha256.get(..12).unwrap_or_default(),
        analysis.device,
        analysis.framing.name(),
        100.0 * look.opacity.share(),
        match look.threshold {
            0 => String::new(),
            hidden => format!(", heat below {hidden} % not drawn"),
        },
        env!("CARGO_PKG_VERSION"),
    )];
    notes.extend(analysis.model.assumed.clone());
    for pane in &exhibit.panes {
        notes.push(format!(
            "{}: {}",
            pane.map.recipe.method.name(),
            legend::meaning(analysis, &pane.map, pane.class, pane.against)
        ));
    }
    let placement = &analysis.placement;
    for region in &exhibit.regions {
        let measures = exhibit.panes.iter().map(|pane| {
            let measure = region.shape.measure(&pane.map, placement);
            let share = measure.positive_share.map_or(String::new(), |share| {
                format!(", {:.1} % of the positive evidence", 100.0 * share)
            });
            format!(
                "{} {:+.3}{share}",
                pane.map.recipe.method.name(),
                measure.sum
            )
        });
        let measures: Vec<String> = measures.collect();
        notes.push(format!("Region {}: {}", region.name, measures.join("; ")));
    }
    notes
}

fn heading(svg: &mut String, left: f64, title: &str, detail: &str) {
    text(svg, (left, MARGIN + 12.0), r#"font-weight="bold""#, title);
    text(
        svg,
        (left, MARGIN + 30.0),
        r##"font-size="11" fill="#555""##,
        detail,
    );
}

fn text(svg: &mut String, (x, y): (f64, f64), style: &str, content: &str) {
    let content = content
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        // XML has no other control characters.
        .replace(|letter: char| letter.is_control(), " ");
    let _ = write!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" {style}>{content}</text>"#
    );
}

fn picture(
    svg: &mut String,
    picture: &Picture,
    (x, y): (f64, f64),
    (width, height): (f64, f64),
) -> Result<(), ExportError> {
    let mut png = Vec::new();
    let size = (picture.width, picture.height);
    encode_png(&mut png, &picture.rgb, size, ExtendedColorType::Rgb8)
        .map_err(|error| ExportError::Figure(error.to_string()))?;
    let _ = write!(
        svg,
        r#"<image x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" preserveAspectRatio="none" href="data:image/png;base64,{}"/>"#,
        STANDARD.encode(png)
    );
    Ok(())
}

/// The outlines of regions, with their names.
fn outlines(svg: &mut String, exhibit: &Exhibit, (x, y): (f64, f64), (width, height): (f64, f64)) {
    for region in &exhibit.regions {
        let placement = &exhibit.analysis.placement;
        let outline = crate::contour::outline(&region.shape, placement);
        lines(svg, &outline, (x, y), (width, height));
        if let Some(first) = outline.first() {
            let at = (
                x + f64::from(first.from.0) * width + 4.0,
                y + f64::from(first.from.1) * height + 14.0,
            );
            text(
                svg,
                at,
                r##"font-size="12" fill="#fff" stroke="#000" stroke-width="3" paint-order="stroke""##,
                &region.name,
            );
        }
    }
}

fn lines(svg: &mut String, lines: &[Line], (x, y): (f64, f64), (width, height): (f64, f64)) {
    if lines.is_empty() {
        return;
    }
    let mut path = String::new();
    for Line { from, to } in lines {
        let at = |(h, v): (f32, f32)| (x + f64::from(h) * width, y + f64::from(v) * height);
        let ((ax, ay), (bx, by)) = (at(*from), at(*to));
        let _ = write!(path, "M{ax:.1} {ay:.1}L{bx:.1} {by:.1}");
    }
    for (colour, thick) in [("#000", 2.0), ("#fff", 0.8)] {
        let _ = write!(
            svg,
            r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="{thick}" stroke-linecap="round"/>"#
        );
    }
}

fn bar(
    svg: &mut String,
    colormap: Colormap,
    (x, y): (f64, f64),
    height: f64,
    ends: &[String; 3],
    unit: &str,
) {
    let table = colormap.table();
    let (top, height) = (y + 18.0, height - 24.0);
    let step = height / STEPS as f64;
    for index in 0..STEPS {
        let [r, g, b] = table[index * 256 / STEPS + 128 / STEPS];
        let y = top + height - step * (index as f64 + 1.0);
        let _ = write!(
            svg,
            r##"<rect x="{x:.1}" y="{y:.2}" width="12" height="{:.2}" fill="#{r:02x}{g:02x}{b:02x}"/>"##,
            step + 0.3
        );
    }
    text(svg, (x, y + 10.0), r#"font-size="10""#, unit);
    for (share, number) in [0.0, 0.5, 1.0].into_iter().zip(ends) {
        let y = top + height * (1.0 - share) + 3.5;
        text(svg, (x + 16.0, y), r#"font-size="10""#, number);
    }
}

/// Draws a figure at twice its size.
///
/// # Errors
/// [`ExportError::Figure`] if it can't be drawn.
pub fn figure_png(svg: &str) -> Result<Vec<u8>, ExportError> {
    let fail = |cause: String| ExportError::Figure(cause);
    let mut options = usvg::Options {
        font_family: "Ubuntu".into(),
        ..usvg::Options::default()
    };
    let fonts = options.fontdb_mut();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    fonts.set_sans_serif_family("Ubuntu");
    // Ours has no other scripts than these.
    if svg.chars().any(|letter| u32::from(letter) > 0x2fff) {
        fonts.load_system_fonts();
    }
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| fail(error.to_string()))?;
    let size = tree.size();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few thousand
    let side = |length: f32| (length * ZOOM).ceil() as u32;
    let mut pixels = tiny_skia::Pixmap::new(side(size.width()), side(size.height()))
        .ok_or_else(|| fail("it has no size".into()))?;
    let zoom = tiny_skia::Transform::from_scale(ZOOM, ZOOM);
    resvg::render(&tree, zoom, &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| fail(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_are_broken_between_words() {
        let lines = wrapped("one two three four verylongword five", 9);
        assert_eq!(lines, ["one two", "three", "four", "verylongword", "five"]);
    }

    #[test]
    fn names_can_hold_anything() {
        let mut svg =
            String::from("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"90\" height=\"30\">");
        text(&mut svg, (2.0, 20.0), "", "a<b & \"c\" \u{1b}\u{0}猫.png");
        svg.push_str("</svg>");
        let png = figure_png(&svg).unwrap();
        let drawn = image::load_from_memory(&png).unwrap();
        assert_eq!((drawn.width(), drawn.height()), (180, 60));
        assert!(
            drawn.to_rgba8().pixels().any(|pixel| pixel[3] > 0),
            "something is drawn"
        );
    }
}
