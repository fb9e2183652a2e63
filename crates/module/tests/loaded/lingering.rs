//! Modules that leave something behind: a destructor for the end of a thread, a context that is kept.

use std::fs;
use std::thread;

use penfold_module::loader::{Controller, LingeringModule, ModuleFile, still_mapped};
use penfold_testkit::{SimWorld, TempFile, c_module};

use super::account::{Modules as _, is_mapped};
use super::logged;

/// The module, and the file that the module writes to.
fn lingering(name: &str, macros: &[(&str, &str)]) -> (TempFile, TempFile) {
    let log = TempFile::unmade(".log");
    let (name, path) = (format!("{name:?}"), format!("\"{}\"", log.path().display()));
    let macros: Vec<_> = macros.iter().copied().chain([("NAME", &*name), ("LOG", &*path)]).collect();
    (c_module("lingering", &macros), log)
}

fn still(name: &str) -> Vec<LingeringModule> {
    still_mapped().into_iter().filter(|one| one.name == name).collect()
}

/// Loads the module, sets its value on this thread, and unloads it.
fn live(file: &TempFile, name: &str, value: &str) {
    let mut world = SimWorld::new();
    world.load_file(file.path());
    let top = world.mount(name);
    assert_eq!(world.read(top, &format!("{name}.value")), "1\n", "it starts from its defaults");
    world.write(top, &format!("{name}.value"), value);
    world.unmount(top);
    world.unload(name);
}

fn lines(log: &TempFile, about: &str) -> Vec<String> {
    let text = fs::read_to_string(log.path()).unwrap_or_default();
    text.lines().filter(|line| line.starts_with(about)).map(str::to_owned).collect()
}

#[test]
fn copy_pinned_by_a_thread_local_is_never_met_again() {
    let (file, log) = lingering("local", &[("LOCAL", "")]);
    let logged_lines = thread::scope(|threads| {
        let user = threads.spawn(|| {
            let logged_lines = logged::during(|| live(&file, "local", "7"));
            assert_eq!(still("local").len(), 1);
            assert!(is_mapped(file.path()));
            // the next load starts anew, beside the first copy
            live(&file, "local", "8");
            assert_eq!(still("local").len(), 2);
            assert!(lines(&log, "destroyed").is_empty());
            logged_lines
        });
        user.join().unwrap()
    });
    let about = |line: &String| line.contains("stays mapped after its unload") && line.contains("local");
    assert_eq!(logged_lines.iter().filter(|line| about(line)).count(), 1, "{logged_lines:?}");
    // the thread has ended, and its destructors have run while their code was mapped
    assert_eq!(lines(&log, "destroyed"), ["destroyed 8", "destroyed 7"]);
    assert_eq!(still("local"), []);
    assert!(!is_mapped(file.path()));
}

#[test]
fn module_whose_key_outlives_it_stays_mapped() {
    let (file, log) = lingering("key", &[("KEY", "")]);
    let user = || {
        live(&file, "key", "7");
        let [still] = &*still("key") else { panic!("one stays mapped") };
        assert_eq!(still.path, file.path());
        assert!(still.reason.contains("pthread key"), "{still:?}");
    };
    thread::scope(|threads| threads.spawn(user).join().unwrap());
    assert_eq!(lines(&log, "destroyed"), ["destroyed 7"], "its code was there");
    assert!(is_mapped(file.path()));
    assert_eq!(still("key").len(), 1);
}

#[test]
fn module_that_deletes_its_key_is_unmapped() {
    let (file, log) = lingering("deleted", &[("KEY", ""), ("DELETE", "")]);
    thread::scope(|threads| threads.spawn(|| live(&file, "deleted", "7")).join().unwrap());
    assert_eq!(still("deleted"), []);
    assert!(!is_mapped(file.path()));
    assert!(lines(&log, "destroyed").is_empty());
}

/// Between the check of a file and its load there is no moment at which another file could take its place.
#[test]
fn loaded_bytes_are_those_that_were_read() {
    let (file, _log) = lingering("read", &[]);
    let (other, _log) = lingering("other", &[]);
    let read = ModuleFile::read(file.path()).unwrap();
    fs::copy(other.path(), file.path()).unwrap();
    assert_eq!(read.description().unwrap().name, "read");
    let controller = Controller::load(read).unwrap();
    assert_eq!(controller.description().name, "read");
    // a change while the module is loaded has no effect either
    fs::write(file.path(), "garbage").unwrap();
    let mut world = SimWorld::new();
    world.load(controller);
    let top = world.mount("read");
    assert_eq!(world.read(top, "read.value"), "1\n");
}

/// A module may keep a context by mistake. A service that is called with it outside of a callback refuses.
#[test]
fn services_refuse_outside_of_a_callback() {
    let (file, log) = lingering("kept", &[]);
    live(&file, "kept", "7");
    assert_eq!(
        (lines(&log, "now"), lines(&log, "refusing")),
        (vec!["now 0".into()], vec!["refusing 14".into()])
    );
}

#[test]
fn services_refuse_on_a_thread_that_runs_no_callback() {
    let (file, _log) = lingering("threads", &[]);
    let mut world = SimWorld::new();
    world.host.clock = 5;
    world.load_file(file.path());
    let top = world.mount("threads");
    assert_eq!(world.read(top, "threads.thread"), "refused, served");
}
