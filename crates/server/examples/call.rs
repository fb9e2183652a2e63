//! Calls a method of a control socket with parameters in JSON, and prints each reply on a line.
//!
//! `call SOCKET METHOD [PARAMETERS [more]]`
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;

use penfold_server::address::Address;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().collect();
    let (Some(socket), Some(method)) = (words.get(1), words.get(2)) else {
        eprintln!("usage: call SOCKET METHOD [PARAMETERS [more]]");
        return ExitCode::from(2);
    };
    let parameters = words.get(3).map_or("{}", String::as_str);
    match talk(socket, method, parameters, words.len() > 4) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{socket}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn talk(socket: &str, method: &str, parameters: &str, more: bool) -> io::Result<()> {
    let mut stream = Address::parse(OsStr::new(socket)).connect()?;
    let call = format!("{{\"method\":\"{method}\",\"parameters\":{parameters},\"more\":{more}}}\0");
    match stream.write_all(call.as_bytes()) {
        // broken pipe: the daemon has turned this user away, and its reason is there to be read
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    let mut replies = BufReader::new(stream);
    loop {
        let mut reply = Vec::new();
        if replies.read_until(0, &mut reply)? == 0 {
            return Ok(());
        }
        reply.pop();
        println!("{}", String::from_utf8_lossy(&reply));
        if !String::from_utf8_lossy(&reply).ends_with(",\"continues\":true}") {
            return Ok(());
        }
    }
}
