//! Keys, drops and the clipboard.

pub(in crate::app) mod copy_key;
pub(in crate::app) mod drop_and_paste;
pub(in crate::app) mod keys;
