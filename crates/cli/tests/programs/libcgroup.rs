//! Debian's `cgroup-tools` (libcgroup), through the preload library: cgcreate, cgset, cgget, cgexec, cgclassify,
//! cgdelete, lscgroup and lssubsys. The tools look for file systems of type `cgroup` in /proc/mounts.

use nix::unistd::Pid;

use crate::common::PENFOLD;
use crate::mount_namespace::{MountNamespace, ProgramResult};
use penfold_testkit::{needs, wait_until};

struct Tools {
    namespace: MountNamespace,
    proc: String,
}

impl Tools {
    fn new() -> Option<Self> {
        let namespace = MountNamespace::new()?;
        namespace.mount("limits", "pids,freezer");
        namespace.mount("cpuset", "cpuset");
        namespace.mount("cpuacct", "cpuacct");
        let proc = namespace.proc();
        Some(Self { namespace, proc })
    }

    /// One of the tools, which sees no cgroups but penfold's.
    fn tool(&self, words: &[&str]) -> ProgramResult {
        let shim = ["shim", "--only", "--proc", &self.proc, "--"];
        self.namespace.run(PENFOLD, shim.iter().chain(words))
    }

    fn file(&self, path: &str) -> String {
        self.namespace.read(&format!("/sys/fs/cgroup/{path}"))
    }

    fn tasks(&self, path: &str) -> Vec<i32> {
        self.file(path).lines().map(|line| line.parse().expect("a number")).collect()
    }
}

#[test]
fn without_the_library_libcgroup_does_not_find_penfold() {
    needs!("lssubsys");
    let Some(tools) = Tools::new() else { return };
    let mounted = tools.namespace.run("lssubsys", ["-m"]);
    assert!(!mounted.stdout.contains("/sys/fs/cgroup/limits"), "{}", mounted.stdout);
}

#[test]
fn lssubsys_and_lscgroup_list_penfolds_hierarchies() {
    needs!("lssubsys", "lscgroup", "cgcreate");
    let Some(tools) = Tools::new() else { return };
    // Of 2.0.2, as Debian has it, with the kernel's cgroups too: it lists what is not mounted only, and ends with 82.
    let listed = tools.tool(&["lssubsys", "-a"]).stdout;
    let names = |line: &&str| !["pids", "freezer", "cpuset", "cpuacct"].contains(line);
    assert_eq!(listed.lines().filter(names).collect::<Vec<_>>(), ["numtasks", "debug"]);
    tools.tool(&["cgcreate", "-g", "pids:/one/two"]).ok();
    let cgroups = tools.tool(&["lscgroup"]).ok();
    assert!(cgroups.lines().any(|line| line.ends_with(":/one/two") && line.contains("pids")), "{cgroups}");
    let below = tools.tool(&["lscgroup", "pids:/one"]).ok();
    assert_eq!(below.lines().count(), 2, "{below}");
}

#[test]
fn cgset_writes_and_cgget_reads_what_penfold_has() {
    needs!("cgcreate", "cgset", "cgget", "cgdelete");
    let Some(tools) = Tools::new() else { return };
    tools.tool(&["cgcreate", "-g", "pids,cpuset:/box"]).ok();
    tools.tool(&["cgset", "-r", "pids.max=12", "box"]).ok();
    assert_eq!(tools.file("limits/box/pids.max"), "12");
    tools.tool(&["cgset", "-r", "cpuset.cpus=0", "-r", "cpuset.mems=0", "box"]).ok();
    assert_eq!(tools.file("cpuset/box/cpuset.cpus"), "0");
    assert_eq!(tools.tool(&["cgget", "-nv", "-r", "pids.max", "box"]).ok(), "12\n");
    let all = tools.tool(&["cgget", "-g", "cpuset", "box"]).ok();
    assert!(all.starts_with("box:\n") && all.contains("\ncpuset.cpus: 0\n"), "{all}");
    tools.tool(&["cgset", "-r", "pids.max=many", "box"]).failed();
    assert_eq!(tools.file("limits/box/pids.max"), "12");
    tools.tool(&["cgset", "--copy-from", "box", "box"]).ok();
    // 2.0.2 deletes in the first hierarchy only of those that are named together, also with the kernel's cgroups
    for hierarchy in ["pids:/box", "cpuset:/box"] {
        tools.tool(&["cgdelete", "-g", hierarchy]).ok();
    }
    assert_eq!(tools.namespace.run("test", ["-e", "/sys/fs/cgroup/limits/box"]).code, 1);
    assert_eq!(tools.namespace.run("test", ["-e", "/sys/fs/cgroup/cpuset/box"]).code, 1);
}

#[test]
fn cgcreate_gives_a_cgroup_to_another_user() {
    needs!("cgcreate");
    let Some(tools) = Tools::new() else { return };
    let owners = ["-a", "nobody:nogroup", "-t", "nobody:nogroup"];
    tools.tool(&[&["cgcreate"], &owners[..], &["-g", "pids:/theirs"]].concat()).ok();
    let shown = tools
        .namespace
        .script("stat -c %U:%G /sys/fs/cgroup/limits/theirs/pids.max /sys/fs/cgroup/limits/theirs/tasks");
    assert_eq!(shown, "nobody:nogroup\nnobody:nogroup\n");
}

#[test]
fn cgexec_runs_a_command_inside_and_its_limit_holds() {
    needs!("cgcreate", "cgset", "cgexec");
    let Some(tools) = Tools::new() else { return };
    tools.tool(&["cgcreate", "-g", "pids:/box"]).ok();
    tools.tool(&["cgset", "-r", "pids.max=4", "box"]).ok();
    let inside = tools.tool(&["cgexec", "-g", "pids:box", "cat", "/proc/self/cgroup"]).ok();
    assert!(inside.lines().any(|line| line.ends_with(":/box") && line.contains("pids")), "{inside}");
    let bomb = "for i in 1 2 3 4 5 6; do sleep 5 & done; wait";
    let refused = tools.tool(&["cgexec", "-g", "pids:box", "dash", "-c", bomb]).failed();
    assert!(refused.contains("Cannot fork"), "{refused}");
}

#[test]
fn cgclassify_moves_running_processes() {
    needs!("cgcreate", "cgclassify", "cgdelete");
    let Some(mut tools) = Tools::new() else { return };
    let [one, two] = [(); 2].map(|()| tools.namespace.start(["sleep", "600"]));
    tools.tool(&["cgcreate", "-g", "pids,cpuacct:/jobs"]).ok();
    let number = |pid: Pid| pid.as_raw().to_string();
    tools.tool(&["cgclassify", "-g", "pids,cpuacct:jobs", &number(one), &number(two)]).ok();
    let mut expected = vec![one.as_raw(), two.as_raw()];
    expected.sort_unstable();
    for hierarchy in ["limits", "cpuacct"] {
        assert_eq!(tools.tasks(&format!("{hierarchy}/jobs/tasks")), expected, "{hierarchy}");
    }
    assert_eq!(tools.file("limits/jobs/pids.current"), "2");
    // the tasks go to the parent first
    for hierarchy in ["pids:/jobs", "cpuacct:/jobs"] {
        tools.tool(&["cgdelete", "-g", hierarchy]).ok();
    }
    let root = tools.tasks("limits/tasks");
    assert!(root.contains(&one.as_raw()) && root.contains(&two.as_raw()), "{root:?}");
    wait_until("the cgroup is gone", || !tools.tool(&["lscgroup"]).ok().contains("jobs"));
}
