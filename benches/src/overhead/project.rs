//! A small generated C project: a build as a supervisor sees it.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

const FILES: usize = 40;
const FUNCTIONS: usize = 4;

/// Writes the project: a header of its own, 40 sources that include it and some of the system's, a Makefile.
///
/// # Errors
/// When a file can't be written.
pub fn write(directory: &Path) -> io::Result<()> {
    fs::create_dir(directory)?;
    fs::write(directory.join("project.h"), header())?;
    for file in 0..FILES {
        fs::write(directory.join(format!("part{file}.c")), part(file))?;
    }
    fs::write(directory.join("main.c"), main())?;
    fs::write(directory.join("Makefile"), makefile())
}

fn header() -> String {
    let mut text = String::from("#include <stddef.h>\n");
    for file in 0..FILES {
        let _ = writeln!(text, "int part{file}(const char *text, size_t length);");
    }
    text
}

fn part(file: usize) -> String {
    let mut text = String::from(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <ctype.h>\n#include <errno.h>\n\
         #include \"project.h\"\n\n",
    );
    for function in 0..FUNCTIONS {
        let _ = writeln!(
            text,
            "static int step{function}(const char *text, size_t length)\n{{\n\tint sum = {function};\n\n\
             \tfor (size_t at = 0; at < length; at++) {{\n\t\tif (isalpha((unsigned char)text[at]))\n\
             \t\t\tsum = sum * 31 + text[at];\n\t\telse if (sum % {} == 0)\n\t\t\tsum ^= (int)strlen(text + at);\n\
             \t}}\n\treturn sum;\n}}\n",
            file + 2
        );
    }
    let _ = writeln!(text, "int part{file}(const char *text, size_t length)\n{{\n\tint sum = 0;\n");
    for function in 0..FUNCTIONS {
        let _ = writeln!(text, "\tsum += step{function}(text, length);");
    }
    text.push_str("\treturn sum;\n}\n");
    text
}

fn main() -> String {
    let mut text = String::from(
        "#include <stdio.h>\n#include <string.h>\n#include \"project.h\"\n\nint main(int argc, char **argv)\n{\n\
         \tint sum = argc;\n\n",
    );
    for file in 0..FILES {
        let _ = writeln!(text, "\tsum += part{file}(argv[0], strlen(argv[0]));");
    }
    text.push_str("\treturn printf(\"%d\\n\", sum) < 0;\n}\n");
    text
}

fn makefile() -> String {
    let objects: Vec<String> = (0..FILES).map(|file| format!("part{file}.o")).collect();
    format!(
        "CFLAGS = -O1\nproject: main.o {}\n\t$(CC) -o $@ $^\n%.o: %.c project.h\n\t$(CC) $(CFLAGS) -c -o $@ $<\n",
        objects.join(" ")
    )
}
