//! The kit to write modules with in Rust.
