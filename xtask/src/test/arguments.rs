//! The command line of `cargo xtask test`.

use super::programs::TestProgram;

/// The programs that are to be run, and the arguments for them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct TestArguments {
    /// Parts of the programs' names. Without any, all programs are run.
    names: Vec<String>,
    /// The number of programs at a time; `None` for as many as there are CPUs.
    pub(super) jobs: Option<usize>,
    /// The arguments for the programs themselves.
    pub(super) rest: Vec<String>,
}

/// Reads `[--jobs N] [NAME...] [-- ARGUMENT...]`.
pub(super) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<TestArguments, String> {
    let mut wanted = TestArguments::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--" => wanted.rest = arguments.by_ref().collect(),
            "--jobs" => {
                let number = arguments.next().and_then(|number| number.parse().ok());
                wanted.jobs =
                    Some(number.filter(|&number| number > 0).ok_or("test: --jobs takes a number above 0")?);
            }
            option if option.starts_with('-') => {
                return Err(format!(
                    "test: {option}: takes --jobs N, names of programs, and -- before the rest"
                ));
            }
            _ => wanted.names.push(argument),
        }
    }
    Ok(wanted)
}

impl TestArguments {
    /// True if no program and no test is left out.
    pub(super) fn is_everything(&self) -> bool {
        self.names.is_empty() && self.rest.is_empty()
    }

    /// The programs whose name contains one of the names.
    ///
    /// # Errors
    /// Names a part that no program's name contains.
    pub(super) fn chosen(&self, mut programs: Vec<TestProgram>) -> Result<Vec<TestProgram>, String> {
        let is_in = |name: &String| programs.iter().any(|program| program.name.contains(name.as_str()));
        if let Some(unknown) = self.names.iter().find(|name| !is_in(name)) {
            let all: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
            return Err(format!(
                "test: no test program is called {unknown}; there are\n  {}",
                all.join("\n  ")
            ));
        }
        let is_wanted = |name: &str| self.names.iter().any(|part| name.contains(part.as_str()));
        programs.retain(|program| self.names.is_empty() || is_wanted(&program.name));
        Ok(programs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &str) -> Result<TestArguments, String> {
        parse(arguments.split_whitespace().map(str::to_owned))
    }

    fn names(programs: &[TestProgram]) -> Vec<&str> {
        programs.iter().map(|program| program.name.as_str()).collect()
    }

    #[test]
    fn arguments_name_programs_and_tests() {
        let all = parsed("").unwrap();
        assert!(all.is_everything());
        let some = parsed("cli/tests core --jobs 3 -- --exact a b").unwrap();
        assert_eq!((some.jobs, some.is_everything()), (Some(3), false));
        assert_eq!(
            (some.names.join(" "), some.rest.join(" ")),
            ("cli/tests core".into(), "--exact a b".into())
        );
        assert!(!parsed("-- a").unwrap().is_everything());
        for wrong in ["--jobs", "--jobs 0", "--jobs x", "--exact a"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn programs_are_chosen_by_parts_of_their_names() {
        let programs = || ["a/tests/x.rs", "a/src/lib.rs", "b/tests/x.rs"].map(TestProgram::named).to_vec();
        let chosen = |arguments: &str| parsed(arguments).unwrap().chosen(programs());
        assert_eq!(names(&chosen("").unwrap()).len(), 3);
        assert_eq!(names(&chosen("a/src b/").unwrap()), ["a/src/lib.rs", "b/tests/x.rs"]);
        assert_eq!(names(&chosen("x.rs").unwrap()), ["a/tests/x.rs", "b/tests/x.rs"]);
        let refused = chosen("x.rs y.rs").unwrap_err();
        assert!(
            refused.contains("no test program is called y.rs") && refused.contains("a/src/lib.rs"),
            "{refused}"
        );
    }
}
