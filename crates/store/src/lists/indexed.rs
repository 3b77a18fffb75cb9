//! Which apps have lists, and how far these have come: a row in `meta` for each.
//!
//! ```text
//! listed/app = 1 (complete)
//!            | 2 (being built) ‖ up to which id ‖ key of the channel that is next ‖ its messages up to here are in
//!            | 3 (being discarded)
//! ```
//!
//! A flush puts what it writes into the lists of every app that is complete or being built; maintenance puts in what was
//! in the table before. So lists are complete, or the row says what they lack, and then no answer comes from them.

use super::unlisted;
use crate::{
    device::{Snapshot, Space, SpaceRows, Table},
    keys,
    rows::{open, seal},
    settings::NAME_BYTES_MAX,
    wire::{Malformed, Parsed, Reader, put_prefixed, put_varint},
};
use bytes::Bytes;
use model::{AppId, Id, Result};
use std::collections::{BTreeMap, BTreeSet};

const LISTED: &[u8] = b"listed/";

/// How far the lists of an app have come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// Everything is in them.
    Complete,
    /// What was flushed since the building began is in them, and of what was there before a part.
    Building(Build),
    /// They are to go.
    Discarding,
}

/// How far the building has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Build {
    /// Messages up to here are to be put in; later ones the flush puts in.
    pub upto: Id,
    /// The channel that is next, by the key of its row; those before it are done.
    pub channel: Bytes,
    /// Its messages up to here are in.
    pub after: Id,
}

/// The apps that have lists.
#[derive(Clone, Default, Debug)]
pub(crate) struct Indexed {
    pub apps: BTreeMap<AppId, Progress>,
    /// Apps with removed messages that may still be in lists of the table.
    pub unlisted: BTreeSet<AppId>,
    /// Grows with every change of which apps flushes put into lists.
    pub generation: u64,
}

impl Indexed {
    /// Whether flushes put messages of the app into lists.
    pub fn has(&self, app: &[u8]) -> bool {
        self.apps.iter().any(|(known, progress)| known.as_str().as_bytes() == app && *progress != Progress::Discarding)
    }

    pub fn is_empty(&self) -> bool {
        self.apps.values().all(|progress| *progress == Progress::Discarding)
    }

    /// Whether the lists of the app answer.
    pub fn is_complete(&self, app: &AppId) -> bool {
        self.apps.get(app) == Some(&Progress::Complete)
    }

    /// What the rows say.
    pub fn load(snapshot: &dyn Snapshot) -> Result<Indexed> {
        let mut apps = BTreeMap::new();
        let range = Bytes::from_static(LISTED)..keys::end_of_prefix(LISTED);
        for row in snapshot.range(Space::Meta, range, false) {
            let (key, value) = row?;
            apps.insert(parse_key(&key)?, Progress::decode(&key, &value)?);
        }
        Ok(Indexed { apps, unlisted: unlisted::apps(snapshot)?, generation: 0 })
    }

    /// Whether the rows are about the apps that are wanted. Only between two flushes may they be brought in line: both
    /// attempts of one flush must write the same.
    pub fn is_in_line(&self, wanted: &BTreeSet<AppId>) -> bool {
        let is_right = |(app, progress): (&AppId, &Progress)| wanted.contains(app) || *progress == Progress::Discarding;
        self.apps.iter().all(is_right) && wanted.iter().all(|app| self.apps.contains_key(app))
    }

    /// Brings the rows in line with what is wanted; `last_id` is that of the checkpoint.
    pub fn bring_in_line(
        &mut self,
        table: &dyn Table,
        snapshot: &dyn Snapshot,
        wanted: &BTreeSet<AppId>,
        last_id: Id,
    ) -> Result<()> {
        for (app, progress) in &mut self.apps {
            if !wanted.contains(app) {
                *progress = Progress::Discarding;
            }
        }
        for app in wanted.iter().filter(|app| !self.apps.contains_key(app)).cloned().collect::<Vec<_>>() {
            let has_channels = snapshot.range(Space::Channels, keys::channel_rows_of(&app), false).next().is_some();
            self.apps.insert(app, if has_channels { Progress::building(last_id) } else { Progress::Complete });
        }
        self.generation += 1;
        let rows = self.apps.iter().map(|(app, progress)| progress_row(app, Some(progress))).collect();
        table.write(&mut std::iter::once(SpaceRows { space: Space::Meta, rows }))
    }
}

impl Progress {
    /// At its beginning.
    pub fn building(upto: Id) -> Progress {
        Progress::Building(Build { upto, channel: Bytes::new(), after: Id::MIN })
    }

    fn encode(&self, key: &[u8]) -> Bytes {
        let mut out = Vec::new();
        match self {
            Progress::Complete => out.push(1),
            Progress::Building(Build { upto, channel, after }) => {
                out.push(2);
                put_varint(&mut out, upto.raw());
                put_prefixed(&mut out, channel);
                put_varint(&mut out, after.raw());
            }
            Progress::Discarding => out.push(3),
        }
        seal(key, &out)
    }

    fn decode(key: &[u8], value: &Bytes) -> Parsed<Progress> {
        let fields = open(key, value)?;
        let mut reader = Reader::new(&fields);
        let progress = match reader.u8()? {
            1 => Progress::Complete,
            2 => Progress::Building(Build {
                upto: Id::from_raw(reader.varint()?),
                channel: Bytes::copy_from_slice(reader.prefixed(NAME_BYTES_MAX)?),
                after: Id::from_raw(reader.varint()?),
            }),
            3 => Progress::Discarding,
            _ => return Err(Malformed("progress of an app's lists")),
        };
        reader.end()?;
        Ok(progress)
    }
}

/// The row that says how far the lists of an app are; deleted when it has none.
pub(crate) fn progress_row(app: &AppId, progress: Option<&Progress>) -> (Bytes, Option<Bytes>) {
    let key: Bytes = [LISTED, app.as_str().as_bytes()].concat().into();
    let value = progress.map(|progress| progress.encode(&key));
    (key, value)
}

fn parse_key(key: &[u8]) -> Parsed<AppId> {
    let malformed = Malformed("key of the progress of an app's lists");
    let app = key.get(LISTED.len()..).and_then(|app| std::str::from_utf8(app).ok()).ok_or(malformed)?;
    AppId::new(app).map_err(|_| malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_comes_back() {
        let app = AppId::new("demo").unwrap();
        let channel = Bytes::from_static(b"channel");
        let building = Progress::Building(Build { upto: Id::from_raw(9), channel, after: Id::from_raw(7) });
        for progress in [Progress::Complete, building, Progress::building(Id::MAX), Progress::Discarding] {
            let (key, value) = progress_row(&app, Some(&progress));
            assert_eq!(Progress::decode(&key, &value.unwrap()), Ok(progress));
            assert_eq!(parse_key(&key), Ok(app.clone()));
        }
    }
}
