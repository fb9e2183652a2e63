//! Boots the toy kernel, runs a fork bomb and two honest programs in it, and prints their measured use.

use penfold_core::{Error, Tid};
use toy_kernel::{TICK, TaskProgram, ToyKernel};

fn main() -> Result<(), Error> {
    let mut kernel = ToyKernel::boot(100)?;
    let init = Tid(1);
    println!("booted: 100 page frames, one tick is {TICK} ns");

    let top = kernel.mount("pids,budget")?;
    let (calm, wild) = (kernel.mkdir(top, "calm")?, kernel.mkdir(top, "wild")?);
    kernel.write(wild, "pids.max", "5")?;
    kernel.write(calm, "budget.planned", &(25 * TICK).to_string())?;

    // Task 1 moves into a cgroup and forks there: a child is in the cgroups of its parent.
    for (cgroup, program) in [
        (wild, TaskProgram::ForkBomb),
        (calm, TaskProgram::Spin { ticks: 20 }),
        (calm, TaskProgram::Spin { ticks: 10 }),
    ] {
        kernel.write(cgroup, "tasks", "1")?;
        let child = kernel.fork(init, program)?;
        print!("task {child} runs {program:?}, /proc/{child}/cgroup: {}", kernel.proc_cgroup(child));
    }
    kernel.write(top, "tasks", "1")?;

    let mut ticks = 0;
    while ticks < 200 && kernel.tick() {
        ticks += 1;
    }
    println!("after {ticks} ticks:");
    for (name, cgroup) in [("/", top), ("/calm", calm), ("/wild", wild)] {
        let mut value = |file: &str| kernel.read(cgroup, file).map(|text| text.trim_end().to_owned());
        let (tasks, used, over) = (value("tasks")?, value("budget.used")?, value("budget.over")?);
        println!("{name}: tasks [{}], {used} ns used, {over} ns over plan", tasks.replace('\n', " "));
    }
    let (now, events) = (kernel.read(wild, "pids.current")?, kernel.read(wild, "pids.events")?);
    println!("/wild: {} tasks of 5, forks refused: {}", now.trim_end(), events.trim_end());

    println!("killed {} tasks of /wild", kernel.kill_all(wild));
    kernel.rmdir(wild)?;
    println!("{} page frames are free again", kernel.free_frames());
    Ok(())
}
