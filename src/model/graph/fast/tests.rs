//! Every operator and every fusion against the reference.
