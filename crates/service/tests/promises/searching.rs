//! An answer to a search never shows what history would not. The index of these tests is the worst that there can be: to
//! every search it gives every message that ever was, whatever became of it and wherever it is.

use crate::rig::*;
use model::{
    AppId, Candidate, Candidates, Channel, ChannelName, ErrorKind, Id, Message, Order, Result, Search, SnippetPiece,
    Sought, Span, Store, TICKS_PER_SECOND, Target,
};
use service::{Access, AccessWindow, Caller, Channels, Retention, Rights, Rule, Scope, SearchQuery, Settings};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use testkit::{ManualClock, MemoryStore};

#[derive(Default)]
struct Liar {
    everything: Mutex<Vec<Candidate>>,
    erased: Mutex<Vec<Id>>,
}

impl Search for Liar {
    fn covers(&self, app: &AppId) -> bool {
        *app == crate::rig::app()
    }

    fn find(&self, sought: &Sought<'_>, fresh: Id) -> Result<Candidates> {
        let mut list = self.everything.lock().expect("no panic").clone();
        list.retain(|candidate| sought.span.contains(candidate.id));
        if sought.order == Order::Descending {
            list.reverse();
        }
        let more = list.len() > sought.limit;
        list.truncate(sought.limit);
        Ok(Candidates { list, more, indexed: fresh })
    }

    fn show(&self, words: &str, message: &Message) -> Result<Option<Vec<SnippetPiece>>> {
        let text = text(message);
        Ok(text.contains(words).then(|| vec![SnippetPiece { text, found: true }]))
    }

    fn erase(&self, upto: Id) -> Result<()> {
        self.erased.lock().expect("no panic").push(upto);
        Ok(())
    }
}

struct House {
    rig: Rig,
    liar: Arc<Liar>,
}

impl House {
    fn new() -> House {
        let (store, clock, liar) = (Arc::new(MemoryStore::new()), Arc::new(ManualClock::default()), Arc::default());
        let settings = Settings { search_candidates: 20, ..Settings::default() };
        let channels = start_with(store.clone(), clock.clone(), settings.clone(), &liar);
        House { rig: Rig { store, clock, channels, settings }, liar }
    }

    async fn publish(&self, name: &str, text: &str) -> Id {
        self.publish_in(&channel(name), text).await
    }

    async fn publish_in(&self, channel: &Channel, text: &str) -> Id {
        self.rig.clock.advance(1);
        let published = self.rig.channels.publish(&admin(), channel, draft(text)).await.expect("it is published");
        let candidate = Candidate { channel: channel.name.clone(), id: published.id };
        self.liar.everything.lock().expect("no panic").push(candidate);
        published.id
    }

    async fn found(&self, caller: &Caller, query: SearchQuery) -> Vec<Id> {
        let hits = self.rig.channels.search(caller, query).await.expect("an answer");
        hits.list.iter().map(|hit| hit.message.id).collect()
    }
}

fn start_with(store: Arc<dyn Store>, clock: Arc<ManualClock>, settings: Settings, liar: &Arc<Liar>) -> Channels {
    let settings = Settings { maintenance_every: Duration::from_secs(86_400), ..settings };
    let parts = service::Parts { store, fanout: None, search: Some(liar.clone()), clock };
    Channels::start(parts, settings).expect("it starts")
}

fn query(words: &str) -> SearchQuery {
    let (span, order) = (Span::ALL, Order::Ascending);
    SearchQuery { words: words.into(), channels: None, span, order, limit: 10, author: None, custom_type: None }
}

fn within(names: &[&str], query: SearchQuery) -> SearchQuery {
    SearchQuery { channels: Some(names.iter().map(|name| channel(name).name).collect()), ..query }
}

fn reader(prefix: &str, window: AccessWindow) -> Caller {
    let mut access = Access::new([Rule { scope: Scope::Prefix(prefix.into()), rights: Rights::HISTORY }]);
    access.window = window;
    Caller { access: Arc::new(access), ..admin() }
}

#[tokio::test]
async fn what_is_not_there_any_more_is_not_found() {
    let house = House::new();
    let (kept, gone) = (house.publish("room", "hello kept").await, house.publish("room", "hello gone").await);
    let edited = house.publish("room", "hello edited").await;
    let channels = &house.rig.channels;
    channels.delete(&admin(), &channel("room"), Target::Ids(vec![gone])).await.expect("it is deleted");
    let revision = service::Revision { payload: draft("bye").payload, extras: None };
    channels.edit(&admin(), &channel("room"), edited, revision).await.expect("it is edited");
    let mut due = draft("hello due");
    due.ttl = Some(Duration::from_secs(60));
    let due = channels.publish(&admin(), &channel("room"), due).await.expect("it is published").id;
    house.liar.everything.lock().expect("no panic").push(Candidate { channel: channel("room").name, id: due });
    assert_eq!(house.found(&admin(), query("hello")).await, [kept, due]);
    assert_eq!(house.found(&admin(), query("bye")).await, [edited], "the newest content counts");
    house.rig.clock.advance_seconds(60);
    assert_eq!(house.found(&admin(), query("hello")).await, [kept], "what is due is hidden");

    house.rig.clock.advance_seconds(60);
    let young = house.publish("room", "hello young").await;
    let retention = Retention { age: Some(Duration::from_secs(60)), messages: None };
    channels.set_retention(&admin(), None, Some(retention)).await.expect("it is set");
    assert_eq!(house.found(&admin(), query("hello")).await, [young], "what is too old is hidden");
}

#[tokio::test]
async fn nobody_finds_what_history_hides() {
    let house = House::new();
    let old = house.publish("team.a", "hello old").await;
    house.publish("secret", "hello secret").await;
    house.publish_in(&Channel { app: app(), name: ChannelName::direct("x", "y") }, "hello direct").await;
    house.publish_in(&Channel { app: app(), name: ChannelName::Member(1, 2) }, "hello member").await;
    house.rig.clock.advance_seconds(100);
    let new = house.publish("team.a", "hello new").await;
    let other = house.publish("team.b", "hello other").await;
    let all = AccessWindow::default();
    assert_eq!(house.found(&reader("team.", all), query("hello")).await, [old, new, other]);
    assert_eq!(house.found(&reader("team.b", all), query("hello")).await, [other]);
    let newest = AccessWindow { newest: Some(1), ..all };
    assert_eq!(house.found(&reader("team.", newest), query("hello")).await, [new, other]);
    let young = AccessWindow { not_older_than: Some(Duration::from_secs(50)), ..all };
    assert_eq!(house.found(&reader("team.", young), query("hello")).await, [new, other]);
    let since = AccessWindow { since: Some(new), ..all };
    assert_eq!(house.found(&reader("team.", since), query("hello")).await, [other]);
    let refused = house.rig.channels.search(&reader("team.", all), within(&["team.a", "secret"], query("hello"))).await;
    assert_eq!(refused.map(drop).map_err(|error| error.kind), Err(ErrorKind::Forbidden));
    let everybody = house.found(&admin(), query("hello")).await;
    assert_eq!(everybody.len(), 4, "not even an administrator finds a direct chat by its words");
}

#[tokio::test]
async fn filters_hold_whatever_the_index_says() {
    let house = House::new();
    let first = house.publish("a", "hello 1").await;
    let second = house.publish("b", "hello 2").await;
    assert_eq!(house.found(&admin(), within(&["b"], query("hello"))).await, [second]);
    let typed = SearchQuery { custom_type: Some("note".into()), ..query("hello") };
    assert_eq!(house.found(&admin(), typed).await, []);
    let before = SearchQuery { span: Span { after: Id::MIN, upto: first }, ..query("hello") };
    assert_eq!(house.found(&admin(), before).await, [first]);
}

#[tokio::test]
async fn pages_follow_one_another_also_where_little_fits() {
    let house = House::new();
    let mut expected = Vec::new();
    for number in 0..90 {
        let text = if number % 9 == 0 { "hello" } else { "other" };
        let id = house.publish("room", text).await;
        if number % 9 == 0 {
            expected.push(id);
        }
    }
    for order in [Order::Ascending, Order::Descending] {
        let (mut span, mut found, mut pages) = (Span::ALL, Vec::new(), 0);
        loop {
            let query = SearchQuery { span, order, limit: 3, ..query("hello") };
            let hits = house.rig.channels.search(&admin(), query).await.expect("an answer");
            assert!(hits.list.len() <= 3 && hits.list.iter().all(|hit| hits.covered.contains(hit.message.id)));
            found.extend(hits.list.iter().map(|hit| hit.message.id));
            pages += 1;
            if !hits.more {
                break;
            }
            match order {
                Order::Ascending => span.after = hits.covered.upto,
                Order::Descending => span.upto = hits.covered.after,
            }
        }
        if order == Order::Descending {
            found.reverse();
        }
        assert_eq!(found, expected, "each once");
        assert!((5..12).contains(&pages), "{pages} pages of at most 20 candidates and 3 messages");
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused() {
    let house = House::new();
    let refused = async |caller: &Caller, query| {
        house.rig.channels.search(caller, query).await.map(drop).expect_err("refused").kind
    };
    assert_eq!(refused(&admin(), SearchQuery { limit: 0, ..query("x") }).await, ErrorKind::Invalid);
    assert_eq!(refused(&admin(), SearchQuery { limit: 101, ..query("x") }).await, ErrorKind::Invalid);
    let channels = Some(vec![channel("a").name; 1_001]);
    assert_eq!(refused(&admin(), SearchQuery { channels, ..query("x") }).await, ErrorKind::TooLarge);
    let elsewhere = Caller { app: AppId::new("other").expect("a name"), ..admin() };
    assert_eq!(refused(&elsewhere, query("x")).await, ErrorKind::NotFound, "not indexed");
    let mut ended = Access::admin();
    ended.until = Some(Id::new(TICKS_PER_SECOND, 0));
    assert_eq!(refused(&Caller { access: Arc::new(ended), ..admin() }, query("x")).await, ErrorKind::Forbidden);
    assert!(!Rig::new().channels.searches(&app()), "without an index there is nothing to search");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_is_done_only_when_the_index_is_clean() {
    let house = House::new();
    let ann = model::UserId::new(model::Origin::Native, "ann", false).expect("a user");
    let mut said = draft("hello");
    said.author = Some(ann.clone());
    let id = house.rig.channels.publish(&admin(), &channel("room"), said).await.expect("it is published").id;
    let erasure = house.rig.channels.erase(&admin(), &ann).await.expect("it begins");
    while house.rig.channels.maintain().await.expect("a round") {}
    let done = house.rig.channels.erasure(&admin(), &erasure.id).await.expect("it is told");
    assert_eq!(done.state, service::ErasureState::Done);
    let erased = house.liar.erased.lock().expect("no panic").clone();
    assert!(matches!(erased[..], [upto] if upto > id), "everything up to the deletion: {erased:?}");
}
