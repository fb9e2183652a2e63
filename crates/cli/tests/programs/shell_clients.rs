//! Debian's `cgroupfs-mount`, a shell script that mounts every controller, and `cset`, the program that the kernel's
//! documentation of cpusets names.

use crate::common::{PENFOLD, PYTHON, eventually};
use crate::needs;
use crate::world::{Ran, World};

/// A program that sees no cgroups but penfold's.
fn shim(world: &World, words: &[&str]) -> Ran {
    let proc = world.proc();
    let options = ["shim", "--only", "--proc", &proc, "--"];
    world.run(PENFOLD, options.iter().chain(words))
}

#[test]
fn cgroupfs_mount_mounts_all_controllers_and_cgroupfs_umount_unmounts_them() {
    needs!("cgroupfs-mount");
    let Some(world) = World::new() else { return };
    if world.run("grep", ["-q", "^[^#].*cgroup", "/etc/fstab"]).code == 0 {
        return; // the script does nothing then, and says so
    }
    let table = world.read(&format!("{}/cgroups", world.proc()));
    let controllers: Vec<_> = table.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    assert!(controllers.len() > 4, "{table}");
    shim(&world, &["cgroupfs-mount"]).ok();
    for controller in &controllers {
        let shown = world.script(&format!("cd /sys/fs/cgroup/{controller} && cat tasks && ls"));
        let files = shown.lines().filter(|line| line.starts_with(&format!("{controller}.")));
        assert!(files.count() > 0 || ["pids", "freezer"].contains(controller), "{controller}: {shown}");
        assert!(shown.lines().any(|line| line == "1"), "everything is in the root: {shown}");
    }
    let table = world.read(&format!("{}/cgroups", world.proc()));
    let bound = table.lines().skip(1).filter(|line| line.split('\t').nth(1) != Some("0"));
    assert_eq!(bound.count(), controllers.len(), "{table}");
    shim(&world, &["cgroupfs-umount"]).ok();
    // not those that somebody else has elsewhere
    let ours = |line: &str| line.contains("fuse.cgroup.") && line.contains(" /sys/fs/cgroup/");
    eventually("all are unmounted", || !world.read("/proc/mounts").lines().any(ours));
}

/// Where `cset` makes a mount when it finds none: not at the top of this machine's file system, as it would.
const OWN_MOUNT: &str = "/sys/fs/cgroup/legacy";

/// `cset` takes the first mount that has the option cpuset.
fn cset(world: &World, words: &[&str]) -> Ran {
    let start = format!(
        "from cpuset import config; config.mountpoint = '{OWN_MOUNT}'; from cpuset.main import main; main()"
    );
    shim(world, &[&[PYTHON, "-c", &start], words].concat())
}

/// The session of cset's own tutorial, with one cpuset, on cpusets with or without prefix.
fn tutorial(world: &mut World, point: &str, prefix: &str) {
    let listed = cset(world, &["set", "--list"]).ok();
    assert!(
        listed.lines().any(|line| line.trim_start().starts_with("root ") && line.ends_with(" /")),
        "{listed}"
    );
    cset(world, &["set", "--cpu=0", "--mem=0", "--set=my_cpuset1"]).ok();
    assert_eq!(world.read(&format!("{point}/my_cpuset1/{prefix}cpus")), "0");
    let job = world.start(["sleep", "600"]).as_raw();
    cset(world, &["proc", "--move", &format!("--pid={job}"), "--toset=my_cpuset1"]).ok();
    assert_eq!(world.read(&format!("{point}/my_cpuset1/tasks")), job.to_string());
    let allowed = world.script(&format!("grep Cpus_allowed_list /proc/{job}/status"));
    assert_eq!(allowed, "Cpus_allowed_list:\t0\n");
    let said = cset(world, &["proc", "--exec", "--set=my_cpuset1", "--", "nproc"]).ok();
    assert!(said.lines().any(|line| line == "1"), "{said}");
    let listed = cset(world, &["proc", "--list", "--set=my_cpuset1"]).ok();
    assert!(listed.contains("sleep 600"), "{listed}");
    // its tasks go to the parent
    cset(world, &["set", "--destroy", "--set=my_cpuset1"]).ok();
    assert_eq!(world.run("test", ["-d", &format!("{point}/my_cpuset1")]).code, 1);
    let root = world.read(&format!("{point}/tasks"));
    assert!(root.lines().any(|task| task == job.to_string()), "{root}");
}

#[test]
fn cset_works_on_the_cpuset_hierarchy_that_is_mounted() {
    needs!("cset");
    let Some(mut world) = World::new() else { return };
    let point = world.mount("cpuset", "cpuset");
    tutorial(&mut world, &point, "cpuset.");
}

#[test]
fn cset_mounts_the_legacy_cpuset_file_system_by_itself() {
    needs!("cset");
    let Some(mut world) = World::new() else { return };
    tutorial(&mut world, OWN_MOUNT, "");
    assert_eq!(world.read(&format!("{OWN_MOUNT}/release_agent")), "/sbin/cpuset_release_agent");
}
