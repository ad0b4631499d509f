//! Tests that need more than the source tree, such as the developers' folder, a GPU or valgrind.
//!
//! Such a test is marked `#[ignore = "needs …"]`, so that a plain `cargo test` shows it as
//! ignored. With `--include-ignored` (as in `.ci/run`), an unmet need is a failure unless
//! `CAMLENS_ALLOW_SKIPS` lists it (names separated by commas).

use std::env;
use std::io::Write;

/// The variable that lists the needs that this machine can't meet.
const ALLOW: &str = "CAMLENS_ALLOW_SKIPS";

/// What a test can need.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// The developers' folder `../shared`.
    Shared,
    /// A GPU, and a build that can use it.
    Gpu,
    /// valgrind, on x86-64.
    Valgrind,
    /// The compiler that `tests/instructions.txt` was written with.
    Compiler,
    /// A user who may not read every file.
    PlainUser,
    /// `/proc/self/clear_refs`, which resets the peak memory on Linux.
    ClearRefs,
}

impl Need {
    /// Its name in `CAMLENS_ALLOW_SKIPS`.
    fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Gpu => "gpu",
            Self::Valgrind => "valgrind",
            Self::Compiler => "compiler",
            Self::PlainUser => "plain-user",
            Self::ClearRefs => "clear-refs",
        }
    }

    /// Whether a test can continue. If not, reports that it is skipped, bypassing the test runner's
    /// capture.
    ///
    /// # Panics
    /// If the need is not met and may not be skipped.
    #[must_use]
    pub fn is_met(self, met: bool, details: &str) -> bool {
        if !met {
            let name = self.name();
            let allowed = env::var(ALLOW).unwrap_or_default();
            assert!(
                allowed.split(',').any(|allowed| allowed == name),
                "this test needs {details}; {ALLOW}={name} allows skipping it"
            );
            let _ = writeln!(std::io::stderr(), "skipped: a test needs {details}");
        }
        met
    }
}
