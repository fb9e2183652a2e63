//! The loader with a description written by hand, as in C: answers of callbacks, services, and wrong arguments.
#![cfg(feature = "loader")]

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use penfold_core::simulated::SimulatedHost;
use penfold_core::{Caller, CgroupId, Engine, Errno, Tid, simulated::ChildKind};
use penfold_module::abi::{self, RawContext, RawFile, RawModule};
use penfold_module::loader::{Controller, LoadError};

const fn chars<const N: usize>(text: &str) -> [c_char; N] {
    let (mut field, bytes, mut at) = ([0; N], text.as_bytes(), 0);
    while at < bytes.len() {
        field[at] = bytes[at].cast_signed();
        at += 1;
    }
    field
}

/// The state of a cgroup: the numbers of its forks and exits.
struct State {
    forks: u64,
    exits: u64,
}

unsafe fn services<'a>(ctx: *mut RawContext) -> &'a abi::RawServices {
    // SAFETY: the loader passes a context with services.
    unsafe { &*(*ctx).services }
}

unsafe fn state<'a>(ctx: *mut RawContext) -> &'a mut State {
    // SAFETY: the state that `create` stored.
    unsafe { &mut *(*ctx).state.cast() }
}

unsafe extern "C" fn create(_: *mut RawContext, state: *mut *mut c_void) -> c_int {
    // SAFETY: the loader has memory for a pointer there.
    unsafe { *state = Box::into_raw(Box::new(State { forks: 0, exits: 0 })).cast() };
    0
}

unsafe extern "C" fn destroy(ctx: *mut RawContext) {
    // SAFETY: the state that `create` stored.
    drop(unsafe { Box::from_raw((*ctx).state.cast::<State>()) });
}

unsafe extern "C" fn fork(ctx: *mut RawContext, _: i32) {
    // SAFETY: as `state`.
    unsafe { state(ctx).forks += 1 };
}

unsafe extern "C" fn exit(ctx: *mut RawContext, _: i32) {
    // SAFETY: as `state`.
    unsafe { state(ctx).exits += 1 };
}

unsafe extern "C" fn counts(ctx: *mut RawContext) -> c_int {
    // SAFETY: as `state` and `services`.
    unsafe {
        let State { forks, exits } = *state(ctx);
        (services(ctx).put_line)(ctx, c"forks".as_ptr(), forks);
        (services(ctx).put_line)(ctx, c"exits".as_ptr(), exits);
        let tasks = (services(ctx).tasks)(ctx, (*ctx).css, ptr::null_mut(), 0);
        (services(ctx).put_line)(ctx, c"tasks".as_ptr(), tasks as u64);
    }
    0
}

/// Returns the number that was written.
unsafe extern "C" fn answer(_: *mut RawContext, value: i64) -> c_int {
    value as c_int
}

unsafe extern "C" fn explained(ctx: *mut RawContext, text: *const c_char, length: usize) -> c_int {
    // SAFETY: as `services`.
    unsafe { (services(ctx).explain)(ctx, text, length) };
    -Errno::ERANGE.number()
}

/// Calls services with css, rules and pointers that the module does not have.
unsafe extern "C" fn garbage(ctx: *mut RawContext) -> c_int {
    // SAFETY: as `services`. The services take wrong numbers and NULL.
    unsafe {
        let services = services(ctx);
        for css in [77, u32::MAX - 1, abi::NO_CSS] {
            assert_eq!((services.parent)(ctx, css), abi::NO_CSS);
            assert_eq!((services.children)(ctx, css, ptr::null_mut(), 10), 0);
            assert_eq!((services.tasks)(ctx, css, ptr::null_mut(), 10), 0);
            assert_eq!((services.cpu_usage)(ctx, css, ptr::null_mut(), 10), 0);
            assert_eq!((services.reset_cpu_usage)(ctx, css), -Errno::EINVAL.number());
            assert_eq!((services.set_limit)(ctx, css, 0, 1), -Errno::EINVAL.number());
            assert!((services.state)(ctx, css).is_null());
        }
        let mut counter = abi::RawCounter::default();
        assert_eq!(
            (services.counter)(ctx, (*ctx).css, 0, &raw mut counter),
            -Errno::EINVAL.number(),
            "no rule"
        );
        assert_eq!((services.counter)(ctx, (*ctx).css, 0, ptr::null_mut()), -Errno::EFAULT.number());
        assert_eq!((services.require)(ctx, 99), -Errno::EINVAL.number());
        assert_eq!((services.task)(ctx, 12345, ptr::null_mut()), -Errno::EFAULT.number());
        assert_eq!((services.set_affinity)(ctx, 1, ptr::null(), 1), -Errno::EFAULT.number());
        assert_eq!((services.now)(ptr::null_mut()), 0, "a NULL context");
        (services.put)(ctx, ptr::null(), 10);
        (services.put)(ctx, [0xff_u8, 0xfe].as_ptr().cast(), 2);
    }
    0
}

static FILES: [RawFile; 4] = [
    RawFile { name: chars("counts"), read_map: Some(counts), ..RawFile::EMPTY },
    RawFile { name: chars("answer"), write_s64: Some(answer), ..RawFile::EMPTY },
    RawFile { name: chars("explained"), write_text: Some(explained), ..RawFile::EMPTY },
    RawFile { name: chars("garbage"), read_text: Some(garbage), ..RawFile::EMPTY },
];

const MODULE: RawModule = RawModule {
    abi_version: abi::ABI_VERSION,
    module_size: size_of::<RawModule>() as u32,
    file_size: size_of::<RawFile>() as u32,
    rule_size: size_of::<abi::RawRule>() as u32,
    context_size: size_of::<RawContext>() as u32,
    services_size: size_of::<abi::RawServices>() as u32,
    name: chars("probe"),
    version: chars("1.2"),
    summary: chars("for tests"),
    refusing_file: chars(""),
    files: FILES.as_ptr(),
    file_count: 4,
    rule_count: 0,
    rules: ptr::null(),
    load: None,
    unload: None,
    create: Some(create),
    destroy: Some(destroy),
    pre_destroy: None,
    can_attach: None,
    cancel_attach: None,
    attach: None,
    can_fork: None,
    cancel_fork: None,
    fork: Some(fork),
    exit: Some(exit),
    post_clone: None,
    bind: None,
};

static PROBE: RawModule = MODULE;

fn mounted() -> (Engine, SimulatedHost, Tid, CgroupId) {
    let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(2));
    let task = host.spawn(&mut engine, 0);
    engine.load(&mut host, Controller::from_static(&PROBE).unwrap()).unwrap();
    let root = engine.session(&mut host, &Caller::root(task)).mount("probe").unwrap().root;
    (engine, host, task, root)
}

fn read(
    engine: &mut Engine,
    host: &mut SimulatedHost,
    cgroup: CgroupId,
    file: &str,
) -> Result<String, Errno> {
    let id = engine.find_file(cgroup, file).unwrap();
    let content = engine.session(host, &Caller::root(Tid(1))).read(cgroup, id);
    content.map(|content| String::from_utf8(content).unwrap()).map_err(|error| error.errno())
}

fn write(
    engine: &mut Engine,
    host: &mut SimulatedHost,
    cgroup: CgroupId,
    file: &str,
    text: &str,
) -> Result<(), String> {
    let id = engine.find_file(cgroup, file).unwrap();
    engine
        .session(host, &Caller::root(Tid(1)))
        .write(cgroup, id, text.as_bytes())
        .map_err(|error| format!("{} {error}", error.errno().name()))
}

#[test]
fn callbacks_are_called_and_may_call_services() {
    let (mut engine, mut host, task, root) = mounted();
    let counts = "probe.counts";
    assert_eq!(
        read(&mut engine, &mut host, root, counts).unwrap(),
        "forks 1\nexits 0\ntasks 1\n",
        "told at load"
    );
    let child = host.fork(&mut engine, task, ChildKind::Process).unwrap();
    assert_eq!(read(&mut engine, &mut host, root, counts).unwrap(), "forks 2\nexits 0\ntasks 2\n");
    host.exit(&mut engine, child);
    assert_eq!(read(&mut engine, &mut host, root, counts).unwrap(), "forks 2\nexits 1\ntasks 1\n");
}

#[test]
fn answer_that_is_no_errno_is_an_error() {
    let (mut engine, mut host, _, root) = mounted();
    let mut answer = |text| write(&mut engine, &mut host, root, "probe.answer", text);
    assert_eq!(answer("0"), Ok(()));
    assert_eq!(answer("-28").unwrap_err(), "ENOSPC probe.answer: No space left on device");
    for garbage in ["1", "5", "-4096", "-2147483648", "2147483647"] {
        let error = answer(garbage).unwrap_err();
        assert!(error.starts_with("EINVAL") && error.contains(garbage), "{error}");
    }
}

#[test]
fn explanation_is_the_reason_of_the_error() {
    let (mut engine, mut host, _, root) = mounted();
    let error = write(&mut engine, &mut host, root, "probe.explained", "too far").unwrap_err();
    assert_eq!(error, "ERANGE probe.explained: too far");
}

#[test]
fn services_survive_wrong_numbers_and_null() {
    let (mut engine, mut host, _, root) = mounted();
    assert_eq!(read(&mut engine, &mut host, root, "probe.garbage"), Err(Errno::EIO), "not UTF-8");
}

#[test]
fn refusal_of_another_version_names_both_versions() {
    static OTHER: RawModule = RawModule { abi_version: 7, ..MODULE };
    static SMALLER: RawModule = RawModule { services_size: 8, ..MODULE };
    let refusal = |module| match Controller::from_static(module) {
        Ok(_) => panic!("loaded"),
        Err(error) => (error.errno(), error.to_string()),
    };
    let (errno, text) = refusal(&OTHER);
    assert!(errno == Errno::ENOEXEC && text.contains("version 7") && text.contains("version 1"), "{text}");
    let (errno, text) = refusal(&SMALLER);
    assert!(errno == Errno::ENOEXEC && text.contains("penfold_services has 8 bytes"), "{text}");
}

#[test]
fn load_that_fails_leaves_nothing() {
    unsafe extern "C" fn refuse(_: *mut *mut c_void) -> c_int {
        -Errno::ENOMEM.number()
    }
    static REFUSING: RawModule = RawModule { load: Some(refuse), ..MODULE };
    let Err(error) = Controller::from_static(&REFUSING) else { panic!("loaded") };
    assert!(matches!(error, LoadError::Refused { errno: Errno::ENOMEM, .. }), "{error}");
}

#[test]
fn create_that_reports_a_failure_leaves_no_state() {
    static DESTROYED: AtomicU32 = AtomicU32::new(0);
    unsafe extern "C" fn failing(ctx: *mut RawContext, state: *mut *mut c_void) -> c_int {
        // SAFETY: as `services`.
        unsafe {
            (services(ctx).failed)(ctx, c"oops".as_ptr(), 4);
            create(ctx, state)
        }
    }
    unsafe extern "C" fn counting(ctx: *mut RawContext) {
        DESTROYED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as `destroy`.
        unsafe { destroy(ctx) };
    }
    static FAILING: RawModule = RawModule { create: Some(failing), destroy: Some(counting), ..MODULE };
    let (mut engine, mut host) = (Engine::new(), SimulatedHost::new(2));
    let error = engine.load(&mut host, Controller::from_static(&FAILING).unwrap()).unwrap_err();
    assert!(error.errno() == Errno::EIO && error.to_string().contains("oops"), "{error}");
    assert_eq!(DESTROYED.load(Ordering::Relaxed), 1);
}
