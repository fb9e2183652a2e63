//! The messages of the control socket in Rust, made from `org.penfold.Control.varlink` and committed.
//!
//! `varlink_parser` reads the interface. Every type, field and method needs a comment there, which becomes its
//! documentation here.

mod comments;
mod rust;

use std::fs;
use std::path::{Path, PathBuf};

use varlink_parser::IDL;

const INTERFACE: &str = "org.penfold.Control.varlink";

/// Writes the files. With `check`, compares them with the committed ones instead.
///
/// # Errors
/// Names the part of the interface that has no form in Rust, or the committed file that differs.
pub(crate) fn protocol(check: bool) -> Result<(), String> {
    let source = server_sources().join(INTERFACE);
    let text = fs::read_to_string(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    for (name, rust) in generate(&text).map_err(|error| format!("{}: {error}", source.display()))? {
        let path = server_sources().join("protocol").join(name);
        let named = |error: std::io::Error| format!("{}: {error}", path.display());
        if !check {
            fs::write(&path, rust).map_err(named)?;
        } else if fs::read_to_string(&path).map_err(named)? != rust {
            return Err(format!(
                "protocol/{name}: differs from {INTERFACE}; run 'cargo xtask protocol' and look at the difference"
            ));
        }
    }
    Ok(())
}

fn server_sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/server/src")
}

/// The files by their names.
fn generate(interface: &str) -> Result<[(&'static str, String); 3], String> {
    let idl = IDL::try_from(interface).map_err(|error| error.to_string())?;
    Ok([
        ("types.rs", rust::types(&idl)?),
        ("methods.rs", rust::methods(&idl)?),
        ("errors.rs", rust::errors(&idl)?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "\
# About it all.
interface org.example.small

# A book.
type Book (
  # Its name.
  name: string,
  # Its lines.
  # At most ten.
  lastLines: []string
)

# Finds a book.
#
# Slowly.
method Find(
  # Where to look.
  place: ?string
) -> (
  # The book.
  book: ?Book
)

# There is none.
error Missing()
";

    #[test]
    fn committed_files_are_current() {
        protocol(true).unwrap();
    }

    #[test]
    fn types_become_structs_with_their_comments() {
        let [(_, types), (_, methods), (_, errors)] = generate(SMALL).unwrap();
        let expected = "\
/// A book.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = \"camelCase\")]
pub struct BookInfo {
    /// Its name.
    pub name: String,
    /// Its lines.
    /// At most ten.
    #[serde(default)]
    pub last_lines: Vec<String>,
}
";
        assert!(types.ends_with(expected), "{types}");
        let expected = "\
/// Finds a book.
///
/// Slowly.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = \"camelCase\", deny_unknown_fields)]
pub struct FindCall {
    /// Where to look.
    #[serde(default, skip_serializing_if = \"Option::is_none\")]
    pub place: Option<String>,
}

/// The reply to [`FindCall`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = \"camelCase\")]
pub struct FindReply {
    /// The book.
    #[serde(default, skip_serializing_if = \"Option::is_none\")]
    pub book: Option<BookInfo>,
}

impl Method for FindCall {
    const NAME: &'static str = \"org.example.small.Find\";
    type Reply = FindReply;
}
";
        assert!(methods.ends_with(expected), "{methods}");
        assert!(errors.ends_with("\npub struct Missing {}\n"), "{errors}");
    }

    #[test]
    fn missing_comment_is_an_error() {
        for (comment, name) in
            [("  # Its name.\n", "Book.name"), ("# A book.\n", "Book"), ("  # The book.\n", "FindReply.book")]
        {
            let error = generate(&SMALL.replacen(comment, "", 1)).unwrap_err();
            assert_eq!(error, format!("{name} has no comment"));
        }
    }

    #[test]
    fn unsupported_kind_of_field_is_an_error() {
        let error = generate(&SMALL.replace("name: string", "name: float")).unwrap_err();
        assert_eq!(error, "Book.name: float, object, [string] and nested types are not used by penfold");
    }
}
