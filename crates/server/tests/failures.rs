//! A refusal has errno, kind, subject and detail, for every kind of object that a call names.

mod common;

use std::io::{Read, Write};

use penfold_core::ErrorKind;
use penfold_server::control::Limits;
use penfold_server::protocol::Refused;
use serde_json::Value;

use common::{HostKind, InProcessDaemon, NOBODY, has_root, on_each_host};
use penfold_testkit::OutsideProcess;

on_each_host! {
    refusals_name_their_subject_in_the_words_of_the_call,
    refusals_name_the_right_one_of_several_hierarchies,
    refusals_of_another_user_name_their_subject,
}

/// The error of a call, which must have one.
fn error_of(answer: &str) -> (String, Value) {
    let mut answer: Value = serde_json::from_str(answer).expect(answer);
    let error = answer["error"].as_str().unwrap_or_else(|| panic!("{answer} is no error")).to_owned();
    (error, answer["parameters"].take())
}

fn refused(answer: &str) -> Refused {
    let (error, parameters) = error_of(answer);
    assert_eq!(error, "org.penfold.Control.Refused", "{parameters}");
    serde_json::from_value(parameters).expect("all its fields")
}

fn call(daemon: &InProcessDaemon, method: &str, parameters: &str) -> String {
    let mut stream = daemon.stream();
    let call = format!(r#"{{"method":"org.penfold.Control.{method}","parameters":{parameters}}}"#);
    stream.write_all(format!("{call}\0").as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).expect("an answer") == 1 && byte[0] != 0 {
        answer.push(byte[0]);
    }
    String::from_utf8(answer).expect("JSON")
}

/// Checks the form, and that no name is there twice.
fn check(refused: &Refused, errno: &str, kind: ErrorKind, message: &str) {
    assert_eq!(refused.message, message);
    assert_eq!((refused.name.as_str(), refused.kind.as_str()), (errno, kind.name()), "{message}");
    assert_eq!(format!("{}: {}", refused.subject, refused.detail), message);
    let joins = |c: char| c.is_alphanumeric() || "._=/:".contains(c);
    let words = refused.detail.split(|c: char| !joins(c)).map(|word| word.trim_end_matches(['.', ':']));
    assert!(words.clone().all(|word| word != refused.subject), "the subject is named twice: {message}");
    assert!(words.clone().all(|word| word != errno), "the errno is for the client: {message}");
    let without_hierarchy = refused.subject.split_once(':').map_or("", |(_, path)| path);
    assert!(!without_hierarchy.starts_with('/') || words.clone().all(|word| word != without_hierarchy));
}

/// Each call with its errno, kind and message. A line that begins with # says what the calls have in common.
const REFUSALS: &str = r#"
# no such cgroup, at whatever depth and however it is written
Rmdir {"cgroup":"/no"}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Rmdir {"cgroup":"/a/no/x"}
    ENOENT notFound /a/no/x: no such cgroup; the path ends at 1:/a
List {"cgroup":"pids:/no"}
    ENOENT notFound pids:/no: no such cgroup; the path ends at 1:/
Files {"cgroup":"/no"}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Stat {"cgroup":"/no"}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
SetOwner {"cgroup":"/no"}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Tasks {"cgroup":"/no"}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Usage {"cgroup":"/no"}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Kill {"cgroup":"/no"}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Signal {"cgroup":"/no","signal":9}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Mkdir {"cgroup":"/no/x"}
    ENOENT notFound /no/x: no such cgroup; the path ends at 1:/
Read {"cgroup":"/no","file":"tasks"}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Write {"cgroup":"/no","file":"tasks","content":"0"}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Attach {"cgroup":"/no","task":0,"process":true}
    ENOENT notFound /no: no such cgroup; the path ends at 1:/
Exec {"cgroups":["/execute-me"],"command":["true"],"environment":[],"streams":[]}
    ENOENT notFound /execute-me: no such cgroup; the path ends at 1:/

# no such hierarchy
List {"cgroup":"4:/no"}
    ENOENT notFound 4:/no: no such hierarchy; there are 1 (cpuset,cpuacct,freezer,pids,numtasks,debug,clone_children)
Unmount {"hierarchy":"net"}
    ENOENT notFound net: no such hierarchy; there are 1 (cpuset,cpuacct,freezer,pids,numtasks,debug,clone_children)

# the wrong type, and names that are taken
List {"cgroup":"/a/tasks"}
    ENOTDIR wrongType /a/tasks: a control file is no cgroup
Mkdir {"cgroup":"/a"}
    EEXIST alreadyExists /a: the name is taken
Mkdir {"cgroup":"/a/tasks"}
    EEXIST alreadyExists /a/tasks: the name is taken
Mkdir {"cgroup":"/"}
    EEXIST alreadyExists /: the root of a hierarchy is always there
Mkdir {"cgroup":"/new\\012line"}
    EINVAL invalidArgument /new\012line: a name can't contain a newline
Rename {"cgroup":"/a","name":"taken"}
    EEXIST alreadyExists /a: the new name is taken
Rename {"cgroup":"/no","name":"x"}
    ENOENT notFound /no: no such entry
Rename {"cgroup":"/","name":"x"}
    EBUSY busy /: the root of a hierarchy has no name to change
Rename {"cgroup":"/a/tasks","name":"x"}
    ENOTDIR wrongType /a/tasks: control files can't be renamed
Rmdir {"cgroup":"/a"}
    EBUSY busy /a: has child cgroups; remove them first
Rmdir {"cgroup":"/"}
    EBUSY busy /: the root of a hierarchy goes with its last mount

# control files
Read {"cgroup":"/a","file":"no.such"}
    ENOENT notFound /a/no.such: no such control file
Stat {"cgroup":"/a","file":"no.such"}
    ENOENT notFound /a/no.such: no such control file
Write {"cgroup":"/a","file":"no.such","content":"1"}
    ENOENT notFound /a/no.such: no such control file
Write {"cgroup":"/","file":"pids.max","content":"1"}
    ENOENT notFound /pids.max: no such control file
Write {"cgroup":"pids:/a/","file":"pids.max","content":"99999999"}
    EINVAL invalidValue pids:/a/pids.max: takes 'max' or a number from 0 to 4194304
Write {"cgroup":"/a","file":"pids.current","content":"1"}
    EINVAL invalidValue /a/pids.current: can't be written
Write {"cgroup":"/a","file":"freezer.state","content":"COLD"}
    EINVAL invalidValue /a/freezer.state: takes FROZEN or THAWED
Write {"cgroup":"/a","file":"tasks","content":"x"}
    EINVAL invalidValue /a/tasks: takes one task number, or 0 for the writer itself

# tasks
Write {"cgroup":"/a","file":"tasks","content":"4194301"}
    ESRCH noTask task 4194301: no such process
Attach {"cgroup":"/a","task":4194301,"process":true}
    ESRCH noTask task 4194301: no such process
Attach {"cgroup":"/a","task":-7,"process":true}
    EINVAL invalidValue task -7: takes one task number, or 0 for the writer itself
Proc {"file":"cgroup","task":4194301}
    ESRCH noTask task 4194301: no such process
Proc {"file":"status"}
    ENOENT notFound status: no such text; there are cgroups, cgroup and cpuset

# signals
Kill {"cgroup":"/"}
    EINVAL invalidArgument /: the root of a hierarchy holds every process that is nowhere else; signal cgroups below it
Signal {"cgroup":"/a","signal":65}
    EINVAL invalidArgument signal 65: not from 0 to 64

# mounts
Mount {"options":"nonsense"}
    EINVAL invalidOption nonsense: no such option or subsystem; loaded are cpuset, cpuacct, freezer, pids, numtasks, debug
Mount {"options":"name=a/b"}
    EINVAL invalidOption name=a/b: takes letters, digits, '.', '-' and '_'
Mount {"options":"pids,name=x"}
    EBUSY busy pids: bound to hierarchy 1 (with cpuset,cpuacct,freezer,numtasks,debug)
Mount {"options":"pids","filesystem":"ext4"}
    ENODEV invalidArgument ext4: no such file system; only cgroup and cpuset can be mounted to a name
Remount {"hierarchy":"1","options":"pids,nonsense"}
    EINVAL invalidOption nonsense: no such option or subsystem; loaded are cpuset, cpuacct, freezer, pids, numtasks, debug
Remount {"hierarchy":"1","options":"all"}
    EBUSY busy hierarchy 1: has child cgroups; remove them to remount

# commands
Exec {"cgroups":["/a"],"command":[],"environment":[],"streams":[]}
    EINVAL invalidArgument command: is empty
Exec {"cgroups":["/a"],"command":["x"],"environment":[],"streams":[0]}
    EINVAL invalidArgument streams: three indexes of descriptors, or none at all
Exec {"cgroups":["/a"],"command":["x"],"environment":[],"streams":[0,1,2]}
    EBADF invalidArgument descriptor 0: 0 came with the call, the first is 0
Exec {"cgroups":["/a"],"command":["x"],"environment":[],"streams":[],"directory":"tmp"}
    EINVAL invalidArgument tmp: not an absolute path
Exec {"cgroups":["/a","1:/a/b"],"command":["x"],"environment":[],"streams":[]}
    EINVAL invalidArgument 1:/a/b: a second cgroup of hierarchy 1

# modules
UnloadModule {"name":"pids"}
    ENOENT notFound pids: compiled in, so it can't be unloaded
UnloadModule {"name":"absent"}
    ENOENT notFound absent: no such module is loaded
LoadModule {"module":"./x.so"}
    EINVAL invalidArgument ./x.so: a relative path means nothing to a daemon; give an absolute one
LoadModule {"module":"/nonexistent/x.so"}
    ENOENT notFound /nonexistent/x.so: can't find it: No such file or directory
"#;

fn refusals_name_their_subject_in_the_words_of_the_call(host: HostKind) {
    let daemon = InProcessDaemon::start(host);
    for cgroup in ["/a", "/a/b", "/taken"] {
        daemon.mkdir(cgroup);
    }
    let mut lines = REFUSALS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    while let Some(line) = lines.next() {
        let (method, parameters) = line.split_once(' ').expect("a method and its parameters");
        let mut expected = lines.next().expect("what it is refused with").trim_start().splitn(3, ' ');
        let [errno, kind, message] = [(); 3].map(|()| expected.next().expect(line));
        check(&refused(&call(&daemon, method, parameters)), errno, ErrorKind::of_name(kind), message);
    }
    let long = "x".repeat(5000);
    let parameters = format!(r#"{{"cgroup":"/a","file":"notify_on_release","content":"{long}"}}"#);
    let long = refused(&call(&daemon, "Write", &parameters));
    let says = "/a/notify_on_release: at most 4096 bytes in one write";
    check(&long, "E2BIG", ErrorKind::InvalidValue, says);
    let program = refused(&call(&daemon, "LoadModule", r#"{"module":"/bin/sh"}"#));
    check(&program, "ENOEXEC", ErrorKind::Load, &program.message);
    let missing = refused(&call(&daemon, "LoadModule", r#"{"module":"/nonexistent/x.so"}"#));
    assert_eq!(missing.source.as_deref(), Some("No such file or directory (os error 2)"));
    assert_eq!(refused(&call(&daemon, "Rmdir", r#"{"cgroup":"/no"}"#)).source, None);
}

fn refusals_name_the_right_one_of_several_hierarchies(host: HostKind) {
    let daemon = InProcessDaemon::empty(host, Limits::default());
    let none = refused(&call(&daemon, "List", r#"{"cgroup":"/a"}"#));
    check(&none, "ENOENT", ErrorKind::NotFound, "/a: no hierarchy is mounted; mount one first");
    for options in ["pids", "none,name=other"] {
        call(&daemon, "Mount", &format!(r#"{{"options":"{options}"}}"#));
    }
    let which = refused(&call(&daemon, "List", r#"{"cgroup":"/"}"#));
    let says =
        "/: several hierarchies are mounted; give one as HIERARCHY:/path; there are 2 (name=other), 1 (pids)";
    check(&which, "EINVAL", ErrorKind::InvalidArgument, says);
    daemon.mkdir("1:/deep");
    daemon.mkdir("1:/deep/full");
    daemon.mkdir("1:/deep/full/child");
    let below = refused(&call(&daemon, "Rmdir", r#"{"cgroup":"1:/deep/full"}"#));
    check(&below, "EBUSY", ErrorKind::Busy, "1:/deep/full: has child cgroups; remove them first");
    let parents = refused(&call(&daemon, "Mkdir", r#"{"cgroup":"1:/deep/tasks/x/y","parents":true}"#));
    check(&parents, "ENOTDIR", ErrorKind::WrongType, "1:/deep/tasks: a control file is no cgroup");
    // a hierarchy with children stays when its last mount goes
    call(&daemon, "Unmount", r#"{"hierarchy":"1"}"#);
    let unmounted = refused(&call(&daemon, "Unmount", r#"{"hierarchy":"1"}"#));
    check(&unmounted, "EINVAL", ErrorKind::InvalidArgument, "1: not mounted");
}

fn refusals_of_another_user_name_their_subject(host: HostKind) {
    if !has_root() {
        return;
    }
    let daemon = InProcessDaemon::start(host);
    daemon.mkdir("/a");
    call(&daemon, "SetOwner", r#"{"cgroup":"/a","mode":448}"#);
    daemon.mkdir("/open");
    let mine = OutsideProcess::sleeping_as(0);
    for (method, parameters, errno, message) in [
        (
            "Mkdir",
            r#"{"cgroup":"/x"}"#.to_owned(),
            "EACCES",
            "/x: mkdir is not permitted: owner and mode do not allow it to this user",
        ),
        (
            "Rmdir",
            r#"{"cgroup":"/open"}"#.to_owned(),
            "EACCES",
            "/open: rmdir is not permitted: owner and mode do not allow it to this user",
        ),
        (
            "Rename",
            r#"{"cgroup":"/open","name":"z"}"#.to_owned(),
            "EACCES",
            "/open: rename is not permitted: owner and mode do not allow it to this user",
        ),
        (
            "List",
            r#"{"cgroup":"/a","depth":1}"#.to_owned(),
            "EACCES",
            "1:/a: uid 65534 may not list this directory (owner 0, group 0, mode 0700)",
        ),
        (
            "Write",
            r#"{"cgroup":"/open","file":"pids.max","content":"1"}"#.to_owned(),
            "EACCES",
            "/open/pids.max: open is not permitted: owner and mode do not allow it to this user",
        ),
        (
            "SetOwner",
            r#"{"cgroup":"/open","mode":511}"#.to_owned(),
            "EPERM",
            "/open: chmod or chown is not permitted: only its owner may change the mode, only the administrator the owner",
        ),
        (
            "SetOwner",
            r#"{"cgroup":"/open","file":"pids.max","mode":511}"#.to_owned(),
            "EPERM",
            "/open/pids.max: chmod or chown is not permitted: only its owner may change the mode, only the administrator the owner",
        ),
        (
            "Attach",
            format!(r#"{{"cgroup":"/open","task":{},"process":true}}"#, mine.pid()),
            "EACCES",
            "/open/cgroup.procs: open is not permitted: owner and mode do not allow it to this user",
        ),
        (
            "Mount",
            r#"{"options":"none,name=x"}"#.to_owned(),
            "EPERM",
            "none,name=x: mount is not permitted: that takes the administrator's rights",
        ),
        (
            "Mount",
            r#"{"options":""}"#.to_owned(),
            "EPERM",
            "hierarchy: mount is not permitted: that takes the administrator's rights",
        ),
        (
            "Unmount",
            r#"{"hierarchy":"1"}"#.to_owned(),
            "EPERM",
            "1: unmount is not permitted: that takes the administrator's rights",
        ),
        (
            "LoadModule",
            r#"{"module":"x"}"#.to_owned(),
            "EPERM",
            "x: only the daemon's owner (uid 0, with its capabilities) loads and unloads modules; this is uid 65534",
        ),
    ] {
        let refused = refused(&daemon.as_user(NOBODY, method, &parameters));
        check(&refused, errno, ErrorKind::NotPermitted, message);
    }
    // a task of another user's, and a cgroup that is one's own
    daemon.give("/open", NOBODY);
    let own = r#"{"cgroup":"/open","file":"cgroup.procs","uid":65534}"#;
    call(&daemon, "SetOwner", own);
    let attach = format!(r#"{{"cgroup":"/open","task":{},"process":true}}"#, mine.pid());
    let strangers = refused(&daemon.as_user(NOBODY, "Attach", &attach));
    let says = format!("task {}: belongs to another user (uid 0)", mine.pid());
    check(&strangers, "EACCES", ErrorKind::NotPermitted, &says);
    call(&daemon, "Attach", &attach);
    let signal = refused(&daemon.as_user(NOBODY, "Signal", r#"{"cgroup":"/open","signal":15}"#));
    let owner =
        format!("process {} belongs to another user (uid 0), so no process got the signal", mine.pid());
    check(&signal, "EPERM", ErrorKind::NotPermitted, &format!("/open: {owner}"));
    let again = refused(&daemon.as_user(NOBODY, "Attach", &attach));
    let says = format!("task {}: attach is not permitted: it belongs to another user", mine.pid());
    check(&again, "EACCES", ErrorKind::NotPermitted, &says);
}
