//! The controller of `counter.c` compiled in: the same callbacks and the same work.

use penfold_core::{
    Result, Tid,
    control_file::ControlFile,
    subsystem::{Callbacks, Context, Subsystem},
};

/// Counts forks and exits, or nothing if `COUNTS` is false.
#[derive(Debug, Default)]
pub struct ForkCounter<const COUNTS: bool> {
    forks: u64,
    exits: u64,
}

impl<const COUNTS: bool> Subsystem for ForkCounter<COUNTS> {
    type State = ();

    const NAME: &'static str = "counter";
    const CALLBACKS: Callbacks =
        if COUNTS { Callbacks::FORK.union(Callbacks::EXIT) } else { Callbacks::empty() };
    const FILES: &'static [ControlFile<Self>] =
        &[ControlFile::new("count").read_u64(|counter: &mut Self, _| Ok(counter.forks + counter.exits))];

    fn create(&mut self, _: &mut Context<'_, Self>) -> Result<()> {
        Ok(())
    }

    fn destroy(&mut self, _: &mut Context<'_, Self>) {}

    fn fork(&mut self, _: &mut Context<'_, Self>, _: Tid) {
        self.forks += 1;
    }

    fn exit(&mut self, _: &mut Context<'_, Self>, _: Tid) {
        self.exits += 1;
    }
}
