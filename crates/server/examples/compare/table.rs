//! The table of a run: each figure beside its goal.

use std::fmt;

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// Only told.
    None,
}

/// The rows in the order in which they were measured.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    goal: Goal,
    measured: f64,
    unit: &'static str,
    details: String,
}

impl Table {
    /// Adds a figure; it is shown on stderr at once, so that a run that fails later is not lost.
    pub fn add(&mut self, what: impl Into<String>, goal: Goal, measured: f64, unit: &'static str, details: String) {
        let row = Row { what: what.into(), goal, measured, unit, details };
        eprintln!("{row}");
        self.rows.push(row);
    }
}

impl Goal {
    fn is_reached(self, measured: f64) -> Option<bool> {
        match self {
            Goal::AtLeast(bound) => Some(measured >= bound),
            Goal::AtMost(bound) => Some(measured <= bound),
            Goal::None => None,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goal::AtLeast(bound) => write!(f, "≥ {bound}"),
            Goal::AtMost(bound) => write!(f, "≤ {bound}"),
            Goal::None => write!(f, "–"),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reached = match self.goal.is_reached(self.measured) {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "–",
        };
        let (what, goal, unit, details) = (&self.what, self.goal, self.unit, &self.details);
        // Small figures need their digits, large ones would only pretend to have them.
        let digits = if self.measured < 10.0 { 2 } else { 0 };
        write!(f, "| {what} | {goal} {unit} | {:.digits$} {unit} | {reached} | {details} |", self.measured)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what | goal | measured | reached | details |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
