//! A controller that refuses on demand: a module must bear the refusals of others in the same hierarchy.

use penfold_core::{
    Errno, Error, Result,
    control_file::ControlFile,
    subsystem::{Callbacks, Context, Migration, Subsystem},
};

/// Refuses while its file `check-refuser.refuse` in the root is 1: attaches, forks, and new cgroups.
#[derive(Debug, Default)]
pub(super) struct Refuser {
    refuses: bool,
}

impl Refuser {
    fn answer(&self) -> Result<()> {
        if self.refuses { Err(Error::refused(Errno::EPERM, "refused for a test")) } else { Ok(()) }
    }
}

fn write(refuser: &mut Refuser, ctx: &mut Context<'_, Refuser>, value: u64) -> Result<()> {
    ctx.set_may_refuse_fork(value == 1)?;
    refuser.refuses = value == 1;
    Ok(())
}

impl Subsystem for Refuser {
    type State = ();

    const NAME: &'static str = "check-refuser";
    const CALLBACKS: Callbacks = Callbacks::CAN_ATTACH.union(Callbacks::CAN_FORK);
    const FILES: &'static [ControlFile<Self>] = &[ControlFile::new("refuse").write_u64(write).root_only()];

    fn create(&mut self, _: &mut Context<'_, Self>) -> Result<()> {
        self.answer()
    }

    fn destroy(&mut self, _: &mut Context<'_, Self>) {}

    fn can_attach(&mut self, _: &mut Context<'_, Self>, _: &[Migration]) -> Result<()> {
        self.answer()
    }

    fn can_fork(&mut self, _: &mut Context<'_, Self>, _: penfold_core::Tid) -> Result<()> {
        self.answer()
    }
}
