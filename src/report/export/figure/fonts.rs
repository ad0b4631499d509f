//! Measures text with the library that draws it, and fits text into a given width.

use std::collections::HashMap;

use resvg::usvg;

use crate::report::export::figure::svg::escaped;
use crate::text::elide;
use crate::text::elide::shortened;

/// The figure's fonts: the same font as in the window, and the system's fonts for letters that it
/// lacks.
pub struct Fonts {
    options: usvg::Options<'static>,
}

/// The style of text: its size in the figure's units, and whether it is bold.
#[derive(Clone, Copy)]
pub struct Style {
    pub size: f64,
    pub bold: bool,
}

impl Fonts {
    /// The fonts needed to write `text`.
    pub fn for_text(text: &str) -> Self {
        let mut options = usvg::Options {
            font_family: "Ubuntu".into(),
            ..usvg::Options::default()
        };
        let fonts = options.fontdb_mut();
        fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
        fonts.set_sans_serif_family("Ubuntu");
        // Ubuntu has Latin, Greek and Cyrillic letters, punctuation and common signs.
        let has = |letter: char| letter <= '\u{52f}' || ('\u{1e00}'..='\u{22ff}').contains(&letter);
        if !text.chars().all(has) {
            fonts.load_system_fonts();
        }
        Self { options }
    }

    pub fn options(&self) -> &usvg::Options<'static> {
        &self.options
    }

    /// The width of a line, in the figure's units.
    pub fn width(&self, text: &str, style: Style) -> f64 {
        let weight = if style.bold { "bold" } else { "normal" };
        // The same markup as in `crate::report::export::figure::svg`.
        let svg = format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" font-family="Ubuntu, sans-serif"><text font-size="{}" font-weight="{weight}">{}</text></svg>"#,
            style.size,
            escaped(text)
        );
        let Ok(tree) = usvg::Tree::from_str(&svg, &self.options) else {
            return 0.0;
        };
        f64::from(tree.root().bounding_box().width())
    }

    /// The text, or as many characters of its beginning and end as fit into `room`.
    pub fn fitted(&self, text: &str, style: Style, room: f64) -> String {
        self.longest(room, style, |letters| shortened(text, letters))
    }

    /// The longest text that fits into `room`, where `text` gives the text for a number of letters.
    pub fn longest(&self, room: f64, style: Style, text: impl Fn(usize) -> String) -> String {
        let fits = |text: &str| self.width(text, style) <= room;
        elide::longest(fits, text)
    }

    /// Breaks text into lines that fit into `room`: between words, and within words that are longer
    /// than a line.
    pub fn wrapped(&self, text: &str, style: Style, room: f64) -> Vec<String> {
        let mut widths: HashMap<&str, f64> = HashMap::new();
        let space = self.width("n n", style) - self.width("nn", style);
        let mut lines = vec![(String::new(), 0.0)];
        for word in text.split(' ') {
            let width = *widths
                .entry(word)
                .or_insert_with(|| self.width(word, style));
            match lines.last_mut() {
                Some((line, used)) if !line.is_empty() && *used + space + width <= room => {
                    line.push(' ');
                    line.push_str(word);
                    *used += space + width;
                }
                _ if width <= room => lines.push((word.to_owned(), width)),
                _ => lines.extend(self.pieces(word, style, room)),
            }
        }
        let lines = lines.into_iter().map(|(line, _)| line);
        lines.filter(|line| !line.is_empty()).collect()
    }

    /// Splits a word into pieces that fit into `room`, each with its width.
    fn pieces(&self, word: &str, style: Style, room: f64) -> Vec<(String, f64)> {
        let mut pieces = vec![(String::new(), 0.0)];
        for letter in word.chars() {
            let width = self.width(&letter.to_string(), style);
            match pieces.last_mut() {
                Some((piece, used)) if *used + width <= room => {
                    piece.push(letter);
                    *used += width;
                }
                _ => pieces.push((letter.to_string(), width)),
            }
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style {
        size: 11.0,
        bold: false,
    };

    #[test]
    fn text_is_as_long_as_it_is_drawn() {
        let fonts = Fonts::for_text("");
        let width = |text| fonts.width(text, STYLE);
        assert!(width("MMMMMMMMMM") > 2.0 * width("iiiiiiiiii"));
        let (one, ten) = (width("n"), width("nnnnnnnnnn"));
        assert!((ten - 10.0 * one).abs() < 0.2 * one, "{one} and {ten}");
        assert!(width("a < b & c") > 20.0 && width("").abs() < 1e-9);
    }

    #[test]
    fn what_is_too_long_keeps_its_ends() {
        let fonts = Fonts::for_text("");
        let name = "MELANOMA ".repeat(100_000);
        let short = fonts.fitted(&name, STYLE, 100.0);
        assert!(short.starts_with("MELA") && short.contains('…'));
        let width = fonts.width(&short, STYLE);
        assert!((80.0..=100.0).contains(&width), "{short}: {width}");
    }

    #[test]
    fn lines_are_broken_between_words_and_within_long_ones() {
        let fonts = Fonts::for_text("");
        let room = fonts.width("three four", STYLE) + 0.5;
        let text = "one two three four averyveryverylongword 5";
        let lines = fonts.wrapped(text, STYLE, room);
        assert_eq!(lines[..2], ["one two", "three four"]);
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        for line in lines {
            assert!(fonts.width(&line, STYLE) <= room + 0.5, "{line}");
        }
    }
}
