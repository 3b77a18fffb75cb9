//! Steps that publish or change what is there: what the caller is told, and what was stored for it, each held against
//! what follows from the truth before.

use crate::{
    cast::{GRANT, app, group, room, user},
    steps::{Gone, Meanwhile, Said},
    truth::{Keyed, sight_of},
    world::{Delta, World, check},
};
use bytes::Bytes;
use model::{
    Change, Channel, ChannelChange, ChannelNumber, Clock, Edit, ErrorKind, Id, Kind, Message, Payload, PayloadForm,
    Reaction, Result as Told, Seq, Span, Store, TICKS_PER_SECOND, Target, What,
};
use service::{Deleted, Draft, Grant, Published, Revision, Rights, Unreact};
use std::{sync::Arc, time::Duration};
use testkit::{judge::Verdict, random::Place};

const TICKS_PER_DAY: u64 = 86_400 * TICKS_PER_SECOND;

/// Something that was asked for while others were.
enum Answer {
    Published(Channel, Draft, Told<Published>),
    Signalled(Channel, Draft, Told<Published>),
    Deleted(Told<Deleted>),
    Edited(Told<Id>),
}

impl World {
    pub async fn publish(&mut self, by: u8, n: u8, said: &Said) -> Verdict {
        let (caller, channel) = (self.caller(by), room(n));
        let draft = self.draft(said);
        let text = String::from_utf8_lossy(&draft.payload.bytes).into_owned();
        let key = said.key.filter(|_| !said.unstored);
        let allowed = caller.access.allows(&channel.name, Rights::WRITE);
        let Some(today) = self.today() else { return Ok(()) };
        let earlier = key.and_then(|key| self.truth.keys.get(&(n, key)));
        let earlier = earlier.filter(|keyed| keyed.id.ticks() / TICKS_PER_DAY + 1 >= today);
        let repeated = earlier.map(|keyed| (keyed.id, keyed.seq));
        let same = earlier.is_none_or(|keyed| keyed.text == text && keyed.author == draft.author);
        let expected = match (allowed, same) {
            (false, _) => Err(ErrorKind::Forbidden),
            (true, false) => Err(ErrorKind::Conflict),
            (true, true) => Ok(()),
        };
        let told = self.within(self.channels.publish(&caller, &channel, draft.clone())).await?;
        let (told, delta) = (self.told(told, expected)?, self.delta()?);
        let Some(published) = told else { return check(delta.is_empty(), || format!("refused, and yet {delta:?}")) };
        if let Some((id, seq)) = repeated {
            let first = Published { id, seq, repeated: true };
            check(published == first, || format!("told {published:?}, at first {first:?}"))?;
            return check(delta.is_empty(), || format!("repeated, and yet {delta:?}"));
        }
        if said.unstored {
            check(delta.is_empty(), || format!("not to be stored, and yet {delta:?}"))?;
            self.live(&channel, What::Unstored(Arc::new(self.message(&draft, published.id, Seq::NONE))));
            return Ok(());
        }
        let change = only(delta)?;
        self.is_published(&change, &channel, &draft)?;
        self.is_told(&published, &change)?;
        if let Some(key) = key {
            let keyed = Keyed { id: published.id, seq: published.seq, text, author: draft.author };
            self.truth.keys.insert((n, key), keyed);
        }
        Ok(())
    }

    pub async fn publish_all(&mut self, names: &[u8]) -> Verdict {
        let drafts: Vec<_> = names.iter().map(|n| (room(*n), self.any_draft())).collect();
        let told = self.within(self.channels.publish_all(&self.caller(0), drafts.clone())).await?;
        let delta = self.delta()?;
        let told = told.into_iter().map(|told| self.told(told, Ok(()))).collect::<Result<Vec<_>, _>>()?;
        if told.iter().all(Option::is_none) {
            return check(delta.is_empty(), || format!("refused, and yet {delta:?}"));
        }
        check(delta.len() == drafts.len(), || format!("{} of a batch of {}", delta.len(), drafts.len()))?;
        for ((published, change), (channel, draft)) in told.iter().zip(&delta).zip(&drafts) {
            self.is_published(change, channel, draft)?;
            let published = published.ok_or("one of a batch was refused, others were not")?;
            self.is_told(&published, change)?;
        }
        Ok(())
    }

    /// All at once: in which order they come is not known, only that each was told the truth.
    pub async fn burst(&mut self, names: &[u8], meanwhile: Option<Meanwhile>) -> Verdict {
        self.without_faults();
        let mut asked = Vec::new();
        for (at, n) in names.iter().enumerate() {
            let (channels, caller, channel, draft) =
                (self.channels.clone(), self.caller(0), room(*n), self.any_draft());
            asked.push(tokio::spawn(async move {
                match at % 3 {
                    2 => {
                        let told = channels.signal(&caller, &channel, draft.clone()).await;
                        Answer::Signalled(channel, draft, told)
                    }
                    _ => {
                        let told = channels.publish(&caller, &channel, draft.clone()).await;
                        Answer::Published(channel, draft, told)
                    }
                }
            }));
        }
        if let Some(meanwhile) = meanwhile {
            let (channels, caller, revision) = (self.channels.clone(), self.caller(0), self.revision());
            let last = |n| self.truth.head(&room(n)).last.id;
            asked.push(match meanwhile {
                Meanwhile::DeleteAll(n) => tokio::spawn(async move {
                    Answer::Deleted(channels.delete(&caller, &room(n), Target::Span(Span::ALL)).await)
                }),
                Meanwhile::EditLast(n) => {
                    let last = last(n);
                    tokio::spawn(async move { Answer::Edited(channels.edit(&caller, &room(n), last, revision).await) })
                }
            });
        }
        let mut answers = Vec::new();
        for task in asked {
            answers.push(self.within(task).await?.map_err(|error| error.to_string())?);
        }
        let mut delta = self.delta()?;
        answers.into_iter().try_for_each(|answer| self.explain(answer, &mut delta))?;
        check(delta.is_empty(), || format!("nobody asked for {delta:?}"))
    }

    /// Takes out of what was stored what one was told of.
    fn explain(&mut self, answer: Answer, delta: &mut Delta) -> Verdict {
        let mut take = |id: Id| {
            let at = delta.iter().position(|change| change.id == id);
            at.map(|at| delta.remove(at)).ok_or_else(|| format!("told of {id:?}, which was not stored"))
        };
        match answer {
            Answer::Published(channel, draft, told) => {
                let published = told.map_err(|error| format!("not published: {error:?}"))?;
                let change = take(published.id)?;
                self.is_published(&change, &channel, &draft)?;
                self.is_told(&published, &change)
            }
            Answer::Signalled(channel, draft, told) => {
                let published = told.map_err(|error| format!("not sent: {error:?}"))?;
                let message = self.message(&draft, published.id, Seq::NONE);
                self.live(&channel, What::Signal(Arc::new(message)));
                Ok(())
            }
            Answer::Deleted(Ok(Deleted { id: Some(id), messages })) => match take(id)?.what {
                What::Deleted(removal) => check(removal.count() == messages, || format!("{messages} of {removal:?}")),
                What::Floored(_) => Ok(()),
                what => Err(format!("a deletion is {what:?}")),
            },
            Answer::Deleted(Ok(Deleted { id: None, .. })) => Ok(()),
            Answer::Deleted(Err(error)) if error.kind == ErrorKind::Conflict && !self.truth.holds.is_empty() => Ok(()),
            Answer::Deleted(Err(error)) => Err(format!("not deleted: {error:?}")),
            Answer::Edited(Ok(id)) => {
                let what = take(id)?.what;
                check(matches!(what, What::Edited(_)), || format!("an edit is {what:?}"))
            }
            Answer::Edited(Err(error)) => check(error.kind == ErrorKind::NotFound, || format!("not edited: {error:?}")),
        }
    }

    pub async fn signal(&mut self, n: u8) -> Verdict {
        let (channel, draft) = (room(n), self.any_draft());
        let told = self.within(self.channels.signal(&self.caller(0), &channel, draft.clone())).await?;
        if let Some(published) = self.told(told, Ok(()))? {
            self.live(&channel, What::Signal(Arc::new(self.message(&draft, published.id, Seq::NONE))));
        }
        Ok(())
    }

    pub async fn edit(&mut self, by: u8, n: u8, thousandths: u16) -> Verdict {
        let (caller, channel) = (self.caller(by), room(n));
        let Some(message) = self.truth.message(&channel, thousandths) else { return Ok(()) };
        let revision = self.revision();
        let own = caller.user.is_some() && caller.user == message.author;
        let expected = match () {
            () if !caller.access.allows(&channel.name, Rights::WRITE) => Err(ErrorKind::Forbidden),
            () if !self.is_seen(by, &channel, &message) => Err(ErrorKind::NotFound),
            () if !own && !caller.access.allows(&channel.name, Rights::MANAGE) => Err(ErrorKind::Forbidden),
            () => Ok(()),
        };
        let told = self.within(self.channels.edit(&caller, &channel, message.id, revision.clone())).await?;
        let (told, delta) = (self.told(told, expected)?, self.delta()?);
        let Some(id) = told else { return check(delta.is_empty(), || format!("refused, and yet {delta:?}")) };
        let change = only(delta)?;
        let Revision { payload, extras } = revision;
        let edit = Edit { message: message.id, seq: message.seq, editor: caller.user.clone(), payload, extras };
        is(&change, id, &channel, &What::Edited(Arc::new(edit)))
    }

    pub async fn delete(&mut self, by: u8, n: u8, gone: &Gone) -> Verdict {
        let (caller, channel) = (self.caller(by), room(n));
        let target = self.target(&channel, gone);
        let expected = match () {
            () if !caller.access.allows(&channel.name, Rights::DELETE) => Err(ErrorKind::Forbidden),
            () if matches!(&target, Target::Span(span) if span.after > span.upto) => Err(ErrorKind::Invalid),
            () => Ok(self.cut(by, &channel, target.clone())),
        };
        let expected = match expected {
            Ok(target) if self.holds_target(&channel, &target) => Err(ErrorKind::Conflict),
            other => other,
        };
        let what = match &expected {
            Ok(target) => self.deletion(&channel, target, &caller)?,
            Err(_) => None,
        };
        let told = self.within(self.channels.delete(&caller, &channel, target)).await?;
        let (told, delta) = (self.told(told, expected.map(drop))?, self.delta()?);
        match (told, what) {
            (None, _) => check(delta.is_empty(), || format!("refused, and yet {delta:?}")),
            (Some(deleted), None) => {
                check(deleted == Deleted { id: None, messages: 0 }, || format!("told {deleted:?} of nothing"))?;
                check(delta.is_empty(), || format!("nothing to delete, and yet {delta:?}"))
            }
            (Some(deleted), Some((what, messages))) => {
                let change = only(delta)?;
                check(deleted.messages == messages, || format!("told {deleted:?}, it were {messages}"))?;
                is(&change, deleted.id.ok_or("told of no deletion")?, &channel, &what)
            }
        }
    }

    fn target(&self, channel: &Channel, gone: &Gone) -> Target {
        let all = self.truth.oracle.stored_messages(channel);
        match gone {
            Gone::Some(some) => {
                let ids = some.iter().filter_map(|thousandths| self.truth.message(channel, *thousandths));
                Target::Ids(ids.map(|message| message.id).collect())
            }
            Gone::Between(a, b) => Target::Span(Span { after: a.resolve(&all), upto: b.resolve(&all) }),
            Gone::All => Target::Span(Span::ALL),
        }
    }

    /// What the caller's window leaves of a target, and what was there when it was named.
    fn cut(&self, by: u8, channel: &Channel, target: Target) -> Target {
        let hidden = self.truth.hidden_upto(channel, sight_of(&self.caller(by), self.clock.now_ticks()));
        match target {
            Target::Ids(ids) => Target::Ids(ids.into_iter().filter(|id| *id > hidden).collect()),
            Target::Span(span) => {
                Target::Span(Span { after: span.after.max(hidden), upto: span.upto.min(self.channels.frontier()) })
            }
        }
    }

    fn holds_target(&self, channel: &Channel, target: &Target) -> bool {
        match target {
            Target::Span(span) => self.truth.holds_any(channel, *span),
            Target::Ids(ids) => {
                ids.iter().any(|id| self.truth.holds_any(channel, Span { after: id.previous(), upto: *id }))
            }
        }
    }

    /// The change that a deletion comes to, and how many messages it takes.
    fn deletion(
        &self,
        channel: &Channel,
        target: &Target,
        caller: &service::Caller,
    ) -> Result<Option<(What, u64)>, String> {
        let (oracle, now) = (&self.truth.oracle, self.now());
        let head = self.truth.head(channel);
        if let Target::Span(span) = target
            && span.after <= head.floor.id
            && span.upto >= head.last.id
        {
            let messages = oracle.count(channel, *span, Seq::NONE, now).map_err(|error| error.to_string())?;
            return Ok((messages > 0).then_some((What::Floored(head.last), messages)));
        }
        let mut removal = oracle.removable(channel, target, now).map_err(|error| error.to_string())?;
        removal.by = caller.user.clone();
        let messages = removal.count();
        Ok((messages > 0).then(|| (What::Deleted(Arc::new(removal)), messages)))
    }

    pub async fn react(&mut self, by: u8, n: u8, to: Place, value: u8, must_exist: bool) -> Verdict {
        let (caller, channel) = (self.caller(by), room(n));
        let message = to.resolve(&self.truth.oracle.stored_messages(&channel));
        let who = caller.user.clone().unwrap_or_else(|| user(0));
        let reaction = Reaction { message, user: who, kind: "kind".into(), value: format!("{value}").into() };
        let seen = self.truth.oracle.stored_messages(&channel).into_iter().find(|stored| stored.id == message);
        let seen = seen.is_some_and(|stored| self.is_seen(by, &channel, &stored));
        let stands = self.truth.oracle.reaction(&channel, &reaction).map_err(|error| error.to_string())?.is_some();
        let expected = match () {
            () if !caller.access.allows(&channel.name, Rights::WRITE) => Err(ErrorKind::Forbidden),
            () if message == Id::MIN || message > self.channels.frontier() => Err(ErrorKind::Invalid),
            () if must_exist && !seen => Err(ErrorKind::NotFound),
            () if self.truth.head(&channel).number == ChannelNumber::NONE => Err(ErrorKind::NotFound),
            () if stands => Err(ErrorKind::Conflict),
            () => Ok(()),
        };
        let told = self.within(self.channels.react(&caller, &channel, reaction.clone(), must_exist)).await?;
        let (told, delta) = (self.told(told, expected)?, self.delta()?);
        let Some(id) = told else { return check(delta.is_empty(), || format!("refused, and yet {delta:?}")) };
        is(&only(delta)?, id, &channel, &What::Reacted(Arc::new(reaction)))
    }

    pub async fn unreact(&mut self, by: u8, n: u8, thousandths: u16) -> Verdict {
        let (caller, channel) = (self.caller(by), room(n));
        let made = self.truth.oracle.reactions_made(&channel, Span::ALL, model::Order::Ascending, u32::MAX);
        let made = made.map_err(|error| error.to_string())?;
        let Some(entry) = made.get(made.len() * usize::from(thousandths) / 1001) else { return Ok(()) };
        let own = caller.user.as_ref() == Some(&entry.reaction.user);
        let expected = match () {
            () if !caller.access.allows(&channel.name, Rights::WRITE) => Err(ErrorKind::Forbidden),
            () if !own && !caller.access.allows(&channel.name, Rights::MANAGE) => Err(ErrorKind::Forbidden),
            () => Ok(()),
        };
        let told = self.within(self.channels.unreact(&caller, &channel, Unreact::Id(entry.id))).await?;
        let (told, delta) = (self.told(told, expected)?, self.delta()?);
        let Some(was) = told else { return check(delta.is_empty(), || format!("refused, and yet {delta:?}")) };
        check(was == *entry, || format!("told {was:?}, it was {entry:?}"))?;
        let change = only(delta)?;
        is(&change, change.id, &channel, &What::Unreacted { reaction: entry.id, was: entry.reaction.clone() })
    }

    /// Puts or takes back the grant on which a follower may stand.
    pub async fn grant(&mut self, revoke: bool) -> Verdict {
        self.without_faults();
        let grant = Grant { name: GRANT.into(), value: Bytes::new(), until: None, version: Id::MIN };
        if revoke {
            self.within(self.channels.revoke(&app(), GRANT)).await?.map_err(|error| format!("{error:?}"))?;
        } else {
            self.within(self.channels.put_grant(&app(), &grant)).await?.map_err(|error| format!("{error:?}"))?;
        }
        let delta = self.delta()?;
        check(delta.is_empty(), || format!("nobody asked for {delta:?}"))
    }

    /// A channel joins the group, or leaves it.
    pub async fn group(&mut self, n: u8, add: bool) -> Verdict {
        let (caller, names) = (self.caller(0), [room(n).name]);
        let told = match add {
            true => self.within(self.channels.add_to_group(&caller, &group(), &names)).await?,
            false => self.within(self.channels.remove_from_group(&caller, &group(), &names)).await?,
        };
        let done = self.told(told, Ok(()))?.is_some();
        let delta = self.delta()?;
        check(delta.is_empty(), || format!("nobody asked for {delta:?}"))?;
        let is_member = self.truth.is_member(&names[0], Id::MAX);
        check(!done || is_member == add, || format!("told that it was done, and member is {is_member}"))
    }

    /// Whether a caller may see a message.
    pub fn is_seen(&self, by: u8, channel: &Channel, message: &Message) -> bool {
        let now = self.clock.now_ticks();
        let sight = sight_of(&self.caller(by), now).and(self.truth.kept(&channel.name, now));
        let state = self.truth.state(channel);
        let there = state.there().any(|stored| stored.id == message.id);
        let in_sight = message.id > sight.after && message.seq > sight.above(state.head().last.seq);
        there && in_sight && !message.is_expired(self.now())
    }

    /// The day by which keys are remembered; none around midnight, where it depends on how many ids were given out.
    fn today(&self) -> Option<u64> {
        let now = self.clock.now_ticks();
        let day = |frontier: u64| now.max(frontier + 1) / TICKS_PER_DAY;
        let frontier = self.channels.frontier().ticks();
        let sure = day(frontier) == day(frontier + 60 * TICKS_PER_SECOND);
        sure.then(|| day(frontier))
    }

    fn draft(&mut self, said: &Said) -> Draft {
        let text = match said.key.filter(|_| !said.unstored) {
            Some(key) => format!("under key {key} {}", said.other),
            None => self.text(),
        };
        let width = text.len() + usize::from(said.padding);
        let key = said.key.filter(|_| !said.unstored).map(|key| format!("key {key}"));
        Draft {
            author: said.author.map(user),
            recipient: said.recipient.map(user),
            custom_type: said.custom_type.map(|n| format!("type {n}").into()),
            ttl: said.ttl.map(|seconds| Duration::from_secs(seconds.into())),
            key,
            store: !said.unstored,
            ..Draft::new(payload(&format!("{text:x<width$}")))
        }
    }

    /// A message by somebody to somebody.
    pub fn any_draft(&mut self) -> Draft {
        let text = self.text();
        let n = (text.len() + usize::from(text.as_bytes()[0])) as u8;
        Draft { author: Some(user(n % 3)), recipient: Some(user((n + 1) % 3)), ..Draft::new(payload(&text)) }
    }

    fn revision(&mut self) -> Revision {
        Revision { payload: payload(&format!("{}edited", self.text())), extras: None }
    }

    /// The message that a draft becomes.
    fn message(&self, draft: &Draft, id: Id, seq: Seq) -> Message {
        let due = |ttl: Duration| Id::new(self.clock.now_ticks() + crate::truth::ticks(ttl), 0);
        Message {
            id,
            seq,
            author: draft.author.clone(),
            recipient: draft.recipient.clone(),
            payload: draft.payload.clone(),
            kind: Kind::Message,
            custom_type: draft.custom_type.clone(),
            extras: None,
            edited_at: None,
            expires_at: draft.ttl.map(due),
        }
    }

    /// Whether a change stores what a draft said; that seqs are dense is seen to by the oracle.
    pub fn is_published(&self, change: &ChannelChange, channel: &Channel, draft: &Draft) -> Verdict {
        let What::Published { message, key, .. } = &change.what else { return Err(format!("{change:?} is stored")) };
        let expected = self.message(draft, change.id, message.seq);
        check(change.channel == *channel && **message == expected, || format!("{change:?} for {expected:?}"))?;
        check(key.is_some() == draft.key.is_some(), || format!("{change:?} has lost its key"))
    }

    fn is_told(&self, published: &Published, change: &ChannelChange) -> Verdict {
        let seq = change.what.message().map_or(Seq::NONE, |message| message.seq);
        let expected = Published { id: change.id, seq, repeated: false };
        check(*published == expected, || format!("told {published:?}, it is {expected:?}"))
    }

    fn live(&mut self, channel: &Channel, what: What) {
        let id = what.message().map_or(Id::MIN, |message| message.id);
        self.truth.take_live(ChannelChange { id, channel: channel.clone(), number: ChannelNumber::NONE, what });
    }
}

fn payload(text: &str) -> Payload {
    Payload { form: PayloadForm::Text, bytes: Bytes::copy_from_slice(text.as_bytes()) }
}

fn only(mut delta: Delta) -> Result<ChannelChange, String> {
    match delta.pop() {
        Some(change) if delta.is_empty() => Ok(change),
        last => Err(format!("not one change, but {delta:?} and {last:?}")),
    }
}

fn is(change: &ChannelChange, id: Id, channel: &Channel, what: &What) -> Verdict {
    let same = change.id == id && change.channel == *channel && change.what == *what;
    check(same, || format!("stored {change:?}, expected {id:?} {what:?}"))
}

/// What happened in a channel.
pub fn in_channel(change: &Change) -> Option<&ChannelChange> {
    match change {
        Change::Channel(change) => Some(change),
        Change::Record(_) => None,
    }
}
