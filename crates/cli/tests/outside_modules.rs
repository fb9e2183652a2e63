//! The controllers of `modules/` with real processes: `fdcount`, written in Rust, and `forkrate`, in C.

mod common;

use std::path::{Path, PathBuf};

use common::{ModuleDir, PENFOLD, penfold, plain, python, users};
use penfold_testkit::{compile_module, is_root, skip};

/// A directory with these modules that root alone can write.
fn modules() -> Option<ModuleDir> {
    if !is_root() {
        skip("a directory of modules that others can't write is root's");
        return None;
    }
    let fdcount = built("libpenfold_fdcount.so");
    if !fdcount.exists() {
        skip("modules/ is not built: cargo build --manifest-path modules/Cargo.toml --workspace");
        return None;
    }
    let modules = ModuleDir::new();
    std::fs::copy(fdcount, modules.file("fdcount")).expect("copy a module");
    let flags = ["-std=c99", "-O2", "-Werror"];
    compile_module("../../../modules/forkrate/forkrate.c", &modules.file("forkrate"), &flags)
        .expect("run cc");
    Some(modules)
}

/// The path of a module from the workspace of `modules/`: in its own target directory, or the common one.
fn built(name: &str) -> PathBuf {
    let beside = Path::new(PENFOLD).with_file_name(name);
    if std::env::var_os("CARGO_TARGET_DIR").is_some() && beside.exists() {
        return beside;
    }
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules/target/debug").join(name)
}

/// Neither their code nor Rust's standard library leaves anything on a thread that would keep them mapped.
#[test]
fn shipped_modules_are_unmapped() {
    let Some(modules) = modules() else { return };
    std::fs::copy(built("libpenfold_hello.so"), modules.file("hello")).expect("copy a module");
    for name in ["fdcount", "forkrate", "hello", "net_cls"] {
        let file = modules.file(name);
        let ended = plain(&["module", "check", file.to_str().expect("a plain path")]).run();
        assert!(ended.stdout.contains("\nok    unmap"), "{name}: {ended:#?}");
    }
}

#[test]
fn fdcount_bounds_the_descriptors_of_a_tree_of_processes() {
    let Some(modules) = modules() else { return };
    let script = r#"
import os, time
done, tell = os.pipe()
children = []
for _ in range(4):
    child = os.fork()
    if child == 0:
        try:
            while True: os.open("/dev/null", os.O_RDONLY)
        except OSError as error: os.write(tell, str(error.errno).encode() + b" ")
        time.sleep(60)
    children.append(child)
    time.sleep(0.05)
answers = b""
while answers.count(b" ") < 4: answers += os.read(done, 100)
count = lambda process: len(os.listdir(f"/proc/{process}/fd"))
print(answers.decode(), sum(map(count, children)) + len(os.listdir("/proc/self/fd")) - 1)
for child in children: os.kill(child, 9)
"#;
    for user in users() {
        let run = penfold(&["fdcount.max=200"], &python(script)).options(&["--module", "fdcount"]);
        let ended = run.env("PENFOLD_MODULES", modules.path()).user(user).run().succeeded();
        let (answers, total) = ended.stdout.trim().rsplit_once(' ').expect("two parts");
        assert_eq!(answers.trim(), "24 24 24 24", "EMFILE for each");
        let total: u64 = total.parse().expect("a number");
        assert!((50..=200).contains(&total), "{total} descriptors are open");
    }
}

#[test]
fn fdcount_refuses_a_fork_beyond_its_limit() {
    let Some(modules) = modules() else { return };
    let script = r#"
import os, resource
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= 100)
for _ in range(60): os.open("/dev/null", os.O_RDONLY)
try:
    if os.fork() == 0: os._exit(0)
    print("forked")
except BlockingIOError as error: print(error.strerror)
os.closerange(10, 100)
child = os.fork()
if child == 0: os._exit(0)
print(os.waitpid(child, 0)[1])
"#;
    for user in users() {
        let run = penfold(&["fdcount.max=100"], &python(script)).options(&["--module", "fdcount"]);
        let ended = run.env("PENFOLD_MODULES", modules.path()).user(user).run().succeeded();
        assert_eq!(ended.stdout, "True\nResource temporarily unavailable\n0\n");
        assert_eq!(ended.file("fdcount.events"), "max 1");
        let hit = &ended.json()["limits_hit"][0];
        assert_eq!(
            (&hit["file"], &hit["limit"], &hit["refused"]),
            (&"fdcount.max".into(), &100.into(), &1.into())
        );
    }
}

#[test]
fn forkrate_passes_its_number_of_forks_in_a_window() {
    let Some(modules) = modules() else { return };
    let script = r#"
import os, time
def forks(tries):
    made = 0
    for _ in range(tries):
        try: child = os.fork()
        except BlockingIOError: continue
        if child == 0: os._exit(0)
        made += 1
    # not before: the tries have to be over before the window is
    for _ in range(made): os.wait()
    return made
print(forks(20), end=" ")
time.sleep(1.1)
print(forks(20))
"#;
    for user in users() {
        let settings = ["forkrate.window_ms=1000", "forkrate.max=7"];
        let run = penfold(&settings, &python(script)).options(&["--module", "forkrate"]);
        let ended = run.env("PENFOLD_MODULES", modules.path()).user(user).run().succeeded();
        assert_eq!(ended.stdout, "7 7\n");
        assert_eq!(ended.file("forkrate.events"), "refused 26");
    }
}
