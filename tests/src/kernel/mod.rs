//! The machine's own cgroup v1 as a target, through real files and real processes.

mod alone;
mod member;
mod proc;
pub mod protocol;

use crate::ops::{FsAnswer, FsOp, Performer};
use crate::proc_text;
use crate::scenarios::Scenario;
use crate::target::{AgentCall, Res, TestTarget};
pub use alone::{Hindrance, in_use, take_turn};
use member::{MemberProcess, within_patience};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::sched_getaffinity;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use penfold_testkit::proc::state;
use protocol::{MemberReply, MemberRequest};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Several times the longest time that the kernel was seen to need for putting a removed group offline or for starting
/// a release agent.
const ASYNCHRONOUS_WORK: Duration = Duration::from_millis(250);

static RUNS: AtomicU32 = AtomicU32::new(0);

/// The origin of a role.
#[derive(Debug)]
enum KernelRole {
    Process(MemberProcess),
    Forked { pid: i32, parent: String },
    Thread { tid: i32 },
}

/// The kernel's cgroup v1. Everything that was made there is removed on drop.
#[derive(Debug)]
pub struct KernelTarget {
    unique: String,
    home: PathBuf,
    helper: PathBuf,
    places: BTreeMap<String, PathBuf>,
    mounted: Vec<String>,
    opened: Vec<PathBuf>,
    controllers: Vec<String>,
    roles: BTreeMap<String, KernelRole>,
    performer: Performer,
    asynchronous_work: Duration,
}

impl KernelTarget {
    /// Prepares a run; `helper` is this package's program `member`.
    ///
    /// Waits for other processes that play on the kernel. The error says why there can be no test on this machine.
    pub fn new(helper: &Path) -> Result<Self, Hindrance> {
        if let Some(reason) = missing() {
            return Err(Hindrance::Missing(reason.into()));
        }
        take_turn().map_err(Hindrance::Missing)?;
        let unique = format!("pft{}x{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
        let home = std::env::temp_dir().join(&unique);
        let failed = |error: std::io::Error| Hindrance::Missing(format!("{}: {error}", home.display()));
        fs::create_dir(&home).map_err(failed)?;
        std::os::unix::fs::symlink(helper, home.join("agent")).map_err(failed)?;
        Ok(Self {
            unique,
            home,
            helper: helper.into(),
            places: BTreeMap::new(),
            mounted: vec![],
            opened: vec![],
            controllers: vec![],
            roles: BTreeMap::new(),
            performer: Performer::default(),
            asynchronous_work: ASYNCHRONOUS_WORK,
        })
    }

    /// Gives the kernel twice as long for each attempt that was made before, since on a busy machine its later work may
    /// come even later.
    #[must_use]
    pub fn at_attempt(mut self, attempt: u32) -> Self {
        self.asynchronous_work = ASYNCHRONOUS_WORK * 2_u32.pow(attempt);
        self
    }

    /// Whether this machine has everything that a scenario needs, and the scenario is alone where it must be.
    pub fn can_play(&self, scenario: &Scenario) -> Result<(), Hindrance> {
        let missing = |what: String| Err(Hindrance::Missing(what));
        for name in scenario.opens {
            if proc::mount_point_of(name).is_none() {
                return missing(format!("no hierarchy holds exactly {name}"));
            }
        }
        if let Some(hindrance) = scenario.alone.iter().find_map(|name| in_use(name, &self.unique)) {
            return Err(hindrance);
        }
        for name in scenario.binds {
            match proc::cgroups_row(name) {
                Some((false, _, true)) => {}
                Some((true, ..)) => {
                    let is_bound = || missing(format!("{name} is bound to a hierarchy already"));
                    return proc::mount_with(name)
                        .map_or_else(is_bound, |place| Err(Hindrance::InUse(place)));
                }
                _ => return missing(format!("this kernel has no {name}")),
            }
        }
        Ok(())
    }

    fn place(&self, path: &str) -> String {
        if path.starts_with("./") || path.starts_with('/') {
            return path.into();
        }
        let (label, rest) = path.split_once('/').map_or((path, None), |(label, rest)| (label, Some(rest)));
        let place = self.places.get(label).unwrap_or_else(|| panic!("no place is called {label}")).display();
        rest.map_or_else(|| place.to_string(), |rest| format!("{place}/{rest}"))
    }

    fn mount_with(&mut self, label: &str, data: &str, flags: MsFlags) -> Res<()> {
        let place = self.home.join(label);
        let _ = fs::create_dir(&place);
        mount(Some("cgroup"), &place, Some("cgroup"), flags, Some(data))?;
        self.controllers.extend(proc_text::free_controllers(data));
        self.places.insert(label.into(), place);
        Ok(())
    }

    /// The process behind a role. A thread or a forked child takes no requests.
    fn process(&mut self, role: &str) -> Res<&mut MemberProcess> {
        match self.roles.get_mut(role) {
            Some(KernelRole::Process(member)) => Ok(member),
            _ => Err(Errno::ESRCH),
        }
    }

    fn task_of(reply: &MemberReply) -> i32 {
        let MemberReply::Task(tid) = reply else { panic!("{reply:?} is not a task") };
        *tid
    }
}

impl TestTarget for KernelTarget {
    fn name(&self) -> &'static str {
        "kernel"
    }

    fn unique(&self) -> &str {
        &self.unique
    }

    fn mount(&mut self, label: &str, data: &str) -> Res<()> {
        assert!(!self.mounted.iter().any(|l| l == label), "{label} is mounted already");
        self.mount_with(label, data, MsFlags::empty())?;
        self.mounted.push(label.into());
        Ok(())
    }

    fn remount(&mut self, label: &str, data: &str) -> Res<()> {
        self.mount_with(label, data, MsFlags::MS_REMOUNT)
    }

    fn umount(&mut self, label: &str) -> Res<()> {
        umount2(&self.home.join(label), MntFlags::empty())?;
        self.mounted.retain(|l| l != label);
        self.places.remove(label);
        Ok(())
    }

    fn mount_options(&mut self, label: &str) -> Option<String> {
        proc::mount_options(&self.home.join(label))
    }

    fn open_controller(&mut self, label: &str, controller: &str) -> Res<()> {
        let root = proc::mount_point_of(controller).ok_or(Errno::ENODEV)?;
        let group = root.join(format!("{}_{}", self.unique, self.opened.len()));
        fs::create_dir(&group).map_err(crate::ops::errno)?;
        self.places.insert(format!("{label}.root"), root);
        self.places.insert(label.into(), group.clone());
        self.opened.push(group);
        self.controllers.push(controller.into());
        Ok(())
    }

    fn fs(&mut self, who: Option<&str>, op: &FsOp) -> Res<FsAnswer> {
        let mut op = op.clone();
        for path in op.paths_mut() {
            *path = self.place(path);
        }
        let Some(who) = who else { return self.performer.perform(&op) };
        match self.process(who)?.ask(&MemberRequest::Fs(op))? {
            MemberReply::Fs(answer) => Ok(answer),
            reply => panic!("{reply:?} does not answer a file operation"),
        }
    }

    fn spawn(&mut self, role: &str, uids: (u32, u32, u32)) -> Res<()> {
        let mut member = MemberProcess::start(&self.helper)?;
        // sent in any case: the reply shows that the process runs and is past its exec
        member.ask(&MemberRequest::SetUids(uids.0, uids.1, uids.2))?;
        self.roles.insert(role.into(), KernelRole::Process(member));
        Ok(())
    }

    fn fork(&mut self, parent: &str, child: &str) -> Res<()> {
        let pid = Self::task_of(&self.process(parent)?.ask(&MemberRequest::Fork)?);
        self.roles.insert(child.into(), KernelRole::Forked { pid, parent: parent.into() });
        Ok(())
    }

    fn thread(&mut self, process: &str, thread: &str) -> Res<()> {
        let tid = Self::task_of(&self.process(process)?.ask(&MemberRequest::Thread)?);
        self.roles.insert(thread.into(), KernelRole::Thread { tid });
        Ok(())
    }

    fn set_uids(&mut self, role: &str, uids: (u32, u32, u32)) -> Res<()> {
        self.process(role)?.ask(&MemberRequest::SetUids(uids.0, uids.1, uids.2)).map(|_| ())
    }

    fn kill(&mut self, role: &str) -> Res<()> {
        let pid = self.tid(role).ok_or(Errno::ESRCH)?;
        kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        within_patience(|| state(pid).is_none_or(|state| state == 'Z'), Errno::EBUSY)
    }

    fn reap(&mut self, role: &str) -> Res<()> {
        match self.roles.get_mut(role).ok_or(Errno::ESRCH)? {
            KernelRole::Process(member) => member.reap()?,
            KernelRole::Thread { .. } => return Err(Errno::ECHILD),
            KernelRole::Forked { pid, parent } => {
                let (pid, parent) = (*pid, parent.clone());
                self.process(&parent)?.ask(&MemberRequest::Reap(pid))?;
            }
        }
        Ok(())
    }

    fn tid(&self, role: &str) -> Option<i32> {
        self.roles.get(role).map(|role| match role {
            KernelRole::Process(member) => member.pid(),
            KernelRole::Forked { pid, .. } => *pid,
            KernelRole::Thread { tid } => *tid,
        })
    }

    fn state(&mut self, role: &str) -> &'static str {
        let settled = |pid| {
            // a task on its way into or out of the freezer passes through R
            let _ = within_patience(|| state(pid) != Some('R'), Errno::EBUSY);
            state(pid)
        };
        match self.tid(role).and_then(settled) {
            None | Some('X') => "gone",
            Some('Z') => "zombie",
            Some('D') => "frozen",
            Some(_) => "runs",
        }
    }

    fn set_affinity(&mut self, role: &str, cpus: &[usize]) -> Res<()> {
        self.process(role)?.ask(&MemberRequest::SetAffinity(cpus.to_vec())).map(|_| ())
    }

    fn affinity(&mut self, role: &str) -> Res<Vec<usize>> {
        let pid = self.tid(role).ok_or(Errno::ESRCH)?;
        let set = sched_getaffinity(Pid::from_raw(pid))?;
        let cpus = 0..nix::sched::CpuSet::count();
        Ok(cpus.filter(|cpu| set.is_set(*cpu).unwrap_or(false)).collect())
    }

    fn proc_cgroup(&mut self, role: &str) -> Res<Vec<String>> {
        let pid = self.tid(role).ok_or(Errno::ESRCH)?;
        proc::cgroup_lines(pid, &self.unique, &self.controllers)
    }

    fn proc_cpuset(&mut self, role: &str) -> Res<String> {
        let pid = self.tid(role).ok_or(Errno::ESRCH)?;
        proc::cpuset(pid, &self.unique)
    }

    fn proc_cgroups(&mut self, controller: &str) -> Option<(bool, u32, bool)> {
        proc::cgroups_row(controller)
    }

    fn agent(&mut self) -> String {
        self.home.join("agent").display().to_string()
    }

    fn agent_calls(&mut self) -> Vec<AgentCall> {
        sleep(self.asynchronous_work);
        let log = self.home.join("agent.log");
        let text = fs::read_to_string(&log).unwrap_or_default();
        let _ = fs::remove_file(&log);
        let calls = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        calls.map(|(argv, env)| AgentCall { argv, env }).collect()
    }

    fn settle(&mut self) {
        sleep(self.asynchronous_work);
    }
}

impl Drop for KernelTarget {
    fn drop(&mut self) {
        self.performer = Performer::default();
        for group in &self.opened {
            thaw_tree(group);
        }
        self.roles.clear();
        for group in &self.opened {
            remove_tree(group);
        }
        for label in &self.mounted {
            for group in subgroups(&self.home.join(label)) {
                remove_tree(&group);
            }
        }
        // a hierarchy unmounted before its removed groups are offline would stay for ever
        sleep(self.asynchronous_work);
        for label in &self.mounted {
            unmount_for_good(&self.home.join(label));
            let _ = fs::remove_dir(self.home.join(label));
        }
        let _ = fs::remove_dir(self.home.join("try"));
        let _ = fs::remove_dir_all(&self.home);
    }
}

/// Unmounts until the hierarchy is gone too, unless other mounts share it.
///
/// On a busy machine removed groups may go offline late. Then only another mount and unmount removes the hierarchy.
pub(crate) fn unmount_for_good(place: &Path) {
    let options = proc::mount_options(place);
    let _ = umount2(place, MntFlags::empty());
    let Some(hierarchy) = options.as_deref().and_then(proc::hierarchy_of_options) else { return };
    for _ in 0..5 {
        // a hierarchy goes some time after the last unmount, if at all
        let gone = within_patience(|| !proc::is_hierarchy(&hierarchy), Errno::EBUSY).is_ok();
        if gone || proc::is_mounted(&hierarchy) {
            return;
        }
        let data =
            if hierarchy.starts_with("name=") { format!("none,{hierarchy}") } else { hierarchy.clone() };
        if mount(Some("cgroup"), place, Some("cgroup"), MsFlags::empty(), Some(&*data)).is_ok() {
            let _ = umount2(place, MntFlags::empty());
        }
    }
}

/// The mount point of the hierarchy with exactly `controller`.
pub(crate) fn controller_mount(controller: &str) -> Option<PathBuf> {
    proc::mount_point_of(controller)
}

/// The reason why a test can't use the kernel's hierarchies on this machine, if there is one.
pub fn missing() -> Option<&'static str> {
    if !geteuid().is_root() {
        return Some("mounting a hierarchy needs root");
    }
    (!proc::knows_v1()).then_some("this kernel has no file system type cgroup")
}

fn subgroups(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Thaws a group and all below it, so that members in it can die.
fn thaw_tree(group: &Path) {
    let state = group.join("freezer.state");
    if state.exists() {
        let _ = fs::write(state, "THAWED");
    }
    for group in subgroups(group) {
        thaw_tree(&group);
    }
}

fn remove_tree(group: &Path) {
    for group in subgroups(group) {
        remove_tree(&group);
    }
    // the last member may still be exiting
    let _ = within_patience(|| fs::remove_dir(group).is_ok(), Errno::EBUSY);
}
