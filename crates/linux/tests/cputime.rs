//! CPU time is exact at exit and readable before.

mod common;

use common::{CheckingPolicy, code, finish, look, run, start, veto};
use penfold_linux::trace::{Supervisor, TraceOptions};
use penfold_testkit::{CProgram, TempFile, wait_until};

// reads the clock so seldom that its cost is next to nothing
const BURN: &str = r"
    static long used(clockid_t clock) { struct timespec t; clock_gettime(clock, &t); return t.tv_sec * 1000000000L + t.tv_nsec; }
    static void burn(clockid_t clock, long ns) { long start = used(clock); while (used(clock) - start < ns) for (volatile int i = 0; i < 300000; i++); }
    static void *thread(void *none) { burn(CLOCK_THREAD_CPUTIME_ID, 40000000); return none; }";

#[test]
fn sum_is_exact_with_dead_threads() {
    let program = CProgram::compile(
        &(BURN.to_owned()
            + r#"
        int main(int argc, char **argv) {
            pthread_t threads[2];
            for (int i = 0; i < 2; i++) pthread_create(&threads[i], 0, thread, 0);
            for (int i = 0; i < 2; i++) pthread_join(threads[i], 0);
            burn(CLOCK_PROCESS_CPUTIME_ID, 20000000);
            FILE *file = fopen(argv[1], "w");
            fprintf(file, "%ld", used(CLOCK_PROCESS_CPUTIME_ID)); fclose(file);
            return 0;
        }"#),
    );
    let scratch = TempFile::new();
    let argv = [program.path(), scratch.path().to_str().unwrap()];
    let outcome = run(&argv, TraceOptions::default(), CheckingPolicy::default());
    assert_eq!(code(&outcome), 0);
    let told: u64 = scratch.text().parse().unwrap();
    let charged = outcome.policy.user_ns + outcome.policy.system_ns;
    assert!(charged >= told && charged < told + 5_000_000, "told {told}, charged {charged}");
    assert!(outcome.policy.user_ns > charged * 8 / 10, "{:?}", outcome.policy);
}

#[test]
fn system_time_is_accounted_apart() {
    let program = CProgram::compile(
        r#"int main(void) {
            static char buffer[1 << 20]; int fd = open("/dev/zero", O_RDONLY);
            for (int i = 0; i < 4000; i++) CHECK(read(fd, buffer, sizeof buffer) == sizeof buffer);
            return 0;
        }"#,
    );
    let outcome = run(&[program.path()], TraceOptions::default(), CheckingPolicy::default());
    assert_eq!(code(&outcome), 0);
    assert!(outcome.policy.system_ns > outcome.policy.user_ns, "{:?}", outcome.policy);
}

#[test]
fn cpu_time_is_sampled_by_thread_where_threads_are_apart() {
    let program = CProgram::compile(
        &(BURN.to_owned()
            + r"
        int main(void) {
            pthread_t other;
            pthread_create(&other, 0, thread, 0);
            pthread_join(other, 0);
            pthread_create(&other, 0, thread, 0);
            pthread_join(other, 0);
            pause();
        }"),
    );
    let job = start(&[program.path()], veto(), CheckingPolicy::default());
    let (handle, main) = (job.handle(), job.main());
    wait_until("a thread runs", || look(&handle, |count| count.threads) == 1);
    let apart = handle.call(move |supervisor, count| {
        let other = supervisor.tasks.ids().into_iter().find(|tid| *tid != main).expect("the thread lives");
        supervisor.charge_process(main, count);
        supervisor.tasks.account_by_thread(main);
        (other, count.user_ns + count.system_ns)
    });
    let (other, before) = apart.unwrap();
    wait_until("both threads are done", || {
        look(&handle, |count| (count.threads, count.living.len())) == (2, 1)
    });
    handle.call(Supervisor::sample).unwrap();
    let (total, first, main_ns) = look(&handle, move |count| {
        (count.user_ns + count.system_ns, count.cpu_of[&other], count.cpu_of.get(&main).copied().unwrap_or(0))
    });
    assert!(first + before > 39_000_000 && first + before < 50_000_000, "{first} after {before}");
    assert!(total > 80_000_000, "{total}");
    assert!(main_ns < before + 10_000_000, "the leader is not charged for its threads: {main_ns}");
    handle.call(|supervisor, _| supervisor.close()).unwrap();
    let outcome = finish(job);
    let sum = outcome.policy.user_ns + outcome.policy.system_ns;
    assert!(sum >= total && sum < total + 10_000_000, "nothing is charged twice: {sum} after {total}");
}
