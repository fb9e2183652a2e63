//! # budget: CPU time of a cgroup, and a line to compare it with
//!
//! * `budget.used`: nanoseconds of CPU time of this cgroup and all below it.
//! * `budget.planned`: nanoseconds that someone planned for it; inherited by new children. 0 for no plan.
//! * `budget.over`: by how much the plan is exceeded.
//!
//! A whole controller: its state, its one rule, its files. It forbids nothing and knows no kernel.

use penfold_core::{
    Result,
    control_file::ControlFile,
    subsystem::{Context, Resource, Rule, Subsystem},
};

/// The subsystem.
#[derive(Debug)]
pub struct Budget;

/// What one cgroup has of it.
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
    // Core counts: up the tree, per CPU, user and system. The controller only says what.
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
