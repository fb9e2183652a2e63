//! A module, compared with the same controller compiled in and with no controller: the cost of fork and exit
//! callbacks, of load and of unload.

pub mod build;
pub mod simulated;
pub mod traced;
pub mod twin;

use std::time::Duration;

/// The controller with fork and exit callbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interested {
    /// None.
    Nobody,
    /// A controller that is compiled in.
    BuiltIn,
    /// The same controller as a module.
    Module,
}

impl Interested {
    /// All variants, the cheapest first.
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

/// Repeated times of one operation.
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

    /// The fastest time: that without disturbances.
    ///
    /// # Panics
    /// Without any time.
    pub fn fastest(&self) -> Duration {
        self.sorted()[0]
    }

    /// The median time.
    ///
    /// # Panics
    /// Without any time.
    pub fn median(&self) -> Duration {
        self.sorted()[self.0.len() / 2]
    }

    /// The longest time.
    ///
    /// # Panics
    /// Without any time.
    pub fn longest(&self) -> Duration {
        *self.sorted().last().expect("at least one")
    }
}
