//! Services about the caller, about tasks and about the host.

use std::ffi::c_int;

use penfold_core::{
    Errno, Tid,
    host::{Capability, ExistingPages, IndexSet},
};

use super::contract::{plain, services};
use crate::abi;
use crate::answer::code;

services! {
    fn caller(call, caller: out abi::RawCaller) -> c_int {
        let found = call.with_services(None, |services| {
            services.caller().map(|caller| abi::RawCaller {
                task: caller.task.0,
                uid: caller.uid,
                gid: caller.gid,
                umask: caller.umask,
                privileged: caller.privileged.into(),
            })
        });
        if let (Some(found), Some(place)) = (found, caller) {
            *place = found;
        }
        found.is_some().into()
    }

    fn caller_groups(call, list: out [u32; capacity]) -> usize {
        list.fill(&call.with_services(Vec::new(), |services| {
            services.caller().map(|caller| caller.groups.clone()).unwrap_or_default()
        }))
    }

    fn require(call, need: u32) -> c_int {
        let need = match need {
            abi::NEED_FORK_VETO => Capability::ForkVeto,
            abi::NEED_AFFINITY => Capability::Affinity,
            abi::NEED_MEMORY_NODES => Capability::MemoryNodes,
            abi::NEED_FREEZE => Capability::Freeze,
            abi::NEED_SOCKET_CLASS => Capability::SocketClass,
            _ => return code(Errno::EINVAL),
        };
        call.attempt(|services| services.require(need))
    }

    fn task(call, task: i32, facts: out abi::RawTaskFacts) -> c_int {
        let Some(place) = facts else { return code(Errno::EFAULT) };
        let Some(facts) = call.with_services(None, |services| services.task(Tid(task))) else {
            return code(Errno::ESRCH);
        };
        *place = abi::RawTaskFacts {
            group: facts.group.0,
            real_uid: facts.real_uid,
            saved_uid: facts.saved_uid,
            movable: facts.movable.into(),
            exiting: facts.exiting.into(),
            forking: facts.forking.into(),
        };
        0
    }

    fn threads(call, group: i32, list: out [i32; capacity]) -> usize {
        let threads = call.with_services(Vec::new(), |services| services.threads_of(Tid(group)));
        list.fill(&threads.into_iter().map(|task| task.0).collect::<Vec<_>>())
    }

    fn now(call) -> u64 {
        call.with_services(0, |services| services.now())
    }

    fn cpus(call, list: out [u64; capacity]) -> usize {
        list.fill(&call.with_services(Vec::new(), |services| services.cpus().to_words()))
    }

    fn memory_nodes(call, list: out [u64; capacity]) -> usize {
        list.fill(&call.with_services(Vec::new(), |services| services.memory_nodes().to_words()))
    }

    fn cpu_limit(call) -> usize {
        call.with_services(0, |services| services.cpu_limit())
    }

    fn node_limit(call) -> usize {
        call.with_services(0, |services| services.node_limit())
    }

    fn set_affinity(call, task: i32, cpus: in [u64; words]) -> c_int {
        let Some(cpus) = cpus.map(IndexSet::from_words) else { return code(Errno::EFAULT) };
        call.with_services(code(Errno::EFAULT), |services| plain(services.set_affinity(Tid(task), &cpus)))
    }

    fn set_memory_nodes(
        call, task: i32, from: in [u64; from_words], to: in [u64; to_words], migrate: c_int
    ) -> c_int {
        let (Some(from), Some(to)) = (from.map(IndexSet::from_words), to.map(IndexSet::from_words)) else {
            return code(Errno::EFAULT);
        };
        let existing = if migrate == 0 { ExistingPages::Leave } else { ExistingPages::Move };
        call.with_services(code(Errno::EFAULT), |services| {
            plain(services.set_memory_nodes(Tid(task), &from, &to, existing))
        })
    }

    fn freeze(call, task: i32) {
        call.with_services((), |services| services.freeze(Tid(task)));
    }

    fn thaw(call, task: i32) {
        call.with_services((), |services| services.thaw(Tid(task)));
    }

    fn is_frozen(call, task: i32) -> c_int {
        call.with_services(0, |services| services.is_frozen(Tid(task)).into())
    }

    fn set_socket_class(call, task: i32, class: u32) -> c_int {
        call.with_services(code(Errno::EFAULT), |services| plain(services.set_socket_class(Tid(task), class)))
    }

    fn signal(call, task: i32, signal: c_int) -> c_int {
        call.with_services(code(Errno::EFAULT), |services| plain(services.signal(Tid(task), signal)))
    }
}
