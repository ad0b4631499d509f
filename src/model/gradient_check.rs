//! The check of a network's backward pass.

use std::fmt;

use serde::Serialize;

/// The result of comparing the backward pass of a network with a directional derivative of its
/// forward pass, at the target layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum GradientCheck {
    /// It is still to be made.
    NotYet,
    /// Both agree.
    Verified {
        /// Their relative difference.
        relative_error: f64,
    },
    /// They differ: maps of this network are not to be relied on.
    Failed {
        /// Their relative difference.
        relative_error: f64,
    },
}

impl GradientCheck {
    /// Whether maps can't be relied on.
    #[must_use]
    pub fn is_failed(self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// What it means, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NotYet => {
                "The gradients of this network will be compared with a numerical derivative of its forward pass."
            }
            Self::Verified { .. } => {
                "The gradient at the target layer agrees with a numerical derivative of the forward pass, up to this relative difference."
            }
            Self::Failed { .. } => {
                "The gradient at the target layer differs from a numerical derivative of the forward pass: do not rely on the maps of this network, and please report it."
            }
        }
    }
}

impl fmt::Display for GradientCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet => f.write_str("gradient not verified yet"),
            Self::Verified { relative_error } => {
                write!(f, "gradient verified ({relative_error:.0e})")
            }
            Self::Failed { relative_error } => {
                write!(
                    f,
                    "gradient check failed (relative difference {relative_error:.0e})"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_said_in_words() {
        let verified = GradientCheck::Verified {
            relative_error: 3.1e-7,
        };
        assert_eq!(verified.to_string(), "gradient verified (3e-7)");
        let failed = GradientCheck::Failed {
            relative_error: 0.25,
        };
        assert!(failed.is_failed() && failed.to_string().contains("failed"));
        let json = serde_json::to_string(&failed).unwrap();
        assert_eq!(json, r#"{"state":"failed","relative_error":0.25}"#);
    }
}
