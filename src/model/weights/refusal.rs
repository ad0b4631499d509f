//! Why a weight file is rejected, and how text from it is quoted in messages.

/// Why a file is rejected.
#[derive(Debug)]
pub enum Refusal {
    /// It is damaged, or not a weight file.
    Format(String),
    /// It holds more data besides the weights than the limits allow.
    TooMuch(String),
}

impl From<String> for Refusal {
    fn from(cause: String) -> Self {
        Self::Format(cause)
    }
}

impl From<&str> for Refusal {
    fn from(cause: &str) -> Self {
        Self::Format(cause.into())
    }
}

/// Text from a file, shortened to one line for a message.
pub fn short(text: &str) -> String {
    const MOST: usize = 100;
    let mut shown: String = text
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
