//! The way of CPU time from the tasks to the policy.

use penfold_core::Tid;

use super::policy::Policy;
use super::supervisor::Supervisor;

impl<P: Policy> Supervisor<P> {
    /// Charges all living processes for their CPU time since the last charge.
    pub fn sample(&mut self, policy: &mut P) {
        self.tasks.sample(&mut |task, data, cpu, step| {
            policy.charge_cpu(task, data, cpu, step.user, step.system);
        });
    }

    /// Charges a living process for its CPU time since the last charge.
    pub fn charge_process(&mut self, tgid: Tid, policy: &mut P) {
        self.tasks.charge_process(tgid, &mut |task, data, cpu, step| {
            policy.charge_cpu(task, data, cpu, step.user, step.system);
        });
    }

    /// Charges a task that goes for its remaining CPU time.
    pub(crate) fn charge_dead(&mut self, tgid: Tid, tid: Tid, policy: &mut P) {
        self.tasks.charge_dead(tgid, tid, &mut |task, data, cpu, step| {
            policy.charge_cpu(task, data, cpu, step.user, step.system);
        });
    }
}
