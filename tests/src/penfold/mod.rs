//! Penfold's engine with all its controllers as a target, over a simulated host.

mod member;
mod open_file;
mod stand_in;
mod vfs;

use crate::ops::{FsAnswer, FsOp};
use crate::proc_text;
use crate::scenarios::Scenario;
use crate::target::{AgentCall, Res, TestTarget};
use member::PenfoldRole;
use nix::errno::Errno;
use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, Tid, simulated::ChildKind};
use penfold_subsystems::{CpuAcct, Cpuset, Freezer, NetCls, Pids};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use vfs::{Vfs, VfsProcess, errno};

/// Controllers that are mounted from the start, each on a hierarchy of its own.
const MOUNTED: [&str; 4] = ["cpuset", "cpuacct", "freezer", "pids"];

static RUNS: AtomicU32 = AtomicU32::new(0);

/// A machine with penfold instead of cgroup v1.
pub struct PenfoldTarget {
    unique: String,
    vfs: Vfs,
    tester: VfsProcess,
    mounted: Vec<String>,
    controllers: Vec<String>,
    roles: BTreeMap<String, PenfoldRole>,
    /// Thread groups that were sent SIGKILL and are not dead yet.
    killed: Vec<Tid>,
    calls: Vec<AgentCall>,
}

impl PenfoldTarget {
    /// A machine with that many CPUs, one memory node, an init, one bound kernel thread, and the tester.
    pub fn new(cpus: usize) -> Self {
        let mut vfs = Vfs { host: SimulatedHost::new(cpus), ..Vfs::default() };
        load_controllers(&mut vfs);
        vfs.host.spawn(&mut vfs.engine, 0);
        let kernel_thread = vfs.host.spawn(&mut vfs.engine, 0);
        vfs.host.get_mut(kernel_thread).expect("just made").facts.movable = false;
        let tester = Caller::root(vfs.host.spawn(&mut vfs.engine, 0));
        for name in MOUNTED {
            let Vfs { engine, host, places, .. } = &mut vfs;
            let mounted = engine.session(host, &tester).mount(name).expect("nothing is bound yet");
            places.insert(format!("{name} at boot"), mounted.root);
        }
        Self {
            unique: format!("pfs{}x{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed)),
            vfs,
            tester: VfsProcess::new(tester),
            mounted: vec![],
            controllers: vec![],
            roles: BTreeMap::new(),
            killed: vec![],
            calls: vec![],
        }
    }

    /// Whether every controller that a scenario needs is loaded; the error says which is not.
    pub fn can_play(&self, scenario: &Scenario) -> Result<(), String> {
        for name in scenario.opens.iter().chain(scenario.binds) {
            if !self.vfs.engine.subsystems().any(|loaded| loaded == *name) {
                return Err(format!("{name} is not loaded"));
            }
        }
        Ok(())
    }

    /// Performs the later work of an operation: kills that became possible, and release agents.
    fn catch_up(&mut self) {
        self.deliver_kills();
        let agent = self.agent_path();
        while let Some(release) = self.vfs.engine.take_release() {
            // any other agent is a file that does not exist
            if release.agent == agent.as_bytes() {
                let path = String::from_utf8_lossy(&release.path).into_owned();
                let env = ["HOME=/", "PATH=/sbin:/bin:/usr/sbin:/usr/bin"].map(String::from).to_vec();
                self.calls.push(AgentCall { argv: vec![agent.clone(), path], env });
            }
        }
    }

    fn agent_path(&self) -> String {
        format!("/{}/agent", self.unique)
    }

    fn is_busy(&self, label: &str) -> bool {
        let used = |role: &PenfoldRole| matches!(role, PenfoldRole::VfsProcess { process, .. } if process.uses(label));
        self.tester.uses(label) || self.roles.values().any(used)
    }
}

/// Controllers in the order of the kernel's own list.
fn load_controllers(vfs: &mut Vfs) {
    let Vfs { engine, host, .. } = vfs;
    engine.load(host, Cpuset::default()).expect("a good name");
    engine.load(host, CpuAcct).expect("a good name");
    engine.load(host, Freezer).expect("a good name");
    engine.load(host, NetCls).expect("a good name");
    engine.load(host, stand_in::PERF_EVENT).expect("a good name");
    engine.load(host, stand_in::NET_PRIO).expect("a good name");
    engine.load(host, Pids).expect("a good name");
}

impl TestTarget for PenfoldTarget {
    fn name(&self) -> &'static str {
        "penfold"
    }

    fn unique(&self) -> &str {
        &self.unique
    }

    fn mount(&mut self, label: &str, data: &str) -> Res<()> {
        assert!(!self.mounted.iter().any(|l| l == label), "{label} is mounted already");
        let Vfs { engine, host, places } = &mut self.vfs;
        let mounted = engine.session(host, &self.tester.caller).mount(data).map_err(|e| errno(&e))?;
        places.insert(label.into(), mounted.root);
        self.controllers.extend(proc_text::free_controllers(data));
        self.mounted.push(label.into());
        Ok(())
    }

    fn remount(&mut self, label: &str, data: &str) -> Res<()> {
        let root = self.vfs.place(label);
        let Vfs { engine, host, .. } = &mut self.vfs;
        engine.session(host, &self.tester.caller).remount(root, data).map_err(|e| errno(&e))?;
        self.controllers.extend(proc_text::free_controllers(data));
        Ok(())
    }

    fn umount(&mut self, label: &str) -> Res<()> {
        if !self.mounted.iter().any(|l| l == label) {
            return Err(Errno::EINVAL);
        }
        if self.is_busy(label) {
            return Err(Errno::EBUSY);
        }
        let root = self.vfs.place(label);
        let Vfs { engine, host, .. } = &mut self.vfs;
        engine.unmount(host, root).map_err(|e| errno(&e))?;
        self.mounted.retain(|l| l != label);
        self.vfs.places.remove(label);
        Ok(())
    }

    fn mount_options(&mut self, label: &str) -> Option<String> {
        if !self.mounted.iter().any(|l| l == label) {
            return None;
        }
        let options = self.vfs.engine.show_options(self.vfs.place(label)).ok()?;
        Some(escaped(&options))
    }

    fn open_controller(&mut self, label: &str, controller: &str) -> Res<()> {
        let root = *self.vfs.places.get(&format!("{controller} at boot")).ok_or(Errno::ENODEV)?;
        let name = format!("{}_{}", self.unique, self.vfs.places.len());
        let Vfs { engine, host, places } = &mut self.vfs;
        let made = engine.session(host, &self.tester.caller).mkdir(root, name.as_bytes(), 0o777);
        places.insert(format!("{label}.root"), root);
        places.insert(label.into(), made.map_err(|e| errno(&e))?);
        self.controllers.push(controller.into());
        Ok(())
    }

    fn fs(&mut self, who: Option<&str>, op: &FsOp) -> Res<FsAnswer> {
        let process = match who {
            None => &mut self.tester,
            Some(role) => {
                self.living(role)?;
                let Some(PenfoldRole::VfsProcess { process, .. }) = self.roles.get_mut(role) else {
                    return Err(Errno::ESRCH);
                };
                process
            }
        };
        let answer = self.vfs.perform(process, op);
        self.catch_up();
        answer
    }

    fn spawn(&mut self, role: &str, uids: (u32, u32, u32)) -> Res<()> {
        self.spawn_member(role, uids);
        Ok(())
    }

    fn fork(&mut self, parent: &str, child: &str) -> Res<()> {
        let tid = self.fork_member(parent, ChildKind::Process)?;
        let parent = self.task_of(parent)?;
        self.roles.insert(child.into(), PenfoldRole::Forked { tid, parent });
        Ok(())
    }

    fn thread(&mut self, process: &str, thread: &str) -> Res<()> {
        let tid = self.fork_member(process, ChildKind::Thread)?;
        self.roles.insert(thread.into(), PenfoldRole::Thread { tid });
        Ok(())
    }

    fn set_uids(&mut self, role: &str, uids: (u32, u32, u32)) -> Res<()> {
        self.living(role)?;
        self.change_uids(role, uids);
        Ok(())
    }

    fn kill(&mut self, role: &str) -> Res<()> {
        let result = self.kill_member(role);
        self.catch_up();
        result
    }

    fn reap(&mut self, role: &str) -> Res<()> {
        self.reap_member(role)
    }

    fn tid(&self, role: &str) -> Option<i32> {
        self.roles.get(role).map(|role| role.tid().0)
    }

    fn state(&mut self, role: &str) -> &'static str {
        self.state_of(role)
    }

    fn set_affinity(&mut self, role: &str, cpus: &[usize]) -> Res<()> {
        self.ask_affinity(role, cpus)
    }

    fn affinity(&mut self, role: &str) -> Res<Vec<usize>> {
        let task = self.vfs.host.get(self.task_of(role)?).ok_or(Errno::ESRCH)?;
        Ok(task.affinity.iter().collect())
    }

    fn proc_cgroup(&mut self, role: &str) -> Res<Vec<String>> {
        let set = self.css_set_of(role)?;
        let text = self.vfs.engine.proc_pid_cgroup(set).map_err(|e| errno(&e))?;
        Ok(proc_text::cgroup_lines(&String::from_utf8_lossy(&text), &self.unique, &self.controllers))
    }

    fn proc_cpuset(&mut self, role: &str) -> Res<String> {
        let set = self.css_set_of(role)?;
        let text = self.vfs.engine.proc_pid_cpuset(set).map_err(|e| errno(&e))?;
        Ok(proc_text::cpuset(&String::from_utf8_lossy(&text), &self.unique))
    }

    fn proc_cgroups(&mut self, controller: &str) -> Option<(bool, u32, bool)> {
        proc_text::cgroups_row(&self.vfs.engine.proc_cgroups(), controller)
    }

    fn agent(&mut self) -> String {
        self.agent_path()
    }

    fn agent_calls(&mut self) -> Vec<AgentCall> {
        std::mem::take(&mut self.calls)
    }

    fn settle(&mut self) {
        self.catch_up();
    }
}

impl PenfoldTarget {
    /// The `css_set` of a task: `None` for a zombie. `ENOENT` for a task without a directory in /proc.
    fn css_set_of(&self, role: &str) -> Res<Option<penfold_core::CssSetId>> {
        let tid = self.task_of(role)?;
        self.vfs.host.get(tid).ok_or(Errno::ENOENT)?;
        Ok(penfold_core::host::HostView::css_set(&self.vfs.host, tid))
    }
}

/// Escapes characters that would break a line, as /proc/mounts does.
fn escaped(options: &[u8]) -> String {
    String::from_utf8_lossy(options)
        .replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
        .replace('\n', "\\012")
}
