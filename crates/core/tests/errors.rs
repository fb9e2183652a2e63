//! Each error has errno, kind, subject and detail, and a message that has each name once.

mod common;

use std::borrow::Cow;
use std::collections::BTreeSet;

use common::{Probe, check_message, world_with};
use penfold_core::{Access, Caller, Errno, Error, ErrorKind, MoveScope, Owner, Tid, host::Capability};

fn directory(operation: &'static str, errno: Errno) -> Error {
    Error::Directory { operation, object: "build".into(), errno, reason: "the reason" }
}

fn task(errno: Errno) -> Error {
    Error::Task { task: Tid(7), errno, reason: "the reason" }
}

fn load(errno: Errno) -> Error {
    Error::Load { name: "late".into(), errno, reason: "the reason".into() }
}

fn host_cannot(file: &str) -> Error {
    let (capability, reason) = (Capability::Freeze, Cow::Borrowed("the kernel is too old"));
    Error::HostCannot { file: file.into(), host: "trace", capability, reason }
}

#[test]
fn every_error_has_errno_kind_subject_and_message() {
    use Errno::*;
    use ErrorKind as Kind;
    let option = Error::MountOption { option: "foo".into(), errno: EINVAL, reason: "no such option".into() };
    let busy = Error::HierarchyBusy { object: "pids".into(), reason: "bound to hierarchy 1".into() };
    let missing = Error::NotFound { object: "no.such".into(), what: "control file" };
    let permission = Error::Permission {
        operation: "open",
        object: "pids.max".into(),
        errno: EACCES,
        reason: "owner and mode forbid it",
    };
    let table = [
        (option, EINVAL, Kind::InvalidOption, "foo: no such option"),
        (busy, EBUSY, Kind::Busy, "pids: bound to hierarchy 1"),
        (missing, ENOENT, Kind::NotFound, "no.such: no such control file"),
        (Error::NotMounted { hierarchy: 3 }, EINVAL, Kind::InvalidArgument, "hierarchy 3: not mounted"),
        (Error::Removed { operation: "read" }, ENODEV, Kind::Removed, "the cgroup: has been removed"),
        (directory("mkdir", EEXIST), EEXIST, Kind::AlreadyExists, "build: the reason"),
        (directory("mkdir", ENOENT), ENOENT, Kind::NotFound, "build: the reason"),
        (directory("mkdir", EPERM), EPERM, Kind::NotPermitted, "build: the reason"),
        (directory("mkdir", EINVAL), EINVAL, Kind::InvalidArgument, "build: the reason"),
        (directory("mkdir", ENAMETOOLONG), ENAMETOOLONG, Kind::InvalidArgument, "build: the reason"),
        (directory("rmdir", EBUSY), EBUSY, Kind::Busy, "build: the reason"),
        (directory("rename", ENOTEMPTY), ENOTEMPTY, Kind::Busy, "build: the reason"),
        (directory("rename", ENOTDIR), ENOTDIR, Kind::WrongType, "build: the reason"),
        (directory("rename", EISDIR), EISDIR, Kind::WrongType, "build: the reason"),
        (directory("rename", EIO), EIO, Kind::InvalidArgument, "build: the reason"),
        (permission, EACCES, Kind::NotPermitted, "pids.max: open is not permitted: owner and mode forbid it"),
        (Error::value(ERANGE, "too large").in_file("x.y"), ERANGE, Kind::InvalidValue, "x.y: too large"),
        (Error::value(ERANGE, "too large"), ERANGE, Kind::InvalidValue, "too large"),
        (Error::NoTask(Tid(7)), ESRCH, Kind::NoTask, "task 7: no such process, or it is exiting"),
        (task(EAGAIN), EAGAIN, Kind::TaskBusy, "task 7: the reason"),
        (task(EINVAL), EINVAL, Kind::UnsuitableTask, "task 7: the reason"),
        (task(ESRCH), ESRCH, Kind::NoTask, "task 7: the reason"),
        (
            Error::Fork { subsystem: "pids".into(), errno: EAGAIN },
            EAGAIN,
            Kind::ForkRefused,
            "pids: refuses the fork",
        ),
        (load(EINVAL), EINVAL, Kind::Load, "late: the reason"),
        (load(EEXIST), EEXIST, Kind::AlreadyExists, "late: the reason"),
        (load(EBUSY), EBUSY, Kind::Busy, "late: the reason"),
        (load(ENOENT), ENOENT, Kind::NotFound, "late: the reason"),
        (Error::refused(ENOSPC, "no cpus").in_file("cpuset"), ENOSPC, Kind::Subsystem, "cpuset: no cpus"),
        (
            host_cannot(""),
            EOPNOTSUPP,
            Kind::Unsupported,
            "freezing: the trace host can't give this here: the kernel is too old",
        ),
        (
            host_cannot("").in_file("freezer.state"),
            EOPNOTSUPP,
            Kind::Unsupported,
            "freezer.state: the trace host can't give freezing here: the kernel is too old",
        ),
    ];
    for (error, errno, kind, message) in table {
        assert_eq!((error.errno(), error.kind(), &*error.to_string()), (errno, kind, message), "{error:?}");
        check_message(&error);
    }
}

#[test]
fn name_that_is_there_already_is_not_replaced() {
    for named in
        [Error::value(Errno::EINVAL, "wrong"), Error::refused(Errno::EINVAL, "wrong"), host_cannot("")]
    {
        let named = named.in_file("first.name");
        assert_eq!(named.clone().in_file("second.name"), named);
    }
    assert_eq!(Error::NoTask(Tid(1)).in_file("tasks"), Error::NoTask(Tid(1)));
}

#[test]
fn kinds_have_names_of_their_own_and_back() {
    let names: BTreeSet<&str> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), ErrorKind::ALL.len());
    for &kind in ErrorKind::ALL {
        assert_eq!(ErrorKind::of_name(kind.name()), kind);
        let name = kind.name();
        assert!(
            name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(char::is_alphanumeric)
        );
    }
    assert_eq!(ErrorKind::of_name("fromTheFuture"), ErrorKind::Other);
}

/// The refusals that the model does not reach, each with names that are in no sentence.
#[test]
fn refusals_of_the_engine_name_their_subject_once() {
    let mut world = world_with(&["quux", "frob"]);
    let user = Caller::user(Tid(1), 1000, 1000);
    let task = world.spawn();
    let mut refusals: Vec<Error> = Vec::new();
    let mut refused = {
        let mut step = 0;
        let refusals = &mut refusals;
        move |result: Result<(), Error>| {
            step += 1;
            refusals.push(result.err().unwrap_or_else(|| panic!("step {step} was not refused")));
        }
    };
    let (engine, host, root) = (&mut world.engine, &mut world.host, &Caller::root(Tid(1)));
    for options in [
        "nonsense",
        "name",
        "name=",
        "name=a/b",
        "name=unheard-of",
        "noprefix",
        "all=1",
        "all,quux",
        "none,quux",
        "none",
        "quux,noprefix",
        "release_agent",
        "release_agent=",
        "name=one,name=two",
        "release_agent=/x,release_agent=/y",
    ] {
        refused(engine.session(host, root).mount(options).map(drop));
    }
    let long = format!("name={}", "n".repeat(64));
    refused(engine.session(host, root).mount(&long).map(drop));
    refused(engine.session(host, &user).mount("quux").map(drop));
    let top = engine.session(host, root).mount("quux,name=holder").unwrap().root;
    refused(engine.session(host, root).mount("quux,frob").map(drop));
    refused(engine.session(host, root).mount("frob,name=holder").map(drop));
    refused(engine.session(host, root).remount(top, "quux,name=renamed"));
    refused(engine.session(host, root).remount(top, "frob,nonsense"));
    refused(engine.session(host, root).rmdir(top));
    let busy = engine.session(host, root).mkdir(top, b"busy", 0o1777).unwrap();
    let inner = engine.session(host, root).mkdir(busy, b"inner", 0o755).unwrap();
    refused(engine.session(host, root).remount(top, "quux"));
    refused(engine.session(host, root).rmdir(busy));
    refused(engine.session(host, &user).rmdir(inner));
    refused(engine.session(host, root).mkdir(top, b"busy", 0o755).map(drop));
    refused(engine.session(host, root).mkdir(top, b"tasks", 0o755).map(drop));
    refused(engine.session(host, root).mkdir(top, b"x/y", 0o755).map(drop));
    refused(engine.session(host, root).mkdir(top, b"new\nline", 0o755).map(drop));
    refused(engine.session(host, root).mkdir(top, &[b'n'; 5000], 0o755).map(drop));
    refused(engine.session(host, &user).mkdir(top, b"mine", 0o755).map(drop));
    refused(engine.rename(root, top, b"busy", inner, b"moved"));
    refused(engine.rename(root, top, b"busy", top, b"tasks"));
    refused(engine.rename(root, top, b"tasks", top, b"duties"));
    refused(engine.rename(root, top, b"absent", top, b"other"));
    refused(engine.rename(&user, top, b"busy", top, b"other"));
    refused(engine.set_owner(&user, busy, Owner::default()));
    refused(engine.lookup(top, "/absent").map(drop));
    refused(engine.open(root, top, "absent.file", Access::READ).map(drop));
    refused(engine.open(&user, top, "cgroup.procs", Access::WRITE).map(drop));
    refused(engine.session(host, root).attach(busy, Tid(4711), MoveScope::ThreadGroup));
    refused(engine.session(host, &user).attach(busy, task, MoveScope::ThreadGroup));
    engine.session(host, root).attach(inner, task, MoveScope::ThreadGroup).unwrap();
    refused(engine.session(host, root).rmdir(inner));
    let file = |name| engine.find_file(busy, name).unwrap();
    let (tasks, notify, clone) = (file("tasks"), file("notify_on_release"), file("cgroup.clone_children"));
    for (file, content) in [
        (tasks, &b"abc"[..]),
        (tasks, b"-1"),
        (tasks, b"4711"),
        (notify, b"yes"),
        (clone, b"99999999999999999999"),
        (notify, &[b'1'; 5000]),
    ] {
        refused(engine.session(host, root).write(busy, file, content));
    }
    refused(engine.unload(host, "quux"));
    refused(engine.unload(host, "unheard-of"));
    for name in ["frob", "all", "not a name", ""] {
        refused(engine.load(host, Probe::plain(name)));
    }
    let stale = engine.session(host, root).mkdir(top, b"stale", 0o755).unwrap();
    engine.session(host, root).rmdir(stale).unwrap();
    refused(engine.session(host, root).rmdir(stale));
    refused(engine.session(host, root).attach(stale, task, MoveScope::ThreadGroup));
    refused(engine.session(host, root).mkdir(stale, b"below", 0o755).map(drop));
    for error in refusals {
        check_message(&error);
    }
}
