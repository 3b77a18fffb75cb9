//! Publishers at work on a program that will end without asking them, and what they know afterwards.

use crate::{
    program::Program,
    record::{Call, Entry},
    shim::Shim,
};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
};
use tokio::sync::Notify;

pub const CHANNELS: u64 = 3;
const PUBLISHERS: u64 = 6;
/// Sizes that a short run crosses often: the log goes from segment to segment, the tail is flushed.
pub const SIZES: [&str; 6] = ["--log-segment", "64KiB", "--ballast", "1MiB", "--tail", "48KiB"];

/// What publishers know, by payload.
#[derive(Default)]
pub struct Known(Mutex<HashMap<String, Sent>>);

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub channel: u64,
    /// Id and seq, if it was acknowledged.
    pub place: Option<(u64, i64)>,
    /// Its publisher was told that nothing was stored.
    pub refused: bool,
    pub deletion: Option<Deletion>,
}

/// When its deletion was asked for and answered, in bytes of the record.
#[derive(Clone, Copy, Debug)]
pub struct Deletion {
    pub asked: u64,
    pub answered: Option<u64>,
}

pub fn channel_name(number: u64) -> String {
    format!("room-{number}")
}

impl Known {
    pub fn sent(&self) -> MutexGuard<'_, HashMap<String, Sent>> {
        self.0.lock().expect("not poisoned")
    }

    pub fn acknowledged(&self) -> usize {
        self.sent().values().filter(|sent| sent.place.is_some()).count()
    }

    /// When each acknowledged message went out through a socket for the first time, in bytes of the record.
    pub fn told(&self, entries: &[Entry]) -> HashMap<u64, u64> {
        let known: Vec<u64> = self.sent().values().filter_map(|sent| Some(sent.place?.0)).collect();
        let mut told: HashMap<u64, u64> = HashMap::new();
        for entry in entries {
            if let Call::Answer { bytes } = &entry.call {
                ids(bytes).for_each(|id| _ = told.entry(id).or_insert(entry.at));
            }
        }
        told.retain(|id, _| known.contains(id));
        assert_eq!(told.len(), known.len(), "what publishers heard stands in the record");
        told
    }
}

/// The ids in an answer or in events of a stream.
fn ids(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let text = String::from_utf8_lossy(bytes);
    let id = |part: &str| part.split('"').next()?.parse().ok();
    text.split("\"id\":\"").skip(1).filter_map(id).collect::<Vec<u64>>().into_iter()
}

/// The program shows what publishers know: all that was acknowledged once, nothing that was refused.
pub async fn assert_as_told(program: &Program, known: &Known, when: &str) {
    let mut found = HashMap::new();
    for channel in 0..CHANNELS {
        for message in program.history(&channel_name(channel)).await {
            let text = message["payload"].as_str().expect("text").to_owned();
            let place = (channel, place(&message));
            assert!(found.insert(text.clone(), place).is_none(), "{text:.20} is there twice, {when}");
        }
    }
    for (text, sent) in known.sent().iter() {
        let there = found.remove(text);
        match (sent.place, sent.deletion) {
            (Some(place), None) => {
                assert_eq!(there, Some((sent.channel, place)), "{text:.20} was acknowledged, {when}")
            }
            (_, Some(Deletion { answered: Some(_), .. })) => assert_eq!(there, None, "{text:.20} was deleted, {when}"),
            _ => assert!(there.is_none() || !sent.refused, "{text:.20} was refused, {when}"),
        }
    }
    assert!(found.is_empty(), "nobody sent {found:?}, {when}");
}

/// Publishers at work and one subscriber, until so many more messages are acknowledged; then they are left alone with a
/// program that goes on.
pub async fn live(shim: &Shim, program: &Program, known: &Known, life: u64, acknowledgements: usize) {
    let progress = Notify::new();
    let enough = known.acknowledged() + acknowledgements;
    let publishers = (0..PUBLISHERS).map(|publisher| publish(shim, program, known, &progress, life, publisher));
    let counted = async {
        while known.acknowledged() < enough {
            progress.notified().await;
        }
    };
    tokio::select! {
        _ = futures_util::future::join_all(publishers) => panic!("the program went away by itself"),
        () = follow(program) => panic!("the stream ended by itself"),
        () = counted => {}
    }
}

async fn follow(program: &Program) {
    let request = program.request(Method::GET, &format!("channels/{}/stream", channel_name(0)));
    let mut stream = request.send().await.expect("a stream");
    while let Ok(Some(_)) = stream.chunk().await {}
}

/// One message after another, some of them deleted again, until the program is gone.
async fn publish(shim: &Shim, program: &Program, known: &Known, progress: &Notify, life: u64, publisher: u64) {
    for number in 0_u64.. {
        let channel = (publisher + number) % CHANNELS;
        let text = format!("{life}-{publisher}-{number}-{}", "x".repeat((number * 7 % 5 * 300) as usize));
        known.sent().insert(text.clone(), Sent { channel, place: None, refused: false, deletion: None });
        let Ok((status, answer)) = post(program, channel, &text).await else { return };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            known.sent().get_mut(&text).expect("it was sent").refused = is_refusal(&answer);
            continue;
        }
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        let (id, seq) = place(&answer);
        known.sent().get_mut(&text).expect("it was sent").place = Some((id, seq));
        if number % 5 == 2 && delete(shim, program, known, &text, id).await.is_err() {
            return;
        }
        progress.notify_one();
    }
}

/// Publishes a message; what was answered.
pub async fn post(program: &Program, channel: u64, text: &str) -> reqwest::Result<(StatusCode, Value)> {
    let path = format!("channels/{}/messages", channel_name(channel));
    let answer: Response =
        program.request(Method::POST, &path).body(format!("{{\"payload\":\"{text}\"}}")).send().await?;
    Ok((answer.status(), answer.json().await?))
}

/// Whether a 503 says that nothing was stored, or that nobody knows: it says one of them.
fn is_refusal(answer: &Value) -> bool {
    let detail = answer["detail"].as_str().unwrap_or_else(|| panic!("no reason in {answer}"));
    let refused = detail.contains("nothing was stored") || detail.contains("nothing was written");
    assert!(refused || detail.contains("it is not known whether this was stored"), "{detail}");
    refused
}

/// The id and the seq in an acknowledgement.
pub fn place(answer: &Value) -> (u64, i64) {
    let id = answer["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("no id in {answer}"));
    (id, answer["seq"].as_i64().expect("a seq"))
}

async fn delete(shim: &Shim, program: &Program, known: &Known, text: &str, id: u64) -> reqwest::Result<()> {
    let asked = shim.recorded();
    let channel = {
        let mut sent = known.sent();
        let sent = sent.get_mut(text).expect("it was sent");
        sent.deletion = Some(Deletion { asked, answered: None });
        sent.channel
    };
    let path = format!("channels/{}/messages/{id}", channel_name(channel));
    let answer = program.request(Method::DELETE, &path).send().await?;
    let (status, answer) = (answer.status(), answer.json::<Value>().await?);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        // It may have happened.
        return Ok(());
    }
    assert_eq!((status, &answer["deleted"]), (StatusCode::OK, &Value::from(1)), "{answer}");
    let answered = Some(shim.recorded());
    known.sent().get_mut(text).expect("it was sent").deletion = Some(Deletion { asked, answered });
    Ok(())
}
