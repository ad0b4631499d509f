//! Which variants an enum has, and which of them a value is, by what the compiler derives: no
//! list is kept by hand, so none can go stale.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// Asks a derived [`Deserialize`] for the names of its variants.
struct AskForVariants<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for AskForVariants<'_> {
    type Error = Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = variants;
        Err(Error::custom("only the names are wanted"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("not an enum"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The names of all variants of an enum.
pub fn names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    assert!(T::deserialize(AskForVariants(&mut names)).is_err());
    assert!(!names.is_empty(), "not an enum");
    names
}

/// The name of a value's variant.
pub fn name_of<T: Debug>(value: &T) -> String {
    let text = format!("{value:?}");
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.chars().take_while(|c| is_name(*c)).collect()
}

/// How often each variant came.
pub struct Counts(BTreeMap<&'static str, usize>);

impl Counts {
    /// Of an enum, none so far.
    pub fn of<'de, T: Deserialize<'de>>() -> Self {
        Self(names::<T>().iter().map(|name| (*name, 0)).collect())
    }

    pub fn count<T: Debug>(&mut self, value: &T) {
        let name = name_of(value);
        let count = self.0.get_mut(&*name);
        *count.unwrap_or_else(|| panic!("{name} is not in the list of variants")) += 1;
    }

    /// The variants that never came.
    pub fn missed(&self) -> Vec<&'static str> {
        let missed = self.0.iter().filter(|(_, count)| **count == 0);
        missed.map(|(name, _)| *name).collect()
    }

    /// A line for each variant.
    pub fn table(&self) -> String {
        let lines = self.0.iter();
        let lines = lines.map(|(name, count)| format!("{count:7} {name}"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn variants_are_those_of_the_enum() {
    use camlens::app::{Action, Command, Side};

    let actions = names::<Action>();
    for action in [
        Action::SwapPanes,
        Action::StepPhoto(1),
        Action::SetPaneLayer(Side::Left, None),
        Action::RemoveRegion { photo: 1, index: 0 },
        Action::Run(Command::Fit),
    ] {
        assert!(actions.contains(&&*name_of(&action)), "{action:?}");
    }
    assert!(names::<Command>().contains(&&*name_of(&Command::Zoom(2.0))));
    let mut counts = Counts::of::<Command>();
    counts.count(&Command::Fit);
    assert_eq!(counts.missed().len(), names::<Command>().len() - 1);
}
