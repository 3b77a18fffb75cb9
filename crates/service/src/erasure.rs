//! Erasing a person: one call removes the messages, edits, reactions and records of a user in an app, and the bytes of
//! them, and leaves a receipt. A person is an id of one origin, whether or not it was proved who it is. The work is a record that says how far it has come, so that a restart goes on with it.

use crate::{
    Caller, Channels, Hold, HoldScope,
    codec::{self, Reader, Writer},
    maintenance::Round,
    policies::all_records,
    resolve::held_by,
};
use bytes::Bytes;
use model::{AppId, Author, ChannelName, Error, ErrorKind, Id, Origin, Record, RecordKey, RecordKind, Result, UserId};

/// How the names of erasures begin where they stand for who did something.
const MARK: &str = "scrollback:erasure:";

/// The records of erasures.
pub(crate) const SUMMARIES: &[u8] = b"erasure/";

/// An erasure in progress, or its receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// By which it is asked for.
    pub id: String,
    /// How far it has come.
    pub state: ErasureState,
    /// Whom it erases; none as soon as nothing is left but bytes: a receipt remembers nobody.
    pub user: Option<UserId>,
    /// When it was asked for, in ticks.
    pub started_at: u64,
    /// When the last byte was gone, in ticks.
    pub finished_at: Option<u64>,
    /// What went so far.
    pub erased: Erased,
    /// In how many channels.
    pub channels: u64,
    /// The legal hold that it waits for.
    pub waits_for: Option<String>,
}

/// How far an erasure has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ErasureState {
    /// Channel by channel, messages, edits and reactions are removed.
    Removing = 1,
    /// Nobody can read anything any more; the bytes are being taken off the disk.
    Scrubbing = 2,
    /// Done: this is the receipt.
    Done = 3,
}

/// What an erasure took.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Erased {
    /// Messages of the user.
    pub messages: u64,
    /// What the user wrote into messages of others: these show what they showed without it.
    pub edits: u64,
    /// Reactions of the user.
    pub reactions: u64,
    /// Records of the user.
    pub records: u64,
}

/// What an erasure took from one channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ErasedIn {
    /// Where.
    pub channel: ChannelName,
    /// What.
    pub erased: Erased,
}

impl Channels {
    /// Begins to erase a person from the caller's app, or finds the erasure that is under way. Covers what is there now, in
    /// all channels, be it proved or not that it was this user; what the user does afterwards is new. `Conflict` names a
    /// legal hold on the user.
    /// Needs [`Rights::ADMIN`](crate::Rights::ADMIN) on everything.
    pub async fn erase(&self, caller: &Caller, user: &UserId) -> Result<Erasure> {
        self.shared.admit_admin(caller)?;
        let policies = self.shared.live.policies.of(&caller.app);
        let person = Author::person(user);
        let holds = |hold: &&Hold| match &hold.scope {
            HoldScope::Author(held) => person.is(held),
            HoldScope::Channel(_) => false,
        };
        if let Some(hold) = policies.holds.values().find(holds) {
            return Err(held_by(&hold.name));
        }
        self.know_app(&caller.app).await?;
        let app = caller.app.clone();
        let all = self.shared.reads.run(move |store| all_records(store, &app, RecordKind::Erasure, SUMMARIES)).await?;
        for record in &all {
            let work = Work::decode(record)?;
            if work.erasure.user.as_ref().is_some_and(|user| person.is(user)) {
                return Ok(work.erasure);
            }
        }
        let mut started_at = self.shared.clock.now_ticks();
        loop {
            let work = Work::new(&caller.app, user, started_at, self.frontier());
            match self.put_record(work.key(), Some(work.encode()), Some(Id::MIN)).await {
                Ok(_) => {
                    // Maintenance that has ended finds it after the next start.
                    let _ = self.shared.rounds.send(Round::Erase);
                    return Ok(work.erasure);
                }
                // Another one began in the same tick.
                Err(error) if error.kind == ErrorKind::Conflict => started_at += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// How far an erasure has come, or its receipt. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn erasure(&self, caller: &Caller, id: &str) -> Result<Erasure> {
        self.shared.admit_admin(caller)?;
        let record = self.record(&summary_key(&caller.app, id)).await?;
        let record = record.ok_or_else(|| Error::new(ErrorKind::NotFound, "erasure: there is none of this id"))?;
        Ok(Work::decode(&record)?.erasure)
    }

    /// The erasures of the caller's app, those after `after`, oldest first. Needs [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn erasures(&self, caller: &Caller, after: Option<&str>, limit: u32) -> Result<Vec<Erasure>> {
        self.shared.admit_admin(caller)?;
        let after = after.map(|id| summary_key(&caller.app, id).name);
        let records = self.records(&caller.app, RecordKind::Erasure, SUMMARIES, after.as_deref(), limit).await?;
        records.iter().map(|record| Ok(Work::decode(record)?.erasure)).collect()
    }

    /// The channels in which an erasure took something, those behind `after`, and where to go on. Needs
    /// [`Rights::ADMIN`](crate::Rights::ADMIN).
    pub async fn erased_in(
        &self,
        caller: &Caller,
        id: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<ErasedIn>, Option<String>)> {
        self.shared.admit_admin(caller)?;
        let prefix = channels_of(id);
        let after = after.map(codec::place_of).transpose()?;
        let after = after.map(|name| [&prefix[..], &codec::name_bytes(&name)].concat());
        let records = self.records(&caller.app, RecordKind::Erasure, &prefix, after.as_deref(), limit).await?;
        let touched =
            records.iter().map(|record| ErasedIn::decode(record, prefix.len())).collect::<Result<Vec<_>>>()?;
        let last = touched.last().filter(|_| touched.len() == limit as usize);
        let next = last.map(|last| codec::place_text(&last.channel));
        Ok((touched, next))
    }
}

/// An erasure as its record has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Work {
    pub app: AppId,
    pub erasure: Erasure,
    /// Everything that it does comes after this id.
    pub began: Id,
    /// The last channel that is done.
    pub after: Option<ChannelName>,
}

impl Work {
    fn new(app: &AppId, user: &UserId, started_at: u64, began: Id) -> Work {
        let erasure = Erasure {
            id: format!("{started_at:016x}"),
            state: ErasureState::Removing,
            user: Some(user.clone()),
            started_at,
            finished_at: None,
            erased: Erased::default(),
            channels: 0,
            waits_for: None,
        };
        Work { app: app.clone(), erasure, began, after: None }
    }

    pub fn key(&self) -> RecordKey {
        summary_key(&self.app, &self.erasure.id)
    }

    pub fn encode(&self) -> Bytes {
        let Erasure { state, user, started_at, finished_at, erased, channels, waits_for, .. } = &self.erasure;
        let writer = Writer::new().byte(*state as u8).number(*started_at).maybe(*finished_at).number(*channels);
        let writer = erased.write(writer).number(self.began.raw());
        let writer = writer.bytes(waits_for.as_deref().unwrap_or_default().as_bytes());
        let writer = writer.bytes(&self.after.as_ref().map(codec::name_bytes).unwrap_or_default());
        match user {
            Some(user) => writer.byte(1).user(user).finish(),
            None => writer.byte(0).finish(),
        }
    }

    pub fn decode(record: &Record) -> Result<Work> {
        let id = record.key.name.get(SUMMARIES.len()..).unwrap_or_default();
        let mut reader = Reader::new(&record.value)?;
        let state = match reader.byte()? {
            1 => ErasureState::Removing,
            2 => ErasureState::Scrubbing,
            3 => ErasureState::Done,
            state => return Err(Error::internal(format!("an erasure in state {state}"))),
        };
        let (started_at, finished_at, channels) = (reader.number()?, reader.maybe()?, reader.number()?);
        let erased = Erased::read(&mut reader)?;
        let began = Id::from_raw(reader.number()?);
        let waits_for = Some(reader.text()?.to_owned()).filter(|name| !name.is_empty());
        let after = Some(reader.bytes()?).filter(|name| !name.is_empty()).map(codec::name_of).transpose()?;
        let user = if reader.byte()? == 1 { Some(reader.user()?) } else { None };
        let id = String::from_utf8_lossy(id).into_owned();
        let erasure = Erasure { id, state, user, started_at, finished_at, erased, channels, waits_for };
        Ok(Work { app: record.key.app.clone(), erasure, began, after })
    }

    /// The record of what was taken from a channel.
    pub fn channel_key(&self, channel: &ChannelName) -> RecordKey {
        let name = [&channels_of(&self.erasure.id)[..], &codec::name_bytes(channel)].concat();
        RecordKey { app: self.app.clone(), kind: RecordKind::Erasure, name: name.into() }
    }
}

impl ErasedIn {
    pub(crate) fn decode(record: &Record, prefix: usize) -> Result<ErasedIn> {
        let channel = codec::name_of(record.key.name.get(prefix..).unwrap_or_default())?;
        Ok(ErasedIn { channel, erased: Taken::decode(&record.value)?.erased })
    }
}

/// What an erasure took from a channel, as the record of it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Taken {
    pub erased: Erased,
    /// What the channel's change feed tells after this is not counted in.
    pub counted: Id,
}

impl Taken {
    pub fn encode(self) -> Bytes {
        self.erased.write(Writer::new()).number(self.counted.raw()).finish()
    }

    pub fn decode(value: &[u8]) -> Result<Taken> {
        let mut reader = Reader::new(value)?;
        Ok(Taken { erased: Erased::read(&mut reader)?, counted: Id::from_raw(reader.number()?) })
    }
}

impl Erased {
    pub(crate) fn is_nothing(self) -> bool {
        self == Erased::default()
    }

    pub(crate) fn add(&mut self, other: Erased) {
        self.messages += other.messages;
        self.edits += other.edits;
        self.reactions += other.reactions;
        self.records += other.records;
    }

    fn write(self, writer: Writer) -> Writer {
        writer.number(self.messages).number(self.edits).number(self.reactions).number(self.records)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Erased> {
        let (messages, edits) = (reader.number()?, reader.number()?);
        Ok(Erased { messages, edits, reactions: reader.number()?, records: reader.number()? })
    }
}

/// How the names begin of all records of kind `ReadMark` that are about a user: by this an erasure finds them.
pub fn records_of(user: &UserId) -> Vec<u8> {
    [&[user.origin as u8, u8::from(user.verified)][..], user.id.as_bytes(), b"\0"].concat()
}

/// By whom everything is done that an erasure does.
pub(crate) fn mark(id: &str) -> UserId {
    UserId { origin: Origin::Native, id: [MARK, id].concat().into(), verified: true }
}

/// The records of the channels in which an erasure took something.
pub(crate) fn channels_of(id: &str) -> Vec<u8> {
    [b"channel/", id.as_bytes(), b"/"].concat()
}

fn summary_key(app: &AppId, id: &str) -> RecordKey {
    let name = [SUMMARIES, id.as_bytes()].concat();
    RecordKey { app: app.clone(), kind: RecordKind::Erasure, name: name.into() }
}
