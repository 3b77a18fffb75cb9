//! Many channels in one call: each its own answer or error, all within one budget.

use crate::{counting::CountingStore, rig::*};
use model::{Channel, ErrorKind, Seq, Span};
use service::{Access, Budget, Caller, Many, Query, Rights, Rule, Scope, Settings};
use std::{sync::Arc, time::Duration};
use testkit::{ManualClock, Wrapped};

const AMPLE: Budget = Budget { bytes: usize::MAX, time: Duration::from_secs(60) };

fn asked(count: usize, limit: u32) -> Vec<(Channel, Query)> {
    (0..count).map(|at| (channel(&format!("c{at}")), Query::newest(limit))).collect()
}

async fn filled(count: usize) -> Rig {
    let rig = Rig::new();
    let drafts = (0..count)
        .flat_map(|at| (0..3).map(move |message| (channel(&format!("c{at}")), draft(&format!("{at}/{message}")))));
    let outcomes = rig.channels.publish_all(&admin(), drafts.collect()).await;
    assert!(outcomes.iter().all(|outcome| outcome.is_ok()));
    rig
}

#[tokio::test]
async fn each_channel_has_its_own_answer_or_error() {
    let rig = filled(1_000).await;
    let rules = [Rule { scope: Scope::Prefix("c".into()), rights: Rights::HISTORY }];
    let mut access = Access::new(rules);
    access.window.newest = Some(2);
    let caller = Caller { access: Arc::new(access), ..admin() };
    let mut questions = asked(1_000, 10);
    questions[17].0 = channel("forbidden");
    questions[18].1.limit = u32::MAX;
    questions[19].0 = channel("c-unknown");
    questions[20].0.app = model::AppId::new("other").expect("an app");
    let answers = rig.channels.read_many(&caller, questions, AMPLE).await.expect("answers");
    assert_eq!(answers.len(), 1_000);
    for (at, answer) in answers.iter().enumerate() {
        let Many::Answered(answer) = answer else { panic!("{at} was postponed") };
        let expected = match at {
            17 | 20 => Err(ErrorKind::Forbidden),
            18 => Err(ErrorKind::Invalid),
            19 => Ok(vec![]),
            _ => Ok(vec![format!("{at}/1"), format!("{at}/2")]),
        };
        let seen = answer.as_ref().map(|history| texts(&history.page.messages)).map_err(|error| error.kind);
        assert_eq!(seen, expected, "{at}");
    }
    let spans = (0..1_000).map(|at| (channel(&format!("c{at}")), Span::ALL)).collect();
    let counts = rig.channels.count_many(&caller, spans, AMPLE.time).await.expect("answers");
    assert!(counts.iter().all(|count| matches!(count, Many::Answered(Ok(2)))), "windows count too");
}

#[tokio::test]
async fn what_does_not_fit_is_handed_back_and_comes_with_the_next_call() {
    let rig = filled(50).await;
    let page = rig.channels.history(&admin(), &channel("c0"), &Query::newest(10)).await.expect("a page").bytes();
    let budget = Budget { bytes: 7 * page + page / 2, ..AMPLE };
    let (mut rest, mut seen, mut calls) = (asked(50, 10), Vec::new(), 0);
    while !rest.is_empty() {
        calls += 1;
        let mut postponed = Vec::new();
        for answer in rig.channels.read_many(&admin(), rest, budget).await.expect("answers") {
            match answer {
                Many::Answered(history) => {
                    assert!(postponed.is_empty(), "in the order asked");
                    seen.extend(texts(&history.expect("a page").page.messages));
                }
                Many::Postponed(question) => postponed.push(question),
            }
        }
        rest = postponed;
    }
    let expected: Vec<String> = (0..50).flat_map(|at| (0..3).map(move |message| format!("{at}/{message}"))).collect();
    assert_eq!(seen, expected);
    assert!((7..=9).contains(&calls), "{calls} calls");
    for bytes in [1, 0] {
        let small = Budget { bytes, ..AMPLE };
        let answers = rig.channels.read_many(&admin(), asked(3, 10), small).await.expect("answers");
        let one = matches!(answers[..], [Many::Answered(Ok(_)), Many::Postponed(_), Many::Postponed(_)]);
        assert!(one, "one always comes, and no more of {bytes} bytes");
    }
    let late = Budget { time: Duration::ZERO, ..AMPLE };
    let answers = rig.channels.read_many(&admin(), asked(3, 10), late).await.expect("answers");
    assert!(answers.iter().all(|answer| matches!(answer, Many::Postponed(_))), "no time, no read");
    let too_many = rig.channels.read_many(&admin(), asked(1_001, 1), AMPLE).await;
    assert_eq!(too_many.map(drop).map_err(|error| error.kind), Err(ErrorKind::TooLarge));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_reads_some_at_once_and_never_all() {
    let store = Arc::new(Wrapped(CountingStore::default()));
    let settings = Settings { many_at_once: 4, ..Settings::default() };
    let channels = start(store.clone(), Arc::new(ManualClock::default()), settings);
    let drafts = (0..100).map(|at| (channel(&format!("c{at}")), draft("x"))).collect();
    channels.publish_all(&admin(), drafts).await;
    store.inner.faults().empty_memory(true);
    let gate = store.inner.faults().hold_reads();
    let call = {
        let channels = channels.clone();
        tokio::spawn(async move { channels.read_many(&admin(), asked(100, 1), AMPLE).await })
    };
    tokio::task::block_in_place(|| gate.wait_until_reached());
    assert!(channels.status().page_cache_bytes == 0 && store.take().0 == 0, "none is answered yet");
    gate.open();
    let answers = within(call).await.expect("no panic").expect("answers");
    let whole = |answer: &Many<_, Arc<service::History>>| matches!(answer, Many::Answered(Ok(history)) if history.page.messages[0].seq == Seq(1));
    assert!(answers.iter().all(whole));
    assert!(store.take().0 >= 100);
}
