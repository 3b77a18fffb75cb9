//! How far a long command is, on standard error: a bar for who watches, a line now and then for a log.

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

/// Between two lines where nobody watches.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things of this name.
    Count(&'static str),
}

/// How far something is.
pub struct Progress {
    what: &'static str,
    unit: Unit,
    total: Option<u64>,
    done: u64,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// Begins at nothing; `what` is a verb in the past: "copied".
    pub fn new(what: &'static str, unit: Unit, total: Option<u64>) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| bar(what, unit, total));
        Progress { what, unit, total, done: 0, bar, told: Instant::now() }
    }

    /// So much more is done.
    pub fn add(&mut self, more: u64) {
        self.done += more;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        } else if self.told.elapsed() >= LINE_EVERY {
            self.told = Instant::now();
            let of = self.total.map_or(String::new(), |total| format!(" of {}", self.unit.show(total)));
            eprintln!("{} {}{of}", self.what, self.unit.show(self.done));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Unit {
    fn show(self, number: u64) -> String {
        match self {
            Unit::Bytes => HumanBytes(number).to_string(),
            Unit::Count(name) => format!("{} {name}", HumanCount(number)),
        }
    }
}

fn bar(what: &str, unit: Unit, total: Option<u64>) -> ProgressBar {
    let number = match unit {
        Unit::Bytes if total.is_some() => "{binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}".to_owned(),
        Unit::Bytes => "{binary_bytes}, {binary_bytes_per_sec}".to_owned(),
        Unit::Count(name) => format!("{{human_pos}} {name}, {{per_sec}}"),
    };
    let (bar, template) = match total {
        Some(total) => (ProgressBar::new(total), format!("{what} {number} {{wide_bar}} {{eta}}")),
        None => (ProgressBar::new_spinner(), format!("{{spinner}} {what} {number}, {{elapsed}}")),
    };
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
