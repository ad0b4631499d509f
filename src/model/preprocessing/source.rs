//! Which preprocessing a model gets, and where it came from.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::input::framing::{Framing, InputSize};
use crate::model::preprocessing::sidecar::Sidecar;
use crate::model::preprocessing::{ChannelOrder, Preprocessing};

/// Where a preprocessing came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreprocessingSource {
    /// In words: "config.json", "usual for ResNet-18".
    pub source: String,
    /// Whether nothing says that it is right for the model.
    pub is_guess: bool,
}

impl PreprocessingSource {
    /// A source that knows.
    #[must_use]
    pub fn known(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            is_guess: false,
        }
    }

    /// A guess.
    #[must_use]
    pub fn guess(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            is_guess: true,
        }
    }
}

impl fmt::Display for PreprocessingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_guess {
            write!(f, "guessed: ")?;
        }
        write!(f, "{}", self.source)
    }
}

/// What a network needs of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputNeeds {
    /// Its channels: 1 or 3.
    pub channels: usize,
    /// The only size (height, width) that it takes, if there is only one.
    pub fixed_size: Option<(usize, usize)>,
}

/// The preprocessing of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct SettledPreprocessing {
    /// Fitted to what the network needs.
    pub preprocessing: Preprocessing,
    /// Where it came from.
    pub from: PreprocessingSource,
    /// How photos are fitted to the input, if a file says it.
    pub framing: Option<Framing>,
    /// What a file requires that the network does not allow.
    pub notices: Vec<String>,
}

impl SettledPreprocessing {
    /// Takes the first that there is: what a file next to the model says, what the model's own file
    /// says (metadata, normalization inside the network), what is usual.
    #[must_use]
    pub fn new(
        sidecar: Option<Sidecar>,
        from_file: Option<(Preprocessing, String)>,
        usual: (Preprocessing, PreprocessingSource),
        needs: InputNeeds,
    ) -> Self {
        let (preprocessing, from, framing) = match (sidecar, from_file) {
            (Some(found), _) => {
                let from = PreprocessingSource::known(found.file);
                (found.preprocessing, from, found.framing)
            }
            (None, Some((found, from))) => (found, PreprocessingSource::known(from), None),
            (None, None) => (usual.0, usual.1, None),
        };
        let mut notices = Vec::new();
        let fitted = needs.fit(preprocessing);
        let (asked, size) = (preprocessing.size, fitted.size);
        if !from.is_guess && (asked.width, asked.height) != (size.width, size.height) {
            notices.push(format!(
                "{} asks for an input of {}×{} pixels, but the network takes only {}×{}: that is used.",
                from.source, asked.width, asked.height, size.width, size.height
            ));
        }
        if !from.is_guess && fitted.order != preprocessing.order {
            notices.push(format!(
                "{} describes colors, but the network has one channel: photos are made gray.",
                from.source
            ));
        }
        Self {
            preprocessing: fitted,
            from,
            framing,
            notices,
        }
    }
}

impl InputNeeds {
    /// The closest preprocessing that the network takes.
    #[must_use]
    pub fn fit(self, mut preprocessing: Preprocessing) -> Preprocessing {
        if self.channels == 1 {
            preprocessing.order = ChannelOrder::Gray;
        }
        let size = preprocessing.size;
        if let Some((height, width)) = self.fixed_size
            && (size.width, size.height) != (width, height)
        {
            let fitted = size.resized(width, height);
            // A size beyond the usual limits is what the network takes.
            preprocessing.size = fitted.unwrap_or(InputSize {
                width,
                height,
                short: width.min(height),
                rounds_down: size.rounds_down,
            });
        }
        preprocessing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::preprocessing::Preset;

    const FREE: InputNeeds = InputNeeds {
        channels: 3,
        fixed_size: None,
    };

    #[test]
    fn sources_are_taken_in_order_and_guesses_are_marked() {
        let usual = (
            Preprocessing::default(),
            PreprocessingSource::guess("usual for ResNet-18"),
        );
        let bytes = Preset::Bytes.over(Preprocessing::default());
        let own = || Some((bytes, "metadata".to_owned()));
        let half = Preset::Half.over(Preprocessing::default());
        let sidecar = Some(Sidecar {
            preprocessing: half,
            framing: Some(Framing::Squash),
            file: "config.json",
        });
        let settle = |sidecar, own| SettledPreprocessing::new(sidecar, own, usual.clone(), FREE);
        for (found, expected, from) in [
            (settle(sidecar, own()), half, "config.json"),
            (settle(None, own()), bytes, "metadata"),
            (settle(None, None), usual.0, "guessed: usual for ResNet-18"),
        ] {
            assert_eq!(found.preprocessing, expected);
            assert_eq!(found.from.to_string(), from);
            assert!(found.notices.is_empty());
        }
    }

    #[test]
    fn what_the_network_does_not_take_is_a_notice() {
        let needs = InputNeeds {
            channels: 1,
            fixed_size: Some((48, 192)),
        };
        let sidecar = Some(Sidecar {
            preprocessing: Preprocessing::default(),
            framing: None,
            file: "config.json",
        });
        let usual = (
            Preprocessing::default(),
            PreprocessingSource::guess("usual"),
        );
        let found = SettledPreprocessing::new(sidecar, None, usual.clone(), needs);
        assert!(found.notices[0].contains("224×224 pixels, but the network takes only 192×48"));
        assert!(found.notices[1].contains("one channel"));
        let guessed = SettledPreprocessing::new(None, None, usual, needs);
        assert!(guessed.notices.is_empty());
        assert_eq!(guessed.preprocessing, found.preprocessing);
        assert_eq!(guessed.preprocessing.order, ChannelOrder::Gray);
        let size = guessed.preprocessing.size;
        assert_eq!((size.width, size.height, size.short), (192, 48, 55));
    }
}
