//! Shortens names by cutting out their middle: what distinguishes them is as often at their end as
//! at their beginning.

/// Longer text is cut before it is measured: laying out a name of a megabyte takes minutes.
const LONGEST: usize = 300;

/// Text of at most `letters` characters: longer text keeps its beginning and its end.
pub fn shortened(text: &str, letters: usize) -> String {
    let count = text.chars().count();
    if count <= letters {
        return text.to_owned();
    }
    let kept = letters.saturating_sub(1);
    let (before, after) = (kept.div_ceil(2), kept / 2);
    let start = text.chars().take(before);
    let end = text.chars().skip(count - after);
    start.chain(['…']).chain(end).collect()
}

/// The longest text that fits, where `text` gives the text for a number of letters.
pub fn longest(fits: impl Fn(&str) -> bool, text: impl Fn(usize) -> String) -> String {
    let whole = text(LONGEST);
    if fits(&whole) {
        return whole;
    }
    let (mut most, mut too_many) = (1, LONGEST);
    while most + 1 < too_many {
        let middle = usize::midpoint(most, too_many);
        if fits(&text(middle)) {
            most = middle;
        } else {
            too_many = middle;
        }
    }
    text(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_keeps_its_ends() {
        assert_eq!(shortened("abcdefgh", 8), "abcdefgh");
        assert_eq!(shortened("abcdefgh", 5), "ab…gh");
        assert_eq!(shortened("äöüßéñçø", 4), "äö…ø");
        let name = "abcdefgh".repeat(1000);
        for (room, short) in [(5, "ab…gh"), (1, "…"), (0, "…")] {
            let fits = |text: &str| text.chars().count() <= room;
            assert_eq!(longest(fits, |letters| shortened(&name, letters)), short);
        }
    }
}
