//! Opens a folder that a power cut left, and tells what is wrong with it: what is missing of that which somebody was
//! told, what is there twice or in another place, counts and heads that do not fit, ids that would come again.

use crate::life::{CHANNELS, Known, channel_name};
use model::{Channel, Effort, Id, Message, Order, Seq, Settled, ShardId, Span, Store, Window};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
    sync::Arc,
};
use store::{KeptStore, Settings};
use store_disk::{DiskSettings, FileLogSettings};
use testkit::{app, channel};

/// As the program is started here.
const SEGMENT_BYTES: u64 = 64 << 10;
const BALLAST_BYTES: u64 = 1 << 20;
const PAGE_MESSAGES: u32 = 200;

/// What somebody was told before a cut.
pub struct Told<'a> {
    pub known: &'a Known,
    /// Ids of acknowledged messages, with the place in the record at which they first went out.
    pub told: &'a HashMap<u64, u64>,
    /// The place of the cut in the record.
    pub at: u64,
}

impl Told<'_> {
    /// What is wrong with the data folder, if anything is.
    pub fn judge(&self, data: &Path) -> Result<(), String> {
        let log = FileLogSettings { segment_bytes: SEGMENT_BYTES, ..FileLogSettings::default() };
        let disk = DiskSettings { log, ballast_bytes: BALLAST_BYTES, ..DiskSettings::default() };
        let (log, table, _lock) =
            store_disk::open(data, &disk).map_err(|error| format!("it does not open: {error:?}"))?;
        let settings = Settings { indexed_apps: Some(BTreeSet::from([app()])), ..Settings::default() };
        let store = KeptStore::open(Box::new(log), Arc::new(table), settings);
        let store = store.map_err(|error| format!("it does not open: {error:?}"))?;
        self.judge_store(&store)?;
        // The same once more, when all that was in the log has moved into the tables.
        store.flush().map_err(|error| format!("it cannot be flushed: {error:?}"))?;
        self.judge_contents(&store)?;
        match store.verify(&mut |_| {}) {
            Ok(findings) if findings.is_empty() => Ok(()),
            other => Err(format!("verify: {other:?}")),
        }
    }

    fn judge_store(&self, store: &KeptStore) -> Result<(), String> {
        let settled = store.settle(ShardId::default(), 1).map_err(|error| format!("it does not settle: {error:?}"))?;
        self.judge_ids(settled)?;
        self.judge_contents(store)
    }

    /// No id that was told comes again.
    fn judge_ids(&self, settled: Settled) -> Result<(), String> {
        let last = self.told.iter().filter(|(_, at)| **at < self.at).map(|(id, _)| Id::from_raw(*id)).max();
        let last = last.unwrap_or(Id::MIN);
        match settled.last_id >= last && settled.reserved >= last.ticks() {
            true => Ok(()),
            false => Err(format!("ids go on at {settled:?}, and {last:?} was told")),
        }
    }

    fn judge_contents(&self, store: &KeptStore) -> Result<(), String> {
        let mut found = HashSet::new();
        for number in 0..CHANNELS {
            let channel = channel(&channel_name(number));
            for text in self.judge_channel(store, number, &channel)? {
                if !found.insert(text.clone()) {
                    return Err(format!("{text:.20} is there twice"));
                }
            }
        }
        for (text, sent) in self.known.sent().iter() {
            if sent.refused && found.contains(text) {
                return Err(format!("{text:.20} was refused and is there"));
            }
            let Some((id, _)) = sent.place.filter(|(id, _)| self.told[id] < self.at) else { continue };
            let asked = sent.deletion.is_some_and(|deletion| deletion.asked < self.at);
            let gone = sent.deletion.and_then(|deletion| deletion.answered).is_some_and(|answered| answered <= self.at);
            if !asked && !found.contains(text) {
                return Err(format!("{text:.20} with id {id} was told and is missing"));
            }
            if gone && found.contains(text) {
                return Err(format!("{text:.20} with id {id} was deleted and is back"));
            }
        }
        Ok(())
    }

    /// The payloads of a channel's messages.
    fn judge_channel(&self, store: &KeptStore, number: u64, channel: &Channel) -> Result<Vec<String>, String> {
        let messages = messages(store, channel).map_err(|error| format!("{channel:?} cannot be read: {error:?}"))?;
        let head = store.heads(std::slice::from_ref(channel)).map_err(|error| format!("no head: {error:?}"))?[0];
        let count =
            store.count(channel, Span::ALL, Seq::NONE, Id::MIN).map_err(|error| format!("no count: {error:?}"))?;
        if count != messages.len() as u64 {
            return Err(format!("{channel:?} counts {count} and has {}", messages.len()));
        }
        let grows = |pair: &[Arc<Message>]| pair[0].id < pair[1].id && pair[0].seq < pair[1].seq;
        if !messages.windows(2).all(grows) || messages.last().is_some_and(|last| last.id > head.last.id) {
            return Err(format!("{channel:?} is out of order, or ends behind its head {head:?}"));
        }
        messages.iter().map(|message| self.judge_message(number, message)).collect()
    }

    /// The payload of a message that somebody sent, and that is where it was acknowledged.
    fn judge_message(&self, channel: u64, message: &Message) -> Result<String, String> {
        let text = String::from_utf8_lossy(&message.payload.bytes).trim_matches('"').to_owned();
        let Some(sent) = self.known.sent().get(&text).cloned() else { return Err(format!("nobody has sent {text:?}")) };
        let place = (message.id.raw(), message.seq.0);
        match sent.channel == channel && sent.place.is_none_or(|acknowledged| acknowledged == place) {
            true => Ok(text),
            false => Err(format!("{text:.20} is in room {channel} at {place:?}, and was {sent:?}")),
        }
    }
}

fn messages(store: &KeptStore, channel: &Channel) -> model::Result<Vec<Arc<Message>>> {
    let (mut messages, mut after) = (Vec::new(), Id::MIN);
    loop {
        let span = Span { after, upto: Id::MAX };
        let (order, limit, above, author, custom_type) = (Order::Ascending, PAGE_MESSAGES, Seq::NONE, None, None);
        let window = Window { span, order, limit, above, author, custom_type, now: Id::MIN };
        let page = store.read(channel, &window, Effort::Disk)?.expect("all effort was allowed");
        after = page.covered.upto;
        messages.extend(page.messages);
        if !page.more {
            return Ok(messages);
        }
    }
}
