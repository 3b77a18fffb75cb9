//! Reads TOML so that every mistake is told at once, each with its line: wrong types, wrong values, unknown keys,
//! missing ones. A key is known because somebody asked for it, so the keys are listed nowhere else.

use super::units;
use edge::Secret;
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt,
    fs::File,
    io::Read,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The longest secret that is read from a file.
const SECRET_BYTES: u64 = 64 << 10;

/// Something wrong in the file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and how to make it right.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

/// Looks up a variable of the environment.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One file being read.
pub struct Reader<'a> {
    text: &'a str,
    folder: PathBuf,
    environment: Environment<'a>,
    mistakes: RefCell<Vec<Mistake>>,
    asked: RefCell<BTreeSet<String>>,
}

/// A value with the line it stands in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The line, from 1.
    pub line: usize,
}

impl<'a> Reader<'a> {
    /// `folder` is what the paths of secret files are relative to.
    pub fn new(text: &'a str, folder: &Path, environment: Environment<'a>) -> Reader<'a> {
        Reader { text, folder: folder.into(), environment, mistakes: RefCell::default(), asked: RefCell::default() }
    }

    /// Parses the text as far as it can be parsed, noting what is not TOML.
    pub fn parse(&self) -> Spanned<DeTable<'a>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            let line = error.span().map_or(1, |span| self.line(span.start));
            self.mistake(line, error.message());
        }
        table
    }

    /// The section that a parsed file is.
    pub fn root<'r>(&'r self, table: &'r Spanned<DeTable<'a>>) -> Section<'r> {
        Section { reader: self, table: table.get_ref(), path: String::new(), line: 1, known: RefCell::default() }
    }

    /// Notes a mistake and goes on.
    pub fn mistake(&self, line: usize, text: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake { line, text: text.into() });
    }

    /// All mistakes, by line, and every key that was asked for, as a dotted path.
    pub fn finish(self) -> (Vec<Mistake>, BTreeSet<String>) {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort();
        mistakes.dedup();
        (mistakes, self.asked.into_inner())
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|b| **b == b'\n').count()
    }
}

/// One table of the file. Ask for every key it may have, then call [`Section::finish`].
pub struct Section<'r> {
    reader: &'r Reader<'r>,
    table: &'r DeTable<'r>,
    path: String,
    /// The line it begins in.
    pub line: usize,
    known: RefCell<Vec<String>>,
}

impl<'r> Section<'r> {
    /// A text that `parse` understands; its error says what is wrong with the value.
    pub fn parsed<T, E: fmt::Display>(&self, key: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<At<T>> {
        let text = self.text(key)?;
        match parse(&text.value) {
            Ok(value) => Some(At { value, line: text.line }),
            Err(error) => {
                self.reader.mistake(text.line, format!("{}: {error}", self.name(key)));
                None
            }
        }
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<At<String>> {
        let (value, line) = self.value(key)?;
        match value {
            DeValue::String(text) => Some(At { value: text.to_string(), line }),
            other => self.wrong(key, "a text in quotes", other, line),
        }
    }

    /// A text that must be there.
    pub fn required(&self, key: &str) -> Option<At<String>> {
        let text = self.text(key);
        if text.is_none() && !self.table.contains_key(key) {
            self.reader.mistake(self.line, format!("{} is missing", self.name(key)));
        }
        text
    }

    /// `true` or `false`.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        let Some((value, line)) = self.value(key) else { return default };
        match value {
            DeValue::Boolean(flag) => *flag,
            other => self.wrong(key, "true or false", other, line).unwrap_or(default),
        }
    }

    /// A whole number inside a range.
    pub fn number(&self, key: &str, range: RangeInclusive<u64>) -> Option<At<u64>> {
        let (value, line) = self.value(key)?;
        self.whole(key, value, line, range)
    }

    /// A list of whole numbers inside a range; those that are none are mistakes and left out.
    pub fn numbers(&self, key: &str, range: RangeInclusive<u64>) -> Option<Vec<At<u64>>> {
        let (value, line) = self.value(key)?;
        let DeValue::Array(items) = value else { return self.wrong(key, "a list of whole numbers", value, line) };
        let number = |item: &Spanned<DeValue<'_>>| {
            self.whole(key, item.get_ref(), self.reader.line(item.span().start), range.clone())
        };
        Some(items.iter().filter_map(number).collect())
    }

    fn whole(&self, key: &str, value: &DeValue<'_>, line: usize, range: RangeInclusive<u64>) -> Option<At<u64>> {
        let DeValue::Integer(digits) = value else { return self.wrong(key, "a whole number", value, line) };
        let number = i128::from_str_radix(digits.as_str(), digits.radix()).ok();
        match number.and_then(|number| u64::try_from(number).ok()).filter(|number| range.contains(number)) {
            Some(value) => Some(At { value, line }),
            None => {
                let (low, high) = range.into_inner();
                self.reader.mistake(line, format!("{}: a number from {low} to {high} is needed", self.name(key)));
                None
            }
        }
    }

    /// A whole number inside a range, or a word that means "no bound".
    pub fn number_or(&self, key: &str, word: &str, range: RangeInclusive<u64>) -> Option<u64> {
        match self.table.get(key).map(Spanned::get_ref) {
            Some(DeValue::String(text)) if text == word => {
                self.value(key);
                None
            }
            Some(DeValue::String(_)) => {
                let line = self.value(key).map_or(self.line, |(_, line)| line);
                self.refuse(key, line, &format!("a number or {word:?} is needed"))
            }
            _ => self.number(key, range).map(|at| at.value),
        }
    }

    /// Whether a key is there at all.
    pub fn given(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// A count for a bound, kept if the key is not there.
    pub fn set_count(&self, key: &str, range: RangeInclusive<u64>, setting: &mut usize) {
        if let Some(count) = self.number(key, range) {
            *setting = usize::try_from(count.value).unwrap_or(usize::MAX);
        }
    }

    /// A number for a bound, kept if the key is not there.
    pub fn set_number(&self, key: &str, range: RangeInclusive<u64>, setting: &mut u32) {
        if let Some(number) = self.number(key, range) {
            *setting = u32::try_from(number.value).unwrap_or(u32::MAX);
        }
    }

    /// A duration inside a range, kept if the key is not there.
    pub fn set_duration(&self, key: &str, range: RangeInclusive<Duration>, setting: &mut Duration) {
        let parse =
            |text: &str| units::duration(text).and_then(|value| units::within(value, &range, units::show_duration));
        if let Some(duration) = self.parsed(key, parse) {
            *setting = duration.value;
        }
    }

    /// A size in bytes inside a range, kept if the key is not there.
    pub fn set_size(&self, key: &str, range: RangeInclusive<usize>, setting: &mut usize) {
        let parse = |text: &str| units::size(text).and_then(|value| units::within(value, &range, units::show_size));
        if let Some(size) = self.parsed(key, parse) {
            *setting = size.value;
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Option<Vec<At<String>>> {
        let (value, line) = self.value(key)?;
        let DeValue::Array(items) = value else { return self.wrong(key, "a list of texts", value, line) };
        let mut texts = Vec::new();
        for item in items.iter() {
            let line = self.reader.line(item.span().start);
            match item.get_ref() {
                DeValue::String(text) => texts.push(At { value: text.to_string(), line }),
                other => drop(self.wrong::<()>(key, "a list of texts", other, line)),
            }
        }
        Some(texts)
    }

    /// A secret: `key`, or `key_file` with the path of a file that holds it, or `key_env` with the name of a variable.
    pub fn secret(&self, key: &str) -> Option<At<Secret>> {
        let given = [self.text(key), self.text(&format!("{key}_file")), self.text(&format!("{key}_env"))];
        if given.iter().flatten().count() > 1 {
            let line = given.iter().flatten().map(|text| text.line).max().unwrap_or(self.line);
            self.reader.mistake(line, format!("{}: give one of {key}, {key}_file and {key}_env", self.name(key)));
            return None;
        }
        let [plain, file, variable] = given;
        let (found, line) = match (plain, file, variable) {
            (Some(text), ..) => (Ok(text.value), text.line),
            (_, Some(path), _) => (self.secret_of_file(&path.value), path.line),
            (.., Some(name)) => {
                let value = (self.reader.environment)(&name.value);
                (value.ok_or_else(|| format!("the variable {} is not set", name.value)), name.line)
            }
            (None, None, None) => return None,
        };
        match found {
            Ok(secret) if !secret.is_empty() => Some(At { value: Secret::new(secret), line }),
            Ok(_) => self.refuse(key, line, "the secret is empty"),
            Err(error) => self.refuse(key, line, &error),
        }
    }

    /// A secret that must be there.
    pub fn required_secret(&self, key: &str) -> Option<At<Secret>> {
        let secret = self.secret(key);
        let names = [key.to_owned(), format!("{key}_file"), format!("{key}_env")];
        if !names.iter().any(|name| self.table.contains_key(name.as_str())) {
            let name = self.name(key);
            self.reader.mistake(self.line, format!("{name} is missing (or {key}_file, or {key}_env)"));
        }
        secret
    }

    /// A table inside this one.
    pub fn section(&self, key: &str) -> Option<Section<'r>> {
        let (value, line) = self.value(key)?;
        match value {
            DeValue::Table(table) => Some(self.inner(key, table, line)),
            other => self.wrong(key, "a table", other, line),
        }
    }

    /// The tables of a list, `[[key]]`.
    pub fn sections(&self, key: &str) -> Vec<Section<'r>> {
        let Some((value, line)) = self.value(key) else { return Vec::new() };
        let DeValue::Array(items) = value else {
            return self
                .wrong(key, &format!("a list of tables, [[{}]]", self.name(key)), value, line)
                .unwrap_or_default();
        };
        let mut sections = Vec::new();
        for item in items.iter() {
            let line = self.reader.line(item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => sections.push(self.inner(key, table, line)),
                other => drop(self.wrong::<()>(key, "a table", other, line)),
            }
        }
        sections
    }

    /// The tables inside a table, `[key.…]`, by names that are not settings but chosen in the file.
    pub fn named_sections(&self, key: &str) -> Vec<(At<String>, Section<'r>)> {
        let Some((value, line)) = self.value(key) else { return Vec::new() };
        let DeValue::Table(table) = value else { return self.wrong(key, "a table", value, line).unwrap_or_default() };
        let mut sections = Vec::new();
        for (name, value) in table.iter() {
            let line = self.reader.line(name.span().start);
            match value.get_ref() {
                DeValue::Table(table) => {
                    let name = At { value: name.get_ref().to_string(), line };
                    sections.push((name, self.inner(key, table, line)));
                }
                other => drop(self.wrong::<()>(key, "a table", other, line)),
            }
        }
        sections
    }

    /// Notes a mistake about this section.
    pub fn mistake(&self, line: usize, text: impl Into<String>) {
        self.reader.mistake(line, text);
    }

    /// Every key that nobody asked for is a mistake.
    pub fn finish(self) {
        let known = self.known.borrow();
        for (key, _) in self.table.iter().filter(|(key, _)| !known.iter().any(|known| known == key.get_ref())) {
            let line = self.reader.line(key.span().start);
            let hint = match nearest(key.get_ref(), &known) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.reader.mistake(line, format!("{} is not a setting; {hint}", self.name(key.get_ref())));
        }
    }

    fn value(&self, key: &str) -> Option<(&'r DeValue<'r>, usize)> {
        let mut known = self.known.borrow_mut();
        if !known.iter().any(|known| known == key) {
            known.push(key.to_owned());
        }
        drop(known);
        self.reader.asked.borrow_mut().insert(self.name(key));
        let value = self.table.get(key)?;
        Some((value.get_ref(), self.reader.line(value.span().start)))
    }

    fn inner(&self, key: &str, table: &'r DeTable<'r>, line: usize) -> Section<'r> {
        Section { reader: self.reader, table, path: self.name(key), line, known: RefCell::default() }
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn secret_of_file(&self, path: &str) -> Result<String, String> {
        let path = self.reader.folder.join(path);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let (file, mut text) = (File::open(&path).map_err(failed)?, String::new());
        let bytes = file.take(SECRET_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        if bytes as u64 > SECRET_BYTES {
            return Err(format!("{}: more than {SECRET_BYTES} bytes are no secret", path.display()));
        }
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn refuse<T>(&self, key: &str, line: usize, reason: &str) -> Option<T> {
        self.reader.mistake(line, format!("{}: {reason}", self.name(key)));
        None
    }

    fn wrong<T>(&self, key: &str, wanted: &str, found: &DeValue<'_>, line: usize) -> Option<T> {
        self.refuse(key, line, &format!("{wanted} is needed, not {}", article(found)))
    }
}

fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The known key that a misspelt one most likely stands for.
fn nearest<'k>(key: &str, known: &'k [String]) -> Option<&'k str> {
    const SIMILAR: f64 = 0.75;
    let scored = known.iter().map(|known| (strsim::normalized_damerau_levenshtein(key, known), known.as_str()));
    scored.filter(|(score, _)| *score >= SIMILAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
