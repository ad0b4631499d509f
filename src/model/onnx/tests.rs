//! Tests of the reader and the folding on small models.
