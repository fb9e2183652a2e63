//! The files of a skeleton, their place, and the names that are refused. `tests/skeleton.rs` runs the printed commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, Engine, Errno, MoveScope, Tid, simulated::ChildKind};
use penfold_module::loader::Controller;

use super::{Language, new, sdk};

/// An empty directory beside the test program, which is removed at the end of the test.
struct SkeletonDir(PathBuf);

impl SkeletonDir {
    fn new(name: &str) -> SkeletonDir {
        let tests = std::env::current_exe().expect("this program");
        let directory = tests.parent().expect("it is in a directory");
        let path = directory.join(format!("skeleton-{}-{name}", std::process::id()));
        fs::create_dir(&path).expect("make a directory");
        SkeletonDir(path)
    }
}

impl Drop for SkeletonDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Loads a module and uses the files that every skeleton has.
fn use_it(module: &Path, name: &str) {
    let (mut engine, mut host, root) = (Engine::new(), SimulatedHost::new(2), Caller::root(Tid(1)));
    engine.load(&mut host, Controller::open(module).unwrap()).unwrap();
    let top = engine.session(&mut host, &root).mount(name).unwrap().root;
    let parent = engine.session(&mut host, &root).mkdir(top, b"parent", 0o755).unwrap();
    let value = engine.find_file(parent, &format!("{name}.value")).unwrap();
    let born = engine.find_file(parent, &format!("{name}.born")).unwrap();
    engine.session(&mut host, &root).write(parent, value, b"42\n").unwrap();
    let error = engine.session(&mut host, &root).write(parent, value, b"101\n").unwrap_err();
    assert_eq!(error.errno(), Errno::EINVAL);
    assert_eq!(error.to_string(), format!("{name}.value: takes a number from 0 to 100"));
    let child = engine.session(&mut host, &root).mkdir(parent, b"child", 0o755).unwrap();
    assert_eq!(engine.session(&mut host, &root).read(child, value).unwrap(), b"42\n");
    let task = host.spawn(&mut engine, 0);
    engine.session(&mut host, &root).attach(child, task, MoveScope::Task).unwrap();
    host.fork(&mut engine, task, ChildKind::Process).unwrap();
    assert_eq!(engine.session(&mut host, &root).read(child, born).unwrap(), b"1\n");
    engine.session(&mut host, &root).write(child, born, b"0\n").unwrap();
    assert_eq!(engine.session(&mut host, &root).read(child, born).unwrap(), b"0\n");
}

#[test]
fn the_skeleton_in_c_does_what_its_manual_says() {
    let scratch = SkeletonDir::new("c");
    let directory = scratch.0.join("my-wheel");
    new("my-wheel", Language::C, &directory).unwrap();
    match Command::new("make").current_dir(&directory).output() {
        Ok(made) if made.status.success() => use_it(&directory.join("my-wheel.so"), "my-wheel"),
        Ok(made) => panic!("make: {}", String::from_utf8_lossy(&made.stderr)),
        Err(error) => {
            println!("skipped: make: {error}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "must not be skipped in CI: make");
        }
    }
}

#[test]
fn name_that_can_not_be_loaded_is_refused() {
    let scratch = SkeletonDir::new("names");
    let directory = scratch.0.join("new");
    let too_long = "x".repeat(33);
    let names = [
        ("", "begins with a lower-case letter"),
        ("Wheel", "begins with a lower-case letter"),
        ("9wheel", "begins with a lower-case letter"),
        ("-wheel", "begins with a lower-case letter"),
        ("wh/eel", "begins with a lower-case letter"),
        ("räder", "begins with a lower-case letter"),
        (&too_long, "1 to 32 letters"),
        ("noprefix", "mount option"),
        ("all", "mount option"),
        ("pids", "penfold has a controller of this name"),
        ("net_cls", "penfold has a controller of this name"),
    ];
    for (name, reason) in names {
        let failure = new(name, Language::C, &directory).unwrap_err();
        assert!(failure.detail.contains(reason), "{name:?}: {failure}");
        assert!(!directory.exists());
    }
}

#[test]
fn existing_directory_is_left_alone() {
    let scratch = SkeletonDir::new("exists");
    let failure = new("wheel", Language::Rust, &scratch.0).unwrap_err();
    assert!(failure.detail.contains("File exists"), "{failure}");
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);
}

#[test]
fn other_users_can_not_write_the_skeleton() {
    let scratch = SkeletonDir::new("modes");
    let directory = scratch.0.join("wheel");
    let made = new("wheel", Language::Rust, &directory).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&directory), mode(&directory.join("src"))), (0o755, 0o755));
    for file in made.files {
        assert_eq!(mode(&directory.join(&file)), 0o644, "{}", file.display());
    }
}

#[test]
fn without_the_source_the_published_sdk_is_used() {
    assert_eq!(sdk(Path::new("/nowhere")), format!("{:?}", env!("CARGO_PKG_VERSION")));
    let source = sdk(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../module")));
    assert!(source.contains("path = \"/") && source.contains("version = "), "{source}");
}
