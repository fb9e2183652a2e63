//! Unload against fork, exit, attach and read, from several threads at once, with real modules.
//!
//! The engine is behind one lock, as everywhere, and callbacks run on the thread that has the lock. So the linker maps
//! and unmaps while other threads call, and each callback finds the state that another thread has left.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use penfold_core::{CgroupId, Errno, Tid, control_file::FileId};
use penfold_module::loader::Controller;
use penfold_testkit::{SimWorld, c_module};

use super::account::{Modules as _, is_mapped};

const ROUNDS: usize = 200;

struct Shared {
    world: Mutex<SimWorld>,
    ends: AtomicBool,
    /// The number of operations of all threads, which shows that they make progress.
    done: AtomicU64,
}

fn every_now(shared: &Arc<Shared>, mut act: impl FnMut(&mut SimWorld) + Send + 'static) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        while !shared.ends.load(Ordering::Relaxed) {
            act(&mut shared.world.lock().expect("no thread has panicked"));
            shared.done.fetch_add(1, Ordering::Relaxed);
            thread::yield_now();
        }
    })
}

/// Checks the module's counts: forks without exits are the living tasks.
fn check(world: &mut SimWorld, top: CgroupId) {
    let told = world.sound_account(top, "witness");
    assert_eq!(told["forks"] - told["exits"], world.host.tids().len() as u64);
    let usage = world.read(top, "witness.usage");
    assert_eq!(usage, format!("{}\n", world.host.tids().len()));
}

#[test]
fn unload_races_with_forks_exits_attaches_and_reads() {
    let macros =
        [("FORKS", ""), ("EXITS", ""), ("VETO", ""), ("MOVES", ""), ("KEEP", ""), ("BIND", ""), ("RULE", "")];
    let file = c_module("witness", &macros);
    let mut world = SimWorld::new();
    let elsewhere = world.mount("none,name=elsewhere");
    let groups: Vec<CgroupId> = (0..8).map(|g| world.mkdir(elsewhere, format!("g{g}"))).collect();
    let top = world.mount("none,name=here");
    for _ in 0..200 {
        world.spawn();
    }
    let shared =
        Arc::new(Shared { world: Mutex::new(world), ends: AtomicBool::new(false), done: AtomicU64::new(0) });
    let nth = |world: &SimWorld, number: usize| -> Tid {
        let tasks = world.host.tids();
        tasks[number % tasks.len()]
    };
    let (mut forks, mut exits, mut moves) = (0, 0, 0);
    let threads = [
        every_now(&shared, move |world| {
            forks += 1;
            if world.host.tids().len() < 400 {
                let parent = nth(world, forks * 7);
                world.fork(parent);
            }
        }),
        every_now(&shared, move |world| {
            exits += 1;
            if world.host.tids().len() > 200 {
                let task = nth(world, exits * 13);
                world.exit(task);
            }
        }),
        every_now(&shared, move |world| {
            moves += 1;
            let task = nth(world, moves * 5);
            world.attach(groups[moves % groups.len()], task);
        }),
        {
            // keeps the files that it has opened, over loads and unloads
            let mut opened: Vec<FileId> = Vec::new();
            every_now(&shared, move |world| {
                if let Some(file) = world.engine.find_file(top, "witness.told")
                    && !opened.contains(&file)
                {
                    opened.push(file);
                }
                let live = world.engine.find_file(top, "witness.told");
                for &file in opened.iter().rev().take(3) {
                    match world.try_read_opened(top, file) {
                        Ok(text) => assert!(live == Some(file) && text.starts_with(b"states ")),
                        Err(errno) => assert!(live != Some(file) && errno == Errno::ENODEV, "{errno}"),
                    }
                }
            })
        },
    ];
    for round in 0..ROUNDS {
        let controller = Controller::open(file.path()).unwrap();
        let lock = || shared.world.lock().expect("no thread has panicked");
        lock().load(controller);
        thread::yield_now();
        let seen = shared.done.load(Ordering::Relaxed);
        {
            let mut world = lock();
            world.remount(top, "witness");
            check(&mut world, top);
        }
        // some of the other threads get their turn while the module is bound
        while shared.done.load(Ordering::Relaxed) < seen + 20 {
            thread::yield_now();
        }
        {
            let mut world = lock();
            check(&mut world, top);
            assert_eq!(world.try_unload("witness"), Err(Errno::EBUSY));
            world.remount(top, "name=here");
        }
        thread::yield_now();
        lock().try_unload("witness").unwrap_or_else(|errno| panic!("round {round}: {errno}"));
        assert!(!is_mapped(file.path()));
    }
    shared.ends.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("no thread has panicked");
    }
}
