//! What maintenance does for lists: takes removed messages out, puts in what was there before an app was listed, and
//! discards the lists of apps that are not listed any more. In steps, each of which leaves everything exact; it takes turns
//! with the flush, and never comes between two attempts of one.

use super::{
    flush::{Steps, listed, write_steps},
    grow::Step,
    indexed::{Build, Indexed, Progress, progress_row},
    node::Entry,
    rows_of_app,
    unlisted::{self, Unlisted},
};
use crate::{
    content::Content,
    device::{Space, SpaceRows},
    kept_store::Shared,
    keys,
    lists::{ListKey, encode_name},
    removed::Removed,
    rows::ChannelRow,
    settings::{LISTED_AT_ONCE, TAIL_CHUNK},
    view::View,
    walk::{Meet, Reach, Slot, Visitor},
};
use bytes::Bytes;
use model::{AppId, Id, Result, Seq};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{ControlFlow, Range},
    sync::Arc,
    time::Instant,
};

/// Does what there is to do until a moment, at least one step; whether more is left. The caller holds the table's writer,
/// between two flushes.
pub(crate) fn keep_up(shared: &Shared, until: Option<Instant>) -> Result<bool> {
    bring_in_line(shared)?;
    loop {
        let view = shared.view()?;
        let mut lists = Indexed::clone(&view.lists);
        if !step(shared, &view, &mut lists)? {
            return Ok(false);
        }
        lists.unlisted = unlisted::apps(&*shared.table.snapshot()?)?;
        publish(shared, lists)?;
        if until.is_some_and(|until| Instant::now() >= until) {
            return Ok(true);
        }
    }
}

fn bring_in_line(shared: &Shared) -> Result<()> {
    let view = shared.view()?;
    let Some(wanted) = shared.settings.indexed_apps.as_ref().filter(|wanted| !view.lists.is_in_line(wanted)) else {
        return Ok(());
    };
    let mut lists = Indexed::clone(&view.lists);
    let last_id = view.parts().next().map_or(Id::MIN, |part| part.after());
    lists.bring_in_line(&*shared.table, &*view.snapshot, wanted, last_id)?;
    publish(shared, lists)
}

/// Takes removed messages out until a moment: what a flush leaves behind it.
pub(crate) fn take_out_some(shared: &Shared, until: Instant) -> Result<()> {
    while Instant::now() < until && !shared.view()?.lists.unlisted.is_empty() {
        let view = shared.view()?;
        take_out(shared, &view, unlisted::all(&*view.snapshot))?;
        publish_taken_out(shared, &view)?;
    }
    Ok(())
}

fn publish_taken_out(shared: &Shared, view: &View) -> Result<()> {
    let unlisted = unlisted::apps(&*shared.table.snapshot()?)?;
    publish(shared, Indexed { unlisted, ..Indexed::clone(&view.lists) })
}

fn publish(shared: &Shared, lists: Indexed) -> Result<()> {
    let snapshot = shared.table.snapshot()?;
    shared.views.update(|view| {
        view.snapshot = snapshot;
        view.lists = Arc::new(lists);
    });
    Ok(())
}

/// One step, if there is one.
fn step(shared: &Shared, view: &View, lists: &mut Indexed) -> Result<bool> {
    let mut rows = unlisted::all(&*view.snapshot).peekable();
    if rows.peek().is_some() {
        take_out(shared, view, rows)?;
        return Ok(true);
    }
    let next = lists.apps.iter().find(|(_, progress)| **progress != Progress::Complete);
    let Some((app, progress)) = next.map(|(app, progress)| (app.clone(), progress.clone())) else { return Ok(false) };
    let progress = match progress {
        Progress::Building(build) => Some(put_in(shared, view, &app, build)?),
        Progress::Discarding | Progress::Complete => discard(shared, view, &app)?,
    };
    let row = progress_row(&app, progress.as_ref());
    shared.table.write(&mut std::iter::once(SpaceRows { space: Space::Meta, rows: vec![row] }))?;
    if lists.has(app.as_str().as_bytes()) != matches!(&progress, Some(p) if *p != Progress::Discarding) {
        lists.generation += 1;
    }
    match progress {
        Some(progress) => lists.apps.insert(app, progress),
        None => lists.apps.remove(&app),
    };
    Ok(true)
}

/// Takes some of the messages that these rows name out of their lists.
fn take_out(shared: &Shared, view: &View, rows: impl Iterator<Item = Result<(u64, Unlisted)>>) -> Result<()> {
    let mut steps = Steps::new();
    let mut left = LISTED_AT_ONCE;
    let mut changed = Vec::new();
    // All of them are in the table; what an import brings meanwhile may lie below them.
    let table = view.of_table();
    for row in rows.take(LISTED_AT_ONCE) {
        let (number, mut row) = row?;
        let upto = match listed(view, &row.channel, number) {
            None => Seq::MAX,
            Some(listed) => table.pick(number, &row.seqs, left, &mut |slot, content| {
                left -= 1;
                for list in listed.lists_of(content) {
                    steps.entry(list).or_default().insert(slot.id, Step::Out(slot.id));
                }
                Ok(())
            })?,
        };
        row.done_upto(upto);
        let key = unlisted::row_key(number);
        let value = (!row.seqs.is_empty()).then(|| row.encode(&key));
        changed.push((key, value));
        if left == 0 {
            break;
        }
    }
    write_steps(&*shared.table, view, steps)?;
    shared.table.write(&mut std::iter::once(SpaceRows { space: Space::Meta, rows: changed }))
}

/// Puts some of the messages that were there when the building began into their lists.
fn put_in(shared: &Shared, view: &View, app: &AppId, mut build: Build) -> Result<Progress> {
    let mut steps = Steps::new();
    let mut names = BTreeMap::new();
    let mut left = LISTED_AT_ONCE;
    let range = keys::channel_rows_of(app);
    let range = build.channel.clone().max(range.start)..range.end;
    let mut is_done = true;
    for row in view.rows(Space::Channels, range, false) {
        let (key, value) = row?;
        if left == 0 {
            is_done = false;
            break;
        }
        if key != build.channel {
            (build.channel, build.after) = (key.clone(), Id::MIN);
        }
        let number = ChannelRow::decode(&key, &value)?.number;
        let channel = keys::parse_channel(keys::name_of_channel_row(&key)?)?;
        let Some(listed) = listed(view, &channel, number) else { continue };
        let (key, value) = encode_name(&channel, number);
        names.insert(key, Some(value));
        let place = view.place_of(number, view.known(number)?);
        let removed = view.removed(&place)?;
        let reach = Reach { after: build.after, upto: build.upto, above: place.floor.seq };
        if reach.after < reach.upto {
            let lists = |content: &Content<'_>| listed.lists_of(content).collect::<Vec<ListKey>>();
            let mut gatherer =
                Gatherer { number, removed, lists, steps: &mut steps, left: &mut left, last: build.after };
            view.walk_on(&place, reach, true, &mut gatherer)?;
            build.after = gatherer.last;
        }
    }
    let names: Vec<_> = names.into_iter().collect();
    if !names.is_empty() {
        shared.table.write(&mut std::iter::once(SpaceRows { space: Space::Lists, rows: names }))?;
    }
    write_steps(&*shared.table, view, steps)?;
    Ok(if is_done && left > 0 { Progress::Complete } else { Progress::Building(build) })
}

struct Gatherer<'a, F> {
    number: u64,
    removed: Removed<'a>,
    lists: F,
    steps: &'a mut Steps,
    left: &'a mut usize,
    last: Id,
}

impl<F: Fn(&Content<'_>) -> Vec<ListKey>> Visitor for Gatherer<'_, F> {
    fn meet(&mut self, slot: Slot) -> Result<Meet> {
        if *self.left == 0 {
            return Ok(Meet::Stop);
        }
        self.last = slot.id;
        Ok(if self.removed.has(slot.seq)? { Meet::Skip } else { Meet::Take })
    }

    fn take(&mut self, slot: Slot, bytes: &Bytes, content: Range<usize>) -> Result<ControlFlow<()>> {
        let content = Content::parse(&bytes[content])?;
        let due = slot.expires_at.unwrap_or(Entry::NEVER);
        let entry = Entry { id: slot.id, number: self.number, seq: slot.seq, due };
        for list in (self.lists)(&content) {
            self.steps.entry(list).or_default().insert(slot.id, Step::In(entry));
        }
        *self.left -= 1;
        Ok(ControlFlow::Continue(()))
    }

    fn wanted(&self) -> usize {
        TAIL_CHUNK
    }
}

/// Deletes some rows of an app's lists, whole lists, roots first; what comes after.
fn discard(shared: &Shared, view: &View, app: &AppId) -> Result<Option<Progress>> {
    let (mut roots, mut nodes) = (Vec::new(), Vec::new());
    for range in rows_of_app(app) {
        for row in view.rows(Space::Lists, range, false) {
            let (key, _) = row?;
            let (_, is_root) = ListKey::parse_row(&key)?;
            // A list's nodes come before its root, so that it ends with it.
            if is_root { &mut roots } else { &mut nodes }.push((key, None));
            if is_root && roots.len() + nodes.len() >= LISTED_AT_ONCE {
                break;
            }
        }
        if !roots.is_empty() || !nodes.is_empty() {
            for rows in [roots, nodes].into_iter().filter(|rows: &Vec<_>| !rows.is_empty()) {
                shared.table.write(&mut std::iter::once(SpaceRows { space: Space::Lists, rows }))?;
            }
            return Ok(Some(Progress::Discarding));
        }
    }
    let is_wanted = shared.settings.indexed_apps.as_ref().is_some_and(|wanted| wanted.contains(app));
    let last_id = view.parts().next().map_or(Id::MIN, |part| part.after());
    Ok(is_wanted.then(|| Progress::building(last_id)))
}

/// Takes everything out of lists that was removed of these channels, whatever it takes.
pub(crate) fn take_all_out(shared: &Shared, numbers: &BTreeSet<u64>) -> Result<()> {
    loop {
        let view = shared.view()?;
        let is_asked =
            |row: &Result<(u64, Unlisted)>| row.as_ref().map_or(true, |(number, _)| numbers.contains(number));
        let mut rows = unlisted::all(&*view.snapshot).filter(is_asked).peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        take_out(shared, &view, rows)?;
        publish_taken_out(shared, &view)?;
    }
}

/// That this is for maintenance to do first.
pub(crate) fn is_unlisted(view: &View, number: u64) -> Result<bool> {
    Ok(!view.lists.unlisted.is_empty() && unlisted::of(&*view.snapshot, number)?.is_some())
}
