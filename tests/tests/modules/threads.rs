//! Load and unload among ten thousand real tasks.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use penfold_core::Errno;
use penfold_testkit::{CProgram, TempFile, c_module};

use super::hosted::ModuleHost;

const THREADS: u64 = 10_000;

const SLEEPERS: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void *sleeper(void *it) { for (;;) pause(); return it; }
int main(int count, char **words)
{
    pthread_attr_t attributes;
    pthread_t thread;
    FILE *ready;
    (void)count;
    alarm(120);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 16384);
    for (long made = atol(words[1]); made > 0; made--)
        if (pthread_create(&thread, &attributes, sleeper, 0))
            return 1;
    ready = fopen(words[2], "w");
    fputs("ready\n", ready);
    fclose(ready);
    for (;;)
        pause();
}
"#;

/// The callback is called once for each task. An unbound module is unloaded at once; a bound one stays, and its holder
/// is named.
#[test]
fn load_and_unload_among_ten_thousand_threads() {
    let (sleepers, file) = (
        CProgram::compile_static(SLEEPERS),
        c_module("witness", &[("FORKS", ""), ("EXITS", ""), ("RULE", "")]),
    );
    let hosted = ModuleHost::start();
    let fifo = TempFile::unmade(".fifo");
    nix::unistd::mkfifo(fifo.path(), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let words = [sleepers.path(), &THREADS.to_string(), fifo.path().to_str().unwrap()];
    let running = hosted.exec(None, &words);
    let mut line = String::new();
    BufReader::new(std::fs::File::open(fifo.path()).unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n", "ten thousand threads can be made here");
    for round in 0..3 {
        let began = Instant::now();
        hosted.load(file.path());
        let loaded = began.elapsed();
        // the work for each thread must not be repeated for all others: that once took 46 s
        assert!(loaded < Duration::from_secs(10), "{loaded:?}");
        let top = hosted.mount("witness,name=holder");
        let (told, here) = hosted.account(top);
        assert_eq!((told["forks"], told["exits"], here["tasks"]), (THREADS + 1, 0, THREADS + 1));
        let busy = hosted.unload("witness").expect_err("it is bound");
        assert_eq!(busy.errno(), Errno::EBUSY);
        assert!(busy.to_string().contains("(with name=holder)"), "{busy}");
        let child = hosted.mkdir(top, "child");
        hosted.unmount(top);
        let busy = hosted.unload("witness").expect_err("it is held");
        assert!(busy.to_string().contains("unmounted but with children"), "{busy}");
        hosted.rmdir(child);
        let began = Instant::now();
        hosted.unload("witness").expect("nothing holds it");
        println!("round {round}: load {loaded:?}, unload {:?}", began.elapsed());
        let rows = hosted.with(|engine, _| engine.proc_cgroups().lines().count());
        assert_eq!(rows, 1, "the header");
    }
    running.kill(Signal::SIGKILL as i32).expect("it runs");
    running.wait().expect("it ends");
    let sets = hosted.with(|engine, _| engine.css_set_count());
    assert_eq!(sets, 1);
}
