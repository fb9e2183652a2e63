//! `cgroupspy` of the Python package index, which searches for hierarchies below one directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::PYTHON;
use crate::mount_namespace::MountNamespace;
use penfold_testkit::skip;

/// The last release.
const RELEASE: &str = "cgroupspy==0.2.3";

/// The directory of the package, which is installed once for all runs; `None` without a network.
fn installed() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join(RELEASE);
    if !target.join("cgroupspy").is_dir() {
        let mut pip = Command::new(PYTHON);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]);
        let output = pip.arg(&target).arg(RELEASE).output();
        let done = output.as_ref().is_ok_and(|output| output.status.success());
        if !done {
            skip(&format!("pip does not install {RELEASE}: {output:?}"));
            return None;
        }
    }
    Some(target)
}

/// Runs a script with cgroupspy in a namespace with mounts below /sys/fs/cgroup.
fn script(namespace: &MountNamespace, text: &str) -> Option<String> {
    let path = installed()?;
    let path = path.display();
    let text = format!("import sys; sys.path.insert(0, '{path}')\nfrom cgroupspy import trees\n{text}");
    Some(namespace.run(PYTHON, ["-c", &text]).ok())
}

#[test]
fn cgroupspy_walks_the_tree_of_cgroups() {
    let Some(namespace) = MountNamespace::new() else { return };
    let point = namespace.mount("cpuset", "cpuset");
    namespace.mount("cpuacct", "cpuacct");
    namespace.script(&format!("mkdir -p {point}/one/two {point}/three"));
    let text = "
tree = trees.Tree(root_path='/sys/fs/cgroup/')
print(sorted(node.name.decode() for node in tree.root.children))
cpuset = tree.get_node_by_path('/cpuset/')
print(sorted(node.name.decode() for node in cpuset.children))
print(tree.get_node_by_path('/cpuset/one/two/').full_path.decode())
";
    let Some(said) = script(&namespace, text) else { return };
    assert_eq!(said, "['cpuacct', 'cpuset']\n['one', 'three']\n/sys/fs/cgroup/cpuset/one/two\n");
}

#[test]
fn cgroupspy_creates_configures_fills_and_deletes_a_cgroup() {
    let Some(mut namespace) = MountNamespace::new() else { return };
    let point = namespace.mount("cpuset", "cpuset");
    let job = namespace.start(["sleep", "600"]).as_raw();
    let cpus = namespace.read(&format!("{point}/cpuset.cpus"));
    let text = format!(
        "
tree = trees.Tree(root_path='/sys/fs/cgroup/')
cpuset = tree.get_node_by_path('/cpuset/')
box = cpuset.create_cgroup('box')
print(sorted(cpuset.controller.cpus), int({job} in cpuset.controller.tasks))
box.controller.cpus = [0]
box.controller.mems = [0]
print(box.controller.cpus, box.controller.mems)
box.controller.clone_children = 1
print(box.controller.clone_children, box.controller.cpu_exclusive)
box.controller.tasks = [{job}]
print(box.controller.tasks, box.controller.procs)
cpuset.controller.tasks = [{job}]
print(box.controller.tasks)
cpuset.delete_cgroup('box')
import os
print(os.path.exists('/sys/fs/cgroup/cpuset/box'))
"
    );
    let Some(said) = script(&namespace, &text) else { return };
    let all: Vec<u32> = (0..1024)
        .filter(|cpu| Path::new(&format!("/sys/devices/system/cpu/cpu{cpu}/topology")).exists())
        .collect();
    let said: Vec<_> = said.lines().collect();
    assert_eq!(said[0], format!("{all:?} 1"), "cpus {cpus}");
    assert_eq!(said[1], "{0} {0}");
    assert_eq!(said[2], "True False");
    assert_eq!(said[3], format!("[{job}] [{job}]"));
    assert_eq!(said[4..], ["[]", "False"]);
}
