//! A run of a scenario on a target: performs operations and records their results.

use crate::ops::{FsAnswer, FsOp};
use crate::show::{describe, show, show_result};
use crate::target::{Res, TestTarget};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The tester's own uids: root.
pub const ROOT: (u32, u32, u32) = (0, 0, 0);

/// Drives a [`TestTarget`] and records one line per operation.
///
/// Paths, mount data and written text may have templates:
///
/// * `{role}` is a member's task id, `{role:x}` and `{role:o}` the same in hexadecimal and octal as C writes them;
/// * `{u}` is the run's unique tag;
/// * `{agent}` is the release agent.
///
/// Transcripts show the templates, never their values.
#[allow(missing_debug_implementations)]
pub struct ScenarioRun<'a> {
    target: &'a mut dyn TestTarget,
    roles: BTreeMap<String, i32>,
    transcript: String,
}

impl<'a> ScenarioRun<'a> {
    /// A run with an empty transcript.
    pub fn new(target: &'a mut dyn TestTarget) -> Self {
        Self { target, roles: BTreeMap::new(), transcript: String::new() }
    }

    /// The transcript so far.
    pub fn into_transcript(self) -> String {
        self.transcript
    }

    /// Records a heading.
    pub fn section(&mut self, title: &str) {
        let _ = writeln!(self.transcript, "# {title}");
    }

    fn record(&mut self, what: &str, result: &str) {
        let _ = writeln!(self.transcript, "{what} -> {result}");
    }

    fn record_result(&mut self, what: &str, result: Res<()>) -> Res<()> {
        self.record(what, &show_result(result));
        result
    }

    // ---- mounts

    /// [`TestTarget::mount`]
    pub fn mount(&mut self, label: &str, data: &str) -> bool {
        let real = self.fill_in(data);
        let result = self.target.mount(label, &real);
        self.record_result(&format!("mount {label} {}", show(data.as_bytes())), result).is_ok()
    }

    /// Mounts, records the options shown, and unmounts again.
    pub fn try_mount(&mut self, data: &str) {
        if self.mount("try", data) {
            self.mount_options("try");
            self.umount("try");
            self.settle();
        }
    }

    /// [`TestTarget::remount`], then the options shown.
    pub fn remount(&mut self, label: &str, data: &str) {
        let real = self.fill_in(data);
        let result = self.target.remount(label, &real);
        let _ = self.record_result(&format!("remount {label} {}", show(data.as_bytes())), result);
        self.mount_options(label);
    }

    /// [`TestTarget::umount`]
    pub fn umount(&mut self, label: &str) {
        let result = self.target.umount(label);
        let _ = self.record_result(&format!("umount {label}"), result);
    }

    /// [`TestTarget::mount_options`]
    pub fn mount_options(&mut self, label: &str) {
        let shown =
            self.target.mount_options(label).map_or_else(|| "not mounted".into(), |o| self.abstracted(&o));
        self.record(&format!("options {label}"), &shown);
    }

    /// [`TestTarget::open_controller`]
    pub fn open_controller(&mut self, label: &str, controller: &str) {
        let result = self.target.open_controller(label, controller);
        let _ = self.record_result(&format!("open {label} = {controller}"), result);
    }

    // ---- files

    /// One operation by the tester.
    pub fn fs(&mut self, op: FsOp) -> Res<FsAnswer> {
        self.fs_by(None, op)
    }

    /// One operation by a member.
    pub fn by(&mut self, who: &str, op: FsOp) -> Res<FsAnswer> {
        self.fs_by(Some(who), op)
    }

    /// One operation by a member or the tester.
    pub fn fs_by(&mut self, who: Option<&str>, mut op: FsOp) -> Res<FsAnswer> {
        let mut what = describe(&op);
        if let Some(who) = who {
            what.insert_str(0, &format!("[{who}] "));
        }
        for path in op.paths_mut() {
            *path = self.fill_in(path);
        }
        if let FsOp::Write { data, .. } | FsOp::HandleWrite { data, .. } | FsOp::HandleWriteAt { data, .. } =
            &mut op
        {
            *data = self.fill_in_bytes(data);
        }
        let result = self.target.fs(who, &op);
        let shown = self.show_answer(&op, &result);
        self.record(&what, &shown);
        result
    }

    /// mkdir with mode 0777.
    pub fn mkdir(&mut self, path: &str) {
        let _ = self.fs(FsOp::Mkdir { path: path.into(), mode: 0o777 });
    }

    /// rmdir
    pub fn rmdir(&mut self, path: &str) {
        let _ = self.fs(FsOp::Rmdir { path: path.into() });
    }

    /// rename
    pub fn rename(&mut self, from: &str, to: &str) {
        let _ = self.fs(FsOp::Rename { from: from.into(), to: to.into() });
    }

    /// One write of `text`.
    pub fn write(&mut self, path: &str, text: &str) {
        let _ = self.fs(FsOp::Write { path: path.into(), data: text.into() });
    }

    /// One write of `text` by a member.
    pub fn write_by(&mut self, who: &str, path: &str, text: &str) {
        let _ = self.by(who, FsOp::Write { path: path.into(), data: text.into() });
    }

    /// Reads the whole file.
    pub fn read(&mut self, path: &str) {
        let _ = self.fs(FsOp::Read { path: path.into() });
    }

    /// Reads several files of one directory.
    pub fn read_all(&mut self, directory: &str, names: &[&str]) {
        for name in names {
            self.read(&format!("{directory}/{name}"));
        }
    }

    /// Lists a directory.
    pub fn list(&mut self, path: &str) {
        let _ = self.fs(FsOp::List { path: path.into() });
    }

    /// Lists the files of a directory, without its subdirectories.
    pub fn list_files(&mut self, path: &str) {
        let _ = self.fs(FsOp::ListFiles { path: path.into() });
    }

    /// stat
    pub fn stat(&mut self, path: &str) {
        let _ = self.fs(FsOp::Stat { path: path.into() });
    }

    /// Opens with raw flags and keeps the file as `handle`.
    pub fn open(&mut self, handle: &str, path: &str, flags: nix::fcntl::OFlag) {
        let _ = self.fs(FsOp::Open { handle: handle.into(), path: path.into(), flags: flags.bits() });
    }

    /// For each value: writes `before`, writes the value, reads back; one line.
    pub fn write_table(&mut self, path: &str, before: &str, values: &[&str]) {
        let look = FsOp::Read { path: path.into() };
        for value in values {
            let write = |text: &str| FsOp::Write { path: path.into(), data: text.into() };
            let reset = self.target.fs(None, &write(before));
            assert!(reset.is_ok(), "{path} does not take {before:?}: {reset:?}");
            let written = self.target.fs(None, &write(value));
            let content = self.target.fs(None, &look);
            let outcome = self.show_answer(&write(value), &written);
            let content = self.show_answer(&look, &content);
            self.record(
                &format!("{path} <- {}", show(value.as_bytes())),
                &format!("{outcome}, reads {content}"),
            );
        }
    }

    // ---- members

    /// A new process, as root.
    pub fn spawn(&mut self, role: &str) {
        self.spawn_as(role, ROOT);
    }

    /// A new process with real, effective and saved uid.
    pub fn spawn_as(&mut self, role: &str, uids: (u32, u32, u32)) {
        let result = self.target.spawn(role, uids);
        let who =
            if uids == ROOT { String::new() } else { format!(" uids {}/{}/{}", uids.0, uids.1, uids.2) };
        let _ = self.record_result(&format!("spawn {role}{who}"), result);
        self.remember(role);
    }

    /// [`TestTarget::fork`]. True if there is a child now.
    pub fn fork(&mut self, parent: &str, child: &str) -> bool {
        let result = self.target.fork(parent, child);
        self.remember(child);
        self.record_result(&format!("fork {parent}: {child}"), result).is_ok()
    }

    /// [`TestTarget::thread`]
    pub fn thread(&mut self, process: &str, thread: &str) {
        let result = self.target.thread(process, thread);
        let _ = self.record_result(&format!("thread {process}: {thread}"), result);
        self.remember(thread);
    }

    fn remember(&mut self, role: &str) {
        if let Some(tid) = self.target.tid(role) {
            self.roles.insert(role.into(), tid);
        }
    }

    /// [`TestTarget::set_uids`]
    pub fn set_uids(&mut self, role: &str, uids: (u32, u32, u32)) {
        let result = self.target.set_uids(role, uids);
        let _ = self.record_result(&format!("[{role}] setresuid {uids:?}"), result);
    }

    /// Sends SIGKILL; the member stays a zombie.
    pub fn kill(&mut self, role: &str) {
        let result = self.target.kill(role);
        let _ = self.record_result(&format!("kill {role}"), result);
    }

    /// Reaps a zombie.
    pub fn reap(&mut self, role: &str) {
        let result = self.target.reap(role);
        let _ = self.record_result(&format!("reap {role}"), result);
    }

    /// Kills and reaps.
    pub fn exit(&mut self, role: &str) {
        let result = self.target.kill(role).and_then(|()| self.target.reap(role));
        let _ = self.record_result(&format!("exit {role}"), result);
    }

    /// [`TestTarget::state`]
    pub fn state(&mut self, role: &str) {
        let state = self.target.state(role);
        self.record(&format!("state {role}"), state);
    }

    /// [`TestTarget::set_affinity`]
    pub fn set_affinity(&mut self, role: &str, cpus: &[usize]) {
        let result = self.target.set_affinity(role, cpus);
        let _ = self.record_result(&format!("[{role}] sched_setaffinity {cpus:?}"), result);
    }

    /// [`TestTarget::affinity`]
    pub fn affinity(&mut self, role: &str) {
        let cpus = self.target.affinity(role);
        self.record(
            &format!("affinity {role}"),
            &cpus.map_or_else(|e| format!("{e:?}"), |c| format!("{c:?}")),
        );
    }

    /// [`TestTarget::proc_cgroup`]
    pub fn proc_cgroup(&mut self, role: &str) {
        let lines = self.target.proc_cgroup(role);
        let shown = lines.map_or_else(|e| format!("{e:?}"), |l| self.abstracted(&l.join(" | ")));
        self.record(&format!("/proc/{{{role}}}/cgroup"), &shown);
    }

    /// [`TestTarget::proc_cpuset`]
    pub fn proc_cpuset(&mut self, role: &str) {
        let text = self.target.proc_cpuset(role);
        self.record(&format!("/proc/{{{role}}}/cpuset"), &text.unwrap_or_else(|e| format!("{e:?}")));
    }

    /// [`TestTarget::proc_cgroups`]
    pub fn proc_cgroups(&mut self, controller: &str) {
        let shown = self.target.proc_cgroups(controller).map_or_else(
            || "no row".into(),
            |(bound, groups, enabled)| {
                let bound = if bound { "bound" } else { "unbound" };
                format!("{bound}, {groups} groups, enabled {}", u8::from(enabled))
            },
        );
        self.record(&format!("/proc/cgroups {controller}"), &shown);
    }

    // ---- release agent, time

    /// Records the calls of the release agent since the last time.
    pub fn agent_calls(&mut self) {
        let agent = self.target.agent();
        let mut calls = self.target.agent_calls();
        // several agents may run at the same time
        calls.sort_by(|a, b| a.argv.cmp(&b.argv));
        if calls.is_empty() {
            self.record("agent", "not called");
        }
        for call in calls {
            let argv: Vec<_> = call.argv.iter().map(|a| a.replace(&agent, "{agent}")).collect();
            self.record("agent", &format!("argv {argv:?} env {:?}", call.env));
        }
    }

    /// [`TestTarget::settle`]
    pub fn settle(&mut self) {
        self.target.settle();
    }

    // ---- names

    fn fill_in(&mut self, text: &str) -> String {
        let mut text = text.replace("{u}", self.target.unique());
        if text.contains("{agent}") {
            text = text.replace("{agent}", &self.target.agent());
        }
        for (role, tid) in &self.roles {
            text = text.replace(&format!("{{{role}}}"), &tid.to_string());
            text = text.replace(&format!("{{{role}:x}}"), &format!("{tid:#x}"));
            text = text.replace(&format!("{{{role}:o}}"), &format!("0{tid:o}"));
        }
        text
    }

    fn fill_in_bytes(&mut self, data: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(data) {
            Ok(text) if text.contains('{') => self.fill_in(text).into_bytes(),
            _ => data.to_vec(),
        }
    }

    fn abstracted(&mut self, text: &str) -> String {
        let text = text.replace(self.target.unique(), "{u}");
        let agent = self.target.agent();
        text.replace(&agent, "{agent}")
    }

    fn show_answer(&mut self, op: &FsOp, result: &Res<FsAnswer>) -> String {
        match result {
            Err(errno) => format!("{errno:?}"),
            Ok(FsAnswer::Done) => "ok".into(),
            Ok(FsAnswer::Count(n)) => match op {
                FsOp::Write { data, .. } | FsOp::HandleWrite { data, .. } if *n as usize == data.len() => {
                    "ok".into()
                }
                _ => format!("ok, {n}"),
            },
            Ok(FsAnswer::Names(names)) => format!("{names:?}"),
            Ok(FsAnswer::Stat { mode, nlink, size, uid, gid }) => {
                format!("mode {mode:o} nlink {nlink} size {size} owner {uid}:{gid}")
            }
            Ok(FsAnswer::Bytes(bytes)) => match op {
                FsOp::Read { path } if path.ends_with("/tasks") || path.ends_with("/cgroup.procs") => {
                    self.show_members(bytes)
                }
                _ => {
                    let text = self.abstracted(&String::from_utf8_lossy(bytes));
                    show(text.as_bytes())
                }
            },
        }
    }

    /// A list of task ids as roles, in the order read, with `?` for other tasks.
    fn show_members(&self, bytes: &[u8]) -> String {
        let mut roles = Vec::new();
        for line in String::from_utf8_lossy(bytes).lines() {
            let role = self.roles.iter().find(|(_, tid)| tid.to_string() == line);
            roles.push(role.map_or("?", |(role, _)| role).to_owned());
        }
        format!("[{}]", roles.join(" "))
    }
}
