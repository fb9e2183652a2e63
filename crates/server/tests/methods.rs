//! Each method with its effect.

mod common;

use penfold_server::connection::CallError;
use penfold_server::control::Limits;
use penfold_server::protocol::{
    AttachCall, EnvironmentInfo, ExecCall, FilesCall, HierarchiesCall, InfoCall, ListCall, MkdirCall,
    MountCall, ProcCall, ReadCall, RemountCall, RenameCall, RmdirCall, SetOwnerCall, SignalCall, StatCall,
    SubsystemsCall, TasksCall, UnmountCall, UsageCall, ViewCall, WriteCall,
};

use common::{HostKind, InProcessDaemon, on_each_host};
use penfold_testkit::{OutsideProcess, proc::lives, wait_until};

on_each_host! {
    info_describes_the_daemon,
    hierarchies_are_mounted_shared_changed_and_unmounted,
    view_needs_the_fuse_device,
    directories_are_made_renamed_listed_and_removed,
    name_that_is_no_text_comes_back_unchanged,
    release_agent_that_is_no_text_comes_back_unchanged,
    task_number_has_the_white_space_of_the_kernel,
    files_are_listed_read_written_and_owned,
    running_process_is_attached_shown_and_signalled,
    command_is_a_member_of_its_cgroup,
    address_without_hierarchy_needs_a_single_one,
}

fn at(cgroup: &str) -> String {
    cgroup.to_owned()
}

fn info_describes_the_daemon(host: HostKind) {
    let info = InProcessDaemon::start(host).call(&InfoCall {});
    assert_eq!(info.pid, i64::from(std::process::id()));
    assert_eq!((&*info.host, info.embedded), (host.name(), false));
    assert_eq!(info.uid, i64::from(nix::unistd::geteuid().as_raw()));
}

fn hierarchies_are_mounted_shared_changed_and_unmounted(host: HostKind) {
    let daemon = InProcessDaemon::empty(host, Limits::default());
    let mount = |options: &str| MountCall { options: at(options), filesystem: None };
    let first = daemon.call(&mount("pids,freezer"));
    assert!(first.created);
    assert_eq!(first.hierarchy.subsystems, ["freezer", "pids"]);
    let again = daemon.call(&mount("freezer,pids"));
    assert_eq!((again.created, again.hierarchy.id, again.hierarchy.mounts), (false, first.hierarchy.id, 2));
    assert_eq!(daemon.refused(&mount("pids")), "EBUSY");
    assert_eq!(daemon.refused(&mount("no-such-thing")), "EINVAL");
    let legacy = MountCall { options: String::new(), filesystem: Some(at("cpuset")) };
    assert_eq!(daemon.call(&legacy).hierarchy.subsystems, ["cpuset"]);
    let other = MountCall { filesystem: Some(at("ext4")), ..MountCall::default() };
    assert_eq!(daemon.refused(&other), "ENODEV");
    daemon.call(&mount("none,name=mine"));
    let remount = RemountCall { hierarchy: at("pids"), options: at("pids,freezer,numtasks") };
    assert_eq!(daemon.call(&remount).hierarchy.subsystems, ["freezer", "pids", "numtasks"]);
    let all = daemon.call(&HierarchiesCall {}).hierarchies;
    assert_eq!(
        all.iter().map(|one| &*one.options).collect::<Vec<_>>(),
        ["name=mine", "cpuset,noprefix,release_agent=/sbin/cpuset_release_agent", "freezer,pids,numtasks"]
    );
    let subsystems = daemon.call(&SubsystemsCall {}).subsystems;
    let pids = subsystems.iter().find(|one| one.name == "pids").expect("pids");
    assert_eq!((pids.hierarchy, pids.cgroups), (first.hierarchy.id, 1));
    assert!(subsystems.iter().any(|one| one.name == "cpuacct" && one.hierarchy == 0));
    let unmount = |hierarchy: &str| UnmountCall { hierarchy: at(hierarchy) };
    daemon.call(&unmount("name=mine"));
    daemon.call(&unmount("pids"));
    daemon.call(&unmount(&first.hierarchy.id.to_string()));
    assert_eq!(daemon.refused(&unmount("pids")), "ENOENT");
    assert_eq!(daemon.call(&HierarchiesCall {}).hierarchies.len(), 1);
}

fn view_needs_the_fuse_device(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    let call = ViewCall { options: at("all"), target: at("/mnt"), ..ViewCall::default() };
    assert_eq!(daemon.refused(&call), "EBADF");
    let file = std::fs::File::open("/dev/null").expect("a file");
    let answer = daemon.connect().call_with(&call, &[std::os::fd::AsFd::as_fd(&file)]);
    assert!(matches!(answer, Err(CallError::Refused(failure)) if failure.errno_name() == "EINVAL"));
    assert_eq!(daemon.call(&HierarchiesCall {}).hierarchies[0].mounts, 1, "the mount was given back");
}

fn directories_are_made_renamed_listed_and_removed(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    let mkdir = |cgroup: &str, parents| MkdirCall { cgroup: at(cgroup), mode: Some(0o750), parents };
    daemon.call(&mkdir("/a", None));
    assert_eq!(daemon.refused(&mkdir("/a", None)), "EEXIST");
    assert_eq!(daemon.refused(&mkdir("/b/c/d", None)), "ENOENT");
    assert_eq!(daemon.refused(&mkdir("/", None)), "EEXIST");
    assert_eq!(daemon.refused(&mkdir("/a/tasks/x", None)), "ENOTDIR");
    daemon.call(&mkdir("pids:/b/c/d", Some(true)));
    daemon.call(&mkdir("/b/c/d", Some(true)));
    assert_eq!(daemon.refused(&mkdir("/b/tasks/d", Some(true))), "ENOTDIR");
    assert_eq!(daemon.names("/"), ["/", "/a", "/b", "/b/c", "/b/c/d"]);
    let shallow = ListCall { cgroup: at("/b/c/.."), depth: Some(1), ..ListCall::default() };
    let listed = daemon.call(&shallow).cgroups;
    assert_eq!(
        listed.iter().map(|one| (&*one.path, one.children)).collect::<Vec<_>>(),
        [("/b", 1), ("/b/c", 1)]
    );
    assert_eq!(listed[0].owner.mode, 0o750);
    let rename = |cgroup: &str, name: &str| RenameCall { cgroup: at(cgroup), name: at(name) };
    daemon.call(&rename("/b", "e"));
    assert_eq!(daemon.refused(&rename("/e", "a")), "EEXIST");
    assert_eq!(daemon.refused(&rename("/", "a")), "EBUSY");
    let rmdir = |cgroup: &str, recursive| RmdirCall { cgroup: at(cgroup), recursive };
    assert_eq!(daemon.refused(&rmdir("/e", None)), "EBUSY");
    assert_eq!(daemon.refused(&rmdir("/", None)), "EBUSY");
    daemon.call(&rmdir("/e", Some(true)));
    assert_eq!(daemon.names("/"), ["/", "/a"]);
    assert_eq!(daemon.refused(&rmdir("/e", None)), "ENOENT");
}

fn name_that_is_no_text_comes_back_unchanged(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/\\377\\376 b\\134n");
    assert_eq!(daemon.names("/"), ["/", "/\\377\\376 b\\134n"]);
    daemon.write("/\\377\\376 b\\134n", "pids.max", "3");
    assert_eq!(daemon.read("1:/\\377\\376 b\\134n", "pids.max"), "3\n");
    let newline = |cgroup: &str| MkdirCall { cgroup: at(cgroup), ..MkdirCall::default() };
    assert_eq!(daemon.refused(&newline("/a\nb")), "EINVAL");
    assert_eq!(daemon.refused(&newline("/a\\012b")), "EINVAL");
    daemon.mkdir("/ü:ö");
    assert!(daemon.names("/").contains(&at("/ü:ö")));
}

fn release_agent_that_is_no_text_comes_back_unchanged(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    daemon.write("/", "release_agent", " /\\377\\303(\\134n \n");
    assert_eq!(daemon.read("/", "release_agent"), "/\\377\\303(\\134n\n");
    let options = daemon.call(&HierarchiesCall {}).hierarchies.remove(0).options;
    assert!(options.contains(",release_agent=/\\377\\303(\\134n,"), "{options}");
    let mount = |options: &str| MountCall { options: at(options), filesystem: None };
    let mounted = daemon.call(&mount("none,name=bytes,release_agent=/\\376"));
    assert_eq!(mounted.hierarchy.options, "release_agent=/\\376,name=bytes");
    assert_eq!(daemon.read("bytes:/", "release_agent"), "/\\376\n");
    let options = at("none,name=bytes,release_agent=/\\375");
    let remounted = daemon.call(&RemountCall { hierarchy: at("bytes"), options }).hierarchy;
    assert_eq!(remounted.options, "release_agent=/\\375,name=bytes");
}

fn task_number_has_the_white_space_of_the_kernel(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/a");
    let stranger = OutsideProcess::sleeping_as(nix::unistd::geteuid().as_raw());
    let pid = stranger.pid();
    let write = |content: String| WriteCall { cgroup: at("/a"), file: at("cgroup.procs"), content };
    // a no-break space in UTF-8, whose first byte is no white space to the kernel, and an ideographic space
    for wrong in ["\u{a0}", "\u{3000}"] {
        assert_eq!(daemon.refused(&write(format!("{pid}{wrong}"))), "EINVAL");
    }
    assert_eq!(daemon.read("/a", "cgroup.procs"), "");
    daemon.call(&write(format!("\\240\\013{pid}\\240\n")));
    assert_eq!(daemon.read("/a", "cgroup.procs"), format!("{pid}\n"));
}

fn files_are_listed_read_written_and_owned(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/a");
    let files = daemon.call(&FilesCall { cgroup: at("/a") }).files;
    assert_eq!(files[0].name, "cgroup.procs");
    let max = files.iter().find(|file| file.name == "pids.max").expect("pids.max");
    assert_eq!(max.owner.mode, 0o644);
    daemon.write("/a", "pids.max", "7\n");
    assert_eq!(daemon.read("/a", "pids.max"), "7\n");
    let write =
        |file: &str, content: &str| WriteCall { cgroup: at("/a"), file: at(file), content: at(content) };
    assert_eq!(daemon.refused(&write("pids.max", "many")), "EINVAL");
    assert_eq!(daemon.refused(&write("no.file", "1")), "ENOENT");
    assert_eq!(daemon.read("/a", "pids.max"), "7\n", "nothing has changed");
    assert_eq!(daemon.refused(&ReadCall { cgroup: at("/b"), file: at("tasks") }), "ENOENT");
    let own = SetOwnerCall { cgroup: at("/a"), uid: Some(7), mode: Some(0o700), ..SetOwnerCall::default() };
    let of_file = SetOwnerCall { file: Some(at("pids.max")), mode: Some(0o600), ..own.clone() };
    if !common::has_root() {
        return;
    }
    daemon.call(&own);
    daemon.call(&of_file);
    let stat = |file: Option<&str>| StatCall { cgroup: at("/a"), file: file.map(at) };
    let owner = daemon.call(&stat(None)).owner;
    assert_eq!((owner.uid, owner.gid, owner.mode), (7, 0, 0o700));
    assert_eq!(daemon.call(&stat(Some("pids.max"))).owner.mode, 0o600);
    assert_eq!(daemon.refused(&stat(Some("nothing"))), "ENOENT");
}

fn running_process_is_attached_shown_and_signalled(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/a");
    let own = nix::unistd::geteuid().as_raw();
    let stranger = OutsideProcess::sleeping_as(own);
    let pid = i64::from(stranger.pid());
    daemon.call(&AttachCall { cgroup: at("/a"), task: pid, process: true });
    let tasks = daemon.call(&TasksCall { cgroup: at("/"), recursive: Some(true) }).tasks;
    let ours = tasks.iter().find(|task| task.task == pid).expect("it is a member");
    assert_eq!((ours.process, &*ours.command, &*ours.cgroup), (pid, "sleep", "1:/a"));
    assert!(tasks.iter().any(|task| task.process == i64::from(std::process::id()) && task.cgroup == "1:/"));
    assert_eq!(daemon.read("/a", "cgroup.procs"), format!("{pid}\n"));
    let proc = |file: &str| ProcCall { file: at(file), task: Some(pid) };
    assert!(daemon.call(&proc("cgroup")).content.ends_with(":/a\n"));
    assert_eq!(daemon.call(&proc("cpuset")).content, "/a\n");
    assert!(daemon.call(&proc("cgroups")).content.contains("\npids\t1\t2\t1\n"));
    assert_eq!(daemon.refused(&proc("status")), "ENOENT");
    let usages = daemon.call(&UsageCall { cgroup: at("/"), recursive: Some(true) }).usages;
    assert_eq!(
        usages.iter().map(|one| (&*one.cgroup, one.tasks, one.processes)).collect::<Vec<_>>(),
        [("1:/", 1, 1), ("1:/a", 1, 1)]
    );
    assert_eq!(usages[1].frozen, Some(false));
    assert!(usages[1].user.is_some() && usages[1].system.is_some());
    let pids = usages[1].limits.iter().find(|limit| limit.file == "pids.max").expect("pids.max");
    assert_eq!((pids.limit, pids.used, pids.failures), (None, 1, 0));
    let signal = |cgroup: &str, signal| SignalCall { cgroup: at(cgroup), signal, recursive: None };
    assert_eq!(daemon.refused(&signal("/", 15)), "EINVAL");
    assert_eq!(daemon.refused(&signal("/a", 65)), "EINVAL");
    assert_eq!(daemon.call(&signal("/a", 0)).processes, 1);
    assert!(lives(stranger.pid()));
    assert_eq!(daemon.call(&signal("/a", 15)).processes, 1);
    wait_until("it dies", || !lives(stranger.pid()));
    assert_eq!(daemon.refused(&AttachCall { cgroup: at("/a"), task: -1, process: true }), "EINVAL");
    let no_task = daemon.try_call(&AttachCall { cgroup: at("/a"), task: 1 << 40, process: true });
    assert!(matches!(no_task, Err(CallError::InvalidParameter(name)) if name == "task"));
}

fn address_without_hierarchy_needs_a_single_one(host: HostKind) {
    let daemon = InProcessDaemon::empty(host, Limits::default());
    let stat = |cgroup: &str| StatCall { cgroup: at(cgroup), file: None };
    assert_eq!(daemon.refused(&stat("/")), "ENOENT");
    daemon.call(&MountCall { options: at("pids"), ..MountCall::default() });
    daemon.call(&stat("/"));
    daemon.call(&MountCall { options: at("none,name=x"), ..MountCall::default() });
    assert_eq!(daemon.refused(&stat("/")), "EINVAL");
    for address in ["pids:/", "1:/", "pids:", "x:/", "name=x:/", "2:/", "2:/./.."] {
        daemon.call(&stat(address));
    }
    for address in ["3:/", "y:/", ":/", "cpuset:/", "pids,x:/"] {
        assert_eq!(daemon.refused(&stat(address)), "ENOENT", "{address}");
    }
}

fn command_is_a_member_of_its_cgroup(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/a");
    let exec = ExecCall {
        cgroups: vec![at("/a")],
        command: vec![at("sleep"), at("1000")],
        environment: vec![EnvironmentInfo { name: at("PATH"), value: at("/bin:/usr/bin") }],
        ..ExecCall::default()
    };
    let pid = daemon.call(&exec).pid;
    assert_eq!(daemon.read("/a", "cgroup.procs"), format!("{pid}\n"));
    assert_eq!(daemon.read("/a", "pids.current"), "1\n");
    assert_eq!(daemon.refused(&RmdirCall { cgroup: at("/a"), recursive: None }), "EBUSY");
    let elsewhere = ExecCall { cgroups: vec![at("/b")], ..exec };
    assert_eq!(daemon.refused(&elsewhere), "ENOENT");
}
