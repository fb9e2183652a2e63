//! A module with fork and exit callbacks that is loaded among processes that fork and die all the time.
//!
//! Its callbacks are called exactly once for each task that exists, for each fork and for each exit.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use penfold_testkit::{CProgram, c_module, wait_for};

use super::hosted::{ModuleHost, account};

/// Processes that become parents at once, children by fork, vfork and clone, threads, grandchildren that outlive their
/// parents, children killed at birth. With a number the program makes exactly so many and ends; without, it goes on.
const STORM: &str = r"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
static void *nothing(void *it) { return it; }
int main(int count, char **words)
{
    long most = count > 1 ? atol(words[1]) : 0, made = 0;
    signal(SIGALRM, SIG_DFL);
    alarm(60);
    for (int turn = 0; !most || made < most; turn++, made++) {
        pthread_t thread;
        pid_t child;
        switch (most ? turn % 3 : turn % 5) {
        case 0:
            if ((child = fork()) == 0)
                _exit(0);
            break;
        case 1:
            if ((child = vfork()) == 0)
                _exit(0);
            break;
        case 2:
            if (pthread_create(&thread, 0, nothing, 0))
                return 2;
            pthread_join(thread, 0);
            continue;
        case 3:
            /* the grandchild is an orphan, forks and dies when it likes */
            if ((child = fork()) == 0) {
                if (fork() == 0 && fork() == 0)
                    usleep(500);
                _exit(0);
            }
            break;
        default:
            if ((child = fork()) == 0)
                for (;;)
                    pause();
            kill(child, SIGKILL);
        }
        if (child < 0)
            return 1;
        while (waitpid(-1, 0, most ? 0 : WNOHANG) > 0)
            if (most)
                break;
        if (!most)
            while (waitpid(child, 0, 0) > 0)
                break;
    }
    return 0;
}
";

const WITNESS: [(&str, &str); 3] = [("FORKS", ""), ("EXITS", ""), ("BIND", "")];

/// A module that is loaded and unloaded again and again in a fork storm always knows exactly the tasks that exist.
#[test]
fn module_loaded_in_a_fork_storm_counts_each_task_once() {
    let (storm, file) = (CProgram::compile_static(STORM), c_module("witness", &WITNESS));
    let hosted = ModuleHost::start();
    let path = storm.path().to_owned();
    let storms: Vec<_> = (0..3).map(|_| hosted.exec(None, &[&path])).collect();
    let mut heard = 0;
    for round in 0..40 {
        hosted.load(file.path());
        let top = hosted.mount("witness");
        for _ in 0..3 {
            thread::sleep(Duration::from_millis(5));
            let (told, here) = hosted.with(move |engine, host| {
                let all = engine.tree().tasks(host, top).len() as u64;
                let (told, here) = account(engine, host, top);
                assert_eq!((told["forks"] - told["exits"], here["tasks"]), (all, all), "{told:?}");
                (told, here)
            });
            assert!(here["tasks"] >= 3, "round {round}");
            heard += told["exits"];
        }
        hosted.unmount(top);
        hosted.unload("witness").expect("nothing holds it");
    }
    assert!(heard > 1000, "there was a storm: {heard}");
    for storm in storms {
        storm.kill(Signal::SIGKILL as i32).expect("it runs");
        storm.wait().expect("it ends");
    }
}

/// The module counts exactly the forks that a program prints, while another storm rages.
#[test]
fn module_counts_every_fork_beside_a_storm() {
    const FORKS: u64 = 1_500;
    let (storm, file) = (CProgram::compile_static(STORM), c_module("witness", &WITNESS));
    let hosted = ModuleHost::start();
    let path = storm.path().to_owned();
    let raging = hosted.exec(None, &[&path]);
    hosted.load(file.path());
    let top = hosted.mount("witness");
    let group = hosted.mkdir(top, "counted");
    for round in 1..=2 {
        let status = hosted.exec(Some(group), &[&path, &FORKS.to_string()]).wait().expect("it ran");
        assert_eq!(status, 0);
        let (_, here) = hosted.account(group);
        // the program itself was born outside and has died inside
        assert_eq!((here["forks"], here["exits"], here["tasks"]), (FORKS * round, (FORKS + 1) * round, 0));
    }
    raging.kill(Signal::SIGKILL as i32).expect("it runs");
    raging.wait().expect("it ends");
    hosted.rmdir(group);
    hosted.unmount(top);
    hosted.unload("witness").expect("nothing holds it");
}

/// A thread that executes a program goes on as its process's leader, for whose death `exit` is called. `fork` is not
/// called again, so births and deaths have the right numbers. The thread's own number is never reported.
#[test]
fn a_thread_that_executes_a_program_is_no_birth() {
    const EXEC: &str = r#"
#include <pthread.h>
#include <unistd.h>
static void *execute(void *path) { execl("/bin/sleep", "sleep", "0.3", (char *)0); return path; }
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, execute, 0);
    for (;;)
        pause();
}
"#;
    let (exec, file) = (CProgram::compile_static(EXEC), c_module("witness", &WITNESS));
    let hosted = ModuleHost::start();
    hosted.load(file.path());
    let top = hosted.mount("witness");
    let group = hosted.mkdir(top, "g");
    let running = hosted.exec(Some(group), &[exec.path()]);
    let read = |name: &'static str| {
        hosted.with(move |engine, host| {
            let file = engine.find_file(group, name).unwrap();
            let text = engine.session(host, &super::hosted::owner()).read(group, file).unwrap();
            String::from_utf8(text).unwrap()
        })
    };
    let counted = |here: &String| here.contains("forks 1\nexits 1\n");
    wait_for("the exec is counted", || read("witness.here"), counted);
    assert_eq!(read("tasks"), format!("{}\n", running.pid()), "the leader's number, the thread's life");
    assert_eq!(running.wait().expect("it ran"), 0);
    assert!(read("witness.here").contains("forks 1\nexits 2\n"));
}
