//! Files that are odd, damaged or lie about themselves: `tests/corpus`, and what can't be
//! committed.

mod corpus;
mod names;
