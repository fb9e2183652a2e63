//! Files that are no modules, or none for this penfold: a clear error, and nothing has changed.

use std::fs;

use penfold_core::Errno;
use penfold_module::loader::{Controller, LoadError};
use penfold_testkit::{SimWorld, TempFile, c_module};

use super::account::{Modules as _, is_mapped};

/// A file with this content.
fn file(content: &[u8]) -> TempFile {
    let object = TempFile::unmade(".so");
    fs::write(object.path(), content).unwrap();
    object
}

/// Checks that a load fails with this errno and these words, and that nothing of the file is left mapped.
fn refused(object: &TempFile, errno: Errno, words: &[&str]) {
    match Controller::open(object.path()) {
        Ok(controller) => panic!("loaded, though it should say {words:?}: {:?}", controller.description()),
        Err(error) => {
            let text = error.to_string();
            assert_eq!(error.errno(), errno, "{text}");
            assert!(text.starts_with(object.path().to_str().unwrap()), "it names the file: {text}");
            assert!(words.iter().all(|words| text.contains(words)), "{text}, where {words:?} is to be said");
        }
    }
    assert!(!is_mapped(object.path()), "{words:?}");
}

#[test]
fn files_that_are_no_modules_are_refused() {
    refused(&TempFile::unmade(".so"), Errno::ENOENT, &["can't open", "No such file"]);
    refused(&file(b""), Errno::ENOEXEC, &["not a module"]);
    refused(&file(b"#!/bin/sh\necho hello\n"), Errno::ENOEXEC, &["not a module"]);
    refused(&file(&[0x7f; 5000]), Errno::ENOEXEC, &["not a module"]);
    refused(&file(&fs::read("/bin/true").unwrap()), Errno::ENOEXEC, &["not a module"]);
    let directory = TempFile::unmade(".so");
    fs::create_dir(directory.path()).unwrap();
    refused(&directory, Errno::ENOEXEC, &["not a module"]);
    fs::remove_dir(directory.path()).unwrap();
    let other = c_module("garbage", &[("SYMBOL", "some_other_module")]);
    refused(&other, Errno::ENOEXEC, &["does not export", "penfold_module"]);
    let needs = c_module("garbage", &[("MORE", ".load = nowhere,")]);
    refused(&needs, Errno::ENOEXEC, &["undefined symbol: nowhere"]);
}

/// The linker would map a truncated file, and a read beyond its end raises SIGBUS.
#[test]
fn truncated_file_is_no_module() {
    let whole = fs::read(c_module("witness", &[]).path()).unwrap();
    for end in [1, 16, 63, 64, 100, 1000, 4096, 5000, whole.len() / 2, whole.len() * 3 / 4] {
        refused(&file(&whole[..end]), Errno::ENOEXEC, &["not a module"]);
    }
    // ELF for another machine, another class, another byte order
    for (at, value) in [(18, 0xf3), (4, 1), (5, 2)] {
        let mut other = whole.clone();
        other[at] = value;
        refused(&file(&other), Errno::ENOEXEC, &["not a module"]);
    }
    let copy = file(&whole);
    assert!(Controller::open(copy.path()).is_ok(), "and the whole is one");
}

#[test]
fn module_of_another_penfold_is_refused_with_both_versions() {
    let refused = |more: &str, words: &[&str]| {
        refused(&c_module("garbage", &[("MORE", more)]), Errno::ENOEXEC, words);
    };
    refused(".abi_version = 9,", &["version 9", "version 1", "compile it"]);
    refused(".abi_version = 0,", &["version 0", "version 1"]);
    refused(".module_size = 8,", &["penfold_module has 8 bytes in the module"]);
    refused(".file_size = 4096,", &["penfold_file has 4096 bytes in the module"]);
    refused(".rule_size = 1,", &["penfold_rule has 1 bytes"]);
    refused(".context_size = 0,", &["penfold_context has 0 bytes"]);
    refused(".services_size = 16,", &["penfold_services has 16 bytes"]);
}

#[test]
fn invalid_descriptions_are_refused() {
    let refused = |macros: &[(&str, &str)], words: &[&str]| {
        refused(&c_module("garbage", macros), Errno::EINVAL, words);
    };
    refused(&[("CREATE", "0")], &["no create, which is mandatory"]);
    refused(&[("MORE", ".destroy = 0,")], &["no destroy, which is mandatory"]);
    refused(&[("NAME", "\"\"")], &["name", "1 to 32"]);
    refused(&[("NAME", "\"a.b\"")], &["a.b", "1 to 32"]);
    refused(&[("NAME", "\"with space\"")], &["1 to 32"]);
    refused(&[("NAME", "\"n23456789012345678901234567890123\"")], &["name is too long"]);
    refused(&[("NAME", "\"\\xff\"")], &["name is not UTF-8"]);
    refused(&[("MORE", ".version = \"1\\n2\",")], &["version has control characters"]);
    refused(&[("FILES", "FILE_TEXT, FILE_TEXT")], &["two files named \"text\""]);
    refused(&[("FILES", "{ .name = \"\" }")], &["file 0", "empty"]);
    refused(&[("FILES", "{ .name = \"a/b\" }")], &["a/b"]);
    refused(&[("FILES", "{ .name = \"f\", .place = 9 }")], &["\"f\" (place) is 9"]);
    refused(&[("FILES", "{ .name = \"f\", .mode = 04755 }")], &["\"f\" (mode) is 0o4755"]);
    refused(&[("FILES", "{ .name = \"f\", .flags = 6 }")], &["\"f\" (flags) is 0x6"]);
    refused(&[("FILES", "{ .name = \"f\", .max_write = 1u << 30 }")], &["\"f\" (max_write)"]);
    let two = "{ .name = \"f\", .read_u64 = none_read, .read_text = text_read }";
    refused(&[("FILES", two)], &["\"f\" has 2 handlers to read"]);
    refused(&[("COUNT", "1"), ("TABLE", "0")], &["has 1 files", "NULL"]);
    refused(&[("COUNT", "1"), ("TABLE", "unaligned.files")], &["not aligned"]);
    refused(&[("COUNT", "4000000000u")], &["number of files is 4000000000"]);
    refused(&[("MORE", ".rule_count = 3,")], &["has 3 rules", "NULL"]);
    refused(&[("MORE", ".refusing_file = \"max\",")], &["refusing_file names the file \"max\""]);
}

/// Only an engine can find these faults. The module is loaded by then, and is unloaded at once.
#[test]
fn engine_refuses_names_and_files_that_clash() {
    let mut world = SimWorld::new();
    let taken = c_module("witness", &[]);
    world.load_file(taken.path());
    let task = world.spawn();
    let before = (world.engine.proc_cgroups(), world.engine.event_mask());
    let procs = "{ .name = \"procs\", .read_text = text_read }";
    for (macros, errno, words) in [
        (vec![("NAME", "\"witness\"")], Errno::EEXIST, "a subsystem of this name is loaded"),
        (vec![("NAME", "\"none\"")], Errno::EINVAL, "the name is a mount option"),
        (vec![("NAME", "\"release_agent\"")], Errno::EINVAL, "the name is a mount option"),
        (vec![("NAME", "\"cgroup\""), ("FILES", procs)], Errno::EINVAL, "clashes"),
    ] {
        let object = c_module("garbage", &macros);
        let loaded = world.try_load(Controller::open(object.path()).unwrap());
        let refused = world.last_error();
        assert_eq!(loaded, Err(errno), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
        assert!(!is_mapped(object.path()));
        assert_eq!(before, (world.engine.proc_cgroups(), world.engine.event_mask()));
        let child = world.fork(task);
        world.exit(child);
    }
    world.unload("witness");
}

/// The number that `load` returns is an errno, or the error says that it is none.
#[test]
fn answer_of_load_that_is_no_errno_is_named() {
    for (answer, errno, words) in [
        ("-ENOMEM", Errno::ENOMEM, "load failed: Cannot allocate memory"),
        ("7", Errno::EIO, "it answered 7, which is neither 0 nor a negative errno"),
        ("-100000", Errno::EIO, "it answered -100000"),
        ("(-2147483647 - 1)", Errno::EIO, "it answered -2147483648"),
    ] {
        let object = c_module("witness", &[("REFUSE", answer)]);
        let Err(error) = Controller::open(object.path()) else { panic!("loaded") };
        assert!(matches!(error, LoadError::Refused { .. }) && error.errno() == errno, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!is_mapped(object.path()));
    }
}
