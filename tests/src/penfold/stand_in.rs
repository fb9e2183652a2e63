//! Controllers that scenarios bind and unbind but never use: only their names and files matter.

use penfold_core::{
    Result,
    control_file::ControlFile,
    subsystem::{Context, Subsystem},
};

/// A controller that does nothing.
pub(super) struct StandIn {
    name: &'static str,
    files: &'static [&'static str],
}

/// A stand-in for `perf_event`, which has no files.
pub(super) const PERF_EVENT: StandIn = StandIn { name: "perf_event", files: &[] };

/// A stand-in for `net_prio`.
pub(super) const NET_PRIO: StandIn = StandIn { name: "net_prio", files: &["prioidx", "ifpriomap"] };

impl Subsystem for StandIn {
    type State = ();

    const NAME: &'static str = "";

    fn name(&self) -> &str {
        self.name
    }

    fn files(&self) -> Vec<ControlFile<Self>> {
        self.files.iter().map(|name| ControlFile::new(name)).collect()
    }

    fn create(&mut self, _: &mut Context<'_, Self>) -> Result<()> {
        Ok(())
    }

    fn destroy(&mut self, _: &mut Context<'_, Self>) {}
}
