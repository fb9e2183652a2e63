//! `pids.max` holds against bombs of every kind and against threads, without an end.

mod common;

use common::{FinishedRun, KernelGroup, PYTHON, penfold, users};
use penfold_testkit::{CProgram, needs, skip};

const LIMIT: u64 = 20;

/// Runs a bomb beside a main command that ends after a second, and checks all counters.
fn explode(command: &[&str]) -> Vec<FinishedRun> {
    let runs = users().into_iter().map(|user| {
        let ended = penfold(&[&format!("pids.max={LIMIT}")], command).user(user).run().succeeded();
        assert_eq!(ended.number("tasks_peak"), LIMIT);
        assert_eq!(ended.file("pids.peak"), LIMIT.to_string());
        assert_eq!(ended.file("pids.current"), "0", "everything is given back");
        let refused = ended.number("forks_refused");
        assert!(refused > 0);
        assert_eq!(ended.file("pids.events"), format!("max {refused}"));
        let hit = &ended.json()["limits_hit"][0];
        assert_eq!((&hit["file"], &hit["cgroup"]), (&"pids.max".into(), &"/job".into()));
        assert_eq!((hit["limit"].as_u64(), hit["refused"].as_u64()), (Some(LIMIT), Some(refused)));
        ended
    });
    runs.collect()
}

const BOMB: &str = "f() { f | f & f | f & }; (f) & exec sleep 1";

#[test]
fn fork_bomb_in_dash_is_bounded_by_eagain() {
    needs!("dash", "setpriv");
    for ended in explode(&["dash", "-c", BOMB]) {
        assert!(ended.stderr.contains("Cannot fork"), "{}", ended.stderr);
    }
}

#[test]
fn fork_bomb_in_bash_is_bounded_by_eagain() {
    needs!("bash", "setpriv");
    for ended in explode(&["bash", "-c", BOMB]) {
        assert!(ended.stderr.contains("fork: retry: Resource temporarily unavailable"), "{}", ended.stderr);
    }
}

#[test]
fn fork_bomb_in_python_is_bounded_by_eagain() {
    needs!("python3", "setpriv");
    let script = "
import errno, os, time
told, tell = os.pipe()
if os.fork() == 0:
    while True:
        try: os.fork()
        except BlockingIOError as error:
            os.write(1, b'%d\\n' % error.errno)
            os.write(tell, b'.')
            time.sleep(0.1)
os.read(told, 1)
time.sleep(1)";
    for ended in explode(&[PYTHON, "-c", script]) {
        let told: Vec<&str> = ended.stdout.lines().collect();
        assert!(!told.is_empty() && told.iter().all(|errno| *errno == libc::EAGAIN.to_string()), "{told:?}");
    }
}

#[test]
fn fork_bomb_in_c_is_bounded_by_eagain() {
    needs!("cc", "setpriv");
    let program = CProgram::compile(
        r#"
        int main(void) {
            int told[2]; char byte;
            CHECK(pipe(told) == 0);
            if (fork() == 0)
                for (;;) if (fork() < 0) {
                    CHECK(write(1, errno == EAGAIN ? "EAGAIN\n" : "?\n", 7));
                    CHECK(write(told[1], "", 1) == 1);
                    usleep(50000);
                }
            CHECK(read(told[0], &byte, 1) == 1);
            sleep(1);
            return 0;
        }"#,
    );
    for ended in explode(&[program.path()]) {
        assert!(!ended.stdout.is_empty() && ended.stdout.lines().all(|line| line == "EAGAIN"), "{ended:#?}");
    }
}

#[test]
fn pthread_create_at_the_limit_answers_eagain() {
    needs!("cc", "setpriv");
    let program = CProgram::compile(
        r"
        static void *idle(void *none) { pause(); return none; }
        int main(void) {
            pthread_t thread;
            for (int made = 0; made < 9; made++) CHECK(pthread_create(&thread, 0, idle, 0) == 0);
            for (int again = 0; again < 100; again++) CHECK(pthread_create(&thread, 0, idle, 0) == EAGAIN);
            return 0;
        }",
    );
    for user in users() {
        let ended = penfold(&["pids.max=10"], &[program.path()]).user(user).run().succeeded();
        let books = ["tasks_created", "tasks_peak", "forks_refused"].map(|name| ended.number(name));
        assert_eq!(books, [10, 10, 100]);
        assert_eq!(ended.file("pids.current"), "0");
    }
}

#[test]
fn python_thread_at_the_limit_raises_runtime_error() {
    needs!("python3");
    let script = "
import threading
never = threading.Event()
for made in range(100):
    try: threading.Thread(target=never.wait, daemon=True).start()
    except RuntimeError as error:
        print(made, error, flush=True)
        break
import os; os._exit(0)";
    let ended = penfold(&["pids.max=10"], &[PYTHON, "-c", script]).run().succeeded();
    assert_eq!(ended.stdout, "9 can't start new thread\n");
    assert_eq!((ended.number("tasks_created"), ended.file("pids.current")), (10, "0".to_owned()));
}

/// A program that fills the job, lets thousands of forks be refused and empties the job, again and again. Meanwhile the
/// program looks at penfold's memory and descriptors.
fn refuser() -> CProgram {
    CProgram::compile(
        r#"
        static long descriptors(void) {
            char command[99]; sprintf(command, "/proc/%d/fd", getppid());
            int fd = open(command, O_RDONLY | O_DIRECTORY); CHECK(fd >= 0);
            long count = 0, got, at; char buffer[9000];
            while ((got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0)
                for (at = 0; at < got; at += *(unsigned short *)(buffer + at + 16)) count++;
            CHECK(got == 0); close(fd);
            return count;
        }
        static long resident(void) {
            char path[99], line[200]; long kib = -1;
            sprintf(path, "/proc/%d/status", getppid());
            FILE *status = fopen(path, "r"); CHECK(status);
            while (fgets(line, sizeof line, status)) sscanf(line, "VmRSS: %ld", &kib);
            fclose(status); CHECK(kib > 0);
            return kib;
        }
        static int fill(pid_t *children) {
            int made = 0;
            while ((children[made] = fork()) > 0) CHECK(++made < 100);
            if (children[made] == 0) { pause(); _exit(0); }
            CHECK(errno == EAGAIN);
            return made;
        }
        int main(void) {
            pid_t children[100]; long fds = 0, kib = 0;
            for (int round = 0; round < 4; round++) {
                CHECK(fill(children) == 9);
                for (int i = 0; i < 3000; i++) {
                    pid_t pid = i % 2 ? fork() : vfork();
                    if (pid == 0) _exit(0);
                    CHECK(pid == -1 && errno == EAGAIN);
                }
                for (int i = 0; i < 9; i++) { kill(children[i], SIGKILL); CHECK(waitpid(children[i], 0, 0) > 0); }
                if (round == 0) { fds = descriptors(); kib = resident(); }
            }
            CHECK(descriptors() == fds);
            printf("%ld\n", resident() - kib);
            return 0;
        }"#,
    )
}

#[test]
fn thousands_of_refused_forks_leak_nothing() {
    needs!("cc", "setpriv");
    let program = refuser();
    for user in users() {
        let ended = penfold(&["pids.max=10"], &[program.path()]).user(user).run().succeeded();
        // one more of each round is the fork that found the job full
        assert_eq!((ended.number("forks_refused"), ended.number("tasks_created")), (4 * 3001, 1 + 4 * 9));
        assert_eq!(ended.file("pids.current"), "0");
        let grown: i64 = ended.stdout.trim().parse().unwrap();
        assert!(grown < 256, "penfold has grown by {grown} KiB in 9,000 refused forks");
    }
}

#[test]
fn thousands_of_children_leave_penfold_as_small_as_it_was() {
    needs!("cc");
    let program = CProgram::compile(
        r#"
        static long resident(void) {
            char path[99], line[200]; long kib = -1;
            sprintf(path, "/proc/%d/status", getppid());
            FILE *status = fopen(path, "r"); CHECK(status);
            while (fgets(line, sizeof line, status)) sscanf(line, "VmRSS: %ld", &kib);
            fclose(status); CHECK(kib > 0);
            return kib;
        }
        int main(void) {
            long kib = 0;
            for (int i = 0; i < 6000; i++) {
                pid_t pid = fork();
                if (pid == 0) _exit(0);
                CHECK(pid > 0 && waitpid(pid, 0, 0) == pid);
                if (i == 1000) kib = resident();
            }
            printf("%ld\n", resident() - kib);
            return 0;
        }"#,
    );
    let ended = penfold(&["pids.max=2"], &[program.path()]).run().succeeded();
    assert_eq!((ended.number("tasks_created"), ended.number("forks_refused")), (6001, 0));
    let grown: i64 = ended.stdout.trim().parse().unwrap();
    assert!(grown < 256, "penfold has grown by {grown} KiB in 5,000 births");
}

#[test]
fn kernels_pids_controller_has_seen_no_more_tasks() {
    needs!("cc", "sh");
    let Some(group) = KernelGroup::new("pids", "pids.peak") else {
        return skip("the kernel's pids controller is not there as cgroup v1, or not ours to use");
    };
    let program = CProgram::compile(
        r"
        int main(void) {
            /* nobody dies: the kernel counts zombies too */
            for (int i = 0; i < 4; i++) if (fork() == 0) break;
            for (int i = 0; i < 200; i++) if (fork() < 0) { CHECK(errno == EAGAIN); usleep(1000); }
            usleep(300000);
            return 0;
        }",
    );
    let ended = penfold(&["pids.max=20"], &[program.path()]).under(group.enter()).run().succeeded();
    assert_eq!(ended.number("tasks_peak"), 20);
    assert_eq!(group.number("pids.peak"), 20 + 3, "the job's twenty and penfold's three threads");
}

#[test]
fn report_names_a_refusing_share_or_fork_rate() {
    // a tenth of 20 tasks
    let shares = ["numtasks.total_numtasks=20", "numtasks.shares=res=numtasks,min_shares=0,max_shares=10"];
    let ended = penfold(&shares, &["dash", "-c", "sleep 1000 & (:)"]).run().clean();
    let hit = &ended.json()["limits_hit"][0];
    assert_eq!(
        (&hit["file"], &hit["limit"], &hit["refused"]),
        (&"numtasks.shares".into(), &2.into(), &1.into())
    );
    assert_eq!((ended.number("tasks_peak"), ended.number("forks_refused")), (2, 1));

    let rate = ["numtasks.forkrate=3", "numtasks.forkrate_interval=100"];
    let ended = penfold(&rate, &["dash", "-c", "(:); (:); (:); (:)"]).run().clean();
    assert_eq!((ended.number("tasks_created"), ended.number("forks_refused")), (4, 1));
    let hit = &ended.json()["limits_hit"][0];
    assert_eq!(
        (&hit["file"], &hit["limit"], &hit["refused"]),
        (&"numtasks.forkrate".into(), &3.into(), &1.into())
    );
    let stats = ended.file("numtasks.stats");
    assert!(stats.contains("Number of forkrate failures 1"), "{stats}");
}
