//! The helper processes of the differential test: an operator, an actor, or under the name `agent_N` a release agent.

use penfold_tests::differential::{OPERATORS, actor, operator};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    if args[0].rsplit('/').next().is_some_and(|name| name.starts_with("agent_")) {
        return note_agent_call(&args);
    }
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "operator", name, home] => {
            let operator = OPERATORS.into_iter().find(|operator| operator.name() == name);
            operator::serve(operator.expect("root or user"), home.into())
        }
        [_, "actor", socket, user] => actor::serve(Path::new(socket), user == "user"),
        _ => panic!("differential operator root|user HOME, or differential actor SOCKET root|user"),
    }
}

/// One line with one write, so that calls at the same time do not mix.
fn note_agent_call(args: &[String]) -> io::Result<()> {
    let line = format!("{}\n", args[1..].join(" ").escape_debug());
    let mut log = OpenOptions::new().create(true).append(true).open(format!("{}.log", args[0]))?;
    log.write_all(line.as_bytes())
}
