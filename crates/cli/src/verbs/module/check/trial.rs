//! The trial of a module: an engine with simulated processes, and the operations on the module there.

use std::path::Path;

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Errno, MoveScope, Tid, simulated::ChildKind};
use penfold_module::loader::{Controller, still_mapped};

use super::error_text;
use super::files::{self, FileContents};
use super::refuser::Refuser;
use super::report::CheckReport;
use crate::failure::Failure;
use crate::settings::Setting;

/// An engine with simulated processes, and the module loaded.
pub(super) struct ModuleTrial {
    engine: Engine,
    host: SimulatedHost,
    caller: Caller,
    name: String,
    overruns: Box<dyn Fn() -> u64>,
    /// The files of the root, with their contents right after the load.
    fresh: FileContents,
    /// The processes that are older than the module.
    old: [Tid; 2],
    root: CgroupId,
}

impl ModuleTrial {
    /// Loads and mounts the module. `None` if that fails; the report then has the reason.
    pub(super) fn new(path: &Path, report: &mut CheckReport) -> Result<Option<ModuleTrial>, Failure> {
        let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(4));
        let old = [host.spawn(&mut engine, 1000), host.spawn(&mut engine, 1000)];
        let caller = Caller::root(old[0]);
        let Some((name, overruns)) = load(&mut engine, &mut host, path, report)? else { return Ok(None) };
        engine.load(&mut host, Refuser::default())?;
        let mounted =
            engine.session(&mut host, &caller).mount(format!("{name},check-refuser,clone_children"));
        let root = match mounted {
            Ok(mounted) => mounted.root,
            Err(error) => {
                report.wrong("mount", &error_text(&error))?;
                return Ok(None);
            }
        };
        report.good("mount", &format!("-o {name}, beside another controller"))?;
        let fresh = files::snapshot(&mut engine, &mut host, &caller, root, &name);
        Ok(Some(ModuleTrial { engine, host, caller, name, overruns, fresh, old, root }))
    }

    /// Performs every operation that can happen while the module is loaded.
    pub(super) fn exercise(&mut self, settings: &[Setting], report: &mut CheckReport) -> Result<(), Failure> {
        let (root, [first, second]) = (self.root, self.old);
        let Some(a) = self.mkdir(root, "a", report)? else { return Ok(()) };
        let Some(b) = self.mkdir(a, "b", report)? else { return Ok(()) };
        self.attach(a, first, report)?;
        self.files(root, "/", report)?;
        self.files(a, "/a/", report)?;
        self.settings(a, settings, report)?;
        let child = self.fork(first, report)?;
        self.refusals(a, b, first, second, report)?;
        self.attach(b, second, report)?;
        self.attach(root, second, report)?;
        if let Some(child) = child {
            self.host.exit(&mut self.engine, child);
            report.good("exit", "of the child")?;
        }
        self.attach(root, first, report)?;
        for (cgroup, path) in [(b, "/a/b"), (a, "/a")] {
            match self.engine.session(&mut self.host, &self.caller).rmdir(cgroup) {
                Ok(()) => report.good("rmdir", path)?,
                Err(error) => {
                    report.wrong("rmdir", &format!("{path} is empty, and yet: {}", error_text(&error)))?;
                }
            }
        }
        Ok(())
    }

    /// Unmounts and unloads the module, and loads it again.
    pub(super) fn reload(mut self, path: &Path, report: &mut CheckReport) -> Result<(), Failure> {
        match self.engine.unload(&mut self.host, &self.name) {
            Err(error) if error.errno() == Errno::EBUSY => {
                report.good("unload while mounted", &error_text(&error))?;
            }
            other => report.wrong("unload while mounted", &format!("{other:?}"))?,
        }
        let unmounted = self.engine.unmount(&mut self.host, self.root);
        let unloaded = unmounted.and_then(|()| self.engine.unload(&mut self.host, &self.name));
        if let Err(error) = unloaded {
            return report.wrong("unload", &error_text(&error));
        }
        report.good("unload", "")?;
        match still_mapped().first() {
            None => report.good("unmap", "")?,
            Some(still) => report.note("unmap", &format!("it stays mapped: {}", still.reason))?,
        }
        let took = (self.overruns)();
        if took > 0 {
            report.wrong("time", &format!("{took} callbacks took longer than they may, see above which"))?;
        }
        let Some((name, _)) = load(&mut self.engine, &mut self.host, path, report)? else { return Ok(()) };
        let mounted = self.engine.session(&mut self.host, &self.caller).mount(&name)?;
        let now = files::snapshot(&mut self.engine, &mut self.host, &self.caller, mounted.root, &name);
        match files::difference(&self.fresh, &now) {
            None => report.good("load again", "starts from its defaults")?,
            Some(how) => report.note("load again", &format!("something of before is left: {how}"))?,
        }
        self.engine.unmount(&mut self.host, mounted.root)?;
        Ok(self.engine.unload(&mut self.host, &name)?)
    }

    fn mkdir(
        &mut self,
        parent: CgroupId,
        name: &str,
        report: &mut CheckReport,
    ) -> Result<Option<CgroupId>, Failure> {
        match self.engine.session(&mut self.host, &self.caller).mkdir(parent, name.as_bytes(), 0o755) {
            Ok(cgroup) => {
                let path = String::from_utf8_lossy(&self.engine.tree().path(cgroup)).into_owned();
                report.good("mkdir", &path)?;
                Ok(Some(cgroup))
            }
            Err(error) => {
                report.wrong("mkdir", &error_text(&error))?;
                Ok(None)
            }
        }
    }

    fn attach(&mut self, cgroup: CgroupId, task: Tid, report: &mut CheckReport) -> Result<(), Failure> {
        let path = String::from_utf8_lossy(&self.engine.tree().path(cgroup)).into_owned();
        match self.engine.session(&mut self.host, &self.caller).attach(cgroup, task, MoveScope::ThreadGroup) {
            Ok(()) => report.good("attach", &format!("process {task} to {path}")),
            Err(error) => report.note("attach", &format!("process {task} to {path}: {}", error_text(&error))),
        }
    }

    fn files(&mut self, cgroup: CgroupId, at: &str, report: &mut CheckReport) -> Result<(), Failure> {
        files::try_all((&mut self.engine, &mut self.host), &self.caller, (cgroup, at), &self.name, report)
    }

    fn settings(
        &mut self,
        cgroup: CgroupId,
        settings: &[Setting],
        report: &mut CheckReport,
    ) -> Result<(), Failure> {
        for setting in settings {
            let Some(file) = self.engine.find_file(cgroup, &setting.file) else {
                report.wrong(&format!("{setting}"), "there is no such file in /a")?;
                continue;
            };
            let line = format!("{}\n", setting.value);
            match self.engine.session(&mut self.host, &self.caller).write(cgroup, file, line.as_bytes()) {
                Ok(()) => {
                    let shown = self.engine.session(&mut self.host, &self.caller).read(cgroup, file);
                    report
                        .good(&format!("{setting}"), &String::from_utf8_lossy(&shown.unwrap_or_default()))?;
                }
                Err(error) => report.wrong(&format!("{setting}"), &error_text(&error))?,
            }
        }
        Ok(())
    }

    fn fork(&mut self, parent: Tid, report: &mut CheckReport) -> Result<Option<Tid>, Failure> {
        match self.host.fork(&mut self.engine, parent, ChildKind::Process) {
            Ok(child) => {
                report.good("fork", &format!("process {child} of {parent}"))?;
                Ok(Some(child))
            }
            Err(error) => {
                report.note("fork", &error_text(&error))?;
                Ok(None)
            }
        }
    }

    /// Tries a move, a fork and a new directory that the other controller refuses after the module has agreed.
    fn refusals(
        &mut self,
        a: CgroupId,
        b: CgroupId,
        inside: Tid,
        outside: Tid,
        report: &mut CheckReport,
    ) -> Result<(), Failure> {
        let before = self.snapshots(&[self.root, a, b]);
        self.refuse(true)?;
        let attached =
            self.engine.session(&mut self.host, &self.caller).attach(b, outside, MoveScope::ThreadGroup);
        let forked = self.host.fork(&mut self.engine, inside, ChildKind::Process).map(drop);
        let made = self.engine.session(&mut self.host, &self.caller).mkdir(a, b"c", 0o755).map(drop);
        self.refuse(false)?;
        for (what, answer) in [("attach", attached), ("fork", forked), ("mkdir", made)] {
            match answer {
                Err(error) => report.good(&format!("{what}, refused"), &error_text(&error))?,
                Ok(()) => report.wrong(&format!("{what}, refused"), "it was not")?,
            }
        }
        let after = self.snapshots(&[self.root, a, b]);
        let changed: Vec<String> = before
            .iter()
            .zip(&after)
            .filter_map(|(before, after)| files::difference(before, after))
            .collect();
        if changed.is_empty() {
            return report.good("after refusals", "its files show what they did");
        }
        report.note("after refusals", &changed.join("\n"))
    }

    fn refuse(&mut self, refuses: bool) -> Result<(), Failure> {
        let file = self.engine.find_file(self.root, "check-refuser.refuse").expect("its own controller's");
        let content = if refuses { b"1\n" } else { b"0\n" };
        Ok(self.engine.session(&mut self.host, &self.caller).write(self.root, file, content)?)
    }

    fn snapshots(&mut self, cgroups: &[CgroupId]) -> Vec<FileContents> {
        let look = |cgroup: &CgroupId| {
            files::snapshot(&mut self.engine, &mut self.host, &self.caller, *cgroup, &self.name)
        };
        cgroups.iter().map(look).collect()
    }
}

/// A module's name, and the counter of its slow callbacks.
type TriedModule = (String, Box<dyn Fn() -> u64>);

fn load(
    engine: &mut Engine,
    host: &mut SimulatedHost,
    path: &Path,
    report: &mut CheckReport,
) -> Result<Option<TriedModule>, Failure> {
    let controller = match Controller::open(path) {
        Ok(controller) => controller,
        Err(error) => {
            report.wrong("load", &format!("{error} [{}]", error.errno().name()))?;
            return Ok(None);
        }
    };
    let (name, overruns) = (controller.description().name.clone(), Box::new(controller.overruns()));
    match engine.load(host, controller) {
        Ok(()) => {
            report.good("load", &format!("beside {} processes that are older", host.tids().len()))?;
            Ok(Some((name, overruns)))
        }
        Err(error) => {
            report.wrong("load", &error_text(&error))?;
            Ok(None)
        }
    }
}
