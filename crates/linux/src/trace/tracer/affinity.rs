//! `sched_setaffinity`, emulated: clamped to the CPUs of the task's group, as a cpuset does.
//!
//! The tracer makes the call itself and the task's own call is left out, so the mask that was judged is the
//! mask that takes effect, whatever other threads do to the memory it lies in.

use std::sync::Arc;

use nix::errno::Errno;
use penfold_core::{Tid, host::IndexSet};

use super::policy::Policy;
use super::supervisor::Supervisor;
use crate::trace::os::arch::Registers;
use crate::trace::os::{memory, proc, sched};

/// `CAP_SYS_NICE`, as a bit of `CapEff`.
const CAP_SYS_NICE: u64 = 1 << 23;

impl<P: Policy> Supervisor<P> {
    pub(crate) fn on_affinity_call(&mut self, tid: Tid, abi: usize, policy: &mut P) {
        let Ok(registers) = Registers::read(tid) else { return };
        let argument = |index| registers.argument(abi, index);
        let (pid, length, address) = (Tid(argument(0) as i32), argument(1), argument(2));
        match self.target(tid, pid) {
            // no task of the job: not ours to clamp
            None => self.resume(tid, 0, policy),
            Some(target) => {
                let result = read_mask(tid, length, address)
                    .and_then(|mask| self.set_wanted_affinity(tid, target, mask, policy));
                self.answer(tid, result.map(|()| 0), policy);
            }
        }
    }

    fn set_wanted_affinity(
        &mut self,
        caller: Tid,
        target: Tid,
        wanted: IndexSet,
        policy: &mut P,
    ) -> Result<(), Errno> {
        if caller != target && !may_set(caller, target) {
            return Err(Errno::EPERM);
        }
        let allowed = policy.allowed_cpus(&self.tasks, target);
        let clamped = allowed.map(|allowed| wanted.intersection(&allowed));
        // an empty mask is EINVAL there too
        sched::set_affinity(target, clamped.as_ref().unwrap_or(&wanted))?;
        if let Some(task) = self.tasks.get_mut(target) {
            task.wanted_cpus = Some(Arc::new(wanted));
        }
        Ok(())
    }

    /// The task that `pid`, a number of the caller's own pid namespace, means; `None` outside of the job.
    fn target(&self, caller: Tid, pid: Tid) -> Option<Tid> {
        if pid.0 == 0 {
            return Some(caller);
        }
        if proc::same_pid_namespace(caller) {
            return self.tasks.contains(pid).then_some(pid);
        }
        let depth = proc::status_field(caller, "NSpid")?.split_whitespace().count();
        let called = |tid: Tid| {
            let ids = proc::status_field(tid, "NSpid")?;
            ids.split_whitespace().nth(depth - 1)?.parse().ok().map(Tid)
        };
        self.tasks.entries.keys().copied().find(|tid| called(*tid) == Some(pid))
    }
}

/// As the kernel reads it: a mask shorter than its own is filled with zeroes, the rest of a longer one is
/// not looked at.
fn read_mask(tid: Tid, length: u64, address: u64) -> Result<IndexSet, Errno> {
    let kernel_length = sched::affinity_length()?;
    let mut bytes = vec![0; kernel_length.min((length & 0xffff_ffff) as usize)];
    if !bytes.is_empty() {
        memory::read(tid, address, &mut bytes)?;
    }
    Ok(sched::mask_of_bytes(&bytes))
}

/// Whether `caller` may set another task's affinity: `check_same_owner` or `CAP_SYS_NICE`.
fn may_set(caller: Tid, target: Tid) -> bool {
    let ids = |tid| -> Option<Vec<u32>> {
        let field = proc::status_field(tid, "Uid")?;
        Some(field.split_whitespace().filter_map(|id| id.parse().ok()).collect())
    };
    let (Some(caller_ids), Some(target_ids)) = (ids(caller), ids(target)) else { return false };
    // real, effective, saved, file system
    if target_ids.iter().take(2).any(|id| *id == caller_ids[1]) {
        return true;
    }
    let effective = proc::status_field(caller, "CapEff");
    effective.and_then(|hex| u64::from_str_radix(&hex, 16).ok()).is_some_and(|bits| bits & CAP_SYS_NICE != 0)
}
