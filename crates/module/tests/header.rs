//! `penfold.h` has the structures and constants of `abi.rs`, and compiles without a warning.

use std::fs;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

use penfold_module::abi;
use penfold_testkit::{TempFile, skip};

/// One line for each fact: the name in C, and numbers.
type LayoutFacts = Vec<String>;

fn size_of_member<T, M>(_: fn(&T) -> &M) -> usize {
    size_of::<M>()
}

/// The layout of the structures in Rust, and the lines of C that print it. A member left out does not compile.
macro_rules! structures {
    ($($c:literal $rust:ident { $($member:ident),* })*) => {
        fn structures() -> (LayoutFacts, String) {
            let (mut facts, mut c) = (LayoutFacts::new(), String::new());
            $(
                let _ = |all: &abi::$rust| { let abi::$rust { $($member: _),* } = all; };
                facts.push(format!(concat!("struct ", $c, " {}"), size_of::<abi::$rust>()));
                c += &format!("SIZE({});\n", $c);
                $(
                    let size = size_of_member(|it: &abi::$rust| &it.$member);
                    let offset = offset_of!(abi::$rust, $member);
                    facts.push(format!(concat!($c, ".", stringify!($member), " {} {}"), offset, size));
                    c += &format!("MEMBER({}, {});\n", $c, stringify!($member));
                )*
            )*
            (facts, c)
        }
    };
}

structures! {
    "penfold_context" RawContext { services, engine, module, state, css, file, private_value }
    "penfold_migration" RawMigration { task, from, to }
    "penfold_file" RawFile {
        name, mode, place, max_write, flags, private_value, read_u64, read_s64, read_map, read_text, write_u64,
        write_s64, write_text, trigger
    }
    "penfold_rule" RawRule { resource, refusal, limit_file }
    "penfold_module" RawModule {
        abi_version, module_size, file_size, rule_size, context_size, services_size, name, version, summary,
        refusing_file, files, file_count, rule_count, rules, load, unload, create, destroy, pre_destroy, can_attach,
        cancel_attach, attach, can_fork, cancel_fork, fork, exit, post_clone, bind
    }
    "penfold_counter" RawCounter { usage, limit, peak, failures, refused }
    "penfold_cpu_time" RawCpuTime { user, system }
    "penfold_caller" RawCaller { task, uid, gid, umask, privileged }
    "penfold_task_facts" RawTaskFacts { group, real_uid, saved_uid, movable, exiting, forking }
    "penfold_services" RawServices {
        state, parent, children, tasks, has_tasks, path, hierarchy_flags, counter, set_limit, reset_peak,
        set_refusing, cpu_usage, reset_cpu_usage, caller, caller_groups, require, task, threads, now, cpus,
        memory_nodes, cpu_limit, node_limit, set_affinity, set_memory_nodes, freeze, thaw, is_frozen,
        set_socket_class, signal, put, put_line, explain, log, failed
    }
}

/// The constants in Rust, and the lines of C that print them.
macro_rules! constants {
    ($($name:ident)*) => {
        fn constants() -> (LayoutFacts, String) {
            let facts = vec![$(format!("{} {}", stringify!($name), abi::$name)),*];
            let c = [$(concat!("CONSTANT(", stringify!($name), ");\n")),*].concat();
            (facts, c)
        }
    };
}

constants! {
    ABI_VERSION NAME_SIZE VERSION_SIZE SUMMARY_SIZE FILE_NAME_SIZE NO_CSS UNLIMITED EVERYWHERE ROOT_ONLY NOT_ON_ROOT
    FILE_COUNTS TASKS FORKS CPU_TIME SOCKETS NEED_FORK_VETO NEED_AFFINITY NEED_MEMORY_NODES NEED_FREEZE
    NEED_SOCKET_CLASS
}

const PRINT: &str = r#"
#include "penfold.h"
#define SIZE(type) printf("struct %s %zu\n", #type, sizeof(struct type))
#define MEMBER(type, member) \
    printf("%s.%s %zu %zu\n", #type, #member, offsetof(struct type, member), sizeof ((struct type *)0)->member)
#define CONSTANT(name) printf("%s %llu\n", #name, (unsigned long long)PENFOLD_##name)
int main(void) {
"#;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a compiler with every warning as an error. Without the compiler: prints that and returns `None`.
fn compile(compiler: &str, standard: &str, arguments: &[&Path]) -> Option<()> {
    let mut command = Command::new(compiler);
    command.arg(standard).args(["-Wall", "-Wextra", "-pedantic", "-Werror", "-I"]).arg(here("include"));
    match command.args(arguments).output() {
        Ok(output) if output.status.success() => Some(()),
        Ok(output) => panic!("{command:?}:\n{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => {
            skip(&format!("{compiler}: {error}"));
            None
        }
    }
}

/// Compiles a program in C, runs it and returns its output.
fn run(name: &str, source: &Path) -> Option<String> {
    let program = TempFile::unmade("");
    compile("cc", "-std=c99", &[source, Path::new("-o"), &program])?;
    let output = Command::new(program.path()).output().expect("run it");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("prints ASCII"))
}

#[test]
fn layouts_and_constants_are_those_of_abi_rs() {
    let (structures, print_structures) = structures();
    let (constants, print_constants) = constants();
    let declared =
        include_str!("../src/abi.rs").lines().filter(|line| line.starts_with("pub const ")).count();
    assert_eq!(constants.len(), declared - 1, "all constants but SYMBOL, which C does not need");
    let source = TempFile::unmade(".c");
    fs::write(&source, format!("{PRINT}{print_structures}{print_constants}return 0; }}\n"))
        .expect("write it");
    let printed = run("layout", &source);
    let Some(printed) = printed else { return };
    let of_c: LayoutFacts = printed.lines().map(String::from).collect();
    assert_eq!(of_c, [structures, constants].concat());
}

#[test]
fn helpers_pass_formatted_text_to_services() {
    run("helpers", &here("tests/c/helpers.c"));
}

#[test]
fn module_compiles_without_warnings_as_c_and_cplusplus() {
    let only_look = Path::new("-fsyntax-only");
    // Designated initializers need C++20; the header itself does not. g++ wants every member named, gcc does not.
    let not_all_named = Path::new("-Wno-missing-field-initializers");
    for module in [here("tests/c/module.c"), here("tests/c/example.c")] {
        compile("gcc", "-std=c99", &[only_look, &module]);
        compile("gcc", "-std=c17", &[only_look, &module]);
        compile("g++", "-std=c++20", &[only_look, not_all_named, Path::new("-xc++"), &module]);
    }
    compile("g++", "-std=c++11", &[only_look, Path::new("-xc++"), &here("tests/c/helpers.c")]);
}
