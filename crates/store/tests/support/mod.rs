//! The settings with which the tests of this folder open stores.

use model::AppId;
use std::collections::BTreeSet;
use store::Settings;
#[allow(unused_imports, reason = "not every test file uses every helper")]
pub use testkit::OnMemory;

/// Tails so small that most tests flush often.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn small_tails() -> Settings {
    Settings { tail_bytes: 4 << 10, piece_bytes: 2 << 10, ..Settings::default() }
}

/// The same, with the apps of the tests listed by author and recipient.
#[allow(dead_code, reason = "not every test file uses every helper")]
pub fn listed(settings: Settings) -> Settings {
    Settings { indexed_apps: Some(apps()), ..settings }
}

/// The apps of the tests.
pub fn apps() -> BTreeSet<AppId> {
    ["demo", "demo2"].into_iter().map(|app| AppId::new(app).expect("a valid name")).collect()
}
