//! A module as the engine sees it: a subsystem like any other.

use std::borrow::Cow;
use std::ffi::{c_char, c_int};
use std::path::Path;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use penfold_core::{Callbacks, Context, Errno, Error, File, Migration, Place, Result, Rule, Subsystem, Tid};

use super::error::LoadError;
use super::guest::{About, Said};
use super::info::{FileInfo, Info};
use super::source::Source;
use super::thread::ModuleThread;
use crate::abi;

/// A module, mapped and on a thread of its own, to be given to [`Engine::load`](penfold_core::Engine::load). When it is
/// dropped, which [`Engine::unload`](penfold_core::Engine::unload) does, its `unload` is called, its thread ends, and
/// the file is unmapped.
pub struct Controller {
    info: Info,
    thread: ModuleThread,
}

type Ctx<'a> = Context<'a, Controller>;

impl Controller {
    /// Opens the module in a file. Its constructors and its `load` run; nothing calls it yet.
    ///
    /// The file is taken as it is: [`trust`](super::trust) tells whether that is wise.
    ///
    /// # Errors
    /// [`LoadError`]; nothing of it is left then.
    pub fn open(path: &Path) -> Result<Controller, LoadError> {
        Controller::start(Source::File(path.to_owned()))
    }

    /// The same with a description that is part of this program.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn from_static(module: &'static abi::Module) -> Result<Controller, LoadError> {
        Controller::start(Source::Static(module))
    }

    fn start(source: Source) -> Result<Controller, LoadError> {
        let (thread, info) = ModuleThread::start(source)?;
        Ok(Controller { info, thread })
    }

    /// What it says of itself.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// How long a callback may take until it is reported in the log, under the module's name: 100 ms unless changed.
    pub fn set_budget(&mut self, budget: Duration) {
        self.thread.budget = budget;
    }

    /// A count of the callbacks that took longer, to be asked after the controller was given away.
    pub fn overruns(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let overruns = self.thread.overruns.clone();
        move || overruns.load(Ordering::Relaxed)
    }

    /// Calls a callback that is about the css of a context, or the file of it.
    fn call<R: Send>(
        &self,
        what: &str,
        ctx: &mut Ctx<'_>,
        callback: impl FnOnce(&abi::Module, *mut abi::Context) -> R + Send,
    ) -> (R, Said) {
        let about = About::css(ctx.css());
        self.thread
            .call(what, ctx.host(), about, |guest, about| guest.invoke(&self.info.name, about, callback))
    }

    /// The same for one that can fail.
    fn ask(
        &self,
        what: &str,
        ctx: &mut Ctx<'_>,
        callback: impl FnOnce(&abi::Module, *mut abi::Context) -> c_int + Send,
    ) -> Result<()> {
        let (code, said) = self.call(what, ctx, callback);
        judge(code, said, Error::refused).map(drop)
    }

    /// Calls a handler of the control file that a context is about.
    fn handle(
        &self,
        ctx: &mut Ctx<'_>,
        handler: impl FnOnce(&abi::File, *mut abi::Context) -> c_int + Send,
    ) -> Result<Said> {
        let file = ctx.private();
        let about = About { file: file as u32, ..About::css(ctx.css()) };
        let what = format!("{}.{}", self.info.name, self.info.files[file].name);
        let (code, said) = self.thread.call(&what, ctx.host(), about, |guest, mut about| {
            // SAFETY: the table and the number of its entries were checked when the module was opened.
            let file = unsafe { &*guest.module().files.add(file) };
            about.private = file.private_value;
            guest.invoke(&self.info.name, about, |_, ctx| handler(file, ctx))
        });
        judge(code, said, Error::value)
    }
}

/// What a callback's answer means. What is no errno is a fault of the module, and an error all the same.
fn judge(code: c_int, said: Said, error: impl Fn(Errno, Cow<'static, str>) -> Error) -> Result<Said> {
    if let Some(failure) = said.failure {
        return Err(error(Errno::EIO, format!("the module failed: {failure}").into()));
    }
    if code == 0 {
        return Ok(said);
    }
    let Some(errno) = code.checked_neg().and_then(Errno::from_number) else {
        let reason =
            format!("the module answered {code}, which is neither 0 nor a negative errno that penfold knows");
        return Err(error(Errno::EINVAL, reason.into()));
    };
    Err(match (said.explanation, said.error) {
        (Some(reason), _) => error(errno, reason.into()),
        (None, Some(service)) if service.errno() == errno => service,
        (None, _) => error(errno, errno.text().into()),
    })
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| Error::value(Errno::EIO, "the module gave a text that is not UTF-8"))
}

fn read_u64(controller: &mut Controller, ctx: &mut Ctx<'_>) -> Result<u64> {
    let mut value = 0;
    controller.handle(ctx, |file, ctx| {
        // SAFETY: a handler of the module, with what its type asks for. So are those below.
        unsafe { file.read_u64.map_or(-Errno::EINVAL.number(), |read| read(ctx, &raw mut value)) }
    })?;
    Ok(value)
}

fn read_s64(controller: &mut Controller, ctx: &mut Ctx<'_>) -> Result<i64> {
    let mut value = 0;
    controller.handle(ctx, |file, ctx| {
        // SAFETY: as `read_u64`.
        unsafe { file.read_s64.map_or(-Errno::EINVAL.number(), |read| read(ctx, &raw mut value)) }
    })?;
    Ok(value)
}

fn read_map(controller: &mut Controller, ctx: &mut Ctx<'_>, line: &mut dyn FnMut(&str, u64)) -> Result<()> {
    let said = controller.handle(ctx, |file, ctx| {
        // SAFETY: as `read_u64`.
        unsafe { file.read_map.map_or(-Errno::EINVAL.number(), |read| read(ctx)) }
    })?;
    for (key, value) in said.lines {
        line(&text(key)?, value);
    }
    Ok(())
}

fn read_text(controller: &mut Controller, ctx: &mut Ctx<'_>, out: &mut String) -> Result<()> {
    let said = controller.handle(ctx, |file, ctx| {
        // SAFETY: as `read_u64`.
        unsafe { file.read_text.map_or(-Errno::EINVAL.number(), |read| read(ctx)) }
    })?;
    out.push_str(&text(said.text)?);
    Ok(())
}

fn write_u64(controller: &mut Controller, ctx: &mut Ctx<'_>, value: u64) -> Result<()> {
    let answer = controller.handle(ctx, |file, ctx| {
        // SAFETY: as `read_u64`.
        unsafe { file.write_u64.map_or(-Errno::EINVAL.number(), |write| write(ctx, value)) }
    });
    answer.map(drop)
}

fn write_s64(controller: &mut Controller, ctx: &mut Ctx<'_>, value: i64) -> Result<()> {
    let answer = controller.handle(ctx, |file, ctx| {
        // SAFETY: as `read_u64`.
        unsafe { file.write_s64.map_or(-Errno::EINVAL.number(), |write| write(ctx, value)) }
    });
    answer.map(drop)
}

fn write_text(controller: &mut Controller, ctx: &mut Ctx<'_>, text: &str) -> Result<()> {
    // the NUL that C expects behind it
    let ended = format!("{text}\0");
    let answer = controller.handle(ctx, |file, ctx| {
        let first = ended.as_ptr().cast::<c_char>();
        // SAFETY: as `read_u64`.
        unsafe { file.write_text.map_or(-Errno::EINVAL.number(), |write| write(ctx, first, text.len())) }
    });
    answer.map(drop)
}

fn trigger(controller: &mut Controller, ctx: &mut Ctx<'_>) -> Result<()> {
    let answer = controller.handle(ctx, |file, ctx| {
        // SAFETY: as `read_u64`.
        unsafe { file.trigger.map_or(-Errno::EINVAL.number(), |write| write(ctx)) }
    });
    answer.map(drop)
}

fn file_of(number: usize, info: &FileInfo) -> File<Controller> {
    let file =
        File::named(Cow::Owned(info.name.clone())).private(number).mode(info.mode).max_write(info.max_write);
    let file = match info.read {
        "u64" => file.read_u64(read_u64),
        "s64" => file.read_s64(read_s64),
        "map" => file.read_map(read_map),
        "text" => file.read_text(read_text),
        _ => file,
    };
    let file = match info.write {
        "u64" => file.write_u64(write_u64),
        "s64" => file.write_s64(write_s64),
        "text" => file.write_text(write_text),
        "trigger" => file.trigger(trigger),
        _ => file,
    };
    let file = if info.counts { file.counts() } else { file };
    match info.place {
        Place::Everywhere => file,
        Place::RootOnly => file.root_only(),
        Place::NotRoot => file.not_on_root(),
    }
}

fn migrations(tasks: &[Migration]) -> Vec<abi::Migration> {
    let number = |migration: &Migration| abi::Migration {
        task: migration.task.0,
        from: migration.from.number(),
        to: migration.to.number(),
    };
    tasks.iter().map(number).collect()
}

impl Subsystem for Controller {
    /// A module keeps its states on its own side.
    type State = ();

    const NAME: &'static str = "";

    fn name(&self) -> &str {
        &self.info.name
    }

    fn callbacks(&self) -> Callbacks {
        self.info.callbacks
    }

    fn rules(&self) -> Vec<Rule> {
        let rule = |rule: &super::info::RuleInfo| Rule {
            resource: rule.resource,
            errno: rule.refusal,
            limit_file: Cow::Owned(rule.limit_file.clone()),
        };
        self.info.rules.iter().map(rule).collect()
    }

    fn refusing_file(&self) -> Cow<'static, str> {
        Cow::Owned(self.info.refusing_file.clone())
    }

    fn files(&self) -> Vec<File<Controller>> {
        self.info.files.iter().enumerate().map(|(number, info)| file_of(number, info)).collect()
    }

    fn create(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        let css = ctx.css().number();
        let about = About::css(ctx.css());
        let (code, said) = self.thread.call("create", ctx.host(), about, |guest, about| {
            let mut state = ptr::null_mut();
            let answer = guest.invoke(&self.info.name, about, |module, ctx| {
                // SAFETY: a callback of the module, with what its type asks for. So are those below.
                unsafe { module.create.map_or(-Errno::EINVAL.number(), |create| create(ctx, &raw mut state)) }
            });
            if answer.0 == 0 {
                guest.keep(css, state);
            }
            // The engine takes that for a refusal and never asks for what was made: it goes back at once.
            if answer.0 == 0 && answer.1.failure.is_some() {
                guest.invoke(&self.info.name, about, |module, ctx| {
                    // SAFETY: as above.
                    module.destroy.into_iter().for_each(|destroy| unsafe { destroy(ctx) });
                });
                guest.forget(css);
            }
            answer
        });
        judge(code, said, Error::refused).map(drop)
    }

    fn destroy(&mut self, ctx: &mut Ctx<'_>) {
        let css = ctx.css().number();
        let about = About::css(ctx.css());
        self.thread.call("destroy", ctx.host(), about, |guest, about| {
            let answer = guest.invoke(&self.info.name, about, |module, ctx| {
                // SAFETY: as `create`.
                module.destroy.into_iter().for_each(|destroy| unsafe { destroy(ctx) });
            });
            guest.forget(css);
            answer
        });
    }

    fn pre_destroy(&mut self, ctx: &mut Ctx<'_>) -> Result<()> {
        // SAFETY: as `create`.
        self.ask("pre_destroy", ctx, |module, ctx| unsafe { module.pre_destroy.map_or(0, |ask| ask(ctx)) })
    }

    fn can_attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) -> Result<()> {
        let tasks = migrations(tasks);
        self.ask("can_attach", ctx, |module, ctx| {
            // SAFETY: as `create`.
            unsafe { module.can_attach.map_or(0, |ask| ask(ctx, tasks.as_ptr(), tasks.len())) }
        })
    }

    fn cancel_attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        let tasks = migrations(tasks);
        self.call("cancel_attach", ctx, |module, ctx| {
            // SAFETY: as `create`.
            module
                .cancel_attach
                .into_iter()
                .for_each(|tell| unsafe { tell(ctx, tasks.as_ptr(), tasks.len()) });
        });
    }

    fn attach(&mut self, ctx: &mut Ctx<'_>, tasks: &[Migration]) {
        let tasks = migrations(tasks);
        self.call("attach", ctx, |module, ctx| {
            // SAFETY: as `create`.
            module.attach.into_iter().for_each(|tell| unsafe { tell(ctx, tasks.as_ptr(), tasks.len()) });
        });
    }

    fn can_fork(&mut self, ctx: &mut Ctx<'_>, parent: Tid) -> Result<()> {
        self.ask("can_fork", ctx, |module, ctx| {
            // SAFETY: as `create`.
            unsafe { module.can_fork.map_or(0, |ask| ask(ctx, parent.0)) }
        })
    }

    fn cancel_fork(&mut self, ctx: &mut Ctx<'_>) {
        self.call("cancel_fork", ctx, |module, ctx| {
            // SAFETY: as `create`.
            module.cancel_fork.into_iter().for_each(|tell| unsafe { tell(ctx) });
        });
    }

    fn fork(&mut self, ctx: &mut Ctx<'_>, child: Tid) {
        self.call("fork", ctx, |module, ctx| {
            // SAFETY: as `create`.
            module.fork.into_iter().for_each(|tell| unsafe { tell(ctx, child.0) });
        });
    }

    /// All in one turn: there may be a million of them.
    fn existing(&mut self, ctx: &mut Ctx<'_>, tasks: &[Tid]) {
        self.call("fork", ctx, |module, ctx| {
            let Some(fork) = module.fork else { return };
            // SAFETY: as `create`.
            tasks.iter().for_each(|task| unsafe { fork(ctx, task.0) });
        });
    }

    fn exit(&mut self, ctx: &mut Ctx<'_>, task: Tid) {
        self.call("exit", ctx, |module, ctx| {
            // SAFETY: as `create`.
            module.exit.into_iter().for_each(|tell| unsafe { tell(ctx, task.0) });
        });
    }

    fn post_clone(&mut self, ctx: &mut Ctx<'_>) {
        self.call("post_clone", ctx, |module, ctx| {
            // SAFETY: as `create`.
            module.post_clone.into_iter().for_each(|tell| unsafe { tell(ctx) });
        });
    }

    fn bind(&mut self, ctx: &mut Ctx<'_>) {
        self.call("bind", ctx, |module, ctx| {
            // SAFETY: as `create`.
            module.bind.into_iter().for_each(|tell| unsafe { tell(ctx) });
        });
    }
}
