//! Chooses one of a file's dictionaries of tensors.

use crate::model::weights::layout::Dictionary;

/// The keys under which training scripts store the weights, the most common first.
const WRAPPERS: [&str; 9] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "module",
    "weights",
    "params",
];

/// Whether a key or prefix indicates averaged weights (exponential moving average):
/// `state_dict_ema`, `ema_model.`.
#[must_use]
pub fn is_average(name: &str) -> bool {
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.any(|word| word.eq_ignore_ascii_case("ema"))
}

/// The rank of a key, 0 for the most common; `None` if a part is unknown. The outermost dictionary
/// comes last.
#[must_use]
pub fn usual(key: &str) -> Option<usize> {
    if key.is_empty() {
        return Some(WRAPPERS.len());
    }
    let places = key.split('.').map(|part| {
        let mut wrappers = WRAPPERS.iter();
        wrappers.position(|wrapper| *wrapper == part)
    });
    // The first part decides, but all parts must be known.
    let places: Option<Vec<usize>> = places.collect();
    places.and_then(|places| places.first().copied())
}

/// The dictionary to use by default: among those with convolutions, if any, the one with the most
/// common key, otherwise the first.
#[must_use]
pub fn first(dictionaries: &[Dictionary]) -> Option<usize> {
    let order = |index: &usize| {
        let dictionary = &dictionaries[*index];
        (
            !dictionary.holds_a_network(),
            is_average(&dictionary.key),
            usual(&dictionary.key).unwrap_or(usize::MAX),
        )
    };
    (0..dictionaries.len()).min_by_key(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_told_by_their_names() {
        for name in [
            "state_dict_ema",
            "ema",
            "model_ema",
            "ema_model.",
            "EMA.module.",
            "a.ema-net",
        ] {
            assert!(is_average(name), "{name}");
        }
        for name in ["state_dict", "schema", "", "teacher.", "emanet."] {
            assert!(!is_average(name), "{name}");
        }
    }

    #[test]
    fn the_usual_key_comes_first() {
        let dictionary = |key: &str| Dictionary {
            key: key.into(),
            ..Dictionary::default()
        };
        for (keys, expected) in [
            (&["", "state_dict"][..], Some(1)),
            (&["teacher", "model"], Some(1)),
            (&["state_dict_ema", "anything"], Some(1)),
            (&["x.y"], Some(0)),
            (&[], None),
        ] {
            let dictionaries: Vec<_> = keys.iter().map(|key| dictionary(key)).collect();
            assert_eq!(first(&dictionaries), expected, "{keys:?}");
        }
        assert_eq!(usual("model.state_dict"), usual("model"));
        assert_eq!(usual("model.best"), None);
    }
}
