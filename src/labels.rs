//! Classes and what they are called.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::printable;

/// `ImageNet`'s 1000 class names in index order (torchvision, BSD-3).
const IMAGENET: &str = include_str!("../assets/imagenet1k-labels.txt");

/// The index of a class. It comes from a [`Labels`] or from a list of logits, so
/// it is a class of the model it is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(usize);

impl ClassId {
    /// The index in the model's output.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }

    /// All classes of a model with `count` of them.
    pub fn all(count: usize) -> impl Iterator<Item = Self> + Clone {
        (0..count).map(Self)
    }
}

/// A class that does not exist, or not only once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Beyond the last class.
    #[error("There is no class {index}: this model has the classes 0 to {last}.")]
    Index {
        /// The index asked for.
        index: usize,
        /// The last class.
        last: usize,
    },
    /// No class of that name.
    #[error("There is no class called \"{}\".{}", printable::name(.name), hint(.similar))]
    Name {
        /// The name asked for.
        name: String,
        /// Names that contain it, with their indices.
        similar: Vec<String>,
    },
    /// More than one class of that name.
    #[error(
        "More than one class is called \"{}\": give one of the indices {}.",
        printable::name(.name), printable::names(.indices.iter().map(ToString::to_string))
    )]
    Ambiguous {
        /// The name asked for.
        name: String,
        /// The classes of that name.
        indices: Vec<usize>,
    },
}

/// Why a file of class names can't be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "The class names {} can't be used: {}. Give a text file with a name in each line, or JSON: a list of names, or an object from index to name.",
    printable::name(.name), printable::quotation(.cause)
)]
pub struct LabelFileError {
    /// The file.
    pub name: String,
    /// What is wrong with it.
    pub cause: String,
}

/// The largest file of names that is read.
const MAX_FILE: u64 = 16 << 20;

fn hint(similar: &[String]) -> String {
    if similar.is_empty() {
        " Give its index, or \"top\" for the most probable one.".into()
    } else {
        format!(" Did you mean {}?", similar.join(", "))
    }
}

/// The names of a model's classes.
#[derive(Clone, Debug)]
pub struct Labels {
    names: Vec<String>,
    /// Lower-case names, for searching as one types.
    folded: Vec<String>,
}

impl Labels {
    /// Names in index order.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        let folded = names.iter().map(|name| name.to_lowercase()).collect();
        Self { names, folded }
    }

    /// Reads a file of names for `classes` classes: a name in each line, a JSON list,
    /// or a JSON object: index to name, index to (`WordNet` id, name) as torchvision's
    /// tutorials have it, or name to index (`class_to_idx`).
    ///
    /// # Errors
    /// [`LabelFileError`] if it can't be read or has another number of names.
    pub fn open(path: &Path, classes: usize) -> Result<Self, LabelFileError> {
        let fail = |cause: String| LabelFileError {
            name: crate::photo::display_name(path),
            cause,
        };
        let about = fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if !about.is_file() || about.len() > MAX_FILE {
            return Err(fail("it is no file of names".into()));
        }
        let bytes = fs::read(path).map_err(|error| fail(error.to_string()))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| fail("it is not UTF-8 text".into()))?;
        let names = names_from(text).map_err(fail)?;
        if names.len() != classes {
            return Err(fail(format!(
                "it has {} names and the model {classes} classes",
                names.len()
            )));
        }
        Ok(Self::new(names))
    }

    /// The files beside a weight file in which its class names are looked for.
    pub fn files_beside(weights: &Path) -> impl Iterator<Item = PathBuf> {
        let stem = weights.file_stem().unwrap_or_default().to_os_string();
        let own = ["-labels.txt", ".labels.txt", "-labels.json", ".labels.json"].map(|ending| {
            let mut name = stem.clone();
            name.push(ending);
            name
        });
        let common = ["labels.txt", "labels.json", "imagenet_class_index.json"].map(Into::into);
        own.into_iter()
            .chain(common)
            .map(|name| weights.with_file_name(name))
            .filter(|path| path.is_file())
    }

    /// `ImageNet`'s names for 1000 classes, otherwise `class 0`, `class 1`, …
    #[must_use]
    pub fn for_count(classes: usize) -> Self {
        if classes == 1000 {
            Self::new(IMAGENET.lines().map(str::to_owned).collect())
        } else {
            Self::new((0..classes).map(|index| format!("class {index}")).collect())
        }
    }

    /// Number of classes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are no classes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The whole label, synonyms included.
    #[must_use]
    pub fn full(&self, class: ClassId) -> &str {
        &self.names[class.0]
    }

    /// The first synonym of the label.
    #[must_use]
    pub fn name(&self, class: ClassId) -> &str {
        let full = self.full(class);
        full.split(',').next().unwrap_or(full).trim()
    }

    /// The whole label in lower case, for sorting and searching.
    #[must_use]
    pub fn folded(&self, class: ClassId) -> &str {
        &self.folded[class.0]
    }

    /// The class with an index.
    ///
    /// # Errors
    /// [`LabelError::Index`] beyond the last class.
    pub fn class(&self, index: usize) -> Result<ClassId, LabelError> {
        if index < self.len() {
            Ok(ClassId(index))
        } else {
            let last = self.len().saturating_sub(1);
            Err(LabelError::Index { index, last })
        }
    }

    /// The class that a user names: an index, or a name or synonym in any case.
    ///
    /// # Errors
    /// [`LabelError`]: none, or more than one, of that name.
    pub fn find(&self, text: &str) -> Result<ClassId, LabelError> {
        if let Ok(index) = text.trim().parse() {
            return self.class(index);
        }
        let wanted = text.trim().to_lowercase();
        let is_it =
            |label: &String| *label == wanted || label.split(',').any(|s| s.trim() == wanted);
        let found: Vec<usize> = (0..self.len())
            .filter(|&i| is_it(&self.folded[i]))
            .collect();
        match found[..] {
            [index] => Ok(ClassId(index)),
            [] => Err(LabelError::Name {
                name: text.to_owned(),
                similar: self
                    .search(text)
                    .take(5)
                    .map(|class| format!("\"{}\" ({class})", printable::name(self.name(class))))
                    .collect(),
            }),
            _ => Err(LabelError::Ambiguous {
                name: text.to_owned(),
                indices: found,
            }),
        }
    }

    /// Classes whose label contains every word of `text`, or whose index it is.
    pub fn search<'a>(&'a self, text: &str) -> impl Iterator<Item = ClassId> + use<'a> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        ClassId::all(self.len()).filter(move |class| {
            let label = &self.folded[class.0];
            words.iter().all(|word| label.contains(word))
                || matches!(&words[..], [word] if *word == class.0.to_string())
        })
    }
}

/// The names in a text or JSON file.
fn names_from(text: &str) -> Result<Vec<String>, String> {
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
        return Ok(lines.map(str::to_owned).collect());
    }
    let names = serde_json::from_str(text).map_err(|error| {
        if error.is_data() {
            "its JSON is neither a list of names nor an object from index to name".into()
        } else {
            format!("its JSON: {error}")
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
                    .map_err(|_| format!("{index:?} is no index"))
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

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imagenet_has_a_thousand_names() {
        let labels = Labels::for_count(1000);
        assert_eq!(labels.len(), 1000);
        assert_eq!(labels.full(ClassId(0)), "tench");
        assert_eq!(labels.full(ClassId(282)), "tiger cat");
        assert_eq!(labels.full(ClassId(999)), "toilet tissue");
        assert_eq!(Labels::for_count(3).full(ClassId(2)), "class 2");
    }

    #[test]
    fn classes_are_found_by_index_name_and_synonym() {
        let labels = Labels::new(
            ["tabby, tabby cat", "Egyptian cat", "crane", "crane"]
                .map(String::from)
                .to_vec(),
        );
        assert_eq!(labels.find("1"), Ok(ClassId(1)));
        assert_eq!(labels.find("egyptian CAT"), Ok(ClassId(1)));
        assert_eq!(labels.find("tabby cat"), Ok(ClassId(0)));
        assert_eq!(labels.name(ClassId(0)), "tabby");
        for (text, words) in [
            ("4", "classes 0 to 3"),
            ("crane", "indices 2, 3."),
            ("cat", "Did you mean \"tabby\" (0), \"Egyptian cat\" (1)?"),
            ("xyzzy", "Give its index"),
        ] {
            let message = labels.find(text).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

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
        ] {
            assert_eq!(names_from(text).unwrap(), ["cat", "dog"], "{text}");
        }
        for (text, words) in [
            ("cat\n\ndog", "line 2 is empty"),
            ("[1, 2]", "neither a list"),
            (r#"{"0": "a", "2": "b"}"#, "class 2"),
            (r#"{"0": "a", "00": "b"}"#, "two names for class 0"),
            (r#"{"a": 0, "b": 0}"#, "two names"),
            (r#"{"x": "y"}"#, "\"x\" is no index"),
            ("[\"a\"", "its JSON"),
        ] {
            let problem = names_from(text).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn a_file_of_names_must_fit_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let weights = folder.path().join("lesions.pth");
        let file = folder.path().join("lesions-labels.txt");
        fs::write(&file, "naevus\nmelanoma").unwrap();
        assert_eq!(
            Labels::files_beside(&weights).collect::<Vec<_>>(),
            std::slice::from_ref(&file)
        );
        assert_eq!(Labels::open(&file, 2).unwrap().full(ClassId(1)), "melanoma");
        let message = Labels::open(&file, 5).unwrap_err().to_string();
        assert!(
            message.contains("2 names and the model 5 classes"),
            "{message}"
        );
        assert!(Labels::open(folder.path(), 2).is_err());
    }

    #[test]
    fn search_takes_words_in_any_order_and_indices() {
        let labels = Labels::for_count(1000);
        let names = |text| {
            labels
                .search(text)
                .map(|c| labels.name(c).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("cat tiger"), ["tiger cat"]);
        assert_eq!(names("282"), ["tiger cat"]);
        assert_eq!(names("").len(), 1000);
    }
}
