//! `penfold shim`: a daemon's mounts as programs see them through the preload library.

use crate::common::{PENFOLD, PYTHON, plain};
use crate::mount_namespace::MountNamespace;
use penfold_testkit::needs;

/// A namespace with a hierarchy at /sys/fs/cgroup/limits.
fn namespace() -> Option<MountNamespace> {
    let namespace = MountNamespace::new()?;
    namespace.mount("limits", "pids,name=limits");
    Some(namespace)
}

fn seen(namespace: &MountNamespace, words: &[&str]) -> String {
    namespace.run(PENFOLD, ["shim", "--"].iter().chain(words)).ok()
}

#[test]
fn statfs_shows_the_type_of_cgroup_v1() {
    let Some(namespace) = namespace() else { return };
    namespace.script("mkdir /sys/fs/cgroup/limits/one; mkdir /sys/fs/cgroup/plain");
    for path in ["/sys/fs/cgroup/limits", "/sys/fs/cgroup/limits/one", "/sys/fs/cgroup/limits/one/tasks"] {
        assert_eq!(namespace.run("stat", ["-f", "-c", "%T", path]).ok(), "fuseblk\n", "{path}");
        assert_eq!(seen(&namespace, &["stat", "-f", "-c", "%T", path]), "cgroupfs\n", "{path}");
    }
    assert_eq!(seen(&namespace, &["stat", "-f", "-c", "%T", "/sys/fs/cgroup/plain"]), "tmpfs\n");
    let script = "
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
class Statfs(ctypes.Structure):
    _fields_ = [('f_type', ctypes.c_long), ('rest', ctypes.c_long * 31)]
for name in 'fstatfs', 'fstatfs64':
    answer = Statfs()
    fd = os.open('/sys/fs/cgroup/limits/one', os.O_RDONLY)
    ctypes.set_errno(errno.ENOTTY)
    assert getattr(libc, name)(fd, ctypes.byref(answer)) == 0
    print(hex(answer.f_type), ctypes.get_errno() == errno.ENOTTY)
for name in 'statfs', 'statfs64':
    answer = Statfs()
    assert getattr(libc, name)(b'/sys/fs/cgroup/limits', ctypes.byref(answer)) == 0
    print(hex(answer.f_type))
    assert getattr(libc, name)(b'/nowhere', ctypes.byref(answer)) == -1 and ctypes.get_errno() == errno.ENOENT
";
    let told = "0x27e0eb True\n0x27e0eb True\n0x27e0eb\n0x27e0eb\n";
    assert_eq!(seen(&namespace, &[PYTHON, "-c", script]), told);
}

#[test]
fn findmnt_finds_the_mount_by_its_type_and_options() {
    needs!("findmnt");
    let Some(namespace) = namespace() else { return };
    let words = ["findmnt", "--noheadings", "--types", "cgroup", "--output", "SOURCE,FSTYPE,FS-OPTIONS"];
    let words = [&words[..], &["--mountpoint", "/sys/fs/cgroup/limits"]].concat();
    let shown = seen(&namespace, &words);
    let shown: Vec<_> = shown.split_whitespace().collect();
    assert_eq!(shown[..2], ["limits", "cgroup"]);
    let options: Vec<_> = shown[2].split(',').collect();
    assert!(options.contains(&"pids") && options.contains(&"name=limits"), "{options:?}");
    assert!(!shown[2].contains("user_id"), "{options:?}");
}

#[test]
fn shim_redirects_proc_texts_to_penfolds() {
    let Some(namespace) = namespace() else { return };
    let proc = namespace.proc();
    let script = "mkdir /sys/fs/cgroup/limits/one; echo $$ > /sys/fs/cgroup/limits/one/tasks; \
                  cat /proc/self/cgroup; cat /proc/$$/cgroup; cat /proc/thread-self/cgroup; cat /proc/cgroups";
    let shown = namespace.run(PENFOLD, ["shim", "--proc", &proc, "--", "sh", "-ec", script]).ok();
    let lines = shown
        .lines()
        .filter(|line| line.ends_with(":name=limits,pids:/one") || line.ends_with(":pids,name=limits:/one"));
    assert_eq!(lines.count(), 3, "{shown}");
    assert!(shown.contains("\nnumtasks\t"), "{shown}");
    assert!(!shown.contains("\nblkio\t"), "{shown}");
}

#[test]
fn missing_preload_library_is_an_error() {
    let ran = plain(&["shim", "--", "true"]).env("PENFOLD_PRELOAD", "/nowhere/at/all.so").run();
    assert_eq!(ran.code(), 125);
    assert!(ran.stderr.contains("/nowhere/at/all.so") && ran.stderr.contains("PENFOLD_PRELOAD"), "{ran:?}");
}

#[test]
fn shim_keeps_exit_status_and_other_libraries() {
    let library = crate::mount_namespace::preload_library();
    let shim = |command: &[&str]| plain(&[&["shim", "--"], command].concat()).env("PENFOLD_PRELOAD", library);
    assert_eq!(shim(&["sh", "-c", "exit 9"]).run().code(), 9);
    assert_eq!(shim(&["/nowhere/to/be/found"]).run().code(), 127);
    assert_eq!(shim(&["/etc/passwd"]).run().code(), 126);
    let list = shim(&["sh", "-c", "echo $LD_PRELOAD"]).env("LD_PRELOAD", "libm.so.6").run();
    assert_eq!(list.stdout, format!("{}:libm.so.6\n", library.display()));
}

#[test]
fn shim_warns_of_a_statically_linked_program() {
    needs!("busybox");
    let library = crate::mount_namespace::preload_library();
    let ran = plain(&["shim", "--", "busybox", "true"]).env("PENFOLD_PRELOAD", library).run();
    assert_eq!(ran.code(), 0);
    let statically = std::process::Command::new("ldd").arg("/usr/bin/busybox").output().expect("run ldd");
    assert_eq!(ran.stderr.contains("is statically linked"), !statically.status.success(), "{ran:?}");
}
