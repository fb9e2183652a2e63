//! Requests to the control socket: every answer is well formed, no request hangs, and the daemon lives on.
//!
//! The daemon does what the requests say. So daemon and client run as a user who owns nothing else.
#![no_main]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use penfold_core::CgroupId;
use penfold_linux::trace::start_host;
use penfold_server::client::{Client, Trust};
use penfold_server::control::{ControlServer, Limits, Listener};
use penfold_server::mounts::Filesystem;
use penfold_server::service::Service;

/// The uid and gid of the target. No user has this number.
const USER: u32 = 651_234;

struct FuzzedService {
    service: Service,
    address: SocketAddr,
    /// True if requests may name any process: not where the processes are those of a real user.
    alone: bool,
    _listener: Listener,
}

static SERVICE: OnceLock<FuzzedService> = OnceLock::new();

fn start() -> FuzzedService {
    let alone = geteuid().is_root();
    if alone {
        let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
        setgroups(&[]).expect("root may");
        setresgid(group, group, group).expect("root may");
        setresuid(user, user, user).expect("root may");
    }
    let host = start_host(Box::new(|_, _| {})).expect("it starts");
    let service = Service::new(host, Trust::Owner(geteuid().as_raw()));
    let loaded = service.with_exact(|engine, host| penfold_subsystems::load_all(engine, host));
    loaded.expect("it runs").expect("they load");
    let address =
        SocketAddr::from_abstract_name(format!("penfold-fuzz-{}", std::process::id())).expect("a name");
    let socket = UnixListener::bind_addr(&address).expect("a free name");
    let limits = Limits {
        patience: Duration::from_millis(500),
        kill: Duration::from_millis(500),
        ..Limits::default()
    };
    let server = ControlServer::new(service.clone()).with_limits(limits);
    let listener = Listener::serve(socket, Arc::new(server)).expect("it listens");
    FuzzedService { service, address, alone, _listener: listener }
}

/// Leaves one hierarchy with two cgroups, whatever was there before.
fn reset(service: &Service) {
    service
        .with_exact(|engine, host| {
            let caller = Client::own().caller;
            let hierarchies: Vec<(CgroupId, usize)> =
                engine.tree().hierarchies().map(|hierarchy| (hierarchy.root, hierarchy.mounts)).collect();
            for (root, mounts) in hierarchies {
                let mut all = vec![root];
                let mut next = 0;
                while let Some(&at) = all.get(next) {
                    all.extend(engine.tree().children(at));
                    next += 1;
                }
                for &cgroup in all.iter().skip(1).rev() {
                    engine.session(host, &caller).rmdir(cgroup).expect("nobody is in it");
                }
                for _ in 0..mounts {
                    engine.unmount(host, root).expect("it is mounted");
                }
            }
        })
        .expect("it runs");
    let root = service
        .mount(&Client::own(), "pids,freezer,name=f", Filesystem::Cgroup)
        .expect("nothing is bound")
        .root;
    let a = service.mkdir(&Client::own(), None, root, b"a", 0o755).expect("a free name");
    service.mkdir(&Client::own(), None, a, b"b", 0o755).expect("a free name");
}

fn contains(input: &[u8], word: &[u8]) -> bool {
    input.windows(word.len()).any(|window| window == word)
}

fuzz_target!(|input: &[u8]| {
    let daemon = SERVICE.get_or_init(start);
    if !daemon.alone && [&b"Attach"[..], b"Write", b"\\u"].iter().any(|word| contains(input, word)) {
        return;
    }
    reset(&daemon.service);
    let mut stream = UnixStream::connect_addr(&daemon.address).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time");
    // a newline stands for the NUL that ends a message, so that inputs are texts
    let bytes: Vec<u8> = input.iter().map(|&byte| if byte == b'\n' { 0 } else { byte }).collect();
    let sent = stream.write_all(&bytes);
    // a Watch goes on until the client closes the connection
    let watches = contains(input, b"Watch") || contains(input, b"\\u");
    let how = if watches { Shutdown::Both } else { Shutdown::Write };
    if sent.is_ok() && stream.shutdown(how).is_ok() && !watches {
        let mut answers = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answers) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "an answer that does not end");
        }
        for answer in answers.split(|&byte| byte == 0).filter(|answer| !answer.is_empty()) {
            let text = std::str::from_utf8(answer).expect("UTF-8");
            assert!(text.starts_with('{') && text.ends_with('}'), "{text}");
        }
    }
    // the daemon lives and its engine works
    daemon.service.with_exact(|engine, _| engine.proc_cgroups()).expect("it runs");
});
