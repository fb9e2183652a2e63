//! The transcript says what is true, and the kernel keeps its books.

use std::process::Command;

use penfold_core::{Errno, Tid};
use toy_kernel::{TICK, TaskProgram, ToyKernel};

#[test]
fn transcript_agrees_with_the_kernels_books() {
    let output = Command::new(env!("CARGO_BIN_EXE_toy-kernel")).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap_or_default();
    // Numbers in a line after its name.
    let numbers = |start: &str| -> Vec<u64> {
        line(start)[start.len()..]
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|word| word.parse().ok())
            .collect()
    };
    assert_eq!(line("task 2"), "task 2 runs ForkBomb, /proc/2/cgroup: 1:pids,budget:/wild");
    let [ticks] = numbers("after ")[..] else { panic!("{text}") };
    let [1, total, 0] = numbers("/: tasks ")[..] else { panic!("only init is in the root: {text}") };
    let [calm, over] = numbers("/calm: tasks ")[..] else { panic!("nobody is left: {text}") };
    let [.., wild, 0] = numbers("/wild: tasks ")[..] else { panic!("{text}") };
    assert_eq!(total, ticks * TICK, "every tick was charged to somebody");
    assert_eq!(calm + wild, total, "and the tree adds up");
    assert_eq!((calm, over), (30 * TICK, 5 * TICK), "two programs of 20 and 10 ticks, 25 planned");
    // The bomb and its children forked on every tick of theirs, and four times it worked.
    assert_eq!(
        line("/wild: 5 tasks"),
        format!("/wild: 5 tasks of 5, forks refused: max {}", wild / TICK - 4)
    );
    assert_eq!(line("killed"), "killed 5 tasks of /wild");
    assert_eq!(line("100 page"), "100 page frames are free again");
}

/// A fork that fails after it was charged: the dropped guard gives the charge back.
#[test]
fn failed_fork_gives_its_charge_back() {
    let mut kernel = ToyKernel::boot(1).unwrap();
    let top = kernel.mount("pids").unwrap();
    let group = kernel.mkdir(top, "g").unwrap();
    kernel.write(group, "pids.max", "2").unwrap();
    kernel.write(group, "tasks", "1").unwrap();
    let child = kernel.fork(Tid(1), TaskProgram::Spin { ticks: 1 }).unwrap();
    assert_eq!(kernel.fork(Tid(1), TaskProgram::Idle).unwrap_err().errno(), Errno::EAGAIN);
    kernel.write(group, "pids.max", "3").unwrap();
    for _ in 0..3 {
        assert_eq!(kernel.fork(Tid(1), TaskProgram::Idle).unwrap_err().errno(), Errno::ENOMEM);
        assert_eq!(kernel.read(group, "pids.current").unwrap(), "2\n");
    }
    kernel.exit(child);
    assert!(kernel.fork(Tid(1), TaskProgram::Idle).is_ok());
    assert_eq!(kernel.rmdir(group).unwrap_err().errno(), Errno::EBUSY);
}
