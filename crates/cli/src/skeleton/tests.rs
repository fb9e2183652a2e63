//! The files of a skeleton, their place, and the names that are refused. `tests/skeleton.rs` runs the printed commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use penfold_core::Errno;
use penfold_module::loader::Controller;
use penfold_testkit::{SimWorld, TempDir, skip};

use super::{Language, new, sdk};

/// An empty directory beside the test program, where the loader trusts the modules that are built in it.
fn skeleton_dir() -> TempDir {
    let tests = std::env::current_exe().expect("this program");
    TempDir::below(tests.parent().expect("it is in a directory"))
}

/// Loads a module and uses the files that every skeleton has.
fn use_it(module: &Path, name: &str) {
    let mut world = SimWorld::with_controller(Controller::open(module).unwrap());
    let parent = world.mkdir(world.top, "parent");
    let (value, born) = (format!("{name}.value"), format!("{name}.born"));
    world.write(parent, &value, "42\n");
    assert_eq!(world.try_write(parent, &value, "101\n"), Err(Errno::EINVAL));
    assert_eq!(world.last_error().to_string(), format!("{name}.value: takes a number from 0 to 100"));
    let child = world.mkdir(parent, "child");
    assert_eq!(world.read(child, &value), "42\n");
    let task = world.spawn_in(child);
    world.fork(task);
    assert_eq!(world.read(child, &born), "1\n");
    world.write(child, &born, "0\n");
    assert_eq!(world.read(child, &born), "0\n");
}

#[test]
fn the_skeleton_in_c_does_what_its_manual_says() {
    let scratch = skeleton_dir();
    let directory = scratch.join("my-wheel");
    new("my-wheel", Language::C, &directory).unwrap();
    match Command::new("make").current_dir(&directory).output() {
        Ok(made) if made.status.success() => use_it(&directory.join("my-wheel.so"), "my-wheel"),
        Ok(made) => panic!("make: {}", String::from_utf8_lossy(&made.stderr)),
        Err(error) => skip(&format!("make: {error}")),
    }
}

#[test]
fn name_that_can_not_be_loaded_is_refused() {
    let scratch = skeleton_dir();
    let directory = scratch.join("new");
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
    let scratch = skeleton_dir();
    let failure = new("wheel", Language::Rust, scratch.path()).unwrap_err();
    assert!(failure.detail.contains("File exists"), "{failure}");
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
}

#[test]
fn other_users_can_not_write_the_skeleton() {
    let scratch = skeleton_dir();
    let directory = scratch.join("wheel");
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
