//! Debian's `cgroupfs-mount`, a shell script that mounts every controller, and `cset`, the program that the kernel's
//! documentation of cpusets names.

use crate::common::{PENFOLD, PYTHON};
use crate::mount_namespace::{MountNamespace, ProgramResult};
use penfold_testkit::{needs, wait_until};

/// A program that sees no cgroups but penfold's.
fn shim(namespace: &MountNamespace, words: &[&str]) -> ProgramResult {
    let proc = namespace.proc();
    let options = ["shim", "--only", "--proc", &proc, "--"];
    namespace.run(PENFOLD, options.iter().chain(words))
}

#[test]
fn cgroupfs_mount_mounts_and_unmounts_all_controllers() {
    needs!("cgroupfs-mount");
    let Some(namespace) = MountNamespace::new() else { return };
    if namespace.run("grep", ["-q", "^[^#].*cgroup", "/etc/fstab"]).code == 0 {
        return; // then the script does nothing, and says so
    }
    let table = namespace.read(&format!("{}/cgroups", namespace.proc()));
    let controllers: Vec<_> = table.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    assert!(controllers.len() > 4, "{table}");
    shim(&namespace, &["cgroupfs-mount"]).ok();
    for controller in &controllers {
        let shown = namespace.script(&format!("cd /sys/fs/cgroup/{controller} && cat tasks && ls"));
        let files = shown.lines().filter(|line| line.starts_with(&format!("{controller}.")));
        assert!(files.count() > 0 || ["pids", "freezer"].contains(controller), "{controller}: {shown}");
        assert!(shown.lines().any(|line| line == "1"), "everything is in the root: {shown}");
    }
    let table = namespace.read(&format!("{}/cgroups", namespace.proc()));
    let bound = table.lines().skip(1).filter(|line| line.split('\t').nth(1) != Some("0"));
    assert_eq!(bound.count(), controllers.len(), "{table}");
    shim(&namespace, &["cgroupfs-umount"]).ok();
    // mounts at other places may be those of other users
    let ours = |line: &str| line.contains("fuse.cgroup.") && line.contains(" /sys/fs/cgroup/");
    wait_until("all are unmounted", || !namespace.read("/proc/mounts").lines().any(ours));
}

/// The place for `cset` to make a mount when it finds none. Its default is at the top of this machine's file system.
const OWN_MOUNT: &str = "/sys/fs/cgroup/legacy";

/// `cset` takes the first mount that has the option cpuset.
fn cset(namespace: &MountNamespace, words: &[&str]) -> ProgramResult {
    let start = format!(
        "from cpuset import config; config.mountpoint = '{OWN_MOUNT}'; from cpuset.main import main; main()"
    );
    shim(namespace, &[&[PYTHON, "-c", &start], words].concat())
}

/// The session of cset's own tutorial, with one cpuset, on cpusets with or without prefix.
fn tutorial(namespace: &mut MountNamespace, point: &str, prefix: &str) {
    let listed = cset(namespace, &["set", "--list"]).ok();
    assert!(
        listed.lines().any(|line| line.trim_start().starts_with("root ") && line.ends_with(" /")),
        "{listed}"
    );
    cset(namespace, &["set", "--cpu=0", "--mem=0", "--set=my_cpuset1"]).ok();
    assert_eq!(namespace.read(&format!("{point}/my_cpuset1/{prefix}cpus")), "0");
    let job = namespace.start(["sleep", "600"]).as_raw();
    cset(namespace, &["proc", "--move", &format!("--pid={job}"), "--toset=my_cpuset1"]).ok();
    assert_eq!(namespace.read(&format!("{point}/my_cpuset1/tasks")), job.to_string());
    let allowed = namespace.script(&format!("grep Cpus_allowed_list /proc/{job}/status"));
    assert_eq!(allowed, "Cpus_allowed_list:\t0\n");
    let said = cset(namespace, &["proc", "--exec", "--set=my_cpuset1", "--", "nproc"]).ok();
    assert!(said.lines().any(|line| line == "1"), "{said}");
    let listed = cset(namespace, &["proc", "--list", "--set=my_cpuset1"]).ok();
    assert!(listed.contains("sleep 600"), "{listed}");
    // its tasks go to the parent
    cset(namespace, &["set", "--destroy", "--set=my_cpuset1"]).ok();
    assert_eq!(namespace.run("test", ["-d", &format!("{point}/my_cpuset1")]).code, 1);
    let root = namespace.read(&format!("{point}/tasks"));
    assert!(root.lines().any(|task| task == job.to_string()), "{root}");
}

#[test]
fn cset_works_on_the_cpuset_hierarchy_that_is_mounted() {
    needs!("cset");
    let Some(mut namespace) = MountNamespace::new() else { return };
    let point = namespace.mount("cpuset", "cpuset");
    tutorial(&mut namespace, &point, "cpuset.");
}

#[test]
fn cset_mounts_the_legacy_cpuset_file_system_by_itself() {
    needs!("cset");
    let Some(mut namespace) = MountNamespace::new() else { return };
    tutorial(&mut namespace, OWN_MOUNT, "");
    assert_eq!(namespace.read(&format!("{OWN_MOUNT}/release_agent")), "/sbin/cpuset_release_agent");
}
