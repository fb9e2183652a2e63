//! What is not a module, or not one for this penfold: a clear error, and nothing has changed.

use std::fs;

use penfold_core::Errno;
use penfold_module::loader::{Controller, LoadError};

use super::compile::{Object, module, scratch};
use super::world::{World, is_mapped};

/// A file with this content.
fn file(content: &[u8]) -> Object {
    let object = scratch(".so");
    fs::write(object.path(), content).unwrap();
    object
}

/// It is refused with this errno and in these words, and nothing of it is left.
fn refused(object: &Object, errno: Errno, words: &[&str]) {
    match Controller::open(object.path()) {
        Ok(controller) => panic!("loaded, though it should say {words:?}: {:?}", controller.info()),
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
fn files_that_are_no_modules() {
    refused(&scratch(".so"), Errno::ENOENT, &["can't open", "No such file"]);
    refused(&file(b""), Errno::ENOEXEC, &["not a module"]);
    refused(&file(b"#!/bin/sh\necho hello\n"), Errno::ENOEXEC, &["not a module"]);
    refused(&file(&[0x7f; 5000]), Errno::ENOEXEC, &["not a module"]);
    refused(&file(&fs::read("/bin/true").unwrap()), Errno::ENOEXEC, &["not a module"]);
    let directory = scratch(".so");
    fs::create_dir(directory.path()).unwrap();
    refused(&directory, Errno::ENOEXEC, &["not a module"]);
    fs::remove_dir(directory.path()).unwrap();
    let other = module("garbage", &[("SYMBOL", "some_other_module")]);
    refused(&other, Errno::ENOEXEC, &["does not export", "penfold_module"]);
    let needs = module("garbage", &[("MORE", ".load = nowhere,")]);
    refused(&needs, Errno::ENOEXEC, &["undefined symbol: nowhere"]);
}

/// A file that is cut off would be mapped, and whoever looks behind its end dies of SIGBUS.
#[test]
fn a_file_that_is_cut_off_anywhere_is_no_module() {
    let whole = fs::read(module("witness", &[]).path()).unwrap();
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
fn a_module_of_another_penfold_is_told_both_versions() {
    let refused = |more: &str, words: &[&str]| {
        refused(&module("garbage", &[("MORE", more)]), Errno::ENOEXEC, words);
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
fn descriptions_that_make_no_sense() {
    let refused = |macros: &[(&str, &str)], words: &[&str]| {
        refused(&module("garbage", macros), Errno::EINVAL, words);
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

/// What only an engine can tell: the module is known by then, and it is unloaded at once.
#[test]
fn an_engine_refuses_names_and_files_that_clash() {
    let mut world = World::new();
    let taken = module("witness", &[]);
    world.load(taken.path());
    let task = world.spawn();
    let before = (world.engine.proc_cgroups(), world.engine.interest());
    let procs = "{ .name = \"procs\", .read_text = text_read }";
    for (macros, errno, words) in [
        (vec![("NAME", "\"witness\"")], Errno::EEXIST, "a subsystem of this name is loaded"),
        (vec![("NAME", "\"none\"")], Errno::EINVAL, "the name is a mount option"),
        (vec![("NAME", "\"release_agent\"")], Errno::EINVAL, "the name is a mount option"),
        (vec![("NAME", "\"cgroup\""), ("FILES", procs)], Errno::EINVAL, "clashes"),
    ] {
        let object = module("garbage", &macros);
        let controller = Controller::open(object.path()).unwrap();
        let refused = world.engine.load(&mut world.host, controller).unwrap_err();
        assert_eq!(refused.errno(), errno, "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
        assert!(!is_mapped(object.path()));
        assert_eq!(before, (world.engine.proc_cgroups(), world.engine.interest()));
        let child = world.fork(task).unwrap();
        world.exit(child);
    }
    world.unload("witness").unwrap();
}

/// What a load answers is an errno, or it is said that it is none.
#[test]
fn a_load_that_answers_garbage_says_so() {
    for (answer, errno, words) in [
        ("-ENOMEM", Errno::ENOMEM, "load failed: Cannot allocate memory"),
        ("7", Errno::EIO, "it answered 7, which is neither 0 nor a negative errno"),
        ("-100000", Errno::EIO, "it answered -100000"),
        ("(-2147483647 - 1)", Errno::EIO, "it answered -2147483648"),
    ] {
        let object = module("witness", &[("REFUSE", answer)]);
        let Err(error) = Controller::open(object.path()) else { panic!("loaded") };
        assert!(matches!(error, LoadError::Refused { .. }) && error.errno() == errno, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!is_mapped(object.path()));
    }
}
