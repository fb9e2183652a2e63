//! A subsystem with every callback and every kind of control file, which calls every service.

// a part of the test, not an interface
#![allow(unreachable_pub)]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, Ordering};

use penfold_module::{
    Callbacks, Capability, Context, ControlFile, Css, Errno, Error, IndexSet, Migration, PAGE_SIZE, Resource,
    Result, Rule, Subsystem, Tid, UNLIMITED, host::ExistingPages,
};

/// The number of states of all instances.
pub static STATES: AtomicI64 = AtomicI64::new(0);

#[derive(Default)]
pub struct Everything {
    /// The callbacks so far, with the facts that each saw.
    log: String,
    /// The names of the callbacks that are to refuse.
    denied: BTreeSet<String>,
}

pub struct EverythingState {
    number: u64,
    signed: i64,
    text: String,
}

impl EverythingState {
    fn new(number: u64) -> EverythingState {
        STATES.fetch_add(1, Ordering::Relaxed);
        EverythingState { number, signed: -1, text: String::from("nothing yet") }
    }
}

impl Drop for EverythingState {
    fn drop(&mut self) {
        STATES.fetch_sub(1, Ordering::Relaxed);
    }
}

type Ctx<'a> = Context<'a, Everything>;

impl Everything {
    fn note(&mut self, what: &str, ctx: &Ctx<'_>) {
        let caller = ctx.caller().map(|caller| caller.uid);
        let _ = writeln!(self.log, "{what}: css {} of {:?}", ctx.css().number(), caller);
    }

    fn agree(&mut self, what: &str) -> Result<()> {
        if self.denied.contains(what) {
            return Err(Error::refused(Errno::EBUSY, format!("{what} was told to refuse")));
        }
        Ok(())
    }
}

fn number_read(_: &mut Everything, ctx: &mut Ctx<'_>) -> Result<u64> {
    Ok(ctx.state().number)
}

fn number_write(_: &mut Everything, ctx: &mut Ctx<'_>, number: u64) -> Result<()> {
    if number > 1000 {
        return Err(Error::value(Errno::ERANGE, "at most 1000"));
    }
    ctx.state_mut().number = number;
    Ok(())
}

fn signed_read(_: &mut Everything, ctx: &mut Ctx<'_>) -> Result<i64> {
    if ctx.state().signed == 13 {
        return Err(Error::value(Errno::EIO, "13 can't be read"));
    }
    Ok(ctx.state().signed)
}

fn signed_write(_: &mut Everything, ctx: &mut Ctx<'_>, signed: i64) -> Result<()> {
    ctx.state_mut().signed = signed;
    Ok(())
}

fn text_read(_: &mut Everything, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let _ = writeln!(out, "{}: {}", ctx.private(), ctx.state().text);
    Ok(())
}

fn text_write(_: &mut Everything, ctx: &mut Ctx<'_>, text: &str) -> Result<()> {
    let text = format!("{} wrote {text:?}", ctx.private());
    ctx.state_mut().text = text;
    Ok(())
}

fn map_read(_: &mut Everything, ctx: &mut Ctx<'_>, line: &mut dyn FnMut(&str, u64)) -> Result<()> {
    line("number", ctx.state().number);
    line("größter", u64::MAX);
    line("", 0);
    if ctx.state().number == 13 {
        return Err(Error::value(Errno::EAGAIN, "13 is nobody's number"));
    }
    Ok(())
}

fn event(everything: &mut Everything, ctx: &mut Ctx<'_>) -> Result<()> {
    everything.note("event", ctx);
    everything.agree("event").map_err(|error| Error::value(error.errno(), "the event was told to refuse"))
}

fn log_read(everything: &mut Everything, _: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    out.push_str(&everything.log);
    Ok(())
}

/// Reads the results of all services that change nothing.
fn facts_read(_: &mut Everything, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let css = ctx.css();
    let _ = writeln!(out, "parent {:?} root {} private {}", ctx.parent(), ctx.is_root(), ctx.private());
    let _ = writeln!(out, "below {:?} {:?}", ctx.children_of(css), ctx.subtree_of(css));
    let _ = writeln!(out, "path {:?} flags {:?}", ctx.path_of(css), ctx.hierarchy_flags());
    let _ = writeln!(out, "caller {:?}", ctx.caller());
    let parent = ctx.parent().map(|parent| ctx.state_of(parent).number);
    let _ = writeln!(out, "state of the parent {parent:?}");
    for rule in 0..ctx.host().rule_count() {
        let _ = writeln!(out, "counter {rule} {:?}", ctx.counter(css, rule));
    }
    let usage = ctx.cpu_usage(css);
    let _ = writeln!(out, "time {:?} {:?} {:?}", usage.on(0), usage.on(69), ctx.cpu_time(css));
    let unknown = Css::from_number(9999);
    let host = ctx.host();
    let _ = writeln!(out, "alive {} {}", host.is_alive(css), host.is_alive(unknown));
    let _ = writeln!(out, "cpus {} of {}", host.cpus(), host.cpu_limit());
    let _ = writeln!(out, "nodes {} of {}", host.memory_nodes(), host.node_limit());
    let _ = writeln!(out, "now {}", host.now());
    let tasks = host.tasks_of(css);
    let _ = writeln!(out, "tasks {} {tasks:?}", host.has_tasks(css));
    for task in tasks {
        let facts = host.task(task).expect("a member");
        let _ = writeln!(out, "{task} {facts:?} {:?}", host.threads_of(facts.group));
        let _ = writeln!(out, "frozen {}", host.is_frozen(task));
    }
    let _ = writeln!(out, "nobody {:?} {:?}", host.task(Tid(-5)), host.threads_of(Tid(-5)));
    Ok(())
}

/// Calls a service that changes something: one command with its arguments.
fn act(everything: &mut Everything, ctx: &mut Ctx<'_>, command: &str) -> Result<()> {
    let css = ctx.css();
    let words: Vec<&str> = command.split(' ').collect();
    let number = |index: usize| words[index].parse::<i32>().expect("a number");
    let mask = |index: usize| IndexSet::parse_list(words[index], 1024).expect("a list");
    let wrap = |answer: Result<(), Errno>| answer.map_err(|errno| Error::value(errno, "the host refuses"));
    match words[0] {
        "limit" => ctx.set_limit(css, 1, words[1].parse().unwrap_or(UNLIMITED)),
        "refuse" => ctx.set_may_refuse_fork(words[1] == "yes"),
        "reset_peak" => {
            ctx.reset_peak(css, 0);
            Ok(())
        }
        "reset_time" => {
            ctx.reset_cpu_usage(css);
            Ok(())
        }
        "require" => {
            let needs = [
                Capability::ForkVeto,
                Capability::Affinity,
                Capability::MemoryNodes,
                Capability::Freeze,
                Capability::SocketClass,
            ];
            needs.into_iter().try_for_each(|need| ctx.require(need))
        }
        "own" => {
            ctx.require(Capability::Freeze).map_err(|_| Error::value(Errno::EPERM, "a reason of its own"))
        }
        "affinity" => wrap(ctx.host().set_affinity(Tid(number(1)), &mask(2))),
        "memory" => {
            let existing = if words[4] == "migrate" { ExistingPages::Move } else { ExistingPages::Leave };
            wrap(ctx.host().set_memory_nodes(Tid(number(1)), &mask(2), &mask(3), existing))
        }
        "freeze" => {
            ctx.host().freeze(Tid(number(1)));
            Ok(())
        }
        "thaw" => {
            ctx.host().thaw(Tid(number(1)));
            Ok(())
        }
        "class" => wrap(ctx.host().set_socket_class(Tid(number(1)), number(2).cast_unsigned())),
        "signal" => wrap(ctx.host().signal(Tid(number(1)), number(2))),
        "deny" => {
            everything.denied = words[1..].iter().copied().map(String::from).collect();
            Ok(())
        }
        _ => Err(Error::value(Errno::EINVAL, "no such command")),
    }
}

impl Subsystem for Everything {
    type State = EverythingState;

    const NAME: &'static str = "every-thing_1";
    const CALLBACKS: Callbacks = Callbacks::all();
    const RULES: &'static [Rule] = &[
        Rule::new(Resource::Tasks),
        Rule::limited_by(Resource::Forks, "act").refused_with(Errno::ENOSPC),
        Rule::new(Resource::CpuTime),
    ];
    const REFUSAL_FILE: &'static str = "event";
    const FILES: &'static [ControlFile<Self>] = &[
        ControlFile::new("number").read_u64(number_read).write_u64(number_write).max_write(20),
        ControlFile::new("signed").read_s64(signed_read).write_s64(signed_write).not_a_setting(),
        ControlFile::new("text")
            .read_text(text_read)
            .write_text(text_write)
            .private(7)
            .max_write(2 * PAGE_SIZE),
        ControlFile::new("twin").read_text(text_read).write_text(text_write).private(usize::MAX).mode(0o640),
        ControlFile::new("map").read_map(map_read).not_on_root(),
        ControlFile::new("event").trigger(event),
        ControlFile::new("log").read_text(log_read).root_only().mode(0o400),
        ControlFile::new("facts").read_text(facts_read),
        ControlFile::new("act").write_text(act),
        ControlFile::new("neither"),
    ];

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<EverythingState> {
        self.note("create", ctx);
        let css = ctx.css();
        assert!(ctx.host().is_alive(css));
        let number = ctx.parent().map_or(1, |parent| ctx.state_of(parent).number + 1);
        self.agree("create")?;
        Ok(EverythingState::new(number))
    }

    fn destroy(&mut self, ctx: &mut Ctx<'_>) {
        self.note(&format!("destroy {:?}", ctx.state().text), ctx);
    }

    fn pre_destroy(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        self.note("pre_destroy", ctx);
        self.agree("pre_destroy")
    }

    fn can_attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) -> Result<()> {
        self.note(&format!("can_attach {tasks:?}"), ctx);
        self.agree("can_attach")
    }

    fn cancel_attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        self.note(&format!("cancel_attach {tasks:?}"), ctx);
    }

    fn attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        self.note(&format!("attach {tasks:?}"), ctx);
        for migration in tasks {
            ctx.state_of_mut(migration.from).number += 100;
        }
    }

    fn can_fork(&mut self, ctx: &mut Ctx<'_>, parent: Tid) -> Result<()> {
        self.note(&format!("can_fork {parent}"), ctx);
        self.agree("can_fork")
    }

    fn cancel_fork(&mut self, ctx: &mut Ctx<'_>) {
        self.note("cancel_fork", ctx);
    }

    fn fork(&mut self, ctx: &mut Ctx<'_>, child: Tid) {
        self.note(&format!("fork {child}"), ctx);
    }

    fn exit(&mut self, ctx: &mut Ctx<'_>, task: Tid) {
        self.note(&format!("exit {task}"), ctx);
    }

    fn post_clone(&mut self, ctx: &mut Ctx<'_>) {
        self.note("post_clone", ctx);
        ctx.state_mut().text = String::from("a clone");
    }

    fn bind(&mut self, ctx: &mut Ctx<'_>) {
        self.note(&format!("bind {}", ctx.state().number), ctx);
    }
}
