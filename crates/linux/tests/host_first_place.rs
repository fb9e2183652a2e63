//! Processes whose first place is the root: what the root says holds for them too.

mod common;
mod contained;
mod hosted;

use contained::owner;
use hosted::{PYTHON, TestHost, ready, tell};
use penfold_core::{CgroupId, MoveScope, Tid};
use penfold_linux::trace::{Command, ExecOptions};
use penfold_testkit::{OutsideProcess, TempDir, is_root, needs, skip, wait_until};

/// A class that `SO_PRIORITY` and `SO_MARK` show.
const CLASS: &str = "7";

/// Has a socket, and prints for each USR1 mark and priority of this socket and of a new one, and those of a child.
const MAKES_SOCKETS: &str = "
import os, signal, socket, sys, time
def shown(one): return [one.getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_MARK, socket.SO_PRIORITY)]
def new(): return shown(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
old = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def show(*_):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, str(new()).encode()); os._exit(0)
    print(shown(old), new(), os.read(reader, 99).decode(), flush=True)
signal.signal(signal.SIGUSR1, show)
signal.alarm(60)
print('ready', flush=True)
while True: time.sleep(0.02)";

/// Writes mark and priority of a new socket to the file that is its argument.
const WRITES_SOCKET: &str = "
import os, socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
shown = [one.getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_MARK, socket.SO_PRIORITY)]
with open(sys.argv[1] + '.new', 'w') as file: file.write(str(shown))
os.rename(sys.argv[1] + '.new', sys.argv[1])";

fn classes(times: usize, class: &str) -> String {
    vec![format!("[{class}, {class}]"); times].join(" ")
}

/// The root of another hierarchy, and a cgroup in it.
fn elsewhere(hosted: &TestHost) -> (CgroupId, CgroupId) {
    let made = hosted.host.control().with_exact(|engine, host| {
        let owner = owner();
        let mut session = engine.session(host, &owner);
        let root = session.mount("none,name=elsewhere")?.root;
        Ok::<_, penfold_core::Error>((root, session.mkdir(root, b"job", 0o755)?))
    });
    made.expect("the host runs").expect("a hierarchy")
}

fn launched(hosted: &TestHost, places: &[CgroupId]) -> String {
    let directory = TempDir::new();
    let file = directory.path().join("sockets");
    let command = Command::new([PYTHON, "-c", WRITES_SOCKET, file.to_str().expect("UTF-8")]);
    let _command =
        hosted.host.exec(command, places.iter().copied(), ExecOptions::default()).expect("it starts");
    wait_until("it has made its socket", || file.exists());
    std::fs::read_to_string(file).expect("it is complete")
}

/// A process outside, adopted by a move into `place`.
fn adopted(hosted: &TestHost, place: CgroupId) -> OutsideProcess {
    let outside = ready(MAKES_SOCKETS);
    let pid = Tid(outside.pid());
    hosted.host.adopt(pid).expect("it can be traced");
    let moved = hosted.host.control().with_exact(move |engine, host| {
        engine.session(host, &owner()).attach(place, pid, MoveScope::ThreadGroup)
    });
    moved.expect("the host runs").expect("it may move");
    outside
}

#[test]
fn later_process_has_the_class_of_its_place() {
    needs!("python3");
    if !is_root() {
        return skip("marking sockets needs CAP_NET_ADMIN");
    }
    let hosted = TestHost::start_with_modules();
    let (other, other_child) = elsewhere(&hosted);
    let child = hosted.cgroup("child");
    hosted.write(hosted.root, "net_cls.classid", CLASS);
    hosted.write(child, "net_cls.classid", "3");
    for (places, class) in [
        (vec![hosted.root], "7"),
        (vec![], "7"),
        (vec![other], "7"),
        (vec![other_child], "7"),
        (vec![child], "3"),
    ] {
        assert_eq!(launched(&hosted, &places), classes(1, class), "launched in {places:?}");
    }
    for (place, class) in [(hosted.root, "7"), (other, "7"), (other_child, "7"), (child, "3")] {
        let mut outside = adopted(&hosted, place);
        assert_eq!(tell(&mut outside), classes(3, class), "adopted into {place:?}");
    }
}

#[test]
fn class_of_an_unmounted_root_reaches_later_processes() {
    needs!("python3");
    if !is_root() {
        return skip("marking sockets needs CAP_NET_ADMIN");
    }
    let hosted = TestHost::start_with_modules();
    hosted.write(hosted.root, "net_cls.classid", CLASS);
    let root = hosted.root;
    let unmounted = hosted.host.control().with_exact(move |engine, host| engine.unmount(host, root));
    unmounted.expect("the host runs").expect("it is mounted");
    assert_eq!(launched(&hosted, &[]), classes(1, CLASS));
    let unloaded = hosted.host.control().with_exact(|engine, host| engine.unload(host, "net_cls"));
    unloaded.expect("the host runs").expect("it is not mounted");
    assert_eq!(launched(&hosted, &[]), classes(1, "0"), "and its end ends the class");
}
