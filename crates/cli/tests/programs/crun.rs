//! Debian's `crun`, an OCI runtime in C, with penfold's hierarchies mounted where it looks for cgroup v1.
//!
//! crun takes /sys/fs/cgroup for v1 if that is a tmpfs without a directory `unified`. crun then goes by
//! /proc/self/cgroup, which the preload library provides, and never looks at the file system type of
//! /sys/fs/cgroup/CONTROLLER.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::mount_namespace::{MountNamespace, ProgramResult};
use penfold_testkit::{copy_program, needs, wait_until};

const CONTROLLERS: [&str; 4] = ["pids", "freezer", "cpuset", "cpuacct"];

/// The cgroup of the container in every hierarchy.
const CGROUP: &str = "/box";

struct Runtime {
    namespace: MountNamespace,
    bundle: PathBuf,
    proc: String,
}

impl Runtime {
    fn new() -> Option<Self> {
        let namespace = MountNamespace::new()?;
        for controller in CONTROLLERS {
            namespace.mount(controller, controller);
        }
        // `ps` looks at the memory controller, and cpuset's settings go through the directory of cpu: links are enough
        namespace.script("ln -s pids /sys/fs/cgroup/memory; ln -s cpuset /sys/fs/cgroup/cpu");
        let bundle = namespace.directory().join("bundle");
        let root = bundle.join("rootfs");
        for directory in ["bin", "proc", "dev", "sys", "tmp"] {
            fs::create_dir_all(root.join(directory)).expect("a directory");
        }
        let static_shell =
            ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| fs::exists(path).unwrap());
        copy_program(Path::new(static_shell.expect("busybox")), &root.join("bin/busybox"));
        for name in ["sh", "sleep", "cat", "echo", "nproc"] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(name)).expect("a link");
        }
        let proc = namespace.proc();
        let runtime = Self { namespace, bundle, proc };
        runtime.configure(&["sh", "-c", "while :; do sleep 0.05; echo; done > /tmp/steps"], &json!({}));
        Some(runtime)
    }

    fn steps(&self) -> u64 {
        fs::metadata(self.bundle.join("rootfs/tmp/steps")).map_or(0, |steps| steps.len())
    }

    /// Writes config.json: the proposal of `crun spec`, with this command and these resources.
    fn configure(&self, command: &[&str], resources: &Value) {
        let config = self.bundle.join("config.json");
        if config.exists() {
            fs::remove_file(&config).expect("removed");
        }
        let done = Command::new("crun").arg("spec").current_dir(&self.bundle).status();
        assert!(done.expect("run crun").success());
        let mut spec: Value =
            serde_json::from_str(&fs::read_to_string(&config).expect("a file")).expect("JSON");
        spec["process"]["terminal"] = false.into();
        spec["process"]["args"] = command.into();
        spec["root"]["readonly"] = false.into();
        spec["linux"]["resources"] = resources.clone();
        spec["linux"]["cgroupsPath"] = CGROUP.into();
        let namespaces = ["pid", "mount", "ipc", "uts"].map(|kind| json!({ "type": kind }));
        spec["linux"]["namespaces"] = namespaces.as_slice().into();
        let mounts = spec["mounts"].as_array_mut().expect("a list");
        mounts.retain(|mount| mount["type"] == "proc" || mount["type"] == "tmpfs");
        fs::write(config, spec.to_string()).expect("a file");
    }

    fn crun(&self, arguments: &[&str]) -> ProgramResult {
        let root = self.namespace.directory().join("crun");
        let mut words = vec!["shim", "--proc", &self.proc, "--", "crun", "--root", root.to_str().unwrap()];
        words.push("--cgroup-manager=cgroupfs");
        words.extend(arguments);
        let mut command = self.namespace.command("timeout");
        // programs that crun starts inherit the outputs: a file can be read while they still write
        let output = self.namespace.directory().join("output");
        let file = fs::File::create(&output).expect("a file");
        command.args(["--kill-after=1", "20", crate::common::PENFOLD]).args(words);
        command.current_dir("/").stdin(std::process::Stdio::null());
        command.stdout(file.try_clone().expect("a file")).stderr(file);
        let status = command.status().expect("run crun");
        let said = fs::read_to_string(output).expect("text");
        ProgramResult::of(status.code().unwrap_or(-1), said, format!("crun {arguments:?}"))
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.crun(&["state", "box"]).ok()).expect("JSON")
    }

    fn create(&self) {
        let bundle = self.bundle.to_str().unwrap();
        self.crun(&["create", "--bundle", bundle, "box"]).ok();
    }

    /// A file of penfold's in the container's cgroup.
    #[track_caller]
    fn file(&self, name: &str) -> String {
        let controller = name.split_once('.').map_or("pids", |(controller, _)| controller);
        self.namespace.read(&format!("/sys/fs/cgroup/{controller}{CGROUP}/{name}"))
    }

    fn members(&self, controller: &str) -> Vec<String> {
        let tasks = self.namespace.read(&format!("/sys/fs/cgroup/{controller}{CGROUP}/cgroup.procs"));
        tasks.lines().map(str::to_owned).collect()
    }

    fn has_cgroup(&self, controller: &str) -> bool {
        self.namespace.run("test", ["-d", &format!("/sys/fs/cgroup/{controller}{CGROUP}")]).code == 0
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = self.crun(&["delete", "--force", "box"]);
    }
}

#[test]
fn crun_manages_a_container_in_penfolds_cgroups() {
    needs!("crun", "busybox");
    let Some(runtime) = Runtime::new() else { return };
    runtime.create();
    let state = runtime.state();
    assert_eq!(state["status"], "created");
    let pid = state["pid"].as_u64().expect("a number").to_string();
    for controller in CONTROLLERS {
        assert_eq!(runtime.members(controller), [pid.as_str()], "{controller}");
    }
    let shown = runtime.namespace.read(&format!("{}/{pid}/cgroup", runtime.proc));
    for controller in CONTROLLERS {
        let line = format!(":{controller}:{CGROUP}");
        assert!(shown.lines().any(|there| there.ends_with(&line)), "{shown}");
    }
    assert_eq!(runtime.steps(), 0, "created, not started");
    runtime.crun(&["start", "box"]).ok();
    wait_until("the container runs", || runtime.steps() > 2);
    assert_eq!(runtime.state()["status"], "running");
    assert!(runtime.crun(&["list"]).ok().contains(" running "));
    // ps reads cgroup.procs
    let listed = runtime.crun(&["ps", "box"]).ok();
    assert!(listed.lines().any(|line| line == pid), "{listed}");
    runtime.crun(&["kill", "box", "KILL"]).ok();
    wait_until("the container is gone", || runtime.state()["status"] == "stopped");
    runtime.crun(&["delete", "box"]).ok();
    for controller in CONTROLLERS {
        assert!(!runtime.has_cgroup(controller), "{controller}");
    }
    assert!(!runtime.crun(&["list"]).ok().contains("box"));
}

#[test]
fn crun_pause_freezes_and_resume_thaws() {
    needs!("crun", "busybox");
    let Some(runtime) = Runtime::new() else { return };
    runtime.create();
    runtime.crun(&["start", "box"]).ok();
    wait_until("the container runs", || runtime.steps() > 2);
    runtime.crun(&["pause", "box"]).ok();
    wait_until("all are frozen", || runtime.file("freezer.state") == "FROZEN");
    assert_eq!(runtime.state()["status"], "paused");
    let steps = runtime.steps();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(runtime.steps(), steps, "nothing happens while it is frozen");
    runtime.crun(&["resume", "box"]).ok();
    assert_eq!(runtime.file("freezer.state"), "THAWED");
    assert_eq!(runtime.state()["status"], "running");
    wait_until("it goes on", || runtime.steps() > steps);
}

#[test]
fn crun_sets_limits_from_the_bundle_and_updates_them() {
    needs!("crun", "busybox");
    let Some(runtime) = Runtime::new() else { return };
    let resources = json!({ "pids": { "limit": 20 }, "cpu": { "cpus": "0", "mems": "0" } });
    runtime.configure(&["sh", "-c", "while :; do sleep 0.05; echo; done > /tmp/steps"], &resources);
    runtime.create();
    assert_eq!(runtime.file("pids.max"), "20");
    assert_eq!(runtime.file("cpuset.cpus"), "0");
    assert_eq!(runtime.file("cpuset.mems"), "0");
    runtime.crun(&["start", "box"]).ok();
    assert_eq!(runtime.crun(&["exec", "box", "nproc"]).ok(), "1\n");
    runtime.crun(&["update", "--pids-limit", "33", "box"]).ok();
    assert_eq!(runtime.file("pids.max"), "33");
    let others = runtime.namespace.read("/sys/fs/cgroup/cpuset/cpuset.cpus");
    runtime.crun(&["update", "--cpuset-cpus", &others, "box"]).ok();
    assert_eq!(runtime.file("cpuset.cpus"), others);
}

#[test]
fn crun_exec_stays_under_the_containers_limit() {
    needs!("crun", "busybox");
    let Some(runtime) = Runtime::new() else { return };
    runtime.configure(&["sleep", "600"], &json!({ "pids": { "limit": 5 } }));
    runtime.create();
    runtime.crun(&["start", "box"]).ok();
    let said = runtime.crun(&["exec", "box", "sh", "-c", "echo hello from $$; cat /proc/self/status"]).ok();
    assert!(said.starts_with("hello from "), "{said}");
    runtime.crun(&["exec", "--detach", "box", "sleep", "601"]).ok();
    assert_eq!(runtime.members("pids").len(), 2, "the container's process and the one executed in it");
    let bomb = "i=0; while [ $i -lt 20 ]; do sleep 5 & i=$((i + 1)); done; wait";
    let refused = runtime.crun(&["exec", "box", "sh", "-c", bomb]).failed();
    assert!(refused.contains("can't fork"), "{refused}");
    let events = runtime.file("pids.events");
    assert!(events.starts_with("max ") && events != "max 0", "{events}");
}

#[test]
fn crun_run_gives_the_exit_status_and_leaves_no_cgroup() {
    needs!("crun", "busybox");
    let Some(runtime) = Runtime::new() else { return };
    runtime.configure(&["sh", "-c", "echo from inside; exit 7"], &json!({ "pids": { "limit": 10 } }));
    let bundle = runtime.bundle.to_str().unwrap();
    let ran = runtime.crun(&["run", "--bundle", bundle, "box"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (7, "from inside\n"));
    for controller in CONTROLLERS {
        assert!(!runtime.has_cgroup(controller), "{controller}");
    }
}
