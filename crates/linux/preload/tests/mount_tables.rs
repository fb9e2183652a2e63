//! The library in programs that read mount tables in each way of the C library.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The library, built by cargo: a run of this package's tests alone does not build it.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", env!("CARGO_PKG_NAME")]);
        assert!(build.status().expect("run cargo").success());
        // target/PROFILE/deps/TEST
        let test = std::env::current_exe().expect("this program");
        let directory = test.ancestors().nth(3).expect("the directory of the build").join("debug");
        directory.join("libpenfold_preload.so").canonicalize().expect("the library")
    })
}

/// Compiles one of the programs beside this file.
fn compile(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name).with_extension("c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // another run of this test may be executing the existing one
    let made = program.with_extension(std::process::id().to_string());
    let mut command = Command::new("cc");
    command.args(["-O1", "-Wall", "-Werror", "-o"]).arg(&made).arg(source);
    assert!(command.status().expect("run cc").success());
    std::fs::rename(made, &program).expect("it is there");
    program
}

fn programs() -> &'static (PathBuf, PathBuf) {
    static COMPILED: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    COMPILED.get_or_init(|| (compile("mounts"), compile("readers")))
}

/// Runs a command between penfold's mounts; `None` where nobody may mount.
fn between_mounts(words: &[&str], environment: &[(&str, &str)]) -> Option<Output> {
    let mut command = Command::new(&programs().0);
    command.args(["env".to_owned(), format!("LD_PRELOAD={}", library().display())]).args(words);
    let output = command.envs(environment.iter().copied()).output().expect("run the program");
    if output.status.code() == Some(77) {
        penfold_testkit::skip(&format!("no mounts: {}", String::from_utf8_lossy(&output.stderr)));
        return None;
    }
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {output:?}");
    Some(output)
}

fn table(how: &str, path: &str, environment: &[(&str, &str)]) -> Option<String> {
    let reader = programs().1.to_str().expect("a path").to_owned();
    let output = between_mounts(&[&reader, how, path], environment)?;
    // other users may have mounts with names that are no text
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[track_caller]
fn check_mounts(how: &str, path: &str, table: &str) {
    for line in [
        "penfold /mnt/one cgroup rw,nosuid,relatime,cpuset,pids 0 0\n",
        "penfold /mnt/other fuse.cgroups rw,nosuid,relatime,user_id=0,group_id=0,allow_other 0 0\n",
    ] {
        assert!(table.contains(line), "{how} {path}: no {line:?} in\n{table}");
    }
    let blank = if how == "setmntent" { " " } else { "\\040" };
    let named = format!("jobs /mnt/two{blank}words cgroup rw,nosuid,relatime,name=jobs 0 0\n");
    assert!(table.contains(&named), "{how} {path}: no {named:?} in\n{table}");
    assert!(table.contains(" /mnt tmpfs "), "{how} {path}: the others are gone\n{table}");
}

#[test]
fn every_open_call_gives_penfolds_mounts_as_cgroup() {
    let ways = [
        "open",
        "open64",
        "openat",
        "openat64",
        "__open_2",
        "__open64_2",
        "__openat_2",
        "__openat64_2",
        "fopen",
        "fopen64",
        "freopen",
        "freopen64",
        "setmntent",
        "vfork",
        "rewind",
    ];
    for how in ways {
        let Some(table) = table(how, "/proc/mounts", &[]) else { return };
        check_mounts(how, "/proc/mounts", &table);
    }
}

#[test]
fn every_path_gives_penfolds_mounts_as_cgroup() {
    let mut paths = vec!["/proc/self/mounts", "/proc/thread-self/mounts", "/proc/1/../self/mounts"];
    let mtab = std::fs::canonicalize("/etc/mtab").unwrap_or_default();
    paths.extend(mtab.starts_with("/proc").then_some("/etc/mtab"));
    for path in paths {
        for how in ["open", "fopen", "setmntent", "chdir"] {
            if how == "chdir" && path != "/proc/self/mounts" {
                continue;
            }
            let Some(table) = table(how, path, &[]) else { return };
            check_mounts(how, path, &table);
        }
    }
}

#[test]
fn mountinfo_gives_penfolds_mounts_as_cgroup() {
    for (how, path) in [("open", "/proc/self/mountinfo"), ("fopen", "/proc/thread-self/mountinfo")] {
        let Some(table) = table(how, path, &[]) else { return };
        let line = |point: &str| {
            let point = format!(" / {point} ");
            table.lines().find(|line| line.contains(&point)).unwrap_or_else(|| panic!("{point} in\n{table}"))
        };
        assert!(line("/mnt/one").ends_with(" rw,nosuid,relatime - cgroup penfold rw,cpuset,pids"), "{table}");
        assert!(line("/mnt/two\\040words").ends_with(" - cgroup jobs rw,name=jobs"), "{table}");
        assert!(line("/mnt/other").contains(" - fuse.cgroups penfold "), "{table}");
    }
}

#[test]
fn kernels_cgroups_are_hidden_only_on_demand() {
    let is_kernels = |line: &&str| [" cgroup ", " cgroup2 "].iter().any(|kind| line.contains(kind));
    let count = |table: &str| table.lines().filter(is_kernels).count();
    let is_penfolds = |line: &&str| [" fuse.cgroup ", " fuse.cgroup."].iter().any(|kind| line.contains(kind));
    // the kernel's, and penfold's of another run of the tests
    let there = || {
        let table = std::fs::read("/proc/self/mounts").expect("mounts");
        let table = String::from_utf8_lossy(&table);
        (count(&table), table.lines().filter(is_penfolds).count())
    };
    for (environment, is_hidden) in
        [(&[][..], false), (&[("PENFOLD_SHIM_ONLY", "1")], true), (&[("PENFOLD_SHIM_ONLY", "0")], false)]
    {
        loop {
            let before = there();
            let Some(table) = table("open", "/proc/mounts", environment) else { return };
            // other programs mount and unmount too: only two equal looks prove that none has between them
            if before == there() {
                let (kernels, others) = before;
                let expected = if is_hidden { 2 + others } else { kernels + 2 + others };
                assert_eq!(count(&table), expected, "{environment:?}:\n{table}");
                break;
            }
        }
    }
}

#[test]
fn penfolds_texts_are_given_where_they_exist() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("proc-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("1")).expect("a directory");
    std::fs::write(directory.join("cgroups"), "#penfold\n").expect("a file");
    std::fs::write(directory.join("1/cgroup"), "4:pids:/one\n").expect("a file");
    let proc = [("PENFOLD_PROC", directory.to_str().expect("a path"))];
    let read = |path: &str| {
        let words = ["cat", path];
        let mut command = Command::new(words[0]);
        command.arg(path).env("LD_PRELOAD", library()).envs(proc);
        String::from_utf8(command.output().expect("run cat").stdout).expect("text")
    };
    assert_eq!(read("/proc/cgroups"), "#penfold\n");
    assert_eq!(read("/proc/1/cgroup"), "4:pids:/one\n");
    let kernels = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(read("/proc/1/cpuset"), kernels("/proc/1/cpuset"), "no text of penfold's: the kernel's");
    assert_eq!(read("/proc/self/cgroup"), kernels("/proc/self/cgroup"));
    std::fs::remove_dir_all(directory).expect("removed");
}

#[test]
fn other_programs_see_no_difference() {
    let script = "
import os, sys
assert open('/proc/self/mounts', 'rb').read().count(b'\\n') > 3
for path in '/proc/mounts', '/proc/self/mounts':
    for flags in os.O_WRONLY, os.O_RDWR:
        try:
            os.open(path, flags)
        except PermissionError:
            continue
        except OSError as error:
            sys.exit(str(error))
        if os.getuid():
            sys.exit('could be opened for writing')
fd = os.open('/proc/self/mounts', os.O_PATH)
assert os.readlink(f'/proc/self/fd/{fd}').endswith('/mounts')
for path in '/nowhere/mounts', '/proc/self/status/mounts', '':
    try:
        open(path)
        sys.exit(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
with open('cgroups', 'w') as file:
    file.write('mine')
assert open('cgroups').read() == 'mine'
assert oct(os.stat('cgroups').st_mode & 0o777) == oct(0o666 & ~os.umask(0))
";
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plain-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", script]).current_dir(&directory).env("LD_PRELOAD", library());
    let output = command.output().expect("run python");
    assert!(output.status.success(), "{output:?}");
    std::fs::remove_dir_all(directory).expect("removed");
}
