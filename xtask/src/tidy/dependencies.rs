//! Which crate may know which: the arrows of ARCHITECTURE.md, held against `cargo metadata`.

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::path::Path;

/// What a crate may depend on.
struct Rule {
    /// A crate's name; a name that ends in `-*` stands for all crates that begin so.
    name: &'static str,
    /// The crates of the workspace that it may know; `None` = all but those that only tests use.
    may_know: Option<&'static [&'static str]>,
    /// Other people's crates that would let in what it must never know.
    never: &'static [&'static str],
}

const NETWORK: &[&str] =
    &["axum", "http", "hyper", "hyper-util", "reqwest", "serde", "serde_json", "tower", "tower-http"];
const DEVICES: &[&str] = &["fjall", "lsm-tree", "tokio", "axum", "http", "hyper", "reqwest", "serde", "serde_json"];
const PURE: &[&str] =
    &["fjall", "lsm-tree", "tokio", "axum", "http", "hyper", "reqwest", "serde", "serde_json", "jiff", "tracing"];

/// The arrows. The first rule that fits decides; a crate without a rule is a fault.
const RULES: &[Rule] = &[
    Rule { name: "model", may_know: Some(&[]), never: PURE },
    Rule { name: "service", may_know: Some(&["model"]), never: NETWORK },
    Rule { name: "store", may_know: Some(&["model"]), never: DEVICES },
    Rule { name: "store-*", may_know: Some(&["model", "store"]), never: NETWORK },
    Rule { name: "fanout-*", may_know: Some(&["model"]), never: &[] },
    Rule { name: "search", may_know: Some(&["model"]), never: &[] },
    Rule { name: "edge", may_know: Some(&[]), never: &["fjall", "lsm-tree"] },
    Rule { name: "dialect-*", may_know: Some(&["model", "service", "edge"]), never: &["fjall", "lsm-tree"] },
    Rule { name: "console", may_know: Some(&["edge"]), never: &[] },
    Rule { name: "testkit", may_know: Some(&["model", "store"]), never: &["fjall", "lsm-tree"] },
    Rule { name: "server", may_know: None, never: &[] },
    Rule { name: "xtask", may_know: Some(&[]), never: &[] },
];

/// The crate that only tests may know: in no crate's normal or build dependencies.
const TESTS_ONLY: &str = "testkit";

/// A crate of the workspace, as far as the rules look at it.
pub struct Crate {
    pub name: String,
    pub dependencies: Vec<Dependency>,
    pub takes_lints: bool,
}

/// One dependency of a crate.
pub struct Dependency {
    pub name: String,
    /// It lies in the workspace.
    pub ours: bool,
    /// Only tests, benches and examples see it.
    pub dev: bool,
}

/// The crates of the workspace, as cargo sees them.
pub fn crates_of(root: &Path) -> Result<Vec<Crate>> {
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .no_deps()
        .other_options(vec!["--locked".into(), "--offline".into()])
        .exec()
        .context("asking cargo for the workspace's dependencies")?;
    metadata
        .packages
        .iter()
        .map(|package| {
            let manifest = std::fs::read_to_string(&package.manifest_path)
                .with_context(|| format!("reading {}", package.manifest_path))?;
            let dependency = |dependency: &cargo_metadata::Dependency| Dependency {
                name: dependency.name.clone(),
                ours: dependency.path.is_some(),
                dev: dependency.kind == DependencyKind::Development,
            };
            Ok(Crate {
                name: package.name.to_string(),
                dependencies: package.dependencies.iter().map(dependency).collect(),
                takes_lints: manifest.contains("[lints]\nworkspace = true"),
            })
        })
        .collect()
}

/// Every dependency against the table, and every crate without the workspace's lints.
pub fn faults(crates: &[Crate]) -> Vec<String> {
    let mut faults = Vec::new();
    for one in crates {
        if !one.takes_lints {
            faults.push(format!("{}: its Cargo.toml lacks `[lints]` with `workspace = true`", one.name));
        }
        let Some(rule) = RULES.iter().find(|rule| rule.fits(&one.name)) else {
            faults.push(format!("{}: has no rule in xtask/src/tidy/dependencies.rs", one.name));
            continue;
        };
        for dependency in one.dependencies.iter().filter(|dependency| !rule.allows(dependency)) {
            faults.push(format!("{}: must never know {}", one.name, dependency.name));
        }
    }
    faults
}

impl Rule {
    fn fits(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == self.name,
        }
    }

    fn allows(&self, dependency: &Dependency) -> bool {
        let name = dependency.name.as_str();
        if !dependency.ours {
            return dependency.dev || !self.never.contains(&name);
        }
        if name == TESTS_ONLY {
            return dependency.dev;
        }
        self.may_know.is_none_or(|known| known.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(name: &str, dependency: &str, ours: bool, dev: bool) -> Vec<String> {
        let dependencies = vec![Dependency { name: dependency.into(), ours, dev }];
        faults(&[Crate { name: name.into(), dependencies, takes_lints: true }])
    }

    fn allowed(name: &str, dependency: &str, ours: bool, dev: bool) -> bool {
        faults_of(name, dependency, ours, dev).is_empty()
    }

    #[test]
    fn arrows_point_one_way() {
        for (from, to) in
            [("service", "model"), ("store", "model"), ("store-disk", "store"), ("dialect-pubnub", "edge")]
        {
            assert!(allowed(from, to, true, false), "{from} → {to}");
            assert!(!allowed(to, from, true, false), "{to} → {from}");
        }
        assert!(!allowed("dialect-native", "dialect-pubnub", true, false), "siblings do not know each other");
        assert!(!allowed("service", "store", true, false));
        assert!(!allowed("dialect-native", "store", true, false));
        assert!(allowed("server", "store-disk", true, false));
    }

    #[test]
    fn only_tests_know_the_test_kit() {
        assert!(allowed("service", "testkit", true, true));
        assert!(!allowed("service", "testkit", true, false));
        assert!(!allowed("server", "testkit", true, false));
        assert!(!allowed("service", "store-disk", true, true), "a test may not cross an arrow either");
    }

    #[test]
    fn what_a_crate_must_never_know_does_not_come_in_from_outside() {
        assert_eq!(faults_of("service", "serde_json", false, false), ["service: must never know serde_json"]);
        assert!(!allowed("store", "fjall", false, false));
        assert!(!allowed("model", "serde", false, false));
        assert!(allowed("store-disk", "fjall", false, false));
        assert!(allowed("service", "bytes", false, false));
    }

    #[test]
    fn every_crate_has_a_rule_and_the_lints() {
        let stranger = Crate { name: "helpers".into(), dependencies: Vec::new(), takes_lints: false };
        assert_eq!(faults(&[stranger]).len(), 2);
    }
}
