//! Makes text from outside (names in files, answers of servers) safe to show: without characters
//! that control a terminal, break a line or change the reading direction, and limited in length.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Maximum length of the name of a tensor, class or file in a sentence, in characters.
pub const NAME: usize = 80;
/// Maximum length of a quotation in a sentence: a library's error, a list, a path.
pub const QUOTATION: usize = 500;
/// Maximum length of a message.
pub const MESSAGE: usize = 2000;
/// Maximum number of names in a list.
pub const NAMES: usize = 5;

/// A name within a sentence.
#[must_use]
pub fn name(text: &str) -> String {
    shortened(text, NAME)
}

/// A longer piece of text within a sentence.
#[must_use]
pub fn quotation(text: &str) -> String {
    shortened(text, QUOTATION)
}

/// A whole message, in one line.
#[must_use]
pub fn message(text: &str) -> String {
    shortened(text, MESSAGE)
}

/// Names separated by commas: the first five, and how many more there are.
#[must_use]
pub fn names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let first: Vec<String> = names
        .by_ref()
        .take(NAMES)
        .map(|text| name(text.as_ref()))
        .collect();
    let mut text = first.join(", ");
    match names.count() {
        0 => {}
        more => {
            let _ = write!(text, " and {more} more");
        }
    }
    text
}

/// Text for a terminal or a file: line feeds are kept and nothing is left out. JSON keeps its
/// meaning: the replaced characters can only be inside its strings, and are replaced by JSON's own
/// escapes.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c == '\n')
}

/// Text on one line, with nothing left out.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

fn escaped(text: &str, kept: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(|c| commands(c) && !kept(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if kept(c) {
            out.push(c);
        } else {
            push(&mut out, c);
        }
    }
    Cow::Owned(out)
}

/// Text on one line, of at most `most` characters. Longer text loses its middle, because the end of
/// a sentence says what to do and the end of a path says what it is.
fn shortened(text: &str, most: usize) -> String {
    let mut out = String::new();
    // Of very long text, only the two ends are looked at.
    if text.chars().nth(most).is_none() {
        for c in text.chars() {
            push(&mut out, c);
        }
        if out.chars().nth(most).is_none() {
            return out;
        }
    } else {
        for c in text.chars().take(most) {
            push(&mut out, c);
        }
    }
    let tail = most / 3;
    let mut end: Vec<char> = Vec::new();
    for c in text.chars().rev() {
        let mut piece = String::new();
        push(&mut piece, c);
        let piece: Vec<char> = piece.chars().rev().collect();
        if end.len() + piece.len() > tail {
            break;
        }
        end.extend(piece);
    }
    let mut kept: String = out.chars().take(most - 1 - end.len()).collect();
    kept.push('…');
    kept.extend(end.into_iter().rev());
    kept
}

/// Whether a character controls instead of being seen: control characters (C0, DEL, C1), line and
/// paragraph separators, Unicode's bidirectional controls (UAX 9), and characters without width or
/// ink.
fn commands(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                // Except the joiners U+200C and U+200D, which some scripts need.
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// As JSON escapes it: `\n`, `\t`, `\u001b`.
fn push(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if commands(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_is_escaped_and_the_rest_stays() {
        for (text, shown) in [
            ("layer1.0.conv1.weight", "layer1.0.conv1.weight"),
            ("Müller’s naïve 猫 🐈", "Müller’s naïve 猫 🐈"),
            ("C:\\photos\\cat.png", "C:\\photos\\cat.png"),
            ("\u{1b}[2Jred", "\\u001b[2Jred"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{7f}\u{9b}31m", "\\u007f\\u009b31m"),
            ("cat\u{202e}gnp.exe", "cat\\u202egnp.exe"),
            (
                "\u{2066}x\u{2069}\u{200b}\u{feff}",
                "\\u2066x\\u2069\\u200b\\ufeff",
            ),
            ("\u{2028}", "\\u2028"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(name(text), shown);
            assert_eq!(message(text), shown);
        }
    }

    #[test]
    fn what_is_long_loses_its_middle() {
        let long = format!("{}{}", "a".repeat(100_000), "the end");
        for (shown, most) in [
            (name(&long), NAME),
            (quotation(&long), QUOTATION),
            (message(&long), MESSAGE),
        ] {
            assert_eq!(shown.chars().count(), most);
            assert!(shown.starts_with("aaa") && shown.ends_with("the end") && shown.contains('…'));
        }
        assert_eq!(name(&"b".repeat(NAME)), "b".repeat(NAME));
        // Escapes count with their printed length, and none is cut in two at the end.
        let shown = name(&"\u{1b}".repeat(50));
        assert!(
            shown.chars().count() <= NAME && shown.ends_with("\\u001b"),
            "{shown}"
        );
    }

    #[test]
    fn lists_are_short() {
        assert_eq!(names(["a"]), "a");
        assert_eq!(names(["a", "b", "c", "d", "e"]), "a, b, c, d, e");
        let many = (0..150_000).map(|n| format!("{n}."));
        assert_eq!(names(many), "0., 1., 2., 3., 4. and 149995 more");
        assert_eq!(names([""; 0]), "");
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"name": "\u{1b}[31m\u{7f}\u{9b}\u{202e}\u{e0041} 猫\n"});
        let text = serde_json::to_string(&value).unwrap();
        let shown = lines(&text);
        assert!(!shown.contains(commands), "{shown}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
        assert!(matches!(
            lines("two\nlines\n"),
            Cow::Borrowed("two\nlines\n")
        ));
        assert_eq!(lines("a\u{1b}\nb"), "a\\u001b\nb");
        assert_eq!(line("a\u{202e}\nb"), "a\\u202e\\nb");
    }
}
