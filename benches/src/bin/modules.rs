//! The cost of a module, beside the same controller compiled in and beside no controller.
//!
//! Measured are callbacks, load and unload among a million tasks, and how long a load stops a real task.

use std::error::Error;
use std::time::Duration;

use clap::Parser;
use penfold_benches::module::build::Built;
use penfold_benches::module::{Durations, Interested, simulated, traced};
use penfold_benches::overhead::machine;

/// Compares a module with the same controller compiled in and with no interested controller.
#[derive(Debug, Parser)]
#[command(name = "modules")]
struct ModulesArguments {
    /// Rounds of every line.
    #[arg(long, default_value_t = 15)]
    rounds: usize,

    /// Only the parts whose name contains this: callbacks, forks, load, stops.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn line(label: &str, times: &Durations) {
    let (fastest, median, longest) =
        (micros(times.fastest()), micros(times.median()), micros(times.longest()));
    println!("{label:<46}{fastest:>12.3}{median:>12.3}{longest:>12.3}");
}

fn head(title: &str) {
    println!("\n{title:<46}{:>12}{:>12}{:>12}", "fastest", "median", "longest");
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = ModulesArguments::parse();
    let built = Built::new()?;
    let wanted = |part: &str| part.contains(&arguments.only);
    let cpus = machine::cpus()?;
    simulated::check(&built)?;
    for used in [&cpus[..1], &cpus[..]] {
        machine::use_cpus(used)?;
        if wanted("callbacks") {
            callbacks(&built, used.len(), arguments.rounds)?;
        }
        if wanted("forks") {
            forks(&built, used.len(), arguments.rounds)?;
        }
    }
    if wanted("load") {
        load(&built, arguments.rounds)?;
    }
    if wanted("stops") {
        stops(&built, arguments.rounds)?;
    }
    Ok(())
}

fn callbacks(built: &Built, cpus: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    head(&format!("fork + exit in core, us, {cpus} CPUs"));
    let times = simulated::fork_and_exit(built, rounds)?;
    for (interested, times) in Interested::ALL.iter().zip(&times) {
        line(&format!("told to: {}", interested.name()), times);
    }
    let each = (times[2].fastest().saturating_sub(times[1].fastest())) / 2;
    println!("a module's callback costs {:.3} us more than one that is compiled in (fastest)", micros(each));
    Ok(())
}

fn forks(built: &Built, cpus: usize, rounds: usize) -> Result<(), Box<dyn Error>> {
    head(&format!("{} x vfork + exit + wait, us, {cpus} CPUs", traced::FORKS));
    let times = traced::fork_loop(built, rounds)?;
    line("bare", &times[0]);
    for (interested, times) in Interested::ALL.iter().zip(&times[1..]) {
        line(&format!("trace host, told to: {}", interested.name()), times);
    }
    for (interested, them) in Interested::ALL.iter().zip(&times[1..]) {
        let ratio =
            |time: fn(&Durations) -> Duration| time(them).as_secs_f64() / time(&times[0]).as_secs_f64();
        let more = micros(them.fastest().saturating_sub(times[1].fastest())) / f64::from(traced::FORKS);
        println!(
            "{:<10} ratio to bare: fastest {:.2}, medians {:.2}; {more:.2} us/op more than nobody (fastest)",
            interested.name(),
            ratio(Durations::fastest),
            ratio(Durations::median)
        );
    }
    Ok(())
}

fn load(built: &Built, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut world = simulated::full();
    head(&format!(
        "{} css_sets, {} tasks, us",
        world.sim.engine.css_set_count(),
        simulated::SETS.cgroups() * 10
    ));
    for (told, what) in [(false, "told of nothing"), (true, "told of forks and exits")] {
        for interested in [Interested::BuiltIn, Interested::Module] {
            let times = simulated::load_and_unload(built, &mut world, interested, told, rounds)?;
            let label = |step: &str| format!("{step}, {}, {what}", interested.name());
            if interested == Interested::Module {
                line(&label("open"), &times.open);
            }
            line(&label("load"), &times.load);
            line(&label("unload"), &times.unload);
        }
    }
    println!(
        "aim: load and unload below 10000 us; the longest load is the first, when the css_sets grow by a slot"
    );
    Ok(())
}

fn stops(built: &Built, rounds: usize) -> Result<(), Box<dyn Error>> {
    let stops = traced::stops(built, rounds)?;
    head(&format!("trace host, {} threads sleep, one forks, us", traced::THREADS));
    line("the tracer is busy with a load", &stops.load);
    line("the tracer is busy with an unload", &stops.unload);
    line("longest vfork + wait, load and unload meanwhile", &stops.with);
    line("longest vfork + wait, without", &stops.without);
    println!("aim: no task is stopped for longer than 1000 us");
    Ok(())
}
