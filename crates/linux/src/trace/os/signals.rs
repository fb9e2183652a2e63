//! Signals of the supervisor's own process.
//!
//! The command shares penfold's process group, so what the terminal sends reaches it without help; what
//! somebody sends to penfold alone with kill(1) is passed on.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::{mem, ptr};

use libc::c_int;

use penfold_core::Tid;

use super::{task, wakeup};

/// What is passed on to the command.
const FORWARDED: [c_int; 12] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCONT,
    libc::SIGWINCH,
];

/// The signals that stop and continue.
pub(crate) fn is_job_control(signal: c_int) -> bool {
    matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU | libc::SIGCONT)
}

/// What this process was started with, before Rust's runtime and penfold changed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InheritedSignals {
    mask: u64,
    pipe_ignored: bool,
    child_ignored: bool,
}

static MASK: AtomicU64 = AtomicU64::new(0);
static IGNORED: AtomicU8 = AtomicU8::new(0);

/// Rust's runtime ignores SIGPIPE before `main`, so what was inherited must be read before the runtime.
extern "C" fn capture() {
    let mut mask = 0_u64;
    // SAFETY: asks for the mask, of 8 bytes in the kernel's own layout.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, ptr::null::<u64>(), &raw mut mask, 8);
    }
    MASK.store(mask, Ordering::Relaxed);
    let ignored = u8::from(is_ignored(libc::SIGPIPE)) | u8::from(is_ignored(libc::SIGCHLD)) << 1;
    IGNORED.store(ignored, Ordering::Relaxed);
}

// SAFETY: the section is a table of functions that the C library calls before main; capture makes system
// calls only.
#[unsafe(link_section = ".init_array")]
#[used]
static CAPTURE: extern "C" fn() = capture;

/// What this process was started with.
pub(crate) fn inherited() -> InheritedSignals {
    // keeps the table entry in the program whichever way it is linked
    std::hint::black_box(&raw const CAPTURE);
    let ignored = IGNORED.load(Ordering::Relaxed);
    InheritedSignals {
        mask: MASK.load(Ordering::Relaxed),
        pipe_ignored: ignored & 1 != 0,
        child_ignored: ignored & 2 != 0,
    }
}

impl InheritedSignals {
    /// Restores it in a child before exec; async-signal-safe. Handlers need no care: exec resets them.
    pub(crate) fn restore(&self) {
        set_disposition(libc::SIGPIPE, self.pipe_ignored, 0);
        set_disposition(libc::SIGCHLD, self.child_ignored, 0);
        set_mask(self.mask);
    }
}

fn set_mask(mask: u64) {
    // SAFETY: sets the mask, of 8 bytes in the kernel's own layout.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            ptr::null_mut::<u64>(),
            8,
        );
    }
}

fn action(signal: c_int) -> libc::sigaction {
    // SAFETY: sigaction is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: asks only.
    unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    action
}

fn is_ignored(signal: c_int) -> bool {
    action(signal).sa_sigaction == libc::SIG_IGN
}

fn set_disposition(signal: c_int, ignore: bool, flags: c_int) {
    // SAFETY: sigaction is plain data, for which zero is a valid value.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    action.sa_flags = flags;
    // SAFETY: installs no handler.
    unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
}

/// Makes SIGCHLD fit for a tracer: ignored, it would have the kernel reap the command unseen; by default, it
/// is sent for every stop of every tracee. A handler of the embedding program is left alone.
pub(crate) fn prepare_sigchld() {
    let current = action(libc::SIGCHLD);
    if current.sa_sigaction == libc::SIG_DFL || current.sa_sigaction == libc::SIG_IGN {
        set_disposition(libc::SIGCHLD, false, libc::SA_NOCLDSTOP);
    }
}

/// Leaves the calling thread, a tracer, nothing but kicks.
pub(crate) fn block_all_but_wakeups() {
    set_mask(!(1 << (wakeup::signal() - 1)));
}

/// Stops this whole process with the signal that stopped the command, so that whoever waits for us is told the same;
/// returns when somebody continues us. On a tracer thread.
pub(crate) fn stop_self(signal: c_int) {
    // ignored here, it would stop nobody: the command has undone what it had inherited
    let signal = if is_ignored(signal) { libc::SIGSTOP } else { signal };
    // First sent, then let through: the terminal's own may be pending for the whole process, and let through alone it
    // would stop us once for itself and, after SIGCONT, again for ours. SIGCONT takes away both.
    let _ = task::tgkill(Tid(std::process::id() as i32), task::gettid(), signal);
    set_mask(!(1 << (wakeup::signal() - 1) | 1 << (signal - 1)));
    block_all_but_wakeups();
}

/// The signals that penfold passes on, blocked so that they can be waited for.
///
/// To be made on the main thread before any other thread is started, so that all threads inherit the mask.
#[derive(Debug)]
pub struct ForwardedSignals(libc::sigset_t);

impl ForwardedSignals {
    /// Blocks the signals in the calling thread.
    pub fn block() -> Self {
        // SAFETY: sigset_t is plain data, and sigemptyset initialises it.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: set is valid, and the signal numbers are.
        unsafe {
            libc::sigemptyset(&raw mut set);
            for signal in FORWARDED {
                libc::sigaddset(&raw mut set, signal);
            }
            libc::sigaddset(&raw mut set, wakeup::signal());
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        }
        Self(set)
    }

    /// Waits until `done` answers something, which is asked after every signal and once before; SIGCHLD is waited for
    /// as well. Passes on what some process sent, as [`ForwardedSignals::forward`].
    pub(crate) fn forward_until<R>(
        &self,
        mut done: impl FnMut() -> Option<R>,
        pass: impl Fn(c_int, Tid),
    ) -> R {
        let mut set = self.0;
        // SAFETY: set is valid, and the signal's number is.
        unsafe {
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        }
        // ignored, it would have the kernel reap our child; stops of it are to be told too
        set_disposition(libc::SIGCHLD, false, 0);
        loop {
            if let Some(result) = done() {
                return result;
            }
            if let Some((signal, sender)) = sent_signal(&set)
                && signal != libc::SIGCHLD
            {
                pass(signal, sender);
            }
        }
    }

    /// Waits for signals until `ended`, which is set before a kick is sent to this thread, and has `pass`
    /// pass on those that some process sent (its pid is given). What the terminal sends (`SI_KERNEL`) has
    /// reached the command as well.
    pub(crate) fn forward(&self, ended: &AtomicBool, pass: impl Fn(c_int, Tid)) {
        while !ended.load(Ordering::Acquire) {
            if let Some((signal, sender)) = sent_signal(&self.0) {
                pass(signal, sender);
            }
        }
    }
}

/// Waits for one of some signals. Returns it with its sender if a process has sent it; `None` for a kick, for what the
/// kernel sends, and for the rest of a stop of this very process, which is `EINTR`.
fn sent_signal(set: &libc::sigset_t) -> Option<(c_int, Tid)> {
    // SAFETY: siginfo_t is plain data, for which zero is a valid value.
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    // SAFETY: set and info are valid.
    let signal = unsafe { libc::sigwaitinfo(set, &raw mut info) };
    let sent = matches!(info.si_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL);
    // SAFETY: si_pid reads a union field that is plain data in every variant.
    let sender = Tid(unsafe { info.si_pid() });
    (signal > 0 && signal != wakeup::signal() && sent).then_some((signal, sender))
}
