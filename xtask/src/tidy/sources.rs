//! Rules that hold inside one file: how a Rust file opens, what must not be left behind, how long it is.

use super::SourceFile;

/// Over this many lines a file is told of: it is seldom still one thing.
const LONG_FILE_LINES: usize = 500;

/// What says that something is unfinished or skipped. Spelled in two parts, so that this list does not name itself.
const LEFTOVERS: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("#[ign", "ore"),
];

/// Where a path begins that exists on one machine only.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/wo", "rk/"), concat!("/t", "mp/")];

/// Crates whose code never touches a file or a socket by itself, and what it would do so with.
const PURE_CRATES: &[&str] = &["crates/model/src/", "crates/service/src/", "crates/store/src/"];
const OUTSIDE_WORLD: &[&str] = &["std::fs", "std::net", "tokio::fs", "tokio::net"];

/// What is wrong with a file, each with its line.
pub fn faults(file: &SourceFile) -> Vec<String> {
    let mut faults = Vec::new();
    if is_rust(file) {
        if !file.text.starts_with("//! ") {
            faults.push(format!("{}:1: does not open with a `//!` header that says what it is for", file.path));
        }
        faults.extend(find(file, LEFTOVERS, "left behind"));
        if PURE_CRATES.iter().any(|folder| file.path.starts_with(folder)) {
            faults.extend(find(file, OUTSIDE_WORLD, "this crate touches no file and no network"));
        }
    }
    if !file.path.starts_with("LICENSE") {
        faults.extend(find(file, MACHINE_PATHS, "a path of one machine"));
    }
    faults
}

/// What is worth a look, though not wrong.
pub fn remark(file: &SourceFile) -> Option<String> {
    let lines = file.text.lines().count();
    (is_rust(file) && lines > LONG_FILE_LINES)
        .then(|| format!("{} has {lines} lines; is it still one thing?", file.path))
}

fn is_rust(file: &SourceFile) -> bool {
    file.path.ends_with(".rs")
}

fn find(file: &SourceFile, words: &[&str], why: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        for word in words.iter().filter(|word| line.contains(**word)) {
            faults.push(format!("{}:{number}: `{word}`: {why}", file.path));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), text: text.into() }
    }

    fn check(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(faults(&file(path, text)), expected);
    }

    #[test]
    fn a_rust_file_says_what_it_is_for() {
        let fault = "crates/x/tests/a.rs:1: does not open with a `//!` header that says what it is for";
        check("crates/x/tests/a.rs", "use model::Id;\n", &[fault]);
        check("crates/x/tests/a.rs", "//! What the tests hold.\nuse model::Id;\n", &[]);
    }

    #[test]
    fn nothing_is_left_behind() {
        for leftover in LEFTOVERS {
            let text = format!("//! Header.\n\nfn a() {{}} // {leftover}\n");
            check("xtask/src/a.rs", &text, &[&format!("xtask/src/a.rs:3: `{leftover}`: left behind")]);
        }
    }

    #[test]
    fn pure_crates_touch_neither_files_nor_sockets() {
        let text = "//! Header.\nuse std::fs::File;\n";
        check(
            "crates/store/src/a.rs",
            text,
            &["crates/store/src/a.rs:2: `std::fs`: this crate touches no file and no network"],
        );
        check("crates/store-disk/src/a.rs", text, &[]);
    }

    #[test]
    fn no_file_names_a_path_of_one_machine() {
        for path in MACHINE_PATHS {
            let text = format!("see {path}notes\n");
            check("docs/a.md", &text, &[&format!("docs/a.md:1: `{path}`: a path of one machine")]);
        }
    }

    #[test]
    fn long_files_are_told_of() {
        assert!(remark(&file("a.rs", &"\n".repeat(LONG_FILE_LINES))).is_none());
        assert!(remark(&file("a.rs", &"\n".repeat(LONG_FILE_LINES + 1))).is_some());
        assert!(remark(&file("a.md", &"\n".repeat(LONG_FILE_LINES + 1))).is_none());
    }
}
