//! A parallel build, penfold's main use: capped, pinned and accounted, without privilege.

mod common;

use std::fmt::Write as _;
use std::path::Path;

use common::{FinishedRun, TestRun, TestUser, penfold};
use penfold_testkit::{is_root, needs, skip};

const FILES: usize = 40;

/// A project of many small C files that each take a moment to compile.
fn generate(directory: &Path) {
    let mut makefile = "CFLAGS = -O1\nprogram:".to_owned();
    let mut main = "int main(void) { int sum = 0;\n".to_owned();
    for file in 0..FILES {
        let source =
            format!("#include <stdio.h>\n#include <stdlib.h>\nint f{file}(int x) {{ return x + {file}; }}\n");
        std::fs::write(directory.join(format!("f{file}.c")), source).expect("write a source file");
        write!(makefile, " f{file}.o").unwrap();
        writeln!(main, "  int f{file}(int); sum += f{file}(1);").unwrap();
    }
    let total: usize = (0..FILES).map(|file| file + 1).sum();
    write!(main, "  return sum == {total} ? 0 : 1; }}").unwrap();
    std::fs::write(directory.join("main.c"), main).expect("write main");
    makefile.push_str(" main.o\n\tcc -o $@ $^\n");
    std::fs::write(directory.join("Makefile"), makefile).expect("write the makefile");
}

#[test]
fn parallel_build_is_capped_pinned_and_accounted() {
    needs!("make", "cc", "setpriv");
    if !is_root() {
        return skip("only root can become another user");
    }
    let script = "cd $OUT && make -s -j8 && ./program && echo built";
    let run =
        penfold(&["pids.max=40", "cpuset.cpus=0"], &["sh", "-c", script]).user(TestUser::Nobody).limit(120);
    let scratch = run.scratch();
    generate(&scratch);
    let ended = run.env("OUT", &scratch).run().succeeded();
    assert_eq!(ended.stdout, "built\n");
    // make, eight times sh or cc with cc1, as and the linker's helpers
    let peak = ended.number("tasks_peak");
    assert!((10..=40).contains(&peak), "{peak}");
    assert_eq!(ended.number("forks_refused"), 0);
    assert!(ended.number("tasks_created") as usize > 3 * FILES, "cc, cc1 and as for each file");
    let (user, system) = ended.times();
    assert!(user > 0.3 && system > 0.05, "{user} s user, {system} s system");
    assert!(ended.stderr.contains(&format!("{user:.2} s user, {system:.2} s system")), "{}", ended.stderr);
    // on one CPU there is no more CPU time than wall time
    assert!(user + system <= ended.json()["wall_seconds"].as_f64().unwrap() * 1.02);
    let percpu = ended.file("cpuacct.usage_percpu");
    assert!(percpu.split_whitespace().skip(1).all(|time| time == "0"), "{percpu}");
}

/// Eight recipes that make starts itself, without a shell.
const MAKEFILE: &str = "all: 1 2 3 4 5 6 7 8\n1 2 3 4 5 6 7 8:\n\t@sleep 1\n";

#[test]
fn make_at_the_limit_fails_as_at_the_kernels_limit() {
    needs!("make", "prlimit", "setpriv");
    if !is_root() {
        return skip("only root can become a user that has no other process");
    }
    let told = |ended: &FinishedRun| {
        let lines = ended.stderr.lines().filter(|line| line.starts_with("make"));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        (ended.code(), lines)
    };
    let makefile = |run: &TestRun| {
        std::fs::write(run.scratch().join("Makefile"), MAKEFILE).expect("write the makefile");
        run.scratch()
    };
    // the kernel's own limit, for a user that no other test has: make and three children
    let own = 1_000_000 + std::process::id();
    let words = format!("setpriv --reuid={own} --regid={own} --clear-groups prlimit --nproc=4 make -j8 -C");
    let run = TestRun::new(words.split(' '));
    let directory = makefile(&run);
    let bare = told(&run.word(directory).run());
    assert!(
        bare.0 == 2 && bare.1.iter().any(|line| line.contains("Resource temporarily unavailable")),
        "{bare:?}"
    );

    let run = penfold(&["pids.max=4"], &["make", "-j8", "-C"]).user(TestUser::Nobody);
    let directory = makefile(&run);
    let ended = run.word(directory).run().clean();
    let without_directory = |(code, lines): (i32, Vec<String>)| {
        (code, lines.into_iter().filter(|line| !line.contains("directory")).collect::<Vec<_>>())
    };
    assert_eq!(without_directory(told(&ended)), without_directory(bare));
    assert!(ended.stderr.contains("  limit  pids.max=4 refused "), "{}", ended.stderr);
    assert_eq!((ended.number("tasks_peak"), ended.file("pids.current")), (4, "0".to_owned()));
}
