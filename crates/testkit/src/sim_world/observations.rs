//! The observable state of a world, and the queues of its engine.

use penfold_core::{
    CgroupId, CssSetId, Error, Event, Release, Result, Tid, control_file::FileId, host::Host,
    subsystem::CpuTime,
};

use super::SimWorld;
use super::calls::{done, text};

impl<H: Host> SimWorld<H> {
    /// The id of a control file.
    #[track_caller]
    pub fn file(&self, cgroup: CgroupId, name: &str) -> FileId {
        let found = self.engine.find_file(cgroup, &self.full_name(cgroup, name));
        found.unwrap_or_else(|| panic!("there is no {name}"))
    }

    /// Whether a directory has a control file.
    pub fn has_file(&self, cgroup: CgroupId, name: &str) -> bool {
        self.engine.find_file(cgroup, &self.full_name(cgroup, name)).is_some()
    }

    /// The names of the control files, sorted.
    #[track_caller]
    pub fn files(&self, cgroup: CgroupId) -> Vec<String> {
        let mut names: Vec<String> =
            done(self.engine.files(cgroup)).into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    }

    /// The names of the children, in the engine's order.
    pub fn children(&self, cgroup: CgroupId) -> Vec<String> {
        let tree = self.engine.tree();
        let name = |child: CgroupId| String::from_utf8_lossy(tree[child].name()).into_owned();
        tree.children(cgroup).map(name).collect()
    }

    /// The tasks of a cgroup, by their numbers.
    pub fn tasks(&self, cgroup: CgroupId) -> Vec<i32> {
        self.engine.tree().tasks(&self.host, cgroup).iter().map(|task| task.0).collect()
    }

    /// The text of `/proc/TASK/cgroup`.
    #[track_caller]
    pub fn proc_cgroup(&self, task: Tid) -> String {
        text(done(self.engine.proc_pid_cgroup(self.host.css_set(task))))
    }

    /// The options of a hierarchy, as `/proc/mounts` shows them.
    #[track_caller]
    pub fn show_options(&self, root: CgroupId) -> String {
        text(done(self.engine.show_options(root)))
    }

    /// The css_set that a task points to.
    #[track_caller]
    pub fn css_set(&self, task: Tid) -> CssSetId {
        self.host.css_set(task).unwrap_or_else(|| panic!("task {task} has no css_set"))
    }

    /// CPU time is used in the css_set of a task and charged at once.
    #[track_caller]
    pub fn charge_cpu(&mut self, task: Tid, cpu: usize, time: CpuTime) {
        let set = self.css_set(task);
        self.engine.charge_cpu(set, cpu, time);
    }

    /// Takes all runs of release agents that are queued, as agent and path.
    pub fn releases(&mut self) -> Vec<(String, String)> {
        let releases = std::iter::from_fn(|| self.engine.take_release());
        releases.map(|Release { agent, path, .. }| (text(agent), text(path))).collect()
    }

    /// Takes all events that are queued.
    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.engine.take_event()).collect()
    }

    /// Everything that can be seen of a cgroup's files: each name with its content, or with why it can't be read.
    #[track_caller]
    pub fn contents(&mut self, cgroup: CgroupId) -> Vec<(String, Result<Vec<u8>, Error>)> {
        let files = done(self.engine.files(cgroup));
        files.into_iter().map(|file| (file.name, self.opened_content(cgroup, file.id))).collect()
    }
}
