//! A daemon's host without controllers, in which modules are loaded and unloaded.

use std::collections::BTreeMap;
use std::path::Path;

use penfold_core::{Caller, CgroupId, Engine, Error, Tid, host::Host};
use penfold_linux::trace::{AtEnd, Command, ExecOptions, JobBuilder, TraceHost, TracedCommand};
use penfold_module::loader::Controller;

pub struct ModuleHost {
    pub host: TraceHost,
}

pub fn owner() -> Caller {
    Caller::root(Tid(std::process::id().cast_signed()))
}

impl ModuleHost {
    pub fn start() -> ModuleHost {
        ModuleHost { host: TraceHost::start(JobBuilder::new(false)).expect("the host starts") }
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
        self.with(move |engine, host| engine.session(host, &owner()).mount(options))
            .expect("it is mounted")
            .root
    }

    pub fn unmount(&self, root: CgroupId) {
        self.with(move |engine, host| engine.unmount(host, root)).expect("it is unmounted");
    }

    pub fn mkdir(&self, parent: CgroupId, name: &'static str) -> CgroupId {
        let made = self
            .with(move |engine, host| engine.session(host, &owner()).mkdir(parent, name.as_bytes(), 0o755));
        made.expect("a cgroup")
    }

    pub fn rmdir(&self, cgroup: CgroupId) {
        self.with(move |engine, host| engine.session(host, &owner()).rmdir(cgroup)).expect("it is empty");
    }

    pub fn exec<S: AsRef<str>>(&self, cgroup: Option<CgroupId>, argv: &[S]) -> TracedCommand {
        let command = Command::new(argv.iter().map(AsRef::as_ref));
        self.host.exec(command, cgroup, ExecOptions::default()).expect("it starts")
    }

    /// The two accounts of the witness: of all cgroups, and of this cgroup.
    ///
    /// Panics if the witness has seen an event twice, of an unknown task or with wrong arguments, or misses a
    /// member here.
    pub fn account(&self, cgroup: CgroupId) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        self.with(move |engine, host| account(engine, host, cgroup))
    }
}

/// As [`ModuleHost::account`], in a request that has the engine, so that nothing happens in between.
pub fn account(
    engine: &mut Engine,
    host: &mut dyn Host,
    cgroup: CgroupId,
) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
    let mut map = |name: &str| -> BTreeMap<String, u64> {
        let file = engine.find_file(cgroup, name).expect("the file is there");
        let text = engine.session(host, &owner()).read(cgroup, file).expect("it can be read");
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

impl Drop for ModuleHost {
    fn drop(&mut self) {
        // a test may have stopped it
        let _ = self.host.stop(AtEnd::Kill);
    }
}
