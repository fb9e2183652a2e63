//! A daemon's host without any controller, and modules that come and go in it.

use std::collections::BTreeMap;
use std::path::Path;

use penfold_core::{Caller, CgroupId, Engine, Error, Tid, host::Host};
use penfold_linux::trace::{AtEnd, Command, ExecOptions, JobBuilder, TraceHost, TracedCommand};
use penfold_module::loader::Controller;

pub struct Hosted {
    pub host: TraceHost,
}

pub fn owner() -> Caller {
    Caller::root(Tid(std::process::id().cast_signed()))
}

impl Hosted {
    pub fn start() -> Hosted {
        Hosted { host: TraceHost::start(JobBuilder::new(false)).expect("the host starts") }
    }

    /// Works on the engine, on the tracer thread.
    pub fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine, &mut dyn Host) -> R + Send + 'static,
    ) -> R {
        self.host.control().with_exact(work).expect("the host runs")
    }

    pub fn load(&self, path: &Path) {
        let controller = Controller::open(path).expect("it is a module");
        self.with(move |engine, host| engine.load(host, controller)).expect("it is loaded");
    }

    pub fn unload(&self, name: &'static str) -> Result<(), Error> {
        self.with(move |engine, host| engine.unload(host, name))
    }

    pub fn mount(&self, options: &'static str) -> CgroupId {
        self.with(move |engine, host| engine.mount(host, &owner(), options)).expect("it is mounted").root
    }

    pub fn unmount(&self, root: CgroupId) {
        self.with(move |engine, host| engine.unmount(host, root)).expect("it is unmounted");
    }

    pub fn mkdir(&self, parent: CgroupId, name: &'static str) -> CgroupId {
        let made =
            self.with(move |engine, host| engine.mkdir(host, &owner(), parent, name.as_bytes(), 0o755));
        made.expect("a cgroup")
    }

    pub fn rmdir(&self, cgroup: CgroupId) {
        self.with(move |engine, host| engine.rmdir(host, &owner(), cgroup)).expect("it is empty");
    }

    pub fn exec<S: AsRef<str>>(&self, cgroup: Option<CgroupId>, argv: &[S]) -> TracedCommand {
        let command = Command::new(argv.iter().map(AsRef::as_ref));
        self.host.exec(command, cgroup, ExecOptions::default()).expect("it starts")
    }

    /// The account of a witness, the same in every cgroup, with nothing in it that should not have been; and what of
    /// that holds of this cgroup, with no member that the witness does not know.
    pub fn account(&self, cgroup: CgroupId) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        self.with(move |engine, host| account(engine, host, cgroup))
    }
}

/// The same with the engine at hand: nothing happens in between.
pub fn account(
    engine: &mut Engine,
    host: &mut dyn Host,
    cgroup: CgroupId,
) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let mut map = |name: &str| -> BTreeMap<String, u64> {
        let file = engine.find_file(cgroup, name).expect("the file is there");
        let text = engine.read(host, &owner(), cgroup, file).expect("it can be read");
        let text = String::from_utf8(text).expect("a text");
        let pair = |line: &str| {
            let (key, value) = line.split_once(' ').expect("a key and a value");
            (key.to_owned(), value.parse().expect("a number"))
        };
        text.lines().map(pair).collect()
    };
    let (told, here) = (map("witness.told"), map("witness.here"));
    assert_eq!((told["twice"], told["unknown"], told["wrong"]), (0, 0, 0), "{told:?}");
    assert_eq!(here["absent"], 0, "{here:?}");
    (told, here)
}

impl Drop for Hosted {
    fn drop(&mut self) {
        // a test may have stopped it
        let _ = self.host.stop(AtEnd::Kill);
    }
}
