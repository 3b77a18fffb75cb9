//! Decision pages (`docs/decisions/NNNN-title.md`) are numbered from 0001 without a hole or a double, and name every
//! dependency, each with its reason.

use super::{SourceFile, dependencies::Crate};
use std::collections::BTreeSet;

const FOLDER: &str = "docs/decisions/";

/// What is wrong with the decision pages among these paths.
pub fn faults<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut pages: Vec<&str> = paths.filter_map(|path| path.strip_prefix(FOLDER)).collect();
    pages.sort_unstable();
    let mut faults = Vec::new();
    for (page, expected) in pages.iter().zip(1u32..) {
        match number(page) {
            Some(number) if number == expected => {}
            Some(number) => {
                faults.push(format!("{FOLDER}{page}: has number {number} where {expected} comes next"));
                break; // All later ones would be told again.
            }
            None => faults.push(format!("{FOLDER}{page}: the name is not NNNN-title.md")),
        }
    }
    faults
}

/// The dependencies that no decision page speaks of.
pub fn unexplained(crates: &[Crate], files: &[SourceFile]) -> Vec<String> {
    let pages: Vec<&SourceFile> = files.iter().filter(|file| file.path.starts_with(FOLDER)).collect();
    let dependencies = crates.iter().flat_map(|one| &one.dependencies).filter(|dependency| !dependency.ours);
    let names: BTreeSet<&str> = dependencies.map(|dependency| dependency.name.as_str()).collect();
    let named = |name: &str| pages.iter().any(|page| page.text.contains(&format!("`{name}`")));
    let unexplained = names.into_iter().filter(|name| !named(name));
    unexplained.map(|name| format!("{name}: no page in {FOLDER} says why it is a dependency")).collect()
}

fn number(page: &str) -> Option<u32> {
    let (digits, title) = page.strip_suffix(".md")?.split_once('-')?;
    let well_formed = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) && !title.is_empty();
    well_formed.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::dependencies::Dependency;

    fn faults_of(names: &[&str]) -> usize {
        let paths: Vec<String> = names.iter().map(|name| format!("{FOLDER}{name}")).collect();
        faults(paths.iter().map(String::as_str)).len()
    }

    #[test]
    fn pages_are_numbered_without_holes() {
        assert_eq!(faults_of(&["0002-b.md", "0001-a.md", "0003-c.md"]), 0);
        assert_eq!(faults_of(&["0001-a.md", "0003-c.md"]), 1, "a hole");
        assert_eq!(faults_of(&["0001-a.md", "0001-b.md"]), 1, "a double");
        assert_eq!(faults_of(&["0002-a.md"]), 1, "not from the start");
        assert_eq!(faults_of(&["notes.md"]), 1, "no number");
        assert_eq!(faults_of(&["1-a.md"]), 1, "not four digits");
    }

    #[test]
    fn a_dependency_has_a_reason_on_some_page() {
        let dependency = |name: &str, ours| Dependency { name: name.into(), ours, dev: false };
        let dependencies = vec![dependency("bytes", false), dependency("left-pad", false), dependency("model", true)];
        let crates = [Crate { name: "service".into(), dependencies, takes_lints: true }];
        let page = |path: &str| SourceFile { path: path.into(), text: "| `bytes` | shared payloads |".into() };
        let left_pad = "left-pad: no page in docs/decisions/ says why it is a dependency";
        assert_eq!(unexplained(&crates, &[page("docs/decisions/0001-a.md")]), [left_pad]);
        assert_eq!(unexplained(&crates, &[page("README.md")]).len(), 2, "elsewhere does not count");
    }

    #[test]
    fn other_files_are_none_of_its_business() {
        assert!(faults(["docs/glossary.md", "README.md"].into_iter()).is_empty());
    }
}
