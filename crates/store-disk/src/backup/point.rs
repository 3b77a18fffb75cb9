//! The list of a point, as text: what lies in it, with lengths and checksums, and a checksum of its own at the end.
//!
//! ```text
//! scrollback point format 1
//! store 3f6c0a9b8d7e6f51
//! id 451234567890123456
//! batch 812
//! taken 1763782639123
//! file 4 0d3f…32 digits… tables/version
//! …
//! end 9b1c…16 digits…
//! ```

use crate::settings::POINT_FILES;
use model::{Error, Id, Result};
use std::{
    fmt::Write,
    path::{Component, Path},
};
use xxhash_rust::xxh3::xxh3_64;

const FORMAT: &str = "scrollback point format ";
const FORMAT_VERSION: &str = "1";
/// All files of a point lie below this folder of the data folder.
const TABLES: &str = "tables";

/// How far a store goes that is at rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The last batch that is in the tables.
    pub batch: u64,
    /// The last id that is in the tables: what names the point.
    pub id: Id,
}

/// A point: everything that a store had at one place of its order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Point {
    /// Whose it is.
    pub store_id: u64,
    /// How far it goes.
    pub place: Place,
    /// When it was taken, by the machine's clock: Unix time in milliseconds.
    pub taken_ms: u64,
    /// What it consists of.
    pub files: Vec<StoredFile>,
}

/// A file of a point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredFile {
    /// Its place in the data folder, with `/` between names.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// XXH3-128 of its content.
    pub checksum: u128,
}

impl StoredFile {
    /// The name under which backups keep it.
    pub(super) fn name(&self) -> String {
        format!("{:032x}-{}", self.checksum, self.bytes)
    }
}

impl Point {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes))
    }

    pub(super) fn encode(&self) -> String {
        let Point { store_id, place, taken_ms, files } = self;
        let mut text = format!(
            "{FORMAT}{FORMAT_VERSION}\nstore {store_id:016x}\nid {}\nbatch {}\ntaken {taken_ms}\n",
            place.id, place.batch
        );
        for StoredFile { path, bytes, checksum } in files {
            let _ = writeln!(text, "file {bytes} {checksum:032x} {path}");
        }
        let checksum = xxh3_64(text.as_bytes());
        let _ = writeln!(text, "end {checksum:016x}");
        text
    }

    /// Reads a list; an error says what is wrong with it.
    pub(super) fn decode(text: &str) -> Result<Point, String> {
        let version =
            text.lines().next().and_then(|line| line.strip_prefix(FORMAT)).ok_or("not the list of a point")?;
        if version != FORMAT_VERSION {
            return Err(format!("format {version} is unknown; this program knows {FORMAT_VERSION}"));
        }
        let end = text.rfind("end ").ok_or("its end is missing")?;
        let (listed, sum) = text.split_at(end);
        if sum != format!("end {:016x}\n", xxh3_64(listed.as_bytes())) {
            return Err("its checksum does not fit".into());
        }
        let mut lines = listed.split_terminator('\n').skip(1);
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let store_id = field("store").and_then(|hex| u64::from_str_radix(hex, 16).ok()).ok_or("it names no store")?;
        let mut number = |name: &str| field(name).and_then(|text| text.parse().ok()).ok_or(format!("it has no {name}"));
        let (id, batch, taken_ms) = (Id::from_raw(number("id")?), number("batch")?, number("taken")?);
        let files: Vec<StoredFile> = lines.take(POINT_FILES + 1).map(file).collect::<Result<_, _>>()?;
        if files.len() > POINT_FILES {
            return Err(format!("it lists more than {POINT_FILES} files"));
        }
        Ok(Point { store_id, place: Place { batch, id }, taken_ms, files })
    }
}

fn file(line: &str) -> Result<StoredFile, String> {
    let parse = || {
        let (bytes, rest) = line.strip_prefix("file ")?.split_once(' ')?;
        let (checksum, path) = rest.split_once(' ')?;
        let checksum = u128::from_str_radix(checksum, 16).ok()?;
        is_inside(path).then_some(StoredFile { path: path.into(), bytes: bytes.parse().ok()?, checksum })
    };
    parse().ok_or_else(|| format!("not a file of a point: {line:?}"))
}

/// A list says where files are written: nowhere but below the tables.
fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    parts.next() == Some(Component::Normal(TABLES.as_ref()))
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && !path.contains(|char: char| char == '\\' || char.is_control())
}

/// Any bytes as a list, with a checksum that fits: one that is read is the same when it was written anew.
pub fn fuzz_point(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Point::decode(text);
    let listed = text.rfind("end ").map_or(text, |end| &text[..end]);
    if let Ok(point) = Point::decode(&format!("{listed}end {:016x}\n", xxh3_64(listed.as_bytes()))) {
        assert_eq!(Point::decode(&point.encode()), Ok(point));
    }
}

/// The list that a file holds.
pub(super) fn read(path: &Path) -> Result<Point> {
    let text = std::fs::read_to_string(path).map_err(|error| cannot("read", path, error))?;
    Point::decode(&text)
        .map_err(|reason| Error::new(model::ErrorKind::Internal, format!("{}: {reason}", path.display())))
}

pub(super) fn cannot(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::unavailable(format!("cannot {what} {}: {error}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Point {
        let file = |number: u64| StoredFile {
            path: format!("tables/keyspaces/{number}/current"),
            bytes: number,
            checksum: u128::from(number) << 99,
        };
        let place = Place { batch: 7, id: Id::new(17, 0) };
        Point { store_id: 0xfeed, place, taken_ms: 1, files: (0..3).map(file).collect() }
    }

    #[test]
    fn a_list_comes_back_and_any_other_byte_or_end_is_noticed() {
        let text = sample().encode();
        assert_eq!(Point::decode(&text), Ok(sample()));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let flipped = String::from_utf8(bytes).unwrap();
            assert!(Point::decode(&flipped).is_err(), "{flipped}");
            assert!(Point::decode(&text[..at]).is_err(), "{at}");
        }
    }

    #[test]
    fn a_list_names_no_file_outside_the_tables() {
        for path in ["../tables/x", "tables/../store.id", "/tables/x", "store.id", "tables\\..\\x", "tables/x\r", ""] {
            let mut point = sample();
            point.files[0].path = path.into();
            assert!(Point::decode(&point.encode()).is_err(), "{path}");
        }
    }

    #[test]
    fn another_format_is_refused_by_its_name() {
        let text = sample().encode().replacen("format 1", "format 2", 1);
        assert_eq!(Point::decode(&text).unwrap_err(), "format 2 is unknown; this program knows 1");
    }
}
