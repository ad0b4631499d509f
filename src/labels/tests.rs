//! Finding, showing and reading class names.

use std::fs;

use proptest::prelude::*;

use super::*;

/// Names that are often equal, empty, or look as if an index had been added.
fn odd_names() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[aAbé ,()01\\\\\"\u{202e}]{0,8}( \\([0-3]\\))?", 1..12)
}

proptest! {
    /// No two classes have the same label, and each label finds its class.
    #[test]
    fn names_on_screen_are_unique_and_find_their_class(names in odd_names()) {
        let labels = Labels::new(names);
        let mut shown = HashMap::new();
        for class in ClassId::all(labels.len()) {
            let name = labels.name(class);
            prop_assert!(!name.is_empty());
            prop_assert_eq!(shown.insert(name.to_owned(), class), None);
            if name.parse::<usize>().is_err() {
                prop_assert_eq!(labels.find(name), Ok(class), "{:?}", name);
            }
        }
    }

    /// Shortened names are as short as asked for, apart from the index, and still different.
    #[test]
    fn shortened_names_are_short_and_unique(names in odd_names(), letters in 1usize..12) {
        let labels = Labels::new(names);
        let mut shortened = HashMap::new();
        for class in ClassId::all(labels.len()) {
            let name = labels.shortened(class, letters);
            let index = format!(" ({class})");
            prop_assert!(name.chars().count() <= letters + index.len());
            prop_assert_eq!(shortened.insert(name, class), None);
        }
    }

    /// Labels are unchanged after writing and reading a JSON file.
    #[test]
    fn json_lists_are_read_back(names in odd_names()) {
        let text = serde_json::to_string(&names).unwrap();
        prop_assert_eq!(file::names_from(&text), Ok(names));
    }
}

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
    let labels = labels(&[
        "Carcinoma, ductal",
        "Egyptian cat",
        "crane",
        "crane",
        "Cat",
        "cat",
    ]);
    for (text, index) in [
        ("1", 1),
        ("egyptian CAT", 1),
        ("carcinoma, Ductal", 0),
        ("crane (3)", 3),
        ("Cat", 4),
        ("cat", 5),
    ] {
        assert_eq!(labels.find(text), Ok(ClassId(index)), "{text}");
    }
    for (text, words) in [
        ("6", "classes 0 to 5"),
        ("crane", "indices 2, 3."),
        ("CAT", "indices 4, 5."),
        ("Carcinoma", "Did you mean \"Carcinoma, ductal\" (0)?"),
        ("ductal", "no class called"),
        ("xyzzy", "Give its index"),
    ] {
        let message = labels.find(text).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    let labels = imagenet_with_synonyms();
    assert_eq!(labels.find("goldfish two"), Ok(ClassId(1)));
}

fn labels(names: &[&str]) -> Labels {
    Labels::new(names.iter().copied().map(str::to_owned).collect())
}

/// `ImageNet`'s classes as other programs name them.
fn imagenet_with_synonyms() -> Labels {
    let names = IMAGENET.lines().map(|name| match name {
        "crane bird" => "crane, a bird".to_owned(),
        "crane" => "crane, a machine".to_owned(),
        name => format!("{name}, {name} two"),
    });
    Labels::new(names.collect())
}

fn names(labels: &Labels) -> Vec<&str> {
    let classes = ClassId::all(labels.len());
    classes.map(|class| labels.name(class)).collect()
}

#[test]
fn names_are_whole_and_no_two_are_the_same() {
    for (given, shown) in [
        (
            vec!["nevus, benign", "nevus, atypical"],
            vec!["nevus, benign", "nevus, atypical"],
        ),
        (vec!["a", "b", "a "], vec!["a (0)", "b", "a (2)"]),
        (
            vec!["a", "a", "a (0)"],
            vec!["a (0) (0)", "a (1)", "a (0) (2)"],
        ),
        (
            vec!["", " ", "class 0"],
            vec!["class 0 (0)", "class 1", "class 0 (2)"],
        ),
    ] {
        assert_eq!(names(&labels(&given)), shown);
    }
    let labels = imagenet_with_synonyms();
    assert_eq!(labels.name(ClassId(281)), "tabby");
    let cranes = labels.search("crane").map(|class| labels.name(class));
    assert_eq!(
        cranes.collect::<Vec<_>>(),
        ["crane, a bird", "crane, a machine"]
    );
    for labels in [labels, Labels::for_count(1000), Labels::for_count(7)] {
        let names = names(&labels);
        let different: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(different.len(), labels.len());
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

/// Names from files are drawn and printed: control characters are escaped, and the length is
/// limited.
#[test]
fn names_are_fit_to_be_shown() {
    let long = |end: &str| format!("{} {end}", "very ".repeat(250_000));
    let given = [
        "nevus \u{202e}ngineb".to_owned(),
        "\u{1b}[31mnevus\n\u{7}".to_owned(),
        format!("{}, one", "a".repeat(200)),
        format!("{}, two", "a".repeat(200)),
        format!("{}B{}", "a".repeat(100), "a".repeat(100)),
        format!("{}C{}", "a".repeat(100), "a".repeat(100)),
        long("end"),
        long("End"),
    ];
    let labels = Labels::new(given.to_vec());
    let names = names(&labels);
    assert_eq!(names[0], "nevus \\u202engineb");
    assert_eq!(names[1], "\\u001b[31mnevus\\n\\u0007");
    assert!(names[2].ends_with(", one") && names[3].ends_with(", two"));
    assert!(names[4].ends_with("a (4)") && names[5].ends_with("a (5)"));
    let different: std::collections::HashSet<&&str> = names.iter().collect();
    assert_eq!(different.len(), given.len());
    for (class, given) in ClassId::all(given.len()).zip(&given) {
        assert!(labels.name(class).chars().count() <= printable::NAME + 4);
        assert_eq!(labels.full(class), given, "unchanged");
        assert_eq!(labels.find(given), Ok(class));
        assert_eq!(labels.find(labels.name(class)), Ok(class));
    }
}

#[test]
fn shortened_names_have_their_index() {
    let labels = labels(&["nevus, subtype 1", "nevus, subtype 2", "scar"]);
    let short = |class| labels.shortened(ClassId(class), 9);
    assert_eq!(
        [0, 1, 2].map(short),
        ["nevu…pe 1 (0)", "nevu…pe 2 (1)", "scar"]
    );
    assert_eq!(labels.shortened(ClassId(1), 16), "nevus, subtype 2");
}
