//! The data of mount(2).

use crate::scenario_run::ScenarioRun;

pub(super) fn data(run: &mut ScenarioRun) {
    run.section("tokens");
    for data in [
        "none",
        "none,name={u}",
        "name={u}",
        "none,,name={u}",
        "none,name={u},",
        ",none,name={u}",
        "none,none,name={u}",
        "none=1,name={u}",
        "foo",
        "none,name={u},foo",
        "none,name={u},foo=bar",
        "none,name={u},net_cls",
        "net_cls,none,name={u}",
        "none,all",
        "none,name={u},all",
        "all,net_cls",
        "net_cls,all",
        "net_cls",
        "net_cls,net_cls",
        "net_cls=1",
        "net_cls ",
        "NET_CLS",
        "perf_event,net_cls",
        "net_cls,name={u}",
    ] {
        run.try_mount(data);
    }
    run.section("names");
    for data in [
        "none,name=",
        "name=",
        "none,name",
        "none,name={u}/b",
        "none,name={u} b",
        "none,name={u}:b",
        "none,name={u}.b-c_D9",
        "none,name={u},name={u}",
        "none,name={u},name=other",
    ] {
        run.try_mount(data);
    }
    let padding = |length: usize| "n".repeat(length);
    run.try_mount(&format!("none,name={}", padding(63)));
    run.try_mount(&format!("none,name={}", padding(64)));
    run.section("options");
    for data in [
        "noprefix",
        "noprefix,net_cls",
        "noprefix,none,name={u}",
        "none,name={u},noprefix=1",
        "none,name={u},release_agent=/x",
        "none,name={u},release_agent=/x y",
        "none,name={u},release_agent=/x,release_agent=/x",
        "none,name={u},release_agent=",
        "none,name={u},release_agent",
        "none,name={u},clone_children",
        "none,name={u},clone_children,clone_children",
        "none,name={u},clone_children=1",
        "none,name={u},xattr",
        "none,name={u},cpuset_v2_mode",
        "clone_children,release_agent=/x,cpuset_v2_mode,xattr,noprefix,name={u},none",
        "net_cls,perf_event,name={u},clone_children",
        "none,name={u},nosuid",
        "none,name={u},source=x",
    ] {
        run.try_mount(data);
    }
}

pub(super) fn sharing(run: &mut ScenarioRun) {
    run.section("a named hierarchy without controllers");
    run.mount("A", "none,name={u}");
    run.spawn("p");
    run.proc_cgroup("p");
    run.mkdir("A/g");
    for (label, data) in [("B", "none,name={u}"), ("C", "name={u}")] {
        run.mount(label, data);
        run.list(label);
    }
    run.section("what a second mount asks for besides is ignored");
    run.mount("D", "none,name={u},clone_children,release_agent=/x");
    run.mount_options("D");
    run.read_all("D", &["cgroup.clone_children", "release_agent"]);
    run.section("the same name for another set");
    run.try_mount("net_cls,name={u}");
    run.section("a second hierarchy comes first in lists");
    run.mount("E", "none,name={u}.second");
    run.proc_cgroup("p");
    run.umount("E");
    run.settle();

    run.section("controllers are listed in one order, however typed");
    run.proc_cgroups("net_cls");
    run.mount("N", "perf_event,net_cls");
    run.mount_options("N");
    run.proc_cgroup("p");
    run.proc_cgroups("net_cls");
    run.section("same set, subset, superset, with a name");
    for data in [
        "net_cls,perf_event",
        "net_cls",
        "perf_event",
        "net_cls,perf_event,net_prio",
        "net_cls,perf_event,name={u}.third",
        "net_prio",
    ] {
        run.try_mount(data);
    }
    run.umount("N");
    run.settle();
    run.proc_cgroups("net_cls");

    run.section("a name and controllers");
    run.mount("M", "net_cls,name={u}.both");
    run.proc_cgroup("p");
    for data in [
        "net_cls",
        "net_cls,name={u}.both",
        "name={u}.both",
        "none,name={u}.both",
        "net_cls,name={u}.other",
        "perf_event,name={u}.both",
        "net_cls,perf_event,name={u}.both",
    ] {
        run.try_mount(data);
    }
    run.exit("p");
}

pub(super) fn survival(run: &mut ScenarioRun) {
    run.section("an unmounted hierarchy with a child stays");
    run.mount("A", "none,name={u}");
    run.mkdir("A/g");
    run.spawn("p");
    run.write("A/g/tasks", "{p}");
    run.umount("A");
    run.settle();
    run.proc_cgroup("p");
    run.mount("B", "name={u}");
    run.list("B");
    run.read("B/g/tasks");
    run.section("without children it goes");
    run.exit("p");
    run.rmdir("B/g");
    run.settle();
    run.umount("B");
    run.settle();
    run.mount("B", "name={u}");
    run.section("busy");
    run.mount("C", "none,name={u}");
    run.open("file", "C/tasks", nix::fcntl::OFlag::O_RDONLY);
    run.umount("C");
    let _ = run.fs(crate::ops::FsOp::Close { handle: "file".into() });
    run.umount("C");
}
