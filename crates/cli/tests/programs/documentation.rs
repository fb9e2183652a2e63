//! The worked sessions of the kernel's own documentation of cgroup v1 (Documentation/admin-guide/cgroup-v1), typed line
//! by line at a terminal.
//!
//! The lines are those of the documentation, with three exceptions:
//!
//! * CPU and node numbers that this machine does not have;
//! * `cat /proc/self/…`, which is `cat $proc/self/…`;
//! * the message of Debian's shell after a fork that failed.
//!
//! With `PENFOLD_SESSIONS=kernel` the same lines are typed to the kernel's cgroup v1, to check the lines themselves.

use crate::common::{ModuleDir, PENFOLD};
use crate::mount_namespace::MountNamespace;
use crate::shell_session::ShellSession;

/// A namespace with a shell in it. The flag says whether penfold answers, or else the kernel.
fn begin() -> Option<(MountNamespace, ShellSession, bool)> {
    let namespace = MountNamespace::new()?;
    let mut session = ShellSession::new(&namespace);
    session.quietly(&format!("export proc={}", namespace.proc()));
    Some((namespace, session, !MountNamespace::is_kernels()))
}

/// Types a line at which a fork fails. The documentation has `sh: fork: Resource temporary unavailable` there.
#[track_caller]
fn cannot_fork(session: &mut ShellSession, line: &str) {
    let shown = session.fails(line);
    assert!(shown.contains("Cannot fork"), "{line}: {shown:?}");
    assert!(!shown.contains("\nHere's") && !shown.contains("We can't"), "{line}: {shown:?}");
}

/// Moves the shell out of its cgroup, so that the cgroup can be removed.
fn leave(session: &mut ShellSession, root: &str) {
    session.quietly(&format!("echo $$ > {root}/tasks"));
    session.quietly("cd /");
}

/// cgroups.rst 1.6: the cgroup "Charlie" and a subshell in it.
#[test]
fn cgroups_1_6_a_subshell_in_charlie() {
    let Some((_world, mut session, penfold)) = begin() else { return };
    let last = session.shows("echo $(($(nproc --all) - 1))");
    session.quietly("mount -t tmpfs cgroup_root /sys/fs/cgroup");
    session.quietly("mkdir /sys/fs/cgroup/cpuset");
    session.quietly("mount -t cgroup cpuset -ocpuset /sys/fs/cgroup/cpuset");
    session.quietly("cd /sys/fs/cgroup/cpuset");
    session.quietly("mkdir Charlie");
    session.quietly("cd Charlie");
    session.quietly(&format!("/bin/echo {last} > cpuset.cpus"));
    session.quietly("/bin/echo 0 > cpuset.mems");
    session.quietly("/bin/echo $$ > tasks");
    session.quietly("sh");
    session.quietly("PS1=");
    let shown = session.shows("cat $proc/self/cgroup");
    assert!(shown.lines().any(|line| line.ends_with(":cpuset:/Charlie")), "{shown}");
    // cpusets.rst 1.9 is the same session with this last line
    assert_eq!(session.shows("cat $proc/self/cpuset"), "/Charlie");
    assert_eq!(session.shows("nproc"), "1");
    assert_eq!(session.shows("taskset -cp $$ | sed 's/.*: //'"), last, "the shell is on this CPU only");
    let tasks = session.shows("cat tasks");
    let shell = session.shows("echo $$");
    assert!(tasks.lines().any(|task| task == shell), "{tasks}");
    assert!(tasks.lines().count() >= 3, "two shells and cat: {tasks}");
    session.line("exit");
    leave(&mut session, "/sys/fs/cgroup/cpuset");
    session.quietly("rmdir /sys/fs/cgroup/cpuset/Charlie");
    assert!(penfold || session.shows("stat -fc %T /sys/fs/cgroup/cpuset") == "cgroupfs");
    session.quietly("umount /sys/fs/cgroup/cpuset");
}

/// cgroups.rst 2.1, with `hier1` made of two controllers that penfold has.
#[test]
fn cgroups_2_1_basic_usage() {
    let Some((_world, mut session, penfold)) = begin() else { return };
    if !penfold {
        return; // the kernel's controllers are bound elsewhere on a machine that uses them
    }
    session.quietly("mount -t cgroup xxx /sys/fs/cgroup");
    let controllers = "cpuset cpuacct pids freezer";
    session.quietly("mkdir /sys/fs/cgroup/one");
    for controller in controllers.split(' ') {
        let shown = session.shows(&format!("ls /sys/fs/cgroup/one | grep -c ^{controller}[.] || :"));
        assert!(shown != "0", "all subsystems are there: {controller}");
    }
    session.quietly("rmdir /sys/fs/cgroup/one");
    session.quietly("umount /sys/fs/cgroup");
    session.quietly("mount -t tmpfs cgroup_root /sys/fs/cgroup");
    session.quietly("mkdir /sys/fs/cgroup/rg1");
    session.quietly("mount -t cgroup -o cpuset,pids hier1 /sys/fs/cgroup/rg1");
    session.quietly("umount /sys/fs/cgroup/rg1");
    session.quietly(
        "mount -t cgroup -o cpuset,release_agent=\"/sbin/cpuset_release_agent\" xxx /sys/fs/cgroup/rg1",
    );
    assert_eq!(session.shows("cat /sys/fs/cgroup/rg1/release_agent"), "/sbin/cpuset_release_agent");
    session.quietly("echo \"/sbin/new_release_agent\" > /sys/fs/cgroup/rg1/release_agent");
    assert_eq!(session.shows("cat /sys/fs/cgroup/rg1/release_agent"), "/sbin/new_release_agent");
    session.quietly("cd /sys/fs/cgroup/rg1");
    session.quietly("mkdir my_cgroup");
    session.quietly("cd my_cgroup");
    let files = session.shows("ls");
    for file in ["cgroup.procs", "notify_on_release", "tasks"] {
        assert!(files.split_whitespace().any(|there| there == file), "{file} in {files}");
    }
    session.quietly("cat ../cpuset.cpus > cpuset.cpus; cat ../cpuset.mems > cpuset.mems");
    session.quietly("/bin/echo $$ > tasks");
    session.quietly("mkdir my_sub_cs");
    session.quietly("rmdir my_sub_cs");
    let busy = session.fails("rmdir ../my_cgroup");
    assert!(busy.contains("Device or resource busy"), "it has processes: {busy}");
    leave(&mut session, "/sys/fs/cgroup/rg1");
    session.quietly("rmdir /sys/fs/cgroup/rg1/my_cgroup");
    let twice = "mount -t cgroup -o none,name=x,release_agent=/a,release_agent=/b xxx /mnt";
    session.fails(twice);
    session.quietly("umount /sys/fs/cgroup/rg1");
}

/// cgroups.rst 2.2 and 2.3, in a hierarchy that only has a name.
#[test]
fn cgroups_2_2_attaching_processes_in_a_hierarchy_by_name() {
    let Some((_world, mut session, penfold)) = begin() else { return };
    session.quietly("mkdir /sys/fs/cgroup/jobs");
    session.quietly("mount -t cgroup -o none,name=penfold.jobs-1 xxx /sys/fs/cgroup/jobs");
    session.quietly("cd /sys/fs/cgroup/jobs");
    session.quietly("mkdir one two");
    // started before, by another shell
    session.quietly("sleep 600 & PID1=$!; sleep 600 & PID2=$!");
    session.quietly("/bin/echo $PID1 > one/tasks");
    session.quietly("/bin/echo $PID2 > one/tasks");
    assert_eq!(session.shows("cat one/tasks"), session.shows("echo \"$PID1\n$PID2\""));
    let two = session.fails("/bin/echo \"$PID1 $PID2\" > two/tasks");
    assert!(two.contains("Invalid argument"), "only one task at a time: {two}");
    session.quietly("echo 0 > two/tasks");
    assert!(session.shows("cat $proc/self/cgroup").contains(":name=penfold.jobs-1:/two"));
    session.quietly("echo 0 > one/cgroup.procs");
    assert!(session.shows("cat one/cgroup.procs").lines().count() >= 3);
    assert_eq!(session.shows("cat two/tasks"), "");
    let mounts = session.shows("grep /sys/fs/cgroup/jobs /proc/mounts");
    assert!(mounts.contains("name=penfold.jobs-1"), "{mounts}");
    // the name is enough to find a hierarchy that is there
    session.quietly("mkdir /sys/fs/cgroup/again");
    session.quietly("mount -t cgroup -o name=penfold.jobs-1 xxx /sys/fs/cgroup/again");
    assert_eq!(session.shows("cat /sys/fs/cgroup/again/one/tasks | grep $PID1"), session.shows("echo $PID1"));
    session.fails("mount -t cgroup -o 'none,name=not ok' xxx /mnt");
    session.fails("mount -t cgroup -o name=nowhere-to-be-found xxx /mnt");
    leave(&mut session, "/sys/fs/cgroup/jobs");
    session.line("kill -9 $PID1 $PID2; wait");
    session.quietly("rmdir /sys/fs/cgroup/jobs/one /sys/fs/cgroup/jobs/two");
    session.quietly("umount /sys/fs/cgroup/again /sys/fs/cgroup/jobs");
    let _ = penfold;
}

/// cpusets.rst 2.1 to 2.4.
#[test]
fn cpusets_2_usage_examples() {
    let Some((_world, mut session, penfold)) = begin() else { return };
    let all = session.shows("cat /sys/devices/system/cpu/online");
    let nodes = session.shows("cat /sys/devices/system/node/online 2>/dev/null || echo 0");
    session.quietly("mkdir -p /sys/fs/cgroup/cpuset");
    session.quietly("mount -t cgroup -o cpuset cpuset /sys/fs/cgroup/cpuset");
    session.quietly("cd /sys/fs/cgroup/cpuset");
    session.quietly("mkdir my_cpuset");
    session.quietly("cd my_cpuset");
    let files = session.shows("ls");
    for file in [
        "cgroup.clone_children",
        "cgroup.procs",
        "cpuset.cpu_exclusive",
        "cpuset.cpus",
        "cpuset.mem_exclusive",
        "cpuset.mem_hardwall",
        "cpuset.memory_migrate",
        "cpuset.memory_pressure",
        "cpuset.memory_spread_page",
        "cpuset.memory_spread_slab",
        "cpuset.mems",
        "cpuset.sched_load_balance",
        "cpuset.sched_relax_domain_level",
        "notify_on_release",
        "tasks",
    ] {
        assert!(files.split_whitespace().any(|there| there == file), "{file} in {files}");
    }
    session.quietly("/bin/echo 1 > cpuset.cpu_exclusive");
    session.quietly(&format!("/bin/echo {all} > cpuset.cpus"));
    session.quietly(&format!("/bin/echo {nodes} > cpuset.mems"));
    session.quietly("/bin/echo $$ > tasks");
    session.quietly("mkdir my_sub_cs");
    session.quietly("rmdir my_sub_cs");
    let busy = session.fails("rmdir ../my_cpuset");
    assert!(busy.contains("Device or resource busy"), "{busy}");
    leave(&mut session, "/sys/fs/cgroup/cpuset");
    session.quietly("cd /sys/fs/cgroup/cpuset/my_cpuset");
    // 2.2; today's kernel answers EBUSY when an exclusive set is emptied
    session.quietly("/bin/echo 0 > cpuset.cpu_exclusive");
    session.quietly("/bin/echo 0 > cpuset.cpus");
    assert_eq!(session.shows("cat cpuset.cpus"), "0");
    if all.contains(['-', ',']) {
        session.quietly("/bin/echo 0,1 > cpuset.cpus");
        assert_eq!(session.shows("cat cpuset.cpus"), "0-1");
    }
    session.quietly("/bin/echo \"\" > cpuset.cpus");
    assert_eq!(session.shows("cat cpuset.cpus"), "");
    // 2.3
    session.quietly("/bin/echo 1 > cpuset.cpu_exclusive");
    assert_eq!(session.shows("cat cpuset.cpu_exclusive"), "1");
    session.quietly("/bin/echo 0 > cpuset.cpu_exclusive");
    assert_eq!(session.shows("cat cpuset.cpu_exclusive"), "0");
    // without CPUs there is no attach
    let full = session.fails("/bin/echo $$ > tasks");
    assert!(full.contains("No space left on device"), "{full}");
    session.quietly("cd /");
    session.quietly("rmdir /sys/fs/cgroup/cpuset/my_cpuset");
    session.quietly("umount /sys/fs/cgroup/cpuset");
    if penfold {
        legacy_file_system(&mut session);
    }
}

/// cpusets.rst 2.1: `mount -t cpuset`, and the mount that the documentation calls equivalent.
fn legacy_file_system(session: &mut ShellSession) {
    session.quietly("mount -t cpuset X /sys/fs/cgroup/cpuset");
    assert_eq!(session.shows("cat /sys/fs/cgroup/cpuset/release_agent"), "/sbin/cpuset_release_agent");
    session.quietly("ls /sys/fs/cgroup/cpuset/cpus /sys/fs/cgroup/cpuset/mems > /dev/null");
    session.fails("ls /sys/fs/cgroup/cpuset/cpuset.cpus");
    session.quietly("umount /sys/fs/cgroup/cpuset");
    session.quietly("mount -t cgroup -ocpuset,noprefix X /sys/fs/cgroup/cpuset");
    session.quietly("echo \"/sbin/cpuset_release_agent\" > /sys/fs/cgroup/cpuset/release_agent");
    session.quietly("ls /sys/fs/cgroup/cpuset/cpus /sys/fs/cgroup/cpuset/mems > /dev/null");
    session.quietly("umount /sys/fs/cgroup/cpuset");
}

/// freezer-subsystem.rst, "Examples of usage".
#[test]
fn freezer_examples_of_usage() {
    let Some((_world, mut session, _)) = begin() else { return };
    session.quietly("steps=$(mktemp)");
    session.quietly("sh -c 'while :; do echo; sleep 0.01; done' > $steps & some_pid=$!");
    session.quietly("mkdir /sys/fs/cgroup/freezer");
    session.quietly("mount -t cgroup -ofreezer freezer /sys/fs/cgroup/freezer");
    session.quietly("mkdir /sys/fs/cgroup/freezer/0");
    session.quietly("echo $some_pid > /sys/fs/cgroup/freezer/0/tasks");
    assert_eq!(session.shows("cat /sys/fs/cgroup/freezer/0/freezer.state"), "THAWED");
    session.quietly("echo FROZEN > /sys/fs/cgroup/freezer/0/freezer.state");
    let frozen = session.shows(
        "until [ \"$(cat /sys/fs/cgroup/freezer/0/freezer.state)\" = FROZEN ]; do sleep 0.01; done; \
         cat /sys/fs/cgroup/freezer/0/freezer.state",
    );
    assert_eq!(frozen, "FROZEN");
    assert_eq!(session.shows("cat /sys/fs/cgroup/freezer/0/freezer.self_freezing"), "1");
    assert_eq!(session.shows("cat /sys/fs/cgroup/freezer/0/freezer.parent_freezing"), "0");
    let newest = "stat -c %s $steps";
    let before = session.shows(newest);
    session.quietly("sleep 0.3");
    assert_eq!(session.shows(newest), before, "nothing happened while it was frozen");
    session.quietly("echo THAWED > /sys/fs/cgroup/freezer/0/freezer.state");
    assert_eq!(session.shows("cat /sys/fs/cgroup/freezer/0/freezer.state"), "THAWED");
    session.quietly(&format!("until [ \"$({newest})\" != {before} ]; do sleep 0.05; done"));
    session.line("kill -9 $some_pid; wait");
    session.quietly("rm $steps");
    session.quietly("until rmdir /sys/fs/cgroup/freezer/0 2>/dev/null; do sleep 0.05; done");
    session.quietly("umount /sys/fs/cgroup/freezer");
}

/// cpuacct.rst.
#[test]
fn cpuacct_a_new_accounting_group() {
    let Some((_world, mut session, _)) = begin() else { return };
    session.quietly("mkdir /sys/fs/cgroup/cpuacct");
    session.quietly("mount -t cgroup -ocpuacct none /sys/fs/cgroup/cpuacct");
    session.quietly("cd /sys/fs/cgroup/cpuacct");
    session.quietly("mkdir g1");
    session.quietly("echo $$ > g1/tasks");
    let before: u64 = session.shows("cat cpuacct.usage").parse().expect("a number");
    session.quietly("i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done");
    let used: u64 = session.shows("cat g1/cpuacct.usage").parse().expect("a number");
    assert!((10_000_000..20_000_000_000).contains(&used), "a loop of this length in ns: {used}");
    let root: u64 = session.shows("cat cpuacct.usage").parse().expect("a number");
    assert!(root >= before + used * 9 / 10, "accumulated in the parent: {before} + {used}, {root}");
    let stat = session.shows("cat g1/cpuacct.stat");
    let mut lines = stat.lines().map(|line| line.split_once(' ').expect("a name and a number"));
    let user: u64 = lines.next().filter(|(name, _)| *name == "user").expect("user").1.parse().expect("ticks");
    let system = lines.next().filter(|(name, _)| *name == "system").expect("system").1;
    system.parse::<u64>().expect("ticks");
    assert!(user * 10_000_000 <= used + 50_000_000 && user > 0, "in ticks of 10 ms: {stat}, {used} ns");
    leave(&mut session, "/sys/fs/cgroup/cpuacct");
    session.quietly("until rmdir /sys/fs/cgroup/cpuacct/g1 2>/dev/null; do sleep 0.05; done");
    session.quietly("umount /sys/fs/cgroup/cpuacct");
}

/// pids.rst, "Example": a fork that is refused.
#[test]
fn pids_a_fork_beyond_the_limit_is_refused() {
    let Some((_world, mut session, _)) = begin() else { return };
    let parent = "/sys/fs/cgroup/pids/parent";
    let here = "( /bin/echo \"Here's some processes for you.\" | cat )";
    session.quietly("mkdir -p /sys/fs/cgroup/pids");
    session.quietly("mount -t cgroup -o pids none /sys/fs/cgroup/pids");
    session.quietly("mkdir -p /sys/fs/cgroup/pids/parent/child");
    session.quietly(&format!("echo 2 > {parent}/pids.max"));
    session.quietly(&format!("echo $$ > {parent}/cgroup.procs"));
    assert_eq!(session.shows(&format!("cat {parent}/pids.current")), "2");
    assert_eq!(session.shows(&format!("cat {parent}/pids.current")), "2");
    cannot_fork(&mut session, here);
    session.quietly(&format!("echo $$ > {parent}/child/cgroup.procs"));
    assert_eq!(session.shows(&format!("cat {parent}/pids.current")), "2");
    assert_eq!(session.shows(&format!("cat {parent}/child/pids.current")), "2");
    assert_eq!(session.shows(&format!("cat {parent}/child/pids.max")), "max");
    cannot_fork(&mut session, here);
    session.quietly(&format!("echo 1 > {parent}/pids.max"));
    cannot_fork(&mut session, "/bin/echo \"We can't even spawn a single process now.\"");
    session.quietly(&format!("echo 0 > {parent}/pids.max"));
    cannot_fork(&mut session, "/bin/echo \"We can't even spawn a single process now.\"");
    // read by the shell itself, which can't start a process
    session.quietly(&format!("while read -r line; do events=$line; done < {parent}/child/pids.events"));
    let events = session.shows("echo $events");
    let count: u64 = events.strip_prefix("max ").expect("max").parse().expect("a number");
    assert!(count >= 3, "refused by the parent's limit, counted where it was tried: {events}");
    leave(&mut session, "/sys/fs/cgroup/pids");
    session.quietly(
        "until rmdir /sys/fs/cgroup/pids/parent/child /sys/fs/cgroup/pids/parent; do sleep 0.05; done",
    );
    session.quietly("umount /sys/fs/cgroup/pids");
}

/// `net_cls.rst`, up to the lines with tc and iptables.
#[test]
fn net_cls_a_ten_to_one_handle() {
    let Some((namespace, mut session, penfold)) = begin() else { return };
    if !penfold {
        return; // a failed test would leave a hierarchy of the kernel that stays bound for ever
    }
    let modules = ModuleDir::new();
    let file = modules.file("net_cls");
    namespace.run(PENFOLD, ["module", "load", file.to_str().expect("plain")]).ok();
    session.quietly("mkdir /sys/fs/cgroup/net_cls");
    session.quietly("mount -t cgroup -onet_cls net_cls /sys/fs/cgroup/net_cls");
    session.quietly("mkdir /sys/fs/cgroup/net_cls/0");
    assert_eq!(session.shows("cat /sys/fs/cgroup/net_cls/0/net_cls.classid"), "0");
    session.quietly("echo 0x100001 >  /sys/fs/cgroup/net_cls/0/net_cls.classid");
    assert_eq!(session.shows("cat /sys/fs/cgroup/net_cls/0/net_cls.classid"), "1048577");
    session.quietly("rmdir /sys/fs/cgroup/net_cls/0");
    session.quietly("umount /sys/fs/cgroup/net_cls");
}
