//! `sched_setaffinity`, emulated: clamped to the CPUs of the task's group, as a cpuset does.
//!
//! The tracer makes the call itself and the task's own call is left out, so the mask that was judged is the
//! mask that takes effect, whatever other threads do to the memory it lies in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use nix::errno::Errno;
use penfold_core::Mask;

use super::arch::Registers;
use super::supervise::Supervisor;
use super::{Policy, Tid, sys};

/// `CAP_SYS_NICE`, as a bit of `CapEff`.
const CAP_SYS_NICE: u64 = 1 << 23;

impl<P: Policy> Supervisor<P> {
    pub(super) fn on_affinity_call(&mut self, tid: Tid, abi: usize) {
        let Ok(registers) = Registers::read(tid) else { return };
        let argument = |index| registers.argument(abi, index);
        let (pid, length, address) = (argument(0) as Tid, argument(1), argument(2));
        match self.target(tid, pid) {
            // no task of the job: not ours to clamp
            None => self.resume(tid, 0),
            Some(target) => {
                let result = read_mask(tid, length, address)
                    .and_then(|mask| self.set_wanted_affinity(tid, target, mask));
                self.answer(tid, result.map(|()| 0));
            }
        }
    }

    fn set_wanted_affinity(&mut self, caller: Tid, target: Tid, wanted: Mask) -> Result<(), Errno> {
        if caller != target && !may_set(caller, target) {
            return Err(Errno::EPERM);
        }
        let allowed = self.policy.allowed_cpus(target);
        let clamped = allowed.map(|allowed| wanted.intersection(&allowed));
        // an empty mask is EINVAL there too
        sys::set_affinity(target, clamped.as_ref().unwrap_or(&wanted))?;
        if let Some(task) = self.table.tasks.get_mut(&target) {
            task.wanted_cpus = Some(Arc::new(wanted));
        }
        Ok(())
    }

    /// Applies a group's CPUs to a task: those that it asked for among them, or all of them when it asked
    /// for none of them. Errors are those of `sched_setaffinity`.
    pub fn apply_affinity(&mut self, tid: Tid, allowed: &Mask) -> Result<(), Errno> {
        let task = self.table.tasks.get(&tid).ok_or(Errno::ESRCH)?;
        let wanted = task.wanted_cpus.as_ref().map(|wanted| wanted.intersection(allowed));
        sys::set_affinity(tid, wanted.as_ref().filter(|mask| !mask.is_empty()).unwrap_or(allowed))
    }

    /// The task that `pid`, a number of the caller's own pid namespace, means; `None` outside of the job.
    fn target(&self, caller: Tid, pid: Tid) -> Option<Tid> {
        if pid == 0 {
            return Some(caller);
        }
        if same_pid_namespace(caller) {
            return self.table.tasks.contains_key(&pid).then_some(pid);
        }
        let depth = sys::status_field(caller, "NSpid")?.split_whitespace().count();
        let called = |tid: Tid| {
            let ids = sys::status_field(tid, "NSpid")?;
            ids.split_whitespace().nth(depth - 1)?.parse::<Tid>().ok()
        };
        self.table.tasks.keys().copied().find(|tid| called(*tid) == Some(pid))
    }
}

fn same_pid_namespace(tid: Tid) -> bool {
    let inode = |path: String| fs::metadata(path).map(|metadata| metadata.ino()).ok();
    let ours = inode("/proc/self/ns/pid".to_owned());
    // unreadable: no other namespace can be told, and none is likely
    inode(format!("/proc/{tid}/ns/pid")).is_none_or(|theirs| Some(theirs) == ours)
}

/// As the kernel reads it: a mask shorter than its own is filled with zeroes, the rest of a longer one is
/// not looked at.
fn read_mask(tid: Tid, length: u64, address: u64) -> Result<Mask, Errno> {
    let kernel_length = sys::affinity_length()?;
    let mut bytes = vec![0; kernel_length.min((length & 0xffff_ffff) as usize)];
    if !bytes.is_empty() {
        sys::read_memory(tid, address, &mut bytes)?;
    }
    Ok(sys::mask_of_bytes(&bytes))
}

/// Whether `caller` may set another task's affinity: `check_same_owner` or `CAP_SYS_NICE`.
fn may_set(caller: Tid, target: Tid) -> bool {
    let ids = |tid| -> Option<Vec<u32>> {
        let field = sys::status_field(tid, "Uid")?;
        Some(field.split_whitespace().filter_map(|id| id.parse().ok()).collect())
    };
    let (Some(caller_ids), Some(target_ids)) = (ids(caller), ids(target)) else { return false };
    // real, effective, saved, file system
    if target_ids.iter().take(2).any(|id| *id == caller_ids[1]) {
        return true;
    }
    let effective = sys::status_field(caller, "CapEff");
    effective.and_then(|hex| u64::from_str_radix(&hex, 16).ok()).is_some_and(|bits| bits & CAP_SYS_NICE != 0)
}
