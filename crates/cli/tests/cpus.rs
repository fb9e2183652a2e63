//! `cpuset.cpus`: every thread stays on its CPUs, whatever affinity it sets, as under the kernel's cpuset.

mod common;

use common::{PYTHON, penfold, two_cpus, users};
use penfold_testkit::{CProgram, needs};

#[test]
fn every_thread_stays_on_the_cpus_of_the_cpuset() {
    needs!("cc", "setpriv");
    if !two_cpus() {
        return;
    }
    let program = CProgram::compile(
        r#"
        static cpu_set_t of(int one, int other) {
            cpu_set_t set; CPU_ZERO(&set); CPU_SET(one, &set); CPU_SET(other, &set); return set;
        }
        static void here(void) {
            cpu_set_t got, zero = of(0, 0);
            CHECK(sched_getaffinity(0, sizeof got, &got) == 0 && CPU_EQUAL(&got, &zero));
            struct timespec now, end; clock_gettime(CLOCK_MONOTONIC, &end); end.tv_nsec += 20000000;
            do { CHECK(sched_getcpu() == 0); clock_gettime(CLOCK_MONOTONIC, &now); }
            while ((now.tv_sec - end.tv_sec) * 1000000000L + now.tv_nsec - end.tv_nsec < 0);
        }
        static void ask(void) {
            cpu_set_t set;
            here();
            set = of(0, 1); CHECK(sched_setaffinity(0, sizeof set, &set) == 0); here();
            set = of(1, 1); errno = 0; CHECK(sched_setaffinity(0, sizeof set, &set) == -1 && errno == EINVAL); here();
            memset(&set, 255, sizeof set); CHECK(sched_setaffinity(0, sizeof set, &set) == 0); here();
            CPU_ZERO(&set); errno = 0; CHECK(sched_setaffinity(0, sizeof set, &set) == -1 && errno == EINVAL); here();
            errno = 0; CHECK(syscall(SYS_sched_setaffinity, 0, sizeof set, 8L) == -1 && errno == EFAULT); here();
        }
        static void *thread(void *none) { here(); ask(); return none; }
        int main(void) {
            ask();
            pthread_t threads[4];
            for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], 0, thread, 0) == 0);
            /* another task of the job, asked for by its id */
            pid_t child = fork();
            if (child == 0) { ask(); pause(); }
            cpu_set_t both = of(0, 1), other = of(1, 1), got, zero = of(0, 0);
            CHECK(sched_setaffinity(child, sizeof both, &both) == 0);
            errno = 0; CHECK(sched_setaffinity(child, sizeof other, &other) == -1 && errno == EINVAL);
            CHECK(sched_getaffinity(child, sizeof got, &got) == 0 && CPU_EQUAL(&got, &zero));
            for (int i = 0; i < 4; i++) CHECK(pthread_join(threads[i], 0) == 0);
            kill(child, SIGKILL); CHECK(waitpid(child, 0, 0) == child);
            int status; child = vfork();
            if (child == 0) { execlp("sh", "sh", "-c", "[ $(nproc) = 1 ]", (char *)0); _exit(9); }
            CHECK(waitpid(child, &status, 0) == child && status == 0);
            return 0;
        }"#,
    );
    for user in users() {
        let ended = penfold(&["cpuset.cpus=0"], &[program.path()]).user(user).run().succeeded();
        assert_eq!(ended.file("cpuset.cpus"), "0");
        let json = ended.json();
        let used: Vec<&str> =
            json["files"]["cpuacct.usage_percpu"].as_str().unwrap().split_whitespace().collect();
        assert!(used[0] != "0" && used[1..].iter().all(|time| *time == "0"), "{used:?}");
    }
}

#[test]
fn nproc_prints_one_on_a_cpuset_of_one_cpu() {
    needs!("nproc", "setpriv");
    if !two_cpus() {
        return;
    }
    for user in users() {
        for settings in [&["cpuset.cpus=0"][..], &["cpuset.cpus=1", "pids.max=50"]] {
            let ended = penfold(settings, &["nproc"]).user(user).run().succeeded();
            assert_eq!(ended.stdout, "1\n", "{settings:?}");
        }
    }
}

#[test]
fn python_sees_the_cpuset_and_cannot_leave_it() {
    needs!("python3", "setpriv");
    if !two_cpus() {
        return;
    }
    let script = "
import os, subprocess, sys
assert os.sched_getaffinity(0) == {1}, os.sched_getaffinity(0)
os.sched_setaffinity(0, {0, 1})
assert os.sched_getaffinity(0) == {1}
try: os.sched_setaffinity(0, {0})
except OSError as error: print(error.errno)
code = 'import os; os.sched_setaffinity(0, range(64)); print(os.sched_getaffinity(0))'
print(subprocess.check_output([sys.executable, '-c', code], text=True), end='')
print(subprocess.check_output(['taskset', '-c', '0-1', 'nproc'], text=True), end='')";
    for user in users() {
        let ended = penfold(&["cpuset.cpus=1"], &[PYTHON, "-c", script]).user(user).run().succeeded();
        assert_eq!(ended.stdout, format!("{}\n{{1}}\n1\n", libc::EINVAL));
    }
}

#[test]
fn missing_cpus_are_refused_before_the_command_runs() {
    let run = penfold(&["cpuset.cpus=1000"], &["sh", "-c", "echo ran"]);
    let ended = run.run();
    assert_eq!((ended.code(), ended.stdout.as_str()), (125, ""));
    assert!(ended.stderr.contains("cpuset.cpus"), "{}", ended.stderr);
}
