//! The building blocks of a figure's SVG.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::ExtendedColorType;

use crate::input::photo::Picture;
use crate::render::colormap::Colormap;
use crate::render::contour::Line;
use crate::report::export::ExportError;
use crate::report::export::write::encode_png;
use crate::text::printable::line;

/// Steps of the color bar.
const STEPS: usize = 64;

/// A rectangle in the figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// Text escaped for XML, without control characters.
pub fn escaped(text: &str) -> String {
    line(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        // XML does not allow these two characters.
        .replace(['\u{fffe}', '\u{ffff}'], " ")
}

pub fn text(svg: &mut String, (x, y): (f64, f64), style: &str, content: &str) {
    let content = escaped(content);
    let _ = write!(
        svg,
        r#"<text x="{x:.1}" y="{y:.1}" {style}>{content}</text>"#
    );
}

/// Text with a dark rim, readable on every color.
pub fn rimmed(svg: &mut String, at: (f64, f64), size: f64, content: &str) {
    let style = format!(
        r##"font-size="{size}" fill="#fff" stroke="#000" stroke-width="3" paint-order="stroke""##
    );
    text(svg, at, &style, content);
}

/// Begins a group that is clipped to its place, with its corner at 0, 0; viewers show its title.
pub fn begin(svg: &mut String, at: Place, title: &str) {
    let Place {
        left,
        top,
        width,
        height,
    } = at;
    let _ = write!(
        svg,
        r#"<svg x="{left:.1}" y="{top:.1}" width="{width:.2}" height="{height:.2}" overflow="hidden"><title>{}</title>"#,
        escaped(title)
    );
}

pub fn end(svg: &mut String) {
    svg.push_str("</svg>");
}

/// A plain rectangle.
pub fn ground(svg: &mut String, at: Place, fill: &str) {
    let Place {
        left,
        top,
        width,
        height,
    } = at;
    let _ = write!(
        svg,
        r#"<rect x="{left:.1}" y="{top:.1}" width="{width:.2}" height="{height:.2}" fill="{fill}"/>"#
    );
}

/// A picture of this size, with its corner at 0, 0.
pub fn picture(
    svg: &mut String,
    picture: &Picture,
    (width, height): (f64, f64),
) -> Result<(), ExportError> {
    let mut png = Vec::new();
    let size = (picture.width, picture.height);
    encode_png(&mut png, &picture.rgb, size, ExtendedColorType::Rgb8)
        .map_err(|error| ExportError::Figure(error.to_string()))?;
    let _ = write!(
        svg,
        r#"<image width="{width:.2}" height="{height:.2}" preserveAspectRatio="none" href="data:image/png;base64,{}"/>"#,
        STANDARD.encode(png)
    );
    Ok(())
}

/// Lines from a corner at 0, 0; their positions are shares of a size.
pub fn lines(svg: &mut String, lines: &[Line], (width, height): (f64, f64)) {
    if lines.is_empty() {
        return;
    }
    let mut path = String::new();
    for Line { from, to } in lines {
        let at = |(h, v): (f32, f32)| (f64::from(h) * width, f64::from(v) * height);
        let ((ax, ay), (bx, by)) = (at(*from), at(*to));
        let _ = write!(path, "M{ax:.1} {ay:.1}L{bx:.1} {by:.1}");
    }
    for (color, thick) in [("#000", 2.0), ("#fff", 0.8)] {
        let _ = write!(
            svg,
            r#"<path d="{path}" fill="none" stroke="{color}" stroke-width="{thick}" stroke-linecap="round"/>"#
        );
    }
}

/// A color bar with its unit and numbers.
pub fn bar(
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
