//! Wrong arguments, as clap finds them, in the form of every other failure.

use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::num::ParseIntError;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::{self, Failure, OWN_FAILURE, usage};

/// Reports wrong arguments, or prints what `--help` and `--version` ask for. Returns the exit status.
///
/// `words` are those that clap has read, the program's name first.
pub(crate) fn report(error: &clap::Error, words: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(OWN_FAILURE)
        }
        _ => {
            failure::report(&failure_of(error, &manual(words)));
            ExitCode::from(OWN_FAILURE)
        }
    }
}

/// `manual` is the command that shows the right arguments.
fn failure_of(error: &clap::Error, manual: &str) -> Failure {
    let text = |kind| error.get(kind).map(shown).unwrap_or_default();
    let (argument, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    // the name of an option without the name of its value, as it was typed
    let option = argument.split([' ', '=']).next().unwrap_or_default().to_owned();
    let given = match option.starts_with('-') {
        true if !value.is_empty() => format!("{option} {value}"),
        true => option.clone(),
        false if value.is_empty() => placeholder(&argument),
        false => value.clone(),
    };
    let failure = match error.kind() {
        ErrorKind::ValueValidation => usage(given, why_invalid(error)),
        ErrorKind::InvalidValue if value.is_empty() => {
            usage(given, format!("needs a value; {}", choices(error)))
        }
        ErrorKind::InvalidValue => usage(given, choices(error)),
        ErrorKind::UnknownArgument => usage(argument, with_suggestion(error, "no such argument")),
        ErrorKind::InvalidSubcommand => {
            usage(text(ContextKind::InvalidSubcommand), with_suggestion(error, "no such verb"))
        }
        ErrorKind::MissingRequiredArgument => usage(placeholder(&argument), "is missing"),
        ErrorKind::MissingSubcommand => usage("verb", "is missing"),
        ErrorKind::ArgumentConflict => {
            let prior = text(ContextKind::PriorArg);
            if prior == argument || prior.is_empty() {
                usage(given, "can be given once only")
            } else {
                usage(given, format!("excludes {prior}"))
            }
        }
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues | ErrorKind::NoEquals => {
            usage(given, "has too few values")
        }
        ErrorKind::TooManyValues => usage(given, "has too many values"),
        ErrorKind::InvalidUtf8 => usage("arguments", "are not UTF-8"),
        _ => usage("arguments", first_line(&error.to_string())),
    };
    let detail = format!("{}; see `{manual}`", failure.detail);
    Failure { detail, ..failure }
}

/// One or several names.
fn shown(value: &ContextValue) -> String {
    match value {
        ContextValue::Strings(names) => names.join(", "),
        other => other.to_string(),
    }
}

/// The name of an operand without the brackets and dots around it.
fn placeholder(argument: &str) -> String {
    argument.replace(['<', '>', '[', ']'], "").replace("...", "")
}

fn choices(error: &clap::Error) -> String {
    match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) if values.len() > 1 => {
            format!("takes one of {}", values.join(", "))
        }
        Some(ContextValue::Strings(values)) => format!("takes {}", values.concat()),
        _ => "give one".to_owned(),
    }
}

fn with_suggestion(error: &clap::Error, what: &str) -> String {
    let suggested = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand]
        .into_iter()
        .find_map(|kind| error.get(kind))
        .map(shown)
        .filter(|suggested| !suggested.is_empty());
    suggested.map_or_else(|| what.to_owned(), |suggested| format!("{what}; similar: {suggested}"))
}

/// The form that a value should have.
fn why_invalid(error: &clap::Error) -> String {
    match error.source() {
        Some(source) if source.is::<ParseIntError>() => "takes a number".to_owned(),
        Some(source) => source.to_string(),
        None => "can't be taken".to_owned(),
    }
}

/// The manual of the verb among these words, or of the program.
fn manual(words: &[OsString]) -> String {
    let program = crate::command();
    let mut at = &program;
    let mut text = String::from("penfold");
    for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
        let Some(below) = at.find_subcommand(word) else { continue };
        at = below;
        let _ = write!(text, " {word}");
        // only `module` has verbs of its own
        if !at.has_subcommands() {
            break;
        }
    }
    text + " --help"
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
