//! A module beside the same controller compiled in, and beside nobody: what it costs to be told of forks and exits, and to
//! come and go.

pub mod build;
pub mod simulated;
pub mod traced;
pub mod twin;

use std::time::Duration;

/// Who is interested in forks and exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interested {
    /// No controller is.
    Nobody,
    /// One that is compiled in.
    BuiltIn,
    /// The same as a module.
    Module,
}

impl Interested {
    /// All, the cheapest first.
    pub const ALL: [Interested; 3] = [Interested::Nobody, Interested::BuiltIn, Interested::Module];

    /// In a table.
    pub const fn name(self) -> &'static str {
        match self {
            Interested::Nobody => "nobody",
            Interested::BuiltIn => "built in",
            Interested::Module => "module",
        }
    }
}

/// Times of the same thing.
#[derive(Debug, Clone, Default)]
pub struct Durations(Vec<Duration>);

impl Durations {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted
    }

    /// The fastest: what it takes when nothing comes between.
    ///
    /// # Panics
    /// Without any.
    pub fn fastest(&self) -> Duration {
        self.sorted()[0]
    }

    /// # Panics
    /// Without any.
    pub fn median(&self) -> Duration {
        self.sorted()[self.0.len() / 2]
    }

    /// # Panics
    /// Without any.
    pub fn longest(&self) -> Duration {
        *self.sorted().last().expect("at least one")
    }
}
