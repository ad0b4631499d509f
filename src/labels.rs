//! Classes and their names.

mod file;
mod metadata;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::platform::small_file;
use crate::text::{elide, printable};

pub use crate::labels::metadata::names_in_metadata;

/// `ImageNet`'s 1000 class names in index order (torchvision, BSD-3).
const IMAGENET: &str = include_str!("../assets/imagenet1k-labels.txt");

/// The index of a class. It comes from a [`Labels`] or from a list of logits, so it is valid for
/// the model it is used with.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
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

/// A class that does not exist, or that is ambiguous.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Beyond the last class.
    #[error("There is no class {index}: this model has the classes 0 to {last}.")]
    Index {
        /// The requested index.
        index: usize,
        /// The last class.
        last: usize,
    },
    /// No class has this name.
    #[error("There is no class called \"{}\".{}", printable::name(.name), hint(.similar))]
    Name {
        /// The requested name.
        name: String,
        /// Names that contain it, with their indices.
        similar: Vec<String>,
    },
    /// Several classes have this name.
    #[error(
        "More than one class is called \"{}\": give one of the indices {}.",
        printable::name(.name), printable::names(.indices.iter().map(ToString::to_string))
    )]
    Ambiguous {
        /// The requested name.
        name: String,
        /// The classes of that name.
        indices: Vec<usize>,
    },
}

/// Why a file of class names can't be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "Can't use the class names {}: {}. Use a text file with one name per line, or JSON: a list of names, or an object that maps index to name.",
    printable::name(.name), printable::quotation(.cause)
)]
pub struct LabelFileError {
    /// The file.
    pub name: String,
    /// What is wrong with it.
    pub cause: String,
}

/// Maximum size of a file of names.
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
    /// As they were given.
    names: Vec<String>,
    /// The names shown on screen, different for each class.
    shown: Vec<String>,
    /// Lower-case names, for searching.
    folded: Vec<String>,
    /// Whether a name is a comma-separated list of synonyms, as in `ImageNet`. In other names a
    /// comma is part of the name ("nevus, benign").
    synonyms: bool,
}

impl Labels {
    /// Names in index order.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        let synonyms = are_imagenet_synonyms(&names);
        Self {
            shown: shown(&names, synonyms),
            folded: names.iter().map(|name| name.to_lowercase()).collect(),
            names,
            synonyms,
        }
    }

    /// Reads names for `classes` classes from a file: one name per line, a table of index and name,
    /// a JSON list, or a JSON object. The object maps index to name, index to (`WordNet` id, name)
    /// as in torchvision's tutorials, or name to index (`class_to_idx`).
    ///
    /// # Errors
    /// [`LabelFileError`] if the file can't be read or has a different number of names.
    pub fn open(path: &Path, classes: usize) -> Result<Self, LabelFileError> {
        Self::open_as(path, classes, false)
    }

    /// As [`Labels::open`], for a network with one logit for its two classes: a single name is that
    /// of the positive class.
    ///
    /// # Errors
    /// As [`Labels::open`].
    pub fn open_for_one_logit(path: &Path) -> Result<Self, LabelFileError> {
        Self::open_as(path, 2, true)
    }

    fn open_as(path: &Path, classes: usize, one_logit: bool) -> Result<Self, LabelFileError> {
        let fail = |cause: String| LabelFileError {
            name: crate::input::photo::display_name(path),
            cause,
        };
        let text = small_file::read_text(path, MAX_FILE).map_err(fail)?;
        let mut names = file::names_from(&text).map_err(fail)?;
        if one_logit {
            names = two_classes(names);
        }
        if names.len() != classes {
            return Err(fail(format!(
                "it has {} names and the model {classes} classes",
                names.len()
            )));
        }
        Ok(Self::new(names))
    }

    /// The files next to a weight file where its class names may be.
    pub fn files_beside(weights: &Path) -> impl Iterator<Item = PathBuf> {
        let stem = weights.file_stem().unwrap_or_default().to_os_string();
        let own = ["-labels.txt", ".labels.txt", "-labels.json", ".labels.json"].map(|ending| {
            let mut name = stem.clone();
            name.push(ending);
            name
        });
        let common = [
            "labels.txt",
            "labels.json",
            "classes.txt",
            "class_names.txt",
            "classes.json",
            "class_indices.json",
            "imagenet_class_index.json",
        ];
        let common = common.map(Into::into);
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

    /// The names of the two classes of one logit, without any other names.
    #[must_use]
    pub fn for_one_logit() -> Self {
        Self::new(vec!["negative".into(), "positive".into()])
    }

    /// Whether both have the same names for all classes.
    #[must_use]
    pub fn same_names(&self, other: &Self) -> bool {
        self.names == other.names
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

    /// The whole label exactly as it was given, including synonyms: for files. Two classes may have
    /// the same label.
    #[must_use]
    pub fn full(&self, class: ClassId) -> &str {
        &self.names[class.0]
    }

    /// The name of a class on screen: the whole label, or the first synonym in `ImageNet`'s lists.
    /// Control characters are escaped, and names longer than [`printable::NAME`] characters lose
    /// their middle. The names are unique: the index is added to labels that are not.
    #[must_use]
    pub fn name(&self, class: ClassId) -> &str {
        &self.shown[class.0]
    }

    /// The name on screen in at most `letters` characters. If that cuts it, the index is added, so
    /// that classes can still be told apart.
    #[must_use]
    pub fn shortened(&self, class: ClassId, letters: usize) -> String {
        let name = self.name(class);
        let short = elide::shortened(name, letters);
        if short == name {
            short
        } else {
            format!("{short} ({class})")
        }
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

    /// Finds the class that a user means: an index, a label or a name on screen in any case, or one
    /// of `ImageNet`'s synonyms.
    ///
    /// # Errors
    /// [`LabelError`] if no class, or more than one, matches.
    pub fn find(&self, text: &str) -> Result<ClassId, LabelError> {
        if let Ok(index) = text.trim().parse() {
            return self.class(index);
        }
        let wanted = text.trim().to_lowercase();
        let is_it = |index: usize| {
            let label = &self.folded[index];
            label.trim() == wanted
                || self.shown[index].to_lowercase() == wanted
                || self.synonyms && label.split(',').any(|synonym| synonym.trim() == wanted)
        };
        // Exact matches first: names may differ only in case.
        let all = || 0..self.len();
        let as_shown = all().find(|index| self.shown[*index] == text.trim());
        let mut found: Vec<usize> = as_shown.into_iter().collect();
        if found.is_empty() {
            found.extend(all().filter(|index| self.names[*index].trim() == text.trim()));
        }
        if found.is_empty() {
            found.extend(all().filter(|index| is_it(*index)));
        }
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

    /// Classes whose label contains every word of `text`, or whose index is `text`.
    pub fn search<'a>(&'a self, text: &str) -> impl Iterator<Item = ClassId> + use<'a> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        ClassId::all(self.len()).filter(move |class| {
            let label = &self.folded[class.0];
            words.iter().all(|word| label.contains(word))
                || matches!(&words[..], [word] if *word == class.0.to_string())
        })
    }
}

/// The names of the two classes of one logit: a single name is that of the positive class, which is
/// the second one. Other lists are unchanged.
#[must_use]
pub fn two_classes(mut names: Vec<String>) -> Vec<String> {
    if let [positive] = &names[..] {
        let negative = format!("not {}", positive.trim());
        names.insert(0, negative);
    }
    names
}

/// A list that differs from `ImageNet`'s in at most this many places is a list of its classes:
/// torchvision, which our names come from, says "crane bird" where other lists say "crane".
const IMAGENET_MAY_DIFFER: usize = 50;

/// Whether these are `ImageNet`'s classes, each with its synonyms.
fn are_imagenet_synonyms(names: &[String]) -> bool {
    let first = |name: &str| name.split(',').next().unwrap_or(name).trim().to_lowercase();
    let pairs = names.iter().zip(IMAGENET.lines());
    names.len() == 1000
        && names.iter().any(|name| name.contains(','))
        && pairs
            .filter(|(name, own)| first(name) != own.to_lowercase())
            .count()
            <= IMAGENET_MAY_DIFFER
}

/// The names on screen: printable, and made unique.
fn shown(names: &[String], synonyms: bool) -> Vec<String> {
    let first = |name: &String| match name.split_once(',') {
        Some((first, _)) if synonyms => printable::name(first.trim()),
        _ => printable::name(name.trim()),
    };
    let mut shown: Vec<String> = names.iter().map(first).collect();
    // The first synonym may belong to another class too: then show all of them.
    for index in repeated(&shown) {
        shown[index] = printable::name(names[index].trim());
    }
    for (index, name) in shown.iter_mut().enumerate() {
        if name.is_empty() {
            *name = format!("class {index}");
        }
    }
    // Indices differ, so a second round is needed only where a name looks like one with an index.
    // Each round makes those longer.
    loop {
        let same = repeated(&shown);
        if same.is_empty() {
            return shown;
        }
        for index in same {
            shown[index] = format!("{} ({index})", shown[index]);
        }
    }
}

/// The indices of names that occur more than once.
fn repeated(names: &[String]) -> Vec<usize> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let often = |index: &usize| counts[names[*index].as_str()] > 1;
    (0..names.len()).filter(often).collect()
}

impl fmt::Display for ClassId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
