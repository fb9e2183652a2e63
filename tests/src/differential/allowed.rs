//! What may differ between the kernel and penfold: the one list. Each entry has its number in docs/differences.md.

use super::operation::Operation;
use super::outcome::Outcome;

/// What is known where a difference is allowed or not.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// Is an actor dead and not reaped?
    pub zombies: bool,
}

/// A difference that is meant.
#[derive(Debug)]
pub struct Allowed {
    /// Its number in docs/differences.md.
    pub number: &'static str,
    /// Takes out of an outcome what may differ; applied to both sides.
    pub relax: fn(Scene, &Operation, &mut Outcome),
}

/// Between two hierarchies of the kernel nothing may differ.
pub const NOTHING: &[Allowed] = &[];
