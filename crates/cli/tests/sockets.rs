//! `-s net_cls.classid=...`: every socket of the job has its class before the program can use it.

mod common;

use common::{FinishedRun, ModuleDir, PYTHON, TestUser, penfold, without_slowness};
use penfold_testkit::{is_root, needs, skip};

/// Prints mark, priority and type of service of every kind of socket, right after the call that makes it.
const SOCKETS: &str = r"
import os, socket, subprocess, sys, threading
def show(what, one):
    tos = one.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) if one.family == socket.AF_INET else 0
    print(what, *(one.getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_MARK, socket.SO_PRIORITY)), tos, flush=True)
def udp(what): show(what, socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
if len(sys.argv) > 1:
    udp(sys.argv[1])
    sys.exit()
udp('udp')
show('tcp', socket.socket())
show('local', socket.socket(socket.AF_UNIX))
threads = [threading.Thread(target=udp, args=['thread']) for _ in range(5)]
for thread in threads:
    thread.start(); thread.join()
child = os.fork()
if child == 0:
    udp('child')
    grandchild = os.fork()
    if grandchild == 0:
        udp('grandchild')
        os._exit(0)
    os.waitpid(grandchild, 0)
    os._exit(0)
os.waitpid(child, 0)
subprocess.run([sys.executable, __file__, 'program'], check=True)
listener = socket.socket()
listener.bind(('127.0.0.1', 0)); listener.listen()
client = socket.create_connection(listener.getsockname())
show('accepted', listener.accept()[0])
show('client', client)
";

const LINES: [&str; 13] = [
    "udp",
    "tcp",
    "local",
    "thread",
    "thread",
    "thread",
    "thread",
    "thread",
    "child",
    "grandchild",
    "program",
    "accepted",
    "client",
];

fn sockets(settings: &[&str], options: &[&str], user: TestUser) -> FinishedRun {
    let settings: Vec<&str> = settings.iter().copied().chain(["pids.max=20"]).collect();
    let modules = ModuleDir::new();
    let run = penfold(&settings, &[PYTHON]).user(user).options(options);
    let run = run.env("PENFOLD_MODULES", modules.path());
    let file = run.scratch().join("sockets.py");
    std::fs::write(&file, SOCKETS).expect("write the program");
    run.word(file).run()
}

/// The expected lines of all sockets: mark, priority, type of service.
///
/// The kernel copies all but the priority from the listening socket to an accepted one. A local socket has no type of
/// service.
fn each(mark: u32, priority: u32, tos: u32) -> String {
    let line = |what: &&str| {
        let priority = if *what == "accepted" { 0 } else { priority };
        let tos = if *what == "local" { 0 } else { tos };
        format!("{what} {mark} {priority} {tos}\n")
    };
    LINES.iter().map(line).collect()
}

#[test]
fn every_socket_has_its_class_before_its_first_use() {
    needs!("python3");
    if !is_root() {
        return skip("marking sockets needs CAP_NET_ADMIN");
    }
    let ended = sockets(&["net_cls.classid=0x00100001"], &[], TestUser::Same).succeeded();
    assert_eq!(ended.stdout, each(0x0010_0001, 0x0010_0001, 0));
    assert_eq!(ended.file("net_cls.classid"), 0x0010_0001.to_string());
    let ended = sockets(&[], &[], TestUser::Same).succeeded();
    assert_eq!(ended.stdout, each(0, 0, 0), "and none without a class");
}

#[test]
fn unprivileged_class_needs_best_effort() {
    needs!("python3", "setpriv");
    if !is_root() {
        return skip("only root can become a user without privilege");
    }
    let ended = sockets(&["net_cls.classid=0x00100003"], &[], TestUser::Nobody).clean();
    assert_eq!((ended.code(), ended.stdout.as_str()), (125, ""), "nothing has run");
    for word in ["-s net_cls.classid=0x00100003", "CAP_NET_ADMIN", "[EOPNOTSUPP]"] {
        assert!(ended.stderr.contains(word), "{word} in {}", ended.stderr);
    }

    let warning = "classes on sockets is not given here: marking sockets needs CAP_NET_ADMIN";
    for (class, priority, dscp) in [("0x00100003", 3, 3), ("0x0001002e", 6, 0x2e)] {
        let setting = format!("net_cls.classid={class}");
        let ended = sockets(&[&setting], &["--best-effort"], TestUser::Nobody).succeeded();
        assert_eq!(ended.stdout, each(0, priority, dscp << 2));
        let said = without_slowness(&ended.stderr);
        assert!(said.starts_with(&format!("penfold: warning: {warning}")), "{}", ended.stderr);
        let warnings = ended.json()["warnings"].as_array().unwrap().clone();
        assert!(warnings.len() == 1 && warnings[0].as_str().unwrap().starts_with(warning), "{warnings:?}");
    }
}
