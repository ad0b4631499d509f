//! Sample photos that come with the program (assets/samples/README.md: CC0 and public domain).

use crate::worker::PhotoSource;

/// The samples, in the order of the start screen.
pub const SAMPLES: [PhotoSource; 5] = [
    PhotoSource::Embedded {
        name: "cat.png",
        bytes: include_bytes!("../../../assets/samples/cat.png"),
    },
    PhotoSource::Embedded {
        name: "two-cats.png",
        bytes: include_bytes!("../../../assets/samples/two-cats.png"),
    },
    PhotoSource::Embedded {
        name: "coffee.png",
        bytes: include_bytes!("../../../assets/samples/coffee.png"),
    },
    PhotoSource::Embedded {
        name: "rocket.png",
        bytes: include_bytes!("../../../assets/samples/rocket.png"),
    },
    PhotoSource::Embedded {
        name: "astronaut.png",
        bytes: include_bytes!("../../../assets/samples/astronaut.png"),
    },
];

/// The ID of a sample's thumbnail. IDs of opened photos never reach these values.
#[must_use]
pub fn sample_id(index: usize) -> u64 {
    u64::MAX - index as u64
}

/// The sample with this ID, if there is one.
#[must_use]
pub fn sample_index(id: u64) -> Option<usize> {
    let index = usize::try_from(u64::MAX - id).ok()?;
    (index < SAMPLES.len()).then_some(index)
}
