//! Judges what the readers of a run saw by what its publishers were told. Record the run, from any number of threads or
//! programs, then ask [`RecordedHistory::check`]: it tells the first contradiction in words.
//!
//! Each message of a run has a text of its own, by which it is recognised. Ids are any face of [`model::Id`] that grows
//! with it, the same one throughout the run.

use model::Order;
use std::collections::HashMap;

/// What happened in a run, as those outside saw it.
#[derive(Clone, Default, Debug)]
pub struct RecordedHistory {
    /// What was published; of one publisher in the order sent, of different ones in any order.
    pub publishes: Vec<Publish>,
    /// Who followed channels live.
    pub subscribers: Vec<Subscriber>,
    /// Who read pages.
    pub walks: Vec<Walk>,
}

/// A message sent, and what was answered.
#[derive(Clone, Debug)]
pub struct Publish {
    /// One who waits for each answer before sending the next.
    pub publisher: String,
    /// Where.
    pub channel: String,
    /// What. Sent again, it is another `Publish` with the same text.
    pub text: String,
    /// What came back.
    pub answer: Answer,
}

/// What a publisher was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is stored, under this id.
    Acknowledged(u64),
    /// Nothing: it may be there, once and whole, or not.
    Unknown,
    /// It was not taken, and is not there.
    Refused,
}

/// A message as a reader saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Where.
    pub channel: String,
    /// Its id.
    pub id: u64,
    /// What.
    pub text: String,
}

/// One who followed channels with one cursor.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// For the report.
    pub name: String,
    /// Which channels.
    pub channels: Vec<String>,
    /// The cursor at which it began: everything above it was to come.
    pub from: u64,
    /// The cursor at which it ended: everything up to it has come.
    pub upto: u64,
    /// What came, in the order it came.
    pub seen: Vec<Seen>,
}

/// One who read a channel page by page, each page going on where the one before ended.
#[derive(Clone, Debug)]
pub struct Walk {
    /// For the report.
    pub name: String,
    /// Which channel.
    pub channel: String,
    /// In which direction.
    pub order: Order,
    /// The pages in the order read.
    pub pages: Vec<SeenPage>,
}

/// A page as a reader saw it.
#[derive(Clone, Debug)]
pub struct SeenPage {
    /// What it says to cover: ids above this one,
    pub after: u64,
    /// up to and with this one.
    pub upto: u64,
    /// The newest id of the channel that it knew of.
    pub head: u64,
    /// The greatest id of the channel that was acknowledged to anyone before this page was asked for; 0 if unknown.
    pub acknowledged: u64,
    /// Its messages, by growing id.
    pub messages: Vec<Seen>,
}

type Verdict = Result<(), String>;

impl RecordedHistory {
    /// Adds what another thread recorded.
    pub fn merge(&mut self, other: RecordedHistory) {
        self.publishes.extend(other.publishes);
        self.subscribers.extend(other.subscribers);
        self.walks.extend(other.walks);
    }

    /// Whether all of it can be true at once.
    ///
    /// # Errors
    ///
    /// The first contradiction: a message that is doubled, altered, lost, out of order, or that nobody sent.
    pub fn check(&self) -> Verdict {
        let truth = Truth::gather(self)?;
        self.check_publishers()?;
        self.subscribers.iter().try_for_each(|subscriber| check_subscriber(subscriber, &truth))?;
        self.walks.iter().try_for_each(|walk| check_walk(walk, &truth))
    }

    /// Who waits for each answer gets growing ids; a message sent again keeps its first one.
    fn check_publishers(&self) -> Verdict {
        let mut last: HashMap<&str, &Publish> = HashMap::new();
        let mut acknowledged: HashMap<&str, u64> = HashMap::new();
        for publish in &self.publishes {
            let Answer::Acknowledged(id) = publish.answer else { continue };
            if acknowledged.insert(&publish.text, id).is_some() {
                continue;
            }
            if let Some(before) = last.insert(&publish.publisher, publish)
                && let Answer::Acknowledged(before_id) = before.answer
                && before_id >= id
            {
                let (who, first, second) = (&publish.publisher, &before.text, &publish.text);
                return Err(format!(
                    "reordered: {who} had {first:?} acknowledged as {before_id}, then {second:?} as {id}"
                ));
            }
        }
        Ok(())
    }

    fn all_seen(&self) -> impl Iterator<Item = (&str, &Seen)> {
        let subscribed = self.subscribers.iter().flat_map(|s| s.seen.iter().map(|seen| (s.name.as_str(), seen)));
        let walked = self.walks.iter().flat_map(|walk| {
            walk.pages.iter().flat_map(|page| page.messages.iter().map(|seen| (walk.name.as_str(), seen)))
        });
        subscribed.chain(walked)
    }
}

/// Everything that is known to be stored: what was acknowledged, and what anybody saw.
struct Truth {
    /// By growing id, and how it is known.
    messages: Vec<(Seen, String)>,
}

impl Truth {
    fn gather(run: &RecordedHistory) -> Result<Truth, String> {
        let mut sent: HashMap<&str, (&Publish, bool)> = HashMap::new();
        for publish in &run.publishes {
            let may_be_there = publish.answer != Answer::Refused;
            sent.entry(&publish.text).or_insert((publish, false)).1 |= may_be_there;
        }
        let mut known = Known::default();
        for publish in &run.publishes {
            if let Answer::Acknowledged(id) = publish.answer {
                let seen = Seen { channel: publish.channel.clone(), id, text: publish.text.clone() };
                known.add(seen, || format!("acknowledged to {}", publish.publisher))?;
            }
        }
        for (reader, seen) in run.all_seen() {
            match sent.get(seen.text.as_str()) {
                None => return Err(format!("phantom: {reader} saw {seen}, which nobody sent")),
                Some((_, false)) => return Err(format!("phantom: {reader} saw {seen}, which was refused")),
                Some((publish, true)) if publish.channel != seen.channel => {
                    return Err(format!("misplaced: {reader} saw {seen}, which was sent to {}", publish.channel));
                }
                Some(_) => known.add(seen.clone(), || format!("seen by {reader}"))?,
            }
        }
        let mut messages: Vec<_> = known.by_id.into_values().collect();
        messages.sort_by_key(|(seen, _)| seen.id);
        Ok(Truth { messages })
    }

    /// The first message of these channels within `after < id <= upto` that is not among `seen`.
    fn missing(&self, channels: &[String], after: u64, upto: u64, seen: &[Seen]) -> Option<String> {
        let seen: HashMap<u64, ()> = seen.iter().map(|seen| (seen.id, ())).collect();
        let due = |m: &Seen| channels.contains(&m.channel) && after < m.id && m.id <= upto;
        let lost = self.messages.iter().find(|(message, _)| due(message) && !seen.contains_key(&message.id));
        lost.map(|(message, how)| format!("{message}, {how}"))
    }
}

#[derive(Default)]
struct Known {
    by_id: HashMap<u64, (Seen, String)>,
    ids: HashMap<String, u64>,
}

impl Known {
    /// Takes a message as stored, unless it contradicts what is known of its id or of its text.
    fn add(&mut self, seen: Seen, how: impl Fn() -> String) -> Verdict {
        if let Some(&id) = self.ids.get(&seen.text)
            && id != seen.id
        {
            let before = &self.by_id[&id].1;
            return Err(format!("doubled: {seen}, {}, is also {id}, {before}", how()));
        }
        match self.by_id.get(&seen.id) {
            Some((before, known_how)) if *before != seen => {
                Err(format!("altered: {seen}, {}, is {before}, {known_how}", how()))
            }
            Some(_) => Ok(()),
            None => {
                self.ids.insert(seen.text.clone(), seen.id);
                self.by_id.insert(seen.id, (seen, how()));
                Ok(())
            }
        }
    }
}

fn check_subscriber(subscriber: &Subscriber, truth: &Truth) -> Verdict {
    let Subscriber { name, channels, from, upto, seen } = subscriber;
    check_order(name, seen)?;
    for seen in seen {
        if !channels.contains(&seen.channel) {
            return Err(format!("misplaced: {name} saw {seen} and follows {channels:?}"));
        }
        if seen.id <= *from || seen.id > *upto {
            return Err(format!("out of range: {name} saw {seen} and went from {from} to {upto}"));
        }
    }
    match truth.missing(channels, *from, *upto, seen) {
        Some(message) => Err(format!("lost: {name} went from {from} to {upto} and did not see {message}")),
        None => Ok(()),
    }
}

fn check_walk(walk: &Walk, truth: &Truth) -> Verdict {
    let name = &walk.name;
    for pair in walk.pages.windows(2) {
        let (end, start) = match walk.order {
            Order::Ascending => (pair[0].upto, pair[1].after),
            Order::Descending => (pair[0].after, pair[1].upto),
        };
        if end != start {
            return Err(format!("hole between pages: {name} ended a page at {end} and began the next at {start}"));
        }
    }
    walk.pages.iter().try_for_each(|page| check_page(name, &walk.channel, page, truth))
}

/// A page read at any moment is the history up to its head, cut to what it covers.
fn check_page(name: &str, channel: &str, page: &SeenPage, truth: &Truth) -> Verdict {
    let SeenPage { after, upto, head, acknowledged, messages } = page;
    check_order(name, messages)?;
    for seen in messages {
        if seen.channel != channel {
            return Err(format!("misplaced: {name} saw {seen} in {channel}"));
        }
        if seen.id <= *after || seen.id > *upto || seen.id > *head {
            return Err(format!("out of range: {name} saw {seen} on a page from {after} to {upto} with head {head}"));
        }
    }
    if head < acknowledged {
        return Err(format!("stale: {name} read a page with head {head} after {acknowledged} was acknowledged"));
    }
    match truth.missing(&[channel.to_string()], *after, *upto.min(head), messages) {
        Some(message) => {
            Err(format!("lost: {name} read a page from {after} to {upto}, head {head}, without {message}"))
        }
        None => Ok(()),
    }
}

fn check_order(name: &str, seen: &[Seen]) -> Verdict {
    for pair in seen.windows(2) {
        if pair[0].id == pair[1].id {
            return Err(format!("doubled: {name} saw {} twice in a row", pair[0]));
        }
        if pair[0].id > pair[1].id {
            let again = seen.iter().filter(|other| **other == pair[1]).count() > 1;
            let what = if again { "doubled" } else { "reordered" };
            return Err(format!("{what}: {name} saw {} and then {}", pair[0], pair[1]));
        }
    }
    Ok(())
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} ({} in {})", self.text, self.id, self.channel)
    }
}
