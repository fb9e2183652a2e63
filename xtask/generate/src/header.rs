//! `cargo xtask header`: generates `penfold.h`, the binary interface of modules for C, from `crates/module/src/abi.rs`.
//!
//! cbindgen translates the types and constants. The files in `header/` are the text before and after them.

mod words;

use std::fs;
use std::path::{Path, PathBuf};

use cbindgen::{Builder, Config, DocumentationStyle, Language, Style};

use words::Names;

const START: &str = include_str!("header/start.h");
const HELPERS: &str = include_str!("header/helpers.h");

/// Writes the header. With `check`: only compares the committed header with the text that would be written.
///
/// # Errors
/// Names the text that can't be translated into C, or says that the committed header differs.
pub(crate) fn header(check: bool) -> Result<(), String> {
    let path = module_crate().join("include/penfold.h");
    let text = generate()?;
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    if !check {
        return fs::write(&path, text).map_err(named);
    }
    if fs::read_to_string(&path).map_err(named)? == text {
        return Ok(());
    }
    Err(format!(
        "{} is not what abi.rs says; run 'cargo xtask header' and look at the difference",
        path.display()
    ))
}

fn module_crate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/module")
}

fn generate() -> Result<String, String> {
    let source = module_crate().join("src/abi.rs");
    let rust = fs::read_to_string(&source).map_err(|error| format!("{}: {error}", source.display()))?;
    let names = Names::of(&rust);
    let bindings = Builder::new().with_src(&source).with_config(config(&names)).generate();
    let mut text = Vec::new();
    bindings.map_err(|error| error.to_string())?.write(&mut text);
    let text = String::from_utf8(text).map_err(|error| error.to_string())?;
    words::in_c(&names, &text)
}

fn config(names: &Names) -> Config {
    let mut config = Config {
        header: Some(START.trim_end().into()),
        trailer: Some(HELPERS.trim_end().into()),
        no_includes: true,
        sys_includes: ["errno.h", "stdarg.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h"]
            .map(String::from)
            .into(),
        after_includes: Some(names.forward_declarations()),
        language: Language::C,
        cpp_compat: true,
        style: Style::Tag,
        documentation_style: DocumentationStyle::Doxy,
        tab_width: 4,
        line_length: 110,
        usize_is_size_t: true,
        ..Config::default()
    };
    config.export.prefix = Some("PENFOLD_".into());
    config.export.renaming_overrides_prefixing = true;
    config.export.rename = names.structs().collect();
    config.export.include = names.structs().map(|(rust, _)| rust).collect();
    // The name of the exported object. C does not need it: the header declares that object.
    config.export.exclude = vec!["SYMBOL".into()];
    config
}

#[cfg(test)]
mod tests {
    #[test]
    fn committed_header_is_current() {
        super::header(true).unwrap();
    }
}
