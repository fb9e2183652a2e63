//! mount(2) with `MS_REMOUNT`.

use crate::ops::FsOp;
use crate::scenario_run::ScenarioRun;
use nix::fcntl::OFlag;

pub(super) fn named(run: &mut ScenarioRun) {
    run.mount("A", "none,name={u},release_agent=/first");
    for data in [
        "none,name={u}",
        "name={u}",
        "none",
        "foo",
        "name={u},name={u}",
        "none,name=other",
        "none,name={u},release_agent=/second",
        "none,name={u},release_agent=",
        "none,name={u},clone_children",
        "none,name={u},xattr",
        "none,name={u},cpuset_v2_mode",
        "none,name={u},noprefix",
    ] {
        run.remount("A", data);
        run.read_all("A", &["release_agent", "cgroup.clone_children"]);
    }
    run.section("with a child");
    run.mkdir("A/g");
    for data in ["none,name={u}", "name={u}", "none,name={u},release_agent=/third", "none,name=other"] {
        run.remount("A", data);
    }
    run.rmdir("A/g");
    run.settle();
    run.section("and without again");
    run.remount("A", "none,name={u},release_agent=/third");
    run.section("a removed group held open does not count, once it is offline");
    run.mkdir("A/g");
    run.open("held", "A/g/tasks", OFlag::O_RDONLY);
    run.rmdir("A/g");
    run.settle();
    run.remount("A", "none,name={u}");
    let _ = run.fs(FsOp::Close { handle: "held".into() });
}

pub(super) fn rebind(run: &mut ScenarioRun) {
    run.mount("A", "net_cls");
    run.write("A/net_cls.classid", "0x100001");
    for data in [
        "perf_event,net_cls",
        "net_prio,net_cls",
        "perf_event",
        "net_cls",
        "net_cls,name={u}",
        "none",
        "none,name={u}",
    ] {
        run.remount("A", data);
        run.list("A");
    }
    run.section("root state is kept");
    run.read("A/net_cls.classid");
    run.section("with a child");
    run.mkdir("A/g");
    for data in ["net_cls", "perf_event", "net_cls,perf_event"] {
        run.remount("A", data);
    }
    run.section("unmounted with a child it stays bound");
    run.umount("A");
    run.settle();
    run.proc_cgroups("net_cls");
    run.mount("B", "net_cls,perf_event");
    run.mount("B", "net_cls");
    run.list("B");
    run.rmdir("B/g");
    run.settle();
    run.proc_cgroups("net_cls");
    run.umount("B");
    run.settle();
    run.proc_cgroups("net_cls");
    run.section("root state survives being unbound");
    run.mount("C", "net_cls,perf_event");
    run.read("C/net_cls.classid");
    run.write("C/net_cls.classid", "0");
    run.umount("C");
    run.settle();
    run.section("a name and controllers");
    run.mount("D", "net_cls,name={u}");
    for data in [
        "name={u}",
        "net_cls",
        "net_cls,name=other",
        "perf_event,name={u}",
        "none,name={u}",
        "net_cls,net_prio,name={u}",
    ] {
        run.remount("D", data);
    }
}
