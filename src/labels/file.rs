//! The file formats for class names.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// The names in a text or JSON file.
pub fn names_from(text: &str) -> Result<Vec<String>, String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Names {
        List(Vec<String>),
        ByIndex(BTreeMap<String, Name>),
        ByName(BTreeMap<String, usize>),
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Name {
        Plain(String),
        WithId(IgnoredAny, String),
    }

    let text = text.trim_start_matches('\u{feff}');
    if !text.trim_start().starts_with(['[', '{']) {
        let lines = text.trim_end().lines().map(str::trim);
        if let Some(empty) = lines.clone().position(str::is_empty) {
            return Err(format!("line {} is empty", empty + 1));
        }
        let lines: Vec<&str> = lines.collect();
        return Ok(match table(&lines) {
            Some(names) => names,
            None => lines.into_iter().map(str::to_owned).collect(),
        });
    }
    let names = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            "its JSON is neither a list of names nor an object from index to name".into()
        } else {
            format!("invalid JSON: {error}")
        }
    })?;
    let pairs: Vec<(usize, String)> = match names {
        Names::List(names) => return Ok(names),
        Names::ByName(indices) => indices
            .into_iter()
            .map(|(name, index)| (index, name))
            .collect(),
        Names::ByIndex(names) => {
            let pair = |(index, name): (String, Name)| {
                let (Name::Plain(name) | Name::WithId(_, name)) = name;
                let number = index.trim().parse();
                number
                    .map(|number| (number, name))
                    .map_err(|_| format!("{index:?} is not an index"))
            };
            names.into_iter().map(pair).collect::<Result<_, String>>()?
        }
    };
    let mut sorted = vec![None; pairs.len()];
    for (index, name) in pairs {
        match sorted.get_mut(index) {
            Some(place @ None) => *place = Some(name),
            Some(_) => return Err(format!("it has two names for class {index}")),
            None => {
                return Err(format!(
                    "it has a name for class {index} but not for all before it"
                ));
            }
        }
    }
    sorted
        .into_iter()
        .collect::<Option<_>>()
        .ok_or_else(|| "a class has no name".into())
}

/// The names in a table. Each line has an index and a name, separated by a comma, a semicolon, a
/// colon or a tab. Each index from 0 on occurs once, in any order. A number before a space may be
/// part of a name ("0 defects"), and so may any other number.
fn table(lines: &[&str]) -> Option<Vec<String>> {
    let mut names = vec![None; lines.len()];
    for line in lines {
        let (index, name) = line.split_once([',', ';', ':', '\t'])?;
        let place = names.get_mut(index.trim().parse::<usize>().ok()?)?;
        let name = name.trim();
        // CSV quotes names that contain commas.
        let quoted = name
            .strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'));
        let name = quoted.map_or(name.to_owned(), |name| name.replace("\"\"", "\""));
        if name.is_empty() || place.replace(name).is_some() {
            return None;
        }
    }
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_every_common_form() {
        for text in [
            "cat\ndog\n",
            "\u{feff}cat\r\ndog\r\n\r\n",
            "cat\ndog",
            r#"["cat", "dog"]"#,
            r#"{"1": "dog", "0": "cat"}"#,
            r#"{"0": ["n02121808", "cat"], "1": ["n02084071", "dog"]}"#,
            r#"{"cat": 0, "dog": 1}"#,
            "0,cat\n1,dog",
            "1\tdog\n0\tcat\n",
            "0: cat\n1: dog",
            "0;\"cat\"\n1;dog",
        ] {
            assert_eq!(names_from(text).unwrap(), ["cat", "dog"], "{text}");
        }
        // Numbers that are not indices are parts of names.
        for text in [
            "0 defects\n1 defect",
            "1,cat\n2,dog",
            "0,cat\n0,dog",
            "0,cat\ndog",
            "0,\n1,dog",
        ] {
            assert_eq!(names_from(text).unwrap(), text.lines().collect::<Vec<_>>());
        }
        let quoted = names_from("0,\"nevus, \"\"benign\"\"\"\n1,\"nevus, atypical\"");
        assert_eq!(quoted.unwrap(), ["nevus, \"benign\"", "nevus, atypical"]);
        for (text, words) in [
            ("cat\n\ndog", "line 2 is empty"),
            ("[1, 2]", "neither a list"),
            (r#"{"0": "a", "2": "b"}"#, "class 2"),
            (r#"{"0": "a", "00": "b"}"#, "two names for class 0"),
            (r#"{"a": 0, "b": 0}"#, "two names"),
            (r#"{"x": "y"}"#, "\"x\" is not an index"),
            ("[\"a\"", "invalid JSON"),
        ] {
            let problem = names_from(text).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
    }
}
