//! The modules in a daemon's service, on real processes: they do what the built-in controllers do, and come and go.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use penfold_core::{CgroupId, ErrorKind, MoveScope, Tid};
use penfold_linux::host::HostHandle;
use penfold_linux::trace::{AtEnd, start_host};
use penfold_server::client::{Client, Trust};
use penfold_server::mounts::Filesystem;
use penfold_server::operation::Operation;
use penfold_server::service::Service;
use penfold_testkit::{TempDir, needs, skip, wait_until};

#[path = "common/built.rs"]
mod built;

const NAMES: [&str; 5] = ["cpuset", "cpuacct", "freezer", "pids", "numtasks"];

/// A service with an engine on the trace host, stopped on drop.
struct RealService {
    host: Arc<dyn HostHandle>,
    service: Service,
    modules: TempDir,
}

impl RealService {
    fn start() -> RealService {
        let host = start_host(Box::new(|_, _| {})).expect("the host starts");
        let service = Service::new(Arc::clone(&host), Trust::Owner(0));
        RealService { host, service, modules: TempDir::trusted(env!("CARGO_TARGET_TMPDIR")) }
    }

    fn load_built_in(&self) {
        let wanted = |name: &str| NAMES.contains(&name);
        let loaded =
            self.service.with_exact(|engine, host| penfold_subsystems::load_those(engine, host, wanted));
        loaded.expect("the host runs").expect("they load");
    }

    /// The file of a module, in a directory that no other user can change.
    fn file(&self, name: &str) -> PathBuf {
        let file = self.modules.join(format!("libpenfold_{name}.so"));
        if !file.exists() {
            std::fs::copy(built::module(name), &file).expect("a copy");
        }
        file
    }

    fn mount(&self, options: &str) -> CgroupId {
        self.service.mount(&Client::own(), options, Filesystem::Cgroup).expect("it mounts").root
    }

    fn file_id(&self, cgroup: CgroupId, name: &str) -> penfold_core::control_file::FileId {
        let found = self.service.with_exact(|engine, _| engine.find_file(cgroup, name));
        found.expect("the host runs").unwrap_or_else(|| panic!("no {name}"))
    }

    fn write(&self, cgroup: CgroupId, name: &str, text: &str) {
        let operation = Operation::Write { file: self.file_id(cgroup, name), bytes: text.as_bytes() };
        self.service
            .perform(&Client::own(), None, cgroup, operation)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    fn read(&self, cgroup: CgroupId, name: &str) -> String {
        let text = self.service.read(&Client::own(), cgroup, self.file_id(cgroup, name)).expect("it is read");
        String::from_utf8(text).expect("a text")
    }

    fn attach(&self, cgroup: CgroupId, task: Tid) {
        let operation = Operation::Attach { task, scope: MoveScope::ThreadGroup };
        self.service.perform(&Client::own(), None, cgroup, operation).expect("it is moved");
    }
}

impl Drop for RealService {
    fn drop(&mut self) {
        let _ = self.host.stop(AtEnd::Kill);
    }
}

/// Starts a shell script that is no child of this process, whose tracer would reap it. Returns its number.
fn start(script: &str) -> Tid {
    let outer = format!("({script}) </dev/null >/dev/null 2>&1 & echo $!");
    let output = Command::new("dash").args(["-c", &outer]).output().expect("dash");
    Tid(String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number"))
}

/// The output of a shell in a limited cgroup, and the files of all five controllers.
fn observe(real: &RealService) -> Vec<String> {
    let top = real.mount("cpuset,cpuacct,freezer,pids,numtasks,clone_children");
    let group = real.service.mkdir(&Client::own(), None, top, b"g", 0o755).expect("it is made");
    real.write(group, "cpuset.cpus", "0");
    real.write(group, "pids.max", "4");
    let scratch = TempDir::new();
    let (go, out) = (scratch.join("go"), scratch.join("out"));
    let script = format!(
        "exec >{out}.part 2>&1; until [ -e {go} ]; do sleep 0.02; done; nproc; dash -c 'sleep 1 & sleep 1 & sleep 1 & wait'; \
         mv {out}.part {out}",
        go = go.display(),
        out = out.display()
    );
    real.attach(group, start(&script));
    std::fs::write(&go, "").expect("it is made");
    wait_until("the shell has ended", || out.exists());
    wait_until("its children have ended", || real.read(group, "pids.current") == "0\n");
    let mut seen: Vec<String> =
        std::fs::read_to_string(&out).expect("it is there").lines().map(str::to_owned).collect();
    seen.push(real.read(group, "pids.events"));
    assert!(real.read(group, "cpuacct.usage").trim() != "0", "its time is counted");
    let sleeper = start("exec sleep 1000");
    real.attach(group, sleeper);
    real.write(group, "freezer.state", "FROZEN");
    wait_until("it is frozen", || real.read(group, "freezer.state") == "FROZEN\n");
    seen.push(real.read(group, "pids.current"));
    real.write(group, "freezer.state", "THAWED");
    seen.push(real.read(group, "freezer.state"));
    seen.push(real.read(group, "numtasks.stats"));
    kill(Pid::from_raw(sleeper.0), Signal::SIGKILL).expect("it is alive");
    wait_until("the cgroup is empty", || real.service.rmdir(&Client::own(), None, group).is_ok());
    seen
}

#[test]
fn modules_do_what_the_built_in_controllers_do() {
    needs!("dash");
    let expected = {
        let built_in = RealService::start();
        built_in.load_built_in();
        observe(&built_in)
    };
    let modules = RealService::start();
    for name in NAMES {
        if let Err(failure) = modules.service.load_file(&modules.file(name)) {
            assert_eq!(failure.kind, ErrorKind::NotPermitted, "{failure}");
            return skip(&failure.to_string());
        }
    }
    let seen = observe(&modules);
    assert_eq!(seen, expected);
    assert_eq!(seen[..4], ["1", "dash: 0: Cannot fork", "max 1\n", "1\n"]);
    let busy = modules.service.unload_module(&Client::own(), "pids").unwrap_err();
    assert_eq!(busy.errno, Errno::EBUSY, "{busy}");
    let root = modules.mount("pids,cpuset,cpuacct,freezer,numtasks");
    for _ in 0..2 {
        modules.service.unmount(&Client::own(), root).expect("it is mounted twice");
    }
    for name in NAMES {
        modules.service.unload_module(&Client::own(), name).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    modules.service.load_file(&modules.file("pids")).expect("it loads again");
}

#[test]
fn module_of_a_built_in_controller_is_refused() {
    let real = RealService::start();
    real.load_built_in();
    for name in NAMES {
        let failure = real.service.load_file(&real.file(name)).unwrap_err();
        if failure.kind == ErrorKind::NotPermitted {
            return skip(&failure.to_string());
        }
        assert_eq!(failure.errno, Errno::EEXIST, "{failure}");
        assert!(failure.detail.contains("is compiled in"), "{failure}");
    }
}
