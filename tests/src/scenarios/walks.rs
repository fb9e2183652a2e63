//! Random walks, for cases that no author thought of. The same seed gives the same walk on every target.

use crate::ops::FsOp;
use crate::scenario_run::ScenarioRun;

/// The seed of the recorded walks.
const RECORDED: u64 = 1;

/// A walk, to be taken with any seed.
#[derive(Debug, Clone, Copy)]
pub struct Walk {
    /// Name of the scenario that takes this walk with the recorded seed.
    pub scenario: &'static str,
    /// The walk.
    pub play: fn(&mut ScenarioRun, u64),
}

/// All walks.
pub const WALKS: &[Walk] = &[
    Walk { scenario: "walk_directories", play: directories },
    Walk { scenario: "walk_mounts", play: mounts },
    Walk { scenario: "walk_release", play: release },
    Walk { scenario: "walk_pids", play: pids },
    Walk { scenario: "walk_freezer", play: freezer },
    Walk { scenario: "walk_cpuset", play: cpuset },
];

pub(super) fn recorded_directories(run: &mut ScenarioRun) {
    directories(run, RECORDED);
}

pub(super) fn recorded_mounts(run: &mut ScenarioRun) {
    mounts(run, RECORDED);
}

pub(super) fn recorded_release(run: &mut ScenarioRun) {
    release(run, RECORDED);
}

pub(super) fn recorded_pids(run: &mut ScenarioRun) {
    pids(run, RECORDED);
}

pub(super) fn recorded_freezer(run: &mut ScenarioRun) {
    freezer(run, RECORDED);
}

pub(super) fn recorded_cpuset(run: &mut ScenarioRun) {
    cpuset(run, RECORDED);
}

/// xorshift: small, and the same on every machine.
struct WalkRng(u64);

impl WalkRng {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % sides
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// A path of one to three names below `top`, or `top` itself.
    fn group(&mut self, top: &str, names: &[&str]) -> String {
        let mut path = top.to_owned();
        for _ in 0..self.below(4) {
            path.push('/');
            path.push_str(self.pick(names));
        }
        path
    }
}

/// Makes directories, moves members between them and reads, as root and as other users.
fn directories(run: &mut ScenarioRun, seed: u64) {
    let mut rng = WalkRng::new(seed);
    run.mount("M", "none,name={u}");
    run.spawn_as("alice", (1000, 1000, 1000));
    run.spawn_as("other", (1000, 0, 1001));
    run.spawn("p");
    run.thread("p", "t");
    let names = ["a", "b", "tasks", "c"];
    for step in 0..400 {
        let path = rng.group("M", &names);
        let who = (rng.below(3) == 0).then_some("alice");
        let role = rng.pick(&["p", "t", "alice", "other", "x"]);
        let file = rng.pick(&["tasks", "cgroup.procs", "notify_on_release", "cgroup.clone_children"]);
        let op = match rng.below(12) {
            0..4 => FsOp::Mkdir { path, mode: [0o777, 0o700, 0o1777][rng.below(3)] },
            4 => FsOp::Rmdir { path },
            5 => FsOp::Rename { from: path, to: rng.group("M", &names) },
            6 => FsOp::Chmod { path, mode: [0o777, 0o755, 0o700, 0o1777, 0o500][rng.below(5)] },
            7 => FsOp::Write { path: format!("{path}/{file}"), data: [b"0", b"1"][rng.below(2)].to_vec() },
            // the root's members are of all programs
            8 if path == "M" => FsOp::Read { path: "M/notify_on_release".into() },
            8 => FsOp::Read { path: format!("{path}/{file}") },
            9 => FsOp::List { path },
            10 => FsOp::Stat { path },
            _ => FsOp::Write { path: format!("{path}/tasks"), data: format!("{{{role}}}").into_bytes() },
        };
        // the tester must stay in its cgroup, since another program may watch it
        let op = match op {
            FsOp::Write { path, .. } if who.is_none() && is_membership(&path) => {
                FsOp::Write { path, data: format!("{{{role}}}").into_bytes() }
            }
            op => op,
        };
        let _ = run.fs_by(who, op);
        if step % 10 == 0 {
            run.proc_cgroup(rng.pick(&["p", "t", "alice", "other"]));
        }
    }
    for role in ["p", "alice", "other"] {
        run.exit(role);
    }
}

fn is_membership(path: &str) -> bool {
    path.ends_with("/tasks") || path.ends_with("/cgroup.procs")
}

/// Mounts, shares, remounts and unmounts hierarchies of controllers that no other program uses.
fn mounts(run: &mut ScenarioRun, seed: u64) {
    let mut rng = WalkRng::new(seed);
    let labels = ["A", "B", "C"];
    let mut mounted: Vec<&str> = Vec::new();
    for _ in 0..60 {
        let label = rng.pick(&labels);
        let data = mount_data(&mut rng);
        match rng.below(8) {
            0..4 if !mounted.contains(&label) => {
                if run.mount(label, &data) {
                    mounted.push(label);
                }
            }
            _ if !mounted.contains(&label) => continue,
            0..3 => run.remount(label, &data),
            3 => run.mkdir(&format!("{label}/g")),
            4 => run.write(&format!("{label}/cgroup.clone_children"), rng.pick(&["0", "1"])),
            5 => {
                run.rmdir(&format!("{label}/g"));
                run.settle();
            }
            _ => {
                leave(run, label);
                mounted.retain(|other| *other != label);
            }
        }
        for label in &mounted {
            run.mount_options(label);
            run.list(label);
        }
        for controller in ["net_cls", "perf_event", "net_prio"] {
            run.proc_cgroups(controller);
        }
    }
    for label in mounted {
        leave(run, label);
    }
}

/// Unmounts without leaving a child behind, which would keep the hierarchy for ever.
fn leave(run: &mut ScenarioRun, label: &str) {
    run.rmdir(&format!("{label}/g"));
    run.settle();
    run.umount(label);
    run.settle();
}

fn mount_data(rng: &mut WalkRng) -> String {
    let words = [
        "none",
        "none",
        "name={u}",
        "name={u}",
        "name={u}.2",
        "net_cls",
        "net_cls",
        "perf_event",
        "net_prio",
        "clone_children",
        "xattr",
        "noprefix",
        "release_agent=/x",
        "",
    ];
    let chosen: Vec<&str> = (0..=rng.below(3)).map(|_| rng.pick(&words)).collect();
    chosen.join(",")
}

/// Members come and go in groups with and without notification of the release agent.
fn release(run: &mut ScenarioRun, seed: u64) {
    let mut rng = WalkRng::new(seed);
    run.mount("M", "none,name={u},release_agent={agent}");
    let groups = ["M", "M/a", "M/a/b", "M/a/b/c", "M/d"];
    for group in &groups[1..] {
        run.mkdir(group);
        run.write(&format!("{group}/notify_on_release"), "1");
    }
    for role in ["p", "q"] {
        run.spawn(role);
    }
    for step in 0..50 {
        let group = rng.pick(&groups);
        match rng.below(9) {
            0 => run.mkdir(group),
            1..3 => run.rmdir(group),
            3 => run.write(&format!("{group}/notify_on_release"), rng.pick(&["0", "1"])),
            4 => {
                let guest = format!("v{step}");
                run.spawn(&guest);
                run.write(&format!("{group}/tasks"), &format!("{{{guest}}}"));
                run.exit(&guest);
            }
            _ => run.write(&format!("{group}/tasks"), &format!("{{{}}}", rng.pick(&["p", "q"]))),
        }
        run.agent_calls();
    }
    run.exit("p");
    run.exit("q");
    run.agent_calls();
}

/// Forks, deaths, moves and limits in a tree of five groups.
fn pids(run: &mut ScenarioRun, seed: u64) {
    let mut rng = WalkRng::new(seed);
    let groups = ["P", "P/a", "P/a/b", "P/a/b/c", "P/d"];
    run.open_controller("P", "pids");
    for group in &groups[1..] {
        run.mkdir(group);
    }
    run.spawn("p");
    run.spawn("q");
    let mut children: Vec<String> = Vec::new();
    for step in 0..150 {
        let group = rng.pick(&groups);
        let parent = rng.pick(&["p", "q"]);
        match rng.below(8) {
            0..3 => {
                let child = format!("c{step}");
                if run.fork(parent, &child) {
                    children.push(child);
                }
            }
            3 if !children.is_empty() => {
                let child = children.swap_remove(rng.below(children.len()));
                run.exit(&child);
            }
            4 => run.write(&format!("{group}/pids.max"), rng.pick(&["0", "1", "2", "3", "5", "max"])),
            5 if !children.is_empty() => {
                let child = children[rng.below(children.len())].clone();
                run.write(&format!("{group}/tasks"), &format!("{{{child}}}"));
            }
            _ => run.write(&format!("{group}/cgroup.procs"), &format!("{{{parent}}}")),
        }
        run.read_all(rng.pick(&groups), &["pids.current", "pids.peak", "pids.events"]);
    }
    for role in children.iter().map(String::as_str).chain(["p", "q"]) {
        run.exit(role);
    }
}

/// Freezes, thaws, moves.
fn freezer(run: &mut ScenarioRun, seed: u64) {
    let mut rng = WalkRng::new(seed);
    let mut groups = vec!["F", "F/a", "F/a/b", "F/c"];
    run.open_controller("F", "freezer");
    for group in &groups[1..] {
        run.mkdir(group);
    }
    for role in ["p", "q"] {
        run.spawn(role);
        run.write("F/tasks", &format!("{{{role}}}"));
    }
    for _ in 0..50 {
        let group = rng.pick(&groups);
        match rng.below(6) {
            0..3 => run.write(&format!("{group}/freezer.state"), rng.pick(&["FROZEN", "THAWED"])),
            3 if groups.len() == 4 => {
                run.mkdir("F/a/b/new");
                groups.push("F/a/b/new");
            }
            _ => run.write(&format!("{group}/tasks"), &format!("{{{}}}", rng.pick(&["p", "q"]))),
        }
        run.settle();
        for group in &groups {
            run.read_all(group, &["freezer.state", "freezer.self_freezing", "freezer.parent_freezing"]);
        }
        run.state("p");
        run.state("q");
    }
    for group in &groups {
        run.write(&format!("{group}/freezer.state"), "THAWED");
    }
    run.settle();
    run.exit("p");
    run.exit("q");
}

/// Sets, exclusive flags, clones, members and their affinity.
fn cpuset(run: &mut ScenarioRun, seed: u64) {
    let mut rng = WalkRng::new(seed);
    run.open_controller("C", "cpuset");
    run.write("C/cpuset.cpus", "0-1");
    run.write("C/cpuset.mems", "0");
    run.spawn("p");
    run.spawn("q");
    let names = ["a", "b"];
    for _ in 0..250 {
        let group = rng.group("C", &names);
        let role = rng.pick(&["p", "q"]);
        match rng.below(14) {
            0..3 => run.mkdir(&group),
            3 if group != "C" => {
                run.rmdir(&group);
                run.settle();
            }
            4..8 => run.write(&format!("{group}/cpuset.cpus"), rng.pick(&["0", "1", "0-1", "\n", "0-1"])),
            8 => run.write(&format!("{group}/cpuset.mems"), rng.pick(&["0", "0", "\n"])),
            9 => {
                let flag = rng.pick(&["cpu_exclusive", "mem_exclusive", "mem_hardwall"]);
                run.write(&format!("{group}/cpuset.{flag}"), rng.pick(&["0", "1"]));
            }
            10 => run.write(&format!("{group}/cgroup.clone_children"), rng.pick(&["0", "1"])),
            11 => {
                let cpus: [&[usize]; 3] = [&[0], &[1], &[0, 1]];
                run.set_affinity(role, cpus[rng.below(3)]);
            }
            _ => run.write(&format!("{group}/tasks"), &format!("{{{role}}}")),
        }
        run.read_all(
            &rng.group("C", &names),
            &["cpuset.cpus", "cpuset.mems", "cpuset.effective_cpus", "cpuset.cpu_exclusive", "tasks"],
        );
        run.affinity("p");
        run.affinity("q");
    }
    run.exit("p");
    run.exit("q");
}
