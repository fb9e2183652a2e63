//! Penfold works inside of containers: under a seccomp profile, in namespaces, without parts of /proc.

mod common;

use common::{PENFOLD, PYTHON, TestRun, TestUser, penfold, plain, users};
use penfold_testkit::{CProgram, is_root, needs, skip};

/// The work in each sandbox: pipelines, threads and programs, which are counted.
const WORK: &str = "x=$(echo a | cat | cat) && [ $x = a ] && (setsid sleep 1000 & ) &&
    /usr/bin/python3 -c 'import threading, subprocess
threads = [threading.Thread(target=lambda: subprocess.run([\"true\"])) for _ in range(3)]
[t.start() for t in threads]; [t.join() for t in threads]' &&
    echo done";

/// Ends some time after the first fork was refused.
const BOMB: &str =
    "f() { f | f & f | f & }; coproc { f; wait; } 2>&1; read -u ${COPROC[0]} line; exec sleep 0.3";

/// Asserts that penfold contains a job in a sandbox. `sandbox` are the words before the command.
fn works(sandbox: &[&str], user: TestUser) {
    let command = ["sh", "-c", WORK];
    let run = penfold(&["pids.max=30"], &command).under(sandbox.iter().copied()).user(user);
    let ended = run.limit(20).run().succeeded();
    assert_eq!(ended.stdout, "done\n", "{}", ended.stderr);
    let books =
        (ended.number("tasks_created") >= 11, ended.number("forks_refused"), ended.file("pids.current"));
    assert_eq!(books, (true, 0, "0".to_owned()), "{sandbox:?}");
    let (user_time, system_time) = ended.times();
    assert!(user_time + system_time > 0.005, "{user_time} {system_time}");

    let bomb = penfold(&["pids.max=20"], &["bash", "-c", BOMB]).under(sandbox.iter().copied()).user(user);
    let ended = bomb.limit(20).run().succeeded();
    assert_eq!(ended.number("tasks_peak"), 20, "{sandbox:?}: {}", ended.stderr);
    assert!(ended.number("forks_refused") > 0);
}

#[test]
fn works_under_a_seccomp_filter_that_hides_clone3() {
    needs!("cc", "setpriv");
    let program = CProgram::compile(
        r"
        #include <stddef.h>
        #include <linux/filter.h>
        #include <linux/seccomp.h>
        int main(int argc, char **argv) {
            struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
            };
            struct sock_fprog filter = { sizeof code / sizeof *code, code };
            CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
            CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
            errno = 0; CHECK(syscall(SYS_clone3, 0, 0) == -1 && errno == ENOSYS);
            execvp(argv[1], argv + 1);
            return 127;
        }",
    );
    for user in users() {
        works(&[program.path()], user);
    }
}

#[test]
fn says_so_where_a_seccomp_filter_forbids_ptrace() {
    needs!("cc");
    let program = CProgram::compile(
        r"
        #include <stddef.h>
        #include <linux/filter.h>
        #include <linux/seccomp.h>
        int main(int argc, char **argv) {
            struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
            };
            struct sock_fprog filter = { sizeof code / sizeof *code, code };
            CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
            CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
            execvp(argv[1], argv + 1);
            return 127;
        }",
    );
    let ended = plain(&["run", "--", "echo", "ran"]).under([program.path()]).limit(10).run().clean();
    assert_eq!((ended.code(), ended.stdout.as_str()), (125, ""));
    assert!(
        ended.stderr.contains("ptrace: Operation not permitted: it is refused here ("),
        "{}",
        ended.stderr
    );
    let ended = plain(&["doctor"]).under([program.path()]).limit(10).run().clean();
    assert_eq!(ended.code(), 1);
    assert!(
        ended.stdout.contains("trace  no  membership at fork")
            && ended.stdout.contains("ptrace: Operation not permitted: it is refused here (")
    );
}

#[test]
fn works_in_a_pid_and_mount_namespace_of_its_own() {
    needs!("unshare");
    if !is_root() {
        return skip("a pid namespace needs root");
    }
    works(&["unshare", "--fork", "--pid", "--mount-proc"], TestUser::Same);
}

#[test]
fn works_as_the_first_process_of_a_pid_namespace() {
    needs!("unshare");
    if !is_root() {
        return skip("a pid namespace needs root");
    }
    // as a container's entry point, which inherits all orphans
    let script =
        format!("{PENFOLD} run -q -s pids.max=20 -- sh -c 'echo $PPID; (setsid sleep 1000 &); exit 3'");
    let words = ["unshare", "--fork", "--pid", "--mount-proc", "sh", "-c", &format!("exec {script}")];
    let ended = TestRun::new(words).limit(10).run().clean();
    assert_eq!((ended.code(), ended.stdout.as_str()), (3, "1\n"));
}

#[test]
fn works_without_proc_sys() {
    needs!("unshare", "sh");
    if !is_root() {
        return skip("a mount namespace needs root");
    }
    let script = "mount -t tmpfs -o ro none /proc/sys && [ ! -e /proc/sys/kernel ] && exec \"$@\"";
    works(&["unshare", "-m", "sh", "-c", script, "sh"], TestUser::Same);
}

#[test]
fn works_in_a_user_namespace() {
    needs!("unshare", "setpriv");
    if !TestRun::new(["unshare", "-U", "-r", "true"]).run().status.success() {
        return skip("user namespaces are not permitted");
    }
    for user in users() {
        works(&["unshare", "-U", "-r"], user);
    }
}

#[test]
fn works_in_a_rootless_container_of_all_namespaces() {
    needs!("unshare", "setpriv");
    let all = ["unshare", "-U", "-r", "-m", "-u", "-i", "-n", "--fork", "--pid", "--mount-proc"];
    for user in users() {
        if !TestRun::new(all.iter().chain(&["true"]).copied()).user(user).run().status.success() {
            skip("namespaces are not permitted");
            continue;
        }
        works(&all, user);
    }
}

#[test]
fn works_without_capabilities_and_new_privileges() {
    needs!("setpriv");
    if !is_root() {
        return skip("capabilities can be dropped by root only");
    }
    works(&["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"], TestUser::Nobody);
}

#[test]
fn works_with_a_small_address_space_and_few_files() {
    let script = "ulimit -n 20; ulimit -v 2000000; exec \"$@\"";
    works(&["sh", "-c", script, "sh"], TestUser::Same);
    let ended = penfold(
        &[],
        &[PYTHON, "-c", "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"],
    )
    .under(["sh", "-c", script, "sh"])
    .run()
    .succeeded();
    assert_eq!(ended.stdout, "20\n");
}
