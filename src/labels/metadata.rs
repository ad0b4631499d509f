//! Class names in the metadata of a model file: JSON, or a dictionary or list as Python prints it.

use std::collections::BTreeMap;

use crate::labels::file::names_from;

/// The keys under which exporters write them, the most specific first.
const KEYS: [&str; 9] = [
    "names",
    "class_names",
    "class_labels",
    "classes",
    "labels",
    "label_names",
    "id2label",
    "class_to_idx",
    "label2id",
];

/// The names of the classes in a file's metadata, if there are any: `{0: 'cat', 1: 'dog'}` as
/// Ultralytics writes them, JSON in all forms of a label file, or one name per line.
#[must_use]
pub fn names_in_metadata(metadata: &BTreeMap<String, String>) -> Option<Vec<String>> {
    let mut texts = KEYS.iter().filter_map(|key| metadata.get(*key));
    texts.find_map(|text| names_in(text))
}

fn names_in(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let is_literal = text.starts_with(['{', '[', '(']);
    let names = if text.starts_with('(') {
        python(text)
    } else if is_literal {
        names_from(text).ok().or_else(|| python(text))
    } else if text.lines().count() > 1 {
        names_from(text).ok()
    } else if text.contains(',') {
        // A name may have a comma, but then the number of names does not fit.
        Some(text.split(',').map(|name| name.trim().to_owned()).collect())
    } else {
        None
    };
    names.filter(|names| !names.is_empty() && names.iter().all(|name| !name.is_empty()))
}

/// Names as Python prints a dictionary from index to name, or a list or tuple of names.
fn python(text: &str) -> Option<Vec<String>> {
    let (is_dictionary, close) = match text.chars().next()? {
        '{' => (true, '}'),
        '[' => (false, ']'),
        '(' => (false, ')'),
        _ => return None,
    };
    let mut rest = text[1..].strip_suffix(close)?.trim();
    let mut names = BTreeMap::new();
    while !rest.is_empty() {
        let mut index = names.len();
        if is_dictionary {
            let (key, after) = rest.split_once(':')?;
            let key = key.trim();
            let quoted = key.trim_matches(|quote| matches!(quote, '\'' | '"'));
            index = quoted.parse().ok()?;
            rest = after.trim_start();
        }
        let (name, after) = string(rest)?;
        if names.insert(index, name).is_some() {
            return None;
        }
        rest = after.trim_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(',')?.trim_start();
        }
    }
    let in_order = names.keys().copied().eq(0..names.len());
    in_order.then(|| names.into_values().collect())
}

/// A Python string at the beginning of a text, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut name = String::new();
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => {
                let (_, escaped) = letters.next()?;
                match escaped {
                    '\\' | '\'' | '"' => name.push(escaped),
                    // Other escapes are control characters or numbers, which no name needs.
                    _ => return None,
                }
            }
            _ if letter == quote => return Some((name, &text[at + 1..])),
            _ => name.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_exporters_write_them() {
        for text in [
            "{0: 'cat', 1: \"dog's, small\"}",
            "{1: \"dog's, small\", 0: 'cat'}",
            "{'0': 'cat', '1': 'dog\\'s, small'}",
            "['cat', \"dog's, small\"]",
            "('cat', \"dog's, small\",)",
            r#"["cat", "dog's, small"]"#,
            r#"{"0": "cat", "1": "dog's, small"}"#,
            r#"{"cat": 0, "dog's, small": 1}"#,
            "cat\ndog's, small",
        ] {
            assert_eq!(names_in(text).unwrap(), ["cat", "dog's, small"], "{text}");
        }
        assert_eq!(names_in("cat, dog").unwrap(), ["cat", "dog"]);
        for text in [
            "",
            "{}",
            "[]",
            "cat",
            "{1: 'cat'}",
            "{0: 'cat', 0: 'dog'}",
            "{0: cat}",
            "{0: 'c",
            "['a' 'b']",
            "[1, 2]",
            "{0: 'a\\x00'}",
            "{",
            "(",
            "'",
        ] {
            assert_eq!(names_in(text), None, "{text}");
        }
        let metadata = [("imgsz", "[640, 640]"), ("names", "{0: 'cat'}")];
        let metadata = metadata.map(|(key, text)| (key.to_owned(), text.to_owned()));
        assert_eq!(names_in_metadata(&metadata.into()).unwrap(), ["cat"]);
    }
}
