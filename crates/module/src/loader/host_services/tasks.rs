//! Who asks, tasks, and what the host can do with them.

use std::ffi::c_int;

use penfold_core::{Errno, Need, Tid};

use super::ask::{ask, code, fill, mask, plain, try_ask};
use crate::abi::{self, Context};

pub(super) unsafe extern "C" fn caller(ctx: *mut Context, caller: *mut abi::Caller) -> c_int {
    // SAFETY: as `frame`; a place that is not NULL has room for a caller.
    unsafe {
        let found = ask(ctx, None, |services| {
            services.caller().map(|caller| abi::Caller {
                task: caller.task.0,
                uid: caller.uid,
                gid: caller.gid,
                umask: caller.umask,
                privileged: caller.privileged.into(),
            })
        });
        if let (Some(found), Some(place)) = (found, caller.as_mut()) {
            *place = found;
        }
        found.is_some().into()
    }
}

pub(super) unsafe extern "C" fn caller_groups(ctx: *mut Context, list: *mut u32, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let groups = ask(ctx, Vec::new(), |services| {
            services.caller().map(|caller| caller.groups.clone()).unwrap_or_default()
        });
        fill(&groups, list, capacity)
    }
}

pub(super) unsafe extern "C" fn require(ctx: *mut Context, need: u32) -> c_int {
    let need = match need {
        abi::NEED_FORK_VETO => Need::ForkVeto,
        abi::NEED_AFFINITY => Need::Affinity,
        abi::NEED_MEMORY_NODES => Need::MemoryNodes,
        abi::NEED_FREEZE => Need::Freeze,
        abi::NEED_SOCKET_CLASS => Need::SocketClass,
        _ => return code(Errno::EINVAL),
    };
    // SAFETY: as `frame`.
    unsafe { try_ask(ctx, |services| services.require(need)) }
}

pub(super) unsafe extern "C" fn task(ctx: *mut Context, task: i32, facts: *mut abi::TaskFacts) -> c_int {
    // SAFETY: as `frame`; a place that is not NULL has room for the facts.
    unsafe {
        let Some(place) = facts.as_mut() else { return code(Errno::EFAULT) };
        let Some(facts) = ask(ctx, None, |services| services.task(Tid(task))) else {
            return code(Errno::ESRCH);
        };
        *place = abi::TaskFacts {
            group: facts.group.0,
            real_uid: facts.real_uid,
            saved_uid: facts.saved_uid,
            movable: facts.movable.into(),
            exiting: facts.exiting.into(),
            forking: facts.forking.into(),
        };
        0
    }
}

pub(super) unsafe extern "C" fn threads(
    ctx: *mut Context,
    group: i32,
    list: *mut i32,
    capacity: usize,
) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe {
        let threads = ask(ctx, Vec::new(), |services| services.threads_of(Tid(group)));
        let threads: Vec<i32> = threads.into_iter().map(|task| task.0).collect();
        fill(&threads, list, capacity)
    }
}

pub(super) unsafe extern "C" fn now(ctx: *mut Context) -> u64 {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, 0, |services| services.now()) }
}

pub(super) unsafe extern "C" fn cpus(ctx: *mut Context, list: *mut u64, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe { fill(&ask(ctx, Vec::new(), |services| services.cpus().to_words()), list, capacity) }
}

pub(super) unsafe extern "C" fn memory_nodes(ctx: *mut Context, list: *mut u64, capacity: usize) -> usize {
    // SAFETY: as `frame` and `fill`.
    unsafe { fill(&ask(ctx, Vec::new(), |services| services.memory_nodes().to_words()), list, capacity) }
}

pub(super) unsafe extern "C" fn cpu_limit(ctx: *mut Context) -> usize {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, 0, |services| services.cpu_limit()) }
}

pub(super) unsafe extern "C" fn node_limit(ctx: *mut Context) -> usize {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, 0, |services| services.node_limit()) }
}

pub(super) unsafe extern "C" fn set_affinity(
    ctx: *mut Context,
    task: i32,
    cpus: *const u64,
    words: usize,
) -> c_int {
    // SAFETY: as `frame` and `mask`.
    unsafe {
        let Some(cpus) = mask(cpus, words) else { return code(Errno::EFAULT) };
        ask(ctx, code(Errno::EFAULT), |services| plain(services.set_affinity(Tid(task), &cpus)))
    }
}

pub(super) unsafe extern "C" fn set_memory_nodes(
    ctx: *mut Context,
    task: i32,
    from: *const u64,
    from_words: usize,
    to: *const u64,
    to_words: usize,
    migrate: c_int,
) -> c_int {
    // SAFETY: as `frame` and `mask`.
    unsafe {
        let (Some(from), Some(to)) = (mask(from, from_words), mask(to, to_words)) else {
            return code(Errno::EFAULT);
        };
        ask(ctx, code(Errno::EFAULT), |services| {
            plain(services.set_memory_nodes(Tid(task), &from, &to, migrate != 0))
        })
    }
}

pub(super) unsafe extern "C" fn freeze(ctx: *mut Context, task: i32) {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, (), |services| services.freeze(Tid(task))) }
}

pub(super) unsafe extern "C" fn thaw(ctx: *mut Context, task: i32) {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, (), |services| services.thaw(Tid(task))) }
}

pub(super) unsafe extern "C" fn is_frozen(ctx: *mut Context, task: i32) -> c_int {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, 0, |services| services.is_frozen(Tid(task)).into()) }
}

pub(super) unsafe extern "C" fn set_socket_class(ctx: *mut Context, task: i32, class: u32) -> c_int {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, code(Errno::EFAULT), |services| plain(services.set_socket_class(Tid(task), class))) }
}

pub(super) unsafe extern "C" fn signal(ctx: *mut Context, task: i32, signal: c_int) -> c_int {
    // SAFETY: as `frame`.
    unsafe { ask(ctx, code(Errno::EFAULT), |services| plain(services.signal(Tid(task), signal))) }
}
