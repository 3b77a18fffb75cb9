//! What happens to messages, inside this process: channels that lost much against channels that lost nothing, ingest with
//! retention and with edits and reactions against ingest without, and many patterns against none.

use crate::{
    Setting,
    inside::{self, Load, MachineClock, Opened, PUBLISHERS},
    patterns,
    table::{Goal, Table},
};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hdrhistogram::Histogram;
use model::{Channel, Clock, Effort, Id, Order, Payload, PayloadForm, Seq, Span, Store, Target, Window};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use service::{Caller, Draft, Retention};
use std::{collections::BTreeMap, path::Path, time::Duration, time::Instant};

/// Messages in one call that fills a channel.
const CALL: u64 = 5_000;
/// One message of so many is deleted, and one expires.
const REMOVED_ONE_OF: u64 = 100;
/// Ids in one deletion.
const DELETED: usize = 5_000;
/// Asked for each sort of question, of each channel.
const QUESTIONS: usize = 5_000;
const PAGE: u32 = 100;
/// The channels that are ingested into, and what retention leaves of each.
const CHANNELS: u64 = 10_000;
const KEPT: u64 = 100;
/// One change of so many is an edit or a reaction.
const ALTERED_ONE_OF: u64 = 10;
/// How long messages live that are to expire, and what maintenance may take to see to it.
const LIFE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(600);

/// Counts and pages of a channel with many removed messages among the others, against one that lost nothing.
pub async fn removed(setting: &Setting, table: &mut Table) -> Result<()> {
    let opened = Opened::new(&setting.folder.join("removed"), service::Settings::default())?;
    let caller = inside::caller()?;
    let channels = inside::names(&caller.app, 2)?;
    let (whole, worn) = (&channels[0], &channels[1]);
    let messages = setting.messages.max(10 * REMOVED_ONE_OF);
    fill(&opened, &caller, whole, messages, None).await?;
    let ids = fill(&opened, &caller, worn, messages, Some(LIFE)).await?;
    delete(&opened, &caller, worn, &ids).await?;
    expire(&opened, &caller, worn, messages).await?;
    opened.store.flush().context("flushing")?;

    let now = Id::last_at(MachineClock(Instant::now()).now_ticks());
    let asked: [(&str, Question); 3] =
        [("count of a random span", count), ("newest page", newest), ("deep page", deep)];
    for (name, question) in asked {
        let figures = ask_both(&*opened.store, [whole, worn], now, question)?;
        let [of_whole, of_worn] = figures.map(|figures| figures.value_at_quantile(0.99) as f64 / 1_000.0);
        let what = format!("{name}, p99, {messages} messages of which 2 % are removed against none");
        let details = format!("{of_worn:.1} µs against {of_whole:.1} µs");
        table.add(what, Goal::AtMost(2.0), of_worn / of_whole.max(0.001), "×", details);
    }
    opened.channels.stop().await;
    Ok(())
}

/// Ingest while floors move on every channel, against ingest while nothing is forgotten.
pub async fn retention(setting: &Setting, table: &mut Table) -> Result<()> {
    let caller = inside::caller()?;
    let kept = Retention { messages: Some(KEPT), age: None };
    let forgets = service::Settings { retention: BTreeMap::from([(caller.app, kept)]), ..Default::default() };
    let load = load(setting, None);
    let plain = rate(&setting.folder.join("unlimited"), service::Settings::default(), load).await?;
    let limited = rate(&setting.folder.join("limited"), forgets, load).await?;
    let what = format!("ingest over {CHANNELS} channels that keep {KEPT} messages each, against all");
    table.add(what, Goal::AtLeast(0.8), limited / plain, "×", format!("{limited:.0}/s against {plain:.0}/s"));
    Ok(())
}

/// Ingest of which a tenth are edits and reactions, against messages alone.
pub async fn altered(setting: &Setting, table: &mut Table) -> Result<()> {
    let settings = service::Settings::default();
    let plain = rate(&setting.folder.join("plain"), settings.clone(), load(setting, None)).await?;
    let mixed = rate(&setting.folder.join("mixed"), settings, load(setting, Some(ALTERED_ONE_OF))).await?;
    let what = "ingest with a tenth of edits and reactions, against messages alone";
    table.add(what, Goal::AtLeast(0.8), mixed / plain, "×", format!("{mixed:.0}/s against {plain:.0}/s"));
    Ok(())
}

/// What it costs to find those who follow patterns.
pub async fn many_patterns(_setting: &Setting, table: &mut Table) -> Result<()> {
    let matched = patterns::measure().await?;
    let (alone, followed) = (matched.alone.as_nanos() as f64 / 1_000.0, matched.followed.as_nanos() as f64 / 1_000.0);
    let what = format!("matching a message among {} pattern subscriptions", patterns::SUBSCRIPTIONS);
    let details = format!("a message takes {followed:.2} µs, {alone:.2} µs while nobody follows");
    table.add(what, Goal::AtMost(20.0), (followed - alone).max(0.0), "µs", details);
    Ok(())
}

fn load(setting: &Setting, altered: Option<u64>) -> Load {
    Load { channels: CHANNELS, messages: (setting.messages * 3 / 10).max(PUBLISHERS), altered }
}

async fn rate(folder: &Path, settings: service::Settings, load: Load) -> Result<f64> {
    let ingested = inside::publish_all(folder, settings, load, &inside::payloads()).await?;
    std::fs::remove_dir_all(folder).context("removing what was measured")?;
    Ok(ingested.rate())
}

/// Fills a channel; the ids of some of its messages, at random places. With a `life`, some others expire after it.
async fn fill(
    opened: &Opened,
    caller: &Caller,
    channel: &Channel,
    messages: u64,
    life: Option<Duration>,
) -> Result<Vec<Id>> {
    let payloads = inside::payloads();
    let mut random = StdRng::seed_from_u64(3);
    let mut some = Vec::new();
    let mut published = 0;
    while published < messages {
        let count = CALL.min(messages - published);
        let drafts = (published..published + count).map(|number| {
            let bytes: Bytes = payloads[number as usize % payloads.len()].clone();
            let ttl = life.filter(|_| random.random_range(0..REMOVED_ONE_OF) == 0);
            (channel.clone(), Draft { ttl, ..Draft::new(Payload { form: PayloadForm::Json, bytes }) })
        });
        for outcome in opened.channels.publish_all(caller, drafts.collect()).await {
            let id = outcome?.id;
            if random.random_range(0..REMOVED_ONE_OF) == 0 {
                some.push(id);
            }
        }
        published += count;
    }
    Ok(some)
}

async fn delete(opened: &Opened, caller: &Caller, channel: &Channel, ids: &[Id]) -> Result<()> {
    for ids in ids.chunks(DELETED) {
        opened.channels.delete(caller, channel, Target::Ids(ids.to_vec())).await?;
    }
    Ok(())
}

/// Has everything expire whose time is over, and sees that it did.
async fn expire(opened: &Opened, caller: &Caller, channel: &Channel, messages: u64) -> Result<()> {
    tokio::time::sleep(LIFE).await;
    let until = Instant::now() + PATIENCE;
    while opened.channels.maintain().await? {
        ensure!(Instant::now() < until, "maintenance does not come to an end");
    }
    let left = opened.channels.count(caller, channel, Span::ALL).await?;
    let expected = messages - messages * 2 / REMOVED_ONE_OF;
    let near = expected.abs_diff(left) < messages / REMOVED_ONE_OF;
    ensure!(near, "{left} of {messages} messages are left, about {expected} were to be");
    Ok(())
}

type Question = fn(&dyn Store, &Channel, [Id; 2], Id) -> Result<()>;

fn count(store: &dyn Store, channel: &Channel, [a, b]: [Id; 2], now: Id) -> Result<()> {
    store.count(channel, Span { after: a.min(b), upto: a.max(b) }, Seq::NONE, now)?;
    Ok(())
}

fn newest(store: &dyn Store, channel: &Channel, _: [Id; 2], now: Id) -> Result<()> {
    page(store, channel, Id::MAX, now)
}

fn deep(store: &dyn Store, channel: &Channel, [upto, _]: [Id; 2], now: Id) -> Result<()> {
    page(store, channel, upto, now)
}

fn page(store: &dyn Store, channel: &Channel, upto: Id, now: Id) -> Result<()> {
    let window = Window {
        span: Span { after: Id::MIN, upto },
        order: Order::Descending,
        limit: PAGE,
        above: Seq::NONE,
        author: None,
        custom_type: None,
        now,
    };
    store.read(channel, &window, Effort::Disk)?.context("the store gave no page")?;
    Ok(())
}

/// Nanoseconds of a question asked of both channels in turns, at places that lie as far into one as into the other: what
/// disturbs one disturbs the other.
fn ask_both(store: &dyn Store, channels: [&Channel; 2], now: Id, question: Question) -> Result<[Histogram<u64>; 2]> {
    let ends = [ends(store, channels[0], now)?, ends(store, channels[1], now)?];
    let nanos = || Histogram::new_with_bounds(1, 60_000_000_000, 3).context("bounds of a histogram");
    let mut figures = [nanos()?, nanos()?];
    let mut random = StdRng::seed_from_u64(4);
    for _ in 0..QUESTIONS {
        let shares: [f64; 2] = [random.random_range(0.0..1.0), random.random_range(0.0..1.0)];
        for (at, channel) in channels.into_iter().enumerate() {
            let (first, last) = ends[at];
            let places =
                shares.map(|share| Id::from_raw(first.raw() + ((last.raw() - first.raw()) as f64 * share) as u64));
            let started = Instant::now();
            question(store, channel, places, now)?;
            figures[at].saturating_record(started.elapsed().as_nanos() as u64);
        }
    }
    Ok(figures)
}

/// The first and the last id of a channel.
fn ends(store: &dyn Store, channel: &Channel, now: Id) -> Result<(Id, Id)> {
    let (author, custom_type) = (None, None);
    let window =
        Window { span: Span::ALL, order: Order::Ascending, limit: 1, above: Seq::NONE, author, custom_type, now };
    let page = store.read(channel, &window, Effort::Disk)?.context("the store gave no page")?;
    Ok((page.messages.first().context("an empty channel")?.id, page.head.id))
}
