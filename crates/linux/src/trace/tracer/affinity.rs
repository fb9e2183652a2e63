//! `sched_setaffinity`, emulated: clamped to the CPUs of the task's group, as a cpuset does.
//!
//! The tracer makes the call, and the task's own call is skipped. So the mask that was judged is the mask that takes
//! effect, whatever other threads do to the memory that holds it.
//!
//! The memory of a program that is not dumpable can't be read without privilege. There the task makes the call itself.
//! The tracer corrects its effect at the call's exit, before the program goes on.

use std::sync::Arc;

use nix::errno::Errno;
use penfold_core::{Tid, host::IndexSet};

use super::policy::Policy;
use super::supervisor::Supervisor;
use crate::proc::{StatusFile, in_own_pid_namespace};
use crate::trace::os::arch::Registers;
use crate::trace::os::{memory, ptrace, sched};

impl<P: Policy> Supervisor<P> {
    pub(crate) fn on_affinity_call(&mut self, tid: Tid, abi: usize, policy: &mut P) {
        let Ok(registers) = Registers::read(tid) else { return };
        let argument = |index| registers.argument(abi, index);
        let (pid, length, address) = (Tid(argument(0) as i32), argument(1), argument(2));
        match self.target(tid, pid) {
            // no task of the job, so no cgroup of the job restricts it
            None => self.resume(tid, 0, policy),
            Some(target) => match read_mask(tid, length, address) {
                Err(Errno::EPERM) => self.let_set_affinity(tid, target, policy),
                mask => {
                    let result = mask.and_then(|mask| self.set_wanted_affinity(tid, target, mask, policy));
                    self.answer(tid, result.map(|()| 0), policy);
                }
            },
        }
    }

    /// Lets a task make the call with a mask that can't be read. The task stops again when the call returns.
    fn let_set_affinity(&mut self, tid: Tid, target: Tid, policy: &mut P) {
        let (Some(task), Ok(before)) = (self.tasks.get_mut(tid), sched::affinity(target)) else {
            return self.answer(tid, Err(Errno::ESRCH), policy);
        };
        if self.closing || task.killed || task.detach {
            return self.resume(tid, 0, policy);
        }
        task.in_affinity_call = Some(Box::new((target, before)));
        // ESRCH: killed meanwhile
        let _ = ptrace::cont_to_call(tid, 0);
    }

    /// Deals with the stop at the end of such a call. False for another stop.
    pub(crate) fn affinity_set(&mut self, tid: Tid, policy: &mut P) -> bool {
        let Some(call) = self.tasks.get_mut(tid).and_then(|task| task.in_affinity_call.take()) else {
            return false;
        };
        let (target, before) = *call;
        let Ok(registers) = Registers::read(tid) else { return true };
        if registers.result() < 0 {
            return true;
        }
        // the kernel has checked the caller's right to the target
        let corrected = sched::affinity(target)
            .and_then(|wanted| self.set_wanted_affinity(target, target, wanted, policy));
        if let Err(errno) = corrected {
            let _ = sched::set_affinity(target, &before);
            let _ = registers.set_result(tid, -i64::from(errno as i32));
        }
        true
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
        // an empty mask fails with EINVAL in the kernel too
        sched::set_affinity(target, clamped.as_ref().unwrap_or(&wanted))?;
        if let Some(task) = self.tasks.get_mut(target) {
            task.wanted_cpus = Some(Arc::new(wanted));
        }
        Ok(())
    }

    /// The task with the number `pid` in the caller's pid namespace; `None` outside of the job.
    fn target(&self, caller: Tid, pid: Tid) -> Option<Tid> {
        if pid.0 == 0 {
            return Some(caller);
        }
        if in_own_pid_namespace(caller) {
            return self.tasks.contains(pid).then_some(pid);
        }
        let depth = StatusFile::read(caller)?.numbers()?.len();
        let called =
            |tid: Tid| StatusFile::read(tid)?.numbers()?.get(depth.checked_sub(1)?).copied().map(Tid);
        self.tasks.entries.keys().copied().find(|tid| called(*tid) == Some(pid))
    }
}

/// Reads a mask as the kernel does. A mask that is shorter than the kernel's is filled with zeroes, and the rest of a
/// longer one is ignored.
fn read_mask(tid: Tid, length: u64, address: u64) -> Result<IndexSet, Errno> {
    let kernel_length = sched::affinity_length()?;
    let mut bytes = vec![0; kernel_length.min((length & 0xffff_ffff) as usize)];
    if !bytes.is_empty() {
        memory::read(tid, address, &mut bytes)?;
    }
    Ok(sched::mask_of_bytes(&bytes))
}

/// Whether `caller` may set another task's affinity: the kernel's `check_same_owner`, or `CAP_SYS_NICE`.
fn may_set(caller: Tid, target: Tid) -> bool {
    let (Some(caller), Some(target)) = (StatusFile::read(caller), StatusFile::read(target)) else {
        return false;
    };
    let (Some([_, effective, ..]), Some([target_real, target_effective, ..])) =
        (caller.uids(), target.uids())
    else {
        return false;
    };
    [target_real, target_effective].contains(&effective) || caller.may_set_affinity()
}
