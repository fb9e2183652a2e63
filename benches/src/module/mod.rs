//! The cost of a module's fork and exit callbacks, and of its load and unload.
//!
//! The module is measured beside the same controller compiled in, and beside no controller.

pub mod build;
pub mod simulated;
pub mod traced;
pub mod twin;

use std::time::Duration;

/// The controller that is interested in forks and exits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interested {
    /// No controller.
    Nobody,
    /// A controller that is compiled in.
    BuiltIn,
    /// The same controller as a module.
    Module,
}

impl Interested {
    /// All, the cheapest first.
    pub const ALL: [Interested; 3] = [Interested::Nobody, Interested::BuiltIn, Interested::Module];

    /// The name in a table.
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
    /// Adds a time.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    fn sorted(&self) -> Vec<Duration> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted
    }

    /// The fastest time, the least disturbed by other work of the machine.
    ///
    /// # Panics
    /// When no time was added.
    pub fn fastest(&self) -> Duration {
        self.sorted()[0]
    }

    /// The median.
    ///
    /// # Panics
    /// When no time was added.
    pub fn median(&self) -> Duration {
        self.sorted()[self.0.len() / 2]
    }

    /// The longest time.
    ///
    /// # Panics
    /// When no time was added.
    pub fn longest(&self) -> Duration {
        *self.sorted().last().expect("at least one")
    }
}
