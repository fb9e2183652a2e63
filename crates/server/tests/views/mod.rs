//! A service with all controllers, and views of it in a mount namespace of the test.
#![allow(dead_code, missing_docs, unreachable_pub, unused_imports)] // each test file uses its part

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use penfold_core::{CgroupId, Tid};
use penfold_linux::fuse_mount::{FuseMount, Unmounting, unmount};
use penfold_linux::host::HostHandle;
use penfold_linux::peer::PeerProcess;
use penfold_linux::trace::AtEnd;
use penfold_server::client::{Client, Trust};
use penfold_server::mounts::Filesystem;
use penfold_server::service::Service;
use penfold_server::view::{self, ViewContent, ViewHandle};
use penfold_testkit::{TempDir, is_root, skip};

#[path = "../hosts/mod.rs"]
mod hosts;

pub use hosts::HostKind;
pub(crate) use hosts::on_each_host;

pub struct Views {
    pub host: Arc<dyn HostHandle>,
    pub service: Service,
    /// The directory of the test, which has the mount points.
    pub place: TempDir,
    mounted: Vec<PathBuf>,
}

/// Whether tests of views can run here. If not, the test is skipped.
pub fn possible() -> bool {
    let reason = if !is_root() {
        "root is needed to mount"
    } else if fs::File::options().read(true).write(true).open("/dev/fuse").is_err() {
        "there is no /dev/fuse"
    } else {
        return true;
    };
    skip(reason);
    false
}

pub fn root() -> Client {
    let own = PeerProcess::with_number(std::process::id().cast_signed());
    Client::connected(Trust::Owner(0), own, 0, 0, None)
}

impl Views {
    /// Starts a service, and moves this thread into a new mount namespace, which its children inherit.
    pub fn start(host: HostKind) -> Views {
        unshare(CloneFlags::CLONE_NEWNS).expect("root may");
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("root may");
        let host = host.start(Box::new(|_, _| {})).expect("the host starts");
        let service = Service::new(Arc::clone(&host), Trust::Owner(0));
        let loaded = service.with_exact(|engine, host| penfold_subsystems::load_tree(engine, host));
        loaded.expect("the host runs").expect("all controllers load");
        let place = TempDir::new();
        Views { host, service, place, mounted: Vec::new() }
    }

    /// Mounts a hierarchy and serves it at `place/name`.
    pub fn mount(&mut self, options: &str, name: &str) -> (PathBuf, ViewHandle) {
        self.mount_as(options, Filesystem::Cgroup, name)
    }

    pub fn mount_as(&mut self, options: &str, filesystem: Filesystem, name: &str) -> (PathBuf, ViewHandle) {
        let root = self.service.mount(&root(), options, filesystem).expect("it mounts").root;
        self.serve(ViewContent::Hierarchy { root }, name)
    }

    pub fn serve(&mut self, shown: ViewContent, name: &str) -> (PathBuf, ViewHandle) {
        let path = self.place.join(name);
        fs::create_dir_all(&path).expect("a mount point");
        let device = mount_device(&path);
        let handle = view::serve(&self.service, device, shown, &root()).expect("it is served");
        self.mounted.push(path.clone());
        (path, handle)
    }

    /// The number of mounts of a hierarchy; 0 if it is gone.
    pub fn mounts(&self, hierarchy: &'static str) -> usize {
        let mounts = self.service.with_exact(move |engine, _| {
            let root = engine.find_hierarchy(hierarchy)?;
            engine.tree().hierarchies().find(|it| it.root == root).map(|it| it.mounts)
        });
        mounts.expect("the host runs").unwrap_or(0)
    }

    pub fn root_of(&self, hierarchy: &'static str) -> CgroupId {
        let found = self.service.with_exact(move |engine, _| engine.find_hierarchy(hierarchy));
        found.expect("the host runs").expect("it is mounted")
    }

    /// Runs a script with a shell in `place`, and returns its output. Standard error must stay empty.
    pub fn shell(&self, shell: &str, script: &str) -> String {
        let output = self.run(&[shell, "-c", script]);
        text(&output)
    }

    pub fn run(&self, argv: &[&str]) -> Output {
        wait(self.command(argv).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    }

    /// Runs Python, which has every system call, and returns its output. `name(f, …)` returns the name of the errno if
    /// `f` fails.
    pub fn python(&self, script: &str) -> String {
        let prelude = "import os, sys, errno, time, threading\n\
            def name(f, *a, **k):\n\
            \ttry: r = f(*a, **k)\n\
            \texcept OSError as e: return errno.errorcode[e.errno]\n\
            \treturn 'OK' if r is None else r\n";
        let output = self.run(&["/usr/bin/python3", "-c", &format!("{prelude}{script}")]);
        text(&output)
    }

    /// A program below a shell. A direct child of this process would be reaped by the tracer, which is in this process,
    /// once it is supervised.
    pub fn command(&self, argv: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "\"$@\"; exit $?", "sh"])
            .args(argv)
            .current_dir(&self.place)
            .stdin(Stdio::null());
        command
    }

    pub fn proc_cgroup(&self, pid: i32) -> String {
        let text = penfold_server::proc_texts::pid_cgroup(&self.service, Tid(pid)).expect("it lives");
        String::from_utf8(text).expect("text")
    }
}

impl Drop for Views {
    fn drop(&mut self) {
        for path in &self.mounted {
            let _ = unmount(path, Unmounting { lazy: true });
        }
        let _ = self.host.stop(AtEnd::Kill);
    }
}

pub fn mount_device(path: &Path) -> OwnedFd {
    let mount = FuseMount { subtype: "cgroup.test".into(), source: "penfold".into(), read_only: false };
    mount.mount(path).expect("root may mount")
}

fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.is_empty(), "{error}{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Waits for a child, at most 60 seconds.
pub fn wait(child: Child) -> Output {
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let (done, late) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if late.recv_timeout(Duration::from_mins(1)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output().expect("our child");
    drop(done);
    let _ = watch.join();
    output
}

pub fn nlink(path: &Path) -> u64 {
    fs::metadata(path).expect("it is there").nlink()
}
