//! # budget: the CPU time of a cgroup, and a plan to compare it with
//!
//! * `budget.used`: the CPU time of this cgroup and of all below it, in nanoseconds.
//! * `budget.planned`: the time planned for it, in nanoseconds; 0 for no plan. A new child starts with its parent's.
//! * `budget.over`: the time beyond the plan, in nanoseconds.
//!
//! A whole controller: its state, its one charge rule, its files. The controller forbids nothing and knows no kernel.

use penfold_core::{
    Result,
    control_file::ControlFile,
    subsystem::{Context, Resource, Rule, Subsystem},
};

/// The subsystem `budget`.
#[derive(Debug)]
pub struct Budget;

/// The state of one cgroup: the planned CPU time.
pub struct BudgetPlan {
    nanoseconds: u64,
}

type Ctx<'a> = Context<'a, Budget>;

fn used(_: &mut Budget, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(ctx.cpu_time(ctx.css()).total())
}

fn planned(_: &mut Budget, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(ctx.state().nanoseconds)
}

fn plan(_: &mut Budget, ctx: &mut Ctx<'_>, nanoseconds: u64) -> Result<()> {
    ctx.state_mut().nanoseconds = nanoseconds;
    Ok(())
}

fn over(budget: &mut Budget, ctx: &mut Ctx<'_>) -> Result<u64> {
    let plan = planned(budget, ctx)?;
    Ok(if plan == 0 { 0 } else { used(budget, ctx)?.saturating_sub(plan) })
}

impl Subsystem for Budget {
    type State = BudgetPlan;

    const NAME: &'static str = "budget";
    // Core counts: up the tree, per CPU, user and system. The controller only names the resource.
    const RULES: &'static [Rule] = &[Rule::new(Resource::CpuTime)];
    const FILES: &'static [ControlFile<Self>] = &[
        ControlFile::new("used").read_u64(used),
        ControlFile::new("planned").read_u64(planned).write_u64(plan),
        ControlFile::new("over").read_u64(over),
    ];

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<BudgetPlan> {
        let inherited = ctx.parent().map_or(0, |parent| ctx.state_of(parent).nanoseconds);
        Ok(BudgetPlan { nanoseconds: inherited })
    }

    fn destroy(&mut self, _: &mut Ctx<'_>) {}
}
